//! The audit's rows in SQLite.

use rusqlite::types::{ToSql, ToSqlOutput};
use rusqlite::{Connection, OptionalExtension, Transaction, params_from_iter};

use super::query::{Parameter, Query};
use super::{
    APPEND, NewRecord, READ, READ_TREE, SELECT_SEALED, SELECT_TREE, StoredColumns, StoredRecord, TreeRow,
    TreeState,
};
use crate::StoreError;
use crate::number::{signed, unsigned};
use crate::sqlite::Sqlite;

const INSERT_RECORD: &str = "
    INSERT INTO audit_records
        (seq, time_us, event, call_id, actor, workspace, tool, status, code, body, leaf, sealed)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";
const UPDATE_TREE: &str = "UPDATE audit_tree SET size = $1, frontier = $2 WHERE id = 1";

pub(super) async fn tree(store: &Sqlite) -> Result<TreeRow, StoreError> {
    store.read(READ_TREE, select_tree).await
}

/// Appends the batch, or returns the tree that is there instead of the expected one.
pub(super) async fn append(
    store: &Sqlite,
    expected_size: u64,
    records: Vec<NewRecord>,
    tree: TreeState,
) -> Result<Option<TreeRow>, StoreError> {
    let append = move |transaction: &Transaction<'_>| {
        let found = select_tree(transaction)?;
        if found.size != signed(expected_size) {
            return Ok(Some(found));
        }
        insert(transaction, &records)?;
        transaction
            .prepare_cached(UPDATE_TREE)?
            .execute((signed(tree.size), tree.frontier.as_flattened()))?;
        Ok(None)
    };
    store.write(APPEND, append).await
}

pub(super) async fn select(store: &Sqlite, query: Query) -> Result<Vec<StoredRecord>, StoreError> {
    let select = move |connection: &Connection| {
        let mut statement = connection.prepare_cached(&query.sql)?;
        let rows = statement.query_map(params_from_iter(&query.parameters), |row| {
            Ok(StoredRecord { seq: unsigned(row.get(0)?), body: row.get(1)?, leaf: row.get(2)? })
        })?;
        rows.collect()
    };
    store.read(READ, select).await
}

pub(super) async fn columns(store: &Sqlite, query: Query) -> Result<Vec<StoredColumns>, StoreError> {
    let select = move |connection: &Connection| {
        let mut statement = connection.prepare_cached(&query.sql)?;
        let rows = statement.query_map(params_from_iter(&query.parameters), |row| {
            Ok(StoredColumns {
                seq: unsigned(row.get(0)?),
                time_us: unsigned(row.get(1)?),
                event: row.get(2)?,
                call_id: row.get(3)?,
                actor: row.get(4)?,
                workspace: row.get(5)?,
                tool: row.get(6)?,
                status: row.get(7)?,
                code: row.get(8)?,
                sealed: row.get(9)?,
            })
        })?;
        rows.collect()
    };
    store.read(READ, select).await
}

pub(super) async fn sealed(store: &Sqlite, seq: u64) -> Result<Option<Vec<u8>>, StoreError> {
    let select = move |connection: &Connection| {
        connection.prepare_cached(SELECT_SEALED)?.query_row([signed(seq)], |row| row.get(0)).optional()
    };
    Ok(store.read(READ, select).await?.flatten())
}

fn select_tree(connection: &Connection) -> rusqlite::Result<TreeRow> {
    connection
        .prepare_cached(SELECT_TREE)?
        .query_row((), |row| Ok(TreeRow { size: row.get(0)?, frontier: row.get(1)? }))
}

fn insert(transaction: &Transaction<'_>, records: &[NewRecord]) -> rusqlite::Result<()> {
    let mut insert_record = transaction.prepare_cached(INSERT_RECORD)?;
    for record in records {
        insert_record.execute((
            signed(record.seq),
            signed(record.time_us),
            record.event,
            &record.call_id,
            &record.actor,
            &record.workspace,
            &record.tool,
            &record.status,
            &record.code,
            &record.body,
            record.leaf,
            &record.sealed,
        ))?;
    }
    Ok(())
}

impl ToSql for Parameter {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        match self {
            Self::Text(text) => text.to_sql(),
            Self::Number(number) => number.to_sql(),
        }
    }
}
