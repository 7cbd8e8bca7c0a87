//! `quaymaster credentials`: people's own tokens for systems that are asked in their names.
//!
//! Invariant: a token is read from standard input alone, and never printed.

use std::io::{IsTerminal as _, Read as _};

use clap::{Args, Subcommand};
use quaymaster_control::vault::MAX_TOKEN_BYTES;
use quaymaster_core::setting::{DurationSetting, Slug};
use quaymaster_core::{ActorId, Clock as _, SystemClock};
use quaymaster_gateway::{Credential, Office};
use secrecy::SecretString;
use serde_json::json;
use zeroize::Zeroizing;

use super::place::Place;
use crate::failure::Failure;
use crate::out;

/// Stores, lists and removes people's own tokens for systems that are asked in their names.
#[derive(Debug, Args)]
pub(crate) struct Credentials {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Stores a token, which is read from standard input, instead of the one that there is. Running
    /// gateways use it within seconds.
    Put(Put),
    /// Lists whose tokens are stored for what. A token is never shown.
    List(List),
    /// Removes a token. Running gateways stop using it within seconds.
    Remove(Remove),
}

#[derive(Debug, Args)]
struct Whose {
    /// The connector whose calls are made with it: one with `spec.server.callerToken`.
    #[arg(long, value_parser = Slug::parse)]
    connector: Slug,
    /// Whose token it is, as the gateway knows them, such as `ada@example.test`.
    #[arg(long, value_name = "ACTOR", value_parser = ActorId::parse)]
    subject: ActorId,
    /// The workspace in which they act; the default workspace if absent.
    #[arg(long, value_parser = Slug::parse)]
    workspace: Option<Slug>,
}

#[derive(Debug, Args)]
struct Put {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    whose: Whose,
    /// When the token ends, such as `90d` from now; then it is not sent any more.
    #[arg(long, value_parser = DurationSetting::parse)]
    expires: Option<DurationSetting>,
}

#[derive(Debug, Args)]
struct List {
    #[command(flatten)]
    place: Place,
    /// Print one JSON object a line: `{"workspace", "connector", "subject", "version", "stored", "expires"}`.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct Remove {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    whose: Whose,
}

impl Credentials {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        match self.action {
            Action::Put(put) => put.run().await,
            Action::List(list) => list.run().await,
            Action::Remove(remove) => remove.run().await,
        }
    }
}

impl Whose {
    fn credential(&self) -> Credential {
        Credential {
            connector: self.connector.clone(),
            actor: self.subject.clone(),
            workspace: self.workspace.clone(),
        }
    }
}

impl Put {
    async fn run(self) -> Result<(), Failure> {
        let token = read_token()?;
        let expires = self.expires.map(|expires| SystemClock.now().after(expires.get()));
        let office = Office::open(self.place.options()).await?;
        let stored = office.store_credential(&self.whose.credential(), &token, expires).await;
        office.close().await;
        let (connector, subject) = (&self.whose.connector, &self.whose.subject);
        out::line(format!("stored for {subject} at {connector}: version {}", stored?))
    }
}

/// One token, without the end of its line.
fn read_token() -> Result<SecretString, Failure> {
    let mut input = std::io::stdin().lock();
    if input.is_terminal() {
        let how = "the token is read from standard input: `quaymaster credentials put … < FILE`";
        return Err(Failure::Usage(how.into()));
    }
    // With room for all that may come, so that it is not moved while it is read.
    let mut text = Zeroizing::new(String::with_capacity(MAX_TOKEN_BYTES + 4));
    let limit = u64::try_from(MAX_TOKEN_BYTES + 3).unwrap_or(u64::MAX);
    input.by_ref().take(limit).read_to_string(&mut text).map_err(|error| {
        Failure::Usage(format!("the token on standard input cannot be read: {}", error.kind()))
    })?;
    let line = text.strip_suffix('\n').unwrap_or(&text);
    Ok(SecretString::from(line.strip_suffix('\r').unwrap_or(line)))
}

impl List {
    async fn run(self) -> Result<(), Failure> {
        let office = Office::open(self.place.options()).await?;
        let all = office.credentials().await;
        office.close().await;
        for token in all? {
            let expires = token.expires.map(|at| at.to_string());
            let subject = token.actor.as_ref().map(ToString::to_string);
            if self.json {
                out::json(&json!({
                    "workspace": token.workspace,
                    "connector": token.connector,
                    "subject": subject,
                    "version": token.version,
                    "stored": token.stored.to_string(),
                    "expires": expires,
                }))?;
                continue;
            }
            out::line(format!(
                "{}  {}  {}  version {}  stored {}  expires {}",
                token.workspace,
                token.connector,
                subject.as_deref().unwrap_or("?"),
                token.version,
                token.stored,
                expires.as_deref().unwrap_or("never"),
            ))?;
        }
        Ok(())
    }
}

impl Remove {
    async fn run(self) -> Result<(), Failure> {
        let office = Office::open(self.place.options()).await?;
        let removed = office.remove_credential(&self.whose.credential()).await;
        office.close().await;
        let (connector, subject) = (&self.whose.connector, &self.whose.subject);
        if removed? {
            return out::line(format!("removed what was stored for {subject} at {connector}"));
        }
        out::line(format!("there is nothing stored for {subject} at {connector}"))?;
        Err(Failure::Told)
    }
}
