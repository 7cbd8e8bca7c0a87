//! Resources under policies that look at their addresses.

use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use quaymaster_connectors::Wire;
use quaymaster_control::crypto::SystemRandomness;
use quaymaster_core::clock::FixedClock;
use quaymaster_core::setting::Slug;
use quaymaster_core::{
    Actor, AgentClaims, Arguments, CallId, CallRequest, Caller, Clock, Kind, Reach, SystemClock, Timestamp,
};
use quaymaster_gateway::ingress::{Door, Shelf};
use quaymaster_gateway::{Gateway, StartOptions};
use serde_json::{Map, Value};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::installation::folder;

const CONNECTOR: &str = "\
apiVersion: connector/v1
kind: Connector
metadata:
  name: docs
  version: 1.0.0
  owner: { team: a, contact: a@example.test }
  workspaces: [sales]
spec:
  engine: mcp
  prefix: docs
  server: { transport: http, url: URL }
  limits: { timeout: 20s }
  classification: { default: internal }
  prompts:
    - { name: test_simple_prompt, access: { roles: [analyst] } }
    - { name: test_prompt_with_arguments, access: { roles: [analyst] } }
  resources:
    - { name: static, uri: \"test://static-*\", access: { roles: [analyst] } }
";

const POLICIES: &str = r#"
@id("no-binaries")
forbid (principal, action == Action::"call", resource == Tool::"docs_static")
when { context.arguments.uri like "test://static-b*" };

@id("no-greeting")
forbid (principal, action == Action::"call", resource == Tool::"docs_test_simple_prompt");
"#;

async fn gateway() -> (Child, tempfile::TempDir, Arc<Gateway>) {
    gateway_at(Arc::new(SystemClock), POLICIES).await
}

/// A gateway at another time, under other policies.
async fn gateway_at(clock: Arc<dyn Clock>, policies: &str) -> (Child, tempfile::TempDir, Arc<Gateway>) {
    let server = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/upstream/everything.mjs");
    let mut command = Command::new("node");
    command.arg(server).env("PORT", "0").stdout(Stdio::piped()).kill_on_drop(true);
    let mut server = command.spawn().expect("these tests need Node 18 or newer on the PATH");
    let mut lines = BufReader::new(server.stdout.take().expect("a pipe")).lines();
    let line = lines.next_line().await.expect("readable").expect("a line");
    let url = line.strip_prefix("upstream on ").expect("the address").to_owned();
    let folder = folder();
    std::fs::write(folder.path().join("connectors/docs.yaml"), CONNECTOR.replace("URL", &url))
        .expect("written");
    std::fs::write(folder.path().join("policies/docs.cedar"), policies).expect("written");
    let options =
        StartOptions { folder: folder.path().to_owned(), clock, randomness: Arc::new(SystemRandomness) };
    let gateway = Gateway::start(options).await.expect("policies may name prompts and resources");
    (server, folder, gateway)
}

fn analyst(gateway: &Gateway) -> Arc<Actor> {
    gateway.local_user().expect("a local user")
}

/// How a request for something ended: its code, or `ok`.
async fn ask(gateway: &Gateway, kind: Kind, name: &str) -> String {
    ask_on(gateway, Reach::All, kind, name).await
}

/// The same on a route.
async fn ask_on(gateway: &Gateway, reach: Reach, kind: Kind, name: &str) -> String {
    let reply = gateway.call(request(gateway, reach, kind, name), Wire::default()).await;
    reply.code.map_or_else(|| "ok".to_owned(), |code| code.to_string())
}

fn request(gateway: &Gateway, reach: Reach, kind: Kind, name: &str) -> CallRequest {
    let uri = (kind == Kind::Resource).then(|| ("uri".to_owned(), Value::from(name)));
    CallRequest {
        kind,
        id: CallId::new(&SystemClock, &SystemRandomness),
        received: SystemClock.now(),
        actor: analyst(gateway),
        reach,
        session: None,
        agent: AgentClaims::default(),
        trace_id: None,
        sampled: false,
        correlation_id: None,
        idempotency_key: None,
        tool: name.to_owned(),
        arguments: Arguments::from_map(uri.into_iter().collect::<Map<_, _>>()),
    }
}

fn names(gateway: &Gateway, shelf: Shelf, member: &str) -> Vec<String> {
    let listed = gateway.list(&analyst(gateway).into(), shelf);
    let objects: Vec<Value> = serde_json::from_str(&listed).expect("JSON");
    objects.iter().map(|object| object[member].as_str().expect("a text").to_owned()).collect()
}

#[tokio::test]
async fn what_a_policy_forbids_by_its_address_is_neither_listed_nor_watched_nor_read() {
    let (_server, _folder, gateway) = gateway().await;
    assert_eq!(names(&gateway, Shelf::Resources, "uri"), ["test://static-text"]);
    assert_eq!(ask(&gateway, Kind::Resource, "test://static-text").await, "ok");
    assert_eq!(ask(&gateway, Kind::Resource, "test://static-binary").await, "policy.denied");
    for other_spelling in
        ["test://static-%62inary", "test://static-./../static-binary", "TEST://static-binary"]
    {
        assert_eq!(ask(&gateway, Kind::Resource, other_spelling).await, "tool.not_found", "{other_spelling}");
    }
    let watched = |uri: &str| gateway.plane().watched_by(&analyst(&gateway), uri);
    assert_eq!([watched("test://static-text"), watched("test://static-binary")], [true, false]);
    gateway.shutdown().await;
}

#[tokio::test]
async fn what_a_policy_ties_to_a_time_is_listed_at_that_time() {
    let noon = Timestamp::parse("2026-11-18T12:00:00Z").expect("a time");
    let clock = Arc::new(FixedClock::new(noon));
    let by_day = r#"
        @id("by-day") forbid (principal, action == Action::"call", resource == Tool::"docs_static")
        when { context.time.hour >= 13 };
    "#;
    let (_server, _folder, gateway) = gateway_at(clock.clone(), by_day).await;
    let listed = || names(&gateway, Shelf::Resources, "uri");
    let by_noon = listed();
    assert!(by_noon.contains(&"test://static-text".to_owned()), "{by_noon:?}");
    clock.advance(Duration::from_hours(1));
    assert_eq!(listed(), Vec::<String>::new());
    clock.advance(Duration::from_hours(23));
    assert_eq!(listed(), by_noon);
    gateway.shutdown().await;
}

#[tokio::test]
async fn a_policy_may_name_a_prompt_and_then_it_does_not_exist() {
    let (_server, _folder, gateway) = gateway().await;
    assert_eq!(names(&gateway, Shelf::Prompts, "name"), ["docs_test_prompt_with_arguments"]);
    assert_eq!(ask(&gateway, Kind::Prompt, "docs_test_simple_prompt").await, "tool.not_found");
    // Nor do the values for its arguments, which no policy had to name.
    let completion = async |prompt: &str| ask(&gateway, Kind::Completion, &format!("prompt:{prompt}")).await;
    assert_eq!(completion("docs_test_simple_prompt").await, "tool.not_found");
    assert_eq!(completion("docs_test_prompt_with_arguments").await, "input.invalid", "it lacks its argument");
    gateway.shutdown().await;
}

#[tokio::test]
async fn on_the_route_of_a_server_its_prompts_and_resources_are_called_as_the_server_calls_them() {
    let (_server, _folder, gateway) = gateway().await;
    let docs = || Reach::One(Slug::parse("docs").expect("a name"));
    let caller = Caller { actor: analyst(&gateway), reach: docs() };
    let prompts: Vec<Value> = serde_json::from_str(&gateway.list(&caller, Shelf::Prompts)).expect("JSON");
    assert_eq!(
        prompts.iter().map(|prompt| &prompt["name"]).collect::<Vec<_>>(),
        ["test_prompt_with_arguments"]
    );
    let resources = gateway.list(&caller, Shelf::Resources);
    assert!(
        resources.contains("test://static-text") && !resources.contains("test://static-binary"),
        "{resources}"
    );
    assert_eq!(gateway.list(&caller, Shelf::Tools), "[]".into());
    assert!(gateway.completes(&caller));
    let ask = async |kind: Kind, name: &str| ask_on(&gateway, docs(), kind, name).await;
    assert_eq!(ask(Kind::Resource, "test://static-text").await, "ok");
    assert_eq!(ask(Kind::Resource, "test://static-binary").await, "policy.denied");
    assert_eq!(ask(Kind::Prompt, "test_simple_prompt").await, "tool.not_found", "hidden");
    assert_eq!(ask(Kind::Prompt, "docs_test_prompt_with_arguments").await, "tool.not_found", "no name here");
    let lacks_its_argument = "input.invalid";
    assert_eq!(ask(Kind::Prompt, "test_prompt_with_arguments").await, lacks_its_argument);
    assert_eq!(ask(Kind::Completion, "prompt:test_prompt_with_arguments").await, lacks_its_argument);
    assert_eq!(ask(Kind::Completion, "prompt:test_simple_prompt").await, "tool.not_found");
    let watched =
        |reach: Reach, uri: &str| gateway.watch(&Caller { actor: analyst(&gateway), reach }, uri).is_some();
    let numbers = Reach::One(Slug::parse("numbers").expect("a name"));
    assert!(watched(docs(), "test://static-text") && !watched(docs(), "test://static-binary"));
    assert!(!watched(numbers, "test://static-text"), "it is another server's");
    gateway.shutdown().await;
}

#[tokio::test]
async fn a_watch_leaves_the_records_of_a_read_and_so_does_one_that_is_refused() {
    let (_server, folder, gateway) = gateway().await;
    let mut expected = Vec::new();
    for (uri, code) in [
        ("test://static-text", None),
        ("test://static-binary", Some("policy.denied")),
        ("nobody://is", Some("tool.not_found")),
    ] {
        let request = request(&gateway, Reach::All, Kind::Resource, uri);
        let id = request.id.to_string();
        let watch = Gateway::begin_watch(&gateway, request).await;
        assert_eq!(watch.err().map(|error| error.code.as_str()), code, "{uri}");
        let events: &[&str] =
            if code.is_some() { &["call.refused"] } else { &["call.intent", "call.outcome"] };
        expected.extend(events.iter().map(|event| (id.clone(), Value::from(*event), code)));
    }
    gateway.shutdown().await;
    let records = crate::routes::records(folder.path()).await;
    let watches = records.iter().filter(|record| record["method"] == "resources/subscribe");
    let told: Vec<(String, Value, Option<&str>)> = watches
        .map(|record| {
            assert_eq!(record["tool"]["kind"], "resource");
            let id = record["call"].as_str().expect("a call").to_owned();
            (id, record["event"].clone(), record["code"].as_str())
        })
        .collect();
    assert_eq!(told, expected);
}
