//! Resources whose changes a session or a subscription wants to hear of.

use serde_json::{Value, json};

use super::client::{Server, modern, soon};
use super::pipes::Pipes;

fn subscribe(id: u64, uri: &str) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "method": "resources/subscribe", "params": {"uri": uri}})
}

fn listen(id: u64, uris: &[String]) -> String {
    let (_, body) = modern("subscriptions/listen", json!({"notifications": {"resourceSubscriptions": uris}}));
    let mut body: Value = serde_json::from_str(&body).expect("JSON");
    body["id"] = id.into();
    body.to_string()
}

fn addresses(session: u64, count: u64) -> Vec<String> {
    (0..count).map(|n| format!("test://{session}/{n}")).collect()
}

#[tokio::test]
async fn a_session_and_a_subscription_on_one_pipe_hear_each_of_its_own() {
    let mut pipes = Pipes::plain();
    pipes.initialize_as("2025-11-25").await;
    assert_eq!(pipes.ask(&subscribe(1, "test://session").to_string()).await["result"], json!({}));
    assert_eq!(pipes.ask(&subscribe(2, "test://both").to_string()).await["result"], json!({}));
    let uris = ["test://subscription".to_owned(), "test://both".to_owned(), "nobody://is".to_owned()];
    let granted = pipes.ask(&listen(3, &uris)).await;
    assert_eq!(granted["params"]["notifications"]["resourceSubscriptions"], json!(uris[..2]));

    pipes.harbour.update("test://session");
    let told = pipes.read().await;
    assert_eq!(told["params"], json!({"uri": "test://session"}));
    pipes.harbour.update("test://subscription");
    let told = pipes.read().await;
    assert_eq!(told["params"]["uri"], "test://subscription");
    assert_eq!(told["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"], 3);
    pipes.harbour.update("test://both");
    let both = [pipes.read().await, pipes.read().await];
    assert_eq!(both.iter().filter(|told| told["params"].get("_meta").is_some()).count(), 1, "{both:?}");

    let cancel = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 3}});
    pipes.send(&cancel.to_string()).await;
    let ping = r#"{"jsonrpc":"2.0","id":9,"method":"ping"}"#;
    assert_eq!(pipes.ask(ping).await["id"], 9, "the subscription has ended");
    pipes.harbour.update("test://both");
    assert_eq!(pipes.read().await["params"], json!({"uri": "test://both"}), "the session hears on");
    let unsubscribe = subscribe(4, "test://both").to_string().replace("/subscribe", "/unsubscribe");
    pipes.ask(&unsubscribe).await;
    pipes.harbour.update("test://both");
    pipes.harbour.update("test://session");
    assert_eq!(pipes.read().await["params"]["uri"], "test://session", "nobody watches the other");
}

#[tokio::test]
async fn a_principal_watches_so_many_resources_over_all_its_sessions() {
    let server = Server::plain().await;
    for session in 0..5 {
        let mut client = server.client().await;
        client.initialize("2025-11-25").await;
        for (id, uri) in (1..).zip(addresses(session, 100)) {
            assert_eq!(client.post(&subscribe(id, &uri)).await.json()["result"], json!({}), "{uri}");
        }
    }
    let mut client = server.client().await;
    client.initialize("2025-11-25").await;
    let refused = client.post(&subscribe(1, "test://more")).await;
    assert_eq!((refused.status.as_u16(), refused.header("retry-after")), (503, Some("1")));
    assert_eq!(refused.json()["error"]["data"]["code"], "gateway.overloaded");
    let wanted = json!({"notifications": {"resourceSubscriptions": ["test://more"]}});
    let refused = server.client().await.modern("subscriptions/listen", wanted).await;
    assert_eq!(refused.json()["error"]["data"]["code"], "gateway.overloaded", "a subscription counts too");

    let mut bo = server.client().await;
    bo.token = "bo";
    bo.initialize("2025-11-25").await;
    assert_eq!(bo.post(&subscribe(1, "test://more")).await.json()["result"], json!({}));
}

#[tokio::test]
async fn what_a_refused_subscription_had_begun_to_watch_is_let_go() {
    let mut pipes = Pipes::plain();
    let granted = pipes.ask(&listen(1, &addresses(1, 100))).await;
    assert!(granted["params"]["notifications"].is_object(), "a hundred fit");
    let refused = pipes.ask(&listen(2, &addresses(2, 1))).await;
    assert_eq!(refused["error"]["data"]["code"], "gateway.overloaded");
    let cancel = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}});
    pipes.send(&cancel.to_string()).await;
    let mut wanted = addresses(3, 60);
    pipes.ask(&listen(3, &wanted)).await;
    let refused = pipes.ask(&listen(4, &addresses(4, 60))).await;
    assert_eq!(refused["error"]["data"]["code"], "gateway.overloaded");
    wanted = addresses(5, 40);
    let granted = soon(pipes.ask(&listen(5, &wanted))).await;
    assert_eq!(granted["params"]["notifications"]["resourceSubscriptions"], json!(wanted));
}
