//! What was seen first of tools.

use quaymaster_store::SeenContractRow;

use crate::database::Database;

crate::over_both! {
    what_was_seen_first_stays_until_it_is_forgotten,
}

async fn what_was_seen_first_stays_until_it_is_forgotten(database: &Database) {
    let store = database.store().await;
    assert_eq!(store.seen_contracts().await.expect("rows"), []);
    let row = |connector: &str, definition: &str| SeenContractRow {
        connector: connector.into(),
        tool: "find".into(),
        definition: definition.into(),
        seen_us: 1,
    };
    let first = [row("desk", "{}"), row("wiki", "{}")];
    assert!(store.seen_contracts_insert(&first).await.expect("noted"));
    assert!(store.seen_contracts_insert(&[row("desk", r#"{"other":1}"#)]).await.expect("noted"));
    assert!(store.seen_contracts_insert(&[]).await.expect("nothing"));
    assert_eq!(store.seen_contracts().await.expect("rows"), first);
    store.seen_contracts_delete("desk").await.expect("forgotten");
    assert_eq!(store.seen_contracts().await.expect("rows"), first[1..]);
}
