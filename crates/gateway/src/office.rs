//! An installation without a gateway: for those who administer and audit it.
//!
//! Starts no connector and calls nothing. Opens the audit log for writing only
//! where something is changed, so that reading leaves no trace in it.

use std::sync::Arc;

use quaymaster_control::audit::{Durability, Event, Record, Subjects};
use quaymaster_control::identity::{NewToken, TokenRequest, create_token};
use quaymaster_control::incident::{self, IncidentError, Stop, Switch, Target};
use quaymaster_control::keyring::KeyAge;
use quaymaster_control::ledger::{Entry, Found, Ledger, LedgerError};
use quaymaster_core::setting::Slug;
use quaymaster_core::{ActorId, EntryId, IncidentId, TokenId, Workspace};
use quaymaster_store::Store;

use crate::config::{Loaded, SecretCheck, load};
use crate::gateway::local_id;
use crate::state::{StartError, StartOptions, State, open_store};

/// Why something could not be administered.
#[derive(Debug, thiserror::Error)]
pub enum OfficeError {
    /// The installation is not in order.
    #[error(transparent)]
    Start(#[from] StartError),
    /// Incident switches fail.
    #[error(transparent)]
    Incident(#[from] IncidentError),
    /// The idempotency ledger fails.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// What was asked for makes no sense here.
    #[error("{0}")]
    Refused(String),
}

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

    /// The keys that seal handles, newest first, without their secrets.
    ///
    /// # Errors
    ///
    /// [`StartError::Key`] if their file cannot be read.
    pub fn keys(&self) -> Result<Vec<KeyAge>, StartError> {
        Ok(self.state.keys.ages()?)
    }

    /// Puts a new key in front of those that seal handles, and gives its number. That it is made is
    /// in the audit log before anything is sealed with it.
    ///
    /// # Errors
    ///
    /// [`StartError`] if the file or the log cannot be written.
    pub async fn rotate_keys(&self) -> Result<u32, StartError> {
        self.write(Record::new(Event::KeyRotated, self.state.clock.now())).await?;
        Ok(self.state.keys.rotate()?)
    }

    /// Stops calls from now on. That it is done is in the audit log before it is.
    ///
    /// # Errors
    ///
    /// [`OfficeError`] if it names what there is not, or the store or the log fails.
    pub async fn stop_calls(&self, stop: Stop) -> Result<Switch, OfficeError> {
        self.check_target(&stop.target).map_err(OfficeError::Refused)?;
        let evidence = self.state.evidence(&self.loaded).await.map_err(StartError::from)?;
        let stopped =
            incident::stop(&self.state.store, stop, self.state.randomness.as_ref(), &evidence).await;
        evidence.audit.close().await;
        Ok(stopped?)
    }

    /// Lifts an incident switch before its time is over; none if none of that id stands.
    ///
    /// # Errors
    ///
    /// [`OfficeError`] if the store or the log fails.
    pub async fn lift_switch(&self, id: &IncidentId) -> Result<Option<Switch>, OfficeError> {
        let evidence = self.state.evidence(&self.loaded).await.map_err(StartError::from)?;
        let lifted = incident::lift(&self.state.store, id, &self.local_id()?, &evidence).await;
        evidence.audit.close().await;
        Ok(lifted?)
    }

    /// The incident switches that stand, oldest first.
    ///
    /// # Errors
    ///
    /// [`OfficeError`] if the store fails.
    pub async fn switches(&self) -> Result<Vec<Switch>, OfficeError> {
        Ok(incident::standing(&self.state.store, self.state.clock.as_ref()).await?)
    }

    /// The writes that run and those whose end nobody saw, oldest first.
    ///
    /// # Errors
    ///
    /// [`OfficeError`] if the store fails.
    pub async fn open_writes(&self) -> Result<Vec<Entry>, OfficeError> {
        Ok(Ledger::open(&self.state.store, self.state.clock.as_ref()).await?)
    }

    /// Says what became of a write whose end nobody saw; false if there is no such.
    ///
    /// # Errors
    ///
    /// [`OfficeError`] if the store or the log fails.
    pub async fn resolve_write(&self, id: &EntryId, found: Found) -> Result<bool, OfficeError> {
        let evidence = self.state.evidence(&self.loaded).await.map_err(StartError::from)?;
        let resolved = self.state.ledger.resolve(id, found, &self.local_id()?, &evidence).await;
        evidence.audit.close().await;
        Ok(resolved?)
    }

    /// Who the user of this machine is.
    ///
    /// # Errors
    ///
    /// [`OfficeError::Refused`] if the system does not say.
    pub fn local_id(&self) -> Result<ActorId, OfficeError> {
        local_id().ok_or_else(|| OfficeError::Refused("the user of this machine has no name".into()))
    }

    /// A switch for a name that nothing has would stop nothing, and whoever made it would not notice.
    fn check_target(&self, target: &Target) -> Result<(), String> {
        let connectors = || self.loaded.connectors.iter().map(|c| &c.connector.metadata().name);
        if let Some(name) = &target.connector
            && !connectors().any(|known| known == name)
        {
            let known: Vec<&str> = connectors().map(Slug::as_str).collect();
            return Err(format!("unknown connector `{name}`: the configuration has {}", known.join(", ")));
        }
        if let Some(name) = &target.workspace
            && !self.loaded.settings.workspaces.contains_key(name)
        {
            let known: Vec<&str> = self.loaded.settings.workspaces.keys().map(Slug::as_str).collect();
            return Err(format!("unknown workspace `{name}`: the configuration has {}", known.join(", ")));
        }
        match target.tool.as_deref() {
            Some(tool) if !self.knows(tool) => Err(format!(
                "no connector's tools have names like `{}`: it takes the full name",
                tool.escape_debug()
            )),
            _ => Ok(()),
        }
    }

    /// Whether a connector of the configuration may have a tool of this name. What servers offer
    /// beyond the configuration is not known here, so their prefix is enough.
    fn knows(&self, tool: &str) -> bool {
        self.loaded.connectors.iter().any(|c| {
            tool.starts_with(&c.connector.prefix()) || c.connector.policy_names().any(|name| name == tool)
        })
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
