//! The server over HTTP: all roles at one address, a thread for each connection.
//!
//! `/BEHAVIOUR/ERA/mcp` is a server, `/elsewhere` is where a redirect leads, and
//! `/count/…` says how many requests there were for the path behind it.

use std::collections::HashMap;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

use crate::behaviour::{Behaviour, Era};
use crate::script::{FOR_EVER, Part, Role, answer, changes, notification};
use crate::stdio::pump;

/// How many requests there were, by verb and path.
static COUNTS: Mutex<Option<HashMap<String, u64>>> = Mutex::new(None);

const AGES: &str = "18446744073709551615";

/// Serves until the process is killed, or until nobody reads its standard input any more.
pub(crate) fn serve() -> anyhow::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    writeln!(io::stdout(), "{}", listener.local_addr()?)?;
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            // A client that breaks off is as good as one that leaves.
            std::thread::spawn(move || drop(connection(stream)));
        }
    });
    io::copy(&mut io::stdin(), &mut io::sink())?;
    Ok(())
}

struct Request {
    verb: String,
    path: String,
    resumes: bool,
    /// The client closes the connection after this.
    is_last: bool,
    message: Value,
}

fn connection(stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut output = stream.try_clone()?;
    let mut input = BufReader::new(stream);
    while let Some(request) = read(&mut input)? {
        count(&format!("{} {}", request.verb, request.path));
        if !respond(&mut output, &request)? || request.is_last {
            return output.shutdown(std::net::Shutdown::Both);
        }
    }
    Ok(())
}

fn read(input: &mut BufReader<TcpStream>) -> io::Result<Option<Request>> {
    let mut line = String::new();
    if input.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split(' ').map(str::to_owned);
    let (verb, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    if path.starts_with("/never_reads/") {
        loop {
            std::thread::park();
        }
    }
    let (mut length, mut resumes, mut is_last) = (0, false, false);
    loop {
        line.clear();
        input.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.trim().parse().unwrap_or_default(),
            "last-event-id" => resumes = true,
            "connection" => is_last = value.trim().eq_ignore_ascii_case("close"),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    input.read_exact(&mut body)?;
    let message = serde_json::from_slice(&body).unwrap_or_default();
    Ok(Some(Request { verb, path, resumes, is_last, message }))
}

fn count(what: &str) {
    let mut counts = COUNTS.lock().unwrap_or_else(PoisonError::into_inner);
    *counts.get_or_insert_default().entry(what.to_owned()).or_default() += 1;
}

fn counted(what: &str) -> u64 {
    let counts = COUNTS.lock().unwrap_or_else(PoisonError::into_inner);
    counts.as_ref().and_then(|counts| counts.get(what)).copied().unwrap_or_default()
}

/// Answers a request; whether the connection stays open.
fn respond(output: &mut TcpStream, request: &Request) -> io::Result<bool> {
    let mut names = request.path.split('/').skip(1);
    let (first, second) = (names.next().unwrap_or_default(), names.next().unwrap_or_default());
    if first == "count" {
        let path = request.path.trim_start_matches("/count");
        let counts =
            json!({"get": counted(&format!("GET {path}")), "post": counted(&format!("POST {path}"))});
        return whole(output, "200 OK", "", counts.to_string().as_bytes());
    }
    let Some(role) = Role::parse(first, second) else { return whole(output, "404 Not Found", "", b"") };
    let method = request.message.get("method").and_then(Value::as_str).unwrap_or_default();
    match (request.verb.as_str(), method) {
        ("POST", "tools/call") => {
            if let Some(stays_open) = call(output, role, request)? {
                return Ok(stays_open);
            }
        }
        ("POST", _) if role.behaviour == Behaviour::RefusesForAges => {
            return whole(output, "429 Too Many Requests", &format!("retry-after: {AGES}\r\n"), b"");
        }
        ("POST", "initialize") => {
            if let Some(session) = session(role.behaviour) {
                let body = answer(role, &request.message);
                return initialized(output, &session, body);
            }
        }
        ("GET", _) if request.resumes => {
            return events(
                output,
                vec![Part::Bytes { bytes: RESUME.into(), times: 1, every: Duration::ZERO }],
            );
        }
        ("POST", "subscriptions/listen") | ("GET", _) => return listen(output, role),
        ("DELETE", _) => return whole(output, "200 OK", "", b""),
        _ => {}
    }
    let id_is_missing = request.message.get("id").is_none();
    match answer(role, &request.message) {
        parts if parts.is_empty() && id_is_missing && role.behaviour != Behaviour::Silent => {
            whole(output, "202 Accepted", "", b"")
        }
        parts if parts.is_empty() => silence(output),
        parts => body(output, parts),
    }
}

const RESUME: &str = "id: 1\nretry: 0\ndata\n\n";

/// Waits until the other side goes.
fn silence(output: &mut TcpStream) -> io::Result<bool> {
    output.read(&mut [0; 1]).map(|_| false)
}

/// A response whose length is known.
fn whole(output: &mut TcpStream, status: &str, headers: &str, body: &[u8]) -> io::Result<bool> {
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\n{headers}content-length: {}\r\n\r\n",
        body.len()
    );
    output.write_all(&[head.as_bytes(), body].concat())?;
    Ok(true)
}

/// A response that ends with its connection.
fn open(output: &mut TcpStream, content_type: &str) -> io::Result<()> {
    let head = format!("HTTP/1.1 200 OK\r\ncontent-type: {content_type}\r\nconnection: close\r\n\r\n");
    output.write_all(head.as_bytes())
}

/// One message with its length, and whatever is more than that as it comes.
fn body(output: &mut TcpStream, mut parts: Vec<Part>) -> io::Result<bool> {
    // What a list has behind it is told on the stream of changes.
    parts.truncate(
        parts.iter().position(|part| matches!(part, Part::Messages { .. })).map_or(parts.len(), |at| at + 1),
    );
    if let [Part::Messages { text, times: 1, .. }] = parts.as_slice() {
        return whole(output, "200 OK", "", text.as_bytes());
    }
    if !matches!(parts.first(), Some(Part::Stop)) {
        open(output, "application/json")?;
    }
    send(output, parts, |text| text)
}

fn events(output: &mut TcpStream, parts: Vec<Part>) -> io::Result<bool> {
    open(output, "text/event-stream")?;
    send(output, parts, |text| format!("data: {text}\n\n"))
}

fn send(output: &mut TcpStream, parts: Vec<Part>, frame: impl Fn(String) -> String) -> io::Result<bool> {
    for part in parts {
        match part {
            Part::Messages { text, times, every } => pump(output, frame(text).as_bytes(), times, every)?,
            Part::Bytes { bytes, times, every } => pump(output, &bytes, times, every)?,
            Part::Stop => return Ok(false),
        }
    }
    Ok(false)
}

/// The stream of changes.
fn listen(output: &mut TcpStream, role: Role) -> io::Result<bool> {
    match changes(role) {
        Some(changes) => events(output, vec![changes]),
        None => whole(output, "405 Method Not Allowed", "", b""),
    }
}

fn session(behaviour: Behaviour) -> Option<Vec<u8>> {
    match behaviour {
        Behaviour::SpacedSession => Some(b"a session; of=mine".to_vec()),
        Behaviour::BinarySession => Some(b"\xff\xfe\x80".to_vec()),
        Behaviour::LongSession => Some(b"s".repeat(100 * 1024)),
        Behaviour::EmptySession => Some(Vec::new()),
        _ => None,
    }
}

fn initialized(output: &mut TcpStream, session: &[u8], parts: Vec<Part>) -> io::Result<bool> {
    let Some(Part::Messages { text, .. }) = parts.into_iter().next() else { return Ok(false) };
    let head =
        format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n", text.len());
    output
        .write_all(&[head.as_bytes(), b"mcp-session-id: ", session, b"\r\n\r\n", text.as_bytes()].concat())?;
    Ok(true)
}

/// What a call is answered in ways that only HTTP has; none where the script has the answer.
fn call(output: &mut TcpStream, role: Role, request: &Request) -> io::Result<Option<bool>> {
    let path = &request.path;
    let stays_open = match role.behaviour {
        Behaviour::Redirects => {
            let elsewhere = path.replace("/redirects/", "/good/");
            whole(output, "307 Temporary Redirect", &format!("location: {elsewhere}\r\n"), b"")
        }
        Behaviour::RetryAfterAges => {
            whole(output, "503 Service Unavailable", &format!("retry-after: {AGES}\r\n"), b"")
        }
        Behaviour::Compresses => {
            // The beginning of a gzip file; nobody should get as far as what follows.
            let zeros = [b"\x1f\x8b\x08\0\0\0\0\0\0\x03".as_slice(), &[0; 4096]].concat();
            whole(output, "200 OK", "content-encoding: gzip\r\n", &zeros)
        }
        Behaviour::HugeHeader => {
            output.write_all(b"HTTP/1.1 200 OK\r\nx-huge: ")?;
            pump(output, &[b'x'; 4096], 4096, Duration::ZERO).map(|()| false)
        }
        Behaviour::ManyHeaders => {
            output.write_all(b"HTTP/1.1 200 OK\r\n")?;
            pump(output, b"x-many: x\r\n", 100_000, Duration::ZERO).map(|()| false)
        }
        Behaviour::ContinuesWithoutEnd => {
            let head = format!("HTTP/1.1 100 Continue\r\nx-padding: {}\r\n\r\n", "x".repeat(8_000));
            pump(output, head.as_bytes(), FOR_EVER, Duration::ZERO).map(|()| false)
        }
        Behaviour::HeadAlone => {
            let head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n";
            output.write_all(head)?;
            silence(output)
        }
        Behaviour::ResumesWithoutEnd => {
            events(output, vec![Part::Bytes { bytes: RESUME.into(), times: 1, every: Duration::ZERO }])
        }
        Behaviour::EventsWithoutEnd => {
            let text = notification("message", &json!({"level": "info", "data": "x"})).to_string();
            events(output, vec![Part::Messages { text, times: FOR_EVER, every: Duration::ZERO }])
        }
        Behaviour::AnswersTwice
        | Behaviour::TellsProgress
        | Behaviour::PullsTheRug
        | Behaviour::Floods
        | Behaviour::AsksWithoutEnd
            if role.era == Era::Legacy || role.behaviour != Behaviour::AsksWithoutEnd =>
        {
            events(output, answer(role, &request.message))
        }
        _ => return Ok(None),
    };
    stays_open.map(Some)
}
