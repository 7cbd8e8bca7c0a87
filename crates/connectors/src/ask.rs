//! What an engine is asked to do, once a permit was redeemed.

use std::sync::Arc;

use quaymaster_core::{
    Actor, Arguments, CallId, CallerTokens, Effect, InputPort, Kind, LogSink, ProgressSink, Tasks,
};
use tokio_util::sync::CancellationToken;

use crate::mcp::CallerCredential;

/// One call for one engine.
#[derive(Clone)]
pub(crate) struct Ask<'a> {
    pub(crate) actor: &'a Actor,
    pub(crate) kind: Kind,
    /// The tool or the prompt by the connector's own name; a group of resources by its name in the file.
    pub(crate) tool: &'a str,
    pub(crate) arguments: &'a Arguments,
    pub(crate) call: &'a CallId,
    /// The trace that the call is part of (W3C Trace Context, `traceparent`).
    pub(crate) traceparent: Option<&'a str>,
    /// Whether it has to be said what the columns of a result are made of.
    pub(crate) lineage: bool,
    pub(crate) effect: Effect,
    pub(crate) cancel: &'a CancellationToken,
    pub(crate) progress: Option<Arc<dyn ProgressSink>>,
    /// Who can be asked something in the middle of the call.
    pub(crate) input: Option<Arc<dyn InputPort>>,
    /// Who wants to read what is logged meanwhile.
    pub(crate) log: Option<Arc<dyn LogSink>>,
    /// Whether its client may be told nothing before the result, even of what is asked and logged.
    pub(crate) mute: bool,
    /// Where the tokens of callers are, if there is a vault.
    pub(crate) tokens: Option<&'a Arc<dyn CallerTokens>>,
    /// The caller's own credential, where the system is asked in their name.
    pub(crate) credential: Option<Arc<CallerCredential>>,
    /// What becomes of it where the system makes a task of it.
    pub(crate) tasks: Tasks,
}

/// What the receipt of a call will say of how it went.
#[derive(Debug, Default)]
pub(crate) struct Account {
    pub(crate) retries: u32,
    pub(crate) upstream_ids: Vec<String>,
}
