//! What becomes of a call that was agreed to when it is stopped, or the process that runs it is lost, at
//! each point.

use quaymaster_control::crypto::SystemRandomness;
use quaymaster_control::incident::{FRESH, Stop, Target, lift, stop};

use super::*;

#[tokio::test]
async fn a_call_whose_process_was_lost_before_it_began_is_run_by_another() {
    let (world, clock) = world().await;
    let request = parked(&world, 500).await;
    agree(&world, &request).await;
    let lost = granted(&world).await.pop().expect("a grant");
    clock.advance(Duration::from_secs(31));
    assert_eq!(granted(&world).await.len(), 0, "first it is put back");
    let grant = granted(&world).await.pop().expect("a grant for another process");
    let reply = run(&world, world.path(refund(500), Some(&grant)).await.expect("a permit")).await;
    assert!(
        world.approvals.finish(&lost, &reply, &world.evidence).await.is_err(),
        "it is not theirs any more"
    );
    world.approvals.finish(&grant, &reply, &world.evidence).await.expect("kept");
    assert_eq!(stands(&world, &request).await, State::Done);
}

#[tokio::test]
async fn a_process_that_slept_through_its_lease_runs_nothing_when_it_wakes() {
    let (world, clock) = world().await;
    let request = parked(&world, 500).await;
    agree(&world, &request).await;
    let slept = granted(&world).await.pop().expect("a grant");
    let call = request_of(&world, &slept).await;
    clock.advance(Duration::from_secs(31));
    assert_eq!(granted(&world).await.len(), 0, "first it is put back");
    let grant = granted(&world).await.pop().expect("a grant for another process");
    assert!(world.path(call, Some(&slept)).await.is_err(), "it is not theirs any more");
    let permit = world.path(request_of(&world, &grant).await, Some(&grant)).await.expect("a permit");
    let reply = run(&world, permit).await;
    world.approvals.finish(&grant, &reply, &world.evidence).await.expect("kept");
    assert_eq!(stands(&world, &request).await, State::Done);
}

#[tokio::test]
async fn a_write_whose_process_was_lost_while_it_ran_is_not_run_again() {
    let (world, clock) = world().await;
    let request = parked(&world, 500).await;
    agree(&world, &request).await;
    let grant = granted(&world).await.pop().expect("a grant");
    let permit = world.path(request_of(&world, &grant).await, Some(&grant)).await.expect("a permit");
    drop((permit, grant));
    clock.advance(Duration::from_secs(31));
    assert_eq!(granted(&world).await.len(), 0);
    assert_eq!(granted(&world).await.len(), 0);
    let told = answered(&world, refund(500)).await;
    assert_eq!(told.code, Some(ErrorCode::UpstreamOutcomeUnknown));
    assert_eq!(stands(&world, &request).await, State::Unknown);
}

#[tokio::test]
async fn a_write_whose_process_was_lost_after_it_ran_is_told_by_what_the_audit_saw() {
    let (world, clock) = world().await;
    let request = parked(&world, 500).await;
    agree(&world, &request).await;
    let grant = granted(&world).await.pop().expect("a grant");
    let permit = world.path(request_of(&world, &grant).await, Some(&grant)).await.expect("a permit");
    let ran = run(&world, permit).await;
    drop(grant);
    clock.advance(Duration::from_secs(31));
    assert_eq!(granted(&world).await.len(), 0);
    let told = answered(&world, refund(500)).await;
    assert_eq!((told.status, &told.audit_id), (Status::Success, &ran.audit_id));
    assert!(told.result.contains("its result was lost"), "{}", told.result);
    assert_eq!(stands(&world, &request).await, State::Done);
}

#[tokio::test]
async fn a_write_that_failed_for_certain_before_its_process_was_lost_is_told_to_have_failed() {
    let (world, clock) = world().await;
    let request = parked(&world, 500).await;
    agree(&world, &request).await;
    let grant = granted(&world).await.pop().expect("a grant");
    let permit = world.path(request_of(&world, &grant).await, Some(&grant)).await.expect("a permit");
    let (_, receipt) = permit.redeem();
    let failed = CallError::new(ErrorCode::UpstreamUnavailable, "nobody is there");
    world.end(receipt, Err(failed)).await;
    drop(grant);
    clock.advance(Duration::from_secs(31));
    assert_eq!(granted(&world).await.len(), 0);
    let told = answered(&world, refund(500)).await;
    assert_eq!(told.code, Some(ErrorCode::UpstreamUnavailable));
    assert!(told.result.contains("was made and failed"), "{}", told.result);
    assert_eq!(stands(&world, &request).await, State::Done);
}

#[tokio::test]
async fn an_agreed_call_that_a_switch_stops_waits_until_that_is_lifted() {
    let (world, clock) = world().await;
    let request = parked(&world, 500).await;
    agree(&world, &request).await;
    let wanted = Stop {
        target: Target { writes: true, ..Target::default() },
        lifetime: Duration::from_hours(1),
        reason: "a test".into(),
        cancels: true,
        by: ActorId::parse("local:1000").expect("a name"),
    };
    let chance = SystemRandomness;
    let switch = stop(&world.store, wanted.clone(), &chance, &world.evidence).await.expect("a switch");
    tokio::time::sleep(FRESH).await;
    let grant = granted(&world).await.pop().expect("a grant");
    let call = request_of(&world, &grant).await;
    let ended = world.path(call, Some(&grant)).await.map(drop).expect_err("stopped");
    let reply = world.answer(ended).await;
    assert_eq!(reply.code, Some(ErrorCode::IncidentStopped));
    world.approvals.finish(&grant, &reply, &world.evidence).await.expect("put back");
    assert_eq!(stands(&world, &request).await, State::Approved);
    assert_eq!(granted(&world).await.len(), 0, "not at once");
    lift(&world.store, &switch.id, &wanted.by, &world.evidence).await.expect("lifted");
    tokio::time::sleep(FRESH).await;
    clock.advance(Duration::from_mins(2));
    let grant = granted(&world).await.pop().expect("another grant");
    let call = request_of(&world, &grant).await;
    let permit = world.path(call, Some(&grant)).await.expect("a permit");
    let reply = run(&world, permit).await;
    world.approvals.finish(&grant, &reply, &world.evidence).await.expect("left");
    assert_eq!(stands(&world, &request).await, State::Done);
}
