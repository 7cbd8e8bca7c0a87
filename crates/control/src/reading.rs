//! Reading something on the way of another call, with a tool and as whoever asks.
//!
//! What is read takes the whole path of a call: it is governed, recorded and released like every
//! other, and shows nothing that whoever asks may not have.

use std::sync::{OnceLock, Weak};
use std::time::Duration;

use quaymaster_core::{CallRequest, CallTool, Reply, Status};
use serde_json::Value;

/// Longest time that the other call waits for it.
const PATIENCE: Duration = Duration::from_secs(5);

/// Who reads.
#[derive(Debug, Default)]
pub(crate) struct Reader(OnceLock<Weak<dyn CallTool>>);

impl Reader {
    /// Has it read by `gateway`, once and for all.
    pub(crate) fn read_by(&self, gateway: Weak<dyn CallTool>) {
        // A second gateway over the same store would read the same.
        let _ = self.0.set(gateway);
    }

    /// The structured content that `asked` comes to, or why there is none.
    pub(crate) async fn read(&self, asked: CallRequest) -> Result<Value, String> {
        let gateway = self.0.get().and_then(Weak::upgrade).ok_or("nobody is there to read it")?;
        let called = tokio::time::timeout(PATIENCE, gateway.call_tool(asked, None)).await;
        let reply = called.map_err(|_| "it took too long".to_owned())?;
        content(&reply).ok_or_else(|| reply.code.map_or("it has no fields", |code| code.as_str()).to_owned())
    }
}

/// The structured content of a success; of an envelope its data.
fn content(reply: &Reply) -> Option<Value> {
    if reply.status != Status::Success {
        return None;
    }
    let mut result: Value = serde_json::from_str(&reply.result).ok()?;
    let content = result.get_mut("structuredContent")?.take();
    match (content.get("audit_id"), content.get("data")) {
        (Some(_), Some(data)) => Some(data.clone()),
        _ => Some(content),
    }
}
