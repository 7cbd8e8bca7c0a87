//! The audit log on a real store: order, durability, damage.

use quaymaster_control::audit::writer::AuditSettings;
use quaymaster_control::audit::{Audit, Durability, Event, Record, verify};
use quaymaster_control::crypto::SystemRandomness;
use quaymaster_core::{Clock, SystemClock, WriterId};
use quaymaster_store::{Store, StoreTarget};
use std::sync::Arc;

use crate::world::World;

fn record(event: Event, call: &str) -> Record {
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
        "UPDATE audit_records SET leaf = zeroblob(32) WHERE seq = 3",
        "DELETE FROM audit_records WHERE seq = 3",
        "DELETE FROM audit_records WHERE seq >= 5",
        "UPDATE audit_records SET seq = 1000 WHERE seq = 3",
        "UPDATE audit_tree SET size = size - 1",
        "UPDATE audit_tree SET frontier = zeroblob(length(frontier))",
    ];
    for damage in damages {
        let world = World::new().await;
        for n in 0..6 {
            let record = record(Event::CallIntent, &format!("c{n}"));
            world.evidence.audit.append(record, None, Durability::Durable).await.expect("written");
        }
        world.evidence.audit.close().await;
        assert!(verify(&world.store).await.expect("readable").intact);
        let database =
            rusqlite::Connection::open(world.folder.path().join("quaymaster.db")).expect("the database");
        assert!(database.execute(damage, []).expect("damaged") > 0, "{damage}");
        let found = verify(&world.store).await;
        assert!(found.is_ok_and(|f| !f.intact && !f.problems.is_empty()), "{damage}");
    }
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
