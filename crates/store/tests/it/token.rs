//! Bearer tokens as rows.

use quaymaster_core::{ActorId, Role, Workspace};
use quaymaster_store::{StoreError, TokenRow};

use crate::database::Database;

crate::over_both! {
    a_token_is_found_by_its_hash_and_listed_as_it_was_stored,
    a_token_is_revoked_once,
    the_last_use_only_moves_forward,
    an_id_and_a_hash_are_there_once,
    a_row_that_was_tampered_with_is_not_believed,
}

pub(crate) fn token(number: u8) -> TokenRow {
    TokenRow {
        person: (number == 2).then(|| ActorId::parse("owner").expect("a person")),
        id: format!("tok_{number:032x}").parse().expect("an id"),
        prefix: format!("qm_{number}"),
        hash: [number; 32],
        actor: ActorId::parse("ada@example.test").expect("an actor"),
        roles: vec![Role::parse("analyst").expect("a role"), Role::parse("support").expect("a role")],
        workspace: Workspace::parse("sales").expect("a workspace"),
        created_us: 1_700_000_000_000_000,
        expires_us: 1_800_000_000_000_000,
        revoked_us: None,
        last_used_us: None,
        note: Some("for the \"demo\"".into()),
    }
}

async fn a_token_is_found_by_its_hash_and_listed_as_it_was_stored(database: &Database) {
    let store = database.store().await;
    let second = TokenRow { roles: Vec::new(), note: None, last_used_us: Some(7), ..token(2) };
    store.token_insert(&second).await.expect("a token");
    store.token_insert(&token(1)).await.expect("a token");
    assert_eq!(store.token_by_hash(&[2; 32]).await.expect("an answer"), Some(second.clone()));
    assert_eq!(store.token_by_hash(&[3; 32]).await.expect("an answer"), None);
    assert_eq!(store.token_list().await.expect("tokens"), [token(1), second]);
}

async fn a_token_is_revoked_once(database: &Database) {
    let store = database.store().await;
    let (token, other) = (token(1), token(2));
    store.token_insert(&token).await.expect("a token");
    assert!(store.token_revoke(&token.id, 50).await.expect("an answer"));
    assert!(!store.token_revoke(&token.id, 60).await.expect("an answer"));
    assert!(!store.token_revoke(&other.id, 60).await.expect("an answer"));
    let stored = store.token_by_hash(&token.hash).await.expect("an answer").expect("the token");
    assert_eq!(stored.revoked_us, Some(50));
}

async fn the_last_use_only_moves_forward(database: &Database) {
    let store = database.store().await;
    let token = token(1);
    store.token_insert(&token).await.expect("a token");
    for at_us in [40, 90, 60] {
        store.token_touch(&token.id, at_us).await.expect("noted");
    }
    let stored = store.token_by_hash(&token.hash).await.expect("an answer").expect("the token");
    assert_eq!(stored, TokenRow { last_used_us: Some(90), ..token });
}

async fn an_id_and_a_hash_are_there_once(database: &Database) {
    let store = database.store().await;
    store.token_insert(&token(1)).await.expect("a token");
    let same_hash = TokenRow { hash: [1; 32], ..token(2) };
    let same_id = TokenRow { id: token(1).id, ..token(2) };
    for twin in [same_hash, same_id] {
        let error = store.token_insert(&twin).await.expect_err("a twin");
        assert!(matches!(error, StoreError::Database { .. }) && !error.is_unavailable(), "{error}");
        assert!(!error.to_string().contains("0101") && !error.to_string().contains("tok_"), "{error}");
    }
    assert_eq!(store.token_list().await.expect("tokens").len(), 1);
}

async fn a_row_that_was_tampered_with_is_not_believed(database: &Database) {
    let store = database.store().await;
    store.token_insert(&token(1)).await.expect("a token");
    for (tampering, expected) in [
        ("UPDATE tokens SET roles = 'analyst'", "a token's roles is not in its form"),
        (
            "UPDATE tokens SET roles = '[\"analyst\"]', workspace = 'No!'",
            "a token's workspace is not in its form",
        ),
    ] {
        database.tamper(tampering).await;
        let error = store.token_by_hash(&[1; 32]).await.expect_err(tampering).to_string();
        assert!(error.ends_with(expected), "{error}");
    }
}
