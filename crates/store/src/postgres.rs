//! PostgreSQL: the pool of connections, their settings and TLS.
//!
//! What is written and read is in the module of each family of tables.
//!
//! Invariants:
//! - A commit is on disk when it returns, whatever the role's default.
//! - Without TLS only a server on this machine is spoken to, unless the
//!   connection string says `sslmode=disable`. Certificates are always checked.
//! - The connection string is in no error.

use std::future::Future;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::{
    Client, Hook, HookError, Manager, ManagerConfig, Pool, PoolError, RecyclingMethod, Runtime,
};
use secrecy::{ExposeSecret, SecretString};
use tokio_postgres::config::{Host, SslMode, SslNegotiation};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Config, NoTls, Row};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::StoreError;
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
        let config = parse(url.expose_secret())?;
        let fast = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let manager = if config.get_ssl_mode() == SslMode::Disable {
            Manager::from_config(config, NoTls, fast)
        } else {
            let tls = MakeRustlsConnect::new(tls(config.get_ssl_negotiation())?);
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

/// Reads the connection string and fills in what it leaves open.
fn parse(url: &str) -> Result<Config, StoreError> {
    // The parser's own error may quote the string.
    let mut config: Config = url.parse().map_err(|_| {
        StoreError::open(
            "its url is not a connection string of PostgreSQL, such as \
             postgres://user:password@host/database?sslmode=require (or disable)",
        )
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
    // `prefer`, the default, would let whoever sits in between take the encryption away.
    if config.get_ssl_mode() == SslMode::Prefer {
        config.ssl_mode(if is_on_this_machine(&config) { SslMode::Disable } else { SslMode::Require });
    }
    Ok(config)
}

fn is_on_this_machine(config: &Config) -> bool {
    let is_local = |host: &Host| match host {
        Host::Tcp(name) if config.get_hostaddrs().is_empty() => {
            name == "localhost" || name.parse().is_ok_and(|address: IpAddr| address.is_loopback())
        }
        Host::Tcp(_) => true, // the addresses count instead
        #[cfg(unix)]
        Host::Unix(_) => true,
    };
    config.get_hosts().iter().all(is_local) && config.get_hostaddrs().iter().all(IpAddr::is_loopback)
}

/// TLS with the certificates that the machine trusts, or those of `SSL_CERT_FILE`.
fn tls(negotiation: SslNegotiation) -> Result<rustls::ClientConfig, StoreError> {
    let mut roots = rustls::RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if added == 0 {
        return Err(StoreError::open(
            "this machine trusts no certificates, so the server's cannot be checked: \
             install `ca-certificates` or set SSL_CERT_FILE",
        ));
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| StoreError::open(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    if negotiation == SslNegotiation::Direct {
        config.alpn_protocols = vec![b"postgresql".to_vec()];
    }
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ssl_mode(url: &str) -> SslMode {
        parse(url).expect("a connection string").get_ssl_mode()
    }

    #[test]
    fn only_this_machine_is_spoken_to_without_tls_unless_told() {
        assert_eq!(ssl_mode("postgres://ada@127.0.0.1/quay"), SslMode::Disable);
        assert_eq!(ssl_mode("postgres://ada@localhost/quay?sslmode=prefer"), SslMode::Disable);
        assert_eq!(ssl_mode("postgres://ada@%2Fvar%2Frun%2Fpostgresql/quay"), SslMode::Disable);
        assert_eq!(ssl_mode("postgres://ada@127.0.0.1/quay?sslmode=require"), SslMode::Require);
        assert_eq!(ssl_mode("postgres://ada@db.example.test/quay"), SslMode::Require);
        assert_eq!(ssl_mode("postgres://ada@127.0.0.1,db.example.test/quay"), SslMode::Require);
        assert_eq!(ssl_mode("postgres://ada@localhost/quay?hostaddr=192.0.2.7"), SslMode::Require);
        assert_eq!(ssl_mode("postgres://ada@db.example.test/quay?sslmode=disable"), SslMode::Disable);
    }

    #[test]
    fn a_bad_connection_string_is_not_repeated() {
        for bad in ["postgres://ada:hunter2@db:port/quay", "postgres://ada@db/quay?hunter2=1", "hunter2"] {
            let error = parse(bad).expect_err("a bad connection string").to_string();
            assert!(error.contains("not a connection string") && !error.contains("hunter2"), "{error}");
        }
    }
}
