//! `quaymaster audit erase` and `prune`: what must not be kept goes, and the log still holds.

use clap::Args;
use quaymaster_core::{ActorId, Timestamp};
use quaymaster_gateway::Office;
use serde_json::json;

use super::super::place::Place;
use crate::failure::Failure;
use crate::out;

#[derive(Debug, Args)]
pub(super) struct Erase {
    #[command(flatten)]
    place: Place,
    /// Whose data: an actor. Every spelling that is taken for the same name goes with it.
    #[arg(long, value_name = "ACTOR", value_parser = ActorId::parse)]
    subject: ActorId,
    /// Print JSON: `{"erased"}`.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct Prune {
    #[command(flatten)]
    place: Place,
    /// Records from before this time go, such as `2026-01-01T00:00:00Z`.
    #[arg(long, value_name = "TIME", value_parser = Timestamp::parse)]
    before: Timestamp,
    /// Print JSON: `{"minimum"}`; null if there was nothing to take away.
    #[arg(long)]
    json: bool,
}

impl Erase {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let office = Office::open(self.place.options()).await?;
        let erased = office.erase(&self.subject).await;
        office.close().await;
        let names: Vec<String> = erased?.iter().map(ToString::to_string).collect();
        if self.json {
            return out::json(&json!({"erased": names}));
        }
        if names.is_empty() {
            return out::line(format!("there is nothing of `{}`", self.subject));
        }
        out::line(format!("erased: {}", names.join(", ")))
    }
}

impl Prune {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let office = Office::open(self.place.options()).await?;
        let minimum = office.prune(self.before).await;
        office.close().await;
        let minimum = minimum?;
        if self.json {
            return out::json(&json!({"minimum": minimum}));
        }
        match minimum {
            Some(minimum) => out::line(format!("records before {minimum} are gone")),
            None => out::line("nothing to take away: whole tiles of 256 signed records go together"),
        }
    }
}
