//! Watching a resource: a read that lasts, and leaves the records of one.
//!
//! `Approved → Reserved (watchable) → Permit → Receipt`. What a watch brings is that a resource has
//! changed and no more, so nothing has to be released; but who may not have the whole is not told of
//! it either. The records are those of a read, with `method` `resources/subscribe`.
//!
//! Invariant: no record, no watch, and none is refused without one.

use quaymaster_core::{CallError, ErrorCode};

use super::Rulebook;
use super::approve::Approved;
use super::close::{Evidence, note_refusal, unrecorded, write_outcome};
use super::facts::Refused;
use super::permit::Receipt;
use super::release::not_for;
use super::reserve::Reserved;
use crate::output::{Released, SafeOutput};

/// What the records say of a watch, whatever the client's revision calls it.
const METHOD: &str = "resources/subscribe";

/// Lets through what the actor may have as a whole, to be watched instead of read.
///
/// # Errors
///
/// [`Refused`] with `release.refused`.
pub fn watchable(approved: Approved, rulebook: &Rulebook) -> Result<Reserved, Refused> {
    let mut facts = approved.facts;
    facts.method = Some(METHOD);
    let rules = facts.tool.as_ref().and_then(|tool| rulebook.field_rules(tool));
    let error = match rules {
        Some(rules) if rules.lets_default(&facts.request.actor, facts.granted) => {
            return Ok(Reserved { facts });
        }
        Some(rules) => not_for(&facts.request.actor, rules.default_mark().level, &rules.classes().levels),
        None => CallError::new(ErrorCode::GatewayInternal, "nothing says how the resource is classified"),
    };
    Err(Refused::new(facts, error))
}

/// Records that a watch was refused, and gives the reason.
pub async fn close_refused_watch(mut refused: Refused, evidence: &Evidence) -> CallError {
    refused.facts.method = Some(METHOD);
    note_refusal(&refused, evidence).await;
    refused.error
}

/// Records what came of a watch, and gives it.
///
/// # Errors
///
/// That of `outcome`, or `audit.unavailable`: no record, no watch.
pub async fn close_watch<T>(
    mut receipt: Receipt,
    outcome: Result<T, CallError>,
    evidence: &Evidence,
) -> Result<T, CallError> {
    let (watch, outcome) = match outcome {
        Ok(watch) => (Ok(watch), Ok(nothing())),
        Err(error) => (Err(()), Err(error)),
    };
    let outcome = receipt.facts.held.settle(None, outcome).await;
    write_outcome((&receipt, &[]), &outcome, evidence).await.map_err(unrecorded)?;
    match (watch, outcome) {
        (Ok(watch), _) => Ok(watch),
        (Err(()), Err(error)) => Err(error),
        (Err(()), Ok(_)) => Err(CallError::new(ErrorCode::GatewayInternal, "the watch was lost")),
    }
}

fn nothing() -> SafeOutput {
    SafeOutput { result: String::new(), is_error: false, released: Released::default() }
}
