//! Limits on the path of a call, and what is tried to get round them.

use std::sync::Arc;
use std::time::Duration;

use quaymaster_control::crypto::SystemRandomness;
use quaymaster_control::limits::{Counts, LimitRule, Limits, Selection};
use quaymaster_control::output::RawOutput;
use quaymaster_control::{Permit, release};
use quaymaster_core::clock::FixedClock;
use quaymaster_core::{
    Actor, ActorId, Authentication, CallRequest, Clock, DataClass, ErrorCode, Limit, RawBuf, Reply,
    SessionId, SystemClock, Timestamp, TokenId,
};
use quaymaster_store::{Store, StoreTarget};
use serde_json::{Value, json};

use crate::world::{World, declarations, slug};

fn rule(name: &str, only: Selection, limit: &str) -> LimitRule {
    LimitRule { name: slug(name), only, limit: Limit::parse(limit).expect("a limit") }
}

fn counts(store: &Store, clock: &Arc<dyn Clock>) -> Arc<Counts> {
    Arc::new(Counts::new(store.clone(), Arc::clone(clock)))
}

async fn world(limits: &[&str]) -> (World, Arc<FixedClock>) {
    let clock = Arc::new(FixedClock::new(Timestamp::from_micros(1_795_255_200_000_000)));
    let mut world = World::at(clock.clone(), declarations()).await;
    let rules = limits.iter().map(|limit| rule("a-limit", Selection::default(), limit)).collect();
    world.guards.limits = Limits::new(rules, counts(&world.store, &world.evidence.clock));
    (world, clock)
}

fn read() -> CallRequest {
    World::request("analyst", DataClass::Restricted, "crm_status", &json!({"id": "a"}))
}

fn by(request: CallRequest, change: impl FnOnce(&mut Actor)) -> CallRequest {
    let mut actor = Actor::clone(&request.actor);
    change(&mut actor);
    CallRequest { actor: Arc::new(actor), ..request }
}

async fn code(world: &World, request: CallRequest) -> Option<ErrorCode> {
    world.permit(request).await.err().map(|refused| refused.error().code)
}

/// Runs a call that has its permit; the result has `rows`.
async fn run(world: &World, permit: Permit, rows: u64) -> Reply {
    let (_, receipt) = permit.redeem();
    let rows: Vec<u64> = (0..rows).collect();
    let result = json!({"content": [], "structuredContent": {"rows": rows}, "isError": false});
    let raw = RawOutput::upstream(RawBuf::read(&result.to_string()).expect("JSON"));
    let safe = release(Ok(raw), &receipt, &world.rulebook);
    world.end(receipt, safe).await
}

#[tokio::test]
async fn more_sessions_tokens_threads_and_connections_give_nobody_more() {
    let (world, _) = world(&["3/1h"]).await;
    let mut passed = 0;
    for n in 0..20 {
        let mut request = by(read(), |actor| {
            actor.authentication = Authentication::Token(TokenId::new(&SystemClock, &SystemRandomness));
            actor.clearance = if n % 2 == 0 { DataClass::Public } else { DataClass::Restricted };
        });
        request.session = Some(SessionId::new(&SystemClock, &SystemRandomness));
        request.agent.thread = Some(format!("thread {n}"));
        request.agent.client = Some(format!("client {n}"));
        passed += usize::from(code(&world, request).await.is_none());
    }
    assert_eq!(passed, 3);
    let other = by(read(), |actor| actor.id = ActorId::parse("bo@example.test").expect("a name"));
    assert_eq!(code(&world, other).await, None, "another actor has its own");
}

#[tokio::test]
async fn what_is_sent_together_is_counted_one_by_one() {
    let (world, _) = world(&["calls 5 per day"]).await;
    let world = Arc::new(world);
    let calls = (0..50).map(|_| {
        let world = Arc::clone(&world);
        tokio::spawn(async move { code(&world, read()).await })
    });
    let mut codes = Vec::new();
    for call in calls.collect::<Vec<_>>() {
        codes.push(call.await.expect("no panic"));
    }
    // A permit that is dropped has not run and is given back, so those may pass one after the other.
    assert!(codes.iter().all(|code| matches!(code, None | Some(ErrorCode::LimitQuota))), "{codes:?}");
    let mut ran = 0;
    while let Ok(permit) = world.permit(read()).await {
        run(&world, permit, 1).await;
        ran += 1;
    }
    assert_eq!(ran, 5);
}

#[tokio::test]
async fn what_runs_at_once_is_bounded_and_a_place_is_free_when_its_call_has_ended() {
    let (world, _) = world(&["concurrent 2"]).await;
    let first = world.permit(read()).await.expect("a permit");
    let second = world.permit(read()).await.expect("a permit");
    let refused = world.permit(read()).await.expect_err("refused");
    assert_eq!(refused.error().code, ErrorCode::LimitConcurrency);
    assert!(refused.error().retry_after.is_some());
    run(&world, first, 1).await;
    assert_eq!(code(&world, read()).await, None, "the call that was dropped gave its place back as well");
    drop(second);
    let (_a, _b) =
        (world.permit(read()).await.expect("a permit"), world.permit(read()).await.expect("a permit"));
}

#[tokio::test]
async fn a_quota_counts_over_processes_and_restarts_and_never_too_much() {
    let (mut world, clock) = world(&["calls 100 per day"]).await;
    let path = world.folder.path().join("quaymaster.db");
    let mut ran = 0;
    // Four processes take turns; each has blocks of its own.
    let mut processes = Vec::new();
    for _ in 0..4 {
        let store = Store::open(StoreTarget::Sqlite { path: path.clone() }).await.expect("a store");
        let rules = vec![rule("a-limit", Selection::default(), "calls 100 per day")];
        processes.push(Limits::new(rules, counts(&store, &world.evidence.clock)));
    }
    for turn in 0..200 {
        world.guards.limits = processes[turn % 4].clone();
        if let Ok(permit) = world.permit(read()).await {
            run(&world, permit, 1).await;
            ran += 1;
        }
    }
    assert_eq!(ran, 100);
    clock.set(Timestamp::from_micros(1_795_255_200_000_000 - 3_600_000_000));
    assert_eq!(code(&world, read()).await, Some(ErrorCode::LimitQuota), "the clock was set back");
    let refused = world.permit(read()).await.expect_err("refused");
    let reply = world.answer(refused).await;
    let result: Value = serde_json::from_str(&reply.result).expect("JSON");
    let error = &result["structuredContent"]["error"];
    assert_eq!(error["limit"], json!({"name": "a-limit", "limit": "calls 100 per day", "left": 0}));
    assert_eq!(error["retry_after_seconds"], json!(15 * 3_600), "at midnight, UTC");
    clock.advance(Duration::from_hours(24));
    assert_eq!(code(&world, read()).await, None, "another day");
    clock.set(Timestamp::from_micros(1_795_255_200_000_000));
    assert_eq!(code(&world, read()).await, Some(ErrorCode::LimitQuota), "and back again");
}

#[tokio::test]
async fn a_refused_call_uses_up_nothing() {
    let (world, _) = world(&["calls 1 per month"]).await;
    for _ in 0..10 {
        let waits =
            World::request("support", DataClass::Internal, "crm_refund", &json!({"id": "a", "amount": 500}));
        let ended = world.path(waits, None).await.map(drop).expect_err("it is parked");
        assert_eq!(world.answer(ended).await.code, Some(ErrorCode::ApprovalRequired));
    }
    let small =
        World::request("support", DataClass::Internal, "crm_refund", &json!({"id": "a", "amount": 5}));
    let permit = world.permit(small.clone()).await.expect("a permit");
    run(&world, permit, 1).await;
    assert_eq!(code(&world, small).await, Some(ErrorCode::LimitQuota));
}

#[tokio::test]
async fn a_budget_ends_when_it_is_used_up_and_a_result_that_is_too_large_is_withheld() {
    let (world, _) = world(&["rows 10 per day", "rows 8"]).await;
    let permit = world.permit(read()).await.expect("a permit");
    assert_eq!(run(&world, permit, 9).await.code, Some(ErrorCode::LimitBudget), "too much at once");
    let permit = world.permit(read()).await.expect("one is left");
    assert_eq!(run(&world, permit, 8).await.code, None);
    let refused = world.permit(read()).await.expect_err("used up");
    assert_eq!(refused.error().code, ErrorCode::LimitBudget);
    world.evidence.audit.close().await;
    let records = world.records().await;
    let intent = records.iter().find(|r| r["event"] == "call.intent").expect("an intent");
    assert_eq!(intent["limits"], json!(["a-limit: rows 10 per day", "a-limit: rows 8"]));
}

#[tokio::test]
async fn a_limit_bears_on_what_it_is_for_and_is_counted_by_what_it_says() {
    let (mut world, _) = world(&[]).await;
    let only = |tool: &str| Selection { tool: Some(tool.into()), ..Selection::default() };
    let rules = vec![
        rule("status", only("crm_status"), "1/1h by tool"),
        rule(
            "analysts",
            Selection { role: Some(slug("analyst")), ..Selection::default() },
            "calls 2 per day by role",
        ),
    ];
    world.guards.limits = Limits::new(rules, counts(&world.store, &world.evidence.clock));
    let account = || World::request("analyst", DataClass::Restricted, "crm_account", &json!({"id": "a"}));
    let other = |request| by(request, |actor| actor.id = ActorId::parse("bo@example.test").expect("a name"));
    let permit = world.permit(read()).await.expect("a permit");
    run(&world, permit, 1).await;
    assert_eq!(code(&world, other(read())).await, Some(ErrorCode::LimitRate), "whoever calls the tool");
    let permit = world.permit(other(account())).await.expect("a permit");
    run(&world, permit, 1).await;
    assert_eq!(code(&world, account()).await, Some(ErrorCode::LimitQuota), "all who have the role");
    let refund =
        World::request("support", DataClass::Internal, "crm_refund", &json!({"id": "a", "amount": 5}));
    assert_eq!(code(&world, refund).await, None);
}
