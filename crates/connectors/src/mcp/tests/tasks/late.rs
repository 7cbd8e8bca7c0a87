//! Calls that are taken back before their session's server has said which task it made of them.

use super::*;

/// A session's server that answers a call with `answer` when it is told to.
async fn late(happened: &Arc<Notify>, answer: impl Fn(&Seen) -> Value + Send + Sync + 'static) -> Scripted {
    let happened = Arc::clone(happened);
    serve(false, move |seen| match seen.method() {
        "tools/call" => {
            let answer = json!({"jsonrpc": "2.0", "id": seen.message["id"], "result": answer(seen)});
            let question = json!({"jsonrpc": "2.0", "id": "q", "method": "roots/list"});
            let both = format!("{}{}", event(&question), event(&answer));
            Reply::Stream { parts: vec![": soon\n\n".into()], end: End::After(Arc::clone(&happened), both) }
        }
        _ => seen.result(json!({})),
    })
    .await
}

/// Takes `call` back once the server has it; the code that the call ends with.
async fn taken_back(mut call: Call, connector: &McpConnector, server: &Scripted) -> String {
    let (cancel, before) = (call.cancel.clone(), server.count("tools/call"));
    let cancelling = async {
        eventually("it is called", async || server.count("tools/call") > before).await;
        cancel.cancel();
    };
    tokio::join!(call.code(connector), cancelling).0
}

#[tokio::test]
async fn a_call_that_is_taken_back_before_its_server_names_the_task_takes_the_task_back() {
    let happened = Arc::new(Notify::new());
    let server = late(&happened, |_| created(false, task("t-1", "working"))).await;
    let connector = started(server.spec(&["go"])).await;
    for (at, (call, code)) in
        [(read("go"), "call.cancelled"), (write("go"), "upstream.outcome_unknown")].into_iter().enumerate()
    {
        let person = Person::who_says(json!({"roots": []}));
        let call = Call { tasks: taken(), input: Some(Arc::clone(&person) as Arc<dyn InputPort>), ..call };
        assert_eq!(taken_back(call, &connector, &server).await, code);
        assert_eq!(server.count("tasks/cancel"), at, "the call has left before its server answers");
        happened.notify_one();
        eventually("the task is cancelled", async || server.count("tasks/cancel") > at).await;
        assert_eq!(person.asked(), "", "who has left is asked nothing");
    }
    assert!(server.seen("tasks/cancel").iter().all(|seen| seen.message["params"]["taskId"] == "t-1"));
    assert_eq!(server.count("notifications/cancelled"), 0);
}

#[tokio::test]
async fn a_call_whose_time_is_up_before_its_server_names_the_task_takes_the_task_back() {
    let happened = Arc::new(Notify::new());
    let server = late(&happened, |_| created(false, task("t-1", "working"))).await;
    let connector = started(limited(&server, "1s")).await;
    assert_eq!(read("go").code(&connector).await, "upstream.timeout");
    happened.notify_one();
    eventually("the task is cancelled", async || server.count("tasks/cancel") == 1).await;
}

#[tokio::test]
async fn what_comes_too_late_and_is_no_task_under_way_is_left_alone() {
    let happened = Arc::new(Notify::new());
    let answers = Turns::of([
        text("done"),
        created(false, task("t-1", "completed")),
        json!({"task": 7}),
        created(false, task("t-2", "working")),
    ]);
    let server = late(&happened, move |_| answers.next()).await;
    let connector = started(server.spec(&["go"])).await;
    for _ in 0..4 {
        assert_eq!(taken_back(read("go"), &connector, &server).await, "call.cancelled");
        happened.notify_one();
        // Each is answered in its turn, so that the last one comes last.
        eventually("it is answered", async || server.given_up.load(Ordering::SeqCst) > 0).await;
        server.given_up.store(0, Ordering::SeqCst);
    }
    eventually("the task is cancelled", async || server.count("tasks/cancel") > 0).await;
    let cancelled: Vec<Value> =
        server.seen("tasks/cancel").iter().map(|seen| seen.message["params"]["taskId"].clone()).collect();
    assert_eq!(cancelled, ["t-2"]);
}

#[tokio::test]
async fn a_server_that_names_no_task_is_told_that_the_call_is_no_longer_wanted() {
    let server = serve(false, |seen| match seen.method() {
        "tools/call" => Reply::Never,
        _ => seen.result(json!({})),
    })
    .await;
    let connector = connector_with(server.spec(&["go"]), Pace { late: Duration::from_millis(20), ..QUICK });
    connector.start();
    assert_eq!(taken_back(read("go"), &connector, &server).await, "call.cancelled");
    eventually("it is told", async || server.count("notifications/cancelled") == 1).await;
    let (called, told) = (server.seen("tools/call"), server.seen("notifications/cancelled"));
    assert_eq!(told[0].message["params"]["requestId"], called[0].message["id"]);
}

#[tokio::test]
async fn a_server_is_waited_for_by_so_many_calls_that_have_left_and_no_more() {
    let happened = Arc::new(Notify::new());
    let server = late(&happened, |_| created(false, task("t-1", "working"))).await;
    let connector = started(server.spec(&["go"])).await;
    for _ in 0..beginning::MAX_LEFT {
        assert_eq!(taken_back(read("go"), &connector, &server).await, "call.cancelled");
    }
    assert_eq!(server.count("notifications/cancelled"), 0);
    assert_eq!(taken_back(read("go"), &connector, &server).await, "call.cancelled");
    eventually("it is told", async || server.count("notifications/cancelled") == 1).await;
    eventually("all others are cancelled", async || {
        happened.notify_waiters();
        server.count("tasks/cancel") == beginning::MAX_LEFT
    })
    .await;
}
