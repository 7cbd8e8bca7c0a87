//! What both transports do with a message.
//!
//! [`Front`] turns a request that is in order into an answer, a new session or
//! a call, and tells the door of those that are not. How messages come in and
//! answers go out is the transports' own.

use std::sync::Arc;

use http::StatusCode;
use quaymaster_core::rpc::{Message, RequestId};
use quaymaster_core::{Actor, CallRequest, Reply, SessionId};
use serde_json::{Value, json};

use super::answer::{self, Pieces};
use super::call::ToolCall;
use super::claims::{self, Claims, cleaned};
use super::counters::RefusalCounters;
use super::door::{Door, RequestRefusal, Wire};
use super::era::{Detected, Era, LEGACY};
use super::lasting::{Haven, Lasting};
use super::modern;
use super::params::text;
use super::refusal::{Refusal, quoted};

/// The methods of the legacy era that we have.
const LEGACY_METHODS: [&str; 4] = ["initialize", "ping", "tools/list", "tools/call"];

/// What this server calls itself.
#[derive(Clone, Debug)]
pub struct ServerIdentity {
    /// The name for programs.
    pub name: Arc<str>,
    /// The name for people.
    pub title: Arc<str>,
    /// The version of the software.
    pub version: Arc<str>,
    /// What a model should know before it uses the tools.
    pub instructions: Option<Arc<str>>,
}

impl ServerIdentity {
    /// The identity as an `Implementation` object.
    pub(super) fn as_json(&self) -> Value {
        json!({"name": &*self.name, "title": &*self.title, "version": &*self.version})
    }

    /// The `_meta` by which a result says whose it is.
    pub(super) fn as_meta(&self) -> Value {
        json!({"io.modelcontextprotocol/serverInfo": self.as_json()})
    }
}

impl Default for ServerIdentity {
    fn default() -> Self {
        Self {
            name: "quaymaster".into(),
            title: "Quaymaster".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            instructions: None,
        }
    }
}

/// A request, read as far as both transports need it.
pub(super) struct Asked<'a> {
    pub(super) id: &'a RequestId,
    pub(super) method: &'a str,
    pub(super) detected: &'a Detected<'a>,
}

/// What is to be done about a request.
#[derive(Debug)]
pub(super) enum Plan {
    /// Send this.
    Answer(Pieces),
    /// Open a session of the client that calls itself so, and send the answer.
    Open { answer: Pieces, client: Option<Arc<str>> },
    /// Run this.
    Call(ToolCall),
}

/// Who and what a refusal is about, as far as it is known.
#[derive(Debug, Default)]
pub(super) struct Trail {
    pub(super) actor: Option<Arc<Actor>>,
    pub(super) session: Option<SessionId>,
    pub(super) client: Option<Arc<str>>,
    pub(super) method: Option<String>,
    pub(super) id: Option<RequestId>,
}

impl Trail {
    /// Notes which message is refused.
    pub(super) fn name(&mut self, message: &Message<'_>) {
        match message {
            Message::Request { id, method, .. } => {
                self.id = Some(id.clone());
                self.method = cleaned(method);
            }
            Message::Notification { method, .. } => self.method = cleaned(method),
            Message::Response { .. } => {}
        }
    }
}

/// Where a call came in.
pub(super) struct Origin {
    pub(super) actor: Arc<Actor>,
    pub(super) session: Option<SessionId>,
    pub(super) claims: Claims,
}

/// One way in to a door.
pub(super) struct Front<D> {
    pub(super) door: Arc<D>,
    pub(super) identity: ServerIdentity,
    pub(super) counters: Arc<RefusalCounters>,
    pub(super) haven: Haven,
}

impl<D: Door> Front<D> {
    /// A way in to `door`, in the current runtime.
    pub(super) fn new(door: Arc<D>, identity: ServerIdentity, counters: Arc<RefusalCounters>) -> Self {
        Self { door, identity, counters, haven: Haven::new() }
    }

    /// Says what is to be done about a request of `actor` whose era, version and
    /// headers are in order.
    pub(super) fn plan(&self, asked: &Asked<'_>, actor: &Actor) -> Result<Plan, Refusal> {
        let Asked { id, method, detected } = *asked;
        match (detected.era, method) {
            (_, "tools/call") => ToolCall::read(&detected.params).map(Plan::Call),
            (_, "tools/list") if detected.params.cursor.is_some_and(|c| c.get() != "null") => {
                Err(Refusal::invalid_params("unknown `cursor`: the list of tools has one page"))
            }
            (era, "tools/list") => {
                Ok(Plan::Answer(answer::tools(id, era, &self.identity, self.door.tools(actor))))
            }
            (Era::Modern, "server/discover") => Ok(Plan::Answer(answer::discover(id, &self.identity))),
            (Era::Legacy, "initialize") => self.open(asked),
            (Era::Legacy, "ping") => Ok(Plan::Answer(answer::plain(id, "{}"))),
            (Era::Legacy, _) => Err(Refusal::method_not_found(StatusCode::OK, method, &LEGACY_METHODS)),
            (Era::Modern, _) => {
                Err(Refusal::method_not_found(StatusCode::NOT_FOUND, method, &modern::METHODS))
            }
        }
    }

    /// The version that the client asked for if we speak it, else our newest
    /// with sessions (MCP 2025-11-25, basic/lifecycle, version negotiation).
    fn open(&self, asked: &Asked<'_>) -> Result<Plan, Refusal> {
        let params = &asked.detected.params;
        let requested = text(params.protocol_version)
            .ok_or_else(|| Refusal::invalid_params("`params.protocolVersion` must be a string"))?;
        let [newest, ..] = LEGACY;
        let version = LEGACY.into_iter().find(|v| *v == requested).unwrap_or(newest);
        let answer = answer::initialize(asked.id, version, &self.identity);
        let client = claims::implementation(params.client_info).map(Arc::from);
        Ok(Plan::Open { answer, client })
    }

    /// The call that `origin` asks for.
    pub(super) fn request(&self, call: ToolCall, origin: Origin) -> CallRequest {
        CallRequest {
            id: self.door.call_id(),
            received: self.door.clock().now(),
            actor: origin.actor,
            session: origin.session,
            agent: origin.claims.agent,
            trace_id: origin.claims.trace_id,
            correlation_id: origin.claims.correlation_id,
            tool: call.tool,
            arguments: call.arguments,
        }
    }

    /// Runs a call to its end, and `after` it.
    pub(super) fn run(
        &self,
        request: CallRequest,
        wire: Wire,
        after: impl FnOnce(&D) + Send + 'static,
    ) -> Lasting<Reply> {
        let door = self.door.clone();
        self.haven.take(async move {
            // Also when the call panics, its id must become free again.
            let _after = After { door: door.clone(), run: Some(after) };
            door.call(request, wire).await
        })
    }

    /// The answer to a call; `None` is a reply that never came.
    pub(super) fn answered(&self, id: &RequestId, era: Era, reply: Option<Reply>) -> Pieces {
        reply.and_then(|reply| answer::call_result(id, era, reply.result)).unwrap_or_else(|| {
            tracing::error!("a call came to no reply that could be sent");
            let refusal = Refusal::internal();
            self.counters.add(refusal.recorded);
            Pieces::whole(refusal.to_json(Some(id)))
        })
    }

    /// Counts a refusal and tells the door of it, even if the client has gone.
    pub(super) async fn record(&self, refusal: &Refusal, trail: Trail) {
        self.counters.add(refusal.recorded);
        let note = RequestRefusal {
            actor: trail.actor,
            code: refusal.recorded,
            method: trail.method,
            client: trail.client.map(|client| client.to_string()),
            session: trail.session,
        };
        let door = self.door.clone();
        self.haven.take(async move { door.refused(note).await }).await;
    }
}

/// Runs something when it is dropped.
struct After<D, F: FnOnce(&D)> {
    door: Arc<D>,
    run: Option<F>,
}

impl<D, F: FnOnce(&D)> Drop for After<D, F> {
    fn drop(&mut self) {
        if let Some(run) = self.run.take() {
            run(&self.door);
        }
    }
}

/// Refuses a request without an id, which would pass for a notification and
/// never be answered. The notifications of every revision have a prefix.
pub(super) fn notified(method: &str) -> Result<(), Refusal> {
    if is_notification(method) {
        return Ok(());
    }
    let method = quoted(method);
    let message =
        format!("`id` is missing: `{method}` is a request, and notifications begin with `notifications/`");
    Err(Refusal::invalid_request(StatusCode::BAD_REQUEST, message))
}

/// Whether `method` is the name of a notification.
pub(super) fn is_notification(method: &str) -> bool {
    method.starts_with("notifications/")
}
