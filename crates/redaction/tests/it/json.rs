//! JSON: what is found, what is left, and what it looks like afterwards.

use quaymaster_redaction::Refusal;

use crate::{classes, configured, engine, redact};

#[test]
fn a_record_is_redacted_field_by_field_and_keeps_its_spelling() {
    let record = r#"{ "id": 17.50, "name":"Ada Lovelace", "email" : "ada@example.com", "born": "1815-12-10",
        "phone": 4930901820, "ok": true, "note": "call +49 30 901820 about order 4711", "none": null }"#;
    let redacted = redact(&engine(), record).expect("released");
    insta::assert_snapshot!(redacted.text);
    insta::assert_snapshot!(serde_json::to_string_pretty(&redacted.findings).expect("JSON"));
}

#[test]
fn where_nothing_is_found_nothing_is_copied() {
    let text =
        r#"{"order":"ORD-2024-000123","lines":[{"sku":"SKU-8842-XK","amount":3}],"note":"sent on Monday"}"#;
    let redacted = redact(&engine(), text).expect("released");
    assert!(std::ptr::eq(redacted.text.as_ref(), text) && redacted.findings.is_empty());
}

#[test]
fn every_action_leaves_what_it_says() {
    let engine = configured(
        r#"{"kinds":{"email":"mask","phone":"hash","date_of_birth":"generalise","ip":"drop","iban":"allow","ssn":"off"}}"#,
    );
    let record = r#"{"email":"ada@example.com","phone":"+49 30 901820","dob":"1815-12-10","ip":"10.1.2.3",
        "iban":"DE89370400440532013000","ssn":"536-90-4399","age":36}"#;
    insta::assert_snapshot!(redact(&engine, record).expect("released").text);
}

#[test]
fn declared_fields_go_before_everything_else() {
    let engine = configured(
        r#"{"fields":[{"match":"$.rows[*].remark","kind":"person_name","action":"mask"},
            {"match":"$..mail","action":"allow"},{"match":"$.internal","kind":"national_id","action":"drop"}]}"#,
    );
    let text = r#"{"rows":[{"remark":"anything at all","mail":"ada@example.com"}],"internal":{"a":[1,"b"]},"mail":"x@y.org"}"#;
    insta::assert_snapshot!(redact(&engine, text).expect("released").text);
}

#[test]
fn names_are_of_persons_in_the_company_of_their_data() {
    let engine = engine();
    let person = classes(
        &engine,
        r#"{"customer":{"name":"Ada"},"product":{"name":"Ada"},"contact":{"name":"Bo","email":"b@x.org"}}"#,
    );
    assert_eq!(person.keys().collect::<Vec<_>>(), ["/contact/email", "/contact/name", "/customer/name"]);
    let role =
        classes(&engine, r#"{"assignee":"Ada Lovelace","owner":"billing-team","reviewer":"Grace Hopper"}"#);
    assert_eq!(role.keys().collect::<Vec<_>>(), ["/assignee", "/reviewer"]);
}

#[test]
fn what_stands_in_a_field_is_known_again_in_a_text() {
    let text =
        r#"{"name":"Ada Lovelace","email":"a@x.org","note":"Ada Lovelace called, says Ada Lovelacey"}"#;
    let redacted = redact(&engine(), text).expect("released");
    assert_eq!(redacted.text.matches("⟦person_name:").count(), 2, "{}", redacted.text);
    assert!(
        redacted.text.contains("Ada Lovelacey") && redacted.findings.iter().any(|f| f.detector == "echo")
    );
}

#[test]
fn names_of_members_that_are_data_are_redacted_in_the_path_too() {
    let text = r#"{"by_mail":{"ada@example.com":{"ssn":"536-90-4399"},"plain_2":1}}"#;
    let redacted = redact(&engine(), text).expect("released");
    assert!(!redacted.text.contains("ada@example.com") && redacted.text.contains("plain_2"));
    for finding in &redacted.findings {
        assert!(finding.path.starts_with("/by_mail/⟦email:"), "{}", finding.path);
    }
}

#[test]
fn secrets_are_dropped_wherever_they_stand() {
    let key = ["AKIA", "Z7VRSQ5TJN2XM4KP"].concat();
    let text =
        format!(r#"{{"log":"using {key} for upload","password":"hunter2","apiKey":"q8Zr4tLw9Xc2Vb7N"}}"#);
    let redacted = redact(&engine(), &text).expect("released");
    assert_eq!(
        redacted.text,
        r#"{"log":"using ⟦secret_aws⟧ for upload","password":"⟦secret_password⟧","apiKey":"⟦secret_generic⟧"}"#
    );
}

#[test]
fn what_is_no_json_is_refused_without_its_text() {
    for text in ["", "{", r#"{"a":"ada@example.com""#, "[1,", "nul", r#"{"a":1}x"#, &"[".repeat(200)] {
        let refusal = redact(&engine(), text).expect_err(text);
        assert!(matches!(refusal, Refusal::Malformed { .. }) && !refusal.to_string().contains("ada@"));
    }
    let lone = redact(&engine(), r#"{"a":["x","\ud800"]}"#);
    assert_eq!(lone.map(|_| ()), Err(Refusal::NotText { path: "/a/1".into() }));
}

#[test]
fn a_wrong_configuration_is_told_whole() {
    let config = serde_json::from_str(
        r#"{"fields":[{"match":"$.a[0]","kind":"email"},{"match":"$.b"}],"lexicon":[{"names":[]}],
            "columns":{"percent":0},"detectorsOff":["emial"],"binary":{"allow":["png"]},"nested":{"maxDepth":9}}"#,
    );
    let problems =
        quaymaster_redaction::Engine::new(&config.expect("a form")).map(|_| ()).expect_err("problems");
    let told: Vec<String> =
        problems.iter().map(|problem| format!("{}: {}", problem.path, problem.message)).collect();
    insta::assert_snapshot!(told.join("\n"));
}
