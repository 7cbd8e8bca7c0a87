//! A gateway that trusts an issuer, at a time of our own.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use quaymaster_control::crypto::SystemRandomness;
use quaymaster_core::clock::FixedClock;
use quaymaster_core::{Actor, Clock as _, Timestamp};
use quaymaster_gateway::ingress::{Arrival, Door as _};
use quaymaster_gateway::{Gateway, StartOptions};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use super::issuer::Issuer;
use crate::installation::folder;

/// The gateway's own URL, for which tokens are issued.
pub(crate) const GATEWAY: &str = "https://gateway.example.test";
const NOW: u64 = 1_795_255_200;

pub(crate) struct World {
    pub(crate) issuer: Issuer,
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) clock: Arc<FixedClock>,
    pub(crate) folder: tempfile::TempDir,
    stop: CancellationToken,
}

/// A folder whose settings trust `issuer`, with more settings of it.
pub(crate) fn configured(issuers: &[(&str, &Issuer, &str)]) -> tempfile::TempDir {
    let folder = folder();
    let path = folder.path().join("quaymaster.yaml");
    let mut text = std::fs::read_to_string(&path).expect("settings");
    let listen =
        format!("listen: {{ address: '127.0.0.1:0', console: '127.0.0.1:0', publicUrl: '{GATEWAY}' }}\n");
    text.push_str(&listen);
    text.push_str("secrets: { files: ./secrets }\nidentity:\n  issuers:\n");
    for (name, issuer, more) in issuers {
        let entry = format!("    - name: {name}\n      issuer: '{}'\n", issuer.url);
        text.push_str(&entry);
        let lines = more.lines().map(|line| ["      ", line, "\n"].concat());
        text.extend(lines);
    }
    std::fs::write(&path, text).expect("settings");
    let secrets = folder.path().join("secrets");
    std::fs::create_dir(&secrets).expect("a folder");
    let secret = secrets.join("GATEWAY_SECRET");
    std::fs::write(&secret, "s3cret").expect("a secret");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&secret, mode).expect("private");
    folder
}

pub(crate) async fn start(folder: &std::path::Path) -> (Arc<Gateway>, Arc<FixedClock>) {
    let clock = Arc::new(FixedClock::new(Timestamp::from_micros(NOW * 1_000_000)));
    let options = StartOptions {
        folder: folder.to_owned(),
        clock: clock.clone(),
        randomness: Arc::new(SystemRandomness),
    };
    (Gateway::start(options).await.expect("started"), clock)
}

impl World {
    /// A gateway that trusts `corp`, by these settings of it.
    pub(crate) async fn new(more: &str) -> Self {
        let issuer = Issuer::start().await;
        let folder = configured(&[("corp", &issuer, more)]);
        let (gateway, clock) = start(folder.path()).await;
        Self { issuer, gateway, clock, folder, stop: CancellationToken::new() }
    }

    /// The claims of a token that counts.
    pub(crate) fn claims(&self) -> Value {
        let now = self.clock.now().as_secs();
        json!({
            "iss": self.issuer.url, "aud": format!("{GATEWAY}/mcp"), "sub": "ada", "iat": now, "exp": now + 300,
            "roles": ["analyst"], "scope": "use",
        })
    }

    /// A token that counts, but for these claims.
    pub(crate) fn token(&self, other: &Value) -> String {
        let mut claims = self.claims();
        for (name, value) in other.as_object().expect("claims") {
            match value {
                Value::Null => claims.as_object_mut().expect("claims").remove(name),
                _ => claims.as_object_mut().expect("claims").insert(name.clone(), value.clone()),
            };
        }
        self.issuer.key.token(&json!({"alg": "RS256", "kid": "k1", "typ": "at+jwt"}), &claims)
    }

    /// Serves the console, and gives where.
    pub(crate) async fn serve_console(&self) -> String {
        let listener = self.gateway.listen_for_console().await.expect("a port").expect("it is configured");
        let address = listener.local_addr().expect("an address").to_string();
        tokio::spawn(Arc::clone(&self.gateway).serve_console(listener));
        address
    }

    /// Who bears `token` at `path`, or the code of the refusal.
    pub(crate) async fn who(&self, token: &str, path: &str) -> Result<Arc<Actor>, String> {
        who(&self.gateway, token, path).await
    }

    /// Whether `token` counts.
    pub(crate) async fn counts(&self, token: &str) -> bool {
        match self.who(token, "/mcp").await {
            Ok(_) => true,
            Err(code) => {
                assert_eq!(code, "auth.invalid");
                false
            }
        }
    }

    pub(crate) fn later(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    /// Serves, and gives where.
    pub(crate) async fn serve(&self) -> SocketAddr {
        let listener = self.gateway.listen().await.expect("a port");
        let address = listener.local_addr().expect("an address");
        tokio::spawn(Arc::clone(&self.gateway).serve(listener, self.stop.clone()));
        address
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

pub(crate) async fn who(gateway: &Gateway, token: &str, path: &str) -> Result<Arc<Actor>, String> {
    let header = format!("Bearer {token}");
    let workspace = path.strip_prefix("/w/").and_then(|rest| rest.split('/').next());
    let arrival = Arrival { authorization: Some(&header), workspace, path };
    gateway.authenticate(arrival).await.map_err(|error| error.code.to_string())
}

/// An answer over HTTP.
pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: String,
}

impl Answer {
    /// A header of the answer.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.head.lines().filter_map(|line| line.split_once(": "));
        headers.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    pub(crate) fn challenge(&self) -> &str {
        self.header("www-authenticate").unwrap_or_default()
    }
}

/// Sends one request with these lines in its head.
pub(crate) async fn send(address: SocketAddr, request: &str, headers: &str, body: &str) -> Answer {
    let mut stream = TcpStream::connect(address).await.expect("connected");
    let length = body.len();
    let text = format!(
        "{request} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n{body}"
    );
    stream.write_all(text.as_bytes()).await.expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    Answer { status, head: head.to_owned(), body: body.to_owned() }
}

/// Calls `name` over HTTP.
pub(crate) async fn call(
    address: SocketAddr,
    path: &str,
    token: &str,
    name: &str,
    arguments: &Value,
) -> Answer {
    ask((address, path), token, "tools/call", json!({"name": name, "arguments": arguments})).await
}

/// Asks at a place for `method`, as a client of 2026-07-28.
pub(crate) async fn ask(
    (address, path): (SocketAddr, &str),
    token: &str,
    method: &str,
    mut params: Value,
) -> Answer {
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    params.as_object_mut().expect("parameters").insert("_meta".into(), meta);
    let name = match params.get("name").and_then(Value::as_str) {
        Some(name) => {
            let encoded = base64::engine::general_purpose::STANDARD.encode(name);
            format!("mcp-name: =?base64?{encoded}?=\r\n")
        }
        None => String::new(),
    };
    let headers = format!(
        "authorization: Bearer {token}\r\ncontent-type: application/json\r\naccept: application/json\r\n\
         mcp-protocol-version: 2026-07-28\r\nmcp-method: {method}\r\n{name}"
    );
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
    send(address, &format!("POST {path}"), &headers, &body.to_string()).await
}
