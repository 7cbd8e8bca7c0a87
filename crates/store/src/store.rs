//! The one handle to Quaymaster's own state.
//!
//! This module opens, checks and closes it. What can be asked of it is in the
//! modules of the tables: `audit`, `subject`, `token`.

use std::fmt;
use std::sync::Arc;

use tokio::task::spawn_blocking;

use crate::postgres::Postgres;
use crate::sqlite::Sqlite;
use crate::{StoreError, StoreTarget};

/// A handle to the store. Clones share its connections.
#[derive(Clone)]
pub struct Store {
    engine: Arc<Engine>,
}

pub(crate) enum Engine {
    Sqlite(Sqlite),
    Postgres(Postgres),
}

impl Store {
    /// Opens a store, creates it where there is none, and brings its tables to the newest form.
    ///
    /// # Errors
    ///
    /// - [`StoreError::Open`] if there can be no store at that place.
    /// - [`StoreError::NewerSchema`] if a newer version of Quaymaster wrote it.
    /// - Others if the database fails.
    pub async fn open(target: StoreTarget) -> Result<Self, StoreError> {
        let engine = match target {
            StoreTarget::Sqlite { path } => {
                let sqlite = spawn_blocking(|| Sqlite::open(path))
                    .await
                    .map_err(|_| StoreError::open("the runtime is shutting down"))??;
                Engine::Sqlite(sqlite)
            }
            StoreTarget::Postgres { url, max_connections } => {
                Engine::Postgres(Postgres::open(&url, max_connections).await?)
            }
        };
        Ok(Self { engine: Arc::new(engine) })
    }

    /// Whether the store answers: reads from it, writes nothing.
    pub async fn ping(&self) -> Result<(), StoreError> {
        const PING: &str = "answer";
        const SQL: &str = "SELECT version FROM schema_version WHERE id = 1";
        match self.engine() {
            Engine::Sqlite(sqlite) => {
                sqlite
                    .read(PING, |connection| connection.prepare_cached(SQL)?.query_row((), |_| Ok(())))
                    .await
            }
            Engine::Postgres(postgres) => postgres.query(PING, SQL, &[]).await.map(drop),
        }
    }

    /// Finishes what was queued and closes every connection, for all clones of this handle.
    ///
    /// Dropping the last clone closes too, but does not wait.
    pub async fn close(&self) -> Result<(), StoreError> {
        match self.engine() {
            Engine::Sqlite(sqlite) => sqlite.close().await,
            Engine::Postgres(postgres) => {
                postgres.close();
                Ok(())
            }
        }
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.engine() {
            Engine::Sqlite(_) => "Store(sqlite)",
            Engine::Postgres(_) => "Store(postgres)",
        })
    }
}
