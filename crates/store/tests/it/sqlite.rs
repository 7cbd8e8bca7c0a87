//! What is true of the file alone.

use quaymaster_store::{Store, StoreError, StoreTarget};

use crate::database::{Database, file};
use crate::record::{append, batch};

async fn refusal(path: std::path::PathBuf) -> String {
    Store::open(StoreTarget::Sqlite { path }).await.expect_err("no store").to_string()
}

#[cfg(unix)]
#[tokio::test]
async fn the_file_and_its_log_can_be_read_by_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt;

    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(StoreTarget::Sqlite { path: file(&folder) }).await.expect("a store");
    append(&store, batch(0, 1)).await.expect("a record");
    let mut names = Vec::new();
    for entry in folder.path().read_dir().expect("files") {
        let entry = entry.expect("a file");
        assert_eq!(entry.metadata().expect("a mode").permissions().mode() & 0o777, 0o600, "{entry:?}");
        names.push(entry.file_name().into_string().expect("a name"));
    }
    names.sort();
    assert_eq!(names, ["quaymaster.db", "quaymaster.db-shm", "quaymaster.db-wal"]);
}

#[tokio::test]
async fn a_closed_store_is_one_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(StoreTarget::Sqlite { path: file(&folder) }).await.expect("a store");
    append(&store, batch(0, 1)).await.expect("a record");
    store.audit_tree().await.expect("a reader was opened too");
    store.close().await.expect("closed");
    assert_eq!(folder.path().read_dir().expect("files").count(), 1);
}

#[tokio::test]
async fn a_missing_folder_and_a_foreign_file_are_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let missing = refusal(folder.path().join("nowhere/quaymaster.db")).await;
    assert!(missing.contains("nowhere/quaymaster.db: No such file or directory"), "{missing}");
    std::fs::write(file(&folder), "not a database at all, but long enough to look at".repeat(20))
        .expect("a file");
    let foreign = refusal(file(&folder)).await;
    assert!(foreign.ends_with("quaymaster.db: file is not a database"), "{foreign}");
}

#[tokio::test]
async fn a_write_that_another_process_blocks_is_reported_as_unavailable() {
    let database = Database::sqlite();
    let Database::Sqlite(folder) = &database else { unreachable!("a file") };
    let store = database.store().await;
    let blocker = rusqlite::Connection::open(file(folder)).expect("the file");
    blocker.execute_batch("BEGIN IMMEDIATE").expect("the lock");
    let error = store.subject_insert("ada", b"key", None, 1).await.expect_err("a lock");
    assert!(error.is_unavailable() && !error.is_full(), "{error}");
    assert!(matches!(error, StoreError::Database { operation: "store a subject's key", .. }), "{error}");
    assert_eq!(store.subject_key("ada").await.expect("reading goes on"), None);
    blocker.execute_batch("ROLLBACK").expect("no lock");
    store.subject_insert("ada", b"key", None, 1).await.expect("the writer goes on");
}
