//! The rows of subjects: one key for each person whose data is sealed.
//!
//! A key is stored wrapped by another one that the store never sees. Making,
//! wrapping and using keys is `quaymaster-control`'s part.
//!
//! Invariant: a subject has one key; whoever comes second gets the first one.

use rusqlite::{Connection, OptionalExtension};

use crate::number::signed;
use crate::store::Engine;
use crate::{Store, StoreError};

const READ: &str = "read a subject's key";
const INSERT: &str = "store a subject's key";

const SELECT_KEY: &str = "SELECT wrapped_key FROM subjects WHERE actor = $1";
const SELECT_NAMES: &str = "SELECT actor FROM subjects WHERE actor > $1 ORDER BY actor LIMIT $2";
/// How many ids one page has.
const MAX_NAMES: i64 = 1_000;
const INSERT_SUBJECT: &str = "
    INSERT INTO subjects (actor, wrapped_key, created_us) VALUES ($1, $2, $3) ON CONFLICT (actor) DO NOTHING";

impl Store {
    /// The wrapped key of `actor`, which is its id. It stands here alone: the records have a commitment.
    pub async fn subject_key(&self, actor: &str) -> Result<Option<Vec<u8>>, StoreError> {
        match self.engine() {
            Engine::Sqlite(store) => {
                let actor = actor.to_owned();
                store.read(READ, move |connection| select_key(connection, &actor)).await
            }
            Engine::Postgres(store) => {
                let rows = store.query(READ, SELECT_KEY, &[&actor]).await?;
                let key = rows.first().map(|row| row.try_get(0));
                key.transpose().map_err(|error| StoreError::postgres(READ, &error))
            }
        }
    }

    /// The ids of the actors that have a key, in order, behind `after`; an empty page is the end.
    ///
    /// At most [`MAX_NAMES`] are returned.
    pub async fn subject_names(&self, after: &str) -> Result<Vec<String>, StoreError> {
        match self.engine() {
            Engine::Sqlite(store) => {
                let after = after.to_owned();
                store.read(READ, move |connection| select_names(connection, &after)).await
            }
            Engine::Postgres(store) => {
                let rows = store.query(READ, SELECT_NAMES, &[&after, &MAX_NAMES]).await?;
                let names: Result<_, _> = rows.iter().map(|row| row.try_get(0)).collect();
                names.map_err(|error| StoreError::postgres(READ, &error))
            }
        }
    }

    /// Stores a wrapped key for `actor` unless there is one, and returns the one that is stored.
    pub async fn subject_insert(
        &self,
        actor: &str,
        wrapped: &[u8],
        created_us: u64,
    ) -> Result<Vec<u8>, StoreError> {
        let created_us = signed(created_us);
        let stored = match self.engine() {
            Engine::Sqlite(store) => {
                let (actor, wrapped) = (actor.to_owned(), wrapped.to_owned());
                let insert = move |transaction: &rusqlite::Transaction<'_>| {
                    transaction.prepare_cached(INSERT_SUBJECT)?.execute((&actor, wrapped, created_us))?;
                    select_key(transaction, &actor)
                };
                store.write(INSERT, insert).await?
            }
            Engine::Postgres(store) => {
                store.execute(INSERT, INSERT_SUBJECT, &[&actor, &wrapped, &created_us]).await?;
                self.subject_key(actor).await?
            }
        };
        stored.ok_or(StoreError::Malformed { operation: INSERT, what: "the row just written" })
    }
}

fn select_names(connection: &Connection, after: &str) -> rusqlite::Result<Vec<String>> {
    let mut statement = connection.prepare_cached(SELECT_NAMES)?;
    let names = statement.query_map((after, MAX_NAMES), |row| row.get(0))?;
    names.collect()
}

fn select_key(connection: &Connection, actor: &str) -> rusqlite::Result<Option<Vec<u8>>> {
    connection.prepare_cached(SELECT_KEY)?.query_row([actor], |row| row.get(0)).optional()
}
