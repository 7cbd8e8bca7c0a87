//! Calls of which servers make tasks: who asks for one, how it is followed, and what it asks.

mod aside;
mod begun;
mod ends;
mod holder;
mod late;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use quaymaster_core::{TaskPort, TaskTerms};
use tokio::sync::Notify;

use self::holder::Holder;
use super::offers::Person;
use super::scripted::{End, Reply, Scripted, Seen, definitions, event, legacy, modern, text};
use super::*;

const RELATED: &str = "io.modelcontextprotocol/related-task";

fn taken() -> Tasks {
    Tasks::Taken(Holder::with(true))
}

/// What a server says one after another, and then the last again and again.
struct Turns(AtomicUsize, Vec<Value>);

impl Turns {
    fn of(turns: impl IntoIterator<Item = Value>) -> Self {
        Self(AtomicUsize::new(0), turns.into_iter().collect())
    }

    fn next(&self) -> Value {
        let at = self.0.fetch_add(1, Ordering::SeqCst);
        self.1.get(at).or(self.1.last()).expect("a turn").clone()
    }
}

/// A task as both eras describe it, which is to be looked at as often as we look.
fn task(id: &str, status: &str) -> Value {
    json!({"taskId": id, "status": status, "ttl": 60_000, "ttlMs": 60_000, "pollInterval": 1, "pollIntervalMs": 1})
}

fn with(mut task: Value, members: Value) -> Value {
    task.as_object_mut().expect("an object").extend(object(members));
    task
}

/// The first answer of a server that makes a task.
fn created(is_modern: bool, task: Value) -> Value {
    if is_modern { with(task, json!({"resultType": "task"})) } else { json!({"task": task}) }
}

/// A session's server whose tool `go` can be a task as `support` says; `about` answers for both.
fn session(
    support: &'static str,
    about: impl Fn(&Seen) -> Reply + Send + Sync,
) -> impl Fn(&Seen) -> Reply + Send + Sync {
    let inner = legacy(&[], |_| Reply::Never);
    move |seen| match seen.method() {
        "initialize" => seen
            .result(json!({
                "protocolVersion": "2025-11-25", "serverInfo": {"name": "scripted", "version": "1"},
                "capabilities": {"tools": {}, "tasks": {"cancel": {}, "requests": {"tools": {"call": {}}}}}
            }))
            .with("mcp-session-id", "s-1"),
        "tools/list" => {
            let mut tools = definitions(&["go"]);
            tools[0]["execution"] = json!({"taskSupport": support});
            seen.result(json!({"tools": tools}))
        }
        "tools/call" | "tasks/get" | "tasks/result" | "tasks/cancel" => about(seen),
        "" if seen.verb == "POST" => {
            about(seen);
            Reply::status(202, "")
        }
        _ => inner(seen),
    }
}

/// A modern server that makes tasks of `go`; `about` answers for both.
fn extended(about: impl Fn(&Seen) -> Reply + Send + Sync) -> impl Fn(&Seen) -> Reply + Send + Sync {
    let inner = modern(&["go"], |_| Reply::Never);
    move |seen| match seen.method() {
        "server/discover" => seen.result(json!({
            "resultType": "complete", "supportedVersions": ["2026-07-28"],
            "capabilities": {"tools": {}, "extensions": {"io.modelcontextprotocol/tasks": {}}}
        })),
        "tools/call" | "prompts/get" | "tasks/get" | "tasks/update" | "tasks/cancel" => about(seen),
        _ => inner(seen),
    }
}

async fn serve(is_modern: bool, about: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Scripted {
    if is_modern {
        Scripted::serve(extended(about)).await
    } else {
        Scripted::serve(session("required", about)).await
    }
}

/// The same with a result at the end of each of `polls`, whatever the era.
async fn ending(is_modern: bool, polls: Vec<Value>, result: Value) -> Scripted {
    let polls = Turns::of(polls);
    serve(is_modern, move |seen| match seen.method() {
        "tools/call" => seen.result(created(is_modern, task("t-1", "working"))),
        "tasks/get" => seen.result(polls.next()),
        "tasks/result" => seen.result(result.clone()),
        _ => seen.result(json!({})),
    })
    .await
}

fn limited(server: &Scripted, timeout: &str) -> Value {
    let mut spec = server.spec(&["go"]);
    spec["limits"]["timeout"] = json!(timeout);
    spec
}

fn declares_tasks(seen: &Seen) -> bool {
    let meta = &seen.message["params"]["_meta"]["io.modelcontextprotocol/clientCapabilities"];
    meta["extensions"]["io.modelcontextprotocol/tasks"].is_object()
}

#[tokio::test]
async fn a_session_is_asked_for_a_task_where_it_makes_nothing_else_or_its_client_takes_one() {
    let cases = [
        ("required", Tasks::Followed, true),
        ("required", Tasks::Declined, true),
        ("required", taken(), true),
        ("optional", Tasks::Followed, false),
        ("optional", taken(), true),
        ("forbidden", taken(), false),
    ];
    for (support, tasks, expected) in cases {
        let done = text("done");
        let server = Scripted::serve(session(support, move |seen| match seen.method() {
            "tools/call" if seen.message["params"]["task"].is_object() => {
                seen.result(created(false, task("t-1", "working")))
            }
            "tasks/get" => seen.result(task("t-1", "completed")),
            _ => seen.result(done.clone()),
        }))
        .await;
        let connector = started(server.spec(&["go"])).await;
        assert_eq!(connector.tools().borrow()[0].tasks, support != "forbidden");
        let mut call = Call { tasks, ..write("go") };
        assert_eq!(call.text(&connector).await, "done", "{support}");
        assert_eq!(server.count("tasks/get") > 0, expected, "{support} {:?}", call.tasks);
    }
}

#[tokio::test]
async fn a_server_that_has_no_tasks_is_asked_for_none_whatever_its_tools_say() {
    let inner = session("required", |seen| seen.result(text("done")));
    let server = Scripted::serve(move |seen| match seen.method() {
        "initialize" => seen.result(json!({"protocolVersion": "2025-11-25", "capabilities": {"tools": {}}})),
        _ => inner(seen),
    })
    .await;
    let connector = started(server.spec(&["go"])).await;
    let mut call = Call { tasks: taken(), ..read("go") };
    assert_eq!(call.text(&connector).await, "done");
    assert!(server.seen("tools/call")[0].message["params"].get("task").is_none());
    assert!(!connector.tools().borrow()[0].tasks);
}

#[tokio::test]
async fn a_task_is_polled_until_it_is_done_and_its_result_is_that_of_the_call() {
    for is_modern in [false, true] {
        let result = with(text("done"), json!({"_meta": {RELATED: {"taskId": "t-1"}, "mine": 1}}));
        let polls = vec![
            with(task("t-1", "working"), json!({"statusMessage": "half"})),
            with(task("t-1", "completed"), json!({"result": result, "statusMessage": "all"})),
        ];
        let server = ending(is_modern, polls, result).await;
        let connector = started(server.spec(&["go"])).await;
        let holder = Holder::with(true);
        let mut call = Call { tasks: Tasks::Taken(Arc::clone(&holder) as Arc<dyn TaskPort>), ..write("go") };
        let result = call.on(&connector).await.expect("a result");
        assert_eq!(result["content"][0]["text"], "done");
        assert_eq!(result["_meta"]["mine"], 1);
        assert_eq!(result["_meta"].get(RELATED).is_some(), is_modern, "only sessions name the task there");
        let terms = TaskTerms { ttl: Some(Duration::from_mins(1)), poll: Some(Duration::from_millis(1)) };
        assert_eq!(*holder.terms.lock().expect("no panic"), [terms]);
        assert_eq!(*holder.said.lock().expect("no panic"), ["half", "all"]);
        let calls = (server.count("tools/call"), server.count("tasks/get"), server.count("tasks/cancel"));
        assert_eq!(calls, (1, 2, 0), "modern: {is_modern}");
        assert_eq!(server.count("tasks/result"), usize::from(!is_modern));
        for seen in server.seen("tasks/get") {
            assert_eq!(seen.message["params"]["taskId"], "t-1");
            assert_eq!(
                (seen.header("mcp-name"), declares_tasks(&seen)),
                (is_modern.then_some("t-1"), is_modern)
            );
        }
    }
}

#[tokio::test]
async fn what_a_session_asks_for_its_task_reaches_the_client_while_the_result_is_fetched() {
    let answered = Arc::new(Notify::new());
    let (polls, happened) = (Turns::of([task("t-1", "input_required")]), Arc::clone(&answered));
    let server = serve(false, move |seen| match seen.method() {
        "tools/call" => seen.result(created(false, task("t-1", "working"))),
        "tasks/get" => seen.result(polls.next()),
        "tasks/result" => {
            let params =
                json!({"message": "sure?", "requestedSchema": {}, "_meta": {RELATED: {"taskId": "t-1"}}});
            let question =
                json!({"jsonrpc": "2.0", "id": "q", "method": "elicitation/create", "params": params});
            let answer = json!({"jsonrpc": "2.0", "id": seen.message["id"], "result": text("deleted")});
            Reply::Stream {
                parts: vec![event(&question)],
                end: End::After(Arc::clone(&happened), event(&answer)),
            }
        }
        _ => {
            assert_eq!(seen.message["result"]["action"], "accept");
            happened.notify_one();
            Reply::HangUp
        }
    })
    .await;
    let connector = started(server.spec(&["go"])).await;
    let person = Person::who_says(json!({"action": "accept"}));
    let mut call = Call { input: Some(Arc::clone(&person) as Arc<dyn InputPort>), ..write("go") };
    assert_eq!(call.text(&connector).await, "deleted");
    let asked = person.asked();
    assert!(asked.contains("sure?") && !asked.contains("t-1"), "{asked}");
}

#[tokio::test]
async fn what_a_modern_server_wants_to_know_is_asked_once_however_often_it_is_shown() {
    let asking = |names: &[&str]| {
        let each = names.iter().map(|name| ((*name).to_owned(), json!({"method": "roots/list"})));
        with(task("t-1", "input_required"), json!({"inputRequests": Value::Object(each.collect())}))
    };
    let polls = vec![
        asking(&["a"]),
        asking(&["a"]),
        asking(&["a", "b\"\n"]),
        task("t-1", "working"),
        asking(&["b\"\n"]),
        with(task("t-1", "completed"), json!({"result": text("done")})),
    ];
    let server = ending(true, polls, Value::Null).await;
    let connector = started(server.spec(&["go"])).await;
    let person = Person::who_says(json!({"roots": []}));
    let mut call = Call { input: Some(Arc::clone(&person) as Arc<dyn InputPort>), ..write("go") };
    assert_eq!(call.text(&connector).await, "done");
    assert_eq!(person.asked().lines().count(), 2);
    let given: Vec<Value> = server
        .seen("tasks/update")
        .iter()
        .map(|seen| seen.message["params"]["inputResponses"].clone())
        .collect();
    assert_eq!(given, [json!({"a": {"roots": []}}), json!({"b\"\n": {"roots": []}})]);
}

#[tokio::test]
async fn a_task_that_asks_and_asks_is_given_up_and_taken_back() {
    let number = AtomicUsize::new(0);
    let server = serve(true, move |seen| match seen.method() {
        "tools/call" => seen.result(created(true, task("t-1", "working"))),
        "tasks/get" => {
            let name = number.fetch_add(1, Ordering::SeqCst).to_string();
            let requests = json!({"inputRequests": {name: {"method": "roots/list"}}});
            seen.result(with(task("t-1", "input_required"), requests))
        }
        _ => seen.result(json!({})),
    })
    .await;
    let connector = started(server.spec(&["go"])).await;
    let person = Person::who_says(json!({"roots": []}));
    let mut call = Call { input: Some(Arc::clone(&person) as Arc<dyn InputPort>), ..read("go") };
    assert_eq!(call.code(&connector).await, "upstream.error");
    assert_eq!((person.asked().lines().count(), server.count("tasks/cancel")), (16, 1));
}

#[tokio::test]
async fn a_client_that_cannot_be_asked_takes_the_task_back() {
    let asking = json!({"inputRequests": {"a": {"method": "roots/list"}}});
    let server = ending(true, vec![with(task("t-1", "input_required"), asking)], Value::Null).await;
    let connector = started(server.spec(&["go"])).await;
    assert_eq!(read("go").code(&connector).await, "client.capability");
    assert_eq!(server.count("tasks/cancel"), 1);
}

#[tokio::test]
async fn a_server_that_makes_a_task_unasked_is_followed_all_the_same() {
    let polls = vec![with(task("t-1", "completed"), json!({"result": text("done")}))];
    let server = ending(true, polls, Value::Null).await;
    let connector = started(server.spec(&["go"])).await;
    for tasks in [Tasks::Followed, Tasks::Declined] {
        let mut call = Call { tasks, ..write("go") };
        assert_eq!(call.text(&connector).await, "done");
    }
    assert!(server.seen("tools/call").iter().all(|seen| !declares_tasks(seen)));
}

#[tokio::test]
async fn a_session_that_was_asked_for_a_task_may_be_done_at_once() {
    let server = serve(false, |seen| seen.result(text("done"))).await;
    let connector = started(server.spec(&["go"])).await;
    assert_eq!(write("go").text(&connector).await, "done");
    assert_eq!(server.count("tasks/get"), 0);
}

#[tokio::test]
async fn a_modern_server_that_makes_nothing_else_is_told_of_tasks_where_the_client_could_not_say() {
    let server = serve(true, |seen| match seen.method() {
        "tools/call" if !declares_tasks(seen) => {
            let required = json!({"extensions": {"io.modelcontextprotocol/tasks": {}}});
            let error = json!({"code": -32021, "message": "no", "data": {"requiredCapabilities": required}});
            Reply::json(&json!({"jsonrpc": "2.0", "id": seen.message["id"], "error": error}))
        }
        "tools/call" => seen.result(created(true, task("t-1", "working"))),
        _ => seen.result(with(task("t-1", "completed"), json!({"result": text("done")}))),
    })
    .await;
    let connector = started(server.spec(&["go"])).await;
    assert_eq!(write("go").text(&connector).await, "done");
    assert_eq!(server.count("tools/call"), 2);
    let mut declined = Call { tasks: Tasks::Declined, ..write("go") };
    assert_eq!(declined.code(&connector).await, "client.capability");
    assert_eq!(server.count("tools/call"), 3);
    let mut held = Call { tasks: taken(), ..write("go") };
    assert_eq!(held.text(&connector).await, "done");
    assert_eq!(server.count("tools/call"), 4);
}

#[tokio::test]
async fn a_task_is_named_as_its_server_named_it_however_that_looks() {
    for id in ["a\"}\n{\u{1b}", " \u{e9}\u{1f980} ", "=?base64?eA==?=", "../../x?y#z"] {
        let polls = vec![with(task(id, "completed"), json!({"result": text("done")}))];
        let polls = Turns::of(polls);
        let server = serve(true, move |seen| match seen.method() {
            "tools/call" => seen.result(created(true, task(id, "working"))),
            _ => seen.result(polls.next()),
        })
        .await;
        let connector = started(server.spec(&["go"])).await;
        assert_eq!(write("go").text(&connector).await, "done", "{id:?}");
        let seen = server.seen("tasks/get").pop().expect("a look");
        assert_eq!(seen.message["params"]["taskId"], id);
        let expected = quaymaster_core::mirror::encode(id);
        assert_eq!(seen.header("mcp-name"), expected.to_str().ok());
    }
}

#[tokio::test]
async fn a_session_that_asks_on_every_stream_is_answered_for_when_it_was_too_often() {
    let (answered, refused) = (Arc::new(Notify::new()), AtomicBool::new(false));
    let server = serve(false, move |seen| match seen.method() {
        "tools/call" => seen.result(created(false, task("t-1", "working"))),
        "tasks/get" if refused.load(Ordering::SeqCst) => seen.result(task("t-1", "cancelled")),
        "tasks/get" => seen.result(task("t-1", "input_required")),
        "tasks/result" => {
            let question = json!({"jsonrpc": "2.0", "id": "q", "method": "roots/list"});
            let end = End::After(Arc::clone(&answered), ": no answer\n\n".into());
            Reply::Stream { parts: vec![event(&question)], end }
        }
        _ => {
            refused.fetch_or(seen.message["error"].is_object(), Ordering::SeqCst);
            answered.notify_one();
            Reply::HangUp
        }
    })
    .await;
    let connector = started(server.spec(&["go"])).await;
    let person = Person::who_says(json!({"roots": []}));
    let mut call = Call { input: Some(Arc::clone(&person) as Arc<dyn InputPort>), ..read("go") };
    assert_eq!(call.code(&connector).await, "upstream.error");
    assert_eq!((person.asked().lines().count(), server.count("tasks/result")), (16, 17));
}
