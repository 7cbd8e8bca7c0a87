//! Approvals: calls that wait until somebody agrees.
//!
//! A call before which a gate stands is parked: what was asked is sealed and kept, together with the
//! document that somebody decides on, and the caller is told where it waits. The same call again
//! joins the request that waits ([`ask`]). People decide ([`decide`]); what opens the gates is
//! [`verdict`]. A call that was agreed to is run by a process that serves, once, through the whole
//! path of a call again ([`run`]); its result waits, sealed, for whoever asked. [`state`] draws how
//! a request moves, [`document`] is what people read. All SQL is in `quaymaster-store`.
//!
//! Invariants:
//! - Whoever asked never decides, through none of their accounts and nobody who stands in for them.
//! - An agreement fits one call: actor, tool, contract, arguments, policies, workspace. What changes
//!   makes another request, and an agreement to what has changed since runs nothing.
//! - What was agreed to runs once. Where a process was lost while it ran, the audit log says how far
//!   it got; a write that may have taken effect is never run again.
//! - Every step of a request is in the audit log before it is made: from which state to which, and why.
//! - Time only moves forward here, whatever the clock of the machine does.
//! - What waits is bounded for each account and workspace; what is over is forgotten after a time.

mod ask;
mod decide;
mod delegate;
mod document;
mod erase;
mod letters;
mod list;
mod opened;
mod parked;
mod preview;
mod purge;
mod record;
mod right;
mod run;
mod state;
mod stored;
mod told;
mod verdict;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use quaymaster_core::{CallError, CallTool, Clock, ErrorCode, Randomness, Timestamp};
pub use quaymaster_store::NewsEvent;
use quaymaster_store::{ApprovalRow, Store, StoreError};
use tokio::sync::watch;

use crate::audit::{AuditError, Subjects};
use crate::identity::{Identity, KinError};
use crate::policy::Policies;
use crate::reading::Reader;

pub(crate) use ask::{Asked, binding};
pub use decide::{Decider, Spoken};
pub use delegate::Delegation;
pub use document::{Change, Document, UNSEEN_CLEARANCE};
pub use letters::{GIVEN_UP, Letter, News};
pub use list::{Listed, Wanted};
pub use opened::{Request, Said};
pub use parked::Asker;
pub use run::{Due, Grant, Turn};
pub use state::State;
pub use stored::StoredReply;

/// How a request stands, as whoever asked is told of it, with the result if that waits.
pub type Standing = (State, serde_json::Value, Option<StoredReply>);
pub use verdict::Verdict;

/// The requests for approval of an installation.
#[derive(Debug)]
pub struct Approvals {
    store: Store,
    subjects: Arc<Subjects>,
    clock: Arc<dyn Clock>,
    randomness: Arc<dyn Randomness>,
    /// What this process is called where it says that it runs something.
    runner: String,
    /// What the configuration says. Without any, nobody decides.
    terms: ArcSwapOption<Terms>,
    /// Who calls the tools that read what a call will change.
    reader: Reader,
    /// Counts what this process changed, for those who wait here.
    changed: watch::Sender<u64>,
    /// The latest time that was seen here, in microseconds.
    latest_us: AtomicU64,
}

/// What a configuration says of approvals.
#[derive(Debug)]
pub struct Terms {
    /// Who may not decide, whatever their roles.
    pub policies: Arc<Policies>,
    /// Who there is.
    pub identity: Arc<Identity>,
    /// How much waits, and how long what is over is kept.
    pub bounds: Bounds,
}

/// How much waits for somebody's agreement, and how long what is over is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Most calls of one account that wait.
    pub per_account: u64,
    /// Most calls of one workspace that wait.
    pub per_workspace: u64,
    /// How long the contents of a request are kept after it came to its end, or its result was handed
    /// out, whichever came last.
    pub retention: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { per_account: 100, per_workspace: 2_000, retention: Duration::from_hours(90 * 24) }
    }
}

/// Why approvals fail.
#[derive(Debug, thiserror::Error)]
pub enum ApprovalError {
    /// The store failed.
    #[error("requests for approval cannot be read or written: {0}")]
    Store(#[from] StoreError),
    /// The audit log or a key failed.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// The store holds what nobody here wrote.
    #[error("a request for approval is damaged: {0}")]
    Damaged(&'static str),
    /// Others changed the same request again and again.
    #[error("a request for approval was changed by others again and again")]
    Contended,
    /// It cannot be told who is behind an account.
    #[error(transparent)]
    Kin(#[from] KinError),
    /// A list was to go on from a place that it never told.
    #[error("this is no place in this list")]
    Place,
}

impl ApprovalError {
    /// Whether the request is to blame, now and for ever: its key is gone or it is damaged.
    pub fn is_of_the_request(&self) -> bool {
        matches!(self, Self::Damaged(_) | Self::Audit(AuditError::Crypto(_)))
    }
}

impl From<ApprovalError> for CallError {
    fn from(error: ApprovalError) -> Self {
        let (code, message) = match &error {
            ApprovalError::Kin(KinError::TooMany) => (
                ErrorCode::PolicyDenied,
                "too many accounts hang together here to tell who is behind one, so nobody decides",
            ),
            ApprovalError::Place => (ErrorCode::InputInvalid, "this is no place in this list"),
            _ => (
                ErrorCode::AuditUnavailable,
                "requests for approval cannot be read or written at the moment, so nothing runs",
            ),
        };
        Self::new(code, message).because(error)
    }
}

impl Approvals {
    /// The requests in `store`. `runner` names this process.
    pub fn new(
        store: Store,
        subjects: Arc<Subjects>,
        (clock, randomness): (Arc<dyn Clock>, Arc<dyn Randomness>),
        runner: impl Into<String>,
    ) -> Self {
        let (runner, changed) = (runner.into(), watch::Sender::new(0));
        let (terms, reader, latest_us) = (ArcSwapOption::empty(), Reader::default(), AtomicU64::new(0));
        Self { store, subjects, clock, randomness, runner, terms, reader, changed, latest_us }
    }

    /// From now on `terms` hold.
    pub fn obey(&self, terms: Terms) {
        self.terms.store(Some(Arc::new(terms)));
    }

    fn bounds(&self) -> Bounds {
        self.terms.load().as_ref().map(|terms| terms.bounds).unwrap_or_default()
    }

    /// The time. It never goes back here: a clock that is set back lets nobody decide later.
    fn now(&self) -> Timestamp {
        let now = self.clock.now().as_micros();
        Timestamp::from_micros(self.latest_us.fetch_max(now, Ordering::SeqCst).max(now))
    }

    /// The time, which is not before anything that has happened to this request.
    fn now_for(&self, row: &ApprovalRow) -> Timestamp {
        let happened = [row.decided_us, row.ended_us, row.delivered_us].into_iter().flatten();
        let last = happened.fold(row.created_us, u64::max);
        self.now().max(Timestamp::from_micros(last))
    }

    /// Has what a call will change read by `gateway`, once and for all.
    pub fn read_by(&self, gateway: Weak<dyn CallTool>) {
        self.reader.read_by(gateway);
    }

    /// Tells of every change that this process makes. Those of others are found in the store alone.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    fn tell(&self) {
        self.changed.send_modify(|changes| *changes += 1);
    }
}
