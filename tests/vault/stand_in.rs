//! A stand-in for a Vault server, on loopback: the part of its documented HTTP API that Quaymaster speaks.
//!
//! KV version 2 (`GET /v1/<mount>/data/<path>?version=N`), transit (`POST /v1/<mount>/decrypt/<key>`) and
//! `AppRole` (`POST /v1/auth/<mount>/login`), tokens that end, namespaces, and faults on demand. Compiled
//! into the tests of several crates, so it needs the standard library and `serde_json` alone.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::{Value, json};

/// What the server has and does.
#[derive(Debug, Default)]
pub(crate) struct State {
    /// Tokens, and for how many more requests each is good; none is for ever.
    pub(crate) tokens: BTreeMap<String, Option<u32>>,
    /// Role id and secret id of `AppRole`, and for how many requests the tokens of its log-ins are good.
    pub(crate) role: Option<(String, String, Option<u32>)>,
    /// `mount/path` of KV entries: their versions, oldest first; null is a deleted one.
    pub(crate) entries: BTreeMap<String, Vec<Value>>,
    /// Ciphertexts of transit, and the base64 of what they hold.
    pub(crate) ciphertexts: BTreeMap<String, String>,
    /// The namespace that must be asked in.
    pub(crate) namespace: Option<String>,
    /// `lease_duration` of answers, and of tokens of log-ins, in seconds.
    pub(crate) lease_s: u64,
    /// Answers everything with this status.
    pub(crate) fault: Option<u16>,
    /// Method and path of every request, in order.
    pub(crate) seen: Vec<String>,
}

/// A running server. It ends with the process.
#[derive(Clone, Debug)]
pub(crate) struct StandIn {
    pub(crate) address: SocketAddr,
    state: Arc<Mutex<State>>,
}

impl StandIn {
    /// Serves `state` on a free port.
    pub(crate) fn serve(state: State) -> Self {
        let state = Arc::new(Mutex::new(state));
        let serving = Arc::clone(&state);
        let address = serve_http(move |request| {
            let (status, answer) = serving.lock().expect("no panic").handle(request);
            (status, answer.to_string())
        });
        Self { address, state }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What it has, for looking and changing.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic")
    }

    /// How many requests there were whose method and path hold `what`.
    pub(crate) fn count(&self, what: &str) -> usize {
        self.state().seen.iter().filter(|line| line.contains(what)).count()
    }
}

/// A request that came in.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) target: String,
    /// By their names in lower case.
    pub(crate) headers: BTreeMap<String, String>,
    /// Null if it is no JSON.
    pub(crate) body: Value,
}

/// Answers requests on a free port with a status and JSON, until the process ends.
pub(crate) fn serve_http(answer: impl Fn(&Request) -> (u16, String) + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port on loopback");
    let address = listener.local_addr().expect("an address");
    let answer = Arc::new(answer);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let answer = Arc::clone(&answer);
            std::thread::spawn(move || while exchange(&stream, &*answer).is_some() {});
        }
    });
    address
}

fn exchange(stream: &TcpStream, answer: impl Fn(&Request) -> (u16, String)) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|count| *count > 0)?;
    let mut parts = line.split(' ');
    let (method, target) = (parts.next()?.to_owned(), parts.next()?.to_owned());
    let mut headers = BTreeMap::new();
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        let Some((name, value)) = header.trim_end().split_once(':') else { break };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
    let (status, text) = answer(&Request { method, target, headers, body });
    let head = "content-type: application/json\r\ncontent-length";
    let mut stream = stream;
    write!(stream, "HTTP/1.1 {status} Status\r\n{head}: {}\r\n\r\n{text}", text.len()).ok()
}

impl State {
    fn handle(&mut self, request: &Request) -> (u16, Value) {
        let Request { method, target, headers, body } = request;
        self.seen.push(format!("{method} {target}"));
        let refused = |status: u16, why: &str| (status, json!({"errors": [why]}));
        if let Some(fault) = self.fault {
            return refused(fault, "a fault");
        }
        if self.namespace.as_ref() != headers.get("x-vault-namespace") {
            return refused(403, "permission denied");
        }
        let Some(path) = target.strip_prefix("/v1/") else { return refused(404, "no handler for route") };
        if method == "POST" && path.starts_with("auth/") && path.ends_with("/login") {
            return self.log_in(body).unwrap_or_else(|| refused(400, "invalid role or secret ID"));
        }
        let token = headers.get("x-vault-token").cloned().unwrap_or_default();
        match self.tokens.get_mut(&token) {
            None | Some(Some(0)) => return refused(403, "permission denied"),
            Some(None) => {}
            Some(Some(left)) => *left -= 1,
        }
        match method.as_str() {
            "GET" => self.entry(path).unwrap_or_else(|| refused(404, "")),
            _ => self.opened(path, body).unwrap_or_else(|| refused(400, "invalid ciphertext")),
        }
    }

    fn log_in(&mut self, body: &Value) -> Option<(u16, Value)> {
        let (role, secret, good_for) = self.role.clone()?;
        (body["role_id"] == role.as_str() && body["secret_id"] == secret.as_str()).then_some(())?;
        let token = format!("hvs.{}{}", "CAESIJ".repeat(4), self.seen.len());
        self.tokens.insert(token.clone(), good_for);
        let auth = json!({"client_token": token, "lease_duration": self.lease_s, "renewable": true});
        Some((200, json!({"request_id": "1", "lease_duration": 0, "data": null, "auth": auth})))
    }

    fn entry(&self, path: &str) -> Option<(u16, Value)> {
        let (path, version) = path.split_once("?version=").unwrap_or((path, ""));
        let (mount, rest) = path.split_once("/data/")?;
        let versions = self.entries.get(&format!("{mount}/{rest}"))?;
        let at = version.parse::<usize>().map_or(versions.len(), |version| version).checked_sub(1)?;
        let data = versions.get(at)?;
        let metadata = json!({"version": at + 1, "destroyed": false, "deletion_time": ""});
        // A deleted version is answered with 404 and its metadata.
        let status = if data.is_null() { 404 } else { 200 };
        let answer = json!({
            "request_id": "1", "lease_id": "", "renewable": false, "lease_duration": self.lease_s,
            "data": {"data": data, "metadata": metadata}, "auth": null
        });
        Some((status, answer))
    }

    fn opened(&self, path: &str, body: &Value) -> Option<(u16, Value)> {
        let (_, _key) = path.split_once("/decrypt/")?;
        let plaintext = self.ciphertexts.get(body["ciphertext"].as_str()?)?;
        Some((200, json!({"request_id": "1", "lease_duration": 0, "data": {"plaintext": plaintext}})))
    }
}
