//! Streams that break and are had again.

use quaymaster_core::LogLevel;
use tokio::sync::Notify;

use super::offers::{Person, Reader};
use super::scripted::{End, Reply, Scripted, event, legacy, text};
use super::*;

/// A session's server whose stream of a call to `go` breaks, and which logs and asks when that is taken up.
async fn breaking() -> Scripted {
    let (waiting, answered) = (Arc::new(Mutex::new(Value::Null)), Arc::new(Notify::new()));
    let called = Arc::clone(&waiting);
    let inner = legacy(&["go", "done"], move |seen| {
        if seen.tool() == "done" {
            return seen.result(text("done"));
        }
        *called.lock().expect("no panic") = seen.message["id"].clone();
        Reply::Stream { parts: vec!["id: e-1\nretry: 1\ndata:\n\n".into()], end: End::Ends }
    });
    Scripted::serve(move |seen| {
        if seen.header("last-event-id").is_some() {
            let log = json!({"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info", "data": 1}});
            let question = json!({"jsonrpc": "2.0", "id": "q", "method": "roots/list"});
            let id = waiting.lock().expect("no panic").clone();
            let answer = event(&json!({"jsonrpc": "2.0", "id": id, "result": text("resumed")}));
            let end = End::After(Arc::clone(&answered), answer);
            return Reply::Stream { parts: vec![event(&log), event(&question)], end };
        }
        if seen.message["id"] == "q" {
            answered.notify_one();
            return Reply::status(202, "");
        }
        inner(seen)
    })
    .await
}

#[tokio::test]
async fn a_stream_that_was_taken_up_again_may_be_the_one_that_all_share() {
    for (is_after_another, count) in [(false, 1), (true, 0)] {
        let server = breaking().await;
        let connector = started(server.spec(&["go", "done"])).await;
        if is_after_another {
            let mut other = Call { actor: actor("bob"), ..read("done") };
            assert_eq!(other.text(&connector).await, "done");
        }
        let (person, reader) = (Person::who_says(json!({"roots": []})), Reader::from(LogLevel::Info));
        let mut call = read("go");
        call.input = Some(Arc::clone(&person) as Arc<dyn InputPort>);
        call.log = Some(Arc::clone(&reader) as Arc<dyn LogSink>);
        assert_eq!(call.text(&connector).await, "resumed");
        assert_eq!((person.asked().lines().count(), reader.read().len()), (count, count));
    }
}
