//! Ports: what one layer needs of another without knowing it.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use serde_json::Number;

use crate::{CallRequest, Reply};

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
