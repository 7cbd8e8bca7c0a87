//! The decisions of the audit log, made again under other policies.
//!
//! Every decision is made out of what it was made on, which lies sealed beside its record. Reads
//! the log page by page; what is kept is the groups that differ, of which there is a most.

use std::collections::BTreeMap;

use quaymaster_control::DecisionInput;
use quaymaster_control::audit::{AuditError, Subjects};
use quaymaster_control::crypto::KEYED_DIGEST;
use quaymaster_core::{ActorId, Timestamp};
use quaymaster_store::{Store, StoredColumns, StoredRecord};
use serde::Serialize;
use serde_json::Value;

use crate::rules::{Rules, outcome};
use crate::state::StartError;

/// How many records are read at once.
const PAGE: u32 = 500;
/// How many groups are told apart; what differs beyond is counted.
const MAX_GROUPS: usize = 10_000;

/// What a backtest found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Backtest {
    /// How many decisions were made again.
    pub replayed: u64,
    /// How many of them differ.
    pub differing: u64,
    /// How many could not be made again.
    pub not_replayable: NotReplayable,
    /// What differs, by tool and actor, most calls first.
    pub differences: Vec<Difference>,
    /// How many calls differ that are in no group, because there are too many groups.
    pub ungrouped: u64,
}

/// Decisions that could not be made again, by why.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct NotReplayable {
    /// The key of the actor was erased, and with it what the decision was made on.
    pub erased: u64,
    /// What it was made on was too large to be kept.
    pub oversized: u64,
    /// There is no such tool any more.
    pub unknown_tool: u64,
    /// What was kept cannot be read by this version.
    pub unreadable: u64,
}

/// Calls of one actor to one tool that would be decided otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The tool.
    pub tool: String,
    /// Who asked.
    pub actor: String,
    /// What was decided.
    pub was: String,
    /// What would be.
    pub would_be: String,
    /// How many calls.
    pub calls: u64,
    /// The last of them.
    pub example: String,
}

type Group = (String, String, String, String);

/// Makes the decisions of the log again under `rules`, those from `since` until before `until`.
///
/// # Errors
///
/// [`StartError`] if the store or the sealing key fails.
pub async fn backtest(
    store: &Store,
    subjects: &Subjects,
    rules: &Rules,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
) -> Result<Backtest, StartError> {
    let actors = subjects.by_commitment().await.map_err(failed)?;
    let (mut found, mut groups, mut next) = (Backtest::default(), BTreeMap::new(), 0);
    loop {
        let columns = store.audit_columns(next, PAGE).await?;
        let Some(last) = columns.last() else { break };
        let records = store.audit_read(next, PAGE).await?;
        next = last.seq + 1;
        for (row, record) in columns.iter().zip(&records).filter(|(row, record)| row.seq == record.seq) {
            let at = Timestamp::from_micros(row.time_us);
            let in_range = since.is_none_or(|since| at >= since) && until.is_none_or(|until| at < until);
            let is_decision = matches!(row.event.as_str(), "call.intent" | "call.refused");
            let Some(was) = was(record).filter(|_| in_range && is_decision) else { continue };
            let actor = row.actor.as_deref().and_then(|commitment| actors.get(commitment));
            if row.sealed.is_none() {
                *counter(&mut found.not_replayable, why_gone(record)) += 1;
                continue;
            }
            match again(row, actor, subjects, rules).await? {
                Ok((input, would_be, sets)) => {
                    found.replayed += 1;
                    // An input that does not say how the session was labelled is no evidence of a change.
                    let set = input.sets_labels.clone().unwrap_or_else(|| sets.clone());
                    let (was, would_be) = (labelling(was, &set), labelling(would_be, &sets));
                    if was != would_be {
                        found.differing += 1;
                        let group = (input.tool, input.actor.id.to_string(), was, would_be);
                        note(&mut groups, group, row, &mut found.ungrouped);
                    }
                }
                Err(why) => *counter(&mut found.not_replayable, why) += 1,
            }
        }
    }
    let difference = |((tool, actor, was, would_be), (calls, example)): (Group, (u64, String))| Difference {
        tool,
        actor,
        was,
        would_be,
        calls,
        example,
    };
    found.differences = groups.into_iter().map(difference).collect();
    found.differences.sort_by_key(|difference| std::cmp::Reverse(difference.calls));
    Ok(found)
}

/// `outcome` with how the session is labelled, where it is.
fn labelling(outcome: String, labels: &[String]) -> String {
    if labels.is_empty() { outcome } else { format!("{outcome}, labelled {}", labels.join(",")) }
}

/// Why a decision cannot be made again.
#[derive(Clone, Copy, Debug)]
enum Why {
    Erased,
    Oversized,
    UnknownTool,
    Unreadable,
}

fn counter(counts: &mut NotReplayable, why: Why) -> &mut u64 {
    match why {
        Why::Erased => &mut counts.erased,
        Why::Oversized => &mut counts.oversized,
        Why::UnknownTool => &mut counts.unknown_tool,
        Why::Unreadable => &mut counts.unreadable,
    }
}

fn note(groups: &mut BTreeMap<Group, (u64, String)>, group: Group, row: &StoredColumns, ungrouped: &mut u64) {
    if groups.len() >= MAX_GROUPS && !groups.contains_key(&group) {
        *ungrouped += 1;
        return;
    }
    let (calls, example) = groups.entry(group).or_default();
    *calls += 1;
    *example = row.call_id.clone().unwrap_or_default();
}

/// What a decision was made on, what would be decided, and how the session would be labelled.
type Again = (DecisionInput, String, Vec<String>);

/// Why there is no input beside a record: it was too large to be kept, or it was erased.
fn why_gone(record: &StoredRecord) -> Why {
    let body: Value = serde_json::from_slice(&record.body).unwrap_or_default();
    let digest = body.pointer("/decision/input").and_then(Value::as_str).unwrap_or_default();
    if digest.starts_with(KEYED_DIGEST) { Why::Oversized } else { Why::Erased }
}

async fn again(
    row: &StoredColumns,
    actor: Option<&ActorId>,
    subjects: &Subjects,
    rules: &Rules,
) -> Result<Result<Again, Why>, StartError> {
    let Some(sealed) = &row.sealed else { return Ok(Err(Why::Erased)) };
    let Some(actor) = actor else { return Ok(Err(Why::Erased)) };
    let Some(subject) = subjects.find(actor).await.map_err(failed)? else { return Ok(Err(Why::Erased)) };
    let call = row.call_id.as_deref().unwrap_or_default();
    let opened = subject.open(call, sealed).ok();
    let input =
        opened.and_then(|bytes| DecisionInput::parse(&bytes, Timestamp::from_micros(row.time_us)).ok());
    let Some(input) = input else { return Ok(Err(Why::Unreadable)) };
    Ok(match rules.replay(&input) {
        Some(decision) => {
            let sets: Vec<String> = decision.obligations.labels.iter().cloned().collect();
            Ok((input, outcome(&decision.effect), sets))
        }
        None => Err(Why::UnknownTool),
    })
}

/// What was decided, as [`outcome`] says it; none where nothing was.
fn was(record: &StoredRecord) -> Option<String> {
    let body: Value = serde_json::from_slice(&record.body).ok()?;
    let effect = body.pointer("/decision/effect")?.as_str()?;
    let roles = body.pointer("/approval/roles").and_then(Value::as_str);
    Some(match roles.filter(|_| effect == "approval") {
        Some(roles) => format!("approval by {roles}"),
        None => effect.to_owned(),
    })
}

fn failed(error: AuditError) -> StartError {
    StartError::from(error)
}
