//! The document that somebody decides on: what will happen, why, to what, and what each answer does.
//!
//! It is made once, when the call is parked, out of what was decided on; whoever decides reads it as
//! it was made. Texts of strangers are written so that nothing in them is hidden.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use quaymaster_core::briefing::{fill, in_a_sentence};
use quaymaster_core::text::plain;
use quaymaster_core::{ApprovalId, DataClass, Effect, Gate, Risk, RiskLevel, Role, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::flow::Seen;
use crate::redaction::Found;
use crate::stages::Facts;

/// What stands in place of an argument that is not shown.
pub(super) const NOT_SHOWN: &str = "(not shown)";
/// Most characters of one argument that a document shows.
const MAX_ARGUMENT_CHARS: usize = 4_000;
/// Of what class data may be in a document that is sent to whom nobody knows: to programs, chats and mailboxes.
pub const UNSEEN_CLEARANCE: DataClass = DataClass::Internal;

/// A request for approval as those who decide read it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document {
    /// The version of this form.
    pub form: u32,
    /// The request.
    pub id: String,
    /// What will happen, in one sentence.
    pub action: String,
    /// The tool.
    pub tool: String,
    /// What the tool does to the world: `read`, `write` or `destructive`.
    pub effect: String,
    /// Who asks.
    pub requester: String,
    /// In which roles.
    pub roles: Vec<Role>,
    /// Through which agent, as it says of itself. Claimed, not proved.
    pub agent: BTreeMap<String, String>,
    /// The workspace.
    pub workspace: String,
    /// Why, in the words of whoever asks.
    pub reason: Option<String>,
    /// The systems affected.
    pub systems: Vec<String>,
    /// The key under which the same write is made once, where the client gave one.
    #[serde(default)]
    pub idempotency_key: Option<String>,
    /// The arguments, by name, as JSON; long ones are cut.
    pub arguments: BTreeMap<String, String>,
    /// The data that will change, where it could be read beforehand.
    pub changes: Vec<Change>,
    /// Why there is nothing, or not all, in `changes`.
    pub changes_unknown: Option<String>,
    /// How risky it is, and why.
    pub risk: Risk,
    /// What could be done instead.
    pub alternatives: Vec<String>,
    /// The policies that want an agreement.
    pub policies: Vec<String>,
    /// What has to be agreed to, and by whom, a sentence for each gate.
    pub gates: Vec<String>,
    /// Until when: RFC 3339, UTC.
    pub expires: String,
    /// What can be answered, and what each answer does.
    pub answers: BTreeMap<String, String>,
    /// Arguments whose values are not shown here.
    pub redacted: BTreeSet<String>,
}

/// One piece of data that will change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// What it is called.
    pub field: String,
    /// What it is now, as JSON; none if it is not there.
    pub before: Option<String>,
    /// What it will be, as JSON.
    pub after: Option<String>,
    /// The class of the data; the highest where it was not noted.
    #[serde(default = "highest")]
    pub class: DataClass,
}

fn highest() -> DataClass {
    DataClass::Restricted
}

impl Document {
    pub(super) fn of(facts: &Facts, id: &ApprovalId, gates: &[Gate], expires: Timestamp) -> Self {
        let request = &facts.request;
        let arguments = &shown_of(facts);
        let tool = facts.tool.as_ref();
        let briefing = tool.map(|tool| tool.declaration().briefing.clone()).unwrap_or_default();
        let redacted = hidden(arguments, &briefing.hide, tool.map(|tool| &tool.declaration().input_schema));
        let shown = |name: &str| {
            let value = arguments.get(name)?;
            Some(if redacted.contains(name) { NOT_SHOWN.to_owned() } else { in_a_sentence(value) })
        };
        let effect = tool.map_or(Effect::Destructive, |tool| tool.effect());
        let action = match &briefing.action {
            Some(sentence) => fill(sentence, shown),
            None => format!("Call `{}`, which can {}", request.tool, does(effect)),
        };
        let connector = tool.map(|tool| tool.declaration().connector.to_string());
        let decision = facts.decision.as_ref();
        Self {
            form: 1,
            id: id.to_string(),
            action,
            tool: tool.map_or_else(|| plain(&request.tool), |tool| tool.name().to_string()),
            effect: effect.as_str().to_owned(),
            requester: plain(request.actor.id.as_str()),
            roles: request.actor.roles.to_vec(),
            agent: claims(facts),
            workspace: request.actor.workspace.to_string(),
            reason: facts.reason.as_deref().map(|reason| plain(&said_of(facts, reason))),
            systems: if briefing.systems.is_empty() {
                connector.into_iter().collect()
            } else {
                briefing.systems.clone()
            },
            idempotency_key: request.idempotency_key.as_deref().map(|key| plain(&said_of(facts, key))),
            arguments: shown_arguments(arguments, &redacted),
            changes: vec![],
            changes_unknown: Some("the tool has no preview of what it changes".to_owned()),
            risk: with_labels(briefing.risk.clone().unwrap_or_else(|| risk(effect)), facts),
            alternatives: briefing.alternatives.clone(),
            policies: decision.map(|decision| decision.policies.clone()).unwrap_or_default(),
            gates: gates.iter().map(said).collect(),
            expires: expires.to_string(),
            answers: answers(),
            redacted,
        }
    }

    /// The document for somebody who may have data of `clearance`: of changes to data above it only that
    /// there are some is shown.
    #[must_use]
    pub fn for_clearance(mut self, clearance: DataClass) -> Self {
        for change in self.changes.iter_mut().filter(|change| change.class > clearance) {
            let hidden = || Some(format!("(not shown: {})", change.class));
            (change.before, change.after) = (hidden(), hidden());
            self.redacted.insert(change.field.clone());
        }
        self
    }

    /// The document as plain text, for a terminal, a message or a mail.
    pub fn to_text(&self) -> String {
        let mut text = format!("{}\n\n", self.action);
        let mut line = |name: &str, value: &str| {
            // Writing to a string does not fail.
            let _ = writeln!(text, "{name:<14}{value}");
        };
        line("Request", &self.id);
        let roles: Vec<&str> = self.roles.iter().map(Role::as_str).collect();
        line("Asked by", &format!("{} ({}) in {}", self.requester, roles.join(", "), self.workspace));
        for (claim, value) in &self.agent {
            line("Agent", &format!("{claim}: {value} (claimed)"));
        }
        line("Reason", self.reason.as_deref().unwrap_or("none was given"));
        line("Tool", &format!("{} ({})", self.tool, self.effect));
        line("Systems", &self.systems.join(", "));
        line("Risk", self.risk.level.as_str());
        for because in &self.risk.because {
            line("", because);
        }
        if let Some(key) = &self.idempotency_key {
            line("Key", &format!("{key} (the same write is made once)"));
        }
        for (name, value) in &self.arguments {
            line("Argument", &format!("{name} = {value}"));
        }
        for change in &self.changes {
            let side = |value: &Option<String>| value.clone().unwrap_or_else(|| "(nothing)".to_owned());
            line(
                "Changes",
                &format!("{}: {} -> {}", change.field, side(&change.before), side(&change.after)),
            );
        }
        if let Some(unknown) = &self.changes_unknown {
            line("Changes", unknown);
        }
        for alternative in &self.alternatives {
            line("Instead", alternative);
        }
        line("Because of", &self.policies.join(", "));
        for gate in &self.gates {
            line("Needs", gate);
        }
        line("Expires", &self.expires);
        for (answer, effect) in &self.answers {
            line("Answer", &format!("{answer}: {effect}"));
        }
        if !self.redacted.is_empty() {
            let names: Vec<&str> = self.redacted.iter().map(String::as_str).collect();
            line("Not shown", &names.join(", "));
        }
        text
    }
}

/// The arguments as people who decide see them: without what the classification has looked for. Of arguments that
/// cannot be looked through only the names are shown.
pub(super) fn shown_of(facts: &Facts) -> Value {
    let arguments = facts.arguments.as_ref().unwrap_or(&facts.request.arguments);
    let Some(redactor) = &facts.redactor else { return arguments.value().clone() };
    let redacted = redactor.of(&facts.request).json(arguments.as_json(), &mut Found::default());
    let redacted = redacted
        .ok()
        .map(|text| text.map_or_else(|| Ok(arguments.value().clone()), |text| serde_json::from_str(&text)));
    match redacted {
        Some(Ok(value)) => value,
        _ => {
            let names = arguments.value().as_object().into_iter().flat_map(Map::keys);
            names.map(|name| (name.clone(), NOT_SHOWN.into())).collect::<Map<String, Value>>().into()
        }
    }
}

/// A text of the caller as people who decide see it.
fn said_of<'a>(facts: &Facts, text: &'a str) -> Cow<'a, str> {
    let Some(redactor) = &facts.redactor else { return text.into() };
    match redactor.of(&facts.request).text(text) {
        Ok(redacted) => redacted.map_or(Cow::Borrowed(text), Cow::Owned),
        Err(_) => NOT_SHOWN.into(),
    }
}

/// What the agent says of itself, for people who decide.
fn claims(facts: &Facts) -> BTreeMap<String, String> {
    let agent = &facts.request.agent;
    let claims = [
        ("client", &agent.client),
        ("model", &agent.model),
        ("sandbox_mode", &agent.sandbox_mode),
        ("thread", &agent.thread),
    ];
    let said = claims.into_iter().filter_map(|(name, claim)| Some((name.to_owned(), plain(claim.as_ref()?))));
    said.collect()
}

/// The same risk, with what whoever asks has seen: it may be behind what they ask for.
fn with_labels(mut risk: Risk, facts: &Facts) -> Risk {
    risk.because.extend(facts.seen.as_deref().map(Seen::told));
    risk
}

/// The arguments that are given and not shown: those that the briefing hides, and those that the
/// schema marks as secret (JSON Schema 2020-12, `writeOnly` and the format `password`).
fn hidden(arguments: &Value, hide: &BTreeSet<String>, schema: Option<&Value>) -> BTreeSet<String> {
    let properties = schema.and_then(|schema| schema.get("properties"));
    let is_secret = |name: &str| {
        properties.and_then(|properties| properties.get(name)).is_some_and(|property| {
            property.get("writeOnly") == Some(&Value::Bool(true))
                || property.get("format").and_then(Value::as_str) == Some("password")
        })
    };
    let names = arguments.as_object().into_iter().flat_map(Map::keys);
    names.filter(|name| hide.contains(*name) || is_secret(name)).cloned().collect()
}

fn shown_arguments(arguments: &Value, redacted: &BTreeSet<String>) -> BTreeMap<String, String> {
    let members = arguments.as_object().into_iter().flatten();
    let shown = members
        .filter(|(name, _)| !redacted.contains(*name))
        .map(|(name, value)| (plain(name), cut(&value.to_string(), MAX_ARGUMENT_CHARS)));
    shown.collect()
}

/// As much of `text` as is shown, with how much is not.
pub(super) fn cut(text: &str, most: usize) -> String {
    let shown: String = text.chars().take(most).collect();
    match text.chars().count().saturating_sub(most) {
        0 => plain(&shown),
        left_out => format!("{}… ({left_out} characters more)", plain(&shown)),
    }
}

fn does(effect: Effect) -> &'static str {
    match effect {
        Effect::Read => "read and changes nothing",
        Effect::Write => "change data",
        Effect::Destructive => "take data away for good",
    }
}

fn risk(effect: Effect) -> Risk {
    let (level, because) = match effect {
        Effect::Read => (RiskLevel::Low, "it changes nothing; what it reads leaves to the agent"),
        Effect::Write => (RiskLevel::Medium, "it changes data"),
        Effect::Destructive => (RiskLevel::High, "it takes something away for good"),
    };
    Risk { level, because: vec![because.to_owned()] }
}

/// A gate as a sentence with everything that it says.
fn said(gate: &Gate) -> String {
    let mut said = gate.to_string();
    let names = |roles: &BTreeSet<Role>| roles.iter().map(Role::as_str).collect::<Vec<_>>().join("` or `");
    if let Some(escalation) = &gate.escalation {
        let _ = write!(said, "; after {} s also `{}`", escalation.after.as_secs(), names(&escalation.to));
    }
    if !gate.emergency.is_empty() {
        let _ = write!(said, "; in an emergency `{}` alone, reviewed afterwards", names(&gate.emergency));
    }
    said
}

fn answers() -> BTreeMap<String, String> {
    let answers = [
        ("approve", "the call runs once, as it stands here, when everybody needed has agreed"),
        ("reject", "the call does not run, and whoever asked is told so"),
        ("withdraw", "for whoever asked: the call does not run"),
    ];
    answers.into_iter().map(|(answer, effect)| (answer.to_owned(), effect.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn changes_to_data_above_somebodys_clearance_are_not_shown_to_them() {
        let change =
            |field: &str, class| json!({"field": field, "before": "a", "after": "b", "class": class});
        let mut changes = vec![change("name", "internal"), change("iban", "restricted")];
        changes.push(json!({"field": "old", "before": "a", "after": "b"}));
        let document: Document = serde_json::from_value(json!({
            "form": 1, "id": "apr_1", "action": "Do it", "tool": "t", "effect": "write", "requester": "ada",
            "roles": [], "agent": {}, "workspace": "sales", "reason": null, "systems": [], "arguments": {},
            "changes": changes, "changes_unknown": null, "risk": {"level": "low"}, "alternatives": [],
            "policies": [], "gates": [], "expires": "never", "answers": {}, "redacted": [],
        }))
        .expect("a document as it was stored before");
        let seen = document.clone().for_clearance(UNSEEN_CLEARANCE);
        let before: Vec<&str> = seen.changes.iter().filter_map(|change| change.before.as_deref()).collect();
        assert_eq!(before, ["a", "(not shown: restricted)", "(not shown: restricted)"]);
        assert_eq!(seen.redacted, ["iban", "old"].map(str::to_owned).into());
        assert!(!seen.to_text().contains("iban: a"));
        assert_eq!(document.clone().for_clearance(DataClass::Restricted), document);
    }
}
