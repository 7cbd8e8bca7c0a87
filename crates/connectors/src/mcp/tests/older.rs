//! A server of the transport HTTP+SSE that does what a test says, on loopback.

use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use super::scripted::{Reply, Scripted, Seen, definitions, event};
use super::*;

/// What a server sends on one stream. Without parts that are still to come, it ends.
#[derive(Clone)]
pub(super) struct Sender(Arc<Mutex<Option<UnboundedSender<String>>>>);

impl Sender {
    pub(super) fn raw(&self, part: &str) {
        if let Some(sender) = &*self.0.lock().expect("no panic") {
            let _ = sender.send(part.to_owned());
        }
    }

    pub(super) fn send(&self, message: &Value) {
        self.raw(&event(message));
    }

    pub(super) fn end(&self) {
        self.0.lock().expect("no panic").take();
    }

    pub(super) fn result(&self, seen: &Seen, result: impl Into<Value>) -> Reply {
        self.send(&json!({"jsonrpc": "2.0", "id": seen.message["id"], "result": result.into()}));
        accepted()
    }

    pub(super) fn notify(&self, method: &str, params: impl Into<Value>) {
        self.send(&json!({"jsonrpc": "2.0", "method": method, "params": params.into()}));
    }
}

pub(super) fn accepted() -> Reply {
    Reply::status(202, "Accepted")
}

/// A server of 2024-11-05 with these tools, and the streams that were opened.
pub(super) struct Older {
    pub(super) server: Scripted,
    streams: Arc<Mutex<Vec<Sender>>>,
}

impl Older {
    /// `call` is given what else than a handshake and a listing comes, and its session's stream.
    pub(super) async fn serve(
        tools: &'static [&'static str],
        call: impl Fn(&Seen, &Sender) -> Reply + Send + Sync + 'static,
    ) -> Self {
        Self::speaking("2024-11-05", tools, call).await
    }

    /// The same, of another revision.
    pub(super) async fn speaking(
        revision: &'static str,
        tools: &'static [&'static str],
        call: impl Fn(&Seen, &Sender) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let streams = Arc::new(Mutex::new(Vec::<Sender>::new()));
        let opened = Arc::clone(&streams);
        let server = Scripted::serve(move |seen| {
            if seen.target == "/mcp" {
                if seen.verb != "GET" {
                    return Reply::status(405, "Method Not Allowed");
                }
                let (sender, parts) = unbounded_channel();
                let mut opened = opened.lock().expect("no panic");
                let sender = Sender(Arc::new(Mutex::new(Some(sender))));
                sender.raw(&format!(": hello\n\nevent: endpoint\r\ndata: /messages?session={}\r\n\r\n", opened.len()));
                opened.push(sender);
                return Reply::Live(parts);
            }
            let session = seen.target.strip_prefix("/messages?session=").and_then(|n| n.parse::<usize>().ok());
            let stream = session.and_then(|n| opened.lock().expect("no panic").get(n).cloned());
            let Some(stream) = stream.filter(|stream| stream.0.lock().expect("no panic").is_some()) else {
                return Reply::status(404, "Could not find session");
            };
            match seen.method() {
                "initialize" => stream.result(seen, json!({
                    "protocolVersion": revision,
                    "capabilities": {"tools": {"listChanged": true}, "resources": {"subscribe": true}, "logging": {}},
                    "serverInfo": {"name": "older", "version": "1"}
                })),
                "notifications/initialized" | "notifications/cancelled" => accepted(),
                "logging/setLevel" | "resources/subscribe" | "resources/unsubscribe" => stream.result(seen, json!({})),
                "tools/list" => stream.result(seen, json!({"tools": definitions(tools)})),
                _ => call(seen, &stream),
            }
        })
        .await;
        Self { server, streams }
    }

    pub(super) fn stream(&self, nth: usize) -> Sender {
        self.streams.lock().expect("no panic")[nth].clone()
    }

    pub(super) fn opened(&self) -> usize {
        self.streams.lock().expect("no panic").len()
    }

    pub(super) fn spec(&self, tools: &[&str]) -> Value {
        spec(json!({"transport": "sse", "url": self.server.url()}), tools)
    }
}
