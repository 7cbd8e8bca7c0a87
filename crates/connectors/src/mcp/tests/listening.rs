//! The stream of notices over HTTP: when it is had again, and what is looked up then.

use super::offers::Person;
use super::scripted::{End, Reply, Scripted, event, legacy, text};
use super::*;

/// A session's server whose stream of notices is `streams` one after another, and then stays open.
async fn listening(streams: impl IntoIterator<Item = Reply> + Send) -> Scripted {
    let streams: Mutex<Vec<Reply>> = Mutex::new(streams.into_iter().collect::<Vec<_>>());
    let inner = legacy(&["go"], |seen| seen.result(text("done")));
    Scripted::serve(move |seen| match (seen.verb.as_str(), seen.method()) {
        ("GET", _) => {
            let mut streams = streams.lock().expect("no panic");
            if streams.is_empty() { open(End::Stays) } else { streams.remove(0) }
        }
        ("POST", "initialize") => {
            let capabilities = json!({"tools": {}, "resources": {"subscribe": true}});
            seen.result(json!({"protocolVersion": "2025-06-18", "capabilities": capabilities}))
                .with("mcp-session-id", "s-1")
        }
        ("POST", "resources/subscribe") => seen.result(json!({})),
        _ => inner(seen),
    })
    .await
}

/// A stream without notices.
fn open(end: End) -> Reply {
    Reply::Stream { parts: vec!["retry: 0\n\n".into()], end }
}

fn streams(server: &Scripted) -> usize {
    server.seen("").iter().filter(|seen| seen.verb == "GET").count()
}

#[tokio::test]
async fn what_may_have_been_told_between_two_streams_is_looked_up() {
    for between in [None, Some(Reply::status(503, "")), Some(Reply::status(404, ""))] {
        let server = listening([open(End::Ends)].into_iter().chain(between)).await;
        let connector = connector_with(server.spec(&["go"]), QUICK);
        let mut watch = connector.watch(&actor("ada"), "a://1").expect("room");
        connector.start();
        assert_eq!(connector.ready(PATIENCE).await.health, Health::Ready);
        assert!(watch.changed().await);
        eventually("it is listed again", async || server.count("tools/list") > 1).await;
        eventually("it listens again", async || streams(&server) > 1).await;
    }
}

#[tokio::test]
async fn a_server_that_has_no_stream_at_first_is_asked_again_and_one_that_refuses_it_is_not() {
    let mut refused = Vec::new();
    for first in [405, 404] {
        let server = listening([Reply::status(first, "")]).await;
        let connector = started(server.spec(&["go"])).await;
        eventually("it is asked", async || streams(&server) > 0).await;
        refused.push((server, connector));
    }
    // Those that are asked again are asked later, so the others would have been by now.
    for first in [503, 429, 301] {
        let server = listening([Reply::status(first, "")]).await;
        let _connector = started(server.spec(&["go"])).await;
        eventually("it listens", async || streams(&server) == 2).await;
        assert_eq!(server.count("tools/list"), 1, "nothing was missed");
    }
    assert!(refused.iter().all(|(server, _)| streams(server) == 1));
}

#[tokio::test]
async fn a_question_beside_the_call_may_be_as_large_as_one_on_its_stream() {
    let (sender, parts) = tokio::sync::mpsc::unbounded_channel();
    let answered = Arc::new(tokio::sync::Notify::new());
    let (waits, parts) = (Arc::clone(&answered), Mutex::new(Some(parts)));
    let inner = legacy(&["go"], move |seen| {
        let params = json!({"messages": [], "maxTokens": 1, "systemPrompt": "x".repeat(1 << 20)});
        let question =
            json!({"jsonrpc": "2.0", "id": "q", "method": "sampling/createMessage", "params": params});
        sender.send(event(&question)).expect("it listens");
        let answer = event(&json!({"jsonrpc": "2.0", "id": seen.message["id"], "result": text("done")}));
        Reply::Stream { parts: vec![], end: End::After(Arc::clone(&waits), answer) }
    });
    let server = Scripted::serve(move |seen| match seen.verb.as_str() {
        "GET" => match parts.lock().expect("no panic").take() {
            Some(parts) => Reply::Live(parts),
            None => Reply::status(405, ""),
        },
        _ if seen.message["id"] == "q" => {
            answered.notify_one();
            Reply::status(202, "")
        }
        _ => inner(seen),
    })
    .await;
    let connector = started(server.spec(&["go"])).await;
    eventually("it listens", async || streams(&server) > 0).await;
    let person = Person::who_says(json!({"role": "assistant"}));
    let mut call = Call { input: Some(Arc::clone(&person) as Arc<dyn InputPort>), ..read("go") };
    assert_eq!(call.text(&connector).await, "done");
    assert_eq!(person.asked().lines().count(), 1);
}
