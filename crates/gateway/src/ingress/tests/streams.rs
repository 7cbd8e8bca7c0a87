//! Streams of calls that break and are taken up again.

use std::time::Duration;

use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use serde_json::{Value, json};

use super::client::{Client, Server, field, next_event, next_frame, next_with_id, soon};
use super::harbour::Event;
use crate::ingress::http::HttpSettings;

async fn primed(server: &Server, capabilities: Value) -> Client {
    let mut client = server.client().await;
    client.initialize_able_to("2025-11-25", capabilities).await;
    client
}

async fn early() -> Server {
    Server::start(HttpSettings { events_after: Duration::ZERO, ..HttpSettings::default() }).await
}

fn call(name: &str, meta: &Value) -> String {
    json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {"name": name, "_meta": meta}})
        .to_string()
}

/// Another connection of the same session.
async fn same(server: &Server, client: &Client) -> Client {
    let mut same = server.client().await;
    same.session.clone_from(&client.session);
    same
}

async fn go_on(client: &mut Client, id: &str) -> http::Response<Incoming> {
    client.open("GET", &[("last-event-id", id)], "").await
}

/// The id of the event with which a stream begins.
async fn beginning(body: &mut Incoming) -> String {
    let priming = soon(next_frame(body)).await.expect("an event");
    assert_eq!(field(&priming, "retry").as_deref(), Some("1000"));
    assert!(priming.ends_with("\ndata: \n\n"), "{priming}");
    field(&priming, "id").expect("an id")
}

#[tokio::test]
async fn who_lost_the_stream_of_a_call_has_the_answer_when_it_comes_back() {
    let server = early().await;
    let mut client = primed(&server, json!({})).await;
    let mut later = same(&server, &client).await;
    let mut body = client.open("POST", &[], &call("hold", &json!({}))).await.into_body();
    let id = beginning(&mut body).await;
    assert_eq!(soon(server.harbour.event()).await, Event::Began("hold".into()));
    drop(body);
    client.vanish().await;
    server.harbour.release();
    assert_eq!(soon(server.harbour.event()).await, Event::Ended("hold".into(), false));
    let response = go_on(&mut later, &id).await;
    assert_eq!(response.status().as_u16(), 200);
    let mut body = response.into_body();
    beginning(&mut body).await;
    let answer = soon(next_event(&mut body)).await.expect("the answer");
    assert_eq!(answer, json!({"jsonrpc": "2.0", "id": 7, "result": {"content": []}}));
    assert!(soon(body.frame()).await.is_none(), "the stream ends with the answer");
    let mut again = same(&server, &later).await;
    assert_eq!(go_on(&mut again, &id).await.status().as_u16(), 400, "it was told");
}

#[tokio::test]
async fn what_was_said_behind_the_last_event_is_said_again_and_nothing_else() {
    for revision in ["2025-03-26", "2025-06-18", "2025-11-25"] {
        let server = early().await;
        let mut client = server.client().await;
        client.initialize(revision).await;
        let mut later = same(&server, &client).await;
        let report = call("report", &json!({"progressToken": "p"}));
        let mut body = client.open("POST", &[], &report).await.into_body();
        let (first, id) = soon(next_with_id(&mut body)).await.expect("progress");
        let (second, _) = soon(next_with_id(&mut body)).await.expect("progress");
        // It is taken up before the server has seen that the first connection is gone.
        let mut body_again = go_on(&mut later, &id.expect("an id")).await.into_body();
        assert_eq!(soon(next_event(&mut body_again)).await, Some(second));
        assert_eq!(first["params"]["progress"], 1);
        assert!(soon(body.frame()).await.is_none(), "who comes back ends the stream before");
        server.harbour.release();
        let answer = soon(next_event(&mut body_again)).await.expect("the answer");
        assert_eq!(answer["result"], json!({"content": []}), "{revision}");
    }
}

#[tokio::test]
async fn a_stream_is_taken_up_in_its_own_session_and_by_an_id_of_ours() {
    let server = early().await;
    let mut client = primed(&server, json!({})).await;
    let mut body = client.open("POST", &[], &call("hold", &json!({}))).await.into_body();
    let id = beginning(&mut body).await;
    let mut other = primed(&server, json!({})).await;
    let mut stranger = server.client().await;
    (stranger.token, stranger.session) = ("bo", client.session.clone());
    assert_eq!(go_on(&mut stranger, &id).await.status().as_u16(), 404, "it is nobody else's session");
    let mut lesser = same(&server, &client).await;
    lesser.token = "ana-lesser";
    assert_eq!(go_on(&mut lesser, &id).await.status().as_u16(), 400, "a lesser token may not");
    let place = id.rfind('.').expect("a place");
    let beyond = format!("{}.9", &id[..place]);
    let mut told = Vec::new();
    for bad in [id.as_str(), "", "call.x.1.0", &beyond, "made-up"] {
        let who = if bad == id { &mut other } else { &mut same(&server, &client).await };
        let answer = who.exchange("GET", &[("last-event-id", bad)], "").await;
        assert_eq!(answer.status.as_u16(), 400, "{bad}");
        told.push(answer.text);
    }
    assert!(told.iter().all(|text| *text == told[0]), "{told:?}");
    server.harbour.release();
    soon(next_event(&mut body)).await.expect("nobody took it away");
}

#[tokio::test]
async fn a_question_waits_with_the_stream_that_it_is_put_on() {
    let server = early().await;
    let mut client = primed(&server, json!({"elicitation": {}})).await;
    let mut later = same(&server, &client).await;
    let mut aside = same(&server, &client).await;
    let mut body = client.open("POST", &[], &call("ask", &json!({}))).await.into_body();
    let id = beginning(&mut body).await;
    drop(body);
    client.vanish().await;
    let mut body = go_on(&mut later, &id).await.into_body();
    let question = soon(next_event(&mut body)).await.expect("a question");
    let response = json!({"jsonrpc": "2.0", "id": question["id"], "result": {"action": "decline"}});
    assert_eq!(aside.post(&response).await.status.as_u16(), 202);
    let answer = soon(next_event(&mut body)).await.expect("the answer");
    assert_eq!(answer["result"]["structuredContent"]["name"]["action"], "decline");
}

#[tokio::test]
async fn a_server_that_closes_its_stream_has_the_clients_closed_until_it_comes_back() {
    let server = early().await;
    let mut client = primed(&server, json!({})).await;
    let mut body = client.open("POST", &[], &call("away", &json!({}))).await.into_body();
    let id = beginning(&mut body).await;
    assert_eq!(soon(next_frame(&mut body)).await.as_deref(), Some("retry: 300\n\n"));
    assert!(soon(body.frame()).await.is_none(), "closed before the answer");
    let mut body = go_on(&mut client, &id).await.into_body();
    server.harbour.release();
    assert_eq!(soon(next_event(&mut body)).await.expect("the answer")["id"], 7);
    // Whoever does not know that it has to come back keeps its stream.
    let mut older = server.client().await;
    older.initialize("2025-06-18").await;
    let mut body = older.open("POST", &[], &call("away", &json!({}))).await.into_body();
    server.harbour.release();
    assert_eq!(soon(next_event(&mut body)).await.expect("the answer")["id"], 7);
}

#[tokio::test]
async fn a_session_that_would_rather_have_events_has_each_answer_as_one() {
    let server = Server::plain().await;
    let client = primed(&server, json!({})).await;
    let session = client.session.as_deref().expect("a session");
    for body in
        [call("empty", &json!({})), json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"}).to_string()]
    {
        let request = format!(
            "POST /mcp HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer ana\r\nmcp-session-id: {session}\r\n\
             accept: text/event-stream, application/json\r\ncontent-type: application/json\r\n\
             connection: close\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        let answer = server.exchange(request.as_bytes()).await;
        assert!(answer.contains("content-type: text/event-stream"), "{answer}");
        assert!(answer.contains("event: message\ndata: {\"jsonrpc\":\"2.0\""), "{answer}");
    }
}

#[tokio::test]
async fn what_is_there_at_once_is_an_answer_in_json() {
    let server = Server::plain().await;
    let mut client = primed(&server, json!({})).await;
    let answer = client.exchange("POST", &[], &call("empty", &json!({}))).await;
    assert_eq!(answer.header("content-type"), Some("application/json"));
}

#[tokio::test]
async fn a_sessions_own_stream_goes_on_where_it_broke() {
    let server = Server::plain().await;
    let mut client = primed(&server, json!({})).await;
    let mut body = client.open("GET", &[], "").await.into_body();
    let begun = beginning(&mut body).await;
    server.harbour.change();
    let (_, id) = soon(next_with_id(&mut body)).await.expect("a change");
    let mut id = id.expect("an id");
    assert_ne!(id, begun);
    // The server may not have seen yet that the connection is gone; then it says so.
    let gone_on = async {
        let mut client = client;
        loop {
            let mut later = same(&server, &client).await;
            client.vanish().await;
            server.harbour.change();
            let mut body = go_on(&mut later, &id).await.into_body();
            let first = next_frame(&mut body).await.expect("an event");
            if !first.contains("list_changed") {
                assert_eq!(field(&first, "id").as_ref(), Some(&id));
                return (later, body);
            }
            let mut ids = first.lines().filter_map(|line| line.strip_prefix("id: "));
            id = ids.next_back().expect("an id").to_owned();
            client = later;
        }
    };
    let (_client, mut body) = soon(gone_on).await;
    let (told, next) = soon(next_with_id(&mut body)).await.expect("what changed meanwhile");
    assert_eq!(told["method"], "notifications/tools/list_changed");
    assert!(next.is_some());
}

#[tokio::test]
async fn whoever_comes_back_with_an_id_that_is_not_known_is_told_that_all_may_have_changed() {
    let server = Server::plain().await;
    let mut client = primed(&server, json!({})).await;
    let mut later = same(&server, &client).await;
    drop(client.open("GET", &[], "").await);
    let mut body = go_on(&mut later, "own.before-the-restart.1.5").await.into_body();
    let first = soon(next_frame(&mut body)).await.expect("an event");
    assert_eq!(first.matches("list_changed").count(), 3, "{first}");
}
