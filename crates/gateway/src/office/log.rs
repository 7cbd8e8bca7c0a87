//! The audit log for those who check it and hand it out.

use std::sync::Arc;

use quaymaster_control::audit::erase::{EraseError, erase};
use quaymaster_control::audit::notary::Checkpoints;
use quaymaster_control::audit::prune::prune;
use quaymaster_control::audit::verify::Known;
use quaymaster_control::audit::{LogKey, VerifierKey};
use quaymaster_core::{ActorId, Timestamp};
use quaymaster_store::{CheckpointRow, Store};

use super::{Office, OfficeError};
use crate::config::{SecretCheck, load};
use crate::sinks::wanted_from;
use crate::state::{StartError, StartOptions, log_files, open_store};

/// The log without any key: its records, and what is known of it in this place.
#[derive(Debug)]
pub struct Records {
    /// The store.
    pub store: Store,
    /// The public half of the log's key, and the newest checkpoint that was kept outside the store.
    pub known: Known,
}

impl Office {
    /// Opens the store alone, with what the data folder knows of the log: that takes no key.
    ///
    /// # Errors
    ///
    /// [`StartError`] if the configuration is not valid, the store cannot be opened, or the key's file is none.
    pub async fn open_log(options: StartOptions) -> Result<Records, StartError> {
        let loaded = load(&options.folder, SecretCheck::Skip)?;
        let (key_file, kept) = log_files(&loaded);
        let mut known = Known { key: LogKey::read_public(&key_file)?, checkpoints: vec![] };
        if let Ok(note) = std::fs::read_to_string(&kept) {
            known.checkpoints.push((kept.display().to_string(), note));
        }
        Ok(Records { store: open_store(&loaded).await?, known })
    }

    /// Erases somebody, however their name is spelled, and gives the names that were erased. That it is done
    /// is in the audit log before it is.
    ///
    /// # Errors
    ///
    /// [`OfficeError::Refused`] if a call of theirs runs; [`OfficeError::Start`] if the store, a key or the log
    /// fails.
    pub async fn erase(&self, name: &ActorId) -> Result<Vec<ActorId>, OfficeError> {
        let evidence = self.evidence().await?;
        let erased = erase(name, &self.state.store, &self.state.approvals, &evidence).await;
        evidence.audit.close().await;
        erased.map_err(|error| match error {
            EraseError::Audit(error) => StartError::from(error).into(),
            other => OfficeError::Refused(other.to_string()),
        })
    }

    /// Takes away records from before `before`, and gives the number of the first that is kept.
    ///
    /// # Errors
    ///
    /// [`StartError`] if the store or the log fails.
    pub async fn prune(&self, before: Timestamp) -> Result<Option<u64>, StartError> {
        // So that everything there is is signed: what is not signed does not go.
        self.checkpoint().await?;
        let evidence = self.evidence().await?;
        let times = (before, self.state.clock.now());
        let wanted = wanted_from(&self.state.store, &self.loaded.settings.audit.sinks).await;
        let pruned = match wanted {
            Ok(wanted) => prune(&self.state.store, &evidence.audit, times, wanted).await,
            Err(error) => Err(error),
        };
        evidence.audit.close().await;
        Ok(pruned?)
    }

    /// The public half of the log's key.
    pub fn log_key(&self) -> &VerifierKey {
        self.state.notary.public()
    }

    /// Signs the log as it is now, if it grew since it was signed last, and gives the newest checkpoint.
    ///
    /// # Errors
    ///
    /// [`StartError::Audit`] if the log is not what was signed, or is empty.
    pub async fn checkpoint(&self) -> Result<Option<CheckpointRow>, StartError> {
        let (store, notary) = (self.state.store.clone(), Arc::clone(&self.state.notary));
        let mut checkpoints = Checkpoints::open(store, notary, Arc::clone(&self.state.clock)).await?;
        checkpoints.write().await?;
        Ok(self.state.store.audit_checkpoint_newest().await?)
    }
}
