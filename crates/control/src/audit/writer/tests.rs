//! The writer over a real store: what fails, what is in doubt, and how it ends.

use std::path::PathBuf;

use quaymaster_core::SystemClock;
use quaymaster_store::StoreTarget;

use super::*;
use crate::audit::merkle::Tree;
use crate::crypto::SystemRandomness;

struct Log {
    _folder: tempfile::TempDir,
    path: PathBuf,
    store: Store,
}

impl Log {
    async fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("quaymaster.db");
        let store = Store::open(StoreTarget::Sqlite { path: path.clone() }).await.expect("a store");
        Self { _folder: folder, path, store }
    }

    fn tamper(&self, sql: &str) {
        let database = rusqlite::Connection::open(&self.path).expect("the database");
        database.execute_batch(sql).expect(sql);
    }

    fn sequencer(&self) -> Sequencer {
        Sequencer {
            store: self.store.clone(),
            tree: Tree::default(),
            writer: "wrt_1".into(),
            window: Duration::ZERO,
            signals: Arc::default(),
            clock: Arc::new(SystemClock),
            in_doubt: false,
        }
    }

    async fn audit(&self) -> Audit {
        let writer = WriterId::new(&SystemClock, &SystemRandomness);
        let settings = AuditSettings { batch_window: Duration::from_mins(1), ..AuditSettings::default() };
        Audit::open(self.store.clone(), writer, settings, Arc::new(SystemClock)).await.expect("a log")
    }

    async fn calls(&self) -> Vec<String> {
        let stored = self.store.audit_read(0, 1_000).await.expect("records");
        let value = |body: &[u8]| serde_json::from_slice::<serde_json::Value>(body).expect("JSON");
        let name = |v: serde_json::Value| v["call"].as_str().or(v["event"].as_str()).map(String::from);
        stored.iter().filter_map(|record| name(value(&record.body))).collect()
    }
}

fn entry(call: &str) -> Entry {
    let mut record = Record::new(Event::CallIntent, SystemClock.now());
    record.call = Some(call.into());
    Entry { draft: record.into(), sealed: None, done: None }
}

#[tokio::test]
async fn a_batch_that_was_stored_though_its_attempt_failed_is_not_stored_again() {
    let log = Log::new().await;
    let mut sequencer = log.sequencer();
    let mut batch = [entry("a"), entry("b")];
    sequencer.try_batch(&batch).await.expect("stored");
    // As if the commit had been in flight still when the store was asked.
    (sequencer.tree, sequencer.in_doubt) = (Tree::default(), true);
    sequencer.store_batch(&mut batch).await;
    assert_eq!(log.calls().await, ["a", "b"]);
    assert_eq!((sequencer.tree.size(), sequencer.in_doubt), (2, false));
    sequencer.store_batch(&mut [entry("c")]).await;
    assert_eq!(log.calls().await, ["a", "b", "c"]);
}

#[tokio::test]
async fn a_batch_that_another_process_was_faster_than_is_numbered_again_and_stored_once() {
    let log = Log::new().await;
    let (mut one, mut other) = (log.sequencer(), log.sequencer());
    other.store_batch(&mut [entry("other")]).await;
    one.in_doubt = true;
    one.store_batch(&mut [entry("a"), entry("b")]).await;
    assert_eq!(log.calls().await, ["other", "a", "b"]);
}

#[tokio::test]
async fn where_it_cannot_be_told_whether_a_batch_was_stored_the_tree_stays_as_it_was() {
    let log = Log::new().await;
    let mut sequencer = log.sequencer();
    let batch = [entry("a")];
    sequencer.try_batch(&batch).await.expect("stored");
    (sequencer.tree, sequencer.in_doubt) = (Tree::default(), true);
    let actual = log.store.audit_tree().await.expect("a tree");
    log.tamper("ALTER TABLE audit_records RENAME TO away");
    assert!(sequencer.catch_up(&batch, actual.clone()).await.is_err());
    assert_eq!((sequencer.tree.size(), sequencer.in_doubt), (0, true));
    log.tamper("ALTER TABLE away RENAME TO audit_records");
    assert!(sequencer.catch_up(&batch, actual).await.expect("readable"));
}

#[tokio::test]
async fn what_was_accepted_before_the_end_is_stored_and_the_stop_is_the_last_record() {
    let log = Log::new().await;
    let audit = log.audit().await;
    for n in 0..1_200 {
        let draft = entry(&format!("c{n}")).draft;
        audit.append(draft, None, Durability::Accepted).await.expect("accepted");
    }
    assert_eq!(audit.close_within(CLOSING).await, 0);
    let late = audit.append(entry("late").draft, None, Durability::Accepted).await;
    assert!(matches!(late, Err(AuditError::Unavailable(_))));
    assert_eq!(log.store.audit_tree().await.expect("a tree").size, 1_202);
    let last = log.store.audit_read(1_201, 1).await.expect("readable").pop().expect("the last");
    assert!(String::from_utf8_lossy(&last.body).contains("writer.stopped"));
}

#[tokio::test]
async fn a_writer_that_cannot_store_ends_all_the_same_and_counts_what_is_lost() {
    let log = Log::new().await;
    let audit = log.audit().await;
    log.tamper("ALTER TABLE audit_tree RENAME TO away");
    for call in ["a", "b"] {
        audit.append(entry(call).draft, None, Durability::Accepted).await.expect("accepted");
    }
    assert_eq!(audit.close_within(Duration::from_millis(50)).await, 2);
    assert_eq!(audit.close_within(Duration::from_millis(50)).await, 0, "it has ended already");
}
