//! Calls that wait while whoever asked goes on seeing things.

use std::sync::Arc;

use quaymaster_control::approval::{Grant, State};
use quaymaster_core::{CallRequest, ErrorCode, Status};

use super::{agree, answered, granted, id, run};
use crate::flow::{POLICY, ask, called, tools};
use crate::world::World;

/// What has to be agreed to, and what nobody can agree to.
fn policy() -> String {
    let gate = r#"
        @id("flow.somebody-looks") @approval("manager")
        forbid (principal, action == Action::"call", resource == Tool::"crm_refund")
        when { context.labels.contains("saw:untrusted") } unless { context.approved };
    "#;
    format!("{POLICY}\n{gate}")
}

async fn call_of(world: &World, grant: &Grant) -> CallRequest {
    world.approvals.call_of(grant, Arc::clone(&ask("crm_refund").actor)).await.expect("the call")
}

#[tokio::test]
async fn what_was_seen_before_a_call_runs_counts_and_not_only_what_was_seen_when_it_was_parked() {
    let world = World::governed(tools(), &policy()).await;
    assert_eq!(called(&world, ask("crm_status")).await.status, Status::Success);
    let parked = answered(&world, ask("crm_refund")).await;
    assert_eq!(parked.code, Some(ErrorCode::ApprovalRequired));
    let message = parked.message.clone().expect("a message");
    assert!(message.contains("`saw:untrusted` since `call_"), "{message}");
    let request = id(&parked);
    agree(&world, &request).await;
    // Meanwhile the agent reads what is private: nobody agreed to send that.
    assert_eq!(called(&world, ask("crm_account")).await.status, Status::Success);
    let grant = granted(&world).await.pop().expect("a grant");
    let ended = world.path(call_of(&world, &grant).await, Some(&grant)).await.map(drop).expect_err("denied");
    assert_eq!(world.answer(ended).await.code, Some(ErrorCode::PolicyDenied));
}

#[tokio::test]
async fn what_was_agreed_to_runs_though_labels_stand_in_its_way() {
    let world = World::governed(tools(), &policy()).await;
    assert_eq!(called(&world, ask("crm_status")).await.status, Status::Success);
    let request = id(&answered(&world, ask("crm_refund")).await);
    agree(&world, &request).await;
    let grant = granted(&world).await.pop().expect("a grant");
    let permit = world.path(call_of(&world, &grant).await, Some(&grant)).await.expect("a permit");
    let reply = run(&world, permit).await;
    assert_eq!(reply.status, Status::Success);
    world.approvals.finish(&grant, &reply, &world.evidence).await.expect("left");
    let standing = world.approvals.collect(&ask("crm_refund"), &request, &world.evidence).await;
    assert_eq!(standing.expect("an answer").0, State::Done);
}
