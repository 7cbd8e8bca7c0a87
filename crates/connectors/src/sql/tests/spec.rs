//! What is read from a connector file, and what agents are told of it.

use serde_json::{Value, json};

use super::{OneSecret, connector, file, shown, spec, with};
use crate::sql::SqlConnector;
use crate::sql::config::SqlSpec;

fn postgres() -> Value {
    json!({
        "dialect": "postgres",
        "url": "${secret:METRICS_RO_URL}",
        "session": {"statementTimeout": "8s", "searchPath": ["metrics"]}
    })
}

/// The template of the worked draft.
fn monthly_revenue() -> Value {
    json!({
        "statement": "SELECT date_trunc('month', booked_at)::date AS month, region, sum(amount_eur) AS revenue_eur\n\
                      FROM metrics.bookings\n\
                      WHERE booked_at >= :from AND booked_at < :to AND (:region::text IS NULL OR region = :region)\n\
                      GROUP BY 1, 2 ORDER BY 1, 2 LIMIT :top",
        "params": {
            "from": {"type": "string", "format": "date", "description": "First day (inclusive)."},
            "to": {"type": "string", "format": "date", "description": "Last day (exclusive)."},
            "region": {"type": "string", "enum": ["EMEA", "AMER", "APAC"], "optional": true},
            "top": {"type": "integer", "minimum": 1, "maximum": 100, "default": 12}
        },
        "columns": {
            "month": {"description": "First day of the month", "type": "date"},
            "revenue_eur": {"description": "Booked revenue", "type": "decimal", "unit": "EUR"}
        },
        "examples": [{"params": {"from": "2026-01-01", "to": "2026-04-01", "region": "EMEA"}}]
    })
}

fn problems(spec: &Value) -> String {
    shown(&SqlConnector::check(&file(spec)))
}

#[test]
fn a_tool_is_declared_with_its_schemas() {
    let spec = spec(&postgres(), &[("monthly_revenue", monthly_revenue())]);
    let connector = connector(&spec, "unused".as_ref(), "postgres://ada@127.0.0.1:1/metrics?sslmode=disable")
        .expect("a connector");
    let tools = connector.tools();
    let [tool] = tools.as_slice() else { panic!("one tool") };
    assert_eq!(tool.name.as_str(), "business_metrics_monthly_revenue");
    assert_eq!(tool.local_name, "monthly_revenue");
    assert_eq!(tool.defaults.get("top"), Some(&json!(12)));
    insta::assert_json_snapshot!(json!({"input": tool.input_schema, "output": tool.output_schema}));
}

#[test]
fn a_prefix_replaces_the_name_of_the_connector() {
    let spec = with(spec(&postgres(), &[("revenue", monthly_revenue())]), "/prefix", json!("metrics"));
    let connector = connector(&spec, "unused".as_ref(), "postgres://ada@127.0.0.1:1/metrics?sslmode=disable")
        .expect("a connector");
    assert_eq!(connector.tools()[0].name.as_str(), "metrics_revenue");
}

#[test]
fn statements_and_parameters_that_do_not_fit_are_all_named_at_their_place() {
    let template = json!({
        "statement": "SELECT :from, :region",
        "params": {
            "from": {"type": "string", "format": "date", "default": "yesterday"},
            "to": {"type": "integer", "minLength": 3},
            "Top": {"type": "integer"}
        },
        "examples": [{"params": {"when": 1, "to": "x"}}]
    });
    let two = json!({"statement": "SELECT 1; SELECT 2"});
    let change = json!({"statement": "DELETE FROM metrics.bookings"});
    insta::assert_snapshot!(problems(&spec(&postgres(), &[("a", template), ("b", two), ("c", change)])));
}

#[test]
fn names_effects_and_descriptions_are_checked() {
    let one = json!({"statement": "SELECT 1"});
    let spec = spec(&postgres(), &[("Bad-Name", one.clone()), ("same", one.clone()), ("same", one.clone())]);
    let spec = with(spec, "/tools/1/effect", json!("write"));
    let spec = with(spec, "/tools/2/description", json!("Short."));
    let spec = with(spec, "/tools/0/template/version", json!(2));
    let spec = with(spec, "/prefix", json!("x".repeat(62)));
    insta::assert_snapshot!(problems(&spec));
}

#[test]
fn an_approval_by_nobody_is_a_problem() {
    let spec = spec(&postgres(), &[("one", json!({"statement": "SELECT 1"}))]);
    let approval =
        |roles: Value| problems(&with(spec.clone(), "/tools/0/approval", json!({"by": {"roles": roles}})));
    assert_eq!(approval(json!(["tech_lead"])), "");
    assert_eq!(
        approval(json!([])),
        "spec.tools[0].approval.by.roles: nobody could approve a call of this tool\n  \
         help: name who may decide, as in `roles: [tech_lead]`"
    );
}

#[test]
fn a_connection_has_what_its_dialect_needs_and_nothing_else() {
    let one = [("one", json!({"statement": "SELECT 1"}))];
    let session = json!({"statementTimeout": "8s"});
    for (connection, expected) in [
        (json!({"dialect": "postgres"}), "spec.connection: a PostgreSQL server needs a `url`"),
        (json!({"dialect": "sqlite"}), "spec.connection: a SQLite file needs a `path`"),
        (
            json!({"dialect": "sqlite", "url": "${secret:X}", "path": "x.db"}),
            "spec.connection.url: `url` is for PostgreSQL: a SQLite file is found by `path`",
        ),
        (
            json!({"dialect": "postgres", "url": "${secret:X}", "path": "x.db"}),
            "spec.connection.path: `path` is for SQLite: a PostgreSQL server is found by `url`",
        ),
        (
            json!({"dialect": "postgres", "url": "${secret:X}", "pool": {"max": 65}}),
            "spec.connection.pool.max: there can be at most 64 connections",
        ),
    ] {
        let connection = with(connection, "/session", session.clone());
        let said = problems(&spec(&connection, &one));
        assert_eq!(said.lines().next(), Some(expected));
    }
    let sqlite = json!({"dialect": "sqlite", "path": "x.db", "session": {"statementTimeout": "1s", "searchPath": ["m"]}});
    assert_eq!(
        problems(&spec(&sqlite, &one)),
        "spec.connection.session.searchPath: `searchPath` is for PostgreSQL: SQLite has no schemas"
    );
}

#[test]
fn rules_for_errors_are_checked() {
    let spec = spec(&postgres(), &[("one", json!({"statement": "SELECT 1"}))]);
    let rules = json!([
        {"match": {"sqlstate": ["42601", "08*"]}, "code": "query.invalid", "retry": "never"},
        {"match": {"sqlstate": ["4260", "*", "4260x"]}, "code": "policy.denied", "retry": "safe"},
        {"match": {"sqlstate": []}, "code": "input.invalid", "retry": "after_change"}
    ]);
    insta::assert_snapshot!(problems(&with(spec, "/errors", rules)));
}

#[test]
fn a_rule_of_the_classification_that_misses_its_column_is_a_problem() {
    let spec = spec(&postgres(), &[("one", json!({"statement": "SELECT 1"}))]);
    let rule = |matches: &str| json!({"match": matches, "class": "restricted", "action": "drop"});
    let classification = json!({
        "default": "internal",
        "columns": [rule("*.ssn"), rule("one.email"), rule("on.email"), rule("email")],
        "fields": [rule("$..email")]
    });
    insta::assert_snapshot!(problems(&with(spec, "/classification", classification)));
}

#[test]
fn an_unknown_key_and_a_literal_secret_do_not_parse() {
    let good = spec(&postgres(), &[("one", json!({"statement": "SELECT 1"}))]);
    assert!(serde_json::from_value::<SqlSpec>(good.clone()).is_ok());
    for (pointer, value, said) in [
        ("/guards", json!({}), "unknown field `guards`"),
        ("/connection/url", json!("postgres://ada:hunter2@db/metrics"), "not a reference to a secret"),
        ("/tools/0/free", json!({"enabled": true}), "unknown field `free`"),
        ("/tools/0/template/params", json!({"a": {"type": "text"}}), "unknown variant `text`"),
        ("/engine", json!("http"), "unknown variant `http`"),
    ] {
        let error = serde_json::from_value::<SqlSpec>(with(good.clone(), pointer, value)).expect_err(pointer);
        assert!(error.to_string().contains(said) && !error.to_string().contains("hunter2"), "{error}");
    }
}

#[test]
fn a_secret_that_is_no_connection_string_is_a_problem_that_does_not_repeat_it() {
    let spec = spec(&postgres(), &[("one", json!({"statement": "SELECT 1"}))]);
    let clock = std::sync::Arc::new(quaymaster_core::SystemClock);
    let problems = SqlConnector::new(file(&spec), &OneSecret("hunter2".into()), "unused".as_ref(), clock)
        .expect_err("no connection string");
    insta::assert_snapshot!(shown(&problems));
}

#[test]
fn the_form_of_the_file_has_a_json_schema() {
    let schema = serde_json::to_value(schemars::schema_for!(SqlSpec)).expect("a schema");
    assert_eq!(schema["additionalProperties"], json!(false));
    assert_eq!(schema["required"], json!(["engine", "connection", "limits", "classification", "tools"]));
}
