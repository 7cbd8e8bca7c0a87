//! Credentials that change, are refused, are the caller's own, or come back.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use quaymaster_core::{CallerToken, Found, LiveSecret, Renewal, SecretValue};

use super::scripted::{Reply, Scripted, event, legacy, modern, text};
use super::*;

const KEY: &str = "first-key-0001";
const NEXT: &str = "other-key-0002";

/// A source that has another value after it was asked for one that was refused.
#[derive(Debug)]
struct Rotating {
    values: [Arc<SecretValue>; 2],
    at: AtomicUsize,
    asked: AtomicUsize,
}

impl Rotating {
    fn new() -> Arc<Self> {
        let value = |generation, text: &str| {
            Arc::new(SecretValue { generation, text: format!("Bearer {text}").into() })
        };
        let values = [value(0, KEY), value(1, NEXT)];
        Arc::new(Self { values, at: AtomicUsize::new(0), asked: AtomicUsize::new(0) })
    }

    fn value(&self) -> Arc<SecretValue> {
        Arc::clone(&self.values[self.at.load(Ordering::SeqCst)])
    }
}

impl LiveSecret for Rotating {
    fn now(&self) -> Option<Arc<SecretValue>> {
        Some(self.value())
    }

    fn renew(&self, rejected: Option<u64>) -> Renewal<'_> {
        if rejected.is_some() {
            self.asked.fetch_add(1, Ordering::SeqCst);
            self.at.store(1, Ordering::SeqCst);
        }
        Box::pin(std::future::ready(Ok(self.value())))
    }
}

struct Source(Arc<Rotating>);

impl SecretSource for Source {
    fn resolve(&self, _: &SecretRef) -> Result<secrecy::SecretString, SecretError> {
        Ok(self.0.value().text.clone())
    }

    fn follow(&self, _: &SecretRef) -> Result<Arc<dyn LiveSecret>, SecretError> {
        Ok(Arc::clone(&self.0) as _)
    }
}

async fn connected(server: &Scripted, rotating: &Arc<Rotating>) -> Arc<McpConnector> {
    let mut spec = server.spec(&["go"]);
    spec["server"]["headers"] = json!({"Authorization": "${secret:API_KEY}"});
    let settings = check::settings(file(spec), &Source(Arc::clone(rotating)), &PathBuf::from("/"));
    let mut settings = settings.unwrap_or_else(|problems| panic!("a good connector file: {problems:#?}"));
    settings.pace = QUICK;
    let connector = McpConnector::of(settings);
    connector.start();
    assert_eq!(connector.ready(PATIENCE).await.health, Health::Ready, "{:?}", connector.state());
    connector
}

/// A server that takes `key` until it takes `NEXT` alone; its refusals repeat what it was sent.
fn strict<T: Fn(&scripted::Seen) -> Reply + Send + Sync + 'static>(
    accepted: &Arc<Mutex<String>>,
    inner: T,
) -> impl Fn(&scripted::Seen) -> Reply + Send + Sync + use<T> {
    let accepted = Arc::clone(accepted);
    move |seen| {
        let sent = seen.header("authorization").unwrap_or_default();
        if sent == format!("Bearer {}", accepted.lock().expect("no panic")) {
            return inner(seen);
        }
        let body = json!({"jsonrpc": "2.0", "id": seen.message["id"],
            "error": {"code": -32001, "message": format!("not let in with {sent}")}});
        Reply::status(401, &body.to_string())
    }
}

#[tokio::test]
async fn a_refused_credential_is_asked_for_again_and_the_call_is_made_with_another_one() {
    let accepted = Arc::new(Mutex::new(KEY.to_owned()));
    let server = Scripted::serve(strict(&accepted, legacy(&["go"], |seen| seen.result(text("done"))))).await;
    let rotating = Rotating::new();
    let connector = connected(&server, &rotating).await;
    assert_eq!(read("go").text(&connector).await, "done");
    NEXT.clone_into(&mut accepted.lock().expect("no panic"));
    let mut call = write("go");
    assert_eq!(call.text(&connector).await, "done", "a write that was not let in has not happened");
    assert_eq!(call.retries, 1);
    assert_eq!(read("go").text(&connector).await, "done");
    assert_eq!(rotating.asked.load(Ordering::SeqCst), 1);
    let server_calls = server.count("tools/call");
    assert_eq!(server_calls, 4, "one was refused");
}

#[tokio::test]
async fn a_credential_that_is_refused_again_is_told_without_itself() {
    let accepted = Arc::new(Mutex::new(KEY.to_owned()));
    let server = Scripted::serve(strict(&accepted, modern(&["go"], |seen| seen.result(text("done"))))).await;
    let connector = connected(&server, &Rotating::new()).await;
    "nothing-of-ours".clone_into(&mut accepted.lock().expect("no panic"));
    let error = read("go").on(&connector).await.expect_err("refused");
    // The server has answered the request itself; what it said is kept for release.
    assert!(error.starts_with("upstream.error") && !error.contains("key-000"), "{error}");
    assert_eq!(server.count("tools/call"), 2);
}

#[tokio::test]
async fn what_a_server_was_sent_does_not_come_back_in_whatever_it_says() {
    let encoded = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, format!("x{KEY}"));
    let says = format!("{KEY} and Bearer {KEY} and {encoded}");
    let answer = move |seen: &scripted::Seen| match seen.message["params"]["arguments"]["how"].as_str() {
        Some("error") => seen.error(-32000, &says),
        Some("stream") => {
            let result = json!({"jsonrpc": "2.0", "id": seen.message["id"], "result": text(&says)});
            Reply::Stream { parts: vec![event(&result)], end: scripted::End::Ends }
        }
        Some("id") => seen.result(text("done")).with("x-request-id", KEY),
        _ => seen.result(text(&says)),
    };
    let server = Scripted::serve(modern(&["go"], answer)).await;
    let connector = connected(&server, &Rotating::new()).await;
    for how in ["result", "stream"] {
        let told = read("go").with(json!({"how": how})).text(&connector).await;
        assert_eq!(told, "[secret] and [secret] and eG[secret]");
    }
    let mut call = read("go").with(json!({"how": "id"}));
    assert_eq!(call.text(&connector).await, "done");
    assert!(call.upstream_ids.is_empty());
    let mut call = read("go").with(json!({"how": "error"}));
    let error = call.on(&connector).await.expect_err("an error");
    assert!(!error.contains(KEY), "{error}");
}

/// What callers have stored.
#[derive(Debug, Default)]
struct Stored {
    tokens: Mutex<BTreeMap<String, Arc<CallerToken>>>,
    looked: AtomicU64,
}

impl Stored {
    fn put(&self, actor: &str, version: u64, text: &str) {
        let token = Arc::new(CallerToken { version, text: text.into() });
        self.tokens.lock().expect("no panic").insert(actor.into(), token);
    }
}

impl CallerTokens for Stored {
    fn find<'a>(&'a self, connector: &'a Slug, actor: &'a Actor, refused: Option<u64>) -> Found<'a> {
        assert_eq!(connector.as_str(), "upstream");
        self.looked.fetch_add(u64::from(refused.is_some()), Ordering::SeqCst);
        let found = self.tokens.lock().expect("no panic").get(actor.id.as_str()).cloned();
        Box::pin(std::future::ready(Ok(found)))
    }
}

fn as_caller(name: &str, stored: &Arc<Stored>) -> Call {
    let tokens: Arc<dyn CallerTokens> = Arc::clone(stored) as _;
    Call { actor: actor(name), tokens: Some(tokens), ..read("go") }
}

#[tokio::test]
async fn a_call_is_made_with_the_token_of_its_caller_and_of_nobody_else() {
    let server = Scripted::serve(modern(&["go"], |seen| {
        let sent = seen.header("authorization").unwrap_or("nothing").to_owned();
        seen.result(text(&format!("{} got {}", sent.len(), sent)))
    }))
    .await;
    let mut spec = server.spec(&["go"]);
    spec["server"]["callerToken"] = json!({});
    let connector = started(spec).await;
    let stored = Arc::new(Stored::default());
    stored.put("ada", 1, "token-of-ada-1");
    stored.put("bo", 1, "token-of-bo-22");
    for name in ["ada", "bo"] {
        assert_eq!(as_caller(name, &stored).text(&connector).await, "21 got Bearer [secret]");
    }
    let error = as_caller("cy", &stored).on(&connector).await.expect_err("nothing is stored");
    assert!(error.starts_with("upstream.auth_required"), "{error}");
    assert_eq!(read("go").code(&connector).await, "upstream.auth_required", "there is no vault");
    let requests = server.requests.lock().expect("no panic").clone();
    let sent = |seen: &scripted::Seen| seen.header("authorization").map(str::to_owned);
    let (calls, others): (Vec<_>, Vec<_>) = requests.iter().partition(|seen| seen.method() == "tools/call");
    let calls: Vec<_> = calls.into_iter().filter_map(sent).collect();
    assert_eq!(calls, ["Bearer token-of-ada-1", "Bearer token-of-bo-22"]);
    assert!(others.into_iter().all(|seen| sent(seen).is_none()), "a listing is nobody's");
}

#[tokio::test]
async fn a_refused_token_is_looked_up_again_and_its_caller_is_told() {
    let server = Scripted::serve(modern(&["go"], |seen| match seen.header("authorization") {
        Some("Bearer token-of-ada-2") => seen.result(text("done")),
        _ => Reply::status(401, ""),
    }))
    .await;
    let mut spec = server.spec(&["go"]);
    spec["server"]["callerToken"] = json!({});
    let connector = started(spec).await;
    let stored = Arc::new(Stored::default());
    stored.put("ada", 1, "token-of-ada-1");
    let mut call = as_caller("ada", &stored);
    assert_eq!(call.code(&connector).await, "upstream.auth_required");
    assert_eq!((call.retries, stored.looked.load(Ordering::SeqCst)), (0, 1));
    stored.put("ada", 2, "token-of-ada-2");
    assert_eq!(as_caller("ada", &stored).text(&connector).await, "done");
    assert_eq!(connector.state().health, Health::Ready, "a caller's token is no fault of the server's");
}
