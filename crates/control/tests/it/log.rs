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
use quaymaster_control::audit::proof::{ProofError, check, prove};
use quaymaster_control::audit::prune::prune;
use quaymaster_control::audit::verify::{Known, Verification, verify_with};
use quaymaster_control::audit::{
    Audit, AuditError, AuditSettings, Checkpoint, Durability, Event, LogKey, Notary, Record,
};
use quaymaster_control::crypto::SystemRandomness;
use quaymaster_core::{Clock, SystemClock, Timestamp, WriterId};
use quaymaster_store::{CheckpointRow, NewRecord, Store, TreeState};
use serde_json::Value;

use crate::database::Database;

crate::over_both! {
    there_is_a_checkpoint_after_so_many_records_and_at_the_end,
    there_is_a_checkpoint_after_a_time,
    every_way_of_changing_the_log_is_found_and_told_apart,
    a_log_that_went_back_in_time_is_not_written_to,
    a_log_that_is_changed_while_it_is_written_is_written_to_no_more,
    a_record_is_proved_by_its_file_and_the_key_alone,
    what_is_left_after_pruning_verifies_and_its_proofs_hold,
    a_full_disk_stops_everything_until_there_is_room,
    reads_go_on_without_a_disk_where_the_configuration_says_so,
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

async fn a_record_is_proved_by_its_file_and_the_key_alone(database: &Database) {
    let log = Log::new(database).await;
    log.write(150).await;
    let old = log.newest().await;
    log.write(200).await;
    let newest = log.newest().await;
    let (key, other) = (log.key("audit.key").public().clone(), log.key("another.key"));
    for (checkpoint, seqs) in
        [(&old, [0, 7, 255, 256, old.tree.size - 1]), (&newest, [1, 255, 302, 600, newest.tree.size - 1])]
    {
        for seq in seqs {
            let body = log.store.audit_read(seq, 1).await.expect("readable").remove(0).body;
            let head = (checkpoint.tree.size, checkpoint.note.as_str());
            let proof = prove(&log.store, (seq, &body), head).await.expect("a proof");
            let proved = check(&proof, &key).expect("it holds");
            assert_eq!((proved.seq, proved.record, proved.checkpoint.size), (seq, body, head.0));
            let wrong = proof.replacen(&format!("index {seq}\n"), &format!("index {}\n", seq + 1), 1);
            assert_eq!(check(&wrong, &key), Err(ProofError::AnotherRoot));
            assert!(matches!(check(&proof, other.public()), Err(ProofError::Checkpoint(_))));
            assert!(check(&proof.replacen("extra ey", "extra eX", 1), &key).is_err());
            assert!(check(proof.trim_end(), &key).is_err());
        }
    }
}

async fn what_is_left_after_pruning_verifies_and_its_proofs_hold(database: &Database) {
    let log = Log::new(database).await;
    log.write(300).await;
    let before = log.newest().await;
    let gone = log.store.audit_read(5, 1).await.expect("readable").remove(0).body;
    let proof = prove(&log.store, (5, &gone), (before.tree.size, &before.note)).await.expect("a proof");
    let audit = log.signed_every(1_000).await;
    let far = SystemClock.now().after(Duration::from_hours(1));
    let wanted = prune(&log.store, &audit, (far, SystemClock.now()), 255).await.expect("an answer");
    assert_eq!(wanted, None, "what somebody waits for stays");
    let minimum = prune(&log.store, &audit, (far, SystemClock.now()), u64::MAX).await.expect("pruned");
    assert_eq!(minimum, Some(512), "whole tiles of what is signed");
    assert_eq!(prune(&log.store, &audit, (far, SystemClock.now()), u64::MAX).await.expect("pruned"), None);
    audit.close().await;
    assert_eq!(log.store.audit_read(0, 1).await.expect("readable").remove(0).seq, 512);
    let found = log.verify().await;
    assert_eq!((found.intact, found.minimum), (true, 512), "{:?}", found.problems);
    assert!(found.checkpoints >= 2, "also those over what is gone");
    let key = log.key("audit.key").public().clone();
    assert_eq!(check(&proof, &key).expect("a proof that was handed out holds").record, gone);
    let newest = log.newest().await;
    let left = log.store.audit_read(520, 1).await.expect("readable").remove(0).body;
    let proof = prove(&log.store, (520, &left), (newest.tree.size, &newest.note)).await.expect("a proof");
    assert!(check(&proof, &key).is_ok());
    log.write(5).await;
    assert!(log.verify().await.intact, "it goes on");

    database.tamper("UPDATE audit_tree SET minimum = 600").await;
    let said = log.verify().await.problems.join("\n");
    assert!(said.contains("the log speaks of those before 512 alone as pruned"), "{said}");
    database.tamper("UPDATE audit_tree SET minimum = 512").await;
    database.tamper("DELETE FROM audit_tiles WHERE place = 1").await;
    let said = log.verify().await.problems.join("\n");
    assert!(said.contains("tile 1 over them is missing"), "{said}");
}

async fn a_full_disk_stops_everything_until_there_is_room(database: &Database) {
    let log = Log::new(database).await;
    let audit = log.signed_every(1_000).await;
    database.fill().await;
    let refused = audit.append(record(Event::CallIntent, "write"), None, Durability::Durable).await;
    assert!(matches!(refused, Err(AuditError::Unavailable(_))), "{refused:?}");
    assert!(audit.stuck() && audit.health().stuck);
    let refused = audit.append(record(Event::CallIntent, "read"), None, Durability::Accepted).await;
    assert!(matches!(refused, Err(AuditError::Unavailable(_))), "{refused:?}");
    audit
        .append(record(Event::CallOutcome, "runs"), None, Durability::Accepted)
        .await
        .expect("what runs may end");
    database.make_room().await;
    until("that it goes on", async || !audit.stuck()).await;
    audit.append(record(Event::CallIntent, "again"), None, Durability::Durable).await.expect("written");
    audit.close().await;
    let calls: Vec<Value> = log.bodies().await.iter().map(|said| said["call"].clone()).collect();
    assert_eq!(calls[1..4], ["write", "runs", "again"], "what was accepted is not lost");
}

async fn reads_go_on_without_a_disk_where_the_configuration_says_so(database: &Database) {
    let log = Log::new(database).await;
    let settings = AuditSettings { reads_when_stuck: true, ..AuditSettings::default() };
    let audit = log.open(settings).await.expect("a log");
    database.fill().await;
    let refused = audit.append(record(Event::CallIntent, "write"), None, Durability::Durable).await;
    assert!(refused.is_err() && audit.stuck());
    for n in 0..10 {
        let read = record(Event::CallIntent, &format!("read{n}"));
        audit.append(read, None, Durability::Accepted).await.expect("a read goes on");
    }
    let refused = audit.append(record(Event::CallIntent, "write"), None, Durability::Durable).await;
    assert!(refused.is_err(), "a write does not");
    // There is room for so many records and no more.
    let mut accepted = 0;
    while audit.append(record(Event::CallIntent, "more"), None, Durability::Accepted).await.is_ok() {
        accepted += 1;
        assert!(accepted <= 10_000, "the queue has an end");
    }
    database.make_room().await;
    until("that it goes on", async || !audit.stuck()).await;
    audit.close().await;
    assert_eq!(log.store.audit_tree().await.expect("readable").size, 1 + 1 + 10 + accepted + 1);
}

#[tokio::test]
async fn a_large_log_has_tiles_of_every_level_and_proofs_through_them() {
    const SIZE: u64 = 66_000;
    let database = Database::sqlite();
    let log = Log::new(&database).await;
    fill_with(&log.store, SIZE).await;
    let newest = log.sign().await;
    assert_eq!(log.store.audit_tiles(0, 0).await.expect("tiles").len(), 256);
    assert_eq!(log.store.audit_tiles(1, 0).await.expect("tiles").len(), 1);
    let key = log.key("audit.key").public().clone();
    for seq in [0, 12_345, 65_535, 65_536, SIZE - 1] {
        let body = log.store.audit_read(seq, 1).await.expect("readable").remove(0).body;
        let head = (newest.tree.size, newest.note.as_str());
        let proof = prove(&log.store, (seq, &body), head).await.expect("a proof");
        assert_eq!(check(&proof, &key).expect("it holds").seq, seq);
    }
    let mut tiles = quaymaster_control::audit::tiles::Tiles::new(&log.store, SIZE);
    assert_eq!(tiles.root().await.expect("a root"), log_root(&newest));
    // Whoever takes it up later begins in the middle of a tile.
    fill_with(&log.store, 400).await;
    log.sign().await;
    let mut found = log.verify().await;
    found.problems.retain(|problem| problem.contains("tile") || problem.contains("checkpoint"));
    assert_eq!(found.problems, [""; 0]);
    database.tamper("UPDATE audit_tiles SET hashes = zeroblob(8192) WHERE level = 1").await;
    let found = log.verify().await;
    assert!(found.problem_count > 0);
}

/// Records without much in them.
async fn fill_with(store: &Store, count: u64) {
    let state = store.audit_tree().await.expect("a tree");
    let mut tree = Tree::from_frontier(state.size, state.frontier).expect("a tree");
    let end = tree.size() + count;
    while tree.size() < end {
        let from = tree.size();
        let mut rows = Vec::new();
        while tree.size() < end && tree.size() < from + 4_096 {
            let seq = tree.size();
            let body = format!("{{\"event\":\"call.refused\",\"seq\":{seq},\"time\":\"1970-01-01T00:00:00.000000Z\",\"writer\":\"wrt_1\"}}").into_bytes();
            let leaf = leaf_hash(&body);
            tree.append(leaf);
            let (event, none) = ("call.refused", None);
            rows.push(NewRecord {
                seq,
                time_us: 0,
                event,
                call_id: None,
                actor: None,
                workspace: None,
                tool: None,
                status: None,
                code: none,
                body,
                leaf,
                sealed: None,
            });
        }
        let state = TreeState { size: tree.size(), frontier: tree.frontier().to_vec() };
        store.audit_append(from, rows, state).await.expect("appended");
    }
}
