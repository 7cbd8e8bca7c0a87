//! What is done when something goes wrong: calls are stopped, and writes whose end nobody saw resolved.

use quaymaster_control::approval::Request;
use quaymaster_control::identity::LoginError;
use quaymaster_control::incident::{self, IncidentError, Notice, Stop, Switch, Target};
use quaymaster_control::ledger::{Entry, Found, Ledger, LedgerError};
use quaymaster_core::setting::Slug;
use quaymaster_core::{Actor, ActorId, CallError, EntryId, IncidentId};

use super::Office;
use crate::incidents::notices;
use crate::people::local_id;
use crate::state::StartError;

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
    /// Nobody is logged in by an issuer.
    #[error("{} ({})", .0, .0.code())]
    Login(#[from] LoginError),
    /// Who somebody is cannot be found out.
    #[error(transparent)]
    Identity(#[from] CallError),
    /// What was asked for makes no sense here.
    #[error("{0}")]
    Refused(String),
}

impl Office {
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

    /// What `viewer` is told of these switches: those that stop the call of `request` where there is
    /// one, else those that stop something of their workspace.
    ///
    /// # Errors
    ///
    /// [`OfficeError`] if the store fails, or the policies cannot be used.
    pub async fn stopped(
        &self,
        viewer: &Actor,
        request: Option<&Request>,
    ) -> Result<Vec<Notice>, OfficeError> {
        let switches = self.switches().await?;
        if switches.is_empty() {
            return Ok(Vec::new());
        }
        let rules = self.rules()?;
        Ok(notices(&switches, rules.catalogue(), viewer, request))
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
}
