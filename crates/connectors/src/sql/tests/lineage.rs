//! What columns are made of, on real databases: an alias or an expression over a classified column stays one.

use quaymaster_control::output::{Column, Source};
use rusqlite::Connection;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::postgres::Server;
use super::{ask, connector, spec};
use crate::sql::SqlConnector;

const SETUP: &str = "
    CREATE TABLE customers (id INTEGER PRIMARY KEY, email TEXT, city TEXT, loud TEXT GENERATED ALWAYS AS (upper(email)) STORED);
    CREATE TABLE orders (id INTEGER PRIMARY KEY, customer_id INTEGER, total INTEGER);
    INSERT INTO customers (id, email, city) VALUES (1, 'ada@example.test', 'Kiel');
    INSERT INTO orders VALUES (1, 1, 30);
    CREATE VIEW contacts AS SELECT id, email AS address, city FROM customers;
    CREATE VIEW swapped (city, id) AS SELECT email, id FROM customers;
    CREATE VIEW deep AS SELECT address AS reached, id FROM contacts;";

/// Queries, with a letter for each column: `e` is made of `customers.email`, `-` is not, and of `?` it may be told
/// though it is not.
const BOTH: &[(&str, &str)] = &[
    ("SELECT id, email, city FROM customers", "-e-"),
    ("SELECT c.email AS city, c.city AS email FROM customers c", "e-"),
    ("SELECT c.email address, c.id number FROM customers AS c", "e-"),
    ("SELECT upper(email) AS a, length(city) AS b, id + 1 AS c FROM customers", "e--"),
    ("SELECT CAST(email AS VARCHAR(20)) AS a, substr(email, 1, 3) AS b, 'email' AS c FROM customers", "ee-"),
    ("SELECT CASE WHEN email LIKE 'a%' THEN 1 ELSE 0 END AS a, city || ' ' || id AS b FROM customers", "e-"),
    ("SELECT city, count(*) AS n, min(email) AS first FROM customers GROUP BY city", "--e"),
    ("SELECT * FROM customers", "-e-e"),
    ("SELECT c.*, o.total AS t FROM customers c JOIN orders o ON o.customer_id = c.id", "-e-e-"),
    ("SELECT city AS c FROM customers UNION ALL SELECT email FROM customers", "e"),
    ("SELECT x FROM (SELECT city AS x FROM customers UNION SELECT email FROM customers) AS s", "e"),
    ("SELECT x FROM (SELECT city AS x FROM customers UNION SELECT city FROM customers) AS s", "-"),
    (
        "SELECT x FROM (SELECT city AS x FROM customers INTERSECT SELECT city FROM customers EXCEPT SELECT email FROM customers) AS s",
        "e",
    ),
    ("SELECT a, b FROM (SELECT email AS a, id AS b FROM customers) AS s", "e-"),
    ("SELECT lower(a) AS z, b FROM (SELECT email AS a, id AS b FROM customers) AS s", "e-"),
    ("WITH x AS (SELECT email AS m, city AS c FROM customers) SELECT c, m FROM x", "-e"),
    ("WITH x (m, c) AS (SELECT email, city FROM customers) SELECT m FROM x", "e"),
    ("WITH x (city, c) AS (SELECT email, city FROM customers) SELECT city FROM x", "e"),
    (
        "WITH x AS (SELECT email AS m FROM customers), y AS (SELECT m AS k FROM x) SELECT upper(k) AS q FROM y",
        "e",
    ),
    (
        "WITH RECURSIVE r AS (SELECT 1 AS n, city AS v FROM customers UNION ALL SELECT n + 1, (SELECT email FROM customers) FROM r WHERE n < 3) SELECT v FROM r",
        "e",
    ),
    ("SELECT address, city FROM contacts", "e-"),
    ("SELECT reached AS r, id FROM deep", "e-"),
    ("SELECT city AS k FROM swapped", "e"),
    ("SELECT loud FROM customers", "e"),
    ("SELECT upper(loud) AS quiet FROM customers", "e"),
    ("SELECT (SELECT max(email) FROM customers) AS a, total FROM orders", "e-"),
    ("SELECT total, EXISTS (SELECT 1 FROM customers WHERE email = 'a') AS known FROM orders", "-e"),
    ("SELECT o.total AS a, c.email || '' AS b FROM orders o JOIN customers c ON c.id = o.customer_id", "-e"),
    ("SELECT email FROM orders NATURAL JOIN customers", "e"),
    (
        "SELECT max(email) OVER (PARTITION BY city) AS a, row_number() OVER (ORDER BY id) AS b FROM customers",
        "e-",
    ),
    ("SELECT id * length(email) AS a, id * 2 b FROM customers", "e-"),
    ("SELECT id * email FROM (SELECT id, length(email) AS email FROM customers) AS s", "e"),
    ("SELECT coalesce(NULL, email) AS a, nullif(city, '') AS b FROM customers", "e-"),
    ("SELECT total, id FROM orders", "--"),
    ("SELECT /* , email */ city AS a -- email\n FROM customers", "-"),
    ("SELECT \"email\" AS a, \"city\" FROM \"customers\"", "e-"),
    ("SELECT city IS DISTINCT FROM email AS a, id FROM customers", "e-"),
    ("SELECT id, email FROM customers WHERE id IN (SELECT customer_id FROM orders)", "-e"),
    ("SELECT DISTINCT city AS c FROM customers ORDER BY c LIMIT 1", "-"),
];

const SQLITE: &[(&str, &str)] = &[
    ("SELECT value AS v FROM customers, json_each(json_array(email))", "e"),
    (
        "SELECT v FROM (SELECT value AS v FROM (SELECT v AS value FROM (SELECT value AS v FROM customers, json_each(json_array(email))))) s",
        "e",
    ),
    ("SELECT rowid AS r, [email] AS a, `city` FROM customers", "?e-"),
    ("SELECT email 'city', city 'email' FROM customers", "e-"),
    ("SELECT iif(id = 1, email, '') AS a FROM customers", "e"),
    ("SELECT group_concat(email) AS a FROM customers", "e"),
];

const POSTGRES: &[(&str, &str)] = &[
    ("SELECT email::varchar(5) AS a, id::text AS b FROM customers", "e-"),
    ("SELECT upper FROM (SELECT upper(email) FROM customers) s", "e"),
    ("SELECT \"case\" FROM (SELECT CASE WHEN id = 1 THEN email END FROM customers) s", "e"),
    ("SELECT \"left\" FROM (SELECT left(email, 2) FROM customers) s", "e"),
    ("SELECT to_json(c) AS a FROM customers c", "e"),
    ("SELECT to_json(customers) AS a FROM customers", "e"),
    ("SELECT email(c) AS a FROM customers c", "e"),
    ("SELECT (c).email AS a FROM customers c", "e"),
    ("SELECT t.a FROM customers c, LATERAL (SELECT c.email AS a) t", "e"),
    ("SELECT t.a AS z FROM (SELECT email, id FROM customers) AS t (a, b)", "e"),
    ("SELECT v FROM unnest(ARRAY (SELECT email FROM customers)) AS v", "e"),
    ("SELECT v.column1 AS a FROM (VALUES ((SELECT max(email) FROM customers))) AS v", "e"),
    ("SELECT query_to_xml('SELECT email FROM customers', true, true, '')::text AS a", "e"),
    ("SELECT array_agg(email) AS a, string_agg(city, ',') AS b FROM customers", "e-"),
    ("SELECT x FROM ((SELECT city AS x FROM customers) UNION (SELECT email FROM customers)) AS s", "e"),
    ("SELECT extract(year FROM now())::int AS y, city FROM customers", "?-"),
    ("SELECT upper FROM (SELECT upper FROM (SELECT upper(email) FROM customers) a) b", "e"),
    (
        "SELECT upper AS x FROM (SELECT q AS upper FROM (SELECT upper AS q FROM (SELECT upper(email) FROM customers) a) b) c",
        "e",
    ),
    (
        "SELECT v FROM (SELECT x AS v FROM (SELECT v AS x FROM unnest(ARRAY (SELECT email FROM customers)) AS v) a) b",
        "e",
    ),
    ("SELECT \"?column?\" FROM (SELECT email || '' FROM customers) s", "e"),
    ("SELECT varchar FROM (SELECT (email || '')::varchar FROM customers) s", "e"),
    ("SELECT $$email$$ AS a, city FROM customers", "--"),
    ("SELECT stored AS a FROM kept", "e"),
    ("SELECT email AS a FROM customers_here", "e"),
];

fn is_email(column: &Column) -> bool {
    let is = |source: &Source| match &source.column {
        Some(name) => (source.table == "customers" || source.table == "customers_here") && name == "email",
        None => !matches!(source.table.as_str(), "orders"),
    };
    column.sources.as_ref().is_none_or(|sources| sources.iter().any(is))
}

async fn check(connector: &SqlConnector, queries: &[&(&str, &str)]) {
    let mut wrong = Vec::new();
    for (at, (query, expected)) in queries.iter().enumerate() {
        let never = CancellationToken::new();
        let table = ask(connector, &format!("q{at}"), json!({}), (&never, true)).await.0;
        let table = table.unwrap_or_else(|error| panic!("{query}: {error:?}"));
        let told: String =
            table.columns.iter().map(|column| if is_email(column) { 'e' } else { '-' }).collect();
        let fits = |(told, expected): (char, char)| expected == '?' || told == expected;
        if told.len() != expected.len() || !told.chars().zip(expected.chars()).all(fits) {
            wrong.push(format!("{query}\n  {told} is not {expected}"));
        }
        assert!(!table.rows.is_empty(), "{query}");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn tools(queries: &[&(&str, &str)]) -> Vec<(String, serde_json::Value)> {
    let tool = |(at, (query, _)): (usize, &&(&str, &str))| (format!("q{at}"), json!({"statement": query}));
    queries.iter().enumerate().map(tool).collect()
}

#[tokio::test]
async fn whatever_sqlite_makes_of_a_classified_column_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let owner = Connection::open(folder.path().join("company.db")).expect("a new database");
    owner.execute_batch(SETUP).expect("its tables");
    let queries: Vec<&(&str, &str)> = BOTH.iter().chain(SQLITE).collect();
    let tools = tools(&queries);
    let tools: Vec<_> = tools.iter().map(|(name, template)| (name.as_str(), template.clone())).collect();
    let connection = json!({
        "dialect": "sqlite", "path": "company.db", "session": {"statementTimeout": "10s"}
    });
    let connector = connector(&spec(&connection, &tools), folder.path(), "").expect("a connector");
    check(&connector, &queries).await;
}

#[tokio::test]
async fn whatever_postgresql_makes_of_a_classified_column_is_told() {
    let setup = format!(
        "{SETUP}
        CREATE MATERIALIZED VIEW kept AS SELECT email AS stored FROM customers;
        CREATE TABLE customers_here () INHERITS (customers);
        INSERT INTO customers_here (id, email, city) VALUES (2, 'bo@example.test', 'Bonn');"
    );
    let server = Server::with(&setup).await;
    // These ask for one value of a column of which there are two now.
    let queries: Vec<&(&str, &str)> = BOTH
        .iter()
        .chain(POSTGRES)
        .filter(|(query, _)| !query.contains("(SELECT email FROM customers) FROM r"))
        .collect();
    let tools = tools(&queries);
    let tools: Vec<_> = tools.iter().map(|(name, template)| (name.as_str(), template.clone())).collect();
    let connector = server.connector(&tools);
    check(&connector, &queries).await;
    server.clean().await;
}

#[tokio::test]
async fn what_was_not_asked_for_is_not_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let owner = Connection::open(folder.path().join("company.db")).expect("a new database");
    owner.execute_batch(SETUP).expect("its tables");
    let connection =
        json!({"dialect": "sqlite", "path": "company.db", "session": {"statementTimeout": "10s"}});
    let tools = [("one", json!({"statement": "SELECT email FROM customers"}))];
    let connector = connector(&spec(&connection, &tools), folder.path(), "").expect("a connector");
    let table = super::call(&connector, "one", json!({})).await.expect("rows");
    assert_eq!(table.columns[0].sources, None);
}
