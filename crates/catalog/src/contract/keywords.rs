//! The keywords of JSON Schema 2020-12 that hold no schemas: what a change of each does to the
//! instances that are valid. Those that hold schemas are in `schema`.

use std::cmp::Ordering;

use serde_json::{Map, Number, Value};

use super::compare::pointer;
use super::schema::{Change, Comparison};

/// Keywords that say nothing of what is valid.
pub(super) const WORDING: [&str; 7] =
    ["title", "description", "$comment", "examples", "deprecated", "readOnly", "writeOnly"];

/// Keywords whose value is data, not schemas.
pub(super) const DATA: [&str; 5] = ["enum", "const", "default", "required", "dependentRequired"];

/// Keywords whose value has schemas by names.
pub(super) const MAPS: [&str; 5] =
    ["properties", "patternProperties", "$defs", "definitions", "dependentSchemas"];

/// Bounds with what an absent one is, and whether a greater one lets less through.
const BOUNDS: [(&str, &str, Option<u64>, bool); 10] = [
    ("minimum", "minimum", None, true),
    ("exclusiveMinimum", "exclusive_minimum", None, true),
    ("minLength", "min_length", Some(0), true),
    ("minItems", "min_items", Some(0), true),
    ("minProperties", "min_properties", Some(0), true),
    ("maximum", "maximum", None, false),
    ("exclusiveMaximum", "exclusive_maximum", None, false),
    ("maxLength", "max_length", None, false),
    ("maxItems", "max_items", None, false),
    ("maxProperties", "max_properties", None, false),
];

/// The keywords that [`compare`] looks at.
pub(super) const LOOKED_AT: [&str; 20] = [
    "type",
    "enum",
    "const",
    "minimum",
    "exclusiveMinimum",
    "minLength",
    "minItems",
    "minProperties",
    "maximum",
    "exclusiveMaximum",
    "maxLength",
    "maxItems",
    "maxProperties",
    "multipleOf",
    "format",
    "pattern",
    "uniqueItems",
    "required",
    "dependentRequired",
    "nullable",
];

/// Notes what differs in the keywords without schemas.
pub(super) fn compare(of: &mut Comparison<'_>, old: &Map<String, Value>, new: &Map<String, Value>, at: &str) {
    types(of, old, new, at);
    values(of, old, new, at);
    for (name, rule, absent, greater_is_tighter) in BOUNDS {
        let absent = absent.map(|n| Value::Number(n.into()));
        let read = |object: &'_ Map<String, Value>| object.get(name).or(absent.as_ref()).cloned();
        bound(of, (name, rule, greater_is_tighter), (read(old), read(new)), at);
    }
    multiples(of, old.get("multipleOf"), new.get("multipleOf"), at);
    for (name, rule) in [("format", "format"), ("pattern", "pattern")] {
        presence(of, (name, rule), (old.get(name), new.get(name)), at);
    }
    for (name, rule, is_tighter) in [("uniqueItems", "unique_items", true), ("nullable", "nullable", false)] {
        switch(of, (name, rule, is_tighter), (old.get(name), new.get(name)), at);
    }
    names(of, (old.get("required"), new.get("required")), &pointer(at, "required"));
    dependent(of, old.get("dependentRequired"), new.get("dependentRequired"), at);
}

/// One bit for each type.
type Types = u8;
const INTEGER: Types = 1;
const NUMBER: Types = 2;
const ALL: Types = 0b111_1111;

fn type_named(name: &str) -> Option<Types> {
    let types = ["integer", "number", "null", "boolean", "object", "array", "string"];
    types.iter().position(|known| *known == name).map(|at| 1 << at)
}

/// The types of what `type` lets through; none if it cannot be understood.
fn declared(object: &Map<String, Value>) -> Option<Types> {
    let types = match object.get("type") {
        None => return Some(ALL),
        Some(Value::String(one)) => type_named(one)?,
        Some(Value::Array(many)) => {
            many.iter().try_fold(0, |all, one| Some(all | type_named(one.as_str()?)?))?
        }
        Some(_) => return None,
    };
    // Every integer is a number.
    Some(if types & NUMBER == 0 { types } else { types | INTEGER })
}

fn type_of(value: &Value) -> Types {
    match value {
        Value::Null => 4,
        Value::Bool(_) => 8,
        Value::Object(_) => 16,
        Value::Array(_) => 32,
        Value::String(_) => 64,
        Value::Number(number) if number.as_f64().is_some_and(|n| n.fract() == 0.0) => INTEGER,
        Value::Number(_) => NUMBER,
    }
}

/// The values that `enum` and `const` let through, if they say.
fn allowed(object: &Map<String, Value>) -> Option<Vec<&Value>> {
    let listed = object.get("enum").and_then(Value::as_array);
    match (listed, object.get("const")) {
        (Some(listed), Some(only)) => Some(listed.iter().filter(|value| *value == only).collect()),
        (Some(listed), None) => Some(listed.iter().collect()),
        (None, only) => only.map(|only| vec![only]),
    }
}

/// The types that can be valid at all.
fn possible(object: &Map<String, Value>) -> Option<Types> {
    let declared = declared(object)?;
    Some(match allowed(object) {
        Some(values) => declared & values.into_iter().map(type_of).fold(0, |all, one| all | one),
        None => declared,
    })
}

fn types(of: &mut Comparison<'_>, old: &Map<String, Value>, new: &Map<String, Value>, at: &str) {
    let at = pointer(at, "type");
    let (before, after) = (old.get("type"), new.get("type"));
    let types = (declared(old), possible(old), declared(new), possible(new));
    let (Some(old), Some(old_possible), Some(new), Some(new_possible)) = types else {
        if before != after {
            of.note("type.unclear", Change::Unclear, at, before, after);
        }
        return;
    };
    let tighter = old_possible & !new != 0;
    let looser = new_possible & !old != 0;
    if tighter && old_possible & new == 0 {
        of.note("type.changed", Change::Gone, at, before, after);
        return;
    }
    if tighter {
        of.note("type.narrowed", Change::Tighter, at.clone(), before, after);
    }
    if looser {
        of.note("type.widened", Change::Looser, at, before, after);
    }
}

fn values(of: &mut Comparison<'_>, old: &Map<String, Value>, new: &Map<String, Value>, at: &str) {
    let at = pointer(at, if old.contains_key("enum") || new.contains_key("enum") { "enum" } else { "const" });
    let odd = |object: &Map<String, Value>| object.get("enum").is_some_and(|values| !values.is_array());
    let shown = |object: &Map<String, Value>| object.get("enum").or(object.get("const")).cloned();
    let (before, after) = (shown(old), shown(new));
    if odd(old) || odd(new) {
        if before != after {
            of.note("enum.unclear", Change::Unclear, at, before.as_ref(), after.as_ref());
        }
        return;
    }
    let (was, is) = (allowed(old), allowed(new));
    let within = |some: &Vec<&Value>, others: &Option<Vec<&Value>>| {
        others.as_ref().is_none_or(|others| some.iter().all(|value| others.contains(value)))
    };
    let tighter = match &was {
        Some(was) => !within(was, &is),
        None => is.is_some(),
    };
    let looser = match &is {
        Some(is) => !within(is, &was),
        None => was.is_some(),
    };
    if tighter {
        of.note("enum.narrowed", Change::Tighter, at.clone(), before.as_ref(), after.as_ref());
    }
    if looser {
        of.note("enum.widened", Change::Looser, at, before.as_ref(), after.as_ref());
    }
}

/// How two numbers compare; none where that cannot be told without losing digits.
fn order(one: &Number, two: &Number) -> Option<Ordering> {
    let whole = |number: &Number| number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from));
    if let (Some(one), Some(two)) = (whole(one), whole(two)) {
        return Some(one.cmp(&two));
    }
    let order = one.as_f64()?.partial_cmp(&two.as_f64()?)?;
    let exact = |number: &Number| number.as_f64().is_some_and(|n| n.abs() < 9_007_199_254_740_992.0);
    (order != Ordering::Equal || (exact(one) && exact(two))).then_some(order)
}

fn bound(
    of: &mut Comparison<'_>,
    (name, rule, greater_is_tighter): (&str, &str, bool),
    (old, new): (Option<Value>, Option<Value>),
    at: &str,
) {
    if old == new {
        return;
    }
    let change = match (&old, &new) {
        (None, Some(Value::Number(_))) => Change::Tighter,
        (Some(Value::Number(_)), None) => Change::Looser,
        (Some(Value::Number(old)), Some(Value::Number(new))) => match order(old, new) {
            Some(Ordering::Equal) => return,
            Some(order) if (order == Ordering::Less) == greater_is_tighter => Change::Tighter,
            Some(_) => Change::Looser,
            None => Change::Unclear,
        },
        _ => Change::Unclear,
    };
    of.note(&format!("{rule}.{}", change.as_str()), change, pointer(at, name), old.as_ref(), new.as_ref());
}

fn multiples(of: &mut Comparison<'_>, old: Option<&Value>, new: Option<&Value>, at: &str) {
    if old == new {
        return;
    }
    let whole = |value: Option<&Value>| value.and_then(Value::as_u64).filter(|n| *n > 0);
    let change = match (old, new) {
        (None, _) => Change::Tighter,
        (_, None) => Change::Looser,
        _ => match (whole(old), whole(new)) {
            (Some(old), Some(new)) if old % new == 0 => Change::Looser,
            (Some(old), Some(new)) if new % old == 0 => Change::Tighter,
            _ => Change::Unclear,
        },
    };
    let rule = format!("multiple_of.{}", change.as_str());
    of.note(&rule, change, pointer(at, "multipleOf"), old, new);
}

/// A keyword whose values cannot be compared with each other.
fn presence(
    of: &mut Comparison<'_>,
    (name, rule): (&str, &str),
    (old, new): (Option<&Value>, Option<&Value>),
    at: &str,
) {
    let change = match (old, new) {
        (None, None) => return,
        (None, Some(_)) => Change::Tighter,
        (Some(_), None) => Change::Looser,
        (Some(old), Some(new)) if old == new => return,
        _ => Change::Unclear,
    };
    of.note(&format!("{rule}.{}", change.as_str()), change, pointer(at, name), old, new);
}

fn switch(
    of: &mut Comparison<'_>,
    (name, rule, true_is_tighter): (&str, &str, bool),
    (old, new): (Option<&Value>, Option<&Value>),
    at: &str,
) {
    let read = |value: Option<&Value>| value.map_or(Some(false), Value::as_bool);
    let change = match (read(old), read(new)) {
        (Some(old), Some(new)) if old == new => return,
        (Some(_), Some(new)) if new == true_is_tighter => Change::Tighter,
        (Some(_), Some(_)) => Change::Looser,
        _ if old == new => return,
        _ => Change::Unclear,
    };
    of.note(&format!("{rule}.{}", change.as_str()), change, pointer(at, name), old, new);
}

/// Names that must be there.
fn names(of: &mut Comparison<'_>, (old, new): (Option<&Value>, Option<&Value>), at: &str) {
    if old == new {
        return;
    }
    let read = |value: Option<&Value>| match value {
        None => Some(Vec::new()),
        Some(value) => value.as_array()?.iter().map(|name| name.as_str().map(str::to_owned)).collect(),
    };
    let (Some(was), Some(is)) = (read(old), read(new)) else {
        of.note("required.unclear", Change::Unclear, at.to_owned(), old, new);
        return;
    };
    for name in is.iter().filter(|name| !was.contains(name)) {
        of.note("required.added", Change::Tighter, at.to_owned(), None, Some(&name.as_str().into()));
    }
    for name in was.iter().filter(|name| !is.contains(name)) {
        of.note("required.removed", Change::Forgone, at.to_owned(), Some(&name.as_str().into()), None);
    }
}

fn dependent(of: &mut Comparison<'_>, old: Option<&Value>, new: Option<&Value>, at: &str) {
    if old == new {
        return;
    }
    let at = pointer(at, "dependentRequired");
    let none = Map::new();
    let read = |value: Option<&'_ Value>| match value {
        None => Some(none.clone()),
        Some(value) => value.as_object().cloned(),
    };
    let (Some(was), Some(is)) = (read(old), read(new)) else {
        of.note("dependent_required.unclear", Change::Unclear, at, old, new);
        return;
    };
    let all: std::collections::BTreeSet<&String> = was.keys().chain(is.keys()).collect();
    for name in all {
        names(of, (was.get(name), is.get(name)), &pointer(&at, name));
    }
}
