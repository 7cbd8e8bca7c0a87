//! Queries of a PostgreSQL server.
//!
//! Each runs alone in a read-only transaction that is always rolled back, with
//! the server's own time limits, in the extended protocol: the text was fixed
//! when the configuration was loaded, and values travel beside it. Rows come
//! through a portal in small batches, so that what lies beyond the limits is
//! never sent. (The price: PostgreSQL runs such queries without parallel workers.)
//!
//! Connections are `pool`'s business, values `decode`'s.

mod decode;
mod pool;
mod relations;

use std::error::Error as _;

use bytes::BytesMut;
use futures_util::future::try_join;
use futures_util::{StreamExt, pin_mut};
use quaymaster_core::ErrorCode;
use tokio_postgres::Statement;
use tokio_postgres::error::{DbError, Severity};
use tokio_postgres::types::{Format, IsNull, ToSql, Type, to_sql_checked};

use self::decode::Raw;
use self::pool::{Connections, Lease};
use super::Query;
use super::cell::Cell;
use super::config::Dialect;
use super::failure::Failure;
use super::lineage::trace;
use super::parameter::Bound;
use super::plan::{PlannedTool, Session};
use super::rows::Rows;
use crate::ask::Account;
use crate::problem::SpecProblem;

/// Rows that are asked for at once.
const BATCH_ROWS: usize = 100;

/// A PostgreSQL server.
pub(crate) struct Postgres {
    connections: Connections,
    /// What begins each transaction.
    settings: String,
}

impl Postgres {
    /// The server that `url` names. Connects to nothing.
    ///
    /// # Errors
    ///
    /// Says what is wrong with the connection string, without repeating any of it.
    pub(crate) fn new(url: &str, session: &Session) -> Result<Self, String> {
        Ok(Self { connections: Connections::new(url, session)?, settings: settings(session) })
    }

    /// Runs `query` and collects its rows.
    pub(crate) async fn run(
        &self,
        query: &Query,
        tool: &PlannedTool,
        account: &mut Account,
    ) -> Result<Rows, Failure> {
        let (mut lease, used) = self.connections.lease().await?;
        match self.attempt(&mut lease, query, tool).await {
            // The server closed an idle connection, or its tables changed since the
            // statement was prepared. Nothing was answered, and a read may be repeated.
            Err(Trouble::Server(error)) if used && is_stale(&error) => {
                drop(lease);
                self.connections.forget_idle();
                account.retries += 1;
                let (mut lease, _) = self.connections.lease().await?;
                let outcome = self.attempt(&mut lease, query, tool).await;
                settle(lease, outcome)
            }
            outcome => settle(lease, outcome),
        }
    }

    async fn attempt(&self, lease: &mut Lease, query: &Query, tool: &PlannedTool) -> Result<Rows, Trouble> {
        let transaction = lease.client()?.build_transaction().read_only(true).start().await?;
        // Both are sent in this order without waiting, and the server keeps to it.
        let ((), statement) =
            try_join(transaction.batch_execute(&self.settings), transaction.prepare_cached(&query.text))
                .await?;
        // Nothing is asked for before it is known what its rules are for.
        let names = || statement.columns().iter().map(tokio_postgres::Column::name);
        if let Some(missing) = tool.expected.iter().find(|expected| !expected.is_in(names())) {
            // The table may be mended, which the prepared statement would not see.
            transaction.statement_cache.remove(&query.text, &[]);
            return Err(Trouble::Misfit(missing.misfit()));
        }
        let portal = transaction.bind_raw(&statement, &query.values).await?;
        let columns = statement.columns().iter();
        let columns = columns.map(|c| (c.name().to_owned(), Some(decode::words(c.type_()))));
        let mut rows = Rows::new(query.limits, columns);
        if query.lineage {
            // The portal holds on to what it reads, so nobody changes what the names mean.
            let relations = relations::relations(&*transaction, &query.text).await?;
            rows.trace(|columns| trace(&query.text, Dialect::Postgres, &relations, columns));
        }
        let mut wanted = query.limits.rows.saturating_add(1);
        while wanted > 0 {
            let batch = wanted.min(BATCH_ROWS);
            let stream = transaction.query_portal_raw(&portal, i32::try_from(batch).unwrap_or(1)).await?;
            pin_mut!(stream);
            let mut came = 0;
            while let Some(row) = stream.next().await {
                came += 1;
                if rows.add(cells(&row?, rows.most_cell_bytes())?).is_break() {
                    return Ok(rows);
                }
            }
            if came < batch {
                break;
            }
            wanted -= batch;
        }
        Ok(rows)
    }

    /// Prepares every template without running it, and says what the server has against it.
    ///
    /// No value is involved yet, so the server's own words may be shown.
    pub(crate) async fn verify(&self, tools: &[PlannedTool]) -> Vec<SpecProblem> {
        let mut lease = match self.connections.lease().await {
            Ok((lease, _)) => lease,
            Err(failure) => return vec![unreachable_server(failure)],
        };
        let mut problems = Vec::new();
        for (at, tool) in tools.iter().enumerate() {
            match self.prepare(&mut lease, tool.template.text()).await {
                Ok(statement) => verify_columns(&statement, at, tool, &mut problems),
                Err(error) => problems.push(SpecProblem {
                    path: format!("spec.tools[{at}].template.statement"),
                    message: format!("tool `{}`: {}", tool.config.name, error.describe()),
                    help: error.help(),
                }),
            }
        }
        lease.give_back();
        problems
    }

    async fn prepare(&self, lease: &mut Lease, text: &str) -> Result<Statement, Trouble> {
        let transaction = lease.client()?.build_transaction().read_only(true).start().await?;
        transaction.batch_execute(&self.settings).await?;
        Ok(transaction.prepare(text).await?)
    }
}

/// What can go wrong on a connection.
enum Trouble {
    Server(tokio_postgres::Error),
    /// The statement was prepared and not run.
    Misfit(Failure),
    Other(Failure),
}

impl From<tokio_postgres::Error> for Trouble {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Server(error)
    }
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        Self::Other(failure)
    }
}

impl Trouble {
    fn describe(&self) -> String {
        match self {
            Self::Server(error) => match error.as_db_error() {
                Some(refused) => format!("the server refuses the statement: {}", refused.message()),
                None => error.to_string(),
            },
            Self::Misfit(failure) | Self::Other(failure) => {
                failure.clone().into_call_error(&[]).public_message
            }
        }
    }

    fn help(&self) -> Option<String> {
        let Self::Server(error) = self else { return None };
        if error.code()?.code() == "42P18" {
            return Some("say of which type the parameter is, as in `:name::text`".into());
        }
        error.as_db_error()?.hint().map(str::to_owned)
    }
}

/// What begins each transaction: limits that the server itself keeps.
fn settings(session: &Session) -> String {
    let most = u128::from(i32::MAX.unsigned_abs());
    let (statement, lock) =
        (session.statement_timeout.as_millis().min(most), session.lock_timeout.as_millis().min(most));
    let mut settings = format!(
        "SET LOCAL statement_timeout = {statement}; SET LOCAL lock_timeout = {lock}; \
         SET LOCAL idle_in_transaction_session_timeout = {statement}"
    );
    if !session.search_path.is_empty() {
        let names: Vec<String> =
            session.search_path.iter().map(|s| format!("\"{}\"", s.replace('"', "\"\""))).collect();
        settings.push_str("; SET LOCAL search_path = ");
        settings.push_str(&names.join(", "));
    }
    settings
}

/// Gives the connection back if it is in a known state; else it is cancelled and closed.
fn settle(lease: Lease, outcome: Result<Rows, Trouble>) -> Result<Rows, Failure> {
    match outcome {
        Ok(rows) => {
            lease.give_back();
            Ok(rows)
        }
        Err(Trouble::Server(error)) => {
            let failure = failure_of(&error);
            let refused = error.as_db_error().and_then(DbError::parsed_severity);
            if refused == Some(Severity::Error) {
                lease.give_back();
            }
            Err(failure)
        }
        Err(Trouble::Misfit(failure)) => {
            lease.give_back();
            Err(failure)
        }
        Err(Trouble::Other(failure)) => Err(failure),
    }
}

/// Whether a connection that lay idle turned out to be of no use any more.
fn is_stale(error: &tokio_postgres::Error) -> bool {
    let Some(refused) = error.as_db_error() else {
        return true;
    };
    match refused.code().code() {
        // Shut down, crashed, timed out while idle; a prepared statement that is gone.
        "57P01" | "57P02" | "57P05" | "26000" => true,
        // The only sign of a changed result type that is not a translated message.
        "0A000" => refused.routine() == Some("RevalidateCachedQuery"),
        state => state.starts_with("08"),
    }
}

fn cells(row: &tokio_postgres::Row, most: usize) -> Result<Vec<Cell>, Trouble> {
    let mut cells = Vec::with_capacity(row.len());
    for (at, column) in row.columns().iter().enumerate() {
        let raw: Option<Raw<'_>> = row.try_get(at)?;
        cells.push(raw.map_or_else(|| Cell::exact(()), |raw| decode::cell(column.type_(), raw.0, most)));
    }
    Ok(cells)
}

fn unreachable_server(failure: Failure) -> SpecProblem {
    let cause = failure.cause.clone().map(|c| format!(": {c}")).unwrap_or_default();
    let help = if cause.ends_with("server does not support TLS") {
        Some(
            "the server has no TLS: set it up there, or allow plain text by `sslmode=disable` in the \
             connection string",
        )
    } else if cause.contains("TLS") {
        Some("the server's certificate has to be of an authority that this machine trusts")
    } else {
        None
    };
    let help = help.map(str::to_owned);
    let message = failure.into_call_error(&[]).public_message + &cause;
    SpecProblem { path: "spec.connection.url".into(), message, help }
}

fn verify_columns(statement: &Statement, at: usize, tool: &PlannedTool, problems: &mut Vec<SpecProblem>) {
    let (name, path) = (&tool.config.name, format!("spec.tools[{at}].template"));
    let columns = statement.columns();
    for column in columns.iter().filter(|c| !decode::is_readable(c.type_())) {
        problems.push(SpecProblem {
            path: format!("{path}.statement"),
            message: format!(
                "tool `{name}`: column `{}` is of type `{}`, which cannot be shown",
                column.name(),
                decode::words(column.type_())
            ),
            help: Some("cast it to text".into()),
        });
    }
    let columns: Vec<&str> = columns.iter().map(tokio_postgres::Column::name).collect();
    problems.extend(tool.expected.iter().filter_map(|e| e.missing_from(name, &columns)));
}

/// The class of an error. What the server says of it may hold values, so it goes no further.
fn failure_of(error: &tokio_postgres::Error) -> Failure {
    match error.as_db_error() {
        Some(refused) => Failure::sqlstate(refused.code().code()),
        None => {
            let cause = error.source().map(|e| format!(": {e}")).unwrap_or_default();
            Failure::new(ErrorCode::UpstreamUnavailable).because(format!("{error}{cause}"))
        }
    }
}

/// Values are sent as text: the server reads them with the type that the
/// statement gives each parameter, so every type of the server is possible.
impl ToSql for Bound {
    fn to_sql(
        &self,
        _: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match self {
            Self::Null => return Ok(IsNull::Yes),
            Self::Boolean(truth) => out.extend_from_slice(truth.to_string().as_bytes()),
            Self::Integer(number) => out.extend_from_slice(number.to_string().as_bytes()),
            Self::Number(number) => out.extend_from_slice(number.to_string().as_bytes()),
            Self::Text(text) => out.extend_from_slice(text.as_bytes()),
        }
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, _: &Type) -> Format {
        Format::Text
    }

    to_sql_checked!();
}
