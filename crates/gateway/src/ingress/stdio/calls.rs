//! The calls of a client on pipes: how they begin, and what they are answered with.
//!
//! A session's client is asked between its answers; a modern one gets the questions as
//! the answer and makes its request again.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use quaymaster_core::rpc::RequestId;
use quaymaster_core::{Caller, InputAbilities, TaskTerms};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::Client;
use crate::ingress::addressee::Addressee;
use crate::ingress::answer::Pieces;
use crate::ingress::call::ToolCall;
use crate::ingress::claims;
use crate::ingress::door::Door;
use crate::ingress::era::Era;
use crate::ingress::front::{Asked, Front, Origin, log_level};
use crate::ingress::inflight::InFlight;
use crate::ingress::progress::{Listener, ProgressToken, Wanted};
use crate::ingress::question::OpenRequests;
use crate::ingress::refusal::Refusal;
use crate::ingress::running::{News, Running, Speech};
use crate::ingress::suspended::{Bound, Resumption};
use crate::ingress::task::{Begun, Task, Waiter, created};

/// The answer to a message.
pub(super) enum Answer {
    /// It is there.
    Now(Pieces),
    /// It comes when the call has ended; none if its client took the call back.
    Later(Pin<Box<dyn Future<Output = Option<Vec<u8>>> + Send>>),
}

impl Answer {
    /// Waits for the answer, on one line.
    pub(super) async fn line(self) -> Option<Vec<u8>> {
        match self {
            Self::Now(pieces) => Some(pieces.one_line()),
            Self::Later(answer) => answer.await,
        }
    }
}

impl<D: Door> Client<D> {
    /// Begins a call.
    pub(super) fn call(
        &self,
        asked: &Asked<'_>,
        mut call: ToolCall,
        actor: Caller,
    ) -> Result<Answer, Refusal> {
        let Asked { id, detected, .. } = asked;
        let era = detected.era;
        let token = ProgressToken::read(&detected.meta)?;
        let session = self.session.as_ref().filter(|_| era == Era::Legacy);
        let level = match session {
            Some(session) => Some(session.level),
            None => log_level(detected.meta.log_level)?,
        };
        let abilities = match session {
            Some(session) => session.abilities,
            None => InputAbilities::read(detected.meta.client_capabilities),
        };
        let cancel = self.cancel.child_token();
        let flight = Flight::begin(&self.calls, id, &cancel)?;
        let questions = self.front.questions(abilities, &actor, call.answers.take());
        let wish = self.front.wish(&call, session.map(|session| session.revision), &actor)?;
        let (place, offer) = match wish {
            Some(_) => self.front.task_place(&actor).map(|(place, offer)| (Some(place), offer))?,
            None => (None, self.front.task_offer((era, call.kind), abilities, &actor)),
        };
        let bound = (era == Era::Modern).then(|| Bound::to(&actor, &call));
        let origin = Origin {
            actor,
            session: session.map(|s| s.id.clone()),
            claims: claims::read(
                &detected.meta,
                session.and_then(|s| s.client.as_deref()).map(str::to_owned),
                claims::Aside::default(),
            ),
        };
        let speech = Speech::new(era, Wanted { progress: token.is_some(), level }, questions);
        let speech = speech.offering(offer);
        let revision = session.map(|session| session.revision);
        let addressee = Addressee::of(asked, revision, &call);
        let request = self.front.request(call, origin);
        let key = request.id.clone();
        let reply = self.front.run(request, speech.wire(&cancel), |_| {});
        let running = Running::new(era, key, reply, speech, cancel);
        if let (Some(wish), Some(place)) = (wish, place) {
            let terms = TaskTerms { ttl: wish.ttl, poll: None };
            let begun = Begun { session: session.map(|session| session.id.clone()), token };
            let task = self.front.begin_task(running, (terms, begun), place)?;
            return Ok(Answer::Now(created(&addressee.id, era, &task)));
        }
        let open = session.map(|session| Arc::clone(&session.questions));
        Ok(self.waiting(addressee, running, (token.into(), flight), (open, bound)))
    }

    /// Has a session's client wait for what comes of its task.
    pub(super) fn await_task(
        &self,
        asked: &Asked<'_>,
        task: Arc<Task>,
        actor: &Caller,
    ) -> Result<Answer, Refusal> {
        let session = self.session.as_ref();
        let abilities = session.map(|session| session.abilities).unwrap_or_default();
        let open = session.map(|session| Arc::clone(&session.questions));
        let cancel = self.cancel.child_token();
        let flight = Flight::begin(&self.calls, asked.id, &cancel)?;
        let waiter = Waiter { abilities, session: session.map(|session| session.id.clone()), cancel };
        let (running, listener) = self.front.await_task(task, waiter, actor, ());
        let revision = session.map(|session| session.revision);
        let addressee = Addressee::of_task(asked, revision);
        Ok(self.waiting(addressee, running, (listener, flight), (open, None)))
    }

    /// Goes on with a call that asked its client for something.
    pub(super) fn resume(
        &self,
        asked: &Asked<'_>,
        resumption: Resumption,
        actor: &Caller,
    ) -> Result<Answer, Refusal> {
        let Asked { id, detected, .. } = asked;
        let Resumption { call, state, answers } = resumption;
        let bound = Bound::to(actor, &call);
        // Whatever can be wrong with the request is found before the state is used up.
        let token = ProgressToken::read(&detected.meta)?;
        let level = log_level(detected.meta.log_level)?;
        let cancel = CancellationToken::new();
        let flight = Flight::begin(&self.calls, id, &cancel)?;
        let wanted = Wanted { progress: token.is_some(), level };
        let abilities = InputAbilities::read(detected.meta.client_capabilities);
        let (running, question) = self.front.resume(&bound, &state, (wanted, abilities))?;
        self.calls.redirect(id, &running.cancel);
        question.answer(answers);
        let addressee = Addressee::of(asked, None, &call);
        Ok(self.waiting(addressee, running, (token.into(), flight), (None, Some(bound))))
    }

    fn waiting(
        &self,
        addressee: Addressee,
        call: Running,
        (listener, flight): (Listener, Flight),
        (open, bound): (Option<Arc<OpenRequests>>, Option<Bound>),
    ) -> Answer {
        let waiting = Waiting {
            front: Arc::clone(&self.front),
            addressee,
            call,
            listener,
            open,
            bound,
            outbox: self.outbox.clone(),
            unsent: VecDeque::new(),
            stopping: self.cancel.clone(),
            _flight: flight,
        };
        Answer::Later(Box::pin(waiting.answer()))
    }
}

/// A call that is under way, which its client can take back until this is dropped.
struct Flight {
    calls: Arc<InFlight>,
    id: RequestId,
}

impl Flight {
    fn begin(calls: &Arc<InFlight>, id: &RequestId, cancel: &CancellationToken) -> Result<Self, Refusal> {
        calls.begin(id, cancel)?;
        Ok(Self { calls: Arc::clone(calls), id: id.clone() })
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.calls.end(&self.id);
    }
}

/// A call whose client waits for the answer.
struct Waiting<D> {
    front: Arc<Front<D>>,
    addressee: Addressee,
    call: Running,
    listener: Listener,
    /// Where a session's client answers.
    open: Option<Arc<OpenRequests>>,
    /// What a modern client comes back with.
    bound: Option<Bound>,
    outbox: mpsc::Sender<Vec<u8>>,
    /// Questions for which there was no room yet.
    unsent: VecDeque<Vec<u8>>,
    stopping: CancellationToken,
    _flight: Flight,
}

impl<D: Door> Waiting<D> {
    async fn answer(mut self) -> Option<Vec<u8>> {
        loop {
            let Self { call, outbox, unsent, .. } = &mut self;
            let news = tokio::select! {
                biased;
                room = outbox.reserve(), if !unsent.is_empty() => {
                    match (room, unsent.pop_front()) {
                        (Ok(room), Some(question)) => room.send(question),
                        // Nobody reads any more, and whoever waits for an answer gives up in the end.
                        _ => unsent.clear(),
                    }
                    continue;
                }
                news = call.news() => news,
            };
            match news {
                News::Note => self.tell(),
                News::Question(question) if self.addressee.era == Era::Legacy => {
                    let requests = self.open.as_ref().map(|open| open.open(question));
                    self.unsent.extend(requests.into_iter().flatten().map(String::into_bytes));
                }
                // A call that was taken back is not answered.
                _ if self.call.cancel.is_cancelled() && !self.stopping.is_cancelled() => return None,
                News::Question(question) => {
                    let Self { front, addressee, call, bound, .. } = self;
                    return Some(front.suspend(&addressee, &bound?, call, question).one_line());
                }
                News::Task(terms) => {
                    let Self { front, addressee, call, .. } = self;
                    return Some(front.hand_over(&addressee, call, terms).1.one_line());
                }
                News::Reply(reply) => return Some(self.front.answered(&self.addressee, reply).1.one_line()),
            }
        }
    }

    fn tell(&self) {
        while let Some(note) = self.call.note() {
            if let Some(notification) = self.listener.notification(&note) {
                // One that finds no room is dropped: the next says more.
                let _ = self.outbox.try_send(notification.into());
            }
        }
    }
}
