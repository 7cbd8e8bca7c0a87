//! The rows of one-time codes that log a browser in.
//!
//! A code itself is never stored, only its hash. What a code looks like and how often one may be
//! tried is `quaymaster-control`'s part.

use crate::cell::{Cell, Statement};
use crate::{Store, StoreError};

const MAKE: &str = "store a code for the console";
const USE: &str = "use a code for the console";

/// Codes that are over go when a new one comes.
const DELETE_OLD: &str = "DELETE FROM console_codes WHERE expires_us < $1";
const INSERT: &str = "
    INSERT INTO console_codes (hash, holder, created_us, expires_us, used_us) VALUES ($1, $2, $3, $4, NULL)";
const SELECT: &str =
    "SELECT holder FROM console_codes WHERE hash = $1 AND used_us IS NULL AND expires_us > $2";
const UPDATE: &str =
    "UPDATE console_codes SET used_us = $1 WHERE hash = $2 AND used_us IS NULL AND expires_us > $1";

/// A code as it is stored. Times are microseconds since the Unix epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodeRow {
    /// The hash of the code.
    pub hash: [u8; 32],
    /// Whom it logs in, sealed.
    pub holder: Vec<u8>,
    /// When it was made.
    pub created_us: u64,
    /// When it stops counting.
    pub expires_us: u64,
}

impl Store {
    /// Stores a new code.
    pub async fn code_insert(&self, code: &CodeRow) -> Result<(), StoreError> {
        let delete =
            Statement { sql: DELETE_OLD, parameters: vec![Cell::number(code.created_us)], must_touch: false };
        let parameters = vec![
            Cell::bytes(&code.hash),
            Cell::bytes(&code.holder),
            Cell::number(code.created_us),
            Cell::number(code.expires_us),
        ];
        let insert = Statement { sql: INSERT, parameters, must_touch: true };
        self.change(MAKE, vec![delete, insert]).await.map(drop)
    }

    /// Uses the code with this hash, and gives whom it logs in; none if there is no such code, it is
    /// over or it was used. Of several who use one at once, one is given an answer.
    pub async fn code_use(&self, hash: &[u8; 32], now_us: u64) -> Result<Option<Vec<u8>>, StoreError> {
        let parameters = vec![Cell::bytes(hash), Cell::number(now_us)];
        let rows = self.rows(USE, SELECT, parameters).await?;
        let Some(mut row) = rows.into_iter().next() else { return Ok(None) };
        let holder = row.bytes("a code's holder")?;
        let parameters = vec![Cell::number(now_us), Cell::bytes(hash)];
        let update = Statement { sql: UPDATE, parameters, must_touch: true };
        Ok(self.change(USE, vec![update]).await?.then_some(holder))
    }
}
