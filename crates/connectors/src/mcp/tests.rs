//! Connectors against real peers: Node servers over HTTP and over standard
//! streams, and a scripted HTTP server for what no honest server does.

mod broken;
mod children;
mod configuration;
mod everything;
mod http_sse;
mod listening;
mod lists;
mod logs;
mod offers;
mod older;
mod one_connection;
mod resumed;
mod revisions;
mod rotated;
mod scripted;
mod sessions;
mod states;
mod tasks;
mod trial;
mod unasked;

use std::future::Future;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use quaymaster_core::clock::FixedClock;
use quaymaster_core::random::CountingRandomness;
use quaymaster_core::setting::Slug;
use quaymaster_core::{
    Actor, ActorId, Arguments, Authentication, CallId, CallerTokens, DataClass, Effect, InputPort, Kind,
    LogSink, Progress, ProgressSink, RawBuf, SecretError, SecretRef, Tasks, Timestamp,
};
use serde_json::{Map, Value, json};

use super::conduct::Patience;
use super::pace::Pace;
use super::*;
use crate::ask::{Account, Ask};

/// The trace that every call of these tests is part of.
const TRACEPARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01";

/// Long enough for a busy machine; nothing waits for it unless something is wrong.
const PATIENCE: Duration = Duration::from_mins(1);

/// Waits that tests can afford.
const QUICK: Pace = Pace {
    probe: Duration::from_millis(1_500),
    handshake: Duration::from_secs(20),
    grace: Duration::from_millis(200),
    first_wait: Duration::from_millis(5),
    longest_wait: Duration::from_millis(20),
    healthy: Duration::from_secs(30),
    patience: Duration::from_secs(20),
    between_listings: Duration::from_millis(1),
    late: Duration::from_secs(20),
    conduct: Patience { offences: 1_000, window: Duration::from_mins(1), cooling: Duration::from_mins(5) },
};

/// The secrets `API_KEY` and `GREETING`.
struct TestSecrets;

impl SecretSource for TestSecrets {
    fn resolve(&self, reference: &SecretRef) -> Result<secrecy::SecretString, SecretError> {
        match reference.name() {
            "API_KEY" => Ok("Bearer hunter2".into()),
            "GREETING" => Ok("morning".into()),
            "TWO_LINES" => Ok("one\ntwo".into()),
            name => Err(SecretError::Missing { name: name.into(), expected: "the tests set it".into() }),
        }
    }
}

/// A connector file: `server`, and one reading tool for each name.
fn spec(server: impl Into<Value>, tools: &[&str]) -> Value {
    let tools: Vec<Value> = tools
        .iter()
        .map(|name| json!({"name": name, "effect": "read", "access": {"roles": ["analyst"]}}))
        .collect();
    json!({
        "engine": "mcp",
        "prefix": "up",
        "server": server.into(),
        "limits": {"timeout": "20s", "breaker": {"failures": 1_000}},
        "classification": {"default": "internal"},
        "tools": tools
    })
}

fn file(spec: impl Into<Value>) -> ConnectorFile<McpSpec> {
    let file = json!({
        "apiVersion": "connector/v1",
        "kind": "Connector",
        "metadata": {
            "name": "upstream",
            "version": "1.0.0",
            "owner": {"team": "test", "contact": "test@example.test"},
            "workspaces": ["main"]
        },
        "spec": spec.into()
    });
    serde_json::from_value(file).expect("a connector file of the right form")
}

fn connector_with(spec: Value, pace: Pace) -> Arc<McpConnector> {
    let settings = check::settings(file(spec), &TestSecrets, &PathBuf::from("/"));
    let mut settings = settings.unwrap_or_else(|problems| panic!("a good connector file: {problems:#?}"));
    settings.pace = pace;
    McpConnector::of(settings)
}

/// A started connector whose first listing has succeeded or failed.
async fn started(spec: Value) -> Arc<McpConnector> {
    let connector = connector_with(spec, QUICK);
    connector.start();
    assert_ne!(connector.ready(PATIENCE).await.health, Health::Starting);
    connector
}

/// One call as the engine gets it.
struct Call {
    actor: Actor,
    kind: Kind,
    tool: String,
    arguments: Arguments,
    effect: Effect,
    cancel: CancellationToken,
    progress: Option<Arc<dyn ProgressSink>>,
    input: Option<Arc<dyn InputPort>>,
    log: Option<Arc<dyn LogSink>>,
    mute: bool,
    tokens: Option<Arc<dyn CallerTokens>>,
    tasks: Tasks,
    retries: u32,
    upstream_ids: Vec<String>,
}

fn read(tool: &str) -> Call {
    Call {
        actor: actor("ada"),
        kind: Kind::Tool,
        tool: tool.into(),
        arguments: Arguments::default(),
        effect: Effect::Read,
        cancel: CancellationToken::new(),
        progress: None,
        input: None,
        log: None,
        mute: false,
        tokens: None,
        tasks: Tasks::default(),
        retries: 0,
        upstream_ids: vec![],
    }
}

pub(super) fn actor(name: &str) -> Actor {
    Actor {
        id: ActorId::parse(name).expect("a name"),
        person: None,
        roles: Arc::new([]),
        groups: [].into(),
        workspace: Slug::parse("main").expect("a workspace"),
        clearance: DataClass::Internal,
        authentication: Authentication::LocalUser,
    }
}

/// The same person with another token, which may be told more.
fn cleared(name: &str) -> Actor {
    Actor { clearance: DataClass::Restricted, ..actor(name) }
}

fn write(tool: &str) -> Call {
    Call { effect: Effect::Write, ..read(tool) }
}

impl Call {
    fn with(mut self, arguments: Value) -> Self {
        let Value::Object(map) = arguments else { panic!("arguments are an object") };
        self.arguments = Arguments::from_map(map);
        self
    }

    /// The result, or the error's code and message.
    async fn on(&mut self, connector: &McpConnector) -> Result<Value, String> {
        let clock = FixedClock::new(Timestamp::from_micros(0));
        let id = CallId::new(&clock, &CountingRandomness::default());
        let ask = Ask {
            traceparent: Some(TRACEPARENT),
            tasks: self.tasks.clone(),
            actor: &self.actor,
            kind: self.kind,
            tool: &self.tool,
            arguments: &self.arguments,
            call: &id,
            lineage: false,
            effect: self.effect,
            cancel: &self.cancel,
            progress: self.progress.clone(),
            input: self.input.clone(),
            log: self.log.clone(),
            mute: self.mute,
            tokens: self.tokens.as_ref(),
            credential: None,
        };
        let mut account = Account::default();
        let called = tokio::time::timeout(PATIENCE, connector.asked(&ask, &mut account)).await;
        self.retries = account.retries;
        self.upstream_ids = account.upstream_ids;
        match called.expect("a call has an end") {
            Ok(result) => Ok(serde_json::from_str(result.get()).expect("JSON")),
            Err(error) => Err(error.to_string()),
        }
    }

    /// The text of the result's first block.
    async fn text(&mut self, connector: &McpConnector) -> String {
        let result = self.on(connector).await.unwrap_or_else(|error| panic!("a result: {error}"));
        result["content"][0]["text"].as_str().unwrap_or_else(|| panic!("a text: {result}")).to_owned()
    }

    /// The code of the error.
    async fn code(&mut self, connector: &McpConnector) -> String {
        let error = self.on(connector).await.expect_err("an error");
        error.split(':').next().unwrap_or_default().to_owned()
    }
}

/// Keeps the reports that it gets.
#[derive(Debug, Default)]
struct Reports(Mutex<Vec<Progress>>);

impl ProgressSink for Reports {
    fn report(&self, progress: Progress) {
        self.0.lock().expect("no panic").push(progress);
    }
}

impl Reports {
    fn seen(&self) -> Vec<String> {
        let reports = self.0.lock().expect("no panic");
        reports.iter().map(|r| format!("{} of {:?}, {:?}", r.progress, r.total, r.message)).collect()
    }
}

/// Waits until `condition` holds; for what tells nobody when it happens.
async fn eventually<F: Future<Output = bool>>(what: &str, mut condition: impl FnMut() -> F) {
    let mut ticks = tokio::time::interval(Duration::from_millis(5));
    let waiting = async {
        while !condition().await {
            ticks.tick().await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, waiting).await.is_ok(), "{what}");
}

fn declared(connector: &McpConnector) -> Vec<String> {
    connector.tools().borrow().iter().map(|tool| tool.name.to_string()).collect()
}

/// `file` of the project's `tests/upstream`.
fn upstream(file: &str) -> String {
    format!("{}/../../tests/upstream/{file}", env!("CARGO_MANIFEST_DIR"))
}

/// The absolute path of Node.
fn node() -> String {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder| folder.join("node")).find(|node| node.is_file());
    let found = found.expect("these tests need Node 18 or newer on the PATH: apt-get install nodejs");
    found.to_str().expect("a path in UTF-8").to_owned()
}

fn object(value: Value) -> Map<String, Value> {
    let Value::Object(map) = value else { panic!("an object") };
    map
}
