//! Signs the head of the tree every so many records or seconds, and looks whether it may.
//!
//! A checkpoint is made of what the store has on disk, not of what a writer has in mind: leaves that
//! were added since the last one are read, put onto the tree as it was signed, and must lead to the tree that
//! the store keeps. Several processes may do so; they hold the same key and sign the same heads.
//!
//! The newest checkpoint is kept in a file as well, outside the store, so that a store that went back
//! in time is found at the next start.
//!
//! Invariants:
//! - No checkpoint is signed that contradicts one that was signed before, as far as store or file has it.
//! - A store that contradicts a checkpoint is not written to any more.
//! - A checkpoint is in the store before it is in the file.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use quaymaster_core::{Clock, Timestamp};
use quaymaster_store::{CheckpointRow, MAX_PAGE, Store, TreeState};
use tokio::task::JoinHandle;

use super::AuditError;
use super::checkpoint::Checkpoint;
use super::merkle::Tree;
use super::note::{LogKey, MAX_NOTE, VerifierKey};
use super::sequencer::{Signals, read_tree};
use super::tiles::{Gathering, WIDTH};
use crate::keyfile::replace;

/// How often it is looked whether a checkpoint is due, and how soon a failed one is tried again.
const LOOK: Duration = Duration::from_secs(1);

/// With which key checkpoints are signed, where the newest is kept, and how often there is one.
#[derive(Debug)]
pub struct Notary {
    key: LogKey,
    file: PathBuf,
    records: u64,
    every: Duration,
}

impl Notary {
    /// Signs with `key` after `records` records, or after `every` if there are fewer; keeps the newest
    /// checkpoint in `file`.
    pub fn new(key: LogKey, file: PathBuf, (records, every): (u64, Duration)) -> Self {
        Self { key, file, records: records.max(1), every }
    }

    /// The public half of the key.
    pub fn public(&self) -> &VerifierKey {
        self.key.public()
    }

    /// How long a record waits for a checkpoint at most, where everything works. Twice that and 5 s is late.
    pub fn every(&self) -> Duration {
        self.every
    }
}

/// The tree as it was last signed, and what it takes to sign it anew.
#[derive(Debug)]
pub struct Checkpoints {
    store: Store,
    notary: Arc<Notary>,
    clock: Arc<dyn Clock>,
    tree: Tree,
    /// The size and the time of the newest checkpoint.
    last: Option<(u64, Timestamp)>,
    gathering: Gathering,
}

impl Checkpoints {
    /// Looks whether the tree in `store` goes on from the newest checkpoint.
    ///
    /// # Errors
    ///
    /// [`AuditError::Contradicted`] if it does not: nothing may be written then.
    pub async fn open(store: Store, notary: Arc<Notary>, clock: Arc<dyn Clock>) -> Result<Self, AuditError> {
        let state = store.audit_tree().await?;
        let newest = store.audit_checkpoint_newest().await?;
        check_file(&store, &notary, &state).await?;
        let mut checkpoints =
            Self { store, notary, clock, tree: Tree::default(), last: None, gathering: Gathering::default() };
        if let Some(newest) = newest {
            checkpoints.go_on_from(newest, &state).await?;
        }
        Ok(checkpoints)
    }

    /// Takes up from a checkpoint, to which the tree must lead.
    async fn go_on_from(&mut self, newest: CheckpointRow, state: &TreeState) -> Result<(), AuditError> {
        let signed = Checkpoint::open(&newest.note, self.notary.public()).map_err(|error| {
            contradicted(format!("the newest checkpoint in the store does not count: {error}"))
        })?;
        let tree = read_tree(newest.tree)?;
        if (tree.size(), tree.root()) != (signed.size, signed.root) {
            return Err(contradicted(format!(
                "what is stored of the checkpoint of {} records is not what was signed",
                signed.size
            )));
        }
        if state.size < signed.size {
            return Err(went_back(state.size, signed.size, "a checkpoint in it"));
        }
        let from = signed.size / WIDTH * WIDTH;
        let leaves = self.leaves(from, signed.size).await?;
        self.gathering = Gathering::after(leaves);
        self.tree = tree;
        self.last = Some((signed.size, Timestamp::from_micros(newest.time_us)));
        self.extend(state).await
    }

    /// Signs the tree as it is now, if it grew. Gives the note.
    ///
    /// # Errors
    ///
    /// [`AuditError::Contradicted`] if the tree does not go on from the last checkpoint; [`AuditError`] if
    /// the store or the file fails.
    pub async fn write(&mut self) -> Result<Option<String>, AuditError> {
        let state = self.store.audit_tree().await?;
        self.extend(&state).await?;
        if self.last.map_or(0, |(size, _)| size) == state.size {
            return Ok(None);
        }
        let checkpoint = Checkpoint { size: state.size, root: self.tree.root() };
        let (note, now) = (checkpoint.sign(&self.notary.key), self.clock.now());
        let row = CheckpointRow { tree: state, time_us: now.as_micros(), note: note.clone() };
        self.store.audit_checkpoint_save(&row).await?;
        keep(&self.notary, &note, checkpoint.size)?;
        self.last = Some((checkpoint.size, now));
        Ok(Some(note))
    }

    /// Brings the tree up to `state`, and stores the tiles that are full then.
    async fn extend(&mut self, state: &TreeState) -> Result<(), AuditError> {
        if state.size < self.tree.size() {
            return Err(went_back(state.size, self.tree.size(), "what was read of it before"));
        }
        while self.tree.size() < state.size {
            let to = state.size.min(self.tree.size() + u64::from(MAX_PAGE));
            for leaf in self.leaves(self.tree.size(), to).await? {
                self.tree.append(leaf);
                self.gathering.push(leaf, self.tree.size());
            }
            self.gathering.store(&self.store).await?;
        }
        if self.tree.frontier() == state.frontier {
            return Ok(());
        }
        let size = self.last.map_or(0, |(size, _)| size);
        Err(contradicted(format!(
            "the tree of {} records does not go on from the {size} that were signed",
            state.size
        )))
    }

    async fn leaves(&self, from: u64, to: u64) -> Result<Vec<[u8; 32]>, AuditError> {
        let count = u32::try_from(to - from).unwrap_or(u32::MAX);
        let leaves = self.store.audit_leaves(from, count).await?;
        let whole = leaves.iter().zip(from..).all(|((seq, _), at)| *seq == at);
        if !whole || leaves.len() as u64 != to - from {
            return Err(contradicted(format!("records from {from} to {} are not all there", to - 1)));
        }
        Ok(leaves.into_iter().map(|(_, leaf)| leaf).collect())
    }

    fn is_due(&self, size: u64) -> bool {
        let (signed, at) = self.last.unwrap_or((0, Timestamp::from_micros(0)));
        let new = size.saturating_sub(signed);
        new >= self.notary.records || (new > 0 && self.clock.now().since(at) >= self.notary.every)
    }
}

/// What was kept outside the store must be a checkpoint that the store has.
async fn check_file(store: &Store, notary: &Notary, state: &TreeState) -> Result<(), AuditError> {
    let Some(kept) = read_kept(notary)? else { return Ok(()) };
    let place = notary.file.display().to_string();
    if state.size < kept.size {
        return Err(went_back(state.size, kept.size, &place));
    }
    let row = store.audit_checkpoint(kept.size).await?;
    let stored = row.and_then(|row| Checkpoint::open(&row.note, notary.public()).ok());
    if stored.as_ref() == Some(&kept) {
        return Ok(());
    }
    Err(contradicted(format!(
        "the store does not have the checkpoint of {} records that {place} has: it is another log, or an older copy of it",
        kept.size
    )))
}

/// The checkpoint in the file, if there is a file.
fn read_kept(notary: &Notary) -> Result<Option<Checkpoint>, AuditError> {
    let Some(note) = read_note(&notary.file)? else { return Ok(None) };
    let place = notary.file.display();
    let kept = Checkpoint::open(&note, notary.public())
        .map_err(|error| contradicted(format!("the checkpoint in {place} does not count: {error}")))?;
    Ok(Some(kept))
}

fn read_note(file: &Path) -> Result<Option<String>, AuditError> {
    match std::fs::metadata(file) {
        Ok(found) if found.len() > MAX_NOTE as u64 => {
            return Err(contradicted(format!("{} is no checkpoint: it is too long", file.display())));
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        _ => {}
    }
    std::fs::read_to_string(file)
        .map(Some)
        .map_err(|error| AuditError::Checkpoint(file.display().to_string(), error))
}

/// Keeps the newest checkpoint outside the store; an older one takes no newer one's place.
fn keep(notary: &Notary, note: &str, size: u64) -> Result<(), AuditError> {
    if read_kept(notary)?.is_some_and(|kept| kept.size >= size) {
        return Ok(());
    }
    replace(&notary.file, note.as_bytes())
        .map_err(|error| AuditError::Checkpoint(notary.file.display().to_string(), error))
}

fn contradicted(reason: String) -> AuditError {
    AuditError::Contradicted(reason)
}

fn went_back(found: u64, signed: u64, place: &str) -> AuditError {
    contradicted(format!(
        "the log has {found} records, and {place} says that it had {signed}: the store went back in time"
    ))
}

/// Writes checkpoints until the log is closed, and one more then; meanwhile tells when one is overdue.
pub(super) fn follow(checkpoints: Checkpoints, signals: Arc<Signals>) -> JoinHandle<()> {
    signals.checkpointed(checkpoints.last, checkpoints.notary.records);
    let (notary, clock) = (Arc::clone(&checkpoints.notary), Arc::clone(&checkpoints.clock));
    tokio::spawn(async move {
        tokio::select! {
            () = write_until_closed(checkpoints, &signals) => {}
            () = tell_when_late(&notary, clock.as_ref(), &signals) => {}
        }
    })
}

async fn write_until_closed(mut checkpoints: Checkpoints, signals: &Signals) {
    let records = checkpoints.notary.records;
    loop {
        let ended = tokio::select! {
            () = tokio::time::sleep(LOOK) => false,
            () = signals.sign.notified() => false,
            () = signals.ended.notified() => true,
        };
        if !ended && !checkpoints.is_due(signals.size.load(Ordering::Acquire)) {
            continue;
        }
        match checkpoints.write().await {
            Ok(_) => signals.checkpointed(checkpoints.last, records),
            Err(error @ AuditError::Contradicted(_)) => {
                tracing::error!(event = "audit.contradicted", %error, "the audit log contradicts what was signed; nothing is written to it any more");
                signals.contradicted.store(true, Ordering::Release);
            }
            Err(error) => {
                tracing::error!(event = "audit.checkpoint", %error, "no checkpoint of the audit log could be written");
            }
        }
        if ended || signals.contradicted.load(Ordering::Acquire) {
            return;
        }
    }
}

/// The alarm, once for each time that a checkpoint is overdue: also where writing one hangs. Does not end.
async fn tell_when_late(notary: &Notary, clock: &dyn Clock, signals: &Signals) {
    let mut told = false;
    loop {
        tokio::time::sleep(LOOK).await;
        let late = signals.is_late(notary.every, clock.now());
        if late && !told {
            tracing::error!(
                event = "audit.checkpoint_late",
                "records have waited for a checkpoint for more than twice the configured time"
            );
        }
        told = late;
    }
}
