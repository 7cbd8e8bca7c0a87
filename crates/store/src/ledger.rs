//! The rows of the idempotency ledger: one for each write, by its key.
//!
//! What makes a key, what the states mean and what is sealed is `quaymaster-control`'s part.
//!
//! Invariants:
//! - Of one key there is one row: of two who begin at once one does.
//! - A row is changed by who has read it as it is.

use quaymaster_core::{EntryId, Workspace};

use crate::approval::time;
use crate::cell::{Cell, CellRow, Statement};
use crate::{Store, StoreError};

/// Most rows that a list returns.
pub const MAX_LEDGER: u32 = 1_000;

const READ: &str = "read the idempotency ledger";
const SAVE: &str = "write the idempotency ledger";

macro_rules! columns {
    () => {
        "key, id, version, workspace, tool, digest, state, call_id, receipt, lease_us, created_us, kept_us"
    };
}

const INSERT: &str = concat!(
    "INSERT INTO idempotency (",
    columns!(),
    ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) ON CONFLICT DO NOTHING"
);
const UPDATE: &str = "
    UPDATE idempotency SET version = version + 1, digest = $1, state = $2, call_id = $3, receipt = $4,
        lease_us = $5, kept_us = $6
    WHERE key = $7 AND version = $8";
const RENEW: &str =
    "UPDATE idempotency SET lease_us = $1 WHERE key = $2 AND call_id = $3 AND state = 'intent'";
const FORGET: &str = "DELETE FROM idempotency WHERE kept_us < $1 AND state <> 'intent'";
const SELECT_KEY: &str = concat!("SELECT ", columns!(), " FROM idempotency WHERE key = $1");
const SELECT_ID: &str = concat!("SELECT ", columns!(), " FROM idempotency WHERE id = $1");
const SELECT_OPEN: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM idempotency WHERE state IN ('intent', 'unknown') ORDER BY created_us LIMIT $1"
);

/// One write as it is stored. Times are microseconds since the Unix epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerRow {
    /// Commitment to the key.
    pub key: String,
    /// The id by which people speak of it.
    pub id: EntryId,
    /// How often it was changed.
    pub version: u64,
    /// Where it belongs.
    pub workspace: Workspace,
    /// The tool.
    pub tool: String,
    /// Commitment to the arguments.
    pub digest: String,
    /// The state, in a word of `quaymaster-control`.
    pub state: String,
    /// The call that runs or ran.
    pub call_id: String,
    /// What came of it, sealed.
    pub receipt: Option<Vec<u8>>,
    /// Until when the process that runs it is believed to be at it.
    pub lease_us: Option<u64>,
    /// When it was made.
    pub created_us: u64,
    /// Until when it is kept.
    pub kept_us: u64,
}

impl Store {
    /// Writes a new row. False if there is one of that key.
    pub async fn ledger_begin(&self, row: &LedgerRow) -> Result<bool, StoreError> {
        let parameters = vec![
            Cell::text(&row.key),
            Cell::text(row.id.as_str()),
            Cell::number(row.version),
            Cell::text(row.workspace.as_str()),
            Cell::text(&row.tool),
            Cell::text(&row.digest),
            Cell::text(&row.state),
            Cell::text(&row.call_id),
            Cell::maybe(row.receipt.as_deref(), Cell::bytes),
            time(row.lease_us),
            Cell::number(row.created_us),
            Cell::number(row.kept_us),
        ];
        self.change(SAVE, vec![Statement { sql: INSERT, parameters, must_touch: true }]).await
    }

    /// The row of a key.
    pub async fn ledger_of(&self, key: &str) -> Result<Option<LedgerRow>, StoreError> {
        let rows = self.rows(READ, SELECT_KEY, vec![Cell::text(key)]).await?;
        rows.into_iter().next().map(LedgerRow::read).transpose()
    }

    /// The row of this id.
    pub async fn ledger_entry(&self, id: &EntryId) -> Result<Option<LedgerRow>, StoreError> {
        let rows = self.rows(READ, SELECT_ID, vec![Cell::text(id.as_str())]).await?;
        rows.into_iter().next().map(LedgerRow::read).transpose()
    }

    /// The rows whose end nobody knows or has seen yet, oldest first, [`MAX_LEDGER`] at most.
    pub async fn ledger_open(&self) -> Result<Vec<LedgerRow>, StoreError> {
        let rows = self.rows(READ, SELECT_OPEN, vec![Cell::number(MAX_LEDGER.into())]).await?;
        rows.into_iter().map(LedgerRow::read).collect()
    }

    /// Writes what changed in `row` if nobody changed it since it was read. False otherwise.
    pub async fn ledger_save(&self, row: &LedgerRow) -> Result<bool, StoreError> {
        let parameters = vec![
            Cell::text(&row.digest),
            Cell::text(&row.state),
            Cell::text(&row.call_id),
            Cell::maybe(row.receipt.as_deref(), Cell::bytes),
            time(row.lease_us),
            Cell::number(row.kept_us),
            Cell::text(&row.key),
            Cell::number(row.version),
        ];
        self.change(SAVE, vec![Statement { sql: UPDATE, parameters, must_touch: true }]).await
    }

    /// Says of these writes, each a key and a call, that they still run.
    pub async fn ledger_renew(&self, running: &[(String, String)], lease_us: u64) -> Result<(), StoreError> {
        let renew = |(key, call): &(String, String)| Statement {
            sql: RENEW,
            parameters: vec![Cell::number(lease_us), Cell::text(key), Cell::text(call)],
            must_touch: false,
        };
        self.change(SAVE, running.iter().map(renew).collect()).await.map(drop)
    }

    /// Forgets what is not to be kept any more at `now_us`.
    pub async fn ledger_forget(&self, now_us: u64) -> Result<(), StoreError> {
        let forget = Statement { sql: FORGET, parameters: vec![Cell::number(now_us)], must_touch: false };
        self.change(SAVE, vec![forget]).await.map(drop)
    }
}

impl LedgerRow {
    fn read(mut row: CellRow) -> Result<Self, StoreError> {
        Ok(Self {
            key: row.text("a write's key")?,
            id: row.parsed("a write's id", |text| text.parse().ok())?,
            version: row.number("a write's version")?,
            workspace: row.parsed("a write's workspace", |text| Workspace::parse(text).ok())?,
            tool: row.text("a write's tool")?,
            digest: row.text("a write's arguments")?,
            state: row.text("a write's state")?,
            call_id: row.text("a write's call")?,
            receipt: row.maybe_bytes("a write's receipt")?,
            lease_us: row.maybe_number("a write's time")?,
            created_us: row.number("a write's time")?,
            kept_us: row.number("a write's time")?,
        })
    }
}
