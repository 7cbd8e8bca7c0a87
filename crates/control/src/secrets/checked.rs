//! The section `secrets`, checked: what the sources work with.
//!
//! Invariants:
//! - What a server needs to be asked comes from elsewhere than a server, so no source waits for itself.
//! - A path of a server has no part that leads elsewhere.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use quaymaster_core::SecretRef;
use quaymaster_core::setting::{DurationSetting, Slug};
use quaymaster_core::suggest::did_you_mean;

use super::config::{
    AppRoleConfig, CommandConfig, KvConfig, OriginConfig, SecretsConfig, TransitConfig, VaultConfig,
};
use crate::address::address;

const LONGEST: Duration = Duration::from_hours(24);
const LONGEST_COMMAND: Duration = Duration::from_mins(1);
const MAX_ATTRIBUTES: usize = 16;
const MAX_ARGUMENTS: usize = 64;
/// Variables that a command may be passed on: what programs need to find their way around a machine.
const INHERITABLE: [&str; 9] =
    ["PATH", "HOME", "USER", "LANG", "LC_ALL", "TZ", "TMPDIR", "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS"];

/// Where secrets come from, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretSettings {
    /// The folder with one file for each secret, if there is one.
    pub files: Option<PathBuf>,
    pub(super) refresh: Duration,
    pub(super) stale: Duration,
    pub(super) vaults: BTreeMap<Slug, VaultSettings>,
    pub(super) named: BTreeMap<String, Named>,
    pub(super) keyring_program: PathBuf,
}

impl Default for SecretSettings {
    fn default() -> Self {
        let SecretsConfig { refresh, stale, keyring_program, .. } = SecretsConfig::default();
        Self {
            files: None,
            refresh: refresh.get(),
            stale: stale.get(),
            vaults: BTreeMap::new(),
            named: BTreeMap::new(),
            keyring_program: keyring_program.into(),
        }
    }
}

/// A server, and how the gateway logs in to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct VaultSettings {
    /// Without a `/` at its end.
    pub(super) url: String,
    pub(super) namespace: Option<String>,
    pub(super) login: Login,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Login {
    Token(SecretRef),
    AppRole { mount: String, role_id: String, secret_id: SecretRef },
}

/// Where one secret comes from, and for how long it is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) origin: Origin,
    pub(super) refresh: Duration,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    Environment(String),
    File(PathBuf),
    Keyring(Vec<(String, String)>),
    Command(Program),
    Kv { server: Slug, mount: String, path: String, field: String, version: Option<NonZeroU32> },
    Transit { server: Slug, mount: String, key: String, ciphertext: SecretRef },
}

/// A program that prints a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Program {
    pub(super) path: PathBuf,
    pub(super) args: Vec<String>,
    pub(super) timeout: Duration,
    pub(super) inherit_env: Vec<String>,
}

/// What is wrong with the section, at its path in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretsProblem {
    /// Such as `secrets.named.CRM_TOKEN.vault.server`.
    pub path: String,
    /// What is wrong: lower case, no full stop.
    pub message: String,
    /// What would be right.
    pub help: Option<String>,
}

struct Check<'a> {
    config: &'a SecretsConfig,
    folder: &'a Path,
    problems: Vec<SecretsProblem>,
}

impl SecretsConfig {
    /// Checks the section; paths in it are relative to `folder`.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it.
    pub fn check(&self, folder: &Path) -> Result<SecretSettings, Vec<SecretsProblem>> {
        let mut check = Check { config: self, folder, problems: Vec::new() };
        let settings = check.settings();
        if check.problems.is_empty() { Ok(settings) } else { Err(check.problems) }
    }
}

impl Check<'_> {
    fn add(&mut self, path: impl Into<String>, message: impl Into<String>, help: impl Into<Option<String>>) {
        let (path, message, help) = (path.into(), message.into(), help.into());
        self.problems.push(SecretsProblem { path, message, help });
    }

    fn settings(&mut self) -> SecretSettings {
        let config = self.config;
        self.duration("secrets.refresh", config.refresh, Duration::from_secs(1));
        self.duration("secrets.stale", config.stale, Duration::ZERO);
        if !Path::new(&config.keyring_program).is_absolute() {
            self.add("secrets.keyringProgram", "not an absolute path", None);
        }
        if config.files.as_deref().is_some_and(|files| files.is_empty() || files.contains('\0')) {
            self.add("secrets.files", "not a path", None);
        }
        let vaults = config.vaults.iter().filter_map(|(name, vault)| {
            let checked = self.vault(&format!("secrets.vaults.{name}"), vault)?;
            Some((name.clone(), checked))
        });
        let vaults = vaults.collect();
        let named = config.named.iter().filter_map(|(name, origin)| {
            let path = format!("secrets.named.{name}");
            if SecretRef::parse(&format!("${{secret:{name}}}")).is_err() {
                self.add(&path, "not a name of a secret", "a name has A-Z, 0-9 and _ alone".to_owned());
                return None;
            }
            Some((name.clone(), self.named(&path, origin)?))
        });
        let named = named.collect();
        SecretSettings {
            files: config.files.as_deref().map(|files| self.below(files)),
            refresh: config.refresh.get(),
            stale: config.stale.get(),
            vaults,
            named,
            keyring_program: config.keyring_program.clone().into(),
        }
    }

    fn below(&self, path: &str) -> PathBuf {
        self.folder.join(path.strip_prefix("./").unwrap_or(path))
    }

    fn duration(&mut self, path: &str, given: DurationSetting, least: Duration) {
        if given.get() > LONGEST || given.get() < least {
            let least = least.as_secs();
            self.add(path, format!("between {least}s and 24h"), None);
        }
    }

    fn vault(&mut self, path: &str, config: &VaultConfig) -> Option<VaultSettings> {
        let mut is_good = true;
        match address(&config.url) {
            Err(message) => {
                self.add(format!("{path}.url"), message, None);
                is_good = false;
            }
            Ok(uri) if uri.query().is_some() => {
                self.add(format!("{path}.url"), "an address without `?`", None);
                is_good = false;
            }
            Ok(_) => {}
        }
        if let Some(namespace) = &config.namespace {
            is_good &= self.plain(&format!("{path}.namespace"), namespace);
        }
        let login = match (&config.token, &config.app_role) {
            (Some(token), None) => {
                self.not_of_a_server(&format!("{path}.token"), token);
                Some(Login::Token(token.clone()))
            }
            (None, Some(AppRoleConfig { mount, role_id, secret_id })) => {
                is_good &= self.plain(&format!("{path}.appRole.mount"), mount);
                self.not_of_a_server(&format!("{path}.appRole.secretId"), secret_id);
                let (mount, role_id, secret_id) = (mount.clone(), role_id.clone(), secret_id.clone());
                Some(Login::AppRole { mount, role_id, secret_id })
            }
            (Some(_), Some(_)) | (None, None) => {
                let help = "as in `token: ${secret:VAULT_TOKEN}` or `appRole: { roleId: …, secretId: ${secret:VAULT_SECRET_ID} }`";
                self.add(path, "a server is logged in to by `token` or by `appRole`", help.to_owned());
                None
            }
        };
        let url = config.url.trim_end_matches('/').to_owned();
        let namespace = config.namespace.clone();
        is_good.then_some(())?;
        Some(VaultSettings { url, namespace, login: login? })
    }

    /// A path that may stand in an address as it is.
    fn plain(&mut self, path: &str, text: &str) -> bool {
        let is_part = |part: &str| {
            !matches!(part, "" | "." | "..")
                && part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
        };
        let is_good = text.len() <= 512 && text.split('/').all(is_part);
        if !is_good {
            self.add(path, "expected letters, digits, `-`, `_` and `.`, with `/` between parts", None);
        }
        is_good
    }

    fn not_of_a_server(&mut self, path: &str, reference: &SecretRef) {
        let origin = self.config.named.get(reference.name());
        if origin.is_some_and(|origin| origin.vault.is_some() || origin.transit.is_some()) {
            self.add(
                path,
                format!("secret `{}` comes from a server, which has to be asked before", reference.name()),
                "take it from a file, the environment, the keyring or a command".to_owned(),
            );
        }
    }

    fn known(&mut self, path: String, server: &Slug) {
        if !self.config.vaults.contains_key(server) {
            let declared = self.config.vaults.keys().map(Slug::as_str);
            let help = did_you_mean(server.as_str(), "declared in `secrets.vaults`", declared);
            self.add(path, format!("unknown server `{server}`"), help);
        }
    }

    fn named(&mut self, path: &str, config: &OriginConfig) -> Option<Named> {
        let origins: Vec<Option<Origin>> = [
            config.environment.as_ref().map(|variable| Some(Origin::Environment(variable.clone()))),
            config.file.as_ref().map(|file| Some(Origin::File(self.below(file)))),
            config.keyring.as_ref().map(|attributes| self.keyring(path, attributes)),
            config.command.as_ref().map(|command| self.command(path, command)),
            config.vault.as_ref().map(|kv| self.kv(path, kv)),
            config.transit.as_ref().map(|transit| self.transit(path, transit)),
        ]
        .into_iter()
        .flatten()
        .collect();
        if let Some(refresh) = config.refresh {
            self.duration(&format!("{path}.refresh"), refresh, Duration::from_secs(1));
        }
        let refresh = config.refresh.unwrap_or(self.config.refresh).get();
        match <[Option<Origin>; 1]>::try_from(origins) {
            Ok([origin]) => origin.map(|origin| Named { origin, refresh }),
            Err(_) => {
                let help = "one of `environment`, `file`, `keyring`, `command`, `vault` and `transit`";
                self.add(path, "a secret comes from exactly one source", help.to_owned());
                None
            }
        }
    }

    fn keyring(&mut self, path: &str, attributes: &BTreeMap<String, String>) -> Option<Origin> {
        let is_good = (1..=MAX_ATTRIBUTES).contains(&attributes.len())
            && attributes.iter().all(|(name, value)| {
                !name.is_empty() && !name.starts_with('-') && !value.starts_with('-') && !value.contains('\0')
            });
        if !is_good {
            let help = "as in `keyring: { service: quaymaster, account: crm }`".to_owned();
            self.add(format!("{path}.keyring"), "name the attributes of one entry", help);
        }
        is_good.then(|| Origin::Keyring(attributes.clone().into_iter().collect()))
    }

    fn command(&mut self, path: &str, config: &CommandConfig) -> Option<Origin> {
        let before = self.problems.len();
        let (program, args) = match config.argv.split_first() {
            Some((program, args)) if Path::new(program).is_absolute() => (program.clone(), args.to_vec()),
            _ => {
                let help = "as in `argv: [/usr/local/bin/print-secret, crm]`; no shell is used".to_owned();
                let message = "the program is named by its absolute path";
                self.add(format!("{path}.command.argv"), message, help);
                return None;
            }
        };
        if args.len() >= MAX_ARGUMENTS || args.iter().any(|arg| arg.contains('\0')) {
            self.add(format!("{path}.command.argv"), "too many arguments, or one with a NUL character", None);
        }
        if let Some(at) = args.iter().position(|arg| arg.contains("${")) {
            let message = "nothing is expanded in arguments, which every user of the machine can read";
            self.add(format!("{path}.command.argv[{}]", at + 1), message, None);
        }
        if config.timeout.get() > LONGEST_COMMAND {
            self.add(format!("{path}.command.timeout"), "at most `1m`", None);
        }
        for (at, name) in config.inherit_env.iter().enumerate() {
            if !INHERITABLE.contains(&name.as_str()) {
                let message = format!("`{}` is not passed on", name.escape_debug());
                let help = format!("one of {}", INHERITABLE.join(", "));
                self.add(format!("{path}.command.inheritEnv[{at}]"), message, help);
            }
        }
        let (timeout, inherit_env) = (config.timeout.get(), config.inherit_env.clone());
        let program = Program { path: program.into(), args, timeout, inherit_env };
        (self.problems.len() == before).then_some(Origin::Command(program))
    }

    fn kv(&mut self, path: &str, config: &KvConfig) -> Option<Origin> {
        self.known(format!("{path}.vault.server"), &config.server);
        let mount = self.plain(&format!("{path}.vault.mount"), &config.mount);
        let entry = self.plain(&format!("{path}.vault.path"), &config.path);
        (mount && entry).then(|| Origin::Kv {
            server: config.server.clone(),
            mount: config.mount.clone(),
            path: config.path.clone(),
            field: config.field.clone(),
            version: config.version,
        })
    }

    fn transit(&mut self, path: &str, config: &TransitConfig) -> Option<Origin> {
        self.known(format!("{path}.transit.server"), &config.server);
        let mount = self.plain(&format!("{path}.transit.mount"), &config.mount);
        let key = self.plain(&format!("{path}.transit.key"), &config.key);
        self.not_of_a_server(&format!("{path}.transit.ciphertext"), &config.ciphertext);
        (mount && key).then(|| Origin::Transit {
            server: config.server.clone(),
            mount: config.mount.clone(),
            key: config.key.clone(),
            ciphertext: config.ciphertext.clone(),
        })
    }
}
