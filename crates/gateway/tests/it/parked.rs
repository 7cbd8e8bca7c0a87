//! How a client waits for an agreement in a way of its own: as a task, or with the page in front of it.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use std::time::Duration;

use quaymaster_connectors::Wire;
use quaymaster_control::incident::{Stop, Target};
use quaymaster_core::{
    ActorId, ErrorCode, InputAbilities, InputPort, NoInput, RawBuf, Status, TaskPort, TaskTerms, Tasks,
};
use quaymaster_gateway::Office;
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::harbour_office::{Browser, Harbour, PATIENCE};
use crate::installation::options;
use crate::routes::records;

/// A client that takes a task, if it has room for one, and is told what the task says.
#[derive(Debug, Default)]
struct Holder {
    has_no_room: bool,
    taken_back: AtomicBool,
    said: Mutex<Vec<String>>,
    told: Notify,
}

impl Holder {
    /// What was said first.
    async fn word(&self) -> String {
        self.told.notified().await;
        self.said.lock().expect("no panic").first().expect("a word").clone()
    }
}

impl TaskPort for Holder {
    fn begin(&self, _terms: TaskTerms) -> bool {
        !self.has_no_room
    }

    fn say(&self, message: &str) {
        self.said.lock().expect("no panic").push(message.to_owned());
        self.told.notify_one();
    }

    fn is_taken_back(&self) -> bool {
        self.taken_back.load(Ordering::SeqCst)
    }
}

/// A client that can show an address, whose person answers this, or never.
struct Shower {
    answer: Option<Value>,
    asked: Mutex<Option<Value>>,
    told: Notify,
}

impl fmt::Debug for Shower {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shower")
    }
}

impl Shower {
    fn new(answer: Option<Value>) -> Arc<Self> {
        Arc::new(Self { answer, asked: Mutex::default(), told: Notify::new() })
    }

    fn asked(&self) -> Value {
        self.asked.lock().expect("no panic").clone().expect("it was asked")
    }
}

impl InputPort for Shower {
    fn abilities(&self) -> InputAbilities {
        InputAbilities { url: true, ..InputAbilities::default() }
    }

    fn ask<'a>(
        &'a self,
        requests: RawBuf,
    ) -> Pin<Box<dyn Future<Output = Result<RawBuf, NoInput>> + Send + 'a>> {
        *self.asked.lock().expect("no panic") = serde_json::from_str(requests.get()).ok();
        self.told.notify_one();
        Box::pin(async move {
            match &self.answer {
                Some(answer) => Ok(RawBuf::read(&json!({ "approval": answer }).to_string()).expect("JSON")),
                None => std::future::pending().await,
            }
        })
    }
}

fn with_task(holder: &Arc<Holder>, cancel: &CancellationToken) -> Wire {
    let port: Arc<dyn TaskPort> = Arc::clone(holder) as _;
    Wire { tasks: Tasks::Taken(port), cancel: cancel.clone(), ..Wire::default() }
}

fn with_page(shower: &Arc<Shower>) -> Wire {
    Wire { input: Some(Arc::clone(shower) as _), ..Wire::default() }
}

/// The id in words such as "request apr_…; its page is …".
fn request_in(words: &str) -> String {
    let at = words.find("apr_").expect("an id");
    words[at..].chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect()
}

/// Where a request stands, and the whole of what its page says.
async fn page(browser: &mut Browser, id: &str) -> String {
    browser.get(&format!("/approvals/{id}")).await.body
}

#[tokio::test]
async fn a_client_that_takes_tasks_holds_one_until_the_call_that_was_agreed_to_has_run() {
    let harbour = Harbour::start("").await;
    let (robot, mut browser) = (harbour.somebody("robot").await, harbour.signed_in().await);
    let holder = Arc::new(Holder::default());
    let wire = with_task(&holder, &CancellationToken::new());
    let decide = async {
        let words = holder.word().await;
        let id = request_in(&words);
        assert!(words.contains(&format!("http://{}/approvals/{id}", harbour.address)), "{words}");
        browser.answer(&id, "approve", "").await
    };
    let both = async { tokio::join!(harbour.greet_over(&robot, "the quay", wire), decide) };
    let (reply, decided) = Box::pin(timeout(PATIENCE, both)).await.expect("it runs");
    assert_eq!(decided.status, 200, "{}", decided.body);
    assert_eq!((reply.status, reply.code, reply.parked), (Status::Success, None, None));
    assert!(reply.result.contains("the quay"), "{}", reply.result);
    // Whether a client ever fetches what its task ended with is not known, so the result still waits.
    let again = harbour.greet(&robot, "the quay").await;
    assert_eq!((again.status, again.audit_id), (Status::Success, reply.audit_id));
    let records = records(harbour.end().await.path()).await;
    let delivered = records.iter().filter(|record| record["event"] == "approval.delivered");
    assert_eq!(delivered.count(), 1, "that the result was handed out is evidence");
}

#[tokio::test]
async fn a_switch_ends_a_wait_at_once_and_what_would_have_come_of_it_is_not_given() {
    let harbour = Harbour::start("").await;
    let robot = harbour.somebody("robot").await;
    let holder = Arc::new(Holder::default());
    let wire = with_task(&holder, &CancellationToken::new());
    let stop = async {
        holder.word().await;
        let office = Office::open(options(harbour.folder.path())).await.expect("an office");
        let stop = Stop {
            target: Target { actor: Some(robot.id.to_string()), ..Target::default() },
            lifetime: Duration::from_hours(1),
            reason: "a test".into(),
            cancels: false,
            by: ActorId::parse("ada").expect("a name"),
        };
        office.stop_calls(stop).await.expect("stopped");
        office.close().await;
    };
    let both = async { tokio::join!(harbour.greet_over(&robot, "the quay", wire), stop) };
    let (reply, ()) = Box::pin(timeout(PATIENCE, both)).await.expect("it ends");
    assert_eq!(reply.code, Some(ErrorCode::IncidentStopped), "{}", reply.result);
    harbour.end().await;
}

#[tokio::test]
async fn a_wait_keeps_no_configuration_that_was_replaced() {
    let harbour = Harbour::start("").await;
    let robot = harbour.somebody("robot").await;
    let (holder, cancel) = (Arc::new(Holder::default()), CancellationToken::new());
    let wire = with_task(&holder, &cancel);
    let replace = async {
        holder.word().await;
        let before = Arc::downgrade(&harbour.gateway.plane());
        let settings = harbour.folder.path().join("quaymaster.yaml");
        let text = std::fs::read_to_string(&settings).expect("settings");
        std::fs::write(&settings, text.replace("sales: {}", "sales: { title: Sales }")).expect("written");
        harbour.gateway.reload_now();
        while before.upgrade().is_some() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        cancel.cancel();
    };
    let both = async { tokio::join!(harbour.greet_over(&robot, "the quay", wire), replace) };
    let (reply, ()) = Box::pin(timeout(PATIENCE, both)).await.expect("the old one goes");
    assert_eq!(reply.code, Some(ErrorCode::ApprovalRequired), "{}", reply.result);
    harbour.end().await;
}

#[tokio::test]
async fn a_refusal_ends_the_task_and_says_so() {
    let harbour = Harbour::start("").await;
    let (robot, mut browser) = (harbour.somebody("robot").await, harbour.signed_in().await);
    let holder = Arc::new(Holder::default());
    let wire = with_task(&holder, &CancellationToken::new());
    let decide = async { browser.answer(&request_in(&holder.word().await), "reject", "not today").await };
    let both = async { tokio::join!(harbour.greet_over(&robot, "the quay", wire), decide) };
    let (reply, _) = Box::pin(timeout(PATIENCE, both)).await.expect("it ends");
    assert_eq!((reply.status, reply.code), (Status::Failed, Some(ErrorCode::ApprovalRejected)));
    assert!(reply.result.contains("not today"), "{}", reply.result);
    harbour.end().await;
}

#[tokio::test]
async fn a_task_that_is_taken_back_takes_its_request_back_and_one_that_runs_out_leaves_it() {
    for (is_taken_back, state) in [(true, "withdrawn"), (false, "pending")] {
        let harbour = Harbour::start("").await;
        let (robot, mut browser) = (harbour.somebody("robot").await, harbour.signed_in().await);
        let (holder, cancel) = (Arc::new(Holder::default()), CancellationToken::new());
        let end = async {
            let id = request_in(&holder.word().await);
            holder.taken_back.store(is_taken_back, Ordering::SeqCst);
            cancel.cancel();
            id
        };
        let wire = with_task(&holder, &cancel);
        let both = async { tokio::join!(harbour.greet_over(&robot, "the quay", wire), end) };
        let (reply, id) = Box::pin(timeout(PATIENCE, both)).await.expect("it ends");
        assert_eq!(reply.code, Some(ErrorCode::ApprovalRequired), "{}", reply.result);
        let page = page(&mut browser, &id).await;
        assert!(page.contains(&format!(r#"<span class="tag state">{state}"#)), "{page}");
        harbour.end().await;
    }
}

#[tokio::test]
async fn a_client_without_room_for_a_task_is_answered_at_once() {
    let harbour = Harbour::start("").await;
    let robot = harbour.somebody("robot").await;
    let holder = Arc::new(Holder { has_no_room: true, ..Holder::default() });
    let reply = harbour.greet_over(&robot, "the quay", with_task(&holder, &CancellationToken::new())).await;
    assert_eq!((reply.status, reply.parked.is_some()), (Status::RequiresApproval, true));
    harbour.end().await;
}

#[tokio::test]
async fn whatever_a_client_answers_that_was_shown_the_page_decides_nothing() {
    let harbour = Harbour::start("").await;
    let (robot, mut browser) = (harbour.somebody("robot").await, harbour.signed_in().await);
    let answers = [
        json!({"action": "accept"}),
        json!({"action": "accept", "content": {"answer": "approve", "decision": "approved"}}),
        json!({"action": "decline"}),
        json!({"action": "cancel"}),
    ];
    for (round, answer) in answers.into_iter().enumerate() {
        let shower = Shower::new(Some(answer));
        let reply = harbour.greet_over(&robot, &format!("quay {round}"), with_page(&shower)).await;
        assert_eq!((reply.status, reply.code), (Status::RequiresApproval, Some(ErrorCode::ApprovalRequired)));
        let id = reply.parked.expect("a request").to_string();
        let asked = shower.asked();
        let params = &asked["approval"]["params"];
        assert_eq!(asked["approval"]["method"], "elicitation/create");
        assert_eq!((&params["mode"], &params["elicitationId"]), (&json!("url"), &json!(id)));
        assert_eq!(params["url"], format!("http://{}/approvals/{id}", harbour.address));
        let page = page(&mut browser, &id).await;
        assert!(page.contains(r#"<span class="tag state">pending"#), "{page}");
        let again = Shower::new(None);
        let reply = harbour.greet_over(&robot, &format!("quay {round}"), with_page(&again)).await;
        assert_eq!(reply.code, Some(ErrorCode::ApprovalRequired), "a page is shown once for each request");
    }
    harbour.end().await;
}

#[tokio::test]
async fn a_client_that_shows_the_page_is_answered_when_the_call_has_run() {
    let harbour = Harbour::start("").await;
    let (robot, mut browser) = (harbour.somebody("robot").await, harbour.signed_in().await);
    let shower = Shower::new(None);
    let decide = async {
        shower.told.notified().await;
        let id = shower.asked()["approval"]["params"]["elicitationId"].as_str().expect("an id").to_owned();
        browser.answer(&id, "approve", "").await
    };
    let both = async { tokio::join!(harbour.greet_over(&robot, "the quay", with_page(&shower)), decide) };
    let (reply, _) = Box::pin(timeout(PATIENCE, both)).await.expect("it runs");
    assert_eq!((reply.status, reply.code), (Status::Success, None), "{}", reply.result);
    harbour.end().await;
}

#[tokio::test]
async fn a_task_of_a_client_over_http_ends_with_the_result_of_the_call_that_was_agreed_to() {
    let harbour = Harbour::start("").await;
    let ((_, token), mut browser) = (harbour.with_token("robot", "analyst").await, harbour.signed_in().await);
    let mut client = Client { http: Browser { address: harbour.clients.clone(), cookie: None }, token };
    let listed = client.ask("tools/list", json!({})).await;
    let greet =
        listed["tools"].as_array().into_iter().flatten().find(|tool| tool["name"] == "greetings_greet");
    assert_eq!(greet.expect("listed")["execution"], json!({"taskSupport": "optional"}));

    let call = json!({"name": "greetings_greet", "arguments": {"who": "the quay"}});
    let task = client.ask("tools/call", call).await;
    assert_eq!((&task["resultType"], &task["status"]), (&json!("task"), &json!("working")), "{task}");
    let handle = json!({"taskId": task["taskId"]});
    let words = async {
        loop {
            let task = client.ask("tasks/get", handle.clone()).await;
            if let Some(words) = task["statusMessage"].as_str() {
                return words.to_owned();
            }
        }
    };
    let words = timeout(PATIENCE, words).await.expect("it says what it waits for");
    assert_eq!(browser.answer(&request_in(&words), "approve", "").await.status, 200);
    let ended = async {
        loop {
            let task = client.ask("tasks/get", handle.clone()).await;
            if task["status"] != "working" {
                return task;
            }
        }
    };
    let task = timeout(PATIENCE, ended).await.expect("it ends");
    assert_eq!(task["status"], "completed", "{task}");
    assert!(task["result"].to_string().contains("the quay"), "{task}");

    let call = json!({"name": "greetings_greet", "arguments": {"who": "another quay"}});
    let task = client.ask("tools/call", call).await;
    client.ask("tasks/cancel", json!({"taskId": task["taskId"]})).await;
    let withdrawn = async {
        loop {
            let list = browser.get("/approvals?show=all").await.body;
            if list.contains("withdrawn") {
                return;
            }
        }
    };
    timeout(PATIENCE, withdrawn).await.expect("its request is withdrawn");
    harbour.end().await;
}

/// As much of a client of 2026-07-28 with tasks as it takes.
struct Client {
    http: Browser,
    token: String,
}

impl Client {
    async fn ask(&mut self, method: &str, mut params: Value) -> Value {
        let named = params.get("name").or(params.get("taskId"));
        let name = named.and_then(Value::as_str).unwrap_or_default().to_owned();
        let meta = json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
            "io.modelcontextprotocol/clientCapabilities": {
                "extensions": {"io.modelcontextprotocol/tasks": {}}
            },
        });
        params.as_object_mut().expect("an object").insert("_meta".into(), meta);
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string();
        let bearer = format!("Bearer {}", self.token);
        let mut headers = vec![
            ("authorization", bearer.as_str()),
            ("content-type", "application/json"),
            ("accept", "application/json, text/event-stream"),
            ("mcp-protocol-version", "2026-07-28"),
            ("mcp-method", method),
        ];
        if !name.is_empty() {
            headers.push(("mcp-name", &name));
        }
        let answer = self.http.send("POST", "/mcp", &headers, &body).await;
        let message: Value = serde_json::from_str(&answer.body).unwrap_or_else(|_| panic!("{}", answer.body));
        message.get("result").unwrap_or_else(|| panic!("{message}")).clone()
    }
}
