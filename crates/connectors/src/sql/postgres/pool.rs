//! Connections to a PostgreSQL server: opened when needed, reset after each use.
//!
//! A setting made with `set_config`, an advisory lock or a `LISTEN` outlives the
//! transaction it was made in, so a connection is reset before another call gets
//! it. What runs on a connection is the parent's business.
//!
//! Invariants:
//! - A connection that was not given back in order is cancelled on the server
//!   and closed, and keeps its place in the pool until then.
//! - No server that is elsewhere is spoken to without TLS unless its connection
//!   string says `sslmode=disable`.
//! - The server's notices are dropped unread: they may hold data.

use std::future::{Future, poll_fn};
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::{
    Connect, Manager, ManagerConfig, Object, Pool, PoolError, RecyclingMethod, Runtime, TimeoutType,
};
use quaymaster_core::ErrorCode;
use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, RootCertStore};
use tokio::task::JoinHandle;
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::{Client, Config};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::failure_of;
use crate::sql::failure::Failure;
use crate::sql::plan::Session;

/// What `DISCARD ALL` does, except that statements prepared by us stay prepared.
/// (`DISCARD ALL` also drops the one with which tokio-postgres looks up types.)
/// The role is reset by itself, because versions of the server differ in what
/// `SET SESSION AUTHORIZATION` leaves of a role that the connection string sets.
const RESET: &str = "CLOSE ALL; SET SESSION AUTHORIZATION DEFAULT; RESET ROLE; RESET ALL; UNLISTEN *; \
                     SELECT pg_advisory_unlock_all(); DISCARD TEMP; DISCARD SEQUENCES";
const RESET_LIMIT: Duration = Duration::from_secs(5);
const CANCEL_LIMIT: Duration = Duration::from_secs(5);

/// The connections to one server.
pub(super) struct Connections {
    pool: Pool,
    tls: MakeRustlsConnect,
}

/// A connection in use.
pub(super) struct Lease {
    client: Option<Object>,
    tls: MakeRustlsConnect,
}

impl Connections {
    /// A pool that opens nothing yet.
    ///
    /// # Errors
    ///
    /// Says what is wrong with the connection string, without repeating any of it.
    pub(super) fn new(url: &str, session: &Session) -> Result<Self, String> {
        let mut config = parse(url)?;
        config.application_name("quaymaster").connect_timeout(session.acquire_timeout);
        let tls = tls(config.get_ssl_mode())?;
        let manager = Manager::from_connect(
            config,
            Opener { tls: tls.clone() },
            ManagerConfig { recycling_method: RecyclingMethod::Fast },
        );
        let pool = Pool::builder(manager)
            .max_size(session.connections)
            .runtime(Runtime::Tokio1)
            .wait_timeout(Some(session.acquire_timeout))
            .create_timeout(Some(session.acquire_timeout))
            .build()
            .map_err(|_| "the pool cannot be made")?;
        Ok(Self { pool, tls })
    }

    /// A connection, and whether it was used before.
    pub(super) async fn lease(&self) -> Result<(Lease, bool), Failure> {
        let client = self.pool.get().await.map_err(|error| match error {
            PoolError::Backend(error) => failure_of(&error),
            PoolError::Timeout(TimeoutType::Wait) => unavailable("no connection became free in time"),
            PoolError::Timeout(_) => unavailable("no connection was made in time"),
            _ => unavailable("the pool gave no connection"),
        })?;
        let used = Object::metrics(&client).recycle_count > 0;
        Ok((Lease { client: Some(client), tls: self.tls.clone() }, used))
    }

    /// Closes the connections that nobody uses, because one of them was stale.
    pub(super) fn forget_idle(&self) {
        self.pool.retain(|_, _| false);
    }
}

impl Lease {
    /// The connection.
    pub(super) fn client(&mut self) -> Result<&mut Object, Failure> {
        self.client.as_mut().ok_or_else(|| Failure::new(ErrorCode::GatewayInternal))
    }

    /// Resets the connection and gives it back, behind the caller's back: a reply need not wait for it.
    pub(super) fn give_back(mut self) {
        let Some(client) = self.client.take() else { return };
        tokio::spawn(async move {
            // The rollback was sent when the transaction was dropped; this is behind it in the queue.
            let reset = tokio::time::timeout(RESET_LIMIT, client.batch_execute(RESET)).await;
            if !matches!(reset, Ok(Ok(()))) {
                drop(Object::take(client));
            }
        });
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let (Some(client), Ok(runtime)) = (self.client.take(), tokio::runtime::Handle::try_current()) else {
            return;
        };
        let (cancel, tls) = (client.cancel_token(), self.tls.clone());
        runtime.spawn(async move {
            // Without it the server would work on until it wants to send something.
            let _ = tokio::time::timeout(CANCEL_LIMIT, cancel.cancel_query(tls)).await;
            drop(Object::take(client));
        });
    }
}

/// Opens connections and keeps them going.
struct Opener {
    tls: MakeRustlsConnect,
}

type Opening<'a> =
    Pin<Box<dyn Future<Output = Result<(Client, JoinHandle<()>), tokio_postgres::Error>> + Send + 'a>>;

impl Connect for Opener {
    fn connect(&self, config: &Config) -> Opening<'_> {
        let (tls, config) = (self.tls.clone(), config.clone());
        Box::pin(async move {
            let (client, mut connection) = config.connect(tls).await?;
            let task = tokio::spawn(async move {
                while let Some(Ok(_)) = poll_fn(|cx| connection.poll_message(cx)).await {}
            });
            Ok((client, task))
        })
    }
}

fn unavailable(cause: &str) -> Failure {
    Failure::new(ErrorCode::UpstreamUnavailable).because(cause)
}

fn parse(url: &str) -> Result<Config, String> {
    // rustls always verifies the server's certificate and name, whatever the word for it.
    let url =
        url.replace("sslmode=verify-full", "sslmode=require").replace("sslmode=verify-ca", "sslmode=require");
    let mut config: Config = url.parse().map_err(|_| "it is not a connection string of PostgreSQL")?;
    if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
        return Err("it names no host".into());
    }
    if config.get_user().is_none() {
        return Err("it names no user".into());
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

fn tls(mode: SslMode) -> Result<MakeRustlsConnect, String> {
    let mut roots = RootCertStore::empty();
    if mode != SslMode::Disable {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    }
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|_| "TLS cannot be set up")?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_a_connection_string_is_said_without_repeating_it() {
        for (url, message) in [
            ("hunter2", "it is not a connection string of PostgreSQL"),
            ("postgres://ada@db/metrics?hunter2=1", "it is not a connection string of PostgreSQL"),
            ("postgres://ada:hunter2@db:port/metrics", "it is not a connection string of PostgreSQL"),
            ("postgres:///metrics?user=ada", "it names no host"),
            ("postgres://db/metrics", "it names no user"),
        ] {
            assert_eq!(parse(url).map(|_| ()), Err(message.to_owned()), "{url}");
        }
    }

    #[test]
    fn modes_that_verify_the_certificate_require_tls() {
        for mode in ["require", "verify-ca", "verify-full"] {
            let config =
                parse(&format!("postgres://ada@db/metrics?sslmode={mode}")).expect("a connection string");
            assert_eq!(config.get_ssl_mode(), SslMode::Require);
        }
    }

    #[test]
    fn only_this_machine_is_spoken_to_without_tls_unless_told() {
        let mode = |url: &str| parse(url).expect("a connection string").get_ssl_mode();
        for url in [
            "postgres://ada@127.0.0.1/metrics",
            "postgres://ada@[::1]/metrics",
            "postgres://ada@localhost/metrics?sslmode=prefer",
            "postgres://ada@%2Fvar%2Frun%2Fpostgresql/metrics",
            "postgres://ada@db.example.test/metrics?sslmode=disable",
        ] {
            assert_eq!(mode(url), SslMode::Disable, "{url}");
        }
        for url in [
            "postgres://ada@127.0.0.1/metrics?sslmode=require",
            "postgres://ada@db.example.test/metrics",
            "postgres://ada@db.example.test/metrics?sslmode=prefer",
            "postgres://ada@127.0.0.1,db.example.test/metrics",
            "postgres://ada@localhost/metrics?hostaddr=192.0.2.7",
        ] {
            assert_eq!(mode(url), SslMode::Require, "{url}");
        }
    }
}
