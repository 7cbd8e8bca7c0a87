//! The routes of single servers: what is handed out on one counts on no other.

use std::time::Duration;

use http_body_util::BodyExt as _;
use quaymaster_core::Reach;
use quaymaster_core::setting::Slug;
use serde_json::{Value, json};

use super::client::{Client, Server, modern, next_event, soon};
use crate::ingress::http::HttpSettings;

const LIST: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;

fn one(name: &str) -> Reach {
    Reach::One(Slug::parse(name).expect("a name"))
}

#[tokio::test]
async fn a_request_reaches_what_its_route_leads_to_in_both_eras() {
    let server = Server::plain().await;
    let mut client = server.client().await;
    for path in ["/s/desk", "/w/sales/s/desk", "/w/sales/mcp"] {
        client.path = path;
        client.modern("tools/call", json!({"name": "echo", "arguments": {}})).await;
        client.session = None;
        client.initialize("2025-11-25").await;
        let call = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "echo"}});
        client.post(&call).await;
        client.session = None;
    }
    let seen: Vec<(String, Reach)> = server
        .harbour
        .seen()
        .into_iter()
        .map(|seen| (seen.actor.workspace.to_string(), seen.reach))
        .collect();
    let twice = |workspace: &str, reach: Reach| vec![(workspace.to_owned(), reach); 2];
    let expected = [twice("main", one("desk")), twice("sales", one("desk")), twice("sales", Reach::All)];
    assert_eq!(seen, expected.concat());
}

#[tokio::test]
async fn a_session_does_not_exist_on_another_route() {
    let server = Server::plain().await;
    let mut client = server.client().await;
    client.path = "/s/desk";
    client.initialize("2025-06-18").await;
    let mut found = Vec::new();
    for path in ["/s/desk", "/s/crm", "/mcp", "/w/main/s/crm"] {
        client.path = path;
        for method in ["POST", "DELETE"] {
            if (path, method) != ("/s/desk", "DELETE") {
                let answer = client.exchange(method, &[], LIST).await;
                found.push((path, method, answer.status.as_u16()));
            }
        }
    }
    let elsewhere = |path| [(path, "POST", 404), (path, "DELETE", 404)];
    let mut expected = vec![("/s/desk", "POST", 200)];
    expected.extend(["/s/crm", "/mcp", "/w/main/s/crm"].into_iter().flat_map(elsewhere));
    assert_eq!(found, expected);
    // The same place under another name is the same place: the workspace is the one of `/s/desk`.
    client.path = "/w/main/s/desk";
    assert_eq!(client.exchange("DELETE", &[], "").await.status.as_u16(), 204);
}

async fn ask(client: &mut Client, more: &Value) -> Value {
    let able = json!({"io.modelcontextprotocol/clientCapabilities": {"elicitation": {}}});
    let mut params = json!({"name": "ask", "arguments": {}, "_meta": able});
    params.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    client.modern("tools/call", params).await.json()
}

#[tokio::test]
async fn a_state_does_not_open_on_another_route() {
    let server = Server::plain().await;
    let mut client = server.client().await;
    client.path = "/s/desk";
    let asked = ask(&mut client, &json!({})).await;
    let back = json!({"requestState": asked["result"]["requestState"], "inputResponses": {"name": {}}});
    for path in ["/mcp", "/s/crm"] {
        client.path = path;
        assert_eq!(ask(&mut client, &back).await["error"]["code"], -32602, "{path}");
    }
    client.path = "/s/desk";
    assert_eq!(ask(&mut client, &back).await["result"]["resultType"], "complete");
    assert_eq!(server.harbour.seen().len(), 1, "it is one call");
}

#[tokio::test]
async fn a_route_is_guarded_like_any_other() {
    let server = Server::plain().await;
    let mut client = server.client().await;
    let mut told = Vec::new();
    for path in ["/mcp", "/s/desk", "/s/nowhere"] {
        client.path = path;
        for (token, headers) in
            [("nobody", &[][..]), ("narrow", &[]), ("ana", &[("origin", "http://evil.example.test")])]
        {
            client.token = token;
            let answer = client.exchange("POST", headers, LIST).await;
            told.push((token, answer.status.as_u16(), answer.text));
        }
    }
    let (as_ever, others) = told.split_at(3);
    assert_eq!(as_ever.iter().map(|(_, status, _)| *status).collect::<Vec<_>>(), [401, 403, 403]);
    for other in others.chunks(3) {
        assert_eq!(other, as_ever);
    }
}

#[tokio::test]
async fn a_change_is_told_on_the_route_that_shows_it_and_on_no_other() {
    let settings = HttpSettings { keep_alive: Duration::from_millis(20), ..HttpSettings::default() };
    let server = Server::start(settings).await;
    let mut session = server.client().await;
    session.path = "/s/desk";
    session.initialize("2025-11-25").await;
    let mut of_session = session.open("GET", &[], "").await.into_body();
    soon(of_session.frame()).await.expect("the beginning").expect("a whole one");
    let mut listener = server.client().await;
    listener.path = "/s/desk";
    let (headers, body) =
        modern("subscriptions/listen", json!({"notifications": {"toolsListChanged": true}}));
    let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let mut of_listener = listener.open("POST", &headers, &body).await.into_body();
    let begun = soon(next_event(&mut of_listener)).await.expect("an event");
    assert_eq!(begun["method"], "notifications/subscriptions/acknowledged");
    let mut streams = [of_session, of_listener];
    server.harbour.change_for("ana");
    server.harbour.change_for("ana@crm");
    for stream in &mut streams {
        for _ in 0..5 {
            let frame = soon(stream.frame()).await.expect("a frame").expect("a whole one");
            assert_eq!(frame.into_data().expect("bytes"), ":\n\n", "only that the stream is alive");
        }
    }
    server.harbour.change_for("ana@desk");
    for stream in &mut streams {
        let told = soon(next_event(stream)).await.expect("an event");
        assert_eq!(told["method"], "notifications/tools/list_changed");
    }
}
