//! One key for each subject.

use crate::database::Database;

crate::over_both! {
    a_subject_keeps_its_first_key,
    subjects_that_are_stored_at_once_get_one_key,
    subjects_are_named_in_order_page_by_page,
}

async fn subjects_are_named_in_order_page_by_page(database: &Database) {
    let store = database.store().await;
    for name in ["bo", "", "ada", "cy"] {
        store.subject_insert(name, b"key", None, 1).await.expect("a key");
    }
    let names = async |after: &str| store.subject_names(after).await.expect("names");
    assert_eq!(names("").await, ["ada", "bo", "cy"]);
    assert_eq!(names("ada").await, ["bo", "cy"]);
    assert_eq!(names("cy").await, Vec::<String>::new());
}

async fn a_subject_keeps_its_first_key(database: &Database) {
    let store = database.store().await;
    assert_eq!(store.subject_key("ada").await.expect("an answer"), None);
    assert_eq!(store.subject_insert("ada", b"first", None, 1).await.expect("a key"), b"first");
    assert_eq!(store.subject_insert("ada", b"second", None, 2).await.expect("a key"), b"first");
    assert_eq!(store.subject_insert("bo", b"third", None, 3).await.expect("a key"), b"third");
    assert_eq!(store.subject_key("ada").await.expect("an answer"), Some(b"first".to_vec()));
}

async fn subjects_that_are_stored_at_once_get_one_key(database: &Database) {
    let mut inserts = Vec::new();
    for number in 0..8_u8 {
        let store = database.store().await;
        inserts.push(tokio::spawn(async move { store.subject_insert("ada", &[number], None, 1).await }));
    }
    let mut keys = Vec::new();
    for insert in inserts {
        keys.push(insert.await.expect("no panic").expect("a key"));
    }
    keys.dedup();
    assert_eq!(keys.len(), 1);
    assert_eq!(database.store().await.subject_key("ada").await.expect("an answer"), keys.pop());
}
