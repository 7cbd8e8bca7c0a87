//! The check from the outside: does the log still say what it said?
//!
//! Everything is computed again from the stored bytes: the leaf hash of each
//! record, the tree over them, the sequence, what each record is found by, the
//! digest of what is sealed beside it, and for each call whether what was begun
//! was also ended.

use std::collections::{BTreeMap, HashMap};

use quaymaster_core::Timestamp;
use quaymaster_core::arguments::{push_hex, sha256_text};
use quaymaster_core::json::{canonical, parse_strict};
use quaymaster_store::{Store, StoredColumns, searchable};
use serde::Serialize;
use serde_json::Value;

use crate::audit::AuditError;
use crate::audit::merkle::{Tree, leaf_hash};
use crate::crypto::KEYED_DIGEST;

/// How many records are read at once; what is sealed beside one may be large.
const PAGE: u32 = 256;
/// How many problems are named; the rest are counted.
const NAMED: usize = 20;

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Verification {
    /// Whether nothing is wrong.
    pub intact: bool,
    /// How many records there are.
    pub records: u64,
    /// RFC 6962 root over all records, in hexadecimal.
    pub root: String,
    /// How many records of each event.
    pub events: BTreeMap<String, u64>,
    /// Calls that began and have no outcome: they run still, or their process died.
    pub open_calls: Vec<String>,
    /// Records whose sealed input was erased, as is anybody's right. No damage.
    pub erased: u64,
    /// Records whose input was too large to be sealed beside them. No damage.
    pub not_sealed: u64,
    /// What is wrong, the first few.
    pub problems: Vec<String>,
    /// How much is wrong.
    pub problem_count: u64,
}

impl Verification {
    fn problem(&mut self, text: String) {
        self.problem_count += 1;
        if self.problems.len() < NAMED {
            self.problems.push(text);
        }
    }
}

/// Verifies the log of `store` up to the size that it has now.
///
/// # Errors
///
/// [`AuditError::Store`] if it cannot be read; what is wrong with what was read
/// is in the [`Verification`].
pub async fn verify(store: &Store) -> Result<Verification, AuditError> {
    let state = store.audit_tree().await?;
    let mut found = Verification::default();
    let mut tree = Tree::default();
    let mut open: HashMap<String, u64> = HashMap::new();
    while tree.size() < state.size {
        let left = u32::try_from(state.size - tree.size()).unwrap_or(PAGE).min(PAGE);
        let page = store.audit_read(tree.size(), left).await?;
        let Some(last) = page.last().map(|r| r.seq) else {
            found.problem(format!("records {} to {} are missing", tree.size(), state.size - 1));
            break;
        };
        let mut columns = store.audit_columns(tree.size(), left).await?.into_iter().peekable();
        for record in page {
            let said = check_record(&record.body, &record.leaf, record.seq, tree.size(), &mut found);
            let beside = columns.next_if(|columns| columns.seq == record.seq);
            if let Some((said, beside)) = said.zip(beside) {
                check_columns(&said, &beside, &mut found);
                check_sealed(&said, &beside, &mut found);
            }
            follow_call(&record.body, &mut open, &mut found);
            tree.append(leaf_hash(&record.body));
        }
        if last + 1 != tree.size() {
            break;
        }
    }
    found.records = tree.size();
    push_hex(&mut found.root, &tree.root());
    if tree.size() != state.size || tree.frontier() != state.frontier {
        found.problem("the tree over the records is not the tree that was stored".into());
    }
    found.open_calls = open.into_keys().collect();
    found.open_calls.sort();
    found.intact = found.problem_count == 0;
    Ok(found)
}

/// Returns what the record says, if it can be read.
fn check_record(
    body: &[u8],
    leaf: &[u8; 32],
    seq: u64,
    expected: u64,
    found: &mut Verification,
) -> Option<Value> {
    if seq != expected {
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
    } else if value.get("seq").and_then(Value::as_u64) != Some(seq) {
        found.problem(format!("record {seq} says another sequence number of itself"));
    }
    Some(value)
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

/// An outcome needs an intent before it, and there is one of each.
fn follow_call(body: &[u8], open: &mut HashMap<String, u64>, found: &mut Verification) {
    #[derive(serde::Deserialize)]
    struct Head {
        event: String,
        call: Option<String>,
        seq: u64,
    }
    let Ok(head) = serde_json::from_slice::<Head>(body) else { return };
    *found.events.entry(head.event.clone()).or_default() += 1;
    let Some(call) = head.call else { return };
    match head.event.as_str() {
        "call.intent" if open.insert(call.clone(), head.seq).is_some() => {
            found.problem(format!("record {} begins a call that had begun", head.seq));
        }
        "call.outcome" if open.remove(&call).is_none() => {
            found.problem(format!("record {} ends a call that had not begun", head.seq));
        }
        _ => {}
    }
}
