//! The request that a call answers, as far as its answer needs it.
//!
//! Invariant: an address that a client asked for goes back to that client alone, in its own
//! answer. It is in no log and no record.

use std::sync::Arc;

use quaymaster_core::Kind;
use quaymaster_core::rpc::RequestId;

use super::call::ToolCall;
use super::era::Era;
use super::front::Asked;
use super::revision::Revision;

/// The request that a call answers.
#[derive(Clone, Debug)]
pub(super) struct Addressee {
    pub(super) id: RequestId,
    pub(super) era: Era,
    /// The revision of its session, if it has one.
    pub(super) revision: Option<Revision>,
    pub(super) kind: Kind,
    /// The address that was asked for, if it was a resource's.
    pub(super) uri: Option<Arc<str>>,
}

impl Addressee {
    /// Whoever asked for `call`, in a session of `revision` or without one.
    pub(super) fn of(asked: &Asked<'_>, revision: Option<Revision>, call: &ToolCall) -> Self {
        let uri = (call.kind == Kind::Resource).then(|| call.tool.as_str().into());
        let (id, era) = (asked.id.clone(), asked.detected.era);
        Self { id, era, revision, kind: call.kind, uri }
    }

    /// Whoever waits for what comes of a task.
    pub(super) fn of_task(asked: &Asked<'_>, revision: Option<Revision>) -> Self {
        let (id, era) = (asked.id.clone(), asked.detected.era);
        Self { id, era, revision, kind: Kind::Tool, uri: None }
    }
}
