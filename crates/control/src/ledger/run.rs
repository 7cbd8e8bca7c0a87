//! Beginning a write, and settling what came of it.

use std::sync::Arc;

use quaymaster_core::{CallError, CallId, ErrorCode, Reply, Retry, Status};
use quaymaster_store::LedgerRow;
use tokio::time::{Instant, sleep};

use super::key::{Strength, check};
use super::{Begun, LOOK, Ledger, LedgerError, PATIENCE, Stand, UNKNOWN_KEPT};
use crate::approval::StoredReply;
use crate::audit::Subject;
use crate::audit::trace::{Trace, trace};
use crate::output::SafeOutput;
use crate::stages::{Evidence, Facts};

/// How often a row is read again that others changed meanwhile.
const ATTEMPTS: usize = 8;
/// Largest receipt that is kept; of what is larger only that it took effect.
const MAX_RECEIPT_BYTES: usize = 1 << 20;

/// The right of one call to run the write of its key, until it is settled.
///
/// Dropped without that, as when its process is lost, it leaves the intent, and the audit log says later
/// how far the call got.
#[derive(Debug)]
pub(crate) struct Reservation {
    ledger: Arc<Ledger>,
    subject: Arc<Subject>,
    row: LedgerRow,
    strength: Strength,
    whose: String,
}

/// What a call that ran came to, for its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// It took effect.
    Done,
    /// It had none.
    Failed,
    /// Nobody knows.
    Unknown,
}

impl End {
    /// What the outcome of a write says of its effect. Of a result that is withheld the system's own
    /// word counts, if it could be understood.
    pub(crate) fn of(outcome: &Result<SafeOutput, CallError>, took_effect: Option<bool>) -> Self {
        match outcome {
            Ok(safe) if safe.is_error => Self::Failed,
            Ok(_) => Self::Done,
            Err(error) => Self::of_code(error.code, took_effect),
        }
    }

    /// What the code of a write's outcome says of its effect.
    pub(crate) fn of_code(code: ErrorCode, took_effect: Option<bool>) -> Self {
        match (code, took_effect) {
            (ErrorCode::ReleaseRefused, Some(true)) => Self::Done,
            (ErrorCode::ReleaseRefused, Some(false)) => Self::Failed,
            (
                ErrorCode::ReleaseRefused
                | ErrorCode::UpstreamOutcomeUnknown
                | ErrorCode::UpstreamTimeout
                | ErrorCode::GatewayInternal,
                _,
            ) => Self::Unknown,
            _ => Self::Failed,
        }
    }
}

impl Ledger {
    /// Begins the write of `facts`, or says what it came to.
    pub(crate) async fn begin(
        self: &Arc<Self>,
        facts: &Facts,
        evidence: &Evidence,
    ) -> Result<Result<Begun, CallError>, LedgerError> {
        if let Err(error) = check(facts.request.idempotency_key.as_deref()) {
            return Ok(Err(error));
        }
        let subject = self.subjects.of(&facts.request.actor.id).await?;
        let (row, strength) = self.row(facts, &subject);
        let whose = whose(facts);
        let reserved = |row| Reservation {
            ledger: Arc::clone(self),
            subject: Arc::clone(&subject),
            row,
            strength,
            whose: whose.clone(),
        };
        let deadline = Instant::now() + PATIENCE;
        let (mut ended, mut is_looked_up) = (self.ended.subscribe(), false);
        loop {
            // Looked for before it is tried, so that whoever is told that it ends is told in time.
            ended.mark_unchanged();
            if self.store.ledger_begin(&row).await? {
                return Ok(Ok(Begun::Run(reserved(row).entered())));
            }
            let Some(found) = self.store.ledger_of(&row.key).await? else { continue };
            match self.stands(&found, &row, strength)? {
                Next::Run => {
                    let again = LedgerRow { id: found.id.clone(), version: found.version, ..row.clone() };
                    if self.store.ledger_save(&again).await? {
                        let row = LedgerRow { version: found.version + 1, ..again };
                        return Ok(Ok(Begun::Run(reserved(row).entered())));
                    }
                }
                Next::Repeat => {
                    let reply = receipt(&found, &subject, &whose)?.at(self.clock.now());
                    return Ok(Ok(Begun::Repeated(found.id, reply)));
                }
                Next::Refuse(error) => return Ok(Ok(Begun::Refused(found.id, error))),
                Next::LookUp if !std::mem::replace(&mut is_looked_up, true) => {
                    // Whoever else has said meanwhile is heard as well.
                    if !self.look_up(facts, &found, evidence).await? {
                        tracing::debug!(entry = %found.id, "a look-up did not say what became of a write");
                    }
                }
                Next::LookUp => return Ok(Ok(Begun::Refused(found.id.clone(), unknown(&found)))),
                Next::Recover => self.recover(found).await?,
                Next::Wait if Instant::now() >= deadline => {
                    return Ok(Ok(Begun::Refused(found.id, still_runs())));
                }
                Next::Wait => {
                    tokio::select! {
                        _ = ended.changed() => {}
                        () = sleep(LOOK) => {}
                    }
                }
            }
        }
    }

    fn stands(&self, found: &LedgerRow, wanted: &LedgerRow, strength: Strength) -> Result<Next, LedgerError> {
        let now = self.clock.now().as_micros();
        let stand = Stand::of(found)?;
        Ok(match stand {
            Stand::Failed => Next::Run,
            Stand::Unknown if strength == Strength::Guessed || found.digest != wanted.digest => {
                Next::Refuse(unknown(found))
            }
            Stand::Unknown => Next::LookUp,
            Stand::Done if strength == Strength::Guessed || found.kept_us <= now => Next::Run,
            _ if found.digest != wanted.digest => Next::Refuse(conflict()),
            Stand::Done => Next::Repeat,
            Stand::Intent if self.runs_here(found) || found.lease_us.is_some_and(|lease| lease > now) => {
                Next::Wait
            }
            Stand::Intent => Next::Recover,
        })
    }

    fn runs_here(&self, row: &LedgerRow) -> bool {
        self.running().get(&row.key).is_some_and(|call| *call == row.call_id)
    }

    /// Says what became of a write whose process was lost, as far as the audit log knows.
    pub(super) async fn recover(&self, found: LedgerRow) -> Result<(), LedgerError> {
        let call: CallId = found.call_id.parse().map_err(|_| LedgerError::Damaged("a call"))?;
        let stand = match trace(&self.store, &call).await? {
            Trace::Nothing => Stand::Failed,
            Trace::Begun => Stand::Unknown,
            Trace::Ended { status, .. } if status == Status::Success.as_str() => Stand::Done,
            Trace::Ended { code, .. } => {
                let code = ErrorCode::ALL.iter().find(|known| Some(known.as_str()) == code.as_deref());
                match code.map(|code| End::of(&Err(CallError::new(*code, "")), None)) {
                    Some(End::Done) => Stand::Done,
                    Some(End::Failed) => Stand::Failed,
                    Some(End::Unknown) | None => Stand::Unknown,
                }
            }
        };
        self.store.ledger_save(&self.ended_as(found, stand, None)).await?;
        Ok(())
    }

    pub(super) fn ended_as(&self, row: LedgerRow, stand: Stand, receipt: Option<Vec<u8>>) -> LedgerRow {
        let kept_us = match stand {
            Stand::Unknown => self.clock.now().after(UNKNOWN_KEPT).as_micros(),
            _ => row.kept_us,
        };
        LedgerRow { state: stand.as_str().to_owned(), receipt, lease_us: None, kept_us, ..row }
    }
}

/// The receipt of a write that took effect. Whoever may less now than whoever was given it, or under
/// other policies, is told that it was made and nothing else.
fn receipt(row: &LedgerRow, subject: &Subject, whose: &str) -> Result<StoredReply, LedgerError> {
    let call: CallId = row.call_id.parse().map_err(|_| LedgerError::Damaged("a call"))?;
    let opened = row.receipt.as_ref().and_then(|sealed| subject.open_for(&purpose(row, whose), sealed).ok());
    match opened {
        Some(plain) => serde_json::from_slice(&plain).map_err(|_| LedgerError::Damaged("a receipt")),
        None => Ok(StoredReply::made(&call)),
    }
}

/// What a receipt was released under: what the caller may, and the policies.
fn whose(facts: &Facts) -> String {
    format!("{} under {}", facts.request.actor.authority(), facts.rules.as_deref().unwrap_or_default())
}

enum Next {
    Run,
    Repeat,
    Wait,
    Recover,
    /// Nobody saw its end, and it is the same one.
    LookUp,
    Refuse(CallError),
}

impl Reservation {
    /// The write's id in the ledger.
    pub(crate) fn id(&self) -> &str {
        self.row.id.as_str()
    }

    fn entered(self) -> Self {
        self.ledger.running().insert(self.row.key.clone(), self.row.call_id.clone());
        self
    }

    /// Writes what came of the call, with the reply that its caller gets. Whoever cannot write it leaves
    /// the intent, and the audit log has what is needed.
    pub(crate) async fn settle(self, end: End, reply: Option<&Reply>) {
        if let Err(error) = self.try_settle(end, reply).await {
            tracing::error!(event = "ledger.settle", entry = %self.row.id, %error, "what came of a write could not be kept");
        }
    }

    async fn try_settle(&self, end: End, reply: Option<&Reply>) -> Result<(), LedgerError> {
        let stand = match end {
            End::Done => Stand::Done,
            End::Failed => Stand::Failed,
            End::Unknown => Stand::Unknown,
        };
        let now = self.ledger.clock.now();
        let kept = reply.filter(|_| stand == Stand::Done && self.strength == Strength::Named);
        let text = kept.map(|reply| serde_json::to_vec(&StoredReply::of(reply, now)).unwrap_or_default());
        let receipt = match text.filter(|text| text.len() <= MAX_RECEIPT_BYTES) {
            Some(text) => Some(self.subject.seal_for(&purpose(&self.row, &self.whose), &text)?),
            None => None,
        };
        let mut row = self.row.clone();
        for _ in 0..ATTEMPTS {
            if self.ledger.store.ledger_save(&self.ledger.ended_as(row, stand, receipt.clone())).await? {
                return Ok(());
            }
            // Somebody may have taken this process for lost.
            let found = self.ledger.store.ledger_of(&self.row.key).await?;
            let own = |found: &LedgerRow| found.call_id == self.row.call_id;
            row = found.filter(own).ok_or(LedgerError::Damaged("another call has taken it over"))?;
        }
        Err(LedgerError::Damaged("others changed it again and again"))
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let mut running = self.ledger.running();
        if running.get(&self.row.key).is_some_and(|call| *call == self.row.call_id) {
            running.remove(&self.row.key);
        }
        drop(running);
        self.ledger.ended.send_modify(|ended| *ended += 1);
    }
}

fn purpose(row: &LedgerRow, whose: &str) -> String {
    format!("receipt of {} by {} for {whose}", row.id, row.call_id)
}

fn conflict() -> CallError {
    let message = "a write with this idempotency key was made with other arguments";
    CallError::new(ErrorCode::IdempotencyConflict, message)
        .hint("to change what was written call the tool that changes it; for another write use another key")
}

fn still_runs() -> CallError {
    CallError::new(ErrorCode::LimitConcurrency, "the same write still runs").retry_after(PATIENCE)
}

fn unknown(row: &LedgerRow) -> CallError {
    let message =
        format!("the same write ran before and nobody saw its end: it may have taken effect (`{}`)", row.id);
    CallError::new(ErrorCode::UpstreamOutcomeUnknown, message)
        .retry(Retry::Never)
        .hint("a person has to look it up and say so: quaymaster idempotency resolve")
}
