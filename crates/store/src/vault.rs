//! The rows of what people have stored for systems that are asked in their names.
//!
//! A row is sealed with keys that the store never sees; `quaymaster-control::vault` makes and opens it.
//!
//! Invariants:
//! - There is one token of a person for a connector in a workspace; another one has a higher version.
//! - A key is wrapped anew only where it is still the one that was read, and what it seals stays as it is.

use crate::cell::{Cell, CellRow, Statement};
use crate::{Store, StoreError};

/// Most tokens that are read at once.
pub const MAX_CALLER_TOKENS: usize = 1_000;

const READ: &str = "read a caller's token";
const STORE: &str = "store a caller's token";
const REMOVE: &str = "remove a caller's token";
const WRAP: &str = "wrap the key of a caller's token";

const SELECT_ONE: &str = "
    SELECT workspace, connector, subject, version, sealed, wrapped_key, ring_key, stored_us, expires_us
    FROM caller_tokens WHERE workspace = $1 AND connector = $2 AND subject = $3";
const SELECT_ALL: &str = "
    SELECT workspace, connector, subject, version, sealed, wrapped_key, ring_key, stored_us, expires_us
    FROM caller_tokens
    WHERE workspace > $1 OR (workspace = $1 AND (connector > $2 OR (connector = $2 AND subject > $3)))
    ORDER BY workspace, connector, subject LIMIT 1000";
const SELECT_WRAPPED_OTHERWISE: &str = "
    SELECT workspace, connector, subject, version, sealed, wrapped_key, ring_key, stored_us, expires_us
    FROM caller_tokens WHERE ring_key <> $1 ORDER BY workspace, connector, subject LIMIT 1000";
/// The first is stored where there is none, any other over the one before it.
const UPSERT: &str = "
    INSERT INTO caller_tokens
        (workspace, connector, subject, version, sealed, wrapped_key, ring_key, stored_us, expires_us)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
    ON CONFLICT (workspace, connector, subject) DO UPDATE
    SET version = excluded.version, sealed = excluded.sealed, wrapped_key = excluded.wrapped_key,
        ring_key = excluded.ring_key, stored_us = excluded.stored_us, expires_us = excluded.expires_us
    WHERE caller_tokens.version = excluded.version - 1";
const REWRAP: &str = "
    UPDATE caller_tokens SET wrapped_key = $1, ring_key = $2
    WHERE workspace = $3 AND connector = $4 AND subject = $5 AND version = $6 AND ring_key = $7";
const DELETE: &str = "DELETE FROM caller_tokens WHERE workspace = $1 AND connector = $2 AND subject = $3";

/// Whose token it is, and for what.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CallerTokenKey {
    /// The workspace.
    pub workspace: String,
    /// The connector.
    pub connector: String,
    /// The commitment to the person.
    pub subject: String,
}

/// A token, sealed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallerTokenRow {
    /// Whose it is, and for what.
    pub key: CallerTokenKey,
    /// The first has 1.
    pub version: u64,
    /// The token, sealed under its own key.
    pub sealed: Vec<u8>,
    /// Its key, sealed.
    pub wrapped_key: Vec<u8>,
    /// The number of the key of the ring that wraps it.
    pub ring_key: u32,
    /// When it was stored.
    pub stored_us: u64,
    /// When it ends, where that is known.
    pub expires_us: Option<u64>,
}

impl Store {
    /// The token that there is.
    pub async fn caller_token(&self, key: &CallerTokenKey) -> Result<Option<CallerTokenRow>, StoreError> {
        let rows = self.rows(READ, SELECT_ONE, key.cells()).await?;
        rows.into_iter().next().map(CallerTokenRow::read).transpose()
    }

    /// Tokens in order behind `after`, [`MAX_CALLER_TOKENS`] at most; an empty page is the end.
    pub async fn caller_tokens(&self, after: &CallerTokenKey) -> Result<Vec<CallerTokenRow>, StoreError> {
        let rows = self.rows(READ, SELECT_ALL, after.cells()).await?;
        rows.into_iter().map(CallerTokenRow::read).collect()
    }

    /// Tokens whose keys are wrapped by another key of the ring than `ring_key`, [`MAX_CALLER_TOKENS`] at most.
    pub async fn caller_tokens_not_wrapped_by(
        &self,
        ring_key: u32,
    ) -> Result<Vec<CallerTokenRow>, StoreError> {
        let rows = self.rows(READ, SELECT_WRAPPED_OTHERWISE, vec![Cell::number(ring_key.into())]).await?;
        rows.into_iter().map(CallerTokenRow::read).collect()
    }

    /// Stores a token; false if there is another one by now than the one whose version comes before it.
    pub async fn caller_token_store(&self, row: &CallerTokenRow) -> Result<bool, StoreError> {
        let store = Statement { sql: UPSERT, parameters: row.cells(), must_touch: true };
        self.change(STORE, vec![store]).await
    }

    /// Puts another wrapping round the key of a token; false if the token is another one by now.
    pub async fn caller_token_rewrap(
        &self,
        row: &CallerTokenRow,
        wrapped_key: &[u8],
        ring_key: u32,
    ) -> Result<bool, StoreError> {
        let mut parameters = vec![Cell::bytes(wrapped_key), Cell::number(ring_key.into())];
        parameters.extend(row.key.cells());
        parameters.extend([Cell::number(row.version), Cell::number(row.ring_key.into())]);
        self.change(WRAP, vec![Statement { sql: REWRAP, parameters, must_touch: true }]).await
    }

    /// Removes a token; false if there is none.
    pub async fn caller_token_remove(&self, key: &CallerTokenKey) -> Result<bool, StoreError> {
        let remove = Statement { sql: DELETE, parameters: key.cells(), must_touch: true };
        self.change(REMOVE, vec![remove]).await
    }
}

impl CallerTokenKey {
    fn cells(&self) -> Vec<Cell> {
        [&self.workspace, &self.connector, &self.subject].map(Cell::text).into()
    }
}

impl CallerTokenRow {
    fn cells(&self) -> Vec<Cell> {
        let mut cells = self.key.cells();
        cells.extend([
            Cell::number(self.version),
            Cell::bytes(&self.sealed),
            Cell::bytes(&self.wrapped_key),
            Cell::number(self.ring_key.into()),
            Cell::number(self.stored_us),
            Cell::maybe(self.expires_us, Cell::number),
        ]);
        cells
    }

    fn read(mut row: CellRow) -> Result<Self, StoreError> {
        let key = CallerTokenKey {
            workspace: row.text("a token's workspace")?,
            connector: row.text("a token's connector")?,
            subject: row.text("a token's subject")?,
        };
        let version = row.number("a token's version")?;
        let (sealed, wrapped_key) = (row.bytes("a token")?, row.bytes("a token's key")?);
        let malformed = |_| StoreError::Malformed { operation: READ, what: "a token's wrapping" };
        let ring_key = u32::try_from(row.number("a token's wrapping")?).map_err(malformed)?;
        let stored_us = row.number("a token's time")?;
        let expires_us = row.maybe_number("a token's time")?;
        Ok(Self { key, version, sealed, wrapped_key, ring_key, stored_us, expires_us })
    }
}
