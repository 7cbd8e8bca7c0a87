//! One task: where it is, what it wants to know, and what came of it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use quaymaster_core::{CallId, NoInput, Raw, RawBuf, Reply, SessionId, Status, Timestamp};
use serde_json::Value;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{Begun, Owner, Place, Slip, view};
use crate::ingress::progress::{Listener, NoteQueue};
use crate::ingress::question::Question;
use crate::ingress::running::{News, Running};

/// How many questions of a task may be open.
const MAX_OPEN: usize = 16;

/// Where a task is, for a client of either era.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::ingress) enum TaskStatus {
    Working,
    InputRequired,
    Completed,
    Failed,
    Cancelled,
}

impl TaskStatus {
    /// The status as it is on the wire.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Working => "working",
            Self::InputRequired => "input_required",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// What time it is.
pub(in crate::ingress) type Now = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// A call that its client holds by a handle.
pub(in crate::ingress) struct Task {
    /// What the client sends to mean it.
    pub(in crate::ingress) handle: String,
    pub(super) key: CallId,
    pub(super) owner: Owner,
    pub(super) created: Timestamp,
    pub(super) ttl: Duration,
    pub(super) poll: Duration,
    pub(super) cancel: CancellationToken,
    /// By which the call learns that it was taken back.
    pub(super) slip: Option<Arc<Slip>>,
    /// What the call tells before its result.
    pub(super) notes: Option<Arc<NoteQueue>>,
    pub(super) begun: Begun,
    pub(super) state: Shared,
    pub(super) now: Now,
    pub(super) _place: Place,
}

impl std::fmt::Debug for Task {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Task").field("key", &self.key).finish_non_exhaustive()
    }
}

/// What changes of a task.
#[derive(Debug)]
pub(super) struct Shared {
    state: Mutex<State>,
    changed: watch::Sender<u64>,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) updated: Timestamp,
    pub(super) message: Option<String>,
    pub(super) open: Vec<OpenQuestion>,
    pub(super) reply: Option<Reply>,
    cancelled: bool,
    rounds: u64,
}

/// A question of a task that is not answered yet.
#[derive(Debug)]
pub(super) struct OpenQuestion {
    question: Option<Question>,
    /// Its requests under names that no other of the task has.
    pub(super) requests: Vec<OpenRequest>,
}

#[derive(Debug)]
pub(super) struct OpenRequest {
    /// The name that the client knows it by.
    pub(super) name: String,
    /// The name that its asker gave it.
    asked_as: String,
    pub(super) request: RawBuf,
    answer: Option<RawBuf>,
}

impl OpenRequest {
    /// Whether the client still has to answer it.
    pub(super) fn is_unanswered(&self) -> bool {
        self.answer.is_none()
    }
}

impl Shared {
    pub(super) fn at(now: Timestamp) -> Self {
        let (message, open, reply) = (None, Vec::new(), None);
        let state = State { updated: now, message, open, reply, cancelled: false, rounds: 0 };
        Self { state: Mutex::new(state), changed: watch::Sender::new(0) }
    }

    /// Tells whoever looks that something has changed.
    fn tell(&self) {
        self.changed.send_modify(|count| *count = count.wrapping_add(1));
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Where the task is. For a session a result that says it failed is a failure; for a modern
    /// client only a call that came to no result is.
    pub(super) fn status(&self, is_modern: bool) -> TaskStatus {
        match &self.reply {
            _ if self.cancelled => TaskStatus::Cancelled,
            Some(reply) if is_modern && reply.message.is_none() => TaskStatus::Completed,
            Some(reply) if reply.status == Status::Success => TaskStatus::Completed,
            Some(_) => TaskStatus::Failed,
            None if self.open.iter().any(OpenQuestion::is_open) => TaskStatus::InputRequired,
            None => TaskStatus::Working,
        }
    }

    fn has_ended(&self) -> bool {
        self.cancelled || self.reply.is_some()
    }
}

impl OpenQuestion {
    fn new(question: Question, round: u64) -> Self {
        let each = question.named().map(|(asked_as, request)| OpenRequest {
            name: format!("{round}-{asked_as}"),
            asked_as,
            request,
            answer: None,
        });
        let requests = each.collect();
        Self { question: Some(question), requests }
    }

    /// Whether somebody still waits for the answers.
    pub(super) fn is_open(&self) -> bool {
        self.question.as_ref().is_some_and(|question| !question.is_closed())
    }

    /// Gives the answers to who asked, if all are there.
    fn settle(&mut self) {
        let answer = |request: &OpenRequest| {
            let answer = request.answer.as_ref()?;
            Some(format!("{}:{}", Value::from(request.asked_as.as_str()), answer.get()))
        };
        let answers: Option<Vec<String>> = self.requests.iter().map(answer).collect();
        let Some(answers) = answers.and_then(|all| RawBuf::read(&format!("{{{}}}", all.join(","))).ok())
        else {
            return;
        };
        if let Some(question) = self.question.take() {
            question.answer(answers);
        }
    }
}

impl Task {
    /// The call that it is.
    pub(in crate::ingress) fn key(&self) -> &CallId {
        &self.key
    }

    /// What the call tells `session` before its result, if that has begun it.
    pub(super) fn notes(&self, session: Option<&SessionId>) -> Option<Arc<NoteQueue>> {
        let has_begun = session.is_some() && self.begun.session.as_ref() == session;
        self.notes.clone().filter(|_| has_begun)
    }

    /// As whom the session that has begun it hears of it.
    pub(super) fn listener(&self) -> Listener {
        Listener { token: self.begun.token.clone(), related: Some(view::related(&self.handle).into()) }
    }

    /// Changes whenever the task does.
    pub(in crate::ingress) fn changes(&self) -> watch::Receiver<u64> {
        self.state.changed.subscribe()
    }

    /// Takes the task back. False if it has ended already.
    pub(in crate::ingress) fn take_back(&self) -> bool {
        let mut state = self.state.lock();
        if state.has_ended() {
            return false;
        }
        state.cancelled = true;
        state.updated = (self.now)();
        drop(state);
        // First, so that whoever finds the call cancelled finds out why.
        if let Some(slip) = &self.slip {
            slip.take_back();
        }
        self.cancel.cancel();
        self.state.tell();
        true
    }

    /// Takes the client's answers, an object of results by name. Names that nobody asked under
    /// are passed over.
    pub(in crate::ingress) fn inform(&self, answers: Raw<'_>) {
        let mut state = self.state.lock();
        let mut is_new = false;
        let members = answers.members().into_iter().flatten().filter_map(Result::ok);
        for (name, answer) in members.filter(|(_, answer)| answer.get().starts_with('{')) {
            let mut requests = state.open.iter_mut().flat_map(|open| &mut open.requests);
            let asked = requests.find(|request| request.name == *name && request.answer.is_none());
            if let Some(request) = asked {
                request.answer = Some(answer.to_buf());
                is_new = true;
            }
        }
        if is_new {
            state.open.iter_mut().for_each(OpenQuestion::settle);
            self.note(state);
        }
    }

    /// Has who asked `name`, and what belongs to it, know that the client will not answer.
    pub(super) fn decline(&self, name: &str) {
        let mut state = self.state.lock();
        let asked = |open: &&mut OpenQuestion| open.requests.iter().any(|request| request.name == name);
        let question = state.open.iter_mut().find(asked).and_then(|open| open.question.take());
        if let Some(question) = question {
            question.decline(NoInput::Declined);
            self.note(state);
        }
    }

    /// Lets go the questions that are closed, and tells whoever looks that something has changed.
    fn note(&self, mut state: MutexGuard<'_, State>) {
        state.open.retain(OpenQuestion::is_open);
        state.updated = (self.now)();
        drop(state);
        self.state.tell();
    }

    /// Drives the call to its end.
    pub(super) async fn drive(&self, mut running: Running, slip: Option<Arc<Slip>>) {
        loop {
            let said = slip.as_ref().and_then(|slip| slip.message());
            let news = match &slip {
                _ if said.is_some() => None,
                Some(slip) => tokio::select! {
                    biased;
                    news = running.news() => Some(news),
                    () = slip.arrived() => None,
                },
                None => Some(running.news().await),
            };
            let mut state = self.state.lock();
            match news {
                None if said.is_none() => continue,
                None => state.message = said,
                Some(News::Question(question)) => {
                    state.open.retain(OpenQuestion::is_open);
                    // Without room it goes unanswered.
                    if state.open.len() < MAX_OPEN {
                        state.rounds += 1;
                        let round = state.rounds;
                        state.open.push(OpenQuestion::new(question, round));
                    }
                }
                Some(News::Reply(reply)) => {
                    state.reply = Some(reply.unwrap_or_else(|| view::lost(&self.key)));
                    state.open.clear();
                }
                Some(News::Task(_) | News::Note) => continue,
            }
            let has_ended = state.reply.is_some();
            state.updated = (self.now)();
            drop(state);
            self.state.tell();
            if has_ended {
                return;
            }
        }
    }
}
