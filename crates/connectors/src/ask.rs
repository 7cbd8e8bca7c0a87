//! What an engine is asked to do, once a permit was redeemed.

use std::sync::Arc;

use quaymaster_core::{Arguments, CallId, Effect, ProgressSink};
use tokio_util::sync::CancellationToken;

/// One call for one engine.
pub(crate) struct Ask<'a> {
    /// The tool by the connector's own name.
    pub(crate) tool: &'a str,
    pub(crate) arguments: &'a Arguments,
    pub(crate) call: &'a CallId,
    pub(crate) effect: Effect,
    pub(crate) cancel: &'a CancellationToken,
    pub(crate) progress: Option<Arc<dyn ProgressSink>>,
}

/// What the receipt of a call will say of how it went.
#[derive(Debug, Default)]
pub(crate) struct Account {
    pub(crate) retries: u32,
    pub(crate) upstream_ids: Vec<String>,
}
