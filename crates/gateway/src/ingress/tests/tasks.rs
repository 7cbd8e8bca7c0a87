//! Calls whose clients hold a task instead of waiting.

use std::time::Duration;

use serde_json::{Value, json};

use super::client::{Answer, Client, Server, next_event, soon};
use super::harbour::Event;
use crate::ingress::http::HttpSettings;

const ABLE: &str = r#"{"elicitation":{},"roots":{},"extensions":{"io.modelcontextprotocol/tasks":{}}}"#;

pub(super) fn able(mut params: Value) -> Value {
    let capabilities: Value = serde_json::from_str(ABLE).expect("JSON");
    params["_meta"] = json!({"io.modelcontextprotocol/clientCapabilities": capabilities});
    params
}

/// Calls the tool as a modern client that takes tasks; gives the task.
pub(super) async fn begin(client: &mut Client, arguments: Value) -> String {
    let answer = client.modern("tools/call", able(json!({"name": "task", "arguments": arguments}))).await;
    let result = &answer.json()["result"];
    assert_eq!((&result["resultType"], &result["status"]), (&json!("task"), &json!("working")), "{answer:?}");
    result["taskId"].as_str().expect("a handle").to_owned()
}

async fn about(client: &mut Client, method: &str, mut params: Value, id: &str) -> Answer {
    params["taskId"] = id.into();
    client.modern(method, able(params)).await
}

pub(super) async fn get(client: &mut Client, id: &str) -> Value {
    about(client, "tasks/get", json!({}), id).await.json()["result"].clone()
}

/// Asks until the task is `status`.
async fn wait_for(client: &mut Client, id: &str, status: &str) -> Value {
    soon(async {
        loop {
            let task = get(client, id).await;
            if task["status"] == status {
                return task;
            }
            tokio::task::yield_now().await;
        }
    })
    .await
}

fn is_unknown(answer: &Answer) {
    assert_eq!(answer.json()["error"]["code"], -32602, "{}", answer.text);
    assert!(answer.text.contains("`taskId` is unknown, expired or another's"), "{}", answer.text);
}

/// A request in a session.
async fn asked(client: &mut Client, method: &str, params: Value) -> Value {
    client.post(&json!({"jsonrpc": "2.0", "id": 7, "method": method, "params": params})).await.json()
}

#[tokio::test]
async fn a_modern_client_is_handed_a_task_and_comes_back_for_the_result() {
    let server = Server::plain().await;
    let mut client = server.client().await;
    let id = begin(&mut client, json!({})).await;
    let working = wait_for(&mut client, &id, "working").await;
    assert_eq!((&working["ttlMs"], &working["pollIntervalMs"]), (&json!(3_600_000), &json!(50)));
    server.harbour.release();
    let done = wait_for(&mut client, &id, "completed").await;
    assert_eq!(done["result"]["structuredContent"]["handed"], "true");
    assert_eq!((&done["resultType"], &done["statusMessage"]), (&json!("complete"), &json!("half of it")));
    assert_eq!(server.harbour.seen().len(), 1, "it is one call");
}

#[tokio::test]
async fn who_does_not_take_tasks_waits_for_the_answer() {
    let server = Server::plain().await;
    server.harbour.release();
    server.harbour.release();
    let mut client = server.client().await;
    let answer = client.modern("tools/call", json!({"name": "task"})).await.json();
    assert_eq!(answer["result"]["structuredContent"]["handed"], "Declined");
    client.initialize("2025-06-18").await;
    let answer = asked(&mut client, "tools/call", json!({"name": "task"})).await;
    assert_eq!(answer["result"]["structuredContent"]["handed"], "Followed");
    for method in ["tasks/get", "tasks/update", "tasks/cancel"] {
        let answer = client.modern(method, json!({"taskId": "x", "inputResponses": {}})).await;
        assert_eq!(answer.status.as_u16(), 400);
        let error = &answer.json()["error"];
        assert_eq!(error["code"], -32021);
        let required = &error["data"]["requiredCapabilities"]["extensions"];
        assert!(required["io.modelcontextprotocol/tasks"].is_object(), "{error}");
    }
}

#[tokio::test]
async fn a_task_is_nobody_elses() {
    let server = Server::plain().await;
    let mut ana = server.client().await;
    let id = begin(&mut ana, json!({})).await;
    let mut bo = server.client().await;
    bo.token = "bo";
    let mut elsewhere = server.client().await;
    elsewhere.path = "/w/sales/mcp";
    for (method, params) in [
        ("tasks/get", json!({})),
        ("tasks/update", json!({"inputResponses": {}})),
        ("tasks/cancel", json!({})),
    ] {
        is_unknown(&about(&mut bo, method, params.clone(), &id).await);
        is_unknown(&about(&mut elsewhere, method, params.clone(), &id).await);
        let mut changed = id.clone();
        changed.replace_range(20..21, if changed.get(20..21) == Some("A") { "B" } else { "A" });
        is_unknown(&about(&mut ana, method, params.clone(), &changed).await);
        is_unknown(&about(&mut ana, method, params, "made-up").await);
    }
    bo.initialize("2025-11-25").await;
    assert_eq!(asked(&mut bo, "tasks/list", json!({})).await["result"]["tasks"], json!([]));
    assert_eq!(asked(&mut bo, "tasks/result", json!({"taskId": id})).await["error"]["code"], -32602);
    let mut lesser = server.client().await;
    lesser.token = "ana-lesser";
    is_unknown(&about(&mut lesser, "tasks/get", json!({}), &id).await);
    lesser.initialize("2025-11-25").await;
    assert_eq!(asked(&mut lesser, "tasks/list", json!({})).await["result"]["tasks"], json!([]));
    ana.initialize("2025-11-25").await;
    let own = asked(&mut ana, "tasks/list", json!({})).await;
    assert_eq!(own["result"]["tasks"][0]["taskId"], id);
}

#[tokio::test]
async fn what_a_task_wants_to_know_is_asked_and_answered_bit_by_bit() {
    let server = Server::plain().await;
    let mut client = server.client().await;
    let id = begin(&mut client, json!({"ask": "both"})).await;
    let waiting = wait_for(&mut client, &id, "input_required").await;
    assert_eq!(waiting["inputRequests"]["1-name"]["method"], "elicitation/create");
    let update = async |client: &mut Client, answers: Value| {
        let answer = about(client, "tasks/update", json!({"inputResponses": answers}), &id).await;
        assert_eq!(answer.json()["result"], json!({"resultType": "complete"}));
    };
    update(&mut client, json!({"1-roots": {"roots": []}, "2-name": {"action": "forged"}})).await;
    let rest = get(&mut client, &id).await;
    assert_eq!(rest["inputRequests"].as_object().map(serde_json::Map::len), Some(1), "{rest}");
    update(&mut client, json!({"1-roots": {"roots": ["twice"]}, "1-name": {"action": "accept"}})).await;
    server.harbour.release();
    let done = wait_for(&mut client, &id, "completed").await;
    let said = &done["result"]["structuredContent"]["said"];
    assert_eq!(said, &json!({"name": {"action": "accept"}, "roots": {"roots": []}}));
}

#[tokio::test]
async fn a_task_that_is_cancelled_is_taken_back_and_stays_cancelled() {
    let server = Server::plain().await;
    let mut client = server.client().await;
    let id = begin(&mut client, json!({})).await;
    assert_eq!(server.harbour.event().await, Event::Began("task".into()));
    let cancel = about(&mut client, "tasks/cancel", json!({}), &id).await;
    assert_eq!(cancel.json()["result"], json!({"resultType": "complete"}));
    assert_eq!(soon(server.harbour.event()).await, Event::Ended("task".into(), true));
    assert_eq!(get(&mut client, &id).await["status"], "cancelled");
    let again = about(&mut client, "tasks/cancel", json!({}), &id).await;
    assert_eq!(again.json()["result"]["resultType"], "complete", "a second time changes nothing");
}

#[tokio::test]
async fn a_call_that_comes_to_no_result_is_a_task_that_failed() {
    let server = Server::plain().await;
    let mut client = server.client().await;
    let id = begin(&mut client, json!({"fail": true})).await;
    server.harbour.release();
    let failed = wait_for(&mut client, &id, "failed").await;
    assert_eq!(failed["error"]["message"], "it failed");
    assert_eq!(failed["error"]["data"]["code"], "upstream.error");
    assert!(failed.get("result").is_none());
}

#[tokio::test]
async fn a_client_that_left_before_it_was_handed_a_task_takes_its_call_along() {
    let server = Server::plain().await;
    let mut client = server.client().await;
    let id = begin(&mut client, json!({})).await;
    assert_eq!(server.harbour.event().await, Event::Began("task".into()));
    client.vanish().await;
    let mut again = server.client().await;
    assert_eq!(get(&mut again, &id).await["status"], "working", "who holds a task may leave");
    server.harbour.release();
    wait_for(&mut again, &id, "completed").await;
}

#[tokio::test]
async fn a_task_ends_when_its_time_is_up() {
    let settings = HttpSettings { session_idle: Duration::from_secs(4), ..HttpSettings::default() };
    let server = Server::start(settings).await;
    let mut client = server.client().await;
    let id = begin(&mut client, json!({})).await;
    assert_eq!(server.harbour.event().await, Event::Began("task".into()));
    server.harbour.clock.advance(Duration::from_mins(61));
    assert_eq!(soon(server.harbour.event()).await, Event::Ended("task".into(), true));
    is_unknown(&about(&mut client, "tasks/get", json!({}), &id).await);
}

#[tokio::test]
async fn one_principal_has_so_many_tasks_and_then_waits_for_its_answers() {
    let server = Server::plain().await;
    let mut client = server.client().await;
    for _ in 0..64 {
        begin(&mut client, json!({})).await;
    }
    client.initialize("2025-11-25").await;
    let refused = asked(&mut client, "tools/call", json!({"name": "task", "task": {}})).await;
    assert_eq!(refused["error"]["data"]["code"], "gateway.overloaded");
    let mut bo = server.client().await;
    bo.token = "bo";
    begin(&mut bo, json!({})).await;
    for _ in 0..66 {
        server.harbour.release();
    }
    let answer = client.modern("tools/call", able(json!({"name": "task"}))).await.json();
    assert_eq!(answer["result"]["structuredContent"]["handed"], "false");
}

#[tokio::test]
async fn a_session_wishes_for_a_task_and_fetches_its_result() {
    let server = Server::plain().await;
    let mut client = server.client().await;
    client.initialize("2025-11-25").await;
    let wish = json!({"name": "task", "task": {"ttl": 60_000}, "_meta": {"progressToken": "p"}});
    let created = asked(&mut client, "tools/call", wish).await;
    let task = &created["result"]["task"];
    assert_eq!((&task["status"], &task["ttl"]), (&json!("working"), &json!(60_000)));
    let id = task["taskId"].as_str().expect("a handle").to_owned();
    let shown = asked(&mut client, "tasks/get", json!({"taskId": id})).await;
    assert_eq!(shown["result"]["taskId"], id);
    // The session may end; the task is the principal's.
    client.exchange("DELETE", &[], "").await;
    client.initialize("2025-11-25").await;
    let fetch = json!({"jsonrpc": "2.0", "id": 8, "method": "tasks/result", "params": {"taskId": id}});
    server.harbour.release();
    let done = client.post(&fetch).await.json();
    assert_eq!(done["result"]["structuredContent"]["handed"], "true", "what it told was the other session's");
    assert_eq!(done["result"]["_meta"]["io.modelcontextprotocol/related-task"], json!({"taskId": id}));
    let mut other = server.client().await;
    other.initialize("2025-11-25").await;
    let late = asked(&mut other, "tasks/cancel", json!({"taskId": id})).await;
    assert_eq!(late["error"]["code"], -32602);
}

#[tokio::test]
async fn a_session_is_asked_for_its_task_where_it_waits_for_the_result() {
    let server = Server::plain().await;
    let mut client = server.client().await;
    client.initialize_able_to("2025-11-25", json!({"elicitation": {}, "roots": {}})).await;
    let wish = json!({"name": "task", "arguments": {"ask": true}, "task": {}});
    let created = asked(&mut client, "tools/call", wish).await;
    let id = created["result"]["task"]["taskId"].as_str().expect("a handle").to_owned();
    let fetch = json!({"jsonrpc": "2.0", "id": 8, "method": "tasks/result", "params": {"taskId": id}});
    let mut answering = server.client().await;
    answering.session.clone_from(&client.session);
    // Whoever hangs up is asked again on the next stream.
    for is_last in [false, true] {
        let mut waiting = server.client().await;
        waiting.session.clone_from(&client.session);
        let mut stream = waiting.open("POST", &[], &fetch.to_string()).await.into_body();
        let question = soon(next_event(&mut stream)).await.expect("a question");
        let related = &question["params"]["_meta"]["io.modelcontextprotocol/related-task"];
        assert_eq!(related["taskId"], id, "{question}");
        if is_last {
            let response = json!({"jsonrpc": "2.0", "id": question["id"], "result": {"action": "decline"}});
            assert_eq!(answering.post(&response).await.status.as_u16(), 202);
            server.harbour.release();
            let done = soon(next_event(&mut stream)).await.expect("a result");
            assert_eq!(done["result"]["structuredContent"]["said"]["name"]["action"], "decline");
        } else {
            let state = asked(&mut client, "tasks/get", json!({"taskId": id})).await;
            assert_eq!(state["result"]["status"], "input_required");
            drop(stream);
            waiting.vanish().await;
        }
    }
}

#[tokio::test]
async fn a_tool_that_makes_no_tasks_cannot_be_called_as_one() {
    let server = Server::plain().await;
    let mut client = server.client().await;
    client.initialize("2025-11-25").await;
    let refused = asked(&mut client, "tools/call", json!({"name": "empty", "task": {}})).await;
    assert_eq!(refused["error"]["code"], -32601);
    assert!(server.harbour.seen().is_empty());
    let unclear = asked(&mut client, "tools/call", json!({"name": "task", "task": 7})).await;
    assert_eq!(unclear["error"]["code"], -32602);
}

#[tokio::test]
async fn where_there_are_no_tasks_a_wish_for_one_means_nothing() {
    let server = Server::plain().await;
    let mut client = server.client().await;
    let answer = client.modern("tools/call", json!({"name": "empty", "task": 7})).await.json();
    assert_eq!(answer["result"]["resultType"], "complete", "{answer}");
    client.initialize("2025-06-18").await;
    let answer = asked(&mut client, "tools/call", json!({"name": "empty", "task": 7})).await;
    assert!(answer["result"].is_object(), "{answer}");
    for method in ["tasks/get", "tasks/result", "tasks/list", "tasks/cancel"] {
        let answer = asked(&mut client, method, json!({"taskId": "x"})).await;
        assert_eq!(answer["error"]["code"], -32601, "{answer}");
        let message = answer["error"]["message"].as_str().expect("a message");
        assert_eq!(message.matches("tasks/").count(), 1, "none is named but the one that was asked for");
    }
}
