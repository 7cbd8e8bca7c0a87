//! The engine as those use it who call it.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test may fail; Clippy sees that of test functions alone, not of what they share"
)]

mod bounds;
mod columns;
mod corpus;
mod encoded;
mod json;
mod placeholders;
mod properties;

use std::collections::BTreeMap;

use quaymaster_redaction::{Engine, Key, Redacted, RedactionConfig, Refusal, Scope};

/// The keys of a session that exists for a test only.
struct Keys {
    tenant: Key,
    session: Key,
}

impl Keys {
    fn new() -> Self {
        Self { tenant: Key::new([7; 32]), session: Key::new([9; 32]) }
    }

    fn scope(&self) -> Scope<'_> {
        Scope {
            workspace: "sales",
            session: "s-1",
            tenant_key: &self.tenant,
            session_key: &self.session,
            vault: None,
            withheld: &[],
        }
    }
}

fn engine() -> Engine {
    Engine::new(&RedactionConfig::default()).expect("a configuration")
}

/// A configuration, written as JSON.
fn configured(json: &str) -> Engine {
    let config: RedactionConfig = serde_json::from_str(json).expect("a configuration");
    Engine::new(&config).expect("a configuration that holds together")
}

fn redact<'t>(engine: &Engine, text: &'t str) -> Result<Redacted<'t>, Refusal> {
    engine.redact_json(text, &Keys::new().scope())
}

/// What was found where, by pointer.
fn classes(engine: &Engine, text: &str) -> BTreeMap<String, Vec<String>> {
    let mut classes: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for finding in redact(engine, text).expect("a text that is released").findings {
        classes.entry(finding.path).or_default().push(format!("{} by {}", finding.class, finding.detector));
    }
    classes
}
