//! What a session's server asks and tells over HTTP on the stream that belongs to no call.

use quaymaster_core::LogLevel;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use super::offers::{Person, Reader};
use super::scripted::{Reply, Scripted, Seen, definitions, event, legacy, text};
use super::*;

/// Where the server of these tests writes to.
#[derive(Default)]
struct Streams {
    /// The stream of no call.
    aside: Option<UnboundedSender<String>>,
    /// The calls that wait for their answer, oldest first.
    calls: Vec<(Value, UnboundedSender<String>)>,
    /// The list that waits, and what is in it.
    list: Option<(UnboundedSender<String>, String)>,
}

impl Streams {
    fn tell(&self, message: &Value) {
        self.aside.as_ref().expect("it listens").send(event(message)).expect("it listens still");
    }

    fn answer_first(&mut self, result: &Value) {
        let (id, call) = self.calls.remove(0);
        // It may have been given up.
        let _ = call.send(event(&json!({"jsonrpc": "2.0", "id": id, "result": result})));
    }
}

/// A server whose tool logs, reports progress and asks, all beside the call, and answers with what it
/// was answered. Its tool `two` waits for a second call before it asks.
async fn asking_aside() -> Scripted {
    asking(true).await
}

/// The same, which names its session or has none.
async fn asking(names_session: bool) -> Scripted {
    let streams = Arc::new(Mutex::new(Streams::default()));
    let (opened, calls) = (Arc::clone(&streams), Arc::clone(&streams));
    let with_session =
        legacy(&["go", "two", "relist"], move |seen| call(seen, &mut calls.lock().expect("no panic")));
    Scripted::serve(move |seen| {
        let mut streams = opened.lock().expect("no panic");
        if seen.verb == "GET" {
            let (sender, parts) = unbounded_channel();
            streams.aside = Some(sender);
            return Reply::Live(parts);
        }
        match seen.method() {
            "initialize" => {
                let capabilities = json!({"tools": {}, "resources": {"subscribe": true}});
                let result = json!({"protocolVersion": "2025-06-18", "capabilities": capabilities});
                let result = seen.result(result);
                return if names_session { result.with("mcp-session-id", "s-1") } else { result };
            }
            "resources/subscribe" | "resources/unsubscribe" => return seen.result(json!({})),
            // The list is read while the call runs, and is there when the question was answered.
            "tools/list" if streams.calls.len() == 1 => {
                ask(&seen.message["params"], &mut streams);
                let (sender, parts) = unbounded_channel();
                let tools = json!({"tools": definitions(&["go", "two", "relist"])});
                let listed = json!({"jsonrpc": "2.0", "id": seen.message["id"], "result": tools});
                streams.list = Some((sender, event(&listed)));
                return Reply::Live(parts);
            }
            _ => {}
        }
        if seen.message["id"] == "q-1" {
            if let Some((list, listed)) = streams.list.take() {
                list.send(listed).expect("it waits");
            }
            while !streams.calls.is_empty() {
                streams.answer_first(&text(&seen.message["result"].to_string()));
            }
            return Reply::status(202, "");
        }
        drop(streams);
        with_session(seen)
    })
    .await
}

fn call(seen: &Seen, streams: &mut Streams) -> Reply {
    let (sender, parts) = unbounded_channel();
    streams.calls.push((seen.message["id"].clone(), sender));
    match seen.tool() {
        "relist" => {
            streams.tell(&json!({"jsonrpc": "2.0", "method": "notifications/tools/list_changed"}));
        }
        tool if tool == "go" || streams.calls.len() == 2 => ask(&seen.message["params"], streams),
        _ => {}
    }
    Reply::Live(parts)
}

/// Logs, reports progress and asks for the request with `params`.
fn ask(params: &Value, streams: &mut Streams) {
    let token = &params["_meta"]["progressToken"];
    for (method, params) in [
        ("notifications/message", json!({"level": "info", "data": "working"})),
        ("notifications/progress", json!({"progressToken": token, "progress": 1})),
    ] {
        streams.tell(&json!({"jsonrpc": "2.0", "method": method, "params": params}));
    }
    let params = json!({"messages": [], "maxTokens": 1});
    streams
        .tell(&json!({"jsonrpc": "2.0", "id": "q-1", "method": "sampling/createMessage", "params": params}));
}

async fn connected(server: &Scripted) -> Arc<McpConnector> {
    let connector = started(server.spec(&["go", "two", "relist"])).await;
    eventually("it listens", async || server.seen("").iter().any(|seen| seen.verb == "GET")).await;
    connector
}

/// A call by a person who can be asked and reads the log.
fn asked(tool: &str, person: &Arc<Person>, reader: &Arc<Reader>) -> Call {
    let mut call = read(tool);
    call.input = Some(Arc::clone(person) as Arc<dyn InputPort>);
    call.log = Some(Arc::clone(reader) as Arc<dyn LogSink>);
    call
}

#[tokio::test]
async fn what_is_asked_and_logged_beside_the_only_call_belongs_to_it() {
    let server = asking_aside().await;
    let connector = connected(&server).await;
    let (person, reader) = (Person::who_says(json!({"role": "assistant"})), Reader::from(LogLevel::Info));
    let reports = Arc::new(Reports::default());
    let mut call = asked("go", &person, &reader);
    call.progress = Some(Arc::clone(&reports) as Arc<dyn ProgressSink>);
    assert_eq!(call.text(&connector).await, r#"{"role":"assistant"}"#);
    assert_eq!(person.asked().lines().count(), 1);
    assert_eq!(reader.read().len(), 1);
    assert_eq!(reports.seen().len(), 1);
}

#[tokio::test]
async fn what_could_belong_to_two_calls_goes_to_neither() {
    let server = asking_aside().await;
    let connector = connected(&server).await;
    let (person, reader) = (Person::who_says(json!({"role": "assistant"})), Reader::from(LogLevel::Info));
    let (mut one, mut other) = (asked("two", &person, &reader), asked("two", &person, &reader));
    let said = tokio::join!(one.text(&connector), other.text(&connector));
    assert_eq!(said, ("null".into(), "null".into()), "both were told of an error");
    assert_eq!(person.asked(), "");
    assert!(reader.read().is_empty());
}

#[tokio::test]
async fn once_two_have_called_what_comes_beside_a_call_goes_to_nobody() {
    let server = asking_aside().await;
    let connector = connected(&server).await;
    let (person, reader) = (Person::who_says(json!({"role": "assistant"})), Reader::from(LogLevel::Info));
    let mut other = Call { actor: actor("bob"), ..read("go") };
    assert_eq!(other.text(&connector).await, "null");
    assert_eq!(asked("go", &person, &reader).text(&connector).await, "null");
    assert_eq!(person.asked(), "");
    assert!(reader.read().is_empty());
}

#[tokio::test]
async fn a_stream_that_belongs_to_no_session_asks_nobody() {
    let server = asking(false).await;
    let connector = connected(&server).await;
    let (person, reader) = (Person::who_says(json!({"role": "assistant"})), Reader::from(LogLevel::Info));
    assert_eq!(asked("go", &person, &reader).text(&connector).await, "null");
    assert_eq!((person.asked(), reader.read().len()), (String::new(), 0));
    let lists = server.count("tools/list");
    asked("relist", &person, &reader).text(&connector).await;
    assert!(server.count("tools/list") > lists, "notices are taken");
}

#[tokio::test]
async fn one_person_with_two_clearances_is_two() {
    let server = asking_aside().await;
    let connector = connected(&server).await;
    let (person, reader) = (Person::who_says(json!({"role": "assistant"})), Reader::from(LogLevel::Info));
    let mut other = Call { actor: cleared("ada"), ..read("go") };
    assert_eq!(other.text(&connector).await, "null");
    assert_eq!(asked("go", &person, &reader).text(&connector).await, "null");
    assert_eq!((person.asked(), reader.read().len()), (String::new(), 0));
}

#[tokio::test]
async fn what_a_call_that_was_given_up_may_not_tell_is_not_told_to_the_next() {
    let server = asking_aside().await;
    let connector = connected(&server).await;
    let (person, reader) = (Person::who_says(json!({"role": "assistant"})), Reader::from(LogLevel::Info));
    let mut mute = Call { mute: true, ..read("two") };
    let cancel = mute.cancel.clone();
    let giving_up = async {
        eventually("it is under way", async || server.count("tools/call") == 1).await;
        cancel.cancel();
    };
    assert_eq!(tokio::join!(mute.code(&connector), giving_up).0, "call.cancelled");
    assert_eq!(asked("two", &person, &reader).text(&connector).await, "null");
    assert_eq!((person.asked(), reader.read().len()), (String::new(), 0));
}

#[tokio::test]
async fn a_request_of_our_own_is_no_call_that_a_question_could_belong_to() {
    let server = asking_aside().await;
    let connector = connected(&server).await;
    let lists = server.count("tools/list");
    let (person, reader) = (Person::who_says(json!({"role": "assistant"})), Reader::from(LogLevel::Info));
    assert_eq!(asked("relist", &person, &reader).text(&connector).await, r#"{"role":"assistant"}"#);
    assert_eq!(server.count("tools/list"), lists + 1, "it was asked while the list was read");
}

#[tokio::test]
async fn once_another_watches_a_resource_what_comes_beside_a_call_can_be_anybodys() {
    for (other, expected) in [
        (actor("ada"), r#"{"role":"assistant"}"#),
        (actor("bob"), "null"),
        // The same person who may be told more is another.
        (cleared("ada"), "null"),
    ] {
        let server = asking_aside().await;
        let connector = connected(&server).await;
        let (person, reader) = (Person::who_says(json!({"role": "assistant"})), Reader::from(LogLevel::Info));
        assert_eq!(asked("go", &person, &reader).text(&connector).await, r#"{"role":"assistant"}"#);
        let watch = connector.watch(&other, "a://1").expect("room");
        eventually("it is watched", async || server.count("resources/subscribe") == 1).await;
        drop(watch);
        assert_eq!(asked("go", &person, &reader).text(&connector).await, expected, "{other:?}");
        let passed = if expected == "null" { 1 } else { 2 };
        assert_eq!((person.asked().lines().count(), reader.read().len()), (passed, passed));
    }
}
