//! `quaymaster console`: logging in to the pages of a gateway.

use clap::{Args, Subcommand};
use quaymaster_gateway::Office;

use super::place::Place;
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
    /// Prints a code that logs a browser in as you, the user of this machine. It counts once, for
    /// ten minutes, and is kept nowhere.
    Code(Code),
}

#[derive(Debug, Args)]
struct Code {
    #[command(flatten)]
    place: Place,
}

impl Console {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let Action::Code(code) = self.action;
        let office = Office::open(code.place.options()).await?;
        let made = office.console_code().await?;
        office.close().await;
        let Some(made) = made else {
            let message =
                "the configuration has no local user: add `localUser: {roles: [...]}` to quaymaster.yaml";
            return Err(Failure::Usage(message.to_owned()));
        };
        out::line(made.as_str())
    }
}
