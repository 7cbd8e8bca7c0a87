//! The calls that are under way on one connection, for what comes on a stream that is not a call's own.
//!
//! Standard streams and HTTP+SSE are shared by all calls, and a session over HTTP has a stream beside
//! its calls (MCP 2025-11-25, basic/transports, "Listening for Messages from the Server"). Nothing there
//! says which call a question or a log message belongs to, unless it names a task (`followed`).
//!
//! Invariants:
//! - What names a task goes to the client of that task, or to nobody.
//! - What names none goes to the one client whose calls this connection has carried and for whom it has
//!   watched resources, with the rights that it had in all of them; and to nobody once there was another, or
//!   a call whose client may be told nothing.
//! - Questions are asked for calls and tasks: our own requests and looks at tasks do not count.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use quaymaster_core::meta::RELATED_TASK;
use quaymaster_core::{ProgressSink, Raw};

use super::followed::{Client, Followed, Holder};
use super::link::Outgoing;

/// The requests of one connection that wait for their answers.
#[derive(Debug)]
pub(super) struct UnderWay {
    calls: Mutex<Calls>,
    tasks: Arc<Followed>,
}

#[derive(Debug, Default)]
struct Calls {
    /// For whom calls were made and resources watched.
    first: Option<Holder>,
    /// What the server says of itself can be anybody's.
    mixed: bool,
    waiting: HashMap<u64, Waiting>,
    /// Who follows a task that was asked for with the request; gone with the call.
    following: HashMap<u64, Weak<dyn ProgressSink>>,
}

/// What may come for one request beside its answer.
#[derive(Debug)]
struct Waiting {
    /// Whose call it begins, if it begins one.
    client: Option<Client>,
    sink: Option<Arc<dyn ProgressSink>>,
}

impl UnderWay {
    /// Nothing so far, on a connection to the server of `tasks`.
    pub(super) fn beside(tasks: Arc<Followed>) -> Self {
        Self { calls: Mutex::default(), tasks }
    }

    /// Notes a request until the answer is dropped.
    pub(super) fn note(&self, outgoing: &Outgoing<'_>) -> Noted<'_> {
        let mut calls = self.calls();
        calls.mixed |= outgoing.mute;
        if let Some(actor) = outgoing.actor {
            calls.hold(&Holder::of(actor));
        }
        let client = Client { questions: outgoing.questions.clone(), log: outgoing.log.clone() };
        let waiting = Waiting {
            client: (outgoing.actor.is_some() && outgoing.begins).then_some(client),
            sink: outgoing.sink.cloned(),
        };
        calls.waiting.insert(outgoing.id, waiting);
        if outgoing.wants_task
            && let Some(sink) = outgoing.sink
        {
            calls.following.retain(|_, sink| sink.strong_count() > 0);
            calls.following.insert(outgoing.id, Arc::downgrade(sink));
        }
        Noted { under_way: self, id: outgoing.id }
    }

    /// From now on the server may speak of what `holder` watches.
    pub(super) fn hold(&self, holder: &Holder) {
        self.calls().hold(holder);
    }

    /// The request `id` is no longer under way: its answer is there.
    pub(super) fn forget(&self, id: u64) {
        self.calls().waiting.remove(&id);
    }

    /// Nothing is under way any more.
    pub(super) fn clear(&self) {
        self.calls().waiting.clear();
    }

    /// The client that a question or a log message with `params` is for.
    pub(super) fn whose(&self, params: Option<Raw<'_>>) -> Option<Client> {
        match named(params) {
            Named::Task(name) => self.tasks.named(&name),
            Named::Unclear => None,
            Named::None => self.only(),
        }
    }

    /// The client of the only call or task. The message may belong to one that was given up and that the
    /// server still works on, so nobody else may have called before.
    fn only(&self) -> Option<Client> {
        let calls = self.calls();
        if calls.mixed {
            return None;
        }
        let mut waiting = calls.waiting.values().filter_map(|waiting| waiting.client.as_ref());
        match (waiting.next(), waiting.next(), self.tasks.some()) {
            (Some(client), None, (0, _)) => Some(client.clone()),
            (None, None, (1, Some((holder, client)))) => {
                calls.first.as_ref().is_none_or(|first| *first == holder).then_some(client)
            }
            _ => None,
        }
    }

    /// Who waits for the progress of the request `id`, or of the task that was made of it: its token
    /// counts as long as the task (MCP 2025-11-25, basic/utilities/tasks, "Task Progress").
    pub(super) fn sink(&self, id: u64) -> Option<Arc<dyn ProgressSink>> {
        let calls = self.calls();
        let waiting = calls.waiting.get(&id).and_then(|waiting| waiting.sink.clone());
        waiting.or_else(|| calls.following.get(&id).and_then(Weak::upgrade))
    }

    fn calls(&self) -> MutexGuard<'_, Calls> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Calls {
    fn hold(&mut self, holder: &Holder) {
        self.mixed |= self.first.get_or_insert_with(|| holder.clone()) != holder;
    }
}

/// Which task a message says that it belongs to.
enum Named<'a> {
    None,
    Task(Cow<'a, str>),
    /// It says so in a way that cannot be read.
    Unclear,
}

/// The task that `params` name (MCP 2025-11-25, basic/utilities/tasks, "Related Task Metadata").
fn named(params: Option<Raw<'_>>) -> Named<'_> {
    let Some(params) = params else { return Named::None };
    let Ok(meta) = params.member("_meta") else { return Named::Unclear };
    let Some(meta) = meta.filter(|meta| meta.get().starts_with('{')) else { return Named::None };
    match meta.member(RELATED_TASK) {
        Ok(None) => Named::None,
        Ok(Some(related)) => {
            let id = related.member("taskId").ok().flatten().and_then(Raw::text);
            id.map_or(Named::Unclear, Named::Task)
        }
        Err(_) => Named::Unclear,
    }
}

/// A request that is under way. Dropped, it no longer is.
pub(super) struct Noted<'a> {
    under_way: &'a UnderWay,
    id: u64,
}

impl Drop for Noted<'_> {
    fn drop(&mut self) {
        self.under_way.calls().waiting.remove(&self.id);
    }
}
