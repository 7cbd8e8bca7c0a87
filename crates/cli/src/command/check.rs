//! `quaymaster check`: what is wrong with a configuration, for people and for CI.

use std::io::IsTerminal as _;

use clap::Args;
use quaymaster_gateway::{check, check_connected};

use super::place::Place;
use super::signals::Signals;
use crate::failure::{Failure, style};
use crate::out;

/// Checks a configuration and says what is wrong, where, and what would be right.
///
/// Nothing is started and nothing is connected to: MCP servers are not asked for
/// their tools, so policies for those are checked for names, not for arguments.
/// With `--connect` they are.
#[derive(Debug, Args)]
pub(crate) struct Check {
    #[command(flatten)]
    place: Place,
    /// Print JSON: `{"valid", "diagnostics": [{"code", "severity", "file", "line", "column", "message", "help"}]}`.
    #[arg(long)]
    json: bool,
    /// Do not look for the secrets that the configuration names, as on a build machine.
    #[arg(long)]
    without_secrets: bool,
    /// Start the MCP servers, look at the tools that they offer, and stop them. Calls nothing and records nothing.
    #[arg(long, conflicts_with = "without_secrets")]
    connect: bool,
}

impl Check {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let found = if self.connect {
            let mut signals = Signals::new()?;
            tokio::select! {
                found = check_connected(&self.place.config) => found,
                () = signals.end() => return Err(Failure::Told),
            }
        } else {
            check(&self.place.config, !self.without_secrets)
        };
        let valid = !found.has_errors();
        if self.json {
            out::json(&serde_json::json!({"valid": valid, "diagnostics": found}))?;
        } else {
            out::bytes(found.render(style(std::io::stdout().is_terminal())).as_bytes())?;
            out::line(if valid { "the configuration is valid" } else { "the configuration is not valid" })?;
        }
        if valid { Ok(()) } else { Err(Failure::Invalid) }
    }
}
