//! What makes two writes the same one.

use std::time::Duration;

use quaymaster_core::json::{ObjectWriter, canonical};
use quaymaster_core::setting::DurationSetting;
use quaymaster_core::{ApprovalId, CallError, EntryId, ErrorCode};
use quaymaster_store::LedgerRow;

use super::{Ledger, Stand, WINDOW};
use crate::audit::Subject;
use crate::stages::Facts;

/// Longest key that a client may send, in bytes.
const MAX_KEY_BYTES: usize = 200;

/// How much a key says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Strength {
    /// Whoever has the same key means the same write.
    Named,
    /// It is all arguments, so it may be another write that happens to be like it.
    Guessed,
}

/// Whether a client's key has the form of one.
///
/// # Errors
///
/// `input.invalid`: to leave out a key that somebody relies on would be to run a write twice.
pub(super) fn check(key: Option<&str>) -> Result<(), CallError> {
    let fits =
        |key: &str| !key.is_empty() && key.len() <= MAX_KEY_BYTES && !key.chars().any(char::is_control);
    match key {
        Some(key) if !fits(key) => {
            let message = "the idempotency key must be a string of 1 to 200 bytes without control characters";
            Err(CallError::new(ErrorCode::InputInvalid, message))
        }
        _ => Ok(()),
    }
}

impl Ledger {
    /// The row that the call of `facts` would begin.
    pub(super) fn row(&self, facts: &Facts, subject: &Subject) -> (LedgerRow, Strength) {
        let (request, now) = (&facts.request, self.clock.now());
        let (text, strength) = key(facts);
        let arguments = facts.arguments.as_ref().unwrap_or(&request.arguments);
        let row = LedgerRow {
            key: subject.commit_to("idempotency key", text.as_bytes()),
            id: EntryId::new(self.clock.as_ref(), self.randomness.as_ref()),
            version: 0,
            workspace: request.actor.workspace.clone(),
            tool: facts.tool.as_ref().map_or_else(String::new, |tool| tool.name().to_string()),
            digest: subject.commit_to("idempotency arguments", arguments.as_json().as_bytes()),
            state: Stand::Intent.as_str().to_owned(),
            call_id: request.id.to_string(),
            receipt: None,
            lease_us: Some(self.lease()),
            created_us: now.as_micros(),
            kept_us: now.after(window(facts)).as_micros(),
        };
        (row, strength)
    }
}

/// How long the same write is recognised.
pub(super) fn window(facts: &Facts) -> Duration {
    let config = facts.tool.as_ref().and_then(|tool| tool.declaration().idempotency.as_ref());
    config.and_then(|config| config.window).map_or(WINDOW, DurationSetting::get)
}

/// The key as canonical JSON. The members are in the canonical order.
fn key(facts: &Facts) -> (String, Strength) {
    let request = &facts.request;
    let declaration = facts.tool.as_ref().map(|tool| tool.declaration());
    let arguments = facts.arguments.as_ref().unwrap_or(&request.arguments);
    let named = declaration.and_then(|declaration| declaration.idempotency.as_ref());
    let client = request.idempotency_key.as_deref();
    let mut text = String::with_capacity(256);
    let mut object = ObjectWriter::begin(&mut text);
    object.string("actor", request.actor.id.as_str());
    if client.is_none() {
        object.optional("approval", facts.approval.as_ref().map(ApprovalId::as_str));
    }
    let strength = match (client, named) {
        (Some(client), _) => {
            object.string("client", client);
            Strength::Named
        }
        (None, Some(named)) => {
            let mut from: Vec<&String> = named.from.iter().collect();
            from.sort();
            let mut fields = ObjectWriter::begin(object.member("fields"));
            for name in from {
                let value = arguments.get(name).map_or_else(|| "null".to_owned(), canonical);
                fields.any_member(name).push_str(&value);
            }
            fields.end();
            Strength::Named
        }
        (None, None) => {
            object.member("guess").push_str(arguments.as_json());
            Strength::Guessed
        }
    };
    object.optional("major", declaration.and_then(|declaration| declaration.version.split('.').next()));
    object.string("tool", facts.tool.as_ref().map_or(&*request.tool, |tool| tool.name().as_str()));
    object.number("v", 1);
    object.string("workspace", request.actor.workspace.as_str());
    object.end();
    (text, strength)
}
