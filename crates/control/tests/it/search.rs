//! Finding records by what they say.

use std::collections::BTreeMap;

use quaymaster_control::audit::search::{Found, Wanted, find, timeline};
use quaymaster_control::audit::{Durability, Event, Record};
use quaymaster_core::{Clock, SystemClock};
use quaymaster_store::AuditFilter;
use serde_json::Value;

use crate::world::World;

async fn write(world: &World, record: Record<'_>) {
    world.evidence.audit.append(record, None, Durability::Durable).await.expect("written");
}

fn call(event: Event, call: &str) -> Record<'static> {
    let mut record = Record::new(event, SystemClock.now());
    record.call = Some(call.into());
    record
}

fn calls(found: &[quaymaster_store::StoredRecord]) -> Vec<String> {
    let call = |body: &[u8]| {
        let said: Value = serde_json::from_slice(body).expect("JSON");
        said.get("call").and_then(Value::as_str).unwrap_or("-").to_owned()
    };
    found.iter().map(|record| call(&record.body)).collect()
}

async fn world() -> World {
    let world = World::new().await;
    for (name, session, code) in
        [("a", "ses_1", "policy.denied"), ("b", "ses_2", "limit.rate"), ("c", "ses_1", "policy.denied")]
    {
        let mut record = call(Event::CallRefused, name);
        (record.session, record.code) = (Some(session), Some(code));
        record.upstream_ids = Box::leak(Box::new([format!("Ticket-{name}")]));
        write(&world, record).await;
    }
    let mut stopped = call(Event::CallIntent, "d");
    stopped.session = Some("ses_3");
    write(&world, stopped).await;
    let mut ended = call(Event::CallOutcome, "d");
    ended.incident = Some(BTreeMap::from([("id".into(), "inc_1".into())]));
    write(&world, ended).await;
    world
}

async fn words(world: &World, words: &[&str], limit: u32) -> Found {
    let words = words.iter().map(|word| (*word).to_owned()).collect();
    find(&world.store, &Wanted { words, ..Wanted::default() }, limit).await.expect("an answer")
}

#[tokio::test]
async fn words_are_found_in_values_whatever_their_case_and_not_in_the_names_of_members() {
    let world = world().await;
    assert_eq!(calls(&words(&world, &["ticket-B"], 10).await.records), ["b"]);
    assert_eq!(calls(&words(&world, &["policy", "TICKET-c"], 10).await.records), ["c"]);
    assert_eq!(words(&world, &["upstream_ids"], 10).await.records.len(), 0);
    let filter = AuditFilter { code: Some("policy.denied".into()), ..AuditFilter::default() };
    let wanted =
        Wanted { filter, session: Some("ses_1".into()), words: vec!["ticket-a".into()], incident: None };
    assert_eq!(calls(&find(&world.store, &wanted, 10).await.expect("an answer").records), ["a"]);
}

#[tokio::test]
async fn pages_follow_each_other_without_a_gap_and_end() {
    let world = world().await;
    let mut wanted = Wanted { words: vec!["ticket".into()], ..Wanted::default() };
    let mut all = Vec::new();
    loop {
        let page = find(&world.store, &wanted, 1).await.expect("an answer");
        all.extend(calls(&page.records));
        match page.next {
            Some(next) => wanted.filter.before_seq = Some(next),
            None => break,
        }
    }
    assert_eq!(all, ["c", "b", "a"]);
}

#[tokio::test]
async fn a_timeline_tells_of_whole_calls_in_order() {
    let world = world().await;
    let of_switch = Wanted { incident: Some("inc_1".into()), ..Wanted::default() };
    let told = timeline(&world.store, &of_switch, 100).await.expect("an answer");
    assert_eq!(calls(&told), ["d", "d"], "the intent that does not speak of the switch as well");
    let of_session = Wanted { session: Some("ses_1".into()), ..Wanted::default() };
    let told = timeline(&world.store, &of_session, 100).await.expect("an answer");
    assert_eq!(calls(&told), ["a", "c"]);
}
