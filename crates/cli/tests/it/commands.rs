//! Commands, their output and their exit codes.

use std::fs;
use std::process::Command;

use serde_json::Value;

use crate::gateway::{BINARY, Demo, run_in};

#[test]
fn exit_codes_are_as_documented() {
    let demo = Demo::start();
    let call = ["call", "metrics_monthly_revenue", "from=2026-01-01", "to=2026-04-01"];
    assert_eq!(demo.run(&call).code, 0);
    assert_eq!(demo.run(&["call", "metrics_monthly_revenue", "from=yesterday"]).code, 1);
    assert_eq!(demo.run(&["call", "no_such_tool"]).code, 1);
    assert_eq!(demo.run(&["call", "--nonsense"]).code, 2);
    assert_eq!(demo.run(&["tools", "show", "no_such_tool"]).code, 2);
    assert_eq!(demo.run(&["token", "create", "--actor", "a", "--role", "nobody"]).code, 2);
    assert_eq!(demo.run(&["check"]).code, 0);
    fs::write(demo.folder.join("connectors/broken.yaml"), "apiVersion: connector/v2").expect("written");
    assert_eq!(demo.run(&["check"]).code, 3);
    assert_eq!(demo.run(&["tools", "list"]).code, 3);
    assert_eq!(run_in(std::path::Path::new("/nowhere"), &["check"]).code, 3);
}

#[test]
fn check_reports_every_problem_with_its_place() {
    let demo = Demo::start();
    let file = demo.folder.join("connectors/support-desk.yaml");
    let text = fs::read_to_string(&file).expect("the connector");
    fs::write(
        &file,
        text.replace("roles: [analyst, support]", "roles: [analist]").replace("effect: read", "effect: reed"),
    )
    .expect("written");
    fs::write(
        demo.folder.join("policies/typo.cedar"),
        "@id(\"x\") permit (principal in Role::\"suport\", action, resource);",
    )
    .expect("written");
    let checked = demo.run(&["check", "--json"]);
    assert_eq!(checked.code, 3);
    let report: Value = serde_json::from_str(&checked.output).expect("JSON");
    let found = report["diagnostics"].as_array().expect("diagnostics");
    assert!(!found.is_empty());
    for diagnostic in found.iter().filter(|d| d["severity"] == "error") {
        assert!(diagnostic["line"].as_u64().is_some_and(|line| line > 0), "{diagnostic}");
        assert!(diagnostic["code"].as_str().is_some_and(|code| code.contains('.')), "{diagnostic}");
    }
    fs::write(&file, &text).expect("written");
    let checked = demo.run(&["check"]);
    assert!(
        checked.output.contains("unknown role `suport`")
            && checked.output.contains("did you mean `support`?"),
        "{}",
        checked.output
    );
}

#[test]
fn tools_are_shown_as_each_client_sees_them() {
    let demo = Demo::start();
    let listed = demo.run(&["tools", "list", "--json"]);
    let names: Vec<String> = listed
        .output
        .lines()
        .map(|line| {
            serde_json::from_str::<Value>(line).expect("JSON")["name"].as_str().expect("a name").to_owned()
        })
        .collect();
    let mut sorted = names.clone();
    sorted.sort();
    assert_eq!(names, sorted);
    assert!(names.contains(&"desk_create_support_escalation".to_owned()), "{names:?}");
    let shown = demo.run(&["tools", "show", "desk_create_support_escalation"]);
    let tool: Value = serde_json::from_str(&shown.output).expect("JSON");
    assert!(
        tool["inputSchema"]["properties"].get("idempotency_key").is_none(),
        "the key is not the agent's to choose"
    );
    assert_eq!(tool["annotations"]["readOnlyHint"], false);
    assert_eq!(tool["annotations"]["destructiveHint"], false);
    let codex = demo.run(&["tools", "show", "metrics_monthly_revenue", "--as", "codex"]);
    let function: Value = serde_json::from_str(&codex.output).expect("JSON");
    assert_eq!(function["type"], "function");
    assert!(
        function["parameters"]["properties"]["from"].get("format").is_none(),
        "Codex drops what its model does not get"
    );
}

#[test]
fn schemas_and_completions_are_printed() {
    for what in ["config", "connector"] {
        let done = Command::new(BINARY).args(["schema", what]).output().expect("the binary");
        let schema: Value = serde_json::from_slice(&done.stdout).expect("JSON");
        assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    }
    for shell in ["bash", "zsh", "fish"] {
        let done = Command::new(BINARY).args(["completions", shell]).output().expect("the binary");
        assert!(done.status.success() && !done.stdout.is_empty());
    }
}

#[test]
fn help_says_what_every_command_does() {
    let commands = [
        "",
        "demo",
        "serve",
        "stdio",
        "check",
        "schema",
        "token",
        "tools",
        "call",
        "audit",
        "import",
        "connect",
        "upstreams",
    ];
    let help: Vec<String> = commands
        .iter()
        .map(|command| {
            let mut process = Command::new(BINARY);
            if !command.is_empty() {
                process.arg(command);
            }
            let done = process.arg("--help").output().expect("the binary");
            assert!(done.status.success());
            format!("$ quaymaster {command} --help\n{}", String::from_utf8_lossy(&done.stdout))
        })
        .collect();
    insta::assert_snapshot!(help.join("\n"));
}
