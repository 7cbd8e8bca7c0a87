//! Letters about requests for approval, and codes for the console: each once.

use quaymaster_core::ApprovalId;
use quaymaster_store::{ApprovalKey, ApprovalRow, CodeRow, LetterRow, NewsEvent};

use crate::approval::row;
use crate::database::Database;

crate::over_both! {
    of_an_event_letters_are_made_once,
    of_each_escalation_letters_are_made_once_and_as_long_as_the_request_waits,
    a_letter_is_taken_by_one_and_there_until_it_is_removed,
    a_code_counts_once_and_until_its_end,
}

fn letter(id: &str, approval: &ApprovalId) -> LetterRow {
    LetterRow {
        id: id.into(),
        approval: approval.clone(),
        event: NewsEvent::Requested,
        target: "webhook:chat".into(),
        created_us: 500,
        next_us: 500,
        attempts: 0,
    }
}

async fn of_an_event_letters_are_made_once(database: &Database) {
    let store = database.store().await;
    let parked = row(1, "a", "pending");
    assert!(store.approval_park(&parked).await.expect("an answer"));
    let news = async |event| store.news(event, (0, 1_000), 10).await.expect("an answer");
    assert_eq!(news(NewsEvent::Requested).await, std::slice::from_ref(&parked.id));
    assert_eq!(store.news(NewsEvent::Requested, (102, 1_000), 10).await.expect("an answer"), []);
    assert_eq!((news(NewsEvent::Decided).await, news(NewsEvent::Ended).await), (vec![], vec![]));
    let made = async |id: &str| {
        let letters = [letter(id, &parked.id)];
        store.letters_insert((&parked.id, NewsEvent::Requested), &letters, 500).await.expect("an answer")
    };
    assert!(made("msg_1").await);
    assert!(!made("msg_2").await, "somebody else was faster");
    assert_eq!(news(NewsEvent::Requested).await, []);
    assert_eq!(store.letters_due(500, 10).await.expect("an answer"), [letter("msg_1", &parked.id)]);

    let read = store.approval(&ApprovalKey::Id(parked.id.clone())).await.expect("an answer").expect("a row");
    let done = ApprovalRow { state: "done".into(), decided_us: Some(600), ended_us: Some(700), ..read };
    assert!(store.approval_save(&done, None).await.expect("an answer"));
    assert_eq!(news(NewsEvent::Decided).await, std::slice::from_ref(&parked.id));
    assert_eq!(news(NewsEvent::Ended).await, [parked.id]);
}

async fn of_each_escalation_letters_are_made_once_and_as_long_as_the_request_waits(database: &Database) {
    let store = database.store().await;
    let parked = ApprovalRow { escalates_us: Some(300), ..row(1, "a", "pending") };
    let other = row(2, "b", "pending");
    for row in [&parked, &other] {
        assert!(store.approval_park(row).await.expect("an answer"));
    }
    let news = async |now| store.news(NewsEvent::Escalated, (0, now), 10).await.expect("an answer");
    assert_eq!(news(299).await, []);
    assert_eq!(news(300).await, std::slice::from_ref(&parked.id));
    let made = async |id: &str, at, next| {
        let letters = [LetterRow { event: NewsEvent::Escalated, ..letter(id, &parked.id) }];
        store.escalation_letters_insert(&parked.id, (at, next), &letters).await.expect("an answer")
    };
    assert!(made("msg_1", 300, Some(400)).await);
    assert!(!made("msg_2", 300, Some(400)).await, "somebody else was faster");
    assert_eq!((news(399).await, news(400).await), (vec![], vec![parked.id.clone()]));
    assert!(made("msg_3", 400, None).await);
    assert_eq!(news(9_000).await, []);
    let due = store.letters_due(500, 10).await.expect("an answer");
    assert_eq!(due.iter().map(|letter| letter.id.as_str()).collect::<Vec<_>>(), ["msg_1", "msg_3"]);

    // That it is told changes nothing that somebody else is about to change.
    let read = store.approval(&ApprovalKey::Id(parked.id.clone())).await.expect("an answer").expect("a row");
    assert_eq!((read.version, read.escalates_us), (parked.version, None));
    let due = ApprovalRow { state: "approved".into(), review: Some("due".into()), ..read };
    assert!(store.approval_save(&due, None).await.expect("an answer"));
    let reviews = store.news(NewsEvent::ReviewDue, (0, 0), 10).await.expect("an answer");
    assert_eq!(reviews, [parked.id]);
}

async fn a_letter_is_taken_by_one_and_there_until_it_is_removed(database: &Database) {
    let store = database.store().await;
    let parked = row(1, "a", "pending");
    assert!(store.approval_park(&parked).await.expect("an answer"));
    let letter = letter("msg_1", &parked.id);
    let event = (&parked.id, NewsEvent::Requested);
    assert!(store.letters_insert(event, std::slice::from_ref(&letter), 500).await.expect("an answer"));
    assert_eq!(store.letters_due(499, 10).await.expect("an answer"), []);
    assert!(store.letter_move(&letter, 900, 1).await.expect("an answer"));
    assert!(!store.letter_move(&letter, 900, 1).await.expect("an answer"), "it is taken");
    assert_eq!(store.letters_due(899, 10).await.expect("an answer"), []);
    let due = store.letters_due(900, 10).await.expect("an answer");
    assert_eq!(due, [LetterRow { next_us: 900, attempts: 1, ..letter.clone() }]);
    store.letter_remove(&letter.id).await.expect("removed");
    assert_eq!(store.letters_due(9_000, 10).await.expect("an answer"), []);
}

async fn a_code_counts_once_and_until_its_end(database: &Database) {
    let store = database.store().await;
    let holder = b"ada".to_vec();
    let code = |n: u8| CodeRow { hash: [n; 32], holder: holder.clone(), created_us: 100, expires_us: 200 };
    for n in 1..=2 {
        store.code_insert(&code(n)).await.expect("stored");
    }
    let used = async |n: u8, now| store.code_use(&[n; 32], now).await.expect("an answer");
    assert_eq!(used(3, 150).await, None, "there is none");
    assert_eq!(used(1, 200).await, None, "it is over");
    assert_eq!(used(1, 199).await, Some(holder.clone()));
    assert_eq!(used(1, 199).await, None, "it was used");
    let (one, other) = tokio::join!(used(2, 150), used(2, 150));
    assert!(one.is_some() != other.is_some(), "of two at once one counts");
}
