//! Erasure: what the log and the requests for approval hold of a person becomes unreadable, for good.
//!
//! The person's key is destroyed, and what was sealed under it goes with it: inputs of decisions, requests for
//! approval, names and words of who decided, receipts of writes. Records stay as they are, so the tree, its
//! checkpoints and every proof hold; that it was done is a record of its own.
//!
//! Invariants:
//! - Every spelling of a name that is taken for the same goes together.
//! - It is in the log before it is done.
//! - A running process uses a key that it remembers for a minute at most, and stores nothing by it that could
//!   be opened then.

use quaymaster_core::ActorId;
use quaymaster_store::Store;

use crate::approval::{ApprovalError, Approvals};
use crate::audit::record::{Event, Record};
use crate::audit::{AuditError, Draft, Durability};
use crate::stages::Evidence;

/// Why nobody was erased, or not all of it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EraseError {
    /// A call of theirs that was agreed to runs.
    #[error("a call of `{0}` that was agreed to runs at this moment: try again when it has ended")]
    Running(ActorId),
    /// The log or a key failed.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// Requests for approval failed.
    #[error(transparent)]
    Approval(#[from] ApprovalError),
}

/// Erases `name`, however it is spelled, and gives the names whose keys were destroyed.
///
/// # Errors
///
/// [`EraseError`]. What was erased before it failed is gone; the rest is erased by doing it again.
pub async fn erase(
    name: &ActorId,
    store: &Store,
    approvals: &Approvals,
    evidence: &Evidence,
) -> Result<Vec<ActorId>, EraseError> {
    let folded = name.folded();
    let mut erased = Vec::new();
    for (actor, subject) in evidence.subjects.spelled(&folded).await? {
        if !approvals.end_all_of(subject.commitment(), evidence).await? {
            return Err(EraseError::Running(actor));
        }
        let draft = {
            let mut record = Record::new(Event::AuditErased, evidence.clock.now());
            record.on_behalf_of = Some(subject.commitment());
            record.config = Some(evidence.config.as_str());
            Draft::from(record)
        };
        evidence.audit.append(draft, None, Durability::Durable).await?;
        let done = store.subject_erase(actor.as_str(), subject.commitment(), folded.as_str()).await;
        done.map_err(AuditError::from)?;
        evidence.subjects.forget(&actor, &subject);
        erased.push(actor);
    }
    Ok(erased)
}
