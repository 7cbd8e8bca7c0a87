//! `quaymaster tools diff`: how the tools of MCP servers differ from what was accepted.

use std::collections::BTreeSet;
use std::time::Duration;

use clap::Args;
use quaymaster_core::text::plain;
use quaymaster_gateway::{Looked, Standing, look_at_tools};
use serde_json::{Value, json};

use crate::command::place::Place;
use crate::command::signals::Signals;
use crate::failure::Failure;
use crate::out;

/// How long servers are waited for.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);
/// Longest value that is shown of a difference, in characters.
const MAX_SHOWN: usize = 200;

const HELP: &str = "\
Starts the MCP servers, looks at their tools, and stops them. Calls nothing and records nothing. The exit code is 1 if
a tool is quarantined.";

/// Says how the tools of MCP servers differ from what was accepted.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct Diff {
    #[command(flatten)]
    place: Place,
    /// The tools, by the names that agents know; all that differ if none is named.
    names: Vec<String>,
    /// Those of this connector alone.
    #[arg(long, value_name = "NAME")]
    connector: Option<String>,
    /// Print one JSON object a line: `{"tool", "connector", "basis", "accepted", "digest", "quarantined", "verdict",
    /// "reasons": [{"rule", "verdict", "at", "old", "new"}], "findings": [{"rule", "severity", "at", "excerpt"}]}`.
    #[arg(long)]
    json: bool,
}

impl Diff {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let mut signals = Signals::new()?;
        let looked = tokio::select! {
            looked = look_at_tools(&self.place.config, PATIENCE) => looked?,
            () = signals.end() => return Err(Failure::Told),
        };
        let wanted = self.wanted(&looked)?;
        for tool in &wanted {
            if self.json { out::json(&described(tool))? } else { show(tool)? }
        }
        if !self.json {
            absent(&looked.absent)?;
            if wanted.is_empty() {
                out::line("every tool is as it was accepted")?;
            }
        }
        if wanted.iter().any(|tool| tool.quarantined.is_some()) { Err(Failure::Told) } else { Ok(()) }
    }

    fn wanted<'a>(&self, looked: &'a Looked) -> Result<Vec<&'a Standing>, Failure> {
        let named: BTreeSet<&str> = self.names.iter().map(String::as_str).collect();
        let is_here = |tool: &&Standing| {
            self.connector.as_deref().is_none_or(|connector| tool.connector.as_str() == connector)
        };
        let here: Vec<&Standing> = looked.standings.iter().filter(is_here).collect();
        if let Some(unknown) = named.iter().find(|name| here.iter().all(|tool| tool.name.as_str() != **name))
        {
            return Err(Failure::Usage(format!("no MCP server offers a tool `{}`", plain(unknown))));
        }
        let differs = |tool: &Standing| !tool.is_as_accepted() || tool.quarantined.is_some();
        let is_wanted = |tool: &&Standing| {
            if named.is_empty() { differs(tool) } else { named.contains(tool.name.as_str()) }
        };
        Ok(here.into_iter().filter(is_wanted).collect())
    }
}

/// Tells of the servers that could not be asked.
pub(super) fn absent(absent: &[(String, String)]) -> Result<(), Failure> {
    absent.iter().try_for_each(|(connector, why)| {
        let why = if why.is_empty() { "no answer in time" } else { why };
        out::line(format!(
            "the server of `{connector}` offers nothing that could be looked at: {}",
            plain(why)
        ))
    })
}

pub(super) fn described(tool: &Standing) -> Value {
    let accepted = tool.pinned.as_ref().map(|pin| {
        json!({"by": pin.accepted.by, "at": pin.accepted.at.to_string(), "digest": pin.contract.digest()})
    });
    json!({
        "tool": tool.name,
        "connector": tool.connector,
        "basis": tool.basis.as_str(),
        "accepted": accepted,
        "digest": tool.offered.digest(),
        "quarantined": tool.quarantined,
        "verdict": tool.verdict(),
        "reasons": tool.reasons,
        "findings": tool.findings,
    })
}

fn show(tool: &Standing) -> Result<(), Failure> {
    let state = match (&tool.quarantined, tool.verdict(), &tool.pinned) {
        (Some(why), ..) => format!("quarantined: {why}"),
        (None, Some(verdict), _) => format!("{}, followed", verdict.as_str()),
        (None, None, Some(_)) => "as it was accepted".to_owned(),
        (None, None, None) => "new".to_owned(),
    };
    out::line(format!("{} ({}): {state}", tool.name, tool.connector))?;
    match &tool.pinned {
        Some(pin) => out::line(format!("  accepted  {} by {}", pin.accepted.at, plain(&pin.accepted.by)))?,
        None => out::line("  accepted  by nobody yet")?,
    }
    out::line(format!("  digest    {}", tool.offered.digest()))?;
    for reason in &tool.reasons {
        let at = if reason.at.is_empty() { "/" } else { &reason.at };
        out::line(format!("  {:<9} {} at {}", reason.verdict.as_str(), reason.rule, plain(at)))?;
        for (sign, value) in [("-", &reason.old), ("+", &reason.new)] {
            if let Some(value) = value {
                out::line(format!("            {sign} {}", shown(value)))?;
            }
        }
    }
    for finding in &tool.findings {
        let severity = finding.severity.as_str();
        out::line(format!(
            "  signal    {} ({severity}) at {}: {}",
            finding.rule,
            plain(&finding.at),
            finding.excerpt
        ))?;
    }
    Ok(())
}

/// A value that a stranger wrote, cut, on one line and with everything that misleads written out.
fn shown(value: &Value) -> String {
    let text = plain(&value.to_string());
    if text.chars().count() <= MAX_SHOWN {
        return text;
    }
    text.chars().take(MAX_SHOWN).chain("…".chars()).collect()
}
