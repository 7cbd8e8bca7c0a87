//! What a scraper reads, of a gateway whose upstreams come and go.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use quaymaster_connectors::mcp::Health;
use quaymaster_core::Arguments;
use quaymaster_gateway::Gateway;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use crate::installation::{SETTINGS, folder, start};

const PATIENCE: Duration = Duration::from_secs(30);

/// A connector called NAME; its server is a program that is not there.
const CONNECTOR: &str = "\
apiVersion: connector/v1
kind: Connector
metadata:
  name: NAME
  version: 1.0.0
  owner: { team: a, contact: a@example.test }
  workspaces: [sales]
spec:
  engine: mcp
  enabled: ENABLED
  prefix: NAME
  server: { transport: stdio, command: /nowhere/not-there }
  limits: { timeout: 20s }
  classification: { default: internal }
  tools:
    - { name: echo, effect: read, access: { roles: [analyst] } }
";

fn write(folder: &Path, name: &str, enabled: bool) {
    let text = CONNECTOR.replace("NAME", name).replace("ENABLED", &enabled.to_string());
    std::fs::write(folder.join("connectors").join(name).with_extension("yaml"), text).expect("a file");
}

/// A gateway that listens for clients and for scrapers; the addresses of both.
struct Served {
    gateway: Arc<Gateway>,
    clients: String,
    scrapers: String,
    stop: CancellationToken,
}

impl Served {
    async fn start(folder: &Path) -> Self {
        let listen = "listen: { address: '127.0.0.1:0', metrics: '127.0.0.1:0' }\n";
        std::fs::write(folder.join("quaymaster.yaml"), format!("{SETTINGS}{listen}")).expect("a file");
        let gateway = start(folder).await.expect("started");
        let listener = gateway.listen().await.expect("a port");
        let metrics = gateway.listen_for_metrics().await.expect("a port").expect("it is configured");
        let address = |listener: &tokio::net::TcpListener| listener.local_addr().expect("bound").to_string();
        let (clients, scrapers) = (address(&listener), address(&metrics));
        let stop = CancellationToken::new();
        tokio::spawn(Arc::clone(&gateway).serve_metrics(metrics));
        tokio::spawn(Arc::clone(&gateway).serve(listener, stop.clone()));
        Self { gateway, clients, scrapers, stop }
    }

    async fn scrape(&self) -> Scrape {
        let answer = get(&self.scrapers, "/metrics", &self.scrapers).await;
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        assert!(head.contains("content-type: application/openmetrics-text; version=1.0.0"), "{head}");
        Scrape::read(body)
    }

    async fn end(self) {
        self.stop.cancel();
        self.gateway.shutdown().await;
    }
}

async fn get(address: &str, path: &str, host: &str) -> String {
    let mut stream = TcpStream::connect(address).await.expect("connected");
    let request = format!("GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer");
    answer
}

/// Samples by name and labels.
struct Scrape(BTreeMap<String, f64>);

impl Scrape {
    /// Reads `text` by the rules of `OpenMetrics` 1.0: families in one piece, each declared once and
    /// before its samples, which have its name and a suffix of its type; no sample twice; buckets
    /// that grow up to the count; `# EOF` at the end and nowhere else.
    fn read(text: &str) -> Self {
        let body = text.strip_suffix("# EOF\n").unwrap_or_else(|| panic!("it is cut: {text}"));
        let (mut families, mut samples) = (BTreeSet::new(), BTreeMap::new());
        let (mut family, mut kind) = ("", "");
        let mut bucket: f64 = 0.0;
        for line in body.lines() {
            if let Some(described) = line.strip_prefix("# ") {
                let mut words = described.splitn(3, ' ');
                let (what, name) = (words.next().expect("a word"), words.next().expect("a name"));
                if what == "HELP" {
                    assert!(families.insert(name), "{name} is declared twice");
                    (family, bucket) = (name, 0.0);
                } else {
                    assert_eq!(name, family, "{line}");
                }
                match (what, words.next().expect("a text")) {
                    ("TYPE", told) => kind = told,
                    ("UNIT", told) => assert!(name.ends_with(told), "{line}"),
                    (what, _) => assert_eq!(what, "HELP", "{line}"),
                }
                continue;
            }
            let (key, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("no value: {line}"));
            let value: f64 = value.parse().unwrap_or_else(|e| panic!("{e}: {line}"));
            let (name, labels) = key.split_once('{').unwrap_or((key, "}"));
            assert!(labels.ends_with('}'), "{line}");
            let suffix = name.strip_prefix(family).unwrap_or_else(|| panic!("{line} is not of {family}"));
            let suffixes: &[&str] = match kind {
                "gauge" => &[""],
                "counter" => &["_total"],
                "histogram" => &["_sum", "_count", "_bucket"],
                other => panic!("no type: {other}"),
            };
            assert!(suffixes.contains(&suffix), "{line}");
            if suffix == "_bucket" {
                assert!(value >= bucket, "{line}");
                bucket = value;
            }
            if labels == "le=\"+Inf\"}" {
                assert_eq!(samples.get(&format!("{family}_count")), Some(&value), "{line}");
            }
            assert!(samples.insert(key.to_owned(), value).is_none(), "{key} is told twice");
        }
        Self(samples)
    }

    fn value(&self, key: &str) -> f64 {
        *self.0.get(key).unwrap_or_else(|| panic!("no {key}: {:?}", self.0))
    }

    /// The upstreams with the state that each is in. In all others it is not.
    fn states(&self) -> BTreeMap<String, String> {
        let mut states = BTreeMap::new();
        let mut told: BTreeMap<String, usize> = BTreeMap::new();
        for (key, value) in &self.0 {
            let Some(labels) = key.strip_prefix("quaymaster_upstream_state{connector=\"") else { continue };
            let (connector, state) = labels.split_once("\",state=\"").expect("two labels");
            *told.entry(connector.to_owned()).or_default() += 1;
            if *value > 0.5 {
                let state = state.trim_end_matches("\"}").to_owned();
                assert!(states.insert(connector.to_owned(), state).is_none(), "{connector} is in two");
            }
        }
        assert!(told.values().all(|states| *states == Health::ALL.len()), "{told:?}");
        assert_eq!(told.len(), states.len(), "each is in one");
        states
    }
}

#[tokio::test]
async fn a_scrape_shows_the_state_of_each_upstream_and_what_became_of_calls() {
    let folder = folder();
    write(folder.path(), "yard", true);
    write(folder.path(), "attic", false);
    let served = Served::start(folder.path()).await;
    let before = served.scrape().await;
    let states = [("attic", "disabled"), ("yard", "missing")];
    assert_eq!(before.states(), states.map(|(name, state)| (name.to_owned(), state.to_owned())).into());
    for tool in ["numbers_near", "numbers_far", "nothing"] {
        let (none, cancel) = (Arguments::parse(None).expect("none"), CancellationToken::new());
        served.gateway.call_as_local_user(tool, none, cancel).await.expect("a local user");
    }
    let scrape = served.scrape().await;
    assert!(scrape.value("quaymaster_calls_total{code=\"ok\"}") > 1.5);
    assert!(scrape.value("quaymaster_calls_total{code=\"tool.not_found\"}") > 0.5);
    assert!(scrape.value("quaymaster_call_duration_seconds_count") > 2.5);
    let added = scrape.value("quaymaster_call_added_seconds_count");
    assert!(added > 1.5 && added < 2.5, "one reached no system: {added}");
    assert!(scrape.value("quaymaster_calls_in_flight") < 0.5);
    served.end().await;
}

#[tokio::test]
async fn connections_and_refused_requests_of_clients_are_counted() {
    let served_folder = folder();
    let served = Served::start(served_folder.path()).await;
    let held = TcpStream::connect(&served.clients).await.expect("connected");
    assert!(get(&served.clients, "/mcp", &served.clients).await.starts_with("HTTP/1.1 401"));
    let counted = async {
        let mut ticks = tokio::time::interval(Duration::from_millis(5));
        loop {
            let scrape = served.scrape().await;
            let connections = scrape.value("quaymaster_connections");
            let refused = scrape.value("quaymaster_refused_requests_total{code=\"auth.missing\"}");
            if connections > 0.5 && connections < 1.5 && refused > 0.5 {
                return;
            }
            ticks.tick().await;
        }
    };
    tokio::time::timeout(PATIENCE, counted).await.expect("both are told");
    drop(held);
    served.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scrape_can_be_read_whatever_changes_meanwhile() {
    let folder = folder();
    let served = Served::start(folder.path()).await;
    let mut seen = BTreeSet::new();
    for round in 0..6 {
        let path = folder.path().join("connectors/yard.yaml");
        match round % 3 {
            0 => write(folder.path(), "yard", false),
            1 => write(folder.path(), "yard", true),
            _ => std::fs::remove_file(path).expect("removed"),
        }
        served.gateway.reload_now();
        let expected = [Some("disabled"), Some("missing"), None][round % 3];
        let changed = async {
            loop {
                let (none, cancel) = (Arguments::parse(None).expect("none"), CancellationToken::new());
                let (scrape, _) = tokio::join!(
                    served.scrape(),
                    served.gateway.call_as_local_user("numbers_far", none, cancel)
                );
                let state = scrape.states().remove("yard");
                seen.extend(state.clone());
                if state.as_deref() == expected {
                    return;
                }
            }
        };
        tokio::time::timeout(PATIENCE, changed).await.expect("it is seen in time");
    }
    assert!(seen.contains("disabled") && seen.contains("missing"), "{seen:?}");
    served.end().await;
}

#[tokio::test]
async fn metrics_are_on_their_own_port_alone_and_for_no_web_page() {
    let folder = folder();
    write(folder.path(), "yard", true);
    let served = Served::start(folder.path()).await;
    let of_clients = get(&served.clients, "/metrics", &served.clients).await;
    assert!(of_clients.starts_with("HTTP/1.1 404") && !of_clients.contains("yard"), "{of_clients}");
    let of_page = get(&served.scrapers, "/metrics", "evil.example.test").await;
    assert!(of_page.starts_with("HTTP/1.1 403") && !of_page.contains("yard"), "{of_page}");
    assert!(get(&served.scrapers, "/mcp", &served.scrapers).await.starts_with("HTTP/1.1 404"));
    served.end().await;
}

#[tokio::test]
async fn without_an_address_there_are_no_metrics() {
    let folder = folder();
    let gateway = start(folder.path()).await.expect("started");
    assert!(gateway.listen_for_metrics().await.expect("nothing to open").is_none());
    gateway.shutdown().await;
}
