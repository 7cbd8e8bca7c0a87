//! What must hold for any request when its era is told.
//!
//! The bytes are headers, an empty line and a body, as HTTP has them:
//!
//! ```text
//! mcp-protocol-version: 2026-07-28
//! mcp-session-id: ses_1
//!
//! {"jsonrpc":"2.0","id":1,"method":"tools/list"}
//! ```
//!
//! Used by the fuzz target and, with the corpus, by the gateway's tests.

use quaymaster_core::rpc::{self, Message};
use quaymaster_gateway::ingress::era::{Era, MODERN, RequestHead, detect, is_modern};
use serde_json::Value;

const VERSION_KEY: &str = "io.modelcontextprotocol/protocolVersion";

/// Fails if the era of the request in `bytes` hangs on what it must not hang on.
pub(crate) fn check(bytes: &[u8]) {
    let (head, body) = split(bytes);
    let Ok(message) = rpc::parse(body) else { return };
    let head = read_head(head);
    let Some(era) = era_of(&head, &message) else { return };

    let without_session = RequestHead { session: None, ..head };
    assert_eq!(era_of(&without_session, &message), Some(era), "a session id decides nothing");
    let Some(named) = names_a_version(&message) else { return };
    let by_header = head.protocol_version.is_some_and(is_modern);
    let expected = if named || by_header { Era::Modern } else { Era::Legacy };
    assert_eq!(era, expected, "named in the body: {named}, modern by its header: {by_header}");
    let with_header = RequestHead { protocol_version: Some(MODERN), ..head };
    assert_eq!(era_of(&with_header, &message), Some(Era::Modern), "a modern header makes it modern");
}

fn era_of(head: &RequestHead<'_>, message: &Message<'_>) -> Option<Era> {
    detect(head, message).ok().map(|detected| detected.era)
}

/// Reads the body the slow way, as a second opinion; `None` where that reader has none.
fn names_a_version(message: &Message<'_>) -> Option<bool> {
    let (Message::Request { params: Some(params), .. } | Message::Notification { params: Some(params), .. }) =
        message
    else {
        return Some(false);
    };
    let params: Value = serde_json::from_str(params.get()).ok()?;
    Some(params.get("_meta").is_some_and(|meta| meta.get(VERSION_KEY).is_some()))
}

fn split(bytes: &[u8]) -> (&[u8], &[u8]) {
    let end = bytes.windows(2).position(|two| two == b"\n\n");
    end.and_then(|end| Some((bytes.get(..end)?, bytes.get(end + 2..)?))).unwrap_or((&[], bytes))
}

/// A header that is not text is no header: HTTP hands on none that is not.
fn read_head(bytes: &[u8]) -> RequestHead<'_> {
    let mut head = RequestHead::default();
    for line in std::str::from_utf8(bytes).unwrap_or_default().lines() {
        let Some((name, value)) = line.split_once(": ") else { continue };
        match name {
            "mcp-protocol-version" => head.protocol_version = Some(value),
            "mcp-session-id" => head.session = Some(value),
            "mcp-method" => head.method = Some(value),
            "mcp-name" => head.name = Some(value),
            _ => {}
        }
    }
    head
}
