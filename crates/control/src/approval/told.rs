//! What whoever asked is told of their request.

use quaymaster_core::text::plain;
use quaymaster_core::{ApprovalId, CallError, ErrorCode, Gate, Retry, Timestamp};
use quaymaster_store::ApprovalRow;
use serde_json::{Value, json};

use super::ask::Asked;
use super::opened::{DECISION, gates, verdict, voice};
use super::{ApprovalError, Approvals, State};

/// Most characters of a comment that is put into a sentence.
const MAX_SAID_CHARS: usize = 300;

/// What deciders said in their own words, for whoever asked. It does not say who said it.
#[derive(Debug, Default)]
pub(super) struct Words(Vec<(&'static str, String)>);

impl Words {
    /// The last of it, in a sentence.
    fn last(&self) -> Option<String> {
        let (_, words) = self.0.last()?;
        let cut: String = words.chars().take(MAX_SAID_CHARS).collect();
        let more = if words.chars().count() > MAX_SAID_CHARS { "…" } else { "" };
        Some(format!("in their words: `{cut}{more}`"))
    }
}

impl Approvals {
    /// What deciders said of a request in their own words, once it was decided.
    pub(super) async fn words(&self, row: &ApprovalRow) -> Result<Words, ApprovalError> {
        let mut words = Vec::new();
        if row.decided_us.is_some() {
            for vote in self.store.approval_votes(&row.id).await? {
                let Some(comment) = vote.comment.as_deref().filter(|_| vote.kind == DECISION) else {
                    continue;
                };
                if let Some(comment) = self.subjects.open_about(&voice(&row.id, "words"), comment).await? {
                    words.push((verdict(&vote)?.as_str(), plain(&comment)));
                }
            }
        }
        Ok(Words(words))
    }
}

/// How a caller is told that its call waits.
pub(super) fn waits(row: &ApprovalRow, stands: State, words: &Words) -> Asked {
    let gates = gates(row).unwrap_or_default();
    let whose: Vec<String> = gates.iter().map(Gate::to_string).collect();
    let whose = whose.join(" and ");
    let message = match stands {
        State::Pending => format!("this call waits for the agreement of {whose}"),
        State::Approved => "this call was agreed to and is about to run".to_owned(),
        _ => "this call was agreed to and runs".to_owned(),
    };
    let hint = format!(
        "call `await_approval` with id `{}`, or make the same call again later: it is made once, and its result waits for you",
        row.id
    );
    let error = CallError::new(ErrorCode::ApprovalRequired, message)
        .retry(Retry::Safe)
        .hint(hint)
        .waiting_for(described(row, stands, words));
    Asked::Refused(error, row.id.clone())
}

/// How a caller is told that its call will not run; none if it will, or did.
pub(super) fn refusal(row: &ApprovalRow, stands: State, words: &Words) -> Option<CallError> {
    let (code, message) = stands.refusal()?;
    let error = CallError::new(code, message).waiting_for(described(row, stands, words));
    Some(match stands {
        State::Rejected => {
            let hint = "ask for something else, or ask whoever refused it";
            match words.last() {
                Some(said) => error.hint(format!("{hint}; {said}")),
                None => error.hint(hint),
            }
        }
        _ => error.retry(Retry::AfterChange).hint("make the same call again to ask anew"),
    })
}

/// The request as a program of whoever asked is told of it.
pub(super) fn described(row: &ApprovalRow, stands: State, words: &Words) -> Value {
    let gates = gates(row).unwrap_or_default();
    let by: Vec<Value> =
        gates.iter().map(|gate| json!({"roles": gate.roles, "quorum": gate.quorum})).collect();
    let mut told = json!({
        "id": row.id.as_str(),
        "state": stands.as_str(),
        "expires_at": Timestamp::from_micros(row.expires_us).to_string(),
        "decided_by": by,
    });
    if let Some(told) = told.as_object_mut().filter(|_| !words.0.is_empty()) {
        let said = words.0.iter().map(|(verdict, comment)| json!({"verdict": verdict, "comment": comment}));
        told.insert("said".to_owned(), said.collect());
    }
    told
}

/// That somebody made no such request.
pub(super) fn none(id: &ApprovalId) -> CallError {
    CallError::new(ErrorCode::InputInvalid, format!("you made no request `{id}`"))
}
