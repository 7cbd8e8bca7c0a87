//! The streams of notifications: a session's own, and a modern client's subscription.
//!
//! `GET` and `DELETE` are for sessions alone; a modern client is told so with 405
//! (MCP 2026-07-28, streamable HTTP, earlier revisions).

use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use quaymaster_core::Caller;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::body::{self, Body};
use super::endpoint::{Endpoint, bare, with_type};
use super::event_id::{EventId, Whose};
use super::guard;
use super::reader::{RETRY, priming};
use crate::ingress::answer::{Pieces, list_changed, updated};
use crate::ingress::changes::{Changes, Seen, Topic};
use crate::ingress::door::Door;
use crate::ingress::era::is_modern;
use crate::ingress::front::Trail;
use crate::ingress::refusal::Refusal;
use crate::ingress::revision::Revision;
use crate::ingress::session::Session;
use crate::ingress::session::own_stream::Missed;
use crate::ingress::subscription::{LISTEN, Subscription};
use crate::ingress::task::{Owner, Task, TaskWatch};
use crate::ingress::watches::Watches;

/// Keeps a reverse proxy from holding events back.
static BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

impl<D: Door> Endpoint<D> {
    /// `GET`: opens the session's stream of notifications.
    pub(super) fn listen(
        self: &Arc<Self>,
        headers: &HeaderMap,
        actor: &Caller,
        trail: &mut Trail,
    ) -> Result<Response<Body>, Refusal> {
        let session = self.named_session(headers, actor, trail)?;
        if !guard::accepts(headers).events {
            return Err(no_events());
        }
        let last = EventId::last(headers)?;
        if let Some(last) = last.filter(|last| last.whose == Whose::Call) {
            return self.go_on(session, &last, actor);
        }
        let told = Told::new(self, actor.clone(), (Arc::clone(&session.watches), TaskWatch::default()));
        let mut open = Open { token: session.begin_stream(), session, told };
        let first = open.begin(last.as_ref());
        Ok(events(stream::unfold((open, Some(first)), |(mut open, first)| async move {
            let next = match first {
                Some(first) => Some(first),
                None => open.next().await,
            };
            next.map(|bytes| (bytes, (open, None)))
        })))
    }

    /// `subscriptions/listen`: a modern client's stream of notifications.
    pub(super) async fn subscribe(
        self: &Arc<Self>,
        subscription: Subscription,
        actor: Caller,
    ) -> Result<Response<Body>, Refusal> {
        let watches = Arc::new(Watches::default());
        let subscription = subscription.watching(&watches, &self.front, &actor).await?;
        let (owner, keys) = (Owner::of(&actor), self.front.door.keys());
        let (subscription, tasks) = subscription.following(&self.front.tasks, &owner, keys)?;
        let told = Told::new(self, actor, (watches, tasks));
        let listening = Listening { told, subscription, state: State::First };
        Ok(events(stream::unfold(listening, |mut listening| async move {
            listening.next().await.map(|bytes| (bytes, listening))
        })))
    }

    /// `DELETE`: ends the session.
    pub(super) fn end(
        &self,
        headers: &HeaderMap,
        actor: &Caller,
        trail: &mut Trail,
    ) -> Result<Response<Body>, Refusal> {
        let session = self.named_session(headers, actor, trail)?;
        self.sessions.end(&session);
        Ok(bare(StatusCode::NO_CONTENT))
    }

    fn named_session(
        &self,
        headers: &HeaderMap,
        actor: &Caller,
        trail: &mut Trail,
    ) -> Result<Arc<Session>, Refusal> {
        let head = guard::request_head(headers)?;
        let modern = head.protocol_version.is_some_and(is_modern);
        let Some(id) = head.session.filter(|_| !modern) else {
            return Err(Refusal::invalid_request(
                StatusCode::METHOD_NOT_ALLOWED,
                "only a session has this: without one, use POST",
            ));
        };
        let named = Revision::of_header(head.protocol_version)?;
        let session = self.sealed(|sealing| self.sessions.find(id, actor, self.now(), sealing))?;
        trail.session = Some(session.id.clone());
        trail.client.clone_from(&session.client);
        session.revision.agrees_with(named)?;
        Ok(session)
    }
}

/// A response that is a stream of events.
pub(super) fn events(events: impl futures_util::Stream<Item = Bytes> + Send + 'static) -> Response<Body> {
    let mut response = with_type(StatusCode::OK, "text/event-stream", Body::Events(Box::pin(events)));
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(&BUFFERING, HeaderValue::from_static("no"));
    response
}

/// `response` as a stream of one event, if it is a message.
pub(super) fn in_event(response: Response<Body>) -> Response<Body> {
    let is_json = response.headers().get(CONTENT_TYPE).is_some_and(|value| value == "application/json");
    if response.status() != StatusCode::OK || !is_json {
        return response;
    }
    let mut response = response.map(|body| match body {
        Body::Message(pieces) => {
            let message = pieces.as_slice().concat();
            Body::message(Pieces([body::event(&message), Bytes::new(), Bytes::new()]))
        }
        events @ Body::Events(_) => events,
    });
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

/// The client cannot be told of anything.
pub(super) fn no_events() -> Refusal {
    Refusal::invalid_request(
        StatusCode::NOT_ACCEPTABLE,
        "notifications are events: send `Accept: text/event-stream`",
    )
}

/// What there is to tell somebody.
struct Told<D: Door> {
    endpoint: Arc<Endpoint<D>>,
    changes: Changes,
    watches: Arc<Watches>,
    tasks: TaskWatch,
    actor: Caller,
}

enum Tiding {
    Changed(Vec<Topic>),
    Updated(String),
    Task(Arc<Task>),
    Nothing,
    Draining,
}

impl<D: Door> Told<D> {
    fn new(endpoint: &Arc<Endpoint<D>>, actor: Caller, (watches, tasks): (Arc<Watches>, TaskWatch)) -> Self {
        let door = &endpoint.front.door;
        let changes = Changes::of(door.changes(), || Seen::by(&**door, &actor));
        Self { endpoint: endpoint.clone(), changes, watches, tasks, actor }
    }

    /// Waits until there is something to tell, or time to show that we are there.
    async fn next(&mut self) -> Tiding {
        let Self { endpoint, changes, watches, tasks, actor } = self;
        tokio::select! {
            biased;
            () = endpoint.lifecycle.draining.cancelled() => Tiding::Draining,
            topics = changes.next(|| Seen::by(&*endpoint.front.door, actor)) => Tiding::Changed(topics),
            uri = watches.next(&*endpoint.front.door, actor) => Tiding::Updated(uri),
            task = tasks.next() => Tiding::Task(task),
            () = sleep(endpoint.settings.keep_alive) => Tiding::Nothing,
        }
    }
}

/// Messages as events, one behind the other.
fn as_events(messages: impl Iterator<Item = String>) -> Bytes {
    messages.map(|message| body::event(message.as_bytes())).collect::<Vec<_>>().concat().into()
}

/// A session's stream of notifications that is open.
struct Open<D: Door> {
    session: Arc<Session>,
    token: CancellationToken,
    told: Told<D>,
}

impl<D: Door> Open<D> {
    /// What the stream begins with, for a client that had it up to `last`.
    fn begin(&mut self, last: Option<&EventId<'_>>) -> Bytes {
        let Self { session, told, .. } = self;
        let (number, place) = session.own_stream.place(|| told.endpoint.next_stream());
        let process = told.endpoint.process.as_str();
        let known = last.filter(|last| last.process == process);
        let missed = known
            .and_then(|last| session.own_stream.take_up(last.stream, last.place, &told.actor.authority()));
        let is_primed = session.revision.is_primed();
        let from = known.filter(|_| missed.is_some()).map_or(place, |last| last.place);
        let id = EventId { process, whose: Whose::Session, stream: number, place: from };
        let opening = if is_primed { priming(&id, RETRY) } else { body::keep_alive() };
        let may_have_missed = session.may_have_missed();
        let said = match missed {
            Some(Missed { told: missed, changes }) => {
                told.changes = changes;
                missed.iter().flat_map(|(place, message)| self.event(*place, message)).collect()
            }
            // Whoever may have missed something is told that all may have changed.
            None if may_have_missed => self.say(Topic::ALL.into_iter().map(list_changed)),
            None => Bytes::new(),
        };
        if said.is_empty() || is_primed { [opening, said].concat().into() } else { said }
    }

    /// Messages as events, each with the id by which its client comes back.
    fn say(&self, messages: impl Iterator<Item = String>) -> Bytes {
        messages.flat_map(|message| self.event(self.session.own_stream.tell(&message), &message)).collect()
    }

    fn event(&self, place: u64, message: &str) -> Bytes {
        if !self.session.revision.has_resumable_streams() {
            return body::event(message.as_bytes());
        }
        let endpoint = &self.told.endpoint;
        let (stream, _) = self.session.own_stream.place(|| endpoint.next_stream());
        let id = EventId { process: endpoint.process.as_str(), whose: Whose::Session, stream, place };
        body::event_with_id(&id.to_string(), message.as_bytes())
    }

    async fn next(&mut self) -> Option<Bytes> {
        let tiding = tokio::select! {
            biased;
            () = self.token.cancelled() => return None,
            tiding = self.told.next() => tiding,
        };
        match tiding {
            Tiding::Changed(topics) => Some(self.say(topics.into_iter().map(list_changed))),
            Tiding::Updated(uri) => Some(self.say(std::iter::once(updated(&uri)))),
            Tiding::Task(_) | Tiding::Nothing => Some(body::keep_alive()),
            Tiding::Draining => None,
        }
    }
}

/// A subscription that is open.
struct Listening<D: Door> {
    told: Told<D>,
    subscription: Subscription,
    state: State,
}

#[derive(PartialEq, Eq)]
enum State {
    First,
    Open,
    Ended,
}

impl<D: Door> Listening<D> {
    /// Ends the subscription, because its client would not understand what is to be told.
    async fn refuse(&mut self, refusal: &Refusal) -> String {
        self.state = State::Ended;
        let (id, actor) = (self.subscription.id.clone(), Arc::clone(&self.told.actor.actor));
        let answer = refusal.to_json(Some(&id));
        let trail =
            Trail { actor: Some(actor), method: Some(LISTEN.to_owned()), id: Some(id), ..Trail::default() };
        self.told.endpoint.front.record(refusal, trail).await;
        answer
    }

    async fn next(&mut self) -> Option<Bytes> {
        match self.state {
            State::First => {
                self.state = State::Open;
                return Some(body::event(self.subscription.acknowledgement().as_bytes()));
            }
            State::Open => {}
            State::Ended => return None,
        }
        loop {
            match self.told.next().await {
                Tiding::Changed(topics) => {
                    let subscription = &self.subscription;
                    let wanted = topics.into_iter().filter_map(|topic| subscription.notification(topic));
                    let events = as_events(wanted);
                    if !events.is_empty() {
                        return Some(events);
                    }
                }
                Tiding::Updated(uri) => {
                    if let Some(update) = self.subscription.update(&uri) {
                        return Some(body::event(update.as_bytes()));
                    }
                }
                Tiding::Task(task) => {
                    let message = match self.subscription.task(&task) {
                        Ok(message) => message,
                        Err(refusal) => self.refuse(&refusal).await,
                    };
                    return Some(body::event(message.as_bytes()));
                }
                Tiding::Nothing => return Some(body::keep_alive()),
                Tiding::Draining => {
                    self.state = State::Ended;
                    return Some(body::event(self.subscription.end().as_bytes()));
                }
            }
        }
    }
}

impl<D: Door> Drop for Open<D> {
    fn drop(&mut self) {
        let now = self.told.endpoint.now();
        // Where another has taken over, or the session has ended, nobody comes back to this one.
        if !self.token.is_cancelled() {
            let changes = std::mem::replace(&mut self.told.changes, Changes::none());
            self.session.own_stream.leave(changes, self.told.actor.authority(), now);
        }
        self.session.end_stream(&self.token, now);
    }
}
