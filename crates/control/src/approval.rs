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
//! - What a decider says is in the audit log before it counts.

mod ask;
mod decide;
mod delegate;
mod document;
mod letters;
mod opened;
mod parked;
mod preview;
mod record;
mod run;
mod state;
mod stored;
mod verdict;

use std::sync::{Arc, Weak};

use arc_swap::ArcSwapOption;
use quaymaster_core::{CallError, CallTool, Clock, ErrorCode, Randomness};
pub use quaymaster_store::NewsEvent;
use quaymaster_store::{Store, StoreError};
use tokio::sync::watch;

use crate::audit::{AuditError, Subjects};
use crate::policy::Policies;
use crate::reading::Reader;

pub(crate) use ask::{Asked, binding};
pub use decide::{Decider, Spoken};
pub use delegate::Delegation;
pub use document::{Change, Document};
pub use letters::{GIVEN_UP, Letter, News};
pub use opened::{Request, Said};
pub use parked::Asker;
pub use run::{Due, Grant, Turn};
pub use state::State;
pub use stored::StoredReply;
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
    /// What policy says of who decides. Without any, nobody does.
    policies: ArcSwapOption<Policies>,
    /// Who calls the tools that read what a call will change.
    reader: Reader,
    /// Counts what this process changed, for those who wait here.
    changed: watch::Sender<u64>,
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
}

impl ApprovalError {
    /// Whether the request is to blame, now and for ever: its key is gone or it is damaged.
    pub fn is_of_the_request(&self) -> bool {
        matches!(self, Self::Damaged(_) | Self::Audit(AuditError::Crypto(_)))
    }
}

impl From<ApprovalError> for CallError {
    fn from(error: ApprovalError) -> Self {
        let message = "requests for approval cannot be read or written at the moment, so nothing runs";
        Self::new(ErrorCode::AuditUnavailable, message).because(error)
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
        let (policies, reader) = (ArcSwapOption::empty(), Reader::default());
        Self { store, subjects, clock, randomness, runner, policies, reader, changed }
    }

    /// From now on policy says by `policies` who may not decide.
    pub fn obey(&self, policies: &Arc<Policies>) {
        self.policies.store(Some(Arc::clone(policies)));
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
