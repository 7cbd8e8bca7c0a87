//! From what was read to what is worked with: the semantic checks of a `spec`.
//!
//! Reports everything that is wrong at once, each at its path. Secrets are
//! fetched here, so that a missing one is told when the configuration is loaded
//! and not when an agent calls.
//!
//! Invariants:
//! - A write that cannot be recognised when it is repeated does not load, and
//!   neither does a destructive tool that nobody has to approve, or could.
//! - Every tool has one name for agents, and no two share one.

pub(super) mod server;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use quaymaster_core::connector::ConnectorFile;
use quaymaster_core::setting::Slug;
use quaymaster_core::{Classification, Effect, SecretSource, ToolName};

use self::server::Server;
use super::config::{EraConfig, McpSpec, McpToolConfig, Transport};
use super::headers;
use super::pace::Pace;
use crate::problem::{Problems, SpecProblem};

/// A connector that may be started.
pub(super) struct Settings {
    pub(super) connector: Slug,
    pub(super) version: String,
    pub(super) workspaces: Arc<[Slug]>,
    pub(super) server: Server,
    pub(super) era: EraConfig,
    pub(super) required: bool,
    /// How long a call may take, retries and waiting included.
    pub(super) timeout: Duration,
    /// How large a result may be.
    pub(super) max_bytes: usize,
    pub(super) classification: Arc<Classification>,
    pub(super) tools: Vec<ToolSettings>,
    pub(super) pace: Pace,
}

/// A tool that is offered, with what is the same for each of its calls.
pub(super) struct ToolSettings {
    pub(super) config: McpToolConfig,
    pub(super) public_name: ToolName,
    /// The upstream's name as JSON text.
    pub(super) name_json: Box<str>,
    /// The upstream's name as the value of `Mcp-Name`.
    pub(super) name_header: HeaderValue,
}

/// Checks `file`; `folder` is the configuration's.
pub(super) fn settings(
    file: ConnectorFile<McpSpec>,
    secrets: &dyn SecretSource,
    folder: &Path,
) -> Result<Settings, Vec<SpecProblem>> {
    let mut problems = Problems::default();
    let spec = file.spec;
    let server = match spec.server.transport {
        Transport::Stdio => server::stdio(&spec.server, secrets, folder, &mut problems).map(Server::Stdio),
        Transport::Http => server::http(&spec.server, secrets, &mut problems).map(Server::Http),
    };
    let tools = tools(spec.tools, &spec.prefix, &mut problems);
    if !spec.classification.columns.is_empty() {
        problems.add_with_help(
            "spec.classification.columns",
            "rules for `columns` do not reach the results of an MCP server, which have no columns",
            "write them as `fields`, as in `{ match: \"$..email\", class: confidential, action: drop }`",
        );
    }
    match server {
        Some(server) if problems.0.is_empty() => Ok(Settings {
            connector: file.metadata.name,
            version: file.metadata.version.as_str().to_owned(),
            workspaces: file.metadata.workspaces.into(),
            server,
            era: spec.server.era,
            required: spec.required,
            timeout: spec.limits.timeout.get(),
            max_bytes: spec.limits.bytes.get(),
            classification: Arc::new(spec.classification),
            tools,
            pace: Pace::default(),
        }),
        _ => Err(problems.0),
    }
}

fn tools(configs: Vec<McpToolConfig>, prefix: &str, problems: &mut Problems) -> Vec<ToolSettings> {
    if !prefix.is_empty()
        && let Err(message) = ToolName::parse(prefix)
    {
        problems.add_with_help("spec.prefix", message, "an empty prefix (`prefix: \"\"`) adds nothing");
        return Vec::new();
    }
    if configs.is_empty() {
        problems.add("spec.tools", "name at least one tool: those that are not named are not offered");
    }
    let (mut names, mut public_names) = (BTreeSet::new(), BTreeSet::new());
    let mut tools = Vec::new();
    for (at, config) in configs.into_iter().enumerate() {
        let path = format!("spec.tools[{at}]");
        tool(&config, &path, problems);
        if !names.insert(config.name.clone()) {
            problems.add(format!("{path}.name"), format!("`{}` is here twice", config.name.escape_debug()));
        }
        if let Some(public_name) = public_name(&config, prefix, &path, problems) {
            if !public_names.insert(public_name.clone()) {
                problems.add(&path, format!("two tools would both be called `{public_name}`"));
            }
            tools.push(ToolSettings {
                public_name,
                name_json: serde_json::Value::from(config.name.as_str()).to_string().into(),
                name_header: headers::encode(&config.name),
                config,
            });
        }
    }
    tools
}

fn public_name(
    config: &McpToolConfig,
    prefix: &str,
    path: &str,
    problems: &mut Problems,
) -> Option<ToolName> {
    let own = config.rename.as_deref().unwrap_or(&config.name);
    let full = if prefix.is_empty() { own.to_owned() } else { format!("{prefix}_{own}") };
    match ToolName::parse(&full) {
        Ok(name) => Some(name),
        Err(message) if config.rename.is_some() => {
            problems.add(format!("{path}.rename"), message);
            None
        }
        Err(message) => {
            let help = "give it a name for agents with `rename`";
            problems.add_with_help(format!("{path}.name"), message, help);
            None
        }
    }
}

fn tool(config: &McpToolConfig, path: &str, problems: &mut Problems) {
    if config.name.is_empty() || config.name.len() > 256 {
        problems.add(format!("{path}.name"), "a tool's name has 1 to 256 bytes");
    }
    if config.effect == Effect::Destructive && config.approval.is_none() {
        problems.add_with_help(
            format!("{path}.approval"),
            "a destructive tool needs an approval",
            "name who may decide, as in `approval: { by: { roles: [tech_lead] } }`",
        );
    }
    if config.approval.as_ref().is_some_and(|approval| approval.by.roles.is_empty()) {
        problems.add_with_help(
            format!("{path}.approval.by.roles"),
            "nobody could approve a call of this tool",
            "name who may decide, as in `roles: [tech_lead]`",
        );
    }
    match &config.idempotency {
        None if config.effect != Effect::Read => problems.add_with_help(
            format!("{path}.idempotency"),
            format!("a tool with effect `{}` needs to recognise a repeated call", config.effect.as_str()),
            "name the arguments that make two calls the same one and the argument that takes the key, as in \
             `idempotency: { from: [ticket], argument: idempotency_key }`",
        ),
        Some(idempotency) => {
            if idempotency.from.is_empty() {
                problems.add(format!("{path}.idempotency.from"), "name at least one argument");
            }
            if config.fixed.contains_key(&idempotency.argument)
                || config.defaults.contains_key(&idempotency.argument)
            {
                problems.add(
                    format!("{path}.idempotency.argument"),
                    "the argument that takes the key has no fixed or default value",
                );
            }
        }
        None => {}
    }
    for name in config.defaults.keys().filter(|name| config.fixed.contains_key(*name)) {
        let name = name.escape_debug();
        problems.add(format!("{path}.defaults.{name}"), "an argument with a fixed value has no default");
    }
}
