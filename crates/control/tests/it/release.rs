//! What leaves, and what does not.

use quaymaster_control::output::{Column, RawOutput, Table, TableStats};
use quaymaster_control::release;
use quaymaster_core::{CallError, DataClass, ErrorCode, RawBuf};
use serde_json::{Value, json};

use crate::world::World;

/// The result of a call whose system answered `raw`, as the client gets it.
async fn released(
    world: &World,
    clearance: DataClass,
    tool: &str,
    raw: RawOutput,
) -> Result<Value, CallError> {
    let request = World::request("analyst", clearance, tool, &json!({"id": "a"}));
    let (_, receipt) = world.permit(request).await.expect("a permit").redeem();
    let safe = release(Ok(raw), &receipt, &world.rulebook)?;
    let reply = world.end(receipt, Ok(safe)).await;
    Ok(serde_json::from_str(&reply.result).expect("JSON"))
}

fn upstream(value: &Value) -> RawOutput {
    RawOutput::upstream(RawBuf::read(&value.to_string()).expect("JSON"))
}

fn accounts() -> RawOutput {
    let column = |name: &str| Column {
        name: name.into(),
        kind: "text".into(),
        unit: None,
        description: None,
        sources: None,
    };
    RawOutput::table(Table {
        columns: vec![column("name"), column("email"), column("bank_account")],
        rows: vec![vec![json!("Acme"), json!("a@acme.test"), json!("DE00")]],
        stats: TableStats {
            truncated: false,
            elapsed_us: 1_500,
            query_hash: "sha256:00".into(),
            as_of: "t".into(),
        },
        warnings: vec![],
    })
}

#[tokio::test]
async fn columns_above_the_clearance_or_declared_drop_are_taken_out_of_every_row() {
    let world = World::new().await;
    let names = |result: &Value| -> Vec<String> {
        let columns = result["structuredContent"]["data"]["columns"].as_array().cloned().unwrap_or_default();
        columns.iter().filter_map(|c| c["name"].as_str().map(ToOwned::to_owned)).collect()
    };
    let result = released(&world, DataClass::Internal, "crm_table", accounts()).await.expect("released");
    assert_eq!(names(&result), ["name"]);
    assert_eq!(result["structuredContent"]["data"]["rows"], json!([["Acme"]]));
    assert!(!result.to_string().contains("a@acme.test") && !result.to_string().contains("DE00"));
    let result = released(&world, DataClass::Restricted, "crm_table", accounts()).await.expect("released");
    assert_eq!(names(&result), ["name", "email"]);
}

#[tokio::test]
async fn what_is_above_the_clearance_as_a_whole_is_not_released() {
    let world = World::new().await;
    for (tool, raw) in [("crm_table", accounts()), ("crm_account", upstream(&json!({"content": []})))] {
        let error = released(&world, DataClass::Public, tool, raw).await.expect_err("refused");
        assert_eq!(error.code.as_str(), "release.refused");
    }
}

#[tokio::test]
async fn a_success_passes_unchanged_but_for_the_audit_id_where_nothing_is_taken_out() {
    let world = World::new().await;
    let given = json!({
        "content": [{"type": "text", "text": "up", "annotations": {"x": 1.0}}, {"type": "image", "data": "", "mimeType": "image/png"}],
        "structuredContent": {"unknown": [1, 2.50]},
        "resultType": "complete",
        "futureField": {"kept": true},
        "_meta": {"upstream": "id-1", "dev.quaymaster/untrusted": false, "dev.quaymaster/audit_id": "call_1"}
    });
    let mut got =
        released(&world, DataClass::Restricted, "crm_status", upstream(&given)).await.expect("released");
    let audit = got["_meta"].as_object_mut().and_then(|m| m.remove("dev.quaymaster/audit_id"));
    assert!(audit.is_some_and(|id| id != "call_1"));
    let mut expected = given;
    expected.as_object_mut().expect("an object").remove("resultType");
    expected["_meta"] = json!({"upstream": "id-1", "dev.quaymaster/untrusted": true});
    assert_eq!(got, expected);
}

#[tokio::test]
async fn the_server_behind_a_tool_does_not_pass_for_the_one_that_answers() {
    let world = World::new().await;
    let given = json!({"content": [], "_meta": {
        "io.modelcontextprotocol/serverInfo": {"name": "upstream", "version": "1"}, "kept": 1
    }});
    let result =
        released(&world, DataClass::Restricted, "crm_status", upstream(&given)).await.expect("released");
    let meta = result["_meta"].as_object().expect("an object");
    assert_eq!((meta.len(), &meta["kept"]), (3, &json!(1)), "beside what is ours: {meta:?}");
}

#[tokio::test]
async fn what_an_upstream_answers_is_marked_as_untrusted_also_where_it_has_failed() {
    let world = World::new().await;
    for given in
        [json!({"content": []}), json!({"content": [], "isError": true}), json!({"content": [], "_meta": {}})]
    {
        let result =
            released(&world, DataClass::Restricted, "crm_status", upstream(&given)).await.expect("released");
        assert_eq!(result["_meta"]["dev.quaymaster/untrusted"], json!(true), "{given}");
    }
    let own = released(&world, DataClass::Restricted, "crm_account", accounts()).await;
    if let Ok(own) = own {
        assert!(own["_meta"].get("dev.quaymaster/untrusted").is_none());
    }
}

#[tokio::test]
async fn fields_are_taken_out_of_structured_content_and_its_text() {
    let world = World::new().await;
    let account = json!({"name": "Acme", "email": "a@acme.test", "bank_account": "DE00"});
    let given =
        json!({"content": [{"type": "text", "text": account.to_string()}], "structuredContent": account});
    let result =
        released(&world, DataClass::Internal, "crm_account", upstream(&given)).await.expect("released");
    assert_eq!(result["structuredContent"], json!({"name": "Acme"}));
    assert_eq!(result["content"][0]["text"], r#"{"name":"Acme"}"#);
    let text_alone = json!({"content": [{"type": "text", "text": account.to_string()}]});
    let result = released(&world, DataClass::Confidential, "crm_account", upstream(&text_alone))
        .await
        .expect("released");
    assert_eq!(result["content"][0]["text"], r#"{"name":"Acme","email":"a@acme.test"}"#);
}

#[tokio::test]
async fn a_result_that_cannot_be_understood_is_not_released() {
    let world = World::new().await;
    for given in [
        json!({"content": [{"type": "text", "text": "the address is a@acme.test"}]}),
        json!({"content": [{"type": "text", "text": "\"{\\\"email\\\":\\\"a@acme.test\\\"}\""}]}),
        json!({"content": [{"type": "text", "text": "4711"}]}),
        json!({"content": [{"type": "text", "text": "null"}]}),
        json!({"content": [], "structuredContent": "{\"email\":\"a@acme.test\"}"}),
        json!({"content": [], "structuredContent": true}),
        json!({"content": [{"type": "image", "data": "aGk=", "mimeType": "image/png"}]}),
        json!({"content": [{"type": "resource", "resource": {"uri": "x:", "text": "{}"}}]}),
        json!({"content": "text"}),
        json!({"structuredContent": {}}),
        json!("text"),
    ] {
        let error = released(&world, DataClass::Internal, "crm_account", upstream(&given))
            .await
            .expect_err("refused");
        assert_eq!(error.code.as_str(), "release.refused", "{given}");
        assert!(!error.to_string().contains("acme"));
    }
    let twice = RawBuf::read(r#"{"content":[],"content":[{"type":"text","text":"x"}]}"#).expect("JSON");
    assert!(released(&world, DataClass::Restricted, "crm_status", RawOutput::upstream(twice)).await.is_err());
    let members = |count: usize| -> Value {
        let named = (1..count).map(|n| (format!("m{n}"), json!(n)));
        Value::Object(named.chain([("content".to_owned(), json!([]))]).collect())
    };
    assert!(released(&world, DataClass::Restricted, "crm_status", upstream(&members(64))).await.is_ok());
    assert!(released(&world, DataClass::Restricted, "crm_status", upstream(&members(65))).await.is_err());
}

#[tokio::test]
async fn an_upstreams_own_error_says_what_it_said_unless_that_must_be_withheld() {
    let world = World::new().await;
    let given =
        json!({"content": [{"type": "text", "text": "account of a@acme.test is closed"}], "isError": true});
    let open =
        released(&world, DataClass::Restricted, "crm_status", upstream(&given)).await.expect("released");
    assert_eq!(open["structuredContent"]["error"]["code"], "upstream.error");
    assert_eq!(open["structuredContent"]["message"], "account of a@acme.test is closed");
    let closed =
        released(&world, DataClass::Internal, "crm_account", upstream(&given)).await.expect("released");
    assert!(!closed.to_string().contains("acme"), "{closed}");
    assert_eq!(closed["isError"], json!(true));
}

#[tokio::test]
async fn a_write_whose_result_is_withheld_says_that_it_took_effect() {
    let mut refund = crate::world::declarations().into_iter().find(|d| d.local_name == "refund");
    if let Some(declaration) = &mut refund {
        declaration.output_schema = Some(json!({"type": "object", "required": ["id"]}));
    }
    let world = World::with(refund.into_iter().collect()).await;
    let good = json!({"id": "r-1"});
    let cases = [
        upstream(
            &json!({"content": [{"type": "text", "text": "paid to DE00"}], "structuredContent": {"no": 1}}),
        ),
        upstream(&json!({"content": [], "structuredContent": "x"})),
        upstream(&json!({"content": []})),
        upstream(&json!({"content": [], "structuredContent": good, "isError": "no"})),
        upstream(&json!({"content": [{"type": "text", "text": "no money"}], "isError": true})),
    ];
    let mut told = Vec::new();
    for (amount, raw) in (5..).zip(cases) {
        let arguments = json!({"id": "a", "amount": amount});
        let request = World::request("support", DataClass::Internal, "crm_refund", &arguments);
        let (_, receipt) = world.permit(request).await.expect("a permit").redeem();
        let safe = release(Ok(raw), &receipt, &world.rulebook);
        let reply = world.end(receipt, safe).await;
        let result: Value = serde_json::from_str(&reply.result).expect("JSON");
        let error = &result["structuredContent"]["error"];
        told.push(format!("{}\n    {error}", result["structuredContent"]["message"]));
    }
    insta::assert_snapshot!(told.join("\n"));
    let records = world.records().await;
    let outcomes = records.iter().filter(|r| r["event"] == "call.outcome");
    let codes: Vec<&str> = outcomes.filter_map(|r| r["code"].as_str()).collect();
    assert_eq!(
        codes,
        ["release.refused", "release.refused", "release.refused", "release.refused", "upstream.error"]
    );
}

#[tokio::test]
async fn what_an_upstream_said_with_a_failure_leaves_only_where_nothing_has_to_be_taken_out() {
    let world = World::new().await;
    let message = async |tool: &str, clearance: DataClass| {
        let request = World::request("analyst", clearance, tool, &json!({"id": "a"}));
        let (_, receipt) = world.permit(request).await.expect("a permit").redeem();
        let error = CallError::new(ErrorCode::UpstreamNotFound, "it is not there")
            .upstream_message("no account of a@acme.test");
        let error = release(Err(error), &receipt, &world.rulebook).expect_err("a failure");
        assert_eq!(error.upstream_message, None);
        error.public_message
    };
    let open = "it is not there: no account of a@acme.test";
    assert_eq!(message("crm_status", DataClass::Public).await, open);
    assert_eq!(message("crm_account", DataClass::Public).await, "it is not there");
    assert_eq!(message("crm_account", DataClass::Internal).await, "it is not there");
    assert_eq!(
        message("crm_account", DataClass::Restricted).await,
        "it is not there",
        "a field is never released"
    );
}
