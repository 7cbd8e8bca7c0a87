//! Values and rows that are the same in both dialects.
//!
//! A family of tables that has texts, whole numbers and bytes alone writes its SQL once and
//! reads its rows once. [`Store::rows`] runs a query, [`Store::change`] runs statements of which
//! all take effect or none.

use bytes::BytesMut;
use rusqlite::types::{ToSqlOutput, Value, ValueRef};
use tokio_postgres::types::{IsNull, ToSql, Type, accepts, to_sql_checked};

use crate::store::Engine;
use crate::{Store, StoreError};

/// A value of a column or a parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Cell {
    Null,
    Text(String),
    Number(i64),
    Bytes(Vec<u8>),
}

impl Cell {
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// `number`, which is never too large for a column in practice.
    pub(crate) fn number(number: u64) -> Self {
        Self::Number(crate::number::signed(number))
    }

    pub(crate) fn bytes(bytes: &[u8]) -> Self {
        Self::Bytes(bytes.to_vec())
    }

    pub(crate) fn maybe<T>(value: Option<T>, cell: impl FnOnce(T) -> Self) -> Self {
        value.map_or(Self::Null, cell)
    }
}

/// One statement of a change.
#[derive(Debug)]
pub(crate) struct Statement {
    pub(crate) sql: &'static str,
    pub(crate) parameters: Vec<Cell>,
    /// Whether the whole change is given up if this statement touches no row.
    pub(crate) must_touch: bool,
}

/// A row, read by position.
#[derive(Debug)]
pub(crate) struct CellRow {
    operation: &'static str,
    cells: std::vec::IntoIter<Cell>,
}

impl CellRow {
    /// The next column.
    fn next(&mut self) -> Cell {
        self.cells.next().unwrap_or(Cell::Null)
    }

    fn malformed(&self, what: &'static str) -> StoreError {
        StoreError::Malformed { operation: self.operation, what }
    }

    pub(crate) fn text(&mut self, what: &'static str) -> Result<String, StoreError> {
        self.maybe_text(what)?.ok_or_else(|| self.malformed(what))
    }

    pub(crate) fn maybe_text(&mut self, what: &'static str) -> Result<Option<String>, StoreError> {
        match self.next() {
            Cell::Text(text) => Ok(Some(text)),
            Cell::Null => Ok(None),
            _ => Err(self.malformed(what)),
        }
    }

    /// A text in the form of `T`.
    pub(crate) fn parsed<T>(
        &mut self,
        what: &'static str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, StoreError> {
        let text = self.text(what)?;
        parse(&text).ok_or_else(|| self.malformed(what))
    }

    pub(crate) fn number(&mut self, what: &'static str) -> Result<u64, StoreError> {
        self.maybe_number(what)?.ok_or_else(|| self.malformed(what))
    }

    pub(crate) fn maybe_number(&mut self, what: &'static str) -> Result<Option<u64>, StoreError> {
        match self.next() {
            Cell::Number(number) => Ok(Some(crate::number::unsigned(number))),
            Cell::Null => Ok(None),
            _ => Err(self.malformed(what)),
        }
    }

    pub(crate) fn bytes(&mut self, what: &'static str) -> Result<Vec<u8>, StoreError> {
        self.maybe_bytes(what)?.ok_or_else(|| self.malformed(what))
    }

    pub(crate) fn maybe_bytes(&mut self, what: &'static str) -> Result<Option<Vec<u8>>, StoreError> {
        match self.next() {
            Cell::Bytes(bytes) => Ok(Some(bytes)),
            Cell::Null => Ok(None),
            _ => Err(self.malformed(what)),
        }
    }
}

impl Store {
    /// Runs one query. Its text has its own bound on the number of rows.
    pub(crate) async fn rows(
        &self,
        operation: &'static str,
        sql: &'static str,
        parameters: Vec<Cell>,
    ) -> Result<Vec<CellRow>, StoreError> {
        let rows: Vec<Vec<Cell>> = match self.engine() {
            Engine::Sqlite(sqlite) => {
                sqlite.read(operation, move |connection| sqlite_rows(connection, sql, &parameters)).await?
            }
            Engine::Postgres(postgres) => {
                let rows = postgres.query(operation, sql, &borrowed(&parameters)).await?;
                let cells = rows.iter().map(postgres_cells);
                cells.collect::<Result<_, _>>().map_err(|error| StoreError::postgres(operation, &error))?
            }
        };
        Ok(rows.into_iter().map(|cells| CellRow { operation, cells: cells.into_iter() }).collect())
    }

    /// Runs `statements` in order, in one transaction. False, and nothing is changed, if one that
    /// must touch a row touched none.
    pub(crate) async fn change(
        &self,
        operation: &'static str,
        statements: Vec<Statement>,
    ) -> Result<bool, StoreError> {
        match self.engine() {
            Engine::Sqlite(sqlite) => sqlite
                .try_write(operation, move |transaction| {
                    for statement in &statements {
                        let mut prepared = transaction.prepare_cached(statement.sql)?;
                        let touched = prepared.execute(numbered(&statement.parameters))?;
                        if touched == 0 && statement.must_touch {
                            return Ok(None);
                        }
                    }
                    Ok(Some(()))
                })
                .await
                .map(|done| done.is_some()),
            Engine::Postgres(postgres) => postgres.change(operation, &statements).await,
        }
    }
}

fn sqlite_rows(
    connection: &rusqlite::Connection,
    sql: &str,
    parameters: &[Cell],
) -> rusqlite::Result<Vec<Vec<Cell>>> {
    let mut statement = connection.prepare_cached(sql)?;
    let columns = statement.column_count();
    let read = |row: &rusqlite::Row<'_>| (0..columns).map(|at| row.get(at)).collect();
    statement.query_map(numbered(parameters), read)?.collect()
}

fn numbered(parameters: &[Cell]) -> rusqlite::ParamsFromIter<&[Cell]> {
    rusqlite::params_from_iter(parameters)
}

/// The parameters as the PostgreSQL driver takes them.
pub(crate) fn borrowed(parameters: &[Cell]) -> Vec<&(dyn ToSql + Sync)> {
    parameters.iter().map(|cell| cell as &(dyn ToSql + Sync)).collect()
}

fn postgres_cells(row: &tokio_postgres::Row) -> Result<Vec<Cell>, tokio_postgres::Error> {
    let cell = |(at, column): (usize, &tokio_postgres::Column)| {
        Ok(match *column.type_() {
            Type::INT8 => Cell::maybe(row.try_get(at)?, Cell::Number),
            Type::BYTEA => Cell::maybe(row.try_get(at)?, Cell::Bytes),
            _ => Cell::maybe(row.try_get(at)?, Cell::Text),
        })
    };
    row.columns().iter().enumerate().map(cell).collect()
}

impl rusqlite::ToSql for Cell {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            Self::Null => ToSqlOutput::Owned(Value::Null),
            Self::Text(text) => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
            Self::Number(number) => ToSqlOutput::Owned(Value::Integer(*number)),
            Self::Bytes(bytes) => ToSqlOutput::Borrowed(ValueRef::Blob(bytes)),
        })
    }
}

impl rusqlite::types::FromSql for Cell {
    fn column_result(value: ValueRef<'_>) -> rusqlite::types::FromSqlResult<Self> {
        match value {
            ValueRef::Null => Ok(Self::Null),
            ValueRef::Integer(number) => Ok(Self::Number(number)),
            ValueRef::Text(_) => Ok(Self::text(value.as_str()?)),
            ValueRef::Blob(bytes) => Ok(Self::bytes(bytes)),
            ValueRef::Real(_) => Err(rusqlite::types::FromSqlError::InvalidType),
        }
    }
}

impl ToSql for Cell {
    fn to_sql(
        &self,
        kind: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match self {
            Self::Null => Ok(IsNull::Yes),
            Self::Text(text) => text.to_sql(kind, out),
            Self::Number(number) => number.to_sql(kind, out),
            Self::Bytes(bytes) => bytes.to_sql(kind, out),
        }
    }

    accepts!(TEXT, VARCHAR, INT8, BYTEA);

    to_sql_checked!();
}
