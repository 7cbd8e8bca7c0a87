//! MCP servers that are not up: who is told of them, and what is answered without them.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use quaymaster_connectors::Wire;
use quaymaster_connectors::mcp::Health;
use quaymaster_control::crypto::SystemRandomness;
use quaymaster_core::setting::Slug;
use quaymaster_core::{
    Actor, AgentClaims, Arguments, CallId, CallRequest, Clock, ErrorCode, Kind, Reach, Reply, SystemClock,
};
use quaymaster_gateway::{Gateway, MISSING_UPSTREAMS, MissingUpstream, look_at_upstreams};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio_util::sync::CancellationToken;

use crate::installation::start;

const PATIENCE: Duration = Duration::from_mins(1);

const SETTINGS: &str = "\
apiVersion: quaymaster/v1
workspaces: { sales: {}, lab: { requireAll: true } }
defaultWorkspace: sales
roles: { analyst: { clearance: internal }, officer: { clearance: internal } }
localUser: { roles: [analyst] }
";

/// A connector called NAME whose server is the program PROGRAM of the folder.
const CONNECTOR: &str = "\
apiVersion: connector/v1
kind: Connector
metadata:
  name: NAME
  version: 1.0.0
  owner: { team: a, contact: a@example.test }
  workspaces: [WORKSPACE]
spec:
  engine: mcp
  prefix: NAME
  server: { transport: stdio, command: PROGRAM, era: legacy }
  limits: { timeout: 20s }
  classification: { default: internal }
  tools:
    - { name: echo, effect: read, access: { roles: ROLES } }
";

struct Installation {
    folder: tempfile::TempDir,
}

impl Installation {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let installation = Self { folder };
        installation.write("quaymaster.yaml", SETTINGS);
        installation.write("policies/all.cedar", "");
        std::fs::create_dir_all(installation.folder.path().join("connectors")).expect("a folder");
        installation
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.path().join(path);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        std::fs::write(path, text).expect("a file");
    }

    /// A connector whose server is the program of the same name, for these roles.
    fn connector(&self, name: &str, workspace: &str, roles: &str) -> String {
        let program = self.path().join(name).display().to_string();
        let text = CONNECTOR.replace("NAME", name).replace("WORKSPACE", workspace);
        let text = text.replace("PROGRAM", &program).replace("ROLES", roles);
        self.write(&format!("connectors/{name}.yaml"), &text);
        text
    }

    /// Puts the program of a connector in its place: the test server in `mode`.
    fn program(&self, name: &str, mode: &str) {
        let server = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/upstream/stdio.mjs");
        let starts = self.path().join(format!("{name}.starts"));
        let script = format!("#!/bin/sh\nexec {} {server} {mode} {}\n", node(), starts.display());
        let aside = self.path().join(format!("{name}.aside"));
        std::fs::write(&aside, script).expect("a file");
        std::fs::set_permissions(&aside, std::fs::Permissions::from_mode(0o755)).expect("executable");
        std::fs::rename(aside, self.path().join(name)).expect("in place");
    }

    async fn start(&self) -> Arc<Gateway> {
        start(self.path()).await.expect("started")
    }
}

/// The absolute path of Node.
fn node() -> String {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder| folder.join("node")).find(|node| node.is_file());
    found.expect("these tests need Node 18 or newer on the PATH").display().to_string()
}

fn actor(gateway: &Gateway, workspace: &str, roles: &[&str]) -> Arc<Actor> {
    let slug = |name: &str| Slug::parse(name).expect("a name");
    let roles = roles.iter().map(|role| slug(role)).collect::<BTreeSet<_>>().into_iter().collect();
    let user = gateway.local_user().expect("a local user");
    Arc::new(Actor { workspace: slug(workspace), roles, ..Actor::clone(&user) })
}

async fn call(gateway: &Gateway, actor: &Arc<Actor>, tool: &str) -> Reply {
    let request = CallRequest {
        id: CallId::new(&SystemClock, &SystemRandomness),
        received: SystemClock.now(),
        actor: Arc::clone(actor),
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

fn missing(gateway: &Gateway, actor: &Actor) -> Vec<String> {
    let missing = gateway.plane().missing_upstreams(actor, &Reach::All);
    missing.into_iter().map(|MissingUpstream { name, state }| format!("{name}: {state}")).collect()
}

async fn becomes(gateway: &Gateway, name: &str, health: Health) {
    let is_so =
        || gateway.upstreams().iter().any(|upstream| upstream.name == name && upstream.state == health);
    let mut ticks = tokio::time::interval(Duration::from_millis(5));
    let waiting = async {
        while !is_so() {
            ticks.tick().await;
        }
    };
    let in_time = tokio::time::timeout(PATIENCE, waiting).await;
    assert!(in_time.is_ok(), "{name} should be {}: {:?}", health.as_str(), gateway.upstreams());
}

#[tokio::test]
async fn a_caller_is_told_of_the_missing_servers_of_which_it_could_call_something() {
    let installation = Installation::new();
    installation.connector("yard", "sales", "[analyst]");
    installation.connector("vault", "sales", "[officer]");
    installation.connector("tower", "sales", "[]");
    let off = installation.connector("attic", "sales", "[analyst, officer]");
    installation
        .write("connectors/attic.yaml", &off.replace("  engine: mcp", "  engine: mcp\n  enabled: false"));
    installation.connector("elsewhere", "lab", "[analyst]");
    let forbidden =
        "@id(\"no-yard\")\nforbid (principal in Role::\"officer\", action, resource in Connector::\"yard\");";
    let permitted =
        "@id(\"tower\")\npermit (principal in Role::\"officer\", action, resource == Tool::\"tower_echo\");";
    installation.write("policies/all.cedar", &format!("{forbidden}\n{permitted}\n"));
    let gateway = installation.start().await;
    let told = |roles: &[&str]| missing(&gateway, &actor(&gateway, "sales", roles));
    assert_eq!(told(&["analyst"]), ["yard: missing"]);
    assert_eq!(told(&["officer"]), ["tower: missing", "vault: missing"]);
    assert_eq!(told(&["analyst", "officer"]), ["tower: missing", "vault: missing"], "a forbid wins");
    assert_eq!(told(&[]), [""; 0]);
    let on_route = |name: &str| {
        let reach = Reach::One(Slug::parse(name).expect("a name"));
        let missing = gateway.plane().missing_upstreams(&actor(&gateway, "sales", &["officer"]), &reach);
        missing.into_iter().map(|missing| missing.name).collect::<Vec<_>>()
    };
    assert_eq!(on_route("vault"), ["vault"]);
    assert_eq!([on_route("yard"), on_route("nowhere")], [vec![], Vec::<String>::new()]);
    gateway.shutdown().await;
}

#[tokio::test]
async fn what_a_policy_asks_of_arguments_cannot_be_judged_before_the_server_was_seen() {
    let installation = Installation::new();
    installation.connector("yard", "sales", "[analyst]");
    installation.write(
        "policies/all.cedar",
        "@id(\"small\")\nforbid (principal, action, resource == Tool::\"yard_echo\") when { context.arguments.size > 3 };\n",
    );
    let gateway = installation.start().await;
    assert_eq!(missing(&gateway, &actor(&gateway, "sales", &["analyst"])), [""; 0]);
    gateway.shutdown().await;
}

#[tokio::test]
async fn the_tools_of_a_server_that_was_lost_stay_listed_and_their_calls_say_so() {
    let installation = Installation::new();
    installation.connector("yard", "sales", "[analyst]");
    let file = installation.path().join("connectors/yard.yaml");
    let text = std::fs::read_to_string(&file).expect("the file");
    let crash = "    - { name: crash, effect: read, access: { roles: [officer] } }\n";
    std::fs::write(&file, format!("{text}{crash}")).expect("written");
    installation.program("yard", "legacy");
    let gateway = installation.start().await;
    let (analyst, officer) = (actor(&gateway, "sales", &["analyst"]), actor(&gateway, "sales", &["officer"]));
    becomes(&gateway, "yard", Health::Ready).await;
    assert_eq!(missing(&gateway, &analyst), [""; 0]);
    assert_eq!(call(&gateway, &analyst, "yard_echo").await.code, None);

    std::fs::remove_file(installation.path().join("yard")).expect("removed");
    call(&gateway, &officer, "yard_crash").await;
    becomes(&gateway, "yard", Health::Missing).await;
    assert!(gateway.plane().view(&analyst).listing().contains("yard_echo"));
    assert_eq!(missing(&gateway, &analyst), ["yard: missing"]);
    assert_eq!(missing(&gateway, &actor(&gateway, "sales", &[])), [""; 0]);
    assert_eq!(call(&gateway, &analyst, "yard_echo").await.code, Some(ErrorCode::UpstreamUnavailable));

    installation.program("yard", "legacy");
    becomes(&gateway, "yard", Health::Ready).await;
    assert_eq!(missing(&gateway, &analyst), [""; 0]);
    gateway.shutdown().await;
}

#[tokio::test]
async fn a_workspace_that_demands_all_of_its_servers_answers_nothing_without_one() {
    let installation = Installation::new();
    installation.connector("yard", "sales, lab", "[analyst]");
    installation.connector("vault", "lab", "[officer]");
    installation.program("yard", "legacy");
    let gateway = installation.start().await;
    becomes(&gateway, "yard", Health::Ready).await;
    let (sales, lab) = (actor(&gateway, "sales", &["analyst"]), actor(&gateway, "lab", &["analyst"]));
    assert_eq!(call(&gateway, &sales, "yard_echo").await.code, None);
    let refused = call(&gateway, &lab, "yard_echo").await;
    assert_eq!(refused.code, Some(ErrorCode::UpstreamUnavailable));
    assert!(!refused.result.contains("vault"), "{}", refused.result);
    assert_eq!(call(&gateway, &lab, "no_such_tool").await.code, Some(ErrorCode::UpstreamUnavailable));
    assert!(gateway.plane().check_whole(&sales.workspace).is_ok());
    assert!(gateway.plane().check_whole(&lab.workspace).is_err());

    installation.program("vault", "legacy");
    becomes(&gateway, "vault", Health::Ready).await;
    assert_eq!(call(&gateway, &lab, "yard_echo").await.code, None);
    gateway.shutdown().await;
}

/// A client on a pipe, which asks for the tools.
struct Pipe {
    input: tokio::io::DuplexStream,
    output: tokio::io::Lines<BufReader<tokio::io::DuplexStream>>,
    serving: tokio::task::JoinHandle<()>,
}

impl Pipe {
    fn open(gateway: &Arc<Gateway>) -> Self {
        let (input, theirs_in) = tokio::io::duplex(1 << 16);
        let (theirs_out, output) = tokio::io::duplex(1 << 16);
        let stop = CancellationToken::new();
        let serving = Arc::clone(gateway).serve_stdio(theirs_in, theirs_out, Reach::All, stop);
        let serving = tokio::spawn(async move { serving.await.expect("a local user") });
        Self { input, output: BufReader::new(output).lines(), serving }
    }

    async fn list(&mut self) -> Value {
        let meta = json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {},
        });
        let line = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": meta}});
        self.input.write_all(format!("{line}\n").as_bytes()).await.expect("sent");
        let answer = tokio::time::timeout(PATIENCE, self.output.next_line()).await.expect("in time");
        serde_json::from_str(&answer.expect("read").expect("a line")).expect("JSON")
    }

    async fn close(self) {
        drop(self.input);
        tokio::time::timeout(PATIENCE, self.serving).await.expect("in time").expect("ended");
    }
}

#[tokio::test]
async fn a_list_says_what_is_missing_and_is_refused_where_all_is_demanded() {
    for (settings, is_refused) in
        [(SETTINGS.to_owned(), false), (SETTINGS.replace("sales: {}", "sales: { requireAll: true }"), true)]
    {
        let installation = Installation::new();
        installation.write("quaymaster.yaml", &settings);
        installation.connector("yard", "sales", "[analyst]");
        let gateway = installation.start().await;
        let mut pipe = Pipe::open(&gateway);
        let answer = pipe.list().await;
        if is_refused {
            assert_eq!(answer["error"]["data"]["code"], "upstream.unavailable", "{answer}");
        } else {
            assert_eq!(answer["result"]["tools"], json!([]), "{answer}");
            let expected = json!([{"name": "yard", "state": "missing"}]);
            assert_eq!(answer["result"]["_meta"][MISSING_UPSTREAMS], expected, "{answer}");
        }
        installation.program("yard", "legacy");
        becomes(&gateway, "yard", Health::Ready).await;
        let answer = pipe.list().await;
        assert!(answer["result"]["_meta"].get(MISSING_UPSTREAMS).is_none(), "{answer}");
        pipe.close().await;
        gateway.shutdown().await;
    }
}

#[tokio::test]
async fn a_server_that_is_shut_out_for_a_change_is_let_in_when_a_person_asks_for_a_reload() {
    let installation = Installation::new();
    let text = installation.connector("yard", "sales", "[analyst]");
    let text = text.replace("  engine: mcp", "  engine: mcp\n  required: true\n  changes: quarantine");
    installation.write("connectors/yard.yaml", &text);
    installation.program("yard", "fickle");
    let gateway = installation.start().await;
    let pipe = Pipe::open(&gateway);
    becomes(&gateway, "yard", Health::Quarantined).await;
    assert_eq!(gateway.ready(), Err("a required upstream is not up: quarantined".to_owned()));
    let analyst = actor(&gateway, "sales", &["analyst"]);
    assert_eq!(call(&gateway, &analyst, "yard_echo").await.code, Some(ErrorCode::ToolQuarantined));
    gateway.reload_now();
    becomes(&gateway, "yard", Health::Ready).await;
    assert_eq!(gateway.ready(), Ok(()));
    pipe.close().await;
    gateway.shutdown().await;
}

#[tokio::test]
async fn the_servers_of_a_configuration_are_looked_at_without_a_gateway() {
    let installation = Installation::new();
    installation.connector("yard", "sales", "[analyst]");
    installation.program("yard", "legacy");
    let file = installation.connector("vault", "sales, lab", "[officer]");
    installation
        .write("connectors/vault.yaml", &file.replace("  engine: mcp", "  engine: mcp\n  required: true"));
    let found = look_at_upstreams(installation.path(), PATIENCE).await.expect("a good configuration");
    let folder = installation.path().display().to_string();
    let shown = serde_json::to_string_pretty(&found).expect("JSON").replace(&folder, "FOLDER");
    insta::assert_snapshot!(shown);
    assert!(!installation.path().join("data").exists(), "nothing was kept");
    assert!(look_at_upstreams(&installation.path().join("nowhere"), PATIENCE).await.is_err());
}
