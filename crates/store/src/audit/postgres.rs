//! The audit's rows in PostgreSQL.
//!
//! A batch is one statement and so one round trip. Moving the tree on from the
//! expected size locks its row and decides; the records are inserted only where
//! that moved a row, and a statement takes effect whole or not at all.

use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::query::{Parameter, Query};
use super::{
    APPEND, NewRecord, READ, READ_TREE, SELECT_SEALED, SELECT_TREE, StoredColumns, StoredRecord, TreeRow,
    TreeState,
};
use crate::StoreError;
use crate::number::{signed, unsigned};
use crate::postgres::Postgres;

const APPEND_BATCH: &str = "
    WITH moved AS (
        UPDATE audit_tree SET size = $2, frontier = $3 WHERE id = 1 AND size = $1 RETURNING 1
    )
    INSERT INTO audit_records
        (seq, time_us, event, call_id, actor, workspace, tool, status, code, body, leaf, sealed)
    SELECT * FROM unnest(
        $4::bigint[], $5::bigint[], $6::text[], $7::text[], $8::text[], $9::text[],
        $10::text[], $11::text[], $12::text[], $13::bytea[], $14::bytea[], $15::bytea[]
    ) WHERE EXISTS (SELECT FROM moved)";

pub(super) async fn tree(store: &Postgres) -> Result<TreeRow, StoreError> {
    let malformed = StoreError::Malformed { operation: READ_TREE, what: "its row" };
    let row = store.query(READ_TREE, SELECT_TREE, &[]).await?.pop().ok_or(malformed)?;
    let read = || Ok(TreeRow { size: row.try_get(0)?, frontier: row.try_get(1)? });
    read().map_err(|error| StoreError::postgres(READ_TREE, &error))
}

/// Appends the batch, or returns the tree that is there instead of the expected one.
pub(super) async fn append(
    store: &Postgres,
    expected_size: u64,
    records: &[NewRecord],
    tree: &TreeState,
) -> Result<Option<TreeRow>, StoreError> {
    let columns = Columns::of(records);
    let inserted = store
        .execute(
            APPEND,
            APPEND_BATCH,
            &[
                &signed(expected_size),
                &signed(tree.size),
                &tree.frontier.as_flattened(),
                &columns.seq,
                &columns.time_us,
                &columns.event,
                &columns.call_id,
                &columns.actor,
                &columns.workspace,
                &columns.tool,
                &columns.status,
                &columns.code,
                &columns.body,
                &columns.leaf,
                &columns.sealed,
            ],
        )
        .await?;
    if inserted == 0 { self::tree(store).await.map(Some) } else { Ok(None) }
}

pub(super) async fn select(store: &Postgres, query: Query) -> Result<Vec<StoredRecord>, StoreError> {
    let parameters: Vec<&(dyn ToSql + Sync)> = query.parameters.iter().map(Parameter::as_sql).collect();
    store.query(READ, &query.sql, &parameters).await?.iter().map(record).collect()
}

pub(super) async fn columns(store: &Postgres, query: Query) -> Result<Vec<StoredColumns>, StoreError> {
    let parameters: Vec<&(dyn ToSql + Sync)> = query.parameters.iter().map(Parameter::as_sql).collect();
    store.query(READ, &query.sql, &parameters).await?.iter().map(record_columns).collect()
}

pub(super) async fn sealed(store: &Postgres, seq: u64) -> Result<Option<Vec<u8>>, StoreError> {
    let rows = store.query(READ, SELECT_SEALED, &[&signed(seq)]).await?;
    let row = rows.first().map(|row| row.try_get(0));
    Ok(row.transpose().map_err(|error| StoreError::postgres(READ, &error))?.flatten())
}

fn record(row: &Row) -> Result<StoredRecord, StoreError> {
    let fail = |error: tokio_postgres::Error| StoreError::postgres(READ, &error);
    let leaf: &[u8] = row.try_get(2).map_err(fail)?;
    Ok(StoredRecord {
        seq: unsigned(row.try_get(0).map_err(fail)?),
        body: row.try_get(1).map_err(fail)?,
        leaf: leaf.try_into().map_err(|_| StoreError::Malformed { operation: READ, what: "a leaf" })?,
    })
}

fn record_columns(row: &Row) -> Result<StoredColumns, StoreError> {
    let fail = |error: tokio_postgres::Error| StoreError::postgres(READ, &error);
    Ok(StoredColumns {
        seq: unsigned(row.try_get(0).map_err(fail)?),
        time_us: unsigned(row.try_get(1).map_err(fail)?),
        event: row.try_get(2).map_err(fail)?,
        call_id: row.try_get(3).map_err(fail)?,
        actor: row.try_get(4).map_err(fail)?,
        workspace: row.try_get(5).map_err(fail)?,
        tool: row.try_get(6).map_err(fail)?,
        status: row.try_get(7).map_err(fail)?,
        code: row.try_get(8).map_err(fail)?,
        sealed: row.try_get(9).map_err(fail)?,
    })
}

impl Parameter {
    fn as_sql(&self) -> &(dyn ToSql + Sync) {
        match self {
            Self::Text(text) => text,
            Self::Number(number) => number,
        }
    }
}

/// A batch, one array for each column.
#[derive(Default)]
struct Columns<'a> {
    seq: Vec<i64>,
    time_us: Vec<i64>,
    event: Vec<&'a str>,
    call_id: Vec<Option<&'a str>>,
    actor: Vec<Option<&'a str>>,
    workspace: Vec<Option<&'a str>>,
    tool: Vec<Option<&'a str>>,
    status: Vec<Option<&'a str>>,
    code: Vec<Option<&'a str>>,
    body: Vec<&'a [u8]>,
    leaf: Vec<&'a [u8]>,
    sealed: Vec<Option<&'a [u8]>>,
}

impl<'a> Columns<'a> {
    fn of(records: &'a [NewRecord]) -> Self {
        let mut columns = Self::default();
        for record in records {
            columns.seq.push(signed(record.seq));
            columns.time_us.push(signed(record.time_us));
            columns.event.push(record.event);
            columns.call_id.push(record.call_id.as_deref());
            columns.actor.push(record.actor.as_deref());
            columns.workspace.push(record.workspace.as_deref());
            columns.tool.push(record.tool.as_deref());
            columns.status.push(record.status.as_deref());
            columns.code.push(record.code.as_deref());
            columns.body.push(&record.body);
            columns.leaf.push(&record.leaf);
            columns.sealed.push(record.sealed.as_deref());
        }
        columns
    }
}
