//! An installation with a server whose tools change, and what is seen of it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use quaymaster_connectors::Wire;
use quaymaster_control::crypto::SystemRandomness;
use quaymaster_core::{AgentClaims, Arguments, CallId, CallRequest, Clock, Kind, Reach, Reply, SystemClock};
use quaymaster_gateway::ingress::Door as _;
use quaymaster_gateway::{Accept, AcceptError, Gateway, Standing, accept};
use quaymaster_store::{AuditFilter, StoreTarget};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, DuplexStream, Lines};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::installation::{SETTINGS, folder, options, start};

pub(super) const PATIENCE: Duration = Duration::from_mins(1);

const CONNECTOR: &str = "\
apiVersion: connector/v1
kind: Connector
metadata:
  name: desk
  version: 1.0.0
  owner: { team: a, contact: a@example.test }
  workspaces: [sales]
spec:
  engine: mcp
  prefix: desk
  server: { transport: stdio, command: NODE, args: [SERVER, TOOLS], era: legacy }
  limits: { timeout: 20s }
  classification: { default: internal }
  tools:
    - { name: find, effect: read, access: { roles: [analyst] } }
    - { name: count, effect: read, access: { roles: [analyst] } }
    - { name: secret, effect: read, access: { roles: [officer] } }
";

/// An installation with a server whose tools are those of a file.
pub(super) struct Desk {
    folder: tempfile::TempDir,
}

/// A tool as the server defines it.
pub(super) fn tool(name: &str, description: &str) -> Value {
    let schema = json!({"type": "object", "properties": {"text": {"type": "string"}}});
    json!({"name": name, "description": description, "inputSchema": schema})
}

/// The same with one argument more, which has to be given.
pub(super) fn narrowed(name: &str) -> Value {
    let schema = json!({
        "type": "object", "properties": {"text": {"type": "string"}, "owner": {"type": "string"}},
        "required": ["owner"]
    });
    json!({"name": name, "description": "Finds.", "inputSchema": schema})
}

pub(super) fn usual() -> Vec<Value> {
    vec![tool("find", "Finds."), tool("count", "Counts."), tool("secret", "Keeps.")]
}

impl Desk {
    pub(super) fn new() -> Self {
        let desk = Self { folder: folder() };
        let path = std::env::var_os("PATH").unwrap_or_default();
        let node = std::env::split_paths(&path).map(|folder| folder.join("node")).find(|node| node.is_file());
        let node = node.expect("these tests need Node 18 or newer on the PATH");
        let server = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/upstream/changing.mjs");
        let text = CONNECTOR
            .replace("NODE", &node.display().to_string())
            .replace("SERVER", server)
            .replace("TOOLS", &desk.path().join("tools.json").display().to_string());
        desk.write("connectors/desk.yaml", &text);
        desk.settings("");
        desk.offers(&usual());
        desk
    }

    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(super) fn write(&self, path: &str, text: &str) {
        std::fs::write(self.path().join(path), text).expect("written");
    }

    pub(super) fn settings(&self, more: &str) {
        let roles = "officer: { clearance: internal }, analyst: {";
        self.write("quaymaster.yaml", &format!("{}{more}", SETTINGS.replace("analyst: {", roles)));
    }

    /// What the server offers from now on.
    pub(super) fn offers(&self, tools: &[Value]) {
        self.write("tools.new", &Value::from(tools).to_string());
        std::fs::rename(self.path().join("tools.new"), self.path().join("tools.json")).expect("in place");
    }

    pub(super) async fn start(&self) -> Arc<Gateway> {
        start(self.path()).await.expect("started")
    }

    pub(super) async fn accept(&self, what: &Accept) -> Result<Vec<String>, AcceptError> {
        let written = accept(options(self.path()), what, None, Some("ada@example.test"), PATIENCE).await?;
        Ok(written.files)
    }

    /// Accepts everything there is, and gives the file.
    pub(super) async fn pinned(&self) -> String {
        assert_eq!(self.accept(&Accept::All).await.expect("accepted"), ["contracts/desk.lock.json"]);
        std::fs::read_to_string(self.path().join("contracts/desk.lock.json")).expect("the file")
    }
}

/// A client of the local user, with a session. The gateway follows its configuration meanwhile.
pub(super) struct Session {
    input: DuplexStream,
    output: Lines<BufReader<DuplexStream>>,
    serving: JoinHandle<()>,
}

impl Session {
    pub(super) async fn open(gateway: &Arc<Gateway>) -> Self {
        let (mut input, theirs_in) = tokio::io::duplex(1 << 16);
        let (theirs_out, output) = tokio::io::duplex(1 << 16);
        let serving =
            Arc::clone(gateway).serve_stdio(theirs_in, theirs_out, Reach::All, CancellationToken::new());
        let serving = tokio::spawn(async move { serving.await.expect("a local user") });
        let client = json!({"name": "test", "version": "1"});
        let params = json!({"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": client});
        let hello = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params});
        let ready = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
        input.write_all(format!("{hello}\n{ready}\n").as_bytes()).await.expect("sent");
        let mut output = BufReader::new(output).lines();
        let answer = tokio::time::timeout(PATIENCE, output.next_line()).await.expect("in time");
        assert!(answer.expect("read").expect("a line").contains("2025-06-18"));
        Self { input, output, serving }
    }

    pub(super) async fn hears_of_a_change(&mut self) {
        let hears = async {
            while let Some(line) = self.output.next_line().await.expect("read") {
                if line.contains("notifications/tools/list_changed") {
                    return;
                }
            }
        };
        tokio::time::timeout(PATIENCE, hears).await.expect("in time");
    }

    pub(super) async fn close(self) {
        drop(self.input);
        tokio::time::timeout(PATIENCE, self.serving).await.expect("in time").expect("ended");
    }
}

pub(super) async fn call(gateway: &Gateway, tool: &str) -> Reply {
    let request = CallRequest {
        id: CallId::new(&SystemClock, &SystemRandomness),
        received: SystemClock.now(),
        actor: gateway.local_user().expect("a local user"),
        reach: Reach::All,
        session: None,
        agent: AgentClaims::default(),
        trace_id: None,
        sampled: false,
        correlation_id: None,
        idempotency_key: None,
        kind: Kind::Tool,
        tool: tool.to_owned(),
        arguments: Arguments::parse(None).expect("no arguments"),
    };
    gateway.call(request, Wire::default()).await
}

pub(super) fn listed(gateway: &Gateway) -> Vec<String> {
    let user = gateway.local_user().expect("a local user");
    let listing: Value = serde_json::from_str(&gateway.plane().view(&user).listing()).expect("JSON");
    let tools = listing.as_array().expect("a list").iter();
    let names = tools.map(|tool| tool["name"].as_str().expect("a name").to_owned());
    names.filter(|name| name.starts_with("desk")).collect()
}

/// Why each quarantined tool is.
pub(super) fn quarantined(gateway: &Gateway) -> Vec<String> {
    let upstreams = gateway.upstreams().into_iter();
    upstreams.flat_map(|upstream| upstream.quarantined).map(|q| format!("{}: {}", q.tool, q.why)).collect()
}

pub(super) async fn until(gateway: &Gateway, what: &str, is_so: impl Fn(&[Standing]) -> bool) {
    let mut changes = gateway.changes();
    let waiting = async {
        while !is_so(&gateway.standings()) {
            changes.changed().await.expect("the gateway is there");
        }
    };
    let in_time = tokio::time::timeout(PATIENCE, waiting).await;
    assert!(in_time.is_ok(), "{what}: {:?}", gateway.standings());
}

pub(super) fn of<'a>(standings: &'a [Standing], tool: &str) -> Option<&'a Standing> {
    standings.iter().find(|standing| standing.tool == tool)
}

pub(super) fn is_quarantined(tool: &'static str) -> impl Fn(&[Standing]) -> bool {
    move |standings| of(standings, tool).is_some_and(|standing| standing.quarantined.is_some())
}

/// The events about tools in the audit log, each with the tool.
pub(super) async fn recorded(folder: &Path) -> Vec<String> {
    let store =
        quaymaster_store::Store::open(StoreTarget::Sqlite { path: folder.join("data/quaymaster.db") });
    let store = store.await.expect("the store");
    let records = store.audit_find(&AuditFilter::default(), 1_000).await.expect("records");
    let bodies = records.iter().map(|record| serde_json::from_slice::<Value>(&record.body).expect("JSON"));
    let mut said: Vec<String> = bodies
        .filter_map(|record| {
            let text = |at: &str| record.pointer(at).and_then(Value::as_str);
            let event = text("/event").filter(|event| event.starts_with("tool."))?;
            let verdict = text("/integrity/verdict").unwrap_or("-");
            Some(format!("{event} {} {verdict}", text("/tool/name").unwrap_or_default()))
        })
        .collect();
    said.sort();
    said
}
