//! Every revision that a server can speak, over every transport that has it.

use super::children::server;
use super::older::Older;
use super::scripted::{End, Reply, Scripted, Seen, event, legacy, modern, text};
use super::*;

const SESSIONS: [&str; 4] = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"];

/// A server with a session that speaks `revision`.
fn speaking(revision: &'static str) -> impl Fn(&Seen) -> Reply + Send + Sync {
    let inner = legacy(&["go"], |seen| seen.result(text("done")));
    move |seen| match seen.method() {
        "initialize" => {
            let agreed = json!({"protocolVersion": revision, "capabilities": {"tools": {}}});
            seen.result(agreed).with("mcp-session-id", "s-1")
        }
        _ => inner(seen),
    }
}

#[tokio::test]
async fn each_revision_with_sessions_is_agreed_on_over_streamable_http() {
    for revision in SESSIONS {
        let server = Scripted::serve(speaking(revision)).await;
        let connector = started(server.spec(&["go"])).await;
        assert_eq!(connector.state().revision, Some(revision));
        assert_eq!(read("go").text(&connector).await, "done");
        let call = server.seen("tools/call").pop().expect("the call");
        // The header came with 2025-06-18.
        let header = (revision >= "2025-06-18").then_some(revision);
        assert_eq!(call.header("mcp-protocol-version"), header);
        assert_eq!(call.header("mcp-session-id"), Some("s-1"));
    }
}

#[tokio::test]
async fn each_revision_with_sessions_is_agreed_on_over_http_sse_and_standard_streams() {
    for revision in SESSIONS {
        let older =
            Older::speaking(revision, &["go"], |seen, stream| stream.result(seen, text("done"))).await;
        let connector = started(older.spec(&["go"])).await;
        assert_eq!(connector.state().revision, Some(revision));
        assert_eq!(read("go").text(&connector).await, "done");
        let call = older.server.seen("tools/call").pop().expect("the call");
        let header = (revision >= "2025-06-18").then_some(revision);
        assert_eq!(call.header("mcp-protocol-version"), header);

        let mode = format!("session:{revision}");
        let connector = started(spec(server(&[&mode]), &["echo"])).await;
        assert_eq!(connector.state().revision, Some(revision));
        assert_eq!(read("echo").text(&connector).await, "{}");
        connector.shutdown().await;
    }
}

#[tokio::test]
async fn the_modern_revision_is_agreed_on_beside_any_others() {
    for offered in [json!(["2026-07-28"]), json!(["2099-01-01", "2026-07-28", "2025-11-25"])] {
        let inner = modern(&["go"], |seen| seen.result(text("done")));
        let server = Scripted::serve(move |seen| match seen.method() {
            "server/discover" => {
                seen.result(json!({"supportedVersions": offered, "capabilities": {"tools": {}}}))
            }
            _ => inner(seen),
        })
        .await;
        let connector = started(server.spec(&["go"])).await;
        assert_eq!(connector.state().revision, Some("2026-07-28"));
        assert_eq!(read("go").text(&connector).await, "done");
    }
}

#[tokio::test]
async fn a_revision_that_we_do_not_speak_is_refused_over_every_transport() {
    let streamable = Scripted::serve(speaking("2027-01-01")).await;
    let older = Older::speaking("2027-01-01", &["go"], |_, _| Reply::Never).await;
    let mut found = older.spec(&["go"]);
    found["server"]["transport"] = json!("http");
    let specs = [
        streamable.spec(&["go"]),
        older.spec(&["go"]),
        found,
        spec(server(&["session:2027-01-01"]), &["echo"]),
    ];
    for spec in specs {
        let connector = started(spec).await;
        let UpstreamState { health, reason, revision, .. } = connector.state();
        assert_eq!((health, revision), (Health::Incompatible, None));
        assert_eq!(reason, "the server wants revision `2027-01-01`, which we do not speak");
        assert_eq!(declared(&connector), [""; 0]);
        connector.shutdown().await;
    }
    assert_eq!(streamable.count("tools/list") + older.server.count("tools/list"), 0);
}

/// The answer to `seen`, among others, as one array.
fn batch(seen: &Seen) -> Value {
    let token = seen.message["params"]["_meta"]["progressToken"].clone();
    json!([
        {"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progressToken": token, "progress": 1}},
        {"jsonrpc": "2.0", "id": seen.message["id"], "result": text("done")},
        {"jsonrpc": "2.0", "method": "notifications/tools/list_changed"},
        {"jsonrpc": "2.0", "id": 7, "method": "ping", "params": []},
        {"jsonrpc": "2.0", "id": "of nobody", "result": text("another answer")}
    ])
}

/// A call whose progress is reported.
async fn called(connector: &McpConnector) -> (Result<Value, String>, usize) {
    let reports = Arc::new(Reports::default());
    let mut call = write("go");
    call.progress = Some(Arc::clone(&reports) as Arc<dyn ProgressSink>);
    (call.on(connector).await, reports.seen().len())
}

#[tokio::test]
async fn a_batch_is_taken_apart_whatever_follows_the_answer_if_the_server_speaks_2025_03_26_and_else_is_no_answer()
 {
    for revision in SESSIONS {
        for streams in [false, true] {
            let inner = speaking(revision);
            let server = Scripted::serve(move |seen| match seen.method() {
                "tools/call" if streams => Reply::Stream { parts: vec![event(&batch(seen))], end: End::Ends },
                "tools/call" => Reply::json(&batch(seen)),
                _ => inner(seen),
            })
            .await;
            let connector = started(server.spec(&["go"])).await;
            let (outcome, progress) = called(&connector).await;
            if revision == "2025-03-26" {
                assert_eq!(outcome.expect("a result")["content"][0]["text"], "done");
                assert_eq!(progress, 1);
                eventually("the rest of it is heard", async || server.count("tools/list") > 1).await;
            } else {
                let error = outcome.expect_err("no answer");
                assert!(error.starts_with("upstream.outcome_unknown"), "{revision} {streams}: {error}");
                assert_eq!(progress, 0);
            }
        }
    }
}

#[tokio::test]
async fn a_batch_on_a_shared_stream_is_taken_apart_too() {
    let older = Older::speaking("2025-03-26", &["go"], |seen, stream| {
        stream.send(&batch(seen));
        super::older::accepted()
    })
    .await;
    let connector = started(older.spec(&["go"])).await;
    let (outcome, progress) = called(&connector).await;
    assert_eq!((outcome.expect("a result")["content"][0]["text"].clone(), progress), (json!("done"), 1));

    let connector = started(spec(server(&["session:2025-03-26"]), &["batch"])).await;
    assert_eq!(write("batch").text(&connector).await, "second of three");
    connector.shutdown().await;
}

#[tokio::test]
async fn a_batch_without_the_answer_is_none() {
    for body in [json!([]), json!([{"jsonrpc": "2.0", "method": "notifications/message"}]), json!([1])] {
        let inner = speaking("2025-03-26");
        let server = Scripted::serve(move |seen| match seen.method() {
            "tools/call" => Reply::json(&body),
            _ => inner(seen),
        })
        .await;
        let connector = started(server.spec(&["go"])).await;
        assert_eq!(write("go").code(&connector).await, "upstream.outcome_unknown");
        assert_eq!(server.count("tools/call"), 1);
    }
}
