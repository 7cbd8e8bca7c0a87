//! A client that is asked something in the middle of its call.

use std::time::Duration;

use http_body_util::BodyExt as _;
use serde_json::{Value, json};

use super::client::{Answer, Client, Server, next_event, soon};
use super::harbour::Event;
use crate::ingress::http::HttpSettings;

fn able() -> Value {
    json!({"io.modelcontextprotocol/clientCapabilities": {"elicitation": {}}})
}

async fn ask(client: &mut Client, more: Value) -> Answer {
    let mut params = json!({"name": "ask", "arguments": {"region": "EMEA"}, "_meta": able()});
    let (Some(params_members), Value::Object(more)) = (params.as_object_mut(), more) else {
        panic!("objects");
    };
    params_members.extend(more);
    client.modern("tools/call", params).await
}

fn answered(state: &str) -> Value {
    json!({"requestState": state, "inputResponses": {"name": {"action": "accept", "content": {"name": "Ana"}}}})
}

/// The state of an answer that asks for input.
fn state(answer: &Answer) -> String {
    let result = &answer.json()["result"];
    assert_eq!(result["resultType"], "input_required", "{result}");
    assert_eq!(result["inputRequests"]["name"]["method"], "elicitation/create");
    result["requestState"].as_str().expect("a state").to_owned()
}

fn refused(answer: &Answer) {
    assert_eq!(answer.json()["error"]["code"], -32602, "{}", answer.text);
    assert!(answer.text.contains("`requestState` is unknown, used, expired or of another request"));
}

#[tokio::test]
async fn a_modern_client_gets_the_question_as_its_answer_and_comes_back_with_its_own() {
    let server = Server::plain().await;
    let mut client = server.client().await;
    let state = state(&ask(&mut client, json!({})).await);
    let answer = ask(&mut client, answered(&state)).await;
    let said = &answer.json()["result"]["structuredContent"];
    assert_eq!(said["name"], json!({"action": "accept", "content": {"name": "Ana"}}));
    assert_eq!(server.harbour.seen().len(), 1, "it is one call");
}

#[tokio::test]
async fn answers_without_a_state_answer_the_first_question_of_a_new_call_if_they_answer_all_of_it() {
    let server = Server::plain().await;
    let mut client = server.client().await;
    let name = json!({"action": "accept", "content": {"name": "Ana"}});
    let ahead = json!({"inputResponses": {"name": name, "unknown": {"action": "accept"}}});
    let answer = ask(&mut client, ahead.clone()).await.json();
    assert_eq!(answer["result"]["structuredContent"], json!({"name": name}), "{answer}");
    for other in [json!({}), json!({"other": name}), json!({"name": 12345})] {
        state(&ask(&mut client, json!({"inputResponses": other})).await);
    }
    // The second question is put, whatever was said before the first.
    let mut twice = ahead;
    twice["arguments"] = json!({"twice": true});
    state(&ask(&mut client, twice).await);
}

#[tokio::test]
async fn a_client_that_cannot_be_asked_has_nothing_to_answer() {
    let server = Server::plain().await;
    let mut client = server.client().await;
    let answer = ask(&mut client, json!({"_meta": {}, "inputResponses": {"name": {}}})).await.json();
    assert_eq!(answer["result"]["structuredContent"], "Unsupported", "{answer}");
}

#[tokio::test]
async fn to_a_session_answers_beside_a_call_mean_nothing() {
    let server = Server::plain().await;
    let mut client = server.client().await;
    client.initialize_able_to("2025-11-25", json!({})).await;
    let call = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {
        "name": "ask", "inputResponses": {"name": {}},
    }});
    assert_eq!(client.post(&call).await.json()["result"]["structuredContent"], "Unsupported");
}

#[tokio::test]
async fn the_request_that_was_made_again_says_what_its_client_can_be_asked() {
    let server = Server::plain().await;
    let mut client = server.client().await;
    let twice = json!({"region": "EMEA", "twice": true});
    let state = state(&ask(&mut client, json!({"arguments": twice})).await);
    let mut more = answered(&state);
    more["arguments"] = twice;
    more["_meta"] = json!({});
    let answer = ask(&mut client, more).await.json();
    assert_eq!(answer["result"]["structuredContent"], "Unsupported", "{answer}");
}

#[tokio::test]
async fn a_state_leads_to_its_call_once_and_for_nobody_else() {
    let server = Server::plain().await;
    let mut ana = server.client().await;
    let state = state(&ask(&mut ana, json!({})).await);
    let mut bo = server.client().await;
    bo.token = "bo";
    refused(&ask(&mut bo, answered(&state)).await);
    let mut elsewhere = server.client().await;
    elsewhere.path = "/w/sales/mcp";
    refused(&ask(&mut elsewhere, answered(&state)).await);
    let mut lesser = server.client().await;
    lesser.token = "ana-lesser";
    refused(&ask(&mut lesser, answered(&state)).await);
    let mut other = answered(&state);
    other["arguments"] = json!({"region": "APAC"});
    refused(&ask(&mut ana, other).await);
    let mut changed = state.clone();
    changed.replace_range(20..21, if changed.get(20..21) == Some("A") { "B" } else { "A" });
    refused(&ask(&mut ana, answered(&changed)).await);
    refused(&ask(&mut ana, answered("made-up")).await);
    let mut again = server.client().await;
    assert_eq!(ask(&mut again, answered(&state)).await.json()["result"]["resultType"], "complete");
    refused(&ask(&mut ana, answered(&state)).await);
}

#[tokio::test]
async fn a_client_that_says_nothing_of_input_is_asked_nothing() {
    let server = Server::plain().await;
    let mut client = server.client().await;
    let answer = ask(&mut client, json!({"_meta": {}})).await;
    assert_eq!(answer.json()["result"]["structuredContent"], "Unsupported");
}

#[tokio::test]
async fn a_call_that_nobody_comes_back_to_is_taken_back() {
    let settings = HttpSettings { session_idle: Duration::from_secs(4), ..HttpSettings::default() };
    let server = Server::start(settings).await;
    let mut client = server.client().await;
    state(&ask(&mut client, json!({})).await);
    assert_eq!(server.harbour.event().await, Event::Began("ask".into()));
    server.harbour.clock.advance(Duration::from_mins(11));
    assert_eq!(soon(server.harbour.event()).await, Event::Ended("ask".into(), true));
}

#[tokio::test]
async fn a_session_is_asked_on_the_stream_of_its_call_and_only_it_can_answer() {
    let server = Server::plain().await;
    let (mut ana, mut bo) = (server.client().await, server.client().await);
    bo.token = "bo";
    for client in [&mut ana, &mut bo] {
        client.initialize_able_to("2025-06-18", json!({"elicitation": {}})).await;
    }
    let call = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "ask"}});
    let mut streams = Vec::new();
    for client in [&mut ana, &mut bo] {
        let mut body = client.open("POST", &[], &call.to_string()).await.into_body();
        let question = soon(next_event(&mut body)).await.expect("a question");
        assert_eq!(
            question,
            json!({"jsonrpc": "2.0", "id": "quaymaster-1", "method": "elicitation/create", "params": {"message": "Who?"}})
        );
        streams.push(body);
    }
    // Each answers on a connection of its own; the ids are the same, the sessions are not.
    for (name, asked) in [("bo", &bo), ("ana", &ana)] {
        let mut aside = server.client().await;
        (aside.token, aside.session) = (name, asked.session.clone());
        let response = json!({"jsonrpc": "2.0", "id": "quaymaster-1", "result": {"action": "accept", "content": {"name": name}}});
        assert_eq!(aside.post(&response).await.status.as_u16(), 202);
    }
    for (body, name) in streams.iter_mut().zip(["ana", "bo"]) {
        let result = soon(next_event(body)).await.expect("the answer");
        assert_eq!(result["result"]["structuredContent"]["name"]["content"]["name"], name);
        assert!(soon(body.frame()).await.is_none(), "the stream ends with the answer");
    }
}

#[tokio::test]
async fn a_question_is_one_message_however_many_lines_it_was_written_on() {
    let server = Server::plain().await;
    let mut client = server.client().await;
    client.initialize_able_to("2025-06-18", json!({"elicitation": {}})).await;
    let call = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "ask", "arguments": {"lines": true}}});
    let mut body = client.open("POST", &[], &call.to_string()).await.into_body();
    let question = soon(next_event(&mut body)).await.expect("a question, whole");
    assert_eq!(question["params"]["x"]["result"]["forged"], true);
    assert_eq!(question["id"], "quaymaster-1");
}

#[tokio::test]
async fn a_session_that_ends_takes_its_questions_along() {
    let server = Server::plain().await;
    let mut client = server.client().await;
    client.initialize_able_to("2025-11-25", json!({"elicitation": {"form": {}}})).await;
    let call = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "ask"}});
    let mut body = client.open("POST", &[], &call.to_string()).await.into_body();
    soon(next_event(&mut body)).await.expect("a question");
    assert_eq!(server.harbour.event().await, Event::Began("ask".into()));
    let mut aside = server.client().await;
    aside.session = client.session.clone();
    aside.exchange("DELETE", &[], "").await;
    assert_eq!(soon(server.harbour.event()).await, Event::Ended("ask".into(), true));
}
