//! What becomes of a suspended call over HTTP besides its answer.

use http_body_util::BodyExt as _;
use serde_json::{Value, json};

use super::client::{Client, Server, modern, next_event, soon};
use super::harbour::Event;

fn able(mut meta: Value) -> Value {
    meta["io.modelcontextprotocol/clientCapabilities"] = json!({"elicitation": {}});
    meta
}

async fn suspended(client: &mut Client, meta: Value) -> String {
    let params = json!({"name": "ask", "arguments": {"log": true}, "_meta": able(meta)});
    let answer = client.modern("tools/call", params).await;
    answer.json()["result"]["requestState"].as_str().expect("a state").to_owned()
}

fn retry(state: &str, meta: Value) -> Value {
    json!({
        "name": "ask", "arguments": {"log": true}, "_meta": able(meta),
        "requestState": state, "inputResponses": {"name": {"action": "decline"}},
    })
}

#[tokio::test]
async fn the_retry_says_what_is_told_of_the_call() {
    let server = Server::plain().await;
    let mut client = server.client().await;
    for first in [json!({}), json!({"progressToken": "first", "io.modelcontextprotocol/logLevel": "debug"})] {
        let state = suspended(&mut client, first).await;
        let meta = json!({"progressToken": "second", "io.modelcontextprotocol/logLevel": "error"});
        let (headers, body) = modern("tools/call", retry(&state, meta));
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let mut stream = client.open("POST", &headers, &body).await.into_body();
        let progress = soon(next_event(&mut stream)).await.expect("progress");
        assert_eq!(progress["params"]["progressToken"], "second");
        let message = soon(next_event(&mut stream)).await.expect("a message");
        assert_eq!(message["params"]["level"], "error");
        let answer = soon(next_event(&mut stream)).await.expect("the answer");
        assert_eq!(answer["result"]["resultType"], "complete");
        assert!(soon(stream.frame()).await.is_none());
    }
}

#[tokio::test]
async fn a_retry_that_wants_nothing_told_is_told_nothing() {
    let server = Server::plain().await;
    let mut client = server.client().await;
    let first = json!({"progressToken": "first", "io.modelcontextprotocol/logLevel": "debug"});
    let state = suspended(&mut client, first).await;
    let answer = client.modern("tools/call", retry(&state, json!({}))).await;
    assert_eq!(answer.header("content-type"), Some("application/json"), "{}", answer.text);
    assert_eq!(answer.json()["result"]["resultType"], "complete");
}

#[tokio::test]
async fn a_call_that_waits_for_its_client_ends_with_the_server() {
    let server = Server::plain().await;
    let mut client = server.client().await;
    suspended(&mut client, json!({})).await;
    assert_eq!(soon(server.harbour.event()).await, Event::Began("ask".into()));
    server.shutdown.cancel();
    soon(server.running).await.expect("ended");
    assert_eq!(soon(server.harbour.event()).await, Event::Ended("ask".into(), true));
}
