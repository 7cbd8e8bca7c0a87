//! The configuration folder: read, checked, watched.
//!
//! [`load`] takes a folder to a [`Loaded`] configuration that holds together, or
//! to [`Diagnostics`] that name everything that is wrong with it. The steps, each
//! in its module: [`folder`] reads files, [`yaml`] makes trees of them, [`shape`]
//! makes typed values of trees, [`checked`], [`connector`] and [`across`] judge
//! what the values mean. Nothing is put to work here: that is `assembly`'s
//! part, and the policies are compiled by `quaymaster-control`.
//!
//! Invariants:
//! - Every problem is reported, not only the first, each where it is.
//! - No text in the folder makes loading panic or run without bound.
//! - A secret that stands in a file is neither repeated nor shown. Where none is expected `literals` finds it.

mod across;
mod approvals;
mod audit;
mod cases;
mod checked;
mod classification;
mod connector;
mod decode;
mod diagnostic;
mod document;
mod folder;
mod late;
mod limits;
mod listen;
pub(crate) mod literals;
mod locks;
mod render;
pub mod schema;
mod settings;
mod shape;
mod sinks;
mod watch;
mod yaml;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use quaymaster_connectors::IssuerWeb;
use quaymaster_connectors::problem::SpecProblem;
use quaymaster_control::classification::{Classes, KnownNames};
use quaymaster_control::secrets::Secrets;
use quaymaster_core::SystemClock;
use quaymaster_redaction::Engine;

use self::checked::{Known, PathProblem};
use self::document::Document;
use self::folder::Contents;

pub use self::audit::{AuditConfig, AuditSettings, CheckpointConfig, ReadsConfig};
pub use self::cases::{
    Expected, ExpectedObligations, PolicyCase, PolicyCases, PolicyTests, TestActor, TestAgent, TestContext,
    load_tests,
};
pub use self::checked::{LocalUser, Settings};
pub use self::classification::{LoadedClassification, load_classification};
pub use self::connector::Connector;
pub use self::diagnostic::{Code, Diagnostic, Diagnostics, Severity, Source, Span};
pub use self::folder::{CONTRACTS_FOLDER, SETTINGS_FILE};
pub use self::listen::Listen;
pub use self::locks::Locks;
pub use self::render::Style;
pub use self::settings::{
    CatalogueConfig, Executables, FirstSight, Follow, IntegrityConfig, ListenConfig, LocalUserConfig,
    SearchMode, SettingsConfig, SettingsVersion, WorkspaceConfig,
};
pub use self::sinks::{OnBehind, Sink, SinkConfig, SinkFormat, Target};
pub use self::watch::{Change, Reload, watch};
pub use self::yaml::locate;

/// Whether loading finds the secrets that a configuration names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretCheck {
    /// Names are taken on trust, as where a configuration is checked far from where it will run.
    Skip,
    /// A secret that cannot be had is an error.
    Resolve,
}

/// A configuration that holds together.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The settings.
    pub settings: Settings,
    /// The connectors in the order of their names, each with its file.
    pub connectors: Vec<LoadedConnector>,
    /// The contracts that are pinned, by connector.
    pub locks: Locks,
    /// The policy files in the order of their names. Not yet compiled.
    pub policies: Vec<Arc<Source>>,
    /// What is looked for in whatever leaves, if there is a classification.
    pub redaction: Option<Arc<Engine>>,
    /// What the classification says of levels and tools.
    pub classes: Arc<Classes>,
    /// SHA-256 over all files, as `sha256:<64 hexadecimal digits>`.
    pub digest: String,
    /// What is worth knowing and no reason to refuse.
    pub warnings: Diagnostics,
    /// The folder, to which paths in connectors are relative.
    pub folder: PathBuf,
    pub(crate) secrets: Secrets,
}

/// A connector with its file.
#[derive(Clone, Debug)]
pub struct LoadedConnector {
    /// What the file says.
    pub connector: Connector,
    /// The file.
    pub source: Arc<Source>,
}

impl Loaded {
    /// Where this configuration finds its secrets.
    pub fn secrets(&self) -> Secrets {
        self.secrets.clone()
    }
}

/// Reads the policies of a folder that is no part of a configuration.
///
/// # Errors
///
/// Says which file cannot be read.
pub fn read_policies(folder: &Path) -> Result<Vec<Arc<Source>>, Diagnostics> {
    let (files, found) = folder::read_policies(folder);
    if found.has_errors() { Err(found) } else { Ok(files.into_iter().map(Arc::new).collect()) }
}

/// The folders below `folder` that hold state and secrets, and are no texts of the configuration.
pub(crate) fn kept_apart(folder: &Path) -> Vec<PathBuf> {
    let (contents, _) = folder::read(folder);
    let settings = contents.settings.map(Document::<SettingsConfig>::read).and_then(|file| file.value);
    let named = settings.map(|settings| [Some(settings.data_folder), settings.secrets.files]);
    let named = named.unwrap_or([Some("data".into()), None]);
    // As `read_dir` spells them: without `.` between.
    named.into_iter().flatten().map(|path| folder.join(path).components().collect()).collect()
}

/// Reads and checks the configuration in `folder`.
///
/// # Errors
///
/// Everything that is wrong, warnings included.
pub fn load(folder: &Path, secrets: SecretCheck) -> Result<Loaded, Diagnostics> {
    let (contents, found) = folder::read(folder);
    check(folder, contents, found, secrets)
}

fn check(
    folder: &Path,
    contents: Contents,
    mut found: Diagnostics,
    secrets: SecretCheck,
) -> Result<Loaded, Diagnostics> {
    let digest = contents.digest();
    let mut settings_file = contents.settings.map(Document::<SettingsConfig>::read);
    let read = |source| Document::read_with(source, connector::read);
    let mut connectors: Vec<Document<Connector>> = contents.connectors.into_iter().map(read).collect();

    let settings = settings_file.as_mut().and_then(|file| check_settings(folder, file, &mut connectors));
    let all = settings.as_ref().map(|settings| {
        let web = Arc::new(IssuerWeb::default());
        Secrets::new(settings.secrets.clone(), web, Arc::new(SystemClock))
    });
    let secrets = all.clone().filter(|_| secrets == SecretCheck::Resolve);
    if let Some((secrets, file)) = secrets.as_ref().zip(settings_file.as_mut()) {
        file.report_missing_secrets(secrets);
    }
    across::report_duplicates(&mut connectors);
    if settings.as_ref().is_some_and(|settings| settings.integrity.executables == Executables::Pinned) {
        across::report_unpinned(&mut connectors);
    }
    for file in &mut connectors {
        check_connector(folder, file, secrets.as_ref());
    }

    found.add(settings_file.into_iter().flat_map(|file| file.found));
    let mut loaded = Vec::new();
    for Document { source, value, found: of_file, .. } in connectors {
        found.add(of_file);
        loaded.extend(value.map(|connector| LoadedConnector { connector, source }));
    }
    let names: BTreeSet<&str> = loaded.iter().map(|c| c.connector.metadata().name.as_str()).collect();
    let (locks, of_locks) = locks::read(contents.locks, &names);
    found.add(of_locks);
    // Of files with errors it is not known what they name.
    let known = settings.as_ref().filter(|_| !found.has_errors());
    let known = known.map(|settings| known_names(settings, &loaded));
    let classification = contents.classification.map(|source| classification::check(source, known.as_ref()));
    let (classification, of_classification) = classification.unzip();
    found.add(of_classification.into_iter().flatten());
    loaded.sort_by(|a, b| a.connector.metadata().name.cmp(&b.connector.metadata().name));
    let (classes, engine) = classification.flatten().map(|c| (c.classes, c.engine)).unzip();
    let (classes, redaction) = (Arc::new(classes.unwrap_or_default()), engine.map(Arc::new));
    match settings.zip(all) {
        Some((settings, secrets)) if !found.has_errors() => Ok(Loaded {
            settings,
            secrets,
            connectors: loaded,
            locks,
            policies: contents.policies,
            redaction,
            classes,
            digest,
            warnings: found,
            folder: folder.to_owned(),
        }),
        _ => Err(found),
    }
}

/// What a classification may name.
fn known_names(settings: &Settings, connectors: &[LoadedConnector]) -> KnownNames {
    let metadata = connectors.iter().map(|c| c.connector.metadata());
    KnownNames {
        connectors: metadata.map(|metadata| metadata.name.to_string()).collect(),
        tools: connectors.iter().flat_map(|c| c.connector.policy_names()).collect(),
        roles: settings.roles.keys().map(ToString::to_string).collect(),
        workspaces: settings
            .workspaces
            .iter()
            .map(|(name, workspace)| (name.clone(), workspace.jurisdiction.clone()))
            .collect(),
    }
}

/// Checks the settings, and the names that connectors take from them.
fn check_settings(
    folder: &Path,
    file: &mut Document<SettingsConfig>,
    connectors: &mut [Document<Connector>],
) -> Option<Settings> {
    let config = file.value.take()?;
    let known = Known { workspaces: &config.workspaces, roles: &config.roles };
    across::report_unknown_names(known, connectors);
    let unknown = limits::unknown_targets(&config.limits, connectors);
    file.report(unknown);
    let (settings, problems) = checked::settings(config, folder);
    file.report(problems);
    settings
}

/// Checks what a connector says of itself, and its secrets where there are any to look at.
fn check_connector(folder: &Path, file: &mut Document<Connector>, secrets: Option<&Secrets>) {
    if let Some(secrets) = secrets {
        file.report_missing_secrets(secrets);
    }
    let problems = file.value.as_ref().map(|connector| connector.problems(secrets, folder));
    let problem = |SpecProblem { path, message, help }: SpecProblem| {
        PathProblem::error(Code::Connector, path, message).help(help)
    };
    file.report(problems.unwrap_or_default().into_iter().map(problem));
}
