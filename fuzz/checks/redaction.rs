//! What must hold for any bytes that are redacted, as JSON and as text.
//!
//! Used by the fuzz target and, with the corpus, by the tests of the engine.

use std::sync::OnceLock;

use quaymaster_redaction::{Engine, Key, KindSet, RedactionConfig, Scope, restore_json};
use serde_json::Value;

static ENGINE: OnceLock<Engine> = OnceLock::new();

/// Fails if a text is neither redacted whole nor refused, or if redacting it again changes it.
pub(crate) fn check(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let engine = ENGINE.get_or_init(|| Engine::new(&RedactionConfig::default()).expect("a configuration"));
    let key = Key::new([7; 32]);
    let scope = Scope {
        workspace: "w",
        session: "s",
        tenant_key: &key,
        session_key: &key,
        vault: None,
        withheld: &[],
    };
    if let Ok(redacted) = engine.redact_json(text, &scope) {
        let after = serde_json::from_str::<Value>(&redacted.text);
        assert!(after.is_ok(), "what was JSON stays JSON");
        assert_eq!(redacted.findings.is_empty(), redacted.text == text, "a change has a finding");
        let restored = restore_json(&redacted.text, &scope, KindSet::NONE).expect("JSON");
        assert_eq!(restored.text, redacted.text, "without a kind nothing is put back");
    }
    if let Ok(redacted) = engine.redact_text(text, &scope) {
        for finding in &redacted.findings {
            assert!(text.get(finding.start..finding.end).is_some(), "a finding is a part of the text");
        }
    }
}
