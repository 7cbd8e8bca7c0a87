//! What an installation keeps: its store, its keys and its audit log.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use quaymaster_connectors::IssuerWeb;
use quaymaster_control::Evidence;
use quaymaster_control::approval::Approvals;
use quaymaster_control::audit::{Audit, AuditError, AuditSettings, LogKey, Notary, Subjects};
use quaymaster_control::crypto::{CryptoError, SealingKey};
use quaymaster_control::flow::Labels;
use quaymaster_control::identity::Sources;
use quaymaster_control::incident::Incidents;
use quaymaster_control::keyring::KeyRing;
use quaymaster_control::ledger::Ledger;
use quaymaster_control::limits::Counts;
use quaymaster_control::redaction::Placeholders;
use quaymaster_control::vault::{Vault, VaultError};
use quaymaster_core::{Clock, ConfigVersion, Randomness, WriterId};
use quaymaster_store::{Store, StoreConfigError, StoreEngine, StoreError};

use crate::config::{Diagnostics, Loaded};
use crate::integrity::LastSeen;

const DATABASE: &str = "quaymaster.db";
const SEALING_KEY: &str = "seal.key";
const KEY_RING: &str = "handles.json";
const LOG_KEY: &str = "audit.key";
const CHECKPOINT: &str = "audit.checkpoint";

/// What starting takes.
#[derive(Clone, Debug)]
pub struct StartOptions {
    /// The configuration folder.
    pub folder: PathBuf,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness, fit for keys.
    pub randomness: Arc<dyn Randomness>,
}

/// Why nothing was started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The configuration is not valid.
    #[error("the configuration is not valid: {} problem(s)", .0.len())]
    Configuration(Box<Diagnostics>),
    /// The data folder cannot be made.
    #[error("the data folder {path} cannot be made: {reason}")]
    DataFolder {
        /// The folder.
        path: String,
        /// The operating system's reason.
        reason: String,
    },
    /// The store is not configured so that it can be opened.
    #[error(transparent)]
    StoreConfig(#[from] StoreConfigError),
    /// The store cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The sealing key cannot be used.
    #[error(transparent)]
    Key(#[from] CryptoError),
    /// The store was sealed with a key whose file is not there.
    #[error(
        "the sealing key {path} is missing, and the store at hand was sealed with it: restore the file from a \
         backup; processes that share a store share the key file"
    )]
    KeyMissing {
        /// The file.
        path: String,
    },
    /// The store was sealed with another key than the file holds.
    #[error(
        "the sealing key {path} is not the one that the store at hand was sealed with: restore that one from a \
         backup; processes that share a store share the key file"
    )]
    KeyForeign {
        /// The file.
        path: String,
    },
    /// The log was signed with a key whose file is not there.
    #[error(
        "the audit log's key {path} is missing, and the log at hand was signed with it: restore the file from a \
         backup; processes that share a store share the key file"
    )]
    LogKeyMissing {
        /// The file.
        path: String,
    },
    /// The vault of callers' tokens cannot be used.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The audit log cannot be opened: without it nothing runs.
    #[error(transparent)]
    Audit(#[from] AuditError),
}

impl From<Diagnostics> for StartError {
    fn from(found: Diagnostics) -> Self {
        Self::Configuration(Box::new(found))
    }
}

/// Store and keys, open.
#[derive(Clone, Debug)]
pub(crate) struct State {
    pub(crate) store: Store,
    pub(crate) subjects: Arc<Subjects>,
    /// What the placeholders of sessions stand for.
    pub(crate) placeholders: Arc<Placeholders>,
    pub(crate) keys: Arc<KeyRing>,
    /// What people have stored for systems that are asked in their names.
    pub(crate) vault: Arc<Vault>,
    pub(crate) approvals: Arc<Approvals>,
    pub(crate) incidents: Arc<Incidents>,
    pub(crate) counts: Arc<Counts>,
    /// What those who call have seen.
    pub(crate) labels: Arc<Labels>,
    pub(crate) ledger: Arc<Ledger>,
    /// Who signs the audit log.
    pub(crate) notary: Arc<Notary>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) randomness: Arc<dyn Randomness>,
    /// What issuers publish, whichever configuration is at work.
    pub(crate) sources: Arc<Sources>,
    /// What was seen first of tools that no file pins, as it was read last.
    pub(crate) last_seen: LastSeen,
}

impl State {
    /// Opens what `loaded` says, and makes it on the first start.
    pub(crate) async fn open(loaded: &Loaded, options: &StartOptions) -> Result<Self, StartError> {
        let store = open_store(loaded).await?;
        let folder = &loaded.settings.data_folder;
        let (clock, randomness) = (Arc::clone(&options.clock), Arc::clone(&options.randomness));
        let subjects = open_subjects(&store, &folder.join(SEALING_KEY), &clock, &randomness).await?;
        let keys =
            KeyRing::open_or_create(&folder.join(KEY_RING), Arc::clone(&clock), Arc::clone(&randomness))?;
        let subjects = Arc::new(subjects);
        let notary = Arc::new(open_notary(&store, loaded, randomness.as_ref()).await?);
        let runner = WriterId::new(clock.as_ref(), randomness.as_ref()).to_string();
        let time_and_chance = (Arc::clone(&clock), Arc::clone(&randomness));
        let approvals = Approvals::new(store.clone(), Arc::clone(&subjects), time_and_chance, runner);
        let incidents = Arc::new(Incidents::new(store.clone(), Arc::clone(&clock)));
        let counts = Arc::new(Counts::new(store.clone(), Arc::clone(&clock)));
        let labels = Arc::new(Labels::open(store.clone(), Arc::clone(&clock)).await?);
        let ledger =
            Ledger::new(store.clone(), Arc::clone(&subjects), Arc::clone(&clock), Arc::clone(&randomness));
        let ledger = Arc::new(ledger);
        let sources = Arc::new(Sources::new(Arc::new(IssuerWeb::default()), Arc::clone(&clock)));
        let (keys, approvals) = (Arc::new(keys), Arc::new(approvals));
        let of_vault = (Arc::clone(&subjects), Arc::clone(&keys));
        let vault = Vault::new(store.clone(), of_vault, Arc::clone(&clock), Arc::clone(&randomness));
        let vault = Arc::new(vault);
        let last_seen = LastSeen::default();
        let placeholders = Placeholders::new(Arc::clone(subjects.sealing_key()), Arc::clone(&clock));
        let placeholders = Arc::new(placeholders);
        Ok(Self {
            store,
            subjects,
            placeholders,
            keys,
            vault,
            approvals,
            incidents,
            counts,
            labels,
            ledger,
            notary,
            clock,
            randomness,
            sources,
            last_seen,
        })
    }

    /// Opens the audit log for writing. Its first record is that it was opened.
    pub(crate) async fn evidence(&self, loaded: &Loaded) -> Result<Evidence, AuditError> {
        let settings = &loaded.settings.audit;
        let settings = AuditSettings {
            batch_window: settings.batch_window,
            strict: settings.strict,
            reads_when_stuck: settings.reads_when_stuck,
            notary: Some(Arc::clone(&self.notary)),
        };
        let writer = WriterId::new(self.clock.as_ref(), self.randomness.as_ref());
        let audit = Audit::open(self.store.clone(), writer, settings, Arc::clone(&self.clock)).await?;
        Ok(Evidence {
            audit: Arc::new(audit),
            subjects: Arc::clone(&self.subjects),
            clock: Arc::clone(&self.clock),
            config: self.config_version(),
        })
    }

    /// An id for a configuration that is put to work.
    pub(crate) fn config_version(&self) -> ConfigVersion {
        ConfigVersion::new(self.clock.as_ref(), self.randomness.as_ref())
    }
}

/// The store of an installation, if it was ever opened. Makes nothing.
pub(crate) async fn existing_store(loaded: &Loaded) -> Result<Option<Store>, StartError> {
    let is_file = loaded.settings.store.engine == StoreEngine::Sqlite;
    let file = loaded.settings.data_folder.join(DATABASE);
    if is_file && !matches!(file.try_exists(), Ok(true)) {
        return Ok(None);
    }
    open_store(loaded).await.map(Some)
}

/// The store of an installation, without its keys.
pub(crate) async fn open_store(loaded: &Loaded) -> Result<Store, StartError> {
    let folder = &loaded.settings.data_folder;
    make_private(folder)?;
    let target = loaded.settings.store.resolve(folder.join(DATABASE), &loaded.secrets())?;
    Ok(Store::open(target).await?)
}

/// Where the key of the audit log is, and where its newest checkpoint is kept.
pub(crate) fn log_files(loaded: &Loaded) -> (PathBuf, PathBuf) {
    let (folder, kept) = (&loaded.settings.data_folder, &loaded.settings.audit.checkpoint_file);
    (folder.join(LOG_KEY), kept.clone().unwrap_or_else(|| folder.join(CHECKPOINT)))
}

/// The key that signs the audit log. It is made on the first start alone, and its public half said.
async fn open_notary(
    store: &Store,
    loaded: &Loaded,
    randomness: &dyn Randomness,
) -> Result<Notary, StartError> {
    let (key_file, kept) = log_files(loaded);
    let signed = store.audit_checkpoint_newest().await?.is_some();
    if signed && matches!(key_file.try_exists(), Ok(false)) {
        return Err(StartError::LogKeyMissing { path: key_file.display().to_string() });
    }
    let (key, made) = LogKey::open_or_create(&key_file, randomness)?;
    if made {
        tracing::warn!(
            event = "audit.key_created",
            key = %key.public(),
            "the audit log has a key: keep this public half elsewhere, to check the log with"
        );
    }
    Ok(Notary::new(key, kept, loaded.settings.audit.checkpoint))
}

/// The subjects' keys, with the sealing key that wraps them. It is made on the
/// first start alone: beside a store that another one sealed, a new one is of no use.
async fn open_subjects(
    store: &Store,
    key_file: &Path,
    clock: &Arc<dyn Clock>,
    randomness: &Arc<dyn Randomness>,
) -> Result<Subjects, StartError> {
    let path = || key_file.display().to_string();
    // In this order: a process that starts at the same time makes the file before it seals.
    if Subjects::are_in(store).await? && matches!(key_file.try_exists(), Ok(false)) {
        return Err(StartError::KeyMissing { path: path() });
    }
    let sealing = Arc::new(SealingKey::open_or_create(key_file, Arc::clone(randomness))?);
    let subjects = Subjects::new(store.clone(), sealing, Arc::clone(clock), Arc::clone(randomness));
    match subjects.confirm().await {
        Ok(()) => Ok(subjects),
        Err(AuditError::Crypto(CryptoError::DoesNotOpen)) => Err(StartError::KeyForeign { path: path() }),
        Err(error) => Err(error.into()),
    }
}

/// The data folder holds keys: nobody else may look into it.
fn make_private(folder: &Path) -> Result<(), StartError> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
        .create(folder)
        .map_err(|e| StartError::DataFolder { path: folder.display().to_string(), reason: e.to_string() })
}
