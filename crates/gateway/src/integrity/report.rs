//! What is told of the standing of tools: in the log, in the audit log, and to those who ask.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use quaymaster_control::Evidence;
use quaymaster_control::audit::{Durability, Event, Record, ToolPart};

use super::{AtFirstSight, Basis, Offered, Seen, Standing};
use crate::assembly::Fleet;
use crate::check::build;
use crate::config::{Diagnostics, Loaded, SecretCheck, load};
use crate::state::{StartError, existing_store};
use crate::upstreams::{QuarantinedTool, UpstreamReport};

/// Most changes of one moment that are recorded one by one.
const MAX_TOLD: usize = 200;
/// Most rules that one record names.
const MAX_RULES: usize = 10;

/// Tells what is another than it was: in the log, and in the audit log.
pub(crate) async fn tell(before: &[Standing], now: &[Standing], evidence: &Evidence) {
    let changes: Vec<(Event, &Standing)> =
        now.iter().filter_map(|tool| event(before, tool).map(|event| (event, tool))).collect();
    for (event, tool) in changes.iter().take(MAX_TOLD) {
        log(*event, tool);
        let record = record(*event, tool, evidence);
        if let Err(error) = evidence.audit.append(record, None, Durability::Durable).await {
            tracing::error!(event = "audit.tool", %error, "what became of a tool could not be recorded");
        }
    }
    if changes.len() > MAX_TOLD {
        let left_out = changes.len() - MAX_TOLD;
        tracing::error!(event = "tool.many", left_out, "more tools changed at once than are recorded");
    }
}

fn event(before: &[Standing], now: &Standing) -> Option<Event> {
    let was = before.iter().find(|was| was.is(now));
    let is_same = was.is_some_and(|was| {
        was.offered.digest() == now.offered.digest() && was.quarantined.is_some() == now.quarantined.is_some()
    });
    match (&now.quarantined, was.is_some_and(|was| was.quarantined.is_some())) {
        _ if is_same => None,
        (Some(_), _) => Some(Event::ToolQuarantined),
        (None, true) => Some(Event::ToolReleased),
        (None, false) => now.verdict().map(|_| Event::ToolChanged),
    }
}

fn log(event: Event, tool: &Standing) {
    let (connector, name) = (tool.connector.as_str(), tool.name.as_str());
    let verdict = tool.verdict().map_or("", |verdict| verdict.as_str());
    let why = tool.quarantined.as_deref().unwrap_or_default();
    match event {
        Event::ToolQuarantined => {
            tracing::warn!(
                event = "tool.quarantined",
                connector,
                tool = name,
                verdict,
                why,
                "a tool is quarantined"
            );
        }
        Event::ToolReleased => {
            tracing::info!(
                event = "tool.released",
                connector,
                tool = name,
                "a tool is no longer quarantined"
            );
        }
        _ => {
            let worth_a_look = tool.findings.len();
            tracing::warn!(
                event = "tool.changed",
                connector,
                tool = name,
                verdict,
                worth_a_look,
                "a tool's definition changed, and the change is followed"
            );
        }
    }
}

pub(super) fn record<'a>(event: Event, tool: &'a Standing, evidence: &'a Evidence) -> Record<'a> {
    let mut record = Record::new(event, evidence.clock.now());
    record.config = Some(evidence.config.as_str());
    record.effect = Some(tool.offered.effect().as_str());
    record.tool = Some(ToolPart {
        connector: Some(tool.connector.as_str()),
        contract: Some(tool.offered.digest()),
        kind: None,
        name: tool.name.as_str().into(),
        version: None,
    });
    record.integrity = Some(said(tool));
    record
}

/// What the record says of the change: rules, and nothing that the server wrote.
fn said(tool: &Standing) -> BTreeMap<String, String> {
    let mut said = BTreeMap::from([("basis".to_owned(), tool.basis.as_str().to_owned())]);
    let mut rules: Vec<&str> = tool.reasons.iter().map(|reason| reason.rule.as_str()).collect();
    rules.extend(tool.findings.iter().map(|finding| finding.rule));
    rules.dedup();
    rules.truncate(MAX_RULES);
    if !rules.is_empty() {
        said.insert("rules".into(), rules.join(" "));
    }
    if let Some(pin) = &tool.pinned {
        said.insert("accepted".into(), pin.contract.digest().to_owned());
    }
    if let Some(verdict) = tool.verdict() {
        said.insert("verdict".into(), verdict.as_str().to_owned());
    }
    said
}

/// `reports` with the tools that are quarantined.
pub(crate) fn with_standings(reports: Vec<UpstreamReport>, standings: &[Standing]) -> Vec<UpstreamReport> {
    let with = |report: UpstreamReport| {
        let own = standings.iter().filter(|tool| tool.connector.as_str() == report.name);
        let quarantined = own
            .filter_map(|tool| {
                let why = tool.quarantined.as_deref()?.to_owned();
                Some(QuarantinedTool { tool: tool.name.to_string(), why })
            })
            .collect();
        UpstreamReport { quarantined, ..report }
    };
    reports.into_iter().map(with).collect()
}

/// How the tools of `fleet` stand, without noting anything.
pub(crate) async fn looked_at(loaded: &Loaded, fleet: &Fleet) -> Result<Arc<[Standing]>, StartError> {
    let needs_none = fleet.upstreams().all(|upstream| loaded.locks.contains_key(upstream.name()));
    let store = if needs_none { None } else { existing_store(loaded).await? };
    let seen = match &store {
        Some(store) => Seen::read(store, loaded).await,
        None => Ok(Seen::default()),
    };
    if let Some(store) = store
        && let Err(error) = store.close().await
    {
        tracing::error!(event = "store.close", %error, "the store could not be closed in order");
    }
    Ok(Offered::judged(fleet.declarations(), loaded, &seen?, AtFirstSight::AsConfigured).standings)
}

/// What [`look_at_tools`] found.
#[derive(Clone, Debug)]
pub struct Looked {
    /// How each tool stands, in the order of connectors and their files.
    pub standings: Arc<[Standing]>,
    /// The connectors whose server could not be asked, each with why.
    pub absent: Vec<(String, String)>,
}

impl Looked {
    /// Whether a tool is quarantined.
    pub fn has_quarantined(&self) -> bool {
        self.standings.iter().any(|tool| tool.quarantined.is_some())
    }

    /// Whether nothing was accepted of a tool, by a file or at first sight.
    pub fn has_new(&self) -> bool {
        self.standings.iter().any(|tool| tool.basis == Basis::Nothing)
    }
}

/// Starts the MCP servers of the configuration in `folder`, compares their tools with what was accepted, and
/// stops them. Waits at most `limit` for each; calls nothing and records nothing.
///
/// # Errors
///
/// [`StartError`] if the configuration is not valid, or the store cannot be read.
pub async fn look_at_tools(folder: &Path, limit: Duration) -> Result<Looked, StartError> {
    let loaded = load(folder, SecretCheck::Resolve)?;
    look(&loaded, limit).await
}

pub(super) async fn look(loaded: &Loaded, limit: Duration) -> Result<Looked, StartError> {
    let fleet = build(loaded, &loaded.secrets()).map_err(|found: Diagnostics| StartError::from(found))?;
    fleet.start_within(limit).await;
    let standings = looked_at(loaded, &fleet).await;
    let absent = fleet
        .upstreams()
        .filter(|upstream| upstream.tools().borrow().is_empty())
        .map(|upstream| (upstream.name().to_owned(), upstream.state().reason))
        .collect();
    fleet.stop_except(&Fleet::default()).await;
    Ok(Looked { standings: standings?, absent })
}
