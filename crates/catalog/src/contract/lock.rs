//! The file in which the contracts of one connector's tools are pinned: `contracts/<connector>.lock.json`.
//!
//! It is for people who review changes: sorted, one member a line, and whatever
//! is not drawn or steers a terminal is written as an escape. Who reads it and
//! who may write it is decided elsewhere.
//!
//! Invariants:
//! - The same pins are the same text.
//! - A pin whose digest is not that of its definition and effect does not load: it was edited by
//!   hand, and nobody accepted what it says.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use quaymaster_core::text::misleads;
use quaymaster_core::{Effect, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::Contract;

/// What the name of a lock file ends with; before it is the connector's name.
pub const LOCK_SUFFIX: &str = ".lock.json";

/// Most tools that one file pins.
const MAX_PINS: usize = 10_000;
/// Longest name of who accepted something, in characters.
const MAX_BY_CHARS: usize = 200;

const VERSION: &str = "contracts/v1";

/// Who accepted a contract, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// Who, such as `ada@example.test`.
    pub by: String,
    /// When.
    pub at: Timestamp,
}

/// A contract that somebody accepted.
#[derive(Clone, Debug, PartialEq)]
pub struct Pin {
    /// What was accepted.
    pub contract: Contract,
    /// By whom.
    pub accepted: Accepted,
}

/// The pins of one connector, by the names that its server gives to its tools.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Lock {
    /// The connector.
    pub connector: String,
    /// The pins.
    pub pins: BTreeMap<String, Pin>,
}

/// Why a lock file is of no use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct LockProblem(String);

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct LockText {
    api_version: String,
    connector: String,
    tools: BTreeMap<String, PinText>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PinText {
    accepted: AcceptedText,
    definition: Map<String, Value>,
    effect: Effect,
    digest: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct AcceptedText {
    at: String,
    by: String,
}

impl Lock {
    /// Reads a lock file.
    ///
    /// # Errors
    ///
    /// What is wrong with it, and with which tool.
    pub fn parse(text: &str) -> Result<Self, LockProblem> {
        let problem = |message: String| Err(LockProblem(message));
        let read: LockText = match serde_json::from_str(text) {
            Ok(read) => read,
            Err(error) => return problem(format!("not a lock file: {error}")),
        };
        if read.api_version != VERSION {
            return problem(format!("`apiVersion` must be `{VERSION}`"));
        }
        if read.tools.len() > MAX_PINS {
            return problem(format!("more than {MAX_PINS} tools"));
        }
        let mut pins = BTreeMap::new();
        for (name, pin) in read.tools {
            let shown = name.escape_debug().to_string();
            let contract = Contract::new(pin.definition, pin.effect);
            if contract.digest() != pin.digest {
                return problem(format!(
                    "tool `{shown}`: the definition does not have the digest beside it, so nobody accepted it: \
                     `quaymaster tools accept` writes this file"
                ));
            }
            if pin.accepted.by.chars().count() > MAX_BY_CHARS {
                return problem(format!("tool `{shown}`: `by` is too long"));
            }
            let at = match Timestamp::parse(&pin.accepted.at) {
                Ok(at) => at,
                Err(message) => return problem(format!("tool `{shown}`: {message}")),
            };
            pins.insert(name, Pin { contract, accepted: Accepted { by: pin.accepted.by, at } });
        }
        Ok(Self { connector: read.connector, pins })
    }

    /// The file's text.
    pub fn to_text(&self) -> String {
        let written = |(name, pin): (&String, &Pin)| {
            let Accepted { by, at } = &pin.accepted;
            let text = PinText {
                accepted: AcceptedText { at: at.to_string(), by: by.chars().take(MAX_BY_CHARS).collect() },
                definition: pin.contract.definition().clone(),
                effect: pin.contract.effect(),
                digest: pin.contract.digest().to_owned(),
            };
            (name.clone(), text)
        };
        let lock = LockText {
            api_version: VERSION.to_owned(),
            connector: self.connector.clone(),
            tools: self.pins.iter().map(written).collect(),
        };
        let value = serde_json::to_value(lock).unwrap_or_default();
        let mut text = serde_json::to_string_pretty(&sorted(value)).unwrap_or_default();
        text.push('\n');
        visible(&text)
    }
}

/// The same with the members of all objects in the order of their names.
fn sorted(value: Value) -> Value {
    match value {
        Value::Object(object) => {
            let ordered: BTreeMap<String, Value> =
                object.into_iter().map(|(name, value)| (name, sorted(value))).collect();
            Value::Object(ordered.into_iter().collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(sorted).collect()),
        other => other,
    }
}

/// JSON text with everything that misleads as an escape. Outside of strings it has line ends alone.
fn visible(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for c in json.chars() {
        if c == '\n' || !(misleads(c) || is_selector(c)) {
            text.push(c);
            continue;
        }
        for unit in c.encode_utf16(&mut [0; 2]) {
            // Writing to a `String` cannot fail.
            let _ = write!(text, "\\u{unit:04x}");
        }
    }
    text
}

/// Variation selectors, which are not drawn and can carry bytes.
fn is_selector(c: char) -> bool {
    matches!(c, '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}')
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn lock(description: &str) -> Lock {
        let definition = json!({"name": "go", "description": description, "inputSchema": {"type": "object"}});
        let contract = Contract::new(definition.as_object().cloned().expect("an object"), Effect::Read);
        let accepted = Accepted { by: "ada@example.test".into(), at: Timestamp::from_micros(0) };
        let pins = [("go".to_owned(), Pin { contract, accepted })].into();
        Lock { connector: "desk".into(), pins }
    }

    #[test]
    fn a_lock_file_reads_back_what_was_written_and_hides_nothing() {
        let text = lock("Finds\u{202e} things.\u{e0041}\n").to_text();
        assert_eq!(Lock::parse(&text), Ok(lock("Finds\u{202e} things.\u{e0041}\n")));
        assert!(text.is_ascii(), "{text}");
        insta::assert_snapshot!(text);
    }

    #[test]
    fn a_pin_that_was_edited_by_hand_does_not_load() {
        let text = lock("Finds things.").to_text();
        for (from, to) in
            [("Finds", "Sends"), ("\"read\"", "\"write\""), ("\"object\"", "\"object\", \"title\": \"x\"")]
        {
            let error = Lock::parse(&text.replace(from, to)).expect_err(to).to_string();
            assert!(error.starts_with("tool `go`: the definition does not have the digest"), "{error}");
        }
        for (from, to) in
            [("contracts/v1", "contracts/v2"), ("\"by\"", "\"for\""), ("1970-01-01T", "1970-13-01T")]
        {
            assert!(Lock::parse(&text.replace(from, to)).is_err(), "{to}");
        }
        assert!(Lock::parse("{").is_err());
    }
}
