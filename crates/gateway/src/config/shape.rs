//! From a tree to a typed configuration, with every problem of form at once.
//!
//! serde stops at the first fault. Here the part at fault is noted and taken out
//! of the tree, and the rest is read again, until it can be read whole or there
//! is nothing left. A part that is missing only because it was taken out is not
//! reported. A configuration with any problem yields no value.
//!
//! What the values mean together is not looked at here; see [`super::across`].

use quaymaster_core::suggest::{did_you_mean, nearest};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value as Json;

use super::decode::{Fault, FaultKind, NodeDeserializer, Notes, Step};
use super::diagnostic::{Code, Problem, Span};
use super::yaml::{Node, Value};

/// Most problems that are reported of one file.
const MAX_PROBLEMS: usize = 50;

/// What a tree turned out to be.
#[derive(Debug)]
pub(super) struct Shaped<T> {
    /// The configuration, if there is no problem with its form.
    pub(super) value: Option<T>,
    pub(super) problems: Vec<Problem>,
    /// Where something stands that may be a secret; `None` if not all was looked at.
    pub(super) hidden: Option<Vec<Span>>,
}

/// Reads `root`, which was made of `text`, as a `T`.
pub(super) fn shape<T: DeserializeOwned + JsonSchema>(root: &Node, text: &str) -> Shaped<T> {
    let schema = schemars::schema_for!(T).to_value();
    let mut pruned = Pruned { root: root.clone(), taken: Vec::new() };
    let mut problems: Vec<Problem> = Vec::new();
    let mut hidden: Vec<Span> = Vec::new();
    let value = loop {
        let notes = Notes::new(text);
        let read = T::deserialize(NodeDeserializer::new(&pruned.root, &notes));
        hidden.extend(notes.hidden.take());
        let fault = match read {
            Ok(value) => {
                let unquoted = notes.unquoted.take();
                problems.extend(unquoted.into_iter().map(|span| unquoted_problem(text, span)));
                break Some(value);
            }
            Err(fault) => fault,
        };
        let path: Vec<Step> = fault.steps.iter().rev().cloned().collect();
        let meant = meant_key(&fault.kind);
        problems.extend(problem(&schema, &pruned, &path, fault));
        if problems.len() >= MAX_PROBLEMS {
            return Shaped { value: None, problems, hidden: None };
        }
        match pruned.take(&path, meant) {
            // What stands under a key that is not known may be the secret that was meant for another.
            Some(taken) if meant.is_some() => hidden.extend(taken.written()),
            Some(_) => {}
            None => break None,
        }
    };
    Shaped { value: value.filter(|_| problems.is_empty()), problems, hidden: Some(hidden) }
}

/// For an unknown key, the known one that was probably meant, or nothing that is a key.
fn meant_key(kind: &FaultKind) -> Option<&'static str> {
    let FaultKind::UnknownKey { key, known } = kind else { return None };
    Some(nearest(key, known.iter().copied()).unwrap_or_default())
}

/// A tree without the parts that were at fault.
struct Pruned {
    root: Node,
    /// The keys that were taken out, each with where its mapping starts. A misspelt key counts as
    /// the one that was meant.
    taken: Vec<(usize, String)>,
}

impl Pruned {
    fn at(&self, path: &[Step]) -> Option<&Node> {
        path.iter().try_fold(&self.root, |node, step| match (&node.value, step) {
            (_, Step::Key(key)) => node.get(key),
            (Value::List(items), Step::Index(index)) => items.get(*index),
            _ => None,
        })
    }

    fn has_taken(&self, mapping: &Node, key: &str) -> bool {
        self.taken.iter().any(|(start, taken)| *start == mapping.whole.offset && taken == key)
    }

    /// Takes out what is at `path`, where `meant` was meant instead; `None` if that is everything.
    fn take(&mut self, path: &[Step], meant: Option<&str>) -> Option<Node> {
        let (last, parents) = path.split_last()?;
        let parent = parents.iter().try_fold(&mut self.root, child)?;
        let start = parent.whole.offset;
        match (&mut parent.value, last) {
            (Value::Map(entries), Step::Key(key)) => {
                let index = entries.iter().position(|entry| entry.key == *key)?;
                self.taken.push((start, meant.unwrap_or(key).to_owned()));
                Some(entries.remove(index).node)
            }
            (Value::List(items), Step::Index(index)) if *index < items.len() => Some(items.remove(*index)),
            _ => None,
        }
    }
}

fn child<'a>(node: &'a mut Node, step: &Step) -> Option<&'a mut Node> {
    match (&mut node.value, step) {
        (Value::Map(entries), Step::Key(key)) => {
            entries.iter_mut().find(|entry| entry.key == *key).map(|entry| &mut entry.node)
        }
        (Value::List(items), Step::Index(index)) => items.get_mut(*index),
        _ => None,
    }
}

/// `None` if the fault is there only because a part was taken out.
fn problem(schema: &Json, pruned: &Pruned, path: &[Step], fault: Fault) -> Option<Problem> {
    let span = fault.span;
    if fault.concealed {
        let message = match fault.kind {
            FaultKind::Said(message) => message,
            _ => "expected a reference to a secret, such as `${secret:NAME}`".to_owned(),
        };
        return Some(Problem::error(Code::SecretLiteral, span, message).concealed());
    }
    let problem = match fault.kind {
        FaultKind::UnknownKey { key, known } => {
            let message = format!("unknown key `{}`", key.escape_debug());
            let known = known.iter().copied();
            Problem::error(Code::UnknownKey, span, message).help(did_you_mean(&key, "known here", known))
        }
        FaultKind::MissingKey(key) => {
            let missing = missing_keys(schema, pruned, path, key);
            if missing.is_empty() {
                return None;
            }
            let plural = if missing.len() == 1 { "" } else { "s" };
            let keys: Vec<String> = missing.iter().map(|key| format!("`{key}`")).collect();
            Problem::error(Code::MissingKey, span, format!("missing key{plural} {}", keys.join(", ")))
        }
        FaultKind::UnknownWord { word, known } => {
            let message = format!("`{}` is not known here", word.escape_debug());
            let known = known.iter().copied();
            Problem::error(Code::Value, span, message).help(did_you_mean(&word, "expected one of", known))
        }
        FaultKind::Type { found, expected } => {
            let expected = in_words(&expected);
            let help = type_help(&found, expected);
            Problem::error(Code::Type, span, format!("expected {expected}, found {found}")).help(help)
        }
        FaultKind::Value { found, expected } => {
            let message = format!("expected {}, found {found}", in_words(&expected));
            Problem::error(Code::Value, span, message)
        }
        FaultKind::Said(message) => Problem::error(Code::Value, span, without_type_names(message)),
    };
    Some(problem)
}

/// What serde says of an enum without tags names the enum; a reader knows no such name.
fn without_type_names(message: String) -> String {
    if message.starts_with("data did not match any variant") {
        return "none of the forms that are known here".to_owned();
    }
    message
}

fn unquoted_problem(text: &str, span: Span) -> Problem {
    let written = text.get(span.offset..span.end()).unwrap_or_default();
    let found = if matches!(written.to_ascii_lowercase().as_str(), "true" | "false") {
        format!("`{written}`")
    } else {
        "a number".to_owned()
    };
    Problem::error(Code::Type, span, format!("expected a text, found {found}"))
        .help("put it in quotes".to_owned())
}

fn type_help(found: &str, expected: &str) -> Option<String> {
    match (found, expected) {
        ("nothing", _) => Some("remove the key or give it a value".into()),
        ("a text", "`true` or `false`") => {
            Some("only `true` and `false`, without quotes, are truths in YAML 1.2".into())
        }
        (_, "a list") => Some("write each item on a line of its own after `- `, or all in `[ ]`".into()),
        _ => None,
    }
}

/// What a type expects, without the names that it has in Rust.
fn in_words(expected: &str) -> &str {
    match expected {
        "a string" | "string" | "a character" => "a text",
        "a boolean" => "`true` or `false`",
        "a sequence" => "a list",
        "a map" => "a mapping",
        "path string" => "a path",
        "unit" => "nothing",
        "any valid JSON value" => "a value",
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number that is not negative",
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number",
        "f32" | "f64" => "a number",
        other if other.starts_with("a nonzero") => "a whole number above 0",
        other if other.starts_with("struct ") => "a mapping",
        other if other.starts_with("enum ") || other.starts_with("variant ") => "one of the known words",
        other if other.starts_with("tuple ") || other.starts_with("an array ") => "a list",
        other => other,
    }
}

/// All keys that are required at `path` and were never there, `key` among them if it was not.
fn missing_keys<'a>(schema: &'a Json, pruned: &Pruned, path: &[Step], key: &'a str) -> Vec<&'a str> {
    let required = path.iter().try_fold(schema, |at, step| below(schema, at, step));
    let required = required.and_then(|at| resolved(schema, at)?.get("required")?.as_array());
    let mut names: Vec<&str> = required.into_iter().flatten().filter_map(Json::as_str).collect();
    if !names.contains(&key) {
        names = vec![key];
    }
    let here = pruned.at(path);
    names.retain(|name| here.is_some_and(|n| n.get(name).is_none() && !pruned.has_taken(n, name)));
    names
}

fn below<'a>(schema: &'a Json, at: &'a Json, step: &Step) -> Option<&'a Json> {
    let at = resolved(schema, at)?;
    match step {
        Step::Index(_) => at.get("items"),
        Step::Key(key) => {
            let named = at.get("properties").and_then(|properties| properties.get(key));
            let patterns = at.get("patternProperties").and_then(Json::as_object);
            named.or_else(|| patterns?.values().next()).or_else(|| at.get("additionalProperties"))
        }
    }
}

/// Follows a reference, and the one branch of an optional part that is not `null`.
fn resolved<'a>(schema: &'a Json, at: &'a Json) -> Option<&'a Json> {
    let at = match at.get("anyOf").and_then(Json::as_array) {
        Some(branches) => branches.iter().find(|branch| branch.get("$ref").is_some())?,
        None => at,
    };
    match at.get("$ref").and_then(Json::as_str) {
        Some(reference) => schema.pointer(reference.strip_prefix('#')?),
        None => Some(at),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::num::NonZeroU32;

    use quaymaster_core::SecretRef;
    use quaymaster_core::setting::{DurationSetting, Slug};
    use serde::Deserialize;

    use super::super::yaml::parse;
    use super::*;

    #[derive(Debug, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields, rename_all = "camelCase")]
    struct Ship {
        name: String,
        call_sign: Slug,
        #[serde(default)]
        berth_time: Option<DurationSetting>,
        #[serde(default)]
        sealed: bool,
        #[serde(default)]
        crew: Vec<Sailor>,
        #[serde(default)]
        cargo: BTreeMap<Slug, Cargo>,
        #[serde(default)]
        key: Option<SecretRef>,
        #[serde(default)]
        anything: serde_json::Value,
    }

    #[derive(Debug, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields, rename_all = "camelCase")]
    struct Sailor {
        name: String,
        rank: Rank,
        #[serde(default)]
        hands: Option<NonZeroU32>,
    }

    #[derive(Debug, Deserialize, JsonSchema)]
    #[serde(rename_all = "lowercase")]
    enum Rank {
        Master,
        Mate,
        Other(Cargo),
    }

    #[derive(Debug, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    struct Cargo {
        tons: u32,
    }

    fn found(text: &str) -> String {
        let shaped: Shaped<Ship> = shape(&parse(text).expect("YAML"), text);
        assert_eq!(shaped.value.is_some(), shaped.problems.is_empty());
        let lines = shaped.problems.into_iter().map(|p| {
            let at = p.span.map(|s| if p.concealed { "(hidden)" } else { &text[s.offset..s.end()] });
            format!("{} at {:?}: {} ({})", p.code, at.unwrap_or("-"), p.message, p.help.unwrap_or_default())
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn what_has_the_right_form_is_read_whole() {
        let text = "name: Anna\ncallSign: anna\nberthTime: 2h\nsealed: true\nkey: ${secret:KEY}\n\
                    crew: [{name: Bo, rank: mate, hands: 2}, {name: Cy, rank: {other: {tons: 1}}}]\n\
                    cargo: {tea: {tons: 3}}\nanything: {a: [1, -2, 3.5, null, true, x]}\n";
        let shaped: Shaped<Ship> = shape(&parse(text).expect("YAML"), text);
        assert_eq!(shaped.problems, []);
        let ship = shaped.value.expect("a ship");
        assert_eq!((ship.name.as_str(), ship.call_sign.as_str(), ship.sealed), ("Anna", "anna", true));
        assert_eq!(ship.anything.to_string(), r#"{"a":[1,-2,3.5,null,true,"x"]}"#);
        assert!(matches!(&ship.crew[1].rank, Rank::Other(cargo) if cargo.tons == 1));
        assert_eq!((ship.crew[0].name.as_str(), ship.crew[0].hands.map(NonZeroU32::get)), ("Bo", Some(2)));
        assert_eq!(ship.cargo.len() + usize::from(ship.berth_time.is_some() && ship.key.is_some()), 2);
    }

    #[test]
    fn every_problem_of_form_is_found_at_once() {
        insta::assert_snapshot!(found(
            "name: 1.10\ncallsign: anna\nberthTime: 10\nsealed: yes\nkey: hunter2\n\
             crew:\n  - {name: Bo, rank: maat, hands: 0}\n  - {hands: x}\n  - [a]\n  - {name: true, rank: {mate: 1}}\n\
             cargo: {tea: {tons: -3}, Salt: {tons: 1}, rum: {tuns: 3}, ice:}\nanything: {a: 1}\n"
        ));
    }

    #[test]
    fn all_missing_keys_of_a_mapping_are_named_together() {
        insta::assert_snapshot!(found("crew: [{}]\n"), @r#"
        config.missing_key at "{": missing keys `name`, `rank` ()
        config.missing_key at "crew": missing keys `name`, `callSign` ()
        "#);
    }

    #[test]
    fn a_misspelt_key_is_not_also_a_missing_one() {
        insta::assert_snapshot!(found("nmae: a\ncallSign: b\n"), @"config.unknown_key at \"nmae\": unknown key `nmae` (did you mean `name`?)");
        assert_eq!(found("nmae: a\n").lines().count(), 2);
    }

    #[test]
    fn what_one_item_of_a_list_lost_is_not_forgiven_the_next() {
        let text = "name: a\ncallSign: a\ncrew: [{name: [], rank: mate}, {rank: mate}]\n";
        insta::assert_snapshot!(found(text));
    }

    #[test]
    fn a_mapping_is_not_filled_from_a_list() {
        insta::assert_snapshot!(
            found("name: a\ncallSign: a\ncrew: [[Bo, mate]]\n"),
            @r#"config.type at "Bo": expected a mapping, found a list ()"#
        );
    }

    #[test]
    fn a_file_of_another_kind_altogether_is_one_problem() {
        for text in ["", "- a\n", "text\n"] {
            assert_eq!(found(text).lines().count(), 1, "{text}");
        }
    }

    #[test]
    fn nothing_that_stands_where_a_reference_to_a_secret_should_is_repeated() {
        for literal in ["hunter2", "123456", "[hunter2, {a: hunter2}]", "{hunter2: 1}", "${secret:hunter2}"] {
            let text = format!("name: a\ncallSign: a\nkey: {literal}\n");
            let shaped: Shaped<Ship> = shape(&parse(&text).expect("YAML"), &text);
            assert!(shaped.value.is_none(), "{literal}");
            assert!(shaped.problems.iter().all(|p| p.concealed), "{literal}");
            assert!(!format!("{:?}", shaped.problems).contains("hunter2"), "{literal}");
            assert!(shaped.hidden.is_some_and(|hidden| !hidden.is_empty()), "{literal}");
        }
    }

    #[test]
    fn the_number_of_problems_is_bounded() {
        let text = format!(
            "name: a\ncallSign: a\n{}",
            (0..200).map(|n| format!("x{n}: 1")).collect::<Vec<_>>().join("\n")
        );
        assert_eq!(found(&text).lines().count(), MAX_PROBLEMS);
    }
}
