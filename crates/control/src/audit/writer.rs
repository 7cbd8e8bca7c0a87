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

use quaymaster_core::{Clock, WriterId};
use quaymaster_store::Store;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::audit::draft::Draft;
use crate::audit::error::AuditError;
use crate::audit::flood::Flood;
use crate::audit::record::{Event, Record};
use crate::audit::sequencer::{Entry, Sequencer, Signals, read_tree};

/// How many records may wait.
const QUEUE: usize = 8_192;
/// How long a call waits for room in the queue before it is refused.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long a writer that is closed may take to store what it has accepted.
const CLOSING: Duration = Duration::from_secs(10);

/// How the audit log writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuditSettings {
    /// How long a record that nobody waits for may wait for others.
    pub batch_window: Duration,
    /// Every call waits until its records are on disk, reads included.
    pub strict: bool,
}

impl Default for AuditSettings {
    fn default() -> Self {
        Self { batch_window: Duration::from_millis(5), strict: false }
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

/// A handle to the audit log.
#[derive(Debug)]
pub struct Audit {
    queue: mpsc::Sender<Entry>,
    signals: Arc<Signals>,
    strict: bool,
    clock: Arc<dyn Clock>,
    flood: Flood,
    task: std::sync::Mutex<Option<JoinHandle<()>>>,
}

impl Audit {
    /// Opens the log of `store` and starts its writer, whose start is the first record.
    ///
    /// # Errors
    ///
    /// [`AuditError`] if the log cannot be read or written.
    pub async fn open(
        store: Store,
        writer: WriterId,
        settings: AuditSettings,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, AuditError> {
        let tree = read_tree(store.audit_tree().await?)?;
        let (queue, entries) = mpsc::channel(QUEUE);
        let signals = Arc::new(Signals::default());
        let sequencer = Sequencer {
            store,
            tree,
            writer: writer.as_str().into(),
            window: settings.batch_window,
            signals: Arc::clone(&signals),
            clock: Arc::clone(&clock),
            in_doubt: false,
        };
        let task = tokio::spawn(sequencer.run(entries));
        let audit = Self {
            queue,
            signals,
            strict: settings.strict,
            clock,
            flood: Flood::default(),
            task: std::sync::Mutex::new(Some(task)),
        };
        let started = Record::new(Event::WriterStarted, audit.clock.now());
        audit.append(started, None, Durability::Durable).await?;
        Ok(audit)
    }

    /// Whether every record waits for the disk.
    pub fn strict(&self) -> bool {
        self.strict
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
        if self.stuck() && draft.event != Event::CallOutcome {
            return Err(AuditError::Unavailable("the last write failed and is being tried again"));
        }
        let room = tokio::time::timeout(PATIENCE, self.queue.reserve()).await;
        let room = match room {
            Ok(Ok(room)) => room,
            Ok(Err(_)) => return Err(AuditError::Unavailable("its writer has stopped")),
            Err(_) => return Err(AuditError::Unavailable("its queue is full")),
        };
        self.signals.pending.fetch_add(1, Ordering::AcqRel);
        if durability == Durability::Accepted && !self.strict {
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
        let task = self.task.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        let Some(mut task) = task else { return 0 };
        if tokio::time::timeout(limit, &mut task).await.is_err() {
            task.abort();
            let _ = task.await;
        }
        self.signals.pending.load(Ordering::Acquire)
    }

    /// What keeps strangers from filling the log.
    pub(crate) fn flood(&self) -> &Flood {
        &self.flood
    }
}

#[cfg(test)]
mod tests;
