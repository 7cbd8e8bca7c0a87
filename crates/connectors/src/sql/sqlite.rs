//! Queries of a SQLite file.
//!
//! SQLite runs in our own process, so its time limit is a check that its virtual
//! machine makes every thousand steps, and its server is a small set of
//! connections (`guard`) used on threads that may block.
//!
//! Invariants:
//! - A query stops soon after its deadline, its cancellation, or the moment
//!   nobody waits for it any more.
//! - A connection is used by one query at a time, and goes back without a trace of it.

mod guard;
mod relations;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use quaymaster_core::ErrorCode;
use rusqlite::types::{ToSqlOutput, Value as Stored, ValueRef};
use rusqlite::{Connection, ErrorCode as Code, Statement, ToSql};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::Query;
use super::cell::Cell;
use super::config::Dialect;
use super::failure::{Failure, State};
use super::lineage::trace;
use super::parameter::Bound;
use super::plan::{PlannedTool, Session};
use super::rows::Rows;
use crate::problem::SpecProblem;

/// Steps of SQLite's virtual machine between two looks at the clock.
const STEPS_BETWEEN_CHECKS: i32 = 1_000;

/// A SQLite file.
pub(crate) struct Sqlite {
    file: Arc<File>,
    slots: Arc<Semaphore>,
    acquire_timeout: Duration,
    statement_timeout: Duration,
}

struct File {
    path: PathBuf,
    lock_timeout: Duration,
    idle: Mutex<Vec<Opened>>,
}

struct Opened {
    connection: Connection,
    identity: Option<Identity>,
}

/// Which file a path led to. A file that took its place is another one.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Identity(u64, u64);

impl Sqlite {
    /// A database at `path`. Opens nothing.
    pub(crate) fn new(path: PathBuf, session: &Session) -> Self {
        let lock_timeout = session.lock_timeout;
        Self {
            file: Arc::new(File { path, lock_timeout, idle: Mutex::default() }),
            slots: Arc::new(Semaphore::new(session.connections)),
            acquire_timeout: session.acquire_timeout,
            statement_timeout: session.statement_timeout,
        }
    }

    /// Prepares every template without running it, and says what the database has against it.
    ///
    /// No value is involved yet, so the database's own words may be shown.
    pub(crate) fn verify(&self, tools: &[PlannedTool]) -> Vec<SpecProblem> {
        let opened = match self.file.take() {
            Ok(opened) => opened,
            Err(error) => {
                let path = self.file.path.display();
                let message = format!("the database `{path}` cannot be opened: {}", describe(&error));
                return vec![problem("spec.connection.path".into(), message)];
            }
        };
        let mut problems = Vec::new();
        for (at, tool) in tools.iter().enumerate() {
            verify_tool(&opened.connection, at, tool, &mut problems);
        }
        self.file.put_back(opened);
        problems
    }

    /// Runs `query` and collects its rows.
    pub(crate) async fn run(&self, query: Query, cancel: &CancellationToken) -> Result<Rows, Failure> {
        let slot = tokio::time::timeout(self.acquire_timeout, Arc::clone(&self.slots).acquire_owned()).await;
        let Ok(Ok(slot)) = slot else {
            let cause = "no connection became free in time";
            return Err(Failure::new(ErrorCode::UpstreamUnavailable).because(cause));
        };
        let deadline = Instant::now() + self.statement_timeout;
        let stop = cancel.child_token();
        // Stops the query when the future that waits for it is dropped.
        let _nobody_waits = stop.clone().drop_guard();
        let file = Arc::clone(&self.file);
        let work = tokio::task::spawn_blocking(move || {
            let _slot = slot;
            let mut opened = file.take().map_err(|e| failure(&e))?;
            let rows = select(&mut opened.connection, &query, Stop { deadline, stop });
            file.put_back(opened);
            rows
        });
        work.await
            .unwrap_or_else(|_| Err(Failure::new(ErrorCode::GatewayInternal).because("the query panicked")))
    }
}

struct Stop {
    deadline: Instant,
    stop: CancellationToken,
}

fn select(connection: &mut Connection, query: &Query, stop: Stop) -> Result<Rows, Failure> {
    let Stop { deadline, stop } = stop;
    let stopped = stop.clone();
    let must_stop = move || stopped.is_cancelled() || Instant::now() >= deadline;
    connection.progress_handler(STEPS_BETWEEN_CHECKS, Some(must_stop)).map_err(|e| failure(&e))?;
    let rows = match connection.prepare(&query.text) {
        Ok(statement) => collect(connection, statement, query).map_err(|e| running_failure(&e, &stop)),
        Err(error) => Err(failure(&error)),
    };
    connection.progress_handler(0, None::<fn() -> bool>).map_err(|e| failure(&e))?;
    rows
}

fn collect(connection: &Connection, mut statement: Statement<'_>, query: &Query) -> rusqlite::Result<Rows> {
    let mut rows = None;
    let mut cursor = statement.query(rusqlite::params_from_iter(&query.values))?;
    while let Some(row) = cursor.next()? {
        // Asked for after the first step, which prepares the statement again where a
        // table has changed: release goes by the names, so they must be those of these values.
        let rows = match &mut rows {
            Some(rows) => rows,
            none => {
                let mut first = no_rows(row.as_ref(), query);
                // While the statement is read from, nobody changes what its names mean.
                if query.lineage {
                    let relations = relations::relations(connection, &query.text)?;
                    first.trace(|columns| trace(&query.text, Dialect::Sqlite, &relations, columns));
                }
                none.insert(first)
            }
        };
        let width = row.as_ref().column_count();
        let mut cells = Vec::with_capacity(width);
        for column in 0..width {
            let (cell, kind) = cell(row.get_ref(column)?, rows.most_cell_bytes());
            if let Some(kind) = kind {
                rows.learn_kind(column, kind);
            }
            cells.push(cell);
        }
        if rows.add(cells).is_break() {
            break;
        }
    }
    drop(cursor);
    Ok(rows.unwrap_or_else(|| no_rows(&statement, query)))
}

fn no_rows(statement: &Statement<'_>, query: &Query) -> Rows {
    let columns = statement.columns();
    Rows::new(
        query.limits,
        columns.map(|c| (c.name().to_owned(), c.decl_type().map(str::to_ascii_lowercase))),
    )
}

fn cell(value: ValueRef<'_>, most: usize) -> (Cell, Option<&'static str>) {
    match value {
        ValueRef::Null => (Cell::exact(()), None),
        ValueRef::Integer(number) => (Cell::integer(number), Some("integer")),
        ValueRef::Real(number) => (Cell::double(number), Some("real")),
        ValueRef::Text(bytes) => (Cell::text(bytes, most), Some("text")),
        ValueRef::Blob(bytes) => (Cell::binary(bytes, most), Some("blob")),
    }
}

impl ToSql for Bound {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            Self::Null => ToSqlOutput::Owned(Stored::Null),
            Self::Boolean(truth) => ToSqlOutput::Owned(Stored::Integer(i64::from(*truth))),
            Self::Integer(number) => ToSqlOutput::Owned(Stored::Integer(*number)),
            Self::Number(number) => ToSqlOutput::Owned(number.as_f64().map_or(Stored::Null, Stored::Real)),
            Self::Text(text) => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
        })
    }
}

impl File {
    fn take(&self) -> rusqlite::Result<Opened> {
        let identity = self.identity();
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        match idle {
            Some(opened) if opened.identity == identity => Ok(opened),
            _ => Ok(Opened { connection: guard::open(&self.path, self.lock_timeout)?, identity }),
        }
    }

    fn put_back(&self, opened: Opened) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(opened);
    }

    /// A database that is replaced as a whole would otherwise be read in its old state for ever.
    fn identity(&self) -> Option<Identity> {
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt;
            std::fs::metadata(&self.path).ok().map(|m| Identity(m.dev(), m.ino()))
        }
        #[cfg(not(unix))]
        None
    }
}

fn verify_tool(connection: &Connection, at: usize, tool: &PlannedTool, problems: &mut Vec<SpecProblem>) {
    let (name, path) = (&tool.config.name, format!("spec.tools[{at}].template"));
    let statement = match connection.prepare(tool.template.text()) {
        Ok(statement) => statement,
        Err(error) => {
            let message = format!("tool `{name}`: the database refuses the statement: {}", describe(&error));
            problems.push(problem(format!("{path}.statement"), message));
            return;
        }
    };
    if !statement.readonly() || statement.parameter_count() != tool.template.names().len() {
        let message = format!("tool `{name}`: the database reads the statement in another way");
        problems.push(problem(format!("{path}.statement"), message));
    }
    let columns: Vec<&str> = statement.column_names().collect();
    problems.extend(tool.expected.iter().filter_map(|e| e.missing_from(name, &columns)));
}

fn problem(path: String, message: String) -> SpecProblem {
    SpecProblem { path, message, help: None }
}

/// SQLite's own words, without the statement or the path that rusqlite adds to them.
fn describe(error: &rusqlite::Error) -> String {
    match error {
        rusqlite::Error::SqlInputError { msg, .. } => msg.clone(),
        rusqlite::Error::SqliteFailure(failure, _) if failure.code == Code::CannotOpen => {
            "there is no file, or it cannot be read".into()
        }
        rusqlite::Error::SqliteFailure(_, Some(message)) => message.clone(),
        rusqlite::Error::SqliteFailure(failure, None) => failure.to_string(),
        _ => "it cannot be prepared".into(),
    }
}

/// A statement that was understood fails on what it reads or is given.
fn running_failure(error: &rusqlite::Error, stop: &CancellationToken) -> Failure {
    let failure = failure(error);
    match failure.code {
        ErrorCode::UpstreamTimeout if stop.is_cancelled() => Failure::new(ErrorCode::CallCancelled),
        ErrorCode::QueryInvalid => Failure { code: ErrorCode::InputInvalid, ..failure },
        _ => failure,
    }
}

fn failure(error: &rusqlite::Error) -> Failure {
    let Some(error) = sqlite_error(error) else {
        return Failure::new(ErrorCode::UpstreamError);
    };
    let result = error.extended_code & 0xff;
    let code = match error.code {
        Code::AuthorizationForStatementDenied | Code::ReadOnly => ErrorCode::QueryRefused,
        Code::OperationInterrupted => ErrorCode::UpstreamTimeout,
        Code::TooBig | Code::OutOfMemory => ErrorCode::QueryTooCostly,
        Code::TypeMismatch | Code::ParameterOutOfRange => ErrorCode::InputInvalid,
        Code::DatabaseBusy
        | Code::DatabaseLocked
        | Code::CannotOpen
        | Code::SystemIoFailure
        | Code::SchemaChanged
        | Code::FileLockingProtocolFailed => ErrorCode::UpstreamUnavailable,
        Code::PermissionDenied => ErrorCode::UpstreamPermission,
        Code::Unknown if result == rusqlite::ffi::SQLITE_ERROR => ErrorCode::QueryInvalid,
        _ => ErrorCode::UpstreamError,
    };
    Failure { state: Some(State::Sqlite(result)), ..Failure::new(code) }
}

fn sqlite_error(error: &rusqlite::Error) -> Option<rusqlite::ffi::Error> {
    match error {
        rusqlite::Error::SqliteFailure(error, _) | rusqlite::Error::SqlInputError { error, .. } => {
            Some(*error)
        }
        _ => None,
    }
}
