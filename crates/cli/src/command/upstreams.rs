//! `quaymaster upstreams`: how the MCP servers are.

use std::time::Duration;

use clap::Args;
use quaymaster_core::setting::DurationSetting;
use quaymaster_gateway::{QuarantinedTool, UpstreamReport, look_at_upstreams, standing_switches};
use serde_json::{Value, json};

use super::incident::{self, described};
use super::place::Place;
use super::signals::Signals;
use crate::failure::Failure;
use crate::out;

/// The longest that a server may be waited for.
const MAX_WAIT: Duration = Duration::from_mins(5);

const HELP: &str = "\
Calls nothing and records nothing. A server is ready, degraded, no_tools, missing, disabled, unreachable,
auth_required or quarantined; or starting or incompatible. The guide `upstreams` says what brings it there
and what brings it back. Incident switches that stand are listed below the servers. The exit code is 1 if
a server with `required: true` is not up.";

/// Starts the MCP servers of a configuration, says how each one is, and stops them.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct Upstreams {
    #[command(flatten)]
    place: Place,
    /// Print JSON: `{"ready", "upstreams": [{"name", "transport", "state", "reason", "revision", "required",
    /// "workspaces", "offered", "configured", "quarantined": [{"tool", "why"}]}], "stopped": [..]}`, where `stopped`
    /// is what `incident list --json` has.
    #[arg(long)]
    json: bool,
    /// How long to wait for servers that do not answer yet, at most `5m`.
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = wait)]
    wait: Duration,
}

fn wait(text: &str) -> Result<Duration, String> {
    let wait = DurationSetting::parse(text)?.get();
    if wait > MAX_WAIT {
        return Err("at most `5m`".into());
    }
    Ok(wait)
}

impl Upstreams {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let mut signals = Signals::new()?;
        let found = tokio::select! {
            found = look_at_upstreams(&self.place.config, self.wait) => found,
            () = signals.end() => return Err(Failure::Told),
        };
        let (upstreams, switches) = (found?, standing_switches(&self.place.config).await?);
        let ready = !upstreams.iter().any(UpstreamReport::is_in_the_way);
        if self.json {
            let stopped: Vec<Value> = switches.iter().map(described).collect();
            out::json(&json!({"ready": ready, "upstreams": upstreams, "stopped": stopped}))?;
        } else if upstreams.is_empty() {
            out::line("no connector has an MCP server")?;
        } else {
            out::line(row(["NAME", "TRANSPORT", "STATE", "REVISION", "OFFERED", "REASON"]))?;
            upstreams.iter().try_for_each(|upstream| out::line(line(upstream)))?;
        }
        if !self.json {
            switches
                .iter()
                .try_for_each(|switch| out::line(format!("stopped: {}", incident::line(switch))))?;
        }
        if ready { Ok(()) } else { Err(Failure::Told) }
    }
}

fn line(upstream: &UpstreamReport) -> String {
    let transport = upstream.transport.as_str();
    let offered = format!("{}/{}", upstream.offered, upstream.configured);
    let required = if upstream.required { "required" } else { "" };
    let why = [required, &upstream.reason].into_iter().filter(|part| !part.is_empty());
    let why = why.collect::<Vec<_>>().join(": ");
    let quarantined = upstream.quarantined.iter();
    let quarantined =
        quarantined.map(|QuarantinedTool { tool, why }| format!("`{tool}` is quarantined: {why}"));
    let why = std::iter::once(why).filter(|why| !why.is_empty()).chain(quarantined);
    let why = why.collect::<Vec<_>>().join("; ");
    row([
        &upstream.name,
        transport,
        upstream.state.as_str(),
        upstream.revision.unwrap_or("-"),
        &offered,
        &why,
    ])
}

fn row(cells: [&str; 6]) -> String {
    let [name, transport, state, revision, offered, why] = cells;
    let row = format!("{name:<24} {transport:<9} {state:<13} {revision:<10} {offered:<7} {why}");
    row.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_has_an_end() {
        assert_eq!(wait("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(wait("5m"), Ok(MAX_WAIT));
        for bad in ["6m", "5", "0s", "for ever"] {
            assert!(wait(bad).is_err(), "{bad}");
        }
    }
}
