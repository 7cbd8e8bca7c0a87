//! Arguments that the agent does not choose.
//!
//! Fixed arguments and the idempotency key are taken out of the schema that an
//! agent sees and put into the arguments before anything is decided, so policy,
//! digest and upstream all see the same arguments. Defaults stay visible, but
//! are no longer required.

use quaymaster_core::arguments::sha256_text;
use quaymaster_core::json::canonical;
use quaymaster_core::{Arguments, CallRequest, ToolDeclaration};
use serde_json::{Map, Value, json};

/// The schema that agents see: without the hidden arguments, with the defaults optional.
pub(crate) fn visible_schema(declaration: &ToolDeclaration) -> Value {
    let mut schema = declaration.input_schema.clone();
    let hidden: Vec<&str> = hidden_names(declaration).collect();
    if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
        properties.retain(|name, _| !hidden.contains(&name.as_str()));
        for (name, value) in &declaration.defaults {
            if let Some(property) = properties.get_mut(name).and_then(Value::as_object_mut) {
                property.insert("default".into(), value.clone());
            }
        }
    }
    if let Some(required) = schema.get_mut("required").and_then(Value::as_array_mut) {
        required.retain(|name| {
            name.as_str().is_none_or(|n| !hidden.contains(&n) && !declaration.defaults.contains_key(n))
        });
    }
    close(&mut schema);
    schema
}

/// Names under which a schema can allow arguments that its `properties` do not name.
const OPENERS: [&str; 9] = [
    "additionalProperties",
    "unevaluatedProperties",
    "patternProperties",
    "allOf",
    "anyOf",
    "oneOf",
    "if",
    "$ref",
    "$dynamicRef",
];

/// The same schema, closed where it says nothing of further arguments.
pub(crate) fn closed(schema: &Value) -> Value {
    let mut schema = schema.clone();
    close(&mut schema);
    schema
}

/// Closes a schema that says nothing of further arguments: what it does not name
/// no policy can look at, so it would reach the upstream unjudged.
fn close(schema: &mut Value) {
    let Some(object) = schema.as_object_mut() else { return };
    if OPENERS.iter().all(|name| !object.contains_key(*name)) {
        object.insert("additionalProperties".into(), Value::Bool(false));
    }
}

/// The names of the arguments that an agent may not send.
pub(crate) fn hidden_names(declaration: &ToolDeclaration) -> impl Iterator<Item = &str> {
    let key = declaration.idempotency.as_ref().map(|i| i.argument.as_str());
    declaration.fixed.keys().map(String::as_str).chain(key)
}

/// The arguments that policy decides on and that the connector is given.
///
/// Where nothing is hidden or defaulted they are the agent's own, byte for byte.
pub(crate) fn effective_arguments(
    declaration: &ToolDeclaration,
    request: &CallRequest,
    given: &Arguments,
) -> Arguments {
    let untouched =
        declaration.fixed.is_empty() && declaration.defaults.is_empty() && declaration.idempotency.is_none();
    if untouched {
        return given.clone();
    }
    let mut merged = declaration.defaults.clone();
    if let Some(given) = given.value().as_object() {
        merged.extend(given.iter().map(|(name, value)| (name.clone(), value.clone())));
    }
    merged.extend(declaration.fixed.iter().map(|(name, value)| (name.clone(), value.clone())));
    if let Some(idempotency) = &declaration.idempotency {
        let key = idempotency_key(declaration, request, &idempotency.from, &merged);
        merged.insert(idempotency.argument.clone(), Value::String(key));
    }
    Arguments::from_map(merged)
}

/// The same write by the same actor has the same key; any other has another.
fn idempotency_key(
    declaration: &ToolDeclaration,
    request: &CallRequest,
    from: &[String],
    arguments: &Map<String, Value>,
) -> String {
    let fields: Map<String, Value> =
        from.iter().map(|name| (name.clone(), arguments.get(name).cloned().unwrap_or(Value::Null))).collect();
    let what = json!({
        "actor": request.actor.id.as_str(),
        "workspace": request.actor.workspace.as_str(),
        "connector": declaration.connector.as_str(),
        "tool": declaration.local_name,
        "fields": fields,
    });
    let digest = sha256_text(canonical(&what).as_bytes());
    digest.replacen("sha256:", "qm-", 1)
}
