//! What comes of a bad client over standard input and output.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use super::behaviour::{Behaviour, Era, Over};
use super::caller::{code, modern};
use super::footprint::{Footprint, peak_of, processes};
use super::installation::{Gateway, Upstream};
use super::servers::settled;
use crate::gateway::{BINARY, eventually};

/// How many requests are sent before one answer is read.
const REQUESTS: usize = 2_000;

const PEAK_KIB: usize = 200 * 1024;

const NEVER: Upstream = Upstream { behaviour: Behaviour::NeverAnswers, era: Era::Modern, over: Over::Stdio };

/// `quaymaster stdio` and its ends.
struct Pipe {
    process: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Pipe {
    fn open(folder: &Path) -> Self {
        let mut process = Command::new(BINARY)
            .args(["stdio", "-c"])
            .arg(folder)
            .env("RUST_LOG", "error")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the binary");
        let input = process.stdin.take().expect("a pipe");
        let output = BufReader::new(process.stdout.take().expect("a pipe"));
        Self { process, input, output }
    }

    fn send(&mut self, line: &[u8]) {
        self.input.write_all(&[line, b"\n"].concat()).expect("sent");
    }

    fn read(&mut self) -> Value {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("a line");
        serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line}"))
    }

    fn ask(&mut self, line: &[u8]) -> Value {
        self.send(line);
        self.read()
    }
}

fn request(id: usize, method: &str, params: Value) -> String {
    json!({"jsonrpc": "2.0", "id": id, "method": method, "params": modern(params)}).to_string()
}

fn call(id: usize) -> String {
    request(id, "tools/call", json!({"name": NEVER.tool(), "arguments": {}}))
}

/// What it does to its other end.
type Part = fn(&mut Pipe);

/// Sends without reading until nothing is taken any more, and then reads all answers.
fn pipelines_without_reading(pipe: &mut Pipe) {
    let sent = AtomicUsize::new(0);
    let (input, output) = (&mut pipe.input, &mut pipe.output);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for id in 0..REQUESTS {
                input.write_all((request(id, "tools/list", json!({})) + "\n").as_bytes()).expect("sent");
                sent.fetch_add(1, Ordering::SeqCst);
            }
        });
        let mut before = usize::MAX;
        while std::mem::replace(&mut before, sent.load(Ordering::SeqCst)) != before || before == 0 {
            std::thread::sleep(Duration::from_secs(1));
        }
        assert!(before < REQUESTS, "who does not read is read without end");
        for id in 0..REQUESTS {
            let mut line = String::new();
            output.read_line(&mut line).expect("a line");
            let answer: Value = serde_json::from_str(&line).expect("JSON");
            assert_eq!(answer["id"], id, "{line}");
        }
    });
}

fn sends_bombs(pipe: &mut Pipe) {
    let batch = Value::Array(vec![json!({"jsonrpc": "2.0", "id": 1, "method": "ping"}); 20_000]).to_string();
    let depth = 500_000;
    let deep = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{}1{}}}"#,
        "[".repeat(depth),
        "]".repeat(depth)
    );
    let bombs: [&[u8]; 6] = [
        batch.as_bytes(),
        deep.as_bytes(),
        b"\xff\xfe",
        b"{",
        &vec![b'x'; 100 * 1024 * 1024],
        br#"{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}"#,
    ];
    for bomb in bombs {
        let answer = pipe.ask(bomb);
        assert!(answer["error"]["code"].is_i64(), "{answer}");
    }
}

/// Begins more calls than fit, with each id twice, and takes all of them back.
fn calls_too_often_and_cancels_everything(pipe: &mut Pipe) {
    for id in 0..256 {
        pipe.send(call(id).as_bytes());
    }
    for id in 0..256 {
        let twice = pipe.ask(call(id).as_bytes());
        assert_eq!((&twice["id"], code(&twice)), (&json!(id), "input.invalid".to_owned()), "{twice}");
    }
    let refused = pipe.ask(call(256).as_bytes());
    assert_eq!(refused["error"]["data"], json!({"code": "gateway.overloaded", "retry_after_seconds": 1}));
    for id in (0..1_000).map(Value::from).chain([json!("1"), json!(null), json!([])]) {
        let params = modern(json!({"requestId": id}));
        let line = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params});
        pipe.send(line.to_string().as_bytes());
    }
    // What was taken back is not answered, and what is no id takes nothing back.
    let next = pipe.ask(request(1_000, "tools/list", json!({})).as_bytes());
    assert_eq!(next["id"], 1_000, "{next}");
}

#[test]
fn a_bad_client_over_standard_streams_harms_nobody_and_leaves_nothing() {
    let gateway = Gateway::start();
    let others = gateway.caller("bo");
    gateway.connect(&[NEVER], "5s");
    assert_eq!(settled(&others, &[NEVER]), [""; 0]);
    let before = processes(gateway.mark()).len();
    Gateway::others_are_served_during(&others, || {
        let mut pipe = Pipe::open(gateway.folder());
        while !pipe.ask(request(1, "tools/list", json!({})).as_bytes()).to_string().contains(&NEVER.tool()) {}
        let parts: [(&str, Part); 3] = [
            ("pipelines without reading", pipelines_without_reading),
            ("sends bombs", sends_bombs),
            ("calls too often", calls_too_often_and_cancels_everything),
        ];
        let its = (pipe.process.id(), gateway.mark());
        let held = Footprint::outside(its.0, its.1);
        for (name, part) in parts {
            part(&mut pipe);
            held.is_back_outside(its, name);
        }
        let peak = peak_of(pipe.process.id());
        assert!(peak < PEAK_KIB, "{peak} KiB");
        // It is gone in the middle of a call.
        pipe.send(call(1_001).as_bytes());
        let Pipe { mut process, input, output } = pipe;
        drop((input, output));
        let ended = process.wait().expect("reaped");
        assert!(ended.success(), "{ended}");
    });
    eventually("the end of its servers", || processes(gateway.mark()).len() == before);
}
