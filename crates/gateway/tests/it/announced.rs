//! Lists of which a server says that they have changed, and which are what they were.

use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use quaymaster_connectors::Wire;
use quaymaster_control::crypto::SystemRandomness;
use quaymaster_core::setting::Slug;
use quaymaster_core::{
    Actor, AgentClaims, Arguments, CallId, CallRequest, Caller, Clock, Kind, Reach, SystemClock,
};
use quaymaster_gateway::Gateway;
use quaymaster_gateway::ingress::{Announced, Door};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::installation::{SETTINGS, folder, start};

/// Tools for analysts, prompts for officers.
const CONNECTOR: &str = "\
apiVersion: connector/v1
kind: Connector
metadata:
  name: docs
  version: 1.0.0
  owner: { team: a, contact: a@example.test }
  workspaces: [sales]
spec:
  engine: mcp
  prefix: docs
  server: { transport: http, url: URL, era: modern }
  limits: { timeout: 20s }
  classification: { default: internal }
  tools:
    - { name: test_trigger_tool_change, effect: read, access: { roles: [analyst] } }
    - { name: test_trigger_prompt_change, effect: read, access: { roles: [analyst] } }
  prompts:
    - { name: test_simple_prompt, access: { roles: [officer] } }
";

async fn gateway() -> (Child, tempfile::TempDir, Arc<Gateway>) {
    let server = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/upstream/everything.mjs");
    let mut command = Command::new("node");
    command.arg(server).env("PORT", "0").stdout(Stdio::piped()).kill_on_drop(true);
    let mut server = command.spawn().expect("these tests need Node 18 or newer on the PATH");
    let mut lines = BufReader::new(server.stdout.take().expect("a pipe")).lines();
    let line = lines.next_line().await.expect("readable").expect("a line");
    let url = line.strip_prefix("upstream on ").expect("the address").to_owned();
    let folder = folder();
    let write = |path: &str, text: &str| std::fs::write(folder.path().join(path), text).expect("written");
    write("connectors/docs.yaml", &CONNECTOR.replace("URL", &url));
    write("quaymaster.yaml", &SETTINGS.replace("analyst: {", "officer: { clearance: internal }, analyst: {"));
    let gateway = start(folder.path()).await.expect("started");
    (server, folder, gateway)
}

async fn call(gateway: &Gateway, caller: &Caller, tool: &str) {
    let request = CallRequest {
        id: CallId::new(&SystemClock, &SystemRandomness),
        received: SystemClock.now(),
        actor: Arc::clone(&caller.actor),
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
    assert_eq!(gateway.call(request, Wire::default()).await.code, None);
}

/// Has the server announce a change by `tool`, again until its stream of changes was open, and
/// waits until those of `callers` have heard of it whom `wanted` names: tools, prompts.
async fn told(gateway: &Gateway, tool: &str, callers: [&Caller; 2], wanted: [(bool, bool); 2]) {
    let heard = |caller: &Caller| {
        let Announced { tools, prompts, .. } = gateway.announced(caller);
        (tools > 0, prompts > 0)
    };
    let mut changes = gateway.changes();
    let told = async {
        while callers.map(heard) != wanted {
            call(gateway, callers[0], tool).await;
            let heard = tokio::time::timeout(Duration::from_secs(5), changes.changed()).await;
            assert!(!matches!(heard, Ok(Err(_))), "the gateway is there");
        }
    };
    tokio::time::timeout(Duration::from_mins(1), told).await.expect("in time");
}

#[tokio::test]
async fn who_sees_something_in_a_list_hears_of_it_though_nothing_changed_and_nobody_else() {
    let (_server, _folder, gateway) = gateway().await;
    let user = gateway.local_user().expect("a local user");
    let officer = Slug::parse("officer").expect("a name");
    let analyst: Caller = Arc::clone(&user).into();
    let officer: Caller = Arc::new(Actor { roles: Arc::new([officer]), ..Actor::clone(&user) }).into();
    let both = [&analyst, &officer];
    let none = Announced::default();
    assert_eq!(both.map(|caller| gateway.announced(caller)), [none, none]);
    let (nothing, tools, prompts) = ((false, false), (true, false), (false, true));
    told(&gateway, "docs_test_trigger_tool_change", both, [tools, nothing]).await;
    told(&gateway, "docs_test_trigger_prompt_change", both, [tools, prompts]).await;
    let elsewhere: Caller =
        Arc::new(Actor { workspace: Slug::parse("lab").expect("a name"), ..Actor::clone(&user) }).into();
    assert_eq!(gateway.announced(&elsewhere), none);
    gateway.shutdown().await;
}
