//! How tasks end without a result, and what is no end of theirs.

use std::pin::Pin;
use std::sync::atomic::AtomicBool;

use quaymaster_core::{InputAbilities, NoInput};

use super::*;

/// The codes of a read and of a write, and how often a task was cancelled.
async fn codes(server: &Scripted) -> (String, String, usize) {
    let connector = started(server.spec(&["go"])).await;
    let (read, write) = (read("go").code(&connector).await, write("go").code(&connector).await);
    assert_eq!(server.count("tools/call"), 2, "a task is not begun twice");
    (read, write, server.count("tasks/cancel"))
}

#[tokio::test]
async fn a_task_that_comes_to_no_result_is_an_error_and_of_a_write_none_that_says_more_than_is_known() {
    let lost = ("upstream.error".to_owned(), "upstream.outcome_unknown".to_owned(), 0);
    let cases = [
        (task("t-1", "cancelled"), lost.clone()),
        // Both have ended, by their own word, and left nothing.
        (task("t-1", "completed"), lost.clone()),
        (task("t-1", "failed"), lost.clone()),
        // What the server calls failed has not happened.
        (
            with(task("t-1", "failed"), json!({"error": {"code": -32603, "message": "no"}})),
            ("upstream.error".to_owned(), "upstream.error".to_owned(), 0),
        ),
        (
            with(task("t-2", "completed"), json!({"result": text("of another")})),
            (lost.0.clone(), lost.1.clone(), 2),
        ),
        (json!({"taskId": "t-1", "status": "later"}), (lost.0.clone(), lost.1.clone(), 2)),
    ];
    for (state, expected) in cases {
        let server = ending(true, vec![state.clone()], Value::Null).await;
        assert_eq!(codes(&server).await, expected, "{state}");
    }
}

#[tokio::test]
async fn a_session_that_forgets_a_task_has_not_refused_the_call() {
    let lost = ("upstream.error".to_owned(), "upstream.outcome_unknown".to_owned(), 0);
    for (status, code, expected) in [
        // Forgotten before it was looked at.
        ("", -32602, lost.clone()),
        // Between the last look and the result.
        ("completed", -32602, lost.clone()),
        ("completed", -32603, lost.clone()),
        ("input_required", -32602, lost.clone()),
        // What the call itself came to.
        ("failed", -32602, ("input.invalid".to_owned(), "input.invalid".to_owned(), 0)),
        ("failed", -32000, ("upstream.error".to_owned(), "upstream.error".to_owned(), 0)),
    ] {
        let server = serve(false, move |seen| match seen.method() {
            "tools/call" => seen.result(created(false, task("t-1", "working"))),
            "tasks/get" if !status.is_empty() => seen.result(task("t-1", status)),
            "tasks/cancel" => seen.result(json!({})),
            _ => seen.error(code, "no"),
        })
        .await;
        assert_eq!(codes(&server).await, expected, "{status} {code}");
    }
}

#[tokio::test]
async fn a_failed_task_of_a_session_has_the_result_that_says_so() {
    let result = json!({"isError": true, "content": [{"type": "text", "text": "no luck"}]});
    let server = ending(false, vec![task("t-1", "failed")], result).await;
    let connector = started(server.spec(&["go"])).await;
    let result = write("go").on(&connector).await.expect("a result");
    assert_eq!((&result["isError"], &result["content"][0]["text"]), (&json!(true), &json!("no luck")));
}

#[tokio::test]
async fn the_result_of_another_task_is_not_taken() {
    let result = with(text("of another"), json!({"_meta": {RELATED: {"taskId": "t-2"}}}));
    let server = ending(false, vec![task("t-1", "completed")], result).await;
    assert_eq!(codes(&server).await, ("upstream.error".into(), "upstream.outcome_unknown".into(), 0));
}

#[tokio::test]
async fn a_connection_that_breaks_between_polls_is_not_the_end_of_a_task() {
    for is_modern in [false, true] {
        for method in ["tasks/get", if is_modern { "tasks/update" } else { "tasks/result" }] {
            let broken = AtomicUsize::new(0);
            let asking = json!({"inputRequests": {"a": {"method": "roots/list"}}});
            let done = with(task("t-1", "completed"), json!({"result": text("done")}));
            let first = if is_modern { with(task("t-1", "input_required"), asking) } else { done.clone() };
            let polls = Turns::of([first, done]);
            let server = serve(is_modern, move |seen| match seen.method() {
                here if here == method && broken.fetch_add(1, Ordering::SeqCst) == 0 => Reply::HangUp,
                "tools/call" => seen.result(created(is_modern, task("t-1", "working"))),
                "tasks/get" => seen.result(polls.next()),
                "tasks/result" => seen.result(text("done")),
                _ => seen.result(json!({})),
            })
            .await;
            let connector = started(server.spec(&["go"])).await;
            let person = Person::who_says(json!({"roots": []}));
            let mut call = Call { input: Some(Arc::clone(&person) as Arc<dyn InputPort>), ..write("go") };
            assert_eq!(call.text(&connector).await, "done", "{method}");
            assert_eq!((call.retries, server.count("tools/call")), (0, 1));
            assert_eq!(person.asked().lines().count(), usize::from(is_modern), "nobody is asked twice");
        }
    }
}

#[tokio::test]
async fn a_task_outlives_the_session_in_which_it_was_begun() {
    let looks = AtomicUsize::new(0);
    let server = serve(false, move |seen| match seen.method() {
        "tools/call" => seen.result(created(false, task("t-1", "working"))),
        "tasks/get" if looks.fetch_add(1, Ordering::SeqCst) == 0 => {
            Reply::status(404, r#"{"error":"no valid session id"}"#)
        }
        "tasks/get" => seen.result(task("t-1", "completed")),
        _ => seen.result(text("done")),
    })
    .await;
    let connector = started(server.spec(&["go"])).await;
    assert_eq!(write("go").text(&connector).await, "done");
    assert_eq!((server.count("initialize"), server.count("tools/call")), (2, 1));
}

#[tokio::test]
async fn who_waits_for_a_task_has_the_time_of_a_call_and_who_holds_one_has_that_of_the_task() {
    for is_modern in [false, true] {
        // So many looks take longer than the limit of a call.
        let mut polls = vec![task("t-1", "working"); 20];
        polls.push(with(task("t-1", "completed"), json!({"result": text("done")})));
        let server = ending(is_modern, polls.clone(), text("done")).await;
        let connector = started(limited(&server, "500ms")).await;
        assert_eq!(read("go").code(&connector).await, "upstream.timeout");
        assert_eq!(server.count("tasks/cancel"), 1, "the server is told");
        assert_eq!(server.seen("tasks/cancel")[0].message["params"]["taskId"], "t-1");
        let server = ending(is_modern, polls, text("done")).await;
        let connector = started(limited(&server, "500ms")).await;
        let mut call = Call { tasks: taken(), ..write("go") };
        assert_eq!(call.text(&connector).await, "done");
        // A client for which there is no room waits like others.
        let server = ending(is_modern, vec![task("t-1", "working")], Value::Null).await;
        let connector = started(limited(&server, "500ms")).await;
        let mut call = Call { tasks: Tasks::Taken(Holder::with(false)), ..write("go") };
        assert_eq!(call.code(&connector).await, "upstream.outcome_unknown");
        assert_eq!(server.count("tasks/cancel"), 1);
    }
}

#[tokio::test]
async fn a_task_that_is_held_ends_with_the_time_that_its_server_gives_it() {
    let server = serve(true, |seen| match seen.method() {
        "tools/call" => seen.result(created(true, with(task("t-1", "working"), json!({"ttlMs": 200})))),
        _ => seen.result(task("t-1", "working")),
    })
    .await;
    let connector = started(server.spec(&["go"])).await;
    let mut call = Call { tasks: taken(), ..write("go") };
    assert_eq!(call.code(&connector).await, "upstream.outcome_unknown");
    assert_eq!(server.count("tasks/cancel"), 1);
}

#[tokio::test]
async fn a_call_that_is_taken_back_takes_its_task_back() {
    for is_modern in [false, true] {
        let server = ending(is_modern, vec![task("t-1", "working")], Value::Null).await;
        let connector = started(server.spec(&["go"])).await;
        for (at, (mut call, code)) in
            [(read("go"), "call.cancelled"), (write("go"), "upstream.outcome_unknown")]
                .into_iter()
                .enumerate()
        {
            call.tasks = taken();
            let (cancel, seen) = (call.cancel.clone(), server.count("tasks/get"));
            let cancelling = async {
                eventually("it is looked at", async || server.count("tasks/get") > seen).await;
                cancel.cancel();
            };
            assert_eq!(tokio::join!(call.code(&connector), cancelling).0, code);
            assert_eq!(server.count("tasks/cancel"), at + 1, "modern: {is_modern}");
        }
    }
}

#[tokio::test]
async fn tasks_that_cannot_be_and_tasks_that_cannot_be_read_are_offences() {
    let access = json!({"roles": ["analyst"]});
    for (kind, name) in [(Kind::Tool, "go"), (Kind::Prompt, "plan")] {
        let inner = extended(|seen| match seen.method() {
            "prompts/get" => seen.result(created(true, task("t-1", "working"))),
            _ => seen.result(created(true, task(&"t".repeat(5_000), "working"))),
        });
        let server = Scripted::serve(move |seen| match seen.method() {
            "server/discover" => seen.result(json!({
                "supportedVersions": ["2026-07-28"], "capabilities": {"tools": {}, "prompts": {}}
            })),
            "prompts/list" => seen.result(json!({"prompts": [{"name": "plan"}]})),
            _ => inner(seen),
        })
        .await;
        let mut spec = server.spec(&["go"]);
        spec["prompts"] = json!([{"name": "plan", "access": access}]);
        let conduct =
            Patience { offences: 3, window: Duration::from_mins(1), cooling: Duration::from_mins(5) };
        let connector = connector_with(spec, Pace { conduct, patience: Duration::ZERO, ..QUICK });
        connector.start();
        connector.ready(PATIENCE).await;
        for _ in 0..3 {
            let code = Call { kind, ..read(name) }.code(&connector).await;
            assert_eq!(code, "upstream.error", "{kind:?}");
        }
        eventually("it is shut out", async || connector.state().health == Health::Quarantined).await;
        assert_eq!(server.count("tasks/get"), 0);
    }
}

/// A person who takes longer than a call may.
#[derive(Debug)]
struct Slow(Duration);

impl InputPort for Slow {
    fn abilities(&self) -> InputAbilities {
        InputAbilities { roots: true, ..InputAbilities::default() }
    }

    fn ask<'a>(
        &'a self,
        _requests: RawBuf,
    ) -> Pin<Box<dyn Future<Output = Result<RawBuf, NoInput>> + Send + 'a>> {
        Box::pin(async {
            tokio::time::sleep(self.0).await;
            Ok(RawBuf::read(r#"{"question":{"roots":[]},"a":{"roots":[]}}"#).expect("JSON"))
        })
    }
}

#[tokio::test]
async fn while_a_person_thinks_the_time_of_a_task_stands_still() {
    for is_modern in [false, true] {
        let asking = json!({"inputRequests": {"a": {"method": "roots/list"}}});
        let done = with(task("t-1", "completed"), json!({"result": text("done")}));
        let polls = Turns::of([with(task("t-1", "input_required"), asking), task("t-1", "working"), done]);
        let (answered, fetched) = (Arc::new(Notify::new()), AtomicBool::new(false));
        let server = serve(is_modern, move |seen| match seen.method() {
            "tools/call" => seen.result(created(is_modern, task("t-1", "working"))),
            "tasks/get" => seen.result(polls.next()),
            // The stream ends when the question was answered, so the task has to be looked at again.
            "tasks/result" if !fetched.swap(true, Ordering::SeqCst) => {
                let question = json!({"jsonrpc": "2.0", "id": "q", "method": "roots/list"});
                let end = End::After(Arc::clone(&answered), ": no answer\n\n".into());
                Reply::Stream { parts: vec![event(&question)], end }
            }
            "tasks/result" => seen.result(text("done")),
            "tasks/update" => seen.result(json!({})),
            _ => {
                answered.notify_one();
                Reply::HangUp
            }
        })
        .await;
        let connector = started(limited(&server, "2s")).await;
        let slow = Arc::new(Slow(Duration::from_millis(2_500)));
        let mut call = Call { input: Some(slow as Arc<dyn InputPort>), ..write("go") };
        assert_eq!(call.text(&connector).await, "done", "modern: {is_modern}");
    }
}
