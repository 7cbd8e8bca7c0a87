//! References between the parts of a schema, and what is the same but for wording.

use serde_json::{Map, Value};

use super::keywords::{DATA, MAPS, WORDING};

/// Keywords by which a schema can be referred to in ways that are not followed here.
const NAMES: [&str; 5] = ["$anchor", "$dynamicRef", "$dynamicAnchor", "$recursiveRef", "$recursiveAnchor"];

/// Whether `root` has references that are not followed here: by anchors, to other documents, or
/// relative to an address inside it.
pub(super) fn is_unclear(root: &Value) -> bool {
    let is_plain = |text: &Value| {
        text.as_str().is_some_and(|text| text == "#" || (text.starts_with("#/") && !text.contains('%')))
    };
    any_object(root, &mut |object, is_root| {
        NAMES.iter().any(|name| object.contains_key(*name))
            || (!is_root && object.get("$id").is_some_and(Value::is_string))
            || object.get("$ref").is_some_and(|to| to.is_string() && !is_plain(to))
    })
}

fn any_object(value: &Value, is_wanted: &mut dyn FnMut(&Map<String, Value>, bool) -> bool) -> bool {
    fn walk(value: &Value, root: bool, wanted: &mut dyn FnMut(&Map<String, Value>, bool) -> bool) -> bool {
        match value {
            Value::Object(object) => {
                wanted(object, root) || object.values().any(|value| walk(value, false, wanted))
            }
            Value::Array(items) => items.iter().any(|item| walk(item, false, wanted)),
            _ => false,
        }
    }
    walk(value, true, is_wanted)
}

/// What `reference` leads to in `root`.
pub(super) fn target<'a>(root: &'a Value, reference: &Value) -> Option<&'a Value> {
    let path = reference.as_str()?.strip_prefix('#')?;
    root.pointer(path).filter(|found| found.is_object() || found.is_boolean())
}

/// Whether two documents define the same under `$defs` and `definitions`.
pub(super) fn same_definitions(old: &Value, new: &Value) -> bool {
    ["$defs", "definitions"].into_iter().all(|name| match (old.get(name), new.get(name)) {
        (None, None) => true,
        // What refers to one of these means the same in both, if all of them are.
        (Some(old), Some(new)) => same_map(old, new, true),
        _ => false,
    })
}

/// Whether two schemas differ in wording alone. References count as the same if they are, and
/// `definitions` are: whether both documents define the same.
pub(super) fn same(old: &Value, new: &Value, definitions: bool) -> bool {
    match (old, new) {
        (Value::Object(old), Value::Object(new)) => {
            let names = |object: &Map<String, Value>| {
                object.keys().filter(|name| !WORDING.contains(&name.as_str())).count()
            };
            names(old) == names(new)
                && old.iter().filter(|(name, _)| !WORDING.contains(&name.as_str())).all(|(name, old)| {
                    let Some(new) = new.get(name) else { return false };
                    match name.as_str() {
                        "$ref" => old == new && definitions && is_to_definition(old),
                        name if DATA.contains(&name) => old == new,
                        name if MAPS.contains(&name) => same_map(old, new, definitions),
                        _ => same(old, new, definitions),
                    }
                })
        }
        (Value::Array(old), Value::Array(new)) => {
            old.len() == new.len() && old.iter().zip(new).all(|(old, new)| same(old, new, definitions))
        }
        _ => old == new,
    }
}

fn is_to_definition(reference: &Value) -> bool {
    let text = reference.as_str().unwrap_or_default();
    text.starts_with("#/$defs/") || text.starts_with("#/definitions/")
}

fn same_map(old: &Value, new: &Value, definitions: bool) -> bool {
    match (old.as_object(), new.as_object()) {
        (Some(old), Some(new)) => {
            old.len() == new.len()
                && old.iter().all(|(name, old)| new.get(name).is_some_and(|new| same(old, new, definitions)))
        }
        _ => old == new,
    }
}
