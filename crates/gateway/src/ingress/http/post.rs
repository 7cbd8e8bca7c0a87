//! `POST`: one message of a client.
//!
//! A message is read, checked and planned without waiting for anything. Only a
//! call waits: it is answered with JSON if its result comes before any report of
//! progress, and with a stream of events otherwise.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream;
use http::header::USER_AGENT;
use http::request::Parts;
use http::{HeaderValue, Response, StatusCode};
use hyper::body::Incoming;
use quaymaster_core::rpc::{self, Message, RequestId};
use quaymaster_core::{Actor, ProgressSink, Reply};
use tokio::time::sleep;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::body::{self, Body};
use super::endpoint::{Endpoint, bare, json};
use super::stream::events;
use super::{guard, reading};
use crate::ingress::call::ToolCall;
use crate::ingress::claims;
use crate::ingress::door::{Door, Wire};
use crate::ingress::era::{self, Detected, Era, LEGACY, RequestHead};
use crate::ingress::front::{Asked, Origin, Plan, Trail, notified};
use crate::ingress::lasting::Lasting;
use crate::ingress::modern;
use crate::ingress::progress::{ProgressQueue, ProgressToken};
use crate::ingress::refusal::Refusal;
use crate::ingress::session::Session;

/// The header of W3C Trace Context.
const TRACEPARENT: &str = "traceparent";

/// What a message comes to.
#[expect(clippy::large_enum_variant, reason = "a response is moved once, which costs less than a box")]
enum Step<D: Door> {
    Done(Response<Body>),
    Wait(Box<Waiting<D>>),
}

/// A message with what came with it.
struct Arrived<'a> {
    head: &'a Parts,
    request_head: RequestHead<'a>,
    actor: Arc<Actor>,
    /// Whether the client takes events.
    events: bool,
}

impl<D: Door> Endpoint<D> {
    /// Answers the message in `body`.
    pub(super) async fn post(
        self: &Arc<Self>,
        head: &Parts,
        body: &mut Option<Incoming>,
        actor: Arc<Actor>,
        trail: &mut Trail,
    ) -> Result<Response<Body>, Refusal> {
        let accepts = guard::accepts(&head.headers);
        guard::check_post(&head.headers, accepts)?;
        let request_head = guard::request_head(&head.headers)?;
        let Some(body) = body.take() else { return Err(Refusal::internal()) };
        let bytes = reading::read(body, self.settings.max_body_bytes, self.settings.body_wait).await?;
        let arrived = Arrived { head, request_head, actor, events: accepts.events };
        let step = self.read(&arrived, &bytes, trail)?;
        drop(bytes);
        match step {
            Step::Done(response) => Ok(response),
            Step::Wait(waiting) => Ok(waiting.respond().await),
        }
    }

    fn read(
        self: &Arc<Self>,
        arrived: &Arrived<'_>,
        bytes: &[u8],
        trail: &mut Trail,
    ) -> Result<Step<D>, Refusal> {
        let message = rpc::parse(bytes).map_err(|error| {
            trail.id.clone_from(&error.id);
            Refusal::from(&error)
        })?;
        let outcome = era::detect(&arrived.request_head, &message)
            .and_then(|detected| self.message(arrived, &message, &detected, trail));
        if outcome.is_err() {
            trail.name(&message);
        }
        outcome
    }

    fn message(
        self: &Arc<Self>,
        arrived: &Arrived<'_>,
        message: &Message<'_>,
        detected: &Detected<'_>,
        trail: &mut Trail,
    ) -> Result<Step<D>, Refusal> {
        match (detected.era, message) {
            (_, Message::Request { id, method, .. }) => {
                let asked = Asked { id, method, detected };
                let outcome = self.request(arrived, &asked, trail);
                if outcome.is_err() && trail.client.is_none() {
                    trail.client = claims::implementation(detected.meta.client_info).map(Arc::from);
                }
                outcome
            }
            (Era::Modern, Message::Notification { method, .. }) => {
                notified(method).map(|()| Step::Done(bare(StatusCode::ACCEPTED)))
            }
            (Era::Modern, Message::Response { .. }) => Err(Refusal::invalid_request(
                StatusCode::BAD_REQUEST,
                "this revision has no requests to clients, so there is nothing to respond to",
            )),
            (Era::Legacy, Message::Notification { method, .. }) => {
                notified(method)?;
                let session = self.session(arrived, trail)?;
                if method == "notifications/cancelled"
                    && let Some(id) = detected.params.request_id.and_then(|raw| RequestId::parse(raw).ok())
                {
                    session.calls.cancel(&id);
                }
                Ok(Step::Done(bare(StatusCode::ACCEPTED)))
            }
            (Era::Legacy, Message::Response { .. }) => {
                self.session(arrived, trail)?;
                Ok(Step::Done(bare(StatusCode::ACCEPTED)))
            }
        }
    }

    fn request(
        self: &Arc<Self>,
        arrived: &Arrived<'_>,
        asked: &Asked<'_>,
        trail: &mut Trail,
    ) -> Result<Step<D>, Refusal> {
        let session = match asked.detected.era {
            Era::Modern => {
                modern::check(Some(&arrived.request_head), asked.method, asked.detected)?;
                None
            }
            Era::Legacy if asked.method == "initialize" => None,
            Era::Legacy => Some(self.session(arrived, trail)?),
        };
        match self.front.plan(asked, &arrived.actor)? {
            Plan::Answer(pieces) => Ok(Step::Done(json(StatusCode::OK, pieces))),
            Plan::Call(call) => {
                self.call(arrived, asked, session, call).map(|waiting| Step::Wait(Box::new(waiting)))
            }
            Plan::Open { answer, client } => {
                let agent = || claims::user_agent(arrived.head.headers.get(USER_AGENT)).map(Arc::from);
                let id = self.front.door.session_id();
                let session =
                    Session::new(id.clone(), &arrived.actor, client.or_else(agent), &self.lifecycle.calls);
                self.sessions.open(session, self.now())?;
                let mut response = json(StatusCode::OK, answer);
                let value = HeaderValue::from_str(id.as_str()).map_err(|_| Refusal::internal())?;
                response.headers_mut().insert(&guard::SESSION, value);
                Ok(Step::Done(response))
            }
        }
    }

    /// The session that a legacy message belongs to.
    fn session(&self, arrived: &Arrived<'_>, trail: &mut Trail) -> Result<Arc<Session>, Refusal> {
        let head = &arrived.request_head;
        if let Some(version) = head.protocol_version.filter(|version| !LEGACY.contains(version)) {
            return Err(Refusal::unsupported_version(version));
        }
        let id = head.session.ok_or_else(|| {
            Refusal::invalid_request(
                StatusCode::BAD_REQUEST,
                "`Mcp-Session-Id` is missing: send `initialize` first, or a request of 2026-07-28 with its `_meta`",
            )
        })?;
        let session = self.sessions.find(id, &arrived.actor, self.now())?;
        trail.session = Some(session.id.clone());
        trail.client.clone_from(&session.client);
        Ok(session)
    }

    fn call(
        self: &Arc<Self>,
        arrived: &Arrived<'_>,
        asked: &Asked<'_>,
        session: Option<Arc<Session>>,
        call: ToolCall,
    ) -> Result<Waiting<D>, Refusal> {
        let Asked { id, detected, .. } = asked;
        let headers = &arrived.head.headers;
        let token = ProgressToken::read(&detected.meta)?.filter(|_| arrived.events);
        let progress = token.map(|token| (token, Arc::new(ProgressQueue::default())));
        let cancel = session.as_ref().map_or(&self.lifecycle.calls, |s| &s.ended).child_token();
        if let Some(session) = &session {
            session.calls.begin(id, &cancel)?;
        }
        let client = session.as_ref().map_or_else(
            || claims::user_agent(headers.get(USER_AGENT)),
            |session| session.client.as_deref().map(str::to_owned),
        );
        let traceparent = headers.get(TRACEPARENT).and_then(|value| value.to_str().ok());
        let origin = Origin {
            actor: arrived.actor.clone(),
            session: session.as_ref().map(|s| s.id.clone()),
            claims: claims::read(&detected.meta, client, traceparent),
        };
        let wire = Wire {
            cancel: cancel.clone(),
            progress: progress.as_ref().map(|(_, queue)| queue.clone() as Arc<dyn ProgressSink>),
        };
        let leaving = leaving(detected.era, cancel);
        let request_id = (*id).clone();
        let running = self.front.run(self.front.request(call, origin), wire, move |door: &D| {
            if let Some(session) = session {
                session.end_call(&request_id, door.clock().now());
            }
        });
        Ok(Waiting {
            endpoint: self.clone(),
            id: (*id).clone(),
            era: detected.era,
            running,
            progress,
            _leaving: leaving,
            ended: false,
        })
    }
}

/// A modern client takes its call back by closing the connection; a legacy one
/// may be back (MCP 2025-11-25, basic/transports, sending messages).
fn leaving(era: Era, cancel: CancellationToken) -> Option<DropGuard> {
    (era == Era::Modern).then(|| cancel.drop_guard())
}

/// A call whose client waits. Dropping it is the client's going away.
struct Waiting<D: Door> {
    endpoint: Arc<Endpoint<D>>,
    id: RequestId,
    era: Era,
    running: Lasting<Reply>,
    progress: Option<(ProgressToken, Arc<ProgressQueue>)>,
    _leaving: Option<DropGuard>,
    ended: bool,
}

impl<D: Door> Waiting<D> {
    async fn respond(mut self: Box<Self>) -> Response<Body> {
        let reply = match &self.progress {
            None => (&mut self.running).await,
            Some((_, queue)) => tokio::select! {
                biased;
                reply = &mut self.running => reply,
                () = queue.arrived() => return self.stream(),
            },
        };
        json(StatusCode::OK, self.endpoint.front.answered(&self.id, self.era, reply))
    }

    fn stream(self: Box<Self>) -> Response<Body> {
        events(stream::unfold(self, |mut waiting| async move {
            waiting.next().await.map(|bytes| (bytes, waiting))
        }))
    }

    async fn next(&mut self) -> Option<Bytes> {
        if self.ended {
            return None;
        }
        loop {
            if let Some((token, queue)) = &self.progress
                && let Some(progress) = queue.next()
            {
                return Some(body::event(token.notification(&progress).as_bytes()));
            }
            tokio::select! {
                biased;
                () = arrived(self.progress.as_ref()) => {}
                reply = &mut self.running => {
                    self.ended = true;
                    let pieces = self.endpoint.front.answered(&self.id, self.era, reply);
                    return Some(body::event(&pieces.one_line()));
                }
                () = sleep(self.endpoint.settings.keep_alive) => return Some(body::keep_alive()),
            }
        }
    }
}

async fn arrived(progress: Option<&(ProgressToken, Arc<ProgressQueue>)>) {
    match progress {
        Some((_, queue)) => queue.arrived().await,
        None => std::future::pending().await,
    }
}
