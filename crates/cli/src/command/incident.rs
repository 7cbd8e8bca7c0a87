//! `quaymaster incident`: what is stopped at once and everywhere.

use clap::{Args, Subcommand};
use quaymaster_control::incident::{Stop, Switch, Target};
use quaymaster_core::setting::{DurationSetting, Slug};
use quaymaster_core::text::plain;
use quaymaster_core::{ActorId, IncidentId};
use quaymaster_gateway::Office;
use serde_json::{Value, json};

use super::place::Place;
use crate::failure::Failure;
use crate::out;

/// Stops calls at once and everywhere, for a time.
#[derive(Debug, Args)]
pub(crate) struct Incident {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Stops the calls for which everything holds that is named. Every gateway of this installation
    /// refuses those that begin from then on, within 100 ms.
    Stop(StopArguments),
    /// Lists what is stopped, oldest first.
    List(List),
    /// Lets calls through again before the time is over.
    Lift(Lift),
}

#[derive(Debug, Args)]
struct StopArguments {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    target: TargetArguments,
    /// For how long, such as `30m` or `2h`; at most 90 days. Then it ends by itself.
    #[arg(long = "for", value_name = "TIME", value_parser = DurationSetting::parse)]
    lifetime: DurationSetting,
    /// Why, for those who read the list. Callers are not told.
    #[arg(long)]
    reason: String,
    /// Cancel calls that run, too. A write that is cancelled may have taken effect.
    #[arg(long)]
    cancel_running: bool,
    /// Print JSON: `{"id", "target", "reason", "by", "cancels", "made", "until"}`.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
struct TargetArguments {
    /// A tool, prompt or resource group by its full name.
    #[arg(long)]
    tool: Option<String>,
    /// Everything that a connector offers.
    #[arg(long, value_parser = Slug::parse)]
    connector: Option<Slug>,
    /// An account, or a person with all of their accounts.
    #[arg(long, value_parser = ActorId::parse)]
    actor: Option<ActorId>,
    /// A session, or what a client calls its agent's session or thread.
    #[arg(long)]
    session: Option<String>,
    /// A workspace.
    #[arg(long, value_parser = Slug::parse)]
    workspace: Option<Slug>,
    /// Whatever changes something.
    #[arg(long)]
    writes: bool,
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
struct Lift {
    #[command(flatten)]
    place: Place,
    /// The switch, as `incident list` shows it.
    id: IncidentId,
}

impl Incident {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        match self.action {
            Action::Stop(stop) => stop.run().await,
            Action::List(list) => list.run().await,
            Action::Lift(lift) => lift.run().await,
        }
    }
}

impl StopArguments {
    async fn run(self) -> Result<(), Failure> {
        let office = Office::open(self.place.options()).await?;
        let TargetArguments { tool, connector, actor, session, workspace, writes } = self.target;
        let actor = actor.map(|actor| actor.to_string());
        let stop = Stop {
            target: Target { tool, connector, actor, session, workspace, writes },
            lifetime: self.lifetime.get(),
            reason: self.reason,
            cancels: self.cancel_running,
            by: office.local_id()?,
        };
        let stopped = office.stop_calls(stop).await;
        office.close().await;
        let switch = stopped?;
        if self.json {
            return out::json(&described(&switch));
        }
        out::line(format!("stopped: {} {} until {}", switch.id, switch.target, switch.until))
    }
}

impl List {
    async fn run(self) -> Result<(), Failure> {
        let office = Office::open(self.place.options()).await?;
        let standing = office.switches().await;
        office.close().await;
        for switch in standing? {
            if self.json {
                out::json(&described(&switch))?;
                continue;
            }
            out::line(line(&switch))?;
        }
        Ok(())
    }
}

impl Lift {
    async fn run(self) -> Result<(), Failure> {
        let office = Office::open(self.place.options()).await?;
        let lifted = office.lift_switch(&self.id).await;
        office.close().await;
        if lifted?.is_some() {
            return out::line(format!("lifted {}", self.id));
        }
        out::line(format!("there is no switch {} that could be lifted", self.id))?;
        Err(Failure::Told)
    }
}

/// A switch on one line, for those who may read everything.
pub(super) fn line(switch: &Switch) -> String {
    let Switch { id, target, reason, made_by, until, .. } = switch;
    format!("{id}  {target}  until {until}  by {}: {}", plain(made_by), plain(reason))
}

/// A switch for programs.
pub(super) fn described(switch: &Switch) -> Value {
    json!({
        "id": switch.id,
        "target": switch.target,
        "reason": switch.reason,
        "by": switch.made_by,
        "cancels": switch.cancels,
        "made": switch.made.to_string(),
        "until": switch.until.to_string(),
    })
}
