//! The one way into the audit log.
//!
//! A task takes records from a bounded queue, numbers them, hashes them and
//! gives them to the store in batches: one transaction and one wait for the disk
//! for many records. A record that somebody waits for is written at once;
//! others within the batch window. Several processes may write to one log: the
//! store refuses a batch that was numbered against an old tree, and the writer
//! numbers it again.
//!
//! Invariants:
//! - An accepted record is never dropped: a batch that fails is tried again until
//!   it is stored, and meanwhile nothing new is accepted but the outcomes of calls
//!   that already run.
//!   It is never stored twice either: after an attempt whose outcome is unknown the
//!   writer looks whether the batch is there before it numbers it again.
//! - A waiter hears of success only after the transaction is durable.
//! - A writer that is closed stores all that it accepted, then its stop, its last record.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use quaymaster_core::{Clock, Timestamp, WriterId};
use quaymaster_store::Store;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::audit::draft::Draft;
use crate::audit::error::AuditError;
use crate::audit::flood::Flood;
use crate::audit::notary::{Checkpoints, Notary, follow};
use crate::audit::record::{Event, Record};
use crate::audit::sequencer::{Entry, Sequencer, Signals, read_tree};

/// How many records may wait.
const QUEUE: usize = 8_192;
/// How long a call waits for room in the queue before it is refused.
const PATIENCE: Duration = Duration::from_secs(2);
/// Largest record, in bytes, without its number and its writer: the lengths of bundles have 16 bits.
const MAX_RECORD: usize = 65_000;
/// How long a writer that is closed may take to store what it has accepted.
const CLOSING: Duration = Duration::from_secs(10);

/// How the audit log writes.
#[derive(Clone, Debug)]
pub struct AuditSettings {
    /// How long a record that nobody waits for may wait for others.
    pub batch_window: Duration,
    /// Every call waits until its records are on disk, reads included.
    pub strict: bool,
    /// Calls whose records need not be on disk go on while the store takes none, as long as there is room
    /// for their records in the queue.
    pub reads_when_stuck: bool,
    /// Who signs checkpoints. Without one there are none.
    pub notary: Option<Arc<Notary>>,
}

impl Default for AuditSettings {
    fn default() -> Self {
        Self { batch_window: Duration::from_millis(5), strict: false, reads_when_stuck: false, notary: None }
    }
}

/// When a record counts as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// When the writer has accepted it; it is on disk within the batch window.
    Accepted,
    /// When it is on disk.
    Durable,
}

/// How the log is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuditHealth {
    /// The last attempt to write failed.
    pub stuck: bool,
    /// It is not what was signed.
    pub contradicted: bool,
    /// How many accepted records are not known to be stored.
    pub pending: u64,
    /// How many stored records no checkpoint covers.
    pub unsigned: u64,
    /// How old the newest checkpoint is; none where none is written.
    pub checkpoint_age: Option<Duration>,
    /// A record has waited for a checkpoint for more than twice the configured time.
    pub checkpoint_late: bool,
}

/// A handle to the audit log.
#[derive(Debug)]
pub struct Audit {
    queue: mpsc::Sender<Entry>,
    signals: Arc<Signals>,
    settings: AuditSettings,
    clock: Arc<dyn Clock>,
    flood: Flood,
    tasks: std::sync::Mutex<Option<Tasks>>,
}

/// Those that write.
#[derive(Debug)]
struct Tasks {
    sequencer: JoinHandle<()>,
    checkpoints: Option<JoinHandle<()>>,
}

impl Audit {
    /// Opens the log of `store` and starts its writer, whose start is the first record.
    ///
    /// # Errors
    ///
    /// [`AuditError::Contradicted`] if the log is not what was signed; [`AuditError`] if it cannot be
    /// read or written.
    pub async fn open(
        store: Store,
        writer: WriterId,
        settings: AuditSettings,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, AuditError> {
        let checkpoints = match &settings.notary {
            Some(notary) => {
                Some(Checkpoints::open(store.clone(), Arc::clone(notary), Arc::clone(&clock)).await?)
            }
            None => None,
        };
        let tree = read_tree(store.audit_tree().await?)?;
        let (queue, entries) = mpsc::channel(QUEUE);
        let signals = Arc::new(Signals::default());
        signals.size.store(tree.size(), Ordering::Release);
        signals.due.store(u64::MAX, Ordering::Release);
        let sequencer = Sequencer {
            store,
            tree,
            writer: writer.as_str().into(),
            window: settings.batch_window,
            signals: Arc::clone(&signals),
            clock: Arc::clone(&clock),
            in_doubt: false,
        };
        let tasks = Tasks {
            sequencer: tokio::spawn(sequencer.run(entries)),
            checkpoints: checkpoints.map(|checkpoints| follow(checkpoints, Arc::clone(&signals))),
        };
        let audit = Self {
            queue,
            signals,
            settings,
            clock,
            flood: Flood::default(),
            tasks: std::sync::Mutex::new(Some(tasks)),
        };
        let started = Record::new(Event::WriterStarted, audit.clock.now());
        audit.append(started, None, Durability::Durable).await?;
        Ok(audit)
    }

    /// Whether every record waits for the disk.
    pub fn strict(&self) -> bool {
        self.settings.strict
    }

    /// Whether the last attempt to write failed. Nothing runs while it is so.
    pub fn stuck(&self) -> bool {
        self.signals.stuck.load(Ordering::Acquire)
    }

    /// Appends a record; `sealed` is kept beside it.
    ///
    /// # Errors
    ///
    /// [`AuditError::Unavailable`] if the log is stuck, stopped or stays full.
    pub async fn append(
        &self,
        record: impl Into<Draft>,
        sealed: Option<Vec<u8>>,
        durability: Durability,
    ) -> Result<(), AuditError> {
        let draft = record.into();
        if self.signals.closed.load(Ordering::Acquire) {
            return Err(AuditError::Unavailable("its writer has stopped"));
        }
        if self.signals.contradicted.load(Ordering::Acquire) {
            return Err(AuditError::Contradicted("it is not what was signed".into()));
        }
        if self.signals.held.load(Ordering::Acquire) && draft.event != Event::CallOutcome {
            return Err(AuditError::Unavailable("what it is passed on to is too far behind"));
        }
        if draft.size() > MAX_RECORD {
            return Err(AuditError::Unavailable("a record is larger than any may be"));
        }
        let waits = durability == Durability::Durable || self.settings.strict;
        let stuck = self.stuck();
        let goes_on = draft.event == Event::CallOutcome || (self.settings.reads_when_stuck && !waits);
        if stuck && !goes_on {
            return Err(AuditError::Unavailable("the last write failed and is being tried again"));
        }
        let hopeless = stuck && draft.event != Event::CallOutcome;
        let patience = if hopeless { Duration::ZERO } else { PATIENCE };
        let room = match tokio::time::timeout(patience, self.queue.reserve()).await {
            Ok(Ok(room)) => room,
            Ok(Err(_)) => return Err(AuditError::Unavailable("its writer has stopped")),
            Err(_) => return Err(AuditError::Unavailable("its queue is full")),
        };
        self.signals.pending.fetch_add(1, Ordering::AcqRel);
        self.signals.accepted.fetch_add(1, Ordering::AcqRel);
        if draft.event.begins_a_call() {
            self.signals.calls.fetch_add(1, Ordering::AcqRel);
        }
        if !waits {
            room.send(Entry { draft, sealed, done: None });
            return Ok(());
        }
        let (done, stored) = oneshot::channel();
        room.send(Entry { draft, sealed, done: Some(done) });
        self.signals.hurry.notify_one();
        // The sender is dropped without a word when a first attempt fails.
        stored.await.map_err(|_| AuditError::Unavailable("the last write failed and is being tried again"))
    }

    /// Writes what was accepted and a last record, then stops. Later appends are
    /// refused from here on.
    ///
    /// Takes 10 seconds at most; what cannot be stored by then is lost, and how much is logged.
    pub async fn close(&self) {
        let lost = self.close_within(CLOSING).await;
        if lost > 0 {
            tracing::error!(
                event = "audit.close",
                lost,
                "the audit log could not be closed in order: accepted records may not be stored"
            );
        }
    }

    /// Returns how many accepted records are not known to be stored.
    async fn close_within(&self, limit: Duration) -> u64 {
        self.signals.closed.store(true, Ordering::Release);
        self.signals.close.notify_one();
        self.signals.hurry.notify_one();
        let tasks = self.tasks.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        let Some(Tasks { sequencer, checkpoints }) = tasks else { return 0 };
        end(sequencer, limit).await;
        self.signals.ended.notify_one();
        if let Some(checkpoints) = checkpoints {
            end(checkpoints, limit).await;
        }
        self.signals.pending.load(Ordering::Acquire)
    }

    /// Has nothing begin while `held`: whoever the log is passed on to has to catch up first. What runs may end.
    pub fn hold(&self, held: bool) {
        self.signals.held.store(held, Ordering::Release);
    }

    /// How many records the log has, as far as this process knows.
    pub fn size(&self) -> u64 {
        self.signals.size.load(Ordering::Acquire)
    }

    /// How the log is, for who watches over it.
    pub fn health(&self) -> AuditHealth {
        let signals = &self.signals;
        let (size, signed) = (signals.size.load(Ordering::Acquire), signals.signed.load(Ordering::Acquire));
        let at = signals.signed_us.load(Ordering::Acquire);
        let age = self.clock.now().since(Timestamp::from_micros(at));
        let notary = self.settings.notary.as_ref();
        let unsigned = size.saturating_sub(signed);
        AuditHealth {
            stuck: self.stuck(),
            contradicted: signals.contradicted.load(Ordering::Acquire),
            pending: signals.pending.load(Ordering::Acquire),
            unsigned: if notary.is_some() { unsigned } else { 0 },
            checkpoint_age: notary.filter(|_| at > 0).map(|_| age),
            checkpoint_late: notary.is_some_and(|notary| signals.is_late(notary.every(), self.clock.now())),
        }
    }

    /// What keeps strangers from filling the log.
    pub(crate) fn flood(&self) -> &Flood {
        &self.flood
    }
}

/// Waits for a task to end within `limit`, and ends it then.
async fn end(mut task: JoinHandle<()>, limit: Duration) {
    if tokio::time::timeout(limit, &mut task).await.is_err() {
        task.abort();
        let _ = task.await;
    }
}

#[cfg(test)]
mod tests;
