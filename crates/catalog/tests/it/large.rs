//! A catalogue of a thousand tools that is the same every time: 25 systems with
//! eight kinds of things each, and five tools for each kind.
//!
//! It stands in for a company that connected everything. The systems overlap as
//! real ones do: several have groups, certificates, reports and comments.

#[path = "large_systems.rs"]
mod systems;

use quaymaster_core::connector::Access;
use quaymaster_core::setting::Slug;
use quaymaster_core::tool::ResultForm;
use quaymaster_core::{Classification, DataClass, Effect, Offer, ToolDeclaration, ToolName};
use serde_json::{Map, Value, json};

use self::systems::SYSTEMS;

/// One tool of the catalogue.
pub(crate) struct Definition {
    /// The system, which is also the prefix of the name.
    pub(crate) system: &'static str,
    /// The name without the prefix.
    pub(crate) name: String,
    /// A short name for people.
    pub(crate) title: String,
    /// When to use it.
    pub(crate) description: String,
    /// What it does to the world.
    pub(crate) effect: Effect,
    /// The arguments.
    pub(crate) schema: Value,
}

impl Definition {
    /// The name under which agents know the tool.
    pub(crate) fn full_name(&self) -> String {
        format!("{}_{}", self.system, self.name)
    }

    /// The tool as a connector would declare it.
    pub(crate) fn declare(&self) -> ToolDeclaration {
        let classification = Classification { default: DataClass::Internal, columns: vec![], fields: vec![] };
        ToolDeclaration {
            offer: Offer::Tool,
            connector: Slug::parse(self.system).expect("a slug"),
            version: "1.0.0".into(),
            workspaces: [Slug::parse("sales").expect("a slug")].into(),
            name: ToolName::parse(&self.full_name()).expect("a name"),
            local_name: self.name.clone(),
            title: Some(self.title.clone()),
            description: self.description.clone(),
            effect: self.effect,
            input_schema: self.schema.clone(),
            output_schema: None,
            form: ResultForm::Upstream,
            access: Access { roles: vec![], workspaces: None },
            approval: None,
            briefing: std::sync::Arc::default(),
            idempotency: None,
            fixed: Map::new(),
            defaults: Map::new(),
            classification: classification.into(),
            passed_on: Map::new(),
            tasks: false,
            definition: None,
            quarantined: None,
            trust: quaymaster_core::Trust::Internal,
            destination: quaymaster_core::Destination::Internal,
        }
    }
}

/// All of them.
pub(crate) fn definitions() -> Vec<Definition> {
    let mut all = Vec::new();
    for (system, purpose, things) in SYSTEMS {
        for (thing, what) in things {
            all.extend(tools_of((system, purpose), (thing, what)));
        }
    }
    all
}

fn tools_of((system, purpose): (&'static str, &str), (thing, what): (&'static str, &str)) -> [Definition; 5] {
    let (words, things) = (thing.replace('_', " "), plural(thing));
    let id = format!("{thing}_id");
    let an_id = json!({"type": "string", "description": format!("The id of the {words}, as {system}_list_{things} gives it.")});
    let fields = json!({
        "name": {"type": "string", "maxLength": 200, "description": format!("What the {words} is called.")},
        "description": {"type": "string", "description": "Further details, as plain text."},
        "owner": {"type": "string", "description": "E-mail address of whoever looks after it."},
        "labels": {"type": "array", "items": {"type": "string"}, "maxItems": 20, "description": "Free labels."},
    });
    let with_id = |rest: &Value| {
        let mut properties = Map::from_iter([(id.clone(), an_id.clone())]);
        properties.extend(rest.as_object().cloned().unwrap_or_default());
        json!({"type": "object", "properties": properties, "required": [&id], "additionalProperties": false})
    };
    let define = |verb: &str, object: &str, description: String, effect, schema| Definition {
        system,
        name: format!("{verb}_{object}"),
        title: capital(&format!("{verb} {}", object.replace('_', " "))),
        description,
        effect,
        schema,
    };
    let list = json!({
        "type": "object",
        "properties": {
            "query": {"type": "string", "description": "Words to look for in name and description."},
            "status": {"type": "string", "enum": ["active", "archived", "any"], "default": "active"},
            "created_after": {"type": "string", "format": "date", "description": "First day, included."},
            "limit": {"type": "integer", "minimum": 1, "maximum": 100, "default": 20},
            "cursor": {"type": "string", "description": "Where the last page ended."}
        },
        "additionalProperties": false
    });
    let get = with_id(&json!({"include": {
        "type": "array", "items": {"type": "string", "enum": ["history", "links", "permissions"]},
        "description": "What else to give."
    }}));
    let create = json!({
        "type": "object", "properties": &fields, "required": ["name"], "additionalProperties": false
    });
    let delete = with_id(&json!({"reason": {"type": "string", "description": "Why, for the log."}}));
    let purpose_text = format!("{} ({purpose})", capital(system));
    [
        define(
            "list",
            &things,
            format!(
                "Lists or searches {} in {purpose_text}, newest first. One is {what}. Not for a single one: use {system}_get_{thing}.",
                things.replace('_', " ")
            ),
            Effect::Read,
            list,
        ),
        define(
            "get",
            thing,
            format!(
                "Reads one {words} of {purpose_text}: {what}. Gives all of its fields and who changed it last."
            ),
            Effect::Read,
            get,
        ),
        define(
            "create",
            thing,
            format!(
                "Adds a {words}, {what}, to {purpose_text} and gives its id. People who watch it are told."
            ),
            Effect::Write,
            create,
        ),
        define(
            "update",
            thing,
            format!(
                "Changes a {words}, {what}, in {purpose_text}. Fields that are left out stay as they are."
            ),
            Effect::Write,
            with_id(&fields),
        ),
        define(
            "delete",
            thing,
            format!(
                "Removes a {words}, {what}, from {purpose_text} for good. Archive it instead if it may be needed again."
            ),
            Effect::Destructive,
            delete,
        ),
    ]
}

fn plural(thing: &str) -> String {
    match thing {
        _ if thing.ends_with("ey") || thing.ends_with("ay") => format!("{thing}s"),
        _ if thing.ends_with('y') => format!("{}ies", thing.trim_end_matches('y')),
        _ if thing.ends_with('x') || thing.ends_with("ch") => format!("{thing}es"),
        _ => format!("{thing}s"),
    }
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}
