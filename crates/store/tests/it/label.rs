//! What whoever calls has seen.

use quaymaster_store::{ClearedRow, LabelRow};

use crate::database::Database;

crate::over_both! {
    a_label_stands_until_its_time_is_over_and_only_ever_lasts_longer,
    labels_are_taken_away_one_by_one_and_that_is_noted,
    what_one_account_of_a_person_saw_is_not_gone_with_what_another_saw,
    an_erased_person_leaves_no_label,
}

fn row(holder: &str, label: &str, call: &str, (since_us, until_us): (u64, u64)) -> LabelRow {
    LabelRow {
        holder: holder.into(),
        label: label.into(),
        workspace: "sales".into(),
        account: "ada".into(),
        call: call.into(),
        since_us,
        until_us,
    }
}

async fn a_label_stands_until_its_time_is_over_and_only_ever_lasts_longer(database: &Database) {
    let store = database.store().await;
    assert!(!store.labels_exist(0).await.expect("an answer"));
    store.labels_set(&[row("a", "saw:a", "call_1", (1, 10))]).await.expect("set");
    let others = [row("a", "saw:a", "call_2", (2, 8)), row("b", "saw:a", "call_2", (2, 8))];
    store.labels_set(&others).await.expect("set");
    let of_a = |now| {
        let store = store.clone();
        async move { store.labels_of(["a", "a", "nobody"], now).await.expect("rows") }
    };
    assert_eq!(of_a(9).await, [row("a", "saw:a", "call_1", (1, 10))]);
    store.labels_set(&[row("a", "saw:a", "call_3", (5, 15))]).await.expect("set");
    assert_eq!(of_a(9).await, [row("a", "saw:a", "call_1", (1, 15))]);
    assert_eq!(of_a(15).await, []);
    assert!(store.labels_exist(14).await.expect("an answer"));
    // What is over begins anew.
    store.labels_set(&[row("a", "saw:a", "call_4", (20, 30))]).await.expect("set");
    assert_eq!(of_a(21).await, [row("a", "saw:a", "call_4", (20, 30))]);
    store.labels_purge(30, 0).await.expect("purged");
    assert!(!store.labels_exist(0).await.expect("an answer"));
}

async fn what_one_account_of_a_person_saw_is_not_gone_with_what_another_saw(database: &Database) {
    let store = database.store().await;
    let one = row("actor:ada", "saw:a", "call_1", (1, 10));
    let other = LabelRow { account: "bot".into(), ..row("actor:ada", "saw:a", "call_2", (2, 10)) };
    store.labels_set(&[one, other.clone()]).await.expect("set");
    let of_one = store.labels_in("sales", Some(("nobody", "ada")), 3).await.expect("rows");
    let note = ClearedRow {
        id: "one".into(),
        workspace: "sales".into(),
        account: "ada".into(),
        labels: "saw:a".into(),
        cleared_by: "mo".into(),
        reason: "harmless".into(),
        cleared_us: 3,
    };
    store.labels_clear(&of_one, &note).await.expect("cleared");
    assert_eq!(store.labels_of(["actor:ada", "a", "b"], 3).await.expect("rows"), [other]);
}

async fn labels_are_taken_away_one_by_one_and_that_is_noted(database: &Database) {
    let store = database.store().await;
    let rows = [
        row("actor:ada", "saw:a", "call_1", (1, 10)),
        row("actor:ada", "saw:b", "call_1", (2, 10)),
        row("session:1", "saw:b", "call_1", (2, 10)),
    ];
    store.labels_set(&rows).await.expect("set");
    assert_eq!(store.labels_in("sales", None, 1).await.expect("rows"), rows);
    assert_eq!(store.labels_in("sales", Some(("actor:ada", "nobody")), 1).await.expect("rows"), rows[..2]);
    assert_eq!(store.labels_in("sales", Some(("nobody", "ada")), 1).await.expect("rows"), rows);
    assert_eq!(store.labels_in("lab", None, 1).await.expect("rows"), []);
    let note = ClearedRow {
        id: "one".into(),
        workspace: "sales".into(),
        account: "ada".into(),
        labels: "saw:a".into(),
        cleared_by: "mo".into(),
        reason: "looked at".into(),
        cleared_us: 3,
    };
    store.labels_clear(&rows[..1], &note).await.expect("cleared");
    assert_eq!(store.labels_in("sales", None, 1).await.expect("rows"), rows[1..]);
    assert_eq!(store.labels_cleared("sales").await.expect("rows"), [note]);
    store.labels_purge(0, 3).await.expect("purged");
    assert_eq!(store.labels_cleared("sales").await.expect("rows"), []);
}

async fn an_erased_person_leaves_no_label(database: &Database) {
    let store = database.store().await;
    let mut of_bo = row("actor:ada", "saw:b", "call_2", (1, 10));
    of_bo.account = "bo".into();
    let rows = [row("actor:other", "saw:a", "call_1", (1, 10)), of_bo];
    store.labels_set(&rows).await.expect("set");
    let note = ClearedRow {
        id: "one".into(),
        workspace: "sales".into(),
        account: "cy".into(),
        labels: "saw:a".into(),
        cleared_by: "ada".into(),
        reason: "looked at".into(),
        cleared_us: 3,
    };
    store.labels_clear(&[], &note).await.expect("noted");
    store.subject_erase("Ada", "hmac-sha256:aa", "ada").await.expect("erased");
    assert_eq!(store.labels_in("sales", None, 1).await.expect("rows"), []);
    assert_eq!(store.labels_cleared("sales").await.expect("rows"), []);
}
