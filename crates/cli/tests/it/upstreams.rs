//! `quaymaster upstreams`: how the MCP servers of a configuration are.

use std::fs;

use serde_json::{Value, json};

use crate::gateway::Demo;

const AWAY: &str = "\
apiVersion: connector/v1
kind: Connector
metadata:
  name: away
  version: 1.0.0
  owner: { team: a, contact: a@example.test }
  workspaces: [sales]
spec:
  engine: mcp
  prefix: away
  server: { transport: stdio, command: /nonexistent/server }
  limits: { timeout: 10s }
  classification: { default: internal }
  tools:
    - { name: look, effect: read, access: { roles: [analyst] } }
";

fn stopped_demo() -> Demo {
    let mut demo = Demo::start();
    demo.terminate();
    demo
}

#[test]
fn the_servers_are_listed_and_only_a_required_one_that_is_away_is_a_failure() {
    let demo = stopped_demo();
    let records = demo.records().len();
    let good = demo.run(&["upstreams"]);
    assert_eq!(good.code, 0, "{}{}", good.output, good.complaint);
    insta::assert_snapshot!("one_server", good.output);

    let file = demo.folder.join("connectors/away.yaml");
    fs::write(&file, AWAY).expect("written");
    assert_eq!(demo.run(&["upstreams"]).code, 0);
    fs::write(&file, AWAY.replace("  limits:", "  required: true\n  limits:")).expect("written");
    let away = demo.run(&["upstreams", "--wait", "30s"]);
    assert_eq!(away.code, 1, "{}", away.output);
    insta::assert_snapshot!("one_is_away", away.output);
    let away = demo.run(&["upstreams", "--json"]);
    assert_eq!(away.code, 1);
    let report: Value = serde_json::from_str(&away.output).expect("JSON");
    assert_eq!(report["ready"], json!(false));
    let state = |name: &str| {
        let upstreams = report["upstreams"].as_array().expect("a list");
        upstreams.iter().find(|upstream| upstream["name"] == name).map(|upstream| upstream["state"].clone())
    };
    assert_eq!(state("away"), Some(json!("missing")));
    assert_eq!(state("support-desk"), Some(json!("ready")));

    fs::write(&file, AWAY.replace("  engine: mcp", "  engine: mcp\n  enabled: false")).expect("written");
    let disabled = demo.run(&["upstreams"]);
    assert_eq!(disabled.code, 0, "{}", disabled.output);
    assert!(disabled.output.contains("disabled"), "{}", disabled.output);
    assert_eq!(demo.run(&["check", "--connect"]).code, 0, "nothing is wrong with what is not to be used");
    assert_eq!(demo.records().len(), records, "nothing was recorded");
}

#[test]
fn what_cannot_be_is_told_with_the_code_for_it() {
    let demo = stopped_demo();
    assert_eq!(demo.run(&["upstreams", "--wait", "1h"]).code, 2);
    let file = demo.folder.join("connectors/away.yaml");
    let both = AWAY.replace("  engine: mcp", "  engine: mcp\n  required: true\n  enabled: false");
    fs::write(&file, both).expect("written");
    let refused = demo.run(&["upstreams"]);
    assert_eq!(refused.code, 3, "{}", refused.complaint);
    assert!(refused.complaint.contains("the gateway would never be ready"), "{}", refused.complaint);
}
