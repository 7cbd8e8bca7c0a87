//! What agents are told about a template: the schemas of its input and its result.
//!
//! JSON Schema 2020-12. Some clients pass only types and descriptions on to
//! their model, so each constraint is in the description as well.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::config::{ColumnConfig, ExampleConfig, TextFormat};
use super::parameter::Parameter;

/// The schema of a tool's arguments.
pub(crate) fn input(parameters: &[Parameter], examples: &[ExampleConfig]) -> Value {
    let properties: Map<String, Value> = parameters.iter().map(|p| (p.name.clone(), property(p))).collect();
    let required: Vec<&str> =
        parameters.iter().filter(|p| p.is_required()).map(|p| p.name.as_str()).collect();
    let mut schema = Map::from_iter([
        ("type".to_owned(), json!("object")),
        ("properties".to_owned(), Value::Object(properties)),
        ("required".to_owned(), json!(required)),
        ("additionalProperties".to_owned(), json!(false)),
    ]);
    if !examples.is_empty() {
        let examples = examples.iter().map(|e| Value::Object(e.params.clone())).collect();
        schema.insert("examples".into(), Value::Array(examples));
    }
    Value::Object(schema)
}

/// The schema of `data` in a tool's result.
pub(crate) fn output(columns: &BTreeMap<String, ColumnConfig>) -> Value {
    let known: Vec<String> = columns
        .iter()
        .map(|(name, column)| {
            let unit = column.unit.as_deref().map(|u| format!(" in {u}")).unwrap_or_default();
            let meaning = column.description.as_deref().map(|d| format!(": {d}")).unwrap_or_default();
            format!("`{name}`{unit}{meaning}")
        })
        .collect();
    let mut columns = json!({
        "type": "array",
        "items": {
            "type": "object",
            "properties": {
                "name": {"type": "string"},
                "type": {"type": "string"},
                "unit": {"type": "string"},
                "description": {"type": "string"}
            },
            "required": ["name", "type"]
        }
    });
    if let (false, Some(columns)) = (known.is_empty(), columns.as_object_mut()) {
        columns.insert("description".into(), json!(known.join("; ")));
    }
    json!({
        "type": "object",
        "properties": {
            "columns": columns,
            "rows": {
                "type": "array",
                "description": "Each row holds one value for each column, in their order.",
                "items": {"type": "array"}
            },
            "stats": {
                "type": "object",
                "properties": {
                    "rows": {"type": "integer"},
                    "truncated": {"type": "boolean", "description": "Whether there was more than is shown."},
                    "elapsed_ms": {"type": "number"},
                    "query_hash": {"type": "string"},
                    "as_of": {"type": "string", "format": "date-time"}
                },
                "required": ["rows", "truncated", "elapsed_ms", "query_hash", "as_of"]
            }
        },
        "required": ["columns", "rows", "stats"]
    })
}

fn property(parameter: &Parameter) -> Value {
    let config = &parameter.config;
    let mut schema = Map::new();
    let mut put = |key: &str, value: Option<Value>| {
        if let Some(value) = value {
            schema.insert(key.to_owned(), value);
        }
    };
    put("type", Some(json!(config.kind.as_str())));
    put("description", Some(description(parameter)).filter(|d| !d.is_empty()).map(Value::String));
    put("format", config.format.map(|f| json!(f.as_str())));
    put("enum", config.choices.clone().map(Value::Array));
    put("pattern", config.pattern.clone().map(Value::String));
    put("minimum", config.minimum.clone().map(Value::Number));
    put("maximum", config.maximum.clone().map(Value::Number));
    put("minLength", config.min_length.map(Value::from));
    put("maxLength", config.max_length.map(Value::from));
    put("default", config.default.clone());
    Value::Object(schema)
}

fn description(parameter: &Parameter) -> String {
    let config = &parameter.config;
    let mut parts: Vec<String> = config.description.iter().map(|d| d.trim().to_owned()).collect();
    parts.extend(config.format.map(|format| match format {
        TextFormat::Date => "A day such as 2026-01-31.".to_owned(),
        TextFormat::DateTime => "An instant such as 2026-01-31T08:30:00Z.".to_owned(),
    }));
    parts.extend(config.pattern.as_ref().map(|p| format!("Must match {p}")));
    parts.extend(between(config.minimum.as_ref(), config.maximum.as_ref(), ""));
    parts.extend(between(config.min_length, config.max_length, " characters"));
    parts.extend(config.default.as_ref().map(|d| format!("{d} unless given.")));
    parts.join(" ")
}

fn between<T: ToString>(least: Option<T>, most: Option<T>, of: &str) -> Option<String> {
    match (least.map(|n| n.to_string()), most.map(|n| n.to_string())) {
        (Some(least), Some(most)) => Some(format!("From {least} to {most}{of}.")),
        (Some(least), None) => Some(format!("At least {least}{of}.")),
        (None, Some(most)) => Some(format!("At most {most}{of}.")),
        (None, None) => None,
    }
}
