//! `quaymaster classify`: what it proposes, and that it tells no values.

use std::fs;
use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use crate::gateway::BINARY;

fn classify(arguments: &[&str], input: &str) -> Output {
    let mut command = Command::new(BINARY);
    command.args(["classify", "--sample", "--tool", "crm_contacts"]).args(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program");
    child.stdin.take().expect("a pipe").write_all(input.as_bytes()).expect("to write");
    child.wait_with_output().expect("an end")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn rules_are_proposed_with_what_speaks_for_them_and_without_values() {
    let table = r#"{"structuredContent":{"status":"success","data":{"columns":[{"name":"id"},{"name":"reach"}],"rows":[[1,"ada@example.com"],[2,"bo@example.com"]]}}}"#;
    let seen = r#"{"structuredContent":{"people":[{"mail":"⟦email:7f3a9c21b04e⟧","note":"none"},{"mail":"⟦email:7f3a9c21b04f⟧","note":"IBAN DE89370400440532013000"}]}}"#;
    let told = r#"{"content":[{"type":"text","text":"{\"card\": \"4111 1111 1111 1111\"}"}]}"#;
    let done = classify(&[], &format!("{table}\n\n{seen}\n{told}\n"));
    assert!(done.status.success(), "{}", text(&done.stderr));
    let printed = text(&done.stdout);
    for value in ["ada@", "bo@", "DE89", "4111", "7f3a"] {
        assert!(!printed.contains(value), "{printed}");
    }
    insta::assert_snapshot!(printed);
    let broken = classify(&[], "{\"a\": \n");
    assert_eq!(broken.status.code(), Some(1), "{}", text(&broken.stderr));
}

#[test]
fn what_a_person_accepts_is_written_once_and_is_a_classification() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("classification.yaml");
    let name = file.to_str().expect("a path");
    fs::write(
        &file,
        "# Ours.\nrules:\n  - { level: restricted, field: salary } # since the merger\n\nredaction: {}\n",
    )
    .expect("a file");
    let sample = "{\"people\": [{\"mail\": \"ada@example.com\"}, {\"mail\": \"bo@example.com\"}]}\n";
    let arguments = ["--classification", name, "--write"];
    let done = classify(&arguments, sample);
    assert!(done.status.success(), "{}", text(&done.stderr));
    let written = fs::read_to_string(&file).expect("the file");
    insta::assert_snapshot!(written);
    let again = classify(&arguments, sample);
    assert!(text(&again.stdout).contains("nothing was found"), "{}", text(&again.stdout));
    assert_eq!(fs::read_to_string(&file).expect("the file"), written);
}
