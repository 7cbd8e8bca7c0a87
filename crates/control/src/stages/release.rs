//! What may leave: the only place that opens a [`RawOutput`].
//!
//! By the classification that the connector declares, against the actor's clearance, and by what
//! policy says of fields. Fields and columns that are declared
//! `drop`, whose class is above the clearance, or that policy hides, are taken out; what is above the clearance as a whole,
//! and what cannot be understood while something has to be taken out, is not
//! released at all. What is left is looked through by what `classification.yaml` has looked for.
//!
//! Invariants:
//! - A panic while a result is looked into withholds it and loses no outcome.
//! - Whoever made a write is never told that it failed because its result is withheld.

mod fields;
mod names;
mod sieve;
mod table;
mod upstream;

use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};

use quaymaster_core::{Actor, CallError, Effect, ErrorCode, Keeping, Retry};

use super::Rulebook;
use super::facts::Facts;
use super::permit::Receipt;
use quaymaster_redaction::{Kind, Refusal};

use crate::classification::{Level, Levels};
use crate::output::{Highest, RawContent, RawOutput, Released, SafeOutput};
use crate::redaction::Found;

pub(super) use fields::FieldRules;
pub(super) use sieve::Sieve;

/// Releases what this actor may have of a result.
///
/// # Errors
///
/// The connector's own error, with what the upstream said only if that may leave;
/// `release.refused` if nothing may leave or the result cannot be understood;
/// `upstream.error` if a read breaks the upstream's own contract.
pub fn release(
    raw: Result<RawOutput, CallError>,
    receipt: &Receipt,
    rulebook: &Rulebook,
) -> Result<SafeOutput, CallError> {
    let raw = raw.map_err(|error| release_message(by_switch(error, receipt), receipt, rulebook))?;
    let tool = receipt.facts.tool.as_ref();
    if tool.is_some_and(|tool| tool.effect() == Effect::Read) {
        return guarded(|| look_into(raw, receipt, rulebook));
    }
    let success = guarded(|| Ok(says_success(&raw))).ok().flatten();
    // There is one release for each call.
    let _ = receipt.facts.took_effect.set(success);
    guarded(|| look_into(raw, receipt, rulebook)).map_err(|error| withheld(error, success))
}

/// A call that was taken back because a switch wanted it to end says so.
fn by_switch(error: CallError, receipt: &Receipt) -> CallError {
    match receipt.facts.stopped() {
        Some(stopped) if error.code == ErrorCode::CallCancelled => stopped,
        _ => error,
    }
}

/// The checks run over foreign data in foreign libraries.
fn guarded<T>(check: impl FnOnce() -> Result<T, CallError>) -> Result<T, CallError> {
    catch_unwind(AssertUnwindSafe(check)).unwrap_or_else(|_| Err(refused("the result could not be checked")))
}

/// What the upstream said with an error may hold whatever its results may hold, and
/// has no fields to take out: it leaves only where nothing would have to be.
fn release_message(mut error: CallError, receipt: &Receipt, rulebook: &Rulebook) -> CallError {
    let Some(said) = error.upstream_message.take() else { return error };
    let facts = &receipt.facts;
    if let Some(sieve) = Sieve::of(facts, rulebook).filter(Sieve::lets_all_through)
        && let Some(said) = redacted_text(&said, facts, rulebook, &sieve)
    {
        let said: String = said.chars().take(MAX_MESSAGE_CHARS).collect();
        // There is one error for each call.
        let _ = facts.quoted.set(());
        error.public_message = format!("{}: {said}", error.public_message);
    }
    error
}

/// A text as it may leave; none if it may not.
fn redacted_text<'a>(
    text: &'a str,
    facts: &Facts,
    rulebook: &Rulebook,
    sieve: &Sieve<'_>,
) -> Option<Cow<'a, str>> {
    let Some(redactor) = rulebook.redactor() else { return Some(text.into()) };
    let redaction = redactor.of(&facts.request).withholding(sieve.withheld_kinds());
    let redacted = redaction.text(text).ok()?;
    Some(redacted.map_or(Cow::Borrowed(text), Cow::Owned))
}

/// What is wrong with a result that could not be looked through.
fn unredacted(refusal: &Refusal) -> CallError {
    // Where it is says what fields the result has, which is told by nothing else that is withheld.
    let what = match refusal {
        Refusal::Malformed { .. } | Refusal::Truncated { .. } | Refusal::NotText { .. } => {
            "it cannot be read whole"
        }
        Refusal::TooDeep { .. } => "it is encoded in too many layers",
        Refusal::Binary { .. } => "it holds content of a type that is not let through",
        Refusal::TooMany { .. } | Refusal::TooLong { .. } => "it is too much to be looked through",
        _ => "what was found could not be kept",
    };
    refused(&format!("the result may not leave as it is: {what}"))
}

/// Whether the system behind the tool says that it did what was asked; `None` where that cannot be told.
fn says_success(raw: &RawOutput) -> Option<bool> {
    match &raw.content {
        RawContent::Table(_) => Some(true),
        RawContent::Upstream(result) => upstream::says_success(&result.as_parted()),
    }
}

/// A write that is done stays done, whatever becomes of its result.
pub(super) fn withheld(error: CallError, success: Option<bool>) -> CallError {
    let effect = match success {
        Some(true) => "it took effect",
        None => "it may have taken effect",
        Some(false) => return error,
    };
    let public_message = format!("{effect}; its result is withheld: {}", error.public_message);
    CallError { code: ErrorCode::ReleaseRefused, public_message, ..error }
        .retry(Retry::Never)
        .hint("look the effect up in the system behind the tool; do not call again")
}

fn look_into(raw: RawOutput, receipt: &Receipt, rulebook: &Rulebook) -> Result<SafeOutput, CallError> {
    let facts = &receipt.facts;
    let sieve = Sieve::of(facts, rulebook)
        .ok_or_else(|| refused("there is no classification to release this result by"))?;
    let redaction = rulebook.redactor().map(|redactor| redactor.of(&facts.request));
    let redaction = redaction.map(|redaction| redaction.withholding(sieve.withheld_kinds()));
    let (redaction, call) = (redaction.as_ref(), &facts.request.id);
    match raw.content {
        RawContent::Table(table) => table::release(table, &sieve, redaction, call),
        RawContent::Upstream(result) => upstream::release(&result.as_parted(), &sieve, redaction, call),
    }
}

/// Longest message that is taken over from an upstream's error.
const MAX_MESSAGE_CHARS: usize = 1_000;

fn refused(message: &str) -> CallError {
    CallError::new(ErrorCode::ReleaseRefused, message)
}

/// What is said of a result of a level that this actor may not have.
pub(super) fn not_for(actor: &Actor, level: Level, levels: &Levels) -> CallError {
    let name = levels.name(level);
    if levels.class(level) > actor.clearance {
        return refused(&format!("the result is {name}, which is above your clearance"));
    }
    refused(&format!("the result is {name}, which may not be released to you here"))
}

/// Counts what was released and kept back.
#[derive(Debug, Default)]
struct Tally {
    classes: std::collections::BTreeSet<Level>,
    redactions: std::collections::BTreeMap<Level, u64>,
    /// The kinds of data that were found and are released.
    kinds: std::collections::BTreeSet<Kind>,
    /// What was found in what is left, and what became of it.
    found: Found,
    /// What was kept back by policy alone.
    by_policy: u64,
}

impl Tally {
    /// Counts something that was kept back for its class, or else by policy.
    fn note_kept_back(&mut self, class: Option<Level>) {
        match class {
            Some(class) => *self.redactions.entry(class).or_default() += 1,
            None => self.by_policy += 1,
        }
    }

    fn into_released(mut self, sieve: &Sieve<'_>) -> Released {
        for kind in std::mem::take(&mut self.found.left) {
            sieve.note_found(kind, &mut self);
        }
        let levels: &Levels = sieve.levels();
        let name = |level: Level| levels.name(level).to_string();
        let by_policy = (self.by_policy > 0).then(|| ("policy".to_owned(), self.by_policy));
        let found = self.found.counts.into_iter().map(|(kind, count)| (kind.to_owned(), count));
        let by_class = self.redactions.into_iter().map(|(level, n)| (name(level), n));
        let highest = self.classes.last().copied();
        let keeping = self.classes.iter().map(|level| levels.keeping(*level));
        let keeping = keeping.fold(Keeping::default(), Keeping::and);
        let kinds = self.kinds.into_iter().map(|kind| kind.to_string());
        Released {
            classes: self.classes.into_iter().map(name).chain(kinds).collect(),
            redactions: by_class.chain(by_policy).chain(found).collect(),
            keeping,
            highest: highest
                .map(|level| Highest { level: levels.name(level).clone(), class: levels.class(level) }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_while_a_result_is_looked_into_withholds_it() {
        let refused = guarded(|| -> Result<(), CallError> { panic!("a library") });
        assert_eq!(refused.map_err(|e| e.code), Err(ErrorCode::ReleaseRefused));
        assert!(guarded(|| Ok(1)).is_ok_and(|one| one == 1));
    }
}
