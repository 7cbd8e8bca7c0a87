//! The prompts and the resources of an upstream, as its connector declares them.
//!
//! Both are reads: a prompt takes texts as arguments, a group of resources the
//! address of one of them.
//!
//! Invariant: of what a server lists, only what the configuration names is shown.

use std::collections::BTreeMap;
use std::sync::Arc;

use quaymaster_core::connector::Access;
use quaymaster_core::offer::MAX_URI_BYTES;
use quaymaster_core::tool::ResultForm;
use quaymaster_core::{Completed, Effect, Offer, Resources, ToolDeclaration, ToolName};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::super::check::Settings;
use super::super::check::offers::{PromptSettings, ResourceSettings};
use super::super::failure::Failure;
use super::super::link::{Link, Until};
use super::super::pages;
use super::super::state::LeftOut;
use super::{Listing, MAX_TOOL_BYTES, named};

/// Members of a prompt that are passed on as they came.
const PASSED_ON: [&str; 3] = ["arguments", "icons", "_meta"];

/// How many arguments a prompt may take.
const MAX_ARGUMENTS: usize = 64;

/// Adds what the server offers of the configured prompts.
pub(super) async fn prompts(
    link: &Link,
    settings: &Settings,
    until: Until<'_>,
    listing: &mut Listing,
) -> Result<(), Failure> {
    if settings.prompts.is_empty() {
        return Ok(());
    }
    let is_configured = |name: &str| settings.prompts.iter().any(|prompt| prompt.config.name == name);
    let mut offered = BTreeMap::new();
    if link.serves("prompts") {
        let wanted = |prompt: &RawValue| named(prompt).is_some_and(|name| is_configured(&name));
        for prompt in pages::read(link, pages::PROMPTS, until, wanted).await? {
            let name = named(&prompt).unwrap_or_default();
            // The first of two with one name is the one that a client of the server's would see first.
            offered.entry(name).or_insert(prompt);
        }
    }
    for prompt in &settings.prompts {
        let name = &prompt.config.name;
        let shown = name.escape_debug();
        let declared = match offered.get(name) {
            None => Err(format!("the server does not offer the prompt `{shown}`")),
            Some(text) => declare_prompt(settings, prompt, text)
                .map(|declaration| (declaration, text))
                .map_err(|why| format!("the prompt `{shown}` is left out: {why}")),
        };
        match declared {
            Ok((declaration, text)) => {
                listing.note(text.get());
                listing.declarations.push(declaration);
                let of = Completed::Prompt(prompt.public_name.clone());
                completion(link, settings, of, &prompt.config.access, listing);
            }
            Err(why) => listing.left_out.push(LeftOut { tool: name.clone(), why }),
        }
    }
    Ok(())
}

fn declare_prompt(
    settings: &Settings,
    prompt: &PromptSettings,
    text: &RawValue,
) -> Result<ToolDeclaration, String> {
    let unclear = || "its definition cannot be understood".to_owned();
    if text.get().len() > MAX_TOOL_BYTES {
        return Err(format!("its definition has more than {MAX_TOOL_BYTES} bytes"));
    }
    let definition: Map<String, Value> = serde_json::from_str(text.get()).map_err(|_| unclear())?;
    let text_of = |name: &str| definition.get(name).and_then(Value::as_str).map(str::to_owned);
    let mut properties = Map::new();
    let mut required = Vec::new();
    let none = Vec::new();
    let arguments = match definition.get("arguments") {
        None | Some(Value::Null) => &none,
        Some(arguments) => arguments.as_array().ok_or_else(unclear)?,
    };
    if arguments.len() > MAX_ARGUMENTS {
        return Err(format!("it takes more than {MAX_ARGUMENTS} arguments"));
    }
    for argument in arguments {
        let name = argument.get("name").and_then(Value::as_str).ok_or_else(unclear)?;
        properties.insert(name.to_owned(), json!({"type": "string"}));
        if argument.get("required") == Some(&Value::Bool(true)) {
            required.push(name);
        }
    }
    let input_schema = json!({
        "type": "object", "properties": properties, "required": required, "additionalProperties": false,
    });
    let config = &prompt.config;
    Ok(ToolDeclaration {
        offer: Offer::Prompt,
        local_name: config.name.clone(),
        title: config.title.clone().or_else(|| text_of("title")),
        description: config.description.clone().or_else(|| text_of("description")).unwrap_or_default(),
        input_schema,
        passed_on: PASSED_ON
            .into_iter()
            .filter_map(|name| Some((name.to_owned(), definition.get(name)?.clone())))
            .collect(),
        ..read(settings, &prompt.public_name, &config.access)
    })
}

/// Adds what the server offers of the configured resources.
pub(super) async fn resources(
    link: &Link,
    settings: &Settings,
    until: Until<'_>,
    listing: &mut Listing,
) -> Result<(), Failure> {
    if settings.resources.is_empty() {
        return Ok(());
    }
    let (mut listed, mut templates) = (Vec::new(), Vec::new());
    if link.serves("resources") {
        let is_ours = |uri: &str| settings.resources.iter().any(|group| group.pattern.fits(uri));
        listed = pages::read(link, pages::RESOURCES, until, |item| {
            text_in(item, "uri").is_some_and(|uri| is_ours(&uri))
        })
        .await?;
        let is_ours = |uri: &str| settings.resources.iter().any(|group| group.pattern.as_str() == uri);
        // A server may have resources and no templates: many answer that they do not know the method.
        let wanted = |item: &RawValue| text_in(item, "uriTemplate").is_some_and(|uri| is_ours(&uri));
        match pages::read(link, pages::TEMPLATES, until, wanted).await {
            Ok(found) => templates = found,
            Err(Failure::Rpc { .. }) => {}
            Err(failure) => return Err(failure),
        }
    } else {
        let why = "the server offers no resources".to_owned();
        listing.left_out.push(LeftOut { tool: "resources".into(), why });
    }
    for group in &settings.resources {
        let of_group = |item: &RawValue| text_in(item, "uri").is_some_and(|uri| group.pattern.fits(&uri));
        let is_template =
            |item: &RawValue| text_in(item, "uriTemplate").is_some_and(|uri| group.pattern.as_str() == uri);
        let taken = |items: &[Box<RawValue>], which: &dyn Fn(&RawValue) -> bool| -> Vec<Value> {
            let small = items.iter().filter(|item| item.get().len() <= MAX_TOOL_BYTES && which(item));
            small.filter_map(|item| serde_json::from_str(item.get()).ok()).collect()
        };
        let resources = Resources {
            pattern: group.pattern.clone(),
            listed: taken(&listed, &of_group),
            templates: taken(&templates, &is_template),
        };
        for template in &resources.templates {
            listing.note(&template.to_string());
        }
        for resource in &resources.listed {
            listing.note_listed(&resource.to_string());
        }
        let has_variables = !resources.templates.is_empty();
        listing.declarations.push(declare_resources(settings, group, resources));
        if has_variables {
            let of = Completed::Resource(group.pattern.clone());
            completion(link, settings, of, &group.config.access, listing);
        }
    }
    Ok(())
}

fn declare_resources(settings: &Settings, group: &ResourceSettings, resources: Resources) -> ToolDeclaration {
    let config = &group.config;
    ToolDeclaration {
        offer: Offer::Resources(Arc::new(resources)),
        local_name: config.name.clone(),
        title: config.title.clone(),
        description: config.description.clone().unwrap_or_default(),
        input_schema: json!({
            "type": "object",
            "properties": {"uri": {"type": "string", "maxLength": MAX_URI_BYTES}},
            "required": ["uri"],
            "additionalProperties": false,
        }),
        ..read(settings, &group.public_name, &config.access)
    }
}

/// Adds that the server has values for the arguments of a prompt or a template. Whoever may
/// use that may have them.
fn completion(link: &Link, settings: &Settings, of: Completed, access: &Access, listing: &mut Listing) {
    let completed = match &of {
        Completed::Prompt(name) => Some(name),
        Completed::Resource(pattern) => {
            let group = settings.resources.iter().find(|group| group.pattern == *pattern);
            group.map(|group| &group.public_name)
        }
    };
    let Some(name) = completed.and_then(ToolName::of_completion) else { return };
    if !link.serves("completions") {
        return;
    }
    listing.declarations.push(ToolDeclaration {
        local_name: of.reference(),
        offer: Offer::Completion(of),
        input_schema: json!({
            "type": "object",
            "properties": {
                "argument": {
                    "type": "object",
                    "properties": {"name": {"type": "string"}, "value": {"type": "string"}},
                    "required": ["name", "value"],
                    "additionalProperties": false,
                },
                "context": {"type": "object"},
            },
            "required": ["argument"],
            "additionalProperties": false,
        }),
        ..read(settings, &name, access)
    });
}

/// What every prompt and every group of resources has in common.
fn read(settings: &Settings, name: &ToolName, access: &Access) -> ToolDeclaration {
    let (trust, destination) = settings.ways.of_reads();
    ToolDeclaration {
        offer: Offer::Tool,
        connector: settings.connector.clone(),
        version: settings.version.clone(),
        workspaces: access.workspaces_among(&settings.workspaces),
        name: name.clone(),
        local_name: String::new(),
        title: None,
        description: String::new(),
        effect: Effect::Read,
        input_schema: Value::Null,
        output_schema: None,
        form: ResultForm::Upstream,
        access: access.clone(),
        approval: None,
        briefing: Arc::default(),
        idempotency: None,
        fixed: Map::new(),
        defaults: Map::new(),
        classification: Arc::clone(&settings.classification),
        passed_on: Map::new(),
        tasks: false,
        definition: None,
        quarantined: None,
        trust,
        destination,
    }
}

fn text_in(item: &RawValue, member: &str) -> Option<String> {
    let item: Map<String, Value> = serde_json::from_str(item.get()).ok()?;
    item.get(member)?.as_str().map(str::to_owned)
}
