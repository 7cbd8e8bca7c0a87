//! Incident switches, limits and the ledger, from the command line and over the wire.

use std::fs;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::gateway::{Demo, eventually, signal};

const READ: &str = "desk_list_escalations";

fn code(demo: &Demo, tool: &str, arguments: &Value) -> Option<String> {
    let result = demo.call(&demo.support, tool, arguments).expect("a result");
    result["structuredContent"]["error"]["code"].as_str().map(str::to_owned)
}

fn stop(demo: &Demo, arguments: &[&str]) -> String {
    let fixed = ["incident", "stop", "--for", "1h", "--reason", "a test", "--json"];
    let ran = demo.run(&[&fixed, arguments].concat());
    assert_eq!(ran.code, 0, "{}", ran.complaint);
    let switch: Value = serde_json::from_str(&ran.output).expect("JSON");
    switch["id"].as_str().expect("an id").to_owned()
}

#[test]
fn a_switch_from_the_command_line_counts_for_a_gateway_that_serves_until_it_is_lifted() {
    let demo = Demo::start();
    assert_eq!(code(&demo, READ, &json!({})), None);
    let switch = stop(&demo, &["--tool", READ]);
    eventually("the switch counts", || code(&demo, READ, &json!({})).as_deref() == Some("incident.stopped"));
    assert_eq!(code(&demo, "desk_search_tickets", &json!({"limit": 1})), None, "others go on");
    let hidden = demo.call(&demo.analyst, "desk_create_support_escalation", &json!({})).expect("a result");
    assert_eq!(hidden["structuredContent"]["error"]["code"], "tool.not_found");
    assert!(demo.run(&["incident", "list"]).output.contains(&switch));
    assert_eq!(demo.run(&["incident", "lift", &switch]).code, 0);
    eventually("it is lifted", || code(&demo, READ, &json!({})).is_none());
    assert_eq!(demo.run(&["incident", "lift", &switch]).code, 1);
    let wrong =
        demo.run(&["incident", "stop", "--connector", "nothing", "--for", "1h", "--reason", "a test"]);
    assert_eq!(wrong.code, 2, "{}", wrong.output);
    assert_eq!(demo.run(&["audit", "verify"]).code, 0);
}

/// What a list says is stopped.
fn told(demo: &Demo, token: &str) -> Value {
    let list = demo.ask_at("/mcp", token, ("tools/list", ""), &json!({})).expect("an answer");
    list["result"]["_meta"]["com.quaymaster/stopped"].clone()
}

#[test]
fn a_switch_is_shown_wherever_those_look_whom_it_touches() {
    let demo = Demo::start();
    assert_eq!(told(&demo, &demo.support), Value::Null);
    let tool = "desk_create_support_escalation";
    let switch = stop(&demo, &["--tool", tool]);
    let arguments = json!({"account_id": "ACC-0007", "severity": "critical", "summary": "Nothing works"});
    let refused = || code(&demo, tool, &arguments).as_deref() == Some("incident.stopped");
    eventually("the switch counts", refused);
    let [told_support] = &told(&demo, &demo.support).as_array().cloned().unwrap_or_default()[..] else {
        panic!("one switch")
    };
    assert_eq!(told_support["id"], switch.as_str());
    assert_eq!(told_support["stops"], format!("calls of the tool {tool}"));
    assert_eq!(told(&demo, &demo.analyst), Value::Null, "they do not know of the tool");

    let listed = demo.run(&["upstreams"]);
    let line = format!("stopped: {switch}  calls of the tool {tool}  until ");
    assert!(listed.output.contains(&line) && listed.output.contains(": a test"), "{}", listed.output);
    let as_json: Value = serde_json::from_str(&demo.run(&["upstreams", "--json"]).output).expect("JSON");
    assert_eq!(as_json["stopped"][0]["id"], switch.as_str());
    let requests = demo.run(&["approvals", "list"]);
    assert!(
        requests.output.starts_with(&format!("Calls of the tool {tool} are stopped until ")),
        "{}",
        requests.output
    );
    assert_eq!(demo.run(&["incident", "lift", &switch]).code, 0);
    eventually("nothing is told any more", || told(&demo, &demo.support) == Value::Null);
    assert!(!demo.run(&["upstreams"]).output.contains(&switch));
}

#[test]
fn a_call_that_runs_is_cancelled_by_a_switch_that_wants_it_to_end() {
    let demo = Demo::start();
    let [child] = demo.children()[..] else { panic!("one child") };
    signal(child, Signal::STOP);
    std::thread::scope(|scope| {
        let calling = scope.spawn(|| code(&demo, READ, &json!({})));
        let begun = |record: &Value| record["event"] == "call.intent";
        eventually("the call is about to run", || demo.records().iter().any(begun));
        stop(&demo, &["--connector", "support-desk", "--cancel-running"]);
        assert_eq!(calling.join().expect("no panic").as_deref(), Some("incident.stopped"));
    });
    signal(child, Signal::CONT);
}

#[test]
fn a_limit_counts_calls_whatever_they_are_wrapped_in() {
    let demo = Demo::start();
    let settings = demo.folder.join("quaymaster.yaml");
    let text = fs::read_to_string(&settings).expect("the settings");
    let limit = "\nlimits: [{ name: few, for: { tool: desk_search_tickets }, limit: calls 3 per day }]\n";
    let text =
        text.replace("sales: { title: Sales and support }", "sales: { catalogue: { search: always } }");
    fs::write(&settings, text + limit).expect("written");
    eventually("the new configuration", || demo.tools(&demo.support).contains(&"call_tool".to_owned()));
    let plain = || code(&demo, "desk_search_tickets", &json!({"limit": 1}));
    let wrapped = json!({"name": "desk_search_tickets", "arguments": {"limit": 1}});
    assert_eq!(plain(), None);
    assert_eq!(code(&demo, "call_tool", &wrapped), None);
    assert_eq!(code(&demo, "call_tool", &wrapped), None);
    assert_eq!(code(&demo, "call_tool", &wrapped).as_deref(), Some("limit.quota"));
    assert_eq!(plain().as_deref(), Some("limit.quota"));
    let other = demo.call(&demo.analyst, "desk_search_tickets", &json!({"limit": 1})).expect("a result");
    assert_eq!(other["structuredContent"]["error"], Value::Null, "another actor has its own");
}

#[test]
fn a_write_that_was_lost_with_its_process_is_resolved_by_a_person() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("demo");
    let write = json!({"account_id": "ACC-0007", "severity": "low", "summary": "Lost in the middle"});
    let mut demo = Demo::start_in(&path, "127.0.0.1:0");
    let [child] = demo.children()[..] else { panic!("one child") };
    signal(child, Signal::STOP);
    std::thread::scope(|scope| {
        scope.spawn(|| demo.try_call(&demo.support, "desk_create_support_escalation", &write));
        let begun = |record: &Value| record["event"] == "call.intent";
        eventually("the write is about to run", || demo.records().iter().any(begun));
        rustix::process::kill_process(demo.process_id(), Signal::KILL).expect("killed");
    });
    signal(child, Signal::KILL);
    demo.kill();
    let demo = Demo::start_in(&path, "127.0.0.1:0");
    let listed = demo.run(&["idempotency", "list", "--json"]);
    let entry: Value = serde_json::from_str(&listed.output).expect("one entry");
    assert_eq!(entry["tool"], "desk_create_support_escalation");
    // Until its lease is over it may still run somewhere; then nobody knows, and nothing is repeated.
    eventually("nobody runs it", || {
        let refused = code(&demo, "desk_create_support_escalation", &write);
        refused.as_deref() == Some("upstream.outcome_unknown")
    });
    let id = entry["id"].as_str().expect("an id");
    assert_eq!(demo.run(&["idempotency", "resolve", id, "--failed"]).code, 0);
    assert_eq!(code(&demo, "desk_create_support_escalation", &write), None);
    assert_eq!(demo.run(&["idempotency", "list", "--json"]).output, "");
    assert_eq!(demo.run(&["audit", "verify"]).code, 0);
}
