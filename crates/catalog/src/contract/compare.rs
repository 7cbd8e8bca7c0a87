//! Two contracts of one tool, member by member. What schemas mean is in `schema`.

use serde_json::{Map, Value};

use super::schema::{Side, compare_schemas};
use super::{Contract, Reason, Verdict};
use crate::hidden::closed;

/// Most reasons of one comparison; further ones say nothing that changes a decision.
pub(super) const MAX_REASONS: usize = 100;

/// Members of a definition that have rules of their own.
const KNOWN: [&str; 8] =
    ["name", "title", "description", "inputSchema", "outputSchema", "annotations", "execution", "icons"];

/// The hints of `ToolAnnotations` with what they are where they are absent, and what is the safer claim.
const HINTS: [(&str, bool, bool); 4] = [
    ("readOnlyHint", false, true),
    ("destructiveHint", true, false),
    ("idempotentHint", false, true),
    ("openWorldHint", true, false),
];

/// What `new` means for whoever relied on `old`, worst first. Empty if nothing is different.
///
/// At most 100 reasons are given. The order of the others is that of the definition.
pub fn compare(old: &Contract, new: &Contract) -> Vec<Reason> {
    if old.digest() == new.digest() {
        return Vec::new();
    }
    let mut reasons = Vec::new();
    let (before, after) = (old.definition(), new.definition());
    let mut differs = |rule: &str, verdict: Verdict, member: &str| {
        let (old, new) = (before.get(member), after.get(member));
        if old != new {
            reasons.push(reason(rule, verdict, pointer("", member), old, new));
        }
    };
    differs("name.changed", Verdict::Breaking, "name");
    differs("title.changed", Verdict::Cosmetic, "title");
    differs("description.changed", Verdict::Cosmetic, "description");
    differs("icons.changed", Verdict::Cosmetic, "icons");
    let further: std::collections::BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    for member in further.into_iter().filter(|member| !KNOWN.contains(&member.as_str())) {
        differs("member.changed", Verdict::Risky, member);
    }
    effect(old, new, &mut reasons);
    annotations(before.get("annotations"), after.get("annotations"), &mut reasons);
    execution(before, after, &mut reasons);
    let open = Value::Object(Map::new());
    let schema = |definition: &Map<String, Value>| closed(definition.get("inputSchema").unwrap_or(&open));
    reasons.extend(compare_schemas(&schema(before), &schema(after), Side::Input, "/inputSchema"));
    output(before.get("outputSchema"), after.get("outputSchema"), &mut reasons);
    if reasons.is_empty() {
        // Such as definitions inside a schema that nothing refers to.
        reasons.push(reason("unused.changed", Verdict::Cosmetic, String::new(), None, None));
    }
    reasons.sort_by_key(|reason| std::cmp::Reverse(reason.verdict));
    reasons.truncate(MAX_REASONS);
    reasons
}

fn effect(old: &Contract, new: &Contract, reasons: &mut Vec<Reason>) {
    if old.effect() != new.effect() {
        let value = |contract: &Contract| Value::from(contract.effect().as_str());
        let (old, new) = (value(old), value(new));
        reasons.push(reason("effect.changed", Verdict::Risky, "/effect".into(), Some(&old), Some(&new)));
    }
}

/// What is claimed is compared as it is read: an absent hint has a meaning.
fn annotations(old: Option<&Value>, new: Option<&Value>, reasons: &mut Vec<Reason>) {
    let none = Map::new();
    let read = |value: Option<&Value>| value.and_then(Value::as_object).unwrap_or(&none).clone();
    let is_odd = |value: Option<&Value>| value.is_some_and(|value| !value.is_object());
    if is_odd(old) || is_odd(new) {
        if old != new {
            reasons.push(reason("annotations.unclear", Verdict::Risky, "/annotations".into(), old, new));
        }
        return;
    }
    let (before, after) = (read(old), read(new));
    let names: std::collections::BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    for name in names {
        let (old, new) = (before.get(name), after.get(name));
        if old == new {
            continue;
        }
        let at = pointer("/annotations", name);
        let hint = HINTS.iter().find(|(hint, ..)| hint == name);
        let found = match hint {
            Some((_, absent, safer)) => {
                let is = |value: Option<&Value>| value.map_or(Some(*absent), Value::as_bool);
                match (is(old), is(new)) {
                    (Some(old), Some(new)) if old == new => continue,
                    (Some(_), Some(new)) if new == *safer => ("annotations.safer", Verdict::Cosmetic),
                    _ => ("annotations.less_safe", Verdict::Risky),
                }
            }
            None if name == "title" => ("title.changed", Verdict::Cosmetic),
            None => ("annotations.changed", Verdict::Risky),
        };
        reasons.push(reason(found.0, found.1, at, old, new));
    }
}

/// Whether it can be called as a task (MCP 2025-11-25, basic/utilities/tasks): a new way is an addition,
/// one that is gone or the only one left is not.
fn execution(old: &Map<String, Value>, new: &Map<String, Value>, reasons: &mut Vec<Reason>) {
    let (old, new) = (old.get("execution"), new.get("execution"));
    if old == new {
        return;
    }
    let support = |value: Option<&Value>| {
        let support = value.and_then(|value| value.get("taskSupport"));
        support.and_then(Value::as_str).unwrap_or("forbidden").to_owned()
    };
    let only_that = |value: Option<&Value>| {
        value.and_then(Value::as_object).is_none_or(|object| object.keys().all(|key| key == "taskSupport"))
    };
    let added = support(old) == "forbidden" && support(new) == "optional";
    let verdict = if only_that(old) && only_that(new) && (added || support(old) == support(new)) {
        Verdict::Additive
    } else {
        Verdict::Risky
    };
    reasons.push(reason("execution.changed", verdict, "/execution".into(), old, new));
}

fn output(old: Option<&Value>, new: Option<&Value>, reasons: &mut Vec<Reason>) {
    match (old, new) {
        (Some(old), Some(new)) => {
            reasons.extend(compare_schemas(old, new, Side::Output, "/outputSchema"));
        }
        (None, Some(new)) => {
            reasons.push(reason(
                "output.schema.added",
                Verdict::Additive,
                "/outputSchema".into(),
                None,
                Some(new),
            ));
        }
        (Some(old), None) => {
            reasons.push(reason(
                "output.schema.removed",
                Verdict::Breaking,
                "/outputSchema".into(),
                Some(old),
                None,
            ));
        }
        (None, None) => {}
    }
}

pub(super) fn reason(
    rule: &str,
    verdict: Verdict,
    at: String,
    old: Option<&Value>,
    new: Option<&Value>,
) -> Reason {
    Reason { rule: rule.to_owned(), verdict, at, old: old.cloned(), new: new.cloned() }
}

/// `path` with one member more (RFC 6901).
pub(super) fn pointer(path: &str, member: &str) -> String {
    format!("{path}/{}", member.replace('~', "~0").replace('/', "~1"))
}
