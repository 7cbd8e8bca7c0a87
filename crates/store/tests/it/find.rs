//! Finding records: every condition alone and together, newest first, page by page.

use quaymaster_store::{AuditFilter, Store};

use crate::database::Database;
use crate::record::{append, record};

crate::over_both! {
    each_condition_selects_what_fits_it,
    conditions_narrow_each_other,
    pages_follow_one_another_from_the_newest,
    a_hostile_text_is_stored_and_found_and_is_never_sql,
}

/// Twelve records: calls of two, actors in turn, every fourth denied.
async fn filled(database: &Database) -> Store {
    let store = database.store().await;
    let records = (0..12).map(|seq| {
        let mut record = record(seq);
        record.time_us = seq * 10;
        record.event = if seq % 2 == 0 { "call.intent" } else { "call.outcome" };
        record.call_id = Some(format!("call_{}", seq / 2).into());
        record.actor = Some(if seq % 4 < 2 { "ada" } else { "bo" }.into());
        record.workspace = Some(if seq < 6 { "sales" } else { "support" }.into());
        record.tool = (seq != 11).then(|| "metrics_revenue".into());
        record.status = (seq % 2 == 1).then(|| if seq % 4 == 3 { "failed" } else { "success" }.into());
        record.code = (seq % 4 == 3).then(|| "policy.denied".into());
        record
    });
    append(&store, records.collect()).await.expect("a batch");
    store
}

async fn found(store: &Store, filter: AuditFilter) -> Vec<u64> {
    store.audit_find(&filter, 100).await.expect("records").iter().map(|record| record.seq).collect()
}

async fn each_condition_selects_what_fits_it(database: &Database) {
    let store = filled(database).await;
    let all = AuditFilter::default;
    let text = |text: &str| Some(text.to_owned());
    let cases = [
        (all(), vec![11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0]),
        (AuditFilter { call_id: text("call_2"), ..all() }, vec![5, 4]),
        (AuditFilter { actor: text("bo"), ..all() }, vec![11, 10, 7, 6, 3, 2]),
        (AuditFilter { workspace: text("sales"), ..all() }, vec![5, 4, 3, 2, 1, 0]),
        (AuditFilter { tool: text("metrics_revenue"), since_us: Some(90), ..all() }, vec![10, 9]),
        (AuditFilter { event: text("call.outcome"), ..all() }, vec![11, 9, 7, 5, 3, 1]),
        (AuditFilter { status: text("failed"), ..all() }, vec![11, 7, 3]),
        (AuditFilter { code: text("policy.denied"), ..all() }, vec![11, 7, 3]),
        (AuditFilter { since_us: Some(100), ..all() }, vec![11, 10]),
        (AuditFilter { until_us: Some(20), ..all() }, vec![1, 0]),
        (AuditFilter { before_seq: Some(2), ..all() }, vec![1, 0]),
        (AuditFilter { actor: text("nobody"), ..all() }, vec![]),
        (AuditFilter { until_us: Some(u64::MAX), before_seq: Some(1), ..all() }, vec![0]),
    ];
    for (filter, expected) in cases {
        assert_eq!(found(&store, filter.clone()).await, expected, "{filter:?}");
    }
}

async fn conditions_narrow_each_other(database: &Database) {
    let store = filled(database).await;
    let filter = AuditFilter {
        call_id: Some("call_3".into()),
        actor: Some("bo".into()),
        workspace: Some("support".into()),
        tool: Some("metrics_revenue".into()),
        event: Some("call.outcome".into()),
        status: Some("failed".into()),
        code: Some("policy.denied".into()),
        since_us: Some(70),
        until_us: Some(71),
        before_seq: Some(8),
    };
    assert_eq!(found(&store, filter.clone()).await, [7]);
    assert_eq!(found(&store, AuditFilter { since_us: Some(71), ..filter.clone() }).await, [0; 0]);
    assert_eq!(found(&store, AuditFilter { until_us: Some(70), ..filter.clone() }).await, [0; 0]);
    assert_eq!(found(&store, AuditFilter { before_seq: Some(7), ..filter }).await, [0; 0]);
}

async fn pages_follow_one_another_from_the_newest(database: &Database) {
    let store = filled(database).await;
    let mut filter = AuditFilter { workspace: Some("sales".into()), ..AuditFilter::default() };
    let mut pages = Vec::new();
    loop {
        let page = store.audit_find(&filter, 4).await.expect("a page");
        let Some(last) = page.last() else { break };
        filter.before_seq = Some(last.seq);
        pages.push(page.iter().map(|record| record.seq).collect::<Vec<_>>());
    }
    assert_eq!(pages, [vec![5, 4, 3, 2], vec![1, 0]]);
    assert_eq!(store.audit_find(&AuditFilter::default(), 0).await.expect("no page").len(), 0);
}

async fn a_hostile_text_is_stored_and_found_and_is_never_sql(database: &Database) {
    let store = database.store().await;
    let texts =
        ["'; DROP TABLE audit_records; --", "a\0b", "$1 ?1 :x", &"long".repeat(100_000), "{\"a\",NULL}"];
    for (seq, text) in (0..).zip(texts) {
        let mut record = record(seq);
        record.tool = Some(text.into());
        record.actor = Some(text.into());
        append(&store, vec![record]).await.expect("a record");
    }
    for (seq, text) in (0..).zip(texts) {
        let filter = AuditFilter {
            tool: Some(text.to_owned()),
            actor: Some(text.to_owned()),
            ..AuditFilter::default()
        };
        assert_eq!(found(&store, filter).await, [seq]);
    }
}
