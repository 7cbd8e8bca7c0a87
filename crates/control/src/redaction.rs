//! Redaction of what leaves: the engine of `classification.yaml`, with keys for each workspace and session.
//!
//! What is found in a text and what is put in its place is `quaymaster-redaction`; who may see what at all is
//! decided before. Invariants:
//! - A text that the engine refuses does not leave.
//! - Placeholders and hashes are of one workspace, placeholders of one session as well: by keys that are
//!   derived from the installation's and are nowhere stored.

use std::collections::BTreeMap;
use std::sync::Arc;

use quaymaster_core::CallRequest;
use quaymaster_redaction::{Action, Engine, Finding, Key, Redacted, Refusal, Scope};

use crate::crypto::SealingKey;

/// What redacts results before they leave.
#[derive(Clone, Debug)]
pub struct Redactor {
    engine: Arc<Engine>,
    keys: Arc<SealingKey>,
}

/// How much was redacted, by kind.
pub(crate) type Counts = BTreeMap<&'static str, u64>;

impl Redactor {
    /// One that does what `engine` says, with keys derived from `keys`.
    pub fn new(engine: Arc<Engine>, keys: Arc<SealingKey>) -> Self {
        Self { engine, keys }
    }

    /// The same for the caller of `request`.
    pub(crate) fn of(&self, request: &CallRequest) -> Redaction<'_> {
        let workspace = request.actor.workspace.as_str().to_owned();
        let session = match &request.session {
            Some(session) => session.as_str().to_owned(),
            // Without a session, those of one actor's agent belong together.
            None => format!("{} {}", request.actor.id, request.agent.client.as_deref().unwrap_or_default()),
        };
        let key = |parts: &[&str]| Key::new(*self.keys.derived("redaction", parts));
        let tenant = key(&["tenant", &workspace]);
        let placeholders = key(&["session", &workspace, &session]);
        Redaction { engine: &self.engine, workspace, session, tenant, placeholders }
    }
}

/// The redaction of what one caller gets.
#[derive(Debug)]
pub(crate) struct Redaction<'a> {
    engine: &'a Engine,
    workspace: String,
    session: String,
    tenant: Key,
    placeholders: Key,
}

impl Redaction<'_> {
    /// Redacts a JSON text, and counts in `counts` what it did.
    pub(crate) fn json(&self, text: &str, counts: &mut Counts) -> Result<Option<String>, Refusal> {
        self.engine.redact_json(text, &self.scope()).map(|redacted| changed(redacted, counts))
    }

    /// Redacts a text that is none.
    pub(crate) fn text(&self, text: &str) -> Result<Option<String>, Refusal> {
        let redacted = self.engine.redact_text(text, &self.scope());
        redacted.map(|redacted| changed(redacted, &mut Counts::new()))
    }

    fn scope(&self) -> Scope<'_> {
        Scope {
            workspace: &self.workspace,
            session: &self.session,
            tenant_key: &self.tenant,
            session_key: &self.placeholders,
            vault: None,
        }
    }
}

/// The text, if it is another one now.
fn changed(redacted: Redacted<'_>, counts: &mut Counts) -> Option<String> {
    let Redacted { text, findings } = redacted;
    let acted = |finding: &&Finding| finding.action != Action::Allow;
    for finding in findings.iter().filter(acted) {
        *counts.entry(finding.class.as_str()).or_default() += 1;
    }
    match text {
        std::borrow::Cow::Borrowed(_) => None,
        std::borrow::Cow::Owned(text) => Some(text),
    }
}
