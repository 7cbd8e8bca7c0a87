//! `quaymaster redact`: lines in, lines out.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::gateway::BINARY;

const RECORDS: &str = "{\"email\":\"ada@example.com\",\"n\":1.50}\n{\"cut\":\"off\n\n[\"ORD-2024-000123\",{\"ip\":\"10.1.2.3\"}]\n";

fn run(folder: &Path, classification: &str, arguments: &[&str]) -> Output {
    fs::write(folder.join("classification.yaml"), classification).expect("a file");
    let mut child = Command::new(BINARY)
        .args(["redact", "--classification", "classification.yaml"])
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("a process");
    child.stdin.take().expect("a pipe").write_all(RECORDS.as_bytes()).expect("written");
    child.wait_with_output().expect("its end")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("text")
}

#[test]
fn every_record_is_a_line_and_a_refused_one_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let done = run(folder.path(), "redaction: {default: mask}", &[]);
    let lines: Vec<String> = text(&done.stdout).lines().map(str::to_owned).collect();
    assert_eq!(done.status.code(), Some(1));
    assert_eq!(lines.len(), 4);
    assert_eq!(lines[0], r#"{"email":"a**@example.com","n":1.50}"#);
    assert!(lines[1].starts_with(r#"{"refused":"the text is not JSON"#) && !lines[1].contains("off"));
    assert_eq!(lines[2], "");
    assert_eq!(lines[3], r#"["ORD-2024-000123",{"ip":"**.*.*.*"}]"#);
}

#[test]
fn findings_go_where_they_were_asked_for() {
    let folder = tempfile::tempdir().expect("a folder");
    let alone = run(folder.path(), "redaction: {}", &["--findings"]);
    let beside = run(folder.path(), "redaction: {}", &["--findings=found.jsonl"]);
    let found = fs::read_to_string(folder.path().join("found.jsonl")).expect("findings");
    assert_eq!(text(&alone.stdout), found);
    assert_eq!(text(&beside.stdout).lines().count(), 4);
    let findings: Vec<Value> = found.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let expected = serde_json::json!([
        {"record": 0, "path": "/email", "class": "email", "action": "tokenise", "detector": "field.en", "start": 0, "end": 15},
        {"record": 3, "path": "/1/ip", "class": "ip", "action": "tokenise", "detector": "field.en", "start": 0, "end": 8},
    ]);
    assert_eq!(Value::from(findings), expected);
}

#[test]
fn with_a_key_placeholders_are_the_same_in_each_run_and_without_one_they_are_not() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("key"), [7; 32]).expect("a key");
    let keyed = || text(&run(folder.path(), "redaction: {}", &["--key", "key"]).stdout);
    let unkeyed = || text(&run(folder.path(), "redaction: {}", &[]).stdout);
    assert_eq!(keyed(), keyed());
    assert_ne!(unkeyed(), unkeyed());
    assert_eq!(run(folder.path(), "redaction: {}", &["--key", "nowhere"]).status.code(), Some(4));
}

#[test]
fn a_wrong_classification_is_told_where_it_is_wrong() {
    let folder = tempfile::tempdir().expect("a folder");
    let done = run(folder.path(), "redaction:\n  kinds:\n    emial: mask\n", &[]);
    let told = text(&done.stderr);
    assert_eq!(done.status.code(), Some(3));
    assert!(told.contains("classification.yaml:3") && told.contains("did you mean `email`?"), "{told}");
}
