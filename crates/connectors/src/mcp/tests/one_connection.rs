//! What calls have in common on the way to a server: its connection, and the trace they are part of.

use std::sync::atomic::Ordering;

use super::scripted::{End, Reply, Scripted, event, legacy, text};
use super::*;

#[tokio::test]
async fn a_server_hears_of_the_trace_that_a_call_is_part_of_and_of_nothing_else_about_its_client() {
    let server = Scripted::serve(|seen| match seen.method() {
        "tools/call" => seen.result(
            json!({"content": [{"type": "text", "text": seen.message["params"]["_meta"].to_string()}]}),
        ),
        _ => legacy(&["go"], |seen| seen.error(-1, "no"))(seen),
    })
    .await;
    let connector = started(server.spec(&["go"])).await;
    assert_eq!(read("go").text(&connector).await, json!({"traceparent": TRACEPARENT}).to_string());
}

#[tokio::test]
async fn calls_one_after_another_use_one_connection() {
    for streams in [false, true] {
        let server = Scripted::serve(legacy(&["go"], move |seen| {
            let answer = json!({"jsonrpc": "2.0", "id": seen.message["id"], "result": text("done")});
            if streams {
                return Reply::Stream { parts: vec![event(&answer)], end: End::Ends };
            }
            Reply::json(&answer)
        }))
        .await;
        let connector = started(server.spec(&["go"])).await;
        for _ in 0..20 {
            assert_eq!(read("go").text(&connector).await, "done");
        }
        let connections = server.connections.load(Ordering::SeqCst);
        // One is for what the server tells by itself. The end of a stream can come after its answer.
        assert!(connections <= if streams { 5 } else { 2 }, "{connections}, streams: {streams}");
    }
}
