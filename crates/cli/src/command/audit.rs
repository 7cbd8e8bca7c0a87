//! `quaymaster audit`: what happened, and whether the log still says so.

mod erase;
mod export;
mod proof;
mod query;
mod verify;

use std::time::Duration;

use clap::{Args, Subcommand};
use quaymaster_gateway::Office;
use quaymaster_store::StoredRecord;
use serde_json::Value;

use self::erase::{Erase, Prune};
use self::export::Export;
use self::proof::{Proof, VerifyProof};
use self::query::{Query, Timeline};
use self::verify::{Checkpoint, Key, Verify};
use super::place::Place;
use crate::failure::Failure;
use crate::out;

/// Reads and verifies the audit log.
#[derive(Debug, Args)]
pub(crate) struct Audit {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Prints the last records.
    Tail(Tail),
    /// Finds records.
    Query(Query),
    /// Tells what happened, in order: in a session, under an incident switch, by somebody.
    Timeline(Timeline),
    /// Computes the whole log again and says whether it is what was written and signed.
    Verify(Verify),
    /// Prints the public half of the key that the log is signed with.
    Key(Key),
    /// Signs the log as it is now and prints the checkpoint.
    Checkpoint(Checkpoint),
    /// Proves to anybody that records are in the log.
    Proof(Proof),
    /// Checks a proof. Needs the public key and nothing else.
    VerifyProof(VerifyProof),
    /// Hands out the log.
    Export(Export),
    /// Destroys the keys of somebody whose data is in the log. There is no way back.
    Erase(Erase),
    /// Takes old records away. There is no way back.
    Prune(Prune),
}

#[derive(Debug, Args)]
struct Tail {
    #[command(flatten)]
    place: Place,
    /// How many.
    #[arg(long, short = 'n', default_value_t = 20)]
    lines: u32,
    /// Go on as records are written.
    #[arg(long, short)]
    follow: bool,
    /// Print the records as they are stored: canonical JSON, one a line.
    #[arg(long)]
    json: bool,
}

impl Audit {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        match self.action {
            Action::Tail(tail) => tail.run().await,
            Action::Query(query) => query.run().await,
            Action::Timeline(timeline) => timeline.run().await,
            Action::Verify(verify) => verify.run().await,
            Action::Key(key) => key.run().await,
            Action::Checkpoint(checkpoint) => checkpoint.run().await,
            Action::Proof(proof) => proof.run().await,
            Action::VerifyProof(proof) => proof.run(),
            Action::Export(export) => export.run().await,
            Action::Erase(erase) => erase.run().await,
            Action::Prune(prune) => prune.run().await,
        }
    }
}

impl Tail {
    async fn run(self) -> Result<(), Failure> {
        let store = Office::open_records(self.place.options()).await?;
        let size = store.audit_tree().await.map_err(Failure::outside)?.size;
        let mut next = size.saturating_sub(u64::from(self.lines));
        loop {
            let page = store.audit_read(next, 500).await.map_err(Failure::outside)?;
            for record in &page {
                print(record, self.json)?;
                next = record.seq + 1;
            }
            if page.is_empty() && !self.follow {
                break;
            }
            if page.is_empty() {
                tokio::time::sleep(Duration::from_millis(250)).await;
            }
        }
        store.close().await.map_err(Failure::outside)
    }
}

fn print(record: &StoredRecord, json: bool) -> Result<(), Failure> {
    let text = String::from_utf8_lossy(&record.body);
    if json {
        return out::line(text);
    }
    let value: Value = serde_json::from_str(&text).map_err(Failure::outside)?;
    let field = |path: &str| value.pointer(path).and_then(Value::as_str).unwrap_or("-").to_owned();
    let policies: Vec<&str> = value
        .pointer("/decision/policies")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    out::line(format!(
        "{:>6}  {}  {:<16} {:<36} {:<18} {:<20} {}  {}",
        record.seq,
        field("/time"),
        field("/event"),
        field("/tool/name"),
        field("/status"),
        field("/code"),
        field("/call"),
        policies.join(","),
    ))
}
