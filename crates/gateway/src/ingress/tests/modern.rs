//! Clients of 2026-07-28.

use serde_json::{Value, json};

use super::client::{Server, modern, next_event, soon};
use super::harbour::Event;

fn call(tool: &str, meta: &Value) -> Value {
    json!({"name": tool, "arguments": {"region": "EMEA"}, "_meta": meta})
}

async fn open(client: &mut super::client::Client, params: Value) -> http::Response<hyper::body::Incoming> {
    let (headers, body) = modern("tools/call", params);
    let headers: Vec<_> = headers.iter().map(|(n, v)| (*n, v.as_str())).collect();
    client.open("POST", &headers, &body).await
}

#[tokio::test]
async fn the_exchanges_of_a_modern_client_have_the_form_of_the_revision() {
    let server = Server::plain().await;
    let mut client = server.client().await;
    let mut report = Vec::new();
    for (method, params) in [
        ("server/discover", json!({})),
        ("tools/list", json!({})),
        ("tools/list", json!({"cursor": null})),
        ("tools/call", call("echo", &json!({}))),
        ("tools/call", call("empty", &json!({}))),
        ("tools/call", call("panic", &json!({}))),
        ("tools/call", call("not_json", &json!({}))),
    ] {
        let answer = client.modern(method, params).await;
        report.push(format!(
            "{method}: {} {:?}\n{:#}",
            answer.status,
            answer.header("content-type"),
            answer.json()
        ));
    }
    insta::assert_snapshot!(report.join("\n\n"));
}

#[tokio::test]
async fn depth_that_nobody_reads_is_harmless() {
    let server = Server::plain().await;
    let mut client = server.client().await;
    let (headers, body) = modern("tools/list", json!({}));
    let headers: Vec<_> = headers.iter().map(|(n, v)| (*n, v.as_str())).collect();
    let deep = format!(r#""_meta":{{"x":{}{},"#, "[".repeat(100_000), "]".repeat(100_000));
    let answer = client.exchange("POST", &headers, &body.replace(r#""_meta":{"#, &deep)).await;
    assert_eq!(answer.status.as_u16(), 200, "{}", answer.text);
}

#[tokio::test]
async fn a_session_id_that_came_along_is_ignored() {
    let server = Server::plain().await;
    let mut client = server.client().await;
    client.session = Some("stray".into());
    let answer = client.modern("tools/list", json!({})).await;
    assert_eq!((answer.status.as_u16(), answer.header("mcp-session-id")), (200, None));
}

#[tokio::test]
async fn the_workspace_of_the_path_is_the_one_of_the_call() {
    let server = Server::plain().await;
    let mut client = server.client().await;
    client.path = "/w/sales/mcp";
    client.modern("tools/call", call("echo", &json!({}))).await;
    assert_eq!(server.harbour.seen()[0].actor.workspace.as_str(), "sales");
}

#[tokio::test]
async fn what_the_client_says_of_its_agent_goes_with_the_call() {
    let server = Server::plain().await;
    let mut client = server.client().await;
    let meta = json!({
        "callId": "call_7", "threadId": "t-1", "sessionId": "s-1",
        "x-codex-turn-metadata": {"turn_id": "u-1", "model": "gpt-5.2", "sandbox_mode": "read-only"},
        "traceparent": "00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01",
    });
    client.modern("tools/call", call("echo", &meta)).await;
    let seen = server.harbour.seen().remove(0);
    assert_eq!(seen.trace_id.as_deref(), Some("0af7651916cd43dd8448eb211c80319c"));
    assert_eq!((seen.session, seen.correlation_id.as_deref()), (None, Some("u-1")));
    insta::assert_json_snapshot!(seen.agent);
}

#[tokio::test]
async fn a_report_of_progress_turns_the_answer_into_a_stream() {
    let server = Server::plain().await;
    let mut client = server.client().await;
    let response = open(&mut client, call("report", &json!({"progressToken": "p-1"}))).await;
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    assert_eq!(response.headers()["x-accel-buffering"], "no");
    let mut body = response.into_body();
    for n in [1, 2] {
        let event = soon(next_event(&mut body)).await.expect("progress");
        let params = json!({"progressToken": "p-1", "progress": n, "total": 3});
        assert_eq!(event, json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": params}));
    }
    server.harbour.release();
    let event = soon(next_event(&mut body)).await.expect("the answer");
    assert_eq!(
        event,
        json!({"jsonrpc": "2.0", "id": 1, "result": {"resultType": "complete", "content": []}})
    );
    assert!(soon(next_event(&mut body)).await.is_none(), "the stream ends with the answer");
}

#[tokio::test]
async fn what_is_told_right_before_the_answer_is_not_lost() {
    let server = Server::plain().await;
    let mut client = server.client().await;
    for _ in 0..20 {
        // So the call has its reply as soon as it has reported.
        server.harbour.release();
        let response = open(&mut client, call("report", &json!({"progressToken": 1}))).await;
        let mut body = response.into_body();
        for n in [1, 2] {
            let event = soon(next_event(&mut body)).await.expect("progress");
            assert_eq!(event["params"]["progress"], n);
        }
        assert_eq!(soon(next_event(&mut body)).await.expect("the answer")["id"], 1);
        assert!(soon(next_event(&mut body)).await.is_none());
    }
}

#[tokio::test]
async fn a_client_that_takes_no_events_gets_its_answer_as_json() {
    let server = Server::plain().await;
    let (headers, body) = modern("tools/call", call("report", &json!({"progressToken": 1})));
    let head: Vec<String> = headers.iter().map(|(n, v)| format!("{n}: {v}\r\n")).collect();
    let request = format!(
        "POST /mcp HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer ana\r\naccept: application/json\r\n\
         content-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n{}\r\n{body}",
        body.len(),
        head.concat()
    );
    server.harbour.release();
    let answer = soon(server.exchange(request.as_bytes())).await;
    assert!(answer.contains("content-type: application/json") && answer.contains("complete"), "{answer}");
}

#[tokio::test]
async fn a_client_that_closes_the_connection_takes_its_call_back() {
    let server = Server::plain().await;
    let mut client = server.client().await;
    let harbour = server.harbour.clone();
    {
        let waiting = open(&mut client, call("hold", &json!({})));
        let mut waiting = std::pin::pin!(waiting);
        tokio::select! {
            _ = &mut waiting => panic!("held"),
            event = harbour.event() => assert_eq!(event, Event::Began("hold".into())),
        }
    }
    client.vanish().await;
    assert_eq!(soon(harbour.event()).await, Event::Ended("hold".into(), true));
}

#[tokio::test]
async fn a_client_that_closes_a_stream_takes_its_call_back() {
    let server = Server::plain().await;
    let mut client = server.client().await;
    let response = open(&mut client, call("report", &json!({"progressToken": 1}))).await;
    assert_eq!(server.harbour.event().await, Event::Began("report".into()));
    drop(response);
    client.vanish().await;
    assert_eq!(soon(server.harbour.event()).await, Event::Ended("report".into(), true));
}

#[tokio::test]
async fn a_notification_is_accepted_without_an_answer() {
    let server = Server::plain().await;
    let mut client = server.client().await;
    let (headers, _) = modern("notifications/cancelled", json!({}));
    let headers: Vec<_> = headers.iter().map(|(n, v)| (*n, v.as_str())).collect();
    let body = r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}"#;
    let answer = client.exchange("POST", &headers, body).await;
    assert_eq!((answer.status.as_u16(), answer.text.as_str()), (202, ""));
}
