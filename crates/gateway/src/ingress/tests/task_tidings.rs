//! What clients of 2026-07-28 are told of their tasks.

use serde_json::{Value, json};

use super::client::{Server, modern, next_event, soon};
use super::pipes::Pipes;
use super::tasks::{able, begin, get};

#[tokio::test]
async fn a_subscription_tells_of_the_tasks_that_it_names() {
    let server = Server::plain().await;
    let mut client = server.client().await;
    let id = begin(&mut client, json!({})).await;
    let wanted = json!({"notifications": {"taskIds": [id, "another"]}});
    let (headers, body) = modern("subscriptions/listen", able(wanted.clone()));
    let headers: Vec<_> = headers.iter().map(|(n, v)| (*n, v.as_str())).collect();
    let mut listening = server.client().await;
    let mut stream = listening.open("POST", &headers, &body).await.into_body();
    let granted = soon(next_event(&mut stream)).await.expect("an acknowledgement");
    assert_eq!(granted["params"]["notifications"]["taskIds"], json!([id]));
    server.harbour.release();
    let done = soon(async {
        loop {
            let told = next_event(&mut stream).await.expect("a notification");
            if told["params"]["status"] == "completed" {
                return told;
            }
        }
    });
    let done = done.await;
    assert_eq!(done["method"], "notifications/tasks");
    assert_eq!(done["params"]["taskId"], id);
    assert_eq!(done["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"], 1);
    assert!(done["params"]["result"]["content"].is_array());
    let undeclared = client.modern("subscriptions/listen", wanted).await;
    assert_eq!(undeclared.json()["error"]["code"], -32021);
}

/// The same of a client that takes tasks and can be asked nothing.
fn unable(params: Value) -> Value {
    let mut params = able(params);
    let extensions = json!({"io.modelcontextprotocol/tasks": {}});
    params["_meta"]["io.modelcontextprotocol/clientCapabilities"] = json!({"extensions": extensions});
    params
}

fn is_undeclared(answer: &Value) {
    let error = &answer["error"];
    assert_eq!(error["code"], -32021, "{answer}");
    let required = &error["data"]["requiredCapabilities"];
    assert_eq!(required["elicitation"], json!({"form": {}}), "{answer}");
    assert!(required["extensions"]["io.modelcontextprotocol/tasks"].is_object(), "{answer}");
}

#[tokio::test]
async fn a_client_sees_no_question_that_its_request_does_not_declare() {
    let server = Server::plain().await;
    let mut client = server.client().await;
    let id = begin(&mut client, json!({"ask": true, "later": true})).await;
    let working = client.modern("tasks/get", unable(json!({"taskId": id}))).await.json();
    assert_eq!(working["result"]["status"], "working");
    let wanted = json!({"notifications": {"taskIds": [id]}});
    let (headers, body) = modern("subscriptions/listen", unable(wanted.clone()));
    let headers: Vec<_> = headers.iter().map(|(n, v)| (*n, v.as_str())).collect();
    let mut listening = server.client().await;
    let mut stream = listening.open("POST", &headers, &body).await.into_body();
    soon(next_event(&mut stream)).await.expect("an acknowledgement");
    server.harbour.release();
    let end = soon(async {
        loop {
            let told = next_event(&mut stream).await.expect("a message");
            if told.get("error").is_some() {
                return told;
            }
            assert!(told["params"].get("inputRequests").is_none(), "{told}");
        }
    });
    is_undeclared(&end.await);
    assert!(soon(next_event(&mut stream)).await.is_none(), "the subscription has ended");
    let undeclared = client.modern("tasks/get", unable(json!({"taskId": id}))).await;
    assert_eq!(undeclared.status.as_u16(), 400);
    is_undeclared(&undeclared.json());
    is_undeclared(&client.modern("subscriptions/listen", unable(wanted)).await.json());
    assert_eq!(get(&mut client, &id).await["status"], "input_required");
}

#[tokio::test]
async fn a_subscription_on_a_pipe_tells_of_its_tasks_as_far_as_its_client_understands() {
    let mut pipes = Pipes::plain();
    let line = |id: u64, method: &str, params: Value| {
        let mut request: Value = serde_json::from_str(&modern(method, params).1).expect("JSON");
        request["id"] = id.into();
        request.to_string()
    };
    let arguments = json!({"ask": true, "later": true});
    let call = able(json!({"name": "task", "arguments": arguments}));
    let created = pipes.ask(&line(1, "tools/call", call)).await;
    let wanted = json!({"notifications": {"taskIds": [created["result"]["taskId"]]}});
    for (id, params) in [(2, able(wanted.clone())), (3, unable(wanted))] {
        let granted = pipes.ask(&line(id, "subscriptions/listen", params)).await;
        assert_eq!(granted["method"], "notifications/subscriptions/acknowledged", "{granted}");
    }
    pipes.harbour.release();
    let (mut told, mut refused) = (Value::Null, Value::Null);
    while told["params"]["status"] != "input_required" || refused.get("error").is_none() {
        let message = pipes.read().await;
        let name = &message["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"];
        match name.as_u64() {
            Some(2) => told = message,
            _ if message["id"] == 3 => refused = message,
            _ => assert!(message["params"].get("inputRequests").is_none(), "{message}"),
        }
    }
    is_undeclared(&refused);
    assert_eq!(told["params"]["inputRequests"]["1-name"]["method"], "elicitation/create");
}
