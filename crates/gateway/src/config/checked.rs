//! Settings that hold together: what the gateway works with.
//!
//! [`Settings`] is made of a [`SettingsConfig`] in one place, here, or not at all.
//! Everything that is wrong comes back at once, each at its path in the file.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use quaymaster_control::limits::LimitRule;
use quaymaster_core::actor::RoleConfig;
use quaymaster_core::setting::{ByteSize, Slug};
use quaymaster_core::suggest::did_you_mean;
use quaymaster_core::{Role, Workspace};
use quaymaster_store::{StoreConfig, StoreConfigError};

use super::diagnostic::{Code, Problem};
use super::limits;
use super::settings::{AuditConfig, ListenConfig, LocalUserConfig, SettingsConfig, WorkspaceConfig};

/// Largest request that may be configured.
const MAX_BODY: ByteSize = ByteSize::new(64 * 1024 * 1024);
/// Longest window in which records may wait for each other.
const MAX_BATCH_WINDOW: Duration = Duration::from_secs(1);

/// Most objects that a page of a list may have.
const MAX_PAGE: u32 = 10_000;

/// The settings of a gateway, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Where clients connect, and what they may send.
    pub listen: Listen,
    /// Where the gateway keeps its own state.
    pub store: StoreConfig,
    /// The folder for state and logs.
    pub data_folder: PathBuf,
    /// The workspaces, by name.
    pub workspaces: BTreeMap<Workspace, WorkspaceConfig>,
    /// The workspace at `/mcp`; one of `workspaces`.
    pub default_workspace: Workspace,
    /// The roles, by name.
    pub roles: BTreeMap<Role, RoleConfig>,
    /// Who the user of this machine is, if they may do anything.
    pub local_user: Option<LocalUser>,
    /// The folder with one file for each secret, if there is one.
    pub secret_files: Option<PathBuf>,
    /// How calls are recorded.
    pub audit: AuditSettings,
    /// How often, how many at once and how much.
    pub limits: Vec<LimitRule>,
}

/// Where clients connect, and what they may send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    /// On loopback unless that was expressly allowed otherwise.
    pub address: SocketAddr,
    /// Where scrapers connect, on loopback unless that was expressly allowed otherwise.
    pub metrics: Option<SocketAddr>,
    /// Hosts besides those of loopback, in lower case, each with its port where one was given.
    pub allowed_hosts: Vec<String>,
    /// Origins of web pages, in lower case: scheme, host and, where it was given, port.
    pub allowed_origins: Vec<String>,
    /// Most bytes of one request.
    pub max_body_bytes: usize,
    /// Most connections that are open at once.
    pub max_connections: usize,
    /// Most sessions that are open at once.
    pub max_sessions: usize,
    /// Most of them that one principal has.
    pub max_sessions_per_actor: usize,
    /// How long a session without a request stays open.
    pub session_idle: Duration,
}

/// Who the user of this machine is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalUser {
    /// Declared roles, sorted, without repeats.
    pub roles: Vec<Role>,
    /// A declared workspace.
    pub workspace: Workspace,
}

/// How calls are recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuditSettings {
    /// How long the record of a read may wait to be written together with others.
    pub batch_window: Duration,
    /// Whether reads are recorded like writes.
    pub strict: bool,
}

/// A problem at a path of a file, such as `listen.address`.
#[derive(Debug)]
pub(super) struct PathProblem {
    pub(super) path: String,
    pub(super) problem: Problem,
}

impl PathProblem {
    pub(super) fn error(code: Code, path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { path: path.into(), problem: Problem::error(code, None, message) }
    }

    #[must_use]
    pub(super) fn help(self, help: impl Into<Option<String>>) -> Self {
        Self { problem: self.problem.help(help), ..self }
    }
}

/// Checks `config`; paths in it are relative to `folder`. Settings with an error are of no use.
pub(super) fn settings(config: SettingsConfig, folder: &Path) -> (Option<Settings>, Vec<PathProblem>) {
    let mut problems = Vec::new();
    let known = Known { workspaces: &config.workspaces, roles: &config.roles };
    problems.extend(known.workspace("defaultWorkspace", &config.default_workspace));
    if let Some(user) = &config.local_user {
        problems.extend(known.roles("localUser.roles", &user.roles));
        problems.extend(user.workspace.iter().filter_map(|w| known.workspace("localUser.workspace", w)));
    }
    problems.extend(config.store.check().err().as_ref().map(store_problem));
    problems.extend(page_problems(&config.workspaces));
    let audit = audit(&config.audit, &mut problems);
    let listen = listen(&config.listen, &mut problems);
    let limits = limits::rules(&config.limits, known, &mut problems);
    let data_folder = path_below(folder, "dataFolder", &config.data_folder, &mut problems);
    let files = config.secrets.files.as_deref();
    let secret_files = files.and_then(|files| path_below(folder, "secrets.files", files, &mut problems));
    let local_user = config.local_user.map(|user| local_user(user, &config.default_workspace));
    let settings = match (listen, data_folder) {
        (Some(listen), Some(data_folder)) if problems.is_empty() => Some(Settings {
            listen,
            store: config.store,
            data_folder,
            workspaces: config.workspaces,
            default_workspace: config.default_workspace,
            roles: config.roles,
            local_user,
            secret_files,
            audit,
            limits,
        }),
        _ => None,
    };
    (settings, problems)
}

/// The names that other parts of a configuration may use.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known<'a> {
    pub(super) workspaces: &'a BTreeMap<Workspace, WorkspaceConfig>,
    pub(super) roles: &'a BTreeMap<Role, RoleConfig>,
}

impl Known<'_> {
    /// The problem, if `name` is not a workspace.
    pub(super) fn workspace(self, path: &str, name: &Slug) -> Option<PathProblem> {
        if self.workspaces.contains_key(name) {
            return None;
        }
        let declared = self.workspaces.keys().map(Slug::as_str);
        let help = did_you_mean(name.as_str(), "declared in `workspaces`", declared);
        Some(
            PathProblem::error(Code::UnknownWorkspace, path, format!("unknown workspace `{name}`"))
                .help(help),
        )
    }

    /// A problem for each of `names` that is not a role; `path` is that of the list.
    pub(super) fn roles(self, path: &str, names: &[Slug]) -> Vec<PathProblem> {
        let unknown = names.iter().enumerate().filter(|(_, name)| !self.roles.contains_key(*name));
        let problem = |(index, name): (usize, &Slug)| {
            let declared = self.roles.keys().map(Slug::as_str);
            let help = did_you_mean(name.as_str(), "declared in `roles`", declared)
                .or_else(|| Some("declare it in `roles` of quaymaster.yaml".to_owned()));
            let message = format!("unknown role `{name}`");
            PathProblem::error(Code::UnknownRole, format!("{path}[{index}]"), message).help(help)
        };
        unknown.map(problem).collect()
    }
}

fn local_user(config: LocalUserConfig, default: &Workspace) -> LocalUser {
    let mut roles = config.roles;
    roles.sort();
    roles.dedup();
    LocalUser { roles, workspace: config.workspace.unwrap_or_else(|| default.clone()) }
}

fn page_problems(workspaces: &BTreeMap<Workspace, WorkspaceConfig>) -> impl Iterator<Item = PathProblem> {
    let too_long = workspaces.iter().filter(|(_, config)| config.catalogue.page_size.get() > MAX_PAGE);
    too_long.map(|(name, _)| {
        let path = format!("workspaces.{name}.catalogue.pageSize");
        PathProblem::error(Code::Value, path, format!("a page has at most {MAX_PAGE} objects"))
    })
}

fn store_problem(error: &StoreConfigError) -> PathProblem {
    let path = match error {
        StoreConfigError::PoolSize { .. } => "store.pool.max",
        _ => "store.url",
    };
    PathProblem::error(Code::Value, path, error.to_string())
}

fn audit(config: &AuditConfig, problems: &mut Vec<PathProblem>) -> AuditSettings {
    let batch_window = config.batch_window.get();
    if batch_window > MAX_BATCH_WINDOW {
        let message = "a record may wait for at most `1s`";
        problems.push(PathProblem::error(Code::Value, "audit.batchWindow", message));
    }
    AuditSettings { batch_window, strict: config.strict }
}

fn path_below(folder: &Path, path: &str, value: &str, problems: &mut Vec<PathProblem>) -> Option<PathBuf> {
    if value.is_empty() || value.contains('\0') {
        problems.push(PathProblem::error(Code::Value, path, "not a path"));
        return None;
    }
    Some(folder.join(value.strip_prefix("./").unwrap_or(value)))
}

fn listen(config: &ListenConfig, problems: &mut Vec<PathProblem>) -> Option<Listen> {
    let address = socket("listen.address", &config.address, config.allow_non_loopback, problems);
    let metrics = config.metrics.as_deref();
    let metrics =
        metrics.and_then(|text| socket("listen.metrics", text, config.allow_non_loopback, problems));
    if metrics.is_some_and(|metrics| metrics.port() != 0 && Some(metrics) == address) {
        let message = "metrics have a port of their own, which clients do not reach";
        problems.push(PathProblem::error(Code::Value, "listen.metrics", message));
    }
    if config.max_body_bytes.get() > MAX_BODY.get() {
        problems.push(PathProblem::error(
            Code::Value,
            "listen.maxBodyBytes",
            "a request has at most `64MiB`",
        ));
    }
    let hosts = names(&config.allowed_hosts, "listen.allowedHosts", problems, host);
    let origins = names(&config.allowed_origins, "listen.allowedOrigins", problems, origin);
    Some(Listen {
        address: address?,
        metrics,
        allowed_hosts: hosts,
        allowed_origins: origins,
        max_body_bytes: config.max_body_bytes.get(),
        max_connections: count(config.max_connections),
        max_sessions: count(config.max_sessions),
        max_sessions_per_actor: count(config.max_sessions_per_actor),
        session_idle: config.session_idle.get(),
    })
}

/// An address that other machines reach only if they may.
fn socket(
    path: &str,
    text: &str,
    may_be_reached: bool,
    problems: &mut Vec<PathProblem>,
) -> Option<SocketAddr> {
    let Ok(address) = text.parse::<SocketAddr>() else {
        let message = format!("`{}` is not an address with a port", text.escape_debug());
        let help = "write the number of an address, as in `127.0.0.1:8080` or `[::1]:8080`".to_owned();
        problems.push(PathProblem::error(Code::Value, path, message).help(help));
        return None;
    };
    if !address.ip().is_loopback() && !may_be_reached {
        let message = format!("`{address}` can be reached from other machines");
        let help = "tokens and results travel unencrypted: listen on `127.0.0.1`, or, behind a proxy that does \
                    TLS, say `allowNonLoopback: true` and name the proxy's host in `allowedHosts`";
        problems.push(PathProblem::error(Code::Exposed, path, message).help(help.to_owned()));
    }
    Some(address)
}

fn count(number: NonZeroU32) -> usize {
    usize::try_from(number.get()).unwrap_or(usize::MAX)
}

fn names(
    written: &[String],
    path: &str,
    problems: &mut Vec<PathProblem>,
    read: fn(&str) -> Result<String, &'static str>,
) -> Vec<String> {
    let mut read_ones = Vec::new();
    for (index, text) in written.iter().enumerate() {
        match read(text) {
            Ok(name) => read_ones.push(name),
            Err(expected) => problems.push(PathProblem::error(
                Code::Value,
                format!("{path}[{index}]"),
                format!("`{}` is not {expected}", text.escape_debug()),
            )),
        }
    }
    read_ones
}

/// A host name or address, and a port where one is given; no pattern.
fn host(text: &str) -> Result<String, &'static str> {
    let (name, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, port)) => (address, port.strip_prefix(':')),
        None => text.split_once(':').map_or((text, None), |(name, port)| (name, Some(port))),
    };
    let name_fits = !name.is_empty()
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b':'));
    let port_fits = port.is_none_or(|port| port.parse::<u16>().is_ok_and(|number| number > 0));
    if name_fits && port_fits && (text.starts_with('[') || !name.contains(':')) {
        return Ok(text.to_ascii_lowercase());
    }
    Err("a host such as `gateway.example.test` or `gateway.example.test:8443`")
}

/// Scheme and host, and a port where one is given (RFC 6454, section 6.1).
fn origin(text: &str) -> Result<String, &'static str> {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    match rest.map(host) {
        Some(Ok(_)) => Ok(text.to_ascii_lowercase()),
        _ => Err("an origin such as `https://app.example.test`, without a path"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::shape::shape;
    use super::super::yaml::parse;
    use super::*;

    const REST: &str = "apiVersion: quaymaster/v1\nworkspaces: { ops: {}, lab: {} }\ndefaultWorkspace: ops\n\
                        roles: { analyst: { clearance: internal }, clerk: { clearance: public } }\n";

    fn check(text: &str) -> (Option<Settings>, Vec<PathProblem>) {
        let text = format!("{REST}{text}");
        let shaped = shape::<SettingsConfig>(&parse(&text).expect("YAML"), &text);
        assert_eq!(shaped.problems, []);
        settings(shaped.value.expect("settings"), Path::new("/etc/quaymaster"))
    }

    fn found(text: &str) -> String {
        let (settings, problems) = check(text);
        assert!(settings.is_none());
        let lines = problems.into_iter().map(|PathProblem { path, problem }| {
            format!("{path}: {}: {} ({})", problem.code, problem.message, problem.help.unwrap_or_default())
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn what_is_not_said_is_the_narrower_choice() {
        let (settings, problems) = check("");
        assert_eq!(problems.len(), 0);
        insta::assert_debug_snapshot!(settings.expect("settings"));
    }

    #[test]
    fn paths_are_below_the_configuration_unless_they_are_absolute() {
        let (settings, _) = check("dataFolder: /var/lib/quaymaster\nsecrets: { files: ../secrets }\n");
        let settings = settings.expect("settings");
        assert_eq!(settings.data_folder, Path::new("/var/lib/quaymaster"));
        assert_eq!(settings.secret_files.as_deref(), Some(Path::new("/etc/quaymaster/../secrets")));
    }

    #[test]
    fn another_address_than_loopback_must_be_allowed_expressly() {
        for address in ["0.0.0.0:80", "'[::]:80'", "192.168.0.7:8080"] {
            assert!(
                found(&format!("listen: {{ address: {address} }}\n")).contains("config.exposed"),
                "{address}"
            );
            let allowed = check(&format!("listen: {{ address: {address}, allowNonLoopback: true }}\n"));
            assert!(allowed.0.is_some(), "{address}");
        }
        for metrics in ["0.0.0.0:9464", "'127.0.0.1:8080'", "metrics"] {
            let found = found(&format!("listen: {{ metrics: {metrics} }}\n"));
            assert!(found.starts_with("listen.metrics: config."), "{found}");
        }
        assert!(check("listen: { metrics: '127.0.0.1:9464' }\n").0.is_some());
        for address in ["127.8.8.8:1", "'[::1]:0'"] {
            assert!(check(&format!("listen: {{ address: {address} }}\n")).0.is_some(), "{address}");
        }
    }

    #[test]
    fn what_does_not_hold_together_is_told_all_at_once() {
        insta::assert_snapshot!(found(
            "listen:\n  address: localhost:8080\n  maxBodyBytes: 65MiB\n  allowedHosts: ['*', 'a b', 'a:0', ok]\n  \
             allowedOrigins: ['*', 'https://a/path', 'null', 'https://ok:8443']\n\
             store: { engine: postgres, pool: { max: 0 } }\naudit: { batchWindow: 2s }\ndataFolder: ''\n\
             localUser: { roles: [analist, boss, clerk], workspace: op }\n"
        ));
        assert!(found("store: { engine: postgres }\n").starts_with("store.url"));
    }

    #[test]
    fn a_limit_that_limits_nothing_is_refused() {
        insta::assert_snapshot!(found(
            "limits:\n  - { name: a, limit: 30/minute }\n  - { name: a, limit: 30/1m, for: { role: boss } }\n  \
             - { name: b, limit: concurrent 2; rows 5, for: { workspace: op, actor: '' } }\n"
        ));
        let (settings, _) = check("limits: [{ name: a, limit: concurrent 2; 30/1m by tool }]\n");
        assert_eq!(settings.expect("settings").limits.len(), 2);
    }

    #[test]
    fn the_local_user_acts_in_the_default_workspace_and_has_each_role_once() {
        let (settings, _) = check("localUser: { roles: [clerk, analyst, clerk] }\n");
        let user = settings.expect("settings").local_user.expect("a user");
        assert_eq!(user.roles.iter().map(Slug::as_str).collect::<Vec<_>>(), ["analyst", "clerk"]);
        assert_eq!(user.workspace.as_str(), "ops");
    }
}
