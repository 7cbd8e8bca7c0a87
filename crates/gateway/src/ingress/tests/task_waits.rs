//! Sessions that wait for what comes of their tasks.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use futures_util::FutureExt as _;
use quaymaster_core::{Arguments, InputAbilities, Kind, LogLevel, NoInput, RawBuf, SessionId, TaskTerms};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::client::{Client, Server, next_event, soon};
use super::harbour::{Event, Harbour, caller};
use super::pipes::Pipes;
use crate::ingress::call::ToolCall;
use crate::ingress::claims::Claims;
use crate::ingress::door::Door as _;
use crate::ingress::era::Era;
use crate::ingress::front::{Front, Origin, ServerIdentity};
use crate::ingress::http::HttpSettings;
use crate::ingress::progress::Wanted;
use crate::ingress::question::Question;
use crate::ingress::running::{News, Running, Speech};
use crate::ingress::task::{Begun, Owner, Task, TaskWatch, Waiter};

const ABLE: InputAbilities = InputAbilities {
    form: true,
    url: false,
    sampling: false,
    sampling_tools: false,
    roots: true,
    tasks: false,
    apps: false,
};

/// A way in, and a session that begins tasks and waits for them.
struct Desk {
    harbour: Arc<Harbour>,
    front: Front<Harbour>,
    session: SessionId,
}

impl Desk {
    fn new() -> Self {
        let harbour = Harbour::new();
        let front = Front::new(Arc::clone(&harbour), ServerIdentity::default(), Arc::default());
        let session = harbour.session_id();
        Self { harbour, front, session }
    }

    fn begin(&self, arguments: &str) -> Arc<Task> {
        let actor = caller("ana", "main");
        let (place, offer) = self.front.task_place(&actor).expect("a place");
        let wanted = Wanted { progress: true, level: Some(LogLevel::Info) };
        let speech =
            Speech::new(Era::Legacy, wanted, self.front.questions(ABLE, &actor, None)).offering(offer);
        let arguments = RawBuf::read(arguments).expect("JSON");
        let arguments = Arguments::parse(Some(arguments.as_raw())).expect("arguments");
        let call = ToolCall { kind: Kind::Tool, tool: "task".into(), arguments, task: None, answers: None };
        let origin = Origin { actor, session: Some(self.session.clone()), claims: Claims::default() };
        let (request, cancel) = (self.front.request(call, origin), CancellationToken::new());
        let key = request.id.clone();
        let reply = self.front.run(request, speech.wire(&cancel), |_| {});
        let running = Running::new(Era::Legacy, key, reply, speech, cancel);
        let begun = Begun { session: Some(self.session.clone()), token: None };
        let terms = TaskTerms { ttl: None, poll: None };
        self.front.begin_task(running, (terms, begun), place).expect("a task")
    }

    /// A wait of `session`, if it can be told anything.
    fn wait(&self, task: &Arc<Task>, session: Option<SessionId>) -> Running {
        let waiter = Waiter { abilities: ABLE, session, cancel: CancellationToken::new() };
        self.front.await_task(Arc::clone(task), waiter, &caller("ana", "main"), ()).0
    }

    async fn result(&self, wait: &mut Running) -> Value {
        match soon(wait.news()).await {
            News::Reply(Some(reply)) => serde_json::from_str(&reply.result).expect("a result"),
            _ => panic!("it has ended"),
        }
    }
}

async fn question(wait: &mut Running) -> Question {
    match soon(wait.news()).await {
        News::Question(question) => question,
        _ => panic!("it is asked"),
    }
}

/// The name under which a question asks for one thing.
fn name(question: &Question) -> String {
    let names: Vec<String> = question.named().map(|(name, _)| name).collect();
    assert_eq!(names.len(), 1, "{names:?}");
    names.concat()
}

fn answer(question: Question, with: &str) {
    let answers = format!(r#"{{"{}":{with}}}"#, name(&question));
    question.answer(RawBuf::read(&answers).expect("JSON"));
}

#[tokio::test]
async fn a_wait_that_is_given_up_leaves_nothing_behind() {
    let desk = Desk::new();
    let task = desk.begin("{}");
    assert_eq!(soon(desk.harbour.event()).await, Event::Began("task".into()));
    let before = desk.front.haven.tasks().len();
    for _ in 0..8 {
        let mut wait = desk.wait(&task, None);
        assert!(wait.news().now_or_never().is_none(), "it still works");
    }
    assert_eq!(desk.front.haven.tasks().len(), before);
    desk.harbour.release();
    let result = desk.result(&mut desk.wait(&task, None)).await;
    assert_eq!(result["structuredContent"]["handed"], "true");
}

#[tokio::test]
async fn a_refusal_is_an_end_of_the_question_and_not_of_the_task() {
    let desk = Desk::new();
    let task = desk.begin(r#"{"ask":"both"}"#);
    let mut wait = desk.wait(&task, None);
    let (first, second) = (question(&mut wait).await, question(&mut wait).await);
    first.decline(NoInput::Declined);
    desk.harbour.release();
    let result = desk.result(&mut wait).await;
    assert_eq!(result["structuredContent"]["said"], "Some(Err(Declined))");
    assert!(second.is_closed(), "what belongs to it is no longer asked");
}

#[tokio::test]
async fn each_thing_is_asked_once_whatever_else_changes() {
    let desk = Desk::new();
    let task = desk.begin(r#"{"ask":"both"}"#);
    let mut wait = desk.wait(&task, None);
    let (first, second) = (question(&mut wait).await, question(&mut wait).await);
    assert_eq!((name(&first), name(&second)), ("1-name".into(), "1-roots".into()));
    answer(first, r#"{"action":"accept"}"#);
    assert!(wait.news().now_or_never().is_none(), "nothing is asked again");
    assert!(!second.is_closed());
    // Another wait is asked for the rest, and not for what has been answered.
    let mut other = desk.wait(&task, None);
    let rest = question(&mut other).await;
    assert_eq!(name(&rest), "1-roots");
    assert!(other.news().now_or_never().is_none());
    answer(rest, r#"{"roots":[]}"#);
    desk.harbour.release();
    let result = desk.result(&mut other).await;
    let said = &result["structuredContent"]["said"];
    assert_eq!(said, &json!({"name": {"action": "accept"}, "roots": {"roots": []}}));
    desk.result(&mut wait).await;
    assert!(second.is_closed(), "another has answered it");
}

#[tokio::test]
async fn answers_that_nobody_asked_for_change_nothing() {
    let desk = Desk::new();
    let task = desk.begin(r#"{"ask":true}"#);
    let mut wait = desk.wait(&task, None);
    let asked = question(&mut wait).await;
    let mut changes = task.changes();
    changes.mark_unchanged();
    let forged = RawBuf::read(r#"{"2-name":{},"1-name":7}"#).expect("JSON");
    task.inform(forged.as_raw());
    assert!(!changes.has_changed().expect("it is there"));
    answer(asked, "{}");
    assert!(wait.news().now_or_never().is_none(), "it still works");
    assert!(changes.has_changed().expect("it is there"));
}

#[tokio::test]
async fn what_found_no_room_is_asked_again() {
    let desk = Desk::new();
    let task = desk.begin(r#"{"ask":true}"#);
    let mut wait = desk.wait(&task, None);
    question(&mut wait).await.decline(NoInput::Overloaded);
    answer(question(&mut wait).await, r#"{"action":"decline"}"#);
    desk.harbour.release();
    let result = desk.result(&mut wait).await;
    assert_eq!(result["structuredContent"]["said"]["name"]["action"], "decline");
}

#[tokio::test]
async fn what_a_task_tells_goes_to_the_session_that_began_it_alone() {
    let desk = Desk::new();
    let task = desk.begin("{}");
    assert_eq!(soon(desk.harbour.event()).await, Event::Began("task".into()));
    for other in [None, Some(desk.harbour.session_id())] {
        let mut wait = desk.wait(&task, other);
        assert!(wait.news().now_or_never().is_none(), "it tells nothing");
    }
    let mut own = desk.wait(&task, Some(desk.session.clone()));
    assert!(matches!(soon(own.news()).await, News::Note));
    assert!(own.note().is_some());
}

/// Counts how often whoever waits is woken.
#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Desk {
    fn watch(&self, task: &Task) -> TaskWatch {
        let owner = Owner::of(&caller("ana", "main"));
        TaskWatch::of(&self.front.tasks, std::slice::from_ref(&task.handle), &owner, self.harbour.keys())
    }
}

#[tokio::test]
async fn a_change_of_a_task_wakes_who_watches_it_and_nobody_else() {
    let desk = Desk::new();
    let (task, other) = (desk.begin("{}"), desk.begin("{}"));
    let mut watch = desk.watch(&task);
    let wakes = Arc::new(Wakes::default());
    let mine = Waker::from(Arc::clone(&wakes));
    let mut next = std::pin::pin!(watch.next());
    assert!(next.as_mut().poll(&mut Context::from_waker(&mine)).is_pending());
    assert!(other.take_back());
    assert_eq!(wakes.0.load(Ordering::Relaxed), 0);
    assert!(task.take_back());
    assert_eq!(wakes.0.load(Ordering::Relaxed), 1);
    assert_eq!(soon(next).await.handle, task.handle);
}

#[tokio::test]
async fn a_task_whose_time_is_up_is_kept_by_no_subscription() {
    let desk = Desk::new();
    let task = desk.begin("{}");
    assert_eq!(soon(desk.harbour.event()).await, Event::Began("task".into()));
    let mut watch = desk.watch(&task);
    let gone = Arc::downgrade(&task);
    drop(task);
    assert!(watch.next().now_or_never().is_none(), "nothing has changed");
    desk.harbour.clock.advance(Duration::from_mins(61));
    desk.front.sweep();
    desk.front.haven.tasks().close();
    soon(desk.front.haven.tasks().wait()).await;
    assert!(gone.upgrade().is_none(), "its place is free");
    assert!(watch.next().now_or_never().is_none());
}

/// A session's task.
async fn begin(client: &mut Client) -> String {
    let call = json!({"name": "task", "task": {}});
    let call = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call});
    let created = client.post(&call).await.json();
    created["result"]["task"]["taskId"].as_str().expect("a handle").to_owned()
}

fn fetch(id: &str) -> Value {
    json!({"jsonrpc": "2.0", "id": 7, "method": "tasks/result", "params": {"taskId": id}})
}

fn cancel_7() -> Value {
    json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 7}})
}

#[tokio::test]
async fn a_wait_is_under_way_in_its_session_until_it_is_cancelled() {
    let server = Server::plain().await;
    let mut client = server.client().await;
    client.initialize("2025-11-25").await;
    let id = begin(&mut client).await;
    let mut same = server.client().await;
    same.session.clone_from(&client.session);
    let fetch = fetch(&id);
    let waiting = client.post(&fetch);
    let mut waiting = std::pin::pin!(waiting);
    let echo = json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {"name": "echo"}});
    let twice = async {
        loop {
            // Until the first has arrived the second is the first.
            let answer = same.post(&echo).await;
            if answer.status.as_u16() == 400 {
                return answer;
            }
            tokio::task::yield_now().await;
        }
    };
    let twice = soon(async {
        tokio::select! {
            answer = &mut waiting => panic!("it still works: {}", answer.text),
            twice = twice => twice,
        }
    });
    assert!(twice.await.text.contains("still under way"));
    assert_eq!(same.post(&cancel_7()).await.status.as_u16(), 202);
    let ended = soon(&mut waiting).await.json();
    assert!(ended.to_string().contains("call.cancelled"), "{ended}");
    let state = json!({"jsonrpc": "2.0", "id": 8, "method": "tasks/get", "params": {"taskId": id}});
    assert_eq!(same.post(&state).await.json()["result"]["status"], "working", "the task goes on");
    server.harbour.release();
    let done = same.post(&fetch).await.json();
    assert_eq!(done["result"]["structuredContent"]["handed"], "true");
}

#[tokio::test]
async fn a_session_that_answers_with_an_error_ends_the_question_of_its_task() {
    let server = Server::plain().await;
    let mut client = server.client().await;
    client.initialize_able_to("2025-11-25", json!({"elicitation": {}, "roots": {}})).await;
    let call = json!({"name": "task", "task": {}, "arguments": {"ask": "both"}});
    let call = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call});
    let created = client.post(&call).await.json();
    let id = created["result"]["task"]["taskId"].as_str().expect("a handle");
    let mut answering = server.client().await;
    answering.session.clone_from(&client.session);
    let mut stream = client.open("POST", &[], &fetch(id).to_string()).await.into_body();
    soon(next_event(&mut stream)).await.expect("a form");
    let roots = soon(next_event(&mut stream)).await.expect("a question");
    assert_eq!(roots["method"], "roots/list");
    let error = json!({"code": -1, "message": "no"});
    let refusal = json!({"jsonrpc": "2.0", "id": roots["id"], "error": error});
    assert_eq!(answering.post(&refusal).await.status.as_u16(), 202);
    server.harbour.release();
    let done = soon(next_event(&mut stream)).await.expect("a result");
    assert_eq!(done["result"]["structuredContent"]["said"], "Some(Err(Declined))");
}

#[tokio::test]
async fn who_waits_long_is_shown_that_somebody_is_there() {
    let settings = HttpSettings { keep_alive: Duration::from_millis(20), ..HttpSettings::default() };
    let server = Server::start(settings).await;
    let mut client = server.client().await;
    client.initialize("2025-11-25").await;
    let id = begin(&mut client).await;
    let response = soon(client.open("POST", &[], &fetch(&id).to_string())).await;
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    server.harbour.release();
    let done = soon(next_event(&mut response.into_body())).await.expect("a result");
    assert_eq!(done["result"]["structuredContent"]["handed"], "true");
}

#[tokio::test]
async fn progress_of_a_task_says_of_which_it_is() {
    let server = Server::plain().await;
    let mut client = server.client().await;
    client.initialize("2025-11-25").await;
    let call = json!({"name": "task", "task": {}, "_meta": {"progressToken": "p"}});
    let call = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call});
    let created = client.post(&call).await.json();
    let id = created["result"]["task"]["taskId"].as_str().expect("a handle");
    let mut stream = client.open("POST", &[], &fetch(id).to_string()).await.into_body();
    let progress = soon(next_event(&mut stream)).await.expect("progress");
    assert_eq!(progress["params"]["progressToken"], "p");
    let related = &progress["params"]["_meta"]["io.modelcontextprotocol/related-task"];
    assert_eq!(related, &json!({"taskId": id}));
}

#[tokio::test]
async fn a_wait_on_a_pipe_that_is_cancelled_is_not_answered() {
    let mut pipes = Pipes::plain();
    pipes.initialize_as("2025-11-25").await;
    let call =
        json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "task", "task": {}}});
    let created = pipes.ask(&call.to_string()).await;
    let id = created["result"]["task"]["taskId"].as_str().expect("a handle").to_owned();
    pipes.send(&fetch(&id).to_string()).await;
    pipes.send(&cancel_7().to_string()).await;
    let mut again = fetch(&id);
    again["id"] = 8.into();
    pipes.send(&again.to_string()).await;
    pipes.harbour.release();
    assert_eq!(pipes.read().await["id"], 8);
    let (_, rest) = pipes.end().await;
    assert_eq!(rest, Vec::<Value>::new());
}
