//! The `spec` of a SQL connector, as it is read from its file.
//!
//! Only the form is checked here, by the types. What these settings mean
//! together is checked in `check`, which makes a `Plan` of them.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use quaymaster_core::connector::{Access, ApprovalConfig, LimitsConfig};
use quaymaster_core::setting::DurationSetting;
use quaymaster_core::{Briefing, Classification, Destination, Effect, ErrorCode, Retry, SecretRef, Trust};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Number, Value};

/// A database that agents may query through named templates.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct SqlSpec {
    /// The engine that this file is for.
    pub engine: SqlEngine,
    /// How the database is reached.
    pub connection: ConnectionConfig,
    /// What one call may use at most.
    pub limits: LimitsConfig,
    /// How sensitive the data is.
    pub classification: Classification,
    /// Who may have written what the database holds; `internal` if absent. Tables with mails or tickets of
    /// others are `untrusted`.
    #[serde(default)]
    pub trust: Option<Trust>,
    /// Who may come to know what is asked of the database; `internal` if absent.
    #[serde(default)]
    pub destination: Option<Destination>,
    /// What the tools' names begin with. The connector's name unless given.
    #[serde(default)]
    pub prefix: Option<String>,
    /// The tools, one for each query template.
    #[schemars(length(min = 1))]
    pub tools: Vec<SqlToolConfig>,
    /// What errors of the database mean to the caller; the first rule that matches holds.
    #[serde(default)]
    pub errors: Vec<ErrorRuleConfig>,
}

/// The engine of SQL connectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum SqlEngine {
    /// SQL databases.
    #[serde(rename = "sql")]
    Sql,
}

/// How the database is reached.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ConnectionConfig {
    /// The kind of database.
    pub dialect: Dialect,
    /// PostgreSQL: the secret that holds the connection string. Never the string itself.
    #[serde(default)]
    pub url: Option<SecretRef>,
    /// SQLite: the database file, relative to the configuration folder.
    #[serde(default)]
    pub path: Option<PathBuf>,
    /// How many connections are held.
    #[serde(default)]
    pub pool: PoolConfig,
    /// What holds for each query.
    pub session: SessionConfig,
}

/// The kind of database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Dialect {
    /// A PostgreSQL server.
    Postgres,
    /// A SQLite file.
    Sqlite,
}

/// How many connections are held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct PoolConfig {
    /// Most connections at once, at most 64.
    #[serde(default = "default_max")]
    pub max: NonZeroU32,
    /// Longest wait for a connection.
    #[serde(default = "default_acquire_timeout")]
    pub acquire_timeout: DurationSetting,
}

impl Default for PoolConfig {
    fn default() -> Self {
        Self { max: default_max(), acquire_timeout: default_acquire_timeout() }
    }
}

/// What holds for each query. Every one runs in a read-only transaction of its own.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct SessionConfig {
    /// Longest time that the database itself may work on a query.
    pub statement_timeout: DurationSetting,
    /// Longest time that a query may wait for a lock.
    #[serde(default = "default_lock_timeout")]
    pub lock_timeout: DurationSetting,
    /// PostgreSQL: the schemas in which names are looked up.
    #[serde(default)]
    pub search_path: Vec<String>,
}

/// A tool that runs one query template.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct SqlToolConfig {
    /// The tool's name, without the prefix: a-z, 0-9 and _.
    pub name: String,
    /// A short name for people.
    #[serde(default)]
    pub title: Option<String>,
    /// What a call does to the world. In this version `read` alone.
    pub effect: Effect,
    /// When to use the tool, when not, and the units; at least 30 characters.
    #[schemars(length(min = 30))]
    pub description: String,
    /// Whether it is listed even where agents have to search for the other tools.
    #[serde(default)]
    pub pinned: bool,
    /// Who may use it.
    pub access: Access,
    /// Who has to agree to each call, if anyone.
    #[serde(default)]
    pub approval: Option<ApprovalConfig>,
    /// What somebody who has to agree to a call is told.
    #[serde(default)]
    pub briefing: Briefing,
    /// Who may have written what the tool answers; that of the connector if absent.
    #[serde(default)]
    pub trust: Option<Trust>,
    /// The query.
    pub template: TemplateConfig,
}

/// A query with typed parameters.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct TemplateConfig {
    /// The version of the query; count it up when its meaning changes.
    pub version: NonZeroU32,
    /// One SELECT with parameters as `:name`. Values are bound, never put into the text.
    pub statement: String,
    /// The parameters by name.
    #[serde(default)]
    pub params: BTreeMap<String, ParamConfig>,
    /// What is known of the result's columns, by name.
    #[serde(default)]
    pub columns: BTreeMap<String, ColumnConfig>,
    /// Calls that show how to use the tool.
    #[serde(default)]
    pub examples: Vec<ExampleConfig>,
}

/// A parameter of a query.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ParamConfig {
    /// The type of the value.
    #[serde(rename = "type")]
    pub kind: ParamType,
    /// What the text looks like, for strings.
    #[serde(default)]
    pub format: Option<TextFormat>,
    /// What the value means.
    #[serde(default)]
    pub description: Option<String>,
    /// The values that are possible.
    #[serde(default, rename = "enum")]
    #[schemars(length(min = 1))]
    pub choices: Option<Vec<Value>>,
    /// A regular expression that the text must match, for strings.
    #[serde(default)]
    pub pattern: Option<String>,
    /// The least value, for numbers.
    #[serde(default)]
    pub minimum: Option<Number>,
    /// The greatest value, for numbers.
    #[serde(default)]
    pub maximum: Option<Number>,
    /// The fewest characters, for strings.
    #[serde(default)]
    pub min_length: Option<u32>,
    /// The most characters, for strings.
    #[serde(default)]
    pub max_length: Option<u32>,
    /// The value that is used when the caller gives none.
    #[serde(default)]
    pub default: Option<Value>,
    /// Whether the caller may leave it out; the query then sees NULL.
    #[serde(default)]
    pub optional: bool,
}

/// The type of a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ParamType {
    /// Text.
    String,
    /// A whole number of at most 64 bits.
    Integer,
    /// A number.
    Number,
    /// True or false.
    Boolean,
}

impl ParamType {
    /// The type's name in JSON Schema.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Boolean => "boolean",
        }
    }
}

/// What the text of a parameter looks like (RFC 3339).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TextFormat {
    /// A day, such as `2026-01-31`.
    Date,
    /// An instant, such as `2026-01-31T08:30:00Z`.
    DateTime,
}

impl TextFormat {
    /// The format's name in JSON Schema.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Date => "date",
            Self::DateTime => "date-time",
        }
    }
}

/// What is known of a column of the result.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ColumnConfig {
    /// What the values mean.
    #[serde(default)]
    pub description: Option<String>,
    /// The type, in the words of SQL. The database's own unless given.
    #[serde(default, rename = "type")]
    pub kind: Option<String>,
    /// The unit, such as `EUR`.
    #[serde(default)]
    pub unit: Option<String>,
}

/// A call that shows how to use a tool.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ExampleConfig {
    /// The arguments.
    pub params: Map<String, Value>,
}

/// What an error of the database means to the caller.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ErrorRuleConfig {
    /// The errors that the rule is for.
    #[serde(rename = "match")]
    pub matches: ErrorMatchConfig,
    /// One of the codes `query.*`, `upstream.*` and `input.invalid`.
    pub code: ErrorCode,
    /// Whether calling again can help.
    pub retry: Retry,
    /// What would be right.
    #[serde(default)]
    pub hint: Option<String>,
}

/// The errors that a rule is for.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ErrorMatchConfig {
    /// SQLSTATE codes such as `42601`, or the start of some, as in `08*`.
    #[schemars(length(min = 1))]
    pub sqlstate: Vec<String>,
}

fn default_max() -> NonZeroU32 {
    NonZeroU32::MIN.saturating_add(3)
}

fn default_acquire_timeout() -> DurationSetting {
    DurationSetting::new(Duration::from_secs(2))
}

fn default_lock_timeout() -> DurationSetting {
    DurationSetting::new(Duration::from_millis(500))
}
