//! One-time codes beside issuers.

use quaymaster_gateway::OfficeError;
use serde_json::json;

use super::login::{LOGIN, office};
use super::world::World;
use crate::harbour_office::Browser;

#[tokio::test]
async fn codes_log_nobody_in_beside_an_issuer_unless_they_are_allowed() {
    let world = World::new(LOGIN).await;
    let office = office(&world).await;
    let local = office.visitor(None).await.expect("the local user");
    assert!(matches!(office.console_code(&local).await, Err(OfficeError::Refused(_))));
    let address = world.serve_console().await;
    let mut browser = Browser { address, cookie: None };
    assert_eq!(browser.sign_in("AAAA-AAAA").await.status, 403);
    let page = browser.sign_in("AAAA-AAAA").await;
    assert!(page.body.contains("Nobody logs in by a code here"), "{}", page.body);
    office.close().await;
}

#[tokio::test]
async fn a_code_that_was_made_with_an_access_token_logs_in_for_an_hour() {
    let world = World::new("mapping: { roles: claims.roles }").await;
    let office = office(&world).await;
    let actor = office.visitor(Some(&world.token(&json!({})))).await.expect("somebody");
    let code = office.console_code(&actor).await.expect("made");
    let mut browser = Browser { address: world.serve_console().await, cookie: None };
    let answer = browser.sign_in(&code).await;
    assert!(answer.status == 303 && answer.head.contains("Max-Age=3600;"), "{}", answer.head);
    for _ in 0..2 {
        assert_eq!(browser.get("/approvals").await.status, 200);
        world.later(1_799);
    }
    world.later(2);
    assert_eq!(browser.get("/approvals").await.status, 403);
    office.close().await;
}
