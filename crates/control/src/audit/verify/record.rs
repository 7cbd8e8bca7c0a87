//! One record and what stands beside it.

use quaymaster_core::Timestamp;
use quaymaster_core::arguments::sha256_text;
use quaymaster_core::json::{canonical, parse_strict};
use quaymaster_store::{StoredColumns, StoredRecord, searchable};
use serde_json::Value;

use super::Verification;
use crate::audit::merkle::leaf_hash;
use crate::crypto::KEYED_DIGEST;

/// Returns what the record says, if it can be read.
pub(super) fn check(record: &StoredRecord, expected: u64, found: &mut Verification) -> Option<Value> {
    let StoredRecord { seq, body, leaf } = record;
    if *seq != expected {
        found.problem(format!("record {expected} is missing: {seq} follows"));
    }
    if leaf_hash(body) != *leaf {
        found.problem(format!("record {seq} does not have the hash that was stored with it"));
    }
    let text = std::str::from_utf8(body).unwrap_or_default();
    let Ok(value) = parse_strict(text) else {
        found.problem(format!("record {seq} is not JSON"));
        return None;
    };
    if canonical(&value) != text {
        found.problem(format!("record {seq} is not in canonical form"));
    } else if value.get("seq").and_then(Value::as_u64) != Some(*seq) {
        found.problem(format!("record {seq} says another sequence number of itself"));
    }
    Some(value)
}

/// What stands beside a record: columns that it is found by, and what is sealed.
pub(super) fn check_beside(said: &Value, beside: &StoredColumns, found: &mut Verification) {
    check_columns(said, beside, found);
    check_sealed(said, beside, found);
}

/// A record must be found by what it says, or it could be hidden from a search.
fn check_columns(said: &Value, beside: &StoredColumns, found: &mut Verification) {
    let text = |pointer: &str| said.pointer(pointer).and_then(Value::as_str).map(searchable);
    // An outcome is found by its call, whose intent has the actor.
    let actor = text("/actor/id").filter(|_| beside.event != "call.outcome");
    let pairs = [
        ("time", text("/time"), Some(Timestamp::from_micros(beside.time_us).to_string())),
        ("event", text("/event"), Some(beside.event.clone())),
        ("call", text("/call"), beside.call_id.clone()),
        ("actor", actor, beside.actor.clone()),
        ("workspace", text("/workspace"), beside.workspace.clone()),
        ("tool", text("/tool/name"), beside.tool.clone()),
        ("status", text("/status"), beside.status.clone()),
        ("code", text("/code"), beside.code.clone()),
    ];
    for (name, _, _) in pairs.iter().filter(|(_, says, stored)| says != stored) {
        found.problem(format!("record {} is found by another {name} than it says", beside.seq));
    }
}

/// What is sealed may be erased, but not be another.
fn check_sealed(said: &Value, beside: &StoredColumns, found: &mut Verification) {
    let digest = said.pointer("/decision/input").and_then(Value::as_str);
    match (digest, &beside.sealed) {
        (None, None) => {}
        (Some(digest), None) if digest.starts_with(KEYED_DIGEST) => found.not_sealed += 1,
        (Some(_), None) => found.erased += 1,
        (Some(digest), Some(sealed)) if sha256_text(sealed) == digest => {}
        (_, Some(_)) => {
            found.problem(format!("what is sealed beside record {} is not what it speaks of", beside.seq));
        }
    }
}
