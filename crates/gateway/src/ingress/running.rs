//! A call that runs, and what it says to its client meanwhile.
//!
//! Both transports wait for a call in the same way: it reports and logs, asks, and in
//! the end replies. How that is written down for the client is the transport's own. A
//! modern client that is asked something is answered with the questions, and the call
//! waits here, in [`super::suspended`], until the client makes its request again.
//!
//! Invariants:
//! - What a call said before its reply is told before it.
//! - A call that waits for its client tells nothing, and afterwards what the new
//!   request wants: the old one has been answered.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::{BoxFuture, Either};
use quaymaster_core::{
    Actor, CallId, ErrorCode, InputAbilities, InputPort, LogSink, ProgressSink, RawBuf, Reply, TaskTerms,
};
use serde_json::json;
use tokio::sync::oneshot;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::addressee::Addressee;
use super::answer::Pieces;
use super::door::{Door, Wire};
use super::era::Era;
use super::front::Front;
use super::lasting::{Haven, Lasting};
use super::progress::{Note, NoteQueue, Wanted};
use super::question::{Question, QuestionQueue};
use super::refusal::Refusal;
use super::session::streams::MAX_ANSWER_BYTES;
use super::suspended::{Bound, Pending};
use super::task::{Offer, Slip};

/// What a call has to say.
pub(super) enum News {
    /// It has ended; without a reply if that never came.
    Reply(Option<Reply>),
    /// It asks its client for something.
    Question(Question),
    /// It goes on as a task, for which the client need not wait.
    Task(TaskTerms),
    /// There are notes to be told.
    Note,
}

/// By which ways a call speaks to its client.
#[derive(Clone, Debug)]
pub(super) struct Speech {
    wanted: Wanted,
    notes: Option<Arc<NoteQueue>>,
    questions: Option<Arc<QuestionQueue>>,
    offer: Offer,
}

impl Speech {
    /// To a client that wants to be told this, and can be asked through `questions`.
    pub(super) fn new(era: Era, wanted: Wanted, questions: Option<QuestionQueue>) -> Self {
        // Who comes back with answers may want to be told more than the first time.
        let may_want = questions.is_some() && era == Era::Modern;
        let has_notes = may_want || wanted != Wanted::default();
        Self {
            wanted: if may_want { Wanted::ALL } else { wanted },
            notes: has_notes.then(|| Arc::new(NoteQueue::new(wanted))),
            questions: questions.map(Arc::new),
            offer: Offer::default(),
        }
    }

    /// To a client that waits for what comes of a task.
    pub(super) fn of_task(notes: Option<Arc<NoteQueue>>, questions: Option<Arc<QuestionQueue>>) -> Self {
        Self { wanted: Wanted::default(), notes, questions, offer: Offer::default() }
    }

    /// The same with what becomes of the call where its system makes a task of it.
    pub(super) fn offering(self, offer: Offer) -> Self {
        Self { offer, ..self }
    }

    /// The client's end, for the path of a call that `cancel` takes back.
    pub(super) fn wire(&self, cancel: &CancellationToken) -> Wire {
        let Self { wanted, notes, questions, offer } = self.clone();
        Wire {
            cancel: cancel.clone(),
            progress: notes.clone().filter(|_| wanted.progress).map(|queue| queue as Arc<dyn ProgressSink>),
            log: notes.filter(|_| wanted.level.is_some()).map(|queue| queue as Arc<dyn LogSink>),
            input: questions.map(|queue| queue as Arc<dyn InputPort>),
            tasks: offer.tasks,
        }
    }
}

/// A call goes on when nobody waits for it; a wait for what comes of a task does not.
type Awaited = Either<Lasting<Reply>, BoxFuture<'static, Option<Reply>>>;

/// A call that runs, whoever waits for it.
pub(super) struct Running {
    /// The id of the call.
    pub(super) key: CallId,
    /// Takes the call back.
    pub(super) cancel: CancellationToken,
    reply: Awaited,
    /// The reply, while notes wait that came before it.
    ended: Option<News>,
    speech: Speech,
    /// Takes the call back when it is dropped.
    _leaving: Option<DropGuard>,
}

/// Whoever waited has gone: what the call would still ask is asked of nobody.
impl Drop for Running {
    fn drop(&mut self) {
        if let Some(questions) = &self.speech.questions {
            questions.close();
        }
    }
}

impl Running {
    /// The call `key`. A modern client takes its call back by going away; a legacy one may
    /// be back (MCP 2025-11-25, basic/transports, sending messages).
    pub(super) fn new(
        era: Era,
        key: CallId,
        reply: Lasting<Reply>,
        speech: Speech,
        cancel: CancellationToken,
    ) -> Self {
        let leaving = (era == Era::Modern).then(|| cancel.clone().drop_guard());
        Self { key, cancel, reply: Either::Left(reply), ended: None, speech, _leaving: leaving }
    }

    /// The wait of a session's client for `outcome`, which is what comes of the task that the call
    /// `key` is. `cancel` ends the wait, and the task goes on.
    pub(super) fn of_task(
        key: CallId,
        outcome: BoxFuture<'static, Option<Reply>>,
        speech: Speech,
        cancel: CancellationToken,
    ) -> Self {
        Self { key, cancel, reply: Either::Right(outcome), ended: None, speech, _leaving: None }
    }

    /// Waits for what comes next. Nothing is lost when the wait is given up.
    pub(super) async fn news(&mut self) -> News {
        loop {
            // What is said and asked after a task has begun is for who holds it.
            if let Some(terms) = self.speech.offer.slip.as_ref().and_then(|slip| slip.begun()) {
                return News::Task(terms);
            }
            if self.speech.notes.as_ref().is_some_and(|queue| queue.is_waiting()) {
                return News::Note;
            }
            if let Some(reply) = self.ended.take() {
                return reply;
            }
            if let Some(question) = self.speech.questions.as_ref().and_then(|queue| queue.next()) {
                return News::Question(question);
            }
            tokio::select! {
                biased;
                reply = &mut self.reply => self.ended = Some(News::Reply(reply)),
                () = questioned(self.speech.questions.as_ref()) => {}
                () = begun(self.speech.offer.slip.as_ref()) => {}
                () = told(self.speech.notes.as_ref()) => {}
            }
        }
    }

    /// Whether it is a call, which goes on when nobody waits for it.
    pub(super) fn is_call(&self) -> bool {
        matches!(self.reply, Either::Left(_))
    }

    /// Has the call go on by itself from now on: its reply waits here, for as long as anybody
    /// does. One that comes while nobody is `attended`, and is too large to wait, is lost.
    pub(super) fn set_off(&mut self, haven: &Haven, attended: Arc<AtomicBool>) {
        let gone: BoxFuture<'static, Option<Reply>> = Box::pin(std::future::ready(None));
        match std::mem::replace(&mut self.reply, Either::Right(gone)) {
            Either::Left(call) => {
                let (send, reply) = oneshot::channel();
                haven.tasks().spawn(async move {
                    let mut reply = call.await;
                    if let Some(reply) = reply.as_mut().filter(|_| !attended.load(Ordering::Relaxed)) {
                        bound(reply);
                    }
                    // Nobody may be there any more.
                    let _ = send.send(reply);
                });
                self.reply = Either::Right(Box::pin(async { reply.await.ok().flatten() }));
            }
            other @ Either::Right(_) => self.reply = other,
        }
    }

    /// How long the call says nothing, if it said that.
    pub(super) fn away(&self) -> Option<Duration> {
        self.speech.notes.as_ref()?.away()
    }

    /// The next note, if one waits.
    pub(super) fn note(&self) -> Option<Note> {
        self.speech.notes.as_ref()?.next()
    }

    /// Makes the call one that its client holds as a task for `ttl`: gives what it tells, for
    /// whoever waits for its result, and by what its system says how far it is.
    pub(super) fn detach(&mut self, ttl: Duration) -> (Option<Arc<NoteQueue>>, Option<Arc<Slip>>) {
        if let Some(questions) = &self.speech.questions {
            questions.be_patient(ttl);
        }
        (self.speech.notes.take(), self.speech.offer.slip.take())
    }

    /// By which it could become a task.
    pub(super) fn slip(&self) -> Option<&Arc<Slip>> {
        self.speech.offer.slip.as_ref()
    }

    /// From now on the client can be asked so much and no more.
    fn ask(&self, abilities: InputAbilities) {
        if let Some(questions) = &self.speech.questions {
            questions.able_to(abilities);
        }
        if let Some(slip) = self.speech.offer.slip.as_ref().filter(|_| !abilities.tasks) {
            slip.withdraw();
        }
    }

    /// From now on the client wants to be told this and no more.
    pub(super) fn tell(&self, wanted: Wanted) {
        if let Some(notes) = &self.speech.notes {
            notes.want(wanted);
        }
    }
}

/// Leaves of a reply that is too large to wait for its client that it was too large.
fn bound(reply: &mut Reply) {
    if reply.result.len() > MAX_ANSWER_BYTES {
        let message = "the answer came while its client was away, and was too large to be kept";
        let content = json!([{"type": "text", "text": message}]);
        reply.code = Some(ErrorCode::UpstreamOutcomeUnknown);
        reply.message = Some(message.to_owned());
        reply.result = json!({"content": content, "isError": true}).to_string();
    }
}

async fn questioned(queue: Option<&Arc<QuestionQueue>>) {
    match queue {
        Some(queue) => queue.arrived().await,
        None => std::future::pending().await,
    }
}

async fn begun(slip: Option<&Arc<Slip>>) {
    match slip {
        Some(slip) => slip.arrived().await,
        None => std::future::pending().await,
    }
}

async fn told(queue: Option<&Arc<NoteQueue>>) {
    match queue {
        Some(queue) => queue.arrived().await,
        None => std::future::pending().await,
    }
}

impl<D: Door> Front<D> {
    /// The questions to a client of `actor` with these abilities; none if it can be asked nothing.
    /// `ahead` is what it answers before it is asked.
    pub(super) fn questions(
        &self,
        abilities: InputAbilities,
        actor: &Actor,
        ahead: Option<RawBuf>,
    ) -> Option<QuestionQueue> {
        let allowance = &self.allowances.questions;
        let queue = || QuestionQueue::new(abilities, &actor.id, allowance).answered_ahead(ahead);
        abilities.is_askable().then(queue)
    }

    /// Has `call` wait for its client to come back; gives the answer, which holds the questions.
    pub(super) fn suspend(&self, to: &Addressee, bound: &Bound, call: Running, question: Question) -> Pieces {
        call.tell(Wanted::default());
        let pending = Pending { key: call.key.clone(), call, question };
        let sealing = (self.door.keys(), self.door.clock().now());
        self.suspended.add(&to.id, bound, pending, sealing).unwrap_or_else(|refusal| {
            self.counters.add(refusal.recorded);
            Pieces::whole(refusal.to_json(Some(&to.id)))
        })
    }

    /// Takes back the calls that nobody came back to, and the tasks whose time is up.
    pub(super) fn sweep(&self) {
        let now = self.door.clock().now();
        self.suspended.sweep(now);
        self.tasks.sweep(now);
    }

    /// The call that `state` leads to, and the question that it waits with. Its client now
    /// wants to be told what `wanted` says, and can be asked what `abilities` say.
    ///
    /// # Errors
    ///
    /// `-32602` if there is none for this request.
    pub(super) fn resume(
        &self,
        bound: &Bound,
        state: &str,
        (wanted, abilities): (Wanted, InputAbilities),
    ) -> Result<(Running, Question), Refusal> {
        let (call, question) = self.suspended.take(bound, state, self.door.keys())?;
        call.tell(wanted);
        call.ask(abilities);
        Ok((call, question))
    }
}
