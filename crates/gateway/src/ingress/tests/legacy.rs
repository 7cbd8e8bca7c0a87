//! Clients of the revisions with sessions.

use std::time::Duration;

use http_body_util::BodyExt as _;
use serde_json::{Value, json};

use super::client::{Client, Server, next_event, soon};
use super::harbour::Event;
use super::pipes::{Pipes, legacy_call};
use crate::ingress::http::HttpSettings;

fn call(id: u64, tool: &str, meta: &Value) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {"name": tool, "_meta": meta}})
}

fn cancelled(id: u64) -> Value {
    json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": id}})
}

async fn ready(server: &Server) -> Client {
    let mut client = server.client().await;
    client.initialize("2025-06-18").await;
    client
}

#[tokio::test]
async fn the_exchanges_of_a_legacy_client_have_the_form_of_the_revision() {
    let server = Server::plain().await;
    let mut client = server.client().await;
    let mut report = Vec::new();
    let mut note = |what: &str, answer: super::client::Answer| {
        let body = if answer.text.is_empty() { "(empty)".into() } else { format!("{:#}", answer.json()) };
        report.push(format!(
            "{what}: {} session={:?}\n{body}",
            answer.status,
            answer.header("mcp-session-id")
        ));
    };
    note("initialize", client.initialize("2025-06-18").await);
    for body in [
        json!({"jsonrpc": "2.0", "method": "notifications/initialized"}),
        json!({"jsonrpc": "2.0", "id": "a", "method": "ping"}),
        json!({"jsonrpc": "2.0", "id": 2, "method": "tools/list", "params": {"_meta": {"progressToken": 0}}}),
        call(3, "echo", &json!({"progressToken": 1})),
        call(4, "empty", &json!({})),
        call(5, "pretty", &json!({})),
        json!({"jsonrpc": "2.0", "id": 6, "method": "prompts/list"}),
        json!({"jsonrpc": "2.0", "id": 7, "method": "tools/list", "params": {"cursor": "x"}}),
        json!({"jsonrpc": "2.0", "id": 8, "result": {}}),
        json!({"jsonrpc": "2.0", "method": "notifications/unheard-of"}),
        cancelled(99),
    ] {
        let what = body["method"].as_str().unwrap_or("a response").to_owned();
        note(&what, client.post(&body).await);
    }
    note("DELETE", client.exchange("DELETE", &[], "").await);
    note("after the end", client.post(&json!({"jsonrpc": "2.0", "id": 9, "method": "ping"})).await);
    insta::assert_snapshot!(report.join("\n\n"));
}

#[tokio::test]
async fn the_version_is_the_one_asked_for_where_we_speak_it() {
    let server = Server::plain().await;
    for (asked, answered) in [
        ("2025-06-18", "2025-06-18"),
        ("2025-11-25", "2025-11-25"),
        ("2025-03-26", "2025-03-26"),
        ("2024-11-05", "2024-11-05"),
        ("bogus", "2025-11-25"),
    ] {
        let answer = server.client().await.initialize(asked).await;
        assert_eq!(answer.json()["result"]["protocolVersion"], answered, "{asked}");
    }
}

#[tokio::test]
async fn the_version_header_of_a_session_is_checked() {
    let server = Server::plain().await;
    let ping = json!({"jsonrpc": "2.0", "id": 1, "method": "ping"}).to_string();
    for opened in ["2025-06-18", "2025-03-26"] {
        let mut client = server.client().await;
        client.initialize(opened).await;
        for version in ["2025-11-25", "2025-06-18", "2025-03-26", "1900-01-01", "x"] {
            let header = [("mcp-protocol-version", version)];
            let status = if version == opened { 200 } else { 400 };
            let answer = client.exchange("POST", &header, &ping).await;
            assert_eq!(answer.status.as_u16(), status, "{version} in a session of {opened}");
            if version != opened {
                for method in ["GET", "DELETE"] {
                    let answer = client.exchange(method, &header, "").await;
                    assert_eq!(answer.status.as_u16(), 400, "{method} of {version}: {}", answer.text);
                }
            }
        }
        let answer = client.exchange("POST", &[], &ping).await;
        assert_eq!(answer.status.as_u16(), 200, "without a header it is the session's");
    }
}

#[tokio::test]
async fn a_client_is_asked_what_its_revision_has_whatever_it_claims() {
    let server = Server::plain().await;
    let all = json!({"elicitation": {"form": {}, "url": {}}, "sampling": {"tools": {}}, "roots": {}});
    let form = json!({"method": "elicitation/create", "params": {"message": "?"}});
    let url = json!({"method": "elicitation/create", "params": {"mode": "url", "url": "https://a.test"}});
    let sample = json!({"method": "sampling/createMessage", "params": {"messages": []}});
    let tools = json!({"method": "sampling/createMessage", "params": {"messages": [], "tools": []}});
    let since =
        [("2024-11-05", &sample), ("2025-06-18", &form), ("2025-11-25", &url), ("2025-11-25", &tools)];
    for version in ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"] {
        for (first, question) in since {
            let mut client = server.client().await;
            client.initialize_able_to(version, all.clone()).await;
            let ask = json!({"name": "ask", "arguments": {"question": {"name": question}}});
            let call = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": ask});
            let mut body = client.open("POST", &[], &call.to_string()).await.into_body();
            if version >= first {
                let asked = soon(next_event(&mut body)).await.expect("a question");
                assert_eq!(asked["method"], question["method"], "{version}");
            } else {
                let answer = soon(body.collect()).await.expect("a body").to_bytes();
                let answer: Value = serde_json::from_slice(&answer).expect("JSON");
                assert_eq!(answer["result"]["structuredContent"], "Unsupported", "{version}: {question}");
            }
        }
    }
}

#[tokio::test]
async fn a_client_gets_no_content_that_its_revision_does_not_have() {
    let server = Server::plain().await;
    for (version, kind) in [("2025-03-26", "text"), ("2025-06-18", "resource_link")] {
        let mut client = server.client().await;
        client.initialize(version).await;
        let answer = client.post(&call(1, "link", &json!({}))).await;
        assert_eq!(answer.json()["result"]["content"][0]["type"], kind, "{version}");
        let mut pipes = Pipes::plain();
        pipes.initialize_as(version).await;
        let answer = pipes.ask(&legacy_call(1, "link")).await;
        assert_eq!(answer["result"]["content"][0]["type"], kind, "{version} on a pipe");
    }
}

#[tokio::test]
async fn a_session_is_nobody_elses() {
    let server = Server::plain().await;
    let mut client = ready(&server).await;
    let ping = json!({"jsonrpc": "2.0", "id": 1, "method": "ping"});
    let mut other = server.client().await;
    other.session.clone_from(&client.session);
    other.token = "bo";
    assert_eq!(other.post(&ping).await.status.as_u16(), 404);
    assert_eq!(other.exchange("GET", &[], "").await.status.as_u16(), 404);
    assert_eq!(other.exchange("DELETE", &[], "").await.status.as_u16(), 404);
    (other.token, other.path) = ("ana", "/w/sales/mcp");
    assert_eq!(other.post(&ping).await.status.as_u16(), 404);
    assert_eq!(client.post(&ping).await.status.as_u16(), 200, "its owner still has it");
    let told: Vec<_> =
        server.harbour.refusals().iter().map(|r| (r.code.as_str(), r.session.is_some())).collect();
    assert_eq!(told, [("auth.scope", false); 4]);
}

#[tokio::test]
async fn a_session_that_nobody_used_goes_on_unless_it_had_more_than_its_handle_says() {
    let server = Server::plain().await;
    let (mut plain, mut loud) = (ready(&server).await, ready(&server).await);
    let level =
        json!({"jsonrpc": "2.0", "id": 1, "method": "logging/setLevel", "params": {"level": "debug"}});
    assert_eq!(loud.post(&level).await.status.as_u16(), 200);
    server.harbour.clock.advance(Duration::from_mins(31));
    let ping = json!({"jsonrpc": "2.0", "id": 1, "method": "ping"});
    assert_eq!(plain.post(&ping).await.status.as_u16(), 200);
    assert_eq!(loud.post(&ping).await.status.as_u16(), 404, "so that it says its level again");
}

#[tokio::test]
async fn a_full_table_of_sessions_is_said_to_be_full() {
    let settings = HttpSettings { max_sessions: 1, ..HttpSettings::default() };
    let server = Server::start(settings).await;
    let mut first = ready(&server).await;
    let mut streaming = server.client().await;
    streaming.session.clone_from(&first.session);
    let _stream = streaming.open("GET", &[], "").await.into_body();
    let answer = server.client().await.initialize("2025-06-18").await;
    assert_eq!(answer.status.as_u16(), 503, "the only one is in use");
    assert_eq!(answer.json()["error"]["data"]["code"], "gateway.overloaded");
    assert_eq!(first.exchange("DELETE", &[], "").await.status.as_u16(), 204);
    assert_eq!(server.client().await.initialize("2025-06-18").await.status.as_u16(), 200);
}

#[tokio::test]
async fn what_codex_sends_reaches_the_call() {
    let server = Server::plain().await;
    let mut client = ready(&server).await;
    client.post(&call(1, "echo", &json!({"callId": "c", "threadId": "t", "progressToken": 3}))).await;
    let seen = server.harbour.seen().remove(0);
    let recorded = seen.session.map(|id| id.to_string()).expect("a session");
    assert!(recorded.starts_with("ses_"), "what is recorded does not open the session: {recorded}");
    assert_eq!(seen.agent.client.as_deref(), Some("codex-mcp-client/0.169.0"));
    assert_eq!((seen.agent.call.as_deref(), seen.agent.thread.as_deref()), (Some("c"), Some("t")));
}

#[tokio::test]
async fn a_cancellation_reaches_the_call_and_nobody_elses() {
    let server = Server::plain().await;
    let mut client = ready(&server).await;
    let mut same = server.client().await;
    same.session.clone_from(&client.session);
    let mut other = ready(&server).await;
    let harbour = server.harbour.clone();
    let request = call(7, "hold", &json!({}));
    let waiting = client.post(&request);
    let mut waiting = std::pin::pin!(waiting);
    tokio::select! {
        _ = &mut waiting => panic!("held"),
        event = harbour.event() => assert_eq!(event, Event::Began("hold".into())),
    }
    assert_eq!(other.post(&cancelled(7)).await.status.as_u16(), 202);
    let twice = same.post(&request).await;
    assert_eq!(twice.status.as_u16(), 400, "the id is in use: {}", twice.text);
    assert_eq!(same.post(&cancelled(7)).await.status.as_u16(), 202);
    assert_eq!(soon(&mut waiting).await.status.as_u16(), 200);
    assert_eq!(harbour.event().await, Event::Ended("hold".into(), true));
}

#[tokio::test]
async fn a_client_that_goes_does_not_take_its_call_back() {
    let server = Server::plain().await;
    let mut client = ready(&server).await;
    let harbour = server.harbour.clone();
    {
        let request = call(7, "hold", &json!({}));
        let waiting = client.post(&request);
        let mut waiting = std::pin::pin!(waiting);
        tokio::select! {
            _ = &mut waiting => panic!("held"),
            event = harbour.event() => assert_eq!(event, Event::Began("hold".into())),
        }
    }
    client.vanish().await;
    harbour.release();
    assert_eq!(soon(harbour.event()).await, Event::Ended("hold".into(), false));
}

#[tokio::test]
async fn the_end_of_a_session_takes_its_calls_back() {
    let server = Server::plain().await;
    let mut client = ready(&server).await;
    let mut same = server.client().await;
    same.session.clone_from(&client.session);
    let harbour = server.harbour.clone();
    let request = call(7, "hold", &json!({}));
    let waiting = client.post(&request);
    let mut waiting = std::pin::pin!(waiting);
    tokio::select! {
        _ = &mut waiting => panic!("held"),
        event = harbour.event() => assert_eq!(event, Event::Began("hold".into())),
    }
    assert_eq!(same.exchange("DELETE", &[], "").await.status.as_u16(), 204);
    soon(&mut waiting).await;
    assert_eq!(harbour.event().await, Event::Ended("hold".into(), true));
}

#[tokio::test]
async fn progress_comes_under_the_clients_own_token() {
    let server = Server::plain().await;
    let mut client = ready(&server).await;
    let body = call(7, "report", &json!({"progressToken": 0})).to_string();
    let mut stream = client.open("POST", &[], &body).await.into_body();
    let event = soon(next_event(&mut stream)).await.expect("progress");
    assert_eq!(event["params"], json!({"progressToken": 0, "progress": 1, "total": 3}));
    server.harbour.release();
    soon(next_event(&mut stream)).await.expect("progress");
    let event = soon(next_event(&mut stream)).await.expect("the answer");
    assert_eq!(event, json!({"jsonrpc": "2.0", "id": 7, "result": {"content": []}}));
}

#[tokio::test]
async fn a_stream_of_notifications_tells_of_changes_and_shows_that_it_is_alive() {
    let settings = HttpSettings { keep_alive: Duration::from_millis(20), ..HttpSettings::default() };
    let server = Server::start(settings).await;
    let mut client = ready(&server).await;
    let response = client.open("GET", &[], "").await;
    assert_eq!(response.status().as_u16(), 200);
    let mut stream = response.into_body();
    server.harbour.change();
    let event = soon(next_event(&mut stream)).await.expect("a change");
    assert_eq!(event, json!({"jsonrpc": "2.0", "method": "notifications/tools/list_changed"}));

    let mut again = server.client().await;
    again.session.clone_from(&client.session);
    let mut second = again.open("GET", &[], "").await.into_body();
    assert!(soon(next_event(&mut stream)).await.is_none(), "the second stream replaces the first");
    let missed = soon(second.frame()).await.expect("a frame").expect("a whole one");
    let missed = missed.into_data().expect("bytes");
    let told = String::from_utf8_lossy(&missed).matches("list_changed").count();
    assert_eq!(told, 3, "what may have changed between two streams is told");
    server.harbour.change();
    assert!(soon(next_event(&mut second)).await.is_some());

    let mut ending = server.client().await;
    ending.session.clone_from(&client.session);
    ending.exchange("DELETE", &[], "").await;
    assert!(soon(next_event(&mut second)).await.is_none(), "the session ended");
}

#[tokio::test]
async fn a_change_that_its_actor_does_not_see_is_not_told_on_a_stream() {
    let settings = HttpSettings { keep_alive: Duration::from_millis(20), ..HttpSettings::default() };
    let server = Server::start(settings).await;
    let mut client = ready(&server).await;
    let mut stream = client.open("GET", &[], "").await.into_body();
    server.harbour.change_for("bo");
    for _ in 0..5 {
        let frame = soon(stream.frame()).await.expect("a frame").expect("a whole one");
        assert_eq!(frame.into_data().expect("bytes"), ":\n\n", "only that the stream is alive");
    }
    server.harbour.change();
    assert!(soon(next_event(&mut stream)).await.is_some(), "what ana sees is told");
}

#[tokio::test]
async fn a_stream_of_notifications_must_be_taken_as_events() {
    let server = Server::plain().await;
    let client = ready(&server).await;
    let session = client.session.expect("a session");
    let request = format!(
        "GET /mcp HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer ana\r\naccept: application/json\r\n\
         mcp-session-id: {session}\r\nconnection: close\r\n\r\n"
    );
    assert!(server.exchange(request.as_bytes()).await.starts_with("HTTP/1.1 406"));
}
