//! Structured logs on standard error.
//!
//! Standard output belongs to the protocol (`quaymaster stdio`) and to results.
//! What may be logged is decided where it is logged: ids, codes, names of tools
//! and durations, never arguments, results, tokens or names of people.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

/// The form of a log line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Starts logging. `RUST_LOG` says what; warnings and errors if it is not set.
///
/// # Errors
///
/// Says so if logging was started before.
pub fn start(format: LogFormat) -> Result<(), String> {
    let filter = EnvFilter::builder().with_default_directive(LevelFilter::WARN.into()).from_env_lossy();
    let base =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false);
    let started = match format {
        LogFormat::Text => base.with_ansi(false).try_init(),
        LogFormat::Json => base.json().flatten_event(true).try_init(),
    };
    started.map_err(|e| e.to_string())
}
