//! Numbers records, hashes them and stores them: the writer's task.
//!
//! What may come in, and how long anybody waits for it, is the handle's part
//! ([`super::writer`]), and the log's invariants stand there.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use quaymaster_core::{Clock, Timestamp};
use quaymaster_store::{AppendError, NewRecord, Store, TreeState};
use tokio::sync::{Notify, mpsc, oneshot};

use crate::audit::draft::Draft;
use crate::audit::error::AuditError;
use crate::audit::merkle::{Tree, leaf_hash};
use crate::audit::record::{Event, Record, Tally};

/// How many records one transaction takes at most.
const BATCH: usize = 512;
/// The longest pause between two attempts to store a batch that failed.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// How late a checkpoint may be beyond twice its time.
const SLACK: Duration = Duration::from_secs(5);

/// A record on its way.
pub(super) struct Entry {
    pub(super) draft: Draft,
    pub(super) sealed: Option<Vec<u8>>,
    pub(super) done: Option<oneshot::Sender<()>>,
}

/// What the handle and the task tell each other.
#[derive(Debug, Default)]
pub(super) struct Signals {
    /// Somebody waits for a record in the queue.
    pub(super) hurry: Notify,
    /// The last attempt to store a batch failed.
    pub(super) stuck: AtomicBool,
    /// Nothing more is to be accepted.
    pub(super) close: Notify,
    /// Nothing more is accepted.
    pub(super) closed: AtomicBool,
    /// How many records were accepted and are not known to be stored.
    pub(super) pending: AtomicU64,
    /// How many records were accepted, and how many of them begin or refuse a call.
    pub(super) accepted: AtomicU64,
    pub(super) calls: AtomicU64,
    /// How many records the log has, as far as this process knows.
    pub(super) size: AtomicU64,
    /// The number of records with which a checkpoint is due, whatever the time.
    pub(super) due: AtomicU64,
    /// So many there are.
    pub(super) sign: Notify,
    /// The last record is stored.
    pub(super) ended: Notify,
    /// Nothing more is to begin until others have caught up.
    pub(super) held: AtomicBool,
    /// The log is not what was signed.
    pub(super) contradicted: AtomicBool,
    /// The size of the newest checkpoint, and its time in microseconds since the Unix epoch.
    pub(super) signed: AtomicU64,
    pub(super) signed_us: AtomicU64,
    /// Since when there are records that no checkpoint covers; 0 while there are none.
    pub(super) unsigned_us: AtomicU64,
}

impl Signals {
    /// Notes the newest checkpoint, and how many records later the next one is due.
    pub(super) fn checkpointed(&self, last: Option<(u64, Timestamp)>, records: u64) {
        let (size, at) = last.unwrap_or((0, Timestamp::from_micros(0)));
        self.signed.store(size, Ordering::Release);
        self.signed_us.store(at.as_micros(), Ordering::Release);
        self.unsigned_us.store(0, Ordering::Release);
        self.due.store(size.saturating_add(records), Ordering::Release);
    }

    /// Whether a record has waited for more than twice as long as one should, which is `every`.
    pub(super) fn is_late(&self, every: Duration, now: Timestamp) -> bool {
        let since = self.unsigned_us.load(Ordering::Acquire);
        since > 0 && now.since(Timestamp::from_micros(since)) > every * 2 + SLACK
    }
}

/// The tree that the store keeps.
pub(super) fn read_tree(state: TreeState) -> Result<Tree, AuditError> {
    Tree::from_frontier(state.size, state.frontier).map_err(AuditError::Damaged)
}

/// Numbers, hashes and stores.
pub(super) struct Sequencer {
    pub(super) store: Store,
    pub(super) tree: Tree,
    pub(super) writer: Arc<str>,
    pub(super) window: Duration,
    pub(super) signals: Arc<Signals>,
    pub(super) clock: Arc<dyn Clock>,
    /// An attempt to store the batch failed; it may have reached the store all the same.
    pub(super) in_doubt: bool,
}

impl Sequencer {
    pub(super) async fn run(mut self, mut entries: mpsc::Receiver<Entry>) {
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
            let mut stopped = Record::new(Event::WriterStopped, self.clock.now());
            stopped.tally = Some(Tally {
                calls: signals.calls.load(Ordering::Acquire),
                records: signals.accepted.load(Ordering::Acquire),
            });
            let draft = stopped.into();
            signals.pending.fetch_add(1, Ordering::AcqRel);
            self.store_batch(&mut [Entry { draft, sealed: None, done: None }]).await;
            signals.pending.fetch_sub(1, Ordering::AcqRel);
        }
    }

    /// Tries until the batch is stored.
    pub(super) async fn store_batch(&mut self, batch: &mut [Entry]) {
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
        let size = self.tree.size();
        self.signals.size.store(size, Ordering::Release);
        if self.signals.unsigned_us.load(Ordering::Acquire) == 0 {
            self.signals.unsigned_us.store(self.clock.now().as_micros(), Ordering::Release);
        }
        if size >= self.signals.due.load(Ordering::Acquire) {
            self.signals.sign.notify_one();
        }
    }

    /// Brings the tree up to date, and says whether an attempt that was reported as
    /// failed reached the store nevertheless, as when a connection breaks after the commit.
    ///
    /// The records were numbered onto the tree as it was, and still would be.
    /// Once the tree has grown past that size, the attempt cannot succeed any more.
    pub(super) async fn catch_up(&mut self, batch: &[Entry], actual: TreeState) -> Result<bool, AuditError> {
        let tree = read_tree(actual)?;
        if tree.size() < self.tree.size() {
            self.signals.contradicted.store(true, Ordering::Release);
            let sizes = format!("it has {} records and had {}", tree.size(), self.tree.size());
            return Err(AuditError::Contradicted(format!("{sizes}: the store went back in time")));
        }
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

    pub(super) async fn try_batch(&mut self, batch: &[Entry]) -> Result<(), AppendError> {
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
