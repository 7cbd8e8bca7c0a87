//! The objects that clients are shown in lists (MCP 2026-07-28, server/tools,
//! server/prompts, server/resources).

use quaymaster_core::result::Envelope;
use quaymaster_core::tool::ResultForm;
use quaymaster_core::{Effect, Handling, Offer, ToolDeclaration};
use serde_json::{Map, Value, json};

use crate::tool::Ruled;

/// Members that we write ourselves, whatever an upstream says.
const OURS: [&str; 7] =
    ["name", "title", "description", "inputSchema", "outputSchema", "annotations", "execution"];

/// What agents are told: a `Tool`, a `Prompt`, or which addresses can be read.
pub(crate) fn object(declaration: &ToolDeclaration, visible: &Value, ruled: Ruled) -> Value {
    match &declaration.offer {
        Offer::Tool => tool(declaration, visible, ruled),
        Offer::Prompt => Value::Object(with_passed_on(named(declaration), declaration)),
        Offer::Completion(of) => {
            let mut object = named(declaration);
            object.insert("for".into(), of.reference().into());
            Value::Object(object)
        }
        Offer::Resources(group) => {
            let mut object = named(declaration);
            object.insert("uri".into(), group.pattern.as_str().into());
            Value::Object(object)
        }
    }
}

/// What lists show of a group of resources, as JSON text.
#[derive(Debug, Default)]
pub(crate) struct ListedResources {
    /// The `Resource` objects, each with its address.
    pub(crate) listed: Vec<(String, String)>,
    /// The `ResourceTemplate` objects, each with its pattern.
    pub(crate) templates: Vec<(String, String)>,
}

/// What lists show of the resources of a declaration.
pub(crate) fn resources(declaration: &ToolDeclaration) -> ListedResources {
    let Offer::Resources(group) = &declaration.offer else { return ListedResources::default() };
    let by = |member: &str, object: &Value| {
        let key = object.get(member)?.as_str()?;
        Some((key.to_owned(), object.to_string()))
    };
    ListedResources {
        listed: group.listed.iter().filter_map(|object| by("uri", object)).collect(),
        templates: group.templates.iter().filter_map(|object| by("uriTemplate", object)).collect(),
    }
}

fn named(declaration: &ToolDeclaration) -> Map<String, Value> {
    let mut object = Map::new();
    object.insert("name".into(), declaration.name.as_str().into());
    if let Some(title) = &declaration.title {
        object.insert("title".into(), title.as_str().into());
    }
    object.insert("description".into(), declaration.description.trim().into());
    object
}

fn with_passed_on(mut object: Map<String, Value>, declaration: &ToolDeclaration) -> Map<String, Value> {
    for (name, value) in &declaration.passed_on {
        if !OURS.contains(&name.as_str()) {
            object.insert(name.clone(), value.clone());
        }
    }
    object
}

fn tool(declaration: &ToolDeclaration, visible: &Value, ruled: Ruled) -> Value {
    let mut object = named(declaration);
    object.insert("inputSchema".into(), visible.clone());
    if let Some(schema) = output_schema(declaration, ruled.takes_fields_out) {
        object.insert("outputSchema".into(), schema);
    }
    object.insert("annotations".into(), annotations(declaration));
    if declaration.tasks || ruled.may_park {
        object.insert("execution".into(), json!({"taskSupport": "optional"}));
    }
    Value::Object(with_passed_on(object, declaration))
}

/// An upstream's schema is published only where release never takes a field out:
/// what is promised must be kept.
fn output_schema(declaration: &ToolDeclaration, takes_fields_out: bool) -> Option<Value> {
    let schema = declaration.output_schema.as_ref()?;
    match declaration.form {
        ResultForm::Envelope => Some(Envelope::schema(schema)),
        ResultForm::Upstream if takes_fields_out || drops_fields(declaration) => None,
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
