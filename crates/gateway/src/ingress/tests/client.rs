//! A server on loopback, and clients that speak to it: one over hyper, one in
//! bytes for what no honest client would send.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::harbour::Harbour;
use crate::ingress::http::{HttpSettings, serve};

pub(crate) struct Server {
    pub(crate) harbour: Arc<Harbour>,
    pub(crate) address: SocketAddr,
    pub(crate) shutdown: CancellationToken,
    pub(crate) running: JoinHandle<()>,
}

impl Server {
    pub(crate) async fn start(settings: HttpSettings) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (harbour, shutdown) = (Harbour::new(), CancellationToken::new());
        let running = tokio::spawn(serve(listener, harbour.clone(), settings, shutdown.clone()));
        Self { harbour, address, shutdown, running }
    }

    pub(crate) async fn plain() -> Self {
        Self::start(HttpSettings::default()).await
    }

    /// A client that sends as `ana`.
    pub(crate) async fn client(&self) -> Client {
        let stream = TcpStream::connect(self.address).await.expect("connected");
        let (send, connection) = handshake(TokioIo::new(stream)).await.expect("shaken");
        let connection = tokio::spawn(async move {
            let _ = connection.await;
        });
        Client { send, connection, token: "ana", session: None, path: "/mcp", address: self.address }
    }

    /// Sends bytes, and reads until the server closes.
    pub(crate) async fn exchange(&self, bytes: &[u8]) -> String {
        let mut stream = TcpStream::connect(self.address).await.expect("connected");
        stream.write_all(bytes).await.expect("sent");
        let mut answer = Vec::new();
        // A server that turns a connection away resets it; what came before counts.
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8_lossy(&answer).into_owned()
    }
}

/// The answer to one request.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        // An answer that is not there at once may come as an event.
        let event = self.text.split("\n\n").find(|event| event.starts_with("event: message\n"));
        let message = event.and_then(|event| field(event, "data")).unwrap_or_else(|| self.text.clone());
        serde_json::from_str(&message).unwrap_or_else(|e| panic!("{e}: {}", self.text))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

pub(crate) struct Client {
    send: SendRequest<Full<Bytes>>,
    connection: JoinHandle<()>,
    pub(crate) token: &'static str,
    pub(crate) session: Option<String>,
    pub(crate) path: &'static str,
    address: SocketAddr,
}

impl Client {
    fn request(&self, method: &str, headers: &[(&str, &str)], body: &str) -> Request<Full<Bytes>> {
        let mut request = Request::builder()
            .method(method)
            .uri(self.path)
            .header("host", self.address.to_string())
            .header("authorization", format!("Bearer {}", self.token))
            .header("user-agent", "test/1")
            .header("accept", "application/json, text/event-stream");
        if method == "POST" {
            request = request.header("content-type", "application/json");
        }
        if let Some(session) = &self.session {
            request = request.header("mcp-session-id", session);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(Full::from(body.to_owned())).expect("a request")
    }

    /// Sends a request, and gives the response whose body is still to come.
    pub(crate) async fn open(
        &mut self,
        method: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> http::Response<Incoming> {
        let request = self.request(method, headers, body);
        self.send.send_request(request).await.expect("a response")
    }

    pub(crate) async fn exchange(&mut self, method: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let (head, body) = self.open(method, headers, body).await.into_parts();
        let bytes = body.collect().await.expect("a body").to_bytes();
        Answer {
            status: head.status,
            headers: head.headers,
            text: String::from_utf8_lossy(&bytes).into_owned(),
        }
    }

    /// A legacy message.
    pub(crate) async fn post(&mut self, body: &Value) -> Answer {
        self.exchange("POST", &[], &body.to_string()).await
    }

    /// Opens a session, and keeps it.
    pub(crate) async fn initialize(&mut self, version: &str) -> Answer {
        self.initialize_able_to(version, json!({})).await
    }

    /// The same with these capabilities.
    pub(crate) async fn initialize_able_to(&mut self, version: &str, capabilities: Value) -> Answer {
        let body = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
            "protocolVersion": version, "capabilities": capabilities,
            "clientInfo": {"name": "codex-mcp-client", "version": "0.169.0"},
        }});
        let answer = self.post(&body).await;
        self.session = answer.header("mcp-session-id").map(str::to_owned);
        answer
    }

    /// A modern request with all that belongs to it.
    pub(crate) async fn modern(&mut self, method: &str, params: Value) -> Answer {
        let (headers, body) = modern(method, params);
        let headers: Vec<_> = headers.iter().map(|(n, v)| (*n, v.as_str())).collect();
        self.exchange("POST", &headers, &body).await
    }

    /// Closes the connection at once.
    pub(crate) async fn vanish(self) {
        self.connection.abort();
        let _ = self.connection.await;
        drop(self.send);
    }
}

/// The headers and the body of a modern request.
pub(crate) fn modern(method: &str, mut params: Value) -> (Vec<(&'static str, String)>, String) {
    let mut headers =
        vec![("mcp-protocol-version", "2026-07-28".to_owned()), ("mcp-method", method.to_owned())];
    if let Some(name) = params["name"].as_str().or(params["taskId"].as_str()) {
        headers.push(("mcp-name", name.to_owned()));
    }
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/clientInfo": {"name": "claude-code", "version": "2.1.329"},
    });
    let own = params["_meta"].take();
    params["_meta"] = meta;
    if let (Some(meta), Some(own)) = (params["_meta"].as_object_mut(), own.as_object()) {
        meta.extend(own.clone());
    }
    (headers, json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string())
}

/// The next message of a stream: comments and events without one are left out.
pub(crate) async fn next_event(body: &mut Incoming) -> Option<Value> {
    next_with_id(body).await.map(|(message, _)| message)
}

/// The same with the id of its event, if it has one.
pub(crate) async fn next_with_id(body: &mut Incoming) -> Option<(Value, Option<String>)> {
    loop {
        let event = next_frame(body).await?;
        if event.starts_with("event: message\n") {
            let data = field(&event, "data").expect("an event on one line");
            return Some((serde_json::from_str(&data).expect("JSON"), field(&event, "id")));
        }
        assert!(event == ":\n\n" || event.starts_with("id: ") || event.starts_with("retry: "), "{event}");
    }
}

/// The next piece of a stream, as it came.
pub(crate) async fn next_frame(body: &mut Incoming) -> Option<String> {
    let frame = body.frame().await?.ok()?;
    String::from_utf8(frame.into_data().ok()?.to_vec()).ok()
}

/// The field of an event that is called `name`.
pub(crate) fn field(event: &str, name: &str) -> Option<String> {
    let found = event.lines().filter_map(|line| line.split_once(": ")).find(|(field, _)| *field == name);
    found.map(|(_, value)| value.to_owned())
}

/// A bound on what must happen at once.
pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), future).await.expect("in time")
}
