//! The section `secrets` of `quaymaster.yaml` as it is written.
//!
//! What follows from the values is in `checked`.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::Duration;

use quaymaster_core::SecretRef;
use quaymaster_core::setting::{DurationSetting, Slug};
use schemars::JsonSchema;
use serde::Deserialize;

/// Where secrets come from.
///
/// A file of the configuration says `${secret:NAME}`. A NAME that is in `named` comes from there and from
/// nowhere else; any other is looked for in `files`, then in the environment.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct SecretsConfig {
    /// A folder with one file for each secret, named like it and readable by its owner only;
    /// relative to the configuration folder. A secret without a file there is taken from the
    /// environment.
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub files: Option<String>,
    /// How long what a source gave is used before it is asked again, where the source itself does not
    /// say less; 1s to 24h.
    #[serde(default = "default_refresh")]
    #[schemars(extend("default" = "5m"))]
    pub refresh: DurationSetting,
    /// How much longer it is used while its source cannot be reached; at most 24h.
    #[serde(default = "default_stale")]
    #[schemars(extend("default" = "15m"))]
    pub stale: DurationSetting,
    /// Servers that speak the HTTP API of Vault, by a name of your own.
    #[serde(default)]
    pub vaults: BTreeMap<Slug, VaultConfig>,
    /// Secrets that come from somewhere else than `files` and the environment, by their names of A-Z, 0-9
    /// and _.
    #[serde(default)]
    pub named: BTreeMap<String, OriginConfig>,
    /// The program of libsecret that asks the desktop's keyring, by its absolute path.
    #[serde(default = "default_keyring_program")]
    pub keyring_program: String,
}

fn default_refresh() -> DurationSetting {
    DurationSetting::new(Duration::from_mins(5))
}

fn default_stale() -> DurationSetting {
    DurationSetting::new(Duration::from_mins(15))
}

fn default_keyring_program() -> String {
    "/usr/bin/secret-tool".into()
}

impl Default for SecretsConfig {
    fn default() -> Self {
        Self {
            files: None,
            refresh: default_refresh(),
            stale: default_stale(),
            vaults: BTreeMap::new(),
            named: BTreeMap::new(),
            keyring_program: default_keyring_program(),
        }
    }
}

/// A server that speaks the HTTP API of Vault, and how the gateway logs in to it: by `token` or by `appRole`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct VaultConfig {
    /// Its address: `https://`, or `http://` on loopback; without `/v1`.
    pub url: String,
    /// The namespace that is asked in, where the server has any.
    #[serde(default)]
    pub namespace: Option<String>,
    /// The secret that holds the gateway's token there.
    #[serde(default)]
    pub token: Option<SecretRef>,
    /// The gateway's role there (`AppRole`).
    #[serde(default)]
    pub app_role: Option<AppRoleConfig>,
}

/// A role of a program (Vault, "`AppRole` auth method").
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct AppRoleConfig {
    /// Where the method is mounted.
    #[serde(default = "default_app_role")]
    pub mount: String,
    /// The id of the role, which is no secret.
    pub role_id: String,
    /// Its secret.
    pub secret_id: SecretRef,
}

fn default_app_role() -> String {
    "approle".into()
}

/// Where one secret comes from. Exactly one of the sources is given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct OriginConfig {
    /// A variable of the environment.
    #[serde(default)]
    pub environment: Option<String>,
    /// A file that only its owner can read; relative to the configuration folder.
    #[serde(default)]
    pub file: Option<String>,
    /// The attributes of an entry of the desktop's keyring (Secret Service).
    #[serde(default)]
    pub keyring: Option<BTreeMap<String, String>>,
    /// A program that prints it.
    #[serde(default)]
    pub command: Option<CommandConfig>,
    /// An entry of a key-value engine, version 2, of a Vault-compatible server.
    #[serde(default)]
    pub vault: Option<KvConfig>,
    /// A ciphertext that a Vault-compatible server opens.
    #[serde(default)]
    pub transit: Option<TransitConfig>,
    /// How long it is used before its source is asked again; as `secrets.refresh` if absent.
    #[serde(default)]
    pub refresh: Option<DurationSetting>,
}

/// A program that prints a secret. It is started without a shell, with an empty environment.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct CommandConfig {
    /// The program by its absolute path, and its arguments. Nothing is expanded in them.
    #[schemars(length(min = 1, max = 64))]
    pub argv: Vec<String>,
    /// How long it may take; at most `1m`.
    #[serde(default = "default_timeout")]
    #[schemars(extend("default" = "10s"))]
    pub timeout: DurationSetting,
    /// Variables that are passed on from Quaymaster's own environment, such as `HOME`.
    #[serde(default)]
    pub inherit_env: Vec<String>,
}

fn default_timeout() -> DurationSetting {
    DurationSetting::new(Duration::from_secs(10))
}

/// A field of an entry (Vault, "KV secrets engine version 2").
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct KvConfig {
    /// Which of `secrets.vaults`.
    pub server: Slug,
    /// Where the engine is mounted.
    #[serde(default = "default_kv")]
    pub mount: String,
    /// The path of the entry, without the mount and without `data/`.
    pub path: String,
    /// The field of the entry.
    pub field: String,
    /// Which version of the entry. The newest if absent.
    #[serde(default)]
    pub version: Option<NonZeroU32>,
}

fn default_kv() -> String {
    "secret".into()
}

/// A ciphertext (Vault, "Transit secrets engine").
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct TransitConfig {
    /// Which of `secrets.vaults`.
    pub server: Slug,
    /// Where the engine is mounted.
    #[serde(default = "default_transit")]
    pub mount: String,
    /// The name of the key there.
    pub key: String,
    /// The secret that holds the ciphertext, `vault:v1:…`.
    pub ciphertext: SecretRef,
}

fn default_transit() -> String {
    "transit".into()
}
