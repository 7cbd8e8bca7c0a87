//! Placeholders are put back: in the arguments of a tool that may have what they stand for.
//!
//! Invariants:
//! - A placeholder of another session or workspace, of a kind that the tool may not have, or that nobody
//!   gave out stays as it is: a text that tells nothing.
//! - What is put in is text: it never becomes JSON of its own.

use quaymaster_core::raw::{Event, Walk};

use crate::document::{MAX_DEPTH, decode};
use crate::finding::Refusal;
use crate::kind::{Kind, KindSet};
use crate::pass::{Edit, apply};
use crate::scope::{CLOSE, OPEN, Placeholder, Scope, inner_of};

/// Most placeholders that are put back in one text.
const MAX_RESTORED: usize = 10_000;

/// A text in which placeholders were put back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    /// The text.
    pub text: String,
    /// The kinds of what was put back, once for each placeholder.
    pub restored: Vec<Kind>,
    /// The kinds of placeholders that were left, once for each. Where one is here, the tool will get a placeholder.
    pub withheld: Vec<Kind>,
}

/// Puts back in a JSON text what placeholders of `scope` stand for, as far as it is of an `allowed` kind.
///
/// Names of members are left as they are.
///
/// # Errors
///
/// [`Refusal::Malformed`] for what is not JSON, [`Refusal::TooMany`] for more than 10,000 placeholders.
pub fn restore_json(text: &str, scope: &Scope<'_>, allowed: KindSet) -> Result<Restored, Refusal> {
    let mut restored = Restored { text: String::new(), restored: Vec::new(), withheld: Vec::new() };
    let mut edits = Vec::new();
    let mut walk = Walk::new(text, MAX_DEPTH);
    while let Some(event) =
        walk.advance().map_err(|error| Refusal::Malformed { reason: error.to_string() })?
    {
        let Event::Scalar(token, at) = event else { continue };
        let Some(value) = decode(token).filter(|value| value.contains(OPEN)) else { continue };
        let inner = in_text(&value, scope, allowed, &mut restored)?;
        if !inner.is_empty() {
            let mut written = String::new();
            quaymaster_core::json::write_string(&mut written, &apply(&value, &inner));
            edits.push(Edit { start: at, end: at + token.len(), text: written });
        }
    }
    restored.text = apply(text, &edits);
    Ok(restored)
}

/// Puts back in a text what placeholders of `scope` stand for, as far as it is of an `allowed` kind.
///
/// # Errors
///
/// [`Refusal::TooMany`] for more than 10,000 placeholders.
pub fn restore_text(text: &str, scope: &Scope<'_>, allowed: KindSet) -> Result<Restored, Refusal> {
    let mut restored = Restored { text: String::new(), restored: Vec::new(), withheld: Vec::new() };
    let edits = in_text(text, scope, allowed, &mut restored)?;
    restored.text = apply(text, &edits);
    Ok(restored)
}

fn in_text(
    text: &str,
    scope: &Scope<'_>,
    allowed: KindSet,
    tally: &mut Restored,
) -> Result<Vec<Edit>, Refusal> {
    let mut edits = Vec::new();
    for (start, _) in text.match_indices(OPEN) {
        let Some(inner) = inner_of(text, start + OPEN.len_utf8()) else { continue };
        let Some(placeholder) = Placeholder::parse(inner) else { continue };
        if tally.restored.len() + tally.withheld.len() == MAX_RESTORED {
            return Err(Refusal::TooMany { max: MAX_RESTORED });
        }
        let kind = placeholder.kind();
        let value = scope.vault.filter(|_| allowed.has(kind)).and_then(|vault| vault.value(&placeholder));
        // The vault may hold what another session put there: the key tells.
        match value.filter(|value| scope.placeholder(kind, value) == placeholder) {
            Some(value) => {
                let end = start + OPEN.len_utf8() + inner.len() + CLOSE.len_utf8();
                edits.push(Edit { start, end, text: value.as_str().to_owned() });
                tally.restored.push(kind);
            }
            None => tally.withheld.push(kind),
        }
    }
    Ok(edits)
}
