//! Requests for approval: one of each digest waits, and of two changes at once one counts.

use quaymaster_core::{ApprovalId, FoldedName, Role, Workspace};
use quaymaster_store::{
    AccountRow, ApprovalKey, ApprovalPlace, ApprovalRow, ApprovalsWanted, DelegationRow, Store, TokenRow,
    VoteRow,
};

use crate::database::Database;

crate::over_both! {
    a_request_is_read_as_it_was_written,
    of_one_digest_one_request_waits_at_most,
    of_two_changes_at_once_one_counts,
    nobody_says_the_same_thing_twice,
    the_runner_finds_what_is_due,
    a_delegation_counts_until_its_end_or_until_it_is_taken_back,
    pages_lead_through_all_requests_and_begin_with_what_has_to_be_reviewed,
    what_was_said_of_many_requests_is_read_at_once,
    what_waits_is_counted_by_account_and_workspace,
    what_is_over_is_forgotten_and_what_waits_or_has_to_be_reviewed_is_not,
    an_account_is_kept_as_it_was_last_seen_and_tokens_tell_whose_they_are,
}

fn sales() -> Workspace {
    Workspace::parse("sales").expect("a workspace")
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
        asker: Some("an account".into()),
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
    let sales = sales();
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
    let taken = async |now_us| store.delegations_to(["di", "al", ""], &sales, now_us).await.expect("rows");
    let given = async |giver, now_us| store.delegations_by(giver, &sales, now_us).await.expect("rows");
    assert_eq!((taken(99).await, given("mo", 99).await), (vec![delegation.clone()], vec![delegation]));
    assert_eq!((taken(100).await, given("mo", 100).await, given("di", 99).await), (vec![], vec![], vec![]));
    assert_eq!(store.delegations_to(["al", "al", "mo"], &sales, 99).await.expect("rows"), []);
    let other = Workspace::parse("lab").expect("a workspace");
    assert!(!store.delegation_revoke(&other, "dlg_1", 50).await.expect("an answer"));
    assert!(store.delegation_revoke(&sales, "dlg_1", 50).await.expect("an answer"));
    assert_eq!((taken(60).await, given("mo", 60).await), (vec![], vec![]));
    assert!(!store.delegation_revoke(&sales, "dlg_1", 70).await.expect("an answer"));
}

fn place(row: &ApprovalRow) -> ApprovalPlace {
    let review_due = row.review.as_deref() == Some("due");
    ApprovalPlace { review_due, created_us: row.created_us, id: row.id.clone() }
}

async fn pages_lead_through_all_requests_and_begin_with_what_has_to_be_reviewed(database: &Database) {
    let store = database.store().await;
    for number in 0..120 {
        let state = if number % 2 == 0 { "pending" } else { "done" };
        let review = (number == 3).then(|| "due".to_owned());
        // Two of each time: the id decides between them.
        let row = row(number, &format!("digest {number}"), state);
        let row = ApprovalRow { review, created_us: u64::from(number / 2), ..row };
        assert!(store.approval_park(&row).await.expect("an answer"));
    }
    let forgotten = ApprovalRow { document: None, ..row(200, "forgotten", "done") };
    assert!(store.approval_park(&forgotten).await.expect("an answer"));
    let mut expected: Vec<u8> = (0..120).filter(|number| *number != 3).rev().collect();
    expected.insert(0, 3);
    let expected: Vec<ApprovalId> = expected.into_iter().map(id).collect();
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = store.approval_page(&sales(), ApprovalsWanted::All, after.as_ref()).await.expect("a page");
        let Some(last) = page.last() else { break };
        assert!(page.len() <= 50);
        after = Some(place(last));
        found.extend(page.into_iter().map(|row| row.id));
    }
    assert_eq!(found, expected);
    let first = async |wanted| store.approval_page(&sales(), wanted, None).await.expect("a page");
    assert!(first(ApprovalsWanted::Pending).await.iter().all(|row| row.state == "pending"));
    assert_eq!(first(ApprovalsWanted::Open).await[0].id, id(3));
    assert_eq!(first(ApprovalsWanted::Reviews).await.len(), 1);
    let lab = Workspace::parse("lab").expect("a workspace");
    assert_eq!(store.approval_page(&lab, ApprovalsWanted::All, None).await.expect("a page"), []);
}

async fn what_was_said_of_many_requests_is_read_at_once(database: &Database) {
    let store = database.store().await;
    for number in 1..=3 {
        assert!(store.approval_park(&row(number, &format!("{number}"), "pending")).await.expect("an answer"));
    }
    assert!(store.approval_save(&read(&store, 1).await, Some(&vote("mo"))).await.expect("an answer"));
    assert!(store.approval_save(&read(&store, 1).await, Some(&vote("di"))).await.expect("an answer"));
    assert!(store.approval_save(&read(&store, 3).await, Some(&vote("mo"))).await.expect("an answer"));
    let votes = store.approval_votes_of(&[id(1), id(2)]).await.expect("votes");
    assert_eq!(votes.len(), 1);
    assert_eq!(votes[&id(1)], [vote("di"), vote("mo")]);
    assert!(store.approval_votes_of(&[]).await.expect("votes").is_empty());
}

async fn what_waits_is_counted_by_account_and_workspace(database: &Database) {
    let store = database.store().await;
    let other = ApprovalRow { asker: Some("another".into()), ..row(3, "c", "begun") };
    for row in [row(1, "a", "pending"), row(2, "b", "done"), other] {
        assert!(store.approval_park(&row).await.expect("an answer"));
    }
    assert_eq!(store.approvals_open("an account", &sales()).await.expect("counts"), (1, 2));
    let lab = Workspace::parse("lab").expect("a workspace");
    assert_eq!(store.approvals_open("nobody", &lab).await.expect("counts"), (0, 0));
}

async fn what_is_over_is_forgotten_and_what_waits_or_has_to_be_reviewed_is_not(database: &Database) {
    let store = database.store().await;
    let over = ApprovalRow { ended_us: Some(200), result: Some(b"r".to_vec()), ..row(1, "a", "done") };
    let handed_out = ApprovalRow { delivered_us: Some(900), ..ApprovalRow { id: id(2), ..over.clone() } };
    let due = ApprovalRow { id: id(3), review: Some("due".into()), ..over.clone() };
    for row in [over, handed_out, due, row(4, "b", "pending")] {
        assert!(store.approval_park(&row).await.expect("an answer"));
    }
    let seen = read(&store, 1).await;
    let said = VoteRow { comment: Some(b"fine".to_vec()), ..vote("mo") };
    assert!(store.approval_save(&seen, Some(&said)).await.expect("an answer"));
    assert_eq!(store.approvals_old(200, 10).await.expect("ids"), []);
    assert_eq!(store.approvals_old(900, 10).await.expect("ids"), [id(1)]);
    assert_eq!(store.approvals_old(901, 10).await.expect("ids"), [id(1), id(2)]);
    store.approvals_empty(&[id(1), id(3), id(4)]).await.expect("forgotten");
    let gone = read(&store, 1).await;
    assert_eq!((gone.parked, gone.document, gone.result, gone.state.as_str()), (None, None, None, "done"));
    assert_eq!(store.approval_votes(&id(1)).await.expect("votes"), [vote("mo")]);
    assert!(read(&store, 3).await.document.is_some() && read(&store, 4).await.parked.is_some());
    assert_eq!(store.approvals_old(900, 10).await.expect("ids"), []);
}

async fn an_account_is_kept_as_it_was_last_seen_and_tokens_tell_whose_they_are(database: &Database) {
    let store = database.store().await;
    let role = |name: &str| Role::parse(name).expect("a role");
    let seen = |seen_us, roles| AccountRow {
        account: FoldedName::of("Corp:Ada"),
        workspace: sales(),
        issuer: "https://issuer.example.test".into(),
        person: Some(FoldedName::of("ADA@example.test")),
        roles,
        seen_us,
    };
    let newest = seen(20, vec![role("analyst")]);
    for row in [seen(10, vec![role("manager")]), newest.clone(), seen(15, vec![])] {
        store.account_note(&row).await.expect("noted");
    }
    let named = store.accounts_named(&FoldedName::of("corp:ada")).await.expect("accounts");
    let of = store.accounts_of(&FoldedName::of("ada@example.test")).await.expect("accounts");
    assert_eq!((named, of), (vec![newest.clone()], vec![newest]));

    let first = crate::token::token(2);
    let second = TokenRow { expires_us: first.expires_us + 1, ..crate::token::token(3) };
    let second = TokenRow { person: first.person.clone(), ..second };
    for token in [&first, &second] {
        store.token_insert(token).await.expect("a token");
    }
    let accounts = store.token_accounts().await.expect("accounts");
    assert_eq!(accounts.len(), 1, "one for all tokens of an account that are alike");
    assert_eq!((&accounts[0].account, accounts[0].expires_us), (&first.actor.folded(), second.expires_us));
    assert_eq!(accounts[0].person, Some(FoldedName::of("owner")));
    for token in [&first, &second] {
        assert!(store.token_revoke(&token.id, 5).await.expect("an answer"));
    }
    assert_eq!(store.token_accounts().await.expect("accounts"), []);
}
