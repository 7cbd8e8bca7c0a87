//! Names of tools that are taken for another's, and descriptions that speak of another server's tools.

use std::collections::BTreeMap;

use serde_json::Value;

use super::words::{STOP, fold, words};
use super::{Finding, Severity};

/// A tool and whose it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Named<'a> {
    /// The connector.
    pub connector: &'a str,
    /// The name that the server gives to it.
    pub name: &'a str,
}

/// Shortest name that means something where it is mentioned.
const SHORTEST_NAME: usize = 5;

/// The name as it is taken in at a glance (after Unicode Technical Standard 39, skeletons).
fn skeleton(name: &str) -> String {
    let letter = |c: char| match c {
        '0' => Some('o'),
        '1' | 'i' | '|' => Some('l'),
        '5' => Some('s'),
        '_' | '-' | '.' | ' ' | '/' => None,
        c => Some(c),
    };
    let text: String = fold(name).chars().filter_map(letter).collect();
    text.replace("rn", "m").replace("vv", "w")
}

/// For each of `tools` that is taken for one of another connector: a finding at `/name`. The same name
/// on two servers is common and weighs little; one that looks the same and is not weighs much.
pub fn shadows<'a>(tools: &[Named<'a>]) -> Vec<(Named<'a>, Finding)> {
    let mut alike: BTreeMap<String, Vec<Named<'a>>> = BTreeMap::new();
    for tool in tools {
        alike.entry(skeleton(tool.name)).or_default().push(*tool);
    }
    let mut found = Vec::new();
    for group in alike.values() {
        for tool in group {
            let others = || group.iter().filter(|other| other.connector != tool.connector);
            // Names that differ in how words are set apart are spelled alike by people too.
            let letters = |name: &str| name.to_ascii_lowercase().replace(['_', '-', '.'], "");
            let is_drawn = others().find(|other| letters(other.name) != letters(tool.name));
            let finding = match (is_drawn, others().next()) {
                (Some(other), _) => ("names.look_alike", Severity::High, other),
                (None, Some(other)) => ("names.same", Severity::Low, other),
                (None, None) => continue,
            };
            let (rule, severity, other) = finding;
            let excerpt = format!("{} and {} of {}", tool.name, other.name, other.connector);
            found.push((*tool, Finding { at: "/name".into(), ..Finding::new(rule, severity, &excerpt) }));
        }
    }
    found
}

/// Where the texts of `definition` name a tool of another connector than `of`.
pub fn mentions(definition: &Value, of: &str, tools: &[Named<'_>]) -> Vec<Finding> {
    let is_own = |name: &str| tools.iter().any(|tool| tool.connector == of && tool.name == name);
    let others: Vec<String> = tools
        .iter()
        .filter(|tool| tool.connector != of && tool.name.len() >= SHORTEST_NAME && !is_own(tool.name))
        // A name that is a word of the language is in every description.
        .filter(|tool| tool.name.contains(['_', '-', '.']) || tool.name.chars().any(char::is_uppercase))
        .map(|tool| fold(tool.name))
        .collect();
    let mut found = Vec::new();
    for (member, text) in texts(definition) {
        let folded = fold(text);
        let is_of_name = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
        let named = folded.split(|c| !is_of_name(c)).map(|piece| piece.trim_matches(['.', '-']));
        let Some(other) = named.into_iter().find(|piece| others.iter().any(|other| other == piece)) else {
            continue;
        };
        let commands = words(text).iter().any(|word| {
            word != STOP && matches!(word.as_str(), "instead" | "never" | "must" | "before" | "always")
        });
        let severity = if commands { Severity::High } else { Severity::Medium };
        found.push(Finding { at: member, ..Finding::new("names.mention", severity, other) });
    }
    found
}

fn texts(definition: &Value) -> Vec<(String, &str)> {
    let mut found = Vec::new();
    let mut rest = vec![(String::new(), definition)];
    while let Some((at, value)) = rest.pop() {
        match value {
            Value::String(text) => found.push((at, text.as_str())),
            Value::Array(items) => {
                rest.extend(items.iter().enumerate().map(|(nth, item)| (format!("{at}/{nth}"), item)));
            }
            Value::Object(object) => {
                let below = object.iter().filter(|(name, _)| !(at.is_empty() && *name == "name"));
                rest.extend(below.map(|(name, value)| {
                    (format!("{at}/{}", name.replace('~', "~0").replace('/', "~1")), value)
                }));
            }
            _ => {}
        }
    }
    found
}
