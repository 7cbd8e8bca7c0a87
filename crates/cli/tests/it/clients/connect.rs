//! `connect`: what a client's file holds before, with Quaymaster, and after `--undo`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::{Home, SECRET};

const CURSOR: &str = include_str!("cursor.json");
const VSCODE: &str = include_str!("vscode.json");

/// Does to Codex's file what Codex does: rewrites it without comments.
const CODEX: &str = r#"
file=$HOME/.codex/config.toml
printf '%s\n' "$@" >>"$HOME/arguments.log"
mkdir -p "${file%/*}"
touch "$file"
case "$1 $2" in
    'mcp add')
        sed -i 's/ *#.*//' "$file"
        if [ "$4" = --url ]; then
            printf '\n[mcp_servers.%s]\nurl = "%s"\nbearer_token_env_var = "%s"\n' "$3" "$5" "$7" >>"$file"
        else
            printf '\n[mcp_servers.%s]\ncommand = "%s"\nargs = ["%s", "%s", "%s"]\n' "$3" "$5" "$6" "$7" "$8" >>"$file"
        fi ;;
    'mcp remove') sed -i "/^\[mcp_servers.$3\]/,\$d" "$file" ;;
    *) exit 2 ;;
esac
"#;

/// Keeps state of its own beside the servers, as Claude Code does.
const CLAUDE: &str = r#"
file=$HOME/.claude.json
printf '%s\n' "$@" >>"$HOME/arguments.log"
case "$1 $2" in
    'mcp add') printf '{"numStartups":8,"mcpServers":{"%s":{"type":"http","url":"%s","headers":{"Authorization":"%s"}}}}' "$7" "$8" "${10#Authorization: }" >"$file" ;;
    'mcp remove') printf '{"numStartups":9,"mcpServers":{}}' >"$file" ;;
    *) exit 2 ;;
esac
"#;

/// Connects and takes it back; says what the file was in between.
fn there_and_back(client: &str, file: &str, before: Option<&str>, more: &[&str]) -> String {
    let home = Home::new();
    if let Some(text) = before {
        home.write(file, text);
        fs::set_permissions(home.path(file), fs::Permissions::from_mode(0o640)).expect("set");
    }
    let connect = [&["connect", client], more].concat();
    let planned = home.run(&[&connect[..], &["--dry-run"]].concat());
    assert_eq!(planned.code, 0, "{}", planned.complaint);
    assert!(!planned.output.contains(SECRET), "{}", planned.output);
    assert_eq!(fs::read_to_string(home.path(file)).ok().as_deref(), before, "a dry run changes nothing");

    let ran = home.run(&connect);
    assert_eq!(ran.code, 0, "{}{}", ran.output, ran.complaint);
    assert!(!ran.output.contains(SECRET), "{}", ran.output);
    let with = home.shown(&home.read(file));
    let again = home.run(&connect);
    assert!(again.code == 0 && again.output.contains("already"), "{}", again.output);
    let backup = format!("{file}.before-quaymaster");
    if let Some(text) = before {
        assert_eq!(home.read(&backup), text);
        let rights = |file: &str| fs::metadata(home.path(file)).expect(file).permissions().mode() & 0o777;
        assert_eq!((rights(&backup), rights(file)), (0o600, 0o640));
    }

    let undone = home.run(&["connect", client, "--undo"]);
    assert_eq!(undone.code, 0, "{}{}", undone.output, undone.complaint);
    assert_eq!(fs::read_to_string(home.path(file)).ok().as_deref(), before, "what was there is there again");
    assert!(!home.path(&backup).exists());
    let nothing = home.run(&["connect", client, "--undo"]);
    assert_eq!(nothing.code, 1);
    assert!(nothing.output.ends_with(": nothing to undo\n"), "{}", nothing.output);
    let output = [planned.output, ran.output, undone.output].join("-----\n");
    format!("{output}===== with Quaymaster\n{with}")
}

const CURSOR_FILE: &str = ".cursor/mcp.json";
const VSCODE_FILE: &str = ".config/Code/User/mcp.json";

#[test]
fn cursor_is_connected_in_one_place_of_its_file() {
    insta::assert_snapshot!(there_and_back("cursor", CURSOR_FILE, Some(CURSOR), &[]));
}

#[test]
fn cursor_without_a_file_gets_one_and_loses_it_again() {
    insta::assert_snapshot!(there_and_back("cursor", CURSOR_FILE, None, &["--stdio"]));
}

#[test]
fn vs_code_is_connected_in_one_place_of_its_file_and_asks_for_the_token() {
    insta::assert_snapshot!(there_and_back("vscode", VSCODE_FILE, Some(VSCODE), &[]));
}

#[test]
fn vs_code_takes_the_token_from_a_variable_if_told_so() {
    let more = ["--url", "https://quay.example.test/w/sales/mcp", "--token-env", "QUAY"];
    insta::assert_snapshot!(there_and_back(
        "vscode",
        VSCODE_FILE,
        Some("{\"servers\":{\"a\":{\"url\":\"hunter2\"}}}"),
        &more
    ));
}

#[test]
fn what_changed_since_is_kept_when_it_is_taken_back() {
    let home = Home::new();
    home.write(CURSOR_FILE, CURSOR);
    assert_eq!(home.run(&["connect", "cursor"]).code, 0);
    let with = home.read(CURSOR_FILE);
    home.write(CURSOR_FILE, &with.replace("every day", "every week"));
    assert_eq!(home.run(&["connect", "cursor", "--undo"]).code, 0);
    let after = home.read(CURSOR_FILE);
    assert!(after.contains("every week") && !after.contains("quaymaster"), "{after}");
}

#[test]
fn a_server_of_the_same_name_is_not_replaced() {
    let home = Home::new();
    home.write(CURSOR_FILE, r#"{"mcpServers": {"quaymaster": {"url": "https://other.example.test/mcp"}}}"#);
    let before = home.read(CURSOR_FILE);
    let ran = home.run(&["connect", "cursor"]);
    assert_eq!(ran.code, 1);
    assert!(ran.output.contains("has a server `quaymaster` already, and it is another"), "{}", ran.output);
    assert_eq!(home.read(CURSOR_FILE), before);
    assert_eq!(home.run(&["connect", "cursor", "--name", "quay"]).code, 0);
    assert_eq!(home.run(&["connect", "cursor", "--name", "quay", "--undo"]).code, 0);
    assert_eq!(home.read(CURSOR_FILE), before);
}

#[test]
fn a_file_behind_a_link_is_changed_where_it_is() {
    let home = Home::new();
    home.write("dotfiles/cursor.json", CURSOR);
    fs::create_dir(home.path(".cursor")).expect("a folder");
    std::os::unix::fs::symlink(home.path("dotfiles/cursor.json"), home.path(CURSOR_FILE)).expect("a link");
    assert_eq!(home.run(&["connect", "cursor"]).code, 0);
    assert!(home.read("dotfiles/cursor.json").contains("\"quaymaster\""));
    assert!(fs::symlink_metadata(home.path(CURSOR_FILE)).expect("a link").is_symlink());
    assert_eq!(home.files("dotfiles"), ["cursor.json"]);
    assert_eq!(home.run(&["connect", "cursor", "--undo"]).code, 0);
    assert_eq!(home.read("dotfiles/cursor.json"), CURSOR);
}

#[test]
fn codex_is_told_by_its_own_command_and_gets_its_comments_back() {
    let home = Home::new();
    home.program("codex", CODEX);
    let before = "model = \"gpt-5\" # mine\n\n[mcp_servers.old]\ncommand = \"a\" # hunter2\n";
    let file = ".codex/config.toml";
    home.write(file, before);
    let planned = home.run(&["connect", "codex", "--dry-run"]);
    assert_eq!((planned.code, home.read(file).as_str()), (0, before));
    assert!(!home.path("arguments.log").exists());
    let ran = home.run(&["connect", "codex"]);
    assert_eq!(ran.code, 0, "{}{}", ran.output, ran.complaint);
    assert_eq!(home.read(".codex/config.toml.before-quaymaster"), before);
    assert!(!home.read(file).contains('#'));
    let again = home.run(&["connect", "codex"]);
    assert!(again.output.contains("already"), "{}", again.output);
    let undone = home.run(&["connect", "codex", "--undo"]);
    assert_eq!((undone.code, home.read(file).as_str()), (0, before));
    assert_eq!(home.run(&["connect", "codex", "--stdio"]).code, 0);
    home.write(file, &format!("more = 1\n{}", home.read(file)));
    assert_eq!(home.run(&["connect", "codex", "--undo"]).code, 0);
    assert!(home.read(file).starts_with("more = 1\n") && !home.read(file).contains("quaymaster"));
    let log = home.shown(&home.read("arguments.log"));
    insta::assert_snapshot!([planned.output, ran.output, undone.output, log].join("-----\n"));
}

#[test]
fn claude_code_is_told_by_its_own_command_and_keeps_its_state() {
    let home = Home::new();
    home.program("claude", CLAUDE);
    home.write(".claude.json", "{\"numStartups\": 7}");
    let planned = home.run(&["connect", "claude-code", "--dry-run"]);
    let ran = home.run(&["connect", "claude-code"]);
    assert_eq!(ran.code, 0, "{}{}", ran.output, ran.complaint);
    let again = home.run(&["connect", "claude-code"]);
    assert!(again.output.contains("already"), "{}", again.output);
    let undone = home.run(&["connect", "claude-code", "--undo"]);
    assert_eq!(undone.code, 0, "{}", undone.complaint);
    assert_eq!(home.read(".claude.json"), r#"{"numStartups":9,"mcpServers":{}}"#, "state is not turned back");
    assert_eq!(home.files("."), [".claude.json", "arguments.log", "bin", "harbour", "project"]);
    let log = home.read("arguments.log");
    insta::assert_snapshot!([planned.output, ran.output, undone.output, log].join("-----\n"));
}

#[test]
fn a_client_that_is_not_there_or_does_not_do_it_is_told_of() {
    let home = Home::new();
    let missing = home.run(&["connect", "claude-code"]);
    assert_eq!(missing.code, 4);
    insta::assert_snapshot!(missing.complaint);
    home.write(".codex/config.toml", "a = 1\n");
    home.program("codex", "exit 3");
    let failed = home.run(&["connect", "codex"]);
    assert_eq!(failed.code, 4);
    assert!(failed.complaint.contains("failed: exit status: 3"), "{}", failed.complaint);
    home.program("codex", "exit 0");
    let idle = home.run(&["connect", "codex"]);
    assert_eq!(idle.code, 4);
    assert!(
        idle.complaint.contains("did not put `quaymaster` into ~/.codex/config.toml"),
        "{}",
        idle.complaint
    );
}

#[test]
fn no_token_gets_into_a_file_or_a_command_line() {
    let home = Home::new();
    for refused in [
        ["--token-env", "qmt_hunter2"],
        ["--url", "https://ada:hunter2@quay.example.test/mcp"],
        ["--url", "https://quay.example.test/mcp?token=hunter2"],
        ["--url", "ftp://quay.example.test"],
    ] {
        let ran = home.run(&[&["connect", "cursor"], &refused[..]].concat());
        assert_eq!(ran.code, 2, "{}", ran.complaint);
    }
    home.write(CURSOR_FILE, "{\"mcpServers\": {\"a\": {\"url\": hunter2}}}");
    let unreadable = home.run(&["connect", "cursor"]);
    assert_eq!(
        (unreadable.code, unreadable.complaint.as_str()),
        (4, "error: ~/.cursor/mcp.json: line 1: expected a value\n")
    );
    home.write("harbour/quaymaster.yaml", &super::SETTINGS.replace(":8080", ":0"));
    assert_eq!(home.run(&["connect", "vscode"]).code, 2);
}
