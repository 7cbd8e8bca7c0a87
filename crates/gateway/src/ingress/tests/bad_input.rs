//! Whatever a client can get wrong, and what it is told.

use std::fmt::Write as _;

use serde_json::json;

use super::client::{Server, modern};
use crate::ingress::http::HttpSettings;

struct Case {
    name: &'static str,
    bytes: Vec<u8>,
}

fn raw(target: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut head = format!("{target} HTTP/1.1\r\nconnection: close\r\n");
    let mut with = |name: &str, value: &str| {
        if !headers.iter().any(|(n, _)| *n == name) {
            let _ = write!(head, "{name}: {value}\r\n");
        }
    };
    with("host", "127.0.0.1");
    with("authorization", "Bearer ana");
    with("accept", "application/json, text/event-stream");
    with("content-type", "application/json");
    with("content-length", &body.len().to_string());
    for (name, value) in headers.iter().filter(|(_, value)| *value != "-") {
        let _ = write!(head, "{name}: {value}\r\n");
    }
    [head.as_bytes(), b"\r\n", body].concat()
}

fn post(name: &'static str, body: impl AsRef<[u8]>) -> Case {
    with(name, &[], body)
}

fn with(name: &'static str, headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> Case {
    Case { name, bytes: raw("POST /mcp", headers, body.as_ref()) }
}

/// A modern request, changed.
fn changed(name: &'static str, method: &str, params: serde_json::Value, change: &[(&str, &str)]) -> Case {
    let (mut headers, body) = modern(method, params);
    headers.retain(|(n, _)| !change.iter().any(|(c, _)| c == n));
    let mut headers: Vec<(&str, &str)> = headers.iter().map(|(n, v)| (*n, v.as_str())).collect();
    headers.extend(change);
    with(name, &headers, body)
}

fn call(params: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":9,"method":"tools/call","params":{params}}}"#)
}

fn modern_call(params: &str) -> String {
    let (_, body) = modern("tools/call", json!({"name": "echo"}));
    body.replace(r#""name":"echo""#, params)
}

const LIST: &str = r#"{"jsonrpc":"2.0","id":9,"method":"tools/list"}"#;
const HEADERS: [(&str, &str); 3] =
    [("mcp-protocol-version", "2026-07-28"), ("mcp-method", "tools/call"), ("mcp-name", "echo")];

fn messages() -> Vec<Case> {
    let deep = format!(r#""name":"echo","arguments":{{"x":{}{}}}"#, "[".repeat(200), "]".repeat(200));
    let deeper = format!(r#"{{"a":{}1"#, r#"{"a":"#.repeat(10_000));
    let call_with = |name, params: &str| with(name, &HEADERS, modern_call(params));
    vec![
        post("malformed JSON", r#"{"jsonrpc":"2.0","id":1,"method":"#),
        post("nothing", ""),
        post("not a message", r#"{"hello":"world"}"#),
        post("a batch", format!("[{LIST}]")),
        post("invalid UTF-8", b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"\xff\xfe\"}"),
        post("nested ten thousand deep", deeper),
        post("a null id", r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#),
        post("a huge id", format!(r#"{{"jsonrpc":"2.0","id":{},"method":"ping"}}"#, "9".repeat(600))),
        post("an id twice", r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}"#),
        post("a missing id", r#"{"jsonrpc":"2.0","method":"tools/list"}"#),
        post("params as an array", r#"{"jsonrpc":"2.0","id":9,"method":"tools/list","params":[1]}"#),
        post("_meta as a number", r#"{"jsonrpc":"2.0","id":9,"method":"tools/list","params":{"_meta":1}}"#),
        call_with("arguments as an array", r#""name":"echo","arguments":[1]"#),
        call_with("arguments as null", r#""name":"echo","arguments":null"#),
        call_with("a key twice in arguments", r#""name":"echo","arguments":{"a":1,"a":2}"#),
        call_with("nested deep in arguments", &deep),
        call_with(
            "a huge number in arguments",
            r#""name":"echo","arguments":{"n":123456789012345678901234567890}"#,
        ),
        call_with("a number out of range in arguments", r#""name":"echo","arguments":{"n":1e999}"#),
        call_with("half a surrogate in arguments", r#""name":"echo","arguments":{"s":"\ud800"}"#),
        call_with("a numeric tool name", r#""name":5"#),
        call_with("no tool name", r#""nome":"echo""#),
        call_with("a tool name twice", r#""name":"echo","name":"empty""#),
        call_with("_meta twice", r#""name":"echo","_meta":{}"#),
        changed(
            "a progress token of the wrong type",
            "tools/call",
            json!({"name": "echo", "_meta": {"progressToken": [1]}}),
            &[],
        ),
        call_with("a state that nobody gave out", r#""name":"echo","requestState":"x""#),
    ]
}

fn headers() -> Vec<Case> {
    let echo = || json!({"name": "echo"});
    vec![
        changed("an unknown method", "tools/destroy", json!({}), &[]),
        changed("a method of the other era", "ping", json!({}), &[]),
        changed("initialize of a modern client", "initialize", json!({"protocolVersion": "2026-07-28"}), &[]),
        changed("no version header", "tools/list", json!({}), &[("mcp-protocol-version", "-")]),
        changed("another version header", "tools/list", json!({}), &[("mcp-protocol-version", "2025-11-25")]),
        changed(
            "an unknown version",
            "tools/list",
            json!({"_meta": {"io.modelcontextprotocol/protocolVersion": "1900-01-01"}}),
            &[("mcp-protocol-version", "1900-01-01")],
        ),
        with("a modern header without metadata", &HEADERS, call(r#"{"name":"echo"}"#)),
        changed(
            "no capabilities",
            "tools/list",
            json!({"_meta": {"io.modelcontextprotocol/clientCapabilities": 1}}),
            &[],
        ),
        changed("no method header", "tools/call", echo(), &[("mcp-method", "-")]),
        changed("another method header", "tools/call", echo(), &[("mcp-method", "tools/list")]),
        changed("no name header", "tools/call", echo(), &[("mcp-name", "-")]),
        changed("another name header", "tools/call", echo(), &[("mcp-name", "empty")]),
        changed("a name header that is not Base64", "tools/call", echo(), &[("mcp-name", "=?base64?%?=")]),
        changed("a cursor that nobody gave out", "tools/list", json!({"cursor": "x"}), &[]),
        changed("a header that is not ASCII", "tools/list", json!({}), &[("mcp-name", "\u{e9}")]),
        changed(
            "a header twice",
            "tools/list",
            json!({}),
            &[("mcp-method", "tools/list"), ("mcp-method", "tools/list")],
        ),
        with("a response to nothing", &HEADERS, r#"{"jsonrpc":"2.0","id":4,"result":{}}"#),
        with(
            "a legacy header that is no version",
            &[("mcp-protocol-version", "latest"), ("mcp-session-id", "x")],
            LIST,
        ),
        with("no session", &[], LIST),
        with("an unknown session", &[("mcp-session-id", "ses_019a0000000070008000000000000000")], LIST),
        post("initialize without a version", r#"{"jsonrpc":"2.0","id":9,"method":"initialize","params":{}}"#),
    ]
}

fn transport() -> Vec<Case> {
    let target = |name, target: &str| Case { name, bytes: raw(target, &[], b"") };
    let chunked = b"3\r\n{\"j\r\n0\r\n\r\n";
    vec![
        with("no credentials", &[("authorization", "-")], LIST),
        with("unknown credentials", &[("authorization", "Bearer eve")], LIST),
        with("credentials for something else", &[("authorization", "Bearer narrow")], LIST),
        with("too many requests", &[("authorization", "Bearer hasty")], LIST),
        Case {
            name: "a token in the address",
            bytes: raw("POST /mcp?access_token=ana", &[("authorization", "-")], LIST.as_bytes()),
        },
        Case {
            name: "a token in the address beside a good one",
            bytes: raw("POST /mcp?access_token=ana", &[], LIST.as_bytes()),
        },
        with("another host", &[("host", "evil.test")], LIST),
        with("no host", &[("host", "-")], LIST),
        Case {
            name: "another host in the target",
            bytes: raw("POST http://evil.test/mcp", &[], LIST.as_bytes()),
        },
        with("another origin", &[("origin", "https://evil.test")], LIST),
        with("an origin without a name", &[("origin", "null")], LIST),
        with("a body that is not JSON", &[("content-type", "text/plain")], LIST),
        with("a body of no type", &[("content-type", "-")], LIST),
        with("a client that takes no JSON", &[("accept", "text/html")], LIST),
        with("an oversized body", &[], "x".repeat(200_000)),
        with(
            "an oversized body of unknown length",
            &[("content-length", "-"), ("transfer-encoding", "chunked")],
            format!("30d40\r\n{}\r\n0\r\n\r\n", "x".repeat(200_000)),
        ),
        with("a short body in chunks", &[("content-length", "-"), ("transfer-encoding", "chunked")], chunked),
        target("GET without a session", "GET /mcp"),
        Case { name: "GET without credentials", bytes: raw("GET /mcp", &[("authorization", "-")], b"") },
        Case {
            name: "GET of a modern client",
            bytes: raw("GET /mcp", &[("mcp-protocol-version", "2026-07-28"), ("mcp-session-id", "x")], b""),
        },
        target("DELETE without a session", "DELETE /mcp"),
        target("another HTTP method", "PUT /mcp"),
        target("another path", "GET /admin"),
        target("alive", "GET /healthz"),
        target("ready", "GET /readyz"),
        Case { name: "not HTTP", bytes: b"\x16\x03\x01hello\r\n\r\n".to_vec() },
    ]
}

/// Status, the headers that matter, and the body.
fn essence(answer: &str) -> String {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((answer, ""));
    let mut lines = head.lines();
    let mut shown = lines.next().unwrap_or("(nothing)").trim_start_matches("HTTP/1.1 ").to_owned();
    for line in lines {
        if ["allow", "www-authenticate", "retry-after"].iter().any(|name| line.starts_with(name)) {
            let _ = write!(shown, "; {line}");
        }
    }
    format!("{shown}\n    {}", body.trim_end())
}

async fn table(cases: Vec<Case>) -> String {
    let server = Server::start(HttpSettings { max_body_bytes: 100_000, ..HttpSettings::default() }).await;
    let mut report = String::new();
    for case in cases {
        let told = server.harbour.refusals().len();
        let answer = server.exchange(&case.bytes).await;
        let _ = writeln!(report, "## {}\n{}", case.name, essence(&answer));
        for refusal in server.harbour.refusals().iter().skip(told) {
            let who = refusal.actor.as_ref().map_or("nobody", |actor| actor.id.as_str());
            let method = refusal.method.as_deref().unwrap_or("-");
            let _ = writeln!(report, "    told: {who}, {method}, {}", refusal.code);
        }
    }
    assert!(server.harbour.seen().is_empty(), "none of this is a call");
    report
}

#[tokio::test]
async fn messages_that_are_wrong_are_refused_with_what_would_be_right() {
    insta::assert_snapshot!(table(messages()).await);
}

#[tokio::test]
async fn headers_that_are_wrong_are_refused_with_what_would_be_right() {
    insta::assert_snapshot!(table(headers()).await);
}

#[tokio::test]
async fn requests_that_are_wrong_are_refused_with_what_would_be_right() {
    insta::assert_snapshot!(table(transport()).await);
}

#[tokio::test]
async fn every_refusal_is_counted_by_its_code() {
    let settings = HttpSettings::default();
    let counters = settings.counters.clone();
    let server = Server::start(settings).await;
    server.exchange(&with("", &[("authorization", "-")], LIST).bytes).await;
    server.exchange(&with("", &[], "{").bytes).await;
    server.exchange(&with("", &[], "{").bytes).await;
    let counted: Vec<_> =
        counters.counts().filter(|(_, n)| *n > 0).map(|(c, n)| format!("{c} {n}")).collect();
    assert_eq!(counted, ["input.invalid 2", "auth.missing 1"]);
    assert_eq!(server.harbour.refusals().len(), 3);
}

#[tokio::test]
async fn a_method_that_poses_as_something_else_is_told_without_disguise() {
    let server = Server::plain().await;
    let method = format!("a\\n\\u001b[2J{}", "b".repeat(1_000));
    let body = format!(
        r#"{{"jsonrpc":"2.0","id":9,"method":"{method}","params":{{"_meta":{{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{{}}}}}}}}"#
    );
    let answer = server
        .exchange(&with("", &[("mcp-protocol-version", "2026-07-28"), ("user-agent", "x\ty")], &body).bytes)
        .await;
    assert!(answer.contains("404") && answer.len() < 700, "{answer}");
    let [refusal] = server.harbour.refusals().try_into().expect("one");
    assert_eq!(refusal.method.as_ref().map(String::len), Some(198));
    assert_eq!(refusal.method.map(|m| m.starts_with("a[2Jb")), Some(true));
    assert_eq!(refusal.client.as_deref(), Some("xy"));
}
