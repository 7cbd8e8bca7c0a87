//! A SQL connector's `spec`, checked: every template readable, every parameter
//! used, every name possible.
//!
//! This is the one way from a [`SqlSpec`] to what the engines run. It reads no
//! secret and opens no database; whether the database knows what a template
//! names is found out by `sqlite` and `postgres`.

mod rules;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use quaymaster_core::connector::ConnectorFile;
use quaymaster_core::{Effect, SecretRef, ToolName};

use self::rules::Expected;
use super::config::{ColumnConfig, ConnectionConfig, Dialect, SqlSpec, SqlToolConfig, TemplateConfig};
use super::failure::ErrorRule;
use super::parameter::Parameter;
use super::rows::RowLimits;
use super::template::Template;
use crate::problem::{Problems, SpecProblem};

const MAX_CONNECTIONS: u32 = 64;
const MIN_DESCRIPTION_CHARS: usize = 30;

/// What a connector will do.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) place: Place,
    pub(crate) session: Session,
    pub(crate) limits: RowLimits,
    pub(crate) timeout: Duration,
    pub(crate) tools: Vec<PlannedTool>,
    pub(crate) rules: Vec<ErrorRule>,
}

/// Where the database is.
#[derive(Debug)]
pub(crate) enum Place {
    Postgres(SecretRef),
    Sqlite(PathBuf),
}

/// What holds for each connection and each query.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    pub(crate) connections: usize,
    pub(crate) acquire_timeout: Duration,
    pub(crate) statement_timeout: Duration,
    pub(crate) lock_timeout: Duration,
    pub(crate) search_path: Vec<String>,
}

/// A tool whose template can be sent.
#[derive(Debug)]
pub(crate) struct PlannedTool {
    pub(crate) name: ToolName,
    pub(crate) template: Template,
    /// In the order in which they are bound.
    pub(crate) parameters: Vec<Parameter>,
    pub(crate) columns: BTreeMap<String, ColumnConfig>,
    /// The columns that the file speaks of, which the result has to have.
    pub(crate) expected: Vec<Expected>,
    pub(crate) config: SqlToolConfig,
}

impl Plan {
    /// Checks a connector file beyond its form.
    ///
    /// # Errors
    ///
    /// Everything that is wrong, in the order of the file.
    pub(crate) fn check(file: &ConnectorFile<SqlSpec>) -> Result<Self, Vec<SpecProblem>> {
        let (spec, mut problems) = (&file.spec, Problems::default());
        let place = place(&spec.connection, &mut problems);
        let prefix = match &spec.prefix {
            Some(prefix) => prefix.clone(),
            None => file.metadata.name.as_str().replace('-', "_"),
        };
        if let (Some(_), Err(message)) = (&spec.prefix, ToolName::parse(&prefix)) {
            problems.add("spec.prefix", message);
        }
        if spec.tools.is_empty() {
            problems.add_with_help("spec.tools", "there is no tool", "describe at least one query template");
        }
        let mut names = BTreeSet::new();
        let mut tools = Vec::with_capacity(spec.tools.len());
        for (at, config) in spec.tools.iter().enumerate() {
            if !names.insert(config.name.as_str()) {
                problems.add(
                    format!("spec.tools[{at}].name"),
                    format!("there are two tools named `{}`", config.name),
                );
            }
            tools.extend(tool(at, config, &prefix, spec.connection.dialect, &mut problems));
        }
        rules::expect_classified(spec, &mut tools, &mut problems);
        let rules = rules::rules(&spec.errors, spec.connection.dialect, &mut problems);
        match place {
            Some(place) if problems.0.is_empty() => Ok(Self {
                place,
                session: session(spec),
                limits: RowLimits {
                    rows: usize::try_from(spec.limits.rows.get()).unwrap_or(usize::MAX),
                    bytes: spec.limits.bytes.get(),
                },
                timeout: spec.limits.timeout.get(),
                tools,
                rules,
            }),
            _ => Err(problems.0),
        }
    }
}

fn session(spec: &SqlSpec) -> Session {
    let connection = &spec.connection;
    Session {
        connections: usize::try_from(connection.pool.max.get()).unwrap_or(1),
        acquire_timeout: connection.pool.acquire_timeout.get(),
        // The database should give up before the call does.
        statement_timeout: connection.session.statement_timeout.get().min(spec.limits.timeout.get()),
        lock_timeout: connection.session.lock_timeout.get(),
        search_path: connection.session.search_path.clone(),
    }
}

fn place(connection: &ConnectionConfig, problems: &mut Problems) -> Option<Place> {
    if connection.pool.max.get() > MAX_CONNECTIONS {
        problems
            .add("spec.connection.pool.max", format!("there can be at most {MAX_CONNECTIONS} connections"));
    }
    for (at, schema) in connection.session.search_path.iter().enumerate() {
        if schema.is_empty() || schema.len() > 63 || schema.contains('\0') {
            let path = format!("spec.connection.session.searchPath[{at}]");
            problems.add(path, "the name of a schema has 1 to 63 bytes");
        }
    }
    if connection.dialect == Dialect::Sqlite && !connection.session.search_path.is_empty() {
        problems.add(
            "spec.connection.session.searchPath",
            "`searchPath` is for PostgreSQL: SQLite has no schemas",
        );
    }
    match (connection.dialect, &connection.url, &connection.path) {
        (Dialect::Postgres, Some(url), None) => return Some(Place::Postgres(url.clone())),
        (Dialect::Sqlite, None, Some(path)) => return Some(Place::Sqlite(path.clone())),
        (Dialect::Postgres, url, path) => {
            if path.is_some() {
                problems.add(
                    "spec.connection.path",
                    "`path` is for SQLite: a PostgreSQL server is found by `url`",
                );
            }
            if url.is_none() {
                problems.add_with_help(
                    "spec.connection",
                    "a PostgreSQL server needs a `url`",
                    "name the secret that holds the connection string, as in `url: ${secret:METRICS_URL}`",
                );
            }
        }
        (Dialect::Sqlite, url, path) => {
            if url.is_some() {
                problems
                    .add("spec.connection.url", "`url` is for PostgreSQL: a SQLite file is found by `path`");
            }
            if path.is_none() {
                problems.add_with_help(
                    "spec.connection",
                    "a SQLite file needs a `path`",
                    "give its path relative to the configuration folder, as in `path: ../data/company.db`",
                );
            }
        }
    }
    None
}

fn tool(
    at: usize,
    config: &SqlToolConfig,
    prefix: &str,
    dialect: Dialect,
    problems: &mut Problems,
) -> Option<PlannedTool> {
    let path = format!("spec.tools[{at}]");
    let name = match ToolName::parse(&config.name)
        .and_then(|_| ToolName::parse(&format!("{prefix}_{}", config.name)))
    {
        Ok(name) => Some(name),
        Err(message) => {
            problems.add(format!("{path}.name"), message);
            None
        }
    };
    properties(&path, config, problems);
    let path = format!("{path}.template");
    let parameters = parameters(&path, config, problems);
    let template = template(&path, config, dialect, problems)?;
    let mut bound = Vec::with_capacity(template.names().len());
    for name in template.names() {
        bound.push(parameters.iter().find(|p| p.name == *name)?.clone());
    }
    let noted = config.template.columns.keys().map(|column| Expected {
        column: column.clone(),
        path: format!("{path}.columns.{column}"),
        any_case: false,
    });
    Some(PlannedTool {
        name: name?,
        template,
        parameters: bound,
        columns: config.template.columns.clone(),
        expected: noted.collect(),
        config: config.clone(),
    })
}

/// Checks what a tool says of itself beside its template.
fn properties(path: &str, config: &SqlToolConfig, problems: &mut Problems) {
    if config.effect != Effect::Read {
        problems.add_with_help(
            format!("{path}.effect"),
            format!("tool `{}`: a SQL template can only read", config.name),
            "write `effect: read`; statements that change something come with a later version",
        );
    }
    problems.check_approval(path, config.approval.as_ref());
    if config.briefing.preview.is_some() {
        let message = "a query only reads, so there is nothing that it changes";
        problems.add_with_help(format!("{path}.briefing.preview"), message, "leave it out");
    }
    if config.description.trim().chars().count() < MIN_DESCRIPTION_CHARS {
        problems.add_with_help(
            format!("{path}.description"),
            format!(
                "tool `{}`: the description has fewer than {MIN_DESCRIPTION_CHARS} characters",
                config.name
            ),
            "say when to use the tool, when not, and the units",
        );
    }
}

/// The parameters that are declared, each checked alone and against the examples.
fn parameters(path: &str, config: &SqlToolConfig, problems: &mut Problems) -> Vec<Parameter> {
    let (tool, template) = (&config.name, &config.template);
    let mut checked = Vec::with_capacity(template.params.len());
    for (name, param) in &template.params {
        match Parameter::check(name, param) {
            Ok(parameter) => checked.push(parameter),
            Err(wrong) => {
                for (member, message) in wrong {
                    let dot = if member.is_empty() { "" } else { "." };
                    problems.add(
                        format!("{path}.params.{name}{dot}{member}"),
                        format!("tool `{tool}`: parameter `{name}`: {message}"),
                    );
                }
            }
        }
    }
    for (at, example) in template.examples.iter().enumerate() {
        let path = format!("{path}.examples[{at}].params");
        for (name, value) in &example.params {
            if !template.params.contains_key(name) {
                problems.add(format!("{path}.{name}"), format!("tool `{tool}` has no parameter `{name}`"));
            } else if let Some(Err(what)) = checked.iter().find(|p| p.name == *name).map(|p| p.fit(value)) {
                problems.add(format!("{path}.{name}"), format!("tool `{tool}`: `{name}` {what}"));
            }
        }
        for missing in checked.iter().filter(|p| p.is_required() && !example.params.contains_key(&p.name)) {
            problems.add(path.clone(), format!("tool `{tool}`: the example leaves out `{}`", missing.name));
        }
    }
    checked
}

/// The statement, which has to use the parameters that are declared and no others.
fn template(
    path: &str,
    config: &SqlToolConfig,
    dialect: Dialect,
    problems: &mut Problems,
) -> Option<Template> {
    let (tool, TemplateConfig { statement, params, .. }) = (&config.name, &config.template);
    let template = match Template::parse(statement, dialect) {
        Ok(template) => template,
        Err(error) => {
            problems.0.push(SpecProblem {
                path: format!("{path}.statement"),
                message: format!("tool `{tool}`: {}", error.message),
                help: error.help,
            });
            return None;
        }
    };
    let unused = params.keys().filter(|name| !template.names().contains(name));
    for name in unused {
        problems.add_with_help(
            format!("{path}.params.{name}"),
            format!("tool `{tool}`: the statement does not use parameter `{name}`"),
            format!("write it as `:{name}` in the statement, or remove it here"),
        );
    }
    let unknown = template.names().iter().filter(|name| !params.contains_key(*name));
    for name in unknown {
        problems.add_with_help(
            format!("{path}.statement"),
            format!("tool `{tool}`: the statement uses `:{name}`, which is no parameter"),
            format!("declare `{name}` under `params`"),
        );
    }
    Some(template)
}
