//! What comes out of a system, before and after release.
//!
//! A connector wraps what it got in a [`RawOutput`] and can do nothing more with
//! it: the type implements neither `Serialize` nor `Display`, its `Debug` shows
//! no content, and only `release` in this crate can open it. What release lets
//! through is a [`SafeOutput`], which nothing else can make.

use std::fmt;
use std::sync::Arc;

use quaymaster_core::{DataClass, Keeping, PartedBuf};
use serde_json::Value;

/// A result as the system behind the tool gave it. Cannot be read outside this crate.
pub struct RawOutput {
    pub(crate) content: RawContent,
}

pub(crate) enum RawContent {
    Table(Table),
    Upstream(PartedBuf),
}

impl RawOutput {
    /// Wraps rows of a database.
    pub fn table(table: Table) -> Self {
        Self { content: RawContent::Table(table) }
    }

    /// Wraps the `CallToolResult` of an MCP server, as JSON text.
    pub fn upstream(result: impl Into<PartedBuf>) -> Self {
        Self { content: RawContent::Upstream(result.into()) }
    }
}

impl fmt::Debug for RawOutput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RawOutput(..)")
    }
}

/// Rows of a database with what is known of their columns.
#[derive(Clone, PartialEq)]
pub struct Table {
    /// The columns, in the order of the rows' values.
    pub columns: Vec<Column>,
    /// The rows; each holds one value for each column.
    pub rows: Vec<Vec<Value>>,
    /// What the query cost and whether rows were cut.
    pub stats: TableStats,
    /// What the agent should know, such as what was cut.
    pub warnings: Vec<String>,
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table").field("rows", &self.rows.len()).finish_non_exhaustive()
    }
}

/// What is known of one column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// The name in the result.
    pub name: String,
    /// The type, in the words of SQL: `text`, `bigint`, `numeric`, `date`.
    pub kind: String,
    /// The unit, such as `EUR`.
    pub unit: Option<String>,
    /// What the values mean.
    pub description: Option<String>,
    /// What in the database the values are made of, where that was asked for and could be told.
    pub sources: Option<Vec<Source>>,
}

/// A column of a database that values are made of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Source {
    /// The schema, where the database has any.
    pub schema: Option<String>,
    /// The table.
    pub table: String,
    /// The column; none if it may be any of the table.
    pub column: Option<String>,
}

/// What a query cost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableStats {
    /// Whether there were more rows or bytes than the limits allow.
    pub truncated: bool,
    /// From sending the query to having the last row, in microseconds.
    pub elapsed_us: u64,
    /// SHA-256 of the statement's text, so that runs of one template can be compared.
    pub query_hash: String,
    /// When the data was read: RFC 3339, UTC.
    pub as_of: String,
}

/// A result that may leave: classified, with everything dropped that this actor may not have.
#[derive(Debug)]
pub struct SafeOutput {
    pub(crate) result: String,
    pub(crate) is_error: bool,
    pub(crate) released: Released,
}

/// What release let through and what it kept back, for the audit. Never values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Released {
    /// The classes of data in what leaves, sorted.
    pub classes: Vec<String>,
    /// How many fields or columns were kept back, by class, sorted by class.
    pub redactions: Vec<(String, u64)>,
    /// The highest level of what leaves: what a session has seen that gets it. None where nothing leaves.
    pub highest: Option<Highest>,
    /// Whether what leaves may be kept for whoever asks again.
    pub keeping: Keeping,
}

/// The highest level of something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Highest {
    /// The level by its name in the classification.
    pub level: Arc<str>,
    /// The class whose clearance reaches it.
    pub class: DataClass,
}

impl SafeOutput {
    /// What release let through and what it kept back.
    pub fn released(&self) -> &Released {
        &self.released
    }
}
