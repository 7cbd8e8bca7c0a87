//! Where the store is: what a configuration says, and what is opened.
//!
//! [`StoreConfig`] is what was read, [`StoreTarget`] what was checked; the only
//! way from one to the other is [`StoreConfig::resolve`]. Reading files and
//! finding secrets is `quaymaster-control`'s part.

use std::path::PathBuf;

use quaymaster_core::{SecretError, SecretRef, SecretSource};
use schemars::JsonSchema;
use secrecy::SecretString;
use serde::Deserialize;
use thiserror::Error;

/// Most connections that a configuration may ask for.
const MAX_CONNECTIONS: u32 = 100;

/// Where Quaymaster keeps its own state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct StoreConfig {
    /// The database. SQLite is a file in the data folder; several replicas need PostgreSQL.
    #[serde(default)]
    pub engine: StoreEngine,
    /// Secret that holds the connection string, for PostgreSQL only. The database
    /// or schema that it names should hold nothing else. TLS is used and the
    /// certificate checked unless the server is on this machine or the string
    /// says `sslmode=disable`.
    #[serde(default)]
    pub url: Option<SecretRef>,
    /// Connections to PostgreSQL.
    #[serde(default)]
    pub pool: PoolConfig,
}

/// A database that can hold the store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum StoreEngine {
    /// A file in the data folder.
    #[default]
    Sqlite,
    /// A PostgreSQL server.
    Postgres,
}

/// Connections to a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct PoolConfig {
    /// Most connections that are open at once.
    #[serde(default = "default_max")]
    #[schemars(range(min = 1, max = MAX_CONNECTIONS))]
    pub max: u32,
}

fn default_max() -> u32 {
    8
}

impl Default for PoolConfig {
    fn default() -> Self {
        Self { max: default_max() }
    }
}

/// A store that can be opened.
#[derive(Clone, Debug)]
pub enum StoreTarget {
    /// A file. Its folder must exist.
    Sqlite {
        /// The file; it is created if it does not exist.
        path: PathBuf,
    },
    /// A server.
    Postgres {
        /// The connection string, as a URL or in libpq's form.
        url: SecretString,
        /// Most connections that are open at once.
        max_connections: u32,
    },
}

/// Why a configuration names no store.
#[derive(Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreConfigError {
    /// PostgreSQL without a connection string.
    #[error("`store.url` is missing: `engine: postgres` needs `url: ${{secret:NAME}}`")]
    UrlMissing,
    /// SQLite with a connection string.
    #[error("`store.url` is only for `engine: postgres`: SQLite is a file in the data folder")]
    UrlUnexpected,
    /// A pool of no or too many connections.
    #[error("`store.pool.max` is {max}: expected 1 to {MAX_CONNECTIONS}")]
    PoolSize {
        /// What was asked for.
        max: u32,
    },
    /// The connection string cannot be had.
    #[error(transparent)]
    Secret(#[from] SecretError),
}

impl StoreConfig {
    /// Checks what can be checked without the secret.
    ///
    /// # Errors
    ///
    /// Any [`StoreConfigError`] but [`StoreConfigError::Secret`].
    pub fn check(&self) -> Result<(), StoreConfigError> {
        if self.pool.max == 0 || self.pool.max > MAX_CONNECTIONS {
            return Err(StoreConfigError::PoolSize { max: self.pool.max });
        }
        match (self.engine, &self.url) {
            (StoreEngine::Sqlite, Some(_)) => Err(StoreConfigError::UrlUnexpected),
            (StoreEngine::Postgres, None) => Err(StoreConfigError::UrlMissing),
            _ => Ok(()),
        }
    }

    /// Checks the configuration and finds its secret.
    ///
    /// `sqlite_path` is the file to use where the engine is SQLite.
    pub fn resolve(
        &self,
        sqlite_path: PathBuf,
        secrets: &dyn SecretSource,
    ) -> Result<StoreTarget, StoreConfigError> {
        self.check()?;
        match &self.url {
            None => Ok(StoreTarget::Sqlite { path: sqlite_path }),
            Some(url) => {
                Ok(StoreTarget::Postgres { url: secrets.resolve(url)?, max_connections: self.pool.max })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct OneSecret;

    impl SecretSource for OneSecret {
        fn resolve(&self, _: &SecretRef) -> Result<SecretString, SecretError> {
            Ok("postgres://ada:hunter2@db/quay".into())
        }
    }

    fn read(json: &str) -> Result<StoreConfig, String> {
        serde_json::from_str(json).map_err(|error| error.to_string())
    }

    fn refusal(json: &str) -> String {
        let config = read(json).expect("a configuration");
        config.resolve("q.db".into(), &OneSecret).expect_err("a refusal").to_string()
    }

    #[test]
    fn nothing_configured_means_sqlite_in_the_data_folder() {
        let target = read("{}").expect("a configuration").resolve("/data/q.db".into(), &OneSecret);
        assert!(matches!(target, Ok(StoreTarget::Sqlite { path }) if path.ends_with("q.db")));
    }

    #[test]
    fn postgres_needs_a_reference_to_its_url_and_never_shows_it() {
        let config =
            read(r#"{"engine": "postgres", "url": "${secret:STORE_URL}"}"#).expect("a configuration");
        let target = config.resolve("q.db".into(), &OneSecret).expect("a target");
        assert!(matches!(target, StoreTarget::Postgres { max_connections: 8, .. }));
        assert!(!format!("{target:?}").contains("hunter2"));
        assert!(read(r#"{"engine": "postgres", "url": "postgres://ada:hunter2@db/quay"}"#).is_err());
        assert!(read(r#"{"engine": "sqlite", "path": "x"}"#).is_err());
    }

    #[test]
    fn what_does_not_fit_is_refused_with_what_would() {
        insta::assert_snapshot!(
            [
                refusal(r#"{"engine": "postgres"}"#),
                refusal(r#"{"url": "${secret:STORE_URL}"}"#),
                refusal(r#"{"pool": {"max": 0}}"#),
                refusal(r#"{"pool": {"max": 101}}"#),
            ]
            .join("\n"),
            @r"
            `store.url` is missing: `engine: postgres` needs `url: ${secret:NAME}`
            `store.url` is only for `engine: postgres`: SQLite is a file in the data folder
            `store.pool.max` is 0: expected 1 to 100
            `store.pool.max` is 101: expected 1 to 100
            "
        );
    }
}
