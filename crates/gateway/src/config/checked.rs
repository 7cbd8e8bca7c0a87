//! Settings that hold together: what the gateway works with.
//!
//! [`Settings`] is made of a [`SettingsConfig`] in one place, here, or not at all.
//! Everything that is wrong comes back at once, each at its path in the file.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use quaymaster_control::flow::{LONGEST_WINDOW, SHORTEST_WINDOW};
use quaymaster_control::identity::{IdentityProblem, IdentitySettings};
use quaymaster_control::limits::LimitRule;
use quaymaster_control::secrets::{SecretSettings, SecretsProblem};
use quaymaster_core::actor::RoleConfig;
use quaymaster_core::setting::Slug;
use quaymaster_core::suggest::did_you_mean;
use quaymaster_core::{ActorId, Role, Workspace, Zone};
use quaymaster_operations::notify::config::ApprovalsConfig;
use quaymaster_store::{StoreConfig, StoreConfigError};

use super::approvals;
use super::audit::{AuditSettings, audit};
use super::diagnostic::{Code, Problem};
use super::limits;
use super::listen::{Listen, listen};
use super::settings::{FlowConfig, IntegrityConfig, LocalUserConfig, SettingsConfig, WorkspaceConfig};

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
    /// Who is told of calls that wait until somebody agrees.
    pub approvals: Arc<ApprovalsConfig>,
    /// The issuers whose access tokens are taken.
    pub identity: IdentitySettings,
    /// Where secrets come from.
    pub secrets: SecretSettings,
    /// How calls are recorded.
    pub audit: AuditSettings,
    /// What becomes of tools whose definitions nobody has accepted.
    pub integrity: IntegrityConfig,
    /// How long labels follow an actor.
    pub label_window: Duration,
    /// How often, how many at once and how much.
    pub limits: Vec<LimitRule>,
}

/// Who the user of this machine is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalUser {
    /// Declared roles, sorted, without repeats.
    pub roles: Vec<Role>,
    /// A declared workspace.
    pub workspace: Workspace,
    /// Who that is under another name.
    pub person: Option<ActorId>,
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
        problems.extend(approvals::person_problem(user));
    }
    problems.extend(config.store.check().err().as_ref().map(store_problem));
    problems.extend(page_problems(&config.workspaces));
    problems.extend(zone_problems(&config.workspaces));
    problems.extend(window_problem(&config.flow));
    problems.extend(approvals::problems(&config.approvals, known));
    let audit = audit(&config.audit, folder, &mut problems);
    let listen = listen(&config.listen, &mut problems);
    let limits = limits::rules(&config.limits, known, &mut problems);
    let public_url = listen.as_ref().and_then(|listen| listen.public_url.as_deref());
    let roles: BTreeSet<&str> = config.roles.keys().map(Slug::as_str).collect();
    let identity = config.identity.check(public_url.or(config.listen.public_url.as_deref()), &roles);
    let identity = identity.map_err(|found| problems.extend(found.into_iter().map(identity_problem))).ok();
    let data_folder = path_below(folder, "dataFolder", &config.data_folder, &mut problems);
    let secrets = config.secrets.check(folder);
    let secrets = secrets.map_err(|found| problems.extend(found.into_iter().map(secrets_problem))).ok();
    let local_user = config.local_user.map(|user| local_user(user, &config.default_workspace));
    let settings = match (listen, data_folder, identity, secrets) {
        (Some(listen), Some(data_folder), Some(identity), Some(secrets)) if problems.is_empty() => {
            Some(Settings {
                listen,
                store: config.store,
                data_folder,
                workspaces: config.workspaces,
                default_workspace: config.default_workspace,
                roles: config.roles,
                local_user,
                approvals: Arc::new(config.approvals),
                identity,
                secrets,
                audit,
                integrity: config.integrity,
                label_window: config.flow.window.get(),
                limits,
            })
        }
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
    let person = config.person.and_then(|name| ActorId::parse(&name).ok());
    LocalUser { roles, workspace: config.workspace.unwrap_or_else(|| default.clone()), person }
}

fn page_problems(workspaces: &BTreeMap<Workspace, WorkspaceConfig>) -> impl Iterator<Item = PathProblem> {
    let too_long = workspaces.iter().filter(|(_, config)| config.catalogue.page_size.get() > MAX_PAGE);
    too_long.map(|(name, _)| {
        let path = format!("workspaces.{name}.catalogue.pageSize");
        PathProblem::error(Code::Value, path, format!("a page has at most {MAX_PAGE} objects"))
    })
}

fn zone_problems(workspaces: &BTreeMap<Workspace, WorkspaceConfig>) -> impl Iterator<Item = PathProblem> {
    workspaces.iter().filter_map(|(name, config)| {
        let message = Zone::parse(config.time_zone.as_deref()?).err()?;
        Some(PathProblem::error(Code::Value, format!("workspaces.{name}.timeZone"), message))
    })
}

fn secrets_problem(SecretsProblem { path, message, help }: SecretsProblem) -> PathProblem {
    PathProblem::error(Code::Value, path, message).help(help)
}

fn window_problem(config: &FlowConfig) -> Option<PathProblem> {
    let fits = (SHORTEST_WINDOW..=LONGEST_WINDOW).contains(&config.window.get());
    (!fits).then(|| PathProblem::error(Code::Value, "flow.window", "labels last from `1h` to `30d`"))
}

fn store_problem(error: &StoreConfigError) -> PathProblem {
    let path = match error {
        StoreConfigError::PoolSize { .. } => "store.pool.max",
        _ => "store.url",
    };
    PathProblem::error(Code::Value, path, error.to_string())
}

fn identity_problem(problem: IdentityProblem) -> PathProblem {
    let IdentityProblem { path, message, help } = problem;
    let code = if message.starts_with("unknown role") { Code::UnknownRole } else { Code::Value };
    PathProblem::error(code, path, message).help(help)
}

pub(super) fn path_below(
    folder: &Path,
    path: &str,
    value: &str,
    problems: &mut Vec<PathProblem>,
) -> Option<PathBuf> {
    if value.is_empty() || value.contains('\0') {
        problems.push(PathProblem::error(Code::Value, path, "not a path"));
        return None;
    }
    Some(folder.join(value.strip_prefix("./").unwrap_or(value)))
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
        assert_eq!(settings.secrets.files.as_deref(), Some(Path::new("/etc/quaymaster/../secrets")));
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
    fn a_log_in_that_does_not_hold_together_is_told_at_its_place() {
        let issuer = |login: &str| {
            format!(
                "listen: {{ publicUrl: 'https://a.test' }}\nidentity: {{ issuers: [{{ name: corp, issuer: 'https://b.test', \
                 login: {login} }}] }}\n"
            )
        };
        insta::assert_snapshot!(found(&issuer(
            "{ clientId: 'a b', nativeClientId: '', scopes: [email, 'two words'], lifetime: 9h }"
        )));
        let (settings, _) = check(&issuer("{ clientId: console }"));
        let identity = settings.expect("settings").identity;
        assert!(!identity.takes_codes(), "an issuer logs people in");
        assert!(check("").0.expect("settings").identity.takes_codes());
        let (settings, _) =
            check(&issuer("{ clientId: console }").replace("issuers:", "localCodes: true, issuers:"));
        assert!(settings.expect("settings").identity.takes_codes());
    }

    #[test]
    fn issuers_that_do_not_hold_together_are_told_all_at_once() {
        insta::assert_snapshot!(found(
            "listen: { publicUrl: 'https://gateway.example.test/mcp' }\n\
             identity:\n  issuers:\n\
             \x20   - { name: local, issuer: 'http://login.example.test', audience: [''], clockSkew: 6m, maxStale: 8d }\n\
             \x20   - name: corp\n      issuer: https://login.example.test/?a=b\n      jwksUri: http://127.0.0.1:1/keys\n\
             \x20     algorithms: []\n      scopes: { base: 'two words' }\n\
             \x20     mapping: { actor: claim.sub, roles: 'claims.', workspace: 'claims.a.map(x, claims.b.map(y, y))' }\n\
             \x20     groups: { eng: [analist] }\n\
             \x20     introspection: { clientId: gate, clientSecret: '${secret:GATE}', cache: 2m }\n\
             \x20   - name: corp\n      issuer: https://login.example.test/?a=b\n\
             \x20     introspection: { clientId: gate, clientSecret: '${secret:GATE}' }\n"
        ));
        let unasked = "listen: { publicUrl: 'https://a.test' }\nidentity: { issuers: [{ name: corp, issuer: 'https://b.test', \
                       jwksUri: 'https://b.test/keys', introspection: { clientId: c, clientSecret: '${secret:S}' } }] }\n";
        assert!(found(unasked).contains("nothing says where the issuer is asked"));
        assert!(
            found("identity: { issuers: [{ name: corp, issuer: 'https://a.test' }] }\n")
                .contains("listen.publicUrl")
        );
    }

    #[test]
    fn the_host_of_the_public_url_is_an_allowed_one() {
        let listen = |text: &str| check(text).0.expect("settings").listen;
        let url = listen("listen: { publicUrl: 'https://Gateway.example.test:8443/' }\n");
        assert_eq!(url.public_url.as_deref(), Some("https://gateway.example.test:8443"));
        assert_eq!(url.allowed_hosts, ["gateway.example.test:8443"]);
        for bad in
            ["http://gateway.example.test", "gateway.example.test", "https://a:b@c.test", "https://a.test/x"]
        {
            assert!(
                found(&format!("listen: {{ publicUrl: '{bad}' }}\n")).contains("listen.publicUrl"),
                "{bad}"
            );
        }
    }

    #[test]
    fn the_local_user_acts_in_the_default_workspace_and_has_each_role_once() {
        let (settings, _) = check("localUser: { roles: [clerk, analyst, clerk] }\n");
        let user = settings.expect("settings").local_user.expect("a user");
        assert_eq!(user.roles.iter().map(Slug::as_str).collect::<Vec<_>>(), ["analyst", "clerk"]);
        assert_eq!(user.workspace.as_str(), "ops");
    }
}
