//! `POST`: one message of a client.
//!
//! A message is read, checked and planned without waiting for anything, but for the
//! records of a watch. Only a call waits for others: how it begins is in `calling`, how it is answered in
//! `waiting`.

use std::sync::Arc;

use http::header::USER_AGENT;
use http::request::Parts;
use http::{HeaderValue, Response, StatusCode};
use hyper::body::Incoming;
use quaymaster_core::rpc::{self, Message, RequestId};
use quaymaster_core::{Caller, Parted};

use super::batch::Answers;
use super::body::Body;
use super::endpoint::{Endpoint, bare, json};
use super::stream::{in_event, no_events};
use super::waiting::Waiting;
use super::{guard, reading};
use crate::ingress::claims::{self, Claims};
use crate::ingress::door::Door;
use crate::ingress::era::{self, Detected, Era, RequestHead, is_modern};
use crate::ingress::front::{Asked, Origin, Plan, Trail, notified};
use crate::ingress::modern;
use crate::ingress::refusal::Refusal;
use crate::ingress::revision::Revision;
use crate::ingress::session::{Opening, Session};

/// What a message comes to.
pub(super) enum Step<D: Door> {
    Done(Response<Body>),
    Wait(Box<Waiting<D>>),
    Batch(Answers<D>),
}

/// A message with what came with it.
pub(super) struct Arrived<'a> {
    pub(super) head: &'a Parts,
    pub(super) request_head: RequestHead<'a>,
    pub(super) actor: Caller,
    /// Whether the client takes events.
    pub(super) events: bool,
}

impl<D: Door> Endpoint<D> {
    /// Answers the message in `body`.
    pub(super) async fn post(
        self: &Arc<Self>,
        head: &Parts,
        body: &mut Option<Incoming>,
        actor: Caller,
        trail: &mut Trail,
    ) -> Result<Response<Body>, Refusal> {
        let accepts = guard::accepts(&head.headers);
        guard::check_post(&head.headers, accepts)?;
        let request_head = guard::request_head(&head.headers)?;
        let Some(body) = body.take() else { return Err(Refusal::internal()) };
        let bytes = reading::read(body, self.settings.max_body_bytes, self.settings.body_wait).await?;
        let in_session =
            request_head.session.is_some() && !request_head.protocol_version.is_some_and(is_modern);
        let arrived = Arrived { head, request_head, actor, events: accepts.events };
        let step = self.read(&arrived, &bytes, trail).await?;
        drop(bytes);
        let response = match step {
            Step::Done(response) => response,
            Step::Wait(waiting) => waiting.respond().await,
            Step::Batch(answers) => return Ok(answers.respond().await),
        };
        Ok(if accepts.events_first && in_session { in_event(response) } else { response })
    }

    async fn read(
        self: &Arc<Self>,
        arrived: &Arrived<'_>,
        bytes: &[u8],
        trail: &mut Trail,
    ) -> Result<Step<D>, Refusal> {
        if rpc::is_batch(bytes) {
            self.check_batch(arrived, trail)?;
        }
        let incoming = rpc::parse_any(bytes).map_err(|error| {
            trail.id.clone_from(&error.id);
            Refusal::from(&error)
        })?;
        let message = match incoming {
            rpc::Incoming::One(message) => message,
            rpc::Incoming::Batch(batch) => return Ok(Step::Batch(self.batch(arrived, batch, trail).await)),
        };
        let outcome = match era::detect(&arrived.request_head, &message) {
            Ok(detected) => self.message(arrived, &message, &detected, trail).await,
            Err(refusal) => Err(refusal),
        };
        if outcome.is_err() {
            trail.name(&message);
        }
        outcome
    }

    /// Does what one message wants.
    pub(super) async fn message(
        self: &Arc<Self>,
        arrived: &Arrived<'_>,
        message: &Message<'_>,
        detected: &Detected<'_>,
        trail: &mut Trail,
    ) -> Result<Step<D>, Refusal> {
        match (detected.era, message) {
            (_, Message::Request { id, method, .. }) => {
                let asked = Asked { id, method, detected };
                let outcome = self.request(arrived, &asked, trail).await;
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
            (Era::Legacy, Message::Response { id, outcome }) => {
                self.session(arrived, trail)?
                    .questions
                    .settle(id, outcome.as_ref().map(Parted::raw).map_err(|error| *error));
                Ok(Step::Done(bare(StatusCode::ACCEPTED)))
            }
        }
    }

    async fn request(
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
        let revision = session.as_ref().map(|session| session.revision);
        match self.front.plan(asked, revision, &arrived.actor)? {
            Plan::Watch { uri, begins, answer } => {
                match &session {
                    Some(session) if begins => {
                        let origin = Origin {
                            actor: arrived.actor.clone(),
                            session: Some(session.id.clone()),
                            claims: Claims::default(),
                        };
                        Box::pin(session.watches.add(&self.front, origin, &uri)).await?;
                    }
                    Some(session) => session.watches.remove(&uri),
                    None => {}
                }
                Ok(Step::Done(json(StatusCode::OK, answer)))
            }
            Plan::SetLevel { level, answer } => {
                if let Some(session) = &session {
                    session.set_log_level(level);
                }
                Ok(Step::Done(json(StatusCode::OK, answer)))
            }
            Plan::Answer(pieces) => Ok(Step::Done(json(StatusCode::OK, pieces))),
            Plan::Call(call) => {
                self.check_mirrors(arrived, asked, &call)?;
                self.front.door.check_scopes(
                    &arrived.actor,
                    call.kind,
                    &call.tool,
                    call.arguments.value(),
                )?;
                let wish = self.front.wish(&call, revision, &arrived.actor)?;
                match (wish, session.as_deref()) {
                    (Some(wish), Some(session)) => {
                        self.call_as_task(arrived, asked, session, (call, wish)).map(Step::Done)
                    }
                    _ => {
                        let waiting = self.call(arrived, asked, session, call)?;
                        Ok(Step::Wait(Box::new(waiting)))
                    }
                }
            }
            Plan::TaskResult(task) => {
                let session = session.ok_or_else(Refusal::internal)?;
                self.await_task(arrived, asked, session, task).map(|waiting| Step::Wait(Box::new(waiting)))
            }
            Plan::Resume(resumption) => {
                self.resume(arrived, asked, resumption).map(|waiting| Step::Wait(Box::new(waiting)))
            }
            Plan::Listen(subscription) if arrived.events => {
                Box::pin(self.subscribe(subscription, arrived.actor.clone())).await.map(Step::Done)
            }
            Plan::Listen(_) => Err(no_events()),
            Plan::Open { answer, client, revision, abilities } => {
                let agent = || claims::user_agent(arrived.head.headers.get(USER_AGENT)).map(Arc::from);
                let opening = Opening { client: client.or_else(agent), revision, abilities };
                let session = self.sealed(|sealing| Session::new(&arrived.actor, opening, sealing))?;
                let session = self.sessions.open(session, self.now())?;
                let mut response = json(StatusCode::OK, answer);
                let value = HeaderValue::from_str(&session.handle).map_err(|_| Refusal::internal())?;
                response.headers_mut().insert(&guard::SESSION, value);
                Ok(Step::Done(response))
            }
        }
    }

    /// The session that a legacy message belongs to.
    pub(super) fn session(&self, arrived: &Arrived<'_>, trail: &mut Trail) -> Result<Arc<Session>, Refusal> {
        let head = &arrived.request_head;
        let named = Revision::of_header(head.protocol_version)?;
        let id = head.session.ok_or_else(|| {
            Refusal::invalid_request(
                StatusCode::BAD_REQUEST,
                "`Mcp-Session-Id` is missing: send `initialize` first, or a request of 2026-07-28 with its `_meta`",
            )
        })?;
        let session = self.sealed(|sealing| self.sessions.find(id, &arrived.actor, self.now(), sealing))?;
        trail.session = Some(session.id.clone());
        trail.client.clone_from(&session.client);
        session.revision.agrees_with(named)?;
        Ok(session)
    }
}
