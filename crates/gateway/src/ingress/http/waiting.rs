//! A call whose client waits for the answer.
//!
//! It is answered with JSON if nothing is to be said before the result, and with a
//! stream of events otherwise. A session's client is asked on that stream; a modern
//! one gets the questions as its answer, and the call waits for it to come back.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use bytes::Bytes;
use futures_util::stream::{self, Stream};
use http::{Response, StatusCode};
use quaymaster_core::{Caller, Reply, TaskTerms};
use tokio::time::sleep;

use super::body::{self, Body};
use super::endpoint::{Endpoint, json};
use super::stream::events;
use crate::ingress::addressee::Addressee;
use crate::ingress::answer::{Pieces, one_line};
use crate::ingress::door::Door;
use crate::ingress::era::Era;
use crate::ingress::progress::Listener;
use crate::ingress::question::Question;
use crate::ingress::running::{News, Running};
use crate::ingress::session::Session;
use crate::ingress::session::streams::Word;
use crate::ingress::suspended::Bound;

/// A call whose client waits. Dropping it is the client's going away.
pub(super) struct Waiting<D: Door> {
    endpoint: Arc<Endpoint<D>>,
    addressee: Addressee,
    /// None when it has been answered.
    call: Option<Running>,
    listener: Listener,
    session: Option<Arc<Session>>,
    bound: Option<Bound>,
    /// Whether it may take hours.
    is_long: bool,
    /// Who asked, if it takes events and may have its stream taken up.
    caller: Option<Caller>,
    /// What is to be sent before anything else.
    first: VecDeque<Bytes>,
}

impl<D: Door> Waiting<D> {
    /// A client that waits for `call`. With a session it is asked on its stream; a
    /// modern one comes back with a state that is bound to its request.
    pub(super) fn new(
        endpoint: Arc<Endpoint<D>>,
        addressee: Addressee,
        call: Running,
        (listener, session, bound): (Listener, Option<Arc<Session>>, Option<Bound>),
    ) -> Self {
        Self {
            endpoint,
            addressee,
            call: Some(call),
            listener,
            session,
            bound,
            is_long: false,
            caller: None,
            first: VecDeque::new(),
        }
    }

    /// The same of a client that may have to wait for hours, and reads events: it is shown that we
    /// are there before it has anything to read.
    pub(super) fn at_length(self) -> Self {
        Self { is_long: true, ..self }
    }

    /// The same of a client of `caller` that takes events.
    pub(super) fn of(self, caller: Caller) -> Self {
        Self { caller: Some(caller), ..self }
    }

    pub(super) async fn respond(mut self: Box<Self>) -> Response<Body> {
        let settings = &self.endpoint.settings;
        let patience = match &self.session {
            _ if self.is_long => Some(settings.keep_alive),
            // So that it has an id to come back with.
            Some(session) if self.caller.is_some() && session.revision.is_primed() => {
                Some(settings.events_after)
            }
            _ => None,
        };
        let news = match &mut self.call {
            Some(call) => tokio::select! {
                biased;
                news = call.news() => news,
                () = sleep(patience.unwrap_or_default()), if patience.is_some() => News::Note,
            },
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
            News::Task(terms) => {
                let (status, answer) = self.hand_over(terms);
                json(status, answer)
            }
            News::Note => self.stream(),
        }
    }

    fn stream(mut self: Box<Self>) -> Response<Body> {
        let resumable = self.session.clone().filter(|session| session.revision.has_resumable_streams());
        let call = self.call.as_mut().filter(|call| call.is_call());
        let (Some(session), Some(call), Some(caller)) = (resumable, call, &self.caller) else {
            return events(self.into_events());
        };
        let authority = caller.authority();
        let attended = Arc::new(AtomicBool::new(true));
        let endpoint = Arc::clone(&self.endpoint);
        call.set_off(&endpoint.front.haven, Arc::clone(&attended));
        let words =
            stream::unfold(
                self,
                |mut waiting| async move { waiting.word().await.map(|word| (word, waiting)) },
            );
        endpoint.say((session, authority), Box::pin(words), attended)
    }

    /// What the call says and its answer, as events.
    pub(super) fn into_events(self: Box<Self>) -> impl Stream<Item = Bytes> + Send {
        stream::unfold(self, |mut waiting| async move { waiting.next().await.map(|bytes| (bytes, waiting)) })
    }

    async fn next(&mut self) -> Option<Bytes> {
        let keep_alive = self.endpoint.settings.keep_alive;
        loop {
            let word = tokio::select! {
                word = self.word() => word?,
                () = sleep(keep_alive) => return Some(body::keep_alive()),
            };
            if let Word::Message(message) = word {
                return Some(body::event(&message));
            }
        }
    }

    /// What is said next. Nothing is lost when the wait is given up.
    async fn word(&mut self) -> Option<Word> {
        loop {
            if let Some(first) = self.first.pop_front() {
                return Some(Word::Message(first));
            }
            let call = self.call.as_mut()?;
            if let Some(note) = call.note() {
                let Some(notification) = self.listener.notification(&note) else { continue };
                return Some(Word::Message(on_one_line(notification)));
            }
            if let Some(wait) = call.away() {
                return Some(Word::Away(wait));
            }
            let news = call.news().await;
            let last = match news {
                News::Note => continue,
                News::Question(question) if self.addressee.era == Era::Legacy => {
                    self.put(question);
                    continue;
                }
                News::Question(question) => self.suspend(question),
                News::Task(terms) => self.hand_over(terms).1,
                News::Reply(reply) => self.answer(reply).1,
            };
            return Some(Word::Message(last.one_line().into()));
        }
    }

    fn answer(&mut self, reply: Option<Reply>) -> (StatusCode, Pieces) {
        self.call = None;
        self.endpoint.front.answered(&self.addressee, reply)
    }

    /// Asks a session's client, on the stream.
    fn put(&mut self, question: Question) {
        let requests = self.session.as_ref().map(|session| session.questions.open(question));
        self.first.extend(requests.into_iter().flatten().map(on_one_line));
    }

    /// Answers with a task, which the call is from now on.
    fn hand_over(&mut self, terms: TaskTerms) -> (StatusCode, Pieces) {
        match self.call.take() {
            Some(call) => self.endpoint.front.hand_over(&self.addressee, call, terms),
            None => self.answer(None),
        }
    }

    /// Answers with the questions, and has the call wait for the client to come back.
    fn suspend(&mut self, question: Question) -> Pieces {
        let (Some(call), Some(bound)) = (self.call.take(), &self.bound) else { return self.answer(None).1 };
        self.endpoint.front.suspend(&self.addressee, bound, call, question)
    }
}

/// A message as it is sent in an event.
fn on_one_line(message: String) -> Bytes {
    let mut message = message.into_bytes();
    one_line(&mut message);
    message.into()
}
