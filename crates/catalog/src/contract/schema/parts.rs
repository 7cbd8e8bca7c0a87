//! The keywords that hold schemas: what a change of each does to the instances that are valid.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::{ANYTHING, Change, Comparison, Side, TRUE, is_aside};
use crate::contract::compare::pointer;
use crate::contract::keywords::LOOKED_AT;
use crate::contract::reference::same;

impl<'a> Comparison<'a> {
    pub(super) fn objects(
        &mut self,
        old: &'a Map<String, Value>,
        new: &'a Map<String, Value>,
        at: &str,
        depth: usize,
    ) {
        let properties = |object: &'a Map<String, Value>| object.get("properties").and_then(Value::as_object);
        let (was, is) = (properties(old).unwrap_or(&ANYTHING), properties(new).unwrap_or(&ANYTHING));
        let at_properties = pointer(at, "properties");
        for (name, before) in was {
            let at = pointer(&at_properties, name);
            match is.get(name) {
                Some(after) => self.pair(before, after, &at, depth + 1),
                None => {
                    let change = match (self.side, is_closed(new)) {
                        (Side::Input, false) => Change::Unclear,
                        _ => Change::Gone,
                    };
                    self.note("property.removed", change, at, Some(before), None);
                }
            }
        }
        for (name, after) in is.iter().filter(|(name, _)| !was.contains_key(*name)) {
            let has_patterns = old.contains_key("patternProperties") || new.contains_key("patternProperties");
            let is_open = old.get("additionalProperties").is_none_or(is_anything);
            let change = match self.side {
                _ if has_patterns => Change::Unclear,
                Side::Input if is_closed(old) || is_anything(after) => Change::Harmless,
                Side::Output if is_closed(old) => Change::Looser,
                Side::Output if is_open => Change::Harmless,
                Side::Input | Side::Output => Change::Unclear,
            };
            self.note("property.added", change, pointer(&at_properties, name), None, Some(after));
        }
        for name in ["additionalProperties", "propertyNames"] {
            let (old, new) = (old.get(name).unwrap_or(&TRUE), new.get(name).unwrap_or(&TRUE));
            self.pair(old, new, &pointer(at, name), depth + 1);
        }
        self.by_name(("patternProperties", "pattern_properties"), (old, new), at, depth);
        self.by_name(("dependentSchemas", "dependent_schemas"), (old, new), at, depth);
    }

    /// Schemas by names that are conditions: one more of them is not simply tighter if it also
    /// says what `additionalProperties` is not for.
    fn by_name(
        &mut self,
        (name, rule): (&str, &str),
        (old, new): (&'a Map<String, Value>, &'a Map<String, Value>),
        at: &str,
        depth: usize,
    ) {
        let (before, after) = (old.get(name), new.get(name));
        if before.is_none() && after.is_none() {
            return;
        }
        let at = pointer(at, name);
        let of = |value: Option<&'a Value>| value.map_or(Some(&*ANYTHING), Value::as_object);
        let (Some(was), Some(is)) = (of(before), of(after)) else {
            if before != after {
                self.note(&format!("{rule}.unclear"), Change::Unclear, at, before, after);
            }
            return;
        };
        if was.len() != is.len() || was.keys().any(|key| !is.contains_key(key)) {
            self.note(&format!("{rule}.changed"), Change::Unclear, at, before, after);
            return;
        }
        for (key, before) in was {
            if let Some(after) = is.get(key) {
                self.pair(before, after, &pointer(&at, key), depth + 1);
            }
        }
    }

    pub(super) fn lists(
        &mut self,
        old: &'a Map<String, Value>,
        new: &'a Map<String, Value>,
        at: &str,
        depth: usize,
    ) {
        let (before, after) = (old.get("items").unwrap_or(&TRUE), new.get("items").unwrap_or(&TRUE));
        if before.is_array() || after.is_array() {
            self.unless_same("items", "items", (old, new), at);
        } else {
            self.pair(before, after, &pointer(at, "items"), depth + 1);
        }
        let list = |object: &'a Map<String, Value>| object.get("prefixItems").and_then(Value::as_array);
        match (list(old), list(new)) {
            (Some(was), Some(is)) if was.len() == is.len() => {
                let at = pointer(at, "prefixItems");
                for (nth, (before, after)) in was.iter().zip(is).enumerate() {
                    self.pair(before, after, &pointer(&at, &nth.to_string()), depth + 1);
                }
            }
            _ => self.unless_same("prefixItems", "prefix_items", (old, new), at),
        }
        let group = ["contains", "minContains", "maxContains"];
        let has = |object: &Map<String, Value>| object.contains_key("contains");
        let is_same = group.iter().all(|name| self.is_same(old.get(*name), new.get(*name)));
        if !is_same && (has(old) || has(new)) {
            let change = match (has(old), has(new)) {
                (false, true) => Change::Tighter,
                (true, false) => Change::Looser,
                _ => Change::Unclear,
            };
            let (old, new) = (old.get("contains"), new.get("contains"));
            self.note("contains.changed", change, pointer(at, "contains"), old, new);
        }
    }

    pub(super) fn applicators(
        &mut self,
        old: &'a Map<String, Value>,
        new: &'a Map<String, Value>,
        at: &str,
        depth: usize,
    ) {
        for (name, rule) in [("allOf", "all_of"), ("anyOf", "any_of")] {
            let list = |object: &'a Map<String, Value>| object.get(name).and_then(Value::as_array);
            match (list(old), list(new)) {
                (Some(was), Some(is)) if was.len() == is.len() => {
                    let at = pointer(at, name);
                    for (nth, (before, after)) in was.iter().zip(is).enumerate() {
                        self.pair(before, after, &pointer(&at, &nth.to_string()), depth + 1);
                    }
                }
                _ => self.condition(name, rule, (old, new), at),
            }
        }
        for (name, rule) in [("oneOf", "one_of"), ("not", "not")] {
            self.condition(name, rule, (old, new), at);
        }
        let has = |object: &Map<String, Value>| object.contains_key("if");
        if has(old) && has(new) && self.is_same(old.get("if"), new.get("if")) {
            for name in ["then", "else"] {
                let (old, new) = (old.get(name).unwrap_or(&TRUE), new.get(name).unwrap_or(&TRUE));
                self.pair(old, new, &pointer(at, name), depth + 1);
            }
        } else if has(old) || has(new) {
            self.condition("if", "if", (old, new), at);
        }
    }

    /// A condition that is looked at as a whole.
    fn condition(
        &mut self,
        name: &str,
        rule: &str,
        (old, new): (&Map<String, Value>, &Map<String, Value>),
        at: &str,
    ) {
        let (before, after) = (old.get(name), new.get(name));
        let change = match (before, after) {
            (None, Some(_)) => Change::Tighter,
            (Some(_), None) => Change::Looser,
            _ if self.is_same(before, after) => Change::Wording,
            _ => Change::Unclear,
        };
        if before != after || change == Change::Unclear {
            self.note(&format!("{rule}.{}", change.as_str()), change, pointer(at, name), before, after);
        }
    }

    /// A keyword that is not compared further.
    fn unless_same(
        &mut self,
        name: &str,
        rule: &str,
        (old, new): (&Map<String, Value>, &Map<String, Value>),
        at: &str,
    ) {
        let (before, after) = (old.get(name), new.get(name));
        if !self.is_same(before, after) {
            self.note(&format!("{rule}.changed"), Change::Unclear, pointer(at, name), before, after);
        } else if before != after {
            self.note("wording.changed", Change::Wording, pointer(at, name), before, after);
        }
    }

    fn is_same(&self, old: Option<&Value>, new: Option<&Value>) -> bool {
        match (old, new) {
            (Some(old), Some(new)) => same(old, new, self.definitions),
            (None, None) => true,
            _ => false,
        }
    }

    /// What is unevaluated depends on all that stands beside it.
    pub(super) fn unevaluated(
        &mut self,
        (old, was): (&Value, &Map<String, Value>),
        (new, is): (&Value, &Map<String, Value>),
        at: &str,
    ) {
        for name in ["unevaluatedProperties", "unevaluatedItems"] {
            let (before, after) = (was.get(name), is.get(name));
            if before.is_none() && after.is_none() {
                continue;
            }
            let depends =
                |object: &Map<String, Value>| IN_PLACE.iter().any(|name| object.contains_key(*name));
            let is_same = self.is_same(before, after);
            if !is_same || ((depends(was) || depends(is)) && !same(old, new, self.definitions)) {
                self.note("unevaluated.changed", Change::Unclear, pointer(at, name), before, after);
            }
        }
    }

    /// Keywords that nothing here knows.
    pub(super) fn others(&mut self, old: &Map<String, Value>, new: &Map<String, Value>, at: &str) {
        let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
        for name in names {
            let known = LOOKED_AT.contains(&name.as_str()) || WITH_SCHEMAS.contains(&name.as_str());
            let (before, after) = (old.get(name), new.get(name));
            if !known && !is_aside(name) && name != "default" && name != "$ref" && before != after {
                self.note("keyword.unknown", Change::Unclear, pointer(at, name), before, after);
            }
        }
    }
}

/// Keywords that apply other schemas to the same instance.
const IN_PLACE: [&str; 9] =
    ["$ref", "allOf", "anyOf", "oneOf", "if", "then", "else", "dependentSchemas", "patternProperties"];

/// Keywords that are compared in this file.
const WITH_SCHEMAS: [&str; 19] = [
    "properties",
    "patternProperties",
    "additionalProperties",
    "propertyNames",
    "dependentSchemas",
    "unevaluatedProperties",
    "unevaluatedItems",
    "items",
    "prefixItems",
    "contains",
    "minContains",
    "maxContains",
    "allOf",
    "anyOf",
    "oneOf",
    "not",
    "if",
    "then",
    "else",
];

fn is_anything(schema: &Value) -> bool {
    match schema {
        Value::Bool(anything) => *anything,
        Value::Object(object) => object.keys().all(|name| is_aside(name) || name == "default"),
        _ => false,
    }
}

/// Whether what is not named may not be there.
fn is_closed(object: &Map<String, Value>) -> bool {
    let no = |name: &str| object.get(name) == Some(&Value::Bool(false));
    let has_patterns = object.contains_key("patternProperties");
    !has_patterns && (no("additionalProperties") || (no("unevaluatedProperties") && !is_combined(object)))
}

fn is_combined(object: &Map<String, Value>) -> bool {
    IN_PLACE.iter().any(|name| object.contains_key(*name))
}
