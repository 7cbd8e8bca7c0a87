//! What a classification says holds, before a call, in its result, and for what is kept of it.

mod writes;

use quaymaster_control::output::{Column, RawOutput, Source, Table, TableStats};
use quaymaster_control::{Ended, Refused, release};
use quaymaster_core::{CallError, CallRequest, DataClass, ErrorCode, RawBuf};
use serde_json::{Value, json};

use crate::world::World;

async fn world(config: Value, place: Option<&str>) -> World {
    let mut world = World::new().await;
    world.classify(config, place, "");
    world
}

fn request(clearance: DataClass, tool: &str) -> CallRequest {
    World::request("analyst", clearance, tool, &json!({"id": "a"}))
}

fn upstream(value: &Value) -> RawOutput {
    RawOutput::upstream(RawBuf::read(&value.to_string()).expect("JSON"))
}

fn structured(value: &Value) -> RawOutput {
    upstream(&json!({"content": [{"type": "text", "text": "see beside"}], "structuredContent": value}))
}

/// A column by its name, with what it is made of: tables and their columns, where that is known.
type Made<'a> = (&'a str, Option<&'a [(&'a str, &'a str)]>);

fn table(columns: &[Made<'_>]) -> RawOutput {
    let source = |(table, column): &(&str, &str)| Source {
        schema: Some("crm".into()),
        table: (*table).into(),
        column: (*column != "*").then(|| (*column).into()),
    };
    let column = |(name, sources): &Made<'_>| Column {
        name: (*name).into(),
        kind: "text".into(),
        unit: None,
        description: None,
        sources: sources.map(|sources| sources.iter().map(source).collect()),
    };
    RawOutput::table(Table {
        columns: columns.iter().map(column).collect(),
        rows: vec![columns.iter().map(|(name, _)| json!(format!("value of {name}"))).collect()],
        stats: TableStats {
            truncated: false,
            elapsed_us: 1,
            query_hash: "sha256:00".into(),
            as_of: "t".into(),
        },
        warnings: vec![],
    })
}

/// What leaves, and what the log says of it: classes and what was kept back.
async fn released(
    world: &World,
    request: CallRequest,
    raw: RawOutput,
) -> Result<(Value, Value, Value), CallError> {
    let id = request.id.clone();
    let permit = world.permit(request).await.map_err(|refused| refused_with(&refused));
    let (_, receipt) = permit?.redeem();
    let safe = release(Ok(raw), &receipt, &world.rulebook)?;
    let reply = world.end(receipt, Ok(safe)).await;
    let outcome = loop {
        // The record of a read comes to the store with others.
        let records = world.records().await;
        let found = records.iter().find(|r| r["call"] == id.as_str() && r["event"] == "call.outcome");
        if let Some(outcome) = found {
            break outcome.clone();
        }
        tokio::task::yield_now().await;
    };
    let result = serde_json::from_str(&reply.result).expect("JSON");
    let part = |name: &str| outcome.get(name).cloned().unwrap_or_default();
    Ok((result, part("classes"), part("redactions")))
}

fn refused_with(refused: &Refused) -> CallError {
    let error = refused.error();
    CallError::new(error.code, error.public_message.clone())
}

fn columns(result: &Value) -> Vec<&str> {
    let columns = result.pointer("/structuredContent/data/columns").and_then(Value::as_array);
    let columns = columns.expect("columns");
    columns.iter().filter_map(|column| column.get("name")?.as_str()).collect()
}

#[tokio::test]
async fn a_column_that_is_made_of_a_classified_one_is_classified_whatever_it_is_called() {
    let rule = json!({"rules": [{"level": "restricted", "connector": "crm", "column": "customers.ssn"}]});
    let world = world(rule, None).await;
    let raw = || {
        table(&[
            ("id", Some(&[("customers", "id")])),
            ("harmless", Some(&[("customers", "city"), ("customers", "ssn")])),
            ("whole", Some(&[("customers", "*")])),
            ("unknown", None),
            ("other", Some(&[("orders", "*")])),
        ])
    };
    let low = request(DataClass::Confidential, "crm_table");
    let (result, classes, kept_back) = released(&world, low, raw()).await.expect("released");
    assert_eq!(columns(&result), ["id", "other"]);
    assert_eq!((classes, kept_back), (json!(["internal"]), json!({"restricted": 3})));
    let high = request(DataClass::Restricted, "crm_table");
    let (result, classes, _) = released(&world, high, raw()).await.expect("released");
    assert_eq!(columns(&result).len(), 5);
    assert_eq!(classes, json!(["internal", "restricted"]), "the record says what left");
}

#[tokio::test]
async fn a_rule_for_one_column_says_nothing_of_another_that_a_value_is_made_of() {
    let rule = json!({"rules": [{"level": "public", "connector": "crm", "column": "orders.state"}]});
    let world = world(rule, None).await;
    for (sources, class) in [
        (Some(&[("orders", "state")][..]), "public"),
        (Some(&[("orders", "state"), ("orders", "note")][..]), "internal"),
        (Some(&[("orders", "*")][..]), "internal"),
        (None, "internal"),
    ] {
        let high = request(DataClass::Restricted, "crm_table");
        let (_, classes, _) = released(&world, high, table(&[("made", sources)])).await.expect("released");
        assert_eq!(classes, json!([class]), "{sources:?}");
    }
}

#[tokio::test]
async fn a_released_result_says_the_highest_level_that_it_has() {
    let config = json!({
        "levels": ["public", "internal", "partner", "confidential", "restricted"],
        "rules": [{"level": "partner", "field": "margin"}]
    });
    let world = world(config, None).await;
    let highest = async |value: Value| {
        let request = request(DataClass::Confidential, "crm_status");
        let (_, receipt) = world.permit(request).await.expect("a permit").redeem();
        let safe = release(Ok(structured(&value)), &receipt, &world.rulebook).expect("released");
        let highest = safe.released().highest.clone().expect("a level");
        (highest.level.to_string(), highest.class)
    };
    assert_eq!(highest(json!({"id": 1})).await, ("public".into(), DataClass::Public));
    assert_eq!(
        highest(json!({"rows": [{"netMargin": 7}]})).await,
        ("partner".into(), DataClass::Confidential)
    );
}

#[tokio::test]
async fn fields_are_of_a_level_by_path_by_name_and_by_what_is_found_in_them() {
    let config = json!({
        "handling": {"restricted": {"redaction": "mask"}, "confidential": {"redaction": "hash"}},
        "rules": [
            {"level": "restricted", "tool": "crm_status", "path": "$.rows[*].grade"},
            {"level": "confidential", "field": "salary"},
            {"level": "restricted", "detector": "iban"}
        ],
        "redaction": {"kinds": {"iban": "allow"}}
    });
    let world = world(config, None).await;
    let raw = || {
        structured(&json!({"rows": [
            {"id": 1, "grade": "B", "base_salary": 5100, "note": "pay to DE89370400440532013000 today"}
        ]}))
    };
    let low = request(DataClass::Internal, "crm_status");
    let (result, classes, kept_back) = released(&world, low, raw()).await.expect("released");
    let row = &result["structuredContent"]["rows"][0];
    assert_eq!((row["id"].clone(), row["grade"].clone()), (json!(1), json!("*****")));
    assert!(row["base_salary"].as_str().is_some_and(|hash| hash.starts_with("confidential#")), "{row}");
    assert!(
        !row.to_string().contains("DE8937") && row["note"].as_str().is_some_and(|n| n.starts_with("pay to ")),
        "{row}"
    );
    assert_eq!(classes, json!(["public"]));
    assert_eq!(kept_back, json!({"confidential": 1, "iban": 2, "restricted": 1}));
    let high = request(DataClass::Restricted, "crm_status");
    let (result, classes, _) = released(&world, high, raw()).await.expect("released");
    assert!(result.to_string().contains("DE89370400440532013000") && result.to_string().contains("5100"));
    assert_eq!(classes, json!(["public", "confidential", "restricted", "iban"]));
}

#[tokio::test]
async fn rules_for_names_of_fields_leave_texts_without_fields_alone() {
    let world = world(json!({"rules": [{"level": "restricted", "field": "salary"}]}), None).await;
    let said = upstream(&json!({"content": [{"type": "text", "text": "all is well"}]}));
    let (result, ..) =
        released(&world, request(DataClass::Internal, "crm_status"), said).await.expect("released");
    assert_eq!(result["content"][0]["text"], "all is well");
    let hidden = upstream(&json!({"content": [{"type": "text", "text": "{\"salary\": 1, \"id\": 2}"}]}));
    let (result, ..) =
        released(&world, request(DataClass::Internal, "crm_status"), hidden).await.expect("released");
    assert_eq!(result["content"][0]["text"], r#"{"id":2}"#);
}

#[tokio::test]
async fn names_of_fields_count_in_json_within_strings_resources_and_cells() {
    let world = world(json!({"rules": [{"level": "restricted", "field": "salary"}]}), None).await;
    let inner = json!({"salary": 4711}).to_string();
    let embedded = json!({"type": "resource", "resource": {"uri": "x://a", "mimeType": "application/json", "text": inner}});
    let mut cells = vec![json!({"id": 1, "profile": {"salary": 4711}}), json!({"id": 1, "text": inner})];
    cells.push(json!([inner]));
    let raws = [
        structured(&json!({"payload": inner, "id": 1})),
        upstream(&json!({"content": [{"type": "text", "text": "see"}, embedded]})),
        RawOutput::table(Table {
            columns: vec![Column {
                name: "data".into(),
                kind: "jsonb".into(),
                unit: None,
                description: None,
                sources: None,
            }],
            rows: cells.into_iter().map(|cell| vec![cell]).collect(),
            stats: TableStats { truncated: false, elapsed_us: 1, query_hash: "h".into(), as_of: "t".into() },
            warnings: vec![],
        }),
    ];
    for (raw, tool) in raws.into_iter().zip(["crm_status", "crm_status", "crm_table"]) {
        let (result, ..) =
            released(&world, request(DataClass::Confidential, tool), raw).await.expect("released");
        assert!(!result.to_string().contains("4711"), "{result}");
    }
}

#[tokio::test]
async fn roles_borders_and_purposes_bind_what_a_clearance_reaches() {
    let handle = |handling: Value, rules: Value, tools: Value| json!({"handling": {"internal": handling}, "rules": rules, "tools": tools});
    let home = json!([{"jurisdiction": "eu", "connector": "crm"}]);
    let sums = json!([{"tool": "crm_account", "purpose": "summarise"}]);
    for (handling, rules, tools, place, leaves) in [
        (json!({}), json!([]), json!([]), None, true),
        (json!({"roles": ["manager"]}), json!([]), json!([]), None, false),
        (json!({"roles": ["analyst"]}), json!([]), json!([]), None, true),
        (json!({"retrieve": false}), json!([]), json!([]), None, false),
        (json!({"retrieve": false}), json!([]), sums.clone(), None, true),
        (json!({"summarise": false}), json!([]), sums, None, false),
        (
            json!({"transform": false}),
            json!([]),
            json!([{"tool": "crm_account", "purpose": "transform"}]),
            None,
            false,
        ),
        (json!({"jurisdictions": ["eu"]}), json!([]), json!([]), Some("eu"), true),
        (json!({"jurisdictions": ["eu"]}), json!([]), json!([]), Some("us"), false),
        (json!({"crossBorder": false}), home.clone(), json!([]), Some("eu"), true),
        (json!({"crossBorder": false}), home.clone(), json!([]), Some("us"), false),
        (json!({"crossBorder": false}), home.clone(), json!([]), None, false),
        (json!({}), home, json!([]), Some("us"), true),
    ] {
        let shown = format!("{handling} {rules} {tools} {place:?}");
        let world = world(handle(handling, rules, tools), place).await;
        let raw = structured(&json!({"id": 1}));
        let outcome = released(&world, request(DataClass::Restricted, "crm_account"), raw).await;
        assert_eq!(outcome.is_ok(), leaves, "{shown}: {outcome:?}");
        if let Err(error) = outcome {
            assert_eq!(error.code, ErrorCode::ReleaseRefused);
        }
    }
}

#[tokio::test]
async fn policies_see_what_the_data_of_a_tool_is_declared_to_be() {
    let config = json!({"rules": [
        {"level": "restricted", "tool": "crm_status", "path": "$.grade"}, {"jurisdiction": "eu", "connector": "crm"}
    ]});
    for (condition, place, denied) in [
        ("context.data.level == \"restricted\"", "eu", true),
        ("context.data.levels.contains(\"public\")", "eu", true),
        ("context.data.crosses_border", "eu", false),
        ("context.data.crosses_border && context.data.jurisdictions.contains(\"eu\")", "us", true),
    ] {
        let mut world = World::new().await;
        let policy = format!(
            "@id(\"no\") forbid (principal, action == Action::\"call\", resource == Tool::\"crm_status\") when {{ {condition} }};"
        );
        world.classify(config.clone(), Some(place), &policy);
        let outcome = world.permit(request(DataClass::Restricted, "crm_status")).await;
        assert_eq!(outcome.is_err(), denied, "{condition} in {place}");
    }
}

#[tokio::test]
async fn a_level_that_needs_an_approval_gates_every_tool_that_is_declared_to_release_it() {
    let approval = json!({"handling": {"restricted": {"approval": {"by": {"roles": ["manager"]}}}}});
    let mut config = approval.clone();
    config["rules"] = json!([{"level": "restricted", "tool": "crm_status", "path": "$.grade"}]);
    let world = world(config, None).await;
    let refused = world.path(request(DataClass::Restricted, "crm_status"), None).await.expect_err("a gate");
    let Ended::Refused(refused) = refused else { panic!("{refused:?}") };
    assert_eq!(refused.error().code, ErrorCode::ApprovalRequired);
    assert!(world.path(request(DataClass::Restricted, "crm_account"), None).await.is_ok());
    // Where nothing declares it, what is found does not leave without an approval either.
    let mut config = approval;
    config["rules"] = json!([{"level": "restricted", "field": "grade"}]);
    let world = self::world(config, None).await;
    let raw = structured(&json!({"grade": "B", "id": 1}));
    let (result, ..) =
        released(&world, request(DataClass::Restricted, "crm_status"), raw).await.expect("released");
    assert_eq!(result["structuredContent"], json!({"id": 1}));
}
