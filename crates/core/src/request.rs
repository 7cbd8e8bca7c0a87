//! A call as it arrives at the top of its path, before anything is decided.

use std::sync::Arc;

use crate::{Actor, AgentClaims, Arguments, CallId, Kind, Reach, SessionId, Timestamp};

/// What a caller asks for: one tool, prompt or resource, once.
#[derive(Clone, Debug)]
pub struct CallRequest {
    /// The id of this call; also its audit id.
    pub id: CallId,
    /// When the request came in.
    pub received: Timestamp,
    /// Who asks.
    pub actor: Arc<Actor>,
    /// What the route of the request leads to; `tool` is a name there.
    pub reach: Reach,
    /// The client's session, where its revision has sessions.
    pub session: Option<SessionId>,
    /// What the client says of its agent.
    pub agent: AgentClaims,
    /// The trace that the call is part of: the trace id of `traceparent` (W3C Trace Context).
    pub trace_id: Option<String>,
    /// Whether whoever began the trace records it (its `sampled` flag).
    pub sampled: bool,
    /// The key by which the client means the same write if it sends it again. Its form is not checked yet.
    pub idempotency_key: Option<String>,
    /// The id that ties together the calls of one piece of work.
    pub correlation_id: Option<String>,
    /// What is asked for: a tool, a prompt or a resource.
    pub kind: Kind,
    /// The tool or the prompt by the name that the caller used, or the address of the resource.
    pub tool: String,
    /// Its arguments.
    pub arguments: Arguments,
}
