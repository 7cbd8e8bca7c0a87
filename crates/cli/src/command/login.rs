//! `quaymaster login` and `quaymaster logout`: being somebody on the command line, by the word of an issuer.
//!
//! The browser comes back to a port of this machine (RFC 8252, section 7.3; [`loopback`]). What is
//! left of a log-in is kept in a file of this person ([`kept`]) and shown by the commands that take a
//! token. What it is worth is `quaymaster-control`'s part.

mod kept;
mod loopback;

use std::time::Duration;

use clap::Args;
use quaymaster_core::setting::Slug;
use quaymaster_gateway::{Office, OfficeError, SignedIn};

use self::loopback::Loopback;
use super::place::Place;
use crate::failure::Failure;
use crate::out;

pub(super) use self::kept::Logins;

/// How long somebody may take at the issuer.
const PATIENCE: Duration = Duration::from_mins(10);

/// Logs you in at an issuer, for the commands that take a token.
#[derive(Debug, Args)]
pub(crate) struct Login {
    #[command(flatten)]
    place: Place,
    /// The issuer's name in the configuration, where people log in at several.
    #[arg(long, value_parser = Slug::parse)]
    issuer: Option<Slug>,
}

/// Forgets that you are logged in: the commands that take a token take you for the local user again.
#[derive(Debug, Args)]
pub(crate) struct Logout {
    #[command(flatten)]
    place: Place,
}

impl Login {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let logins = Logins::of_process()?;
        let office = Office::open(self.place.options()).await?;
        let signed_in = self.sign_in(&office).await;
        office.close().await;
        let SignedIn { actor, credential, until } = signed_in?;
        logins.keep(&self.place.config, &credential)?;
        out::line(format!("you are logged in as {} in {} until {until}", actor.id, actor.workspace))
    }

    async fn sign_in(&self, office: &Office) -> Result<SignedIn, Failure> {
        let mut loopback = Loopback::open().await.map_err(Failure::outside)?;
        let issuer = self.issuer.as_ref().map(Slug::as_str);
        let (begun, url) = office.begin_login(issuer, &loopback.redirect_uri()).await?;
        out::line("Open this address in a browser on this machine:")?;
        out::line(url)?;
        let waiting = async {
            loop {
                let answer = loopback.answer().await.map_err(Failure::outside)?;
                if !answer.state().is_some_and(|state| begun.is_its_state(state)) {
                    // Whatever else runs on this machine may knock, and ends nothing by that.
                    answer.refuse("This is not the answer to the log-in that waits here.").await;
                    continue;
                }
                let finished = office.finish_login(&begun, answer.returned()).await;
                match &finished {
                    Ok(_) => answer.accept("You are logged in. Go back to the terminal.").await,
                    Err(error) => answer.refuse(&told(error)).await,
                }
                return finished.map_err(Failure::from);
            }
        };
        let waited = tokio::time::timeout(PATIENCE, waiting).await;
        waited.unwrap_or_else(|_| Err(Failure::Refused("nobody logged in within 10 minutes".into())))
    }
}

/// What the browser shows of an error: nothing that is not for whoever sits before it.
fn told(error: &OfficeError) -> String {
    match error {
        OfficeError::Login(error) => format!("You are not logged in: {error} ({}).", error.code()),
        _ => "You are not logged in. The terminal says why.".to_owned(),
    }
}

impl Logout {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let logins = Logins::of_process()?;
        let Some(credential) = logins.forget(&self.place.config)? else {
            return out::line("you were not logged in");
        };
        let office = Office::open(self.place.options()).await?;
        let ended = office.end_login(&credential).await;
        office.close().await;
        ended?;
        out::line("you are logged out")
    }
}
