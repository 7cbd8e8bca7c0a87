//! Appending to the audit: whole, in order, as given, and only onto the expected tree.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use quaymaster_store::{
    AppendError, MAX_APPEND, NewRecord, Store, StoreError, StoredColumns, TreeState, searchable,
};

use crate::database::Database;
use crate::record::{all_seqs, append, batch, record, tree};

crate::over_both! {
    a_new_store_holds_an_empty_tree,
    what_was_appended_is_read_back_in_order,
    the_frontier_comes_back_as_it_was_given,
    an_append_onto_another_size_is_a_conflict_that_shows_the_tree,
    a_batch_that_fails_in_the_middle_leaves_nothing,
    a_batch_with_a_gap_is_refused_before_it_is_written,
    an_empty_batch_changes_nothing,
    the_largest_batch_fits,
    what_is_sealed_is_kept_beside_its_record,
    what_stands_beside_a_record_is_read_back_as_it_can_be_searched_for,
}

async fn a_new_store_holds_an_empty_tree(database: &Database) {
    let store = database.store().await;
    assert_eq!(store.audit_tree().await.expect("a tree"), TreeState::default());
    assert_eq!(all_seqs(&store).await, [0; 0]);
}

async fn what_was_appended_is_read_back_in_order(database: &Database) {
    let store = database.store().await;
    append(&store, batch(0, 5)).await.expect("a batch");
    append(&store, batch(5, 3)).await.expect("a batch");
    assert_eq!(all_seqs(&store).await, [0, 1, 2, 3, 4, 5, 6, 7]);
    let page = store.audit_read(3, 2).await.expect("a page");
    let found: Vec<_> = page.iter().map(|r| (r.seq, r.body.clone(), r.leaf)).collect();
    let expected: Vec<_> = batch(3, 2).into_iter().map(|r| (r.seq, r.body, r.leaf)).collect();
    assert_eq!(found, expected);
    assert_eq!(store.audit_read(8, 10).await.expect("a page").len(), 0);
}

async fn the_frontier_comes_back_as_it_was_given(database: &Database) {
    let store = database.store().await;
    let mut size = 0;
    for count in [1, 1, 1, 4, 8, 16] {
        append(&store, batch(size, count)).await.expect("a batch");
        size += count;
        assert_eq!(store.audit_tree().await.expect("a tree"), tree(size));
    }
}

async fn an_append_onto_another_size_is_a_conflict_that_shows_the_tree(database: &Database) {
    let (one, other) = (database.store().await, database.store().await);
    append(&one, batch(0, 3)).await.expect("a batch");
    match append(&other, batch(0, 2)).await {
        Err(AppendError::Conflict { actual }) => assert_eq!(actual, tree(3)),
        result => panic!("expected a conflict: {result:?}"),
    }
    match append(&other, batch(7, 2)).await {
        Err(AppendError::Conflict { actual }) => assert_eq!(actual, tree(3)),
        result => panic!("expected a conflict: {result:?}"),
    }
    assert_eq!(all_seqs(&one).await, [0, 1, 2]);
    append(&other, batch(3, 2)).await.expect("a batch onto the actual tree");
    assert_eq!(one.audit_tree().await.expect("a tree"), tree(5));
}

async fn a_batch_that_fails_in_the_middle_leaves_nothing(database: &Database) {
    let store = database.store().await;
    append(&store, batch(0, 2)).await.expect("a batch");
    database
        .tamper(
            "INSERT INTO audit_records (seq, time_us, event, body, leaf)
             SELECT 4, time_us, event, body, leaf FROM audit_records WHERE seq = 1",
        )
        .await;
    let mut records = batch(2, 5);
    records[0].sealed = Some(vec![1]);
    match append(&store, records).await {
        Err(AppendError::Store(error @ StoreError::Database { .. })) => assert!(!error.is_unavailable()),
        result => panic!("expected a database error: {result:?}"),
    }
    assert_eq!(all_seqs(&store).await, [0, 1, 4]);
    assert_eq!(store.audit_tree().await.expect("a tree"), tree(2));
    assert_eq!(store.audit_sealed(2).await.expect("an answer"), None);
    database.tamper("DELETE FROM audit_records WHERE seq = 4").await;
    append(&store, batch(2, 5)).await.expect("the same batch once nothing is in its way");
}

async fn a_batch_with_a_gap_is_refused_before_it_is_written(database: &Database) {
    let store = database.store().await;
    let refused = store.audit_append(0, vec![record(0), record(2)], tree(2)).await;
    assert!(matches!(refused, Err(AppendError::Store(StoreError::Batch { .. }))), "{refused:?}");
    assert_eq!(all_seqs(&store).await, [0; 0]);
}

async fn an_empty_batch_changes_nothing(database: &Database) {
    let store = database.store().await;
    append(&store, batch(0, 1)).await.expect("a batch");
    store.audit_append(1, Vec::new(), tree(1)).await.expect("nothing to do");
    assert_eq!(store.audit_tree().await.expect("a tree"), tree(1));
}

async fn the_largest_batch_fits(database: &Database) {
    let store = database.store().await;
    let count = MAX_APPEND as u64;
    append(&store, batch(0, count)).await.expect("a large batch");
    assert_eq!(all_seqs(&store).await, (0..count).collect::<Vec<_>>());
    let refused = append(&store, batch(count, count + 1)).await;
    assert!(matches!(refused, Err(AppendError::Store(StoreError::Batch { .. }))));
}

async fn what_is_sealed_is_kept_beside_its_record(database: &Database) {
    let store = database.store().await;
    let mut records = batch(0, 4);
    records[1].sealed = Some(vec![0, 255, 7]);
    records[2].sealed = Some(Vec::new());
    // More than a page holds.
    records[3].sealed = Some(vec![7; 70_000]);
    append(&store, records).await.expect("a batch");
    let mut sealed = Vec::new();
    for seq in 0..5 {
        sealed.push(store.audit_sealed(seq).await.expect("an answer"));
    }
    assert_eq!(sealed, [None, Some(vec![0, 255, 7]), Some(Vec::new()), Some(vec![7; 70_000]), None]);
}

async fn what_stands_beside_a_record_is_read_back_as_it_can_be_searched_for(database: &Database) {
    let store = database.store().await;
    let mut records = batch(0, 3);
    records[1].tool = Some(format!("\0{}", "é".repeat(200)).into());
    records[1].actor = Some("hmac-sha256:00".into());
    records[1].sealed = Some(vec![0, 255]);
    append(&store, records.clone()).await.expect("a batch");
    let columns = store.audit_columns(1, 1).await.expect("a page").pop().expect("one row");
    assert_eq!((columns.seq, columns.time_us, columns.event.as_str()), (1, 1_001, "call.intent"));
    assert_eq!(columns.tool, records[1].tool.as_deref().map(searchable));
    assert_eq!((columns.actor.as_deref(), columns.call_id), (Some("hmac-sha256:00"), None));
    assert_eq!(columns.sealed, Some(vec![0, 255]));
    let seqs =
        |page: Vec<StoredColumns>| page.iter().map(|c| (c.seq, c.sealed.is_some())).collect::<Vec<_>>();
    let all = store.audit_columns(0, u32::MAX).await.expect("a page");
    assert_eq!(seqs(all), [(0, false), (1, true), (2, false)]);
}

/// Anything that a record may hold, hostile texts included.
fn any_record() -> impl Strategy<Value = NewRecord> {
    let text = || option::of("\\PC{0,20}|[\\x00'\"\\\\;$?{}]{0,6}|[a-z_]{300}");
    let indexed = (text(), text(), text(), text(), text(), text());
    (indexed, any::<u32>(), vec(any::<u8>(), 0..300), any::<[u8; 32]>(), option::of(vec(any::<u8>(), 0..50)))
        .prop_map(|((call_id, actor, workspace, tool, status, code), time_us, body, leaf, sealed)| {
            NewRecord {
                seq: 0,
                time_us: time_us.into(),
                event: "test",
                call_id: call_id.map(Into::into),
                actor: actor.map(Into::into),
                workspace: workspace.map(Into::into),
                tool: tool.map(Into::into),
                status: status.map(Into::into),
                code: code.map(Into::into),
                body,
                leaf,
                sealed,
            }
        })
}

fn reading_back_yields_what_was_appended(runtime: &tokio::runtime::Runtime, store: &Store) {
    let config = Config { cases: 48, failure_persistence: None, ..Config::default() };
    let outcome = TestRunner::new(config).run(&vec(any_record(), 1..12), |mut records| {
        runtime.block_on(async {
            let from = store.audit_tree().await.expect("a tree").size;
            (from..).zip(&mut records).for_each(|(seq, record)| record.seq = seq);
            append(store, records.clone()).await.expect("a batch");
            let stored = store.audit_read(from, u32::MAX).await.expect("a page");
            prop_assert_eq!(stored.len(), records.len());
            for (stored, given) in stored.into_iter().zip(records) {
                prop_assert_eq!((stored.seq, stored.body, stored.leaf), (given.seq, given.body, given.leaf));
                prop_assert_eq!(store.audit_sealed(given.seq).await.expect("an answer"), given.sealed);
            }
            Ok(())
        })
    });
    outcome.expect("what was appended");
}

#[test]
fn reading_back_yields_what_was_appended_to_sqlite() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let database = Database::sqlite();
    let store = runtime.block_on(database.store());
    reading_back_yields_what_was_appended(&runtime, &store);
}

#[test]
fn reading_back_yields_what_was_appended_to_postgres() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let database = runtime.block_on(Database::postgres());
    let store = runtime.block_on(database.store());
    reading_back_yields_what_was_appended(&runtime, &store);
    runtime.block_on(database.drop_schema());
}
