//! `quaymaster idempotency`: writes whose end nobody saw.

use clap::{Args, Subcommand};
use quaymaster_control::ledger::{Entry, Found};
use quaymaster_core::EntryId;
use quaymaster_gateway::Office;
use serde_json::json;

use super::place::Place;
use crate::failure::Failure;
use crate::out;

/// Lists writes whose end nobody saw, and says what became of them.
#[derive(Debug, Args)]
pub(crate) struct Idempotency {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Lists the writes that run and those whose end nobody saw, oldest first.
    List(List),
    /// Says what became of a write, after somebody has looked in the system behind the tool.
    Resolve(Resolve),
}

#[derive(Debug, Args)]
struct List {
    #[command(flatten)]
    place: Place,
    /// Print one JSON object a line: `{"id", "workspace", "tool", "state", "runs", "call", "since"}`.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct Resolve {
    #[command(flatten)]
    place: Place,
    /// The write, as `idempotency list` shows it.
    id: EntryId,
    #[command(flatten)]
    found: FoundArguments,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct FoundArguments {
    /// It took effect: the same write again is answered with that.
    #[arg(long)]
    done: bool,
    /// It did not: the same write may run again.
    #[arg(long)]
    failed: bool,
}

impl Idempotency {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        match self.action {
            Action::List(list) => list.run().await,
            Action::Resolve(resolve) => resolve.run().await,
        }
    }
}

impl List {
    async fn run(self) -> Result<(), Failure> {
        let office = Office::open(self.place.options()).await?;
        let writes = office.open_writes().await;
        office.close().await;
        for Entry { id, workspace, tool, stand, runs, call, since } in writes? {
            let state = stand.as_str();
            if self.json {
                let since = since.to_string();
                out::json(&json!({
                    "id": id, "workspace": workspace, "tool": tool, "state": state, "runs": runs, "call": call,
                    "since": since,
                }))?;
                continue;
            }
            let state = if runs { "runs" } else { state };
            out::line(format!("{id}  {workspace}  {tool}  {state}  {call}  since {since}"))?;
        }
        Ok(())
    }
}

impl Resolve {
    async fn run(self) -> Result<(), Failure> {
        let office = Office::open(self.place.options()).await?;
        let found = if self.found.done { Found::Done } else { Found::Failed };
        let resolved = office.resolve_write(&self.id, found).await;
        office.close().await;
        if resolved? {
            return out::line(format!("resolved {}", self.id));
        }
        out::line(format!("there is no write {} whose end nobody saw", self.id))?;
        Err(Failure::Told)
    }
}
