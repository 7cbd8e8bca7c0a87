//! Incident switches: what they stop, when, and what is written of them.

use std::sync::Arc;
use std::time::Duration;

use quaymaster_control::crypto::SystemRandomness;
use quaymaster_control::incident::{FRESH, LOOK, Stop, Switch, Target, lift, standing, stop};
use quaymaster_control::output::RawOutput;
use quaymaster_control::release;
use quaymaster_core::clock::FixedClock;
use quaymaster_core::{ActorId, CallError, CallRequest, Clock, DataClass, ErrorCode, SystemClock, Timestamp};
use serde_json::{Value, json};

use crate::world::{World, declarations};

fn wanted(target: Target) -> Stop {
    Stop {
        target,
        lifetime: Duration::from_hours(2),
        reason: "ada@example.test reports a leak".into(),
        cancels: false,
        by: ActorId::parse("local:1000").expect("a name"),
    }
}

async fn made(world: &World, wanted: Stop) -> Switch {
    stop(&world.store, wanted, &SystemRandomness, &world.evidence).await.expect("a switch")
}

fn read(role: &str) -> CallRequest {
    World::request(role, DataClass::Restricted, "crm_status", &json!({"id": "a"}))
}

/// Another write each time.
fn refund() -> CallRequest {
    let id = SystemClock.now().to_string();
    World::request("support", DataClass::Internal, "crm_refund", &json!({"id": id, "amount": 5}))
}

async fn code(world: &World, request: CallRequest) -> Option<ErrorCode> {
    world.permit(request).await.err().map(|refused| refused.error().code)
}

/// Later than anything is believed that is not read again.
async fn a_moment() {
    tokio::time::sleep(FRESH + Duration::from_millis(1)).await;
}

fn writes() -> Target {
    Target { writes: true, ..Target::default() }
}

#[tokio::test]
async fn a_switch_stops_what_it_is_for_until_it_is_lifted_or_ends_by_itself() {
    let clock = Arc::new(FixedClock::new(Timestamp::from_micros(1_795_255_200_000_000)));
    let world = World::at(clock.clone(), declarations()).await;
    assert_eq!(code(&world, refund()).await, None);
    let first = made(&world, wanted(writes())).await;
    a_moment().await;
    assert_eq!(code(&world, refund()).await, Some(ErrorCode::IncidentStopped));
    assert_eq!(code(&world, read("analyst")).await, None);
    let by = ActorId::parse("local:1000").expect("a name");
    let lifted = lift(&world.store, &first.id, &by, &world.evidence).await.expect("an answer");
    assert_eq!(lifted.map(|switch| switch.id), Some(first.id.clone()));
    assert_eq!(lift(&world.store, &first.id, &by, &world.evidence).await.expect("an answer"), None);
    a_moment().await;
    assert_eq!(code(&world, refund()).await, None);
    made(&world, wanted(writes())).await;
    a_moment().await;
    assert_eq!(code(&world, refund()).await, Some(ErrorCode::IncidentStopped));
    clock.advance(Duration::from_hours(2));
    assert_eq!(code(&world, refund()).await, None, "it ends by itself, and nothing has to be read for that");
    assert_eq!(standing(&world.store, clock.as_ref()).await.expect("an answer"), []);
}

#[tokio::test]
async fn what_may_not_be_seen_is_not_told_apart_by_a_switch() {
    let world = World::new().await;
    made(&world, wanted(Target { workspace: Some(crate::world::slug("sales")), ..Target::default() })).await;
    let ask = async |role: &str, tool: &str| {
        let request = World::request(role, DataClass::Internal, tool, &json!({"id": 7}));
        world.permit(request).await.err().map(|refused| refused.error().code)
    };
    assert_eq!(ask("analyst", "crm_account").await, Some(ErrorCode::IncidentStopped), "before its arguments");
    assert_eq!(ask("manager", "crm_account").await, Some(ErrorCode::ToolNotFound));
    assert_eq!(ask("manager", "crm_nothing").await, Some(ErrorCode::ToolNotFound));
}

#[tokio::test]
async fn no_call_begins_on_what_is_older_than_a_moment_whether_or_not_anybody_looks() {
    let world = World::new().await;
    for round in 0..3 {
        assert_eq!(code(&world, refund()).await, None);
        let switch = made(&world, wanted(writes())).await;
        a_moment().await;
        assert_eq!(code(&world, refund()).await, Some(ErrorCode::IncidentStopped), "{round}");
        let by = ActorId::parse("local:1000").expect("a name");
        lift(&world.store, &switch.id, &by, &world.evidence).await.expect("an answer");
        a_moment().await;
    }
    assert!(FRESH + LOOK <= Duration::from_millis(150));
}

#[tokio::test]
async fn a_running_call_ends_when_a_switch_wants_it_to_and_says_why() {
    let world = World::new().await;
    let stop_following = tokio_util::sync::CancellationToken::new();
    let following = tokio::spawn(Arc::clone(&world.guards.incidents).follow(stop_following.clone()));
    let (_, receipt) = world.permit(read("analyst")).await.expect("a permit").redeem();
    let (_, other) = world.permit(refund()).await.expect("a permit").redeem();
    let target = Target { tool: Some("crm_status".into()), ..Target::default() };
    let switch = made(&world, Stop { cancels: true, ..wanted(target) }).await;
    tokio::time::timeout(Duration::from_secs(10), receipt.stop().cancelled()).await.expect("cancelled");
    assert!(!other.stop().is_cancelled());
    let raw: Result<RawOutput, CallError> = Err(CallError::new(ErrorCode::CallCancelled, "taken back"));
    let safe = release(raw, &receipt, &world.rulebook);
    let reply = world.end(receipt, safe).await;
    assert_eq!(reply.code, Some(ErrorCode::IncidentStopped));
    let unknown: Result<RawOutput, CallError> =
        Err(CallError::new(ErrorCode::UpstreamOutcomeUnknown, "gone"));
    let safe = release(unknown, &other, &world.rulebook);
    assert_eq!(world.end(other, safe).await.code, Some(ErrorCode::UpstreamOutcomeUnknown));
    world.evidence.audit.close().await;
    let records = world.records().await;
    let outcome = records.iter().find(|r| r["event"] == "call.outcome" && r["code"] == "incident.stopped");
    assert_eq!(outcome.expect("the outcome")["incident"]["id"], json!(switch.id));
    stop_following.cancel();
    following.await.expect("an end");
}

#[tokio::test]
async fn a_switch_is_in_the_audit_log_before_it_stands_and_names_nobody() {
    let world = World::new().await;
    let target = Target { actor: Some("support@example.test".into()), ..Target::default() };
    let switch = made(&world, wanted(target)).await;
    a_moment().await;
    let refused = world.permit(refund()).await.expect_err("stopped");
    assert_eq!(world.answer(refused).await.code, Some(ErrorCode::IncidentStopped));
    world.evidence.audit.close().await;
    let records = world.records().await;
    let text = Value::from(records.clone()).to_string();
    assert!(!text.contains("example.test") && !text.contains("leak"), "{text}");
    let stopped = records.iter().find(|r| r["event"] == "incident.stopped").expect("the record");
    assert_eq!(stopped["incident"]["id"], json!(switch.id));
    let refused = records.iter().find(|r| r["event"] == "call.refused").expect("the record");
    assert_eq!(refused["incident"]["id"], json!(switch.id));
    let failed = stop(&world.store, wanted(writes()), &SystemRandomness, &world.evidence).await;
    assert!(failed.is_err(), "no record, no switch");
    assert_eq!(standing(&world.store, world.evidence.clock.as_ref()).await.expect("switches").len(), 1);
}

#[tokio::test]
async fn what_is_no_switch_is_refused() {
    let world = World::new().await;
    for wrong in [
        wanted(Target::default()),
        Stop { reason: " ".into(), ..wanted(writes()) },
        Stop { lifetime: Duration::from_hours(24 * 91), ..wanted(writes()) },
    ] {
        let refused = stop(&world.store, wrong, &SystemRandomness, &world.evidence).await;
        assert!(refused.is_err_and(|error| !error.to_string().is_empty()));
    }
}

#[tokio::test]
async fn nothing_runs_while_nobody_can_say_what_is_stopped() {
    let world = World::new().await;
    world.store.close().await.expect("closed");
    assert_eq!(code(&world, read("analyst")).await, Some(ErrorCode::AuditUnavailable));
}
