//! Signs that a text was written to steer a model: in the definitions of tools, and wherever else
//! a stranger's text reaches an agent.
//!
//! This is a signal. What it finds is worth a look, and what it does not find may be poison all the
//! same: how much it finds and how often it is wrong is measured (`bench/poisoning`). The control is
//! that definitions are pinned (`contract`), that policy decides, and that what an upstream says is
//! marked. Nothing here is read or written anywhere.
//!
//! Code map: `hidden` finds characters that are not drawn, `phrases` has the rules about wording and
//! `words` what they are matched against, `encoded` looks into what is written in another alphabet,
//! `names` compares the names of tools.
//!
//! Invariant: the time is bounded by the length of the text, whatever it holds; nothing of it is
//! believed or run.

mod encoded;
mod hidden;
mod names;
mod phrases;
mod words;

#[cfg(test)]
mod tests;

pub use names::{Named, mentions, shadows};

use quaymaster_core::text::plain;
use serde::Serialize;
use serde_json::Value;

/// How much a finding weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Seen in honest definitions too.
    Low,
    /// Seldom needed in honest ones.
    Medium,
    /// An honest one has no use for it.
    High,
}

impl Severity {
    /// The word for reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }
}

/// Something that was found.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Finding {
    /// Which rule found it, such as `hidden.tags`. Rules are only ever added to.
    pub rule: &'static str,
    /// How much it weighs.
    pub severity: Severity,
    /// Where: a JSON pointer (RFC 6901) into what was looked at; empty for a text.
    pub at: String,
    /// What was found, cut, with everything that misleads written out.
    pub excerpt: String,
}

/// Most findings that are given; one of each rule and place.
const MAX_FINDINGS: usize = 50;
/// Longest excerpt, in characters.
const MAX_EXCERPT: usize = 80;

impl Finding {
    fn new(rule: &'static str, severity: Severity, excerpt: &str) -> Self {
        let excerpt: String = plain(excerpt).chars().take(MAX_EXCERPT).collect();
        Self { rule, severity, at: String::new(), excerpt }
    }
}

/// What is found in every text of `definition`, names of members included; worst first.
pub fn inspect(definition: &Value) -> Vec<Finding> {
    let mut found = Vec::new();
    walk(definition, "", &mut found);
    in_order(found)
}

/// What is found in one text; worst first.
pub fn inspect_text(text: &str) -> Vec<Finding> {
    in_order(look(text))
}

fn in_order(mut found: Vec<Finding>) -> Vec<Finding> {
    found.sort_by(|one, other| other.severity.cmp(&one.severity).then_with(|| one.cmp(other)));
    found.dedup_by(|one, other| one.rule == other.rule && one.at == other.at);
    found.truncate(MAX_FINDINGS);
    found
}

fn walk(value: &Value, at: &str, found: &mut Vec<Finding>) {
    let mut add = |at: &str, text: &str| {
        found.extend(look(text).into_iter().map(|finding| Finding { at: at.to_owned(), ..finding }));
    };
    match value {
        Value::String(text) => add(at, text),
        Value::Array(items) => {
            for (nth, item) in items.iter().enumerate() {
                walk(item, &format!("{at}/{nth}"), found);
            }
        }
        Value::Object(object) => {
            for (name, value) in object {
                let at = format!("{at}/{}", plain(name).replace('~', "~0").replace('/', "~1"));
                found.extend(look(name).into_iter().map(|finding| Finding { at: at.clone(), ..finding }));
                walk(value, &at, found);
            }
        }
        _ => {}
    }
}

/// Longest text without a space in which no phrase is looked for, in bytes: names, addresses of parts.
const MAX_WORD: usize = 24;

fn look(text: &str) -> Vec<Finding> {
    let mut found = hidden::find(text);
    if text.len() <= MAX_WORD && text.is_ascii() && !text.bytes().any(|byte| byte.is_ascii_whitespace()) {
        return found;
    }
    found.extend(phrases::find(text));
    found.extend(encoded::find(text, 0));
    found
}
