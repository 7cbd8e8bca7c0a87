//! Incident switches: what is stopped at once and everywhere, until when.
//!
//! A switch stops the calls that it is for, whatever policy says; where that was asked for, calls that
//! run are cancelled as well. It is made from the command line, in the store, and ends by itself. Who may
//! make one is who may open the store: this module decides nothing about people.
//!
//! A process that serves reads one small row of the store every [`LOOK`] while calls run, and a call that
//! begins later than [`FRESH`] after the last look reads it itself. So no call begins on what is older
//! than that, also if the task that looks should be late, and an idle gateway hardly looks at all. What
//! cannot be read stops everything.
//!
//! Invariants:
//! - A switch stops every call that begins [`FRESH`] after it was made, by any process.
//! - That it is made or lifted is in the audit log first.
//! - What may not be seen is not told apart by a switch: it is looked at behind `resolve` alone.

mod known;
mod notice;
mod running;
mod target;

use std::sync::Arc;
use std::time::Duration;

use quaymaster_core::setting::Slug;
use quaymaster_core::{ActorId, CallError, Clock, ErrorCode, IncidentId, Randomness, Timestamp};
use quaymaster_store::{IncidentRow, Store, StoreError};
use serde_json::json;

use crate::audit::record::{ActorPart, Event, Record};
use crate::audit::{AuditError, Draft, Durability};
use crate::stages::Evidence;

pub use known::{FRESH, Incidents, LOOK};
pub use notice::Notice;
pub(crate) use running::{Called, Running};
pub use target::Target;

/// How long a switch may stand at most.
pub const MAX_LIFETIME: Duration = Duration::from_hours(24 * 90);
/// How long a reason may be, in bytes.
const MAX_REASON_BYTES: usize = 1_000;

/// Why incident switches fail.
#[derive(Debug, thiserror::Error)]
pub enum IncidentError {
    /// The store failed.
    #[error("incident switches cannot be read or written: {0}")]
    Store(#[from] StoreError),
    /// The audit log or a key failed.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// What was asked for is no switch.
    #[error("{0}")]
    Refused(String),
}

impl From<IncidentError> for CallError {
    fn from(error: IncidentError) -> Self {
        let message = "incident switches cannot be read at the moment, so nothing runs";
        Self::new(ErrorCode::AuditUnavailable, message).because(error)
    }
}

/// A switch that stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Switch {
    /// Its id.
    pub id: IncidentId,
    /// What it stops.
    pub target: Target,
    /// Why, in the words of whoever made it.
    pub reason: String,
    /// Who made it.
    pub made_by: String,
    /// Whether calls that run are cancelled.
    pub cancels: bool,
    /// When it was made.
    pub made: Timestamp,
    /// When it ends by itself.
    pub until: Timestamp,
}

/// A switch that is wanted.
#[derive(Clone, Debug)]
pub struct Stop {
    /// What it stops.
    pub target: Target,
    /// For how long.
    pub lifetime: Duration,
    /// Why.
    pub reason: String,
    /// Whether calls that run are cancelled.
    pub cancels: bool,
    /// Who makes it.
    pub by: ActorId,
}

/// Makes a switch. It is in the audit log before it stands.
///
/// # Errors
///
/// [`IncidentError::Refused`] if it stops nothing, has no reason, or stands for too long; others if the
/// store, the log or a key fails.
pub async fn stop(
    store: &Store,
    stop: Stop,
    randomness: &dyn Randomness,
    evidence: &Evidence,
) -> Result<Switch, IncidentError> {
    check(&stop)?;
    let now = evidence.clock.now();
    let switch = Switch {
        id: IncidentId::new(evidence.clock.as_ref(), randomness),
        target: stop.target,
        reason: stop.reason,
        made_by: stop.by.to_string(),
        cancels: stop.cancels,
        made: now,
        until: now.after(stop.lifetime),
    };
    write(Event::IncidentStopped, &switch, &stop.by, evidence).await?;
    if store.incident_insert(&switch.to_row()).await? {
        return Ok(switch);
    }
    Err(IncidentError::Refused("too many switches stand already: lift some first".into()))
}

/// Lifts a switch. None if none of that id stands. It is in the audit log before it is lifted.
///
/// # Errors
///
/// [`IncidentError`] if the store, the log or a key fails.
pub async fn lift(
    store: &Store,
    id: &IncidentId,
    by: &ActorId,
    evidence: &Evidence,
) -> Result<Option<Switch>, IncidentError> {
    let standing = standing(store, evidence.clock.as_ref()).await?;
    let Some(switch) = standing.into_iter().find(|switch| switch.id == *id) else { return Ok(None) };
    write(Event::IncidentLifted, &switch, by, evidence).await?;
    let lifted = store.incident_lift(id, evidence.clock.now().as_micros()).await?;
    Ok(lifted.then_some(switch))
}

/// The switches that stand, oldest first.
///
/// # Errors
///
/// [`IncidentError::Store`] if the store fails or holds what nobody here wrote.
pub async fn standing(store: &Store, clock: &dyn Clock) -> Result<Vec<Switch>, IncidentError> {
    let rows = store.incidents(clock.now().as_micros()).await?;
    rows.into_iter().map(Switch::of).collect()
}

fn check(stop: &Stop) -> Result<(), IncidentError> {
    let refused = |text: &str| Err(IncidentError::Refused(text.to_owned()));
    if stop.target.is_empty() {
        return refused(
            "say what to stop: a tool, a connector, an actor, a session, a workspace, or all writes",
        );
    }
    if stop.reason.trim().is_empty() || stop.reason.len() > MAX_REASON_BYTES {
        return refused("say why, in 1 to 1000 bytes");
    }
    if stop.lifetime > MAX_LIFETIME {
        return refused(
            "a switch stands for at most 90 days: what is stopped for good belongs into a policy",
        );
    }
    Ok(())
}

/// Writes what becomes of a switch. Whom it is about and why may name people: the record commits to it,
/// and the store has it.
async fn write(
    event: Event,
    switch: &Switch,
    by: &ActorId,
    evidence: &Evidence,
) -> Result<(), IncidentError> {
    let maker = evidence.subjects.of(by).await?;
    let whom = match switch.target.actor.as_ref().map(|name| ActorId::parse(name)) {
        Some(Ok(actor)) => Some(evidence.subjects.of(&actor).await?),
        _ => None,
    };
    let text = json!({"reason": switch.reason, "target": switch.target}).to_string();
    let said = maker.commit_to(switch.id.as_str(), text.as_bytes());
    let draft = {
        let mut record = Record::new(event, evidence.clock.now());
        let roles = [].into();
        let id = Arc::clone(maker.commitment());
        record.actor = Some(ActorPart { authentication: "local_user", id, roles, token: None });
        record.config = Some(evidence.config.as_str());
        record.on_behalf_of = whom.as_ref().map(|subject| &**subject.commitment());
        record.workspace = switch.target.workspace.as_ref().map(Slug::to_shared);
        let mut members = switch.target.members();
        members.insert("cancels".into(), switch.cancels.to_string());
        members.insert("id".into(), switch.id.to_string());
        members.insert("said".into(), said);
        members.insert("until".into(), switch.until.to_string());
        record.incident = Some(members);
        Draft::from(record)
    };
    Ok(evidence.audit.append(draft, None, Durability::Durable).await?)
}

impl Switch {
    /// How a call is refused that it stops.
    pub(crate) fn refusal(&self) -> CallError {
        let message = format!("stopped by the incident switch `{}` until {}", self.id, self.until);
        CallError::new(ErrorCode::IncidentStopped, message)
            .hint("nothing that you change helps: tell the people that you work for")
    }

    fn to_row(&self) -> IncidentRow {
        IncidentRow {
            id: self.id.clone(),
            target: serde_json::to_string(&self.target).unwrap_or_default(),
            reason: self.reason.clone(),
            made_by: self.made_by.clone(),
            cancels: self.cancels,
            created_us: self.made.as_micros(),
            until_us: self.until.as_micros(),
            lifted_us: None,
        }
    }

    /// A switch that cannot be read would stop nothing, so it is an error, which stops everything.
    fn of(row: IncidentRow) -> Result<Self, IncidentError> {
        let malformed =
            StoreError::Malformed { operation: "read incident switches", what: "a switch's target" };
        Ok(Self {
            target: serde_json::from_str(&row.target).map_err(|_| malformed)?,
            id: row.id,
            reason: row.reason,
            made_by: row.made_by,
            cancels: row.cancels,
            made: Timestamp::from_micros(row.created_us),
            until: Timestamp::from_micros(row.until_us),
        })
    }
}
