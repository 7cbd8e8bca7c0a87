//! The rows of subjects: one key for each person whose data is sealed.
//!
//! A key is stored wrapped by another one that the store never sees. Making,
//! wrapping and using keys is `quaymaster-control`'s part.
//!
//! Invariant: a subject has one key; whoever comes second gets the first one.

use rusqlite::{Connection, OptionalExtension};

use crate::cell::{Cell, CellRow, Statement};
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
    INSERT INTO subjects (actor, wrapped_key, commitment, created_us) VALUES ($1, $2, $3, $4)
    ON CONFLICT (actor) DO NOTHING";
const SELECT_NAMELESS: &str = "
    SELECT actor, wrapped_key FROM subjects WHERE commitment IS NULL AND actor <> '' ORDER BY actor LIMIT 1000";

const NAME: &str = "note what a subject is called";
const ERASE: &str = "erase a subject";
const SET_COMMITMENT: &str = "UPDATE subjects SET commitment = $1 WHERE actor = $2 AND commitment IS NULL";
const SELECT_NAMED: &str = "SELECT actor, wrapped_key FROM subjects WHERE commitment = $1";
/// What is sealed beside records has nothing that opens it any more; it goes with the key.
const ERASE_INPUTS: &str = "UPDATE audit_records SET sealed = NULL WHERE actor = $1 AND sealed IS NOT NULL";
const ERASE_REQUESTS: &str = "
    UPDATE approvals SET version = version + 1, parked = NULL, document = NULL, result = NULL, review = NULL
    WHERE asker = $1";
const ERASE_ACCOUNTS: &str = "DELETE FROM accounts WHERE account = $1 OR person = $1";
const ERASE_TOKENS: &str = "DELETE FROM tokens WHERE actor = $1";
const ERASE_CALLER_TOKENS: &str = "DELETE FROM caller_tokens WHERE subject = $1";
const ERASE_LABELS: &str = "DELETE FROM labels WHERE account = $1 OR holder = 'actor:' || $1";
const ERASE_CLEARED: &str = "DELETE FROM labels_cleared WHERE account = $1 OR cleared_by = $1";
const DELETE_SUBJECT: &str = "DELETE FROM subjects WHERE actor = $1";

impl Store {
    /// Notes by what commitment a subject is known, unless that is noted.
    pub async fn subject_known_as(&self, actor: &str, commitment: &str) -> Result<(), StoreError> {
        let parameters = vec![Cell::text(commitment), Cell::text(actor)];
        let set = Statement { sql: SET_COMMITMENT, parameters, must_touch: false };
        self.change(NAME, vec![set]).await.map(drop)
    }

    /// Subjects of which it is not noted by what commitment they are known, with their wrapped keys.
    pub async fn subjects_nameless(&self) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        self.rows(READ, SELECT_NAMELESS, vec![]).await?.into_iter().map(name_and_key).collect()
    }

    /// The subject that is known by this commitment, with its wrapped key.
    pub async fn subject_by_commitment(
        &self,
        commitment: &str,
    ) -> Result<Option<(String, Vec<u8>)>, StoreError> {
        let rows = self.rows(READ, SELECT_NAMED, vec![Cell::text(commitment)]).await?;
        rows.into_iter().next().map(name_and_key).transpose()
    }

    /// Destroys the key of a subject, all that is sealed under it beside records and in requests for
    /// approval, its tokens here and for other systems, its labels, and what is noted of its accounts. All of it or
    /// nothing.
    ///
    /// `folded` is how its name is compared. Records themselves are left as they are.
    pub async fn subject_erase(&self, actor: &str, commitment: &str, folded: &str) -> Result<(), StoreError> {
        let all = [
            (ERASE_INPUTS, commitment),
            (ERASE_REQUESTS, commitment),
            (ERASE_ACCOUNTS, folded),
            (ERASE_TOKENS, actor),
            (ERASE_CALLER_TOKENS, commitment),
            (ERASE_LABELS, folded),
            (ERASE_CLEARED, folded),
            (DELETE_SUBJECT, actor),
        ];
        let statement =
            |(sql, name)| Statement { sql, parameters: vec![Cell::text(name)], must_touch: false };
        self.change(ERASE, all.into_iter().map(statement).collect()).await.map(drop)
    }

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

    /// Stores a wrapped key for `actor`, who is known by `commitment`, unless there is one, and returns the one
    /// that is stored.
    pub async fn subject_insert(
        &self,
        actor: &str,
        wrapped: &[u8],
        commitment: Option<&str>,
        created_us: u64,
    ) -> Result<Vec<u8>, StoreError> {
        let created_us = signed(created_us);
        let stored = match self.engine() {
            Engine::Sqlite(store) => {
                let (actor, wrapped) = (actor.to_owned(), wrapped.to_owned());
                let commitment = commitment.map(str::to_owned);
                let insert = move |transaction: &rusqlite::Transaction<'_>| {
                    transaction
                        .prepare_cached(INSERT_SUBJECT)?
                        .execute((&actor, wrapped, commitment, created_us))?;
                    select_key(transaction, &actor)
                };
                store.write(INSERT, insert).await?
            }
            Engine::Postgres(store) => {
                store.execute(INSERT, INSERT_SUBJECT, &[&actor, &wrapped, &commitment, &created_us]).await?;
                self.subject_key(actor).await?
            }
        };
        stored.ok_or(StoreError::Malformed { operation: INSERT, what: "the row just written" })
    }
}

fn name_and_key(mut row: CellRow) -> Result<(String, Vec<u8>), StoreError> {
    Ok((row.text("a subject's name")?, row.bytes("a subject's key")?))
}

fn select_names(connection: &Connection, after: &str) -> rusqlite::Result<Vec<String>> {
    let mut statement = connection.prepare_cached(SELECT_NAMES)?;
    let names = statement.query_map((after, MAX_NAMES), |row| row.get(0))?;
    names.collect()
}

fn select_key(connection: &Connection, actor: &str) -> rusqlite::Result<Option<Vec<u8>>> {
    connection.prepare_cached(SELECT_KEY)?.query_row([actor], |row| row.get(0)).optional()
}
