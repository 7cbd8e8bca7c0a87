//! What every connector file has, whichever engine it is for.
//!
//! One file describes one connector: the unit of review, versioning and
//! ownership. The engine's own part (`spec`) is in `quaymaster-connectors`.

use std::num::NonZeroU32;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::approval::DEFAULT_EXPIRY;
use crate::setting::{ByteSize, DurationSetting, SemVer, Slug};

/// A connector file, with the `spec` of its engine.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ConnectorFile<S> {
    /// The version of this format.
    pub api_version: ApiVersion,
    /// What the file describes.
    pub kind: Kind,
    /// Name, version and owner.
    pub metadata: Metadata,
    /// How the system is reached and which tools it offers.
    pub spec: S,
}

/// The version of the connector format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum ApiVersion {
    /// The first and only one.
    #[serde(rename = "connector/v1")]
    V1,
}

/// What a file describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum Kind {
    /// A connector.
    Connector,
}

/// Name, version and owner of a connector.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Metadata {
    /// The stable name of the connector.
    pub name: Slug,
    /// Semantic version of the tools' contract.
    pub version: SemVer,
    /// A name for people.
    #[serde(default)]
    pub title: Option<String>,
    /// What the connector is for.
    #[serde(default)]
    pub description: Option<String>,
    /// Whom to ask.
    pub owner: Owner,
    /// Where the connector may be used. Nobody else sees it.
    #[schemars(length(min = 1))]
    pub workspaces: Vec<Slug>,
    /// What kind of system it reaches, such as `production` or `staging`: `context.environment` in
    /// policies. That of the workspace if absent.
    #[serde(default)]
    pub environment: Option<Slug>,
}

/// Whom to ask about a connector.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Owner {
    /// The team that answers for it.
    pub team: String,
    /// How to reach the team.
    pub contact: String,
    /// Where to turn when that does not help.
    #[serde(default)]
    pub escalation: Option<String>,
}

/// Who may use a tool, and where. Roles are compiled to Cedar policies.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Access {
    /// The roles that may call it. May be empty where a policy file decides alone.
    pub roles: Vec<Slug>,
    /// The workspaces in which the tool exists, among those of the connector; all of these if absent.
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub workspaces: Option<Vec<Slug>>,
}

impl Access {
    /// The workspaces in which the tool exists; `all` are those of its connector.
    pub fn workspaces_among(&self, all: &[Slug]) -> Arc<[Slug]> {
        self.workspaces.as_deref().unwrap_or(all).into()
    }
}

/// Who has to agree to each call of a tool. Compiled to a Cedar policy.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ApprovalConfig {
    /// Who may decide. The requester never may.
    pub by: Approvers,
    /// How many different people have to agree.
    #[serde(default = "default_quorum")]
    pub quorum: NonZeroU32,
    /// How long a request waits for an answer, such as `4h`; then it is refused.
    #[serde(default = "default_expiry")]
    #[schemars(extend("default" = "24h"))]
    pub expires: DurationSetting,
    /// Who may decide as well if nobody has for a while.
    #[serde(default)]
    pub escalate: Option<EscalateConfig>,
    /// The roles that may go ahead alone in an emergency. Somebody else has to review it afterwards.
    #[serde(default)]
    pub emergency: Vec<Slug>,
}

fn default_quorum() -> NonZeroU32 {
    NonZeroU32::MIN
}

fn default_expiry() -> DurationSetting {
    DurationSetting::new(DEFAULT_EXPIRY)
}

impl ApprovalConfig {
    /// One agreement of somebody of one of `roles`.
    pub fn by(roles: Vec<Slug>) -> Self {
        let (by, quorum, expires) = (Approvers { roles }, default_quorum(), default_expiry());
        Self { by, quorum, expires, escalate: None, emergency: vec![] }
    }

    /// Every role that it names, with the path of each list below the approval.
    pub fn named_roles(&self) -> Vec<(&'static str, &[Slug])> {
        let mut named = vec![("by.roles", self.by.roles.as_slice()), ("emergency", &self.emergency)];
        named.extend(self.escalate.iter().map(|escalate| ("escalate.roles", escalate.roles.as_slice())));
        named
    }
}

/// Who may decide as well if nobody has for a while.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct EscalateConfig {
    /// The roles that may decide from then on.
    #[schemars(length(min = 1))]
    pub roles: Vec<Slug>,
    /// How long after the request, such as `2h`.
    pub after: DurationSetting,
}

/// Who may decide on a call.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Approvers {
    /// The roles that may decide.
    pub roles: Vec<Slug>,
}

/// How a repeated write is recognised.
///
/// Quaymaster derives a key from the actor, the tool and the named arguments
/// and sends it to the system behind the tool, which does the write once for
/// each key. The agent neither sees nor chooses it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct IdempotencyConfig {
    /// The arguments that make two writes the same one.
    #[schemars(length(min = 1))]
    pub from: Vec<String>,
    /// The argument of the upstream that takes the key. It is hidden from the agent.
    pub argument: String,
    /// How long the same write is recognised, such as `12h`; `24h` if absent. Until then it is answered
    /// with what came of the first one.
    #[serde(default)]
    pub window: Option<DurationSetting>,
    /// How it is looked up whether a write took effect whose end nobody saw. Where this is absent, or
    /// cannot tell, a person says so.
    #[serde(default)]
    pub lookup: Option<LookupConfig>,
}

/// How it is looked up whether a write took effect.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct LookupConfig {
    /// A tool of the same file with `effect: read`, by the server's own name for it. It is called as whoever
    /// makes the same write again, and governed and recorded like every call.
    pub tool: String,
    /// Its arguments, of which one holds the key; a text `${name}` stands for the argument of that name.
    pub arguments: Map<String, Value>,
    /// Where its result has something if and only if the write took effect: a JSON Pointer (RFC 6901) into the
    /// structured content, such as `/tickets/0`. What is there and `null` is not there.
    #[schemars(regex(pattern = "^(/[^/]*)+$"))]
    pub found: String,
}

/// What one call may use at most.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct LimitsConfig {
    /// Longest time a call may take, such as `10s`.
    pub timeout: DurationSetting,
    /// Most bytes that a result may hold, such as `256KiB`.
    #[serde(default = "default_bytes")]
    pub bytes: ByteSize,
    /// Most rows that a result may hold. Further rows are cut and `truncated` is set.
    #[serde(default = "default_rows")]
    pub rows: NonZeroU32,
}

fn default_bytes() -> ByteSize {
    ByteSize::new(256 * 1024)
}

fn default_rows() -> NonZeroU32 {
    NonZeroU32::new(500).unwrap_or(NonZeroU32::MIN)
}
