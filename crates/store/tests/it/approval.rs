//! Requests for approval: one of each digest waits, and of two changes at once one counts.

use quaymaster_core::{ApprovalId, Workspace};
use quaymaster_store::{ApprovalKey, ApprovalRow, DelegationRow, Store, VoteRow};

use crate::database::Database;

crate::over_both! {
    a_request_is_read_as_it_was_written,
    of_one_digest_one_request_waits_at_most,
    of_two_changes_at_once_one_counts,
    nobody_says_the_same_thing_twice,
    the_runner_finds_what_is_due,
    a_delegation_counts_until_its_end_or_until_it_is_taken_back,
}

fn id(number: u8) -> ApprovalId {
    format!("apr_{number:032x}").parse().expect("an id")
}

pub(crate) fn row(number: u8, digest: &str, state: &str) -> ApprovalRow {
    ApprovalRow {
        id: id(number),
        version: 0,
        workspace: Workspace::parse("sales").expect("a workspace"),
        digest: digest.into(),
        tool: "escalate".into(),
        state: state.into(),
        requester: b"ada".to_vec(),
        gates: "[]".into(),
        parked: Some(b"call".to_vec()),
        document: Some(b"document".to_vec()),
        result: None,
        call_id: None,
        runner: None,
        lease_us: None,
        created_us: 100 + u64::from(number),
        expires_us: 1_000,
        decided_us: None,
        ended_us: None,
        delivered_us: None,
        review: None,
        escalates_us: None,
    }
}

fn vote(person: &str) -> VoteRow {
    VoteRow {
        person: person.into(),
        stead: None,
        kind: "decision".into(),
        verdict: "approve".into(),
        name: b"mo".to_vec(),
        roles: r#"["manager"]"#.into(),
        comment: None,
        channel: "cli".into(),
        time_us: 5,
    }
}

async fn read(store: &Store, number: u8) -> ApprovalRow {
    store.approval(&ApprovalKey::Id(id(number))).await.expect("an answer").expect("a request")
}

async fn a_request_is_read_as_it_was_written(database: &Database) {
    let store = database.store().await;
    let full = ApprovalRow {
        result: Some(b"result".to_vec()),
        call_id: Some("call_1".into()),
        runner: Some("wrt_1".into()),
        lease_us: Some(1),
        decided_us: Some(2),
        ended_us: Some(3),
        delivered_us: Some(4),
        review: Some("due".into()),
        ..row(1, "a", "done")
    };
    for written in [full, row(2, "b", "pending")] {
        assert!(store.approval_park(&written).await.expect("an answer"));
        assert_eq!(store.approval(&ApprovalKey::Id(written.id.clone())).await.expect("a row"), Some(written));
    }
    assert_eq!(store.approval(&ApprovalKey::Id(id(9))).await.expect("an answer"), None);
    let listed = store.approval_list(&Workspace::parse("sales").expect("a name"), 102).await.expect("a list");
    assert_eq!(listed, [row(2, "b", "pending")]);
}

async fn of_one_digest_one_request_waits_at_most(database: &Database) {
    let store = database.store().await;
    let mut parked = Vec::new();
    for number in 0..8 {
        let store = database.store().await;
        parked.push(tokio::spawn(async move { store.approval_park(&row(number, "a", "pending")).await }));
    }
    let mut joined = 0;
    for park in parked {
        joined += usize::from(!park.await.expect("no panic").expect("an answer"));
    }
    assert_eq!(joined, 7);
    let waiting = store.approval(&ApprovalKey::Digest("a".into())).await.expect("a row").expect("a request");
    let ended = ApprovalRow { state: "rejected".into(), ..waiting };
    assert!(store.approval_save(&ended, None).await.expect("an answer"));
    assert!(store.approval_park(&row(20, "a", "pending")).await.expect("an answer"));
    let newest = store.approval(&ApprovalKey::Digest("a".into())).await.expect("a row");
    assert_eq!(newest.map(|row| row.id), Some(id(20)));
}

async fn of_two_changes_at_once_one_counts(database: &Database) {
    let store = database.store().await;
    assert!(store.approval_park(&row(1, "a", "pending")).await.expect("an answer"));
    let seen = read(&store, 1).await;
    let approved = ApprovalRow { state: "approved".into(), ..seen.clone() };
    let rejected = ApprovalRow { state: "rejected".into(), ..seen };
    assert!(store.approval_save(&approved, Some(&vote("mo"))).await.expect("an answer"));
    assert!(!store.approval_save(&rejected, Some(&vote("di"))).await.expect("an answer"));
    let now = read(&store, 1).await;
    assert_eq!((now.state.as_str(), now.version), ("approved", 1));
    assert_eq!(store.approval_votes(&id(1)).await.expect("votes"), [vote("mo")]);
}

async fn nobody_says_the_same_thing_twice(database: &Database) {
    let store = database.store().await;
    assert!(store.approval_park(&row(1, "a", "pending")).await.expect("an answer"));
    assert!(store.approval_save(&read(&store, 1).await, Some(&vote("mo"))).await.expect("an answer"));
    let again = ApprovalRow { state: "approved".into(), ..read(&store, 1).await };
    assert!(!store.approval_save(&again, Some(&vote("mo"))).await.expect("an answer"));
    assert_eq!(read(&store, 1).await.state, "pending", "nothing of a change that is refused is kept");
    let review = VoteRow { kind: "review".into(), ..vote("mo") };
    assert!(store.approval_save(&again, Some(&review)).await.expect("an answer"));
}

async fn the_runner_finds_what_is_due(database: &Database) {
    let store = database.store().await;
    let leased = |number, lease_us| ApprovalRow {
        lease_us: Some(lease_us),
        ..row(number, &format!("lease {lease_us}"), "running")
    };
    let late = ApprovalRow { expires_us: 500, ..row(5, "late", "pending") };
    let rows = [row(1, "a", "pending"), row(2, "b", "approved"), leased(3, 400), leased(4, 600), late];
    for row in rows {
        assert!(store.approval_park(&row).await.expect("an answer"));
    }
    let due = store.approvals_due(500, 10).await.expect("rows");
    assert_eq!(due.into_iter().map(|row| row.id).collect::<Vec<_>>(), [id(2), id(3), id(5)]);
    assert_eq!(store.approvals_due(500, 1).await.expect("rows").len(), 1);
}

async fn a_delegation_counts_until_its_end_or_until_it_is_taken_back(database: &Database) {
    let store = database.store().await;
    let sales = Workspace::parse("sales").expect("a workspace");
    let delegation = DelegationRow {
        id: "dlg_1".into(),
        workspace: sales.clone(),
        giver: "mo".into(),
        taker: "di".into(),
        names: b"both".to_vec(),
        roles: r#"["manager"]"#.into(),
        created_us: 1,
        until_us: 100,
        revoked_us: None,
    };
    store.delegation_insert(&delegation).await.expect("a row");
    assert_eq!(store.delegations(&sales, 99).await.expect("rows"), [delegation]);
    assert_eq!(store.delegations(&sales, 100).await.expect("rows"), []);
    let other = Workspace::parse("lab").expect("a workspace");
    assert!(!store.delegation_revoke(&other, "dlg_1", 50).await.expect("an answer"));
    assert!(store.delegation_revoke(&sales, "dlg_1", 50).await.expect("an answer"));
    assert_eq!(store.delegations(&sales, 60).await.expect("rows"), []);
    assert!(!store.delegation_revoke(&sales, "dlg_1", 70).await.expect("an answer"));
}
