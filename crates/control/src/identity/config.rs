//! The section `identity` of `quaymaster.yaml`, as it is written.
//!
//! What follows from it is in [`super::checked`].
//!
//! Invariant: nothing that widens access has a default that does so.

use std::collections::BTreeMap;
use std::time::Duration;

use quaymaster_core::SecretRef;
use quaymaster_core::setting::{DurationSetting, Slug};
use schemars::JsonSchema;
use serde::Deserialize;

use super::keys::SignatureAlgorithm;

/// Who may authenticate callers, besides this installation itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct IdentityConfig {
    /// The OAuth 2.1 authorization servers whose access tokens are taken; at most 16.
    #[serde(default)]
    #[schemars(length(max = 16))]
    pub issuers: Vec<IssuerConfig>,
    /// Whether one-time codes log people in to the console beside issuers. Where no issuer logs
    /// anybody in they always do.
    #[serde(default)]
    pub local_codes: bool,
}

/// An authorization server whose access tokens are taken.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct IssuerConfig {
    /// What it is called here. Its actors are called `<name>:<actor>`, so it is never changed.
    pub name: Slug,
    /// The issuer, exactly as its tokens have it in `iss`: an `https` URL, or `http` on loopback.
    pub issuer: String,
    /// The audiences of which a token must have one, letter by letter. If absent: the URL of the
    /// gateway, its `/mcp`, or exactly the endpoint that the token is sent to.
    #[serde(default)]
    #[schemars(length(min = 1, max = 16))]
    pub audience: Option<Vec<String>>,
    /// Where its keys are. If absent, its metadata says so (RFC 8414).
    #[serde(default)]
    pub jwks_uri: Option<String>,
    /// The algorithms by which its tokens may be signed. If absent, those that its keys are for.
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub algorithms: Option<Vec<SignatureAlgorithm>>,
    /// How far its clock may be off; at most `5m`.
    #[serde(default = "default_skew")]
    #[schemars(extend("default" = "60s"))]
    pub clock_skew: DurationSetting,
    /// How long its keys count while it cannot be reached; at most `7d`.
    #[serde(default = "default_max_stale")]
    #[schemars(extend("default" = "24h"))]
    pub max_stale: DurationSetting,
    /// How it is asked whether a token counts (RFC 7662).
    #[serde(default)]
    pub introspection: Option<IntrospectionConfig>,
    /// How people log in there, to the console and on the command line (OIDC). Without it
    /// nobody does.
    #[serde(default)]
    pub login: Option<LoginConfig>,
    /// Which scope is needed for what. Scopes narrow what roles give.
    #[serde(default)]
    pub scopes: ScopesConfig,
    /// What its claims mean here.
    #[serde(default)]
    pub mapping: MappingConfig,
    /// The roles of the members of each of its groups.
    #[serde(default)]
    pub groups: BTreeMap<String, Vec<Slug>>,
}

fn default_skew() -> DurationSetting {
    DurationSetting::new(Duration::from_mins(1))
}

fn default_max_stale() -> DurationSetting {
    DurationSetting::new(Duration::from_hours(24))
}

/// How an issuer is asked whether a token counts (RFC 7662).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct IntrospectionConfig {
    /// Where. If absent, the issuer's metadata says so.
    #[serde(default)]
    pub endpoint: Option<String>,
    /// As whom the gateway asks.
    #[schemars(length(min = 1))]
    pub client_id: String,
    /// Its secret.
    pub client_secret: SecretRef,
    /// Of which tokens.
    #[serde(default)]
    pub tokens: IntrospectedTokens,
    /// How long an answer counts, and so the longest that a revocation goes unnoticed; at most `60s`.
    #[serde(default = "default_cache")]
    #[schemars(extend("default" = "15s"))]
    pub cache: DurationSetting,
}

fn default_cache() -> DurationSetting {
    DurationSetting::new(Duration::from_secs(15))
}

/// Of which tokens an issuer is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum IntrospectedTokens {
    /// Those that only the issuer can read. They do not say whose they are, so one issuer alone
    /// can have them.
    #[default]
    Opaque,
    /// JSON Web Tokens, after they were verified, so that revocations are noticed.
    Jwt,
    /// Both.
    All,
}

impl IntrospectedTokens {
    /// Whether opaque tokens are among them.
    pub(super) fn has_opaque(self) -> bool {
        self != Self::Jwt
    }

    /// Whether JSON Web Tokens are among them.
    pub(super) fn has_jwt(self) -> bool {
        self != Self::Opaque
    }
}

/// How people log in at an issuer: OIDC, authorization code with PKCE.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct LoginConfig {
    /// What the console is called there. Its redirect URI is the console's URL and
    /// `/sign-in/<name of the issuer>/callback`.
    #[schemars(length(min = 1))]
    pub client_id: String,
    /// Its secret. A public client has none.
    #[serde(default)]
    pub client_secret: Option<SecretRef>,
    /// What `quaymaster login` is called there, a public client with the redirect URI
    /// `http://127.0.0.1/callback` and any port (RFC 8252). `clientId` with its secret if absent.
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub native_client_id: Option<String>,
    /// The scopes that are asked for, `openid` among them.
    #[serde(default = "default_login_scopes")]
    #[schemars(length(min = 1, max = 16))]
    pub scopes: Vec<String>,
    /// After which the issuer has to say again who somebody is and what they belong to; `1m` to `8h`.
    #[serde(default = "default_lifetime")]
    #[schemars(extend("default" = "1h"))]
    pub lifetime: DurationSetting,
}

fn default_login_scopes() -> Vec<String> {
    vec!["openid".to_owned()]
}

fn default_lifetime() -> DurationSetting {
    DurationSetting::new(Duration::from_hours(1))
}

/// Which scope is needed for what.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ScopesConfig {
    /// For any access.
    #[serde(default)]
    pub base: Option<String>,
    /// For tools that read, prompts and resources.
    #[serde(default)]
    pub read: Option<String>,
    /// For tools that write or destroy.
    #[serde(default)]
    pub write: Option<String>,
    /// For tools that destroy, besides the one for writing.
    #[serde(default)]
    pub destructive: Option<String>,
}

/// What an issuer's claims mean here: expressions in CEL, which see `claims` and `scopes`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct MappingConfig {
    /// Who it is, a text; the issuer's name is put in front. `claims.sub` if absent. It must name one
    /// account for ever.
    #[serde(default)]
    pub actor: Option<String>,
    /// The person behind the account, a text that is the same for all accounts of that person, such
    /// as `claims.email`. Nobody decides on what another account of theirs asked for.
    #[serde(default)]
    pub person: Option<String>,
    /// The roles, a text or a list. A role that is not declared gives nothing.
    #[serde(default)]
    pub roles: Option<String>,
    /// The groups whose roles are in `groups`, a text or a list.
    #[serde(default)]
    pub groups: Option<String>,
    /// The workspaces, a text or a list; at `/mcp` the first counts. The default workspace if absent.
    #[serde(default)]
    pub workspace: Option<String>,
}
