//! `POST`: one message of a client.
//!
//! A message is read, checked and planned without waiting for anything. Only a
//! call waits; how it is answered is in `waiting`.

use std::sync::Arc;

use http::header::USER_AGENT;
use http::request::Parts;
use http::{HeaderValue, Response, StatusCode};
use hyper::body::Incoming;
use quaymaster_core::rpc::{self, Message, RequestId};
use quaymaster_core::{Caller, InputAbilities, InputPort, Kind, LogLevel, LogSink, ProgressSink};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::body::Body;
use super::endpoint::{Endpoint, bare, json};
use super::stream::no_events;
use super::waiting::{Running, Waiting};
use super::{guard, reading};
use crate::ingress::call::ToolCall;
use crate::ingress::claims;
use crate::ingress::door::{Door, Mismatch, Wire};
use crate::ingress::era::{self, Detected, Era, LEGACY, RequestHead};
use crate::ingress::front::{Addressee, Asked, Origin, Plan, Trail, log_level, notified};
use crate::ingress::modern;
use crate::ingress::progress::{NoteQueue, ProgressToken};
use crate::ingress::question::QuestionQueue;
use crate::ingress::refusal::Refusal;
use crate::ingress::session::Session;
use crate::ingress::suspended::{Bound, Resumption};

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
    actor: Caller,
    /// Whether the client takes events.
    events: bool,
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
            (Era::Legacy, Message::Response { id, outcome }) => {
                self.session(arrived, trail)?.questions.settle(id, *outcome);
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
            Plan::Watch { uri, begins, answer } => {
                match &session {
                    Some(session) if begins => {
                        session.watches.add(&*self.front.door, &arrived.actor, &uri)?;
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
                self.call(arrived, asked, session, call).map(|waiting| Step::Wait(Box::new(waiting)))
            }
            Plan::Resume(resumption) => {
                self.resume(arrived, asked, resumption).map(|waiting| Step::Wait(Box::new(waiting)))
            }
            Plan::Listen(subscription) if arrived.events => {
                Ok(Step::Done(self.subscribe(subscription, arrived.actor.clone())))
            }
            Plan::Listen(_) => Err(no_events()),
            Plan::Open { answer, client, abilities } => {
                let agent = || claims::user_agent(arrived.head.headers.get(USER_AGENT)).map(Arc::from);
                let id = self.front.door.session_id();
                let session =
                    Session::new(id.clone(), &arrived.actor, client.or_else(agent), &self.lifecycle.calls);
                self.sessions.open(session.asking(abilities), self.now())?;
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
        let era = detected.era;
        let token = ProgressToken::read(&detected.meta)?.filter(|_| arrived.events);
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
        let abilities = match &session {
            // A session is asked on the stream of its request, so there must be one.
            Some(session) if arrived.events => session.abilities,
            Some(_) => InputAbilities::default(),
            None => InputAbilities::read(detected.meta.client_capabilities),
        };
        // Only who can be asked comes back with a state.
        let bound = (abilities != InputAbilities::default()).then(|| Bound::to(&arrived.actor, &call));
        let addressee = Addressee { id: (*id).clone(), era, kind: call.kind };
        let request = self.front.request(call, origin);
        let key = request.id.clone();
        let level = match &session {
            Some(session) => Some(session.log_level()),
            None => log_level(detected.meta.log_level)?,
        };
        let level = level.filter(|_| arrived.events);
        let notes = (token.is_some() || level.is_some())
            .then(|| Arc::new(NoteQueue::new(level.unwrap_or(LogLevel::Emergency))));
        let questions =
            (abilities != InputAbilities::default()).then(|| Arc::new(QuestionQueue::new(abilities)));
        let wire = Wire {
            cancel: cancel.clone(),
            progress: notes.clone().filter(|_| token.is_some()).map(|queue| queue as Arc<dyn ProgressSink>),
            log: notes.clone().filter(|_| level.is_some()).map(|queue| queue as Arc<dyn LogSink>),
            input: questions.clone().map(|queue| queue as Arc<dyn InputPort>),
        };
        let (held, request_id) = (session.clone(), (*id).clone());
        let running = self.front.run(request, wire, move |door: &D| {
            if let Some(session) = held {
                session.end_call(&request_id, door.clock().now());
            }
        });
        let call = Running { key, reply: running, notes, questions, _leaving: leaving(era, cancel) };
        Ok(Waiting::new(self.clone(), addressee, call, (token, session, bound)))
    }

    /// A modern client repeats some arguments in headers, which must say the same (MCP
    /// 2026-07-28, streamable HTTP, server validation).
    fn check_mirrors(
        &self,
        arrived: &Arrived<'_>,
        asked: &Asked<'_>,
        call: &ToolCall,
    ) -> Result<(), Refusal> {
        if asked.detected.era == Era::Legacy || call.kind != Kind::Tool {
            return Ok(());
        }
        let (headers, arguments) = (&arrived.head.headers, call.arguments.value());
        let checked = self.front.door.check_mirrors(&arrived.actor, &call.tool, headers, arguments);
        checked.map_err(|(header, mismatch)| {
            let what = match mismatch {
                Mismatch::Missing => "is missing, and its argument is there",
                Mismatch::Unexpected => "is there, and its argument is not",
                Mismatch::Unreadable => {
                    "must be there once, in ASCII or in Base64 between `=?base64?` and `?=`"
                }
                Mismatch::Different => "says something else than its argument",
            };
            Refusal::header_mismatch(format!("the header `{header}` {what}"))
        })
    }

    /// Goes on with a call that asked its client for something.
    fn resume(
        self: &Arc<Self>,
        arrived: &Arrived<'_>,
        asked: &Asked<'_>,
        resumption: Resumption,
    ) -> Result<Waiting<D>, Refusal> {
        let Resumption { call, state, answers } = resumption;
        let bound = Bound::to(&arrived.actor, &call);
        // Whatever can be wrong with the request is found before the state is used up.
        let token = ProgressToken::read(&asked.detected.meta)?.filter(|_| arrived.events);
        self.check_mirrors(arrived, asked, &call)?;
        let (running, question) = self.suspended.take(&bound, &state, self.front.door.keys())?;
        question.answer(answers);
        let addressee = Addressee { id: asked.id.clone(), era: asked.detected.era, kind: call.kind };
        Ok(Waiting::new(self.clone(), addressee, running, (token, None, Some(bound))))
    }
}

/// A modern client takes its call back by closing the connection; a legacy one
/// may be back (MCP 2025-11-25, basic/transports, sending messages).
fn leaving(era: Era, cancel: CancellationToken) -> Option<DropGuard> {
    (era == Era::Modern).then(|| cancel.drop_guard())
}
