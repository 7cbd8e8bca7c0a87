//! Asking a source for a secret, whichever source it is.

use std::sync::Arc;
use std::time::Duration;

use quaymaster_core::{Clock, SecretError};
use secrecy::SecretString;

use super::checked::{Origin, SecretSettings};
use super::command;
use super::plain::{read_environment, read_file};
use super::vault::{Sessions, Vault};
use super::web::SecretWeb;

/// What a source gave.
pub(super) struct Fetched {
    pub(super) text: SecretString,
    /// For how long it may be used, where the source says so.
    pub(super) lease: Option<Duration>,
}

/// All sources, and what is needed to ask them.
#[derive(Debug)]
pub(super) struct Sources {
    pub(super) settings: SecretSettings,
    pub(super) web: Arc<dyn SecretWeb>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) sessions: Sessions,
}

impl Sources {
    /// The secret `name`, from wherever it comes.
    pub(super) async fn fetch(&self, name: &str) -> Result<Fetched, SecretError> {
        let vault = |server| Vault { sources: self, name, server };
        match self.settings.named.get(name).map(|named| &named.origin) {
            Some(Origin::Kv { server, mount, path, field, version }) => {
                vault(server).entry((mount, path), field, *version).await
            }
            Some(Origin::Transit { server, mount, key, ciphertext }) => {
                let ciphertext = self.of_this_machine(ciphertext.name()).await?;
                vault(server).opened((mount, key), &ciphertext).await
            }
            _ => self.of_this_machine(name).await.map(|text| Fetched { text, lease: None }),
        }
    }

    /// The secret `name`, which comes from no server.
    pub(super) async fn of_this_machine(&self, name: &str) -> Result<SecretString, SecretError> {
        match self.settings.named.get(name).map(|named| &named.origin) {
            None | Some(Origin::Environment(_) | Origin::File(_)) => self.plain(name),
            Some(Origin::Keyring(attributes)) => {
                command::keyring(name, &self.settings.keyring_program, attributes).await
            }
            Some(Origin::Command(program)) => command::run(name, program).await,
            Some(Origin::Kv { .. } | Origin::Transit { .. }) => {
                let reason = "a server would have to be asked before it can be asked".into();
                Err(SecretError::Unavailable { name: name.to_owned(), reason })
            }
        }
    }

    /// Whether the secret `name` is had without asking anybody outside of this process.
    pub(super) fn is_plain(&self, name: &str) -> bool {
        let origin = self.settings.named.get(name).map(|named| &named.origin);
        matches!(origin, None | Some(Origin::Environment(_) | Origin::File(_)))
    }

    /// Whether the secret `name` can never change while this process runs.
    pub(super) fn is_constant(&self, name: &str) -> bool {
        match self.settings.named.get(name).map(|named| &named.origin) {
            None => self.settings.files.is_none(),
            Some(origin) => matches!(origin, Origin::Environment(_)),
        }
    }

    /// The secret `name` in a file or the environment.
    pub(super) fn plain(&self, name: &str) -> Result<SecretString, SecretError> {
        let (file, variable) = match self.settings.named.get(name).map(|named| &named.origin) {
            Some(Origin::File(file)) => (Some(file.clone()), None),
            Some(Origin::Environment(variable)) => (None, Some(variable.as_str())),
            // A name is made of A-Z, 0-9 and _ (see `SecretRef`), so it cannot leave the folder.
            _ => (self.settings.files.as_ref().map(|folder| folder.join(name)), Some(name)),
        };
        let from_file = file.as_ref().map(|file| read_file(name, file)).transpose()?.flatten();
        from_file.or_else(|| variable.and_then(read_environment)).ok_or_else(|| {
            let file = file.map(|file| format!("the file {}", file.display()));
            let variable = variable.map(|variable| format!("the environment variable {variable}"));
            let places: Vec<String> = file.into_iter().chain(variable).collect();
            let expected = format!("expected {}", places.join(" or "));
            SecretError::Missing { name: name.to_owned(), expected }
        })
    }

    /// For how long what `name` gave is used.
    pub(super) fn refresh(&self, name: &str) -> Duration {
        self.settings.named.get(name).map_or(self.settings.refresh, |named| named.refresh)
    }
}
