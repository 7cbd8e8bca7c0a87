//! The route of one connector, and pages of lists, on a gateway with what a caller may not see.

use std::path::Path;
use std::sync::Arc;

use quaymaster_connectors::Wire;
use quaymaster_control::crypto::SystemRandomness;
use quaymaster_core::setting::Slug;
use quaymaster_core::{
    Actor, AgentClaims, Arguments, CallId, CallRequest, Caller, Clock, Kind, Reach, Reply, SystemClock,
};
use quaymaster_gateway::ingress::{Door, Shelf};
use quaymaster_gateway::{Gateway, Office};
use serde_json::Value;

use crate::installation::{folder, options, start};

/// `numbers` as it is, and `books`, whose tool `near` nobody may call and which has one called
/// like ours.
fn two_connectors(workspaces: &str) -> tempfile::TempDir {
    let folder = folder();
    let change = |file: &str, from: &str, to: &str| {
        let text = std::fs::read_to_string(folder.path().join(file)).expect("a file");
        assert!(text.contains(from), "{from}");
        std::fs::write(folder.path().join(file), text.replace(from, to)).expect("written");
    };
    change("quaymaster.yaml", "sales: {}, lab: {}", workspaces);
    std::fs::copy(folder.path().join("connectors/numbers.yaml"), folder.path().join("connectors/books.yaml"))
        .expect("copied");
    change("connectors/books.yaml", "name: numbers", "name: books");
    change("connectors/books.yaml", "workspaces: [sales, lab]", "workspaces: [sales]");
    change("connectors/books.yaml", "name: far", "name: find_tools");
    std::fs::write(
        folder.path().join("policies/none.cedar"),
        r#"@id("closed") forbid (principal, action == Action::"call", resource == Tool::"books_near");"#,
    )
    .expect("written");
    folder
}

fn caller(gateway: &Gateway, workspace: &str, server: Option<&str>) -> Caller {
    let slug = |name: &str| Slug::parse(name).expect("a name");
    let user = gateway.local_user().expect("a local user");
    let actor = Arc::new(Actor { workspace: slug(workspace), ..Actor::clone(&user) });
    Caller { actor, reach: server.map_or(Reach::All, |server| Reach::One(slug(server))) }
}

fn names(array: &str) -> Vec<String> {
    let tools: Vec<Value> = serde_json::from_str(array).expect("JSON");
    tools.iter().filter_map(|tool| tool["name"].as_str().map(ToOwned::to_owned)).collect()
}

fn listed(gateway: &Gateway, workspace: &str, server: Option<&str>) -> Vec<String> {
    names(&gateway.list(&caller(gateway, workspace, server), Shelf::Tools))
}

async fn call(gateway: &Gateway, caller: &Caller, tool: &str) -> Reply {
    let request = CallRequest {
        kind: Kind::Tool,
        id: CallId::new(&SystemClock, &SystemRandomness),
        received: SystemClock.now(),
        actor: Arc::clone(&caller.actor),
        reach: caller.reach.clone(),
        session: None,
        agent: AgentClaims::default(),
        trace_id: None,
        sampled: false,
        correlation_id: None,
        idempotency_key: None,
        tool: tool.to_owned(),
        arguments: Arguments::default(),
    };
    gateway.call(request, Wire::default()).await
}

pub(crate) async fn records(folder: &Path) -> Vec<Value> {
    let store = Office::open_records(options(folder)).await.expect("the log");
    let records = store.audit_read(0, 500).await.expect("records");
    store.close().await.expect("closed");
    records.iter().map(|record| serde_json::from_slice(&record.body).expect("JSON")).collect()
}

#[tokio::test]
async fn a_route_shows_what_the_caller_may_see_of_one_connector_without_its_prefix() {
    let folder = two_connectors("sales: { catalogue: { search: always } }, lab: {}");
    let gateway = start(folder.path()).await.expect("started");
    assert_eq!(listed(&gateway, "sales", None), ["call_tool", "find_tools"], "here is a search");
    assert_eq!(listed(&gateway, "sales", Some("numbers")), ["far", "near"], "and on a route is none");
    assert_eq!(listed(&gateway, "sales", Some("books")), ["find_tools"], "this one is the connector's");
    assert_eq!(listed(&gateway, "lab", Some("numbers")), ["far"]);

    let on_books = caller(&gateway, "sales", Some("books"));
    let found = call(&gateway, &on_books, "find_tools").await;
    let called = call(&gateway, &caller(&gateway, "sales", Some("numbers")), "near").await;
    let direct = call(&gateway, &caller(&gateway, "sales", None), "numbers_near").await;
    assert_eq!((found.code, called.code, direct.code), (None, None, None));
    assert!(call(&gateway, &on_books, "call_tool").await.code.is_some());
    gateway.shutdown().await;

    let records = records(folder.path()).await;
    let of = |reply: &Reply| -> Vec<(&Value, &Value)> {
        let own = records.iter().filter(|record| record["call"] == reply.audit_id.as_str());
        own.map(|record| (&record["tool"]["name"], &record["route"])).collect()
    };
    let twice = |name: &str, route: Option<&str>| vec![(Value::from(name), Value::from(route)); 2];
    let told = |reply: &Reply| -> Vec<(Value, Value)> {
        of(reply).into_iter().map(|(name, route)| (name.clone(), route.clone())).collect()
    };
    assert_eq!(told(&found), twice("books_find_tools", Some("books")));
    assert_eq!(told(&called), twice("numbers_near", Some("numbers")));
    assert_eq!(told(&direct), twice("numbers_near", None));
}

#[tokio::test]
async fn a_connector_of_which_nothing_may_be_seen_is_answered_like_one_that_does_not_exist() {
    let folder = two_connectors("sales: {}, lab: {}");
    let gateway = start(folder.path()).await.expect("started");
    let mut told = Vec::new();
    // `books` is not in `lab`; in `sales` its tool `near` is hidden, as `nothing` does not exist.
    for (workspace, server, tool) in [
        ("lab", "books", "near"),
        ("lab", "nowhere", "near"),
        ("sales", "books", "near"),
        ("sales", "books", "none"),
    ] {
        let caller = caller(&gateway, workspace, Some(server));
        let reply = call(&gateway, &caller, tool).await;
        let text = reply.result.replace(reply.audit_id.as_str(), "call_…").replace(tool, "NAME");
        let lists = (workspace == "lab").then(|| {
            let lists = [Shelf::Tools, Shelf::Prompts, Shelf::Resources, Shelf::ResourceTemplates];
            (
                lists.map(|which| gateway.list(&caller, which)),
                gateway.gaps(&caller).missing.len(),
                gateway.completes(&caller),
            )
        });
        told.push((reply.code.map(|code| code.to_string()), text, lists));
    }
    assert_eq!(told[0], told[1]);
    assert_eq!(told[2], told[3]);
    assert_eq!(told[0].0.as_deref(), Some("tool.not_found"));
    assert_eq!((&told[0].0, &told[0].1), (&told[2].0, &told[2].1));
    assert_eq!(told[0].2.as_ref().map(|(lists, ..)| lists.clone()), Some([(); 4].map(|()| "[]".into())));
    gateway.shutdown().await;
}

#[tokio::test]
async fn a_page_is_counted_among_what_the_caller_may_see() {
    let folder = two_connectors("sales: { catalogue: { pageSize: 2 } }, lab: {}");
    let gateway = start(folder.path()).await.expect("started");
    let pages = |caller: &Caller| {
        let (mut pages, mut after) = (Vec::new(), None);
        loop {
            let page = gateway.page(caller, Shelf::Tools, after.as_deref()).expect("a page");
            let objects = page.text.get(page.objects.clone()).expect("whole objects");
            pages.push(names(&format!("[{objects}]")));
            match page.next {
                Some(last) => after = Some(last.into_string()),
                None => return pages,
            }
        }
    };
    let everything = [vec!["books_find_tools", "numbers_far"], vec!["numbers_near"]];
    assert_eq!(pages(&caller(&gateway, "sales", None)), everything, "what is hidden takes no place");
    assert_eq!(pages(&caller(&gateway, "sales", Some("numbers"))), [["far", "near"]]);
    assert_eq!(pages(&caller(&gateway, "lab", None)), [["numbers_far"]]);
    gateway.shutdown().await;
}

#[tokio::test]
async fn the_list_of_those_who_search_has_one_page() {
    let folder = two_connectors("sales: { catalogue: { search: always, pageSize: 1 } }, lab: {}");
    let gateway = start(folder.path()).await.expect("started");
    let everything = caller(&gateway, "sales", None);
    let page = gateway.page(&everything, Shelf::Tools, None).expect("a page");
    assert_eq!((names(&page.text), page.next), (vec!["call_tool".to_owned(), "find_tools".to_owned()], None));
    assert!(gateway.page(&everything, Shelf::Tools, Some("call_tool")).is_none(), "no page came before");
    gateway.shutdown().await;
}
