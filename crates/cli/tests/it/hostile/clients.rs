//! What comes of each bad client over HTTP.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};

use super::behaviour::{Behaviour, Era, Over};
use super::caller::{Caller, code};
use super::footprint::{Footprint, Visits, peak_is_bounded};
use super::installation::{Gateway, Upstream};
use super::servers::settled;
use super::session::{Session, opening};

/// How many sessions one client opens, over so many connections.
const SESSIONS: usize = 10_000;
const CONNECTIONS: usize = 4;

const NEVER: Upstream = Upstream { behaviour: Behaviour::NeverAnswers, era: Era::Modern, over: Over::Stdio };
const FLOODS: Upstream = Upstream { behaviour: Behaviour::Floods, era: Era::Modern, over: Over::Http };

/// Opens sessions without a wait between them, reads what comes, and leaves.
fn opens_sessions_and_leaves(caller: &Caller) -> Vec<TcpStream> {
    std::thread::scope(|scope| {
        for _connection in 0..CONNECTIONS {
            scope.spawn(|| {
                let mut stream = caller.connect().expect("a connection");
                let mut sending = stream.try_clone().expect("the same");
                let one = opening(caller);
                scope.spawn(move || {
                    let many = one.repeat(SESSIONS / CONNECTIONS - 1);
                    let last = one.replacen("\r\n", "\r\nConnection: close\r\n", 1);
                    sending.write_all((many + &last).as_bytes()).expect("sent");
                });
                let mut read = String::new();
                stream.read_to_string(&mut read).expect("answers");
                assert_eq!(read.matches("HTTP/1.1 200 OK").count(), SESSIONS / CONNECTIONS);
            });
        }
    });
    Vec::new()
}

/// Connects and says nothing.
fn says_nothing(caller: &Caller) -> Vec<TcpStream> {
    (0..200).map(|_| caller.connect().expect("a connection")).collect()
}

/// Says one letter of a head at a time.
fn says_it_slowly(caller: &Caller) -> Vec<TcpStream> {
    let mut streams: Vec<TcpStream> = (0..50).map(|_| caller.connect().expect("a connection")).collect();
    for letter in b"POST /mcp HTTP/1.1\r\nHost: 127" {
        // The gateway may have had enough of one of them; then it is closed, which is as well.
        streams.retain_mut(|stream| stream.write_all(&[*letter]).is_ok());
        std::thread::sleep(Duration::from_millis(20));
    }
    streams
}

/// Asks for streams of events and reads none of them.
fn reads_nothing(caller: &Caller) -> Vec<TcpStream> {
    let session = Session::open(caller);
    let mut streams: Vec<TcpStream> = (0..20).map(|_| caller.connect().expect("a connection")).collect();
    let listening = session.request("GET", "");
    let params = json!({
        "name": FLOODS.tool(), "arguments": {},
        "_meta": {"progressToken": 1, "io.modelcontextprotocol/logLevel": "debug"},
    });
    let flooded = caller.modern_request(1, "tools/call", params);
    for (nth, stream) in streams.iter_mut().enumerate() {
        let request = if nth % 4 == 0 { &flooded } else { &listening };
        stream.write_all(request.as_bytes()).expect("sent");
    }
    streams
}

/// Asks for the list without end and reads none of it.
fn pipelines_without_reading(caller: &Caller) -> Vec<TcpStream> {
    let mut stream = caller.connect().expect("a connection");
    stream.set_write_timeout(Some(Duration::from_secs(1))).expect("a limit");
    let text = caller.modern_request(1, "tools/list", json!({})).repeat(50);
    // Sooner or later the other side reads no more either.
    let taken = (0..4_000).take_while(|_| stream.write_all(text.as_bytes()).is_ok()).count();
    assert!(taken < 4_000, "a client that does not read is read without end");
    vec![stream]
}

/// Calls and is gone before the answer.
fn leaves_mid_call(caller: &Caller) -> Vec<TcpStream> {
    let session = Session::open(caller);
    for id in 0..100 {
        let tool = if id % 2 == 0 { NEVER.tool() } else { "good_modern_stdio_go".to_owned() };
        drop(session.begin(id, &tool));
        let mut stream = caller.connect().expect("a connection");
        let params = json!({"name": tool, "arguments": {}});
        stream.write_all(caller.modern_request(id, "tools/call", params).as_bytes()).expect("sent");
    }
    Vec::new()
}

/// Sends what is too much, too deep or cut.
fn sends_bombs(caller: &Caller) -> Vec<TcpStream> {
    let ping = json!({"jsonrpc": "2.0", "id": 1, "method": "ping"});
    let batch = Value::Array(vec![ping; 20_000]).to_string();
    let deep = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"ping","params":{}1{}}}"#,
        "[".repeat(500_000),
        "]".repeat(500_000)
    );
    let twice = r#"{"jsonrpc":"2.0","id":1,"method":"ping","id":2}"#.to_owned();
    let large = format!("[{}]", " ".repeat(8 * 1024 * 1024));
    for body in [batch, deep, twice, large, "{".to_owned(), "\u{0}".to_owned()] {
        let answer = caller.send(&caller.request("POST", &[], &body)).expect("an answer");
        assert!((400..=413).contains(&answer.status), "{answer:?}");
    }
    let mut stream = caller.connect().expect("a connection");
    let endless = caller.request("POST", &[], "").replace("Content-Length: 0", "Transfer-Encoding: chunked");
    stream.write_all(endless.as_bytes()).expect("sent");
    let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
    let taken = (0..2_000).take_while(|_| stream.write_all(chunk.as_bytes()).is_ok()).count();
    assert!(taken < 2_000, "a body without end is read without end");
    Vec::new()
}

/// What a bad client does; what it still holds then.
type BadClient = fn(&Caller) -> Vec<TcpStream>;

/// All of them, and whether one makes much of whatever holds it.
const BAD_CLIENTS: [(&str, bool, BadClient); 7] = [
    ("opens sessions and leaves", true, opens_sessions_and_leaves),
    ("says nothing", false, says_nothing),
    ("says it slowly", false, says_it_slowly),
    ("reads nothing", true, reads_nothing),
    ("pipelines without reading", true, pipelines_without_reading),
    ("leaves in the middle of a call", false, leaves_mid_call),
    ("sends bombs", true, sends_bombs),
];

/// A gateway with the servers that bad clients call.
fn called_by_bad_clients() -> (Gateway, [Caller; 2]) {
    let gateway = Gateway::start();
    let callers = [gateway.caller("ana"), gateway.caller("bo")];
    let upstreams = [NEVER, FLOODS];
    gateway.connect(&upstreams, "2s");
    assert_eq!(settled(&callers[1], &upstreams), [""; 0]);
    Gateway::settle(&callers[1]);
    (gateway, callers)
}

#[test]
fn each_bad_client_leaves_nothing() {
    let (gateway, [caller, others]) = called_by_bad_clients();
    let visits = Visits::of(&gateway);
    for (name, hungry, client) in BAD_CLIENTS {
        visits.receive(name, hungry, || {
            Gateway::others_are_served_during(&others, || drop(client(&caller)));
        });
    }
    visits.end();
}

#[test]
fn many_bad_clients_at_once_harm_nobody() {
    let (gateway, [caller, others]) = called_by_bad_clients();
    let before = Footprint::of(&gateway);
    Gateway::others_are_served_during(&others, || {
        std::thread::scope(|scope| {
            let caller = &caller;
            let holding = BAD_CLIENTS.map(|(_, _, client)| scope.spawn(move || client(caller)));
            let held = holding.map(|client| client.join().expect("no panic"));
            drop(held);
        });
    });
    before.is_back(&gateway, "all at once");
    peak_is_bounded(&gateway);
}

#[test]
fn calls_and_connections_of_one_beyond_its_share_are_refused_at_once_and_others_go_on() {
    let gateway = Gateway::start();
    let (caller, others) = (gateway.caller("ana"), gateway.caller("bo"));
    gateway.connect(&[NEVER], "60s");
    assert_eq!(settled(&others, &[NEVER]), [""; 0]);
    Gateway::is_good(&others);
    let before = Footprint::of(&gateway);

    let sessions = [Session::open(&caller), Session::open(&caller)];
    for session in &sessions {
        fills(session);
    }
    let refused = overloaded(&caller);
    assert!(refused.pointer("/result/structuredContent/error/retry_after_seconds").is_some(), "{refused}");
    Gateway::is_good(&others);
    for session in &sessions {
        assert_eq!(session.end(), 204);
    }
    served(&caller);
    before.is_back(&gateway, "calls beyond a share");

    let held = subscribes_beyond_its_share(&caller);
    Gateway::is_good(&others);
    drop(held);
    served(&caller);
    before.is_back(&gateway, "connections beyond a share");

    let held: Vec<TcpStream> = (0..1_100).map(|_| caller.connect().expect("a connection")).collect();
    let mut first = held.first().expect("one");
    let mut busy = String::new();
    first.read_to_string(&mut busy).expect("an answer that nobody asked for");
    assert!(busy.starts_with("HTTP/1.1 503 ") && busy.contains("retry-after: 1"), "{busy}");
    assert!(busy.contains("gateway.overloaded"), "{busy}");
    Gateway::is_good(&others);
    drop(held);
    before.is_back(&gateway, "connections of nobody");
}

/// Opens streams until one is refused.
fn subscribes_beyond_its_share(caller: &Caller) -> Vec<TcpStream> {
    let params = json!({"notifications": {"toolsListChanged": true}});
    let request = caller.modern_request(1, "subscriptions/listen", params);
    let mut held = Vec::new();
    for _ in 0..1_100 {
        let mut stream = caller.connect().expect("a connection");
        stream.write_all(request.as_bytes()).expect("sent");
        let mut answer = [0; 4096];
        let length = stream.read(&mut answer).expect("a head");
        let answer = String::from_utf8_lossy(&answer[..length]).to_ascii_lowercase();
        if answer.starts_with("http/1.1 503 ") {
            assert!(answer.contains("retry-after: 1") && answer.contains("gateway.overloaded"), "{answer}");
            assert_eq!(held.len(), 512, "half of all are one's share");
            return held;
        }
        assert!(answer.starts_with("http/1.1 200 "), "{answer}");
        held.push(stream);
    }
    panic!("one may have more connections than it should")
}

/// Begins as many calls as a session may have. They go on without their connections.
fn fills(session: &Session) {
    let mut held = Vec::new();
    for id in 0..1_000 {
        let mut stream = session.begin(id, &NEVER.tool());
        if id >= 256 {
            // What is answered in full was refused; any other has begun, or comes to it.
            stream.set_read_timeout(Some(Duration::from_millis(200))).expect("a limit");
            let mut answer = [0; 4096];
            if let Ok(length) = stream.read(&mut answer) {
                let answer = String::from_utf8_lossy(&answer[..length]).to_ascii_lowercase();
                if answer.starts_with("http/1.1 200 ") && answer.contains("text/event-stream") {
                    held.push(stream);
                    continue;
                }
                assert!(answer.starts_with("http/1.1 503 ") && answer.contains("retry-after: 1"), "{answer}");
                assert!(answer.contains("gateway.overloaded"), "{answer}");
                return;
            }
        }
        held.push(stream);
    }
    panic!("a session may have more calls than it should");
}

/// Calls a good tool until it is refused for want of room.
fn overloaded(caller: &Caller) -> Value {
    for _ in 0..1_000 {
        let params = json!({"name": "numbers_one", "arguments": {}});
        let message = caller.ask("tools/call", params).expect("an answer").message();
        if code(&message) == "gateway.overloaded" {
            return message;
        }
    }
    panic!("there is room for more calls than there should be")
}

/// Calls the good tools until they answer again.
fn served(caller: &Caller) {
    let one = || caller.ask("tools/call", json!({"name": "numbers_one", "arguments": {}}));
    let answered = (0..1_000).any(|_| one().is_ok_and(|answer| code(&answer.message()).is_empty()));
    assert!(answered, "there is no room for others");
    Gateway::is_good(caller);
}
