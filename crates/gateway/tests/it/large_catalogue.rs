//! A search instead of a list that is too long.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use quaymaster_connectors::Wire;
use quaymaster_control::crypto::SystemRandomness;
use quaymaster_core::setting::Slug;
use quaymaster_core::{
    Actor, ActorId, AgentClaims, Arguments, CallId, CallRequest, Clock, ErrorCode, Kind, Reach, Reply,
    SystemClock,
};
use quaymaster_gateway::config::{SecretCheck, Style, load};
use quaymaster_gateway::ingress::{Door, Shelf};
use quaymaster_gateway::{Gateway, Office};
use serde_json::{Value, json};

use crate::installation::{folder, options, start};

/// Changes one text of a file.
pub(crate) fn change(folder: &Path, file: &str, from: &str, to: &str) {
    let path = folder.join(file);
    let text = std::fs::read_to_string(&path).expect("a file");
    assert!(text.contains(from), "{from}");
    std::fs::write(path, text.replace(from, to)).expect("written");
}

/// Two tools in `sales`, one in `lab`; whoever sees more than one searches.
fn searched() -> tempfile::TempDir {
    let folder = folder();
    let workspaces = "sales: { catalogue: { above: 1 } }, lab: { catalogue: { above: 1 } }";
    change(folder.path(), "quaymaster.yaml", "sales: {}, lab: {}", workspaces);
    folder
}

fn actor(gateway: &Gateway, name: &str, workspace: &str) -> Arc<Actor> {
    let user = gateway.local_user().expect("a local user");
    let id = ActorId::parse(name).expect("a name");
    Arc::new(Actor { id, workspace: Slug::parse(workspace).expect("a workspace"), ..Actor::clone(&user) })
}

pub(crate) async fn call(gateway: &Gateway, workspace: &str, tool: &str, arguments: Value) -> Reply {
    let request = CallRequest {
        kind: Kind::Tool,
        id: CallId::new(&SystemClock, &SystemRandomness),
        received: SystemClock.now(),
        actor: actor(gateway, "ana", workspace),
        reach: Reach::All,
        session: None,
        agent: AgentClaims::default(),
        trace_id: None,
        sampled: false,
        correlation_id: None,
        idempotency_key: None,
        tool: tool.to_owned(),
        arguments: Arguments::from_map(arguments.as_object().cloned().expect("an object")),
    };
    gateway.call(request, Wire::default()).await
}

fn result(reply: &Reply) -> Value {
    serde_json::from_str(&reply.result).expect("JSON")
}

fn listed(gateway: &Gateway, workspace: &str) -> Vec<String> {
    let listing = gateway.list(&actor(gateway, "ana", workspace).into(), Shelf::Tools);
    let tools: Vec<Value> = serde_json::from_str(&listing).expect("JSON");
    tools.iter().filter_map(|tool| tool["name"].as_str().map(ToOwned::to_owned)).collect()
}

async fn records(folder: &Path) -> Vec<Value> {
    let store = Office::open_records(options(folder)).await.expect("the log");
    let records = store.audit_read(0, 500).await.expect("records");
    store.close().await.expect("closed");
    records.iter().map(|record| serde_json::from_slice(&record.body).expect("JSON")).collect()
}

#[tokio::test]
async fn only_who_sees_more_tools_than_the_workspace_lists_searches() {
    let folder = searched();
    let gateway = start(folder.path()).await.expect("started");
    assert_eq!(listed(&gateway, "sales"), ["call_tool", "find_tools"]);
    assert_eq!(listed(&gateway, "lab"), ["numbers_far"]);
    for (tool, arguments) in [
        ("find_tools", json!({"query": "number"})),
        ("call_tool", json!({"name": "numbers_far", "arguments": {}})),
    ] {
        assert_eq!(call(&gateway, "sales", tool, arguments.clone()).await.code, None, "{tool}");
        let elsewhere = call(&gateway, "lab", tool, arguments).await;
        assert_eq!(elsewhere.code, Some(ErrorCode::ToolNotFound), "{tool}");
    }
    assert_eq!(call(&gateway, "sales", "numbers_far", json!({})).await.code, None, "its name is enough");
    gateway.shutdown().await;
}

#[tokio::test]
async fn a_search_can_be_always_or_never_and_where_nothing_is_seen_there_is_none() {
    let folder = folder();
    let workspaces = "sales: { catalogue: { search: never, above: 0 } }, lab: { catalogue: { search: always } }, \
                      empty: { catalogue: { search: always } }";
    change(folder.path(), "quaymaster.yaml", "sales: {}, lab: {}", workspaces);
    let gateway = start(folder.path()).await.expect("started");
    assert_eq!(listed(&gateway, "sales"), ["numbers_far", "numbers_near"]);
    assert_eq!(listed(&gateway, "lab"), ["call_tool", "find_tools"]);
    assert_eq!(listed(&gateway, "empty"), [""; 0]);
    let found = call(&gateway, "empty", "find_tools", json!({"query": "number"})).await;
    assert_eq!(found.code, Some(ErrorCode::ToolNotFound));
    gateway.shutdown().await;
}

#[tokio::test]
async fn what_is_found_is_what_the_list_would_have_said() {
    let folder = searched();
    let gateway = start(folder.path()).await.expect("started");
    let reply =
        call(&gateway, "sales", "find_tools", json!({"query": "numbers kept to one workspace"})).await;
    let result = result(&reply);
    insta::assert_snapshot!(serde_json::to_string_pretty(&result["structuredContent"]).expect("JSON"));
    let text: Value =
        serde_json::from_str(result["content"][0]["text"].as_str().expect("a text")).expect("JSON");
    assert_eq!(text, result["structuredContent"]);

    let nothing = call(&gateway, "sales", "find_tools", json!({"query": "weather"})).await;
    let nothing = self::result(&nothing);
    let expected = json!({"tools": [], "total": 0, "connectors": [{"name": "numbers", "tools": 2}]});
    assert_eq!(nothing["structuredContent"], expected);
    gateway.shutdown().await;
}

#[tokio::test]
async fn a_call_by_name_is_the_same_call_for_policy_audit_and_release() {
    let folder = searched();
    let gateway = start(folder.path()).await.expect("started");
    let direct = call(&gateway, "sales", "numbers_near", json!({})).await;
    let named = call(&gateway, "sales", "call_tool", json!({"name": "numbers_near"})).await;
    let without_id = |reply: &Reply| reply.result.replace(reply.audit_id.as_str(), "call_…");
    assert!(direct.code.is_none() && direct.result.contains("structuredContent"));
    let without_time = |text: String| {
        let mut value: Value = serde_json::from_str(&text).expect("JSON");
        value["structuredContent"]["data"]["stats"] = Value::Null;
        value
    };
    assert_eq!(without_time(without_id(&direct)), without_time(without_id(&named)));
    gateway.shutdown().await;

    let records = records(folder.path()).await;
    let of = |reply: &Reply| -> Vec<Value> {
        let mut records: Vec<Value> =
            records.iter().filter(|r| r["call"] == reply.audit_id.as_str()).cloned().collect();
        for record in &mut records {
            for changing in ["call", "duration_us", "seq", "time", "time_us"] {
                record.as_object_mut().expect("an object").remove(changing);
            }
            // The input is sealed, which gives other bytes each time.
            if let Some(decision) = record.get_mut("decision").and_then(Value::as_object_mut) {
                decision.remove("input");
            }
        }
        records
    };
    assert_eq!(of(&direct).len(), 2, "intent and outcome");
    assert_eq!(of(&direct)[0]["tool"]["name"], "numbers_near");
    assert_eq!(of(&direct), of(&named));
}

#[tokio::test]
async fn what_is_hidden_cannot_be_found_or_called_and_is_answered_like_what_does_not_exist() {
    let folder = folder();
    change(folder.path(), "quaymaster.yaml", "lab: {}", "lab: { catalogue: { search: always } }");
    let gateway = start(folder.path()).await.expect("started");
    let found = call(&gateway, "lab", "find_tools", json!({"query": "numbers_near"})).await;
    let found = &result(&found)["structuredContent"];
    assert_eq!((&found["total"], &found["tools"][0]["name"]), (&json!(1), &json!("numbers_far")));

    let told = |reply: Reply, name: &str| {
        reply.result.replace(reply.audit_id.as_str(), "call_…").replace(name, "NAME")
    };
    let hidden = call(&gateway, "lab", "call_tool", json!({"name": "numbers_near"})).await;
    assert_eq!(hidden.code, Some(ErrorCode::ToolNotFound));
    let unknown = call(&gateway, "lab", "call_tool", json!({"name": "numbers_nine"})).await;
    let direct = call(&gateway, "lab", "numbers_near", json!({})).await;
    let hidden = told(hidden, "numbers_near");
    assert_eq!(hidden, told(unknown, "numbers_nine"));
    assert_eq!(hidden, told(direct, "numbers_near"));
    gateway.shutdown().await;
}

#[tokio::test]
async fn what_is_asked_for_wrongly_is_refused_and_recorded() {
    let folder = searched();
    let gateway = start(folder.path()).await.expect("started");
    let cases = [
        ("find_tools", json!({})),
        ("find_tools", json!({"query": "number", "limit": 21})),
        ("call_tool", json!({})),
        ("call_tool", json!({"name": 7})),
        ("call_tool", json!({"name": "a\u{0}"})),
        ("call_tool", json!({"name": "x".repeat(257)})),
        ("call_tool", json!({"name": "numbers_far", "arguments": "{}"})),
        ("call_tool", json!({"name": "numbers_far", "arguments": null})),
        ("call_tool", json!({"name": "numbers_far", "args": {}})),
        ("call_tool", json!({"name": "call_tool", "arguments": {"name": "numbers_far"}})),
        ("call_tool", json!({"name": "find_tools", "arguments": {"query": "number"}})),
        ("call_tool", json!({"name": "numbers_far", "arguments": {"undeclared": 1}})),
    ];
    let mut report = String::new();
    let mut refused = Vec::new();
    for (tool, arguments) in cases {
        let reply = call(&gateway, "sales", tool, arguments.clone()).await;
        let error = &result(&reply)["structuredContent"];
        assert_eq!(reply.code, Some(ErrorCode::InputInvalid), "{arguments}");
        let hint = error["error"]["hint"].as_str().unwrap_or_default();
        let _ = writeln!(
            report,
            "{tool} {:.60}\n    {}\n    {hint}",
            arguments.to_string(),
            error["message"].as_str().expect("a message")
        );
        refused.push(reply.audit_id.to_string());
    }
    insta::assert_snapshot!(report);
    gateway.shutdown().await;
    let records = records(folder.path()).await;
    let of_refusals = records.iter().filter(|record| record["event"] == "call.refused");
    let recorded: Vec<&str> = of_refusals.filter_map(|record| record["call"].as_str()).collect();
    assert_eq!(recorded, refused);
}

#[tokio::test]
async fn what_is_pinned_is_listed_beside_the_search() {
    let folder = searched();
    change(folder.path(), "connectors/numbers.yaml", "- name: far\n", "- name: far\n      pinned: true\n");
    let gateway = start(folder.path()).await.expect("started");
    assert_eq!(listed(&gateway, "sales"), ["call_tool", "find_tools", "numbers_far"]);
    assert_eq!(listed(&gateway, "lab"), ["numbers_far"]);
    gateway.shutdown().await;
}

#[tokio::test]
async fn an_answer_is_bounded_whatever_the_definitions_hold() {
    let folder = searched();
    let long = "number ".repeat(2_500);
    let mut tools = String::new();
    for index in 0..20 {
        let _ = write!(
            tools,
            "\n    - {{ name: big{index}, effect: read, description: {long:?}, access: {{ roles: [analyst] }}, \
             template: {{ version: 1, statement: SELECT 1 AS n }} }}"
        );
    }
    change(
        folder.path(),
        "connectors/numbers.yaml",
        "\n    - name: near",
        &format!("{tools}\n    - name: near"),
    );
    let gateway = start(folder.path()).await.expect("started");
    let reply = call(&gateway, "sales", "find_tools", json!({"query": "number", "limit": 20})).await;
    let found = &result(&reply)["structuredContent"];
    let given = found["tools"].as_array().expect("tools").len();
    assert_eq!((&found["total"], &found["leftOut"]), (&json!(22), &json!(20 - given)));
    assert!(found.to_string().len() < 70_000, "{} bytes", found.to_string().len());
    gateway.shutdown().await;
}

#[tokio::test]
async fn those_who_see_the_same_share_one_view() {
    let folder = searched();
    let gateway = start(folder.path()).await.expect("started");
    let view = |name: &str, workspace: &str| gateway.plane().view(&actor(&gateway, name, workspace));
    assert!(Arc::ptr_eq(&view("ana", "sales"), &view("bo", "sales")));
    assert!(!Arc::ptr_eq(&view("ana", "sales"), &view("ana", "lab")));
    gateway.shutdown().await;
}

#[test]
fn a_connector_that_takes_a_name_of_ours_is_refused() {
    let folder = folder();
    change(folder.path(), "connectors/numbers.yaml", "  engine: sql\n", "  engine: sql\n  prefix: find\n");
    change(folder.path(), "connectors/numbers.yaml", "name: near", "name: tools");
    let found = load(folder.path(), SecretCheck::Skip).expect_err("a name of ours");
    insta::assert_snapshot!(found.render(Style::Plain));
}
