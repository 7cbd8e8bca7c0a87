//! The rows of bearer tokens that this installation issued.
//!
//! A token itself is never stored, only its hash. Making tokens, hashing them
//! and deciding whether one still counts is `quaymaster-control`'s part.

use quaymaster_core::{ActorId, Role, TokenId, Workspace};
use rusqlite::OptionalExtension;

use crate::number::{signed, unsigned};
use crate::store::Engine;
use crate::{Store, StoreError};

/// Most tokens that a list returns.
pub const MAX_TOKENS: u32 = 10_000;

const INSERT: &str = "store a token";
const READ: &str = "read tokens";
const REVOKE: &str = "revoke a token";
const TOUCH: &str = "note the use of a token";

const INSERT_TOKEN: &str = "
    INSERT INTO tokens
        (id, prefix, hash, actor, roles, workspace, created_us, expires_us, revoked_us, last_used_us, note,
         person)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";
const SELECT_BY_HASH: &str = "
    SELECT id, prefix, hash, actor, roles, workspace, created_us, expires_us, revoked_us, last_used_us, note,
           person
    FROM tokens WHERE hash = $1";
const SELECT_BY_ID: &str = "
    SELECT id, prefix, hash, actor, roles, workspace, created_us, expires_us, revoked_us, last_used_us, note,
           person
    FROM tokens WHERE id = $1";
const SELECT_ALL: &str = "
    SELECT id, prefix, hash, actor, roles, workspace, created_us, expires_us, revoked_us, last_used_us, note,
           person
    FROM tokens ORDER BY id LIMIT $1";
const UPDATE_REVOKED: &str = "UPDATE tokens SET revoked_us = $1 WHERE id = $2 AND revoked_us IS NULL";
const UPDATE_LAST_USED: &str = "
    UPDATE tokens SET last_used_us = $1 WHERE id = $2 AND (last_used_us IS NULL OR last_used_us < $1)";

/// A bearer token as it is stored. Times are microseconds since the Unix epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRow {
    /// The id.
    pub id: TokenId,
    /// The first characters of the token, by which a person recognises it.
    pub prefix: String,
    /// The hash of the token.
    pub hash: [u8; 32],
    /// Whom it authenticates.
    pub actor: ActorId,
    /// The person behind the actor, where that is another name.
    pub person: Option<ActorId>,
    /// The roles that its bearer acts in.
    pub roles: Vec<Role>,
    /// The workspace that its bearer acts in.
    pub workspace: Workspace,
    /// When it was made.
    pub created_us: u64,
    /// When it stops counting.
    pub expires_us: u64,
    /// When it was revoked.
    pub revoked_us: Option<u64>,
    /// When it was last used, as far as that was noted.
    pub last_used_us: Option<u64>,
    /// What it is for, in the words of whoever made it.
    pub note: Option<String>,
}

impl Store {
    /// Stores a new token. An id or a hash that is there already is an error.
    pub async fn token_insert(&self, token: &TokenRow) -> Result<(), StoreError> {
        let row = RawToken::from(token);
        match self.engine() {
            Engine::Sqlite(store) => store.write(INSERT, move |transaction| row.insert(transaction)).await,
            Engine::Postgres(store) => {
                let parameters: [&(dyn tokio_postgres::types::ToSql + Sync); 12] = [
                    &row.id,
                    &row.prefix,
                    &row.hash,
                    &row.actor,
                    &row.roles,
                    &row.workspace,
                    &row.created_us,
                    &row.expires_us,
                    &row.revoked_us,
                    &row.last_used_us,
                    &row.note,
                    &row.person,
                ];
                store.execute(INSERT, INSERT_TOKEN, &parameters).await.map(drop)
            }
        }
    }

    /// The token with this hash, whether it still counts or not.
    pub async fn token_by_hash(&self, hash: &[u8; 32]) -> Result<Option<TokenRow>, StoreError> {
        let row = match self.engine() {
            Engine::Sqlite(store) => {
                let hash = *hash;
                let select = move |connection: &rusqlite::Connection| {
                    connection
                        .prepare_cached(SELECT_BY_HASH)?
                        .query_row([hash], RawToken::from_sqlite)
                        .optional()
                };
                store.read(READ, select).await?
            }
            Engine::Postgres(store) => {
                let rows = store.query(READ, SELECT_BY_HASH, &[&hash.as_slice()]).await?;
                rows.first().map(RawToken::from_postgres).transpose()?
            }
        };
        row.map(RawToken::decode).transpose()
    }

    /// The token with this id, whether it still counts or not.
    pub async fn token(&self, id: &TokenId) -> Result<Option<TokenRow>, StoreError> {
        let row = match self.engine() {
            Engine::Sqlite(store) => {
                let id = id.clone();
                let select = move |connection: &rusqlite::Connection| {
                    let mut statement = connection.prepare_cached(SELECT_BY_ID)?;
                    statement.query_row([id.as_str()], RawToken::from_sqlite).optional()
                };
                store.read(READ, select).await?
            }
            Engine::Postgres(store) => {
                let rows = store.query(READ, SELECT_BY_ID, &[&id.as_str()]).await?;
                rows.first().map(RawToken::from_postgres).transpose()?
            }
        };
        row.map(RawToken::decode).transpose()
    }

    /// All tokens, in the order in which they were made, [`MAX_TOKENS`] at most.
    pub async fn token_list(&self) -> Result<Vec<TokenRow>, StoreError> {
        let rows: Vec<RawToken> = match self.engine() {
            Engine::Sqlite(store) => {
                let select = |connection: &rusqlite::Connection| {
                    let mut statement = connection.prepare_cached(SELECT_ALL)?;
                    statement.query_map([MAX_TOKENS], RawToken::from_sqlite)?.collect()
                };
                store.read(READ, select).await?
            }
            Engine::Postgres(store) => {
                let rows = store.query(READ, SELECT_ALL, &[&i64::from(MAX_TOKENS)]).await?;
                rows.iter().map(RawToken::from_postgres).collect::<Result<_, _>>()?
            }
        };
        rows.into_iter().map(RawToken::decode).collect()
    }

    /// Revokes a token; false if there is none with this id or it was revoked before.
    pub async fn token_revoke(&self, id: &TokenId, at_us: u64) -> Result<bool, StoreError> {
        self.update_token(REVOKE, UPDATE_REVOKED, id, at_us).await
    }

    /// Notes when a token was last used, unless a later use is noted.
    ///
    /// Each call is a durable write: note a use now and then, not each one.
    pub async fn token_touch(&self, id: &TokenId, at_us: u64) -> Result<(), StoreError> {
        self.update_token(TOUCH, UPDATE_LAST_USED, id, at_us).await.map(drop)
    }

    async fn update_token(
        &self,
        operation: &'static str,
        sql: &'static str,
        id: &TokenId,
        at_us: u64,
    ) -> Result<bool, StoreError> {
        let at_us = signed(at_us);
        match self.engine() {
            Engine::Sqlite(store) => {
                let id = id.clone();
                let update = move |transaction: &rusqlite::Transaction<'_>| {
                    transaction.prepare_cached(sql)?.execute((at_us, id.as_str()))
                };
                store.write(operation, update).await.map(|rows| rows > 0)
            }
            Engine::Postgres(store) => {
                store.execute(operation, sql, &[&at_us, &id.as_str()]).await.map(|rows| rows > 0)
            }
        }
    }
}

/// The columns of a token, not yet checked.
struct RawToken {
    id: String,
    prefix: String,
    hash: Vec<u8>,
    actor: String,
    roles: String,
    workspace: String,
    created_us: i64,
    expires_us: i64,
    revoked_us: Option<i64>,
    last_used_us: Option<i64>,
    note: Option<String>,
    person: Option<String>,
}

/// Reads a row by position; both drivers' rows look alike here.
macro_rules! columns {
    ($row:ident . $get:ident) => {
        RawToken {
            id: $row.$get(0)?,
            prefix: $row.$get(1)?,
            hash: $row.$get(2)?,
            actor: $row.$get(3)?,
            roles: $row.$get(4)?,
            workspace: $row.$get(5)?,
            created_us: $row.$get(6)?,
            expires_us: $row.$get(7)?,
            revoked_us: $row.$get(8)?,
            last_used_us: $row.$get(9)?,
            note: $row.$get(10)?,
            person: $row.$get(11)?,
        }
    };
}

impl RawToken {
    fn from_sqlite(row: &rusqlite::Row<'_>) -> rusqlite::Result<Self> {
        Ok(columns!(row.get))
    }

    fn from_postgres(row: &tokio_postgres::Row) -> Result<Self, StoreError> {
        let read = || Ok(columns!(row.try_get));
        read().map_err(|error| StoreError::postgres(READ, &error))
    }

    fn insert(&self, transaction: &rusqlite::Transaction<'_>) -> rusqlite::Result<()> {
        let mut statement = transaction.prepare_cached(INSERT_TOKEN)?;
        statement.execute((
            &self.id,
            &self.prefix,
            &self.hash,
            &self.actor,
            &self.roles,
            &self.workspace,
            self.created_us,
            self.expires_us,
            self.revoked_us,
            self.last_used_us,
            &self.note,
            &self.person,
        ))?;
        Ok(())
    }

    fn decode(self) -> Result<TokenRow, StoreError> {
        let malformed = |what| StoreError::Malformed { operation: READ, what };
        Ok(TokenRow {
            id: self.id.parse().map_err(|_| malformed("a token's id"))?,
            prefix: self.prefix,
            hash: self.hash.try_into().map_err(|_| malformed("a token's hash"))?,
            actor: ActorId::parse(&self.actor).map_err(|_| malformed("a token's actor"))?,
            person: self
                .person
                .map(|person| ActorId::parse(&person))
                .transpose()
                .map_err(|_| malformed("a token's person"))?,
            roles: serde_json::from_str(&self.roles).map_err(|_| malformed("a token's roles"))?,
            workspace: Workspace::parse(&self.workspace).map_err(|_| malformed("a token's workspace"))?,
            created_us: unsigned(self.created_us),
            expires_us: unsigned(self.expires_us),
            revoked_us: self.revoked_us.map(unsigned),
            last_used_us: self.last_used_us.map(unsigned),
            note: self.note,
        })
    }
}

impl From<&TokenRow> for RawToken {
    fn from(token: &TokenRow) -> Self {
        Self {
            id: token.id.as_str().into(),
            prefix: token.prefix.clone(),
            hash: token.hash.into(),
            actor: token.actor.as_str().into(),
            roles: token.roles.iter().map(Role::as_str).collect::<serde_json::Value>().to_string(),
            workspace: token.workspace.as_str().into(),
            created_us: signed(token.created_us),
            expires_us: signed(token.expires_us),
            revoked_us: token.revoked_us.map(signed),
            last_used_us: token.last_used_us.map(signed),
            note: token.note.clone(),
            person: token.person.as_ref().map(|person| person.as_str().into()),
        }
    }
}
