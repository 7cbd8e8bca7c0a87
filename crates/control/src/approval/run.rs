//! Running what was agreed to: once, by one process, and by another if that one is lost.
//!
//! A process that serves looks for what is due. It takes a request by changing it from `approved` to
//! `running` under a lease, runs the call under an id that it wrote there first, and leaves the
//! result. Before the call leaves anything behind, the request is changed to `begun` on the version that
//! the process has seen: one that slept through its lease finds that the request is not its own any more.
//! Where the lease of a process has run out, state and audit log say what became of its call:
//!
//! | state | the log has | then |
//! |---|---|---|
//! | running | | it did not begin: it is put back and run |
//! | begun | no outcome | a read is run again, anything else may have taken effect: `unknown` |
//! | begun | an outcome | a read is run again, of anything else the end is told |

use std::sync::Arc;
use std::time::Duration;

use quaymaster_core::{
    Actor, ActorId, ApprovalId, CallId, CallRequest, Effect, ErrorCode, Gate, Reply, Timestamp,
};
use quaymaster_store::{ApprovalKey, ApprovalRow};
use serde_json::Value;

use super::document::Document;
use super::opened::{ERASED, document, gates, parked, result, state};
use super::parked::{Asker, Parked};
use super::record::Step;
use super::{ApprovalError, Approvals, State, StoredReply};
use crate::audit::Subject;
use crate::audit::record::Event;
use crate::audit::trace::{Trace, trace};
use crate::stages::Evidence;

/// How long a process that says nothing is believed to be at it.
const LEASE: Duration = Duration::from_secs(30);
/// How long until what could not begin is tried again.
const AGAIN: Duration = Duration::from_secs(5);
/// The same where something has to come back, a person has to do something first, or the day to end.
const LATER: Duration = Duration::from_mins(1);
/// How long after the decision the call has to have begun.
const BEGIN_WITHIN: Duration = Duration::from_hours(24);
/// How many requests are looked at together.
const MOST_DUE: u32 = 32;

/// A request that something has to be done about.
#[derive(Debug)]
pub struct Due(ApprovalRow);

impl Due {
    /// Which request.
    pub fn id(&self) -> &ApprovalId {
        &self.0.id
    }
}

/// The right to run one call that was agreed to. Given once for each time that it may run.
#[derive(Debug)]
pub struct Grant {
    id: ApprovalId,
    digest: String,
    gates: Vec<Gate>,
    call: CallId,
}

/// What is to be done about a request.
#[derive(Debug)]
pub enum Turn {
    /// Run this call, for whoever is established anew from these.
    Run(Box<Asker>, CallId, Grant),
    /// Nothing more.
    Nothing,
}

impl Grant {
    /// The request.
    pub fn id(&self) -> &ApprovalId {
        &self.id
    }

    /// Whether it is for what this digest was made of, and everybody agreed whom `demanded` names now.
    pub(crate) fn fits(&self, digest: &str, demanded: &[Gate]) -> bool {
        self.digest == digest && demanded.iter().all(|gate| self.gates.contains(gate))
    }
}

impl Approvals {
    /// The requests that something has to be done about, oldest first.
    ///
    /// # Errors
    ///
    /// [`ApprovalError`] if the store fails.
    pub async fn due(&self) -> Result<Vec<Due>, ApprovalError> {
        let rows = self.store.approvals_due(self.now().as_micros(), MOST_DUE).await?;
        Ok(rows.into_iter().map(Due).collect())
    }

    /// Does what has to be done about a request, or says that its call is to be run now, by whoever
    /// asked this. Of several processes one is told so.
    ///
    /// # Errors
    ///
    /// [`ApprovalError`] if the store, the log or a key fails.
    pub async fn take(&self, due: Due, evidence: &Evidence) -> Result<Turn, ApprovalError> {
        let row = due.0;
        match state(&row)? {
            State::Pending => {
                self.expire(&row, evidence).await?;
                Ok(Turn::Nothing)
            }
            State::Approved => self.claim(row, evidence).await,
            State::Running => {
                let why = "its process said nothing more before it began";
                self.put_back(row, (Duration::ZERO, why), evidence).await?;
                Ok(Turn::Nothing)
            }
            State::Begun => {
                self.recover(row, evidence).await?;
                Ok(Turn::Nothing)
            }
            _ => Ok(Turn::Nothing),
        }
    }

    async fn claim(&self, row: ApprovalRow, evidence: &Evidence) -> Result<Turn, ApprovalError> {
        let now = self.now_for(&row);
        let decided = Timestamp::from_micros(row.decided_us.unwrap_or(row.created_us));
        if now.since(decided) > BEGIN_WITHIN {
            let why = "it was agreed to and could not begin within a day";
            self.end(&row, State::Lapsed, (None, why), evidence).await?;
            return Ok(Turn::Nothing);
        }
        let subject = self.requester(&row).await?;
        let sealed = row.parked.as_deref().ok_or(ApprovalError::Damaged("its call"))?;
        let plain = subject.open_for(&parked(&row.id), sealed)?;
        let waiting = Parked::read(&plain).ok_or(ApprovalError::Damaged("its call"))?;
        let call = CallId::new(self.clock.as_ref(), self.randomness.as_ref());
        let claimed = ApprovalRow {
            state: State::Running.as_str().to_owned(),
            call_id: Some(call.to_string()),
            runner: Some(self.runner.clone()),
            lease_us: Some(now.after(LEASE).as_micros()),
            ..row.clone()
        };
        let step = Step::new(Event::ApprovalMoved, "a process takes it to run it")
            .of_call(Some(call.as_str()))
            .with("runner", &self.runner);
        if !self.turn(&row, (&claimed, None), step, evidence).await? {
            return Ok(Turn::Nothing);
        }
        let grant = Grant { gates: gates(&row)?, id: row.id, digest: row.digest, call: call.clone() };
        Ok(Turn::Run(Box::new(waiting.asker), call, grant))
    }

    /// The call that `grant` is for, asked by `actor`, who was established anew.
    ///
    /// # Errors
    ///
    /// [`ApprovalError`] if the store or a key fails, or somebody else has taken the call over.
    pub async fn call_of(&self, grant: &Grant, actor: Arc<Actor>) -> Result<CallRequest, ApprovalError> {
        let row = self.mine(grant).await?;
        let subject = self.requester(&row).await?;
        let sealed = row.parked.as_deref().ok_or(ApprovalError::Damaged("its call"))?;
        let plain = subject.open_for(&parked(&row.id), sealed)?;
        let waiting = Parked::read(&plain).ok_or(ApprovalError::Damaged("its call"))?;
        let request = waiting.into_request(grant.call.clone(), actor, self.now());
        request.ok_or(ApprovalError::Damaged("its call"))
    }

    /// Says that the call begins: from here on it may take effect. False if the request is not this
    /// process's any more, and then nothing may be done.
    ///
    /// # Errors
    ///
    /// [`ApprovalError`] if the store or the log fails.
    pub(crate) async fn begin(&self, grant: &Grant, evidence: &Evidence) -> Result<bool, ApprovalError> {
        let row = self.mine(grant).await?;
        if state(&row)? != State::Running {
            // The same grant once more.
            return Ok(false);
        }
        let begun = ApprovalRow {
            state: State::Begun.as_str().to_owned(),
            lease_us: Some(self.now().after(LEASE).as_micros()),
            ..row.clone()
        };
        let step = Step::new(Event::ApprovalMoved, "its call begins").of_call(Some(grant.call.as_str()));
        self.turn(&row, (&begun, None), step, evidence).await
    }

    /// Says that the call still runs here. To be said more often than every [`Approvals::LEASE`].
    ///
    /// # Errors
    ///
    /// [`ApprovalError`] if the store fails or somebody else has taken the call over.
    pub async fn renew(&self, grant: &Grant) -> Result<(), ApprovalError> {
        let row = self.mine(grant).await?;
        let renewed = ApprovalRow { lease_us: Some(self.now().after(LEASE).as_micros()), ..row };
        self.store.approval_save(&renewed, None).await?;
        Ok(())
    }

    /// Leaves what came of the call for whoever asked.
    ///
    /// # Errors
    ///
    /// [`ApprovalError`] if the store, the log or a key fails. The audit log then says what became of
    /// the call, and the request is put right from there.
    pub async fn finish(
        &self,
        grant: &Grant,
        reply: &Reply,
        evidence: &Evidence,
    ) -> Result<(), ApprovalError> {
        let row = self.mine(grant).await?;
        if let Some((code, after)) = reply.code.and_then(|code| Some((code, passes(code)?))) {
            // Refused before it could begin. What was cancelled while it ran may have taken effect.
            if trace(&self.store, &grant.call).await? == Trace::Nothing {
                return self.put_back(row, (after, code.as_str()), evidence).await;
            }
        }
        if reply.code == Some(ErrorCode::ApprovalExpired) {
            let why = "what was agreed to has changed since";
            return self.end(&row, State::Void, (None, why), evidence).await.map(drop);
        }
        let why = reply.code.map_or("its call succeeded", ErrorCode::as_str);
        self.leave(row, (State::Done, why), &StoredReply::of(reply, self.now()), evidence).await
    }

    /// Ends a request that cannot be read any more, as where the requester's key was destroyed.
    ///
    /// # Errors
    ///
    /// [`ApprovalError`] if the store or the log fails.
    pub async fn forget(&self, id: &ApprovalId, evidence: &Evidence) -> Result<(), ApprovalError> {
        match self.store.approval(&ApprovalKey::Id(id.clone())).await? {
            Some(row) => {
                let why = "it cannot be read any more";
                self.end(&row, State::Void, (None, why), evidence).await.map(drop)
            }
            None => Ok(()),
        }
    }

    /// Refuses a call whose asker does not exist any more.
    ///
    /// # Errors
    ///
    /// [`ApprovalError`] if the store or the log fails.
    pub async fn give_up(&self, grant: &Grant, evidence: &Evidence) -> Result<(), ApprovalError> {
        let row = self.mine(grant).await?;
        let why = "whoever asked is nobody here any more";
        self.end(&row, State::Void, (None, why), evidence).await.map(drop)
    }

    /// Puts a request right whose process was lost.
    async fn recover(&self, row: ApprovalRow, evidence: &Evidence) -> Result<(), ApprovalError> {
        let call: CallId =
            row.call_id.as_deref().and_then(|id| id.parse().ok()).ok_or(ApprovalError::Damaged("its run"))?;
        let seen = trace(&self.store, &call).await?;
        let only_reads = self.effect(&row).await? == Effect::Read.as_str();
        match seen {
            _ if only_reads => {
                let why = "its process was lost, and a read may run again";
                self.put_back(row, (Duration::ZERO, why), evidence).await
            }
            Trace::Nothing | Trace::Begun => {
                let end = (State::Unknown, "its process was lost, and nobody saw the end of its call");
                self.leave(row, end, &StoredReply::unknown(&call), evidence).await
            }
            Trace::Ended { status, code } => {
                let code = code.and_then(|code| serde_json::from_value(Value::String(code)).ok());
                let reply = StoredReply::lost(&call, &status, code);
                let end = (State::Done, "its process was lost after its call had ended");
                self.leave(row, end, &reply, evidence).await
            }
        }
    }

    async fn effect(&self, row: &ApprovalRow) -> Result<String, ApprovalError> {
        let subject = self.requester(row).await?;
        let sealed = row.document.as_deref().ok_or(ApprovalError::Damaged("its document"))?;
        let plain = subject.open_for(&document(&row.id), sealed)?;
        let document: Document =
            serde_json::from_slice(&plain).map_err(|_| ApprovalError::Damaged("its document"))?;
        Ok(document.effect)
    }

    async fn put_back(
        &self,
        row: ApprovalRow,
        (after, why): (Duration, &str),
        evidence: &Evidence,
    ) -> Result<(), ApprovalError> {
        let back = ApprovalRow {
            state: State::Approved.as_str().to_owned(),
            call_id: None,
            runner: None,
            lease_us: Some(self.now().after(after).as_micros()).filter(|_| !after.is_zero()),
            ..row.clone()
        };
        let step = Step::new(Event::ApprovalMoved, why).of_call(row.call_id.as_deref());
        self.turn(&row, (&back, None), step, evidence).await.map(drop)
    }

    async fn leave(
        &self,
        row: ApprovalRow,
        (to, why): (State, &str),
        reply: &StoredReply,
        evidence: &Evidence,
    ) -> Result<(), ApprovalError> {
        let subject = self.requester(&row).await?;
        let text = serde_json::to_vec(reply).unwrap_or_default();
        let left = ApprovalRow {
            state: to.as_str().to_owned(),
            parked: None,
            result: Some(subject.seal_for(&result(&row.id), &text)?),
            runner: None,
            lease_us: None,
            ended_us: Some(self.now_for(&row).as_micros()),
            ..row.clone()
        };
        let step = Step::new(Event::ApprovalMoved, why).of_call(row.call_id.as_deref());
        if self.turn(&row, (&left, None), step, evidence).await? {
            Ok(())
        } else {
            Err(ApprovalError::Contended)
        }
    }

    /// The request of `grant`, as long as it is this process that runs its call.
    async fn mine(&self, grant: &Grant) -> Result<ApprovalRow, ApprovalError> {
        let row = self.store.approval(&ApprovalKey::Id(grant.id.clone())).await?;
        let is_mine = |row: &ApprovalRow| {
            row.call_id.as_deref() == Some(grant.call.as_str()) && row.runner.as_deref() == Some(&self.runner)
        };
        row.filter(is_mine).ok_or(ApprovalError::Damaged("another process has taken the call over"))
    }

    async fn requester(&self, row: &ApprovalRow) -> Result<Arc<Subject>, ApprovalError> {
        let account: ActorId = self.asker(row).await?.ok_or(ApprovalError::Damaged(ERASED))?.0;
        Ok(self.subjects.of(&account).await?)
    }

    /// How often a lease has to be renewed.
    pub const LEASE: Duration = LEASE;
}

/// How long until a call may be tried again that was refused for a reason that passes.
fn passes(code: ErrorCode) -> Option<Duration> {
    match code {
        ErrorCode::GatewayOverloaded
        | ErrorCode::GatewayShuttingDown
        | ErrorCode::LimitRate
        | ErrorCode::LimitConcurrency => Some(AGAIN),
        ErrorCode::ToolNotFound
        | ErrorCode::AuditUnavailable
        | ErrorCode::IncidentStopped
        | ErrorCode::LimitQuota
        | ErrorCode::LimitBudget => Some(LATER),
        _ => None,
    }
}
