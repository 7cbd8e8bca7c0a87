//! What both transports do with a message.
//!
//! [`Front`] turns a request that is in order into an answer, a new session or
//! a call, and tells the door of those that are not. How messages come in and
//! answers go out is the transports' own.

use std::sync::Arc;

use http::StatusCode;
use quaymaster_core::meta::SERVER_INFO;
use quaymaster_core::rpc::{Message, RequestId};
use quaymaster_core::{Actor, CallRequest, Caller, InputAbilities, LogLevel, Raw, RawBuf, Reply, SessionId};
use serde_json::{Value, json};

use super::addressee::Addressee;
use super::allowance::Allowances;
use super::answer::{self, Abilities, Pieces};
use super::call::ToolCall;
use super::claims::{self, Claims, cleaned};
use super::content;
use super::counters::RefusalCounters;
use super::door::{Door, RequestRefusal, Shelf, Wire};
use super::era::{Detected, Era};
use super::lasting::{Haven, Lasting};
use super::modern;
use super::params::text;
use super::refusal::{Refusal, quoted};
use super::revision::Revision;
use super::running::Running;
use super::subscription::Subscription;
use super::suspended::{self, Resumption, Suspended};
use super::task::{Task, TaskMethod, TaskTable, check_declared};

/// The methods of the legacy era that we have.
const LEGACY_METHODS: [&str; 17] = [
    "initialize",
    "ping",
    "tools/list",
    "tools/call",
    "prompts/list",
    "prompts/get",
    "resources/list",
    "resources/templates/list",
    "resources/read",
    "resources/subscribe",
    "resources/unsubscribe",
    "completion/complete",
    "logging/setLevel",
    "tasks/get",
    "tasks/result",
    "tasks/list",
    "tasks/cancel",
];

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
        json!({SERVER_INFO: self.as_json()})
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
    Open { answer: Pieces, client: Option<Arc<str>>, revision: Revision, abilities: InputAbilities },
    /// Run this.
    Call(ToolCall),
    /// Go on with the call that asked for these answers.
    Resume(Resumption),
    /// Have the session's client hear of changes of a resource, or no more, and send the answer.
    Watch { uri: String, begins: bool, answer: Pieces },
    /// Show the session's client log messages from this level on, and send the answer.
    SetLevel { level: LogLevel, answer: Pieces },
    /// Send what comes of the task, when it is there.
    TaskResult(Arc<Task>),
    /// Tell of this until the client has enough.
    Listen(Subscription),
}

/// Who and what a refusal is about, as far as it is known.
#[derive(Clone, Debug, Default)]
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

    /// Whether the refusal is answered: a notification is not, not even a bad one
    /// (JSON-RPC 2.0, section 4.1).
    pub(super) fn wants_answer(&self) -> bool {
        self.id.is_some() || !self.method.as_deref().is_some_and(is_notification)
    }
}

/// Where a call came in.
pub(super) struct Origin {
    pub(super) actor: Caller,
    pub(super) session: Option<SessionId>,
    pub(super) claims: Claims,
}

/// One way in to a door.
pub(super) struct Front<D> {
    pub(super) door: Arc<D>,
    pub(super) identity: ServerIdentity,
    pub(super) counters: Arc<RefusalCounters>,
    pub(super) haven: Haven,
    /// The calls that wait for what their clients were asked.
    pub(super) suspended: Suspended<Running>,
    pub(super) tasks: Arc<TaskTable>,
    pub(super) allowances: Allowances,
}

impl<D: Door> Front<D> {
    /// A way in to `door`, in the current runtime.
    pub(super) fn new(door: Arc<D>, identity: ServerIdentity, counters: Arc<RefusalCounters>) -> Self {
        let (haven, suspended, tasks) = (Haven::new(), Suspended::default(), Arc::default());
        Self { door, identity, counters, haven, suspended, tasks, allowances: Allowances::default() }
    }

    /// Says what is to be done about a request of `actor` whose era, version and
    /// headers are in order. A legacy one is made in a session of `revision`.
    pub(super) fn plan(
        &self,
        asked: &Asked<'_>,
        revision: Option<Revision>,
        actor: &Caller,
    ) -> Result<Plan, Refusal> {
        let Asked { id, method, detected } = *asked;
        let era = detected.era;
        if let Some(kind) = ToolCall::kind(method) {
            let mut call = ToolCall::read(kind, &detected.params)?;
            return match (Resumption::read(&detected.params)?, era) {
                ((None, _), Era::Legacy) => Ok(Plan::Call(call)),
                // Sessions are asked by requests of ours, so they have no state to give back.
                ((Some(_), _), Era::Legacy) => Err(suspended::unknown()),
                ((None, answers), Era::Modern) => {
                    call.answers = answers;
                    Ok(Plan::Call(call))
                }
                ((Some(state), answers), Era::Modern) => {
                    let none = || RawBuf::read("{}").map_err(|_| Refusal::internal());
                    let answers = answers.map_or_else(none, Ok)?;
                    Ok(Plan::Resume(Resumption { call, state, answers }))
                }
            };
        }
        let has_tasks = era == Era::Modern || revision.is_some_and(Revision::has_tasks);
        if let Some(method) = TaskMethod::named(era, method).filter(|_| has_tasks) {
            return self.about_task(method, asked, actor);
        }
        if let Some(shelf) = shelf(method) {
            return self.list(asked, actor, shelf);
        }
        match (era, method) {
            (Era::Modern, "server/discover") => {
                Ok(Plan::Answer(answer::discover(id, &self.identity, self.abilities(actor))))
            }
            (Era::Modern, "subscriptions/listen") => {
                let abilities = InputAbilities::read(detected.meta.client_capabilities);
                let subscription = Subscription::read(id, &detected.params)?.able_to(abilities);
                if subscription.is_of_tasks() {
                    check_declared(abilities)?;
                }
                Ok(Plan::Listen(subscription))
            }
            (Era::Legacy, "initialize") => self.open(asked, actor),
            (Era::Legacy, "ping") => Ok(Plan::Answer(answer::plain(id, "{}"))),
            (Era::Legacy, "resources/subscribe" | "resources/unsubscribe") => {
                let uri = text(detected.params.uri)
                    .ok_or_else(|| Refusal::invalid_params("`params.uri` must be a string"))?
                    .into_owned();
                let begins = method == "resources/subscribe";
                Ok(Plan::Watch { uri, begins, answer: answer::plain(id, "{}") })
            }
            (Era::Legacy, "logging/setLevel") => {
                let level = log_level(detected.params.level)?.ok_or_else(no_level)?;
                Ok(Plan::SetLevel { level, answer: answer::plain(id, "{}") })
            }
            (Era::Legacy, _) => {
                let known =
                    LEGACY_METHODS.into_iter().filter(|name| has_tasks || !name.starts_with("tasks/"));
                Err(Refusal::method_not_found(StatusCode::OK, method, &known.collect::<Vec<_>>()))
            }
            (Era::Modern, _) => {
                Err(Refusal::method_not_found(StatusCode::NOT_FOUND, method, &modern::METHODS))
            }
        }
    }

    fn open(&self, asked: &Asked<'_>, actor: &Caller) -> Result<Plan, Refusal> {
        let params = &asked.detected.params;
        let requested = text(params.protocol_version)
            .ok_or_else(|| Refusal::invalid_params("`params.protocolVersion` must be a string"))?;
        let revision = Revision::negotiated(&requested);
        let answer = answer::initialize(asked.id, revision.as_str(), &self.identity, self.abilities(actor));
        let client = claims::implementation(params.client_info).map(Arc::from);
        let abilities = revision.within(InputAbilities::read(params.capabilities));
        Ok(Plan::Open { answer, client, revision, abilities })
    }

    /// What there is for `actor` beside tools.
    fn abilities(&self, actor: &Caller) -> Abilities {
        let some = |shelf| &*self.door.list(actor, shelf) != "[]";
        Abilities {
            prompts: some(Shelf::Prompts),
            resources: some(Shelf::Resources) || some(Shelf::ResourceTemplates),
            completions: self.door.completes(actor),
            tasks: self.door.takes_tasks(actor, None),
        }
    }

    /// The call that `origin` asks for.
    pub(super) fn request(&self, call: ToolCall, origin: Origin) -> CallRequest {
        CallRequest {
            id: self.door.call_id(),
            received: self.door.clock().now(),
            actor: origin.actor.actor,
            reach: origin.actor.reach,
            session: origin.session,
            agent: origin.claims.agent,
            sampled: origin.claims.trace.as_ref().is_some_and(|trace| trace.sampled),
            trace_id: origin.claims.trace.map(|trace| trace.id),
            correlation_id: origin.claims.correlation_id,
            idempotency_key: origin.claims.idempotency_key,
            kind: call.kind,
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
    pub(super) fn answered(&self, to: &Addressee, reply: Option<Reply>) -> (StatusCode, Pieces) {
        let Addressee { id, era, revision, kind, .. } = to;
        let answer = reply.and_then(|reply| {
            let error = answer::call_error(to, &reply);
            error.or_else(|| {
                let result = match revision {
                    Some(revision) => content::within(*revision, *kind, reply.result),
                    None => reply.result,
                };
                Some((StatusCode::OK, answer::call_result(id, *era, *kind, result)?))
            })
        });
        answer.unwrap_or_else(|| {
            tracing::error!("a call came to no reply that could be sent");
            let refusal = Refusal::internal();
            self.counters.add(refusal.recorded);
            (StatusCode::OK, Pieces::whole(refusal.to_json(Some(id))))
        })
    }

    /// Counts a refusal and tells the door of it, even if the client has gone.
    pub(super) async fn record(&self, refusal: &Refusal, trail: Trail) {
        self.counters.add(refusal.recorded);
        if refusal.is_noted {
            return;
        }
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

/// The level that a client names, if it names one.
pub(super) fn log_level(raw: Option<Raw<'_>>) -> Result<Option<LogLevel>, Refusal> {
    let Some(raw) = raw else { return Ok(None) };
    raw.text().and_then(|name| LogLevel::named(&name)).map(Some).ok_or_else(no_level)
}

fn no_level() -> Refusal {
    Refusal::invalid_params(
        "the level must be one of debug, info, notice, warning, error, critical, alert and emergency",
    )
}

/// The list that `method` asks for, if it is one that asks for a list.
fn shelf(method: &str) -> Option<Shelf> {
    match method {
        "tools/list" => Some(Shelf::Tools),
        "prompts/list" => Some(Shelf::Prompts),
        "resources/list" => Some(Shelf::Resources),
        "resources/templates/list" => Some(Shelf::ResourceTemplates),
        _ => None,
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
fn is_notification(method: &str) -> bool {
    method.starts_with("notifications/")
}
