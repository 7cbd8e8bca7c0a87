//! An HTTP server that does what a test says, on loopback.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, Method, Response, StatusCode};
use http_body_util::{BodyExt, Full, StreamBody, combinators::BoxBody};
use hyper::body::Frame;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::sync::mpsc::UnboundedReceiver;

use super::*;

/// A request that came in.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) verb: Method,
    /// Path and query.
    pub(super) target: String,
    pub(super) headers: HeaderMap,
    /// The JSON-RPC message; null if there was none.
    pub(super) message: Value,
}

impl Seen {
    pub(super) fn method(&self) -> &str {
        self.message["method"].as_str().unwrap_or_default()
    }

    pub(super) fn tool(&self) -> &str {
        self.message["params"]["name"].as_str().unwrap_or_default()
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().expect("ASCII"))
    }

    /// The answer to this request with `result`.
    pub(super) fn result(&self, result: impl Into<Value>) -> Reply {
        Reply::json(&json!({"jsonrpc": "2.0", "id": self.message["id"], "result": result.into()}))
    }

    pub(super) fn error(&self, code: i64, message: &str) -> Reply {
        let error = json!({"code": code, "message": message});
        Reply::json(&json!({"jsonrpc": "2.0", "id": self.message["id"], "error": error}))
    }
}

/// What the server does.
pub(super) enum Reply {
    /// Answers with status, headers and body.
    Answer { status: u16, headers: Vec<(&'static str, String)>, body: Vec<u8> },
    /// Answers with a stream of these parts, and then leaves it open, ends it or breaks it.
    Stream { parts: Vec<String>, end: End },
    /// Answers with a stream of what comes here, which ends when nothing more can come.
    Live(UnboundedReceiver<String>),
    /// Never answers.
    Never,
    /// Closes the connection.
    HangUp,
}

pub(super) enum End {
    Stays,
    Ends,
    Breaks,
    /// Once that has happened, this part, and then the end.
    After(Arc<Notify>, String),
}

impl Reply {
    pub(super) fn json(body: &Value) -> Self {
        Self::status(200, &body.to_string())
    }

    pub(super) fn status(status: u16, body: &str) -> Self {
        let headers = vec![("content-type", "application/json".to_owned())];
        Self::Answer { status, headers, body: body.into() }
    }

    pub(super) fn with(mut self, name: &'static str, value: &str) -> Self {
        if let Self::Answer { headers, .. } = &mut self {
            headers.retain(|(known, _)| *known != name);
            headers.push((name, value.into()));
        }
        self
    }
}

type Script = dyn Fn(&Seen) -> Reply + Send + Sync;

/// A running scripted server. Dropped, it is gone.
pub(super) struct Scripted {
    pub(super) address: SocketAddr,
    pub(super) requests: Arc<Mutex<Vec<Seen>>>,
    /// How many requests without an answer were given up by the client.
    pub(super) given_up: Arc<AtomicUsize>,
    /// How many connections were made.
    pub(super) connections: Arc<AtomicUsize>,
    /// Notified to break all connections.
    cut: Arc<Notify>,
    accepting: tokio::task::JoinHandle<()>,
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.cut.notify_waiters();
        self.accepting.abort();
    }
}

impl Scripted {
    pub(super) async fn serve(script: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        Self::serve_at(SocketAddr::from(([127, 0, 0, 1], 0)), script).await
    }

    pub(super) async fn serve_at(
        address: SocketAddr,
        script: impl Fn(&Seen) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind(address).await.expect("a port on loopback");
        let address = listener.local_addr().expect("an address");
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (given_up, cut) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
        let server = Connection {
            script: Arc::new(script),
            requests: Arc::clone(&requests),
            given_up: Arc::clone(&given_up),
        };
        let connections = Arc::new(AtomicUsize::new(0));
        let (cutting, counted) = (Arc::clone(&cut), Arc::clone(&connections));
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                stream.set_nodelay(true).expect("a socket");
                counted.fetch_add(1, Ordering::SeqCst);
                let (server, cutting) = (server.clone(), Arc::clone(&cutting));
                tokio::spawn(async move {
                    let service = hyper::service::service_fn(|request| server.clone().answer(request));
                    let serving = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service);
                    tokio::select! { _ = serving => {}, () = cutting.notified() => {} }
                });
            }
        });
        Self { address, requests, given_up, connections, cut, accepting }
    }

    /// Breaks all connections and frees the port.
    pub(super) async fn stop(mut self) {
        self.cut.notify_waiters();
        self.accepting.abort();
        assert!((&mut self.accepting).await.is_err_and(|error| error.is_cancelled()));
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}/mcp", self.address)
    }

    /// A connector to this server.
    pub(super) fn spec(&self, tools: &[&str]) -> Value {
        spec(json!({"transport": "http", "url": self.url()}), tools)
    }

    /// How many requests of `method` came in.
    pub(super) fn count(&self, method: &str) -> usize {
        self.requests.lock().expect("no panic").iter().filter(|seen| seen.method() == method).count()
    }

    pub(super) fn seen(&self, method: &str) -> Vec<Seen> {
        let requests = self.requests.lock().expect("no panic");
        requests.iter().filter(|seen| seen.method() == method).cloned().collect()
    }
}

#[derive(Clone)]
struct Connection {
    script: Arc<Script>,
    requests: Arc<Mutex<Vec<Seen>>>,
    given_up: Arc<AtomicUsize>,
}

struct CountDrop(Arc<AtomicUsize>);

impl Drop for CountDrop {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

type Body = BoxBody<Bytes, std::io::Error>;

impl Connection {
    async fn answer(
        self,
        request: http::Request<hyper::body::Incoming>,
    ) -> Result<Response<Body>, std::io::Error> {
        let (head, body) = request.into_parts();
        let body = body.collect().await.map_err(std::io::Error::other)?.to_bytes();
        let message = serde_json::from_slice(&body).unwrap_or(Value::Null);
        let seen = Seen { verb: head.method, target: head.uri.to_string(), headers: head.headers, message };
        self.requests.lock().expect("no panic").push(seen.clone());
        let response = match (self.script)(&seen) {
            Reply::Answer { status, headers, body } => {
                let mut response =
                    Response::builder().status(StatusCode::from_u16(status).expect("a status"));
                for (name, value) in headers {
                    response = response.header(name, value);
                }
                let body = Full::new(Bytes::from(body)).map_err(|never: Infallible| match never {}).boxed();
                response.body(body).expect("a response")
            }
            Reply::Stream { parts, end } => {
                let response = Response::builder().header("content-type", "text/event-stream");
                let counted = CountDrop(Arc::clone(&self.given_up));
                response.body(StreamBody::new(streamed(parts, end, counted)).boxed()).expect("a response")
            }
            Reply::Live(parts) => {
                let response = Response::builder().header("content-type", "text/event-stream");
                let state = (parts, CountDrop(Arc::clone(&self.given_up)));
                let parts = stream::unfold(state, |(mut parts, counted)| async move {
                    let part = parts.recv().await?;
                    Some((Ok(Frame::data(Bytes::from(part))), (parts, counted)))
                });
                response.body(StreamBody::new(parts).boxed()).expect("a response")
            }
            Reply::Never => {
                let _counted = CountDrop(Arc::clone(&self.given_up));
                std::future::pending().await
            }
            Reply::HangUp => return Err(std::io::Error::other("hung up")),
        };
        Ok(response)
    }
}

fn streamed(
    parts: Vec<String>,
    end: End,
    counted: CountDrop,
) -> impl futures_util::Stream<Item = Result<Frame<Bytes>, std::io::Error>> {
    let state = (parts.into_iter(), Some(end), counted);
    stream::unfold(state, |(mut parts, mut end, counted)| async move {
        if let Some(part) = parts.next() {
            return Some((Ok(Frame::data(Bytes::from(part))), (parts, end, counted)));
        }
        match end.take()? {
            End::Stays => std::future::pending().await,
            End::Ends => None,
            End::After(happened, part) => {
                happened.notified().await;
                Some((Ok(Frame::data(Bytes::from(part))), (parts, None, counted)))
            }
            End::Breaks => {
                // What was sent must be out before the connection goes.
                tokio::time::sleep(Duration::from_millis(20)).await;
                Some((Err(std::io::Error::other("broken")), (parts, None, counted)))
            }
        }
    })
}

/// An event that holds `message`.
pub(super) fn event(message: &Value) -> String {
    format!("event: message\ndata: {message}\n\n")
}

/// A legacy server with a session `s-1` and these tools, which are called by `call`.
pub(super) fn legacy(
    tools: &'static [&'static str],
    call: impl Fn(&Seen) -> Reply + Send + Sync,
) -> impl Fn(&Seen) -> Reply + Send + Sync {
    move |seen| match (seen.verb.as_str(), seen.method()) {
        ("POST", "initialize") => seen
            .result(json!({
                "protocolVersion": "2025-06-18", "capabilities": {"tools": {}},
                "serverInfo": {"name": "scripted", "version": "1"}
            }))
            .with("mcp-session-id", "s-1"),
        ("POST", "notifications/initialized" | "notifications/cancelled") => Reply::status(202, ""),
        ("POST", "tools/list") => seen.result(json!({"tools": definitions(tools)})),
        ("POST", "tools/call") => call(seen),
        ("POST", "server/discover") => Reply::status(400, r#"{"error":"no session"}"#),
        ("DELETE", _) => Reply::status(200, ""),
        _ => Reply::status(405, ""),
    }
}

/// A modern server with these tools, which are called by `call`.
pub(super) fn modern(
    tools: &'static [&'static str],
    call: impl Fn(&Seen) -> Reply + Send + Sync,
) -> impl Fn(&Seen) -> Reply + Send + Sync {
    move |seen| match (seen.verb.as_str(), seen.method()) {
        ("POST", "server/discover") => seen.result(json!({
            "resultType": "complete", "supportedVersions": ["2026-07-28"], "capabilities": {"tools": {}}
        })),
        ("POST", "tools/list") => seen.result(json!({"resultType": "complete", "tools": definitions(tools)})),
        ("POST", "tools/call") => call(seen),
        ("POST", _) => Reply::status(
            404,
            &format!(
                r#"{{"jsonrpc":"2.0","id":{},"error":{{"code":-32601,"message":"unknown"}}}}"#,
                seen.message["id"]
            ),
        ),
        _ => Reply::status(405, ""),
    }
}

pub(super) fn definitions(tools: &[&str]) -> Vec<Value> {
    tools.iter().map(|name| json!({"name": name, "inputSchema": {"type": "object"}})).collect()
}

/// A result that holds a text.
pub(super) fn text(text: &str) -> Value {
    json!({"content": [{"type": "text", "text": text}]})
}
