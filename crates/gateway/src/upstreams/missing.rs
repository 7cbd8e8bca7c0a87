//! What a caller is told of MCP servers that are not up.
//!
//! Lists answer from what is there. Which servers are not is told to those alone
//! who could call something of them: of a server that was seen since the gateway
//! started, what it offered is still in the catalogue, and the caller's view says
//! whether any of it is for them. Of one that was never seen, only the names of
//! what is configured are known; the same policies judge these.
//!
//! Invariants:
//! - Nobody learns the name of a server of which no call could be permitted to them.
//! - Where a workspace demands all of its servers, nothing in it is answered
//!   while one of them is not up.
//!
//! A server that the configuration has switched off is not missing.

use std::collections::BTreeSet;
use std::sync::Arc;

use quaymaster_catalog::{Catalogue, Tool};
use quaymaster_connectors::mcp::config::McpSpec;
use quaymaster_connectors::mcp::{Health, McpConnector, Ways};
use quaymaster_control::Rulebook;
use quaymaster_core::connector::{Access, ApprovalConfig, ConnectorFile};
use quaymaster_core::offer::{Resources, UriPattern};
use quaymaster_core::tool::ResultForm;
use quaymaster_core::{
    Actor, CallError, Destination, Effect, ErrorCode, Offer, Reach, ToolDeclaration, ToolName, Trust,
    Workspace,
};
use serde::Serialize;
use serde_json::{Map, json};

use super::servers;
use crate::assembly::{Fleet, known, policy_files};
use crate::config::{Connector, Loaded, LoadedConnector};
use crate::plane::Plane;

/// The member of a list's `_meta` that names the servers which are not up.
pub const MISSING_UPSTREAMS: &str = "com.quaymaster/missingUpstreams";

/// A server that is not up, for somebody who could call something of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct MissingUpstream {
    /// The connector's name.
    pub name: String,
    /// How it is, in one word.
    pub state: &'static str,
}

/// What should be there, as far as the catalogue does not tell.
#[derive(Debug, Default)]
pub(crate) struct Expected {
    /// The workspaces that demand all of their servers.
    whole: BTreeSet<Workspace>,
    /// Stand-ins for what servers would offer of which nothing was seen, and their rules.
    unseen: Catalogue,
    rules: Rulebook,
}

impl Expected {
    /// As `loaded` has it, with the servers of `fleet` as they are now.
    pub(crate) fn of(loaded: &Loaded, fleet: &Fleet) -> Self {
        let workspaces = loaded.settings.workspaces.iter();
        let whole =
            workspaces.filter(|(_, config)| config.require_all).map(|(name, _)| name.clone()).collect();
        let is_unseen = |file: &ConnectorFile<McpSpec>| {
            let mut servers = fleet.upstreams();
            let server = servers.find(|server| server.name() == file.metadata.name.as_str());
            file.spec.enabled && server.is_some_and(|server| server.tools().borrow().is_empty())
        };
        let declarations: Vec<ToolDeclaration> = loaded
            .connectors
            .iter()
            .filter_map(|LoadedConnector { connector, .. }| match connector {
                Connector::Mcp(file) => Some(file).filter(|file| is_unseen(file)),
                Connector::Sql(_) => None,
            })
            .flat_map(stand_ins)
            .collect();
        if declarations.is_empty() {
            return Self { whole, ..Self::default() };
        }
        // What is wrong with these was told, or is not known before the server is there: a policy
        // that speaks of arguments does not fit a stand-in, which then nobody can see.
        let (unseen, _) = Catalogue::build(declarations);
        let (rules, _) = Rulebook::build(&policy_files(loaded), &unseen, &known(loaded));
        Self { whole, unseen, rules }
    }

    /// Whether `actor` could call something of the server called `connector`, of which nothing was seen.
    fn could_be_for(&self, actor: &Actor, connector: &str) -> bool {
        let mut tools =
            self.unseen.offers().filter(|tool| tool.declaration().connector.as_str() == connector);
        let could_permit = |tool: &Arc<Tool>| {
            let policies = self.rules.policies();
            tool.declaration().workspaces.contains(&actor.workspace) && policies.could_permit(actor, tool)
        };
        tools.any(could_permit)
    }
}

impl Plane {
    /// The servers that are not up and of which `actor` could call something, by name.
    pub fn missing_upstreams(&self, actor: &Actor, reach: &Reach) -> Vec<MissingUpstream> {
        let down: Vec<(&Arc<McpConnector>, Health)> = servers(&self.connectors)
            .filter(|server| server.workspaces().contains(&actor.workspace))
            .map(|server| (server, server.health()))
            .filter(|(_, health)| is_missing(*health))
            .collect();
        if down.is_empty() {
            return Vec::new();
        }
        let view = self.view(actor);
        let is_seen = |name: &str| {
            let mut offers = view.offers();
            offers.any(|tool| tool.declaration().connector.as_str() == name)
        };
        let mut missing: Vec<MissingUpstream> = down
            .into_iter()
            .filter(|(server, _)| is_seen(server.name()) || self.expected.could_be_for(actor, server.name()))
            // Last, so that the time does not tell of a server that is hidden.
            .filter(|(server, _)| reach.includes(server.name()))
            .map(|(server, health)| MissingUpstream {
                name: server.name().to_owned(),
                state: health.as_str(),
            })
            .collect();
        missing.sort_unstable();
        missing
    }

    /// Whether requests in `workspace` are answered at all.
    ///
    /// # Errors
    ///
    /// `upstream.unavailable` if it demands all of its servers and one is not up. Which one is
    /// not said, as the caller may not know of it.
    pub fn check_whole(&self, workspace: &Workspace) -> Result<(), CallError> {
        let is_whole = !self.expected.whole.contains(workspace)
            || !servers(&self.connectors)
                .any(|server| server.workspaces().contains(workspace) && is_missing(server.health()));
        if is_whole {
            return Ok(());
        }
        Err(CallError::new(
            ErrorCode::UpstreamUnavailable,
            "a system of this workspace is not up, and the workspace is served only as a whole",
        )
        .hint("try again later"))
    }
}

fn is_missing(health: Health) -> bool {
    !health.is_up() && health != Health::Disabled
}

/// What the server of `file` would offer, without what only the server knows.
pub(crate) fn stand_ins(file: &ConnectorFile<McpSpec>) -> Vec<ToolDeclaration> {
    let spec = &file.spec;
    let ways = Ways::of(spec);
    let tools = spec.tools.iter().map(|tool| StandIn {
        name: tool.rename.as_deref().unwrap_or(&tool.name),
        offer: Offer::Tool,
        access: &tool.access,
        effect: tool.effect,
        approval: tool.approval.as_ref(),
        // What the server says of itself nobody knows.
        ways: ways.of_tool(tool, None),
    });
    let read = |name, offer, access| {
        let (effect, ways) = (Effect::Read, ways.of_reads());
        StandIn { name, offer, access, effect, approval: None, ways }
    };
    let prompts = spec
        .prompts
        .iter()
        .map(|prompt| read(prompt.rename.as_deref().unwrap_or(&prompt.name), Offer::Prompt, &prompt.access));
    let resources = spec.resources.iter().filter_map(|group| {
        let pattern = UriPattern::parse(&group.uri).ok()?;
        let resources = Resources { pattern, listed: Vec::new(), templates: Vec::new() };
        Some(read(&group.name, Offer::Resources(Arc::new(resources)), &group.access))
    });
    tools.chain(prompts).chain(resources).filter_map(|stand_in| stand_in.declare(file)).collect()
}

/// Under which name agents know what `name` is in the file `spec`.
pub(crate) fn public_name(spec: &McpSpec, name: &str) -> String {
    match spec.prefix.as_str() {
        "" => name.to_owned(),
        prefix => format!("{prefix}_{name}"),
    }
}

struct StandIn<'a> {
    name: &'a str,
    offer: Offer,
    access: &'a Access,
    effect: Effect,
    approval: Option<&'a ApprovalConfig>,
    ways: (Trust, Destination),
}

impl StandIn<'_> {
    fn declare(self, file: &ConnectorFile<McpSpec>) -> Option<ToolDeclaration> {
        let ConnectorFile { metadata, spec, .. } = file;
        let name = public_name(spec, self.name);
        Some(ToolDeclaration {
            offer: self.offer,
            connector: metadata.name.clone(),
            version: metadata.version.as_str().to_owned(),
            workspaces: self.access.workspaces_among(&metadata.workspaces),
            name: ToolName::parse(&name).ok()?,
            local_name: self.name.to_owned(),
            title: None,
            description: String::new(),
            effect: self.effect,
            input_schema: json!({"type": "object"}),
            output_schema: None,
            form: ResultForm::Upstream,
            access: self.access.clone(),
            approval: self.approval.cloned(),
            briefing: Arc::default(),
            idempotency: None,
            fixed: Map::new(),
            defaults: Map::new(),
            classification: Arc::new(spec.classification.clone()),
            passed_on: Map::new(),
            tasks: false,
            definition: None,
            quarantined: None,
            trust: self.ways.0,
            destination: self.ways.1,
        })
    }
}
