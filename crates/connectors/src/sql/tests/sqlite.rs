//! Queries of real SQLite files.

use std::time::{Duration, Instant};

use rusqlite::Connection;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::{call, call_until, connector, only, said, shown, spec, with};
use crate::sql::SqlConnector;

const ENDLESS: &str =
    "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT count(*) AS n FROM c";

fn company() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let owner = Connection::open(folder.path().join("company.db")).expect("a new database");
    owner
        .execute_batch(
            "CREATE TABLE bookings (id INTEGER PRIMARY KEY, region TEXT, amount DECIMAL(10,2), booked DATE, raw BLOB);
             INSERT INTO bookings VALUES
                (1, 'EMEA', 12.5, '2026-01-01', x'00ff'), (2, 'AMER', 9007199254740993, '2026-02-01', NULL),
                (3, NULL, NULL, NULL, NULL);",
        )
        .expect("its tables");
    folder
}

fn connection() -> Value {
    json!({"dialect": "sqlite", "path": "company.db", "pool": {"max": 1}, "session": {"statementTimeout": "10s"}})
}

fn open(folder: &TempDir, tools: &[(&str, Value)]) -> SqlConnector {
    connector(&spec(&connection(), tools), folder.path(), "").expect("a connector")
}

fn refused(folder: &TempDir, template: Value) -> String {
    shown(&connector(&spec(&connection(), &[("one", template)]), folder.path(), "").expect_err("problems"))
}

#[tokio::test]
async fn rows_come_with_their_columns_and_statistics() {
    let folder = company();
    let all = json!({
        "statement": "SELECT id, region, amount, booked, raw, length(region) * 0.5 AS half, NULL AS none FROM bookings",
        "columns": {"amount": {"unit": "EUR", "description": "Booked.", "type": "decimal"}}
    });
    let table = call(&open(&folder, &[("all", all)]), "all", json!({})).await.expect("rows");
    let columns: Vec<(&str, &str)> =
        table.columns.iter().map(|c| (c.name.as_str(), c.kind.as_str())).collect();
    assert_eq!(
        columns,
        [
            ("id", "integer"),
            ("region", "text"),
            ("amount", "decimal (text where JSON cannot hold the number)"),
            ("booked", "date"),
            ("raw", "blob"),
            ("half", "real"),
            ("none", "unknown"),
        ]
    );
    assert_eq!(table.columns[2].unit.as_deref(), Some("EUR"));
    assert_eq!(
        json!(table.rows),
        json!([
            [1, "EMEA", 12.5, "2026-01-01", "AP8=", 2.0, null],
            [2, "AMER", "9007199254740993", "2026-02-01", null, 2.0, null],
            [3, null, null, null, null, null, null]
        ])
    );
    assert!(!table.stats.truncated && table.warnings.is_empty());
    assert!(table.stats.query_hash.starts_with("sha256:") && table.stats.as_of.ends_with('Z'));
}

#[tokio::test]
async fn a_result_without_rows_still_has_its_columns() {
    let folder = company();
    let none = json!({"statement": "SELECT id, region FROM bookings WHERE id < 0"});
    let table = call(&open(&folder, &[("none", none)]), "none", json!({})).await.expect("no rows");
    let columns: Vec<(&str, &str)> =
        table.columns.iter().map(|c| (c.name.as_str(), c.kind.as_str())).collect();
    assert_eq!(columns, [("id", "integer"), ("region", "text")]);
    assert!(table.rows.is_empty() && !table.stats.truncated);
}

#[tokio::test]
async fn an_optional_parameter_that_is_left_out_is_null() {
    let folder = company();
    let by_region = json!({
        "statement": "SELECT count(*) AS n FROM bookings WHERE :region IS NULL OR region = :region",
        "params": {"region": {"type": "string", "optional": true}}
    });
    let connector = open(&folder, &[("by_region", by_region)]);
    assert_eq!(only(&call(&connector, "by_region", json!({})).await.expect("rows")), &json!(3));
    let one = call(&connector, "by_region", json!({"region": "EMEA"})).await.expect("rows");
    assert_eq!(only(&one), &json!(1));
}

#[tokio::test]
async fn values_are_bound_with_their_types() {
    let folder = company();
    let types = json!({
        "statement": "SELECT typeof(:s) || typeof(:i) || typeof(:n) || typeof(:b) || :b AS types",
        "params": {
            "s": {"type": "string"}, "i": {"type": "integer"}, "n": {"type": "number"}, "b": {"type": "boolean"}
        }
    });
    let arguments = json!({"s": "1", "i": 1.0, "n": 1, "b": true});
    let table = call(&open(&folder, &[("types", types)]), "types", arguments).await.expect("rows");
    assert_eq!(only(&table), "textintegerrealinteger1");
}

#[tokio::test]
async fn arguments_that_do_not_fit_are_refused_before_the_database_sees_them() {
    let folder = company();
    let one =
        json!({"statement": "SELECT :day AS d", "params": {"day": {"type": "string", "format": "date"}}});
    let connector = open(&folder, &[("one", one), ("none", json!({"statement": "SELECT 1 AS one"}))]);
    for (tool, arguments, message) in [
        ("one", json!({}), "input.invalid: `day` is missing [AfterChange, no hint]"),
        (
            "one",
            json!({"day": "now"}),
            "input.invalid: `day` must be a day such as 2026-01-31 [AfterChange, no hint]",
        ),
        (
            "one",
            json!({"day": "2026-01-31", "secret": 1}),
            "input.invalid: there is an argument that the tool does not take [AfterChange, it takes `day`]",
        ),
        (
            "none",
            json!({"day": 1}),
            "input.invalid: there is an argument that the tool does not take [AfterChange, it takes none]",
        ),
        ("two", json!({}), "tool.not_found: there is no such tool [Never, no hint]"),
    ] {
        assert_eq!(said(&call(&connector, tool, arguments).await.expect_err(tool)), message);
    }
}

#[tokio::test]
async fn rows_and_bytes_beyond_the_limits_are_not_read() {
    let folder = company();
    let endless = json!({
        "statement": "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT n FROM c"
    });
    let long =
        json!({"statement": "SELECT 1 AS n, printf('%.*c', 100000, 'x') AS long UNION ALL SELECT 2, 'y'"});
    let spec = spec(&connection(), &[("endless", endless), ("long", long)]);
    let spec = with(spec, "/limits", json!({"timeout": "20s", "rows": 7, "bytes": "1KiB"}));
    let connector = connector(&spec, folder.path(), "").expect("a connector");

    let table = call(&connector, "endless", json!({})).await.expect("rows");
    assert_eq!((table.rows.len(), table.stats.truncated), (7, true));
    assert!(table.warnings.is_empty(), "{:?}", table.warnings);

    let table = call(&connector, "long", json!({})).await.expect("rows");
    assert_eq!((table.rows.len(), table.stats.truncated, &table.rows[0][0]), (1, true, &json!(1)));
    assert!(table.rows[0][1].as_str().is_some_and(|t| (900..1024).contains(&t.len())));
    assert_eq!(table.warnings, ["values that were cut because they are too long: 1"]);
}

#[tokio::test]
async fn a_query_that_takes_too_long_is_stopped() {
    let folder = company();
    let spec = spec(&connection(), &[("endless", json!({"statement": ENDLESS}))]);
    let spec = with(spec, "/connection/session/statementTimeout", json!("100ms"));
    let connector = connector(&spec, folder.path(), "").expect("a connector");
    let error = call(&connector, "endless", json!({})).await.expect_err("endless");
    assert_eq!(
        said(&error),
        "upstream.timeout: the database did not answer in time (SQLite result 9) [AfterChange, ask for less at a time]"
    );
}

#[tokio::test]
async fn a_cancelled_query_stops_and_gives_its_connection_back() {
    let folder = company();
    let connector = open(
        &folder,
        &[("endless", json!({"statement": ENDLESS})), ("one", json!({"statement": "SELECT 1 AS one"}))],
    );
    let cancel = CancellationToken::new();
    let (outcome, ()) =
        tokio::join!(call_until(&connector, "endless", json!({}), &cancel), async { cancel.cancel() });
    let error = outcome.0.expect_err("cancelled");
    assert_eq!(said(&error), "call.cancelled: the call was cancelled [Safe, no hint]");
    // There is one connection, so this waits until the query before has let go of it.
    let started = Instant::now();
    assert_eq!(only(&call(&connector, "one", json!({})).await.expect("rows")), &json!(1));
    assert!(started.elapsed() < Duration::from_secs(2));
}

#[tokio::test]
async fn a_query_that_nobody_waits_for_stops() {
    let folder = company();
    let connector = open(
        &folder,
        &[("endless", json!({"statement": ENDLESS})), ("one", json!({"statement": "SELECT 1 AS one"}))],
    );
    let abandoned =
        tokio::time::timeout(Duration::from_millis(50), call(&connector, "endless", json!({}))).await;
    assert!(abandoned.is_err());
    assert_eq!(only(&call(&connector, "one", json!({})).await.expect("rows")), &json!(1));
}

#[tokio::test]
async fn a_call_that_finds_no_free_connection_is_told_to_come_again() {
    let folder = company();
    let spec = spec(
        &connection(),
        &[("endless", json!({"statement": ENDLESS})), ("one", json!({"statement": "SELECT 1"}))],
    );
    let spec = with(spec, "/connection/pool/acquireTimeout", json!("50ms"));
    let connector = connector(&spec, folder.path(), "").expect("a connector");
    let cancel = CancellationToken::new();
    let (_, error) = tokio::join!(biased; call_until(&connector, "endless", json!({}), &cancel), async {
        let error = call(&connector, "one", json!({})).await;
        cancel.cancel();
        error
    });
    assert_eq!(
        said(&error.expect_err("no connection")),
        "upstream.unavailable: the database cannot be reached at present [Safe, no hint]"
    );
}

#[tokio::test]
async fn a_locked_database_is_unavailable_for_the_moment() {
    let folder = company();
    let spec = spec(&connection(), &[("one", json!({"statement": "SELECT count(*) AS n FROM bookings"}))]);
    let spec = with(spec, "/connection/session/lockTimeout", json!("20ms"));
    let connector = connector(&spec, folder.path(), "").expect("a connector");
    let owner = Connection::open(folder.path().join("company.db")).expect("the database");
    owner.execute_batch("BEGIN EXCLUSIVE").expect("a lock");
    let error = call(&connector, "one", json!({})).await.expect_err("locked");
    assert_eq!(
        said(&error),
        "upstream.unavailable: the database cannot be reached at present (SQLite result 5) [Safe, no hint]"
    );
    owner.execute_batch("ROLLBACK").expect("no lock");
    assert_eq!(only(&call(&connector, "one", json!({})).await.expect("rows")), &json!(3));
}

#[tokio::test]
async fn what_the_database_says_of_a_value_stays_inside() {
    let folder = company();
    let parse = json!({
        "statement": "SELECT json_extract(:text, '$.a') AS a", "params": {"text": {"type": "string"}}
    });
    let big = json!({"statement": "SELECT replace(printf('%.*c', 9000000, 'x'), 'x', 'xxx') AS big"});
    let connector = open(&folder, &[("parse", parse), ("big", big)]);
    let error = call(&connector, "parse", json!({"text": "hunter2"})).await.expect_err("no JSON");
    assert_eq!(error.to_string(), "input.invalid: an argument does not fit the query (SQLite result 1)");
    assert!(error.source.is_none());
    let error = call(&connector, "big", json!({})).await.expect_err("too big");
    assert_eq!(
        error.to_string(),
        "query.too_costly: the query needs more than the database allows (SQLite result 18)"
    );
}

#[tokio::test]
async fn a_file_that_took_the_place_of_another_is_read() {
    let folder = company();
    let connector = open(&folder, &[("one", json!({"statement": "SELECT count(*) AS n FROM bookings"}))]);
    assert_eq!(only(&call(&connector, "one", json!({})).await.expect("rows")), &json!(3));
    let fresh = folder.path().join("fresh.db");
    Connection::open(&fresh)
        .and_then(|c| c.execute_batch("CREATE TABLE bookings (id)"))
        .expect("another database");
    std::fs::rename(fresh, folder.path().join("company.db")).expect("to replace it");
    assert_eq!(only(&call(&connector, "one", json!({})).await.expect("rows")), &json!(0));
}

#[test]
fn a_template_that_the_database_refuses_does_not_load() {
    let folder = company();
    for (template, expected) in [
        (
            json!({"statement": "SELECT amuont FROM bookings"}),
            "spec.tools[0].template.statement: tool `one`: the database refuses the statement: no such column: amuont",
        ),
        (
            json!({"statement": "WITH x AS (SELECT 4) INSERT INTO bookings (id) SELECT * FROM x"}),
            "spec.tools[0].template.statement: tool `one`: the database refuses the statement: not authorized",
        ),
        (
            json!({"statement": "SELECT load_extension('evil')"}),
            "spec.tools[0].template.statement: tool `one`: the database refuses the statement: not authorized to use \
             function: load_extension",
        ),
        (
            json!({"statement": "SELECT id FROM bookings", "columns": {"ID2": {"unit": "EUR"}}}),
            "spec.tools[0].template.columns.ID2: tool `one`: the result has no column `ID2`\n  help: its columns are `id`",
        ),
    ] {
        assert_eq!(refused(&folder, template), expected);
    }
}

#[test]
fn a_rule_for_a_column_that_the_result_does_not_have_does_not_load() {
    let folder = company();
    let spec =
        spec(&connection(), &[("one", json!({"statement": "SELECT id, region AS Area FROM bookings"}))]);
    let rule = |matches: &str| json!({"match": matches, "class": "restricted", "action": "drop"});
    let rules = json!([rule("one.area"), rule("*.ssn"), rule("one.region")]);
    let problems =
        connector(&with(spec, "/classification/columns", rules), folder.path(), "").expect_err("a rule");
    assert_eq!(
        shown(&problems),
        "spec.classification.columns[2].match: tool `one`: the result has no column `region`\n  \
         help: its columns are `id`, `Area`"
    );
}

#[test]
fn a_file_that_is_missing_or_no_database_does_not_load() {
    let folder = tempfile::tempdir().expect("a folder");
    let one = json!({"statement": "SELECT 1"});
    let path = folder.path().join("company.db");
    assert_eq!(
        refused(&folder, one),
        format!(
            "spec.connection.path: the database `{}` cannot be opened: there is no file, or it cannot be read",
            path.display()
        )
    );
    std::fs::write(
        folder.path().join("company.db"),
        "not a database, though it is long enough to be one ".repeat(30),
    )
    .expect("a file");
    let read = json!({"statement": "SELECT * FROM sqlite_schema"});
    assert!(refused(&folder, read).contains("file is not a database"));
    assert!(!folder.path().join("company.db-journal").exists());
}
