//! Passing the audit log on: what arrives, what waits while nobody takes it, and who waits for that.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use quaymaster_core::{Arguments, ErrorCode, Reply};
use quaymaster_gateway::{Gateway, Office, StartError};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::installation::{SETTINGS, folder, options, start};

const PATIENCE: Duration = Duration::from_secs(30);

/// A gateway that serves, with these sinks.
struct Served {
    gateway: Arc<Gateway>,
    stop: CancellationToken,
    serving: tokio::task::JoinHandle<()>,
}

impl Served {
    async fn start(folder: &Path, sinks: &str) -> Self {
        let settings =
            format!("{SETTINGS}listen: {{ address: '127.0.0.1:0' }}\naudit: {{ sinks: [{sinks}] }}\n");
        std::fs::write(folder.join("quaymaster.yaml"), settings).expect("a file");
        let gateway = start(folder).await.expect("started");
        let listener = gateway.listen().await.expect("a port");
        let stop = CancellationToken::new();
        let serving = tokio::spawn(Arc::clone(&gateway).serve(listener, stop.clone()));
        Self { gateway, stop, serving }
    }

    async fn call(&self) -> Reply {
        let arguments = Arguments::parse(None).expect("no arguments");
        let called =
            self.gateway.call_as_local_user("numbers_far", arguments, CancellationToken::new()).await;
        called.expect("a local user")
    }

    async fn end(self) {
        self.stop.cancel();
        self.serving.await.expect("served");
        self.gateway.shutdown().await;
    }
}

/// The numbers of all records of the log.
async fn recorded(folder: &Path) -> u64 {
    let store = Office::open_records(options(folder)).await.expect("the log");
    store.audit_tree().await.expect("a tree").size
}

async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let waited = tokio::time::timeout(PATIENCE, async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    waited.await.unwrap_or_else(|_| panic!("{what} never came about"));
}

fn seq(record: &str) -> u64 {
    let record: Value = serde_json::from_str(record).expect("JSON");
    record.get("seq").and_then(Value::as_u64).expect("a number")
}

fn lines(file: &Path) -> Vec<String> {
    std::fs::read_to_string(file).unwrap_or_default().lines().map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_gets_every_record_once_over_all_starts() {
    let folder = folder();
    let file = folder.path().join("passed-on.jsonl");
    let sink = "{ name: file, to: 'file:passed-on.jsonl' }";
    for _ in 0..2 {
        let served = Served::start(folder.path(), sink).await;
        served.call().await;
        let before = lines(&file).len();
        until("the records of the call", || {
            lines(&file).iter().skip(before).any(|line| line.contains("call.outcome"))
        })
        .await;
        served.end().await;
    }
    let seqs: Vec<u64> = lines(&file).iter().map(|line| seq(line)).collect();
    assert_eq!(seqs, (0..seqs.len() as u64).collect::<Vec<_>>());
    assert!(seqs.len() as u64 >= recorded(folder.path()).await - 2, "what came after the last look waits");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(&file).expect("the file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}

/// Reads syslog messages, each behind its length, until the sender is at its end.
async fn messages(mut stream: TcpStream) -> Vec<String> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.expect("read");
    let (mut text, mut found) = (String::from_utf8(bytes).expect("UTF-8"), Vec::new());
    while let Some((length, rest)) = text.split_once(' ') {
        let (message, rest) = rest.split_at(length.parse().expect("a length"));
        found.push(message.split_once('\u{feff}').expect("a message").1.to_owned());
        text = rest.to_owned();
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_is_down_loses_nothing_and_calls_wait_for_it_where_that_is_configured() {
    let folder = folder();
    let port = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = port.local_addr().expect("bound");
    drop(port);
    let sink = format!("{{ name: siem, to: 'tcp://{address}', maxBehind: 12, onBehind: refuse }}");
    let served = Served::start(folder.path(), &sink).await;
    let mut refused = None;
    let tried = tokio::time::timeout(PATIENCE, async {
        while refused.is_none() {
            refused = served.call().await.code;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    tried.await.expect("it is too far behind");
    assert_eq!(refused, Some(ErrorCode::AuditUnavailable));
    assert!(served.gateway.metrics().contains("quaymaster_audit_sink_behind_records{sink=\"siem\"}"));

    let listener = TcpListener::bind(address).await.expect("the same port");
    let (told, mut arrived) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            for message in messages(stream).await {
                let _ = told.send(message);
            }
        }
    });
    let again = tokio::time::timeout(PATIENCE, async {
        while served.call().await.code.is_some() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    again.await.expect("calls go on");
    let mut next = 0;
    while next < 14 {
        let message =
            tokio::time::timeout(PATIENCE, arrived.recv()).await.expect("in time").expect("a message");
        assert_eq!(seq(&message), next, "every record, in order");
        next += 1;
    }
    served.end().await;
}

/// Reads one request; gives its body.
async fn request(stream: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    loop {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head
            .lines()
            .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
        if body.len() >= length.unwrap_or(0) {
            assert!(head.starts_with("POST /v1/logs "), "{head}");
            return Some(body.to_owned());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_refuses_is_asked_again_with_the_same_records() {
    let folder = folder();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    let (told, mut arrived) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        let mut answers = ["503 Service Unavailable", "429 Too Many Requests"].into_iter();
        while let Ok((mut stream, _)) = listener.accept().await {
            let Some(body) = request(&mut stream).await else { continue };
            let status = answers.next().unwrap_or("200 OK");
            let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            let _ = stream.write_all(answer.as_bytes()).await;
            let _ = told.send((status, body));
        }
    });
    let sink = format!("{{ name: collector, to: 'http://{address}/v1/logs' }}");
    let served = Served::start(folder.path(), &sink).await;
    served.call().await;
    let mut taken = Vec::new();
    // The start, the configuration, and the two of the call.
    while taken.len() < 4 {
        let (status, body) =
            tokio::time::timeout(PATIENCE, arrived.recv()).await.expect("in time").expect("a request");
        let body: Value = serde_json::from_str(&body).expect("JSON");
        let records =
            body["resourceLogs"][0]["scopeLogs"][0]["logRecords"].as_array().expect("records").clone();
        let seqs =
            records.iter().map(|record| seq(record["body"]["stringValue"].as_str().expect("a record")));
        if status == "200 OK" {
            taken.extend(seqs);
        }
    }
    assert_eq!(taken, (0..taken.len() as u64).collect::<Vec<_>>(), "refused ones came again, none was lost");
    served.end().await;
}

#[tokio::test]
async fn a_sink_that_would_send_in_the_clear_or_is_none_is_refused() {
    let folder = folder();
    let sinks = [
        "{ name: a, to: 'tcp://192.0.2.1:601' }",
        "{ name: a, to: 'somewhere' }",
        "{ name: a, to: 'tcp://127.0.0.1:601', format: ocsf }",
        "{ name: a, to: 'file:x', token: '${secret:T}' }",
        "{ name: a, to: 'file:x' }, { name: a, to: 'file:y' }",
    ];
    let mut said = Vec::new();
    for sink in sinks {
        let settings = format!("{SETTINGS}audit: {{ sinks: [{sink}] }}\n");
        std::fs::write(folder.path().join("quaymaster.yaml"), settings).expect("a file");
        match start(folder.path()).await {
            Err(StartError::Configuration(found)) => {
                said.extend(found.iter().map(|problem| problem.message.clone()));
            }
            other => panic!("expected a refusal of {sink}: {other:?}"),
        }
    }
    insta::assert_snapshot!(said.join("\n"));
}
