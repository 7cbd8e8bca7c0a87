//! Finding records by what they say, and telling what happened in order.
//!
//! What has a column is asked of the store; sessions, switches and words are looked for in the records
//! themselves, page by page. Records hold no names, arguments or results, so there is nothing in them that
//! must not be searched.

use std::collections::{BTreeMap, BTreeSet};

use quaymaster_store::{AuditFilter, Store, StoredRecord};
use serde_json::Value;

use super::AuditError;

/// How many records are looked at together.
const PAGE: u32 = 1_000;
/// Most records that are given at once.
pub const MAX_FOUND: u32 = 10_000;

/// Which records. All that is named must fit.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// What the store looks for.
    pub filter: AuditFilter,
    /// Of this session, thread or correlation.
    pub session: Option<String>,
    /// That speak of this incident switch.
    pub incident: Option<String>,
    /// With each of these words somewhere in their values, in capitals or not.
    pub words: Vec<String>,
}

/// Records, newest first.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// The records.
    pub records: Vec<StoredRecord>,
    /// Where the next page begins, as [`AuditFilter::before_seq`]; none at the end.
    pub next: Option<u64>,
}

impl Wanted {
    fn only_columns(&self) -> bool {
        self.session.is_none() && self.incident.is_none() && self.words.is_empty()
    }

    fn fits(&self, record: &StoredRecord) -> bool {
        if self.only_columns() {
            return true;
        }
        let Ok(said) = serde_json::from_slice::<Value>(&record.body) else { return false };
        let at = |pointer: &str| said.pointer(pointer).and_then(Value::as_str);
        let places = ["/session", "/correlation", "/agent/session", "/agent/thread", "/agent/parent_thread"];
        let session = self
            .session
            .as_deref()
            .is_none_or(|session| places.iter().any(|place| at(place) == Some(session)));
        let incident = self.incident.as_deref().is_none_or(|id| at("/incident/id") == Some(id));
        session && incident && self.words.iter().all(|word| has(&said, &word.to_lowercase()))
    }
}

/// Whether a text or number in `value` has `word`, which is in small letters.
fn has(value: &Value, word: &str) -> bool {
    match value {
        Value::String(text) => text.to_lowercase().contains(word),
        Value::Number(number) => number.to_string() == word,
        Value::Array(items) => items.iter().any(|item| has(item, word)),
        Value::Object(members) => members.values().any(|member| has(member, word)),
        Value::Null | Value::Bool(_) => false,
    }
}

/// Finds at most `limit` records, newest first.
///
/// # Errors
///
/// [`AuditError::Store`] if the store fails.
pub async fn find(store: &Store, wanted: &Wanted, limit: u32) -> Result<Found, AuditError> {
    let limit = usize::try_from(limit.min(MAX_FOUND)).unwrap_or(usize::MAX);
    let mut filter = wanted.filter.clone();
    let mut found = Found::default();
    loop {
        let page = store.audit_find(&filter, PAGE).await?;
        for record in page.iter().filter(|record| wanted.fits(record)) {
            if found.records.len() >= limit {
                found.next = found.records.last().map(|last| last.seq);
                return Ok(found);
            }
            found.records.push(record.clone());
        }
        match page.last() {
            Some(last) if page.len() >= PAGE as usize => filter.before_seq = Some(last.seq),
            _ => return Ok(found),
        }
    }
}

/// What fits, and whatever else the log has of the calls that it speaks of, oldest first.
///
/// # Errors
///
/// [`AuditError::Store`] if the store fails.
pub async fn timeline(store: &Store, wanted: &Wanted, limit: u32) -> Result<Vec<StoredRecord>, AuditError> {
    let found = find(store, wanted, limit).await?;
    let mut all: BTreeMap<u64, StoredRecord> = BTreeMap::new();
    let calls: BTreeSet<String> = found.records.iter().filter_map(call_of).collect();
    all.extend(found.records.into_iter().map(|record| (record.seq, record)));
    for call in calls {
        let filter = AuditFilter { call_id: Some(call), ..AuditFilter::default() };
        let of_call = store.audit_find(&filter, PAGE).await?;
        all.extend(of_call.into_iter().map(|record| (record.seq, record)));
    }
    Ok(all.into_values().collect())
}

fn call_of(record: &StoredRecord) -> Option<String> {
    let said: Value = serde_json::from_slice(&record.body).ok()?;
    said.get("call").and_then(Value::as_str).map(str::to_owned)
}
