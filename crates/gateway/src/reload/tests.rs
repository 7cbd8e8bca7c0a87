//! Changes of a configuration that runs, with an upstream that is not there.

use quaymaster_connectors::mcp::Health;
use quaymaster_control::crypto::SystemRandomness;
use quaymaster_core::{DataClass, Reach, SystemClock};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};

use super::*;
use crate::config::load;
use crate::state::StartOptions;

const SETTINGS: &str = "\
apiVersion: quaymaster/v1
listen: { address: \"127.0.0.1:0\", allowedHosts: [], allowedOrigins: [] }
store: { engine: sqlite }
dataFolder: ./data
workspaces:
  sales: { title: Sales }
defaultWorkspace: sales
roles:
  analyst: { clearance: internal, description: Reads. }
localUser: { roles: [analyst], workspace: sales }
audit: { batchWindow: 5ms, strict: false }
";

const DESK: &str = "\
apiVersion: connector/v1
kind: Connector
metadata:
  name: desk
  version: 1.0.0
  title: Desk
  owner: { team: support, contact: support@example.test }
  workspaces: [sales]
spec:
  engine: mcp
  prefix: desk
  server: { transport: http, url: \"http://127.0.0.1:1/mcp\" }
  limits: { timeout: 10s, bytes: 256KiB }
  classification: { default: internal }
  tools:
    - { name: look, effect: read, access: { roles: [analyst] } }
";

struct Installation {
    folder: tempfile::TempDir,
    gateway: Arc<Gateway>,
}

impl Installation {
    async fn start(desk: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        for (path, text) in
            [("quaymaster.yaml", SETTINGS), ("connectors/desk.yaml", desk), ("policies/none.cedar", "")]
        {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
            std::fs::write(path, text).expect("a file");
        }
        let options = StartOptions {
            folder: folder.path().to_owned(),
            clock: Arc::new(SystemClock),
            randomness: Arc::new(SystemRandomness),
        };
        let gateway = Gateway::start(options).await.unwrap_or_else(|e| panic!("{e:?}"));
        Self { folder, gateway }
    }

    fn write(&self, path: &str, text: &str) {
        std::fs::write(self.folder.path().join(path), text).expect("written");
    }

    async fn reload(&self, asked: bool) -> Result<(), Held> {
        let loaded = load(self.folder.path(), SecretCheck::Resolve).expect("a good configuration");
        let _one_at_a_time = self.gateway.changing.lock().await;
        apply(&self.gateway, loaded, asked).await
    }

    fn upstream(&self) -> Arc<quaymaster_connectors::mcp::McpConnector> {
        Arc::clone(self.gateway.at_work().fleet.upstreams().next().expect("the desk"))
    }
}

async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), future).await.expect("in time")
}

#[tokio::test]
async fn a_reload_adds_no_follower_to_an_upstream_that_is_kept() {
    let installation = Installation::start(DESK).await;
    let upstream = installation.upstream();
    for _ in 0..3 {
        installation.reload(true).await.expect("taken over");
    }
    assert!(Arc::ptr_eq(&upstream, &installation.upstream()), "it uses no secret, so it is kept");
    let tasks = &installation.gateway.followers.tasks;
    soon(async {
        while tasks.len() != 1 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    installation.gateway.shutdown().await;
    tasks.close();
    soon(tasks.wait()).await;
}

#[tokio::test]
async fn a_connector_that_went_is_stopped_when_the_calls_that_ran_have_ended() {
    let installation = Installation::start(DESK).await;
    let before = installation.upstream();
    let (_, running) = installation.gateway.enter();
    // Two planes later the call still counts.
    installation.write("policies/none.cedar", "// changed\n");
    installation.reload(false).await.expect("taken over");
    installation.write("connectors/desk.yaml", &DESK.replace("10s", "11s"));
    installation.reload(false).await.expect("taken over");
    assert!(!Arc::ptr_eq(&before, &installation.upstream()));
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
    assert_ne!(before.state().health, Health::Stopped, "a call runs on it");
    drop(running);
    soon(async {
        while before.state().health != Health::Stopped {
            tokio::task::yield_now().await;
        }
    })
    .await;
    installation.gateway.shutdown().await;
}

#[tokio::test]
async fn the_end_of_the_gateway_stops_what_a_reload_left_behind() {
    let installation = Installation::start(DESK).await;
    let before = installation.upstream();
    let (_, running) = installation.gateway.enter();
    installation.write("connectors/desk.yaml", &DESK.replace("10s", "11s"));
    installation.reload(false).await.expect("taken over");
    soon(installation.gateway.shutdown()).await;
    assert_eq!(before.state().health, Health::Stopped);
    drop(running);
}

#[tokio::test]
async fn a_configuration_that_cannot_be_recorded_is_asked_for_again() {
    let installation = Installation::start(DESK).await;
    let gateway = &installation.gateway;
    let before = gateway.plane();
    before.evidence.audit.close().await;
    installation.write("connectors/desk.yaml", &DESK.replace("10s", "11s"));
    let held = installation.reload(false).await.expect_err("there is no log to record it in");
    assert!(matches!(held, Held::Unrecorded(_)), "{held:?}");
    assert!(Arc::ptr_eq(&before, &gateway.plane()), "the old one goes on");

    let folder = installation.folder.path().to_owned();
    let digest = gateway.at_work().loaded.digest.clone();
    let (mut changes, reload) = watch(folder, digest, SecretCheck::Resolve, Duration::from_hours(1));
    gateway.requests.pass_to(reload);
    ask_again(gateway, Duration::ZERO);
    assert!(soon(changes.recv()).await.is_some_and(|change| change.asked));
}

#[tokio::test]
async fn a_request_that_comes_before_the_configuration_is_followed_is_not_lost() {
    let installation = Installation::start(DESK).await;
    installation.gateway.reload_now();
    let folder = installation.folder.path().to_owned();
    let digest = installation.gateway.at_work().loaded.digest.clone();
    let (mut changes, reload) = watch(folder, digest, SecretCheck::Resolve, Duration::from_hours(1));
    installation.gateway.requests.pass_to(reload);
    assert!(soon(changes.recv()).await.is_some_and(|change| change.asked));
    installation.gateway.shutdown().await;
}

#[tokio::test]
async fn a_gateway_without_its_audit_log_or_a_required_upstream_is_not_ready() {
    let installation = Installation::start(DESK).await;
    assert_eq!(installation.gateway.ready(), Ok(()), "the desk is not required");
    installation.write("connectors/desk.yaml", &DESK.replace("  limits:", "  required: true\n  limits:"));
    installation.reload(false).await.expect("taken over");
    let reason = installation.gateway.ready().expect_err("it is required now");
    assert_eq!(reason, "a required upstream is not up: unreachable");
    installation.gateway.shutdown().await;
    assert_eq!(installation.gateway.ready(), Err("shutting down".to_owned()));
}

#[tokio::test]
async fn an_open_pipe_follows_the_local_user_of_the_configuration() {
    let installation = Installation::start(DESK).await;
    let gateway = &installation.gateway;
    let (mut input, theirs_in) = tokio::io::duplex(1 << 16);
    let (theirs_out, output) = tokio::io::duplex(1 << 16);
    let stop = CancellationToken::new();
    let serving = tokio::spawn(Arc::clone(gateway).serve_stdio(theirs_in, theirs_out, Reach::All, stop));
    let mut output = BufReader::new(output).lines();
    let mut ask = async |id: u32| -> Value {
        let meta = json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {},
        });
        let line = json!({"jsonrpc": "2.0", "id": id, "method": "tools/list", "params": {"_meta": meta}});
        input.write_all(format!("{line}\n").as_bytes()).await.expect("sent");
        let answer = soon(output.next_line()).await.expect("read").expect("a line");
        serde_json::from_str(&answer).expect("JSON")
    };
    assert!(ask(1).await["result"]["tools"].is_array());
    assert_eq!(gateway.local_user().expect("a user").clearance, DataClass::Internal);

    installation.write("quaymaster.yaml", &SETTINGS.replace("clearance: internal", "clearance: public"));
    installation.reload(false).await.expect("taken over");
    assert_eq!(gateway.local_user().expect("a user").clearance, DataClass::Public);

    let nobody = SETTINGS.replace("localUser: { roles: [analyst], workspace: sales }\n", "");
    installation.write("quaymaster.yaml", &nobody);
    installation.reload(false).await.expect("taken over");
    let refused = ask(2).await;
    assert!(
        refused["error"]["message"].as_str().is_some_and(|m| m.contains("has no local user")),
        "{refused}"
    );
    drop(input);
    soon(serving).await.expect("ended").expect("served");
    gateway.shutdown().await;
}
