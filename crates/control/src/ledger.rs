//! The idempotency ledger: every write once.
//!
//! Before a write runs, its key and what is asked for under it are on disk; when it has ended, so is what
//! came of it, before anyone hears of it. The same write again gets the first receipt.
//!
//! ```text
//! intent → done       it took effect; the receipt is kept
//!    │ ↘   failed     it had no effect, or never reached its system: it may run again
//!    └───→ unknown    nobody saw its end: the tool's look-up or a person says `done` or `failed`; until
//!                     then it does not run
//! ```
//!
//! A key is what the client sends, or is made of the arguments that the tool names (`idempotency.from`);
//! always together with actor, workspace, tool and the major version of its contract ([`key`]). A write
//! that somebody agreed to has the agreement in its key: who agrees again wants it again. For a write that
//! neither names anything nor has a key nothing is known to be a repetition, but while the end of the same
//! write is unknown it does not run either.
//!
//! Invariants:
//! - Of the calls with one key one runs at a time, over all processes.
//! - What may have taken effect is not run again, whatever becomes of the process that ran it.
//! - Keys and arguments are commitments, receipts are sealed under the actor's key.

mod key;
mod lookup;
mod resolve;
mod run;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use quaymaster_core::{CallError, CallTool, Clock, EntryId, ErrorCode, Randomness};
use quaymaster_store::{LedgerRow, Store, StoreError};
use tokio::sync::watch;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::approval::StoredReply;
use crate::audit::{AuditError, Subjects};
use crate::reading::Reader;

pub use lookup::SETTLED;
pub use resolve::{Entry, Found};
pub(crate) use run::{End, Reservation};

/// How long a process that says nothing is believed to be at it.
pub const LEASE: Duration = Duration::from_secs(10);
/// How long the same write is recognised where its tool says nothing else.
pub const WINDOW: Duration = Duration::from_hours(24);
/// How long a write is kept of which nobody says what became of it.
const UNKNOWN_KEPT: Duration = Duration::from_hours(24 * 365);
/// How long the same write waits for the one that runs: longer than a lost process is believed in.
const PATIENCE: Duration = Duration::from_secs(15);
/// How often it is looked whether another process has ended it.
const LOOK: Duration = Duration::from_millis(200);
/// How often what is not kept any more is put away.
const UPKEEP: Duration = Duration::from_hours(1);

/// The writes of an installation.
#[derive(Debug)]
pub struct Ledger {
    store: Store,
    subjects: Arc<Subjects>,
    clock: Arc<dyn Clock>,
    randomness: Arc<dyn Randomness>,
    /// The calls of those that this process runs, by key.
    running: Mutex<HashMap<String, String>>,
    /// Who looks up what became of a write.
    reader: Reader,
    /// Counts what ended here, for those who wait.
    ended: watch::Sender<u64>,
}

/// Why the ledger fails.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The store failed.
    #[error("the idempotency ledger cannot be read or written: {0}")]
    Store(#[from] StoreError),
    /// The audit log or a key failed.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// The store holds what nobody here wrote.
    #[error("the idempotency ledger is damaged: {0}")]
    Damaged(&'static str),
}

impl From<LedgerError> for CallError {
    fn from(error: LedgerError) -> Self {
        let message = "the idempotency ledger cannot be read or written at the moment, so no write runs";
        Self::new(ErrorCode::AuditUnavailable, message).because(error)
    }
}

/// Where a write stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stand {
    /// It runs, or its process was lost.
    Intent,
    /// It took effect.
    Done,
    /// It had no effect.
    Failed,
    /// Nobody saw its end.
    Unknown,
}

impl Stand {
    const ALL: [Self; 4] = [Self::Intent, Self::Done, Self::Failed, Self::Unknown];

    /// The word for the store, the audit and people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Intent => "intent",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
        }
    }

    fn of(row: &LedgerRow) -> Result<Self, LedgerError> {
        let found = Self::ALL.into_iter().find(|stand| stand.as_str() == row.state);
        found.ok_or(LedgerError::Damaged("a state"))
    }
}

/// What a write comes to before it runs.
#[derive(Debug)]
pub(crate) enum Begun {
    /// It may run.
    Run(Reservation),
    /// It ran before; this came of it.
    Repeated(EntryId, StoredReply),
    /// It may not run.
    Refused(EntryId, CallError),
}

impl Ledger {
    /// The writes in `store`.
    pub fn new(
        store: Store,
        subjects: Arc<Subjects>,
        clock: Arc<dyn Clock>,
        randomness: Arc<dyn Randomness>,
    ) -> Self {
        let (running, reader, ended) = (Mutex::default(), Reader::default(), watch::Sender::new(0));
        Self { store, subjects, clock, randomness, running, reader, ended }
    }

    /// Has what became of a write looked up by `gateway`, once and for all.
    pub fn read_by(&self, gateway: Weak<dyn CallTool>) {
        self.reader.read_by(gateway);
    }

    /// Says of the writes that run here that they do, and forgets what is not kept any more, until `stop`.
    pub async fn keep(self: Arc<Self>, stop: CancellationToken) {
        let mut since_upkeep = UPKEEP;
        while !stop.is_cancelled() {
            if since_upkeep >= UPKEEP {
                since_upkeep = Duration::ZERO;
                report(self.store.ledger_forget(self.clock.now().as_micros()).await);
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = sleep(LEASE / 3) => since_upkeep += LEASE / 3,
            }
            let running: Vec<(String, String)> =
                self.running().iter().map(|(key, call)| (key.clone(), call.clone())).collect();
            if !running.is_empty() {
                report(self.store.ledger_renew(&running, self.lease()).await);
            }
        }
    }

    fn lease(&self) -> u64 {
        self.clock.now().after(LEASE).as_micros()
    }

    fn running(&self) -> MutexGuard<'_, HashMap<String, String>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn report(done: Result<(), StoreError>) {
    if let Err(error) = done {
        tracing::error!(event = "ledger.keep", %error, "the idempotency ledger could not be kept");
    }
}
