//! `quaymaster.yaml` as it is written.
//!
//! Every section is a struct whose documentation is what the JSON Schema and so
//! an editor shows. What follows from the values, such as paths below the
//! configuration folder, is in [`super::checked`].
//!
//! Invariant: nothing that widens access has a default that does so.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::Duration;

use quaymaster_control::flow::WINDOW;
use quaymaster_control::identity::IdentityConfig;
use quaymaster_control::limits::Selection;
use quaymaster_control::secrets::config::SecretsConfig;
use quaymaster_core::Zone;
use quaymaster_core::actor::RoleConfig;
use quaymaster_core::setting::{ByteSize, DurationSetting, Slug};
use quaymaster_operations::notify::config::ApprovalsConfig;
use quaymaster_store::StoreConfig;
use schemars::JsonSchema;
use serde::Deserialize;

use super::audit::AuditConfig;

/// The settings of a gateway: the file `quaymaster.yaml` of a configuration folder.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schemars(title = "Settings of Quaymaster")]
pub struct SettingsConfig {
    /// The version of this format.
    pub api_version: SettingsVersion,
    /// Where clients connect, and what they may send.
    #[serde(default)]
    pub listen: ListenConfig,
    /// Where the gateway keeps its own state.
    #[serde(default)]
    pub store: StoreConfig,
    /// The folder for state and logs; relative to the configuration folder.
    #[serde(default = "default_data_folder")]
    #[schemars(length(min = 1))]
    pub data_folder: String,
    /// The workspaces. Nothing crosses from one to another.
    #[schemars(extend("minProperties" = 1))]
    pub workspaces: BTreeMap<Slug, WorkspaceConfig>,
    /// The workspace at `/mcp`. The others are at `/w/<workspace>/mcp`.
    pub default_workspace: Slug,
    /// The roles that actors can have. A role that is not declared does not exist.
    pub roles: BTreeMap<Slug, RoleConfig>,
    /// Who the user of this machine is over `quaymaster stdio` and on the command line.
    /// Without it they may do nothing.
    #[serde(default)]
    pub local_user: Option<LocalUserConfig>,
    /// Who is told of calls that wait until somebody agrees.
    #[serde(default)]
    pub approvals: ApprovalsConfig,
    /// Who may authenticate callers, besides this installation itself.
    #[serde(default)]
    pub identity: IdentityConfig,
    /// Where secrets come from, and how long what came is used.
    #[serde(default)]
    pub secrets: SecretsConfig,
    /// How calls are recorded.
    #[serde(default)]
    pub audit: AuditConfig,
    /// What becomes of tools of MCP servers whose definitions nobody has accepted.
    #[serde(default)]
    pub integrity: IntegrityConfig,
    /// For how long it counts what whoever calls has seen.
    #[serde(default)]
    pub flow: FlowConfig,
    /// How often, how many at once and how much. Policies can set further limits with `@limit`.
    #[serde(default)]
    pub limits: Vec<LimitConfig>,
}

/// For how long it counts what whoever calls has seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct FlowConfig {
    /// How long labels follow an actor after the last result that brings them, over all of their sessions,
    /// tokens and clients; 1h to 30d. A session keeps its own for as long as its handle lasts.
    #[serde(default = "default_label_window")]
    #[schemars(extend("default" = "8h"))]
    pub window: DurationSetting,
}

fn default_label_window() -> DurationSetting {
    DurationSetting::new(WINDOW)
}

impl Default for FlowConfig {
    fn default() -> Self {
        Self { window: default_label_window() }
    }
}

/// A limit.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct LimitConfig {
    /// What callers and the audit know it by.
    pub name: Slug,
    /// The calls that it bears on: those for which everything holds that is named here. All if absent.
    #[serde(default, rename = "for")]
    pub only: Selection,
    /// How much, and by what it is counted, such as `30/1m`, `concurrent 4 by tool`, `calls 1000 per day`
    /// or `rows 50000 per month by workspace`. Several are separated by semicolons. Counted by actor
    /// where nothing is said.
    pub limit: String,
}

fn default_data_folder() -> String {
    "./data".into()
}

/// The version of the format of `quaymaster.yaml`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum SettingsVersion {
    /// The first and only one.
    #[serde(rename = "quaymaster/v1")]
    V1,
}

/// Where clients connect, and what they may send.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ListenConfig {
    /// Address and port, such as `127.0.0.1:8080`. Port 0 takes a free one.
    #[serde(default = "default_address")]
    pub address: String,
    /// Address and port for scrapers, such as `127.0.0.1:9464`: `GET /metrics` there names every MCP
    /// server with its state, without a token. Without it there is none.
    #[serde(default)]
    pub metrics: Option<String>,
    /// Address and port of the console, such as `127.0.0.1:8090`: pages on which people decide on
    /// requests for approval. Without it there is none.
    #[serde(default)]
    pub console: Option<String>,
    /// Whether `address`, `metrics` and `console` may be reachable from other machines.
    #[serde(default)]
    pub allow_non_loopback: bool,
    /// The URL under which clients reach the gateway, such as `https://gateway.example.test`: scheme and
    /// host, and a port where one is needed, without a path. Access tokens are issued for it. Its host
    /// is an allowed one.
    #[serde(default)]
    pub public_url: Option<String>,
    /// Host names under which clients reach the gateway, besides those of loopback, such as
    /// `gateway.example.test`. A request for another host is refused.
    #[serde(default)]
    pub allowed_hosts: Vec<String>,
    /// Origins of web pages that may call the gateway, such as `https://app.example.test`.
    /// A request of another origin is refused.
    #[serde(default)]
    pub allowed_origins: Vec<String>,
    /// Most bytes of one request; at most 64 MiB.
    #[serde(default = "default_max_body")]
    #[schemars(extend("default" = "4MiB"))]
    pub max_body_bytes: ByteSize,
    /// Most connections of clients that are open at once. One principal uses at most as many as others
    /// leave, so half of them if it is alone; when there is no room those go that never said whose they are.
    #[serde(default = "default_max_connections")]
    pub max_connections: NonZeroU32,
    /// Most sessions of clients that are held at once.
    #[serde(default = "default_max_sessions")]
    pub max_sessions: NonZeroU32,
    /// Most of them that one principal has; beyond that the one that it used least recently is put away.
    #[serde(default = "default_max_sessions_per_actor")]
    pub max_sessions_per_actor: NonZeroU32,
    /// How long a session without a request is held; then it is put away until its client comes back.
    #[serde(default = "default_session_idle")]
    #[schemars(extend("default" = "1h"))]
    pub session_idle: DurationSetting,
}

fn default_address() -> String {
    "127.0.0.1:8080".into()
}

fn default_max_body() -> ByteSize {
    ByteSize::new(4 * 1024 * 1024)
}

fn default_max_sessions() -> NonZeroU32 {
    NonZeroU32::new(10_000).unwrap_or(NonZeroU32::MIN)
}

fn default_max_connections() -> NonZeroU32 {
    NonZeroU32::new(1_024).unwrap_or(NonZeroU32::MIN)
}

fn default_max_sessions_per_actor() -> NonZeroU32 {
    NonZeroU32::new(1_000).unwrap_or(NonZeroU32::MIN)
}

fn default_session_idle() -> DurationSetting {
    DurationSetting::new(Duration::from_hours(1))
}

impl Default for ListenConfig {
    fn default() -> Self {
        Self {
            address: default_address(),
            metrics: None,
            console: None,
            allow_non_loopback: false,
            public_url: None,
            allowed_hosts: Vec::new(),
            allowed_origins: Vec::new(),
            max_body_bytes: default_max_body(),
            max_connections: default_max_connections(),
            max_sessions: default_max_sessions(),
            max_sessions_per_actor: default_max_sessions_per_actor(),
            session_idle: default_session_idle(),
        }
    }
}

/// A workspace: a tenant of the gateway.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct WorkspaceConfig {
    /// A name for people.
    #[serde(default)]
    pub title: Option<String>,
    /// Whether nothing is answered in it while one of its MCP servers is not up. Otherwise lists and
    /// calls are answered from what is there.
    #[serde(default)]
    pub require_all: bool,
    /// How its tools are shown to agents.
    #[serde(default)]
    pub catalogue: CatalogueConfig,
    /// What kind of place it is, such as `production` or `staging`: `context.environment` in
    /// policies. `production` if absent.
    #[serde(default)]
    pub environment: Option<Slug>,
    /// The jurisdiction that those who use it are in, such as `eu`, against which that of data is held
    /// (`classification.yaml`). Nowhere if absent: then data that belongs somewhere always crosses a border.
    #[serde(default)]
    pub jurisdiction: Option<Slug>,
    /// Whose time policies see in `context.time`: a zone of the IANA database, such as
    /// `Europe/Berlin`. `UTC` if absent.
    #[serde(default)]
    pub time_zone: Option<String>,
}

impl WorkspaceConfig {
    /// Whose time it is in it; UTC where nothing is said, or where it says nothing that is a zone.
    pub fn zone(&self) -> Zone {
        self.time_zone.as_deref().and_then(|name| Zone::parse(name).ok()).unwrap_or_default()
    }
}

/// How a workspace's tools are shown to agents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct CatalogueConfig {
    /// Whether agents get `find_tools` and `call_tool` instead of the whole list of tools.
    #[serde(default)]
    pub search: SearchMode,
    /// With `search: auto`, how many tools a caller may see at most and still get them as a list.
    #[serde(default = "default_above")]
    pub above: u32,
    /// Most objects of a list that are sent at once, tools, prompts, resources and templates alike; 1
    /// to 10000. What is more comes with the next pages, for which many clients do not ask.
    #[serde(default = "default_page_size")]
    #[schemars(range(min = 1, max = 10_000))]
    pub page_size: NonZeroU32,
}

fn default_above() -> u32 {
    60
}

fn default_page_size() -> NonZeroU32 {
    NonZeroU32::new(1_000).unwrap_or(NonZeroU32::MIN)
}

impl Default for CatalogueConfig {
    fn default() -> Self {
        Self { search: SearchMode::default(), above: default_above(), page_size: default_page_size() }
    }
}

/// Whether agents search for tools.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SearchMode {
    /// Those who may see more tools than `above`.
    #[default]
    Auto,
    /// All.
    Always,
    /// None.
    Never,
}

/// Who the user of this machine is.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct LocalUserConfig {
    /// The roles of the local user.
    pub roles: Vec<Slug>,
    /// The workspace that the local user acts in. The default workspace if absent.
    #[serde(default)]
    pub workspace: Option<Slug>,
    /// Who that is under another name, such as `ada@example.test` in bearer tokens: one person, who
    /// never decides on what they asked for under the other.
    #[serde(default)]
    pub person: Option<String>,
}

/// What becomes of tools of MCP servers whose definitions nobody has accepted.
///
/// Accepted is what a file `contracts/<connector>.lock.json` pins. It is written by `quaymaster tools
/// pin` and `accept`, and never by a gateway that runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct IntegrityConfig {
    /// What becomes of a tool that is seen for the first time, of a connector without such a file.
    #[serde(default)]
    pub first_sight: FirstSight,
    /// Which changes of an accepted definition are followed without anybody's consent.
    #[serde(default)]
    pub follow: Follow,
    /// What must be said of the programs that are started as MCP servers.
    #[serde(default)]
    pub executables: Executables,
}

/// What becomes of a tool that is seen for the first time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum FirstSight {
    /// It may be called, unless its definition hides something; it is noted what it was.
    #[default]
    Accept,
    /// It is quarantined until somebody accepts it.
    Quarantine,
}

/// Which changes of a definition are followed without anybody's consent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Follow {
    /// None.
    Nothing,
    /// Those of wording alone.
    Cosmetic,
    /// Those of wording, and those after which everything works that worked.
    #[default]
    Additive,
}

/// What must be said of the programs that are started as MCP servers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Executables {
    /// An absolute path. What is `pinned` beside it is verified before each start.
    #[default]
    Named,
    /// What is started must be `pinned`.
    Pinned,
}
