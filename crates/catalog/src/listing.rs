//! The `Tool` object that clients are shown (MCP 2026-07-28, server/tools).

use quaymaster_core::result::Envelope;
use quaymaster_core::tool::ResultForm;
use quaymaster_core::{Effect, Handling, ToolDeclaration};
use serde_json::{Map, Value, json};

/// Members that we write ourselves, whatever an upstream says.
const OURS: [&str; 6] = ["name", "title", "description", "inputSchema", "outputSchema", "annotations"];

pub(crate) fn tool_object(declaration: &ToolDeclaration, visible: &Value) -> Value {
    let mut object = Map::new();
    object.insert("name".into(), declaration.name.as_str().into());
    if let Some(title) = &declaration.title {
        object.insert("title".into(), title.as_str().into());
    }
    object.insert("description".into(), declaration.description.trim().into());
    object.insert("inputSchema".into(), visible.clone());
    if let Some(schema) = output_schema(declaration) {
        object.insert("outputSchema".into(), schema);
    }
    object.insert("annotations".into(), annotations(declaration));
    for (name, value) in &declaration.passed_on {
        if !OURS.contains(&name.as_str()) {
            object.insert(name.clone(), value.clone());
        }
    }
    Value::Object(object)
}

/// An upstream's schema is published only where release never takes a field out:
/// what is promised must be kept.
fn output_schema(declaration: &ToolDeclaration) -> Option<Value> {
    let schema = declaration.output_schema.as_ref()?;
    match declaration.form {
        ResultForm::Envelope => Some(Envelope::schema(schema)),
        ResultForm::Upstream if drops_fields(declaration) => None,
        ResultForm::Upstream => Some(schema.clone()),
    }
}

fn drops_fields(declaration: &ToolDeclaration) -> bool {
    let rules = &declaration.classification.fields;
    rules.iter().any(|r| r.action == Handling::Drop || r.class > declaration.classification.default)
}

/// Honest hints from the effect. A connector's world is the one system in its
/// file, so `openWorldHint` is false; `codex exec` runs nothing without hints.
fn annotations(declaration: &ToolDeclaration) -> Value {
    let effect = declaration.effect;
    let mut hints = Map::new();
    if let Some(title) = &declaration.title {
        hints.insert("title".into(), title.as_str().into());
    }
    let facts = json!({
        "readOnlyHint": effect == Effect::Read,
        "destructiveHint": effect == Effect::Destructive,
        "idempotentHint": effect == Effect::Read || declaration.idempotency.is_some(),
        "openWorldHint": false,
    });
    hints.extend(facts.as_object().cloned().unwrap_or_default());
    Value::Object(hints)
}
