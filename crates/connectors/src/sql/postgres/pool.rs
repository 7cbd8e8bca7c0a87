//! Connections to a PostgreSQL server: opened when needed, reset after each use.
//!
//! A setting made with `set_config`, an advisory lock or a `LISTEN` outlives the
//! transaction it was made in, so a connection is reset before another call gets
//! it. What runs on a connection is the parent's business.
//!
//! Invariants:
//! - A connection that was not given back in order is cancelled on the server
//!   and closed, and keeps its place in the pool until then.
//! - The server's notices are dropped unread: they may hold data.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::time::Duration;

use deadpool_postgres::{
    Connect, Manager, ManagerConfig, Object, Pool, PoolError, RecyclingMethod, Runtime, TimeoutType,
};
use quaymaster_core::ErrorCode;
use quaymaster_store::postgres_link::{parse, tls};
use tokio::task::JoinHandle;
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
        if config.get_user().is_none() {
            return Err("it names no user".into());
        }
        config.application_name("quaymaster").connect_timeout(session.acquire_timeout);
        let tls = tls(&config)?;
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
