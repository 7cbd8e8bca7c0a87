//! What a person or a look-up says became of a write whose end nobody saw.

use std::sync::Arc;

use quaymaster_core::{ActorId, CallId, Clock, EntryId, Timestamp, Workspace};
use quaymaster_store::{LedgerRow, Store};

use super::{Ledger, LedgerError, Stand};
use crate::audit::record::{ActorPart, Event, Record, ToolPart};
use crate::audit::{Draft, Durability};
use crate::stages::Evidence;

/// A write that runs or whose end nobody saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its id.
    pub id: EntryId,
    /// Where it belongs.
    pub workspace: Workspace,
    /// The tool.
    pub tool: String,
    /// Where it stands.
    pub stand: Stand,
    /// Whether some process is at it.
    pub runs: bool,
    /// The call, by which the audit log has it.
    pub call: String,
    /// When it began.
    pub since: Timestamp,
}

/// What was found in the system behind the tool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// It took effect: the same write again is answered with that.
    Done,
    /// It did not: the same write may run again.
    Failed,
}

/// What was said of a write, and by whom.
pub(super) struct Said<'a> {
    pub(super) found: Found,
    pub(super) actor: ActorPart<'a>,
    /// The call that looked it up, if that is how it was found.
    pub(super) look_up: Option<&'a CallId>,
}

impl Ledger {
    /// The writes that run and those whose end nobody saw, oldest first.
    ///
    /// # Errors
    ///
    /// [`LedgerError`] if the store fails.
    pub async fn open(store: &Store, clock: &dyn Clock) -> Result<Vec<Entry>, LedgerError> {
        let rows = store.ledger_open().await?;
        rows.into_iter().map(|row| Entry::of(row, clock)).collect()
    }

    /// Says what became of a write; false if there is no such, or nothing is to be said of it. It is in the
    /// audit log before it counts.
    ///
    /// # Errors
    ///
    /// [`LedgerError`] if the store, the log or a key fails.
    pub async fn resolve(
        &self,
        id: &EntryId,
        found: Found,
        by: &ActorId,
        evidence: &Evidence,
    ) -> Result<bool, LedgerError> {
        let Some(mut row) = self.store.ledger_entry(id).await? else { return Ok(false) };
        if Stand::of(&row)? == Stand::Intent && !Entry::of(row.clone(), self.clock.as_ref())?.runs {
            self.recover(row).await?;
            let Some(again) = self.store.ledger_entry(id).await? else { return Ok(false) };
            row = again;
        }
        if Stand::of(&row)? != Stand::Unknown {
            return Ok(false);
        }
        let subject = self.subjects.of(by).await?;
        let id = Arc::clone(subject.commitment());
        let actor = ActorPart { authentication: "local_user", id, roles: [].into(), token: None };
        self.settle_unknown(row, Said { found, actor, look_up: None }, evidence).await
    }

    /// Ends a write whose end nobody saw; false if somebody else did meanwhile.
    pub(super) async fn settle_unknown(
        &self,
        row: LedgerRow,
        said: Said<'_>,
        evidence: &Evidence,
    ) -> Result<bool, LedgerError> {
        let stand = match said.found {
            Found::Done => Stand::Done,
            Found::Failed => Stand::Failed,
        };
        self.write(&row, stand, said, evidence).await?;
        let kept_us = self.clock.now().after(super::WINDOW).as_micros();
        let ended = LedgerRow { kept_us, ..row };
        Ok(self.store.ledger_save(&self.ended_as(ended, stand, None)).await?)
    }

    async fn write(
        &self,
        row: &LedgerRow,
        stand: Stand,
        said: Said<'_>,
        evidence: &Evidence,
    ) -> Result<(), LedgerError> {
        let draft = {
            let mut record = Record::new(Event::IdempotencyResolved, self.clock.now());
            record.actor = Some(said.actor);
            record.call = Some(row.call_id.as_str().into());
            record.config = Some(evidence.config.as_str());
            let look_up = said.look_up.map(|call| ("look_up".to_owned(), call.to_string()));
            let members =
                [("id".to_owned(), row.id.to_string()), ("state".to_owned(), stand.as_str().to_owned())];
            record.idempotency = Some(members.into_iter().chain(look_up).collect());
            let name = row.tool.as_str().into();
            record.tool = Some(ToolPart { connector: None, contract: None, kind: None, name, version: None });
            record.workspace = Some(row.workspace.to_shared());
            Draft::from(record)
        };
        Ok(evidence.audit.append(draft, None, Durability::Durable).await?)
    }
}

impl Entry {
    fn of(row: LedgerRow, clock: &dyn Clock) -> Result<Self, LedgerError> {
        let now = clock.now().as_micros();
        let stand = Stand::of(&row)?;
        let runs = stand == Stand::Intent && row.lease_us.is_some_and(|lease| lease > now);
        let since = Timestamp::from_micros(row.created_us);
        let LedgerRow { id, workspace, tool, call_id: call, .. } = row;
        Ok(Self { id, workspace, tool, stand, runs, call, since })
    }
}
