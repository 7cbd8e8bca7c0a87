//! Tiles, checkpoints, the minimum and the positions of sinks: what outlives the records of the audit.

use quaymaster_store::{CheckpointRow, TileRow, TreeState};

use crate::database::Database;
use crate::record::{all_seqs, append, batch};

crate::over_both! {
    leaves_are_read_in_order_without_the_records,
    a_tile_or_checkpoint_that_is_stored_is_never_replaced,
    checkpoints_are_found_by_size_and_by_the_page,
    records_below_the_minimum_go_and_no_others,
    the_first_record_of_a_time_is_found,
    one_process_feeds_a_sink_at_a_time_and_its_position_never_goes_back,
    a_subject_is_found_by_its_commitment_and_erased_with_what_is_sealed_under_its_key,
}

fn checkpoint(size: u64, note: &str) -> CheckpointRow {
    let tree = TreeState { size, frontier: vec![[7; 32]; 2] };
    CheckpointRow { tree, time_us: size * 10, note: note.to_owned() }
}

async fn leaves_are_read_in_order_without_the_records(database: &Database) {
    let store = database.store().await;
    append(&store, batch(0, 6)).await.expect("a batch");
    let expected: Vec<(u64, [u8; 32])> = batch(2, 3).into_iter().map(|r| (r.seq, r.leaf)).collect();
    assert_eq!(store.audit_leaves(2, 3).await.expect("leaves"), expected);
    assert_eq!(store.audit_leaves(6, 3).await.expect("leaves"), []);
}

async fn a_tile_or_checkpoint_that_is_stored_is_never_replaced(database: &Database) {
    let store = database.store().await;
    let tile = |level, place, byte| TileRow { level, place, hashes: vec![byte; 8_192] };
    store.audit_tiles_save(&[tile(0, 0, 1), tile(0, 1, 2), tile(1, 0, 3)]).await.expect("stored");
    store.audit_tiles_save(&[tile(0, 1, 9), tile(0, 2, 4)]).await.expect("stored");
    store.audit_tiles_save(&[]).await.expect("nothing to do");
    let first = |level, place| {
        let store = &store;
        async move {
            store
                .audit_tile(level, place)
                .await
                .expect("an answer")
                .and_then(|hashes| hashes.first().copied())
        }
    };
    assert_eq!((first(0, 0).await, first(0, 1).await, first(0, 2).await), (Some(1), Some(2), Some(4)));
    assert_eq!((first(1, 0).await, first(1, 1).await), (Some(3), None));
    let places: Vec<u64> =
        store.audit_tiles(0, 1).await.expect("tiles").iter().map(|tile| tile.place).collect();
    assert_eq!(places, [1, 2]);
    store.audit_checkpoint_save(&checkpoint(5, "first")).await.expect("stored");
    store.audit_checkpoint_save(&checkpoint(5, "second")).await.expect("not stored");
    assert_eq!(store.audit_checkpoint(5).await.expect("an answer"), Some(checkpoint(5, "first")));
}

async fn checkpoints_are_found_by_size_and_by_the_page(database: &Database) {
    let store = database.store().await;
    assert_eq!(store.audit_checkpoint_newest().await.expect("an answer"), None);
    for size in [30, 10, 20] {
        store.audit_checkpoint_save(&checkpoint(size, "note")).await.expect("stored");
    }
    assert_eq!(store.audit_checkpoint_newest().await.expect("an answer"), Some(checkpoint(30, "note")));
    assert_eq!(store.audit_checkpoint(15).await.expect("an answer"), None);
    let sizes: Vec<u64> =
        store.audit_checkpoints(10).await.expect("a page").iter().map(|row| row.tree.size).collect();
    assert_eq!(sizes, [20, 30]);
}

async fn records_below_the_minimum_go_and_no_others(database: &Database) {
    let store = database.store().await;
    append(&store, batch(0, 4_096)).await.expect("a batch");
    append(&store, batch(4_096, 10)).await.expect("a batch");
    assert!(!store.audit_prune_some().await.expect("an answer"), "there is no minimum");
    assert!(store.audit_raise_minimum(4_100).await.expect("raised"));
    assert!(!store.audit_raise_minimum(4_000).await.expect("an answer"), "it never goes back");
    let mut steps = 0;
    while store.audit_prune_some().await.expect("pruned") {
        steps += 1;
    }
    assert_eq!((steps, store.audit_minimum().await.expect("a number")), (3, 4_100));
    assert_eq!(all_seqs(&store).await, [4_100, 4_101, 4_102, 4_103, 4_104, 4_105]);
    append(&store, batch(4_106, 1)).await.expect("the tree goes on");
}

async fn the_first_record_of_a_time_is_found(database: &Database) {
    let store = database.store().await;
    append(&store, batch(0, 5)).await.expect("a batch");
    // Record n is of microsecond 1,000 + n.
    assert_eq!(store.audit_first_since(0).await.expect("an answer"), Some(0));
    assert_eq!(store.audit_first_since(1_003).await.expect("an answer"), Some(3));
    assert_eq!(store.audit_first_since(9_000).await.expect("an answer"), None);
}

async fn one_process_feeds_a_sink_at_a_time_and_its_position_never_goes_back(database: &Database) {
    let store = database.store().await;
    assert_eq!(store.audit_sink_position("siem").await.expect("an answer"), 0);
    assert!(store.audit_sink_claim("siem", "one", (100, 200)).await.expect("claimed"));
    assert!(!store.audit_sink_claim("siem", "two", (150, 250)).await.expect("an answer"), "another has it");
    assert!(store.audit_sink_claim("siem", "one", (150, 250)).await.expect("kept"));
    assert!(store.audit_sink_advance("siem", "one", 7).await.expect("moved"));
    assert!(!store.audit_sink_advance("siem", "two", 9).await.expect("an answer"));
    assert!(!store.audit_sink_advance("siem", "one", 3).await.expect("an answer"));
    assert!(store.audit_sink_claim("siem", "two", (251, 300)).await.expect("taken over"));
    assert!(!store.audit_sink_advance("siem", "one", 9).await.expect("an answer"), "its lease is over");
    store.audit_sink_release("siem", "two").await.expect("left");
    assert!(store.audit_sink_claim("siem", "one", (260, 400)).await.expect("claimed"));
    assert_eq!(store.audit_sink_position("siem").await.expect("an answer"), 7);
}

async fn a_subject_is_found_by_its_commitment_and_erased_with_what_is_sealed_under_its_key(
    database: &Database,
) {
    let store = database.store().await;
    store.subject_insert("Ada", b"key", Some("hmac-sha256:aa"), 1).await.expect("a key");
    store.subject_insert("bo", b"old", None, 1).await.expect("a key of an older version");
    assert_eq!(store.subjects_nameless().await.expect("a page"), [("bo".to_owned(), b"old".to_vec())]);
    store.subject_known_as("bo", "hmac-sha256:bb").await.expect("noted");
    store.subject_known_as("Ada", "hmac-sha256:cc").await.expect("it has one");
    let found = async |name: &str| store.subject_by_commitment(name).await.expect("an answer");
    assert_eq!(found("hmac-sha256:aa").await, Some(("Ada".to_owned(), b"key".to_vec())));
    assert_eq!(found("hmac-sha256:cc").await, None);
    let mut records = batch(0, 2);
    for (record, actor) in records.iter_mut().zip(["hmac-sha256:aa", "hmac-sha256:bb"]) {
        (record.actor, record.sealed) = (Some(actor.into()), Some(vec![1]));
    }
    append(&store, records).await.expect("a batch");
    store.subject_erase("Ada", "hmac-sha256:aa", "ada").await.expect("erased");
    assert_eq!(
        (store.subject_key("Ada").await.expect("an answer"), found("hmac-sha256:aa").await),
        (None, None)
    );
    let sealed = [0, 1].map(async |seq| store.audit_sealed(seq).await.expect("an answer").is_some());
    let [first, second] = sealed;
    assert_eq!((first.await, second.await), (false, true));
    assert!(found("hmac-sha256:bb").await.is_some());
}
