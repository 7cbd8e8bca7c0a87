//! People who look at labels and take them away before their time is over.
//!
//! Who may is said by policies: `administer` with the command `labels.list` or `labels.clear`. An agent that has its
//! person's credentials is that person, so nobody takes away their own, whatever they may.

use quaymaster_core::{Actor, ActorId, ClearingId, Randomness, Timestamp};
use quaymaster_store::{ClearedRow, LabelRow, MAX_LABELS, Store, StoreError};
use serde_json::json;

use crate::audit::record::{Event, Record};
use crate::audit::{AuditError, Draft, Durability};
use crate::policy::Policies;
use crate::stages::{Evidence, actor_part};

/// How long a reason may be, in bytes.
const MAX_REASON_BYTES: usize = 1_000;
/// How the holder of a label begins that follows an actor.
const ACTOR: &str = "actor:";

/// Why labels were not shown or taken away.
#[derive(Debug, thiserror::Error)]
pub enum FlowError {
    /// The store failed.
    #[error("labels cannot be read or written: {0}")]
    Store(#[from] StoreError),
    /// The audit log or a key failed.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// Policy does not let them.
    #[error("no policy permits `{command}` to `{who}` in the workspace `{workspace}`")]
    Denied {
        /// What they wanted.
        command: &'static str,
        /// Who.
        who: ActorId,
        /// Where.
        workspace: String,
    },
    /// What was asked for cannot be.
    #[error("{0}")]
    Refused(String),
}

/// The labels that were set in the workspace of `visitor` and stand.
///
/// # Errors
///
/// [`FlowError::Denied`] if no policy permits it; [`FlowError::Store`] if the store fails.
pub async fn standing(
    store: &Store,
    (visitor, policies): (&Actor, &Policies),
    now: Timestamp,
) -> Result<Vec<LabelRow>, FlowError> {
    check("labels.list", visitor, policies)?;
    Ok(store.labels_in(visitor.workspace.as_str(), None, now.as_micros()).await?)
}

/// Who took labels away in the workspace of `visitor`, and why, the last first.
///
/// # Errors
///
/// [`FlowError::Denied`] if no policy permits it; [`FlowError::Store`] if the store fails.
pub async fn cleared(
    store: &Store,
    (visitor, policies): (&Actor, &Policies),
) -> Result<Vec<ClearedRow>, FlowError> {
    check("labels.list", visitor, policies)?;
    Ok(store.labels_cleared(visitor.workspace.as_str()).await?)
}

/// Takes away the labels that were set in the workspace of `visitor` and follow `whose`, in their sessions as well;
/// those alone that are named, where some are. It is in the audit log first. Gives those that are gone.
///
/// # Errors
///
/// [`FlowError::Denied`] if no policy permits it; [`FlowError::Refused`] if they are the visitor's own, or without a
/// reason; others if the store, the log or a key fails.
pub async fn clear(
    store: &Store,
    (visitor, policies): (&Actor, &Policies),
    (whose, labels): (&ActorId, &[String]),
    reason: &str,
    (randomness, evidence): (&dyn Randomness, &Evidence),
) -> Result<Vec<LabelRow>, FlowError> {
    check("labels.clear", visitor, policies)?;
    let refused = |text: &str| Err(FlowError::Refused(text.to_owned()));
    if [&visitor.id, visitor.person()].iter().any(|own| own.folded() == whose.folded()) {
        return refused("nobody takes away their own labels: somebody else has to look at what was seen");
    }
    if reason.trim().is_empty() || reason.len() > MAX_REASON_BYTES {
        return refused("say why, in 1 to 1000 bytes");
    }
    let now = evidence.clock.now();
    let (workspace, folded) = (visitor.workspace.as_str(), whose.folded());
    let holder = format!("{ACTOR}{folded}");
    let all = store.labels_in(workspace, Some((&holder, folded.as_str())), now.as_micros()).await?;
    if all.len() >= MAX_LABELS as usize {
        return refused("there are too many labels to tell which are meant");
    }
    let wanted = |row: &LabelRow| labels.is_empty() || labels.contains(&row.label);
    let found: Vec<LabelRow> = all.into_iter().filter(wanted).collect();
    if found.is_empty() {
        return Ok(found);
    }
    let mut names: Vec<String> = found.iter().map(|row| row.label.clone()).collect();
    names.sort();
    names.dedup();
    let row = ClearedRow {
        id: ClearingId::new(evidence.clock.as_ref(), randomness).to_string(),
        workspace: workspace.to_owned(),
        account: folded.to_string(),
        labels: names.join(","),
        cleared_by: visitor.id.folded().to_string(),
        reason: reason.trim().to_owned(),
        cleared_us: now.as_micros(),
    };
    note(visitor, whose, (&row, &names), evidence).await?;
    store.labels_clear(&found, &row).await?;
    Ok(found)
}

fn check(command: &'static str, visitor: &Actor, policies: &Policies) -> Result<(), FlowError> {
    if policies.may_administer(visitor, command) {
        return Ok(());
    }
    let workspace = visitor.workspace.to_string();
    Err(FlowError::Denied { command, who: visitor.id.clone(), workspace })
}

/// Writes down what is taken away. Why may name people: the record commits to it, and the store has it.
async fn note(
    visitor: &Actor,
    whose: &ActorId,
    (row, names): (&ClearedRow, &[String]),
    evidence: &Evidence,
) -> Result<(), FlowError> {
    let (by, whom) = (evidence.subjects.of(&visitor.id).await?, evidence.subjects.of(whose).await?);
    let text = json!({"actor": row.account, "labels": row.labels, "reason": row.reason}).to_string();
    let draft = {
        let mut record = Record::new(Event::LabelsCleared, evidence.clock.now());
        record.actor = Some(actor_part(visitor, &by));
        record.arguments = Some(by.commit_to(&row.id, text.as_bytes()));
        record.config = Some(evidence.config.as_str());
        record.labels = names;
        record.on_behalf_of = Some(whom.commitment());
        record.workspace = Some(visitor.workspace.to_shared());
        Draft::from(record)
    };
    Ok(evidence.audit.append(draft, None, Durability::Durable).await?)
}
