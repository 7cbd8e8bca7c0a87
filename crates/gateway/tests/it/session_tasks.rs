//! A client with a session of 2025-11-25 that takes a task where somebody has to agree first.

use serde_json::{Value, json};
use tokio::time::timeout;

use crate::harbour_office::{Browser, Harbour, PATIENCE};

/// As much of a client as a session with tasks takes.
struct Session {
    http: Browser,
    bearer: String,
    id: Option<String>,
}

impl Session {
    async fn open(harbour: &Harbour) -> Self {
        let (_, token) = harbour.with_token("robot", "analyst").await;
        let http = Browser { address: harbour.clients.clone(), cookie: None };
        let mut session = Self { http, bearer: format!("Bearer {token}"), id: None };
        let capabilities = json!({"tasks": {"list": {}, "cancel": {}}});
        let client = json!({"name": "test", "version": "1"});
        let hello =
            json!({"protocolVersion": "2025-11-25", "capabilities": capabilities, "clientInfo": client});
        let (head, _) = session.send("initialize", Some(1), &hello).await;
        let id = head.lines().find_map(|line| line.strip_prefix("mcp-session-id: "));
        session.id = Some(id.expect("a session").trim().to_owned());
        session.send("notifications/initialized", None, &json!({})).await;
        session
    }

    async fn send(&mut self, method: &str, id: Option<u32>, params: &Value) -> (String, Value) {
        let mut message = json!({"jsonrpc": "2.0", "method": method, "params": params});
        message.as_object_mut().expect("an object").extend(id.map(|id| ("id".to_owned(), json!(id))));
        let mut headers = vec![
            ("authorization", self.bearer.as_str()),
            ("content-type", "application/json"),
            ("accept", "application/json, text/event-stream"),
            ("mcp-protocol-version", "2025-11-25"),
        ];
        headers.extend(self.id.iter().map(|id| ("mcp-session-id", id.as_str())));
        let answer = self.http.send("POST", "/mcp", &headers, &message.to_string()).await;
        (answer.head, serde_json::from_str(&answer.body).unwrap_or_default())
    }

    async fn ask(&mut self, method: &str, params: Value) -> Value {
        let (head, answer) = self.send(method, Some(2), &params).await;
        answer.get("result").unwrap_or_else(|| panic!("{head}\n{answer}")).clone()
    }

    /// The task as it is once `is_so` holds of it.
    async fn task(&mut self, id: &Value, is_so: impl Fn(&Value) -> bool) -> Value {
        let asking = async {
            loop {
                let task = self.ask("tasks/get", json!({"taskId": id})).await;
                if is_so(&task) {
                    return task;
                }
            }
        };
        timeout(PATIENCE, asking).await.expect("the task comes so far")
    }
}

#[tokio::test]
async fn a_session_holds_a_task_until_somebody_has_agreed_and_then_gets_its_result() {
    let harbour = Harbour::start("").await;
    let (mut session, mut browser) = (Session::open(&harbour).await, harbour.signed_in().await);
    let arguments = json!({"who": "the quay"});
    let call = json!({"name": "greetings_greet", "arguments": arguments, "task": {"ttl": 60_000}});
    let begun = session.ask("tools/call", call).await;
    let id = &begun["task"]["taskId"];
    assert_eq!(begun["task"]["status"], "working", "{begun}");
    let waits =
        session.task(id, |task| task["statusMessage"].as_str().is_some_and(|text| text.contains("apr_")));
    let words = waits.await["statusMessage"].as_str().expect("a text").to_owned();
    let request: String = words[words.find("apr_").expect("an id")..]
        .chars()
        .take_while(|c| c.is_ascii_alphanumeric() || *c == '_')
        .collect();
    assert_eq!(browser.answer(&request, "approve", "").await.status, 200);
    let ended = session.task(id, |task| task["status"] != "working").await;
    assert_eq!(ended["status"], "completed", "{ended}");
    let result = session.ask("tasks/result", json!({"taskId": id})).await;
    assert!(result.to_string().contains("the quay"), "{result}");

    let plain =
        session.ask("tools/call", json!({"name": "greetings_greet", "arguments": {"who": "me"}})).await;
    assert_eq!(
        plain["structuredContent"]["status"], "requires_approval",
        "without a task nothing is held: {plain}"
    );
    harbour.end().await;
}
