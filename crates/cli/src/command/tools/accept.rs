//! `quaymaster tools accept` and `pin`: writing down which definitions somebody accepted.

use clap::Args;
use quaymaster_gateway::{Accept, AcceptError, Written, accept};
use serde_json::json;

use super::diff::{PATIENCE, absent, described};
use crate::command::place::Place;
use crate::command::signals::Signals;
use crate::failure::Failure;
use crate::out;

const HELP: &str = "\
Starts the MCP servers, looks at their tools, and stops them. A gateway that runs takes the file over by itself. Put the
folder `contracts` under version control: what changes in it is what a reviewer has to agree to.";

/// What both commands take.
#[derive(Debug, Args)]
struct Common {
    #[command(flatten)]
    place: Place,
    /// Tools of this connector alone.
    #[arg(long, value_name = "NAME")]
    connector: Option<String>,
    /// Who accepts, as the file says it; the local user if absent. The audit log has the local user in either case.
    #[arg(long, value_name = "WHO")]
    by: Option<String>,
    /// Print JSON: `{"files", "accepted": [what `tools diff --json` prints]}`.
    #[arg(long)]
    json: bool,
}

/// Accepts definitions of tools of MCP servers.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct AcceptTools {
    #[command(flatten)]
    common: Common,
    /// The tools, by the names that agents know.
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    names: Vec<String>,
    /// All that differ from what was accepted, and all that are new. What is not configured any more is taken out.
    #[arg(long)]
    all: bool,
    /// Accept the one tool that is named only if its definition has this digest, as `tools diff` shows it.
    #[arg(long, value_name = "SHA256", conflicts_with = "all")]
    digest: Option<String>,
}

/// Pins what agents may call now.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct PinTools {
    #[command(flatten)]
    common: Common,
}

impl AcceptTools {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let Self { common, names, all, digest } = self;
        let what = match (digest, names.as_slice()) {
            _ if all => Accept::All,
            (None, _) => Accept::Tools(names.into_iter().collect()),
            (Some(digest), [name]) => Accept::Exactly(name.clone(), digest),
            (Some(_), _) => return Err(Failure::Usage("`--digest` is of one tool".into())),
        };
        common.run(&what).await
    }
}

impl PinTools {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        self.common.run(&Accept::Unobjected).await
    }
}

impl Common {
    async fn run(self, what: &Accept) -> Result<(), Failure> {
        let mut signals = Signals::new()?;
        let accepting =
            accept(self.place.options(), what, self.connector.as_deref(), self.by.as_deref(), PATIENCE);
        let written = tokio::select! {
            written = accepting => written.map_err(failed)?,
            () = signals.end() => return Err(Failure::Told),
        };
        if self.json {
            let accepted: Vec<_> = written.accepted.iter().map(described).collect();
            return out::json(&json!({"files": written.files, "accepted": accepted}));
        }
        told(&written)
    }
}

fn told(written: &Written) -> Result<(), Failure> {
    for tool in &written.accepted {
        let verdict = tool.verdict().map_or("", |verdict| verdict.as_str());
        let was = if tool.pinned.is_some() { verdict } else { "new" };
        out::line(format!("accepted {} {} {was}", tool.name, tool.offered.digest()).trim_end())?;
    }
    for file in &written.files {
        out::line(format!("wrote {file}"))?;
    }
    absent(&written.absent)?;
    if written.accepted.is_empty() { out::line("there was nothing to accept") } else { Ok(()) }
}

fn failed(error: AcceptError) -> Failure {
    match error {
        AcceptError::Start(error) => error.into(),
        AcceptError::Refused(why) => Failure::Usage(why),
        other => Failure::outside(other),
    }
}
