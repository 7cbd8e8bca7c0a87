//! People's own tokens for systems that are asked in their names, for those who administer them.

use quaymaster_control::audit::{Event, Record, ToolPart};
use quaymaster_control::vault::{Owner, StoredToken};
use quaymaster_core::setting::Slug;
use quaymaster_core::suggest::did_you_mean;
use quaymaster_core::{ActorId, Timestamp, Workspace};
use secrecy::SecretString;

use super::{Office, OfficeError};
use crate::config::Connector;
use crate::state::StartError;

/// Whose token, and for what.
#[derive(Clone, Debug)]
pub struct Credential {
    /// The connector.
    pub connector: Slug,
    /// Whose it is, as the gateway knows them.
    pub actor: ActorId,
    /// The workspace; the default workspace if absent.
    pub workspace: Option<Workspace>,
}

impl Office {
    /// Stores a token instead of the one that there is, and gives its version. That it is stored is in the
    /// audit log before it is.
    ///
    /// # Errors
    ///
    /// [`OfficeError::Refused`] if no calls are made with it; [`OfficeError::Start`] if the store, a key or
    /// the log fails, or the text is no token.
    pub async fn store_credential(
        &self,
        credential: &Credential,
        token: &SecretString,
        expires: Option<Timestamp>,
    ) -> Result<u64, OfficeError> {
        let owner = self.owner(credential)?;
        self.check_used(&owner)?;
        self.note_credential(Event::CredentialStored, &owner).await?;
        Ok(self.state.vault.put(&owner, token, expires).await.map_err(StartError::from)?)
    }

    /// Removes a token; false if there is none.
    ///
    /// # Errors
    ///
    /// [`OfficeError::Start`] if the store, a key or the log fails.
    pub async fn remove_credential(&self, credential: &Credential) -> Result<bool, OfficeError> {
        let owner = self.owner(credential)?;
        let removed = self.state.vault.remove(&owner).await.map_err(StartError::from)?;
        if removed {
            self.note_credential(Event::CredentialRemoved, &owner).await?;
        }
        Ok(removed)
    }

    /// All tokens, without their texts.
    ///
    /// # Errors
    ///
    /// [`StartError`] if the store or a key fails.
    pub async fn credentials(&self) -> Result<Vec<StoredToken>, StartError> {
        Ok(self.state.vault.list().await?)
    }

    fn owner(&self, credential: &Credential) -> Result<Owner, OfficeError> {
        let workspace = credential.workspace.clone().unwrap_or_else(|| self.default_workspace().clone());
        if !self.loaded.settings.workspaces.contains_key(&workspace) {
            return Err(OfficeError::Refused(format!("unknown workspace `{workspace}`")));
        }
        Ok(Owner { workspace, connector: credential.connector.clone(), actor: credential.actor.clone() })
    }

    /// A token that is never sent would only lie there.
    fn check_used(&self, owner: &Owner) -> Result<(), OfficeError> {
        let connectors = || self.loaded.connectors.iter().map(|loaded| &loaded.connector);
        let found = connectors().find(|connector| connector.metadata().name == owner.connector);
        match found {
            None => {
                let names = connectors().map(|connector| connector.metadata().name.as_str());
                let help = did_you_mean(owner.connector.as_str(), "the configuration has", names);
                let help = help.map(|help| format!(": {help}")).unwrap_or_default();
                Err(OfficeError::Refused(format!("unknown connector `{}`{help}", owner.connector)))
            }
            Some(Connector::Mcp(file)) if file.spec.server.caller_token.is_some() => Ok(()),
            Some(_) => Err(OfficeError::Refused(format!(
                "calls of `{}` are not made with tokens of callers: its file has no `spec.server.callerToken`",
                owner.connector
            ))),
        }
    }

    async fn note_credential(&self, event: Event, owner: &Owner) -> Result<(), StartError> {
        let subject = self.state.subjects.of(&owner.actor).await?;
        let mut record = Record::new(event, self.state.clock.now());
        record.on_behalf_of = Some(subject.commitment());
        record.workspace = Some(owner.workspace.to_shared());
        record.tool = Some(ToolPart {
            connector: Some(owner.connector.as_str()),
            contract: None,
            kind: Some("credential"),
            name: owner.connector.to_shared(),
            version: None,
        });
        self.write(record).await
    }
}
