//! What a query of a real PostgreSQL server may take, and what it leaves behind.

use std::time::Duration;

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::postgres::Server;
use super::{call, call_until, only, said, with};

/// A query that takes half a minute and can be told from others by `mark`.
fn slow(mark: &str) -> Value {
    json!({"statement": format!("SELECT 1 AS one FROM pg_sleep(30) /* {mark} */")})
}

#[tokio::test]
async fn rows_beyond_the_limit_are_never_sent() {
    let server = Server::with("").await;
    let endless = json!({"statement": "SELECT generate_series(1, 1000000000000) AS n /* quay_rows */"});
    let limits = json!({"timeout": "20s", "rows": 250, "bytes": "256KiB"});
    let spec = with(server.spec(&[("endless", endless)]), "/limits", limits);
    let connector = server.connector_of(&spec, "");
    for _ in 0..3 {
        let table = call(&connector, "endless", json!({})).await.expect("rows");
        assert_eq!((table.rows.len(), table.stats.truncated), (250, true));
        assert_eq!(table.rows[249], [json!(250)]);
    }
    server.until_running("quay_rows", 0).await;
    server.clean().await;
}

#[tokio::test]
async fn the_limit_of_rows_itself_is_not_truncated() {
    let server = Server::with("").await;
    let some = json!({
        "statement": "SELECT n FROM generate_series(1, :count::int) AS n", "params": {"count": {"type": "integer"}}
    });
    let spec = with(server.spec(&[("some", some)]), "/limits/rows", json!(100));
    let connector = server.connector_of(&spec, "");
    for (count, shown, truncated) in [(0, 0, false), (99, 99, false), (100, 100, false), (101, 100, true)] {
        let table = call(&connector, "some", json!({"count": count})).await.expect("rows");
        assert_eq!((table.rows.len(), table.stats.truncated), (shown, truncated));
    }
    server.clean().await;
}

#[tokio::test]
async fn bytes_beyond_the_limit_are_cut() {
    let server = Server::with("").await;
    let wide = json!({"statement": "SELECT generate_series(1, 1000000000000) AS n, repeat('x', 1000) AS x"});
    let long = json!({"statement": "SELECT 7 AS n, repeat('é', 1000000) AS x"});
    let limits = json!({"timeout": "20s", "rows": 500, "bytes": "10KiB"});
    let spec = with(server.spec(&[("wide", wide), ("long", long)]), "/limits", limits);
    let connector = server.connector_of(&spec, "");
    let table = call(&connector, "wide", json!({})).await.expect("rows");
    assert_eq!((table.rows.len(), table.stats.truncated), (10, true));
    let table = call(&connector, "long", json!({})).await.expect("rows");
    assert_eq!((&table.rows[0][0], table.stats.truncated), (&json!(7), true));
    assert!(table.rows[0][1].as_str().is_some_and(|x| (10_000..10_240).contains(&x.len())));
    server.clean().await;
}

#[tokio::test]
async fn a_query_that_takes_too_long_is_stopped_by_the_server() {
    let server = Server::with("").await;
    let spec = server.spec(&[("slow", slow("quay_timeout"))]);
    let connector =
        server.connector_of(&with(spec, "/connection/session/statementTimeout", json!("200ms")), "");
    let error = call(&connector, "slow", json!({})).await.expect_err("too slow");
    assert_eq!(
        said(&error),
        "upstream.timeout: the database did not answer in time (SQLSTATE 57014) [AfterChange, ask for less at a time]"
    );
    server.until_running("quay_timeout", 0).await;
    server.clean().await;
}

#[tokio::test]
async fn a_template_that_lifts_the_limit_is_stopped_when_the_call_ends() {
    let server = Server::with("").await;
    let lift = json!({
        "statement": "SELECT set_config('statement_timeout', '0', true), s FROM pg_sleep(0.05) AS s
                      CROSS JOIN LATERAL (SELECT pg_sleep(30) /* quay_lift */) AS t"
    });
    let spec = with(server.spec(&[("lift", lift)]), "/limits/timeout", json!("300ms"));
    let connector = server.connector_of(&spec, "");
    let error = call(&connector, "lift", json!({})).await.expect_err("too slow");
    assert!(error.to_string().starts_with("upstream.timeout"), "{error}");
    server.until_running("quay_lift", 0).await;
    server.clean().await;
}

#[tokio::test]
async fn a_query_that_waits_for_a_lock_gives_up() {
    let server = Server::with("CREATE TABLE t (a int)").await;
    let spec = server.spec(&[("read", json!({"statement": "SELECT a FROM t"}))]);
    let connector = server.connector_of(&with(spec, "/connection/session/lockTimeout", json!("50ms")), "");
    server.owner.batch_execute("BEGIN; LOCK TABLE t").await.expect("a lock");
    let error = call(&connector, "read", json!({})).await.expect_err("locked");
    assert_eq!(
        said(&error),
        "upstream.unavailable: the database cannot be reached at present (SQLSTATE 55P03) [Safe, no hint]"
    );
    server.owner.batch_execute("ROLLBACK").await.expect("no lock");
    assert!(call(&connector, "read", json!({})).await.is_ok());
    server.clean().await;
}

#[tokio::test]
async fn a_cancelled_query_is_cancelled_on_the_server() {
    let server = Server::with("").await;
    let connector =
        server.connector(&[("slow", slow("quay_cancel")), ("one", json!({"statement": "SELECT 1 AS one"}))]);
    let cancel = CancellationToken::new();
    let (outcome, ()) = tokio::join!(call_until(&connector, "slow", json!({}), &cancel), async {
        server.until_running("quay_cancel", 1).await;
        cancel.cancel();
    });
    assert_eq!(
        said(&outcome.0.expect_err("cancelled")),
        "call.cancelled: the call was cancelled [Safe, no hint]"
    );
    server.until_running("quay_cancel", 0).await;
    assert_eq!(only(&call(&connector, "one", json!({})).await.expect("rows")), &json!(1));
    server.clean().await;
}

#[tokio::test]
async fn a_query_that_nobody_waits_for_is_cancelled_on_the_server() {
    let server = Server::with("").await;
    let connector = server.connector(&[("slow", slow("quay_dropped"))]);
    tokio::select! {
        _ = call(&connector, "slow", json!({})) => panic!("it takes half a minute"),
        () = server.until_running("quay_dropped", 1) => {}
    }
    server.until_running("quay_dropped", 0).await;
    server.clean().await;
}

#[tokio::test]
async fn a_call_that_finds_no_free_connection_is_told_to_come_again() {
    let server = Server::with("").await;
    let spec = server.spec(&[("slow", slow("quay_busy")), ("one", json!({"statement": "SELECT 1 AS one"}))]);
    let spec = with(spec, "/connection/pool/acquireTimeout", json!("100ms"));
    let connector = server.connector_of(&spec, "");
    let cancel = CancellationToken::new();
    let (_, error) = tokio::join!(call_until(&connector, "slow", json!({}), &cancel), async {
        server.until_running("quay_busy", 1).await;
        let error = call(&connector, "one", json!({})).await;
        cancel.cancel();
        error
    });
    let error = error.expect_err("no connection");
    assert_eq!(
        said(&error),
        "upstream.unavailable: the database cannot be reached at present [Safe, no hint]"
    );
    assert_eq!(error.source.map(|e| e.to_string()).as_deref(), Some("no connection became free in time"));
    server.clean().await;
}

#[tokio::test]
async fn nothing_that_a_call_sets_or_holds_is_left_for_the_next() {
    let server = Server::with("").await;
    let leave = json!({
        "statement": "SELECT pg_backend_pid() AS pid, set_config('app.actor', 'ada', false) AS a,
                      set_config('statement_timeout', '0', false) AS b, pg_advisory_lock(777)::text AS c"
    });
    let find = json!({
        "statement": "SELECT pg_backend_pid() AS pid, coalesce(current_setting('app.actor', true), '') AS a,
                      current_setting('statement_timeout') AS b,
                      (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()) AS c"
    });
    let connector = server.connector(&[("leave", leave), ("find", find)]);
    let left = call(&connector, "leave", json!({})).await.expect("rows");
    assert_eq!(left.rows[0][1], json!("ada"));
    let found = call(&connector, "find", json!({})).await.expect("rows");
    assert_eq!(found.rows[0], [left.rows[0][0].clone(), json!(""), json!("10s"), json!(0)]);
    server.clean().await;
}

#[tokio::test]
async fn a_call_within_its_limits_leaves_an_idle_connection_out_of_any_transaction() {
    let server = Server::with("").await;
    let connector = server.connector(&[("pid", json!({"statement": "SELECT pg_backend_pid() AS pid"}))]);
    let pid = only(&call(&connector, "pid", json!({})).await.expect("rows")).as_i64().expect("a number");
    let state = format!("SELECT state FROM pg_stat_activity WHERE pid = {pid}");
    let idle = async {
        while server.owner.query_one(&state, &[]).await.expect("an answer").get::<_, String>(0) != "idle" {}
    };
    assert!(tokio::time::timeout(Duration::from_secs(5), idle).await.is_ok());
    server.clean().await;
}

#[tokio::test]
async fn a_result_without_a_column_that_the_file_speaks_of_is_refused_until_it_fits() {
    let server = Server::with("CREATE TABLE people (mail text); INSERT INTO people VALUES ('ada@x')").await;
    let every = json!({"statement": "SELECT * FROM people"});
    let noted = json!({"statement": "SELECT mail FROM people", "columns": {"post": {"unit": "m"}}});
    let rule = json!({"match": "every.email", "class": "restricted", "action": "drop"});
    let spec =
        with(server.spec(&[("every", every), ("noted", noted)]), "/classification/columns", json!([rule]));
    let connector = server.connector_of(&spec, "");
    for _ in 0..2 {
        let error = call(&connector, "every", json!({})).await.expect_err("no such column");
        assert_eq!(
            said(&error),
            "query.invalid: the query's result has no column `email`, which \
             `spec.classification.columns[0].match` speaks of, so it is not shown [Never, the fault is in the \
             tool's template, not in the arguments: tell the owner of the connector]"
        );
    }
    let error = call(&connector, "noted", json!({})).await.expect_err("no such column");
    assert!(error.to_string().contains("`spec.tools[1].template.columns.post`"), "{error}");
    server.owner.batch_execute("ALTER TABLE people RENAME mail TO \"EMail\"").await.expect("a new name");
    let table = call(&connector, "every", json!({})).await.expect("rows that the rule is for");
    assert_eq!(only(&table), &json!("ada@x"));
    server.clean().await;
}
