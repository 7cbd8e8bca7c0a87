//! Labelling whoever is about to be told something: the stage between `release` and `close`.
//!
//! Nothing of a system reaches whoever asked unless it went through here: [`close`](super::close()) takes a
//! result from nowhere else, and what waited is handed out by [`hand_out`].
//!
//! Invariants:
//! - The labels are in the store when this returns; what cannot be noted is withheld.
//! - A write that took effect is never said to have failed because of that.

use quaymaster_core::{CallError, CallRequest, ErrorCode, Reply};

use super::close::Ended;
use super::facts::{Facts, Refused, Waited};
use super::permit::Receipt;
use super::release::withheld;
use super::voice::Listening;
use crate::approval::StoredReply;
use crate::flow::{Flow, of_released, of_words};
use crate::output::SafeOutput;

/// A call that ran, whose asker is labelled for what came of it.
#[derive(Debug)]
pub struct Ran {
    pub(super) receipt: Receipt,
    pub(super) outcome: Result<SafeOutput, CallError>,
    /// The labels that the result brings.
    pub(super) labels: Vec<String>,
    /// Those that are new to whoever asked.
    pub(super) added: Vec<String>,
}

/// Labels whoever made the call for what came of it.
pub async fn label(receipt: Receipt, outcome: Result<SafeOutput, CallError>, flow: &Flow) -> Ended {
    let labels = due(&receipt.facts, &outcome);
    let mut added = receipt.facts.heard.get().cloned().unwrap_or_default();
    if labels.is_empty() {
        return Ended::Ran(Ran { receipt, outcome, labels, added });
    }
    match Box::pin(flow.raise(&receipt.facts.request, &labels, receipt.listening.longer())).await {
        Ok(new) => {
            added.extend(new);
            added.sort();
            added.dedup();
            Ended::Ran(Ran { receipt, outcome, labels, added })
        }
        Err(error) => {
            let error = unlabelled().because(error);
            // Of a write that the system says it did; of a read nothing is set.
            let outcome = match receipt.facts.took_effect.get() {
                Some(success) => withheld(error, *success),
                None => error,
            };
            Ended::Ran(Ran { receipt, outcome: Err(outcome), labels: vec![], added })
        }
    }
}

/// The labels that the outcome of a call brings.
fn due(facts: &Facts, outcome: &Result<SafeOutput, CallError>) -> Vec<String> {
    let Some((tool, decision)) = facts.tool.as_deref().zip(facts.decision.as_ref()) else { return vec![] };
    let demanded = &decision.obligations.labels;
    match outcome {
        Ok(safe) => of_released(tool, &safe.released, demanded),
        Err(_) if facts.quoted.get().is_some() => of_words(tool, facts.class_of_words(), demanded),
        Err(_) => vec![],
    }
}

/// Labels whoever made a call that ended before it could run, if a result that has waited is handed out for it.
pub async fn label_again(ended: Ended, flow: &Flow, listening: Listening) -> Ended {
    let Ended::Waited(waited) = ended else { return ended };
    let (labels, longer) = (waited.reply.labels(), listening.longer());
    let labelled = Box::pin(flow.raise(&waited.facts.request, &labels, longer)).await;
    match labelled {
        Ok(_) => Waited { labelled: true, ..waited }.into(),
        Err(error) => Refused { facts: waited.facts, error: unlabelled().because(error) }.into(),
    }
}

/// Labels whoever makes `request` for a result that has waited, and gives it.
///
/// # Errors
///
/// `audit.unavailable` if that cannot be noted; the result waits on.
pub async fn hand_out(
    reply: StoredReply,
    request: &CallRequest,
    flow: &Flow,
    listening: Listening,
) -> Result<Reply, CallError> {
    match Box::pin(flow.raise(request, &reply.labels(), listening.longer())).await {
        Ok(_) => Ok(reply.into_reply()),
        Err(error) => Err(unlabelled().because(error)),
    }
}

/// What is told instead of what cannot be noted.
pub(super) fn unlabelled() -> CallError {
    let message = "what the result shows could not be noted, so it is withheld";
    CallError::new(ErrorCode::AuditUnavailable, message)
}
