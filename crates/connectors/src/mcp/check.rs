//! From what was read to what is worked with: the semantic checks of a `spec`.
//!
//! Reports everything that is wrong at once, each at its path. Secrets are
//! fetched here, so that a missing one is told when the configuration is loaded
//! and not when an agent calls.
//!
//! Invariants:
//! - A write that cannot be recognised when it is repeated does not load, and
//!   neither does a destructive tool that nobody has to approve, or could.
//! - Every tool has one name for agents, and no two share one; nor does what completes a prompt
//!   or a template share one, by which policies speak of it.

pub(super) mod offers;
pub(super) mod server;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use quaymaster_core::connector::{ConnectorFile, IdempotencyConfig};
use quaymaster_core::mirror;
use quaymaster_core::setting::Slug;
use quaymaster_core::{Classification, Effect, SecretSource, ToolName};

use self::offers::{PromptSettings, ResourceSettings};
use self::server::Server;
use super::breaker::Tolerance;
use super::config::{BreakerConfig, Changes, EraConfig, McpSpec, McpToolConfig, Transport};
use super::pace::Pace;
use super::ways::Ways;
use crate::problem::{Problems, SpecProblem};

/// The longest time that a breaker may look back or stay open.
const MAX_BREAKER: Duration = Duration::from_hours(1);

/// A connector that may be started.
pub(super) struct Settings {
    pub(super) connector: Slug,
    pub(super) version: String,
    pub(super) workspaces: Arc<[Slug]>,
    pub(super) server: Server,
    pub(super) era: EraConfig,
    pub(super) required: bool,
    pub(super) enabled: bool,
    pub(super) changes: Changes,
    pub(super) breaker: Tolerance,
    /// How long a call may take, retries and waiting included.
    pub(super) timeout: Duration,
    /// How large a result may be.
    pub(super) max_bytes: usize,
    pub(super) classification: Arc<Classification>,
    pub(super) ways: Ways,
    pub(super) tools: Vec<ToolSettings>,
    pub(super) prompts: Vec<PromptSettings>,
    pub(super) resources: Vec<ResourceSettings>,
    pub(super) pace: Pace,
}

impl Settings {
    /// How many tools, prompts and groups of resources are configured.
    pub(super) fn configured(&self) -> usize {
        self.tools.len() + self.prompts.len() + self.resources.len()
    }
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
    let ways = Ways::of(&spec);
    let server = match spec.server.transport {
        Transport::Stdio => server::stdio(&spec.server, secrets, folder, &mut problems).map(Server::Stdio),
        Transport::Http => server::http(&spec.server, secrets, &mut problems).map(Server::Http),
        Transport::Sse => server::http(&spec.server, secrets, &mut problems).map(Server::Sse),
    };
    let mut names = Names::new(&spec.prefix, &mut problems);
    let tools = tools(spec.tools, &mut names, &mut problems);
    let prompts = offers::prompts(spec.prompts, &mut names, &mut problems);
    let resources = offers::resources(spec.resources, &mut names, &mut problems);
    if problems.0.is_empty() && tools.is_empty() && prompts.is_empty() && resources.is_empty() {
        problems.add(
            "spec.tools",
            "name at least one tool, prompt or resource: what is not named is not offered",
        );
    }
    if !spec.classification.columns.is_empty() {
        problems.add_with_help(
            "spec.classification.columns",
            "rules for `columns` do not reach the results of an MCP server, which have no columns",
            "write them as `fields`, as in `{ match: \"$..email\", class: confidential, action: drop }`",
        );
    }
    if spec.required && !spec.enabled {
        problems.add_with_help(
            "spec.enabled",
            "the gateway would never be ready: a server with `required: true` is not used",
            "say `required: false` as long as it is not to be used",
        );
    }
    let breaker = breaker(&spec.limits.breaker, &mut problems);
    match server {
        Some(server) if problems.0.is_empty() => Ok(Settings {
            connector: file.metadata.name,
            version: file.metadata.version.as_str().to_owned(),
            workspaces: file.metadata.workspaces.into(),
            era: if let Server::Sse(_) = server { EraConfig::Legacy } else { spec.server.era },
            server,
            required: spec.required,
            enabled: spec.enabled,
            changes: spec.changes,
            breaker,
            timeout: spec.limits.timeout.get(),
            max_bytes: spec.limits.bytes.get(),
            classification: Arc::new(spec.classification),
            ways,
            tools,
            prompts,
            resources,
            pace: Pace::default(),
        }),
        _ => Err(problems.0),
    }
}

fn breaker(config: &BreakerConfig, problems: &mut Problems) -> Tolerance {
    for (name, given) in [("window", config.window), ("cooldown", config.cooldown)] {
        if given.get() > MAX_BREAKER {
            problems.add(format!("spec.limits.breaker.{name}"), "at most `1h`");
        }
    }
    Tolerance {
        failures: config.failures.get(),
        window: config.window.get(),
        cooldown: config.cooldown.get(),
    }
}

/// The names for agents, of which none may be there twice.
struct Names {
    /// None is one that no name can have, which was told.
    prefix: Option<String>,
    taken: BTreeSet<ToolName>,
}

impl Names {
    fn new(prefix: &str, problems: &mut Problems) -> Self {
        let mut usable = Some(prefix.to_owned());
        if !prefix.is_empty()
            && let Err(message) = ToolName::parse(prefix)
        {
            problems.add_with_help("spec.prefix", message, "an empty prefix (`prefix: \"\"`) adds nothing");
            usable = None;
        }
        Self { prefix: usable, taken: BTreeSet::new() }
    }

    /// The name for agents of what is called `name`, or `rename` if that is given, in the file at `path`.
    fn take(
        &mut self,
        name: &str,
        rename: Option<&str>,
        path: &str,
        problems: &mut Problems,
    ) -> Option<ToolName> {
        let own = rename.unwrap_or(name);
        let full = match self.prefix.as_deref()? {
            "" => own.to_owned(),
            prefix => format!("{prefix}_{own}"),
        };
        match ToolName::parse(&full) {
            Ok(name) => {
                if !self.taken.insert(name.clone()) {
                    problems.add(path, format!("two of them would both be called `{name}`"));
                }
                Some(name)
            }
            Err(message) if rename.is_some() => {
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
}

impl Names {
    /// The same for what takes a second name, by which policies speak of its completion.
    fn take_completed(
        &mut self,
        name: &str,
        rename: Option<&str>,
        path: &str,
        problems: &mut Problems,
    ) -> Option<ToolName> {
        let taken = self.take(name, rename, path, problems)?;
        let completion = taken.of_completion().filter(|name| !self.taken.insert(name.clone()));
        if let Some(name) = completion {
            let message = format!("the values for its arguments would be called `{name}`, as another is");
            problems.add_with_help(path, message, "give one of the two another name for agents");
        }
        Some(taken)
    }
}

fn tools(configs: Vec<McpToolConfig>, names: &mut Names, problems: &mut Problems) -> Vec<ToolSettings> {
    let mut own_names = BTreeSet::new();
    let mut tools = Vec::new();
    for (at, config) in configs.into_iter().enumerate() {
        let path = format!("spec.tools[{at}]");
        tool(&config, &path, problems);
        if !own_names.insert(config.name.clone()) {
            problems.add(format!("{path}.name"), format!("`{}` is here twice", config.name.escape_debug()));
        }
        if let Some(public_name) = names.take(&config.name, config.rename.as_deref(), &path, problems) {
            tools.push(ToolSettings {
                public_name,
                name_json: serde_json::Value::from(config.name.as_str()).to_string().into(),
                name_header: mirror::encode(&config.name),
                config,
            });
        }
    }
    name_readers(&mut tools, problems);
    tools
}

/// What reads the data that a call will change, or looks up whether one took effect, is a tool of the
/// same file that only reads. From here on it has the name that agents know it by.
fn name_readers(tools: &mut [ToolSettings], problems: &mut Problems) {
    let reads = |tool: &ToolSettings| {
        (tool.config.effect == Effect::Read).then(|| (tool.config.name.clone(), tool.public_name.to_string()))
    };
    let reads: BTreeMap<String, String> = tools.iter().filter_map(reads).collect();
    for (at, tool) in tools.iter_mut().enumerate() {
        let preview = tool.config.briefing.preview.iter_mut().map(|preview| &mut preview.tool);
        let idempotency = tool.config.idempotency.iter_mut().filter_map(|own| own.lookup.as_mut());
        let named = preview.map(|name| ("briefing.preview", name));
        for (place, name) in named.chain(idempotency.map(|lookup| ("idempotency.lookup", &mut lookup.tool))) {
            match reads.get(&*name) {
                Some(public) => name.clone_from(public),
                None => problems.add_with_help(
                    format!("spec.tools[{at}].{place}.tool"),
                    format!("`{}` is no tool of this file with `effect: read`", name.escape_debug()),
                    "name one by the server's own name for it",
                ),
            }
        }
    }
}

/// A write that is looked up without its key could be another one.
fn check_lookup(idempotency: &IdempotencyConfig, path: &str, problems: &mut Problems) {
    let Some(lookup) = &idempotency.lookup else { return };
    let key = format!("${{{}}}", idempotency.argument);
    if !lookup.arguments.values().any(|value| value.as_str() == Some(&*key)) {
        problems.add_with_help(
            format!("{path}.idempotency.lookup.arguments"),
            "a write is looked up by its key, and no argument holds it",
            format!("as in `arguments: {{ key: \"{key}\" }}`"),
        );
    }
    if !lookup.found.starts_with('/') {
        problems.add_with_help(
            format!("{path}.idempotency.lookup.found"),
            "this is no JSON Pointer (RFC 6901) to something in the result",
            "as in `/tickets/0`",
        );
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
    problems.check_approval(path, config.approval.as_ref());
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
            check_lookup(idempotency, path, problems);
        }
        None => {}
    }
    for name in config.defaults.keys().filter(|name| config.fixed.contains_key(*name)) {
        let name = name.escape_debug();
        problems.add(format!("{path}.defaults.{name}"), "an argument with a fixed value has no default");
    }
}
