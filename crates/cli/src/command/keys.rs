//! `quaymaster keys`: the keys that seal what clients are handed out and bring back.

use clap::{Args, Subcommand};
use quaymaster_gateway::Office;
use serde_json::json;

use super::place::Place;
use crate::failure::Failure;
use crate::out;

/// Lists and rotates the keys that seal handles: cursors, states and the like.
#[derive(Debug, Args)]
pub(crate) struct Keys {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Lists the keys, newest first, by their numbers. A secret is never shown.
    List(List),
    /// Makes a new key. Running gateways seal with it within a second; what older keys sealed
    /// still opens, until four newer ones were made.
    Rotate(Rotate),
}

#[derive(Debug, Args)]
struct List {
    #[command(flatten)]
    place: Place,
    /// Print one JSON object a line: `{"id", "created"}`.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct Rotate {
    #[command(flatten)]
    place: Place,
}

impl Keys {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        match self.action {
            Action::List(list) => list.run().await,
            Action::Rotate(rotate) => rotate.run().await,
        }
    }
}

impl List {
    async fn run(self) -> Result<(), Failure> {
        let office = Office::open(self.place.options()).await?;
        let keys = office.keys();
        office.close().await;
        for (at, key) in keys?.into_iter().enumerate() {
            let created = key.created.to_string();
            if self.json {
                out::json(&json!({"id": key.id, "created": created}))?;
                continue;
            }
            let use_of = if at == 0 { "seals and opens" } else { "opens" };
            out::line(format!("{:>4}  {created}  {use_of}", key.id))?;
        }
        Ok(())
    }
}

impl Rotate {
    async fn run(self) -> Result<(), Failure> {
        let office = Office::open(self.place.options()).await?;
        let rotated = office.rotate_keys().await;
        office.close().await;
        let (key, wrapped) = rotated?;
        out::line(format!("key {key} seals from now on"))?;
        if wrapped > 0 {
            out::line(format!("keys of callers' tokens that it was put round: {wrapped}"))?;
        }
        Ok(())
    }
}
