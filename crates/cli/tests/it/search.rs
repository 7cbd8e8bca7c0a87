//! A search instead of the list of tools, over the wire, on the tools of the demo.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::gateway::{Demo, eventually};

/// Has every caller search.
fn search_always(folder: &Path) {
    let file = folder.join("quaymaster.yaml");
    let text = fs::read_to_string(&file).expect("the settings");
    let title = "sales: { title: Sales and support";
    assert!(text.contains(title), "{text}");
    fs::write(file, text.replace(title, &format!("{title}, catalogue: {{ search: always }}")))
        .expect("written");
}

fn found(demo: &Demo, token: &str, query: &str) -> Vec<String> {
    let result = demo.call(token, "find_tools", &json!({"query": query, "limit": 2})).expect("a result");
    let tools = result["structuredContent"]["tools"].as_array().expect("tools");
    tools.iter().filter_map(|tool| tool["name"].as_str().map(ToOwned::to_owned)).collect()
}

/// What somebody might say, and the tool of the demo that they mean.
const WANTED: [(&str, &str); 10] = [
    ("how much did we sell per month", "metrics_monthly_revenue"),
    ("revenue by region", "metrics_monthly_revenue"),
    ("biggest customers", "metrics_top_accounts"),
    ("contracts that run out soon", "metrics_contracts_ending"),
    ("health of a customer", "metrics_account_summary"),
    ("open support tickets of an account", "desk_search_tickets"),
    ("read one ticket", "desk_get_ticket"),
    ("what was escalated already", "desk_list_escalations"),
    ("escalate a problem", "desk_create_support_escalation"),
    ("desk_get_ticket", "desk_get_ticket"),
];

#[test]
fn the_tools_of_the_demo_are_found_and_called_by_what_they_do() {
    let demo = Demo::start();
    let direct = demo.call(&demo.analyst, "desk_search_tickets", &json!({"limit": 1})).expect("a result");
    search_always(&demo.folder);
    eventually("the short list", || demo.tools(&demo.analyst) == ["call_tool", "find_tools"]);

    let mut missed = Vec::new();
    for (query, wanted) in WANTED {
        // Support may escalate, the analyst may see revenue: who may not, does not find.
        let named = [&demo.analyst, &demo.support].map(|token| found(&demo, token, query));
        if !named.iter().any(|names| names.iter().any(|name| name == wanted)) {
            missed.push((query, named));
        }
    }
    assert!(missed.is_empty(), "{missed:?}");
    let hidden = found(&demo, &demo.analyst, "escalate a problem");
    assert!(!hidden.contains(&"desk_create_support_escalation".to_owned()), "{hidden:?}");

    let arguments = json!({"name": "desk_search_tickets", "arguments": {"limit": 1}});
    let called = demo.call(&demo.analyst, "call_tool", &arguments).expect("a result");
    assert_eq!(called["structuredContent"], direct["structuredContent"]);
    let audit_id = &called["_meta"]["dev.quaymaster/audit_id"];
    let recorded: Vec<Value> = demo.records().into_iter().filter(|r| r["call"] == *audit_id).collect();
    assert_eq!(recorded.len(), 2, "{audit_id}");
    assert!(recorded.iter().all(|record| record["tool"]["name"] == "desk_search_tickets"), "{recorded:?}");
}
