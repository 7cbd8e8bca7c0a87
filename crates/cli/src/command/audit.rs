//! `quaymaster audit`: what happened, and whether the log still says so.

use std::time::Duration;

use clap::{Args, Subcommand};
use quaymaster_control::audit::verify;
use quaymaster_core::{ActorId, Timestamp};
use quaymaster_gateway::Office;
use quaymaster_store::{AuditFilter, StoredRecord};
use serde_json::Value;

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
    /// Computes the whole log again and says whether it is what was written.
    Verify(Verify),
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

#[derive(Debug, Args)]
struct Query {
    #[command(flatten)]
    place: Place,
    /// Of one call, by its audit id.
    #[arg(long)]
    call: Option<String>,
    /// By one actor. The log holds a keyed commitment; the key is in the store.
    #[arg(long, value_parser = ActorId::parse)]
    actor: Option<ActorId>,
    /// In one workspace.
    #[arg(long)]
    workspace: Option<String>,
    /// Of one tool.
    #[arg(long)]
    tool: Option<String>,
    /// Of one event, such as `call.refused`.
    #[arg(long)]
    event: Option<String>,
    /// With one status, such as `failed`.
    #[arg(long)]
    status: Option<String>,
    /// With one error code, such as `policy.denied`.
    #[arg(long)]
    code: Option<String>,
    /// From this time on, such as `2026-11-21T10:00:00Z`.
    #[arg(long, value_parser = Timestamp::parse)]
    since: Option<Timestamp>,
    /// Until this time.
    #[arg(long, value_parser = Timestamp::parse)]
    until: Option<Timestamp>,
    /// At most this many, the newest.
    #[arg(long, default_value_t = 100)]
    limit: u32,
    /// Print the records as they are stored: canonical JSON, one a line.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct Verify {
    #[command(flatten)]
    place: Place,
    /// Print JSON: `{"intact", "records", "root", "events", "open_calls", "problems", "problem_count"}`.
    #[arg(long)]
    json: bool,
}

impl Audit {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        match self.action {
            Action::Tail(tail) => tail.run().await,
            Action::Query(query) => query.run().await,
            Action::Verify(verify) => verify.run().await,
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

impl Query {
    async fn run(self) -> Result<(), Failure> {
        let office = Office::open(self.place.options()).await?;
        let actor = match &self.actor {
            Some(actor) => {
                let subject = office.subjects().find(actor).await.map_err(Failure::outside)?;
                let Some(subject) = subject else { return Ok(()) };
                Some(subject.commitment().to_string())
            }
            None => None,
        };
        let filter = AuditFilter {
            call_id: self.call,
            actor,
            workspace: self.workspace,
            tool: self.tool,
            event: self.event,
            status: self.status,
            code: self.code,
            since_us: self.since.map(Timestamp::as_micros),
            until_us: self.until.map(Timestamp::as_micros),
            before_seq: None,
        };
        let mut found = office.store().audit_find(&filter, self.limit).await.map_err(Failure::outside)?;
        office.close().await;
        found.reverse();
        found.iter().try_for_each(|record| print(record, self.json))
    }
}

impl Verify {
    async fn run(self) -> Result<(), Failure> {
        let store = Office::open_records(self.place.options()).await?;
        let found = verify(&store).await.map_err(Failure::outside)?;
        store.close().await.map_err(Failure::outside)?;
        if self.json {
            out::json(&found)?;
        } else {
            let state = if found.intact { "intact" } else { "DAMAGED" };
            out::line(format!("the audit log is {state}: {} records, root {}", found.records, found.root))?;
            for (event, count) in &found.events {
                out::line(format!("  {event:<18} {count}"))?;
            }
            if !found.open_calls.is_empty() {
                out::line(format!(
                    "  {} call(s) without an outcome: {}",
                    found.open_calls.len(),
                    found.open_calls.join(", ")
                ))?;
            }
            for problem in &found.problems {
                out::line(format!("  problem: {problem}"))?;
            }
        }
        if found.intact { Ok(()) } else { Err(Failure::Told) }
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
