//! Queries of a real PostgreSQL server: values, parameters, read-only, errors.

use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};
use tokio_postgres::{Client, NoTls};

use super::{call, call_until, connector, only, said, shown, spec, with};
use crate::sql::SqlConnector;

const DEFAULT_URL: &str = "postgres://quaymaster@127.0.0.1:54329/postgres";

/// The test server, with a schema of this test's own.
pub(super) struct Server {
    url: String,
    pub(super) schema: String,
    pub(super) owner: Client,
}

impl Server {
    /// A fresh schema in which `setup` was run.
    pub(super) async fn with(setup: &str) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let url = url();
        let (owner, connection) = tokio_postgres::connect(&url, NoTls)
            .await
            .expect("no PostgreSQL answers for the tests: run `scripts/postgres.sh start`");
        tokio::spawn(connection);
        let schema = format!("quay_{}_{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let setup = format!(
            "DROP SCHEMA IF EXISTS {schema} CASCADE; CREATE SCHEMA {schema}; SET search_path = {schema}; {setup}"
        );
        owner.batch_execute(&setup).await.expect("a schema");
        Self { url, schema, owner }
    }

    /// Removes what the test made.
    pub(super) async fn clean(&self) {
        self.owner.batch_execute(&format!("DROP SCHEMA {} CASCADE", self.schema)).await.expect("to clean up");
    }

    /// A `spec` over this schema, with one connection.
    pub(super) fn spec(&self, tools: &[(&str, Value)]) -> Value {
        let connection = json!({
            "dialect": "postgres",
            "url": "${secret:METRICS_URL}",
            "pool": {"max": 1},
            "session": {"statementTimeout": "10s", "searchPath": [self.schema]}
        });
        spec(&connection, tools)
    }

    pub(super) fn connector(&self, tools: &[(&str, Value)]) -> SqlConnector {
        self.connector_of(&self.spec(tools), "")
    }

    /// A connector of `spec`, with `options` added to the connection string.
    pub(super) fn connector_of(&self, spec: &Value, options: &str) -> SqlConnector {
        let sign = if self.url.contains('?') { '&' } else { '?' };
        let url = format!("{}{sign}sslmode=disable{options}", self.url);
        connector(spec, "unused".as_ref(), &url).expect("a connector")
    }

    /// How many other connections run a query whose text holds `mark`.
    async fn running(&self, mark: &str) -> i64 {
        let count = "SELECT count(*) FROM pg_stat_activity
                     WHERE state = 'active' AND pid <> pg_backend_pid() AND query LIKE '%' || $1 || '%'";
        self.owner.query_one(count, &[&mark]).await.expect("an answer").get(0)
    }

    /// Comes back as soon as `count` connections run a query with `mark`. The server
    /// says so a moment after it has answered, hence the limit, which is shorter than any such query.
    pub(super) async fn until_running(&self, mark: &str, count: i64) {
        let wait = async { while self.running(mark).await != count {} };
        tokio::time::timeout(std::time::Duration::from_secs(10), wait)
            .await
            .expect("the server to get there");
    }
}

#[expect(clippy::disallowed_methods, reason = "the tests are told by the environment where the server is")]
fn url() -> String {
    std::env::var("QUAYMASTER_TEST_POSTGRES_URL").unwrap_or_else(|_| DEFAULT_URL.to_owned())
}

fn connector_of_one(server: &Server, statement: &str) -> SqlConnector {
    server.connector(&[("one", json!({"statement": statement}))])
}

#[tokio::test]
async fn values_of_every_type_come_as_json() {
    let server = Server::with(
        "CREATE TYPE mood AS ENUM ('calm', 'rough'); CREATE DOMAIN knots AS int CHECK (VALUE >= 0)",
    )
    .await;
    let statement = "SELECT * FROM (VALUES
        ('bool', to_jsonb(0), true::bool, NULL::text)) AS _ (a, b, c, d)
        CROSS JOIN (SELECT
            (-32768)::int2 AS int2, 2147483647::int4 AS int4, 9007199254740993::int8 AS int8, 7::oid AS oid,
            0.1::float4 AS float4, 1e300::float8 AS float8, 'NaN'::float8 AS nan,
            12.50::numeric AS price, -0.00012::numeric AS small, 1e20::numeric AS large, 10000.0001::numeric AS mixed,
            123456789012345678.9::numeric AS exact, 'Infinity'::numeric AS endless,
            'é'::varchar(3) AS word, 'x'::char(3) AS padded, 'n'::name AS name, 'c'::\"char\" AS letter,
            '{\"a\": [1, null]}'::json AS js, '{\"b\": 2}'::jsonb AS jsb,
            '0b8f0c1e-32a4-4b67-9d05-1c8a1a2b3c4d'::uuid AS id) AS one
        CROSS JOIN (SELECT
            '2026-01-31'::date AS day, '-infinity'::date AS never, '08:30:00.25'::time AS at,
            '08:30:00-03:30'::timetz AS at_zone, '1999-12-31 23:59:59.5'::timestamp AS moment,
            '2026-01-31 08:30:00+02'::timestamptz AS instant, '1 year 2 days 03:00'::interval AS span,
            '\\x00ff'::bytea AS bytes, '10.0.0.1'::inet AS host, '10.0.0.0/8'::cidr AS net, '::1'::inet AS host6,
            'calm'::mood AS mood, 12::knots AS speed,
            ARRAY[1, NULL, 3] AS numbers, ARRAY[['a', 'b'], ['c', 'd']] AS grid, '{}'::text[] AS none,
            ARRAY['rough'::mood] AS moods, '(1,2)'::point AS place) AS two";
    let connector = server.connector(&[("types", json!({"statement": statement}))]);
    let table = call(&connector, "types", json!({})).await.expect("rows");
    let lines: Vec<String> = table
        .columns
        .iter()
        .zip(&table.rows[0])
        .map(|(column, value)| format!("{} {} = {value}", column.name, column.kind))
        .collect();
    insta::assert_snapshot!(format!("{}\n{}", lines.join("\n"), table.warnings.join("\n")));
    server.clean().await;
}

#[tokio::test]
async fn days_and_times_at_the_ends_of_the_calendar_are_as_the_server_means_them() {
    let server = Server::with("SELECT 1").await;
    let cases = [
        ("'4713-11-24 BC'::date", json!("-4712-11-24")),
        ("'0001-12-31 BC'::date", json!("0000-12-31")),
        ("'5874897-12-31'::date", json!("5874897-12-31")),
        ("'infinity'::date", json!("infinity")),
        ("'0044-03-15 12:00:00 BC'::timestamp", json!("-0043-03-15T12:00:00")),
        ("'294276-12-31 23:59:59.999999'::timestamp", json!("294276-12-31T23:59:59.999999")),
        ("'-infinity'::timestamptz", json!("-infinity")),
        ("'24:00:00'::time", json!("24:00:00")),
        ("'08:30:00+05:53:28'::timetz", json!("08:30:00+05:53:28")),
        ("'-178000000 years -1 day'::interval", json!("P-178000000Y-1D")),
    ];
    let columns: Vec<String> =
        cases.iter().enumerate().map(|(at, (value, _))| format!("{value} AS c{at}")).collect();
    let connector = connector_of_one(&server, &format!("SELECT {}", columns.join(", ")));
    let table = call(&connector, "one", json!({})).await.expect("a row");
    for ((value, text), cell) in cases.iter().zip(&table.rows[0]) {
        assert_eq!(cell, text, "{value}");
    }
    server.clean().await;
}

#[tokio::test]
async fn parameters_take_the_types_that_the_statement_gives_them() {
    let server = Server::with("CREATE TYPE mood AS ENUM ('calm', 'rough')").await;
    let statement = "SELECT concat_ws('|', :t::text, :i::int4 + 1, :n::numeric * 2, :f::float8, :b::bool,
        :d::date + 1, :at::timestamptz AT TIME ZONE 'UTC', :id::uuid, :mood::mood, :js::jsonb -> 'a', :none::int4) AS all";
    let text = json!({"type": "string"});
    let params = json!({
        "t": text, "i": {"type": "integer"}, "n": {"type": "number"}, "f": {"type": "number"},
        "b": {"type": "boolean"}, "d": {"type": "string", "format": "date"},
        "at": {"type": "string", "format": "date-time"}, "id": text, "mood": text, "js": text,
        "none": {"type": "integer", "optional": true}
    });
    let statement = statement.replace(" AS all", " AS everything");
    let connector = server.connector(&[("types", json!({"statement": statement, "params": params}))]);
    let arguments = json!({
        "t": "é", "i": 41, "n": 0.1, "f": 1e-7, "b": true, "d": "2026-01-31", "at": "2026-01-31T08:30:00+02:00",
        "id": "0B8F0C1E-32A4-4B67-9D05-1C8A1A2B3C4D", "mood": "calm", "js": "{\"a\": [1]}"
    });
    let table = call(&connector, "types", arguments.clone()).await.expect("rows");
    assert_eq!(
        only(&table),
        "é|42|0.2|1e-07|t|2026-02-01|2026-01-31 06:30:00|0b8f0c1e-32a4-4b67-9d05-1c8a1a2b3c4d|calm|[1]"
    );
    for (name, value) in
        [("mood", json!("furious")), ("id", json!("x")), ("i", json!(1_i64 << 40)), ("t", json!("\0"))]
    {
        let mut arguments = arguments.clone();
        arguments[name] = value;
        let error = call(&connector, "types", arguments).await.expect_err(name);
        assert!(
            error.to_string().starts_with("input.invalid: an argument does not fit the query (SQLSTATE 22"),
            "{error}"
        );
    }
    server.clean().await;
}

#[tokio::test]
async fn an_optional_parameter_that_is_left_out_is_null() {
    let server =
        Server::with("CREATE TABLE t (region text); INSERT INTO t VALUES ('EMEA'), ('AMER'), (NULL)").await;
    let template = json!({
        "statement": "SELECT count(*) AS n FROM t WHERE :region::text IS NULL OR region = :region",
        "params": {"region": {"type": "string", "optional": true}}
    });
    let connector = server.connector(&[("count", template)]);
    assert_eq!(only(&call(&connector, "count", json!({})).await.expect("rows")), &json!(3));
    let one = call(&connector, "count", json!({"region": "EMEA"})).await.expect("rows");
    assert_eq!(only(&one), &json!(1));
    server.clean().await;
}

#[tokio::test]
async fn a_template_that_changes_something_is_refused_by_the_server() {
    let server = Server::with(
        "CREATE TABLE t (a int); INSERT INTO t VALUES (1); CREATE SEQUENCE s;
         CREATE FUNCTION wipe() RETURNS int SECURITY DEFINER LANGUAGE sql AS 'DELETE FROM t RETURNING 1'",
    )
    .await;
    let refused = "query.refused: the query does something that is not allowed (SQLSTATE 25006)";
    let attacks = [
        ("insert", "WITH x AS (INSERT INTO t VALUES (2) RETURNING a) SELECT * FROM x", refused),
        ("delete", "WITH x AS (DELETE FROM t RETURNING a) SELECT * FROM x", refused),
        ("into", "SELECT * INTO u FROM t", refused),
        ("lock", "SELECT * FROM t FOR UPDATE", refused),
        ("sequence", "SELECT nextval('s')", refused),
        ("function", "SELECT wipe()", refused),
        (
            "turn_off",
            "SELECT set_config('transaction_read_only', 'off', true)",
            "upstream.error: the database answered with an error (SQLSTATE 25001)",
        ),
    ];
    let tools: Vec<(&str, Value)> = attacks.iter().map(|(n, s, _)| (*n, json!({"statement": s}))).collect();
    let connector = server.connector(&tools);
    for (tool, _, expected) in attacks {
        assert_eq!(call(&connector, tool, json!({})).await.expect_err(tool).to_string(), expected, "{tool}");
    }
    // Servers before version 16 let this through, and the rollback takes it back.
    let object = connector_of_one(&server, "SELECT lo_create(424242)");
    let _ = call(&object, "one", json!({})).await;
    let count = "SELECT count(*) FROM pg_largeobject_metadata WHERE oid = 424242";
    assert_eq!(server.owner.query_one(count, &[]).await.expect("an answer").get::<_, i64>(0), 0);
    let left = server.owner.query_one("SELECT count(*), max(a) FROM t", &[]).await.expect("an answer");
    assert_eq!((left.get::<_, i64>(0), left.get::<_, i32>(1)), (1, 1));
    server.clean().await;
}

#[tokio::test]
async fn errors_are_told_by_their_class_and_without_values() {
    let server = Server::with(
        "CREATE FUNCTION shout(text) RETURNS int LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no: %', $1; END $$;
         CREATE FUNCTION dive(int) RETURNS int LANGUAGE plpgsql AS $$ BEGIN RETURN dive($1 + 1); END $$",
    )
    .await;
    let with_text = |statement: &str| json!({"statement": statement, "params": {"a": {"type": "string"}}});
    let tools = [
        ("table", json!({"statement": "SELECT * FROM nothing_of_the_kind"})),
        ("column", json!({"statement": "SELECT nothing"})),
        ("type", with_text("SELECT :a IS NULL")),
        ("zero", json!({"statement": "SELECT 1 / 0"})),
        ("number", with_text("SELECT :a::int")),
        ("raise", with_text("SELECT shout(:a)")),
        ("deep", json!({"statement": "SELECT dive(1)"})),
    ];
    let connector = server.connector(&tools);
    let mut lines = Vec::new();
    for (tool, template) in &tools {
        let arguments = if template.get("params").is_some() { json!({"a": "hunter2"}) } else { json!({}) };
        let error = call(&connector, tool, arguments).await.expect_err(tool);
        assert!(!said(&error).contains("hunter2") && error.source.is_none());
        lines.push(format!("{tool}: {}", said(&error)));
    }
    insta::assert_snapshot!(lines.join("\n"));
    server.clean().await;
}

#[tokio::test]
async fn rules_of_the_configuration_come_before_the_classes() {
    let server = Server::with("").await;
    let spec = server.spec(&[("zero", json!({"statement": "SELECT 1 / 0"}))]);
    let rules = json!([{
        "match": {"sqlstate": ["22*"]}, "code": "query.too_costly", "retry": "safe", "hint": "Not by zero."
    }]);
    let connector = server.connector_of(&with(spec, "/errors", rules), "");
    assert_eq!(
        said(&call(&connector, "zero", json!({})).await.expect_err("zero")),
        "query.too_costly: the query needs more than the database allows (SQLSTATE 22012) [Safe, Not by zero.]"
    );
    server.clean().await;
}

#[tokio::test]
async fn an_account_without_rights_is_told_so() {
    let server = Server::with("CREATE TABLE t (a int)").await;
    let role = format!("{}_weak", server.schema);
    let schema = &server.schema;
    let make =
        format!("CREATE ROLE {role} LOGIN CONNECTION LIMIT 0; GRANT USAGE ON SCHEMA {schema} TO {role}");
    server.owner.batch_execute(&make).await.expect("a role");
    let tools = [
        ("one", json!({"statement": "SELECT * FROM t"})),
        ("who", json!({"statement": "SELECT current_user::text AS who"})),
    ];

    let weak = server.connector_of(&server.spec(&tools), &format!("&options=-c%20role%3D{role}"));
    let error = call(&weak, "one", json!({})).await.expect_err("no rights");
    assert_eq!(
        said(&error),
        "upstream.permission: the database does not let this account do it (SQLSTATE 42501) [Never, no hint]"
    );
    // The role of the connection string is still there after the connection was reset.
    for _ in 0..3 {
        assert_eq!(only(&call(&weak, "who", json!({})).await.expect("rows")), &json!(role));
    }

    let full = server.connector_of(&server.spec(&tools), &format!("&user={role}"));
    let error = call(&full, "one", json!({})).await.expect_err("too many connections");
    assert_eq!(
        said(&error),
        "upstream.unavailable: the database cannot be reached at present (SQLSTATE 53300) [Safe, no hint]"
    );
    let clean = format!("DROP OWNED BY {role}; DROP ROLE {role}");
    drop(weak);
    server.owner.batch_execute(&clean).await.expect("no role");
    server.clean().await;
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unavailable() {
    let server = Server::with("").await;
    let one = [("one", json!({"statement": "SELECT 1"}))];
    let away = connector(
        &server.spec(&one),
        "unused".as_ref(),
        "postgres://ada@127.0.0.1:1/metrics?sslmode=disable",
    )
    .expect("a connector");
    let error = call(&away, "one", json!({})).await.expect_err("nobody there");
    assert_eq!(
        said(&error),
        "upstream.unavailable: the database cannot be reached at present [Safe, no hint]"
    );
    let nowhere = server.connector_of(&server.spec(&one), "&dbname=nothing_of_the_kind");
    let error = call(&nowhere, "one", json!({})).await.expect_err("no such database");
    assert!(error.to_string().ends_with("(SQLSTATE 3D000)"), "{error}");
    let in_the_open = server.connector_of(&server.spec(&one), "&sslmode=verify-full");
    let error = call(&in_the_open, "one", json!({})).await.expect_err("no TLS");
    assert_eq!(error.to_string(), "upstream.unavailable: the database cannot be reached at present");
    let cause = error.source.map(|e| e.to_string()).unwrap_or_default();
    assert!(cause.starts_with("error performing TLS handshake"), "{cause}");
    assert!(shown(&in_the_open.verify().await).contains("help: the server has no TLS: set it up"));
    let stranger = server.connector_of(&server.spec(&one), "&user=nobody_of_the_kind");
    let error = call(&stranger, "one", json!({})).await.expect_err("no such user");
    assert!(
        error.to_string().starts_with("upstream.permission") && error.to_string().contains("28"),
        "{error}"
    );
    server.clean().await;
}

#[tokio::test]
async fn templates_are_verified_without_being_run() {
    let server = Server::with("CREATE TABLE t (a int, place point)").await;
    let text = json!({"a": {"type": "string"}});
    let connector = server.connector(&[
        ("good", json!({"statement": "SELECT a FROM t WHERE a = :a", "params": {"a": {"type": "integer"}}})),
        (
            "lock",
            json!({"statement": "SELECT pg_advisory_lock(4242)::text AS l, pg_read_file('/etc/hostname')"}),
        ),
        ("typo", json!({"statement": "SELECT amuont FROM t"})),
        ("untyped", json!({"statement": "SELECT :a IS NULL", "params": text})),
        ("place", json!({"statement": "SELECT place FROM t", "columns": {"palce": {"unit": "m"}}})),
    ]);
    insta::assert_snapshot!(shown(&connector.verify().await));
    let taken =
        server.owner.query_one("SELECT pg_try_advisory_lock(4242), pg_advisory_unlock(4242)", &[]).await;
    assert!(taken.expect("an answer").get::<_, bool>(0));
    server.clean().await;
}

#[tokio::test]
async fn a_connection_that_went_stale_is_replaced_once() {
    let server = Server::with("CREATE TABLE t (a int); INSERT INTO t VALUES (1)").await;
    let connector = server.connector(&[
        ("all", json!({"statement": "SELECT * FROM t"})),
        ("pid", json!({"statement": "SELECT pg_backend_pid() AS pid"})),
    ]);
    let never = tokio_util::sync::CancellationToken::new();
    let (table, account) = call_until(&connector, "all", json!({}), &never).await;
    assert_eq!((table.expect("rows").columns.len(), account.retries), (1, 0));

    // What was prepared no longer fits the table.
    server.owner.batch_execute("ALTER TABLE t ADD b int").await.expect("another column");
    let (table, account) = call_until(&connector, "all", json!({}), &never).await;
    assert_eq!((table.expect("rows").columns.len(), account.retries), (2, 1));

    let pid = only(&call(&connector, "pid", json!({})).await.expect("rows")).as_i64().expect("a number");
    let end = format!("SELECT pg_terminate_backend({pid}, 5000)");
    assert!(server.owner.query_one(&end, &[]).await.expect("an answer").get::<_, bool>(0));
    let next = only(&call(&connector, "pid", json!({})).await.expect("rows")).as_i64();
    assert!(next.is_some_and(|next| next != pid));
    server.clean().await;
}
