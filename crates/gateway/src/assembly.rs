//! From a configuration to what governs and runs calls.
//!
//! Connectors whose file did not change are kept with their connections; the
//! catalogue and the rulebook are made anew, which takes milliseconds.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use quaymaster_catalog::Catalogue;
use quaymaster_connectors::mcp::{Announced, Health, McpConnector};
use quaymaster_connectors::problem::SpecProblem;
use quaymaster_connectors::sql::SqlConnector;
use quaymaster_connectors::{Connector, Connectors};
use quaymaster_control::Rulebook;
use quaymaster_control::policy::{Known, PolicyFile, PolicyProblem};
use quaymaster_core::setting::Slug;
use quaymaster_core::{Clock, SecretSource, ToolDeclaration};
use tokio::sync::watch;

use crate::config::{self, Diagnostic, Diagnostics, Loaded, LoadedConnector, Source};
use crate::readers;

/// How long the first listing of upstreams is waited for before calls are taken.
const FIRST_LISTING: Duration = Duration::from_secs(5);

/// A connector at work, with the file that it was made of.
#[derive(Clone, Debug)]
struct Built {
    file: config::Connector,
    connector: Connector,
}

impl Built {
    fn is_shut_out(&self) -> bool {
        match &self.connector {
            Connector::Mcp(upstream) => upstream.health() == Health::Quarantined,
            Connector::Sql(_) => false,
        }
    }
}

/// The connectors of a configuration.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fleet {
    by_name: BTreeMap<Slug, Built>,
}

impl Fleet {
    /// The connectors of `loaded`; those that did not change are taken from `before`.
    pub(crate) fn build(
        loaded: &Loaded,
        before: &Self,
        secrets: &dyn SecretSource,
        clock: &Arc<dyn Clock>,
    ) -> Result<Self, Diagnostics> {
        let mut found = Diagnostics::default();
        let mut fleet = Self::default();
        for LoadedConnector { connector: file, source } in &loaded.connectors {
            let name = file.metadata().name.clone();
            let kept = before.by_name.get(&name).filter(|built| built.file == *file).cloned();
            let built = match kept {
                Some(built) => Ok(built),
                None => build(file, &loaded.folder, secrets, clock)
                    .map(|connector| Built { file: file.clone(), connector }),
            };
            match built {
                Ok(built) => {
                    fleet.by_name.insert(name, built);
                }
                Err(problems) => found.add(
                    problems
                        .into_iter()
                        .map(|SpecProblem { path, message, help }| source.problem_at(&path, &message, help)),
                ),
            }
        }
        if found.has_errors() { Err(found) } else { Ok(fleet) }
    }

    /// The connectors that need not be made anew for who rotated a secret, which no file shows, or
    /// has looked at a server that was shut out.
    pub(crate) fn without_secrets(&self, loaded: &Loaded) -> Self {
        let secret = |name: &Slug| {
            let mut files = loaded.connectors.iter().filter(|file| file.connector.metadata().name == *name);
            files.any(|file| file.source.text().contains("${secret:"))
        };
        let mut kept = self.clone();
        kept.by_name.retain(|name, built| !secret(name) && !built.is_shut_out());
        kept
    }

    /// What every upstream tells of its tools, for who wants to hear of it from now on.
    pub(crate) fn follow(&self) -> Vec<Told> {
        let told =
            |upstream: &Arc<McpConnector>| Told { tools: upstream.tools(), announced: upstream.announced() };
        self.upstreams().map(told).collect()
    }

    /// Starts what is not started yet and waits, within a limit, for the first listings.
    pub(crate) async fn start(&self) {
        self.start_within(FIRST_LISTING).await;
    }

    /// The same for who has more time.
    pub(crate) async fn start_within(&self, limit: Duration) {
        let upstreams = self.upstreams().map(|upstream| async move {
            upstream.start();
            let state = upstream.ready(limit).await;
            if !state.health.is_up() && state.health != Health::Disabled {
                tracing::warn!(
                    event = "upstream.state",
                    connector = upstream.name(),
                    health = state.health.as_str(),
                    reason = state.reason,
                    "an upstream is not ready"
                );
            }
        });
        join_all(upstreams).await;
    }

    /// Stops the children and ends the sessions of everything that is not in `kept`.
    pub(crate) async fn stop_except(&self, kept: &Self) {
        let gone = self.by_name.iter().filter(|(name, built)| {
            !kept.by_name.get(*name).is_some_and(|other| other.connector.is_same(&built.connector))
        });
        join_all(gone.map(|(_, built)| async move {
            if let Connector::Mcp(upstream) = &built.connector {
                upstream.shutdown().await;
            }
        }))
        .await;
    }

    /// The MCP servers.
    pub(crate) fn upstreams(&self) -> impl Iterator<Item = &Arc<McpConnector>> {
        self.by_name.values().filter_map(|built| match &built.connector {
            Connector::Mcp(upstream) => Some(upstream),
            Connector::Sql(_) => None,
        })
    }

    /// The connectors as the path of a call needs them.
    pub(crate) fn connectors(&self) -> Connectors {
        let by_name: HashMap<Slug, Connector> =
            self.by_name.iter().map(|(name, built)| (name.clone(), built.connector.clone())).collect();
        Connectors::new(by_name)
    }

    /// What all of them offer now.
    pub(crate) fn declarations(&self) -> Vec<ToolDeclaration> {
        self.by_name
            .values()
            .flat_map(|built| match &built.connector {
                Connector::Sql(sql) => sql.tools(),
                Connector::Mcp(upstream) => upstream.tools().borrow().to_vec(),
            })
            .collect()
    }
}

/// What one upstream tells of its tools.
#[derive(Debug)]
pub(crate) struct Told {
    /// Those that it offers.
    pub(crate) tools: watch::Receiver<Arc<[ToolDeclaration]>>,
    /// How often it announced what it had not done.
    pub(crate) announced: watch::Receiver<Announced>,
}

fn build(
    file: &config::Connector,
    folder: &Path,
    secrets: &dyn SecretSource,
    clock: &Arc<dyn Clock>,
) -> Result<Connector, Vec<SpecProblem>> {
    match file {
        config::Connector::Sql(file) => SqlConnector::new(file.clone(), secrets, folder, Arc::clone(clock))
            .map(|sql| Connector::Sql(Arc::new(sql))),
        config::Connector::Mcp(file) => McpConnector::new(file.clone(), secrets, folder).map(Connector::Mcp),
    }
}

/// What becomes of a tool that an upstream changed so that the policies no longer fit it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Drift {
    /// The configuration is refused: somebody is there who changed it and can mend it.
    Refuse,
    /// The tool is hidden: one bad upstream takes nothing else down.
    Hide,
}

/// Catalogue and rulebook for the tools that there are now, and what is wrong with them.
pub(crate) fn rules(loaded: &Loaded, fleet: &Fleet, drift: Drift) -> (Catalogue, Rulebook, Diagnostics) {
    rules_for((loaded, fleet), fleet.declarations(), drift, Vec::new())
}

/// The same for `declarations`, with `stand_ins` for what servers would offer that were not asked.
pub(crate) fn rules_for(
    (loaded, fleet): (&Loaded, &Fleet),
    declarations: Vec<ToolDeclaration>,
    drift: Drift,
    stand_ins: Vec<ToolDeclaration>,
) -> (Catalogue, Rulebook, Diagnostics) {
    let known =
        Known { untyped: stand_ins.iter().map(|tool| tool.name.to_string()).collect(), ..known(loaded) };
    let (catalogue, problems) = Catalogue::build(declarations.into_iter().chain(stand_ins));
    let mut found = Diagnostics::default();
    for problem in problems {
        let source =
            loaded.connectors.iter().find(|c| c.connector.metadata().name.as_str() == problem.connector);
        let message = format!("tool `{}`: {}", problem.tool, problem.message);
        match source {
            Some(LoadedConnector { connector: config::Connector::Sql(_), source }) => {
                found.add([source.problem_at("spec.tools", &message, None)]);
            }
            // What an upstream offers is no fault of the configuration.
            _ => {
                found.add(source.map(|file| file.source.warning_at("spec.tools", &message)));
                tracing::warn!(
                    event = "catalogue.left_out",
                    connector = problem.connector,
                    message,
                    "a tool is left out"
                );
            }
        }
    }
    let (rulebook, problems) = Rulebook::build(&policy_files(loaded), &catalogue, &known);
    let (hidden, told): (Vec<PolicyProblem>, Vec<PolicyProblem>) = problems
        .into_iter()
        .partition(|problem| drift == Drift::Hide && is_of_upstream(problem, &catalogue, fleet));
    for problem in hidden {
        let (tool, message) = (problem.tool, problem.message);
        tracing::error!(
            event = "policy.drift",
            tool,
            message,
            "a tool is hidden: its policies do not fit it"
        );
    }
    found.add(told.iter().map(|problem| loaded.policy_diagnostic(problem)).collect::<Vec<Diagnostic>>());
    let catalogue = catalogue.with_rules(|tool| rulebook.told(tool));
    found.add(readers::problems(loaded));
    (catalogue, rulebook, found)
}

fn is_of_upstream(problem: &PolicyProblem, catalogue: &Catalogue, fleet: &Fleet) -> bool {
    let tool = problem.tool.as_ref().and_then(|name| catalogue.tool(name));
    let built = tool.and_then(|tool| fleet.by_name.get(&tool.declaration().connector));
    built.is_some_and(|built| matches!(built.connector, Connector::Mcp(_)))
}

/// The policies as they are written.
pub(crate) fn policy_files(loaded: &Loaded) -> Vec<PolicyFile> {
    let file =
        |source: &Arc<Source>| PolicyFile { path: source.path().to_owned(), text: source.text().to_owned() };
    loaded.policies.iter().map(file).collect()
}

/// The names that policies may speak of.
pub(crate) fn known(loaded: &Loaded) -> Known {
    let settings = &loaded.settings;
    Known {
        roles: settings.roles.keys().map(ToString::to_string).collect(),
        workspaces: settings.workspaces.keys().map(ToString::to_string).collect(),
        connectors: loaded.connectors.iter().map(|c| c.connector.metadata().name.to_string()).collect(),
        tools: loaded.connectors.iter().flat_map(|c| c.connector.policy_names()).collect(),
        environments: environments(settings.workspaces.iter().map(|(name, w)| (name, &w.environment))),
        untyped: std::collections::BTreeSet::new(),
        connector_environments: environments(loaded.connectors.iter().map(|c| {
            let metadata = c.connector.metadata();
            (&metadata.name, &metadata.environment)
        })),
        classes: Arc::clone(&loaded.classes),
        zones: settings.workspaces.iter().map(|(name, w)| (name.to_string(), w.zone())).collect(),
    }
}

fn environments<'a>(named: impl Iterator<Item = (&'a Slug, &'a Option<Slug>)>) -> BTreeMap<String, String> {
    named
        .filter_map(|(name, environment)| Some((name.to_string(), environment.as_ref()?.to_string())))
        .collect()
}
