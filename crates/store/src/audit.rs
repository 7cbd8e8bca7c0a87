//! The rows of the audit log.
//!
//! A record is bytes with a leaf hash; what they say, how they are hashed and
//! when a batch is due is decided by the audit writer in `quaymaster-control`.
//! Here a batch is appended together with the tree that it leads to, and
//! records are read and found. Nothing changes a record; the oldest are removed by
//! `head`, which keeps the tree over them.
//!
//! Invariants:
//! - A record's sequence number is the index of its leaf: the first is 0, and
//!   there are no gaps from the minimum on.
//! - A batch and the tree's new state are stored together or not at all, and
//!   only onto the size that the writer expected.

mod head;
mod postgres;
mod query;
mod sink;
mod sqlite;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use thiserror::Error;

pub use self::head::{CheckpointRow, MAX_TILES, TileRow};
use self::query::Query;
use crate::number::unsigned;
use crate::store::Engine;
use crate::{Store, StoreError};

/// Most records that one batch may hold.
pub const MAX_APPEND: usize = 4_096;

/// Most records that one read returns, whatever limit was asked for.
pub const MAX_PAGE: u32 = 5_000;

/// Longest text that is searched for, in bytes. The record itself has it whole.
const MAX_SEARCHABLE: usize = 256;

const SELECT_TREE: &str = "SELECT size, frontier FROM audit_tree WHERE id = 1";
const SELECT_SEALED: &str = "SELECT sealed FROM audit_records WHERE seq = $1";

const APPEND: &str = "append to the audit";
const READ: &str = "read the audit";
const READ_TREE: &str = "read the audit's tree";

/// How far the tree over the records has grown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TreeState {
    /// How many records there are.
    pub size: u64,
    /// The hashes of the complete subtrees, as the writer gave them.
    pub frontier: Vec<[u8; 32]>,
}

/// A record that is to be appended.
///
/// All but `body`, `leaf` and `sealed` is for finding it again: of each text
/// the first 256 bytes are searched, and a NUL, which PostgreSQL cannot hold,
/// counts as U+FFFD.
#[derive(Clone, PartialEq, Eq)]
pub struct NewRecord {
    /// The index of its leaf in the tree.
    pub seq: u64,
    /// When it happened, in microseconds since the Unix epoch.
    pub time_us: u64,
    /// What happened, such as `call.intent`.
    pub event: &'static str,
    /// The call that it belongs to.
    pub call_id: Option<Arc<str>>,
    /// Who asked, as a keyed commitment.
    pub actor: Option<Arc<str>>,
    /// Where.
    pub workspace: Option<Arc<str>>,
    /// Which tool was meant.
    pub tool: Option<Arc<str>>,
    /// How it ended.
    pub status: Option<Cow<'static, str>>,
    /// The error code, if it failed or was refused.
    pub code: Option<Cow<'static, str>>,
    /// The record: canonical JSON (RFC 8785).
    pub body: Vec<u8>,
    /// Its leaf hash (RFC 6962, section 2.1).
    pub leaf: [u8; 32],
    /// What is kept beside it, encrypted, and not part of the leaf.
    pub sealed: Option<Vec<u8>>,
}

/// A record that was read.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredRecord {
    /// The index of its leaf in the tree.
    pub seq: u64,
    /// The record: canonical JSON (RFC 8785).
    pub body: Vec<u8>,
    /// Its leaf hash as it was stored.
    pub leaf: [u8; 32],
}

/// What stands beside a record: what it is found by, and what is kept encrypted.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredColumns {
    /// The index of its leaf in the tree.
    pub seq: u64,
    /// When it happened, in microseconds since the Unix epoch.
    pub time_us: u64,
    /// What happened.
    pub event: String,
    /// The call that it belongs to.
    pub call_id: Option<String>,
    /// Who asked, as a keyed commitment.
    pub actor: Option<String>,
    /// Where.
    pub workspace: Option<String>,
    /// Which tool was meant.
    pub tool: Option<String>,
    /// How it ended.
    pub status: Option<String>,
    /// The error code, if it failed or was refused.
    pub code: Option<String>,
    /// What is kept encrypted beside it.
    pub sealed: Option<Vec<u8>>,
}

/// Which records to find. Whatever is `None` does not matter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// Records of this call.
    pub call_id: Option<String>,
    /// Records of this actor, as a keyed commitment.
    pub actor: Option<String>,
    /// Records from this workspace.
    pub workspace: Option<String>,
    /// Records about this tool.
    pub tool: Option<String>,
    /// Records of this event.
    pub event: Option<String>,
    /// Records that ended so.
    pub status: Option<String>,
    /// Records with this error code.
    pub code: Option<String>,
    /// Records from this microsecond on.
    pub since_us: Option<u64>,
    /// Records from before this microsecond.
    pub until_us: Option<u64>,
    /// Records with a smaller sequence number: the smallest of one page gives the next.
    pub before_seq: Option<u64>,
}

/// Why a batch was not appended.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AppendError {
    /// Another process was faster. Nothing was written; build the batch anew onto `actual`.
    #[error("another process has appended to the audit, which now holds {} records", actual.size)]
    Conflict {
        /// The tree as it is.
        actual: TreeState,
    },
    /// The store failed. After a time-out or a lost connection the batch may be
    /// there all the same: look at [`Store::audit_tree`].
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Store {
    /// How far the tree has grown.
    pub async fn audit_tree(&self) -> Result<TreeState, StoreError> {
        match self.engine() {
            Engine::Sqlite(store) => sqlite::tree(store).await,
            Engine::Postgres(store) => postgres::tree(store).await,
        }?
        .decode()
    }

    /// Appends `records` to a tree of `expected_size` records, which becomes `tree`.
    ///
    /// They are on disk when this returns. A caller that drops the future does
    /// not know whether they are.
    ///
    /// # Errors
    ///
    /// - [`AppendError::Conflict`] if the tree has another size.
    /// - [`StoreError::Batch`] if the numbers do not run from `expected_size` to
    ///   `tree.size`, or there are more than [`MAX_APPEND`] records.
    pub async fn audit_append(
        &self,
        expected_size: u64,
        mut records: Vec<NewRecord>,
        tree: TreeState,
    ) -> Result<(), AppendError> {
        check_batch(expected_size, &records, &tree)?;
        if records.is_empty() {
            return Ok(());
        }
        records.iter_mut().for_each(NewRecord::trim);
        let found = match self.engine() {
            Engine::Sqlite(store) => sqlite::append(store, expected_size, records, tree).await?,
            Engine::Postgres(store) => postgres::append(store, expected_size, &records, &tree).await?,
        };
        match found {
            None => Ok(()),
            Some(found) => Err(AppendError::Conflict { actual: found.decode()? }),
        }
    }

    /// Records from `from_seq` on, in order; an empty page is the end.
    ///
    /// At most [`MAX_PAGE`] are returned, whatever `limit` says.
    pub async fn audit_read(&self, from_seq: u64, limit: u32) -> Result<Vec<StoredRecord>, StoreError> {
        self.select(Query::read(from_seq, limit)).await
    }

    /// What stands beside the records from `from_seq` on, in order; an empty page is the end.
    ///
    /// At most [`MAX_PAGE`] are returned, whatever `limit` says. Texts are as
    /// [`searchable`] leaves them.
    pub async fn audit_columns(&self, from_seq: u64, limit: u32) -> Result<Vec<StoredColumns>, StoreError> {
        let query = Query::columns(from_seq, limit);
        match self.engine() {
            Engine::Sqlite(store) => sqlite::columns(store, query).await,
            Engine::Postgres(store) => postgres::columns(store, query).await,
        }
    }

    /// Records that fit `filter`, newest first.
    ///
    /// At most [`MAX_PAGE`] are returned, whatever `limit` says.
    pub async fn audit_find(
        &self,
        filter: &AuditFilter,
        limit: u32,
    ) -> Result<Vec<StoredRecord>, StoreError> {
        self.select(Query::find(filter, limit)).await
    }

    /// What is kept encrypted beside a record.
    pub async fn audit_sealed(&self, seq: u64) -> Result<Option<Vec<u8>>, StoreError> {
        match self.engine() {
            Engine::Sqlite(store) => sqlite::sealed(store, seq).await,
            Engine::Postgres(store) => postgres::sealed(store, seq).await,
        }
    }

    async fn select(&self, query: Query) -> Result<Vec<StoredRecord>, StoreError> {
        match self.engine() {
            Engine::Sqlite(store) => sqlite::select(store, query).await,
            Engine::Postgres(store) => postgres::select(store, query).await,
        }
    }
}

/// Shows no content: a record may speak of people.
impl fmt::Debug for NewRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewRecord")
            .field("seq", &self.seq)
            .field("event", &self.event)
            .finish_non_exhaustive()
    }
}

/// Shows no content: a record may speak of people.
impl fmt::Debug for StoredRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredRecord").field("seq", &self.seq).finish_non_exhaustive()
    }
}

/// Shows no content: a record may speak of people.
impl fmt::Debug for StoredColumns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredColumns").field("seq", &self.seq).finish_non_exhaustive()
    }
}

impl NewRecord {
    /// Cuts what is searched for to what both dialects can hold and index.
    fn trim(&mut self) {
        let shared = [&mut self.call_id, &mut self.actor, &mut self.workspace, &mut self.tool];
        for text in shared.into_iter().flatten().filter(|text| !is_searchable(text)) {
            *text = searchable(text).into();
        }
        for text in [&mut self.status, &mut self.code].into_iter().flatten() {
            if !is_searchable(text) {
                *text = searchable(text).into();
            }
        }
    }
}

/// `text` as it is kept for finding a record again: cut to 256 bytes, without NUL.
pub fn searchable(text: &str) -> String {
    let cut = text.get(..text.floor_char_boundary(MAX_SEARCHABLE)).unwrap_or_default();
    cut.replace('\0', "\u{fffd}")
}

fn is_searchable(text: &str) -> bool {
    text.len() <= MAX_SEARCHABLE && !text.contains('\0')
}

fn check_batch(expected_size: u64, records: &[NewRecord], tree: &TreeState) -> Result<(), StoreError> {
    let refuse = |reason| Err(StoreError::Batch { reason });
    if records.len() > MAX_APPEND {
        return refuse("the batch has too many records");
    }
    if !(expected_size..).zip(records).all(|(seq, record)| record.seq == seq) {
        return refuse("the records are not numbered on from the size of the tree");
    }
    if tree.size.checked_sub(expected_size) != u64::try_from(records.len()).ok() {
        return refuse("the new size of the tree is not the old one and the records");
    }
    Ok(())
}

/// The tree as a row holds it.
#[derive(Debug)]
struct TreeRow {
    size: i64,
    frontier: Vec<u8>,
}

impl TreeRow {
    fn decode(self) -> Result<TreeState, StoreError> {
        let (hashes, rest) = self.frontier.as_chunks::<32>();
        if !rest.is_empty() {
            return Err(StoreError::Malformed { operation: READ_TREE, what: "its frontier" });
        }
        Ok(TreeState { size: unsigned(self.size), frontier: hashes.to_vec() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(seq: u64) -> NewRecord {
        NewRecord {
            seq,
            time_us: 0,
            event: "test",
            call_id: None,
            actor: None,
            workspace: None,
            tool: None,
            status: None,
            code: None,
            body: Vec::new(),
            leaf: [0; 32],
            sealed: None,
        }
    }

    fn reason(expected_size: u64, records: &[NewRecord], size: u64) -> String {
        let tree = TreeState { size, frontier: Vec::new() };
        check_batch(expected_size, records, &tree).map_or_else(|error| error.to_string(), |()| "fits".into())
    }

    #[test]
    fn a_batch_that_would_leave_a_gap_or_lie_about_the_size_is_refused() {
        insta::assert_snapshot!(
            [
                reason(3, &[record(3), record(4)], 5),
                reason(3, &[record(3), record(5)], 5),
                reason(3, &[record(4)], 4),
                reason(3, &[record(3)], 5),
                reason(3, &[], 2),
                reason(0, &vec![record(0); MAX_APPEND + 1], 0),
            ]
            .join("\n"),
            @r"
            fits
            the store cannot append to the audit: the records are not numbered on from the size of the tree
            the store cannot append to the audit: the records are not numbered on from the size of the tree
            the store cannot append to the audit: the new size of the tree is not the old one and the records
            the store cannot append to the audit: the new size of the tree is not the old one and the records
            the store cannot append to the audit: the batch has too many records
            "
        );
    }

    #[test]
    fn what_is_searched_for_is_cut_at_a_character_and_holds_no_nul() {
        let text = searchable(&format!("\0{}", "é".repeat(200)));
        assert!(text.starts_with("\u{fffd}é") && text.ends_with('é') && text.len() <= 259, "{text}");
    }
}
