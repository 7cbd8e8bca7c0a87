//! A call whose client waits for the answer.
//!
//! It is answered with JSON if nothing is to be said before the result, and with a
//! stream of events otherwise. A session's client is asked on that stream; a modern
//! one gets the questions as its answer, and the call waits for it to come back.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream;
use http::{Response, StatusCode};
use quaymaster_core::{CallId, Reply};
use tokio::time::sleep;
use tokio_util::sync::DropGuard;

use super::body::{self, Body};
use super::endpoint::{Endpoint, json};
use super::stream::events;
use crate::ingress::answer::Pieces;
use crate::ingress::door::Door;
use crate::ingress::era::Era;
use crate::ingress::front::Addressee;
use crate::ingress::lasting::Lasting;
use crate::ingress::progress::{Note, NoteQueue, ProgressToken, log_notification};
use crate::ingress::question::{Question, QuestionQueue};
use crate::ingress::session::Session;
use crate::ingress::suspended::{Bound, Pending};

/// A call that runs, whoever waits for it.
pub(super) struct Running {
    pub(super) key: CallId,
    pub(super) reply: Lasting<Reply>,
    pub(super) notes: Option<Arc<NoteQueue>>,
    pub(super) questions: Option<Arc<QuestionQueue>>,
    /// The end of the call, while what it told before that was not read yet.
    ended: Option<News>,
    /// Takes the call back when it is dropped.
    _leaving: Option<DropGuard>,
}

/// What a call has to say.
enum News {
    Reply(Option<Reply>),
    Question(Question),
    Note,
}

/// Whoever waited has gone: what the call would still ask is asked of nobody.
impl Drop for Running {
    fn drop(&mut self) {
        if let Some(questions) = &self.questions {
            questions.close();
        }
    }
}

impl Running {
    /// The call `key`, which has told and asked nothing yet.
    pub(super) fn new(
        key: CallId,
        reply: Lasting<Reply>,
        notes: Option<Arc<NoteQueue>>,
        questions: Option<Arc<QuestionQueue>>,
        leaving: Option<DropGuard>,
    ) -> Self {
        Self { key, reply, notes, questions, ended: None, _leaving: leaving }
    }

    async fn news(&mut self) -> News {
        loop {
            if let Some(question) = self.questions.as_ref().and_then(|queue| queue.next()) {
                return News::Question(question);
            }
            if let Some(reply) = self.ended.take() {
                return reply;
            }
            tokio::select! {
                biased;
                reply = &mut self.reply => {
                    if self.notes.as_ref().is_none_or(|queue| queue.is_empty()) {
                        return News::Reply(reply);
                    }
                    self.ended = Some(News::Reply(reply));
                    return News::Note;
                }
                () = questioned(self.questions.as_ref()) => {}
                () = told(self.notes.as_ref()) => return News::Note,
            }
        }
    }
}

async fn questioned(queue: Option<&Arc<QuestionQueue>>) {
    match queue {
        Some(queue) => queue.arrived().await,
        None => std::future::pending().await,
    }
}

async fn told(queue: Option<&Arc<NoteQueue>>) {
    match queue {
        Some(queue) => queue.arrived().await,
        None => std::future::pending().await,
    }
}

/// A call whose client waits. Dropping it is the client's going away.
pub(super) struct Waiting<D: Door> {
    endpoint: Arc<Endpoint<D>>,
    addressee: Addressee,
    /// None when it has been answered.
    call: Option<Running>,
    token: Option<ProgressToken>,
    session: Option<Arc<Session>>,
    bound: Option<Bound>,
    /// What is to be sent before anything else.
    first: Vec<Bytes>,
}

impl<D: Door> Waiting<D> {
    /// A client that waits for `call`. With a session it is asked on its stream; a
    /// modern one comes back with a state that is bound to its request.
    pub(super) fn new(
        endpoint: Arc<Endpoint<D>>,
        addressee: Addressee,
        call: Running,
        (token, session, bound): (Option<ProgressToken>, Option<Arc<Session>>, Option<Bound>),
    ) -> Self {
        Self { endpoint, addressee, call: Some(call), token, session, bound, first: Vec::new() }
    }

    pub(super) async fn respond(mut self: Box<Self>) -> Response<Body> {
        let news = match &mut self.call {
            Some(call) => call.news().await,
            None => News::Reply(None),
        };
        match news {
            News::Reply(reply) => {
                let (status, answer) = self.answer(reply);
                json(status, answer)
            }
            News::Question(question) if self.addressee.era == Era::Modern => {
                json(StatusCode::OK, self.suspend(question))
            }
            News::Question(question) => {
                self.put(question);
                self.stream()
            }
            News::Note => self.stream(),
        }
    }

    fn stream(self: Box<Self>) -> Response<Body> {
        events(stream::unfold(self, |mut waiting| async move {
            waiting.next().await.map(|bytes| (bytes, waiting))
        }))
    }

    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if !self.first.is_empty() {
                return Some(std::mem::take(&mut self.first).concat().into());
            }
            let call = self.call.as_mut()?;
            if let Some(note) = call.notes.as_ref().and_then(|queue| queue.next()) {
                let notification = match (note, &self.token) {
                    (Note::Progress(progress), Some(token)) => token.notification(&progress),
                    (Note::Log(params), _) => log_notification(&params),
                    (Note::Progress(_), None) => continue,
                };
                return Some(body::event(notification.as_bytes()));
            }
            let news = tokio::select! {
                news = call.news() => news,
                () = sleep(self.endpoint.settings.keep_alive) => return Some(body::keep_alive()),
            };
            let last = match news {
                News::Note => continue,
                News::Question(question) if self.addressee.era == Era::Legacy => {
                    self.put(question);
                    continue;
                }
                News::Question(question) => self.suspend(question),
                News::Reply(reply) => self.answer(reply).1,
            };
            return Some(body::event(&last.one_line()));
        }
    }

    fn answer(&mut self, reply: Option<Reply>) -> (StatusCode, Pieces) {
        self.call = None;
        self.endpoint.front.answered(&self.addressee, reply)
    }

    /// Asks a session's client, on the stream.
    fn put(&mut self, question: Question) {
        let requests = self.session.as_ref().map(|session| session.questions.open(question));
        self.first.extend(requests.into_iter().flatten().map(|request| body::event(request.as_bytes())));
    }

    /// Answers with the questions, and has the call wait for the client to come back.
    fn suspend(&mut self, question: Question) -> Pieces {
        let (Some(call), Some(bound)) = (self.call.take(), &self.bound) else { return self.answer(None).1 };
        let endpoint = &self.endpoint;
        let pending = Pending { key: call.key.clone(), call, question };
        let sealing = (endpoint.front.door.keys(), endpoint.now());
        endpoint.suspended.add(&self.addressee.id, bound, pending, sealing).unwrap_or_else(|refusal| {
            endpoint.front.counters.add(refusal.recorded);
            Pieces::whole(refusal.to_json(Some(&self.addressee.id)))
        })
    }
}
