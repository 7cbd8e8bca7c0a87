//! A demo that runs, and a client that speaks to it by hand.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_quaymaster");
const REVISION: &str = "2026-07-28";

/// A demo that serves. Killed when dropped.
pub(crate) struct Demo {
    pub(crate) folder: PathBuf,
    pub(crate) address: String,
    pub(crate) analyst: String,
    pub(crate) support: String,
    pub(crate) manager: String,
    process: Child,
    temporary: Option<tempfile::TempDir>,
}

impl Demo {
    /// A demo in a folder of its own.
    pub(crate) fn start() -> Self {
        let temporary = tempfile::tempdir().expect("a folder");
        let mut demo = Self::start_in(&temporary.path().join("demo"), "127.0.0.1:0");
        demo.temporary = Some(temporary);
        demo
    }

    /// A demo in `folder`, which may be there already.
    pub(crate) fn start_in(folder: &Path, listen: &str) -> Self {
        Self::start_with(folder, listen, &[])
    }

    /// A demo in `folder` with more variables in its environment.
    pub(crate) fn start_with(folder: &Path, listen: &str, environment: &[(&str, &str)]) -> Self {
        let mut process = Command::new(BINARY)
            .args(["demo", "--json", "--listen", listen, "--data"])
            .arg(folder)
            .env("RUST_LOG", "trace")
            .envs(environment.iter().copied())
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(folder.with_extension("log")).expect("a log file"))
            .spawn()
            .expect("the binary");
        let mut line = String::new();
        BufReader::new(process.stdout.take().expect("a pipe")).read_line(&mut line).expect("a line");
        let ready: Value = serde_json::from_str(&line).unwrap_or_else(|e| {
            let log = std::fs::read_to_string(folder.with_extension("log")).unwrap_or_default();
            panic!("the demo did not start: {e}: {line}{log}")
        });
        let text = |pointer: &str| ready.pointer(pointer).and_then(Value::as_str).expect(pointer).to_owned();
        Self {
            folder: folder.to_owned(),
            address: text("/mcp_url").trim_start_matches("http://").trim_end_matches("/mcp").to_owned(),
            analyst: text("/tokens/analyst"),
            support: text("/tokens/support"),
            manager: text("/tokens/manager"),
            process,
            temporary: None,
        }
    }

    /// The id of the gateway's process.
    pub(crate) fn process_id(&self) -> rustix::process::Pid {
        rustix::process::Pid::from_child(&self.process)
    }

    /// The ids of the gateway's child processes.
    pub(crate) fn children(&self) -> Vec<u32> {
        children_of(&self.process)
    }

    /// Sends a signal to the gateway.
    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        rustix::process::kill_process(self.process_id(), signal).expect("signalled");
    }

    /// What it logged so far.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.folder.with_extension("log")).expect("the log")
    }

    /// Ends it as a power cut would.
    pub(crate) fn kill(&mut self) {
        self.process.kill().expect("killed");
        self.process.wait().expect("reaped");
    }

    /// Ends it as an administrator would, and waits.
    pub(crate) fn terminate(&mut self) {
        self.signal(rustix::process::Signal::TERM);
        let status = self.process.wait().expect("reaped");
        assert!(status.success(), "{status}: {}", self.log());
    }

    /// Calls a tool; the result, or the protocol's error.
    pub(crate) fn call(&self, token: &str, tool: &str, arguments: &Value) -> Result<Value, Value> {
        let answer = self.try_call(token, tool, arguments).expect("an answer");
        match answer.get("result") {
            Some(result) => Ok(result.clone()),
            None => Err(answer.get("error").cloned().unwrap_or(answer)),
        }
    }

    /// Calls a tool on a connection that may break.
    pub(crate) fn try_call(&self, token: &str, tool: &str, arguments: &Value) -> std::io::Result<Value> {
        self.ask(token, "tools/call", tool, &json!({"name": tool, "arguments": arguments}))
    }

    /// The names of the tools that the token's bearer sees.
    pub(crate) fn tools(&self, token: &str) -> Vec<String> {
        let answer = self.ask(token, "tools/list", "", &json!({})).expect("an answer");
        let tools = answer["result"]["tools"].as_array().expect("tools");
        tools.iter().filter_map(|t| t["name"].as_str().map(ToOwned::to_owned)).collect()
    }

    fn ask(&self, token: &str, method: &str, name: &str, params: &Value) -> std::io::Result<Value> {
        self.ask_at("/mcp", token, (method, name), params)
    }

    /// Sends a request of a method, for what is called `name` if it is for something that has one.
    pub(crate) fn ask_at(
        &self,
        path: &str,
        token: &str,
        (method, name): (&str, &str),
        params: &Value,
    ) -> std::io::Result<Value> {
        let mut params = params.clone();
        params["_meta"] = json!({
            "io.modelcontextprotocol/protocolVersion": REVISION,
            "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
            "io.modelcontextprotocol/clientCapabilities": {},
        });
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string();
        let name = if name.is_empty() { String::new() } else { format!("Mcp-Name: {name}\r\n") };
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n\
             Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n\
             MCP-Protocol-Version: {REVISION}\r\nMcp-Method: {method}\r\n{name}Content-Length: {}\r\n\r\n{body}",
            self.address,
            body.len(),
        );
        let mut stream = TcpStream::connect(&self.address)?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        stream.write_all(request.as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        serde_json::from_str(body).map_err(|e| std::io::Error::other(format!("{e}: {answer}")))
    }

    /// Runs a command of the binary on this installation.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        run_in(&self.folder, arguments)
    }

    /// All records of the audit log.
    pub(crate) fn records(&self) -> Vec<Value> {
        let ran = self.run(&["audit", "tail", "-n", "100000", "--json"]);
        assert_eq!(ran.code, 0, "{}", ran.complaint);
        ran.output.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The ids of a process's children; none if it has ended.
pub(crate) fn children_of(process: &Child) -> Vec<u32> {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", process.id()));
    let mut children: Vec<u32> = tasks
        .into_iter()
        .flatten()
        .filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("children")).ok())
        .flat_map(|list| list.split_whitespace().filter_map(|id| id.parse().ok()).collect::<Vec<u32>>())
        .collect();
    children.sort_unstable();
    children
}

/// Sends a signal to the process with this id.
pub(crate) fn signal(id: u32, signal: rustix::process::Signal) {
    let id = i32::try_from(id).ok().and_then(rustix::process::Pid::from_raw).expect("a process id");
    rustix::process::kill_process(id, signal).expect("signalled");
}

/// How a command went.
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) output: String,
    pub(crate) complaint: String,
}

/// Runs a command of the binary with `folder` as its configuration.
pub(crate) fn run_in(folder: &Path, arguments: &[&str]) -> Ran {
    let (command, rest) = arguments.split_first().expect("a command");
    let grouped =
        ["approvals", "token", "tools", "audit", "keys", "policy", "incident", "idempotency", "credentials"]
            .contains(command);
    let mut process = Command::new(BINARY);
    process.arg(command);
    // What is proved is a command of its own.
    let words = if rest.first() == Some(&"prove") { 2 } else { usize::from(grouped) };
    let (actions, rest) = rest.split_at(words.min(rest.len()));
    process.args(actions);
    let done = process.arg("-c").arg(folder).args(rest).output().expect("the binary");
    Ran {
        code: done.status.code().unwrap_or(-1),
        output: String::from_utf8(done.stdout).expect("UTF-8"),
        complaint: String::from_utf8(done.stderr).expect("UTF-8"),
    }
}

/// Waits until `condition` holds; fails after ten seconds.
pub(crate) fn eventually(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !condition() {
        assert!(Instant::now() < deadline, "waited in vain for: {what}");
        std::thread::yield_now();
    }
}
