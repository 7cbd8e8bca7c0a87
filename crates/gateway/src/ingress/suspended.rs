//! Calls that wait for what a modern client was asked.
//!
//! The client gets the questions as the result of its request, with a
//! `requestState`, and makes the same request again with the answers (MCP
//! 2026-07-28, multi round-trip requests). The state is sealed and bound to the
//! principal, the workspace, the route and the request; what it leads to is the call itself,
//! which waits here.
//!
//! Invariants:
//! - A state leads to its call once. Whoever comes with another's, or with other
//!   arguments, is told the same as who made one up.
//! - Calls that wait are bounded, and one that nobody comes back to is taken back.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use quaymaster_control::keyring::{Binding, KeyRing};
use quaymaster_core::rpc::{self, RequestId};
use quaymaster_core::{CallId, Caller, RawBuf, Timestamp};
use serde_json::Value;

use super::answer::Pieces;
use super::call::ToolCall;
use super::params::{Params, text};
use super::question::{PATIENCE, Question};
use super::refusal::Refusal;

/// How many calls may wait.
const MAX_SUSPENDED: usize = 1_000;

/// How many of one principal.
const MAX_OF_ACTOR: usize = 64;

const PURPOSE: &str = "request-state";

/// A request that comes back with answers.
#[derive(Debug)]
pub(super) struct Resumption {
    /// What it asks for, as the first time.
    pub(super) call: ToolCall,
    pub(super) state: String,
    pub(super) answers: RawBuf,
}

impl Resumption {
    /// The state and the answers of a request, as far as it has them.
    pub(super) fn read(params: &Params<'_>) -> Result<(Option<String>, Option<RawBuf>), Refusal> {
        let answers = match params.input_responses {
            None => None,
            Some(raw) if raw.get().starts_with('{') => Some(raw.to_buf()),
            Some(_) => return Err(Refusal::invalid_params("`params.inputResponses` must be an object")),
        };
        match (params.request_state, text(params.request_state)) {
            (None, _) => Ok((None, answers)),
            (Some(_), None) => Err(Refusal::invalid_params("`params.requestState` must be a string")),
            (Some(_), Some(state)) => Ok((Some(state.into_owned()), answers)),
        }
    }
}

/// What one state is bound to.
pub(super) struct Bound {
    parts: [String; 7],
}

impl Bound {
    /// To `actor` and what it may, the route and the very request.
    pub(super) fn to(actor: &Caller, call: &ToolCall) -> Self {
        let (route, kind) = (actor.reach.as_str(), call.kind.as_str());
        let parts = [actor.id.as_str(), actor.workspace.as_str(), route, kind, &call.tool];
        let [id, workspace, route, kind, tool] = parts.map(str::to_owned);
        Self { parts: [id, workspace, actor.authority(), route, kind, tool, call.arguments.digest()] }
    }

    fn with<T>(&self, run: impl FnOnce(&Binding<'_>) -> T) -> T {
        let holder: Vec<&str> = self.parts.iter().map(String::as_str).collect();
        run(&Binding { purpose: PURPOSE, holder: &holder })
    }

    fn owner(&self) -> &str {
        let [owner, ..] = &self.parts;
        owner
    }
}

/// A call of which the client was asked something.
struct Entry<C> {
    call: C,
    question: Question,
    owner: String,
    until: Timestamp,
}

/// The calls that wait, by their states. No two states are the same, so one of an earlier
/// question does not lead to a later one of the same call.
pub(super) struct Suspended<C>(Mutex<HashMap<String, Entry<C>>>);

impl<C> Default for Suspended<C> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

/// A call that is to wait, and what its client was to be asked.
pub(super) struct Pending<C> {
    pub(super) key: CallId,
    pub(super) call: C,
    pub(super) question: Question,
}

impl<C> Suspended<C> {
    /// Lets a call wait; gives the answer to the request `id`, which holds the questions.
    ///
    /// # Errors
    ///
    /// `gateway.overloaded` if too many wait; the call is taken back.
    pub(super) fn add(
        &self,
        id: &RequestId,
        bound: &Bound,
        pending: Pending<C>,
        (ring, now): (&KeyRing, Timestamp),
    ) -> Result<Pieces, Refusal> {
        let Pending { key, call, question } = pending;
        let sealed = bound.with(|binding| ring.seal(binding, key.as_str(), PATIENCE));
        let state = sealed.map_err(|_| Refusal::internal())?;
        let result = format!(
            r#"{{"resultType":"input_required","inputRequests":{},"requestState":{}}}"#,
            question.requests.get(),
            Value::from(state.as_str())
        );
        let until = Timestamp::from_micros(
            now.as_micros().saturating_add(u64::try_from(PATIENCE.as_micros()).unwrap_or(u64::MAX)),
        );
        let owner = bound.owner().to_owned();
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() >= MAX_SUSPENDED
            || waiting.values().filter(|entry| entry.owner == owner).count() >= MAX_OF_ACTOR
        {
            return Err(Refusal::overloaded("too many calls wait for input: answer one first"));
        }
        waiting.insert(state, Entry { call, question, owner, until });
        Ok(Pieces::whole(rpc::response(id, &result)))
    }

    /// The call that `state` leads to, with its question.
    ///
    /// # Errors
    ///
    /// `-32602` if there is none for this request.
    pub(super) fn take(&self, bound: &Bound, state: &str, ring: &KeyRing) -> Result<(C, Question), Refusal> {
        bound.with(|binding| ring.open(binding, state)).map_err(|_| unknown())?;
        let entry = self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(state);
        entry.map(|entry| (entry.call, entry.question)).ok_or_else(unknown)
    }

    /// Takes back the calls that nobody came back to.
    pub(super) fn sweep(&self, now: Timestamp) {
        let gone: Vec<Entry<C>> = {
            let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            waiting.extract_if(|_, entry| entry.until <= now).map(|(_, entry)| entry).collect()
        };
        // Not under the lock: dropping a call takes it back.
        drop(gone);
    }

    /// Takes back every call: nobody can come back any more.
    pub(super) fn clear(&self) {
        let gone = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        drop(gone);
    }
}

/// The answer to every state that leads nowhere.
pub(super) fn unknown() -> Refusal {
    Refusal::invalid_params(
        "`requestState` is unknown, used, expired or of another request: make the request again without it",
    )
}
