//! The rows of labels: what whoever calls has seen, since which call, until when; and who took some away.
//!
//! What sets a label and what follows from it is `quaymaster-control`'s part. A holder is a text that it makes.

use crate::cell::{Cell, CellRow, Statement};
use crate::{Store, StoreError};

/// Most labels that are read at once, and most of what is told of those that were taken away.
pub const MAX_LABELS: u32 = 1_000;

const READ: &str = "read labels";
const SAVE: &str = "note labels";

const SELECT_OF: &str = "
    SELECT holder, label, workspace, account, call_id, since_us, until_us FROM labels
    WHERE holder IN ($1, $2, $3) AND until_us > $4 ORDER BY since_us, label, holder, workspace LIMIT $5";
const SELECT_IN: &str = "
    SELECT holder, label, workspace, account, call_id, since_us, until_us FROM labels
    WHERE workspace = $1 AND until_us > $2 ORDER BY account, holder, since_us, label LIMIT $3";
const SELECT_IN_OF: &str = "
    SELECT holder, label, workspace, account, call_id, since_us, until_us FROM labels
    WHERE workspace = $1 AND until_us > $2 AND (holder = $3 OR account = $4)
    ORDER BY account, holder, since_us, label LIMIT $5";
const SELECT_ANY: &str = "SELECT count(*) FROM (SELECT 1 FROM labels WHERE until_us > $1 LIMIT 1) AS found";
const UPSERT: &str = "
    INSERT INTO labels (holder, label, workspace, account, call_id, since_us, until_us)
    VALUES ($1, $2, $3, $4, $5, $6, $7)
    ON CONFLICT (holder, label, workspace, account) DO UPDATE SET
        call_id = CASE WHEN labels.until_us <= excluded.since_us THEN excluded.call_id ELSE labels.call_id END,
        since_us = CASE WHEN labels.until_us <= excluded.since_us THEN excluded.since_us ELSE labels.since_us END,
        until_us = CASE WHEN labels.until_us < excluded.until_us THEN excluded.until_us ELSE labels.until_us END";
const DELETE: &str =
    "DELETE FROM labels WHERE holder = $1 AND workspace = $2 AND label = $3 AND account = $4";
const PURGE: &str = "DELETE FROM labels WHERE until_us <= $1";
const INSERT_CLEARED: &str = "
    INSERT INTO labels_cleared (id, workspace, account, labels, cleared_by, reason, cleared_us)
    VALUES ($1, $2, $3, $4, $5, $6, $7)";
const SELECT_CLEARED: &str = "
    SELECT id, workspace, account, labels, cleared_by, reason, cleared_us FROM labels_cleared
    WHERE workspace = $1 ORDER BY cleared_us DESC, id DESC LIMIT $2";
const PURGE_CLEARED: &str = "DELETE FROM labels_cleared WHERE cleared_us <= $1";

/// A label as it is stored. Times are microseconds since the Unix epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelRow {
    /// Whom it follows.
    pub holder: String,
    /// The label.
    pub label: String,
    /// In which workspace it was set.
    pub workspace: String,
    /// The account, folded, by whose call it was set.
    pub account: String,
    /// The call by which it was set.
    pub call: String,
    /// When it was set.
    pub since_us: u64,
    /// When it ends by itself.
    pub until_us: u64,
}

/// That somebody took labels away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClearedRow {
    /// Its id.
    pub id: String,
    /// In which workspace.
    pub workspace: String,
    /// Whose labels, folded.
    pub account: String,
    /// Which, with commas between.
    pub labels: String,
    /// Who took them away, folded.
    pub cleared_by: String,
    /// Why, in their words.
    pub reason: String,
    /// When, in microseconds since the Unix epoch.
    pub cleared_us: u64,
}

impl Store {
    /// The labels that any of these holders has at `now_us`, oldest first, [`MAX_LABELS`] at most.
    pub async fn labels_of(&self, holders: [&str; 3], now_us: u64) -> Result<Vec<LabelRow>, StoreError> {
        let [one, two, three] = holders.map(Cell::text);
        let parameters = vec![one, two, three, Cell::number(now_us), Cell::number(MAX_LABELS.into())];
        let rows = self.rows(READ, SELECT_OF, parameters).await?;
        rows.into_iter().map(LabelRow::read).collect()
    }

    /// The labels that were set in `workspace` and stand at `now_us`, by account, [`MAX_LABELS`] at most; with
    /// `whose`, those of this holder, and those that calls of this account set.
    pub async fn labels_in(
        &self,
        workspace: &str,
        whose: Option<(&str, &str)>,
        now_us: u64,
    ) -> Result<Vec<LabelRow>, StoreError> {
        let mut parameters = vec![Cell::text(workspace), Cell::number(now_us)];
        let sql = if whose.is_some() { SELECT_IN_OF } else { SELECT_IN };
        parameters.extend(whose.into_iter().flat_map(|(holder, account)| [holder, account]).map(Cell::text));
        parameters.push(Cell::number(MAX_LABELS.into()));
        let rows = self.rows(READ, sql, parameters).await?;
        rows.into_iter().map(LabelRow::read).collect()
    }

    /// Whether anybody has a label at `now_us`.
    pub async fn labels_exist(&self, now_us: u64) -> Result<bool, StoreError> {
        let rows = self.rows(READ, SELECT_ANY, vec![Cell::number(now_us)]).await?;
        let count = rows.into_iter().next().map_or(Ok(0), |mut row| row.number("the number of labels"))?;
        Ok(count > 0)
    }

    /// Notes labels; on disk when this returns. One that stands already lasts as long as the longer of both,
    /// and stays the call's by which it was set.
    pub async fn labels_set(&self, labels: &[LabelRow]) -> Result<(), StoreError> {
        let upsert = |row: &LabelRow| Statement {
            sql: UPSERT,
            parameters: vec![
                Cell::text(&row.holder),
                Cell::text(&row.label),
                Cell::text(&row.workspace),
                Cell::text(&row.account),
                Cell::text(&row.call),
                Cell::number(row.since_us),
                Cell::number(row.until_us),
            ],
            must_touch: false,
        };
        self.change(SAVE, labels.iter().map(upsert).collect()).await.map(drop)
    }

    /// Takes these labels away, and notes that; both or nothing.
    pub async fn labels_clear(&self, labels: &[LabelRow], note: &ClearedRow) -> Result<(), StoreError> {
        let delete = |row: &LabelRow| Statement {
            sql: DELETE,
            parameters: [&row.holder, &row.workspace, &row.label, &row.account].map(Cell::text).into(),
            must_touch: false,
        };
        let noted = Statement {
            sql: INSERT_CLEARED,
            parameters: vec![
                Cell::text(&note.id),
                Cell::text(&note.workspace),
                Cell::text(&note.account),
                Cell::text(&note.labels),
                Cell::text(&note.cleared_by),
                Cell::text(&note.reason),
                Cell::number(note.cleared_us),
            ],
            must_touch: true,
        };
        self.change(SAVE, labels.iter().map(delete).chain([noted]).collect()).await.map(drop)
    }

    /// Who took labels away in `workspace`, the last first, [`MAX_LABELS`] at most.
    pub async fn labels_cleared(&self, workspace: &str) -> Result<Vec<ClearedRow>, StoreError> {
        let parameters = vec![Cell::text(workspace), Cell::number(MAX_LABELS.into())];
        let rows = self.rows(READ, SELECT_CLEARED, parameters).await?;
        rows.into_iter().map(ClearedRow::read).collect()
    }

    /// Forgets the labels that ended before `now_us`, and what was taken away before `old_us`.
    pub async fn labels_purge(&self, now_us: u64, old_us: u64) -> Result<(), StoreError> {
        let purge = |sql, at| Statement { sql, parameters: vec![Cell::number(at)], must_touch: false };
        self.change(SAVE, vec![purge(PURGE, now_us), purge(PURGE_CLEARED, old_us)]).await.map(drop)
    }
}

impl LabelRow {
    fn read(mut row: CellRow) -> Result<Self, StoreError> {
        Ok(Self {
            holder: row.text("a label's holder")?,
            label: row.text("a label")?,
            workspace: row.text("a label's workspace")?,
            account: row.text("a label's account")?,
            call: row.text("a label's call")?,
            since_us: row.number("a label's time")?,
            until_us: row.number("a label's time")?,
        })
    }
}

impl ClearedRow {
    fn read(mut row: CellRow) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.text("an id")?,
            workspace: row.text("a workspace")?,
            account: row.text("an account")?,
            labels: row.text("labels")?,
            cleared_by: row.text("a name")?,
            reason: row.text("a reason")?,
            cleared_us: row.number("a time")?,
        })
    }
}
