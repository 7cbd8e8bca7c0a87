//! `quaymaster policy backtest`: the decisions of the audit log, made again.

use clap::Args;
use quaymaster_core::Timestamp;
use quaymaster_gateway::{Backtest as Found, Office, Rules, backtest};

use super::asking::{Asked, Others};
use crate::command::place::Place;
use crate::failure::Failure;
use crate::out;

/// Makes the decisions of the audit log again under other policies, and says which differ.
///
/// Without `--policies` under those of the configuration as they are now. What every decision was
/// made on lies sealed beside its record; where that was erased or too large, it is counted.
#[derive(Debug, Args)]
pub(super) struct Backtest {
    #[command(flatten)]
    asked: Asked,
    #[command(flatten)]
    others: Others,
    /// From this time on, such as `2026-11-21T10:00:00Z`.
    #[arg(long, value_parser = Timestamp::parse)]
    since: Option<Timestamp>,
    /// Until before this time.
    #[arg(long, value_parser = Timestamp::parse)]
    until: Option<Timestamp>,
    /// Print JSON: `{"replayed", "differing", "not_replayable", "differences", "ungrouped"}`.
    #[arg(long)]
    json: bool,
}

impl Backtest {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let rules = self.asked.rules(self.others.policies.as_deref()).await?;
        let found = replay(&self.asked.place, &rules, self.since, self.until).await?;
        if self.json { out::json(&found) } else { tell(&found) }
    }
}

/// The decisions of the log at `place`, made again.
pub(super) async fn replay(
    place: &Place,
    rules: &Rules,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
) -> Result<Found, Failure> {
    let office = Office::open(place.options()).await?;
    let found = backtest(office.store(), office.subjects(), rules, since, until).await;
    office.close().await;
    Ok(found?)
}

pub(super) fn tell(found: &Found) -> Result<(), Failure> {
    out::line(format!("{} decisions made again, {} of them differ", found.replayed, found.differing))?;
    let lost = &found.not_replayable;
    let whys = [
        (lost.erased, "erased"),
        (lost.oversized, "too large to have been kept"),
        (lost.unknown_tool, "of tools that are not there any more"),
        (lost.unreadable, "of a form that this version does not know"),
    ];
    for (count, why) in whys.into_iter().filter(|(count, _)| *count > 0) {
        out::line(format!("{count} could not be made again: {why}"))?;
    }
    for group in &found.differences {
        out::line(format!(
            "{:>6}  {:<40} {:<32} {} → {}  (such as {})",
            group.calls, group.tool, group.actor, group.was, group.would_be, group.example
        ))?;
    }
    match found.ungrouped {
        0 => Ok(()),
        more => out::line(format!("{more:>6}  more calls differ, in groups that are not listed")),
    }
}
