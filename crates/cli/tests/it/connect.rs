//! What `check` finds only when the MCP servers are at hand.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use crate::gateway::Demo;

/// A server with one tool, `deep`, that is nested deeper than Codex shows.
const SERVER: &str = r#"#!/bin/bash
echo $$ >"${0%/*}/server.pid"
while read -r line; do
    [[ $line =~ \"id\":([^,}]+) ]] || continue
    case $line in
        *'"initialize"'*) answer='"result":{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"small","version":"1"}}' ;;
        *'"tools/list"'*) answer='"result":{"tools":[{"name":"deep","description":"Looks into boxes within boxes within boxes.","inputSchema":DEEP}]}' ;;
        *) answer='"error":{"code":-32601,"message":"there is no such method"}' ;;
    esac
    printf '{"jsonrpc":"2.0","id":%s,%s}\n' "${BASH_REMATCH[1]}" "$answer"
done
"#;

const SMALL: &str = "\
apiVersion: connector/v1
kind: Connector
metadata:
  name: small
  version: 1.0.0
  owner: { team: a, contact: a@example.test }
  workspaces: [sales]
spec:
  engine: mcp
  prefix: small
  server: { transport: stdio, command: SERVER }
  limits: { timeout: 10s }
  classification: { default: internal }
  tools:
    - { name: deep, effect: read, access: { roles: [analyst] } }
    - { name: wide, effect: read, access: { roles: [analyst] } }
";

fn stopped_demo() -> Demo {
    let mut demo = Demo::start();
    demo.terminate();
    demo
}

#[test]
fn connect_warns_of_what_the_servers_really_offer_and_leaves_nothing_behind() {
    let demo = stopped_demo();
    let records = demo.records().len();
    let server = demo.folder.join("server.sh");
    let deep = (0..5).fold(r#"{"type":"string"}"#.to_owned(), |inner, _| {
        format!(r#"{{"type":"object","properties":{{"box":{inner}}}}}"#)
    });
    fs::write(&server, SERVER.replace("DEEP", &deep)).expect("written");
    fs::set_permissions(&server, fs::Permissions::from_mode(0o755)).expect("executable");
    let connector = SMALL.replace("SERVER", &server.display().to_string());
    fs::write(demo.folder.join("connectors/small.yaml"), connector).expect("written");

    let alone = demo.run(&["check"]);
    assert_eq!(alone.code, 0, "{}", alone.output);
    let connected = demo.run(&["check", "--connect"]);
    assert_eq!(connected.code, 0, "{}{}", connected.output, connected.complaint);
    for warning in ["the server does not offer `wide`", "tool `small_deep`: the input schema is nested"] {
        assert!(!alone.output.contains(warning), "{}", alone.output);
        assert!(connected.output.contains(warning), "{}", connected.output);
    }
    assert!(connected.output.contains("connectors/small.yaml:16:"), "{}", connected.output);

    let id = fs::read_to_string(demo.folder.join("server.pid")).expect("it was started");
    assert!(!fs::exists(format!("/proc/{}", id.trim())).expect("an answer"), "it was stopped");
    assert_eq!(demo.records().len(), records, "nothing was recorded");
}

#[test]
fn connect_checks_policies_against_the_arguments_of_the_tools_of_servers() {
    let demo = stopped_demo();
    let file = demo.folder.join("policies/escalations.cedar");
    let text = fs::read_to_string(&file).expect("the policy");
    fs::write(&file, text.replace("arguments.summary", "arguments.sumary")).expect("written");
    assert_eq!(demo.run(&["check"]).code, 0);
    let connected = demo.run(&["check", "--connect"]);
    assert_eq!(connected.code, 3);
    assert!(connected.output.contains("sumary"), "{}", connected.output);
}

#[test]
fn a_server_that_is_not_ready_is_an_error_only_where_it_is_required() {
    let demo = stopped_demo();
    let connector = SMALL.replace("SERVER", "/bin/false");
    let file = demo.folder.join("connectors/small.yaml");
    fs::write(&file, &connector).expect("written");
    let warned = demo.run(&["check", "--connect"]);
    assert_eq!(warned.code, 0, "{}", warned.output);
    assert!(warned.output.contains("the server is not ready: "), "{}", warned.output);
    fs::write(&file, connector.replace("  limits:", "  required: true\n  limits:")).expect("written");
    assert_eq!(demo.run(&["check"]).code, 0);
    let refused = demo.run(&["check", "--connect"]);
    assert_eq!(refused.code, 3, "{}", refused.output);
    assert!(refused.output.contains("with `required: true` the gateway is not ready"), "{}", refused.output);
    assert_eq!(demo.run(&["check", "--connect", "--without-secrets"]).code, 2);
}
