//! MCP over a pair of pipes.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, DuplexStream, Lines};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::client::{modern, soon};
use super::harbour::{Event, Harbour};
use crate::ingress::stdio::{StdioSettings, serve};

pub(super) struct Pipes {
    pub(super) harbour: Arc<Harbour>,
    input: DuplexStream,
    output: Lines<BufReader<DuplexStream>>,
    shutdown: CancellationToken,
    running: JoinHandle<()>,
}

impl Pipes {
    pub(super) fn start(settings: StdioSettings) -> Self {
        let (input, theirs_in) = tokio::io::duplex(1 << 16);
        let (theirs_out, output) = tokio::io::duplex(1 << 12);
        let (harbour, shutdown) = (Harbour::new(), CancellationToken::new());
        let serving = serve(harbour.clone(), (theirs_in, theirs_out), settings, shutdown.clone());
        let running = tokio::spawn(serving);
        Self { harbour, input, output: BufReader::new(output).lines(), shutdown, running }
    }

    pub(super) fn plain() -> Self {
        Self::start(StdioSettings::default())
    }

    pub(super) async fn send(&mut self, line: &str) {
        self.input.write_all(format!("{line}\n").as_bytes()).await.expect("sent");
    }

    pub(super) async fn read(&mut self) -> Value {
        let line = soon(self.output.next_line()).await.expect("read").expect("a line");
        serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line}"))
    }

    pub(super) async fn ask(&mut self, line: &str) -> Value {
        self.send(line).await;
        self.read().await
    }

    async fn initialize(&mut self) -> Value {
        self.initialize_as("2025-06-18").await
    }

    pub(super) async fn initialize_as(&mut self, version: &str) -> Value {
        let params = json!({"protocolVersion": version, "capabilities": {}, "clientInfo": {"name": "codex"}});
        self.ask(&json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params}).to_string())
            .await
    }

    pub(super) async fn end(self) -> (Arc<Harbour>, Vec<Value>) {
        drop(self.input);
        soon(self.running).await.expect("ended");
        let mut output = self.output;
        let mut rest = Vec::new();
        while let Some(line) = output.next_line().await.expect("read") {
            rest.push(serde_json::from_str(&line).expect("a message"));
        }
        (self.harbour, rest)
    }
}

pub(super) fn legacy_call(id: u64, tool: &str) -> String {
    json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {"name": tool, "arguments": {"a": 1}}})
        .to_string()
}

pub(super) fn modern_call(id: u64, tool: &str, meta: &Value) -> String {
    let (_, body) = modern("tools/call", json!({"name": tool, "_meta": meta}));
    let mut body: Value = serde_json::from_str(&body).expect("JSON");
    body["id"] = id.into();
    body.to_string()
}

const CANCEL_7: &str = r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":7}}"#;

#[tokio::test]
async fn both_eras_are_spoken_on_one_stream() {
    let mut pipes = Pipes::plain();
    let (_, discover) = modern("server/discover", json!({}));
    let (_, list) = modern("tools/list", json!({}));
    let mut report = Vec::new();
    for line in [
        discover.as_str(),
        &modern_call(2, "pretty", &json!({})),
        r#"{"jsonrpc":"2.0","id":3,"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":4,"method":"tools/list"}"#,
        r#"{"jsonrpc":"2.0","id":5,"method":"initialize","params":{"protocolVersion":"2025-06-18"}}"#,
        r#"{"jsonrpc":"2.0","id":6,"method":"tools/list"}"#,
        &legacy_call(7, "echo"),
        &list,
    ] {
        let answer = pipes.ask(line).await;
        report.push(format!("{line:.90}\n    {answer}"));
    }
    let (harbour, rest) = pipes.end().await;
    assert!(rest.is_empty());
    assert_eq!(harbour.refusals().len(), 1);
    insta::assert_snapshot!(report.join("\n"));
}

#[tokio::test]
async fn lines_that_are_wrong_are_refused_and_the_next_is_read() {
    let mut pipes = Pipes::start(StdioSettings { max_line_bytes: 400, ..StdioSettings::default() });
    let mut report = Vec::new();
    for line in [
        "{",
        "[]",
        &"x".repeat(401),
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2030-01-01","io.modelcontextprotocol/clientCapabilities":{}}}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"x","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}"#,
    ] {
        let answer = pipes.ask(line).await;
        report.push(format!("{line:.60}\n    {answer}"));
    }
    pipes.send("   ").await;
    pipes.send(r#"{"jsonrpc":"2.0","method":"notifications/x","params":{"_meta":1}}"#).await;
    let ping = pipes.ask(r#"{"jsonrpc":"2.0","id":9,"method":"ping"}"#).await;
    assert_eq!(ping, json!({"jsonrpc": "2.0", "id": 9, "result": {}}), "a notification is not answered");
    let (harbour, _) = pipes.end().await;
    let told: Vec<_> = harbour.refusals().into_iter().map(|r| (r.code.as_str(), r.method)).collect();
    report.push(format!("{told:?}"));
    insta::assert_snapshot!(report.join("\n"));
}

#[tokio::test]
async fn a_pipe_has_one_session() {
    let mut pipes = Pipes::plain();
    pipes.initialize_as("2025-06-18").await;
    let again = pipes.initialize_as("2025-11-25").await;
    assert_eq!(again["error"]["message"], "a session is open on this pipe: send `initialize` once");
    assert_eq!(pipes.ask(&legacy_call(1, "echo")).await["id"], 1, "the first goes on");
    let (harbour, _) = pipes.end().await;
    assert_eq!(harbour.refusals().len(), 1);
}

#[tokio::test]
async fn a_call_that_was_taken_back_is_not_answered_in_either_era() {
    let mut pipes = Pipes::plain();
    pipes.initialize().await;
    for call in [legacy_call(7, "hold"), modern_call(7, "hold", &json!({}))] {
        pipes.send(&call).await;
        assert_eq!(soon(pipes.harbour.event()).await, Event::Began("hold".into()));
        let other = pipes.ask(&legacy_call(8, "empty")).await;
        assert_eq!(other["id"], 8, "calls run beside each other");
        assert_eq!(pipes.harbour.event().await, Event::Began("empty".into()));
        assert_eq!(pipes.harbour.event().await, Event::Ended("empty".into(), false));
        pipes.send(CANCEL_7).await;
        assert_eq!(soon(pipes.harbour.event()).await, Event::Ended("hold".into(), true));
    }
    let (_, rest) = pipes.end().await;
    assert!(rest.is_empty(), "{rest:?}");
}

#[tokio::test]
async fn a_session_is_asked_in_one_line_and_its_answer_reaches_the_call() {
    let mut pipes = Pipes::plain();
    let params = json!({"protocolVersion": "2025-11-25", "capabilities": {"elicitation": {}}, "clientInfo": {"name": "x"}});
    pipes
        .ask(&json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params}).to_string())
        .await;
    let call = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "ask", "arguments": {"lines": true}}});
    let question = pipes.ask(&call.to_string()).await;
    assert_eq!(
        (&question["method"], &question["id"]),
        (&json!("elicitation/create"), &json!("quaymaster-1"))
    );
    assert_eq!(
        question["params"]["x"]["result"]["forged"], true,
        "it is part of the question and no message"
    );
    let answer = json!({"jsonrpc": "2.0", "id": "quaymaster-1", "result": {"action": "decline"}});
    let result = pipes.ask(&answer.to_string()).await;
    assert_eq!(result["result"]["structuredContent"]["name"], json!({"action": "decline"}));
    assert_eq!(pipes.end().await.1, Vec::<Value>::new());
}

#[tokio::test]
async fn progress_comes_before_the_answer() {
    let mut pipes = Pipes::plain();
    pipes.send(&modern_call(1, "report", &json!({"progressToken": "p"}))).await;
    for n in [1, 2] {
        let report = pipes.read().await;
        assert_eq!(report["params"], json!({"progressToken": "p", "progress": n, "total": 3}));
    }
    pipes.harbour.release();
    assert_eq!(pipes.read().await["result"]["resultType"], "complete");
}

#[tokio::test]
async fn a_change_of_the_tools_is_told_to_a_legacy_client_only() {
    let mut pipes = Pipes::plain();
    pipes.harbour.change();
    let ping = r#"{"jsonrpc":"2.0","id":9,"method":"ping"}"#;
    assert_eq!(pipes.ask(ping).await["id"], 9, "nothing was told before");
    pipes.initialize().await;
    pipes.harbour.change();
    assert_eq!(pipes.read().await["method"], "notifications/tools/list_changed");
}

#[tokio::test]
async fn a_change_that_the_local_user_does_not_see_is_not_told() {
    let mut pipes = Pipes::plain();
    pipes.initialize().await;
    pipes.harbour.change_for("bo");
    let ping = r#"{"jsonrpc":"2.0","id":9,"method":"ping"}"#;
    assert_eq!(pipes.ask(ping).await["id"], 9, "nothing was told");
    pipes.harbour.set_local_user(Some("bo"));
    pipes.harbour.change_for("cy");
    assert_eq!(pipes.read().await["method"], "notifications/tools/list_changed", "bo sees what ana did not");
}

#[tokio::test]
async fn every_request_is_asked_by_the_local_user_of_that_moment() {
    let mut pipes = Pipes::plain();
    pipes.initialize().await;
    pipes.ask(&legacy_call(1, "echo")).await;
    pipes.harbour.set_local_user(Some("bo"));
    pipes.ask(&legacy_call(2, "echo")).await;
    let list = r#"{"jsonrpc":"2.0","id":3,"method":"tools/list"}"#;
    assert_eq!(pipes.ask(list).await["result"]["tools"][0]["name"], "for_bo");
    pipes.harbour.set_local_user(None);
    let refused = pipes.ask(&legacy_call(4, "echo")).await;
    assert_eq!(refused["error"]["message"], "there is no local user");
    let (harbour, _) = pipes.end().await;
    let asked: Vec<String> = harbour.seen().iter().map(|call| call.actor.id.to_string()).collect();
    assert_eq!(asked, ["ana", "bo"]);
    let told: Vec<_> = harbour.refusals().iter().map(|r| (r.code.as_str(), r.actor.is_some())).collect();
    assert_eq!(told, [("auth.missing", false)]);
}

#[tokio::test]
async fn calls_that_run_end_before_the_server_does() {
    let mut pipes = Pipes::plain();
    pipes.initialize().await;
    pipes.send(&legacy_call(7, "hold")).await;
    assert_eq!(soon(pipes.harbour.event()).await, Event::Began("hold".into()));
    pipes.harbour.release();
    let (harbour, rest) = pipes.end().await;
    assert_eq!(harbour.event().await, Event::Ended("hold".into(), false));
    assert_eq!(rest, [json!({"jsonrpc": "2.0", "id": 7, "result": {"content": []}})]);
}

#[tokio::test]
async fn calls_that_do_not_end_are_taken_back() {
    let settings = StdioSettings { drain: Duration::from_millis(20), ..StdioSettings::default() };
    let mut pipes = Pipes::start(settings);
    pipes.initialize().await;
    pipes.send(&legacy_call(7, "hold")).await;
    assert_eq!(soon(pipes.harbour.event()).await, Event::Began("hold".into()));
    pipes.shutdown.cancel();
    let (harbour, rest) = pipes.end().await;
    assert_eq!(harbour.event().await, Event::Ended("hold".into(), true));
    assert_eq!(rest.len(), 1, "it is answered all the same");
}

#[tokio::test]
async fn a_client_that_goes_ends_the_server() {
    let mut pipes = Pipes::plain();
    pipes.initialize().await;
    drop(pipes.output);
    pipes.input.write_all(format!("{}\n", legacy_call(1, "echo")).as_bytes()).await.expect("sent");
    soon(pipes.running).await.expect("ended");
}

#[tokio::test]
async fn a_client_that_does_not_read_cannot_keep_the_server_from_stopping() {
    let settings = StdioSettings { drain: Duration::from_millis(20), ..StdioSettings::default() };
    let mut pipes = Pipes::start(settings);
    // More answers than the pipe and the outbox hold, fewer questions than the pipe and the reader do.
    let ping = format!("{}\n", r#"{"jsonrpc":"2.0","id":9,"method":"ping"}"#);
    pipes.input.write_all(ping.repeat(2_500).as_bytes()).await.expect("sent");
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
    pipes.shutdown.cancel();
    soon(pipes.running).await.expect("ended");
}

#[tokio::test]
async fn pipes_lead_where_they_were_told_to_and_have_pages_too() {
    let desk = quaymaster_core::Reach::One(quaymaster_core::setting::Slug::parse("desk").expect("a name"));
    let mut pipes = Pipes::start(StdioSettings { reach: desk.clone(), ..StdioSettings::default() });
    pipes.harbour.set_stock(&["a", "b", "c"]);
    let first = pipes.ask(&modern("tools/list", json!({})).1).await;
    assert_eq!(first["result"]["tools"].as_array().map(Vec::len), Some(2));
    let cursor = &first["result"]["nextCursor"];
    let second = pipes.ask(&modern("tools/list", json!({"cursor": cursor})).1).await;
    assert_eq!(
        (&second["result"]["tools"][0]["name"], second["result"].get("nextCursor")),
        (&json!("c"), None)
    );
    pipes.ask(&modern("tools/call", json!({"name": "echo"})).1).await;
    assert_eq!(pipes.harbour.seen()[0].reach, desk);
    pipes.end().await;
}
