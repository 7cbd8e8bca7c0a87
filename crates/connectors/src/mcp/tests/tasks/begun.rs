//! What is told of a call whose task was begun and then lost sight of.

use super::*;

/// A modern server that makes a task, and answers `method` with `reply` after that.
async fn losing(
    method: &'static str,
    state: Value,
    reply: impl Fn(&Seen) -> Reply + Send + Sync + 'static,
) -> Scripted {
    serve(true, move |seen| match seen.method() {
        here if here == method => reply(seen),
        "tools/call" => seen.result(created(true, task("t-1", "working"))),
        "tasks/get" => seen.result(state.clone()),
        _ => seen.result(json!({})),
    })
    .await
}

fn asking() -> Value {
    with(task("t-1", "input_required"), json!({"inputRequests": {"a": {"method": "roots/list"}}}))
}

/// The codes of a read and of a write by a client that has roots.
async fn codes(connector: &McpConnector) -> [String; 2] {
    let mut codes = [String::new(), String::new()];
    for (call, code) in [read("go"), write("go")].into_iter().zip(&mut codes) {
        let person = Person::who_says(json!({"roots": []}));
        let mut call = Call { input: Some(person as Arc<dyn InputPort>), ..call };
        *code = call.code(connector).await;
    }
    codes
}

#[tokio::test]
async fn no_write_whose_task_was_begun_is_reported_as_safe_to_repeat() {
    let later = |status| move |_: &Seen| Reply::status(status, "").with("retry-after", "3600");
    let status = |status| move |_: &Seen| Reply::status(status, "");
    let refused = |seen: &Seen| seen.error(-32602, "no");
    let servers = [
        (losing("tasks/get", Value::Null, status(401)).await, "upstream.auth_required"),
        (losing("tasks/get", Value::Null, status(403)).await, "upstream.permission"),
        (losing("tasks/get", Value::Null, status(302)).await, "upstream.error"),
        (losing("tasks/get", Value::Null, later(429)).await, "upstream.rate_limited"),
        (losing("tasks/get", Value::Null, later(503)).await, "upstream.unavailable"),
        (losing("tasks/update", asking(), refused).await, "input.invalid"),
        (losing("tasks/update", asking(), status(403)).await, "upstream.permission"),
    ];
    for (server, code) in servers {
        let connector = started(server.spec(&["go"])).await;
        assert_eq!(codes(&connector).await, [code, "upstream.outcome_unknown"]);
        assert_eq!((server.count("tools/call"), server.count("tasks/cancel")), (2, 2), "{code}");
    }
}

#[tokio::test]
async fn a_write_that_asks_a_client_which_cannot_be_asked_was_begun_all_the_same() {
    let server = losing("", asking(), |_| Reply::Never).await;
    let connector = started(server.spec(&["go"])).await;
    assert_eq!(write("go").code(&connector).await, "upstream.outcome_unknown");
    assert_eq!(server.count("tasks/cancel"), 1);
}

#[tokio::test]
async fn a_gateway_that_ends_knows_nothing_of_a_write_whose_task_goes_on() {
    for (mut call, code) in [(read("go"), "gateway.shutting_down"), (write("go"), "upstream.outcome_unknown")]
    {
        let server = losing("", task("t-1", "working"), |_| Reply::Never).await;
        let connector = started(server.spec(&["go"])).await;
        let ending = async {
            eventually("it is looked at", async || server.count("tasks/get") > 0).await;
            connector.shutdown().await;
        };
        assert_eq!(tokio::join!(call.code(&connector), ending).0, code);
    }
}

#[tokio::test]
async fn a_server_that_wants_fewer_looks_is_looked_at_later() {
    let looks = AtomicUsize::new(0);
    let server = losing("tasks/get", Value::Null, move |seen| match looks.fetch_add(1, Ordering::SeqCst) {
        0 => Reply::status(429, "").with("retry-after", "1"),
        1 => Reply::status(429, ""),
        _ => seen.result(with(task("t-1", "completed"), json!({"result": text("done")}))),
    })
    .await;
    let connector = started(server.spec(&["go"])).await;
    assert_eq!(write("go").text(&connector).await, "done");
    assert_eq!((server.count("tools/call"), server.count("tasks/get")), (1, 3));
}

#[tokio::test]
async fn only_a_server_that_says_so_has_forgotten_a_task() {
    for (code, expected) in [(-32602, ("upstream.error", 1, 0)), (-32002, ("upstream.error", 1, 0))] {
        let server = losing("tasks/get", Value::Null, move |seen| seen.error(code, "no")).await;
        let connector = started(server.spec(&["go"])).await;
        let told = read("go").code(&connector).await;
        assert_eq!((&*told, server.count("tasks/get"), server.count("tasks/cancel")), expected, "{code}");
    }
    let looks = AtomicUsize::new(0);
    let server = losing("tasks/get", Value::Null, move |seen| match looks.fetch_add(1, Ordering::SeqCst) {
        0 => seen.error(-32603, "busy"),
        1 => seen.error(-32000, "busy"),
        _ => seen.result(with(task("t-1", "completed"), json!({"result": text("done")}))),
    })
    .await;
    let connector = started(server.spec(&["go"])).await;
    assert_eq!(write("go").text(&connector).await, "done");
}

#[tokio::test]
async fn a_task_of_which_its_server_never_says_how_far_it_is_is_taken_back() {
    let server = losing("tasks/get", Value::Null, |seen| seen.error(-32603, "ada's salary")).await;
    let connector = started(server.spec(&["go"])).await;
    let (mut one, mut other) = (read("go"), write("go"));
    let told = tokio::join!(one.code(&connector), other.code(&connector));
    assert_eq!(told, ("upstream.error".into(), "upstream.outcome_unknown".into()));
    assert_eq!(server.count("tasks/cancel"), 2);
}

#[tokio::test]
async fn a_task_that_is_held_outlasts_its_servers_absence() {
    let looks = AtomicUsize::new(0);
    let server = losing("tasks/get", Value::Null, move |seen| match looks.fetch_add(1, Ordering::SeqCst) {
        0..10 => Reply::status(503, ""),
        _ => seen.result(with(task("t-1", "completed"), json!({"result": text("done")}))),
    })
    .await;
    let connector = started(server.spec(&["go"])).await;
    let mut held = Call { tasks: taken(), ..write("go") };
    assert_eq!(held.text(&connector).await, "done");
    assert_eq!((server.count("tools/call"), server.count("tasks/get")), (1, 11));
}

#[tokio::test]
async fn a_task_cannot_end_with_what_is_no_result() {
    for kind in ["task", "input_required", "later"] {
        for is_modern in [false, true] {
            let result = with(text("x"), json!({"resultType": kind, "inputRequests": {}, "taskId": "t-2"}));
            let polls = vec![with(task("t-1", "completed"), json!({"result": result}))];
            let server = ending(is_modern, polls, result).await;
            let connector = started(server.spec(&["go"])).await;
            assert_eq!(codes(&connector).await, ["upstream.error", "upstream.outcome_unknown"], "{kind}");
        }
    }
}

#[tokio::test]
async fn what_a_session_answers_for_an_open_task_is_no_end_until_its_state_says_so() {
    for (last, codes) in [
        (task("t-1", "failed"), ["upstream.error", "upstream.error"]),
        (task("t-1", "cancelled"), ["upstream.error", "upstream.outcome_unknown"]),
    ] {
        for (mut call, code) in [read("go"), write("go")].into_iter().zip(codes) {
            let polls = Turns::of([task("t-1", "input_required"), last.clone()]);
            let server = serve(false, move |seen| match seen.method() {
                "tools/call" => seen.result(created(false, task("t-1", "working"))),
                "tasks/get" => seen.result(polls.next()),
                "tasks/result" => seen.error(-32000, "no"),
                _ => seen.result(json!({})),
            })
            .await;
            let connector = started(server.spec(&["go"])).await;
            assert_eq!(call.code(&connector).await, code, "{last}");
            assert_eq!((server.count("tools/call"), server.count("tasks/cancel")), (1, 0));
        }
    }
}
