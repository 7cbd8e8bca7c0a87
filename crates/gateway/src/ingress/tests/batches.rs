//! Several messages in one POST, which only sessions of 2025-03-26 may send.

use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use serde_json::{Value, json};

use super::client::{Answer, Client, Server, soon};
use super::harbour::Event;

fn request(id: u64, method: &str) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "method": method})
}

fn call(id: u64, tool: &str, meta: &Value) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {"name": tool, "_meta": meta}})
}

fn notification(method: &str, params: &Value) -> Value {
    json!({"jsonrpc": "2.0", "method": method, "params": params})
}

async fn ready(server: &Server) -> Client {
    let mut client = server.client().await;
    client.initialize_able_to("2025-03-26", json!({"roots": {}})).await;
    client
}

async fn open(client: &mut Client, batch: &Value) -> Incoming {
    let response = client.open("POST", &[], &batch.to_string()).await;
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    response.into_body()
}

/// The next events of a stream, which may come several at a time; none at its end.
async fn events(body: &mut Incoming) -> Option<Vec<Value>> {
    let frame = soon(body.frame()).await?.expect("a frame").into_data().expect("bytes");
    let text = String::from_utf8(frame.to_vec()).expect("UTF-8");
    let data = text.split("\n\n").filter_map(|event| event.strip_prefix("event: message\ndata: "));
    Some(data.map(|data| serde_json::from_str(data).expect("a message")).collect())
}

async fn rest(mut body: Incoming) -> Vec<Value> {
    let mut all = Vec::new();
    while let Some(more) = events(&mut body).await {
        all.extend(more);
    }
    all
}

fn of(answers: &[Value], id: u64) -> &Value {
    let mut found = answers.iter().filter(|answer| answer["id"] == id);
    let answer = found.next().unwrap_or_else(|| panic!("no answer to {id}: {answers:?}"));
    assert!(found.next().is_none(), "one answer to {id}");
    answer
}

fn told(server: &Server) -> Vec<(&'static str, Option<String>)> {
    server.harbour.refusals().into_iter().map(|refusal| (refusal.code.as_str(), refusal.method)).collect()
}

#[tokio::test]
async fn each_message_of_a_batch_is_answered_by_itself_and_each_refusal_is_told() {
    let server = Server::plain().await;
    let mut client = ready(&server).await;
    let batch = json!([
        request(1, "ping"),
        notification("notifications/initialized", &json!({})),
        call(2, "report", &json!({"progressToken": "p"})),
        request(3, "tools/list"),
        {"jsonrpc": "2.0", "id": "unheard-of", "result": {}},
        request(4, "no/such"),
        [request(5, "ping")],
        {"jsonrpc": "2.0", "id": 6, "method": "initialize", "params": {"protocolVersion": "2025-03-26"}},
        notification("notifications/x", &json!({"_meta": 7})),
        call(7, "echo", &json!({})),
    ]);
    let body = open(&mut client, &batch).await;
    server.harbour.release();
    let answers = rest(body).await;
    assert_eq!(of(&answers, 1)["result"], json!({}));
    assert_eq!(of(&answers, 2)["result"], json!({"content": []}));
    assert_eq!(of(&answers, 3)["result"]["tools"][0]["name"], "for_ana");
    assert_eq!(of(&answers, 4)["error"]["code"], -32601);
    assert_eq!(of(&answers, 6)["error"]["code"], -32600);
    assert!(of(&answers, 7)["result"].is_object());
    let progress = answers.iter().filter(|answer| answer["method"] == "notifications/progress");
    assert_eq!(progress.count(), 2);
    let nameless: Vec<_> =
        answers.iter().filter(|a| a.get("id").is_none() && a["error"].is_object()).collect();
    assert_eq!(nameless.len(), 1, "the batch within; a bad notification is not answered: {nameless:?}");
    assert_eq!(answers.len(), 9);
    let invalid = |method: Option<&str>| ("input.invalid", method.map(str::to_owned));
    assert_eq!(
        told(&server),
        [
            invalid(Some("no/such")),
            invalid(None),
            invalid(Some("initialize")),
            invalid(Some("notifications/x"))
        ]
    );
}

#[tokio::test]
async fn a_client_that_takes_no_events_gets_one_list() {
    let server = Server::plain().await;
    let session = ready(&server).await.session.expect("a session");
    let batch = json!([call(1, "echo", &json!({})), request(2, "ping"), request(3, "no/such")]).to_string();
    let request = format!(
        "POST /mcp HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer ana\r\naccept: application/json\r\n\
         content-type: application/json\r\nmcp-session-id: {session}\r\nconnection: close\r\n\
         content-length: {}\r\n\r\n{batch}",
        batch.len()
    );
    let answer = server.exchange(request.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let (_, body) = answer.split_once("\r\n\r\n").expect("a body");
    let answers: Vec<Value> = serde_json::from_str(body).expect("a list");
    let ids: Vec<_> = answers.iter().map(|answer| answer["id"].clone()).collect();
    assert_eq!(ids, [1, 2, 3]);
    assert_eq!(answers[2]["error"]["code"], -32601);
}

#[tokio::test]
async fn a_batch_without_a_request_is_accepted_without_an_answer() {
    let server = Server::plain().await;
    let mut client = ready(&server).await;
    let fine = notification("notifications/initialized", &json!({}));
    let response = json!({"jsonrpc": "2.0", "id": "unheard-of", "result": {}});
    let answer = client.post(&json!([fine, response])).await;
    assert_eq!((answer.status.as_u16(), answer.text.as_str()), (202, ""));
    let answer = client.post(&json!([fine, notification("tools/list", &json!({})), 7])).await;
    assert_eq!(answer.status.as_u16(), 400);
    assert_eq!(answer.json().get("id"), None, "{}", answer.text);
    assert_eq!(told(&server).len(), 2);
}

#[tokio::test]
async fn where_there_are_no_batches_one_is_refused_whole() {
    let server = Server::plain().await;
    let batch = json!([request(1, "ping"), call(2, "echo", &json!({}))]);
    let refused = |answer: &Answer, what: &str| {
        assert_eq!(answer.status.as_u16(), 400, "{what}");
        let error = &answer.json()["error"];
        assert_eq!(error["code"], -32600, "{what}");
        assert!(error["message"].as_str().is_some_and(|m| m.starts_with("batches are not part")), "{error}");
    };
    for version in ["2024-11-05", "2025-06-18", "2025-11-25"] {
        let mut client = server.client().await;
        client.initialize(version).await;
        refused(&client.post(&batch).await, version);
        refused(&client.post(&json!([])).await, "an empty one");
    }
    refused(&server.client().await.post(&batch).await, "no session");
    let mut client = ready(&server).await;
    let modern = [("mcp-protocol-version", "2026-07-28")];
    refused(&client.exchange("POST", &modern, &batch.to_string()).await, "a modern header");
    client.session = Some("ses_unknown".into());
    assert_eq!(client.post(&batch).await.status.as_u16(), 404, "so that it opens another session");
    assert!(server.harbour.seen().is_empty());
}

#[tokio::test]
async fn a_batch_that_holds_nothing_or_too_much_or_is_broken_is_refused_whole() {
    let server = Server::plain().await;
    let mut client = ready(&server).await;
    let calls: Vec<Value> = (0..65).map(|id| call(id, "echo", &json!({}))).collect();
    let broken = format!("[{},", call(1, "echo", &json!({})));
    for (body, code) in [("[]".to_owned(), -32600), (json!(calls).to_string(), -32600), (broken, -32700)] {
        let answer = client.exchange("POST", &[], &body).await;
        assert_eq!((answer.status.as_u16(), &answer.json()["error"]["code"]), (400, &json!(code)));
    }
    assert!(server.harbour.seen().is_empty());
    assert_eq!(told(&server).len(), 3);
}

#[tokio::test]
async fn none_of_those_that_share_an_id_is_begun() {
    let server = Server::plain().await;
    let mut client = ready(&server).await;
    let batch = json!([call(1, "echo", &json!({})), call(1, "empty", &json!({})), request(2, "ping")]);
    let answers = rest(open(&mut client, &batch).await).await;
    let shared: Vec<_> = answers.iter().filter(|answer| answer["id"] == 1).collect();
    assert!(shared.len() == 2 && shared.iter().all(|answer| answer["error"]["code"] == -32600), "{shared:?}");
    assert_eq!(of(&answers, 2)["result"], json!({}));
    assert!(server.harbour.seen().is_empty());
}

#[tokio::test]
async fn each_call_of_a_batch_can_be_taken_back_alone_and_all_end_with_the_session() {
    let server = Server::plain().await;
    let mut client = ready(&server).await;
    let mut aside = server.client().await;
    aside.session.clone_from(&client.session);
    let cancelled = |id: u64| notification("notifications/cancelled", &json!({"requestId": id}));
    let batch =
        json!([call(1, "hold", &json!({})), call(2, "hold", &json!({})), cancelled(1), request(3, "ping")]);
    let mut body = open(&mut client, &batch).await;
    let mut answers = Vec::new();
    while answers.len() < 2 {
        answers.extend(events(&mut body).await.expect("the stream is open"));
    }
    assert!(of(&answers, 1)["result"].is_object() && of(&answers, 3)["result"].is_object());
    aside.exchange("DELETE", &[], "").await;
    assert_eq!(rest(body).await.len(), 1, "the other call is answered too");
    let mut ended = Vec::new();
    while ended.len() < 2 {
        if let Event::Ended(_, taken_back) = soon(server.harbour.event()).await {
            ended.push(taken_back);
        }
    }
    assert_eq!(ended, [true, true]);
}

#[tokio::test]
async fn a_call_of_a_batch_asks_on_the_stream_of_the_batch() {
    let server = Server::plain().await;
    let mut client = ready(&server).await;
    let mut aside = server.client().await;
    aside.session.clone_from(&client.session);
    let mut ask = call(1, "ask", &json!({}));
    ask["params"]["arguments"] = json!({"question": {"where": {"method": "roots/list"}}});
    let mut body = open(&mut client, &json!([ask, request(2, "ping")])).await;
    let mut seen = Vec::new();
    let question = loop {
        seen.extend(events(&mut body).await.expect("the stream is open"));
        if let Some(question) = seen.iter().find(|message| message["method"] == "roots/list") {
            break question["id"].clone();
        }
    };
    let answer = json!([{"jsonrpc": "2.0", "id": question, "result": {"roots": []}}]);
    assert_eq!(aside.post(&answer).await.status.as_u16(), 202, "answers may come in a batch too");
    seen.extend(rest(body).await);
    assert_eq!(of(&seen, 1)["result"]["structuredContent"]["where"], json!({"roots": []}));
    assert_eq!(of(&seen, 2)["result"], json!({}));
}

#[tokio::test]
async fn a_client_that_goes_does_not_take_the_calls_of_its_batch_back() {
    let server = Server::plain().await;
    let mut client = ready(&server).await;
    let body = open(&mut client, &json!([call(1, "hold", &json!({})), call(2, "hold", &json!({}))])).await;
    assert_eq!(soon(server.harbour.event()).await, Event::Began("hold".into()));
    assert_eq!(soon(server.harbour.event()).await, Event::Began("hold".into()));
    drop(body);
    client.vanish().await;
    for _ in 0..2 {
        server.harbour.release();
        assert_eq!(soon(server.harbour.event()).await, Event::Ended("hold".into(), false));
    }
}

#[tokio::test]
async fn the_bound_on_calls_of_a_session_holds_for_each_message() {
    let server = Server::plain().await;
    let first = ready(&server).await;
    let mut streams = Vec::new();
    for n in 0..4 {
        let mut client = server.client().await;
        client.session.clone_from(&first.session);
        let calls: Vec<Value> = (0..64).map(|id| call(n * 64 + id, "hold", &json!({}))).collect();
        streams.push((open(&mut client, &json!(calls)).await, client));
    }
    let mut client = server.client().await;
    client.session.clone_from(&first.session);
    let one_more = json!([call(1_000, "echo", &json!({})), request(1_001, "ping")]);
    let answers = rest(open(&mut client, &one_more).await).await;
    assert_eq!(of(&answers, 1_000)["error"]["data"]["code"], "gateway.overloaded");
    assert_eq!(of(&answers, 1_001)["result"], json!({}));
    assert_eq!(told(&server), [("gateway.overloaded", Some("tools/call".to_owned()))]);
}
