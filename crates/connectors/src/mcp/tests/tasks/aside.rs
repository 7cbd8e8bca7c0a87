//! What a session's server asks for a task on the stream that belongs to no request.

use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use super::*;

/// A session's server that asks once, when its task is first looked at, with `meta` in the question; its
/// task comes to what it was answered. A call with `at_once` is done before it is looked at.
async fn asking(meta: Value) -> Scripted {
    let aside: Arc<Mutex<Option<UnboundedSender<String>>>> = Arc::default();
    let answered: Arc<Mutex<Option<Value>>> = Arc::default();
    let (opened, asked) = (Arc::clone(&aside), AtomicBool::new(false));
    let inner = session("required", move |seen| {
        let mut answered = answered.lock().expect("no panic");
        match seen.method() {
            "tools/call" => {
                let status = if seen.message["params"]["arguments"]["at_once"] == true {
                    "completed"
                } else {
                    "working"
                };
                seen.result(created(false, task("t-1", status)))
            }
            "tasks/get" if answered.is_some() => seen.result(task("t-1", "completed")),
            "tasks/get" => {
                if !asked.swap(true, Ordering::SeqCst) {
                    let params = json!({"messages": [], "maxTokens": 1, "_meta": meta});
                    let question = json!({
                        "jsonrpc": "2.0", "id": "q", "method": "sampling/createMessage", "params": params
                    });
                    let aside = aside.lock().expect("no panic");
                    aside.as_ref().expect("it listens").send(event(&question)).expect("it listens still");
                }
                seen.result(task("t-1", "working"))
            }
            "tasks/result" => seen.result(text(&answered.take().unwrap_or_default().to_string())),
            _ => {
                if seen.message["id"] == "q" {
                    *answered = Some(seen.message["result"].clone());
                }
                seen.result(json!({}))
            }
        }
    });
    Scripted::serve(move |seen| {
        if seen.verb == "GET" {
            let (sender, parts) = unbounded_channel();
            *opened.lock().expect("no panic") = Some(sender);
            return Reply::Live(parts);
        }
        inner(seen)
    })
    .await
}

const ANSWER: &str = r#"{"role":"assistant"}"#;

/// What the task of `ada` came to, after somebody else has called or not.
async fn answer(meta: &Value, is_after_another: bool) -> String {
    let server = asking(meta.clone()).await;
    let connector = started(server.spec(&["go"])).await;
    eventually("it listens", async || server.seen("").iter().any(|seen| seen.verb == "GET")).await;
    if is_after_another {
        let mut other = Call { actor: actor("bob"), ..read("go") }.with(json!({"at_once": true}));
        assert_eq!(other.text(&connector).await, "null");
    }
    let person = Person::who_says(json!({"role": "assistant"}));
    let mut call = Call { input: Some(Arc::clone(&person) as Arc<dyn InputPort>), ..write("go") };
    let answer = call.text(&connector).await;
    assert_eq!(person.asked().lines().count(), usize::from(answer == ANSWER));
    assert!(!person.asked().contains("t-1"), "its server's name for it is not passed on");
    answer
}

#[tokio::test]
async fn a_question_that_names_a_task_goes_to_its_client_whoever_else_has_called() {
    let meta = json!({RELATED: {"taskId": "t-1"}});
    assert_eq!(answer(&meta, false).await, ANSWER);
    assert_eq!(answer(&meta, true).await, ANSWER);
}

#[tokio::test]
async fn a_question_that_names_no_task_of_ours_goes_to_nobody() {
    for related in [json!({"taskId": "t-2"}), json!({"taskId": 7}), json!({}), json!("t-1")] {
        assert_eq!(answer(&json!({RELATED: related}), false).await, "null", "{related}");
    }
}

#[tokio::test]
async fn between_its_polls_a_task_is_under_way_like_a_call() {
    assert_eq!(answer(&json!({}), false).await, ANSWER);
    assert_eq!(answer(&json!({}), true).await, "null");
}

/// The stream of no request, once it is open.
type Aside = Arc<Mutex<Option<UnboundedSender<String>>>>;

fn tell(aside: &Aside, method: &str, params: &Value) {
    let aside = aside.lock().expect("no panic");
    let message = json!({"jsonrpc": "2.0", "method": method, "params": params});
    aside.as_ref().expect("it listens").send(event(&message)).expect("it listens still");
}

/// A session's server with that stream; `about` answers for its tool.
async fn listened_to(about: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> (Scripted, Aside) {
    let (aside, inner) = (Aside::default(), session("required", about));
    let opened = Arc::clone(&aside);
    let server = Scripted::serve(move |seen| {
        if seen.verb == "GET" {
            let (sender, parts) = unbounded_channel();
            *opened.lock().expect("no panic") = Some(sender);
            return Reply::Live(parts);
        }
        inner(seen)
    })
    .await;
    (server, aside)
}

#[tokio::test]
async fn progress_under_the_token_of_the_call_is_told_until_its_task_has_ended() {
    let done = Arc::new(AtomicBool::new(false));
    let (token, may_end) = (Mutex::new(Value::Null), Arc::clone(&done));
    let (server, aside) = listened_to(move |seen| {
        let mut token = token.lock().expect("no panic");
        match seen.method() {
            "tools/call" => {
                *token = seen.message["params"]["_meta"]["progressToken"].clone();
                seen.result(created(false, task("t-1", "working")))
            }
            "tasks/get" if may_end.load(Ordering::SeqCst) => seen.result(task("t-1", "completed")),
            "tasks/get" => seen.result(task("t-1", "working")),
            "tasks/result" => {
                let params = json!({"progressToken": *token, "progress": 2});
                let progress =
                    json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": params});
                let answer = json!({"jsonrpc": "2.0", "id": seen.message["id"], "result": text("done")});
                Reply::Stream { parts: vec![event(&progress), event(&answer)], end: End::Ends }
            }
            _ => seen.result(json!({})),
        }
    })
    .await;
    let connector = started(server.spec(&["go"])).await;
    eventually("it listens", async || aside.lock().expect("no panic").is_some()).await;
    let reports = [Arc::new(Reports::default()), Arc::new(Reports::default())];
    for (at, reports) in reports.iter().enumerate() {
        done.store(false, Ordering::SeqCst);
        let sink = Arc::clone(reports) as Arc<dyn ProgressSink>;
        let mut call = Call { progress: Some(sink), ..write("go") };
        let telling = async {
            eventually("it is looked at", async || server.count("tools/call") == at + 1).await;
            let called = server.seen("tools/call").pop().expect("a call");
            let token = called.message["params"]["_meta"]["progressToken"].clone();
            // Once it is told, so is everything before it on that stream.
            tell(&aside, "notifications/progress", &json!({"progressToken": token, "progress": 1}));
            eventually("it is told", async || reports.seen().len() == 1).await;
            done.store(true, Ordering::SeqCst);
            token
        };
        let (told, token) = tokio::join!(call.text(&connector), telling);
        assert_eq!(told, "done");
        tell(&aside, "notifications/progress", &json!({"progressToken": token, "progress": 3}));
    }
    assert_eq!(reports[0].seen(), ["1 of None, None", "2 of None, None"]);
}

#[tokio::test]
async fn a_task_that_its_server_says_has_come_further_is_looked_at_at_once() {
    let (server, aside) = listened_to(|seen| match seen.method() {
        // Left to itself it would be looked at when the call's time is up.
        "tools/call" => {
            seen.result(created(false, with(task("t-1", "working"), json!({"pollInterval": 60_000}))))
        }
        "tasks/get" => seen.result(task("t-1", "completed")),
        _ => seen.result(text("done")),
    })
    .await;
    let connector = started(server.spec(&["go"])).await;
    eventually("it listens", async || aside.lock().expect("no panic").is_some()).await;
    let mut call = write("go");
    let hinting = eventually("it is looked at", async || {
        for other in [json!({}), json!({"taskId": 7}), json!({"taskId": "t-2"}), task("t-1", "failed")] {
            tell(&aside, "notifications/tasks/status", &other);
        }
        server.count("tasks/get") > 0
    });
    assert_eq!(
        tokio::join!(call.text(&connector), hinting).0,
        "done",
        "what the notice says is not believed"
    );
}
