//! One connector file: first its engine, then the form that the engine wants.
//!
//! Reading in two steps keeps the place of every problem, which an enum tagged by
//! the engine would lose. What a `spec` means is judged by its engine, in
//! `quaymaster-connectors`.

use std::path::Path;

use quaymaster_connectors::mcp::McpConnector;
use quaymaster_connectors::mcp::config::McpSpec;
use quaymaster_connectors::problem::SpecProblem;
use quaymaster_connectors::sql::SqlConnector;
use quaymaster_connectors::sql::config::SqlSpec;
use quaymaster_control::secrets::Secrets;
use quaymaster_core::connector::{Access, ApprovalConfig, ConnectorFile, Metadata};
use quaymaster_core::suggest::did_you_mean;
use quaymaster_core::{SecretError, SecretRef, SecretSource, ToolName};
use schemars::JsonSchema;
use secrecy::SecretString;
use serde::de::DeserializeOwned;

use super::diagnostic::{Code, Problem};
use super::shape::{Shaped, shape};
use super::yaml::{Node, Value};

/// The engines that a connector can have.
const ENGINES: [&str; 2] = ["mcp", "sql"];

/// A connector, by its engine.
#[derive(Clone, Debug, PartialEq)]
pub enum Connector {
    /// An MCP server.
    Mcp(ConnectorFile<McpSpec>),
    /// A SQL database.
    Sql(ConnectorFile<SqlSpec>),
}

/// What every engine's tools have in common, and an MCP server's prompts and resources with them.
#[derive(Clone, Debug)]
pub(super) struct ToolUse<'a> {
    /// Where it stands in the file.
    pub(super) path: String,
    /// The name for agents, without the prefix.
    pub(super) name: &'a str,
    pub(super) access: &'a Access,
    pub(super) approval: Option<&'a ApprovalConfig>,
    /// Whether it is listed where the others have to be searched for.
    pub(super) pinned: bool,
}

impl ToolUse<'_> {
    /// What the values for its arguments are called, by the name `full` that it has for agents;
    /// none if it is a tool, which has no such values.
    pub(super) fn completion(&self, full: &str) -> Option<String> {
        let is_completed = !self.path.starts_with("spec.tools");
        let full = ToolName::parse(full).ok().filter(|_| is_completed)?;
        full.of_completion().map(|name| name.to_string())
    }
}

impl Connector {
    /// Name, version and owner.
    pub fn metadata(&self) -> &Metadata {
        match self {
            Self::Mcp(file) => &file.metadata,
            Self::Sql(file) => &file.metadata,
        }
    }

    /// What its engine finds wrong with it. Starts nothing.
    ///
    /// A secret that cannot be had is not told here: whoever has `secrets` tells of it itself.
    pub(super) fn problems(&self, secrets: Option<&Secrets>, folder: &Path) -> Vec<SpecProblem> {
        let secrets = OrPlaceholder(secrets);
        match self {
            Self::Mcp(file) => McpConnector::new(file.clone(), &secrets, folder).err().unwrap_or_default(),
            Self::Sql(file) => SqlConnector::check(file),
        }
    }

    /// The names by which policies may speak of it: those of its tools, prompts and resources,
    /// whether they are there yet or not, and of what completes prompts and resources.
    pub fn policy_names(&self) -> impl Iterator<Item = String> {
        self.named_tools().flat_map(|(name, tool)| {
            let completion = tool.completion(&name);
            [Some(name), completion].into_iter().flatten()
        })
    }

    /// The names under which agents will know its tools, prompts and resources, whether they are
    /// there yet or not.
    pub fn tool_names(&self) -> impl Iterator<Item = String> {
        self.named_tools().map(|(name, _)| name)
    }

    /// The names of those that are listed where the others have to be searched for.
    pub(crate) fn pinned_names(&self) -> impl Iterator<Item = String> {
        self.named_tools().filter(|(_, tool)| tool.pinned).map(|(name, _)| name)
    }

    /// The tools in the order of the file, each with its name for agents.
    pub(super) fn named_tools(&self) -> impl Iterator<Item = (String, ToolUse<'_>)> {
        let prefix = self.prefix();
        let named = move |tool: &ToolUse<'_>| match prefix.as_str() {
            "" => tool.name.to_owned(),
            prefix => format!("{prefix}_{}", tool.name),
        };
        self.tools().into_iter().map(move |tool| (named(&tool), tool))
    }

    /// The names that an MCP server gives to the tools that are configured, in the order of the file.
    pub(crate) fn upstream_tools(&self) -> impl Iterator<Item = &str> {
        let tools = match self {
            Self::Mcp(file) => file.spec.tools.as_slice(),
            Self::Sql(_) => &[],
        };
        tools.iter().map(|tool| tool.name.as_str())
    }

    /// What the names of its tools begin with; empty if nothing.
    pub(crate) fn prefix(&self) -> String {
        match self {
            Self::Mcp(file) => file.spec.prefix.clone(),
            Self::Sql(file) => {
                let own = || file.metadata.name.as_str().replace('-', "_");
                file.spec.prefix.clone().unwrap_or_else(own)
            }
        }
    }

    /// The tools in the order of the file, then the prompts, then the resources.
    pub(super) fn tools(&self) -> Vec<ToolUse<'_>> {
        let plain = |list: &str, at: usize, name, access| {
            let path = format!("spec.{list}[{at}]");
            ToolUse { path, name, access, approval: None, pinned: false }
        };
        match self {
            Self::Mcp(file) => {
                let spec = &file.spec;
                let tools = spec.tools.iter().enumerate().map(|(at, tool)| ToolUse {
                    approval: tool.approval.as_ref(),
                    pinned: tool.pinned,
                    ..plain("tools", at, tool.rename.as_deref().unwrap_or(&tool.name), &tool.access)
                });
                let prompts = spec.prompts.iter().enumerate().map(|(at, prompt)| {
                    plain("prompts", at, prompt.rename.as_deref().unwrap_or(&prompt.name), &prompt.access)
                });
                let groups = spec.resources.iter().enumerate();
                let groups = groups.map(|(at, group)| plain("resources", at, &group.name, &group.access));
                tools.chain(prompts).chain(groups).collect()
            }
            Self::Sql(file) => {
                let tools = file.spec.tools.iter().enumerate().map(|(at, tool)| ToolUse {
                    approval: tool.approval.as_ref(),
                    pinned: tool.pinned,
                    ..plain("tools", at, &tool.name, &tool.access)
                });
                tools.collect()
            }
        }
    }
}

/// Secrets, and where there is none something that an engine takes for one.
struct OrPlaceholder<'a>(Option<&'a Secrets>);

impl SecretSource for OrPlaceholder<'_> {
    fn resolve(&self, reference: &SecretRef) -> Result<SecretString, SecretError> {
        let known = self.0.and_then(|secrets| secrets.resolve(reference).ok());
        Ok(known.unwrap_or_else(|| SecretString::from("placeholder")))
    }
}

/// Reads a connector's tree, which was made of `text`.
pub(super) fn read(root: &Node, text: &str) -> Shaped<Connector> {
    let spec = root.get("spec");
    let Some(engine) = spec.and_then(|spec| spec.get("engine")) else {
        return without_engine(root, spec);
    };
    match engine.as_text() {
        Some("mcp") => read_as(root, text, Connector::Mcp),
        Some("sql") => read_as(root, text, Connector::Sql),
        other => {
            let name = other.map(|text| format!(" `{}`", text.escape_debug())).unwrap_or_default();
            let help = did_you_mean(other.unwrap_or_default(), "engines", ENGINES);
            only(Problem::error(Code::UnknownEngine, engine.span, format!("unknown engine{name}")).help(help))
        }
    }
}

fn read_as<S>(root: &Node, text: &str, into: fn(ConnectorFile<S>) -> Connector) -> Shaped<Connector>
where
    S: DeserializeOwned + JsonSchema,
{
    let Shaped { value, problems, hidden } = shape::<ConnectorFile<S>>(root, text);
    Shaped { value: value.map(into), problems, hidden }
}

/// Without an engine nothing can be said of the rest but whether it is a connector at all.
fn without_engine(root: &Node, spec: Option<&Node>) -> Shaped<Connector> {
    let engines = || format!("write `engine: {}` or `engine: {}`", ENGINES[0], ENGINES[1]);
    match (&root.value, spec) {
        (Value::Map(_), Some(spec)) => {
            only(Problem::error(Code::MissingKey, spec.span, "missing key `engine`").help(engines()))
        }
        (Value::Map(_), None) => only(Problem::error(Code::MissingKey, root.span, "missing key `spec`")),
        _ => only(Problem::error(Code::Type, root.span, "expected a connector, which is a mapping")),
    }
}

/// Nothing else was looked at, so it is not known what of it may be a secret.
fn only(problem: Problem) -> Shaped<Connector> {
    Shaped { value: None, problems: vec![problem], hidden: None }
}
