//! What an upstream offers, as its connector declares it.
//!
//! Reads the lists of tools, and in `offers` those of prompts and resources, and
//! makes declarations of what is configured. What a tool does to the world comes from the configuration; the
//! upstream's own annotations are not believed.
//!
//! Invariants:
//! - Only configured tools are declared.
//! - A definition that cannot be understood, that is there twice, or that does not
//!   know an argument that the configuration names is left out with a warning; it
//!   does not take others with it.

mod offers;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use quaymaster_core::arguments::sha256_text;
use quaymaster_core::briefing::references;
use quaymaster_core::mirror::{self, ParamHeader};
use quaymaster_core::tool::ResultForm;
use quaymaster_core::{Offer, ToolDeclaration};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::announced::EachList;
use super::check::{Settings, ToolSettings};
use super::failure::Failure;
use super::link::{Link, Until};
use super::pages;
use super::state::LeftOut;

/// What one tool's definition may hold.
const MAX_TOOL_BYTES: usize = 256 * 1024;

/// What an upstream offers of what is configured.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// In the order of the configuration.
    pub(super) declarations: Vec<ToolDeclaration>,
    /// What calls of a tool need, by its name upstream.
    pub(super) routes: Routes,
    /// What is not as configured, in the order of the configuration.
    pub(super) left_out: Vec<LeftOut>,
    /// The same for listings that define the same tools, prompts and templates.
    pub(super) digest: String,
    /// The same for listings that show the same, resources that come and go included.
    pub(super) shown: String,
    /// The same for each list.
    pub(super) each: EachList<String>,
}

impl Listing {
    /// Takes `definition` into the digest.
    fn note(&mut self, definition: &str) {
        self.digest.push_str(definition);
        self.digest.push('\n');
    }

    /// Takes a resource that is listed into the digest of what is shown.
    fn note_listed(&mut self, resource: &str) {
        self.shown.push_str(resource);
        self.shown.push('\n');
    }
}

/// What calls of a tool need, by its name upstream.
pub(super) type Routes = BTreeMap<Box<str>, Route>;

/// What calls of one tool need.
#[derive(Debug, Default)]
pub(super) struct Route {
    /// The headers that mirror arguments.
    pub(super) headers: Vec<ParamHeader>,
    /// Whether it can be called as a task.
    pub(super) tasks: TaskSupport,
}

/// Whether a tool can be called as a task (MCP 2025-11-25, basic/utilities/tasks, tool-level negotiation).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum TaskSupport {
    /// Never.
    #[default]
    Forbidden,
    /// As the caller likes.
    Optional,
    /// Always.
    Required,
}

/// Asks the upstream for what it offers.
pub(super) async fn list(link: &Link, settings: &Settings, until: Until<'_>) -> Result<Listing, Failure> {
    let mut offered = Offered::default();
    if !settings.tools.is_empty() {
        let is_configured = |name: &str| settings.tools.iter().any(|tool| tool.config.name == name);
        offered.add(
            pages::read(link, pages::TOOLS, until, |tool| named(tool).is_some_and(|n| is_configured(&n)))
                .await?,
        );
    }
    let mut listing = declare(settings, &offered, link);
    let tools = listing.digest.len();
    offers::prompts(link, settings, until, &mut listing).await?;
    let prompts = listing.digest.len();
    offers::resources(link, settings, until, &mut listing).await?;
    let part = |range: std::ops::Range<usize>| listing.digest.get(range).unwrap_or_default();
    let resources = format!("{}{}", part(prompts..listing.digest.len()), listing.shown);
    listing.each = EachList {
        tools: sha256_text(part(0..tools).as_bytes()),
        prompts: sha256_text(part(tools..prompts).as_bytes()),
        resources: sha256_text(resources.as_bytes()),
    };
    listing.shown = sha256_text(format!("{}{}", listing.digest, listing.shown).as_bytes());
    listing.digest = sha256_text(listing.digest.as_bytes());
    Ok(listing)
}

/// The configured ones among the tools of all pages, as they came.
#[derive(Debug, Default)]
struct Offered {
    tools: BTreeMap<String, Box<RawValue>>,
    repeated: BTreeSet<String>,
}

impl Offered {
    fn add(&mut self, tools: Vec<Box<RawValue>>) {
        for tool in tools {
            let Some(name) = named(&tool) else { continue };
            if self.tools.insert(name.clone(), tool).is_some() {
                self.repeated.insert(name);
            }
        }
    }
}

/// The name of a tool or a prompt, if it has one.
fn named(item: &RawValue) -> Option<String> {
    #[derive(Deserialize)]
    struct Named {
        name: String,
    }
    serde_json::from_str::<Named>(item.get()).ok().map(|named| named.name)
}

/// A tool as an upstream defines it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Definition {
    /// Known already; here so that it is not passed on.
    #[serde(rename = "name")]
    _name: IgnoredAny,
    #[serde(default)]
    title: Option<String>,
    #[serde(default)]
    description: Option<String>,
    input_schema: Value,
    #[serde(default)]
    output_schema: Option<Value>,
    #[serde(default)]
    icons: Option<Value>,
    #[serde(default)]
    annotations: Option<Annotations>,
    #[serde(default)]
    execution: Option<Execution>,
    /// What later revisions and extensions say of a tool.
    #[serde(flatten)]
    further: Map<String, Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Execution {
    #[serde(default)]
    task_support: TaskSupport,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Annotations {
    #[serde(default)]
    title: Option<String>,
    #[serde(default)]
    open_world_hint: Option<Value>,
}

fn declare(settings: &Settings, offered: &Offered, link: &Link) -> Listing {
    let mut listing = Listing::default();
    let left_out = |name: &str, why: String| LeftOut { tool: name.to_owned(), why };
    for tool in &settings.tools {
        let name = &tool.config.name;
        let shown = name.escape_debug();
        let Some(text) = offered.tools.get(name) else {
            listing.left_out.push(left_out(name, format!("the server does not offer `{shown}`")));
            continue;
        };
        if offered.repeated.contains(name) {
            let why = format!("the server offers `{shown}` more than once, so it is left out");
            listing.left_out.push(left_out(name, why));
            continue;
        }
        match definition(text, link.mirrors())
            .and_then(|defined| knows_arguments(tool, &defined.0.input_schema).map(|()| defined))
            .and_then(|defined| whole(text).map(|whole| (defined, whole)))
        {
            Ok(((definition, headers), whole)) => {
                let route = Route { headers, tasks: support(&definition, link) };
                listing.declarations.push(declaration(settings, tool, (definition, whole), route.tasks));
                listing.routes.insert(name.as_str().into(), route);
                listing.note(text.get());
            }
            Err(why) => listing.left_out.push(left_out(name, format!("`{shown}` is left out: {why}"))),
        }
    }
    listing
}

fn definition(text: &RawValue, mirrors: bool) -> Result<(Definition, Vec<ParamHeader>), String> {
    if text.get().len() > MAX_TOOL_BYTES {
        return Err(format!("its definition has more than {MAX_TOOL_BYTES} bytes"));
    }
    let definition: Definition =
        serde_json::from_str(text.get()).map_err(|_| "its definition cannot be understood".to_owned())?;
    if definition.input_schema.get("type").and_then(Value::as_str) != Some("object") {
        return Err("its input schema is not that of an object".into());
    }
    let headers = if mirrors { mirror::declared(&definition.input_schema)? } else { Vec::new() };
    Ok((definition, headers))
}

/// The definition with all its members, which is what is pinned.
fn whole(text: &RawValue) -> Result<Map<String, Value>, String> {
    serde_json::from_str(text.get()).map_err(|_| "its definition cannot be understood".to_owned())
}

/// Whether the upstream takes each argument that the configuration names. One that
/// it ignores would let a repeated write through, or leave out what was fixed.
fn knows_arguments(tool: &ToolSettings, input_schema: &Value) -> Result<(), String> {
    let config = &tool.config;
    let key = config.idempotency.iter();
    let named = key
        .flat_map(|key| {
            let from = key.from.iter().map(|name| ("idempotency.from", name));
            from.chain([("idempotency.argument", &key.argument)])
        })
        .chain(config.fixed.keys().map(|name| ("fixed", name)))
        .chain(config.defaults.keys().map(|name| ("defaults", name)));
    let action = config.briefing.action.as_deref().map(references).unwrap_or_default();
    let named: Vec<(&str, &str)> = named
        .map(|(place, name)| (place, name.as_str()))
        .chain(action.into_iter().map(|name| ("briefing.action", name)))
        .collect();
    let known = input_schema.get("properties");
    for (place, name) in named {
        if known.and_then(|known| known.get(name)).is_none() {
            let name = name.escape_debug();
            return Err(format!("its input schema has no `{name}`, which `{place}` names"));
        }
    }
    Ok(())
}

/// Whether the tool can be called as a task. A modern server decides that with each call.
fn support(definition: &Definition, link: &Link) -> TaskSupport {
    match &definition.execution {
        _ if !link.makes_tasks() => TaskSupport::Forbidden,
        _ if link.is_modern() => TaskSupport::Optional,
        execution => execution.as_ref().map(|execution| execution.task_support).unwrap_or_default(),
    }
}

fn declaration(
    settings: &Settings,
    tool: &ToolSettings,
    (definition, whole): (Definition, Map<String, Value>),
    tasks: TaskSupport,
) -> ToolDeclaration {
    let config = &tool.config;
    let open_world =
        definition.annotations.as_ref().and_then(|said| said.open_world_hint.as_ref()?.as_bool());
    let (trust, destination) = settings.ways.of_tool(config, open_world);
    let its_title = definition.title.or(definition.annotations.and_then(|a| a.title));
    let mut passed_on = definition.further;
    if let Some(icons @ Value::Array(_)) = definition.icons {
        passed_on.insert("icons".into(), icons);
    }
    ToolDeclaration {
        offer: Offer::Tool,
        connector: settings.connector.clone(),
        version: settings.version.clone(),
        workspaces: config.access.workspaces_among(&settings.workspaces),
        name: tool.public_name.clone(),
        local_name: config.name.clone(),
        title: config.title.clone().or(its_title),
        description: config.description.clone().or(definition.description).unwrap_or_default(),
        effect: config.effect,
        input_schema: definition.input_schema,
        output_schema: definition.output_schema.filter(Value::is_object),
        form: ResultForm::Upstream,
        access: config.access.clone(),
        approval: config.approval.clone(),
        briefing: Arc::new(config.briefing.clone()),
        idempotency: config.idempotency.clone(),
        fixed: config.fixed.clone(),
        defaults: config.defaults.clone(),
        classification: Arc::clone(&settings.classification),
        passed_on,
        // Whoever can be asked only so is followed by us where the client does not.
        tasks: tasks != TaskSupport::Forbidden,
        definition: Some(Arc::new(whole)),
        quarantined: None,
        trust,
        destination,
    }
}
