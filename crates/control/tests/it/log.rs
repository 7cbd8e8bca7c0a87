//! The transparency log on real stores: what is signed, what is proved, and what nobody can take back.

#![expect(
    clippy::indexing_slicing,
    reason = "Clippy does not see that these functions are tests before the macro has named them"
)]

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use quaymaster_control::audit::merkle::{Tree, leaf_hash};
use quaymaster_control::audit::notary::Checkpoints;
use quaymaster_control::audit::verify::{Known, Verification, verify_with};
use quaymaster_control::audit::{
    Audit, AuditError, AuditSettings, Checkpoint, Durability, Event, LogKey, Notary, Record,
};
use quaymaster_control::crypto::SystemRandomness;
use quaymaster_core::clock::FixedClock;
use quaymaster_core::{Clock, SystemClock, Timestamp, WriterId};
use quaymaster_store::{CheckpointRow, NewRecord, Store, TreeState};
use serde_json::Value;

use crate::database::Database;

mod kept;

crate::over_both! {
    there_is_a_checkpoint_after_so_many_records_and_at_the_end,
    there_is_a_checkpoint_after_a_time,
    a_checkpoint_that_is_overdue_is_told_of,
    every_way_of_changing_the_log_is_found_and_told_apart,
    a_log_that_went_back_in_time_is_not_written_to,
    a_log_that_is_changed_while_it_is_written_is_written_to_no_more,
}

/// A log of one installation: its store, its key and the file of its newest checkpoint.
struct Log {
    folder: tempfile::TempDir,
    store: Store,
}

impl Log {
    async fn new(database: &Database) -> Self {
        Self { folder: tempfile::tempdir().expect("a folder"), store: database.store().await }
    }

    fn kept(&self) -> PathBuf {
        self.folder.path().join("audit.checkpoint")
    }

    fn key(&self, name: &str) -> LogKey {
        LogKey::open_or_create(&self.folder.path().join(name), &SystemRandomness).expect("a key").0
    }

    fn notary(&self, records: u64, every: Duration) -> Arc<Notary> {
        Arc::new(Notary::new(self.key("audit.key"), self.kept(), (records, every)))
    }

    async fn open(&self, settings: AuditSettings) -> Result<Audit, AuditError> {
        let writer = WriterId::new(&SystemClock, &SystemRandomness);
        Audit::open(self.store.clone(), writer, settings, Arc::new(SystemClock)).await
    }

    async fn signed_every(&self, records: u64) -> Audit {
        let notary = Some(self.notary(records, Duration::from_hours(1)));
        self.open(AuditSettings { notary, ..AuditSettings::default() }).await.expect("a log")
    }

    /// So many calls, with an intent and an outcome each, in one go.
    async fn write(&self, calls: u64) {
        let audit = self.signed_every(1_000_000).await;
        for n in 0..calls {
            for event in [Event::CallIntent, Event::CallOutcome] {
                audit
                    .append(record(event, &format!("call_{n}")), None, Durability::Accepted)
                    .await
                    .expect("room");
            }
        }
        audit.close().await;
    }

    /// Signs the log as it is.
    async fn sign(&self) -> CheckpointRow {
        let notary = self.notary(1, Duration::from_hours(1));
        let mut checkpoints = Checkpoints::open(self.store.clone(), notary, Arc::new(SystemClock))
            .await
            .expect("what was signed");
        checkpoints.write().await.expect("signed");
        self.newest().await
    }

    async fn newest(&self) -> CheckpointRow {
        self.store.audit_checkpoint_newest().await.expect("readable").expect("a checkpoint")
    }

    async fn verify(&self) -> Verification {
        let mut known = Known { key: Some(self.key("audit.key").public().clone()), checkpoints: vec![] };
        if let Ok(note) = std::fs::read_to_string(self.kept()) {
            known.checkpoints.push(("the file".into(), note));
        }
        verify_with(&self.store, known).await.expect("readable")
    }

    async fn bodies(&self) -> Vec<Value> {
        let mut all = Vec::new();
        loop {
            let page = self.store.audit_read(all.len() as u64, 5_000).await.expect("readable");
            if page.is_empty() {
                return all;
            }
            all.extend(page.iter().map(|r| serde_json::from_slice(&r.body).expect("JSON")));
        }
    }

    /// Writes the whole log anew as somebody would who has the database and knows how it is made: numbers,
    /// hashes, columns and tree all fit. Checkpoints stay as they are.
    async fn forge(&self, database: &Database, records: Vec<Value>) {
        database.tamper("DELETE FROM audit_records").await;
        database.tamper("DELETE FROM audit_tiles").await;
        let empty = match database {
            Database::Sqlite(_) => "UPDATE audit_tree SET size = 0, frontier = x''",
            Database::Postgres { .. } => "UPDATE audit_tree SET size = 0, frontier = ''",
        };
        database.tamper(empty).await;
        let mut tree = Tree::default();
        let mut rows = Vec::new();
        for mut said in records {
            said["seq"] = tree.size().into();
            let body = quaymaster_core::json::canonical(&said).into_bytes();
            let leaf = leaf_hash(&body);
            let text = |pointer: &str| said.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
            rows.push(NewRecord {
                seq: tree.size(),
                time_us: Timestamp::parse(&text("/time").expect("a time")).expect("a time").as_micros(),
                event: text("/event").expect("an event").leak(),
                call_id: text("/call").map(Into::into),
                actor: None,
                workspace: None,
                tool: None,
                status: text("/status").map(Into::into),
                code: None,
                body,
                leaf,
                sealed: None,
            });
            tree.append(leaf);
        }
        let state = TreeState { size: tree.size(), frontier: tree.frontier().to_vec() };
        self.store.audit_append(0, rows, state).await.expect("forged");
    }
}

fn record(event: Event, call: &str) -> Record<'static> {
    let mut record = Record::new(event, SystemClock.now());
    record.call = Some(call.into());
    record
}

/// Waits until something is so that another task brings about.
async fn until<F: Future<Output = bool>>(what: &str, mut is_so: impl FnMut() -> F) {
    for _ in 0..2_000 {
        if is_so().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("{what} never came about");
}

async fn there_is_a_checkpoint_after_so_many_records_and_at_the_end(database: &Database) {
    let log = Log::new(database).await;
    let audit = log.signed_every(20).await;
    for n in 0..30 {
        audit
            .append(record(Event::CallIntent, &format!("c{n}")), None, Durability::Durable)
            .await
            .expect("written");
    }
    until("a checkpoint of 20 records", async || {
        log.store.audit_checkpoint_newest().await.expect("readable").is_some_and(|c| c.tree.size >= 20)
    })
    .await;
    audit.close().await;
    let newest = log.newest().await;
    // The start, thirty calls, the stop.
    assert_eq!(newest.tree.size, 32);
    assert_eq!(std::fs::read_to_string(log.kept()).expect("kept"), newest.note);
    let found = log.verify().await;
    assert_eq!((found.intact, found.signed, found.records), (true, 32, 32), "{:?}", found.problems);
    assert!(found.checkpoints >= 3, "two in the store and the one in the file: {}", found.checkpoints);
}

async fn there_is_a_checkpoint_after_a_time(database: &Database) {
    let log = Log::new(database).await;
    let notary = Some(log.notary(1_000_000, Duration::from_millis(1)));
    let audit = log.open(AuditSettings { notary, ..AuditSettings::default() }).await.expect("a log");
    audit.append(record(Event::CallIntent, "c"), None, Durability::Durable).await.expect("written");
    until("a checkpoint", async || audit.health().unsigned == 0).await;
    assert_eq!(log.newest().await.tree.size, 2);
    let health = audit.health();
    assert!(
        !health.stuck && !health.contradicted && !health.checkpoint_late && health.checkpoint_age.is_some()
    );
    audit.close().await;
}

async fn a_checkpoint_that_is_overdue_is_told_of(database: &Database) {
    let log = Log::new(database).await;
    let nowhere = log.folder.path().join("nowhere/audit.checkpoint");
    let notary = Arc::new(Notary::new(log.key("audit.key"), nowhere, (1, Duration::from_mins(1))));
    let clock = Arc::new(FixedClock::new(SystemClock.now()));
    let settings = AuditSettings { notary: Some(notary), ..AuditSettings::default() };
    let writer = WriterId::new(&SystemClock, &SystemRandomness);
    let audit = Audit::open(log.store.clone(), writer, settings, clock.clone()).await.expect("a log");
    assert!(!audit.health().checkpoint_late && audit.health().unsigned == 1);
    clock.advance(Duration::from_mins(3));
    assert!(audit.health().checkpoint_late, "what is signed cannot be kept outside the store");
    audit.append(record(Event::CallIntent, "c"), None, Durability::Durable).await.expect("calls go on");
    audit.close().await;
}

async fn every_way_of_changing_the_log_is_found_and_told_apart(database: &Database) {
    let log = Log::new(database).await;
    log.write(20).await;
    let first = log.newest().await;
    log.write(20).await;
    let second = log.newest().await;
    let original = log.bodies().await;
    assert!(log.verify().await.intact);
    let other = log.key("another.key");
    let found = async |what: &str, expected: &str| {
        let found = log.verify().await;
        let named = found.problems.iter().any(|problem| problem.contains(expected));
        assert!(!found.intact && named, "{what}: {:?}", found.problems);
    };
    let size = second.tree.size;
    let cut = format!("there are {} records, and the checkpoint in the file of {size} was signed", size - 4);
    let sizes = |row: &CheckpointRow| row.tree.size;

    let truncated = original[..original.len() - 4].to_vec();
    log.forge(database, truncated).await;
    database.tamper(&format!("DELETE FROM audit_checkpoints WHERE size = {size}")).await;
    found("truncation", &cut).await;
    log.store.audit_checkpoint_save(&second).await.expect("put back");
    found("truncation with its checkpoint left", "the log was cut off, or went back in time").await;

    let mut deleted = original.clone();
    deleted.drain(10..12);
    log.forge(database, deleted).await;
    found("deletion", &format!("the checkpoint of {} records has another root", sizes(&first))).await;

    let mut edited = original.clone();
    edited[usize::try_from(sizes(&first)).expect("small") + 3]["status"] = "success".into();
    log.forge(database, edited).await;
    let root = format!("the checkpoint of {size} records has another root");
    found("edit after the first checkpoint", &root).await;
    let untouched =
        log.verify().await.problems.iter().all(|p| !p.contains(&format!("of {} ", sizes(&first))));
    assert!(untouched, "what the first checkpoint covers is as it was");

    let mut swapped = original.clone();
    swapped.swap(4, 6);
    log.forge(database, swapped).await;
    found("re-ordering", "records were changed, removed or moved after it was signed").await;

    log.forge(database, original.clone()).await;
    let forged = Checkpoint { size, root: log_root(&second) }.sign(&other);
    database.tamper(&format!("DELETE FROM audit_checkpoints WHERE size = {size}")).await;
    log.store.audit_checkpoint_save(&CheckpointRow { note: forged, ..second.clone() }).await.expect("stored");
    found("signing with another key", "does not count: it is not signed by the key").await;

    database.tamper(&format!("DELETE FROM audit_checkpoints WHERE size = {size}")).await;
    let note = second.note.replacen(&format!("\n{size}\n"), &format!("\n{}\n", size + 1), 1);
    log.store.audit_checkpoint_save(&CheckpointRow { note, ..second.clone() }).await.expect("stored");
    found("a checkpoint that was changed", "the text was changed, or another key signed it").await;

    database.tamper(&format!("DELETE FROM audit_checkpoints WHERE size = {size}")).await;
    log.store.audit_checkpoint_save(&second).await.expect("put back");
    let tallied = original.iter().rposition(|said| said["event"] == "writer.stopped").expect("a stop");
    let mut counted = original.clone();
    counted[tallied]["tally"]["calls"] = 21.into();
    log.forge(database, counted).await;
    found("a call that was never written", "and 41 of 20 are there").await;

    log.forge(database, original).await;
    let found = log.verify().await;
    assert!(found.intact, "the copy that is as it was: {:?}", found.problems);
}

fn log_root(row: &CheckpointRow) -> [u8; 32] {
    Tree::from_frontier(row.tree.size, row.tree.frontier.clone()).expect("a tree").root()
}

async fn refused(log: &Log) -> String {
    let notary = Some(log.notary(10, Duration::from_hours(1)));
    let opened = log.open(AuditSettings { notary, ..AuditSettings::default() }).await;
    match opened {
        Err(error @ AuditError::Contradicted(_)) => error.to_string(),
        other => panic!("expected a contradiction: {other:?}"),
    }
}

async fn a_log_that_went_back_in_time_is_not_written_to(database: &Database) {
    let log = Log::new(database).await;
    log.write(5).await;
    let (earlier, first) = (log.bodies().await, log.newest().await);
    log.write(5).await;
    let second = log.newest().await;
    // As if the store had been restored from a copy of before: records and checkpoints.
    log.forge(database, earlier.clone()).await;
    database.tamper(&format!("DELETE FROM audit_checkpoints WHERE size = {}", second.tree.size)).await;
    let said = refused(&log).await;
    assert!(said.contains("went back in time") && said.contains("audit.checkpoint"), "{said}");
    assert_eq!(log.bodies().await, earlier, "nothing was written");
    // Without the file the checkpoints in the store are what is left to go by.
    std::fs::remove_file(log.kept()).expect("removed");
    log.store.audit_checkpoint_save(&second).await.expect("put back");
    let said = refused(&log).await;
    assert!(said.contains("a checkpoint in it says that it had"), "{said}");
    // Another log of the same size.
    database.tamper(&format!("DELETE FROM audit_checkpoints WHERE size = {}", second.tree.size)).await;
    let mut other = earlier.clone();
    other[3]["code"] = "x".into();
    other.push(earlier[3].clone());
    log.forge(database, other).await;
    let said = refused(&log).await;
    assert!(
        said.contains(&format!("does not go on from the {} that were signed", first.tree.size)),
        "{said}"
    );
    log.forge(database, earlier).await;
    log.write(1).await;
    assert!(log.verify().await.intact, "the log as it was is gone on with");
}

async fn a_log_that_is_changed_while_it_is_written_is_written_to_no_more(database: &Database) {
    let log = Log::new(database).await;
    let audit = log.signed_every(2).await;
    audit.append(record(Event::CallIntent, "a"), None, Durability::Durable).await.expect("written");
    until("a checkpoint", async || audit.health().unsigned == 0).await;
    let mut other = log.bodies().await;
    other[1]["call"] = "b".into();
    other.push(other[1].clone());
    log.forge(database, other).await;
    // The writer may number its record onto the other tree before it is known what that is.
    let _ = audit.append(record(Event::CallIntent, "c"), None, Durability::Durable).await;
    until("that it is noticed", async || audit.health().contradicted).await;
    let refused = audit.append(record(Event::CallOutcome, "c"), None, Durability::Accepted).await;
    assert!(matches!(refused, Err(AuditError::Contradicted(_))), "{refused:?}");
    audit.close().await;
}
