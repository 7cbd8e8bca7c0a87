//! Incident switches, quotas and the ledger: of two who come at once one counts.

use quaymaster_core::{IncidentId, Workspace};
use quaymaster_store::{IncidentRow, LedgerRow};

use crate::database::Database;

crate::over_both! {
    a_switch_is_read_as_it_was_written_until_it_is_lifted_or_over,
    of_a_quota_no_more_is_taken_than_there_is,
    of_one_key_one_write_begins_and_a_change_is_made_on_what_was_read,
}

fn incident(number: u8) -> IncidentId {
    format!("inc_{number:032x}").parse().expect("an id")
}

async fn a_switch_is_read_as_it_was_written_until_it_is_lifted_or_over(database: &Database) {
    let store = database.store().await;
    let row = |number: u8| IncidentRow {
        id: incident(number),
        target: r#"{"writes":true}"#.into(),
        reason: "a leak".into(),
        made_by: "local:1".into(),
        cancels: number == 1,
        created_us: u64::from(number),
        until_us: 100,
        lifted_us: None,
    };
    let before = store.incident_version().await.expect("a version");
    for number in [1, 2] {
        assert!(store.incident_insert(&row(number)).await.expect("an answer"));
    }
    let other = database.store().await;
    assert_eq!(other.incidents(99).await.expect("rows"), [row(1), row(2)]);
    assert_eq!(other.incidents(100).await.expect("rows"), []);
    assert!(store.incident_lift(&incident(1), 50).await.expect("an answer"));
    assert!(!store.incident_lift(&incident(1), 51).await.expect("an answer"));
    assert!(!store.incident_lift(&incident(2), 100).await.expect("an answer"), "it is over");
    assert_eq!(other.incidents(60).await.expect("rows"), [row(2)]);
    assert_eq!(other.incident_version().await.expect("a version"), before + 3);
}

async fn of_a_quota_no_more_is_taken_than_there_is(database: &Database) {
    let store = database.store().await;
    let period = ("k", "2026-11-22", 1_000);
    let mut takers = Vec::new();
    for _ in 0..8 {
        let store = database.store().await;
        takers.push(tokio::spawn(async move {
            let mut taken = 0;
            for _ in 0..10 {
                taken +=
                    u64::from(store.limit_take(("k", "2026-11-22", 1_000), 3, 100).await.expect("an answer"));
            }
            taken
        }));
    }
    let mut taken = 0;
    for taker in takers {
        taken += taker.await.expect("no panic");
    }
    assert_eq!((taken, store.limit_used("k", "2026-11-22").await.expect("a number")), (33, 99));
    store.limit_add(period, 7).await.expect("added");
    assert!(!store.limit_take(period, 1, 100).await.expect("an answer"));
    assert_eq!(store.limit_used("k", "2026-11-22").await.expect("a number"), 106);
    store.limit_forget(1_001).await.expect("forgotten");
    assert_eq!(store.limit_used("k", "2026-11-22").await.expect("a number"), 0);
}

async fn of_one_key_one_write_begins_and_a_change_is_made_on_what_was_read(database: &Database) {
    let store = database.store().await;
    let row = |number: u8| LedgerRow {
        key: "k".into(),
        id: format!("idm_{number:032x}").parse().expect("an id"),
        version: 0,
        workspace: Workspace::parse("sales").expect("a workspace"),
        tool: "escalate".into(),
        digest: "d".into(),
        state: "intent".into(),
        call_id: format!("call {number}"),
        receipt: None,
        lease_us: Some(5),
        created_us: 1,
        kept_us: 100,
    };
    let begun = [row(1), row(2)].map(|row| {
        let store = store.clone();
        tokio::spawn(async move { store.ledger_begin(&row).await.expect("an answer") })
    });
    let mut count = 0;
    for begin in begun {
        count += u8::from(begin.await.expect("no panic"));
    }
    assert_eq!(count, 1);
    let found = store.ledger_of("k").await.expect("an answer").expect("a row");
    assert_eq!(store.ledger_entry(&found.id).await.expect("an answer").as_ref(), Some(&found));
    assert_eq!(store.ledger_open().await.expect("rows"), std::slice::from_ref(&found));
    store.ledger_renew(&[("k".into(), found.call_id.clone())], 9).await.expect("renewed");
    let done = LedgerRow { state: "done".into(), receipt: Some(b"sealed".to_vec()), lease_us: None, ..found };
    assert!(store.ledger_save(&done).await.expect("an answer"));
    assert!(!store.ledger_save(&done).await.expect("an answer"));
    let kept = LedgerRow { version: 1, ..done };
    assert_eq!(store.ledger_of("k").await.expect("an answer"), Some(kept));
    assert_eq!(store.ledger_open().await.expect("rows"), []);
    store.ledger_forget(101).await.expect("forgotten");
    assert_eq!(store.ledger_of("k").await.expect("an answer"), None);
}
