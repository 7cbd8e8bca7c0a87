//! `import`: what becomes of the servers that a person has.

use std::fmt::Write as _;

use serde_json::Value;

use super::{Home, SECRET};
use crate::gateway::Ran;

const CODEX: &str = include_str!("codex.toml");
const CLAUDE: &str = include_str!("claude.json");
const CURSOR: &str = include_str!("cursor.json");
const VSCODE: &str = include_str!("vscode.json");

/// A server with three tools, of which one says that it only reads.
const SERVER: &str = r#"
while read -r line; do
    [[ $line =~ \"id\":([^,}]+) ]] || continue
    case $line in
        *'"initialize"'*) answer='"result":{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"small","version":"1"}}' ;;
        *'"tools/list"'*) answer='"result":{"tools":[{"name":"Look-Up","inputSchema":{"type":"object"},"annotations":{"readOnlyHint":true}},{"name":"drop","inputSchema":{"type":"object"},"annotations":{"destructiveHint":true}},{"name":"put","inputSchema":{"type":"object"}}]}' ;;
        *'"tools/call"'*) answer='"result":{"content":[{"type":"text","text":"'$KEY'"}]}' ;;
        *) answer='"error":{"code":-32601,"message":"there is no such method"}' ;;
    esac
    printf '{"jsonrpc":"2.0","id":%s,%s}\n' "${BASH_REMATCH[1]}" "$answer"
done
"#;

/// What was said and written, for a snapshot.
fn all(home: &Home, ran: &Ran) -> String {
    let mut all = format!("exit code {}\n{}{}", ran.code, ran.output, ran.complaint);
    for file in home.files("harbour/connectors") {
        let _ =
            write!(all, "\n--- {file}\n{}", home.shown(&home.read(&format!("harbour/connectors/{file}"))));
    }
    assert!(!all.contains(SECRET), "a secret was written: {all}");
    all
}

/// Imports, and looks whether the configuration loads as it did.
fn imported(client: &str, file: &str, text: &str) -> String {
    let home = Home::new();
    home.write(file, text);
    assert_eq!(home.run(&["check"]).code, 0);
    let ran = home.run(&["import", client]);
    let all = all(&home, &ran);
    let checked = home.run(&["check"]);
    assert_eq!(checked.code, 0, "{}{all}", checked.output);
    assert_eq!(home.read(file), text, "the client's file is only read");
    all
}

#[test]
fn servers_of_codex_become_drafts() {
    insta::assert_snapshot!(imported("codex", ".codex/config.toml", CODEX));
}

#[test]
fn servers_of_claude_code_become_drafts() {
    insta::assert_snapshot!(imported("claude-code", ".claude.json", CLAUDE));
}

#[test]
fn servers_of_cursor_become_drafts() {
    insta::assert_snapshot!(imported("cursor", "project/.cursor/mcp.json", CURSOR));
}

#[test]
fn servers_of_vs_code_become_drafts() {
    insta::assert_snapshot!(imported("vscode", ".config/Code/User/mcp.json", VSCODE));
}

#[test]
fn a_file_that_is_there_is_never_overwritten_and_others_are_still_imported() {
    let home = Home::new();
    home.write(".codex/config.toml", CODEX);
    home.write("harbour/connectors/github.yaml.draft", "mine");
    home.write("harbour/connectors/own.yaml", &connector("files"));
    let ran = home.run(&["import", "codex"]);
    assert_eq!(ran.code, 1);
    for told in [
        "not imported: github from ~/.codex/config.toml: connectors/github.yaml.draft is there already and is never \
         overwritten",
        "not imported: files from ~/.codex/config.toml: connectors/own.yaml is there already and is never overwritten",
        "not imported: neither from ~/.codex/config.toml: it has neither a `command` nor a `url`",
        "1 drafted, 3 not imported",
    ] {
        assert!(ran.output.contains(told), "{}", ran.output);
    }
    assert_eq!(home.read("harbour/connectors/github.yaml.draft"), "mine");
    assert_eq!(home.files("harbour/connectors"), ["github.yaml.draft", "own.yaml", "tickets.yaml.draft"]);
}

fn connector(name: &str) -> String {
    format!(
        "apiVersion: connector/v1
kind: Connector
metadata:
  name: {name}
  version: 1.0.0
  owner: {{ team: a, contact: a@example.test }}
  workspaces: [sales]
spec:
  engine: mcp
  prefix: {name}
  server: {{ transport: stdio, command: /bin/false }}
  limits: {{ timeout: 1s }}
  classification: {{ default: internal }}
  tools: [ {{ name: look, effect: read, access: {{ roles: [analyst] }} }} ]
"
    )
}

#[test]
fn a_dry_run_shows_what_would_be_written_and_writes_nothing() {
    let home = Home::new();
    home.write("elsewhere.toml", CODEX);
    let file = home.path("elsewhere.toml").display().to_string();
    let shown = home.run(&["import", "codex", "--from", &file, "--dry-run"]);
    assert!(home.files("harbour/connectors").is_empty());
    assert!(shown.output.contains("    apiVersion: connector/v1\n"), "{}", shown.output);
    let ran = home.run(&["import", "codex", "--from", &file, "--dry-run", "--json"]);
    assert!(home.files("harbour/connectors").is_empty());
    assert!(!shown.output.contains(SECRET) && !ran.output.contains(SECRET), "{}", ran.output);
    let report: Value = serde_json::from_str(&ran.output).expect("JSON");
    let text = report["drafted"][0]["text"].as_str().expect("a text").to_owned();
    home.run(&["import", "codex", "--from", &file]);
    assert_eq!(home.shown(&home.read("harbour/connectors/files.yaml")), text);
    insta::assert_snapshot!(format!("{:#}", without_texts(report)));
}

fn without_texts(mut report: Value) -> Value {
    for draft in report["drafted"].as_array_mut().expect("drafts") {
        draft.as_object_mut().expect("a draft").remove("text");
    }
    report
}

#[test]
fn a_listing_drafts_what_the_server_offers_and_a_person_makes_a_tool_of_it() {
    let home = Home::new();
    home.program("small", SERVER);
    let file = r#"{"mcpServers": {"small": {"command": "small", "env": {"KEY": "hunter2"}}}}"#;
    home.write("project/.mcp.json", file);
    let ran = home.run(&["import", "claude-code", "--list"]);
    insta::assert_snapshot!(all(&home, &ran));

    // The secret is set and the draft renamed: it loads, and offers nothing to anybody.
    let draft = home.read("harbour/connectors/small.yaml.draft");
    std::fs::remove_file(home.path("harbour/connectors/small.yaml.draft")).expect("removed");
    home.write("harbour/connectors/small.yaml", &draft);
    let secret = [("SMALL_KEY", "good-morning")];
    let checked = home.run_with(&["check", "--connect"], &secret);
    assert_eq!(checked.code, 0, "{}", checked.output);
    assert!(checked.output.contains("has no `to_be_decided`"), "{}", checked.output);
    assert_eq!(home.run_with(&["tools", "list"], &secret).output, "");

    // What a person decides makes a tool of it.
    let decided = draft
        .replacen("effect: write", "effect: read", 1)
        .replacen("      idempotency: { from: [to_be_decided], argument: to_be_decided }\n", "", 1)
        .replacen("roles: []", "roles: [analyst]", 1)
        .replace("default: restricted", "default: internal");
    home.write("harbour/connectors/small.yaml", &decided);
    let called = home.run_with(&["call", "small_look_up"], &secret);
    assert_eq!(called.code, 0, "{}{}", called.output, called.complaint);
    // The server tells its secret, which reached it, and which reaches nobody else.
    assert!(called.output.contains("[secret]"), "{}", called.output);
    assert_eq!(home.run_with(&["call", "small_drop"], &secret).code, 1);
}

#[test]
fn a_server_that_cannot_be_listed_is_drafted_without_its_tools() {
    let home = Home::new();
    home.write("project/.mcp.json", r#"{"mcpServers": {"gone": {"command": "/nowhere/gone"}}}"#);
    let ran = home.run(&["import", "claude-code", "--list"]);
    assert_eq!(ran.code, 0, "{}{}", ran.output, ran.complaint);
    assert!(ran.output.contains("note: its tools could not be listed: "), "{}", ran.output);
    assert_eq!(home.run(&["check"]).code, 0);
}

#[test]
fn a_draft_that_does_not_load_together_with_the_others_is_put_aside() {
    let home = Home::new();
    home.write(".codex/config.toml", CODEX);
    // Its tool `file` would have the name of the tool `read_file` of `files`.
    let other = connector("files_read").replace("name: look", "name: file");
    home.write("harbour/connectors/other.yaml", &other);
    let ran = home.run(&["import", "codex"]);
    let told =
        "connectors/files.yaml.draft   from ~/.codex/config.toml\n    decide: it does not load together";
    assert!(ran.output.contains(told), "{}", ran.output);
    assert_eq!(home.run(&["check"]).code, 0);
}

#[test]
fn quaymaster_itself_is_left_out() {
    let home = Home::new();
    assert_eq!(home.run(&["connect", "cursor"]).code, 0);
    assert_eq!(home.run(&["connect", "cursor", "--name", "local", "--stdio"]).code, 0);
    let ran = home.run(&["import", "cursor"]);
    assert_eq!(ran.code, 0, "{}", ran.output);
    assert_eq!(
        ran.output,
        "left out: quaymaster from ~/.cursor/mcp.json: it is Quaymaster itself\n\
         left out: local from ~/.cursor/mcp.json: it is Quaymaster itself\n\
         0 drafted, 0 not imported\n"
    );
}

#[test]
fn an_import_that_cannot_begin_says_why() {
    let home = Home::new();
    let nothing = home.run(&["import", "codex"]);
    assert_eq!(nothing.code, 4);
    assert_eq!(
        nothing.complaint,
        "error: no MCP configuration of Codex was found: looked for ~/.codex/config.toml and \
         ~/project/.codex/config.toml; name the file with --from\n"
    );
    home.write(".codex/config.toml", "a = hunter2");
    let unreadable = home.run(&["import", "codex"]);
    assert_eq!(unreadable.code, 1);
    assert!(
        unreadable.output.starts_with("not imported: ~/.codex/config.toml: line 1: expected what TOML has\n"),
        "{}",
        unreadable.output
    );
    let workspace = home.run(&["import", "codex", "--workspace", "sails"]);
    assert_eq!(
        (workspace.code, workspace.complaint.as_str()),
        (2, "error: unknown workspace `sails`: workspaces: `sales`\n")
    );
    home.write("harbour/quaymaster.yaml", "apiVersion: quaymaster/v2");
    assert_eq!(home.run(&["import", "codex"]).code, 3);
}
