//! How a call of a client begins over HTTP.
//!
//! What the client is told and asked meanwhile depends on its era and on whether it
//! takes events: a session on the stream of its request, a modern client in its
//! answer. Who holds a task waits for nothing.

use std::sync::Arc;

use http::header::USER_AGENT;
use http::{Response, StatusCode};
use quaymaster_core::rpc::RequestId;
use quaymaster_core::{CallRequest, InputAbilities, Kind, TaskTerms};

use super::body::Body;
use super::endpoint::{Endpoint, json};
use super::post::Arrived;
use super::waiting::Waiting;
use crate::ingress::addressee::Addressee;
use crate::ingress::call::ToolCall;
use crate::ingress::claims;
use crate::ingress::door::{Door, Mismatch};
use crate::ingress::era::Era;
use crate::ingress::front::{Asked, Origin, log_level};
use crate::ingress::progress::{ProgressToken, Wanted};
use crate::ingress::refusal::Refusal;
use crate::ingress::running::{Running, Speech};
use crate::ingress::session::Session;
use crate::ingress::suspended::{Bound, Resumption};
use crate::ingress::task::{Begun, Task, Waiter, Wish, created};

/// The header of W3C Trace Context.
const TRACEPARENT: &str = "traceparent";

/// The header in which Codex tells the turn, where it does not in `_meta`.
const TURN: &str = "x-codex-turn-metadata";

impl<D: Door> Endpoint<D> {
    /// Begins a call for whose answer the client waits.
    pub(super) fn call(
        self: &Arc<Self>,
        arrived: &Arrived<'_>,
        asked: &Asked<'_>,
        session: Option<Arc<Session>>,
        mut call: ToolCall,
    ) -> Result<Waiting<D>, Refusal> {
        let Asked { id, detected, .. } = asked;
        let era = detected.era;
        let token = ProgressToken::read(&detected.meta)?.filter(|_| arrived.events);
        let cancel = session.as_ref().map_or(&self.lifecycle.calls, |s| &s.ended).child_token();
        let abilities = match &session {
            // A session is asked on the stream of its request, so there must be one.
            Some(session) if arrived.events => session.abilities,
            Some(_) => InputAbilities::default(),
            None => InputAbilities::read(detected.meta.client_capabilities),
        };
        let level = match &session {
            Some(session) => Some(session.log_level()),
            None => log_level(detected.meta.log_level)?,
        };
        if let Some(session) = &session {
            session.calls.begin(id, &cancel)?;
        }
        let level = level.filter(|_| arrived.events);
        // Only who can be asked comes back with a state.
        let bound = abilities.is_askable().then(|| Bound::to(&arrived.actor, &call));
        let revision = session.as_ref().map(|session| session.revision);
        let addressee = Addressee::of(asked, revision, &call);
        let questions = self.front.questions(abilities, &arrived.actor, call.answers.take());
        let speech = Speech::new(era, Wanted { progress: token.is_some(), level }, questions);
        let offer = self.front.task_offer((era, call.kind), abilities, &arrived.actor);
        let speech = speech.offering(offer);
        let request = self.call_request(arrived, asked, session.as_deref(), call);
        let key = request.id.clone();
        let (held, request_id) = (session.clone(), (*id).clone());
        let running = self.front.run(request, speech.wire(&cancel), move |door: &D| {
            if let Some(session) = held {
                session.end_call(&request_id, door.clock().now());
            }
        });
        let call = Running::new(era, key, running, speech, cancel);
        let waiting = Waiting::new(self.clone(), addressee, call, (token.into(), session, bound));
        let is_resumable = arrived.events && revision.is_some();
        Ok(if is_resumable { waiting.of(arrived.actor.clone()) } else { waiting })
    }

    /// Begins a call as a task, which a session holds from now on.
    pub(super) fn call_as_task(
        self: &Arc<Self>,
        arrived: &Arrived<'_>,
        asked: &Asked<'_>,
        session: &Session,
        (call, wish): (ToolCall, Wish),
    ) -> Result<Response<Body>, Refusal> {
        let token = ProgressToken::read(&asked.detected.meta)?;
        let (place, offer) = self.front.task_place(&arrived.actor)?;
        // A task outlives the session that began it.
        let cancel = self.lifecycle.calls.child_token();
        let questions = self.front.questions(session.abilities, &arrived.actor, None);
        let wanted = Wanted { progress: token.is_some(), level: Some(session.log_level()) };
        let speech = Speech::new(Era::Legacy, wanted, questions).offering(offer);
        let request = self.call_request(arrived, asked, Some(session), call);
        let key = request.id.clone();
        let reply = self.front.run(request, speech.wire(&cancel), |_: &D| {});
        let running = Running::new(Era::Legacy, key, reply, speech, cancel);
        let terms = TaskTerms { ttl: wish.ttl, poll: None };
        let begun = Begun { session: Some(session.id.clone()), token };
        let task = self.front.begin_task(running, (terms, begun), place)?;
        Ok(json(StatusCode::OK, created(asked.id, Era::Legacy, &task)))
    }

    /// Has a session's client wait for what comes of its task.
    pub(super) fn await_task(
        self: &Arc<Self>,
        arrived: &Arrived<'_>,
        asked: &Asked<'_>,
        session: Arc<Session>,
        task: Arc<Task>,
    ) -> Result<Waiting<D>, Refusal> {
        let cancel = session.ended.child_token();
        session.calls.begin(asked.id, &cancel)?;
        let flight = Flight { endpoint: self.clone(), session: session.clone(), id: asked.id.clone() };
        // Without a stream there is nowhere to ask it, or to tell it anything.
        let (abilities, told) = if arrived.events {
            (session.abilities, Some(session.id.clone()))
        } else {
            (InputAbilities::default(), None)
        };
        let addressee = Addressee::of_task(asked, Some(session.revision));
        let waiter = Waiter { abilities, session: told, cancel };
        let (running, listener) = self.front.await_task(task, waiter, &arrived.actor, flight);
        let waiting = Waiting::new(self.clone(), addressee, running, (listener, Some(session), None));
        Ok(if arrived.events { waiting.at_length() } else { waiting })
    }

    fn call_request(
        &self,
        arrived: &Arrived<'_>,
        asked: &Asked<'_>,
        session: Option<&Session>,
        call: ToolCall,
    ) -> CallRequest {
        let headers = &arrived.head.headers;
        let client = session.map_or_else(
            || claims::user_agent(headers.get(USER_AGENT)),
            |session| session.client.as_deref().map(str::to_owned),
        );
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let aside = claims::Aside { traceparent: text(TRACEPARENT), turn: text(TURN) };
        let origin = Origin {
            actor: arrived.actor.clone(),
            session: session.map(|s| s.id.clone()),
            claims: claims::read(&asked.detected.meta, client, aside),
        };
        self.front.request(call, origin)
    }

    /// A modern client repeats some arguments in headers, which must say the same (MCP
    /// 2026-07-28, streamable HTTP, server validation).
    pub(super) fn check_mirrors(
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
    pub(super) fn resume(
        self: &Arc<Self>,
        arrived: &Arrived<'_>,
        asked: &Asked<'_>,
        resumption: Resumption,
    ) -> Result<Waiting<D>, Refusal> {
        let Resumption { call, state, answers } = resumption;
        let bound = Bound::to(&arrived.actor, &call);
        // Whatever can be wrong with the request is found before the state is used up.
        let meta = &asked.detected.meta;
        let token = ProgressToken::read(meta)?.filter(|_| arrived.events);
        let level = log_level(meta.log_level)?.filter(|_| arrived.events);
        self.check_mirrors(arrived, asked, &call)?;
        let wanted = Wanted { progress: token.is_some(), level };
        let abilities = InputAbilities::read(meta.client_capabilities);
        let (running, question) = self.front.resume(&bound, &state, (wanted, abilities))?;
        question.answer(answers);
        let addressee = Addressee::of(asked, None, &call);
        Ok(Waiting::new(self.clone(), addressee, running, (token.into(), None, Some(bound))))
    }
}

/// A wait for a task that is under way in a session, until this is dropped.
struct Flight<D: Door> {
    endpoint: Arc<Endpoint<D>>,
    session: Arc<Session>,
    id: RequestId,
}

impl<D: Door> Drop for Flight<D> {
    fn drop(&mut self) {
        self.session.end_call(&self.id, self.endpoint.now());
    }
}
