//! A gateway with good tools of its own, to which hostile servers are connected and taken away again.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::process::Signal;
use serde_json::{Value, json};

use super::behaviour::{Behaviour, Era, Over};
use super::caller::Caller;
use super::servers::settled;
use crate::gateway::{BINARY, run_in, signal};

const SETTINGS: &str = "\
apiVersion: quaymaster/v1
listen: { address: '127.0.0.1:0', metrics: '127.0.0.1:0', sessionIdle: 5s }
workspaces: { sales: { catalogue: { search: never } } }
defaultWorkspace: sales
roles: { analyst: { clearance: internal } }
localUser: { roles: [analyst] }
";

const NUMBERS: &str = "\
apiVersion: connector/v1
kind: Connector
metadata:
  name: numbers
  version: 1.0.0
  owner: { team: a, contact: a@example.test }
  workspaces: [sales]
spec:
  engine: sql
  connection: { dialect: sqlite, path: ./numbers.db, session: { statementTimeout: 5s } }
  limits: { timeout: 10s }
  classification: { default: internal }
  tools:
    - name: one
      effect: read
      description: One, for whoever wants to know that the gateway answers.
      access: { roles: [analyst] }
      template: { version: 1, statement: SELECT 1 AS number }
";

const CONNECTOR: &str = "\
apiVersion: connector/v1
kind: Connector
metadata:
  name: NAME
  version: 1.0.0
  owner: { team: a, contact: a@example.test }
  workspaces: [sales]
spec:
  engine: mcp
  prefix: PREFIX
  server: SERVER
  limits: { timeout: TIMEOUT, breaker: { failures: 1000 } }
  classification: { default: internal }
  tools:
    - { name: go, effect: read, access: { roles: [analyst] } }
";

/// A hostile server that the gateway is connected to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Upstream {
    pub(super) behaviour: Behaviour,
    pub(super) era: Era,
    pub(super) over: Over,
}

impl Upstream {
    /// The name of its connector.
    pub(super) fn name(self) -> String {
        self.tool().trim_end_matches("_go").replace('_', "-")
    }

    /// The name of its one tool for agents.
    pub(super) fn tool(self) -> String {
        let over = if self.over == Over::Http { "http" } else { "stdio" };
        format!("{}_{}_{over}_go", self.behaviour.name(), self.era.name())
    }
}

/// A running gateway and the hostile servers over HTTP. Both are killed when it is dropped.
pub(super) struct Gateway {
    folder: tempfile::TempDir,
    process: Child,
    servers: Child,
    servers_address: String,
    address: String,
    metrics_address: String,
}

impl Gateway {
    /// A gateway with a good database and two good MCP servers.
    pub(super) fn start() -> Self {
        let folder = installation();
        let (servers, servers_address) = servers(folder.path());
        let (process, [address, metrics_address]) = serve(folder.path());
        let gateway = Self { folder, process, servers, servers_address, address, metrics_address };
        let good = [(Era::Modern, Over::Stdio), (Era::Legacy, Over::Http)];
        gateway.connect(&good.map(|(era, over)| Upstream { behaviour: Behaviour::Good, era, over }), "30s");
        gateway
    }

    /// Connects it to `upstreams`, and takes nothing away. A call of theirs may take `timeout`.
    pub(super) fn connect(&self, upstreams: &[Upstream], timeout: &str) {
        for upstream in upstreams {
            let text = CONNECTOR
                .replace("NAME", &upstream.name())
                .replace("PREFIX", upstream.tool().trim_end_matches("_go"))
                .replace("SERVER", &self.server(*upstream).to_string())
                .replace("TIMEOUT", timeout);
            fs::write(self.file(*upstream), text).expect("written");
        }
        self.signal(Signal::HUP);
    }

    /// Takes `upstreams` away.
    pub(super) fn disconnect(&self, upstreams: &[Upstream]) {
        for upstream in upstreams {
            fs::remove_file(self.file(*upstream)).expect("removed");
        }
        self.signal(Signal::HUP);
    }

    fn file(&self, upstream: Upstream) -> PathBuf {
        self.folder.path().join("connectors").join(upstream.name()).with_extension("yaml")
    }

    fn server(&self, Upstream { behaviour, era, over }: Upstream) -> Value {
        let (behaviour, era) = (behaviour.name(), era.name());
        match over {
            Over::Http => {
                json!({"transport": "http", "url": format!("http://{}/{behaviour}/{era}/mcp", self.servers_address)})
            }
            Over::Stdio | Over::Both => json!({
                "transport": "stdio", "command": program(),
                "args": ["stdio", behaviour, era, self.mark()],
            }),
        }
    }

    /// How many requests came to a path of the servers over HTTP: with GET and with POST.
    pub(super) fn requests(&self, path: &str) -> (u64, u64) {
        let servers = Caller { address: self.servers_address.clone(), token: String::new() };
        let request = servers.request("GET", &[], "").replacen("/mcp", &format!("/count{path}"), 1);
        let counts = servers.send(&request).expect("an answer").message();
        (counts["get"].as_u64().expect("a count"), counts["post"].as_u64().expect("a count"))
    }

    /// Somebody new who may call every tool.
    pub(super) fn caller(&self, who: &str) -> Caller {
        let actor = format!("{who}@example.test");
        let made = run_in(
            self.folder.path(),
            &["token", "create", "--actor", &actor, "--role", "analyst", "--json"],
        );
        assert_eq!(made.code, 0, "{}", made.complaint);
        let made: Value = serde_json::from_str(&made.output).expect("JSON");
        Caller { address: self.address.clone(), token: made["token"].as_str().expect("a token").to_owned() }
    }

    /// What a scraper reads.
    pub(super) fn metrics(&self) -> String {
        let scraper = Caller { address: self.metrics_address.clone(), token: String::new() };
        let request = scraper.request("GET", &[], "").replacen("/mcp", "/metrics", 1);
        scraper.send(&request).expect("an answer").text
    }

    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What is in the command line of every process that the gateway started.
    pub(super) fn mark(&self) -> &str {
        self.folder.path().to_str().expect("UTF-8")
    }

    pub(super) fn process_id(&self) -> u32 {
        self.process.id()
    }

    pub(super) fn signal(&self, what: Signal) {
        signal(self.process.id(), what);
    }

    pub(super) fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).expect("the log")
    }

    /// Calls the good tools and lists all, over and over while `work` is done: each must be answered.
    pub(super) fn others_are_served_during(others: &Caller, work: impl FnOnce()) {
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let serving = scope.spawn(|| {
                loop {
                    Self::is_good(others);
                    if done.load(Ordering::SeqCst) {
                        return;
                    }
                    std::thread::sleep(std::time::Duration::from_millis(200));
                }
            });
            let finished = Finished(&done);
            work();
            drop(finished);
            serving.join().expect("others were served");
        });
    }

    /// Waits until the good tools are there, and calls them.
    pub(super) fn settle(others: &Caller) {
        let good = Upstream { behaviour: Behaviour::Good, era: Era::Legacy, over: Over::Http };
        assert_eq!(settled(others, &[good]), [""; 0]);
        Self::is_good(others);
    }

    /// The good tools answer, and the list is there.
    pub(super) fn is_good(others: &Caller) {
        let good = ["numbers_one", "good_modern_stdio_go", "good_legacy_http_go"];
        for tool in good {
            assert_eq!(others.call(tool, &json!({})), "", "{tool}");
        }
        let (tools, _) = others.list();
        assert!(good.iter().all(|good| tools.iter().any(|tool| tool == good)), "{tools:?}");
    }
}

/// Says that it is done, even when that is a panic.
struct Finished<'a>(&'a AtomicBool);

impl Drop for Finished<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        for process in [&mut self.process, &mut self.servers] {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

fn installation() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let files = [
        ("quaymaster.yaml", SETTINGS),
        ("connectors/numbers.yaml", NUMBERS),
        ("policies/none.cedar", ""),
        ("numbers.db", ""),
    ];
    for (path, text) in files {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        fs::write(path, text).expect("written");
    }
    folder
}

/// The program that is all hostile servers. Cargo builds examples with the tests.
fn program() -> PathBuf {
    let program = Path::new(BINARY).parent().expect("a folder").join("examples/hostile_server");
    assert!(program.exists(), "build it: cargo build --package quaymaster --example hostile_server");
    program
}

fn servers(folder: &Path) -> (Child, String) {
    let mut process = Command::new(program())
        // Not the mark: these are not the gateway's.
        .args(["http", "of a test"])
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the hostile servers");
    let mut line = String::new();
    BufReader::new(process.stdout.take().expect("a pipe")).read_line(&mut line).expect("an address");
    (process, line.trim().to_owned())
}

fn serve(folder: &Path) -> (Child, [String; 2]) {
    let log = folder.join("log");
    let mut process = Command::new(BINARY)
        .args(["--log-format", "json", "serve", "--json", "-c"])
        .arg(folder)
        .env("RUST_LOG", "error")
        .stdout(Stdio::piped())
        .stderr(fs::File::create(&log).expect("a log"))
        .spawn()
        .expect("the binary");
    let mut line = String::new();
    BufReader::new(process.stdout.take().expect("a pipe")).read_line(&mut line).expect("a line");
    let ready: Value = serde_json::from_str(&line)
        .unwrap_or_else(|e| panic!("{e}: {line}{}", fs::read_to_string(log).unwrap_or_default()));
    let address = |name: &str| {
        let url = ready[name].as_str().unwrap_or_else(|| panic!("no `{name}`: {ready}"));
        url.trim_start_matches("http://").split('/').next().unwrap_or_default().to_owned()
    };
    (process, ["mcp_url", "metrics_url"].map(address))
}
