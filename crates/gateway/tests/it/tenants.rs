//! Workspaces as tenants: one person with a token in each of two workspaces of one gateway, over HTTP.
//!
//! No data, cache, handle or word crosses, and what is hidden is answered like what does not exist.
//! Tasks, watches and suspended calls are bound by the same principal: see the tests of ingress about them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use quaymaster_control::identity::TokenRequest;
use quaymaster_core::ActorId;
use quaymaster_core::setting::Slug;
use quaymaster_gateway::{Gateway, Office};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::identity::world::{Answer, ask, call, send};
use crate::installation::{folder, options, start};

struct Town {
    address: SocketAddr,
    gateway: Arc<Gateway>,
    folder: tempfile::TempDir,
    /// Of the same person, in each workspace.
    sales: String,
    lab: String,
    stop: CancellationToken,
}

/// `numbers` is in both workspaces and one of its tools in `sales` alone; `ledger` is in `sales` alone.
async fn town() -> Town {
    town_with("pageSize: 1").await
}

async fn town_with(catalogue: &str) -> Town {
    let folder = folder();
    let path = |name: &str| folder.path().join(name);
    let settings = std::fs::read_to_string(path("quaymaster.yaml")).expect("settings");
    let both = format!("sales: {{ catalogue: {{ {catalogue} }} }}, lab: {{ catalogue: {{ {catalogue} }} }}");
    let settings = settings.replace("sales: {}, lab: {}", &both);
    std::fs::write(path("quaymaster.yaml"), format!("{settings}listen: {{ address: '127.0.0.1:0' }}\n"))
        .expect("written");
    let ledger = std::fs::read_to_string(path("connectors/numbers.yaml")).expect("a connector");
    let ledger = ledger
        .replace("name: numbers", "name: ledger")
        .replace("workspaces: [sales, lab]", "workspaces: [sales]");
    std::fs::write(path("connectors/ledger.yaml"), ledger).expect("written");
    let office = Office::open(options(folder.path())).await.expect("an office");
    let mut tokens = Vec::new();
    for workspace in ["sales", "lab"] {
        let slug = |name: &str| Slug::parse(name).expect("a name");
        let request = TokenRequest {
            actor: ActorId::parse("ada").expect("an id"),
            person: None,
            roles: vec![slug("analyst")],
            workspace: slug(workspace),
            lifetime: Duration::from_hours(1),
            note: None,
        };
        tokens.push(office.create_token(request).await.expect("a token").text.to_string());
    }
    office.close().await;
    let gateway = start(folder.path()).await.expect("started");
    let listener = gateway.listen().await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let stop = CancellationToken::new();
    tokio::spawn(Arc::clone(&gateway).serve(listener, stop.clone()));
    let lab = tokens.pop().expect("a token");
    Town { address, gateway, folder, sales: tokens.pop().expect("a token"), lab, stop }
}

/// What a client is told, without what names one call.
fn told(answer: &Answer) -> (u16, String) {
    let mut value: Value = serde_json::from_str(&answer.body).unwrap_or(Value::Null);
    strip(&mut value);
    (answer.status, value.to_string())
}

fn strip(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.retain(|name, _| !name.contains("audit"));
            members.values_mut().for_each(strip);
        }
        Value::Array(items) => items.iter_mut().for_each(strip),
        Value::String(text) => {
            if let Some(at) = text.find("call_") {
                text.truncate(at);
            }
        }
        _ => {}
    }
}

impl Town {
    async fn call(&self, path: &str, token: &str, name: &str) -> Answer {
        call(self.address, path, token, name, &json!({})).await
    }

    /// All tools at `path`, page by page.
    async fn tools(&self, path: &str, token: &str) -> Vec<String> {
        let (mut names, mut cursor) = (Vec::new(), Value::Null);
        loop {
            let params = if cursor.is_null() { json!({}) } else { json!({"cursor": cursor}) };
            let answer = ask((self.address, path), token, "tools/list", params).await;
            let body: Value = serde_json::from_str(&answer.body).expect("JSON");
            let tools = body.pointer("/result/tools").and_then(Value::as_array).expect("tools");
            names.extend(tools.iter().filter_map(|tool| tool.get("name")?.as_str()).map(ToOwned::to_owned));
            cursor = body.pointer("/result/nextCursor").cloned().unwrap_or_default();
            if cursor.is_null() {
                return names;
            }
        }
    }

    async fn end(self) {
        self.stop.cancel();
        self.gateway.shutdown().await;
    }
}

#[tokio::test]
async fn lists_and_calls_are_those_of_the_tokens_workspace() {
    let town = town().await;
    assert_eq!(
        town.tools("/mcp", &town.sales).await,
        ["ledger_far", "ledger_near", "numbers_far", "numbers_near"]
    );
    assert_eq!(town.tools("/mcp", &town.lab).await, ["numbers_far"]);
    assert_eq!(town.tools("/w/lab/mcp", &town.lab).await, ["numbers_far"]);
    assert_eq!(town.tools("/s/ledger", &town.lab).await, [""; 0]);
    assert_eq!(town.tools("/s/nothing", &town.lab).await, [""; 0]);
    assert!(town.call("/mcp", &town.lab, "numbers_far").await.body.contains(r#""status":"success""#));

    let unknown = town.call("/mcp", &town.lab, "numbers_none").await;
    let (status, text) = told(&unknown);
    for hidden in [
        "numbers_near",
        "ledger_far",
        "Numbers_far",
        "numbers_far ",
        "numbers_far.",
        "numbers_far/",
        "../numbers_near",
        "numbers%5Ffar",
        "numbers_f\u{430}r",
        "\u{ff4e}umbers_far",
        "numbers_far\u{200b}",
    ] {
        let answer = town.call("/mcp", &town.lab, hidden).await;
        let (of_hidden, said) = told(&answer);
        // The name is the caller's own word.
        let escaped: String = hidden.escape_debug().collect();
        let said =
            said.replace(&escaped.replace('\\', "\\\\"), "numbers_none").replace(hidden, "numbers_none");
        assert_eq!((of_hidden, said), (status, text.clone()), "{hidden}");
    }
    town.end().await;
}

#[tokio::test]
async fn no_spelling_of_a_workspace_is_a_way_into_another() {
    let town = town().await;
    let nowhere = told(&town.call("/w/nowhere/mcp", &town.lab, "numbers_far").await);
    assert_eq!(nowhere.0, 401);
    for path in [
        "/w/sales/mcp",
        "/w/Sales/mcp",
        "/w/LAB/mcp",
        "/w/l%61b/mcp",
        "/w/lab./mcp",
        "/w/lab%00/mcp",
        "/w/lab%20/mcp",
        "/w/../mcp",
        "/w/./mcp",
        "/w/%2e%2e/mcp",
        "/w/sales%2f/mcp",
        "/w/sales;lab/mcp",
        "/w/l%D0%B0b/mcp",
        "/w/sales/s/numbers",
        "/w/nowhere/s/numbers",
        "/w/sales/s/ledger",
    ] {
        let answer = town.call(path, &town.lab, "numbers_far").await;
        assert_eq!(told(&answer), nowhere, "{path}");
        assert_eq!(answer.challenge(), "Bearer error=\"invalid_token\"", "{path}");
    }
    for path in [
        "/w/lab/mcp/",
        "//mcp",
        "/w/lab//mcp",
        "/w/sales/../lab/mcp",
        "/mcp/",
        "/mcp.",
        "/W/lab/mcp",
        "/w/lab/s/Numbers",
    ] {
        assert_eq!(town.call(path, &town.lab, "numbers_far").await.status, 404, "{path}");
    }
    town.end().await;
}

#[tokio::test]
async fn a_server_of_another_workspace_is_answered_like_one_that_does_not_exist() {
    let town = town().await;
    for method in ["tools/list", "prompts/list", "resources/list", "server/discover"] {
        let of = async |path: &str| told(&ask((town.address, path), &town.lab, method, json!({})).await);
        assert_eq!(of("/s/ledger").await, of("/s/nothing").await, "{method}");
        assert_eq!(of("/w/lab/s/ledger").await, of("/w/lab/s/nothing").await, "{method}");
    }
    let of = async |path: &str| told(&town.call(path, &town.lab, "far").await);
    assert_eq!(of("/s/ledger").await, of("/s/nothing").await);
    town.end().await;
}

#[tokio::test]
async fn a_cursor_and_a_session_of_one_workspace_are_none_in_the_other() {
    let town = town().await;
    let listed = ask((town.address, "/mcp"), &town.sales, "tools/list", json!({})).await;
    let listed: Value = serde_json::from_str(&listed.body).expect("JSON");
    let cursor = listed["result"]["nextCursor"].as_str().expect("a cursor");
    let page = async |cursor: &str| {
        told(&ask((town.address, "/mcp"), &town.lab, "tools/list", json!({"cursor": cursor})).await)
    };
    assert_eq!(page(cursor).await, page("made-up").await);

    let head = |token: &str, session: &str| {
        format!(
            "authorization: Bearer {token}\r\ncontent-type: application/json\r\naccept: application/json\r\n{session}"
        )
    };
    let initialize = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
        "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"},
    }});
    let opened = send(town.address, "POST /mcp", &head(&town.sales, ""), &initialize.to_string()).await;
    let session = opened.header("mcp-session-id").expect("a session").to_owned();
    let ping = json!({"jsonrpc": "2.0", "id": 2, "method": "ping"}).to_string();
    let ping = async |token: &str, session: &str| {
        let session = format!("mcp-session-id: {session}\r\n");
        told(&send(town.address, "POST /mcp", &head(token, &session), &ping).await)
    };
    assert_eq!(ping(&town.sales, &session).await.0, 200);
    let foreign = ping(&town.lab, &session).await;
    assert_eq!((foreign.0, &foreign), (404, &ping(&town.lab, "made-up").await));
    let end = format!("authorization: Bearer {}\r\nmcp-session-id: {session}\r\n", town.lab);
    assert_eq!(send(town.address, "DELETE /mcp", &end, "").await.status, 404);
    assert_eq!(ping(&town.sales, &session).await.0, 200);
    town.end().await;
}

#[tokio::test]
async fn a_search_finds_nothing_of_another_workspace() {
    let town = town_with("search: always").await;
    let find = async |token: &str| {
        call(town.address, "/mcp", token, "find_tools", &json!({"query": "ledger number"})).await.body
    };
    assert!(find(&town.sales).await.contains("ledger_far"));
    let of_lab = find(&town.lab).await;
    assert!(of_lab.contains("numbers_far") && !of_lab.contains("ledger_"), "{of_lab}");
    let by_name = async |name: &str| {
        let arguments = json!({"name": name, "arguments": {}});
        let (status, text) = told(&call(town.address, "/mcp", &town.lab, "call_tool", &arguments).await);
        (status, text.replace(name, "numbers_none"))
    };
    assert_eq!(by_name("ledger_far").await, by_name("numbers_none").await);
    assert_eq!(by_name("numbers_near").await, by_name("numbers_none").await);
    town.end().await;
}

#[tokio::test]
async fn every_record_names_the_workspace_of_its_caller_and_no_other() {
    let town = town().await;
    town.call("/mcp", &town.sales, "ledger_far").await;
    town.call("/mcp", &town.lab, "numbers_far").await;
    town.call("/mcp", &town.lab, "ledger_far").await;
    let folder = town.folder.path().to_owned();
    let Town { gateway, stop, folder: _kept, .. } = town;
    stop.cancel();
    gateway.shutdown().await;
    let store = Office::open_records(options(&folder)).await.expect("the log");
    let records = store.audit_read(0, 500).await.expect("records");
    store.close().await.expect("closed");
    let records = records.iter().map(|record| serde_json::from_slice::<Value>(&record.body).expect("JSON"));
    let of_lab: Vec<Value> = records.filter(|record| record["workspace"] == "lab").collect();
    assert_eq!(of_lab.iter().filter(|record| record["event"] == "call.intent").count(), 1);
    for record in of_lab.iter().filter(|record| record["tool"]["name"] == "ledger_far") {
        // What is hidden has no connector, contract or version.
        assert_eq!((&record["tool"]["connector"], &record["tool"]["contract"]), (&Value::Null, &Value::Null));
    }
}
