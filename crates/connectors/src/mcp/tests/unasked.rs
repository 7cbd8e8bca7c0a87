//! What a session's server asks and tells over HTTP on the stream that belongs to no call.

use quaymaster_core::LogLevel;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use super::offers::{Person, Reader};
use super::scripted::{Reply, Scripted, Seen, event, legacy, text};
use super::*;

/// Where the server of these tests writes to.
#[derive(Default)]
struct Streams {
    /// The stream of no call.
    aside: Option<UnboundedSender<String>>,
    /// The calls that wait for their answer, oldest first.
    calls: Vec<(Value, UnboundedSender<String>)>,
}

impl Streams {
    fn tell(&self, message: &Value) {
        self.aside.as_ref().expect("it listens").send(event(message)).expect("it listens still");
    }

    fn answer_first(&mut self, result: &Value) {
        let (id, call) = self.calls.remove(0);
        call.send(event(&json!({"jsonrpc": "2.0", "id": id, "result": result}))).expect("it waits");
    }
}

/// A server whose tool logs, reports progress and asks, all beside the call, and answers with what it
/// was answered. Its tool `two` waits for a second call before it asks.
async fn asking_aside() -> Scripted {
    let streams = Arc::new(Mutex::new(Streams::default()));
    let (opened, calls) = (Arc::clone(&streams), Arc::clone(&streams));
    let with_session = legacy(&["go", "two"], move |seen| call(seen, &mut calls.lock().expect("no panic")));
    Scripted::serve(move |seen| {
        let mut streams = opened.lock().expect("no panic");
        if seen.verb == "GET" {
            let (sender, parts) = unbounded_channel();
            streams.aside = Some(sender);
            return Reply::Live(parts);
        }
        if seen.message["id"] == "q-1" {
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
    if seen.tool() == "go" || streams.calls.len() == 2 {
        let token = &seen.message["params"]["_meta"]["progressToken"];
        for (method, params) in [
            ("notifications/message", json!({"level": "info", "data": "working"})),
            ("notifications/progress", json!({"progressToken": token, "progress": 1})),
        ] {
            streams.tell(&json!({"jsonrpc": "2.0", "method": method, "params": params}));
        }
        let params = json!({"messages": [], "maxTokens": 1});
        streams.tell(
            &json!({"jsonrpc": "2.0", "id": "q-1", "method": "sampling/createMessage", "params": params}),
        );
    }
    Reply::Live(parts)
}

async fn connected(server: &Scripted) -> Arc<McpConnector> {
    let connector = started(server.spec(&["go", "two"])).await;
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
