//! The idempotency ledger on the path of a call: every write once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use quaymaster_control::ledger::{Entry, Found, LEASE, Ledger, Stand, WINDOW};
use quaymaster_control::output::RawOutput;
use quaymaster_control::{Permit, release};
use quaymaster_core::clock::FixedClock;
use quaymaster_core::{
    ActorId, CallError, CallRequest, DataClass, EntryId, ErrorCode, RawBuf, Reply, Status, Timestamp,
};
use serde_json::{Value, json};

use crate::world::{World, declarations};

const NOW: Timestamp = Timestamp::from_micros(1_795_255_200_000_000);

async fn world() -> (World, Arc<FixedClock>) {
    let clock = Arc::new(FixedClock::new(NOW));
    (World::at(clock.clone(), declarations()).await, clock)
}

fn refund(amount: u32) -> CallRequest {
    World::request("support", DataClass::Internal, "crm_refund", &json!({"id": "a", "amount": amount}))
}

fn keyed(amount: u32, key: &str) -> CallRequest {
    CallRequest { idempotency_key: Some(key.into()), ..refund(amount) }
}

type Raw = Result<RawOutput, CallError>;

#[expect(clippy::unnecessary_wraps, reason = "it is how a system's answer comes")]
fn refunded(note: &str) -> Raw {
    let result = json!({"content": [], "structuredContent": {"state": note}, "isError": false});
    Ok(RawOutput::upstream(RawBuf::read(&result.to_string()).expect("JSON")))
}

fn failed(code: ErrorCode) -> Raw {
    Err(CallError::new(code, "no"))
}

async fn end(world: &World, permit: Permit, raw: Raw) -> Reply {
    let (_, receipt) = permit.redeem();
    let safe = release(raw, &receipt, &world.rulebook);
    world.end(receipt, safe).await
}

/// Makes a call; if it runs, its system answers with `raw`.
async fn call(world: &World, request: CallRequest, raw: Raw) -> (bool, Reply) {
    match world.path(request, None).await {
        Ok(permit) => (true, end(world, permit, raw).await),
        Err(ended) => (false, world.answer(ended).await),
    }
}

async fn open(world: &World) -> Vec<Entry> {
    Ledger::open(&world.store, world.evidence.clock.as_ref()).await.expect("an answer")
}

async fn resolve(world: &World, id: &EntryId, found: Found) -> bool {
    let by = ActorId::parse("local:1000").expect("a name");
    world.guards.ledger.resolve(id, found, &by, &world.evidence).await.expect("an answer")
}

fn state(reply: &Reply) -> Value {
    let result: Value = serde_json::from_str(&reply.result).expect("JSON");
    result.pointer("/structuredContent/state").cloned().unwrap_or_default()
}

#[tokio::test]
async fn the_same_write_runs_once_and_again_gets_its_first_receipt() {
    let (world, clock) = world().await;
    let (ran, first) = call(&world, refund(5), refunded("first")).await;
    assert!(ran);
    let again = refund(5);
    let again_id = again.id.clone();
    let (ran, second) = call(&world, again, refunded("second")).await;
    assert!(!ran);
    assert_eq!(
        (second.status, &second.audit_id, state(&second)),
        (Status::Success, &first.audit_id, json!("first"))
    );
    assert!(second.result.contains(r#""dev.quaymaster/repeated":true"#), "{}", second.result);
    assert!(!first.result.contains("repeated"));
    assert!(call(&world, refund(6), refunded("other")).await.0, "another amount is another write");
    let other =
        World::request("support", DataClass::Internal, "crm_refund", &json!({"id": "b", "amount": 5}));
    assert!(call(&world, other, refunded("other")).await.0);
    clock.advance(WINDOW);
    assert!(call(&world, refund(5), refunded("later")).await.0, "after the window it is another write");
    world.evidence.audit.close().await;
    let records = world.records().await;
    let repeated = records.iter().find(|r| r["event"] == "call.repeated").expect("the record");
    assert_eq!(repeated["call"], json!(again_id));
    assert_eq!(repeated["idempotency"]["first"], json!(first.audit_id));
    let text = Value::from(records).to_string();
    assert!(!text.contains("first\"}"), "no result is in a record");
}

#[tokio::test]
async fn a_clients_key_means_one_write_and_other_arguments_are_a_conflict() {
    let (world, clock) = world().await;
    assert!(call(&world, keyed(5, "k1"), refunded("first")).await.0);
    let (ran, again) = call(&world, keyed(5, "k1"), refunded("second")).await;
    assert!(!ran && state(&again) == json!("first"));
    let (ran, other) = call(&world, keyed(6, "k1"), refunded("other")).await;
    assert_eq!((ran, other.code), (false, Some(ErrorCode::IdempotencyConflict)));
    assert!(
        call(&world, keyed(5, "k2"), refunded("wanted")).await.0,
        "another key says that it is another write"
    );
    clock.set(Timestamp::from_micros(NOW.as_micros() - 3_600_000_000));
    assert!(!call(&world, keyed(5, "k1"), refunded("second")).await.0, "the clock was set back");
    for wrong in ["", "a\nb", &"k".repeat(201)] {
        let (ran, refused) = call(&world, keyed(5, wrong), refunded("no")).await;
        assert_eq!((ran, refused.code), (false, Some(ErrorCode::InputInvalid)), "{wrong:.10}");
    }
}

#[tokio::test]
async fn what_had_no_effect_may_run_again_and_what_may_have_had_one_does_not() {
    let (world, _) = world().await;
    for code in [ErrorCode::UpstreamUnavailable, ErrorCode::CallCancelled, ErrorCode::UpstreamPermission] {
        assert!(call(&world, refund(5), failed(code)).await.0, "{code}");
    }
    assert!(call(&world, refund(5), failed(ErrorCode::UpstreamOutcomeUnknown)).await.0);
    for _ in 0..3 {
        let (ran, refused) = call(&world, refund(5), refunded("twice")).await;
        assert_eq!((ran, refused.code), (false, Some(ErrorCode::UpstreamOutcomeUnknown)));
    }
    let entry = open(&world).await.pop().expect("an entry");
    assert_eq!((entry.stand, entry.runs), (Stand::Unknown, false));
    assert!(resolve(&world, &entry.id, Found::Failed).await);
    assert!(!resolve(&world, &entry.id, Found::Done).await, "it is said once");
    assert!(call(&world, refund(5), failed(ErrorCode::UpstreamTimeout)).await.0);
    let entry = open(&world).await.pop().expect("an entry");
    assert!(resolve(&world, &entry.id, Found::Done).await);
    let (ran, told) = call(&world, refund(5), refunded("twice")).await;
    assert_eq!((ran, told.status), (false, Status::Success));
    world.evidence.audit.close().await;
    let records = world.records().await;
    let said = records.iter().filter(|r| r["event"] == "idempotency.resolved");
    assert_eq!(said.map(|r| r["idempotency"]["state"].clone()).collect::<Vec<_>>(), ["failed", "done"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_at_once_exactly_one_runs_and_all_get_its_receipt() {
    let (world, _) = world().await;
    let (world, ran) = (Arc::new(world), Arc::new(AtomicU32::new(0)));
    let calls = (0..20).map(|_| {
        let (world, ran) = (Arc::clone(&world), Arc::clone(&ran));
        tokio::spawn(async move {
            match world.path(refund(5), None).await {
                Ok(permit) => {
                    ran.fetch_add(1, Ordering::SeqCst);
                    tokio::task::yield_now().await;
                    end(&world, permit, refunded("once")).await
                }
                Err(ended) => world.answer(ended).await,
            }
        })
    });
    for call in calls.collect::<Vec<_>>() {
        assert_eq!(state(&call.await.expect("no panic")), json!("once"));
    }
    assert_eq!(ran.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_call_that_is_lost_after_its_intent_leaves_a_write_that_nobody_repeats() {
    let (world, clock) = world().await;
    // The process is lost while the system is asked: its intent is there, and nothing else.
    drop(world.path(refund(5), None).await.expect("a permit"));
    clock.advance(LEASE + Duration::from_secs(1));
    let (ran, refused) = call(&world, refund(5), refunded("twice")).await;
    assert_eq!((ran, refused.code), (false, Some(ErrorCode::UpstreamOutcomeUnknown)));
    assert_eq!(open(&world).await.pop().map(|entry| entry.stand), Some(Stand::Unknown));
}

#[tokio::test]
async fn a_write_that_never_reached_its_system_may_run_again() {
    let (world, _) = world().await;
    world.evidence.audit.close().await;
    let refused = world.path(refund(5), None).await.map(drop).expect_err("no log, no permit");
    assert_eq!(world.answer(refused).await.code, Some(ErrorCode::AuditUnavailable));
    assert_eq!(open(&world).await, []);
}

#[tokio::test]
async fn a_lost_process_whose_write_is_in_no_log_did_not_make_it() {
    let (world, clock) = world().await;
    assert!(call(&world, refund(5), failed(ErrorCode::UpstreamUnavailable)).await.0);
    // As if the process had been lost between the ledger and the log.
    let connection = rusqlite::Connection::open(world.folder.path().join("quaymaster.db")).expect("the file");
    let lost = "UPDATE idempotency SET state = 'intent', call_id = 'call_00000000000070008000000000000000'";
    connection.execute(lost, ()).expect("changed");
    clock.advance(LEASE);
    assert!(call(&world, refund(5), refunded("once")).await.0);
}

#[tokio::test]
async fn an_end_that_was_not_kept_is_found_in_the_audit_log() {
    let (world, clock) = world().await;
    let (_, first) = call(&world, refund(5), refunded("first")).await;
    // As if the process had been lost between the outcome and the receipt.
    let entry = world.store.ledger_open().await.expect("an answer");
    assert_eq!(entry.len(), 0);
    let connection = rusqlite::Connection::open(world.folder.path().join("quaymaster.db")).expect("the file");
    let forgotten = "UPDATE idempotency SET state = 'intent', receipt = NULL, lease_us = 1";
    connection.execute(forgotten, ()).expect("changed");
    clock.advance(LEASE);
    let (ran, told) = call(&world, refund(5), refunded("twice")).await;
    assert_eq!((ran, told.status, told.audit_id), (false, Status::Success, first.audit_id));
}

#[tokio::test]
async fn a_receipt_is_for_those_who_may_as_much_as_whoever_was_given_it() {
    let (mut world, _) = world().await;
    let (_, first) = call(&world, refund(5), refunded("secret")).await;
    let mut lesser = refund(5);
    let actor = quaymaster_core::Actor { clearance: DataClass::Public, ..(*lesser.actor).clone() };
    lesser.actor = Arc::new(actor);
    let (ran, told) = call(&world, lesser, refunded("twice")).await;
    assert_eq!((ran, told.status, &told.audit_id), (false, Status::Success, &first.audit_id));
    assert!(!told.result.contains("secret"), "{}", told.result);
    world.add_policy(
        r#"@id("late") forbid (principal, action, resource == Tool::"crm_refund")
        when { context.arguments.amount > 900 };"#,
    );
    let (ran, told) = call(&world, refund(5), refunded("twice")).await;
    assert!(!ran && !told.result.contains("secret"), "the policies have changed");
}

#[tokio::test]
async fn a_read_leaves_nothing_in_the_ledger() {
    let (world, _) = world().await;
    let read = || CallRequest {
        idempotency_key: Some("k".into()),
        ..World::request("analyst", DataClass::Restricted, "crm_status", &json!({"id": "a"}))
    };
    for _ in 0..2 {
        let permit = world.path(read(), None).await.expect("a permit");
        assert_eq!(open(&world).await, []);
        end(&world, permit, refunded("read")).await;
    }
}
