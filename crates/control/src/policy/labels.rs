//! The labels that policies ask for, and those that there can be.
//!
//! A policy that asks for a label that nothing sets would never hold, so its name is an error.

use std::collections::BTreeSet;

use cedar_policy::Policy;
use serde_json::Value;

/// The labels that the conditions of `policy` compare `context.labels` with, as far as they are written out.
pub(super) fn named(policy: &Policy) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    if let Ok(json) = policy.to_json() {
        look(json.get("conditions").unwrap_or(&Value::Null), &mut found);
    }
    found
}

/// Looks for what stands on the other side of `context.labels`.
fn look(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            if let (Some(left), Some(right)) = (members.get("left"), members.get("right")) {
                for (one, other) in [(left, right), (right, left)] {
                    if is_labels(one) {
                        texts(other, found);
                    }
                }
            }
            members.values().for_each(|member| look(member, found));
        }
        Value::Array(items) => items.iter().for_each(|item| look(item, found)),
        _ => {}
    }
}

/// Whether it is `context.labels`.
fn is_labels(value: &Value) -> bool {
    let attribute = value.get(".");
    let of = |member: &str| attribute.and_then(|attribute| attribute.get(member));
    of("attr").and_then(Value::as_str) == Some("labels")
        && of("left").and_then(|left| left.get("Var")).and_then(Value::as_str) == Some("context")
}

/// Every text that is written out in `value`.
fn texts(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => match members.get("Value").and_then(Value::as_str) {
            Some(text) => {
                found.insert(text.to_owned());
            }
            None => members.values().for_each(|member| texts(member, found)),
        },
        Value::Array(items) => items.iter().for_each(|item| texts(item, found)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(condition: &str) -> Vec<String> {
        let text = format!("forbid (principal, action, resource) when {{ {condition} }};");
        let policy = Policy::parse(None, text).expect("a policy");
        named(&policy).into_iter().collect()
    }

    #[test]
    fn every_label_that_is_asked_for_is_found_and_no_other_text() {
        assert_eq!(labels("context.labels.contains(\"a\") && resource.effect == \"b\""), ["a"]);
        assert_eq!(labels("context.labels.containsAny([\"a\", \"b\"])"), ["a", "b"]);
        assert_eq!(
            labels("!context[\"labels\"].containsAll([\"a\"]) || [\"b\"].containsAll(context.labels)"),
            ["a", "b"]
        );
        assert_eq!(labels("context.labels == [\"a\"]"), ["a"]);
        assert_eq!(
            labels("if context.labels.contains(\"a\") then context.session == \"x\" else true"),
            ["a"]
        );
        assert!(labels("context.arguments.labels.contains(\"a\")").is_empty());
    }
}
