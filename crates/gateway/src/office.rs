//! An installation without a gateway: for those who administer and audit it.
//!
//! Starts no connector and calls nothing. Opens the audit log for writing only
//! where something is changed, so that reading leaves no trace in it.

mod desk;
mod labels;
mod log;
mod login;
mod vault;

use std::sync::Arc;

use quaymaster_control::Evidence;
use quaymaster_control::approval::{Approvals, Terms};
use quaymaster_control::audit::{Durability, Event, Record, Subjects};
use quaymaster_control::console::{make_code, note};
use quaymaster_control::identity::{Arrival, Identity, NewToken, TokenRequest, create_token};
use quaymaster_control::keyring::KeyAge;
use quaymaster_core::{Actor, CallError, ErrorCode, TokenId, Workspace};
use quaymaster_store::Store;
use zeroize::Zeroizing;

use crate::config::{Diagnostics, Loaded, SecretCheck, load};
use crate::people::{identity, local_user, no_local_user};
use crate::rules::Rules;
use crate::state::{StartError, StartOptions, State, open_store};

pub use desk::OfficeError;
pub use log::Records;
pub use login::SignedIn;
pub use vault::Credential;

/// An installation, open for administration.
#[derive(Debug)]
pub struct Office {
    state: State,
    loaded: Loaded,
}

impl Office {
    /// Opens the installation that the configuration in `options.folder` describes.
    ///
    /// # Errors
    ///
    /// [`StartError`] if the configuration is not valid or the store cannot be opened.
    pub async fn open(options: StartOptions) -> Result<Self, StartError> {
        let loaded = load(&options.folder, SecretCheck::Skip)?;
        let state = State::open(&loaded, &options).await?;
        Ok(Self { state, loaded })
    }

    /// Opens the store alone, to read and verify the audit log: that takes no key,
    /// so it can be done where the keys are lost or are none of the auditor's business.
    ///
    /// # Errors
    ///
    /// [`StartError`] if the configuration is not valid or the store cannot be opened.
    pub async fn open_records(options: StartOptions) -> Result<Store, StartError> {
        open_store(&load(&options.folder, SecretCheck::Skip)?).await
    }

    /// The store.
    pub fn store(&self) -> &Store {
        &self.state.store
    }

    /// The keys that keep names out of the audit log.
    pub fn subjects(&self) -> &Arc<Subjects> {
        &self.state.subjects
    }

    /// The requests for approval.
    pub fn approvals(&self) -> &Approvals {
        &self.state.approvals
    }

    /// Who is at the counter: whoever `token` says, else the local user.
    ///
    /// # Errors
    ///
    /// `auth.invalid` if the token does not count; `auth.missing` without one, if the configuration
    /// has no local user.
    pub async fn visitor(&self, token: Option<&str>) -> Result<Arc<Actor>, CallError> {
        let identity = self.prepare()?;
        let arrival = |header| Arrival { authorization: Some(header), workspace: None, path: "/mcp" };
        match token {
            Some(token) => identity.authenticate(arrival(&format!("Bearer {token}"))).await,
            None => local_user(&identity).ok_or_else(no_local_user),
        }
    }

    /// Puts policies to work, by which people decide, and gives who may authenticate.
    fn prepare(&self) -> Result<Arc<Identity>, CallError> {
        let rules = self.rules()?;
        let identity = identity(&self.state, &self.loaded).map_err(|found| unusable("issuers", &found))?;
        let identity = Arc::new(identity);
        let bounds = self.loaded.settings.approvals.bounds();
        let policies = Arc::clone(rules.policies());
        self.state.approvals.obey(Terms { policies, identity: Arc::clone(&identity), bounds });
        Ok(identity)
    }

    /// The policies of the configuration, from its files alone.
    fn rules(&self) -> Result<Rules, CallError> {
        Rules::load(&self.loaded.folder, None).map_err(|found| unusable("policies", &found))
    }

    /// Opens the audit log for writing. Whoever opens it closes it.
    ///
    /// # Errors
    ///
    /// [`StartError`] if the log cannot be opened.
    pub async fn evidence(&self) -> Result<Evidence, StartError> {
        Ok(self.state.evidence(&self.loaded).await?)
    }

    /// The workspace that is meant where none is named.
    pub fn default_workspace(&self) -> &Workspace {
        &self.loaded.settings.default_workspace
    }

    /// Whether the roles and the workspace of a request exist.
    ///
    /// # Errors
    ///
    /// Says which does not, and which there are.
    pub fn check_token(&self, request: &TokenRequest) -> Result<(), String> {
        let settings = &self.loaded.settings;
        let list = |names: Vec<String>| names.join(", ");
        if settings.identity.is_taken(request.actor.as_str()) {
            return Err(format!(
                "`{}` is what an actor of an issuer or of this machine is called: choose another name",
                request.actor
            ));
        }
        if let Some(role) = request.roles.iter().find(|role| !settings.roles.contains_key(*role)) {
            let known = list(settings.roles.keys().map(ToString::to_string).collect());
            return Err(format!("unknown role `{role}`: the configuration has {known}"));
        }
        if !settings.workspaces.contains_key(&request.workspace) {
            let known = list(settings.workspaces.keys().map(ToString::to_string).collect());
            return Err(format!("unknown workspace `{}`: the configuration has {known}", request.workspace));
        }
        Ok(())
    }

    /// Makes a token. That it was made is in the audit log before it is shown.
    ///
    /// # Errors
    ///
    /// [`StartError`] if the store or the log fails.
    pub async fn create_token(&self, request: TokenRequest) -> Result<NewToken, StartError> {
        let (clock, randomness) = (self.state.clock.as_ref(), self.state.randomness.as_ref());
        let token = create_token(&self.state.store, request, clock, randomness).await?;
        let subject = self.state.subjects.of(&token.row.actor).await?;
        let mut record = Record::new(Event::TokenCreated, clock.now());
        record.token = Some(token.row.id.as_str());
        record.on_behalf_of = Some(subject.commitment());
        record.workspace = Some(token.row.workspace.to_shared());
        self.write(record).await?;
        Ok(token)
    }

    /// Revokes a token; false if there is none that could be revoked.
    ///
    /// # Errors
    ///
    /// [`StartError`] if the store or the log fails.
    pub async fn revoke_token(&self, id: &TokenId) -> Result<bool, StartError> {
        let now = self.state.clock.now();
        let revoked = self.state.store.token_revoke(id, now.as_micros()).await?;
        if revoked {
            let mut record = Record::new(Event::TokenRevoked, now);
            record.token = Some(id.as_str());
            self.write(record).await?;
        }
        Ok(revoked)
    }

    /// Makes a code that logs a browser in to the console as `actor`, once. That it was made is in the
    /// audit log before it is shown.
    ///
    /// # Errors
    ///
    /// [`OfficeError::Refused`] where people log in at an issuer alone; [`OfficeError::Start`] if the
    /// store, a key or the log fails.
    pub async fn console_code(&self, actor: &Actor) -> Result<Zeroizing<String>, OfficeError> {
        if !self.loaded.settings.identity.takes_codes() {
            let message = "people log in to this console at an issuer; `identity.localCodes: true` allows codes as well";
            return Err(OfficeError::Refused(message.into()));
        }
        let State { store, subjects, clock, randomness, .. } = &self.state;
        let code = make_code(store, subjects, actor, (clock.as_ref(), randomness.as_ref())).await;
        let code = code.map_err(StartError::from)?;
        let evidence = self.evidence().await?;
        note(Event::ConsoleCodeCreated, actor, &evidence).await.map_err(StartError::from)?;
        evidence.audit.close().await;
        Ok(code)
    }

    /// The keys that seal handles, newest first, without their secrets.
    ///
    /// # Errors
    ///
    /// [`StartError::Key`] if their file cannot be read.
    pub fn keys(&self) -> Result<Vec<KeyAge>, StartError> {
        Ok(self.state.keys.ages()?)
    }

    /// Puts a new key in front of those that seal handles, and gives its number and how many keys of
    /// callers' tokens it was put round. That it is made is in the audit log before anything is sealed with it.
    ///
    /// # Errors
    ///
    /// [`StartError`] if the file, the store or the log cannot be written.
    pub async fn rotate_keys(&self) -> Result<(u32, u64), StartError> {
        self.write(Record::new(Event::KeyRotated, self.state.clock.now())).await?;
        // Before as well: the oldest key goes, and no token may need it.
        self.state.vault.rewrap().await?;
        let id = self.state.keys.rotate()?;
        Ok((id, self.state.vault.rewrap().await?))
    }

    async fn write(&self, record: Record<'_>) -> Result<(), StartError> {
        let evidence = self.state.evidence(&self.loaded).await?;
        evidence.audit.append(record, None, Durability::Durable).await?;
        evidence.audit.close().await;
        Ok(())
    }

    /// Closes the store.
    pub async fn close(self) {
        if let Err(error) = self.state.store.close().await {
            tracing::error!(event = "store.close", %error, "the store could not be closed in order");
        }
    }
}

fn unusable(what: &str, found: &Diagnostics) -> CallError {
    let message = format!("the {what} of the configuration cannot be used");
    CallError::new(ErrorCode::GatewayInternal, message).because(found.to_string())
}
