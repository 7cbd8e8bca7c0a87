//! `quaymaster labels`: what those who call have seen, and taking it away.
//!
//! Who may is said by policies, for the action `administer`; nobody takes away their own. Whoever asks is the local
//! user, or whoever a token or a log-in says.

use clap::{Args, Subcommand};
use quaymaster_core::text::plain;
use quaymaster_core::{ActorId, Timestamp};
use quaymaster_store::{ClearedRow, LabelRow};
use serde_json::json;

use super::approvals::Viewer;
use crate::failure::Failure;
use crate::out;

/// What those who call have seen.
#[derive(Debug, Args)]
pub(crate) struct Labels {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Lists the labels that stand in your workspace, by account.
    List(List),
    /// Takes labels of an actor away, after you have looked at what they saw.
    Clear(Clear),
}

#[derive(Debug, Args)]
struct List {
    #[command(flatten)]
    viewer: Viewer,
    /// Those that somebody took away instead, and why, the last first.
    #[arg(long)]
    cleared: bool,
    /// Print one JSON object a line.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct Clear {
    #[command(flatten)]
    viewer: Viewer,
    /// Whose: an account, or a person.
    #[arg(long, value_parser = ActorId::parse)]
    actor: ActorId,
    /// A label; repeat for more. All if absent.
    #[arg(long = "label", value_name = "LABEL")]
    labels: Vec<String>,
    /// Why, for those who read the list and the audit log.
    #[arg(long)]
    reason: String,
}

impl Labels {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        match self.action {
            Action::List(list) => list.run().await,
            Action::Clear(clear) => clear.run().await,
        }
    }
}

impl List {
    async fn run(self) -> Result<(), Failure> {
        let visit = self.viewer.enter().await?;
        if self.cleared {
            let rows = visit.office.cleared_labels(&visit.actor).await;
            visit.office.close().await;
            return rows?.iter().try_for_each(|row| tell_cleared(row, self.json));
        }
        let rows = visit.office.labels(&visit.actor).await;
        visit.office.close().await;
        rows?.iter().try_for_each(|row| tell(row, self.json))
    }
}

impl Clear {
    async fn run(self) -> Result<(), Failure> {
        let visit = self.viewer.enter().await?;
        let cleared =
            visit.office.clear_labels(&visit.actor, (&self.actor, &self.labels), &self.reason).await;
        visit.office.close().await;
        let cleared = cleared?;
        if cleared.is_empty() {
            out::line(format!("{} has no such labels here", self.actor))?;
            return Err(Failure::Told);
        }
        cleared.iter().try_for_each(|row| {
            out::line(format!("taken away: {}  {}  since {}", plain(&row.holder), row.label, row.call))
        })
    }
}

fn tell(row: &LabelRow, json: bool) -> Result<(), Failure> {
    let LabelRow { holder, label, workspace, account, call, since_us, until_us } = row;
    let (since, until) = (Timestamp::from_micros(*since_us), Timestamp::from_micros(*until_us));
    if json {
        return out::json(&json!({
            "holder": holder, "label": label, "workspace": workspace, "account": account, "call": call,
            "since": since.to_string(), "until": until.to_string(),
        }));
    }
    out::line(format!("{}  {label}  since {call} ({since})  until {until}", plain(holder)))
}

fn tell_cleared(row: &ClearedRow, json: bool) -> Result<(), Failure> {
    let ClearedRow { id, workspace, account, labels, cleared_by, reason, cleared_us } = row;
    let at = Timestamp::from_micros(*cleared_us);
    if json {
        return out::json(&json!({
            "id": id, "workspace": workspace, "account": account, "labels": labels, "by": cleared_by,
            "reason": reason, "at": at.to_string(),
        }));
    }
    out::line(format!("{at}  {}  {labels}  by {}: {}", plain(account), plain(cleared_by), plain(reason)))
}
