//! Redaction of what leaves: the engine of `classification.yaml`, with keys for each workspace and session.
//!
//! What is found in a text and what is put in its place is `quaymaster-redaction`; who may see what at all is
//! decided before. Invariants:
//! - A text that the engine refuses does not leave.
//! - Placeholders and hashes are of one workspace, placeholders of one session as well: by keys that are
//!   derived from the installation's and are nowhere stored.

mod vault;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use self::vault::Kept;
pub use self::vault::Placeholders;
use quaymaster_core::CallRequest;
use quaymaster_redaction::{
    Action, Engine, Finding, Key, Kind, KindSet, Redacted, Refusal, Restored, Scope, Vault, restore_json,
};
use serde_json::Value;

use crate::classification::Cover;
use crate::crypto::SealingKey;

/// What redacts results before they leave.
#[derive(Clone, Debug)]
pub struct Redactor {
    engine: Arc<Engine>,
    keys: Arc<SealingKey>,
    placeholders: Option<Arc<Placeholders>>,
}

/// What was found in texts, and what became of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    /// How much was redacted, by kind.
    pub(crate) counts: BTreeMap<&'static str, u64>,
    /// What was left where it is.
    pub(crate) left: BTreeSet<Kind>,
}

impl Redactor {
    /// One that does what `engine` says, with keys derived from `keys`.
    pub fn new(engine: Arc<Engine>, keys: Arc<SealingKey>) -> Self {
        Self { engine, keys, placeholders: None }
    }

    /// The same with what placeholders stand for kept in `placeholders`, so that it can be put back.
    #[must_use]
    pub fn keeping(self, placeholders: Arc<Placeholders>) -> Self {
        Self { placeholders: Some(placeholders), ..self }
    }

    /// The same for the caller of `request`.
    pub(crate) fn of(&self, request: &CallRequest) -> Redaction<'_> {
        let workspace = request.actor.workspace.as_str().to_owned();
        let session = match &request.session {
            Some(session) => session.as_str().to_owned(),
            // Without a session, those of one actor's agent belong together. No name of an actor has a line's end.
            None => format!("{}\n{}", request.actor.id, request.agent.client.as_deref().unwrap_or_default()),
        };
        let key = |parts: &[&str]| Key::new(*self.keys.derived("redaction", parts));
        let tenant = key(&["tenant", &workspace]);
        let placeholders = key(&["session", &workspace, &session]);
        let kept = self.placeholders.as_ref().map(|all| all.of(&workspace, &session));
        Redaction {
            engine: &self.engine,
            workspace,
            session,
            tenant,
            placeholders,
            withheld: Vec::new(),
            kept,
        }
    }
}

/// The redaction of what one caller gets.
pub(crate) struct Redaction<'a> {
    engine: &'a Engine,
    workspace: String,
    session: String,
    tenant: Key,
    placeholders: Key,
    withheld: Vec<(Kind, Action)>,
    kept: Option<Kept<'a>>,
}

impl Redaction<'_> {
    /// The same for a caller who may not have data of some kinds where it is found.
    #[must_use]
    pub(crate) fn withholding(self, withheld: Vec<(Kind, Action)>) -> Self {
        Self { withheld, ..self }
    }

    /// Redacts a JSON text, and notes in `found` what it did.
    pub(crate) fn json(&self, text: &str, found: &mut Found) -> Result<Option<String>, Refusal> {
        self.engine.redact_json(text, &self.scope()).map(|redacted| changed(redacted, found))
    }

    /// Puts back what placeholders of this session stand for in a JSON text, as far as it is `allowed`.
    pub(crate) fn put_back(&self, text: &str, allowed: KindSet) -> Result<Restored, Refusal> {
        restore_json(text, &self.scope(), allowed)
    }

    /// What is in a JSON text, which is left as it is.
    pub(crate) fn find(&self, text: &str) -> Result<Vec<Finding>, Refusal> {
        let scope = Scope { vault: None, ..self.scope() };
        self.engine.redact_json(text, &scope).map(|redacted| redacted.findings)
    }

    /// What stands for `value`, which is of a level called `level` and may not be released; none if it has
    /// to be taken out.
    pub(crate) fn cover(&self, cover: Cover, level: &str, value: &Value) -> Option<Value> {
        match cover {
            // Of a value of which no kind is known nobody can say what would be less exact, nor hand it back.
            Cover::Drop | Cover::Generalise | Cover::Tokenise => None,
            Cover::Mask => Some(MASK.into()),
            Cover::Hash => {
                let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                Some(self.scope().hash_of(level, &text).into())
            }
        }
    }

    /// Redacts a text that is none.
    pub(crate) fn text(&self, text: &str) -> Result<Option<String>, Refusal> {
        let redacted = self.engine.redact_text(text, &self.scope());
        redacted.map(|redacted| changed(redacted, &mut Found::default()))
    }

    fn scope(&self) -> Scope<'_> {
        Scope {
            workspace: &self.workspace,
            session: &self.session,
            tenant_key: &self.tenant,
            session_key: &self.placeholders,
            vault: self.kept.as_ref().map(|kept| kept as &dyn Vault),
            withheld: &self.withheld,
        }
    }
}

/// What stands for a value that is masked.
const MASK: &str = "*****";

/// The text, if it is another one now.
fn changed(redacted: Redacted<'_>, found: &mut Found) -> Option<String> {
    let Redacted { text, findings } = redacted;
    for Finding { class, action, .. } in &findings {
        if *action == Action::Allow {
            found.left.insert(*class);
        } else {
            *found.counts.entry(class.as_str()).or_default() += 1;
        }
    }
    match text {
        std::borrow::Cow::Borrowed(_) => None,
        std::borrow::Cow::Owned(text) => Some(text),
    }
}
