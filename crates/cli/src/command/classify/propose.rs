//! What a sample says of where data is.

use std::collections::BTreeMap;

use quaymaster_control::classification::RuleConfig;
use quaymaster_redaction::{Engine, Kind, Refusal, Scope};
use serde_json::{Map, Value};

/// How many of 100 values have to be of a kind for their place to be.
const MOST: usize = 60;

/// What was seen of results.
#[derive(Debug, Default)]
pub(super) struct Evidence {
    /// How many values there are at each path.
    values: BTreeMap<String, usize>,
    /// How many of them hold data of a kind.
    found: BTreeMap<(String, Kind), usize>,
}

impl Evidence {
    /// Looks through one result.
    pub(super) fn add(&mut self, engine: &Engine, scope: &Scope<'_>, result: &Value) -> Result<(), Refusal> {
        let content = content(result);
        count(&content, &mut String::from("$"), &mut self.values, &mut self.found);
        let text = content.to_string();
        let redacted = engine.redact_json(&text, scope)?;
        let mut seen: Vec<(String, Kind)> = Vec::new();
        for finding in redacted.findings {
            let place = (finding.path, finding.class);
            if !seen.contains(&place) {
                *self.found.entry((path(&place.0), place.1)).or_default() += 1;
                seen.push(place);
            }
        }
        Ok(())
    }

    /// The rules that nobody has written yet, each as lines of YAML with what speaks for it.
    pub(super) fn rules(&self, tool: &str, known: &[RuleConfig]) -> Vec<String> {
        let mut rules = Vec::new();
        let mut loose: BTreeMap<Kind, usize> = BTreeMap::new();
        for ((path, kind), found) in &self.found {
            let values = self.values.get(path).copied().unwrap_or(*found).max(*found);
            if path.contains('"') || found * 100 < values * MOST {
                *loose.entry(*kind).or_default() += found;
                continue;
            }
            let is_known = known.iter().any(|rule| {
                rule.path.as_deref() == Some(path) && rule.tool.as_deref().is_none_or(|name| name == tool)
            });
            if !is_known {
                rules.push(format!(
                    "  # {kind} in {found} of {values} value(s)\n  - {{ level: {}, tool: {tool}, path: \"{path}\" }}",
                    level(*kind)
                ));
            }
        }
        for (kind, found) in loose {
            if !known.iter().any(|rule| rule.detector == Some(kind)) {
                rules.push(format!(
                    "  # {kind} here and there: {found} time(s)\n  - {{ level: {}, tool: {tool}, detector: {kind} }}",
                    level(kind)
                ));
            }
        }
        rules
    }
}

/// The level that is proposed for data of a kind: `restricted` for what opens a door or is one person's number for
/// life, `confidential` for other data of persons.
fn level(kind: Kind) -> &'static str {
    let is_hard = matches!(
        kind,
        Kind::CreditCard
            | Kind::CardSecurityCode
            | Kind::Iban
            | Kind::BankAccount
            | Kind::Ssn
            | Kind::NationalId
            | Kind::TaxId
            | Kind::Passport
            | Kind::DrivingLicence
    );
    if kind.is_secret() || is_hard { "restricted" } else { "confidential" }
}

/// What rules are about in a result: its structured content, a table as its rows, or else texts that are JSON.
fn content(result: &Value) -> Value {
    let data = result.pointer("/structuredContent/data").or_else(|| result.get("data"));
    if let Some(rows) = data.and_then(rows) {
        return rows;
    }
    if let Some(structured) = result.get("structuredContent") {
        return structured.clone();
    }
    let Some(blocks) = result.get("content").and_then(Value::as_array) else { return result.clone() };
    let texts = blocks.iter().filter_map(|block| block.get("text")?.as_str());
    let texts: Vec<Value> =
        texts.map(|text| serde_json::from_str(text).unwrap_or_else(|_| Value::from(text))).collect();
    match <[Value; 1]>::try_from(texts) {
        Ok([only]) => only,
        Err(texts) => texts.into(),
    }
}

/// The rows of a table as objects.
fn rows(data: &Value) -> Option<Value> {
    let columns = data.get("columns")?.as_array()?;
    let names: Option<Vec<&str>> = columns.iter().map(|column| column.get("name")?.as_str()).collect();
    let names = names?;
    let rows = data.get("rows")?.as_array()?.iter().map(|row| {
        let values = row.as_array().into_iter().flatten();
        let members = names.iter().zip(values).map(|(name, value)| ((*name).to_owned(), value.clone()));
        Value::Object(members.collect::<Map<String, Value>>())
    });
    Some(Value::Array(rows.collect()))
}

/// Counts values by their paths, and what placeholders and marks of earlier redactions in them say that they were.
fn count(
    value: &Value,
    at: &mut String,
    values: &mut BTreeMap<String, usize>,
    found: &mut BTreeMap<(String, Kind), usize>,
) {
    let length = at.len();
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                step(at, name);
                count(value, at, values, found);
                at.truncate(length);
            }
        }
        Value::Array(items) => {
            at.push_str("[*]");
            for item in items {
                count(item, at, values, found);
            }
            at.truncate(length);
        }
        Value::Null => {}
        Value::String(text) => {
            *values.entry(at.clone()).or_default() += 1;
            let mut kinds: Vec<Kind> = marks(text).collect();
            kinds.sort_unstable();
            kinds.dedup();
            for kind in kinds {
                *found.entry((at.clone(), kind)).or_default() += 1;
            }
        }
        _ => *values.entry(at.clone()).or_default() += 1,
    }
}

/// The kinds of what stood in `text` before it was redacted.
fn marks(text: &str) -> impl Iterator<Item = Kind> {
    text.split('⟦').skip(1).filter_map(|rest| {
        let inner = rest.split_once('⟧')?.0;
        Kind::parse(inner.split(':').next().unwrap_or_default())
    })
}

/// Adds a member to a JSONPath (RFC 9535).
fn step(path: &mut String, name: &str) {
    let is_plain = name.chars().all(|c| c.is_alphanumeric() || c == '_')
        && name.starts_with(|c: char| c.is_alphabetic() || c == '_');
    if is_plain {
        path.push('.');
        path.push_str(name);
    } else {
        path.push_str("['");
        path.push_str(&name.replace(['\'', '\\', '"'], "\""));
        path.push_str("']");
    }
}

/// A JSON Pointer as a JSONPath in which every position stands for all.
fn path(pointer: &str) -> String {
    let mut path = String::from("$");
    for token in pointer.split('/').skip(1) {
        if !token.is_empty() && token.bytes().all(|b| b.is_ascii_digit()) {
            path.push_str("[*]");
        } else {
            step(&mut path, &token.replace("~1", "/").replace("~0", "~"));
        }
    }
    path
}
