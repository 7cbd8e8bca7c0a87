//! What somebody who has to agree to a call is told of it, as its connector's file has it.
//!
//! `${name}` in a text stands for the argument of that name. It is put in as JSON text writes it,
//! quotes of strings left out; nothing in it is read again.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::text::plain;

/// Most characters of one argument that a sentence shows.
const MAX_SHOWN: usize = 200;

/// What somebody who has to agree to a call of this tool is told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Briefing {
    /// What the call does, in one sentence in which `${name}` stands for an argument, such as
    /// `Open a ${severity} escalation for ${account_id}`.
    #[serde(default)]
    pub action: Option<String>,
    /// The systems that it affects. The connector if absent.
    #[serde(default)]
    pub systems: Vec<String>,
    /// How risky it is. Follows from the effect if absent.
    #[serde(default)]
    pub risk: Option<Risk>,
    /// What could be done instead, such as `open it with severity high, which needs no approval`.
    #[serde(default)]
    pub alternatives: Vec<String>,
    /// Arguments whose values are not shown to those who decide.
    #[serde(default)]
    pub hide: BTreeSet<String>,
    /// How the data that will change is read beforehand.
    #[serde(default)]
    pub preview: Option<PreviewConfig>,
}

/// How risky a call is, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Risk {
    /// How risky.
    pub level: RiskLevel,
    /// Why, each reason in one sentence.
    #[serde(default)]
    pub because: Vec<String>,
}

/// How risky a call is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RiskLevel {
    /// Little can go wrong.
    Low,
    /// What goes wrong can be put right.
    Medium,
    /// What goes wrong cannot be put right, or costs much.
    High,
}

impl RiskLevel {
    /// The level as people and programs read it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }
}

/// How the data that a call will change is read beforehand.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct PreviewConfig {
    /// A tool of the same file with `effect: read`, by the server's own name for it. It is called as whoever asks
    /// for the approval, and governed and recorded like every call.
    pub tool: String,
    /// Its arguments; a text `${name}` stands for the argument of that name, whatever its type.
    #[serde(default)]
    pub arguments: Map<String, Value>,
    /// What will be there afterwards, by the name of each field of that tool's result.
    #[serde(default)]
    pub after: Map<String, Value>,
}

/// `text` with each `${name}` replaced by what `shown` gives for it; others are marked as not given.
pub fn fill(text: &str, shown: impl Fn(&str) -> Option<String>) -> String {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, name, after)) = next_reference(rest) {
        filled.push_str(before);
        match shown(name) {
            Some(value) => filled.push_str(&value),
            None => filled.push_str("(not given)"),
        }
        rest = after;
    }
    filled.push_str(rest);
    filled
}

/// The arguments that `text` refers to.
pub fn references(text: &str) -> BTreeSet<&str> {
    let mut found = BTreeSet::new();
    let mut rest = text;
    while let Some((_, name, after)) = next_reference(rest) {
        found.insert(name);
        rest = after;
    }
    found
}

fn next_reference(text: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = text.split_once("${")?;
    let (name, after) = rest.split_once('}')?;
    Some((before, name, after))
}

/// `template` with each text that is one reference replaced by the argument itself; members whose
/// argument is not given are left out.
pub fn fill_object(template: &Map<String, Value>, arguments: &Value) -> Map<String, Value> {
    let filled = template.iter().filter_map(|(name, value)| {
        let reference = value.as_str().and_then(|text| text.strip_prefix("${")?.strip_suffix('}'));
        let value = match reference {
            Some(argument) => arguments.get(argument)?.clone(),
            None => value.clone(),
        };
        Some((name.clone(), value))
    });
    filled.collect()
}

/// An argument as a sentence shows it: on one line, cut.
pub fn in_a_sentence(value: &Value) -> String {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    match text.char_indices().nth(MAX_SHOWN) {
        Some((end, _)) => format!("{}…", plain(text.get(..end).unwrap_or(&text))),
        None => plain(&text),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_sentence_names_the_arguments_and_reads_nothing_in_them() {
        let arguments = json!({"account": "ACC-1", "severity": "${account}", "count": 3});
        let shown = |name: &str| arguments.get(name).map(in_a_sentence);
        let text = "Open ${count} of ${severity} for ${account}, ${who}, ${";
        assert_eq!(fill(text, shown), "Open 3 of ${account} for ACC-1, (not given), ${");
        assert_eq!(references(text), BTreeSet::from(["account", "count", "severity", "who"]));
    }

    #[test]
    fn what_is_shown_in_a_sentence_stays_on_its_line_and_is_cut() {
        assert_eq!(in_a_sentence(&json!("a\nb\u{202e}")), "a\\nb\\u{202e}");
        assert_eq!(in_a_sentence(&json!("x".repeat(300))), format!("{}…", "x".repeat(200)));
    }

    #[test]
    fn an_object_is_filled_with_the_arguments_themselves() {
        let template = json!({"id": "${account}", "limit": 5, "gone": "${who}", "text": "to ${account}"});
        let filled = fill_object(template.as_object().expect("an object"), &json!({"account": 7}));
        assert_eq!(Value::Object(filled), json!({"id": 7, "limit": 5, "text": "to ${account}"}));
    }
}
