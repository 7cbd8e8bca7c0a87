//! Ports: what one layer needs of another without knowing it.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Number;

use crate::{CallRequest, RawBuf, Reply};

/// How far a call got (MCP 2026-07-28, basic/utilities/progress).
#[derive(Clone, Debug, PartialEq)]
pub struct Progress {
    /// Grows with every report.
    pub progress: Number,
    /// What `progress` will reach, where that is known.
    pub total: Option<Number>,
    /// For people.
    pub message: Option<String>,
}

/// Who wants to hear how far a call got. Must not block.
pub trait ProgressSink: Send + Sync + fmt::Debug {
    /// Takes one report. Reports that come too fast may be dropped.
    fn report(&self, progress: Progress);
}

/// How serious a log message is (RFC 5424, section 6.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// For finding faults.
    Debug,
    /// Worth knowing.
    Info,
    /// Normal and remarkable.
    Notice,
    /// May become a fault.
    Warning,
    /// A fault.
    Error,
    /// A part failed.
    Critical,
    /// Somebody must act at once.
    Alert,
    /// Nothing works.
    Emergency,
}

impl LogLevel {
    const ALL: [(Self, &'static str); 8] = [
        (Self::Debug, "debug"),
        (Self::Info, "info"),
        (Self::Notice, "notice"),
        (Self::Warning, "warning"),
        (Self::Error, "error"),
        (Self::Critical, "critical"),
        (Self::Alert, "alert"),
        (Self::Emergency, "emergency"),
    ];

    /// The level as it is on the wire.
    pub fn as_str(self) -> &'static str {
        Self::ALL.into_iter().find(|(level, _)| *level == self).map_or("info", |(_, name)| name)
    }

    /// The level called `name`.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|(_, other)| *other == name).map(|(level, _)| level)
    }
}

/// Who wants to read what the system behind a tool logs while a call runs. Must not block.
pub trait LogSink: Send + Sync + fmt::Debug {
    /// From which level on.
    fn level(&self) -> LogLevel;

    /// Takes one message: the parameters of `notifications/message` (MCP 2026-07-28,
    /// server/utilities/logging). Messages that come too fast may be dropped.
    fn log(&self, params: RawBuf);

    /// The system has closed its stream and is asked again after `wait` (MCP 2025-11-25,
    /// basic/transports, sending messages to the server): until then it says nothing.
    fn away(&self, _wait: Duration) {}
}

/// The top of the path of a call: the one way for workflows, tests and the
/// command line to call a tool.
pub trait CallTool: Send + Sync {
    /// Governs and runs one call. Refusals and failures are replies too.
    fn call_tool<'a>(
        &'a self,
        request: CallRequest,
        progress: Option<Arc<dyn ProgressSink>>,
    ) -> Pin<Box<dyn Future<Output = Reply> + Send + 'a>>;
}
