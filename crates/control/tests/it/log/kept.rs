//! What is left of the log when records go or the disk is full, and what is proved of single records.

use std::time::Duration;

use quaymaster_control::audit::merkle::{Tree, leaf_hash};
use quaymaster_control::audit::proof::{ProofError, check, prove};
use quaymaster_control::audit::prune::prune;
use quaymaster_control::audit::{AuditError, AuditSettings, Durability, Event};
use quaymaster_core::{Clock, SystemClock};
use quaymaster_store::{NewRecord, Store, TreeState};
use serde_json::Value;

use super::{Log, log_root, record, until};
use crate::database::Database;

crate::over_both! {
    a_record_is_proved_by_its_file_and_the_key_alone,
    what_is_left_after_pruning_verifies_and_its_proofs_hold,
    a_full_disk_stops_everything_until_there_is_room,
    reads_go_on_without_a_disk_where_the_configuration_says_so,
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
