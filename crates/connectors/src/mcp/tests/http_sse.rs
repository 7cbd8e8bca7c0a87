//! The transport HTTP+SSE: how it is found, and that it lacks nothing that the others have.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};

use quaymaster_core::LogLevel;

use super::offers::{Person, Reader};
use super::older::{Older, Sender, accepted};
use super::scripted::{Reply, Scripted, Seen, event, text};
use super::*;

#[tokio::test]
async fn the_transport_is_found_or_named_and_everything_goes_where_the_stream_says() {
    for (transport, era, posts) in
        [("http", "auto", 2), ("http", "legacy", 2), ("sse", "auto", 1), ("sse", "legacy", 1)]
    {
        let older = Older::serve(&["go"], |seen, stream| stream.result(seen, text("done"))).await;
        let mut spec = older.spec(&["go"]);
        spec["server"]["transport"] = json!(transport);
        spec["server"]["era"] = json!(era);
        spec["server"]["headers"] = json!({"Authorization": "${secret:API_KEY}"});
        let connector = started(spec).await;
        assert_eq!(connector.state().revision, Some("2024-11-05"), "{:?}", connector.state());
        let calls = futures_util::future::join_all((0..20).map(|_| {
            let connector = Arc::clone(&connector);
            tokio::spawn(async move { read("go").text(&connector).await })
        }));
        for call in calls.await {
            assert_eq!(call.expect("no panic"), "done");
        }
        assert_eq!(older.server.count("initialize"), posts, "{transport} {era}");
        assert_eq!(older.opened(), 1);
        for seen in older.server.requests.lock().expect("no panic").iter() {
            assert_eq!(seen.header("authorization"), Some("Bearer hunter2"), "{}", seen.method());
            assert_eq!((seen.header("origin"), seen.header("mcp-session-id")), (None, None));
            let is_in_session = seen.target != "/mcp";
            let is_message = !matches!(seen.method(), "" | "initialize" | "server/discover");
            assert!(is_in_session || !is_message, "{}", seen.method());
        }
        // The stream is all there is of a session, and it is closed with the connector.
        connector.shutdown().await;
        eventually("the stream is closed", async || older.server.given_up.load(Ordering::SeqCst) == 1).await;
        assert_eq!(connector.state().health, Health::Stopped);
        assert_eq!(read("go").code(&connector).await, "gateway.shutting_down");
    }
}

#[tokio::test]
async fn a_connector_that_is_dropped_takes_its_stream_with_it() {
    let older = Older::serve(&["go"], |seen, stream| stream.result(seen, text("done"))).await;
    let connector = started(older.spec(&["go"])).await;
    assert_eq!(read("go").text(&connector).await, "done");
    drop(connector);
    eventually("the stream is closed", async || older.server.given_up.load(Ordering::SeqCst) == 1).await;
    assert_eq!(older.opened(), 1);
}

#[tokio::test]
async fn an_endpoint_elsewhere_is_refused_and_nothing_goes_there() {
    let elsewhere = Scripted::serve(|_| Reply::status(202, "")).await;
    let url = elsewhere.url();
    let stream = move |endpoint: String| {
        Scripted::serve(move |seen| {
            if seen.verb != "GET" {
                return Reply::status(404, "");
            }
            let parts = vec![format!("event: endpoint\ndata: {endpoint}\n\n")];
            Reply::Stream { parts, end: scripted::End::Stays }
        })
    };
    let port = elsewhere.address.port();
    let mut report = Vec::new();
    for endpoint in [url, format!("//localhost:{port}/mcp"), "not an address".into()] {
        for transport in ["http", "sse"] {
            let server = stream(endpoint.clone()).await;
            let connector =
                started(spec(json!({"transport": transport, "url": server.url()}), &["go"])).await;
            let state = connector.state();
            report.push(format!("{transport}: {}: {}", state.health.as_str(), state.reason));
        }
    }
    insta::assert_snapshot!(report.join("\n"));
    assert!(elsewhere.requests.lock().expect("no panic").is_empty());
}

#[tokio::test]
async fn a_server_without_such_a_stream_is_told_of_as_it_answered_first() {
    let page = || Reply::status(200, "<html>").with("content-type", "text/html");
    let silent = || Reply::Stream { parts: vec![": hello\n\n".into()], end: scripted::End::Stays };
    let chatty = || Reply::Stream { parts: vec!["data: {}\n\n".repeat(300)], end: scripted::End::Stays };
    let ended = || Reply::Stream { parts: vec![": hello\n\n".into()], end: scripted::End::Ends };
    let mut report = Vec::new();
    for (what, get) in [
        ("nothing", Box::new(|| Reply::status(404, "")) as Box<dyn Fn() -> Reply + Send + Sync>),
        ("credentials", Box::new(|| Reply::status(401, ""))),
        ("a page", Box::new(page)),
        ("silence", Box::new(silent)),
        ("something else", Box::new(chatty)),
        ("an end", Box::new(ended)),
    ] {
        let server =
            Scripted::serve(move |seen| if seen.verb == "GET" { get() } else { Reply::status(405, "") })
                .await;
        for transport in ["http", "sse"] {
            let spec = spec(json!({"transport": transport, "url": server.url()}), &["go"]);
            let connector = connector_with(spec, Pace { handshake: Duration::from_millis(300), ..QUICK });
            connector.start();
            let state = connector.ready(PATIENCE).await;
            report.push(format!("{what}, {transport}: {}: {}", state.health.as_str(), state.reason));
        }
    }
    insta::assert_snapshot!(report.join("\n"));
}

/// What answers no call.
const SILENT: &[&str] = &["other_id", "text_id", "batch"];

const CASES: &[&str] = &[
    "both",
    "no_object",
    "rpc_error",
    "task",
    "too_large",
    "bad_status",
    "unauthorized",
    "limited",
    "fails",
    "redirect",
    "hang_up",
    "unknown_session",
    "ends_before",
    "ends_after",
    "too_large_for_any",
    "stray",
];

fn broken(seen: &Seen, stream: &Sender) -> Reply {
    let id = &seen.message["id"];
    let done = text("done");
    match seen.tool() {
        "other_id" => stream.send(&json!({"jsonrpc": "2.0", "id": 9999, "result": done})),
        "text_id" => stream.send(&json!({"jsonrpc": "2.0", "id": id.to_string(), "result": done})),
        "both" => stream
            .send(&json!({"jsonrpc": "2.0", "id": id, "result": done, "error": {"code": 1, "message": "x"}})),
        "no_object" => return stream.result(seen, "done"),
        "batch" => stream.send(&json!([{"jsonrpc": "2.0", "id": id, "result": done}])),
        "rpc_error" => {
            stream.send(&json!({"jsonrpc": "2.0", "id": id, "error": {"code": -32000, "message": "no"}}));
        }
        "task" => return stream.result(seen, json!({"resultType": "task", "taskId": "t"})),
        "too_large" => return stream.result(seen, text(&"x".repeat(300 * 1024))),
        "bad_status" => return Reply::status(400, ""),
        "unauthorized" => return Reply::status(401, ""),
        "limited" => return Reply::status(429, "").with("retry-after", "7"),
        "fails" => return Reply::status(502, ""),
        "redirect" => return Reply::status(307, "").with("location", "/elsewhere"),
        "hang_up" => return Reply::HangUp,
        "unknown_session" => return Reply::status(404, "Could not find session"),
        "ends_before" => {
            stream.end();
            return Reply::Never;
        }
        "ends_after" => stream.end(),
        "too_large_for_any" => stream.raw(&format!("data: {}\n\n", "x".repeat(17 * 1024 * 1024))),
        "stray" => stream.raw(&"data: hello\n\n".repeat(250)),
        other => unreachable!("{other}"),
    }
    accepted()
}

async fn report(cases: &'static [&'static str], timeout: &str) -> String {
    let older = Older::serve(cases, broken).await;
    let mut spec = older.spec(cases);
    spec["limits"]["timeout"] = json!(timeout);
    let connector = started(spec).await;
    let mut report = String::new();
    for case in cases {
        let _ = writeln!(report, "{case}");
        for (name, mut call) in [("read", read(case)), ("write", write(case))] {
            let before = older.server.count("tools/call");
            let outcome = call.on(&connector).await.expect_err("no result");
            let sent = older.server.count("tools/call") - before;
            let retries = call.retries;
            let _ = writeln!(report, "    {name:5} sent {sent}, retries {retries}: {outcome}");
        }
    }
    report
}

#[tokio::test]
async fn no_broken_answer_is_a_success_and_no_write_that_may_have_arrived_is_repeated() {
    insta::assert_snapshot!(report(SILENT, "200ms").await + &report(CASES, "20s").await);
}

#[tokio::test]
async fn an_answer_that_comes_before_its_message_is_accepted_is_taken() {
    let older = Older::serve(&["go"], |seen, stream| {
        stream.result(seen, text("done"));
        Reply::Never
    })
    .await;
    let connector = started(older.spec(&["go"])).await;
    for _ in 0..3 {
        assert_eq!(write("go").text(&connector).await, "done");
    }
}

#[tokio::test]
async fn a_stream_that_ends_is_opened_again_and_only_a_read_is_sent_once_more() {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let older = Older::serve(&["first_ends", "go"], move |seen, stream| {
        if seen.tool() == "first_ends" && counted.fetch_add(1, Ordering::SeqCst) == 0 {
            stream.end();
            return accepted();
        }
        stream.result(seen, text("done"))
    })
    .await;
    let connector = started(older.spec(&["first_ends", "go"])).await;
    let mut reading = read("first_ends");
    assert_eq!((reading.text(&connector).await, reading.retries), ("done".into(), 1));
    calls.store(0, Ordering::SeqCst);
    let mut writing = write("first_ends");
    assert_eq!((writing.code(&connector).await, writing.retries), ("upstream.outcome_unknown".into(), 0));
    // A write to a session that is found gone did not happen, so it is sent to the next one.
    eventually("it is there", async || older.opened() == 3 && connector.health() == Health::Ready).await;
    let mut writing = write("go");
    assert_eq!((writing.text(&connector).await, writing.retries), ("done".into(), 0));
    assert_eq!(older.server.count("tools/call"), 4);
}

#[tokio::test]
async fn a_session_that_the_server_does_not_know_any_more_is_opened_again() {
    let older = Older::serve(&["go"], |seen, stream| {
        if seen.target.ends_with("=0") {
            return Reply::status(404, "Could not find session");
        }
        stream.result(seen, text("done"))
    })
    .await;
    let connector = started(older.spec(&["go"])).await;
    let mut writing = write("go");
    assert_eq!((writing.text(&connector).await, writing.retries), ("done".into(), 1));
    assert_eq!(older.opened(), 2);
}

#[tokio::test]
async fn a_stream_that_ends_under_many_calls_is_one_failure() {
    let older = Older::serve(&["never", "go", "crash"], |seen, stream| match seen.tool() {
        "never" => accepted(),
        "crash" => {
            stream.end();
            accepted()
        }
        _ => stream.result(seen, text("done")),
    })
    .await;
    let mut spec = older.spec(&["never", "go", "crash"]);
    spec["limits"]["breaker"] = json!({"failures": 2});
    let connector = started(spec).await;
    let mut waiting: Vec<Call> = (0..8).map(|_| write("never")).collect();
    let waiting = futures_util::future::join_all(waiting.iter_mut().map(|call| call.code(&connector)));
    let crashing = async {
        eventually("they arrive", async || older.server.count("tools/call") == 8).await;
        write("crash").code(&connector).await
    };
    let (waiting, crashed) = tokio::join!(waiting, crashing);
    assert!(waiting.iter().chain([&crashed]).all(|code| code == "upstream.outcome_unknown"), "{waiting:?}");
    assert_eq!(read("go").text(&connector).await, "done");
    assert_eq!(connector.health(), Health::Ready);
}

#[tokio::test]
async fn a_call_that_is_given_up_is_told_to_the_server() {
    let older = Older::serve(&["never"], |_, _| accepted()).await;
    let mut spec = older.spec(&["never"]);
    spec["limits"]["timeout"] = json!("100ms");
    let connector = started(spec).await;
    assert_eq!(read("never").code(&connector).await, "upstream.timeout");
    assert_eq!(write("never").code(&connector).await, "upstream.outcome_unknown");
    let mut taken_back = read("never");
    let cancel = taken_back.cancel.clone();
    let cancelling = async {
        eventually("it arrives", async || older.server.count("tools/call") == 3).await;
        cancel.cancel();
    };
    assert_eq!(tokio::join!(taken_back.code(&connector), cancelling).0, "call.cancelled");
    eventually("all are told", async || older.server.count("notifications/cancelled") == 3).await;
    assert_eq!(older.opened(), 1);
}

/// Reports progress, logs, asks, and answers when it is answered.
fn talking(seen: &Seen, stream: &Sender) -> Reply {
    match (seen.method(), seen.tool()) {
        ("tools/call", "echo") => stream.result(seen, text("echo")),
        ("tools/call", _) => {
            let id = seen.message["id"].clone();
            let token = seen.message["params"]["_meta"]["progressToken"].clone();
            stream.notify(
                "notifications/progress",
                json!({"progressToken": token, "progress": 1, "message": "secret"}),
            );
            stream.notify("notifications/message", json!({"level": "info", "data": "working"}));
            stream.send(&json!({"jsonrpc": "2.0", "id": format!("p{id}"), "method": "ping"}));
            let params = json!({"messages": [], "maxTokens": 1});
            stream.send(&json!({"jsonrpc": "2.0", "id": format!("q{id}"), "method": "sampling/createMessage", "params": params}));
            accepted()
        }
        ("", _) => {
            // The answer to a question, which is put into the result of its call.
            let asked = seen.message["id"].as_str().unwrap_or_default();
            if let Some(call) = asked.strip_prefix('q') {
                let call: u64 = call.parse().expect("a number");
                let answer = seen.message["error"]["code"]
                    .as_i64()
                    .map_or(seen.message["result"].clone(), Value::from);
                stream.send(&json!({"jsonrpc": "2.0", "id": call, "result": text(&answer.to_string())}));
            }
            accepted()
        }
        _ => accepted(),
    }
}

#[tokio::test]
async fn progress_logs_and_questions_reach_the_call_that_is_alone_on_the_stream() {
    let older = Older::serve(&["talk", "echo"], talking).await;
    let connector = started(older.spec(&["talk", "echo"])).await;
    let person = Person::who_says(json!({"role": "assistant"}));
    let (reports, reader) = (Arc::new(Reports::default()), Reader::from(LogLevel::Info));
    let mut call = read("talk");
    call.input = Some(Arc::clone(&person) as Arc<dyn InputPort>);
    call.progress = Some(Arc::clone(&reports) as Arc<dyn ProgressSink>);
    call.log = Some(Arc::clone(&reader) as Arc<dyn LogSink>);
    assert_eq!(call.text(&connector).await, r#"{"role":"assistant"}"#);
    assert_eq!(reports.seen(), ["1 of None, None"]);
    assert_eq!((reader.read().len(), person.asked().lines().count()), (1, 1));
    eventually("the ping is answered", async || {
        older
            .server
            .seen("")
            .iter()
            .any(|seen| seen.message["id"].as_str().is_some_and(|id| id.starts_with('p')))
    })
    .await;

    // Nothing says to whom of two these belong, so nobody hears of them, now or later.
    let mut other = Call { actor: actor("bob"), ..read("echo") };
    assert_eq!(other.text(&connector).await, "echo");
    assert_eq!(call.text(&connector).await, "-32601");
    assert_eq!(reports.seen().len(), 2, "whose progress it is is said");
    assert_eq!((reader.read().len(), person.asked().lines().count()), (1, 1));
}

#[tokio::test]
async fn changes_are_heard_of_and_what_is_watched_is_told_to_each_new_session() {
    let older = Older::serve(&["go"], |seen, stream| stream.result(seen, text("done"))).await;
    let connector = started(older.spec(&["go"])).await;
    let mut watch = connector.watch(&actor("ada"), "docs://1").expect("room");
    eventually("it is told", async || older.server.count("resources/subscribe") == 1).await;
    older.stream(0).notify("notifications/resources/updated", json!({"uri": "docs://1"}));
    assert!(tokio::time::timeout(PATIENCE, watch.changed()).await.expect("in time"));
    let listed = older.server.count("tools/list");
    older.stream(0).notify("notifications/tools/list_changed", json!({}));
    eventually("it is listed again", async || older.server.count("tools/list") > listed).await;
    older.stream(0).end();
    eventually("it is told again", async || older.server.count("resources/subscribe") == 2).await;
    older.stream(1).notify("notifications/resources/updated", json!({"uri": "docs://1"}));
    assert!(tokio::time::timeout(PATIENCE, watch.changed()).await.expect("in time"));
    assert_eq!(connector.health(), Health::Ready);
}

#[tokio::test]
async fn a_flood_on_the_stream_shuts_the_server_out() {
    let older = Older::serve(&["go"], |seen, stream| stream.result(seen, text("done"))).await;
    let connector = started(older.spec(&["go"])).await;
    let notice =
        event(&json!({"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info"}}));
    older.stream(0).raw(&notice.repeat(60_000));
    eventually("it is shut out", async || connector.health() == Health::Quarantined).await;
    eventually("the stream is closed", async || older.server.given_up.load(Ordering::SeqCst) == 1).await;
}
