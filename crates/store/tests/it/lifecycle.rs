//! Opening, closing and opening again.

use quaymaster_store::StoreError;

use crate::database::Database;
use crate::record::{all_seqs, append, batch, tree};

crate::over_both! {
    a_store_that_is_opened_again_has_what_was_written,
    a_newer_schema_is_refused_and_left_alone,
    a_closed_store_says_so,
    closing_waits_for_what_was_begun,
    an_answer_comes_from_the_tables,
}

async fn a_store_that_is_opened_again_has_what_was_written(database: &Database) {
    let store = database.store().await;
    append(&store, batch(0, 3)).await.expect("a batch");
    store.subject_insert("ada", b"key", None, 1).await.expect("a key");
    store.close().await.expect("closed");
    let store = database.store().await;
    assert_eq!(store.audit_tree().await.expect("a tree"), tree(3));
    assert_eq!(all_seqs(&store).await, [0, 1, 2]);
    assert_eq!(store.subject_key("ada").await.expect("an answer"), Some(b"key".to_vec()));
}

async fn a_newer_schema_is_refused_and_left_alone(database: &Database) {
    database.store().await.close().await.expect("closed");
    database.tamper("UPDATE schema_version SET version = 4000").await;
    let error = database.open().await.expect_err("a newer schema");
    let StoreError::NewerSchema { found: 4_000, known } = error else { panic!("{error}") };
    let told = format!(
        "the store has schema 4000 and this version of Quaymaster knows {known} at most: use the version that \
         wrote it, or a newer one"
    );
    assert_eq!(error.to_string(), told);
    database.tamper(&format!("UPDATE schema_version SET version = {known}")).await;
    database.store().await.ping().await.expect("an answer");
}

async fn a_closed_store_says_so(database: &Database) {
    let store = database.store().await;
    let clone = store.clone();
    store.close().await.expect("closed");
    store.close().await.expect("closed twice");
    assert!(matches!(clone.audit_tree().await, Err(StoreError::Closed { .. })));
    let error = append(&clone, batch(0, 1)).await.expect_err("a closed store").to_string();
    insta::allow_duplicates! {
        insta::assert_snapshot!(error, @"the store could not append to the audit: it is closed");
    }
}

async fn closing_waits_for_what_was_begun(database: &Database) {
    let store = database.store().await;
    let (written, closed) = tokio::join!(biased; append(&store, batch(0, 500)), store.close());
    closed.expect("closed");
    written.expect("a batch that was begun before");
    assert_eq!(all_seqs(&database.store().await).await.len(), 500);
}

async fn an_answer_comes_from_the_tables(database: &Database) {
    let store = database.store().await;
    store.ping().await.expect("an answer");
    database.tamper("DROP TABLE schema_version").await;
    assert!(matches!(store.ping().await, Err(StoreError::Database { operation: "answer", .. })));
}
