//! SQL databases: one tool for each named query template, and nothing else.
//!
//! A file's `spec` (`config`) is checked into a plan (`plan`, `template`,
//! `parameter`); agents are told of it (`schema`); a call binds its arguments and
//! an engine (`sqlite`, `postgres`) runs the query and collects rows within the
//! limits (`rows`, `cell`). What may leave is release's to decide
//! (`quaymaster-control`).
//!
//! Invariants:
//! - No value is ever part of the text of a query.
//! - The database itself refuses to change anything, whatever a template says.
//! - A query ends on the server when its call ends, in whichever way.

mod calendar;
mod cell;
pub mod config;
mod failure;
mod lineage;
mod parameter;
mod plan;
mod postgres;
mod rows;
mod schema;
mod sqlite;
mod template;
#[cfg(test)]
mod tests;

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use quaymaster_control::output::{RawOutput, Table, TableStats};
use quaymaster_core::arguments::sha256_text;
use quaymaster_core::connector::{ConnectorFile, Metadata};
use quaymaster_core::tool::ResultForm;
use quaymaster_core::{
    Arguments, CallError, Classification, Clock, Destination, Effect, ErrorCode, SecretSource,
    ToolDeclaration, Trust,
};
use secrecy::ExposeSecret;
use serde_json::Map;
use tokio_util::sync::CancellationToken;

use self::config::SqlSpec;
use self::failure::Failure;
use self::parameter::Bound;
use self::plan::{Place, Plan, PlannedTool};
use self::postgres::Postgres;
use self::rows::{RowLimits, Rows};
use self::sqlite::Sqlite;
use crate::ask::{Account, Ask};
use crate::problem::SpecProblem;

/// A database and the tools that query it.
pub struct SqlConnector {
    metadata: Metadata,
    classification: Arc<Classification>,
    /// Who may have written what it holds, and who may come to know what is asked of it.
    ways: (Trust, Destination),
    plan: Plan,
    engine: Engine,
    clock: Arc<dyn Clock>,
}

enum Engine {
    Sqlite(Sqlite),
    Postgres(Postgres),
}

/// A query that is ready to run.
struct Query {
    text: Arc<str>,
    values: Vec<Bound>,
    limits: RowLimits,
    /// Whether it has to be said what the columns are made of.
    lineage: bool,
}

impl SqlConnector {
    /// Says what is wrong with a connector file, as far as the file alone shows it.
    pub fn check(file: &ConnectorFile<SqlSpec>) -> Vec<SpecProblem> {
        Plan::check(file).err().unwrap_or_default()
    }

    /// Makes a connector of a file.
    ///
    /// Paths are relative to `folder`. A SQLite file is opened to see whether it
    /// understands the templates; a PostgreSQL server is not connected to before
    /// the first call (see [`SqlConnector::verify`]).
    ///
    /// # Errors
    ///
    /// Everything that is wrong with the file, its secret, or the SQLite file.
    pub fn new(
        file: ConnectorFile<SqlSpec>,
        secrets: &dyn SecretSource,
        folder: &Path,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, Vec<SpecProblem>> {
        let plan = Plan::check(&file)?;
        let engine = match &plan.place {
            Place::Sqlite(path) => {
                let sqlite = Sqlite::new(folder.join(path), &plan.session);
                let problems = sqlite.verify(&plan.tools);
                if !problems.is_empty() {
                    return Err(problems);
                }
                Engine::Sqlite(sqlite)
            }
            Place::Postgres(reference) => {
                let problem =
                    |message, help| vec![SpecProblem { path: "spec.connection.url".into(), message, help }];
                let url = secrets.resolve(reference).map_err(|e| problem(e.to_string(), None))?;
                let postgres = Postgres::new(url.expose_secret(), &plan.session).map_err(|message| {
                    problem(
                        format!("secret `{}` cannot be used: {message}", reference.name()),
                        Some(
                            "expected `postgres://user:password@host:5432/database?sslmode=require`, with \
                             special characters of the password percent-encoded"
                                .into(),
                        ),
                    )
                })?;
                Engine::Postgres(postgres)
            }
        };
        let classification = Arc::new(file.spec.classification);
        let trust = file.spec.trust.unwrap_or(Trust::Internal);
        let ways = (trust, file.spec.destination.unwrap_or(Destination::Internal));
        Ok(Self { metadata: file.metadata, classification, ways, plan, engine, clock })
    }

    /// The tools as agents will be told of them.
    pub fn tools(&self) -> Vec<ToolDeclaration> {
        self.plan.tools.iter().map(|tool| self.declare(tool)).collect()
    }

    /// Prepares every template on the database, runs none, and says what it has against them.
    pub async fn verify(&self) -> Vec<SpecProblem> {
        match &self.engine {
            Engine::Sqlite(sqlite) => sqlite.verify(&self.plan.tools),
            Engine::Postgres(postgres) => postgres.verify(&self.plan.tools).await,
        }
    }

    /// Runs one call.
    pub(crate) async fn run(&self, ask: &Ask<'_>, account: &mut Account) -> Result<RawOutput, CallError> {
        self.table(ask, account).await.map(RawOutput::table)
    }

    async fn table(&self, ask: &Ask<'_>, account: &mut Account) -> Result<Table, CallError> {
        let tool = self.plan.tools.iter().find(|t| t.config.name == ask.tool);
        let tool = tool.ok_or_else(|| CallError::new(ErrorCode::ToolNotFound, "there is no such tool"))?;
        if ask.effect != Effect::Read {
            return Err(CallError::new(ErrorCode::QueryRefused, "a SQL template can only read"));
        }
        let query = Query {
            text: Arc::clone(tool.template.text()),
            values: bind(tool, ask.arguments)?,
            limits: self.plan.limits,
            lineage: ask.lineage,
        };
        let started = self.clock.now();
        let rows = self
            .run_query(query, tool, ask.cancel, account)
            .await
            .map_err(|failure| failure.into_call_error(&self.plan.rules))?;
        let stats = TableStats {
            truncated: false,
            elapsed_us: u64::try_from(self.clock.now().since(started).as_micros()).unwrap_or(u64::MAX),
            query_hash: sha256_text(tool.config.template.statement.as_bytes()),
            as_of: started.to_string(),
        };
        Ok(rows.into_table(&tool.columns, stats))
    }

    async fn run_query(
        &self,
        query: Query,
        tool: &PlannedTool,
        cancel: &CancellationToken,
        account: &mut Account,
    ) -> Result<Rows, Failure> {
        let work = async {
            match &self.engine {
                Engine::Sqlite(sqlite) => sqlite.run(query, cancel).await,
                Engine::Postgres(postgres) => postgres.run(&query, tool, account).await,
            }
        };
        // Dropping the work is what stops it on the server.
        tokio::select! {
            biased;
            () = cancel.cancelled() => Err(Failure::new(ErrorCode::CallCancelled)),
            outcome = tokio::time::timeout(self.plan.timeout, work) => {
                outcome.unwrap_or_else(|_| Err(Failure::new(ErrorCode::UpstreamTimeout)))
            }
        }
    }

    fn declare(&self, tool: &PlannedTool) -> ToolDeclaration {
        let config = &tool.config;
        let defaults =
            tool.parameters.iter().filter_map(|p| Some((p.name.clone(), p.config.default.clone()?)));
        ToolDeclaration {
            offer: quaymaster_core::Offer::Tool,
            connector: self.metadata.name.clone(),
            version: self.metadata.version.as_str().to_owned(),
            workspaces: config.access.workspaces_among(&self.metadata.workspaces),
            name: tool.name.clone(),
            local_name: config.name.clone(),
            title: config.title.clone(),
            description: config.description.trim().to_owned(),
            effect: config.effect,
            input_schema: schema::input(&tool.parameters, &config.template.examples),
            output_schema: Some(schema::output(&tool.columns)),
            form: ResultForm::Envelope,
            access: config.access.clone(),
            approval: config.approval.clone(),
            briefing: Arc::new(config.briefing.clone()),
            idempotency: None,
            fixed: Map::new(),
            defaults: defaults.collect(),
            classification: Arc::clone(&self.classification),
            passed_on: Map::new(),
            tasks: false,
            definition: None,
            quarantined: None,
            trust: config.trust.unwrap_or(self.ways.0),
            destination: self.ways.1,
        }
    }
}

impl fmt::Debug for SqlConnector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqlConnector").field("name", &self.metadata.name).finish_non_exhaustive()
    }
}

/// The values of a call, in the order in which the query wants them.
fn bind(tool: &PlannedTool, arguments: &Arguments) -> Result<Vec<Bound>, CallError> {
    let given = arguments.value().as_object().into_iter().flatten();
    if given.into_iter().any(|(name, _)| !tool.parameters.iter().any(|p| p.name == *name)) {
        let names: Vec<String> = tool.parameters.iter().map(|p| format!("`{}`", p.name)).collect();
        let message = "there is an argument that the tool does not take";
        let hint =
            if names.is_empty() { "it takes none".into() } else { format!("it takes {}", names.join(", ")) };
        return Err(CallError::new(ErrorCode::InputInvalid, message).hint(hint));
    }
    tool.parameters.iter().map(|p| p.bind(arguments.get(&p.name))).collect()
}
