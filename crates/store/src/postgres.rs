//! PostgreSQL: the pool of connections and their settings.
//!
//! What is written and read is in the module of each family of tables.
//!
//! Invariants:
//! - A commit is on disk when it returns, whatever the role's default.
//! - The connection string is in no error.

use std::future::Future;
use std::time::Duration;

use deadpool_postgres::{
    Client, Hook, HookError, Manager, ManagerConfig, Pool, PoolError, RecyclingMethod, Runtime,
};
use secrecy::{ExposeSecret, SecretString};
use tokio_postgres::config::SslMode;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Config, NoTls, Row};

use crate::StoreError;
use crate::cell::{Statement, borrowed};
use crate::postgres_link::{parse, tls};
use crate::schema::migrate_postgres;

/// How long a caller waits for a connection.
const CONNECT: Duration = Duration::from_secs(10);

/// How long sent bytes may stay unacknowledged before the connection counts as dead.
const UNACKNOWLEDGED: Duration = Duration::from_secs(20);

/// How long a caller waits for the server: a little longer than the server allows itself.
const WAIT: Duration = Duration::from_secs(35);

/// Settings of every connection. A stronger `synchronous_commit` is left alone.
const SESSION: &str = "
    SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL READ COMMITTED;
    SET statement_timeout = '30s';
    SET lock_timeout = '10s';
    SET idle_in_transaction_session_timeout = '30s';
    SELECT set_config('synchronous_commit', 'on', false)
     WHERE current_setting('synchronous_commit') IN ('off', 'local', 'remote_write')";

/// A store on a server.
pub(crate) struct Postgres {
    pool: Pool,
}

impl Postgres {
    /// Connects and brings the store to the newest schema.
    pub(crate) async fn open(url: &SecretString, max_connections: u32) -> Result<Self, StoreError> {
        let config = settings(url.expose_secret())?;
        let fast = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let manager = if config.get_ssl_mode() == SslMode::Disable {
            Manager::from_config(config, NoTls, fast)
        } else {
            let tls = tls(&config).map_err(StoreError::open)?;
            Manager::from_config(config, tls, fast)
        };
        let pool = Pool::builder(manager)
            .max_size(usize::try_from(max_connections).unwrap_or(1).max(1))
            .wait_timeout(Some(CONNECT))
            .create_timeout(Some(CONNECT))
            .recycle_timeout(Some(CONNECT))
            .runtime(Runtime::Tokio1)
            .post_create(Hook::async_fn(|client, _| {
                Box::pin(async move { client.batch_execute(SESSION).await.map_err(HookError::Backend) })
            }))
            .build()
            .map_err(|error| StoreError::open(error.to_string()))?;
        let store = Self { pool };
        let mut client = store.client("connect").await.map_err(explain)?;
        migrate_postgres(&mut client).await?;
        Ok(store)
    }

    /// Runs one statement and returns how many rows it touched.
    pub(crate) async fn execute(
        &self,
        operation: &'static str,
        sql: &str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<u64, StoreError> {
        let client = self.client(operation).await?;
        within(operation, async {
            let statement = client.prepare_cached(sql).await?;
            client.execute(&statement, parameters).await
        })
        .await
    }

    /// Runs one query and returns its rows.
    pub(crate) async fn query(
        &self,
        operation: &'static str,
        sql: &str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, StoreError> {
        let client = self.client(operation).await?;
        within(operation, async {
            let statement = client.prepare_cached(sql).await?;
            client.query(&statement, parameters).await
        })
        .await
    }

    /// Runs statements in one transaction. False, and nothing is changed, if one that must touch a
    /// row touched none.
    pub(crate) async fn change(
        &self,
        operation: &'static str,
        statements: &[Statement],
    ) -> Result<bool, StoreError> {
        let mut client = self.client(operation).await?;
        within(operation, async {
            let transaction = client.transaction().await?;
            for Statement { sql, parameters, must_touch } in statements {
                let prepared = transaction.prepare_cached(sql).await?;
                let touched = transaction.execute(&prepared, &borrowed(parameters)).await?;
                if touched == 0 && *must_touch {
                    transaction.rollback().await?;
                    return Ok(false);
                }
            }
            transaction.commit().await?;
            Ok(true)
        })
        .await
    }

    /// Closes the pool. Statements that run are finished by the server.
    pub(crate) fn close(&self) {
        self.pool.close();
    }

    async fn client(&self, operation: &'static str) -> Result<Client, StoreError> {
        self.pool.get().await.map_err(|error| match error {
            PoolError::Backend(error) | PoolError::PostCreateHook(HookError::Backend(error)) => {
                StoreError::postgres(operation, &error)
            }
            PoolError::Timeout(_) => StoreError::Timeout { operation, waited: CONNECT },
            PoolError::Closed | PoolError::NoRuntimeSpecified | PoolError::PostCreateHook(_) => {
                StoreError::Closed { operation }
            }
        })
    }
}

async fn within<T>(
    operation: &'static str,
    work: impl Future<Output = Result<T, tokio_postgres::Error>>,
) -> Result<T, StoreError> {
    match tokio::time::timeout(WAIT, work).await {
        Ok(result) => result.map_err(|error| StoreError::postgres(operation, &error)),
        Err(_) => Err(StoreError::Timeout { operation, waited: WAIT }),
    }
}

/// Says what to do about a server without TLS; the driver gives that case no code of its own.
fn explain(error: StoreError) -> StoreError {
    match error {
        StoreError::Database { reason, .. } if reason.ends_with("server does not support TLS") => {
            StoreError::open(
                "the server has no TLS: set it up there, or allow plain text by `sslmode=disable` in the url",
            )
        }
        other => other,
    }
}

/// The connection string, with our own limits where it sets none.
fn settings(url: &str) -> Result<Config, StoreError> {
    let mut config = parse(url).map_err(|reason| {
        StoreError::open(format!(
            "its url: {reason}; expected postgres://user:password@host/database?sslmode=require"
        ))
    })?;
    if config.get_application_name().is_none() {
        config.application_name("quaymaster");
    }
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(CONNECT);
    }
    if config.get_tcp_user_timeout().is_none() {
        config.tcp_user_timeout(UNACKNOWLEDGED);
    }
    Ok(config)
}
