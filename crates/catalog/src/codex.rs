//! What the Codex CLI makes of a tool before its model sees it.
//!
//! Codex (0.169) keeps a subset of JSON Schema and gives each tool 5,000 bytes
//! for it; beyond that it drops all descriptions without a word. This module
//! foretells what is left, so that `check` can warn and `tools show --as codex`
//! can show it.

use serde_json::{Map, Value, json};

use crate::Tool;

/// Codex drops descriptions beyond this many bytes of normalised schema.
const BUDGET_BYTES: usize = 5_000;
/// From here on `check` warns, because a small change would cross the line.
const WARN_BYTES: usize = 4_750;
/// Objects and arrays nested deeper than this are collapsed when the budget is exceeded.
const WARN_DEPTH: usize = 3;

const KEPT: [&str; 12] = [
    "type",
    "description",
    "enum",
    "items",
    "minItems",
    "properties",
    "required",
    "additionalProperties",
    "anyOf",
    "oneOf",
    "allOf",
    "$ref",
];

/// The function that Codex offers its model for `tool`.
pub fn seen_by_codex(tool: &Tool) -> Value {
    let mut parameters = normalised(tool.input_schema());
    if parameters.to_string().len() > BUDGET_BYTES {
        strip_descriptions(&mut parameters);
    }
    json!({
        "type": "function",
        "name": tool.name().as_str(),
        "description": tool.declaration().description.trim(),
        "strict": false,
        "parameters": parameters,
    })
}

/// What a publisher should know before Codex users meet the tool.
pub fn warnings(tool: &Tool) -> Vec<String> {
    let mut found = Vec::new();
    let bytes = normalised(tool.input_schema()).to_string().len();
    if bytes > WARN_BYTES {
        found.push(format!(
            "the input schema has {bytes} bytes as Codex counts them: beyond {BUDGET_BYTES} its model sees no descriptions; \
             keep it below {WARN_BYTES}"
        ));
    }
    let depth = depth(tool.input_schema());
    if depth > WARN_DEPTH {
        found.push(format!(
            "the input schema is nested {depth} levels deep: Codex collapses what is below {WARN_DEPTH} when it shortens; flatten it"
        ));
    }
    found
}

fn normalised(schema: &Value) -> Value {
    let Some(object) = schema.as_object() else {
        return json!({"type": "string"});
    };
    let mut kept = Map::new();
    for (key, value) in object {
        match key.as_str() {
            "const" => {
                kept.insert("enum".into(), json!([value]));
            }
            "properties" | "$defs" => {
                let inner = value.as_object().into_iter().flatten().map(|(n, s)| (n.clone(), normalised(s)));
                kept.insert(key.clone(), Value::Object(inner.collect()));
            }
            "items" => {
                kept.insert(key.clone(), normalised(value));
            }
            "anyOf" | "oneOf" | "allOf" => {
                kept.insert(key.clone(), value.as_array().into_iter().flatten().map(normalised).collect());
            }
            _ if KEPT.contains(&key.as_str()) => {
                kept.insert(key.clone(), value.clone());
            }
            _ => {}
        }
    }
    Value::Object(kept)
}

fn strip_descriptions(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            if object.get("description").is_some_and(Value::is_string) {
                object.shift_remove("description");
            }
            object.values_mut().for_each(strip_descriptions);
        }
        Value::Array(items) => items.iter_mut().for_each(strip_descriptions),
        _ => {}
    }
}

fn depth(schema: &Value) -> usize {
    let children =
        |key: &str| schema.get(key).and_then(Value::as_object).into_iter().flatten().map(|(_, s)| s);
    let deepest = children("properties").chain(schema.get("items")).map(depth).max().unwrap_or(0);
    let combined = ["anyOf", "oneOf", "allOf"]
        .iter()
        .flat_map(|k| schema.get(*k).and_then(Value::as_array).into_iter().flatten())
        .map(depth)
        .max()
        .unwrap_or(0);
    let is_level = schema.get("properties").is_some() || schema.get("items").is_some();
    deepest.max(combined) + usize::from(is_level)
}
