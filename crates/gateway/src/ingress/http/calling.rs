//! How a call of a client begins over HTTP.
//!
//! What the client is told and asked meanwhile depends on its era and on whether it
//! takes events: a session on the stream of its request, a modern client in its
//! answer. Who holds a task waits for nothing.

use std::sync::Arc;

use http::header::USER_AGENT;
use http::{Response, StatusCode};
use quaymaster_core::{
    InputAbilities, InputPort, Kind, LogLevel, LogSink, ProgressSink, TaskPort, TaskTerms, Tasks,
};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::body::Body;
use super::endpoint::{Endpoint, json};
use super::post::Arrived;
use super::waiting::Waiting;
use crate::ingress::call::ToolCall;
use crate::ingress::claims;
use crate::ingress::door::{Door, Mismatch, Wire};
use crate::ingress::era::Era;
use crate::ingress::front::{Addressee, Asked, Origin, log_level};
use crate::ingress::progress::{NoteQueue, ProgressToken};
use crate::ingress::question::QuestionQueue;
use crate::ingress::refusal::Refusal;
use crate::ingress::running::Running;
use crate::ingress::session::Session;
use crate::ingress::suspended::{Bound, Resumption};
use crate::ingress::task::{Owner, Slip, Task, Wish, created, no_room};

/// The header of W3C Trace Context.
const TRACEPARENT: &str = "traceparent";

/// What a call has of its client: how it is taken back, told of and asked.
struct Ways {
    cancel: CancellationToken,
    token: Option<ProgressToken>,
    level: Option<LogLevel>,
    abilities: InputAbilities,
    slip: Option<Arc<Slip>>,
    tasks: Tasks,
}

impl<D: Door> Endpoint<D> {
    /// Begins a call for whose answer the client waits.
    pub(super) fn call(
        self: &Arc<Self>,
        arrived: &Arrived<'_>,
        asked: &Asked<'_>,
        session: Option<Arc<Session>>,
        call: ToolCall,
    ) -> Result<Waiting<D>, Refusal> {
        let era = asked.detected.era;
        let token = ProgressToken::read(&asked.detected.meta)?.filter(|_| arrived.events);
        let cancel = session.as_ref().map_or(&self.lifecycle.calls, |s| &s.ended).child_token();
        let abilities = match &session {
            // A session is asked on the stream of its request, so there must be one.
            Some(session) if arrived.events => session.abilities,
            Some(_) => InputAbilities::default(),
            None => InputAbilities::read(asked.detected.meta.client_capabilities),
        };
        let level = match &session {
            Some(session) => Some(session.log_level()),
            None => log_level(asked.detected.meta.log_level)?,
        };
        if let Some(session) = &session {
            session.calls.begin(asked.id, &cancel)?;
        }
        let slip = (abilities.tasks && era == Era::Modern && call.kind == Kind::Tool)
            .then(|| Slip::new(&self.front.tasks, Owner::of(&arrived.actor)));
        let tasks = match (&slip, era) {
            (Some(slip), _) => Tasks::Taken(Arc::clone(slip) as Arc<dyn TaskPort>),
            (None, Era::Modern) => Tasks::Declined,
            (None, Era::Legacy) => Tasks::Followed,
        };
        let level = level.filter(|_| arrived.events);
        // Only who can be asked comes back with a state.
        let bound = abilities.is_askable().then(|| Bound::to(&arrived.actor, &call));
        let addressee = Addressee { id: asked.id.clone(), era, kind: call.kind };
        let ways = Ways { cancel: cancel.clone(), token: token.clone(), level, abilities, slip, tasks };
        let (held, request_id) = (session.clone(), asked.id.clone());
        let after = move |door: &D| {
            if let Some(session) = held {
                session.end_call(&request_id, door.clock().now());
            }
        };
        let mut running = self.begin((arrived, asked), session.as_deref(), call, (ways, after));
        running.leaving = leaving(era, cancel);
        Ok(Waiting::new(self.clone(), addressee, running, (token, session, bound)))
    }

    /// Begins a call as a task, which a session holds from now on.
    pub(super) fn call_as_task(
        self: &Arc<Self>,
        arrived: &Arrived<'_>,
        asked: &Asked<'_>,
        session: Option<Arc<Session>>,
        (call, wish): (ToolCall, Wish),
    ) -> Result<Response<Body>, Refusal> {
        let (tasks, owner) = (&self.front.tasks, Owner::of(&arrived.actor));
        let token = ProgressToken::read(&asked.detected.meta)?;
        let place = tasks.reserve(&owner).ok_or_else(no_room)?;
        let slip = Slip::held(tasks, owner.clone());
        // A task outlives the session that began it.
        let cancel = self.lifecycle.calls.child_token();
        let ways = Ways {
            cancel: cancel.clone(),
            token: token.clone(),
            level: session.as_ref().map(|session| session.log_level()),
            abilities: session.as_ref().map(|session| session.abilities).unwrap_or_default(),
            tasks: Tasks::Taken(Arc::clone(&slip) as Arc<dyn TaskPort>),
            slip: Some(slip),
        };
        let running = self.begin((arrived, asked), session.as_deref(), call, (ways, |_: &D| {}));
        let terms = TaskTerms { ttl: wish.ttl, poll: None };
        let task = self.front.begin_task(running, terms, cancel, (owner, place))?;
        Ok(json(StatusCode::OK, created(asked.id, asked.detected.era, &task)))
    }

    /// Has a session's client wait for what comes of its task.
    pub(super) fn await_task(
        self: &Arc<Self>,
        arrived: &Arrived<'_>,
        asked: &Asked<'_>,
        session: Option<Arc<Session>>,
        task: Arc<Task>,
    ) -> Waiting<D> {
        let abilities = session.as_ref().map(|session| session.abilities).filter(|_| arrived.events);
        let abilities = abilities.filter(|abilities| abilities.is_askable());
        let questions = abilities.map(|abilities| Arc::new(QuestionQueue::new(abilities)));
        let addressee = Addressee { id: asked.id.clone(), era: asked.detected.era, kind: Kind::Tool };
        let running = Running {
            key: task.key().clone(),
            token: None,
            notes: task.notes().filter(|_| arrived.events),
            questions: questions.clone(),
            slip: None,
            cancel: CancellationToken::new(),
            leaving: None,
            reply: self.front.haven.take({
                let task = Arc::clone(&task);
                async move { task.outcome(questions).await }
            }),
        };
        Waiting::new(self.clone(), addressee, running, (task.token(), session, None))
    }

    /// Runs `call`, with `after` behind it.
    fn begin(
        &self,
        (arrived, asked): (&Arrived<'_>, &Asked<'_>),
        session: Option<&Session>,
        call: ToolCall,
        (ways, after): (Ways, impl FnOnce(&D) + Send + 'static),
    ) -> Running {
        let Ways { cancel, token, level, abilities, slip, tasks } = ways;
        let headers = &arrived.head.headers;
        let client = session.map_or_else(
            || claims::user_agent(headers.get(USER_AGENT)),
            |session| session.client.as_deref().map(str::to_owned),
        );
        let traceparent = headers.get(TRACEPARENT).and_then(|value| value.to_str().ok());
        let origin = Origin {
            actor: arrived.actor.clone(),
            session: session.map(|s| s.id.clone()),
            claims: claims::read(&asked.detected.meta, client, traceparent),
        };
        let request = self.front.request(call, origin);
        let key = request.id.clone();
        let notes = (token.is_some() || level.is_some())
            .then(|| Arc::new(NoteQueue::new(level.unwrap_or(LogLevel::Emergency))));
        let questions = abilities.is_askable().then(|| Arc::new(QuestionQueue::new(abilities)));
        let wire = Wire {
            cancel: cancel.clone(),
            progress: notes.clone().filter(|_| token.is_some()).map(|queue| queue as Arc<dyn ProgressSink>),
            log: notes.clone().filter(|_| level.is_some()).map(|queue| queue as Arc<dyn LogSink>),
            input: questions.clone().map(|queue| queue as Arc<dyn InputPort>),
            tasks,
        };
        let reply = self.front.run(request, wire, after);
        Running { key, reply, notes, token, questions, slip, cancel, leaving: None }
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
