//! `quaymaster tools`: what is published, what agents make of it, and what was accepted.

mod accept;
mod diff;
mod hash;

use std::sync::Arc;

use clap::{Args, Subcommand, ValueEnum};
use quaymaster_catalog::{Catalogue, Tool, codex};
use serde_json::{Value, json};

use super::place::Place;
use super::signals::Signals;
use crate::failure::Failure;
use crate::out;

/// Lists and shows tools.
#[derive(Debug, Args)]
pub(crate) struct Tools {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Lists all tools, whoever may use them.
    List(List),
    /// Shows one tool as clients see it.
    Show(Show),
    /// Says how the tools of MCP servers differ from what was accepted.
    Diff(diff::Diff),
    /// Accepts definitions of tools of MCP servers: writes `contracts/<connector>.lock.json`.
    Accept(accept::AcceptTools),
    /// Prints the hash of a program or a package, as `spec.server.pinned` has it.
    Hash(hash::HashPath),
    /// Pins what agents may call now, where nothing stands against it: writes the same files.
    Pin(accept::PinTools),
}

#[derive(Debug, Args)]
struct List {
    #[command(flatten)]
    place: Place,
    /// Print one JSON object a line.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct Show {
    #[command(flatten)]
    place: Place,
    /// The tool's name, as `tools list` shows it.
    name: String,
    /// As whom to see it.
    #[arg(long = "as", value_enum, default_value = "mcp")]
    viewer: Viewer,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Viewer {
    /// The Tool object that MCP clients get.
    Mcp,
    /// The function that Codex offers its model.
    Codex,
}

impl Tools {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        match self.action {
            Action::List(list) => list.run().await,
            Action::Show(show) => show.run().await,
            Action::Diff(diff) => diff.run().await,
            Action::Accept(accept) => accept.run().await,
            Action::Pin(pin) => pin.run().await,
            Action::Hash(hash) => hash.run(),
        }
    }
}

/// Looks at the tools of a gateway that is started for that, and stops it in order, also on a signal.
async fn look(place: &Place, look: impl FnOnce(&Catalogue) -> Result<(), Failure>) -> Result<(), Failure> {
    let mut signals = Signals::new()?;
    let gateway = place.gateway().await?;
    let looked =
        if signals.asked_to_end().await { Err(Failure::Told) } else { look(gateway.plane().catalogue()) };
    gateway.shutdown().await;
    looked
}

impl List {
    async fn run(self) -> Result<(), Failure> {
        let show = |tool: &Arc<Tool>| {
            if self.json { out::json(&described(tool)) } else { out::line(line(tool)) }
        };
        look(&self.place, |catalogue| catalogue.tools().try_for_each(show)).await
    }
}

fn described(tool: &Tool) -> Value {
    let declaration = tool.declaration();
    json!({
        "name": tool.name(),
        "connector": declaration.connector,
        "version": declaration.version,
        "contract": tool.contract(),
        "effect": tool.effect(),
        "workspaces": declaration.workspaces,
        "roles": declaration.access.roles,
        "title": declaration.title,
        "quarantined": tool.quarantine(),
        "warnings": codex::warnings(tool),
    })
}

fn line(tool: &Tool) -> String {
    let declaration = tool.declaration();
    let roles: Vec<&str> = declaration.access.roles.iter().map(quaymaster_core::Role::as_str).collect();
    let roles = if roles.is_empty() { "by policy".to_owned() } else { roles.join(",") };
    let quarantined = tool.quarantine().map_or("", |_| "  quarantined");
    let (name, effect, connector) = (tool.name(), tool.effect().as_str(), &declaration.connector);
    format!("{name:<40} {effect:<12} {connector:<24} {roles}{quarantined}")
}

impl Show {
    async fn run(self) -> Result<(), Failure> {
        look(&self.place, |catalogue| match catalogue.tool(&self.name) {
            Some(tool) => self.show(tool),
            None => Err(Failure::Usage(format!("there is no tool `{}`: `tools list` names them", self.name))),
        })
        .await
    }

    fn show(&self, tool: &Tool) -> Result<(), Failure> {
        match self.viewer {
            Viewer::Mcp => {
                let object: Value = serde_json::from_str(tool.listing()).map_err(Failure::outside)?;
                out::line(format!("{object:#}"))
            }
            Viewer::Codex => out::line(format!("{:#}", codex::seen_by_codex(tool))),
        }
    }
}
