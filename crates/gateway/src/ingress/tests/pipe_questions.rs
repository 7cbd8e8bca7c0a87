//! A client of 2026-07-28 on a pipe that is asked something in the middle of its call.

use std::time::Duration;

use serde_json::{Value, json};

use super::client::soon;
use super::harbour::Event;
use super::pipes::{Pipes, modern_call};
use crate::ingress::stdio::StdioSettings;

/// A call that asks; `more` are members of its parameters.
fn ask(id: u64, meta: Value, more: &Value) -> String {
    let mut meta = meta;
    meta["io.modelcontextprotocol/clientCapabilities"] = json!({"elicitation": {}});
    let mut call: Value = serde_json::from_str(&modern_call(id, "ask", &meta)).expect("JSON");
    let params = call["params"].as_object_mut().expect("an object");
    params.extend(more.as_object().expect("an object").clone());
    call.to_string()
}

/// The state of an answer that asks for input.
fn state(answer: &Value) -> String {
    let result = &answer["result"];
    assert_eq!(result["resultType"], "input_required", "{answer}");
    assert_eq!(result["inputRequests"]["name"]["method"], "elicitation/create");
    result["requestState"].as_str().expect("a state").to_owned()
}

fn given(state: &str) -> Value {
    json!({"requestState": state, "inputResponses": {"name": {"action": "decline"}}})
}

#[tokio::test]
async fn a_question_is_the_answer_and_the_same_request_goes_on_with_the_call() {
    let mut pipes = Pipes::plain();
    let state = state(&pipes.ask(&ask(1, json!({}), &json!({}))).await);
    let mut other = given(&state);
    other["arguments"] = json!({"region": "APAC"});
    let refused = pipes.ask(&ask(2, json!({}), &other)).await;
    assert_eq!(refused["error"]["code"], -32602, "{refused}");
    let answer = pipes.ask(&ask(1, json!({}), &given(&state))).await;
    assert_eq!(answer["result"]["structuredContent"]["name"], json!({"action": "decline"}));
    let again = pipes.ask(&ask(3, json!({}), &given(&state))).await;
    assert_eq!(again["error"]["code"], -32602, "a state leads to its call once");
    let (harbour, rest) = pipes.end().await;
    assert_eq!((harbour.seen().len(), harbour.refusals().len(), rest), (1, 2, Vec::new()));
}

#[tokio::test]
async fn the_request_that_was_made_again_says_what_is_told_of_the_call() {
    let mut pipes = Pipes::plain();
    let log = json!({"arguments": {"log": true}});
    let state = state(&pipes.ask(&ask(1, json!({"progressToken": "first"}), &log)).await);
    let mut more = given(&state);
    more["arguments"] = log["arguments"].clone();
    let meta = json!({"progressToken": "second", "io.modelcontextprotocol/logLevel": "error"});
    pipes.send(&ask(2, meta, &more)).await;
    let (progress, message) = (pipes.read().await, pipes.read().await);
    assert_eq!(progress["params"]["progressToken"], "second");
    assert_eq!(message["params"]["level"], "error");
    assert_eq!(pipes.read().await["id"], 2);
}

#[tokio::test]
async fn a_request_that_was_made_again_can_be_taken_back() {
    let mut pipes = Pipes::plain();
    let same = json!({"arguments": {"hold": true}});
    let state = state(&pipes.ask(&ask(1, json!({}), &same)).await);
    let mut more = given(&state);
    more["arguments"] = same["arguments"].clone();
    assert_eq!(soon(pipes.harbour.event()).await, Event::Began("ask".into()));
    let cancel = |id: u64| {
        json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": id}})
            .to_string()
    };
    pipes.send(&cancel(1)).await;
    pipes.send(&ask(2, json!({}), &more)).await;
    pipes.send(&cancel(2)).await;
    assert_eq!(soon(pipes.harbour.event()).await, Event::Ended("ask".into(), true));
    let (_, rest) = pipes.end().await;
    assert_eq!(rest, Vec::<Value>::new(), "what was taken back is not answered");
}

#[tokio::test]
async fn a_client_that_can_be_asked_nothing_is_asked_nothing() {
    let mut pipes = Pipes::plain();
    let answer = pipes.ask(&modern_call(1, "ask", &json!({}))).await;
    assert_eq!(answer["result"]["structuredContent"], "Unsupported");
}

#[tokio::test]
async fn a_call_that_waits_for_its_client_ends_with_the_pipe() {
    let mut pipes = Pipes::plain();
    state(&pipes.ask(&ask(1, json!({}), &json!({}))).await);
    let (harbour, rest) = pipes.end().await;
    assert_eq!(rest, Vec::<Value>::new());
    assert_eq!(soon(harbour.event()).await, Event::Began("ask".into()));
    assert_eq!(soon(harbour.event()).await, Event::Ended("ask".into(), true));
}

#[tokio::test]
async fn a_call_on_a_pipe_that_nobody_comes_back_to_is_taken_back() {
    let settings = StdioSettings { sweep: Duration::from_millis(10), ..StdioSettings::default() };
    let mut pipes = Pipes::start(settings);
    state(&pipes.ask(&ask(1, json!({}), &json!({}))).await);
    assert_eq!(soon(pipes.harbour.event()).await, Event::Began("ask".into()));
    pipes.harbour.clock.advance(Duration::from_mins(11));
    assert_eq!(soon(pipes.harbour.event()).await, Event::Ended("ask".into(), true));
}
