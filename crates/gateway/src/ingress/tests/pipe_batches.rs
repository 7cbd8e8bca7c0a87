//! Several messages on one line of a pipe.

use serde_json::{Value, json};

use super::client::soon;
use super::harbour::Event;
use super::pipes::{Pipes, legacy_call};

const PING: &str = r#"{"jsonrpc":"2.0","id":9,"method":"ping"}"#;

fn ids(answers: &Value) -> Vec<Value> {
    answers.as_array().expect("a list").iter().map(|answer| answer["id"].clone()).collect()
}

#[tokio::test]
async fn a_batch_is_answered_on_one_line_when_its_last_call_has_ended() {
    let mut pipes = Pipes::plain();
    pipes.initialize_as("2025-03-26").await;
    let (hold, echo) = (legacy_call(1, "hold"), legacy_call(2, "echo"));
    let wrong = r#"{"jsonrpc":"2.0","id":3,"method":"no/such"},{"jsonrpc":"2.0","method":"notifications/x","params":{"_meta":1}}"#;
    pipes.send(&format!("[{hold},{echo},{PING},{wrong},7]")).await;
    assert_eq!(soon(pipes.harbour.event()).await, Event::Began("hold".into()));
    let ping = pipes.ask(&PING.replace('9', "10")).await;
    assert_eq!(ping["id"], 10, "the next line is read meanwhile");
    pipes.harbour.release();
    let answers = pipes.read().await;
    assert_eq!(ids(&answers), [json!(1), json!(2), json!(9), json!(3), Value::Null]);
    let (harbour, rest) = pipes.end().await;
    assert_eq!((harbour.refusals().len(), rest), (3, Vec::new()));
}

#[tokio::test]
async fn what_is_not_answered_is_left_out_and_without_any_answer_there_is_no_line() {
    let mut pipes = Pipes::plain();
    pipes.initialize_as("2025-03-26").await;
    let hold = legacy_call(7, "hold");
    let cancelled = r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":7}}"#;
    let answers = pipes.ask(&format!("[{hold},{cancelled},{PING}]")).await;
    assert_eq!(ids(&answers), [9], "the call was taken back");
    pipes.send(&format!("[{hold},{cancelled}]")).await;
    pipes.send(&format!("[{cancelled}]")).await;
    assert_eq!(pipes.ask(PING).await["id"], 9);
    let (harbour, rest) = pipes.end().await;
    assert_eq!((rest, harbour.refusals().len()), (Vec::<Value>::new(), 0));
    assert_eq!(harbour.seen().len(), 2);
}

#[tokio::test]
async fn where_there_are_no_batches_one_is_refused_whole_on_a_pipe() {
    let batch = format!("[{PING},{}]", legacy_call(1, "echo"));
    for version in [None, Some("2024-11-05"), Some("2025-06-18"), Some("2025-11-25")] {
        let mut pipes = Pipes::plain();
        if let Some(version) = version {
            pipes.initialize_as(version).await;
        }
        let answer = pipes.ask(&batch).await;
        assert_eq!(answer["error"]["code"], -32600, "{version:?}: {answer}");
        let (harbour, rest) = pipes.end().await;
        assert_eq!((harbour.seen().len(), harbour.refusals().len(), rest), (0, 1, Vec::new()));
    }
}

#[tokio::test]
async fn a_batch_that_holds_nothing_or_too_much_is_refused_whole_on_a_pipe() {
    let mut pipes = Pipes::plain();
    pipes.initialize_as("2025-03-26").await;
    let many = vec![PING; 65].join(",");
    for batch in ["[]".to_owned(), format!("[{many}]")] {
        assert_eq!(pipes.ask(&batch).await["error"]["code"], -32600);
    }
    assert_eq!(pipes.ask(&format!("[{PING}")).await["error"]["code"], -32700);
}
