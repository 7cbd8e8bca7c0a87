//! Whole connectors against real databases: SQLite files in a temporary folder,
//! and the PostgreSQL server that `scripts/postgres.sh start` starts.

mod hostile;
mod lineage;
mod postgres;
mod postgres_limits;
mod spec;
mod sqlite;

use std::path::Path;
use std::sync::Arc;

use quaymaster_control::output::Table;
use quaymaster_core::connector::ConnectorFile;
use quaymaster_core::random::CountingRandomness;
use quaymaster_core::setting::Slug;
use quaymaster_core::{
    Actor, ActorId, Arguments, Authentication, CallError, CallId, DataClass, Effect, SecretError, SecretRef,
    SecretSource, SystemClock, Tasks,
};
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::SqlConnector;
use super::config::SqlSpec;
use crate::ask::{Account, Ask};
use crate::problem::SpecProblem;

/// A source that gives the same secret under every name.
pub(super) struct OneSecret(pub(super) String);

impl SecretSource for OneSecret {
    fn resolve(&self, _: &SecretRef) -> Result<SecretString, SecretError> {
        Ok(self.0.clone().into())
    }
}

/// A connector file with this `spec`.
pub(super) fn file(spec: &Value) -> ConnectorFile<SqlSpec> {
    let file = json!({
        "apiVersion": "connector/v1",
        "kind": "Connector",
        "metadata": {
            "name": "business-metrics",
            "version": "1.3.0",
            "owner": {"team": "data-platform", "contact": "data@example.test"},
            "workspaces": ["operations"]
        },
        "spec": spec
    });
    serde_json::from_value(file).expect("a connector file")
}

/// A `spec` over `connection` with these tools, each a name and a template.
pub(super) fn spec(connection: &Value, tools: &[(&str, Value)]) -> Value {
    let tools: Vec<Value> = tools
        .iter()
        .map(|(name, template)| {
            let mut template = template.clone();
            template["version"] = json!(1);
            json!({
                "name": name,
                "effect": "read",
                "description": "A query that only exists for this very test.",
                "access": {"roles": ["analyst"]},
                "template": template
            })
        })
        .collect();
    json!({
        "engine": "sql",
        "connection": connection,
        "limits": {"timeout": "20s"},
        "classification": {"default": "internal"},
        "tools": tools
    })
}

/// Sets one member of a `spec`, deep inside it.
pub(super) fn with(mut spec: Value, pointer: &str, value: Value) -> Value {
    let (parent, key) = pointer.rsplit_once('/').expect("a pointer");
    spec.pointer_mut(parent).expect("a parent")[key] = value;
    spec
}

/// Makes a connector of a `spec`, with every secret being `secret`.
pub(super) fn connector(spec: &Value, folder: &Path, secret: &str) -> Result<SqlConnector, Vec<SpecProblem>> {
    SqlConnector::new(file(spec), &OneSecret(secret.to_owned()), folder, Arc::new(SystemClock))
}

/// Runs `tool` with `arguments`.
pub(super) async fn call(connector: &SqlConnector, tool: &str, arguments: Value) -> Result<Table, CallError> {
    call_until(connector, tool, arguments, &CancellationToken::new()).await.0
}

/// Runs `tool` with `arguments` until it is cancelled, and says what the account of it is.
pub(super) async fn call_until(
    connector: &SqlConnector,
    tool: &str,
    arguments: Value,
    cancel: &CancellationToken,
) -> (Result<Table, CallError>, Account) {
    ask(connector, tool, arguments, (cancel, false)).await
}

/// The same, with what the columns are made of if `lineage` says so.
pub(super) async fn ask(
    connector: &SqlConnector,
    tool: &str,
    arguments: Value,
    (cancel, lineage): (&CancellationToken, bool),
) -> (Result<Table, CallError>, Account) {
    let Value::Object(arguments) = arguments else { panic!("arguments are an object") };
    let actor = Actor {
        id: ActorId::parse("ada").expect("a name"),
        person: None,
        roles: Arc::new([]),
        groups: [].into(),
        workspace: Slug::parse("main").expect("a workspace"),
        clearance: DataClass::Internal,
        authentication: Authentication::LocalUser,
    };
    let ask = Ask {
        tokens: None,
        credential: None,
        traceparent: None,
        tasks: Tasks::default(),
        actor: &actor,
        kind: quaymaster_core::Kind::Tool,
        tool,
        arguments: &Arguments::from_map(arguments),
        call: &CallId::new(&SystemClock, &CountingRandomness::default()),
        lineage,
        effect: Effect::Read,
        cancel,
        progress: None,
        input: None,
        log: None,
        mute: false,
    };
    let mut account = Account::default();
    let table = connector.table(&ask, &mut account).await;
    (table, account)
}

/// The one value of a result of one row and one column.
pub(super) fn only(table: &Table) -> &Value {
    assert_eq!((table.rows.len(), table.columns.len()), (1, 1));
    &table.rows[0][0]
}

/// The text of an error, and of its hint.
pub(super) fn said(error: &CallError) -> String {
    format!("{error} [{:?}, {}]", error.retry, error.hint.as_deref().unwrap_or("no hint"))
}

/// Problems as people see them.
pub(super) fn shown(problems: &[SpecProblem]) -> String {
    let line = |p: &SpecProblem| {
        let help = p.help.as_deref().map(|h| format!("\n  help: {h}")).unwrap_or_default();
        format!("{}: {}{help}", p.path, p.message)
    };
    problems.iter().map(line).collect::<Vec<_>>().join("\n")
}
