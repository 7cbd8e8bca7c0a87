//! Lists that do not fit into one answer.

use std::time::Duration;

use serde_json::{Value, json};

use super::client::{Answer, Client, Server};

const STOCK: [&str; 5] = ["a", "b", "c", "d", "e"];

/// The names that an answer lists.
fn names(answer: &Value) -> Vec<String> {
    let tools = answer["result"]["tools"].as_array().unwrap_or_else(|| panic!("{answer}"));
    tools.iter().filter_map(|tool| tool["name"].as_str().map(ToOwned::to_owned)).collect()
}

fn next(answer: &Value) -> Option<String> {
    answer["result"].get("nextCursor").map(|cursor| cursor.as_str().expect("a string").to_owned())
}

async fn stocked() -> (Server, Client) {
    let server = Server::plain().await;
    server.harbour.set_stock(&STOCK);
    let client = server.client().await;
    (server, client)
}

/// A cursor of the list of tools, at `/mcp`, of `ana`.
async fn a_cursor(client: &mut Client) -> String {
    next(&client.modern("tools/list", json!({})).await.json()).expect("more")
}

fn refused(answer: &Answer) -> String {
    let error = &answer.json()["error"];
    assert_eq!((answer.status.as_u16(), &error["code"]), (200, &json!(-32602)), "{}", answer.text);
    error["message"].as_str().expect("a message").to_owned()
}

#[tokio::test]
async fn a_modern_client_gets_a_list_page_by_page_each_object_once() {
    let (_server, mut client) = stocked().await;
    let (mut told, mut params) = (Vec::new(), json!({}));
    loop {
        let answer = client.modern("tools/list", params).await.json();
        assert_eq!(answer["result"]["resultType"], "complete");
        told.push(names(&answer));
        let Some(cursor) = next(&answer) else { break };
        assert!(cursor.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'), "{cursor}");
        params = json!({"cursor": cursor});
    }
    assert_eq!(told, [vec!["a", "b"], vec!["c", "d"], vec!["e"]]);
}

#[tokio::test]
async fn a_session_gets_a_list_page_by_page_and_what_changed_meanwhile_moves_nothing() {
    let (server, mut client) = stocked().await;
    client.initialize("2025-06-18").await;
    let list = |cursor: Value| json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"cursor": cursor}});
    let first = client.post(&list(Value::Null)).await.json();
    assert_eq!(names(&first), ["a", "b"]);
    // What was told has gone, and something came before it.
    server.harbour.set_stock(&["0", "a", "c", "d"]);
    let second = client.post(&list(next(&first).into())).await.json();
    assert_eq!((names(&second), next(&second)), (vec!["c".to_owned(), "d".to_owned()], None));
}

#[tokio::test]
async fn every_cursor_that_is_not_this_callers_of_this_list_on_this_route_has_one_answer() {
    let (server, mut ana) = stocked().await;
    let cursor = a_cursor(&mut ana).await;
    let with = |cursor: &str| json!({"cursor": cursor});
    let mut told = Vec::new();
    for cursor in [json!("made-up"), json!(""), json!(7), json!({}), json!("A".repeat(20_000))] {
        told.push(refused(&ana.modern("tools/list", json!({"cursor": cursor})).await));
    }
    let mut changed = cursor.clone();
    changed.replace_range(20..21, if changed.get(20..21) == Some("A") { "B" } else { "A" });
    told.push(refused(&ana.modern("tools/list", with(&changed)).await));
    told.push(refused(&ana.modern("prompts/list", with(&cursor)).await));
    let mut bo = server.client().await;
    bo.token = "bo";
    told.push(refused(&bo.modern("tools/list", with(&cursor)).await));
    for path in ["/w/sales/mcp", "/s/desk", "/w/main/s/desk"] {
        ana.path = path;
        told.push(refused(&ana.modern("tools/list", with(&cursor)).await));
    }
    let of_desk = a_cursor(&mut ana).await;
    assert_eq!(names(&ana.modern("tools/list", with(&of_desk)).await.json()), ["c", "d"]);
    for path in ["/s/crm", "/mcp"] {
        ana.path = path;
        told.push(refused(&ana.modern("tools/list", with(&of_desk)).await));
    }
    assert_eq!(names(&ana.modern("tools/list", with(&cursor)).await.json()), ["c", "d"]);
    server.harbour.clock.advance(Duration::from_hours(1));
    told.push(refused(&ana.modern("tools/list", with(&cursor)).await));
    told.dedup();
    assert_eq!(told, ["`cursor` is unknown, expired or of another list: begin again without one"]);
}

#[tokio::test]
async fn a_state_of_a_call_is_no_cursor() {
    let (_server, mut client) = stocked().await;
    let able = json!({"io.modelcontextprotocol/clientCapabilities": {"elicitation": {}}});
    let asked = client.modern("tools/call", json!({"name": "ask", "arguments": {}, "_meta": able})).await;
    let state = asked.json()["result"]["requestState"].as_str().expect("a state").to_owned();
    refused(&client.modern("tools/list", json!({"cursor": state})).await);
}
