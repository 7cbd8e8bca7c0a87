//! A running gateway: one configuration at work, and the next one taking its place.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::Duration;

use arc_swap::ArcSwap;
use quaymaster_connectors::Wire;
use quaymaster_connectors::mcp::Watch;
use quaymaster_control::audit::{Durability, Event, Record};
use quaymaster_control::flow::Flow;
use quaymaster_control::limits::Limits;
use quaymaster_control::redaction::Redactor;
use quaymaster_control::{Evidence, Guards, Refused, RequestRefusal, close, close_request};
use quaymaster_core::{
    Actor, AgentClaims, Arguments, CallError, CallId, CallRequest, CallTool, CallerTokens, Reach, Reply,
};
use quaymaster_operations::metrics::CallMetrics;
use tokio::sync::watch as channel;
use tokio_util::sync::CancellationToken;
use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::admission::Admission;
use crate::approvals::Waiting;
use crate::assembly::{Drift, Fleet, rules_for};
use crate::call::call;
use crate::config::{Diagnostics, Loaded, SecretCheck, Settings, load};
use crate::finder::{self, Finding, Met};
use crate::ingress::{Occupancy, RefusalCounters};
use crate::integrity::{Offered, Standing, noted, tell};
use crate::parked::Patient;
use crate::people::{People, identity, local_user, no_local_user};
use crate::plane::Plane;
use crate::retire::Retired;
use crate::sinks::Sinks;
use crate::state::{StartError, StartOptions, State};
use crate::upstreams::{Expected, UpstreamReport};
use crate::watch::watch;
use crate::{reload, retention};

/// How long calls that run may take to end when the gateway stops.
const DRAIN: Duration = Duration::from_secs(20);

/// The configuration at work.
#[derive(Clone, Debug)]
pub(crate) struct AtWork {
    pub(crate) loaded: Arc<Loaded>,
    pub(crate) fleet: Fleet,
}

/// A running gateway.
#[derive(Debug)]
pub struct Gateway {
    pub(crate) state: State,
    plane: ArcSwap<Plane>,
    pub(crate) at_work: Mutex<AtWork>,
    /// One change at a time: a new configuration and new tools of an upstream do not overtake each other.
    pub(crate) changing: tokio::sync::Mutex<()>,
    changes: channel::Sender<u64>,
    pub(crate) admission: Admission,
    /// Those who wait for an agreement.
    pub(crate) waiting: Waiting,
    pub(crate) counters: Arc<RefusalCounters>,
    pub(crate) occupancy: Arc<Occupancy>,
    pub(crate) calls: Arc<CallMetrics>,
    /// How far those are that the audit log is passed on to.
    pub(crate) sinks: Sinks,
    pub(crate) requests: reload::Requests,
    pub(crate) followers: reload::Followers,
    pub(crate) retired: Retired,
    /// Where the console listens, once it does.
    pub(crate) console: OnceLock<SocketAddr>,
    pub(crate) stopped: CancellationToken,
}

impl Gateway {
    /// Loads the configuration, opens the store and the audit log, starts the connectors.
    ///
    /// # Errors
    ///
    /// [`StartError`]; nothing runs then.
    pub async fn start(options: StartOptions) -> Result<Arc<Self>, StartError> {
        let loaded = load(&options.folder, SecretCheck::Resolve)?;
        for warning in loaded.warnings.iter() {
            tracing::warn!(event = "config.warning", %warning, "worth knowing");
        }
        let loaded = Arc::new(loaded);
        let state = State::open(&loaded, &options).await?;
        let fleet = Fleet::build(&loaded, &Fleet::default(), &loaded.secrets(), &options.clock)?;
        let evidence = state.evidence(&loaded).await?;
        fleet.start().await;
        let tools = fleet.follow();
        let offered = noted(&state, &loaded, fleet.declarations()).await;
        let plane = match assemble(&state, (&loaded, &fleet), offered, Drift::Hide, evidence.clone()) {
            Ok(plane) => plane,
            Err(found) => {
                fleet.stop_except(&Fleet::default()).await;
                evidence.audit.close().await;
                return Err(found.into());
            }
        };
        record_config(&plane.evidence, (Event::ConfigApplied, None), &loaded.digest).await?;
        tell(&[], &plane.standings, &plane.evidence).await;
        let gateway = Arc::new(Self {
            state,
            plane: ArcSwap::from_pointee(plane),
            at_work: Mutex::new(AtWork { loaded, fleet }),
            changing: tokio::sync::Mutex::default(),
            changes: channel::Sender::new(0),
            admission: Admission::new(),
            waiting: Waiting::default(),
            counters: Arc::default(),
            occupancy: Arc::default(),
            calls: Arc::default(),
            sinks: Sinks::default(),
            requests: reload::Requests::default(),
            followers: reload::Followers::default(),
            retired: Retired::default(),
            console: OnceLock::new(),
            stopped: CancellationToken::new(),
        });
        let plane = gateway.plane();
        plane.people.rule(plane.rulebook.policies());
        let reader: Weak<dyn CallTool> = Arc::<Self>::downgrade(&gateway);
        gateway.state.approvals.read_by(Weak::clone(&reader));
        gateway.state.ledger.read_by(reader);
        reload::follow_upstreams(&gateway, tools);
        tokio::spawn(Arc::clone(&gateway.state.incidents).follow(gateway.stopped.clone()));
        tokio::spawn(Arc::clone(&gateway.state.ledger).keep(gateway.stopped.clone()));
        tokio::spawn(Arc::clone(&gateway.state.counts).keep(gateway.stopped.clone()));
        tokio::spawn(Arc::clone(&gateway.state.labels).keep(gateway.stopped.clone()));
        tokio::spawn(retention::keep(Arc::clone(&gateway)));
        Ok(gateway)
    }

    /// What governs calls that begin now.
    pub fn plane(&self) -> Arc<Plane> {
        self.plane.load_full()
    }

    /// Puts a new plane to work, and tells before which tools stand otherwise in it. Calls that run go
    /// on with the old one.
    pub(crate) async fn put_to_work(&self, plane: Plane) {
        tell(&self.plane().standings, &plane.standings, &plane.evidence).await;
        plane.people.rule(plane.rulebook.policies());
        let before = self.plane.swap(Arc::new(plane));
        self.retired.add(&before.calls);
        self.look_again();
    }

    /// How the tools of MCP servers stand to what was accepted of them.
    pub fn standings(&self) -> Arc<[Standing]> {
        Arc::clone(&self.plane().standings)
    }

    /// Has those who wait for changes look at what they see.
    pub(crate) fn look_again(&self) {
        self.changes.send_modify(|n| *n += 1);
    }

    /// The plane at work, and that a call runs on it. Who asks how many run on an
    /// older one never misses a call: it takes its plane again if that changed.
    pub(crate) fn enter(&self) -> (Arc<Plane>, TaskTrackerToken) {
        loop {
            let plane = self.plane();
            let running = plane.calls.token();
            if Arc::ptr_eq(&plane, &self.plane()) {
                return (plane, running);
            }
        }
    }

    pub(crate) fn at_work(&self) -> AtWork {
        self.at_work.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The settings at work.
    pub(crate) fn settings(&self) -> Settings {
        self.at_work().loaded.settings.clone()
    }

    /// Where this installation keeps its state.
    pub fn data_folder(&self) -> PathBuf {
        self.settings().data_folder
    }

    /// Governs and runs one call: the top of its path.
    pub async fn call(&self, request: CallRequest, wire: Wire) -> Reply {
        let received = request.received;
        let patient = Patient::of(&request, &wire);
        let reply = self.governed(request, &wire).await;
        // What a person takes is no duration of a call.
        self.calls.ended(reply.code, self.state.clock.now().since(received));
        self.see_through(patient, reply, &wire).await
    }

    async fn governed(&self, request: CallRequest, wire: &Wire) -> Reply {
        let (plane, _running) = self.enter();
        if let Err(error) = plane.check_whole(&request.actor.workspace) {
            return close(Refused::at_the_door(request, error).into(), &plane.evidence).await;
        }
        match finder::meet(&plane, request) {
            Met::Call(request) => call(&plane, (&self.admission, &self.calls), request, None, wire).await,
            Met::Waiting(request, waiting) => self.await_approval(request, waiting, &wire.cancel).await,
            Met::Found(reply) => reply,
            Met::Refused(refused) => {
                // So that the end of the gateway waits for the record.
                let _room = self.admission.enter(refused.actor());
                close(refused.into(), &plane.evidence).await
            }
        }
    }

    /// Governs and begins the watch of the resource that `request` would read.
    ///
    /// # Errors
    ///
    /// Why it was refused or could not be; it is recorded.
    pub async fn begin_watch(&self, request: CallRequest) -> Result<Watch, CallError> {
        let (plane, _running) = self.enter();
        watch(&plane, &self.admission, request).await
    }

    /// Calls a tool as the local user, who takes the call back with `cancel`.
    ///
    /// # Errors
    ///
    /// `auth.missing` if the configuration has no local user.
    pub async fn call_as_local_user(
        &self,
        tool: &str,
        arguments: Arguments,
        cancel: CancellationToken,
    ) -> Result<Reply, CallError> {
        let request = CallRequest {
            kind: quaymaster_core::Kind::Tool,
            id: self.new_call_id(),
            received: self.state.clock.now(),
            actor: self.local_user()?,
            reach: Reach::All,
            session: None,
            agent: AgentClaims {
                client: Some(format!("quaymaster/{}", env!("CARGO_PKG_VERSION"))),
                ..AgentClaims::default()
            },
            trace_id: None,
            sampled: false,
            correlation_id: None,
            idempotency_key: None,
            tool: tool.to_owned(),
            arguments,
        };
        Ok(self.call(request, Wire { cancel, ..Wire::default() }).await)
    }

    /// The user of this machine, as the configuration has it.
    ///
    /// # Errors
    ///
    /// `auth.missing` if the configuration has no local user.
    pub fn local_user(&self) -> Result<Arc<Actor>, CallError> {
        self.plane().people.local_user.clone().ok_or_else(no_local_user)
    }

    /// Records a request that never became a call.
    pub(crate) async fn note_refusal(&self, refusal: RequestRefusal) {
        close_request(refusal, &self.plane().evidence).await;
    }

    pub(crate) fn new_call_id(&self) -> CallId {
        CallId::new(self.state.clock.as_ref(), self.state.randomness.as_ref())
    }

    pub(crate) fn changes(&self) -> channel::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Has the configuration read again at once, or as soon as it is followed.
    pub fn reload_now(&self) {
        self.requests.now();
    }

    /// Whether calls can be expected to succeed.
    ///
    /// # Errors
    ///
    /// Why not, in words that anybody may read.
    pub fn ready(&self) -> Result<(), String> {
        if self.stopped.is_cancelled() {
            return Err("shutting down".into());
        }
        let (audit, settings) = (self.plane().evidence.audit.health(), self.settings().audit);
        if audit.contradicted {
            return Err("the audit log is not what was signed".into());
        }
        if audit.stuck && !settings.reads_when_stuck {
            return Err("the audit log cannot be written".into());
        }
        match self.upstreams().into_iter().find(UpstreamReport::is_in_the_way) {
            Some(upstream) => Err(format!("a required upstream is not up: {}", upstream.state.as_str())),
            None => Ok(()),
        }
    }

    /// How many requests were refused, by code.
    pub fn refusals(&self) -> &RefusalCounters {
        &self.counters
    }

    /// Lets running calls end, stops the children and flushes the audit log.
    pub async fn shutdown(&self) {
        self.stopped.cancel();
        if !self.admission.drain(DRAIN).await {
            tracing::warn!(event = "gateway.drain", "calls still ran when the time to drain was over");
        }
        self.waiting.runs.close();
        if tokio::time::timeout(DRAIN, self.waiting.runs.wait()).await.is_err() {
            tracing::warn!(event = "approval.drain", "results of calls that were agreed to are not left yet");
        }
        self.retired.end().await;
        self.at_work().fleet.stop_except(&Fleet::default()).await;
        self.plane().evidence.audit.close().await;
        if let Err(error) = self.state.store.close().await {
            tracing::error!(event = "store.close", %error, "the store could not be closed in order");
        }
    }
}

/// Everything that a call is governed by, or what is wrong with it.
pub(crate) fn assemble(
    state: &State,
    (loaded, fleet): (&Loaded, &Fleet),
    Offered { declarations, standings }: Offered,
    drift: Drift,
    evidence: Evidence,
) -> Result<Plane, Diagnostics> {
    let (catalogue, rulebook, found) = rules_for((loaded, fleet), declarations, drift, Vec::new());
    if found.has_errors() {
        return Err(found);
    }
    let redactor = |engine| {
        let redactor = Redactor::new(engine, Arc::clone(state.subjects.sealing_key()));
        // Where no tool is given what placeholders stand for, nothing has to be kept.
        if loaded.classes.restores() { redactor.keeping(Arc::clone(&state.placeholders)) } else { redactor }
    };
    let rulebook = rulebook.redacting(loaded.redaction.clone().map(redactor));
    let identity = identity(state, loaded)?;
    let local_user = local_user(&identity);
    let (identity, approvals) = (Arc::new(identity), Arc::clone(&state.approvals));
    let people = People { identity, local_user, approvals, bounds: loaded.settings.approvals.bounds() };
    let guards = Guards {
        incidents: Arc::clone(&state.incidents),
        ledger: Arc::clone(&state.ledger),
        limits: Limits::new(loaded.settings.limits.clone(), Arc::clone(&state.counts)),
        flow: Flow::new(
            Arc::clone(&state.labels),
            loaded.settings.label_window,
            rulebook.policies().ask_labels(),
        ),
    };
    let tokens: Arc<dyn CallerTokens> = Arc::clone(&state.vault) as _;
    let connectors = fleet.connectors().with_tokens(tokens);
    let plane = Plane::new(catalogue, rulebook, connectors, people, (evidence, guards));
    let metadata_and_prefix =
        loaded.connectors.iter().map(|c| (c.connector.metadata(), c.connector.prefix()));
    let prefixes = metadata_and_prefix.map(|(metadata, prefix)| (metadata.name.clone(), prefix)).collect();
    let plane = plane.with_finding(Finding::of(loaded)).with_prefixes(prefixes).with_standings(standings);
    Ok(plane.with_expected(Expected::of(loaded, fleet)))
}

/// Records that the configuration with `digest` was put to work, or refused and why.
pub(crate) async fn record_config(
    evidence: &Evidence,
    (event, code): (Event, Option<&'static str>),
    digest: &str,
) -> Result<(), quaymaster_control::audit::AuditError> {
    let mut record = Record::new(event, evidence.clock.now());
    record.config = Some(evidence.config.as_str());
    record.config_digest = Some(digest);
    record.code = code;
    evidence.audit.append(record, None, Durability::Durable).await
}
