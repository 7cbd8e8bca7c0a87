//! The calls that are under way on one connection, for what comes on a stream that is not a call's own.
//!
//! Standard streams and HTTP+SSE are shared by all calls, and a session over HTTP has a stream beside
//! its calls (MCP 2025-11-25, basic/transports, "Listening for Messages from the Server"). Nothing there
//! says which call a question or a log message belongs to.
//!
//! Invariant: what the server asks or logs there goes to the one principal whose calls this connection
//! has carried, and to nobody once it has carried those of two.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use quaymaster_core::{Actor, ActorId, LogSink, ProgressSink, Workspace};

use super::link::Outgoing;
use super::question::Questions;

/// The calls of one connection that wait for their answers.
#[derive(Debug, Default)]
pub(super) struct UnderWay(Mutex<Calls>);

#[derive(Debug, Default)]
struct Calls {
    /// For whom calls were made.
    first: Option<(ActorId, Workspace)>,
    /// There was another after the first.
    mixed: bool,
    waiting: HashMap<u64, Waiting>,
}

/// What may come for one call beside its answer.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) questions: Option<Questions>,
    pub(super) log: Option<Arc<dyn LogSink>>,
    sink: Option<Arc<dyn ProgressSink>>,
}

impl UnderWay {
    /// Notes a call until the answer is dropped.
    pub(super) fn note(&self, outgoing: &Outgoing<'_>) -> Noted<'_> {
        let mut calls = self.calls();
        if let Some(actor) = outgoing.actor {
            calls.hold(actor);
        }
        let waiting = Waiting {
            questions: outgoing.questions.clone(),
            log: outgoing.log.clone(),
            sink: outgoing.sink.cloned(),
        };
        calls.waiting.insert(outgoing.id, waiting);
        Noted { under_way: self, id: outgoing.id }
    }

    /// The request `id` is no longer under way: its answer is there.
    pub(super) fn forget(&self, id: u64) {
        self.calls().waiting.remove(&id);
    }

    /// Nothing is under way any more.
    pub(super) fn clear(&self) {
        self.calls().waiting.clear();
    }

    /// Something of the call that a question or a log message belongs to. It may be one that
    /// was given up and that the server still works on. So there must be only one, and no call
    /// of anybody else's before it.
    pub(super) fn only<T>(&self, what: impl FnOnce(&Waiting) -> Option<T>) -> Option<T> {
        let calls = self.calls();
        if calls.mixed {
            return None;
        }
        let mut waiting = calls.waiting.values();
        waiting.next().filter(|_| waiting.next().is_none()).and_then(what)
    }

    /// Who waits for the progress of the request `id`.
    pub(super) fn sink(&self, id: u64) -> Option<Arc<dyn ProgressSink>> {
        self.calls().waiting.get(&id).and_then(|waiting| waiting.sink.clone())
    }

    fn calls(&self) -> MutexGuard<'_, Calls> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Calls {
    fn hold(&mut self, actor: &Actor) {
        match &self.first {
            None => self.first = Some((actor.id.clone(), actor.workspace.clone())),
            Some((id, workspace)) => self.mixed |= *id != actor.id || *workspace != actor.workspace,
        }
    }
}

/// A call that is under way. Dropped, it no longer is.
pub(super) struct Noted<'a> {
    under_way: &'a UnderWay,
    id: u64,
}

impl Drop for Noted<'_> {
    fn drop(&mut self) {
        self.under_way.calls().waiting.remove(&self.id);
    }
}
