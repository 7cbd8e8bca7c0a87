//! How the MCP servers are, for the people and programs that run a gateway.
//!
//! [`Gateway::upstreams`] reports on the connectors of a running gateway,
//! [`look_at_upstreams`] on those of a configuration that is started for that and
//! stopped again. What callers are told of the ones that are not up is in
//! `missing`.
//!
//! Invariant: a report holds no secret and nothing of a call.

mod missing;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use quaymaster_connectors::mcp::config::Transport;
use quaymaster_connectors::mcp::{Health, McpConnector};
use quaymaster_core::Workspace;
use serde::Serialize;

pub(crate) use self::missing::{Expected, public_name, stand_ins};
pub use self::missing::{MISSING_UPSTREAMS, MissingUpstream};
use crate::assembly::Fleet;
use crate::check::build;
use crate::config::{SecretCheck, load};
use crate::gateway::Gateway;
use crate::integrity::{looked_at, with_standings};
use crate::state::StartError;

/// How one MCP server is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UpstreamReport {
    /// The connector's name.
    pub name: String,
    /// How the server is reached.
    pub transport: Transport,
    /// How it is, in one word.
    pub state: Health,
    /// Why, in one sentence; empty where there is nothing to say.
    pub reason: String,
    /// The protocol revision that is spoken, while there is a connection.
    pub revision: Option<&'static str>,
    /// Whether the gateway is not ready without it.
    pub required: bool,
    /// The workspaces in which it exists.
    pub workspaces: Vec<Workspace>,
    /// How many of the configured tools, prompts and groups of resources agents can be shown.
    pub offered: usize,
    /// How many are configured.
    pub configured: usize,
    /// The tools that nobody may call until a person has accepted their definitions.
    pub quarantined: Vec<QuarantinedTool>,
}

/// A tool that is quarantined.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct QuarantinedTool {
    /// The name that agents know.
    pub tool: String,
    /// Why, in one sentence that has nothing of what the server wrote.
    pub why: String,
}

impl UpstreamReport {
    fn of(upstream: &McpConnector) -> Self {
        let state = upstream.state();
        Self {
            name: upstream.name().to_owned(),
            transport: upstream.transport(),
            state: state.health,
            reason: state.reason,
            revision: state.revision,
            required: upstream.is_required(),
            workspaces: upstream.workspaces().to_vec(),
            offered: upstream.tools().borrow().len(),
            configured: upstream.configured(),
            quarantined: Vec::new(),
        }
    }

    /// Whether the gateway is not ready because of it.
    pub fn is_in_the_way(&self) -> bool {
        self.required && !self.state.is_up()
    }
}

impl Gateway {
    /// How the MCP servers of the configuration at work are, in the order of their names.
    pub fn upstreams(&self) -> Vec<UpstreamReport> {
        with_standings(reports(&self.at_work().fleet), &self.standings())
    }
}

fn reports(fleet: &Fleet) -> Vec<UpstreamReport> {
    fleet.upstreams().map(|upstream| UpstreamReport::of(upstream)).collect()
}

/// Starts the MCP servers of the configuration in `folder`, waits at most `limit` until each
/// was reached or could not be, and stops them. Calls nothing and records nothing; the store is read
/// where it is known what was seen of tools that no file pins.
///
/// # Errors
///
/// [`StartError`] if the configuration is not valid, or the store cannot be read.
pub async fn look_at_upstreams(folder: &Path, limit: Duration) -> Result<Vec<UpstreamReport>, StartError> {
    let loaded = load(folder, SecretCheck::Resolve)?;
    let fleet = build(&loaded, &loaded.secrets())?;
    fleet.start_within(limit).await;
    let standings = looked_at(&loaded, &fleet).await;
    let found = reports(&fleet);
    fleet.stop_except(&Fleet::default()).await;
    Ok(with_standings(found, &standings?))
}

/// The MCP servers among `connectors`.
pub(crate) fn servers(
    connectors: &quaymaster_connectors::Connectors,
) -> impl Iterator<Item = &Arc<McpConnector>> {
    connectors.iter().filter_map(|(_, connector)| match connector {
        quaymaster_connectors::Connector::Mcp(upstream) => Some(upstream),
        quaymaster_connectors::Connector::Sql(_) => None,
    })
}
