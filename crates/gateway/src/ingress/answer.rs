//! The text of every answer.
//!
//! An answer is put together from pieces that are sent as they are: what a call
//! returned and the list of tools are never parsed, copied or written again.

use std::sync::Arc;

use bytes::Bytes;
use quaymaster_core::rpc::RequestId;
use serde_json::{Value, json};

use super::era::{Era, SUPPORTED};
use super::front::ServerIdentity;

/// How long a client may take the list of tools for fresh.
const LIST_TTL_MS: u32 = 10_000;

/// How long a client may take what the server says of itself for fresh.
const DISCOVER_TTL_MS: u32 = 300_000;

/// One message in three pieces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pieces(pub(super) [Bytes; 3]);

impl Pieces {
    /// A message that is in one piece already.
    pub(super) fn whole(text: String) -> Self {
        Self([text.into(), Bytes::new(), Bytes::new()])
    }

    /// The message on one line, for framings that end at a line break. A line
    /// break in JSON can only stand between tokens, so a space does as well.
    pub(super) fn one_line(&self) -> Vec<u8> {
        let mut line = self.0.concat();
        for byte in &mut line {
            if matches!(*byte, b'\n' | b'\r') {
                *byte = b' ';
            }
        }
        line
    }
}

/// The answer that carries the result of a call; none if it is not an object.
pub(super) fn call_result(id: &RequestId, era: Era, result: String) -> Option<Pieces> {
    let at = result.find('{').filter(|at| result.get(..*at).is_some_and(|s| s.trim().is_empty()))?;
    let members = result.get(at + 1..)?;
    let opening = match era {
        Era::Legacy => "{",
        Era::Modern if members.trim_start().starts_with('}') => r#"{"resultType":"complete""#,
        Era::Modern => r#"{"resultType":"complete","#,
    };
    let head = format!(r#"{{"jsonrpc":"2.0","id":{},"result":{opening}"#, id.as_json());
    let members = Bytes::from(result).slice(at + 1..);
    Some(Pieces([head.into(), members, Bytes::from_static(b"}")]))
}

/// The answer to `tools/list`.
pub(super) fn tools(id: &RequestId, era: Era, identity: &ServerIdentity, tools: Arc<str>) -> Pieces {
    let opening = match era {
        Era::Legacy => String::from("{"),
        Era::Modern => format!(
            r#"{{"resultType":"complete","ttlMs":{LIST_TTL_MS},"cacheScope":"private","_meta":{},"#,
            identity.as_meta()
        ),
    };
    let head = format!(r#"{{"jsonrpc":"2.0","id":{},"result":{opening}"tools":"#, id.as_json());
    Pieces([head.into(), Bytes::from_owner(Text(tools)), Bytes::from_static(b"}}")])
}

/// The answer to `server/discover` (MCP 2026-07-28, server/discover).
pub(super) fn discover(id: &RequestId, identity: &ServerIdentity) -> Pieces {
    let result = json!({
        "resultType": "complete",
        "supportedVersions": SUPPORTED,
        "capabilities": {"tools": {}},
        "serverInfo": identity.as_json(),
        "ttlMs": DISCOVER_TTL_MS,
        "cacheScope": "private",
        "_meta": identity.as_meta(),
    });
    with_instructions(id, result, identity)
}

/// The answer to `initialize` (MCP 2025-11-25, basic/lifecycle).
pub(super) fn initialize(id: &RequestId, version: &str, identity: &ServerIdentity) -> Pieces {
    let result = json!({
        "protocolVersion": version,
        "capabilities": {"tools": {"listChanged": true}},
        "serverInfo": identity.as_json(),
    });
    with_instructions(id, result, identity)
}

fn with_instructions(id: &RequestId, mut result: Value, identity: &ServerIdentity) -> Pieces {
    if let (Some(members), Some(instructions)) = (result.as_object_mut(), &identity.instructions) {
        members.insert("instructions".into(), Value::from(&**instructions));
    }
    plain(id, &result.to_string())
}

/// The answer that carries `result`.
pub(super) fn plain(id: &RequestId, result: &str) -> Pieces {
    Pieces::whole(quaymaster_core::rpc::response(id, result))
}

/// The notification that the list of tools may have changed.
pub(super) const LIST_CHANGED: &str = r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#;

struct Text(Arc<str>);

impl AsRef<[u8]> for Text {
    fn as_ref(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(era: Era, result: &str) -> Option<String> {
        let pieces = call_result(&RequestId::number(7), era, result.to_owned())?;
        Some(String::from_utf8(pieces.0.concat()).expect("UTF-8"))
    }

    #[test]
    fn a_modern_result_says_that_it_is_complete() {
        assert_eq!(
            result(Era::Modern, r#"{"content":[]}"#).as_deref(),
            Some(r#"{"jsonrpc":"2.0","id":7,"result":{"resultType":"complete","content":[]}}"#)
        );
        assert_eq!(
            result(Era::Modern, " { } ").as_deref(),
            Some(r#"{"jsonrpc":"2.0","id":7,"result":{"resultType":"complete" } }"#)
        );
    }

    #[test]
    fn a_legacy_result_is_sent_as_it_is() {
        assert_eq!(
            result(Era::Legacy, r#"{"content":[]}"#).as_deref(),
            Some(r#"{"jsonrpc":"2.0","id":7,"result":{"content":[]}}"#)
        );
    }

    #[test]
    fn what_is_not_an_object_is_no_result() {
        for bad in ["", "[{}]", "null", r#""{""#] {
            assert_eq!(result(Era::Modern, bad), None, "{bad}");
        }
    }

    #[test]
    fn a_line_holds_a_message_that_was_written_over_several() {
        let id = RequestId::number(1);
        let pieces = call_result(&id, Era::Legacy, "{\n \"a\":\r\n\"b\\n\"}".into()).expect("a result");
        let line = pieces.one_line();
        assert!(!line.contains(&b'\n') && !line.contains(&b'\r'));
        let value: Value = serde_json::from_slice(&line).expect("JSON");
        assert_eq!(value["result"]["a"], "b\n");
    }
}
