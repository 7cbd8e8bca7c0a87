//! From which level on a session's server logs.

use quaymaster_core::LogLevel;

use super::offers::Reader;
use super::scripted::{End, Reply, Scripted, Seen, event, legacy, text};
use super::*;

/// A server that logs at two levels with each call, and takes `logging/setLevel` as `level` says.
async fn logging(capabilities: Value, level: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Scripted {
    let inner = legacy(&["go"], |seen| {
        let log = |level| json!({"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": level, "data": 1}});
        let answer = json!({"jsonrpc": "2.0", "id": seen.message["id"], "result": text("done")});
        Reply::Stream {
            parts: [log("debug"), log("warning"), answer].iter().map(event).collect(),
            end: End::Ends,
        }
    });
    Scripted::serve(move |seen| match seen.method() {
        "initialize" => seen.result(json!({"protocolVersion": "2025-06-18", "capabilities": capabilities})),
        "logging/setLevel" => level(seen),
        _ => inner(seen),
    })
    .await
}

async fn logged(connector: &McpConnector, level: LogLevel) -> usize {
    let reader = Reader::from(level);
    let mut call = read("go");
    call.log = Some(Arc::clone(&reader) as Arc<dyn LogSink>);
    assert_eq!(call.text(connector).await, "done");
    reader.read().len()
}

fn told(server: &Scripted) -> Vec<String> {
    let level = |seen: &Seen| seen.message["params"]["level"].as_str().unwrap_or_default().to_owned();
    server.seen("logging/setLevel").iter().map(level).collect()
}

#[tokio::test]
async fn a_session_is_told_the_lowest_level_that_a_call_wanted() {
    let server = logging(json!({"tools": {}, "logging": {}}), |seen| seen.result(json!({}))).await;
    let connector = started(server.spec(&["go"])).await;
    read("go").on(&connector).await.expect("a result");
    assert_eq!(told(&server), [""; 0], "nobody wants any");
    let mut seen = Vec::new();
    for level in [LogLevel::Error, LogLevel::Info, LogLevel::Warning, LogLevel::Debug, LogLevel::Info] {
        seen.push(logged(&connector, level).await);
    }
    assert_eq!(told(&server), ["error", "info", "debug"]);
    assert_eq!(seen, [0, 1, 1, 2, 1], "each call is given what it wanted");
    let order: Vec<String> = {
        let requests = server.requests.lock().expect("no panic");
        let of_calls = requests.iter().map(|seen| seen.method().to_owned());
        of_calls.filter(|method| matches!(method.as_str(), "tools/call" | "logging/setLevel")).collect()
    };
    assert_eq!(order[1..3], ["logging/setLevel", "tools/call"], "before the call");
}

#[tokio::test]
async fn a_server_that_does_not_log_is_told_nothing() {
    let server = logging(json!({"tools": {}}), |seen| seen.result(json!({}))).await;
    let connector = started(server.spec(&["go"])).await;
    assert_eq!(logged(&connector, LogLevel::Debug).await, 2);
    assert_eq!(told(&server), [""; 0]);
}

#[tokio::test]
async fn a_server_that_refuses_its_level_or_does_not_answer_is_called_and_not_told_again() {
    for answers in [true, false] {
        let server = logging(json!({"tools": {}, "logging": {}}), move |seen| {
            if answers { seen.error(-32601, "no") } else { Reply::Never }
        })
        .await;
        let connector = started(server.spec(&["go"])).await;
        for _ in 0..2 {
            assert_eq!(logged(&connector, LogLevel::Info).await, 1);
        }
        assert_eq!(told(&server), ["info"]);
        assert!(connector.state().health.is_up());
    }
}
