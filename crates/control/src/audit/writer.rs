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
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use quaymaster_core::{CallError, Clock, ErrorCode, WriterId};
use quaymaster_store::{AppendError, NewRecord, Store, StoreError, TreeState};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::audit::draft::Draft;
use crate::audit::flood::Flood;
use crate::audit::merkle::{Tree, leaf_hash};
use crate::audit::record::{Event, Record};
use crate::crypto::CryptoError;

/// How many records may wait.
const QUEUE: usize = 8_192;
/// How many records one transaction takes at most.
const BATCH: usize = 512;
/// How long a call waits for room in the queue before it is refused.
const PATIENCE: Duration = Duration::from_secs(2);
/// The longest pause between two attempts to store a batch that failed.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
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

/// Why the log did not take a record.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The store failed.
    #[error("the audit log cannot be written: {0}")]
    Store(#[from] StoreError),
    /// A key failed.
    #[error("the audit log cannot be sealed: {0}")]
    Crypto(#[from] CryptoError),
    /// The log is stopped, stuck or full.
    #[error("the audit log takes no records: {0}")]
    Unavailable(&'static str),
    /// What the store holds is no tree.
    #[error("the audit log is damaged: {0}")]
    Damaged(String),
}

impl From<AuditError> for CallError {
    fn from(error: AuditError) -> Self {
        Self::new(ErrorCode::AuditUnavailable, "the audit log does not take records, so nothing runs")
            .because(error)
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

struct Entry {
    draft: Draft,
    sealed: Option<Vec<u8>>,
    done: Option<oneshot::Sender<()>>,
}

#[derive(Debug, Default)]
struct Signals {
    /// Somebody waits for a record in the queue.
    hurry: Notify,
    /// The last attempt to store a batch failed.
    stuck: AtomicBool,
    /// Nothing more is to be accepted.
    close: Notify,
    /// Nothing more is accepted.
    closed: AtomicBool,
    /// How many records were accepted and are not known to be stored.
    pending: AtomicU64,
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

fn read_tree(state: TreeState) -> Result<Tree, AuditError> {
    Tree::from_frontier(state.size, state.frontier).map_err(AuditError::Damaged)
}

/// Numbers, hashes and stores.
struct Sequencer {
    store: Store,
    tree: Tree,
    writer: Arc<str>,
    window: Duration,
    signals: Arc<Signals>,
    clock: Arc<dyn Clock>,
    /// An attempt to store the batch failed; it may have reached the store all the same.
    in_doubt: bool,
}

impl Sequencer {
    async fn run(mut self, mut entries: mpsc::Receiver<Entry>) {
        let mut batch = Vec::with_capacity(BATCH);
        let signals = Arc::clone(&self.signals);
        loop {
            tokio::select! {
                received = entries.recv_many(&mut batch, BATCH) => if received == 0 { break },
                // What was accepted is still received; after it, nothing.
                () = signals.close.notified() => {
                    entries.close();
                    continue;
                }
            }
            let awaited = batch.iter().any(|entry| entry.done.is_some());
            if !awaited && batch.len() < BATCH && !signals.closed.load(Ordering::Acquire) {
                tokio::select! {
                    () = tokio::time::sleep(self.window) => {}
                    () = self.signals.hurry.notified() => {}
                }
                while batch.len() < BATCH
                    && let Ok(entry) = entries.try_recv()
                {
                    batch.push(entry);
                }
            }
            self.store_batch(&mut batch).await;
            signals.pending.fetch_sub(batch.len() as u64, Ordering::AcqRel);
            for entry in batch.drain(..) {
                if let Some(done) = entry.done {
                    let _ = done.send(());
                }
            }
        }
        if signals.closed.load(Ordering::Acquire) {
            let draft = Record::new(Event::WriterStopped, self.clock.now()).into();
            signals.pending.fetch_add(1, Ordering::AcqRel);
            self.store_batch(&mut [Entry { draft, sealed: None, done: None }]).await;
            signals.pending.fetch_sub(1, Ordering::AcqRel);
        }
    }

    /// Tries until the batch is stored.
    async fn store_batch(&mut self, batch: &mut [Entry]) {
        let mut pause = Duration::from_millis(50);
        loop {
            match self.try_batch(batch).await {
                Ok(()) => return self.stored(),
                Err(AppendError::Conflict { actual }) => match self.catch_up(batch, actual).await {
                    Ok(true) => return self.stored(),
                    Ok(false) => continue,
                    Err(error) => self.complain(&error.to_string()),
                },
                Err(error) => {
                    self.in_doubt = true;
                    self.complain(&error.to_string());
                }
            }
            // Whoever waits is told now: the record will be stored late, and the call must not go on.
            for entry in batch.iter_mut() {
                entry.done = None;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
            // Where this cannot be answered, the tree stays as it is: the next attempt
            // is refused as a conflict if this one was stored, and asks again.
            if let Ok(actual) = self.store.audit_tree().await
                && let Ok(true) = self.catch_up(batch, actual).await
            {
                return self.stored();
            }
        }
    }

    fn stored(&mut self) {
        self.in_doubt = false;
        self.signals.stuck.store(false, Ordering::Release);
    }

    /// Brings the tree up to date, and says whether an attempt that was reported as
    /// failed reached the store nevertheless, as when a connection breaks after the commit.
    ///
    /// The records were numbered onto the tree as it was, and still would be.
    /// Once the tree has grown past that size, the attempt cannot succeed any more.
    async fn catch_up(&mut self, batch: &[Entry], actual: TreeState) -> Result<bool, AuditError> {
        let tree = read_tree(actual)?;
        let mut found = false;
        if self.in_doubt
            && tree.size() > self.tree.size()
            && let Some(first) = batch.first()
        {
            let first = first.draft.finish(self.tree.size(), &self.writer);
            let stored = self.store.audit_read(self.tree.size(), 1).await?;
            found = stored.first().is_some_and(|record| record.body == first);
            self.in_doubt = false;
        }
        self.tree = tree;
        Ok(found)
    }

    fn complain(&self, error: &str) {
        self.signals.stuck.store(true, Ordering::Release);
        tracing::error!(
            event = "audit.write",
            error,
            "the audit log could not be written; nothing runs until it can"
        );
    }

    async fn try_batch(&mut self, batch: &[Entry]) -> Result<(), AppendError> {
        let mut tree = self.tree.clone();
        let mut records = Vec::with_capacity(batch.len());
        for entry in batch {
            let seq = tree.size();
            let body = entry.draft.finish(seq, &self.writer);
            let leaf = leaf_hash(&body);
            tree.append(leaf);
            records.push(row(entry, seq, body, leaf));
        }
        let state = TreeState { size: tree.size(), frontier: tree.frontier().to_vec() };
        self.store.audit_append(self.tree.size(), records, state).await?;
        self.tree = tree;
        Ok(())
    }
}

/// The record with the columns that it is found by.
fn row(entry: &Entry, seq: u64, body: Vec<u8>, leaf: [u8; 32]) -> NewRecord {
    let draft = &entry.draft;
    NewRecord {
        seq,
        time_us: draft.time.as_micros(),
        event: draft.event.as_str(),
        call_id: draft.call.clone(),
        // An outcome is found by its call, whose intent has the actor.
        actor: draft.actor.clone().filter(|_| draft.event != Event::CallOutcome),
        workspace: draft.workspace.clone(),
        tool: draft.tool.clone(),
        status: draft.status.map(Into::into),
        code: draft.code.map(Into::into),
        body,
        leaf,
        sealed: entry.sealed.clone(),
    }
}

#[cfg(test)]
mod tests;
