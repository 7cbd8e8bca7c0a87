//! The `spec` of a connector file for an MCP server, as it is read.
//!
//! Form alone: what belongs together, and what a deployment may not do, is
//! judged in `check`, which makes the settings that the rest works with.

mod env;

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::Duration;

use quaymaster_core::connector::{Access, ApprovalConfig, IdempotencyConfig};
use quaymaster_core::setting::{ByteSize, DurationSetting};
use quaymaster_core::{Briefing, Classification, Destination, Effect, SecretRef, Trust};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use self::env::EnvValue;

/// An MCP server whose tools agents may use, one by one as they are listed here.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct McpSpec {
    /// Which engine the file is for.
    pub engine: Engine,
    /// Whether the server is used. With `false` it is not started, and its tools do not exist.
    #[serde(default = "enabled")]
    pub enabled: bool,
    /// How the server is reached.
    pub server: ServerConfig,
    /// Put before every tool name of this server, with a `_` between. Empty for none.
    pub prefix: String,
    /// Whether Quaymaster is not ready without this server. Otherwise its
    /// failure touches its own tools only.
    #[serde(default)]
    pub required: bool,
    /// What becomes of the server when it changes the definition of something that is configured.
    #[serde(default)]
    pub changes: Changes,
    /// What one call may use at most, and how many may fail.
    pub limits: McpLimitsConfig,
    /// How the results are classified.
    pub classification: Classification,
    /// Who may have written what the server answers; `untrusted` if absent.
    #[serde(default)]
    pub trust: Trust,
    /// Who may come to know what its tools are called with. If absent: `public` where the server is
    /// untrusted; else `public` for a tool of which the server says that it reaches the open world, and for
    /// one that writes and of which it does not deny that; else `internal`.
    #[serde(default)]
    pub destination: Option<Destination>,
    /// The tools that are offered. The server's other tools do not exist for agents.
    #[serde(default)]
    pub tools: Vec<McpToolConfig>,
    /// The prompts that are offered. The server's other prompts do not exist for agents.
    #[serde(default)]
    pub prompts: Vec<McpPromptConfig>,
    /// The resources that can be read, by their addresses. Others do not exist for agents.
    #[serde(default)]
    pub resources: Vec<McpResourceConfig>,
}

fn enabled() -> bool {
    true
}

/// What becomes of a server that changes the definition of something that is configured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Changes {
    /// Agents get the new definition.
    #[default]
    Follow,
    /// Calls are refused until the configuration was read again (SIGHUP) or the gateway started anew.
    Quarantine,
}

/// What one call of a server may use at most, and how many may fail.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct McpLimitsConfig {
    /// Longest time a call may take, retries and waiting included, such as `10s`.
    pub timeout: DurationSetting,
    /// Most bytes that a result may hold, such as `256KiB`.
    #[serde(default = "default_bytes")]
    #[schemars(extend("default" = "256KiB"))]
    pub bytes: ByteSize,
    /// When calls are no longer tried.
    #[serde(default)]
    pub breaker: BreakerConfig,
}

fn default_bytes() -> ByteSize {
    ByteSize::new(256 * 1024)
}

/// The circuit breaker: when calls that failed in a row have the further ones refused at once.
///
/// Only calls without an answer count: broken connections, time limits that ran
/// out, HTTP statuses from 500 on. An error that the server answers does not.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct BreakerConfig {
    /// How many calls in a row.
    #[serde(default = "default_failures")]
    pub failures: NonZeroU32,
    /// Within which time; at most `1h`.
    #[serde(default = "default_window")]
    #[schemars(extend("default" = "30s"))]
    pub window: DurationSetting,
    /// For how long at least, before one call is let through as a trial; at most `1h`.
    #[serde(default = "default_cooldown")]
    #[schemars(extend("default" = "10s"))]
    pub cooldown: DurationSetting,
}

fn default_failures() -> NonZeroU32 {
    NonZeroU32::new(5).unwrap_or(NonZeroU32::MIN)
}

fn default_window() -> DurationSetting {
    DurationSetting::new(Duration::from_secs(30))
}

fn default_cooldown() -> DurationSetting {
    DurationSetting::new(Duration::from_secs(10))
}

impl Default for BreakerConfig {
    fn default() -> Self {
        Self { failures: default_failures(), window: default_window(), cooldown: default_cooldown() }
    }
}

/// The engine of an MCP connector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Engine {
    /// A server that speaks the Model Context Protocol.
    Mcp,
}

/// How a server is reached.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ServerConfig {
    /// Whether the server is started as a child process or reached over HTTP.
    pub transport: Transport,
    /// `stdio`: the program to start, by its absolute path.
    #[serde(default)]
    pub command: Option<String>,
    /// `stdio`: the program's arguments. Nothing is expanded in them.
    #[serde(default)]
    pub args: Vec<String>,
    /// `stdio`: the program's environment. It gets no other variables than these and `inheritEnv`.
    #[serde(default)]
    pub env: BTreeMap<String, EnvValue>,
    /// `stdio`: variables that are passed on from Quaymaster's own environment, such as `PATH`.
    #[serde(default)]
    pub inherit_env: Vec<String>,
    /// `stdio`: the folder that the program starts in; relative to the configuration, which is the default.
    #[serde(default)]
    pub working_folder: Option<String>,
    /// `stdio`: what has to be as it was before the program is started: files by their hash, and packages by
    /// name, version and hash.
    #[serde(default)]
    pub pinned: Vec<PinnedConfig>,
    /// `http`, `sse`: the server's address: `https://`, or `http://` on loopback.
    #[serde(default)]
    pub url: Option<String>,
    /// `http`, `sse`: headers that are sent with every request. Their values are secrets.
    #[serde(default)]
    pub headers: BTreeMap<String, SecretRef>,
    /// `http`: each call is sent with the caller's own token, which they have stored (`quaymaster
    /// credentials put`). Without one a call is refused.
    #[serde(default)]
    pub caller_token: Option<CallerTokenConfig>,
    /// Which era of the protocol to speak. `auto` asks the server.
    #[serde(default)]
    pub era: EraConfig,
}

/// How the caller's own token is sent.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct CallerTokenConfig {
    /// The header that it is sent in.
    #[serde(default = "default_header")]
    pub header: String,
    /// What stands before it, such as `Bearer`; empty for nothing.
    #[serde(default = "default_scheme")]
    pub scheme: String,
}

fn default_header() -> String {
    "Authorization".into()
}

fn default_scheme() -> String {
    "Bearer".into()
}

/// A file, or a folder with a package, that has to be as it was when a server is started.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct PinnedConfig {
    /// Its absolute path.
    pub path: String,
    /// The SHA-256 of the file, as 64 hexadecimal digits; of a folder that of the list of its files:
    /// `quaymaster tools hash` prints it.
    #[schemars(regex(pattern = "^[0-9a-f]{64}$"))]
    pub sha256: String,
    /// The name of the package that the folder holds, as its `package.json` or its `.dist-info` has it.
    #[serde(default)]
    pub package: Option<String>,
    /// The version of the package.
    #[serde(default)]
    pub version: Option<String>,
}

/// The way messages travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// Lines over a child process's standard input and output.
    Stdio,
    /// Streamable HTTP; towards a server that does not know it, HTTP+SSE.
    Http,
    /// HTTP+SSE, the transport of 2024-11-05.
    Sse,
}

impl Transport {
    /// The word for reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stdio => "stdio",
            Self::Http => "http",
            Self::Sse => "sse",
        }
    }
}

/// The era of the protocol (MCP 2026-07-28, basic/versioning).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum EraConfig {
    /// Ask the server: 2026-07-28 first, then a session.
    #[default]
    Auto,
    /// 2026-07-28, without sessions.
    Modern,
    /// 2024-11-05 to 2025-11-25, with a session.
    Legacy,
}

/// One tool of the server that agents may use.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct McpToolConfig {
    /// The server's own name for it.
    pub name: String,
    /// The name for agents, before the prefix is added. The server's name if absent.
    #[serde(default)]
    pub rename: Option<String>,
    /// A short name for people, instead of the server's.
    #[serde(default)]
    pub title: Option<String>,
    /// When to use it, when not, and the units; instead of the server's.
    #[serde(default)]
    pub description: Option<String>,
    /// What a call does to the world, whatever the server says of it.
    pub effect: Effect,
    /// Whether it is listed even where agents have to search for the other tools.
    #[serde(default)]
    pub pinned: bool,
    /// Who may use it.
    pub access: Access,
    /// Who has to agree to each call. Needed where the effect is destructive.
    #[serde(default)]
    pub approval: Option<ApprovalConfig>,
    /// What somebody who has to agree to a call is told.
    #[serde(default)]
    pub briefing: Briefing,
    /// Who may have written what the tool answers; that of the connector if absent.
    #[serde(default)]
    pub trust: Option<Trust>,
    /// Who may come to know what the tool is called with; that of the connector if absent.
    #[serde(default)]
    pub destination: Option<Destination>,
    /// How a repeated write is recognised. Needed for everything but a read.
    #[serde(default)]
    pub idempotency: Option<IdempotencyConfig>,
    /// Arguments that are always sent with this value and hidden from the agent.
    #[serde(default)]
    pub fixed: Map<String, Value>,
    /// Arguments that are sent with this value unless the agent gives another.
    #[serde(default)]
    pub defaults: Map<String, Value>,
}

/// One prompt of the server that agents may use. For policies it is a read with texts as arguments.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct McpPromptConfig {
    /// The server's own name for it.
    pub name: String,
    /// The name for agents, before the prefix is added. The server's name if absent.
    #[serde(default)]
    pub rename: Option<String>,
    /// A short name for people, instead of the server's.
    #[serde(default)]
    pub title: Option<String>,
    /// What it is for, instead of the server's.
    #[serde(default)]
    pub description: Option<String>,
    /// Who may use it.
    pub access: Access,
}

/// Resources of the server that agents may read. For policies they are a read with the argument `uri`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct McpResourceConfig {
    /// What policies and the audit log call them, before the prefix is added.
    pub name: String,
    /// Their addresses, such as `docs://manual/*`: `*` stands for any text, `{name}` for any
    /// without `/`. A template that the server offers is shown if it is written here as it is there.
    pub uri: String,
    /// A short name for people.
    #[serde(default)]
    pub title: Option<String>,
    /// What they are.
    #[serde(default)]
    pub description: Option<String>,
    /// Who may read them.
    pub access: Access,
}
