//! `quaymaster token`: bearer tokens of this installation.

use clap::{Args, Subcommand};
use quaymaster_control::identity::TokenRequest;
use quaymaster_core::setting::{DurationSetting, Slug};
use quaymaster_core::{ActorId, Timestamp, TokenId};
use quaymaster_gateway::Office;
use quaymaster_store::TokenRow;
use serde_json::{Value, json};

use super::place::Place;
use crate::failure::Failure;
use crate::out;

/// Makes, lists and revokes bearer tokens.
#[derive(Debug, Args)]
pub(crate) struct Token {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Makes a token and prints it. It is shown this once and kept nowhere.
    Create(Create),
    /// Lists the tokens by their first characters.
    List(List),
    /// Revokes a token. Running gateways refuse it within a second.
    Revoke(Revoke),
}

#[derive(Debug, Args)]
struct Create {
    #[command(flatten)]
    place: Place,
    /// Whom the token authenticates, such as `ada@example.test`.
    #[arg(long, value_parser = ActorId::parse)]
    actor: ActorId,
    /// The person behind the actor, where that is another name: of a service account, its owner. Nobody
    /// decides on what an account of theirs asked for.
    #[arg(long, visible_alias = "owner", value_parser = ActorId::parse)]
    person: Option<ActorId>,
    /// A role that its bearer acts in; repeat for more.
    #[arg(long = "role", required = true, value_parser = Slug::parse)]
    roles: Vec<Slug>,
    /// The workspace that its bearer acts in; the default workspace if absent.
    #[arg(long, value_parser = Slug::parse)]
    workspace: Option<Slug>,
    /// How long it counts, such as `12h` or `30d`.
    #[arg(long, default_value = "30d", value_parser = DurationSetting::parse)]
    expires: DurationSetting,
    /// What it is for.
    #[arg(long)]
    note: Option<String>,
    /// Print JSON: `{"token", "id", "actor", "person", "roles", "workspace", "expires", …}`.
    #[arg(long)]
    json: bool,
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
struct Revoke {
    #[command(flatten)]
    place: Place,
    /// The token's id, as `token list` shows it.
    id: TokenId,
}

impl Token {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        match self.action {
            Action::Create(create) => create.run().await,
            Action::List(list) => list.run().await,
            Action::Revoke(revoke) => revoke.run().await,
        }
    }
}

impl Create {
    async fn run(self) -> Result<(), Failure> {
        let office = Office::open(self.place.options()).await?;
        let workspace = self.workspace.unwrap_or_else(|| office.default_workspace().clone());
        let request = TokenRequest {
            actor: self.actor,
            person: self.person,
            roles: self.roles,
            workspace,
            lifetime: self.expires.get(),
            note: self.note,
        };
        office.check_token(&request).map_err(Failure::Usage)?;
        let token = office.create_token(request).await?;
        office.close().await;
        if self.json {
            let mut shown = described(&token.row);
            shown.as_object_mut().map(|object| object.insert("token".into(), token.text.as_str().into()));
            return out::json(&shown);
        }
        out::line(token.text.as_str())
    }
}

impl List {
    async fn run(self) -> Result<(), Failure> {
        let office = Office::open(self.place.options()).await?;
        let tokens = office.store().token_list().await.map_err(Failure::outside)?;
        office.close().await;
        for token in &tokens {
            if self.json {
                out::json(&described(token))?;
            } else {
                let roles: Vec<String> = token.roles.iter().map(ToString::to_string).collect();
                let state = if token.revoked_us.is_some() { "revoked" } else { "expires" };
                let when = Timestamp::from_micros(token.revoked_us.unwrap_or(token.expires_us));
                let used = token.last_used_us.map(|us| Timestamp::from_micros(us).to_string());
                out::line(format!(
                    "{}  {}…  {}{}  {}  {}  {state} {when}  used {}",
                    token.id,
                    token.prefix,
                    token.actor,
                    token.person.as_ref().map(|person| format!(" of {person}")).unwrap_or_default(),
                    roles.join(","),
                    token.workspace,
                    used.as_deref().unwrap_or("never"),
                ))?;
            }
        }
        Ok(())
    }
}

impl Revoke {
    async fn run(self) -> Result<(), Failure> {
        let office = Office::open(self.place.options()).await?;
        let revoked = office.revoke_token(&self.id).await?;
        office.close().await;
        if revoked {
            return out::line(format!("revoked {}", self.id));
        }
        out::line(format!("there is no token {} that could be revoked", self.id))?;
        Err(Failure::Told)
    }
}

fn described(token: &TokenRow) -> Value {
    let time = |us: u64| Timestamp::from_micros(us).to_string();
    json!({
        "id": token.id,
        "prefix": token.prefix,
        "actor": token.actor,
        "person": token.person,
        "roles": token.roles,
        "workspace": token.workspace,
        "created": time(token.created_us),
        "expires": time(token.expires_us),
        "revoked": token.revoked_us.map(time),
        "last_used": token.last_used_us.map(time),
        "note": token.note,
    })
}
