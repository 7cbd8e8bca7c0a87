//! What people have stored for systems that are asked in their names.

use quaymaster_store::{CallerTokenKey, CallerTokenRow};

use crate::database::Database;

crate::over_both! {
    a_token_is_replaced_by_the_next_version_alone,
    a_key_is_wrapped_anew_only_where_it_is_the_one_that_was_read,
    tokens_are_listed_in_order_and_go_with_their_person,
}

fn row(connector: &str, subject: &str, version: u64) -> CallerTokenRow {
    CallerTokenRow {
        key: CallerTokenKey {
            workspace: "default".into(),
            connector: connector.into(),
            subject: subject.into(),
        },
        version,
        sealed: format!("sealed {version}").into_bytes(),
        wrapped_key: b"wrapped".to_vec(),
        ring_key: 1,
        stored_us: version,
        expires_us: (version > 1).then_some(7),
    }
}

async fn a_token_is_replaced_by_the_next_version_alone(database: &Database) {
    let store = database.store().await;
    let first = row("crm", "ada", 1);
    assert_eq!(store.caller_token(&first.key).await.expect("a look"), None);
    assert!(store.caller_token_store(&first).await.expect("stored"));
    assert!(!store.caller_token_store(&first).await.expect("a second first"));
    assert!(!store.caller_token_store(&row("crm", "ada", 3)).await.expect("one too many"));
    let second = row("crm", "ada", 2);
    assert!(store.caller_token_store(&second).await.expect("replaced"));
    assert_eq!(store.caller_token(&first.key).await.expect("a look"), Some(second));
    assert!(store.caller_token_remove(&first.key).await.expect("removed"));
    assert!(!store.caller_token_remove(&first.key).await.expect("nothing there"));
    assert_eq!(store.caller_token(&first.key).await.expect("a look"), None);
}

async fn a_key_is_wrapped_anew_only_where_it_is_the_one_that_was_read(database: &Database) {
    let store = database.store().await;
    let first = row("crm", "ada", 1);
    assert!(store.caller_token_store(&first).await.expect("stored"));
    assert_eq!(store.caller_tokens_not_wrapped_by(1).await.expect("none"), []);
    assert_eq!(store.caller_tokens_not_wrapped_by(2).await.expect("one"), std::slice::from_ref(&first));
    assert!(store.caller_token_rewrap(&first, b"anew", 2).await.expect("wrapped"));
    assert!(!store.caller_token_rewrap(&first, b"late", 2).await.expect("it is another by now"));
    let anew = CallerTokenRow { wrapped_key: b"anew".to_vec(), ring_key: 2, ..first.clone() };
    assert_eq!(store.caller_token(&first.key).await.expect("a look"), Some(anew));
}

async fn tokens_are_listed_in_order_and_go_with_their_person(database: &Database) {
    let store = database.store().await;
    let all = [row("crm", "ada", 1), row("crm", "bo", 1), row("wiki", "ada", 1)];
    for row in all.iter().rev() {
        assert!(store.caller_token_store(row).await.expect("stored"));
    }
    let start = CallerTokenKey { workspace: String::new(), connector: String::new(), subject: String::new() };
    assert_eq!(store.caller_tokens(&start).await.expect("all"), all);
    assert_eq!(store.caller_tokens(&all[0].key).await.expect("the rest"), all[1..]);
    assert_eq!(store.caller_tokens(&all[2].key).await.expect("the end"), []);
    store.subject_erase("Ada", "ada", "ada").await.expect("erased");
    assert_eq!(store.caller_tokens(&start).await.expect("what is left"), all[1..2]);
}
