//! The text of every answer.
//!
//! An answer is put together from pieces that are sent as they are: what a call
//! returned and the list of tools are never parsed, copied or written again.

use std::fmt::Write as _;
use std::sync::Arc;

use bytes::Bytes;
use http::StatusCode;
use quaymaster_core::input::TASKS_EXTENSION;
use quaymaster_core::rpc::{self, RequestId, code};
use quaymaster_core::{ErrorCode, Kind, Reply};
use serde_json::{Value, json};

use super::addressee::Addressee;
use super::changes::Topic;
use super::door::{Page, Shelf};
use super::era::{Era, MODERN, SUPPORTED};
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

    /// The message on one line.
    pub(super) fn one_line(&self) -> Vec<u8> {
        let mut line = self.0.concat();
        one_line(&mut line);
        line
    }
}

/// Puts a message on one line, for framings that end at a line break. A line break
/// in JSON can only stand between tokens, so a space does as well.
pub(super) fn one_line(message: &mut [u8]) {
    for byte in message {
        if matches!(*byte, b'\n' | b'\r') {
            *byte = b' ';
        }
    }
}

/// What a modern result begins with. What policy let through is for one caller alone,
/// and a resource is fresh only while it is read.
fn opening(era: Era, kind: Kind) -> &'static str {
    match (era, kind) {
        (Era::Legacy, _) => "",
        (Era::Modern, Kind::Tool | Kind::Prompt | Kind::Completion) => r#""resultType":"complete""#,
        (Era::Modern, Kind::Resource) => r#""resultType":"complete","ttlMs":0,"cacheScope":"private""#,
    }
}

/// `result`, which is that of a call, as the era writes it; none if it is not an object.
pub(super) fn result(era: Era, kind: Kind, result: &str) -> Option<String> {
    let members = result.trim_start().strip_prefix('{')?;
    let opening = opening(era, kind);
    let comma = if opening.is_empty() || members.trim_start().starts_with('}') { "" } else { "," };
    Some(format!("{{{opening}{comma}{members}"))
}

/// The answer that carries the result of a call; none if it is not an object.
pub(super) fn call_result(id: &RequestId, era: Era, kind: Kind, result: String) -> Option<Pieces> {
    let at = result.find('{').filter(|at| result.get(..*at).is_some_and(|s| s.trim().is_empty()))?;
    let members = result.get(at + 1..)?;
    let opening = opening(era, kind);
    let comma = if opening.is_empty() || members.trim_start().starts_with('}') { "" } else { "," };
    let head = format!(r#"{{"jsonrpc":"2.0","id":{},"result":{{{opening}{comma}"#, id.as_json());
    let members = Bytes::from(result).slice(at + 1..);
    Some(Pieces([head.into(), members, Bytes::from_static(b"}")]))
}

/// The answer to a request that failed, where that is an error of the protocol: of a prompt or a
/// resource, which unlike a tool have no result that could say so, and of a modern client that
/// cannot be asked what has to be asked (MCP 2026-07-28, basic, error codes).
pub(super) fn call_error(to: &Addressee, reply: &Reply) -> Option<(StatusCode, Pieces)> {
    let failed = reply.code?;
    let (status, rpc_code) = match (failed, to.kind, to.era) {
        (ErrorCode::ClientCapability, _, Era::Modern) => {
            (StatusCode::BAD_REQUEST, code::MISSING_CLIENT_CAPABILITY)
        }
        (_, Kind::Tool, _) => return None,
        (ErrorCode::ToolNotFound, Kind::Resource, Era::Legacy) => (StatusCode::OK, code::RESOURCE_NOT_FOUND),
        (ErrorCode::ToolNotFound | ErrorCode::InputInvalid, ..) => (StatusCode::OK, code::INVALID_PARAMS),
        _ => (StatusCode::OK, code::INTERNAL_ERROR),
    };
    let message = reply.message.as_deref().unwrap_or("the request failed");
    let mut data = failure_data(failed, reply);
    // The client's own words, the same for what is hidden and what does not exist (MCP 2026-07-28,
    // server/resources, error handling).
    if let (ErrorCode::ToolNotFound, Some(uri), Some(members)) = (failed, &to.uri, data.as_object_mut()) {
        members.insert("uri".into(), Value::from(&**uri));
    }
    Some((status, Pieces::whole(rpc::error_response(Some(&to.id), rpc_code, message, Some(&data)))))
}

/// What programs are told of why a call failed.
fn failure_data(failed: ErrorCode, reply: &Reply) -> Value {
    let mut data = json!({"code": failed.as_str(), "audit_id": reply.audit_id.as_str()});
    if let (ErrorCode::ClientCapability, Some(members)) = (failed, data.as_object_mut()) {
        let required = reply.required.unwrap_or_default().as_json();
        members.insert("requiredCapabilities".into(), serde_json::from_str(&required).unwrap_or_default());
    }
    data
}

/// The error of a task that came to no result.
pub(super) fn task_error(reply: &Reply) -> Value {
    let failed = reply.code.unwrap_or(ErrorCode::GatewayInternal);
    let rpc_code = match failed {
        ErrorCode::ClientCapability => code::MISSING_CLIENT_CAPABILITY,
        ErrorCode::InputInvalid => code::INVALID_PARAMS,
        _ => code::INTERNAL_ERROR,
    };
    let message = reply.message.as_deref().unwrap_or("the call failed");
    json!({"code": rpc_code, "message": message, "data": failure_data(failed, reply)})
}

/// The answer to a request for a list: a page of it, and the cursor of the next if there is one.
pub(super) fn list(
    id: &RequestId,
    era: Era,
    meta: Option<Value>,
    (shelf, page, next): (Shelf, Page, Option<String>),
) -> Pieces {
    let mut opening = match era {
        Era::Legacy => String::from("{"),
        Era::Modern => {
            format!(r#"{{"resultType":"complete","ttlMs":{LIST_TTL_MS},"cacheScope":"private","#)
        }
    };
    if let Some(meta) = meta {
        let _ = write!(opening, r#""_meta":{meta},"#);
    }
    let member = shelf.member();
    let head = format!(r#"{{"jsonrpc":"2.0","id":{},"result":{opening}"{member}":["#, id.as_json());
    let tail = match next {
        // In base64url, of which JSON writes nothing another way.
        Some(cursor) => format!(r#"],"nextCursor":"{cursor}"}}}}"#).into(),
        None => Bytes::from_static(b"]}}"),
    };
    Pieces([head.into(), Bytes::from_owner(Text(page.text)).slice(page.objects), tail])
}

/// What the server can do for somebody who sees prompts and resources, or does not.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a capability of its own in the protocol")]
pub(super) struct Abilities {
    pub(super) prompts: bool,
    pub(super) resources: bool,
    pub(super) completions: bool,
    /// Whether something that is seen can be called as a task.
    pub(super) tasks: bool,
}

/// The last of the revisions with sessions, which has tasks of its own.
const WITH_TASKS: &str = "2025-11-25";

impl Abilities {
    fn as_json(self, version: &str) -> Value {
        let mut capabilities = json!({"logging": {}, "tools": {"listChanged": true}});
        if let Some(members) = capabilities.as_object_mut() {
            if self.prompts {
                members.insert("prompts".into(), json!({"listChanged": true}));
            }
            if self.resources {
                members.insert("resources".into(), json!({"listChanged": true, "subscribe": true}));
            }
            if self.completions {
                members.insert("completions".into(), json!({}));
            }
            match version {
                MODERN if self.tasks => {
                    members.insert("extensions".into(), json!({TASKS_EXTENSION: {}}));
                }
                WITH_TASKS if self.tasks => {
                    let requests = json!({"tools": {"call": {}}});
                    members.insert("tasks".into(), json!({"list": {}, "cancel": {}, "requests": requests}));
                }
                _ => {}
            }
        }
        capabilities
    }
}

/// The answer to `server/discover` (MCP 2026-07-28, server/discover).
pub(super) fn discover(id: &RequestId, identity: &ServerIdentity, abilities: Abilities) -> Pieces {
    let result = json!({
        "resultType": "complete",
        "supportedVersions": SUPPORTED,
        "capabilities": abilities.as_json(MODERN),
        "ttlMs": DISCOVER_TTL_MS,
        "cacheScope": "private",
        "_meta": identity.as_meta(),
    });
    with_instructions(id, result, identity)
}

/// The answer to `initialize` (MCP 2025-11-25, basic/lifecycle).
pub(super) fn initialize(
    id: &RequestId,
    version: &str,
    identity: &ServerIdentity,
    abilities: Abilities,
) -> Pieces {
    let result = json!({
        "protocolVersion": version,
        "capabilities": abilities.as_json(version),
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

/// The answer of 2026-07-28 that says no more than that it is one.
pub(super) fn complete(id: &RequestId) -> Pieces {
    plain(id, r#"{"resultType":"complete"}"#)
}

/// The answer that carries `result`.
pub(super) fn plain(id: &RequestId, result: &str) -> Pieces {
    Pieces::whole(rpc::response(id, result))
}

/// The notification that a resource has changed, for a session.
pub(super) fn updated(uri: &str) -> String {
    rpc::notification("notifications/resources/updated", &json!({"uri": uri}).to_string())
}

/// The notification that a list has changed, for a session.
pub(super) fn list_changed(topic: Topic) -> String {
    format!(r#"{{"jsonrpc":"2.0","method":"{}"}}"#, topic.method())
}

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
        let pieces = call_result(&RequestId::number(7), era, Kind::Tool, result.to_owned())?;
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
    fn who_asked_for_what_is_not_there_gets_its_own_words_back_and_nobody_elses() {
        let to = |kind, era, uri: Option<&str>| Addressee {
            id: RequestId::number(1),
            era,
            revision: None,
            kind,
            uri: uri.map(Arc::from),
        };
        let reply = |code| Reply {
            audit_id: quaymaster_core::CallId::new(
                &quaymaster_core::SystemClock,
                &quaymaster_core::random::CountingRandomness::default(),
            ),
            status: quaymaster_core::Status::Failed,
            code: Some(code),
            message: None,
            parked: None,
            keeping: quaymaster_core::Keeping::default(),
            required: None,
            labels: vec![],
            result: String::new(),
        };
        let told = |to: Addressee, code| {
            let (_, pieces) = call_error(&to, &reply(code)).expect("an error");
            let value: Value = serde_json::from_slice(&pieces.0.concat()).expect("JSON");
            (value["error"]["code"].clone(), value["error"]["data"].get("uri").cloned())
        };
        let asked = "test://\"\n";
        for (era, code) in [(Era::Modern, -32602), (Era::Legacy, -32002)] {
            let to = to(Kind::Resource, era, Some(asked));
            assert_eq!(told(to, ErrorCode::ToolNotFound), (json!(code), Some(json!(asked))));
        }
        let denied = told(to(Kind::Resource, Era::Modern, Some(asked)), ErrorCode::PolicyDenied);
        assert_eq!(denied.1, None);
        assert_eq!(told(to(Kind::Prompt, Era::Modern, None), ErrorCode::ToolNotFound).1, None);
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
        let pieces =
            call_result(&id, Era::Legacy, Kind::Tool, "{\n \"a\":\r\n\"b\\n\"}".into()).expect("a result");
        let line = pieces.one_line();
        assert!(!line.contains(&b'\n') && !line.contains(&b'\r'));
        let value: Value = serde_json::from_slice(&line).expect("JSON");
        assert_eq!(value["result"]["a"], "b\n");
    }
}
