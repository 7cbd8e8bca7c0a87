//! What permits demand, where it is enforced: reasons before a call, redactions after it.

use quaymaster_control::output::{Column, RawOutput, Table, TableStats};
use quaymaster_control::{Listening, Refused, release, voice};
use quaymaster_core::{CallError, DataClass, ErrorCode, RawBuf};
use serde_json::{Value, json};

use crate::world::{World, declarations};

const POLICY: &str = r#"
@id("reads") @redact("phone, $.nested.secret") @limit("30/1m") @label("saw:crm")
permit (principal in Role::"analyst", action == Action::"call", resource in Connector::"crm")
when { resource.effect == "read" };

@id("refunds") @reason_required
permit (principal in Role::"support", action == Action::"call", resource == Tool::"crm_refund");

@id("salaries") @reason("salaries are for managers")
forbid (principal, action == Action::"read_field", resource in Connector::"crm")
when { ["salary"].contains(context.field) } unless { principal in Role::"manager" };
"#;

async fn world() -> World {
    World::governed(declarations(), POLICY).await
}

async fn released(world: &World, tool: &str, raw: RawOutput) -> Result<Value, CallError> {
    let request = World::request("analyst", DataClass::Restricted, tool, &json!({"id": "a"}));
    let permit = world.permit(request).await.expect("a permit");
    assert!(
        voice(&permit, &world.rulebook, &world.guards.flow, Listening::Meanwhile).await.is_mute(),
        "what has fields to take out stays silent meanwhile"
    );
    let (_, receipt) = permit.redeem();
    let safe = release(Ok(raw), &receipt, &world.rulebook)?;
    let reply = world.end(receipt, Ok(safe)).await;
    Ok(serde_json::from_str(&reply.result).expect("JSON"))
}

fn upstream(value: &Value) -> RawOutput {
    RawOutput::upstream(RawBuf::read(&value.to_string()).expect("JSON"))
}

#[tokio::test]
async fn what_a_permit_redacts_and_what_policy_hides_leaves_no_result_and_is_counted() {
    let world = world().await;
    let person =
        json!({"name": "Ada", "Phone": "1", "nested": {"secret": 2, "salary": 3, "kept": [{"phone": 4}]}});
    let raw =
        upstream(&json!({"content": [{"type": "text", "text": "Ada, 1"}], "structuredContent": person}));
    let result = released(&world, "crm_status", raw).await.expect("released");
    let expected = json!({"name": "Ada", "nested": {"kept": [{}]}});
    assert_eq!(result["structuredContent"], expected);
    assert_eq!(result["content"], json!([{"type": "text", "text": expected.to_string()}]));
    world.evidence.audit.close().await;
    let records = world.records().await;
    let outcome = records.iter().find(|r| r["event"] == "call.outcome").expect("an outcome");
    assert_eq!(outcome["redactions"], json!({"policy": 4}));
    let intent = records.iter().find(|r| r["event"] == "call.intent").expect("an intent");
    assert_eq!(
        intent["decision"]["obligations"],
        json!({"labels": ["saw:crm"], "limits": ["reads: 30/1m"], "redactions": ["$.nested.secret", "phone"]})
    );
}

#[tokio::test]
async fn of_a_table_the_columns_are_taken_out() {
    let world = world().await;
    let column = |name: &str| Column {
        name: name.into(),
        kind: "text".into(),
        unit: None,
        description: None,
        sources: None,
    };
    let table = |names: &[&str]| {
        RawOutput::table(Table {
            columns: names.iter().map(|name| column(name)).collect(),
            rows: vec![names.iter().map(|name| json!(*name)).collect()],
            stats: TableStats { truncated: false, elapsed_us: 1, query_hash: "h".into(), as_of: "t".into() },
            warnings: vec![],
        })
    };
    let result = released(&world, "crm_table", table(&["name", "PHONE", "salary"])).await.expect("released");
    assert_eq!(result["structuredContent"]["data"]["rows"], json!([["name"]]));
    let refused =
        released(&world, "crm_table", table(&["phone", "salary"])).await.expect_err("nothing is left");
    assert_eq!(refused.code, ErrorCode::ReleaseRefused);
}

#[tokio::test]
async fn what_cannot_be_looked_into_is_refused_where_a_field_has_to_be_taken_out() {
    let world = world().await;
    let raw = upstream(&json!({"content": [{"type": "text", "text": "call Ada at 1"}]}));
    let refused = released(&world, "crm_status", raw).await.expect_err("refused");
    assert_eq!(refused.code, ErrorCode::ReleaseRefused);
}

#[tokio::test]
async fn a_call_that_needs_a_reason_has_an_argument_for_it_and_is_refused_without() {
    let world = world().await;
    let tool = world.catalogue.tool("crm_refund").expect("the tool");
    let shown: Value = serde_json::from_str(tool.listing()).expect("JSON");
    assert_eq!(shown["inputSchema"]["properties"]["reason"]["type"], "string");
    assert!(!world.catalogue.tool("crm_account").expect("a tool").listing().contains("\"reason\""));

    let ask = async |arguments: Value| -> Result<Value, Refused> {
        let request = World::request("support", DataClass::Internal, "crm_refund", &arguments);
        let (job, _) = world.permit(request).await?.redeem();
        Ok(job.expect("a job").arguments.value().clone())
    };
    for lacking in [json!({"id": "a", "amount": 5}), json!({"id": "a", "amount": 5, "reason": "  "})] {
        let refused = ask(lacking).await.expect_err("no reason");
        assert_eq!(refused.error().code, ErrorCode::InputInvalid);
        assert!(refused.error().hint.as_deref().is_some_and(|hint| hint.contains("`reason`")));
    }
    let with_reason =
        ask(json!({"id": "a", "amount": 5, "reason": "the order was lost"})).await.expect("a job");
    assert_eq!(with_reason.get("reason"), None, "the system behind the tool never hears of it");
    let text = format!("{:?}", world.records().await);
    assert!(!text.contains("the order was lost"), "what it says is sealed");
}
