//! What no honest server answers: never a success, never sent twice as a write.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::scripted::{End, Reply, Scripted, Seen, event, legacy, modern, text};
use super::*;

const CASES: &[&str] = &[
    "other_id",
    "text_id",
    "both",
    "neither",
    "no_object",
    "batch",
    "twice_result",
    "request",
    "not_json",
    "not_utf8",
    "empty",
    "html",
    "accepted",
    "redirect",
    "unauthorized",
    "forbidden",
    "bad_request",
    "limited",
    "fails",
    "too_large",
    "rpc_error",
    "bad_arguments",
    "unknown_method",
    "bad_error",
    "task",
    "strange_type",
    "hang_up",
    "broken_stream",
    "ended_stream",
    "stream_other_id",
    "stream_both",
    "stream_too_large",
];

fn broken(seen: &Seen) -> Reply {
    let id = &seen.message["id"];
    let result = text("done");
    let stream = |message: Value, end| Reply::Stream { parts: vec![event(&message)], end };
    match seen.tool() {
        "other_id" => Reply::json(&json!({"jsonrpc": "2.0", "id": 9999, "result": result})),
        "text_id" => Reply::json(&json!({"jsonrpc": "2.0", "id": id.to_string(), "result": result})),
        "both" => Reply::json(
            &json!({"jsonrpc": "2.0", "id": id, "result": result, "error": {"code": 1, "message": "x"}}),
        ),
        "neither" => Reply::json(&json!({"jsonrpc": "2.0", "id": id})),
        "no_object" => seen.result(json!("done")),
        "batch" => Reply::json(&json!([{"jsonrpc": "2.0", "id": id, "result": result}])),
        "twice_result" => {
            Reply::status(200, &format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{}},"result":{{}}}}"#))
        }
        "request" => Reply::json(&json!({"jsonrpc": "2.0", "id": id, "method": "ping"})),
        "not_json" => Reply::status(200, "done"),
        "not_utf8" => Reply::Answer {
            status: 200,
            headers: vec![("content-type", "application/json".into())],
            body: [format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"a":""#).as_bytes(), b"\xff\"}}"]
                .concat(),
        },
        "empty" => Reply::status(200, ""),
        "html" => Reply::status(200, "<html>").with("content-type", "text/html"),
        "accepted" => Reply::Answer { status: 202, headers: vec![], body: vec![] },
        "redirect" => Reply::status(307, "").with("location", "/elsewhere"),
        "unauthorized" => Reply::status(401, ""),
        "forbidden" => Reply::status(403, ""),
        "bad_request" => Reply::status(400, ""),
        "limited" => Reply::status(429, "").with("retry-after", "7"),
        "fails" => Reply::status(502, ""),
        "too_large" => seen.result(text(&"x".repeat(300 * 1024))),
        "rpc_error" => seen.error(-32000, "no\u{1b}[31m luck"),
        "bad_arguments" => seen.error(-32602, "no such region"),
        "unknown_method" => seen.error(-32601, "no such tool"),
        "bad_error" => Reply::json(&json!({"jsonrpc": "2.0", "id": id, "error": "x"})),
        "task" => seen.result(json!({"resultType": "task", "taskId": "t"})),
        "strange_type" => seen.result(json!({"resultType": "later"})),
        "hang_up" => Reply::HangUp,
        "broken_stream" => stream(json!({"jsonrpc": "2.0", "method": "notifications/message"}), End::Breaks),
        "ended_stream" => stream(json!({"jsonrpc": "2.0", "method": "notifications/message"}), End::Ends),
        "stream_other_id" => stream(json!({"jsonrpc": "2.0", "id": 9999, "result": result}), End::Stays),
        "stream_both" => stream(
            json!({"jsonrpc": "2.0", "id": id, "result": result, "error": {"code": 1, "message": "x"}}),
            End::Stays,
        ),
        "stream_too_large" => {
            stream(json!({"jsonrpc": "2.0", "id": id, "result": text(&"x".repeat(400 * 1024))}), End::Stays)
        }
        other => unreachable!("{other}"),
    }
}

async fn report(server: &Scripted) -> String {
    let connector = started(server.spec(CASES)).await;
    let mut report = String::new();
    for case in CASES {
        let _ = writeln!(report, "{case}");
        for (name, mut call) in [("read", read(case)), ("write", write(case))] {
            let before = server.count("tools/call");
            let outcome = call.on(&connector).await;
            let sent = server.count("tools/call") - before;
            assert!(outcome.is_err(), "{case}: {outcome:?}");
            if name == "write" {
                assert_eq!(sent, 1, "{case}");
            }
            let (retries, outcome) = (call.retries, outcome.unwrap_err());
            let _ = writeln!(report, "    {name:5} sent {sent}, retries {retries}: {outcome}");
        }
    }
    report
}

#[tokio::test]
async fn no_broken_answer_of_a_session_is_a_success_and_no_write_is_repeated() {
    let server = Scripted::serve(legacy(CASES, broken)).await;
    insta::assert_snapshot!(report(&server).await);
    assert_eq!(server.count("initialize"), 1);
}

#[tokio::test]
async fn no_broken_answer_of_a_modern_server_is_a_success_and_no_write_is_repeated() {
    let server = Scripted::serve(modern(CASES, broken)).await;
    insta::assert_snapshot!(report(&server).await);
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = Scripted::serve(|_| Reply::status(200, "")).await;
    let target = elsewhere.url();
    let server =
        Scripted::serve(legacy(&["go"], move |_| Reply::status(307, "").with("location", &target))).await;
    let connector = started(server.spec(&["go"])).await;
    assert_eq!(read("go").code(&connector).await, "upstream.error");
    assert!(elsewhere.requests.lock().expect("no panic").is_empty());
}

#[tokio::test]
async fn a_call_that_is_never_answered_times_out_and_the_server_is_told() {
    let server = Scripted::serve(legacy(&["never"], |_| Reply::Never)).await;
    let mut spec = server.spec(&["never"]);
    spec["limits"]["timeout"] = json!("100ms");
    let connector = started(spec).await;
    assert_eq!(read("never").code(&connector).await, "upstream.timeout");
    assert_eq!(write("never").code(&connector).await, "upstream.outcome_unknown");
    eventually("both are cancelled", async || server.count("notifications/cancelled") == 2).await;
    let asked: Vec<Value> = server.seen("tools/call").iter().map(|seen| seen.message["id"].clone()).collect();
    let mut told: Vec<Value> = server
        .seen("notifications/cancelled")
        .iter()
        .map(|seen| seen.message["params"]["requestId"].clone())
        .collect();
    told.sort_by_key(Value::as_u64);
    assert_eq!(told, asked);
    assert_eq!(server.count("tools/call"), 2);
}

#[tokio::test]
async fn a_call_that_is_taken_back_ends_and_a_modern_server_sees_the_stream_close() {
    let server = Scripted::serve(modern(&["quiet", "stream"], |seen| match seen.tool() {
        "quiet" => Reply::Never,
        _ => Reply::Stream { parts: vec![": hello\n\n".into()], end: End::Stays },
    }))
    .await;
    let connector = started(server.spec(&["quiet", "stream"])).await;
    let cases = [
        (read("quiet"), "call.cancelled"),
        (write("quiet"), "upstream.outcome_unknown"),
        (read("stream"), "call.cancelled"),
        (write("stream"), "upstream.outcome_unknown"),
    ];
    for (at, (mut call, code)) in cases.into_iter().enumerate() {
        let (cancel, arrived) = (call.cancel.clone(), server.count("tools/call") + 1);
        let cancelling = async {
            eventually("the call arrives", async || server.count("tools/call") == arrived).await;
            cancel.cancel();
        };
        assert_eq!(tokio::join!(call.code(&connector), cancelling).0, code, "{at}");
        eventually("the stream is closed", async || server.given_up.load(Ordering::SeqCst) == at + 1).await;
    }
    assert_eq!(server.count("notifications/cancelled"), 0);
}

#[tokio::test]
async fn a_call_that_is_taken_back_before_it_is_sent_has_no_unknown_outcome() {
    let server = Scripted::serve(legacy(&["go"], |seen| seen.result(text("done")))).await;
    let connector = started(server.spec(&["go"])).await;
    let mut call = write("go");
    call.cancel.cancel();
    assert_eq!(call.code(&connector).await, "call.cancelled");
    assert_eq!(server.count("tools/call"), 0);
}

#[tokio::test]
async fn a_server_that_refuses_our_revision_is_asked_once_more_and_then_taken_for_an_older_one() {
    for (refusals, revision) in [(1, "2026-07-28"), (2, "2025-06-18")] {
        let seen_before = AtomicUsize::new(0);
        let (modern, legacy) = (
            modern(&["go"], |seen| seen.result(text("done"))),
            legacy(&["go"], |seen| seen.result(text("done"))),
        );
        let server = Scripted::serve(move |seen| match seen.method() {
            "server/discover" if seen_before.fetch_add(1, Ordering::SeqCst) < refusals => {
                seen.error(-32022, "no")
            }
            _ if seen.header("mcp-protocol-version") == Some("2026-07-28") => modern(seen),
            _ => legacy(seen),
        })
        .await;
        let connector = started(server.spec(&["go"])).await;
        assert_eq!(connector.state().revision, Some(revision));
        assert_eq!(server.count("server/discover"), 2);
    }
}
