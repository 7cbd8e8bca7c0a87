//! The tables and how they came to be.
//!
//! The schema's version is the number of migrations that were applied. They run
//! forward only, each in both dialects, in one transaction under a lock, so that
//! processes that open a new store at once do not meet. A store with a newer
//! schema is refused untouched.

use rusqlite::{Connection, OptionalExtension, TransactionBehavior};

use crate::StoreError;

const MIGRATE: &str = "prepare its tables";

/// The row that says how far a store has come. The same text serves both dialects.
const VERSION_TABLE: &str = "
    CREATE TABLE IF NOT EXISTS schema_version (id integer PRIMARY KEY CHECK (id = 1), version integer NOT NULL);
    INSERT INTO schema_version (id, version) VALUES (1, 0) ON CONFLICT (id) DO NOTHING;";

const READ_VERSION: &str = "SELECT version FROM schema_version WHERE id = 1";
const WRITE_VERSION: &str = "UPDATE schema_version SET version = $1 WHERE id = 1";

/// Any number will do that nobody else locks in the same database: "quaymstr" in ASCII.
const POSTGRES_LOCK: &str = "
    SET LOCAL lock_timeout = '60s';
    SET LOCAL statement_timeout = '600s';
    SELECT pg_advisory_xact_lock(8175547872716223602)";

struct Migration {
    sqlite: &'static str,
    postgres: &'static str,
}

macro_rules! migration {
    ($number:literal) => {
        Migration {
            sqlite: include_str!(concat!("../migrations/", $number, ".sqlite.sql")),
            postgres: include_str!(concat!("../migrations/", $number, ".postgres.sql")),
        }
    };
}

/// Every change of the schema, oldest first. Never edit one that was released.
const MIGRATIONS: &[Migration] = &[
    migration!("0001"),
    migration!("0002"),
    migration!("0003"),
    migration!("0004"),
    migration!("0005"),
    migration!("0006"),
    migration!("0007"),
    migration!("0008"),
    migration!("0009"),
    migration!("0010"),
    migration!("0011"),
];

/// Brings a SQLite store to the newest schema.
pub(crate) fn migrate_sqlite(connection: &mut Connection) -> Result<(), StoreError> {
    let fail = |error: rusqlite::Error| StoreError::sqlite(MIGRATE, &error);
    let exists = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'schema_version'";
    if connection.query_row(exists, (), |_| Ok(())).optional().map_err(fail)?.is_some() {
        let version = connection.query_row(READ_VERSION, (), |row| row.get(0)).map_err(fail)?;
        if pending(version)?.is_empty() {
            return Ok(());
        }
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(fail)?;
    transaction.execute_batch(VERSION_TABLE).map_err(fail)?;
    // Another process may have migrated while this one waited for the lock.
    let version = transaction.query_row(READ_VERSION, (), |row| row.get(0)).map_err(fail)?;
    for migration in pending(version)? {
        transaction.execute_batch(migration.sqlite).map_err(fail)?;
    }
    transaction.execute(WRITE_VERSION, [known()]).map_err(fail)?;
    transaction.commit().map_err(fail)?;
    report(version);
    Ok(())
}

/// Brings a PostgreSQL store to the newest schema.
pub(crate) async fn migrate_postgres(client: &mut tokio_postgres::Client) -> Result<(), StoreError> {
    let fail = |error: tokio_postgres::Error| StoreError::postgres(MIGRATE, &error);
    let exists = "SELECT to_regclass('schema_version') IS NOT NULL";
    if client.query_one(exists, &[]).await.map_err(fail)?.try_get(0).map_err(fail)? {
        let row = client.query_one(READ_VERSION, &[]).await.map_err(fail)?;
        if pending(row.try_get::<_, i32>(0).map_err(fail)?.into())?.is_empty() {
            return Ok(());
        }
    }
    let transaction = client.transaction().await.map_err(fail)?;
    transaction.batch_execute(POSTGRES_LOCK).await.map_err(fail)?;
    transaction.batch_execute(VERSION_TABLE).await.map_err(fail)?;
    let row = transaction.query_one(READ_VERSION, &[]).await.map_err(fail)?;
    let version = row.try_get::<_, i32>(0).map_err(fail)?.into();
    for migration in pending(version)? {
        transaction.batch_execute(migration.postgres).await.map_err(fail)?;
    }
    transaction.execute(WRITE_VERSION, &[&known()]).await.map_err(fail)?;
    transaction.commit().await.map_err(fail)?;
    report(version);
    Ok(())
}

fn report(from: i64) {
    tracing::info!(event = "store.migrated", from, to = known(), "the store's tables are up to date");
}

/// The newest version there is here.
fn known() -> i32 {
    i32::try_from(MIGRATIONS.len()).unwrap_or(i32::MAX)
}

/// What a store at version `found` still lacks.
fn pending(found: i64) -> Result<&'static [Migration], StoreError> {
    usize::try_from(found)
        .ok()
        .and_then(|applied| MIGRATIONS.get(applied..))
        .ok_or(StoreError::NewerSchema { found, known: known().into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_older_store_gets_what_it_lacks_and_a_newer_one_is_refused() {
        assert_eq!(pending(0).map(<[Migration]>::len).ok(), Some(MIGRATIONS.len()));
        assert_eq!(pending(known().into()).map(<[Migration]>::len).ok(), Some(0));
        assert!(matches!(pending(4_000), Err(StoreError::NewerSchema { found: 4_000, .. })));
        assert!(pending(-1).is_err());
    }
}
