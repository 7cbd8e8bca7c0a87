//! `quaymaster console`: logging in to the pages of a gateway.

use clap::{Args, Subcommand};

use super::approvals::Viewer;
use crate::failure::Failure;
use crate::out;

/// Logs people in to the console.
#[derive(Debug, Args)]
pub(crate) struct Console {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Prints a code that logs a browser in as you: the user of this machine, or whoever a token or a log-in says.
    /// It counts once, for ten minutes, and is kept nowhere.
    Code(Code),
}

#[derive(Debug, Args)]
struct Code {
    #[command(flatten)]
    viewer: Viewer,
}

impl Console {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let Action::Code(code) = self.action;
        let visit = code.viewer.enter().await?;
        let made = visit.office.console_code(&visit.actor).await?;
        visit.office.close().await;
        out::line(made.as_str())
    }
}
