//! Hostile arguments: they come back as the data they are.

use proptest::prelude::*;
use rusqlite::Connection;
use serde_json::json;
use tokio::runtime::Runtime;

use super::postgres::Server;
use super::{call, connector, only, spec};
use crate::sql::SqlConnector;

const PAYLOADS: &[&str] = &[
    "'; DROP TABLE t; --",
    "' OR '1'='1",
    "\\'; SELECT 1; --",
    "$$; SELECT 1; $$",
    "$1",
    "?1",
    ":a",
    "x'); ATTACH 'evil.db' AS e; --",
    "1; COMMIT; INSERT INTO t VALUES (2)",
    "/* */ UNION SELECT 1 --",
    "\u{2028}\u{feff}É\u{301}\u{1f600}",
    "{\"a\": 1}",
    "${secret:METRICS_URL}",
    "",
];

fn echo() -> serde_json::Value {
    json!({
        "statement": "SELECT CAST(:a AS text) AS echo FROM t WHERE CAST(:a AS text) = CAST(:b AS text)",
        "params": {"a": {"type": "string"}, "b": {"type": "string"}}
    })
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(PAYLOADS).prop_map(str::to_owned),
        "[^\u{0}]{0,40}",
        "['\"\\\\;$:?/*-]{0,12}",
    ]
}

/// Whatever the text is, it is one value, and the table is as it was.
fn comes_back(runtime: &Runtime, connector: &SqlConnector, text: &str) -> Result<(), TestCaseError> {
    let table = runtime
        .block_on(call(connector, "echo", json!({"a": text, "b": text})))
        .map_err(|e| TestCaseError::fail(e.to_string()))?;
    prop_assert_eq!(only(&table), &json!(text));
    let table = runtime
        .block_on(call(connector, "count", json!({})))
        .map_err(|e| TestCaseError::fail(e.to_string()))?;
    prop_assert_eq!(only(&table), &json!(1));
    Ok(())
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime")
}

#[test]
fn no_argument_changes_what_sqlite_runs() {
    let folder = tempfile::tempdir().expect("a folder");
    Connection::open(folder.path().join("t.db"))
        .and_then(|c| c.execute_batch("CREATE TABLE t (n); INSERT INTO t VALUES (1)"))
        .expect("a database");
    let connection = json!({"dialect": "sqlite", "path": "t.db", "session": {"statementTimeout": "10s"}});
    let tools = [("echo", echo()), ("count", json!({"statement": "SELECT count(*) AS n FROM t"}))];
    let connector = connector(&spec(&connection, &tools), folder.path(), "").expect("a connector");
    let runtime = runtime();
    proptest!(ProptestConfig::with_cases(200), |(text in text())| comes_back(&runtime, &connector, &text)?);
    let left: Vec<_> = std::fs::read_dir(folder.path()).expect("a folder").collect();
    assert_eq!(left.len(), 1);
}

#[test]
fn no_argument_changes_what_postgres_runs() {
    let runtime = runtime();
    let server = runtime.block_on(Server::with("CREATE TABLE t (n int); INSERT INTO t VALUES (1)"));
    let tools = [("echo", echo()), ("count", json!({"statement": "SELECT count(*) AS n FROM t"}))];
    let connector = server.connector(&tools);
    proptest!(ProptestConfig::with_cases(100), |(text in text())| comes_back(&runtime, &connector, &text)?);
    runtime.block_on(server.clean());
}
