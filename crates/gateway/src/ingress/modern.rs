//! What a request of 2026-07-28 must carry, and must not contradict.
//!
//! The order of the checks is part of the protocol: a version that is not ours
//! is named before a method that is not ours, and that before the headers which
//! only a known method has (MCP 2026-07-28, streamable HTTP, server validation).

use http::StatusCode;
use quaymaster_core::mirror;

use super::era::{Detected, MODERN, RequestHead};
use super::params::text;
use super::refusal::{Refusal, quoted};

/// The methods of this era that we have.
pub(super) const METHODS: [&str; 13] = [
    "server/discover",
    "subscriptions/listen",
    "tools/list",
    "tools/call",
    "prompts/list",
    "prompts/get",
    "resources/list",
    "resources/templates/list",
    "resources/read",
    "completion/complete",
    "tasks/get",
    "tasks/update",
    "tasks/cancel",
];

/// Checks a modern request. `head` is none where the transport has no headers.
pub(super) fn check(
    head: Option<&RequestHead<'_>>,
    method: &str,
    detected: &Detected<'_>,
) -> Result<(), Refusal> {
    let named = head.map(|h| required(h.protocol_version, "MCP-Protocol-Version")).transpose()?;
    let version = metadata(detected)?;
    if named.is_some_and(|named| named != version) {
        return Err(Refusal::header_mismatch(format!(
            "`MCP-Protocol-Version` says `{}` and `_meta` says `{}`: send the same",
            quoted(named.unwrap_or_default()),
            quoted(&version)
        )));
    }
    if version != MODERN {
        return Err(Refusal::unsupported_version(&version));
    }
    if !METHODS.contains(&method) {
        return Err(Refusal::method_not_found(StatusCode::NOT_FOUND, method, &METHODS));
    }
    head.map_or(Ok(()), |head| headers(head, method, detected))
}

/// The version, from metadata that is complete.
fn metadata<'a>(detected: &Detected<'a>) -> Result<std::borrow::Cow<'a, str>, Refusal> {
    let version = text(detected.meta.protocol_version).ok_or_else(|| {
        Refusal::malformed("`_meta` needs `io.modelcontextprotocol/protocolVersion`, a string")
    })?;
    if !detected.meta.client_capabilities.is_some_and(|raw| raw.get().starts_with('{')) {
        return Err(Refusal::malformed(
            "`_meta` needs `io.modelcontextprotocol/clientCapabilities`, an object",
        ));
    }
    Ok(version)
}

fn headers(head: &RequestHead<'_>, method: &str, detected: &Detected<'_>) -> Result<(), Refusal> {
    let named = required(head.method, "Mcp-Method")?;
    if named != method {
        return Err(mismatch("Mcp-Method", named, "method", method));
    }
    let (member, named) = match method {
        "tools/call" | "prompts/get" => ("params.name", detected.params.name),
        "resources/read" => ("params.uri", detected.params.uri),
        "tasks/get" | "tasks/update" | "tasks/cancel" => ("params.taskId", detected.params.task_id),
        _ => return Ok(()),
    };
    // A name that is not a string has no header to agree with; reading the call says so.
    if let Some(name) = text(named) {
        let header = decoded(required(head.name, "Mcp-Name")?)?;
        if header != name {
            return Err(mismatch("Mcp-Name", &header, member, &name));
        }
    }
    Ok(())
}

fn required<'a>(header: Option<&'a str>, name: &str) -> Result<&'a str, Refusal> {
    header.ok_or_else(|| Refusal::header_mismatch(format!("the header `{name}` is missing")))
}

fn mismatch(header: &str, sent: &str, member: &str, value: &str) -> Refusal {
    Refusal::header_mismatch(format!(
        "`{header}` says `{}` and `{member}` says `{}`: send the same",
        quoted(sent),
        quoted(value)
    ))
}

/// The value of a header that may be in Base64 (MCP 2026-07-28, streamable HTTP, value encoding).
fn decoded(header: &str) -> Result<String, Refusal> {
    mirror::decode(header).ok_or_else(|| {
        Refusal::header_mismatch("`Mcp-Name` is not UTF-8 in Base64 between `=?base64?` and `?=`")
    })
}

#[cfg(test)]
mod tests {
    use quaymaster_core::rpc;
    use serde_json::{Value, json};

    use super::*;
    use crate::ingress::era::detect;

    const HEAD: RequestHead<'_> = RequestHead {
        protocol_version: Some(MODERN),
        session: None,
        method: Some("tools/call"),
        name: Some("sql_lookup"),
    };

    fn body(method: &str, name: &Value) -> Value {
        json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": {
            "name": name,
            "_meta": {
                "io.modelcontextprotocol/protocolVersion": MODERN,
                "io.modelcontextprotocol/clientCapabilities": {},
            }
        }})
    }

    fn checked(head: Option<RequestHead<'_>>, body: &Value) -> String {
        let text = body.to_string();
        let message = rpc::parse(text.as_bytes()).expect("a message");
        let rpc::Message::Request { method, .. } = &message else { panic!("a request") };
        let fallback = RequestHead::default();
        let detected = detect(head.as_ref().unwrap_or(&fallback), &message).expect("detected");
        match check(head.as_ref(), method, &detected) {
            Ok(()) => "fine".into(),
            Err(r) => format!("{} {} {}", r.status.as_u16(), r.rpc_code, r.message),
        }
    }

    #[test]
    fn the_checks_come_in_the_order_of_the_protocol() {
        let good = body("tools/call", &json!("sql_lookup"));
        let other_version = |version: &str| {
            let mut body = good.clone();
            body["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"] = version.into();
            body
        };
        let mut no_capabilities = good.clone();
        no_capabilities["params"]["_meta"]["io.modelcontextprotocol/clientCapabilities"] = Value::Null;
        let mut no_meta = good.clone();
        no_meta["params"]["_meta"] = json!({});
        let bare = RequestHead { protocol_version: Some(MODERN), ..RequestHead::default() };
        let cases = [
            ("all is well", Some(HEAD), good.clone()),
            ("stdio has no headers", None, good.clone()),
            ("no version header", Some(RequestHead { protocol_version: None, ..HEAD }), good.clone()),
            (
                "another version header",
                Some(RequestHead { protocol_version: Some("2025-11-25"), ..HEAD }),
                good.clone(),
            ),
            ("no metadata", Some(HEAD), no_meta),
            ("no capabilities", Some(HEAD), no_capabilities),
            (
                "unknown version",
                Some(RequestHead { protocol_version: Some("1900-01-01"), ..HEAD }),
                other_version("1900-01-01"),
            ),
            ("unknown method before headers", Some(bare), body("tasks/result", &json!("x"))),
            ("no method header", Some(RequestHead { method: None, ..HEAD }), good.clone()),
            ("another method header", Some(RequestHead { method: Some("Tools/Call"), ..HEAD }), good.clone()),
            ("no name header", Some(RequestHead { name: None, ..HEAD }), good.clone()),
            ("another name header", Some(RequestHead { name: Some("sql_drop"), ..HEAD }), good.clone()),
            (
                "a name in Base64",
                Some(RequestHead { name: Some("=?base64?c3FsX2xvb2t1cA==?="), ..HEAD }),
                good.clone(),
            ),
            ("bad Base64", Some(RequestHead { name: Some("=?base64?!?="), ..HEAD }), good),
            ("a name that is no string is refused later", Some(HEAD), body("tools/call", &json!(5))),
        ];
        let report: Vec<String> =
            cases.iter().map(|(what, head, body)| format!("{what}\n    {}", checked(*head, body))).collect();
        insta::assert_snapshot!(report.join("\n"));
    }
}
