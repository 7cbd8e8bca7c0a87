//! The tools of an upstream, as its connector declares them.
//!
//! Reads the paginated `tools/list` in bounds and makes declarations of what is
//! configured. What a tool does to the world comes from the configuration; the
//! upstream's own annotations are not believed.
//!
//! Invariants:
//! - Only configured tools are declared.
//! - A definition that cannot be understood, that is there twice, or that does not
//!   know an argument that the configuration names is left out with a warning; it
//!   does not take others with it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use quaymaster_core::arguments::sha256_text;
use quaymaster_core::tool::ResultForm;
use quaymaster_core::{RawBuf, ToolDeclaration};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::check::{Settings, ToolSettings};
use super::failure::Failure;
use super::headers::{self, ParamHeader};
use super::link::{Link, Query, Until};
use super::state::LeftOut;

const MAX_PAGES: usize = 100;
const MAX_TOOLS: usize = 5_000;
const MAX_PAGE_BYTES: usize = 8 * 1024 * 1024;
const MAX_TOTAL_BYTES: usize = 32 * 1024 * 1024;
const MAX_CURSOR_BYTES: usize = 4 * 1024;
/// What one tool's definition may hold.
const MAX_TOOL_BYTES: usize = 256 * 1024;

/// What an upstream offers of what is configured.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// In the order of the configuration.
    pub(super) declarations: Vec<ToolDeclaration>,
    /// The headers that calls of a tool need, by its name upstream.
    pub(super) routes: Routes,
    /// What is not as configured, in the order of the configuration.
    pub(super) left_out: Vec<LeftOut>,
    /// The same for listings that declare the same.
    pub(super) digest: String,
}

/// The headers that calls of a tool need, by its name upstream.
pub(super) type Routes = BTreeMap<Box<str>, Vec<ParamHeader>>;

/// Asks the upstream for its tools.
pub(super) async fn list(link: &Link, settings: &Settings, until: Until<'_>) -> Result<Listing, Failure> {
    let mut offered = Offered::default();
    let mut cursor: Option<String> = None;
    for _ in 0..MAX_PAGES {
        let member = cursor.as_ref().map(|cursor| format!(r#""cursor":{}"#, Value::from(cursor.as_str())));
        let members: Vec<&str> = member.iter().map(String::as_str).collect();
        let query = Query {
            method: "tools/list",
            members: &members,
            name: None,
            mirrored: &[],
            sink: None,
            limit_bytes: MAX_PAGE_BYTES,
            until,
        };
        let page = link.ask(&query).await?.result;
        match offered.add(&page, settings)? {
            None => return Ok(declare(settings, &offered, link.mirrors())),
            next if next == cursor => {
                return Err(Failure::Malformed("`tools/list` gives the same cursor again".into()));
            }
            next => cursor = next,
        }
    }
    Err(Failure::Malformed(format!("`tools/list` has more than {MAX_PAGES} pages")))
}

/// The configured ones among the tools of all pages, as they came.
#[derive(Debug, Default)]
struct Offered {
    tools: BTreeMap<String, Box<RawValue>>,
    repeated: BTreeSet<String>,
    count: usize,
    bytes: usize,
}

#[derive(Deserialize)]
struct Page<'a> {
    #[serde(borrow)]
    tools: Vec<&'a RawValue>,
    #[serde(default, rename = "nextCursor")]
    next_cursor: Option<String>,
}

#[derive(Deserialize)]
struct Named {
    name: String,
}

impl Offered {
    /// Takes a page; gives the cursor of the next one.
    fn add(&mut self, page: &RawBuf, settings: &Settings) -> Result<Option<String>, Failure> {
        let malformed = |what: &str| Failure::Malformed(format!("`tools/list` {what}"));
        self.bytes = self.bytes.saturating_add(page.get().len());
        if self.bytes > MAX_TOTAL_BYTES {
            return Err(Failure::TooLarge { limit_bytes: MAX_TOTAL_BYTES });
        }
        let page: Page<'_> =
            serde_json::from_str(page.get()).map_err(|_| malformed("gives no list of tools"))?;
        self.count = self.count.saturating_add(page.tools.len());
        if self.count > MAX_TOOLS {
            return Err(malformed(&format!("gives more than {MAX_TOOLS} tools")));
        }
        for tool in page.tools {
            let Ok(Named { name }) = serde_json::from_str(tool.get()) else { continue };
            let is_configured = settings.tools.iter().any(|configured| configured.config.name == name);
            if is_configured && self.tools.insert(name.clone(), tool.to_owned()).is_some() {
                self.repeated.insert(name);
            }
        }
        match page.next_cursor {
            Some(cursor) if cursor.len() > MAX_CURSOR_BYTES => {
                Err(malformed("gives a cursor that is too long"))
            }
            cursor => Ok(cursor),
        }
    }
}

/// A tool as an upstream defines it. Members that are not here are not passed on.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Definition {
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
}

#[derive(Deserialize)]
struct Annotations {
    #[serde(default)]
    title: Option<String>,
}

fn declare(settings: &Settings, offered: &Offered, mirrors: bool) -> Listing {
    let mut listing = Listing::default();
    let mut taken = String::new();
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
        match definition(text, mirrors)
            .and_then(|defined| knows_arguments(tool, &defined.0.input_schema).map(|()| defined))
        {
            Ok((definition, headers)) => {
                listing.declarations.push(declaration(settings, tool, definition));
                listing.routes.insert(name.as_str().into(), headers);
                taken.push_str(text.get());
                taken.push('\n');
            }
            Err(why) => listing.left_out.push(left_out(name, format!("`{shown}` is left out: {why}"))),
        }
    }
    listing.digest = sha256_text(taken.as_bytes());
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
    let headers = if mirrors { headers::declared(&definition.input_schema)? } else { Vec::new() };
    Ok((definition, headers))
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
    let known = input_schema.get("properties");
    for (place, name) in named {
        if known.and_then(|known| known.get(name)).is_none() {
            let name = name.escape_debug();
            return Err(format!("its input schema has no `{name}`, which `{place}` names"));
        }
    }
    Ok(())
}

fn declaration(settings: &Settings, tool: &ToolSettings, definition: Definition) -> ToolDeclaration {
    let config = &tool.config;
    let its_title = definition.title.or(definition.annotations.and_then(|a| a.title));
    let mut passed_on = Map::new();
    if let Some(icons @ Value::Array(_)) = definition.icons {
        passed_on.insert("icons".into(), icons);
    }
    ToolDeclaration {
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
        idempotency: config.idempotency.clone(),
        fixed: config.fixed.clone(),
        defaults: config.defaults.clone(),
        classification: Arc::clone(&settings.classification),
        passed_on,
    }
}
