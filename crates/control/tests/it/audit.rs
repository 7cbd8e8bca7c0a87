//! The audit log on a real store: order, durability, damage.

use quaymaster_control::audit::writer::AuditSettings;
use quaymaster_control::audit::{Audit, Durability, Event, Record, verify};
use quaymaster_control::crypto::SystemRandomness;
use quaymaster_core::{Clock, DataClass, SystemClock, WriterId};
use quaymaster_store::{Store, StoreTarget};
use serde_json::json;
use std::sync::Arc;

use crate::world::World;

fn record(event: Event, call: &str) -> Record<'static> {
    let mut record = Record::new(event, SystemClock.now());
    record.call = Some(call.into());
    record
}

async fn log(store: &Store) -> Audit {
    let writer = WriterId::new(&SystemClock, &SystemRandomness);
    Audit::open(store.clone(), writer, AuditSettings::default(), Arc::new(SystemClock)).await.expect("a log")
}

#[tokio::test]
async fn two_writers_share_one_log_without_a_gap() {
    let world = World::new().await;
    let path = world.folder.path().join("quaymaster.db");
    let other = Store::open(StoreTarget::Sqlite { path }).await.expect("a second process");
    let (one, two) = (log(&world.store).await, log(&other).await);
    for n in 0..50 {
        let (a, b) =
            (record(Event::CallIntent, &format!("a{n}")), record(Event::CallIntent, &format!("b{n}")));
        let (a, b) =
            tokio::join!(one.append(a, None, Durability::Durable), two.append(b, None, Durability::Accepted));
        a.expect("accepted");
        b.expect("accepted");
    }
    one.close().await;
    two.close().await;
    let found = verify(&world.store).await.expect("readable");
    assert!(found.intact, "{:?}", found.problems);
    assert_eq!(found.events["call.intent"], 100);
    assert_eq!(found.events["writer.stopped"], 2);
}

#[tokio::test]
async fn a_durable_record_is_in_the_store_when_append_returns() {
    let world = World::new().await;
    world
        .evidence
        .audit
        .append(record(Event::CallIntent, "now"), None, Durability::Durable)
        .await
        .expect("written");
    assert!(world.records().await.iter().any(|r| r["call"] == "now"));
}

#[tokio::test]
async fn after_the_end_nothing_is_accepted() {
    let world = World::new().await;
    world.evidence.audit.close().await;
    let refused =
        world.evidence.audit.append(record(Event::CallIntent, "late"), None, Durability::Accepted).await;
    assert!(refused.is_err());
}

#[tokio::test]
async fn any_change_to_what_was_written_is_found() {
    let damages = [
        "UPDATE audit_records SET body = CAST(replace(CAST(body AS TEXT), 'call.intent', 'call.outcome') AS BLOB) WHERE seq = 3",
        "UPDATE audit_records SET body = CAST(CAST(body AS TEXT) || ' ' AS BLOB) WHERE seq = 3",
        "UPDATE audit_records SET body = CAST(replace(CAST(body AS TEXT), 'wrt_', 'wrx_') AS BLOB) WHERE seq = 3",
        "UPDATE audit_records SET leaf = zeroblob(32) WHERE seq = 3",
        "DELETE FROM audit_records WHERE seq = 3",
        "DELETE FROM audit_records WHERE seq >= 5",
        "UPDATE audit_records SET seq = 1000 WHERE seq = 3",
        "UPDATE audit_tree SET size = size - 1",
        "UPDATE audit_tree SET frontier = zeroblob(length(frontier))",
        "UPDATE audit_records SET time_us = time_us + 1 WHERE seq = 3",
        "UPDATE audit_records SET event = 'call.refused' WHERE seq = 3",
        "UPDATE audit_records SET event = 'call.outcome' WHERE seq = 3",
        "UPDATE audit_records SET call_id = NULL WHERE seq = 3",
        "UPDATE audit_records SET actor = 'hmac-sha256:00' WHERE seq = 3",
        "UPDATE audit_records SET actor = NULL WHERE actor IS NOT NULL",
        "UPDATE audit_records SET workspace = 'other' WHERE seq = 3",
        "UPDATE audit_records SET tool = 'other' WHERE seq = 3",
        "UPDATE audit_records SET status = 'success' WHERE seq = 3",
        "UPDATE audit_records SET code = 'policy.denied' WHERE seq = 3",
        "UPDATE audit_records SET sealed = zeroblob(length(sealed)) WHERE sealed IS NOT NULL",
        "UPDATE audit_records SET sealed = x'00' WHERE seq = 3",
    ];
    for damage in damages {
        let world = World::new().await;
        for n in 0..6 {
            let record = record(Event::CallIntent, &format!("c{n}"));
            world.evidence.audit.append(record, None, Durability::Durable).await.expect("written");
        }
        let request = World::request("analyst", DataClass::Internal, "crm_account", &json!({"id": "a"}));
        world.permit(request).await.expect("a permit");
        world.evidence.audit.close().await;
        let found = verify(&world.store).await.expect("readable");
        assert!(found.intact, "{:?}", found.problems);
        let database =
            rusqlite::Connection::open(world.folder.path().join("quaymaster.db")).expect("the database");
        database.pragma_update(None, "foreign_keys", false).expect("no check stands in the way");
        assert!(database.execute(damage, []).expect("damaged") > 0, "{damage}");
        let found = verify(&world.store).await;
        assert!(found.is_ok_and(|f| !f.intact && !f.problems.is_empty()), "{damage}");
    }
}

#[tokio::test]
async fn an_input_that_was_erased_or_too_large_to_be_sealed_is_counted_and_no_damage() {
    let world = World::new().await;
    for id in ["small", &"large".repeat(20_000)] {
        let request =
            World::request("support", DataClass::Internal, "crm_refund", &json!({"id": id, "amount": 5}));
        world.permit(request).await.expect("a permit");
    }
    let found = verify(&world.store).await.expect("readable");
    assert_eq!((found.intact, found.erased, found.not_sealed), (true, 0, 1));
    let database =
        rusqlite::Connection::open(world.folder.path().join("quaymaster.db")).expect("the database");
    assert_eq!(
        database
            .execute("UPDATE audit_records SET sealed = NULL WHERE sealed IS NOT NULL", [])
            .expect("erased"),
        1
    );
    let found = verify(&world.store).await.expect("readable");
    assert_eq!((found.intact, found.erased, found.not_sealed), (true, 1, 1));
}

#[tokio::test]
async fn a_call_without_an_outcome_is_told_of() {
    let world = World::new().await;
    let audit = &world.evidence.audit;
    for (event, call) in
        [(Event::CallIntent, "ended"), (Event::CallIntent, "open"), (Event::CallOutcome, "ended")]
    {
        audit.append(record(event, call), None, Durability::Durable).await.expect("written");
    }
    let found = verify(&world.store).await.expect("readable");
    assert_eq!((found.intact, found.open_calls), (true, vec!["open".to_owned()]));
}
