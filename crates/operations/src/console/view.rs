//! What pages show, as texts: requests for approval in the words of the pages.
//!
//! Every text of a stranger passes [`plain`], so that what steers a terminal or turns the direction
//! of a text is seen; escaping for HTML is the templates' part.

use quaymaster_control::approval::{Document, Request, Said, State, Verdict};
use quaymaster_core::text::plain;
use quaymaster_core::{Actor, Role, Timestamp};

/// A name with what there is to say under it.
#[derive(Debug)]
pub(super) struct Fact {
    pub(super) name: &'static str,
    pub(super) values: Vec<String>,
}

/// A value by its name.
#[derive(Debug)]
pub(super) struct Pair {
    pub(super) name: String,
    pub(super) value: String,
}

/// One piece of data that will change.
#[derive(Debug)]
pub(super) struct ChangeRow {
    pub(super) field: String,
    pub(super) before: String,
    pub(super) after: String,
}

/// What somebody said.
#[derive(Debug)]
pub(super) struct SaidRow {
    pub(super) line: String,
    pub(super) at: String,
    /// Line by line.
    pub(super) comment: Vec<String>,
}

/// An answer that can be given.
#[derive(Debug)]
pub(super) struct Choice {
    pub(super) value: &'static str,
    pub(super) name: &'static str,
    pub(super) effect: String,
    pub(super) is_suggested: bool,
}

/// A request in a list.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) id: String,
    pub(super) action: String,
    pub(super) state: &'static str,
    pub(super) risk: &'static str,
    pub(super) requester: String,
    pub(super) when: String,
}

impl Entry {
    pub(super) fn of(request: &Request) -> Self {
        let when = if request.state == State::Pending {
            format!("expires {}", time(request.expires))
        } else {
            format!("asked {}", time(request.created))
        };
        Self {
            id: request.id.to_string(),
            action: plain(&request.document.action),
            state: words(request),
            risk: request.document.risk.level.as_str(),
            requester: plain(&request.document.requester),
            when,
        }
    }
}

/// Where a request stands, in a word or two.
pub(super) fn words(request: &Request) -> &'static str {
    if request.review_due { "review due" } else { request.state.as_str() }
}

/// What came of an answer.
pub(super) fn after(verdict: Verdict, state: State) -> &'static str {
    match (verdict, state) {
        (_, State::Approved) => "You agreed, and that was all that was needed: the call is about to run.",
        (Verdict::Approve, _) => "You agreed. Others have to agree as well before the call runs.",
        (Verdict::Reject, _) => "You said no: the call will not run.",
        (Verdict::Emergency, _) => {
            "What you said is recorded. It does not open every gate, so the call waits."
        }
    }
}

/// To the second: `2026-11-22 10:00:00 UTC`.
pub(super) fn time(at: Timestamp) -> String {
    let text = at.to_string();
    text.get(..19).map_or_else(|| text.clone(), |seconds| format!("{} UTC", seconds.replace('T', " ")))
}

/// What a document says, but for arguments and changes.
pub(super) fn facts(document: &Document) -> Vec<Fact> {
    let roles: Vec<&str> = document.roles.iter().map(Role::as_str).collect();
    let asked = format!("{} ({}) in {}", document.requester, roles.join(", "), document.workspace);
    let agent = document.agent.iter().map(|(claim, value)| format!("{claim}: {value} (claimed)")).collect();
    let mut risk = vec![document.risk.level.as_str().to_owned()];
    risk.extend(document.risk.because.iter().cloned());
    let reason = document.reason.clone().unwrap_or_else(|| "none was given".to_owned());
    let facts = [
        ("Asked by", vec![asked]),
        ("Agent", agent),
        ("Reason", vec![reason]),
        ("Tool", vec![format!("{} ({})", document.tool, document.effect)]),
        ("Idempotency key", document.idempotency_key.iter().cloned().collect()),
        ("Systems", document.systems.clone()),
        ("Risk", risk),
        ("Instead", document.alternatives.clone()),
        ("Because of", document.policies.clone()),
        ("Needs", document.gates.clone()),
        ("Expires", vec![document.expires.clone()]),
        ("Not shown", document.redacted.iter().cloned().collect()),
    ];
    let shown = facts.into_iter().filter(|(_, values)| !values.is_empty());
    shown
        .map(|(name, values)| Fact { name, values: values.iter().map(|value| plain(value)).collect() })
        .collect()
}

/// The arguments, by name.
pub(super) fn arguments(document: &Document) -> Vec<Pair> {
    let pair = |(name, value): (&String, &String)| Pair { name: plain(name), value: plain(value) };
    document.arguments.iter().map(pair).collect()
}

/// The data that will change.
pub(super) fn changes(document: &Document) -> Vec<ChangeRow> {
    let side = |value: &Option<String>| value.as_deref().map_or_else(|| "(nothing)".to_owned(), plain);
    let change = document.changes.iter();
    change
        .map(|change| ChangeRow {
            field: plain(&change.field),
            before: side(&change.before),
            after: side(&change.after),
        })
        .collect()
}

/// What was said, oldest first.
pub(super) fn said(request: &Request) -> Vec<SaidRow> {
    request.said.iter().map(said_row).collect()
}

fn said_row(said: &Said) -> SaidRow {
    let roles: Vec<&str> = said.roles.iter().map(Role::as_str).collect();
    let what = match (said.review, said.verdict) {
        (true, Verdict::Reject) => "found fault with it in a review",
        (true, _) => "found it right in a review",
        (false, Verdict::Approve) => "agreed",
        (false, Verdict::Reject) => "said no",
        (false, Verdict::Emergency) => "let it through in an emergency",
    };
    let comment = said.comment.as_deref().unwrap_or_default();
    SaidRow {
        line: format!("{} ({}) {what}, by {}", plain(&said.by), roles.join(", "), plain(&said.channel)),
        at: time(said.at),
        comment: comment.lines().map(plain).collect(),
    }
}

/// The answers that `actor` may try. Whether they may give one is decided when they do.
pub(super) fn choices(actor: &Actor, request: &Request, suggested: Option<&str>) -> Vec<Choice> {
    let effect = |answer: &str, otherwise: &str| {
        plain(request.document.answers.get(answer).map_or(otherwise, String::as_str))
    };
    let choice = |value, name, effect| Choice { value, name, effect, is_suggested: suggested == Some(value) };
    if request.review_due && !request.is_of(actor) {
        return vec![
            choice("review-fine", "It was right", "the review is recorded".to_owned()),
            choice("review-wrong", "It was wrong", "the review is recorded, with your words".to_owned()),
        ];
    }
    if request.state != State::Pending {
        return vec![];
    }
    if actor.id == request.requester {
        return vec![choice("withdraw", "Take it back", effect("withdraw", "the call does not run"))];
    }
    if request.is_of(actor) {
        return vec![];
    }
    let mut choices = vec![
        choice("approve", "Approve", effect("approve", "the call runs once")),
        choice("reject", "Reject", effect("reject", "the call does not run")),
    ];
    if request.gates.iter().any(|gate| gate.emergency.iter().any(|role| actor.roles.contains(role))) {
        let what = "the call runs now on your word alone, and somebody else reviews that afterwards";
        choices.push(choice("emergency", "Emergency", effect("emergency", what)));
    }
    choices
}
