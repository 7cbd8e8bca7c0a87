//! Links to the page of a request for approval, in messages.
//!
//! A link may suggest an answer. The suggestion is sealed, so that a page shows as suggested only
//! what this installation wrote; it selects the answer in the form and decides nothing. To decide
//! takes a log-in and a form that is sent from the page.

use std::time::Duration;

use quaymaster_control::crypto::CryptoError;
use quaymaster_control::keyring::{Binding, KeyRing};
use quaymaster_core::ApprovalId;

/// For what suggestions are sealed.
const PURPOSE: &str = "suggested-answer";

/// The answers that a link can suggest.
const ANSWERS: [&str; 2] = ["approve", "reject"];

/// The pages of one installation.
#[derive(Clone, Copy, Debug)]
pub struct Links<'a> {
    /// Where people reach the console, without a slash at the end.
    pub base: &'a str,
    /// The keys that seal suggestions.
    pub keys: &'a KeyRing,
}

impl Links<'_> {
    /// The page of a request.
    pub fn show(&self, id: &ApprovalId) -> String {
        format!("{}/approvals/{id}", self.base)
    }

    /// The same with a suggested answer, `approve` or `reject`, for `lifetime`.
    ///
    /// # Errors
    ///
    /// [`CryptoError`] if the keys refuse.
    pub fn answer(&self, id: &ApprovalId, answer: &str, lifetime: Duration) -> Result<String, CryptoError> {
        let sealed = self.keys.seal(&binding(&[id.as_str()]), answer, lifetime)?;
        Ok(format!("{}?intent={answer}&sig={sealed}", self.show(id)))
    }
}

/// The answer that a link to the page of `id` suggests; none if we did not write it.
pub(crate) fn suggested(keys: &KeyRing, id: &ApprovalId, intent: &str, sig: &str) -> Option<&'static str> {
    let sealed = keys.open(&binding(&[id.as_str()]), sig).ok()?;
    ANSWERS.into_iter().find(|answer| *answer == intent && *answer == sealed.as_str())
}

fn binding<'a>(holder: &'a [&'a str]) -> Binding<'a> {
    Binding { purpose: PURPOSE, holder }
}
