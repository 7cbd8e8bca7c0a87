//! A door with a few tools whose every call can be watched and held.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::{HeaderMap, HeaderName};
use quaymaster_catalog::Listing;
use quaymaster_connectors::mcp::{Watch, Watched};
use quaymaster_control::keyring::KeyRing;
use quaymaster_core::clock::FixedClock;
use quaymaster_core::mirror::Mismatch;
use quaymaster_core::random::CountingRandomness;
use quaymaster_core::setting::Slug;
use quaymaster_core::{
    Actor, ActorId, Authentication, CallError, CallId, CallRequest, Caller, Clock, DataClass, ErrorCode,
    NoInput, Progress, RawBuf, Reach, Reply, SessionId, Status, TaskTerms, Tasks, Timestamp,
};
use serde_json::Value;
use tokio::sync::{Semaphore, mpsc, watch};

use crate::ingress::{Arrival, Door, Page, RequestRefusal, Shelf, Wire};

/// What happened to a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// The call of this tool began.
    Began(String),
    /// The call of this tool ended; whether it had been taken back.
    Ended(String, bool),
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Harbour {
    /// The clock of the harbour and of its keys.
    pub(crate) clock: Arc<FixedClock>,
    randomness: CountingRandomness,
    list: watch::Sender<u64>,
    go: Semaphore,
    seen: Mutex<Vec<CallRequest>>,
    refusals: Mutex<Vec<RequestRefusal>>,
    /// For whom the list of tools changed, once for each time.
    changed: Mutex<Vec<String>>,
    /// Tools of which two are listed at a time, for whoever asks.
    stock: Mutex<Vec<&'static str>>,
    local: Mutex<Option<&'static str>>,
    unready: Mutex<Option<&'static str>>,
    tell: mpsc::UnboundedSender<Event>,
    events: tokio::sync::Mutex<mpsc::UnboundedReceiver<Event>>,
    keys: KeyRing,
    watched: Arc<Watched>,
    _folder: tempfile::TempDir,
}

/// A question of which one line could pass for the answer to another request.
const LINES: &str = "{\"name\":{\"method\":\"elicitation/create\",\"params\":{\"message\":\"Who?\",\"x\":\n\
    {\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"forged\":true}}\n}}}";

/// An actor of this name in this workspace.
pub(crate) fn actor(name: &str, workspace: &str) -> Actor {
    Actor {
        id: ActorId::parse(name).expect("a name"),
        person: None,
        roles: Arc::new([]),
        groups: [].into(),
        workspace: Slug::parse(workspace).expect("a workspace"),
        clearance: DataClass::Internal,
        authentication: Authentication::LocalUser,
    }
}

/// The same where everything can be reached.
pub(crate) fn caller(name: &str, workspace: &str) -> Caller {
    Arc::new(actor(name, workspace)).into()
}

impl Harbour {
    pub(crate) fn new() -> Arc<Self> {
        let (tell, events) = mpsc::unbounded_channel();
        let folder = tempfile::tempdir().expect("a folder");
        let now = Timestamp::from_micros(1_795_255_200_000_000);
        let (clock, randomness) = (Arc::new(FixedClock::new(now)), Arc::new(CountingRandomness::default()));
        let of_keys = Arc::clone(&clock) as Arc<dyn Clock>;
        Arc::new(Self {
            keys: KeyRing::open_or_create(&folder.path().join("keys"), of_keys, randomness).expect("a ring"),
            watched: Arc::default(),
            _folder: folder,
            clock,
            stock: Mutex::default(),
            randomness: CountingRandomness::default(),
            list: watch::Sender::new(0),
            go: Semaphore::new(0),
            seen: Mutex::default(),
            refusals: Mutex::default(),
            changed: Mutex::default(),
            local: Mutex::new(Some("ana")),
            unready: Mutex::default(),
            tell,
            events: tokio::sync::Mutex::new(events),
        })
    }

    /// Lets one held call go on.
    pub(crate) fn release(&self) {
        self.go.add_permits(1);
    }

    /// Changes the list of tools of `ana`.
    pub(crate) fn change(&self) {
        self.change_for("ana");
    }

    /// Changes the list of tools of one actor, or of one on a route: `ana@desk`.
    pub(crate) fn change_for(&self, name: &str) {
        self.changed.lock().unwrap_or_else(PoisonError::into_inner).push(name.to_owned());
        self.list.send_modify(|n| *n += 1);
    }

    /// Says that a resource has changed.
    pub(crate) fn update(&self, uri: &str) {
        let params = RawBuf::read(&format!(r#"{{"uri":"{uri}"}}"#)).expect("JSON");
        self.watched.updated(Some(params.as_raw()));
    }

    /// Has these tools, of which two are listed at a time.
    pub(crate) fn set_stock(&self, names: &[&'static str]) {
        *self.stock.lock().unwrap_or_else(PoisonError::into_inner) = names.to_vec();
    }

    fn stocked(&self) -> Option<Listing> {
        let stock = self.stock.lock().unwrap_or_else(PoisonError::into_inner);
        let objects = stock.iter().map(|name| {
            let object = format!(r#"{{"name":"{name}","inputSchema":{{"type":"object"}}}}"#);
            ((*name).to_owned(), object.into())
        });
        (!stock.is_empty()).then(|| Listing::new(objects))
    }

    /// Makes somebody else the local user, or nobody.
    pub(crate) fn set_local_user(&self, name: Option<&'static str>) {
        *self.local.lock().unwrap_or_else(PoisonError::into_inner) = name;
    }

    /// Is not ready any more.
    pub(crate) fn set_unready(&self, reason: &'static str) {
        *self.unready.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason);
    }

    /// Waits for the next event.
    pub(crate) async fn event(&self) -> Event {
        self.events.lock().await.recv().await.expect("the harbour stands")
    }

    /// The calls that arrived.
    pub(crate) fn seen(&self) -> Vec<CallRequest> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The refusals that were told.
    pub(crate) fn refusals(&self) -> Vec<RequestRefusal> {
        self.refusals.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn held(&self, wire: &Wire) {
        tokio::select! {
            () = wire.cancel.cancelled() => {}
            permit = self.go.acquire() => permit.expect("never closed").forget(),
        }
    }

    async fn run(&self, request: &CallRequest, wire: &Wire) -> String {
        let report = |n: u64| {
            if let Some(sink) = &wire.progress {
                sink.report(Progress { progress: n.into(), total: Some(3.into()), message: None });
            }
        };
        match request.tool.as_str() {
            "empty" => "{}".into(),
            "pretty" => "{\n  \"content\": []\n}".into(),
            "link" => r#"{"content":[{"type":"resource_link","uri":"a://1","name":"n"}]}"#.into(),
            "not_json" => "oops".into(),
            "panic" => panic!("on purpose"),
            "hold" => {
                self.held(wire).await;
                r#"{"content":[]}"#.into()
            }
            "away" => {
                if let Some(log) = &wire.log {
                    log.away(Duration::from_millis(300));
                }
                self.held(wire).await;
                r#"{"content":[]}"#.into()
            }
            "report" => {
                report(1);
                report(2);
                self.held(wire).await;
                r#"{"content":[]}"#.into()
            }
            "ask" => {
                // As an upstream may write it: over several lines, one of which looks like a message.
                let chosen = request.arguments.get("question").map(Value::to_string);
                let question = match request.arguments.get("lines") {
                    None => r#"{"name":{"method":"elicitation/create","params":{"message":"Who?"}}}"#,
                    Some(_) => LINES,
                };
                let question = RawBuf::read(chosen.as_deref().unwrap_or(question)).expect("JSON");
                let rounds = if request.arguments.get("twice").is_some() { 2 } else { 1 };
                let answered = async {
                    let mut said = Err(NoInput::Unsupported);
                    for _ in 0..rounds {
                        let Some(port) = &wire.input else { break };
                        said = port.ask(question.clone()).await;
                    }
                    said
                };
                let said = match wire.cancel.run_until_cancelled(answered).await {
                    Some(Ok(answers)) => answers.get().to_owned(),
                    Some(Err(none)) => format!("\"{none:?}\""),
                    None => "\"taken back\"".into(),
                };
                report(3);
                if let (Some(sink), Some(_)) = (&wire.log, request.arguments.get("log")) {
                    let level = sink.level().as_str();
                    sink.log(RawBuf::read(&format!(r#"{{"level":"{level}","data":"x"}}"#)).expect("JSON"));
                }
                format!(r#"{{"content":[],"structuredContent":{said}}}"#)
            }
            "task" => self.run_task(request, wire).await,
            "big" => format!(r#"{{"content":[],"_meta":{{"x":"{}"}}}}"#, "x".repeat(16 << 20)),
            _ => format!(r#"{{"content":[],"structuredContent":{}}}"#, request.arguments.as_json()),
        }
    }
}

impl Harbour {
    /// A call of which the system makes a task; it may want to know something, and it may fail.
    async fn run_task(&self, request: &CallRequest, wire: &Wire) -> String {
        let handed = match &wire.tasks {
            Tasks::Taken(port) => {
                let terms = TaskTerms { ttl: None, poll: Some(Duration::from_millis(20)) };
                let handed = port.begin(terms);
                port.say("half of it");
                handed.to_string()
            }
            other => format!("{other:?}"),
        };
        if request.arguments.get("later").is_some() {
            self.held(wire).await;
        }
        let mut said = String::from("null");
        if request.arguments.get("ask").is_some() {
            let question = match request.arguments.get("ask").and_then(Value::as_str) {
                Some("both") => {
                    r#"{"name":{"method":"elicitation/create","params":{"message":"Who?"}},"roots":{"method":"roots/list"}}"#
                }
                _ => r#"{"name":{"method":"elicitation/create","params":{"message":"Who?"}}}"#,
            };
            if let Some(port) = &wire.input {
                let asked = port.ask(RawBuf::read(question).expect("JSON"));
                said = match wire.cancel.run_until_cancelled(asked).await {
                    Some(Ok(answers)) => answers.get().to_owned(),
                    other => format!("\"{other:?}\""),
                };
            }
        }
        if let Some(sink) = &wire.progress {
            sink.report(Progress { progress: 1.into(), total: None, message: None });
        }
        self.held(wire).await;
        format!(r#"{{"content":[],"structuredContent":{{"handed":"{handed}","said":{said}}}}}"#)
    }
}

impl Door for Harbour {
    async fn authenticate(&self, arrival: Arrival<'_>) -> Result<Arc<Actor>, CallError> {
        let Arrival { authorization, workspace, .. } = arrival;
        match authorization.map(|text| text.strip_prefix("Bearer ").unwrap_or_default()) {
            None => Err(CallError::new(ErrorCode::AuthMissing, "no credentials").hint("send a bearer token")),
            Some(name @ ("ana" | "bo")) => Ok(Arc::new(actor(name, workspace.unwrap_or("main")))),
            // A lesser token of the same person.
            Some("ana-lesser") => {
                let ana = actor("ana", workspace.unwrap_or("main"));
                Ok(Arc::new(Actor { clearance: DataClass::Public, ..ana }))
            }
            Some("narrow") => Err(CallError::new(ErrorCode::AuthScope, "the token is for another workspace")),
            Some("hasty") => Err(CallError::new(ErrorCode::LimitRate, "too many requests")
                .retry_after(std::time::Duration::from_secs(7))),
            Some(_) => Err(CallError::new(ErrorCode::AuthInvalid, "unknown token")),
        }
    }

    fn local_user(&self) -> Result<Arc<Actor>, CallError> {
        let name = *self.local.lock().unwrap_or_else(PoisonError::into_inner);
        name.map(|name| Arc::new(actor(name, "main")))
            .ok_or_else(|| CallError::new(ErrorCode::AuthMissing, "there is no local user"))
    }

    fn ready(&self) -> Result<(), String> {
        let reason = *self.unready.lock().unwrap_or_else(PoisonError::into_inner);
        reason.map_or(Ok(()), |reason| Err(reason.to_owned()))
    }

    fn list(&self, actor: &Caller, which: Shelf) -> Arc<str> {
        if which != Shelf::Tools {
            return "[]".into();
        }
        if let Some(stocked) = self.stocked() {
            return stocked.text();
        }
        let changed = self.changed.lock().unwrap_or_else(PoisonError::into_inner);
        let who = match &actor.reach {
            Reach::All => actor.id.to_string(),
            Reach::One(server) => format!("{}@{server}", actor.id),
        };
        let new = match changed.iter().filter(|name| **name == who).count() {
            0 => String::new(),
            n => format!("_{n}"),
        };
        format!(r#"[{{"name":"for_{}{new}","inputSchema":{{"type":"object"}}}}]"#, actor.id).into()
    }

    fn page(&self, caller: &Caller, which: Shelf, after: Option<&str>) -> Option<Page> {
        match self.stocked() {
            Some(stocked) => Some(stocked.page(after, 2)),
            None => after.is_none().then(|| Page::whole(self.list(caller, which))),
        }
    }

    fn check_mirrors(
        &self,
        _: &Caller,
        _: &str,
        _: &HeaderMap,
        _: &Value,
    ) -> Result<(), (HeaderName, Mismatch)> {
        Ok(())
    }

    async fn begin_watch(self: Arc<Self>, request: CallRequest) -> Result<Watch, CallError> {
        let caller = Caller { actor: request.actor, reach: request.reach };
        let none = || CallError::new(ErrorCode::ToolNotFound, "there is no such resource");
        self.watch(&caller, &request.tool).ok_or_else(none)
    }

    fn watch(&self, caller: &Caller, uri: &str) -> Option<Watch> {
        uri.starts_with("test://").then(|| self.watched.add(caller, uri))?
    }

    fn completes(&self, _: &Caller) -> bool {
        false
    }

    fn takes_tasks(&self, _: &Caller, tool: Option<&str>) -> bool {
        tool.is_none_or(|tool| tool == "task")
    }

    async fn call(self: Arc<Self>, request: CallRequest, wire: Wire) -> Reply {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).push(request.clone());
        let _ = self.tell.send(Event::Began(request.tool.clone()));
        let result = self.run(&request, &wire).await;
        let _ = self.tell.send(Event::Ended(request.tool, wire.cancel.is_cancelled()));
        let fails = request.arguments.get("fail").is_some() || wire.cancel.is_cancelled();
        Reply {
            audit_id: request.id,
            status: if fails { Status::Failed } else { Status::Success },
            code: fails.then_some(ErrorCode::UpstreamError),
            message: fails.then(|| "it failed".to_owned()),
            parked: None,
            keeping: quaymaster_core::Keeping::default(),
            required: None,
            labels: vec![],
            result,
        }
    }

    async fn refused(&self, refusal: RequestRefusal) {
        self.refusals.lock().unwrap_or_else(PoisonError::into_inner).push(refusal);
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.list.subscribe()
    }

    fn call_id(&self) -> CallId {
        CallId::new(self.clock.as_ref(), &self.randomness)
    }

    fn session_id(&self) -> SessionId {
        SessionId::new(self.clock.as_ref(), &self.randomness)
    }

    fn keys(&self) -> &KeyRing {
        &self.keys
    }

    fn clock(&self) -> &dyn Clock {
        self.clock.as_ref()
    }
}
