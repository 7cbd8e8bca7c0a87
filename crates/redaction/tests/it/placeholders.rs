//! Placeholders: stable in a session, put back where policy allows it, worthless elsewhere.

use quaymaster_redaction::{Key, Kind, KindSet, MemoryVault, Scope, restore_json, restore_text};

use crate::{Keys, engine};

const RECORD: &str = r#"{"email":"ada@example.com","again":"mail ada@example.com","phone":"+49 30 901820"}"#;

fn all() -> KindSet {
    Kind::ALL.iter().copied().collect()
}

#[test]
fn a_value_has_one_placeholder_and_comes_back_by_it() {
    let (keys, vault) = (Keys::new(), MemoryVault::new(10));
    let scope = Scope { vault: Some(&vault), ..keys.scope() };
    let redacted = engine().redact_json(RECORD, &scope).expect("released").text.into_owned();
    let placeholder = redacted.split('"').nth(3).expect("the address").to_owned();
    assert_eq!(redacted.matches(&placeholder).count(), 2, "{redacted}");
    let restored = restore_json(&redacted, &scope, all()).expect("JSON");
    assert_eq!(restored.text, RECORD);
    assert_eq!(restored.restored.len(), 3);
    // What comes from another tool with a placeholder in it passes as it is.
    let again = engine().redact_json(&redacted, &scope).expect("released");
    assert_eq!(again.text, redacted);
}

#[test]
fn a_tool_gets_only_the_kinds_that_it_may_have() {
    let (keys, vault) = (Keys::new(), MemoryVault::new(10));
    let scope = Scope { vault: Some(&vault), ..keys.scope() };
    let redacted = engine().redact_json(RECORD, &scope).expect("released").text.into_owned();
    let restored = restore_json(&redacted, &scope, KindSet::NONE.with(Kind::Phone)).expect("JSON");
    assert!(restored.text.contains("+49 30 901820") && !restored.text.contains("ada@"));
    assert_eq!((restored.restored, restored.withheld), (vec![Kind::Phone], vec![Kind::Email, Kind::Email]));
}

#[test]
fn elsewhere_a_placeholder_is_worthless_even_with_the_same_vault() {
    let (keys, vault, other) = (Keys::new(), MemoryVault::new(10), Key::new([1; 32]));
    let scope = Scope { vault: Some(&vault), ..keys.scope() };
    let redacted = engine().redact_json(RECORD, &scope).expect("released").text.into_owned();
    let elsewhere = [
        Scope { session: "s-2", ..scope },
        Scope { workspace: "hr", ..scope },
        Scope { session_key: &other, ..scope },
        Scope { vault: None, ..scope },
    ];
    for scope in elsewhere {
        let restored = restore_json(&redacted, &scope, all()).expect("JSON");
        assert_eq!(
            (restored.text, restored.restored.len(), restored.withheld.len()),
            (redacted.clone(), 0, 3)
        );
    }
}

#[test]
fn what_is_put_back_is_text_and_never_json() {
    let (keys, vault) = (Keys::new(), MemoryVault::new(10));
    let scope = Scope { vault: Some(&vault), ..keys.scope() };
    let redacted = engine().redact_json(
        r#"{"name":"a\",\"admin\":true","email":"x@y.org","first_name":"Eve O'\"Hara"}"#,
        &scope,
    );
    let redacted = redacted.expect("released").text.into_owned();
    let restored = restore_json(&redacted, &scope, all()).expect("JSON").text;
    let value: serde_json::Value = serde_json::from_str(&restored).expect("JSON");
    assert_eq!(value.as_object().map(serde_json::Map::len), Some(3));
    assert!(
        restore_text("⟦email:000000000000⟧ ⟦email:x⟧ ⟦⟧ ⟦", &scope, all())
            .is_ok_and(|r| r.withheld == [Kind::Email])
    );
}

#[test]
fn a_vault_that_is_full_releases_nothing() {
    let (keys, vault) = (Keys::new(), MemoryVault::new(1));
    let scope = Scope { vault: Some(&vault), ..keys.scope() };
    let refusal = engine().redact_json(RECORD, &scope).expect_err("a full vault");
    assert!(refusal.to_string().contains("placeholders") && !refusal.to_string().contains("ada"));
}
