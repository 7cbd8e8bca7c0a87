//! What may be written, logged, kept and put back, by its level.

use super::{released, request, structured, world};
use crate::world::World;
use quaymaster_control::crypto::SystemRandomness;
use quaymaster_control::{Ended, release};
use quaymaster_core::{CallRequest, DataClass, ErrorCode, SessionId, SystemClock};
use serde_json::{Value, json};

fn refund(id: &str) -> CallRequest {
    World::request("analyst", DataClass::Restricted, "crm_refund", &json!({"id": id, "amount": 5}))
}

#[tokio::test]
async fn what_may_not_be_written_is_refused_or_covered_before_anybody_decides() {
    let config = |write: &str, tools: Value| {
        json!({
            "handling": {"restricted": {"write": write}},
            "rules": [{"level": "restricted", "detector": "iban"}],
            "tools": tools
        })
    };
    let holding = || refund("pay DE89370400440532013000 back");
    let accepting = |level: &str| json!([{"tool": "crm_refund", "accepts": level}]);
    for (write, tools, expected) in [
        ("allow", json!([]), Some("pay DE89370400440532013000 back")),
        ("refuse", json!([]), None),
        ("redact", json!([]), Some("pay ⟦iban⟧ back")),
        ("refuse", accepting("restricted"), Some("pay DE89370400440532013000 back")),
        ("allow", accepting("internal"), None),
        ("redact", accepting("internal"), Some("pay ⟦iban⟧ back")),
    ] {
        let shown = format!("{write} {tools}");
        let world = world(config(write, tools), None).await;
        match (world.permit(holding()).await, expected) {
            (Ok(permit), Some(expected)) => {
                let (job, receipt) = permit.redeem();
                assert_eq!(job.expect("a job").arguments.value()["id"], expected, "{shown}");
                drop(receipt);
            }
            (Err(refused), None) => {
                let error = refused.error();
                assert_eq!(error.code, ErrorCode::PolicyDenied, "{shown}");
                assert!(!error.public_message.contains("DE89"), "{shown}");
            }
            (outcome, _) => panic!("{shown}: {outcome:?}"),
        }
        assert!(world.permit(refund("no data of anybody")).await.is_ok(), "{shown}");
    }
}

#[tokio::test]
async fn arguments_with_data_that_is_not_logged_are_not_kept_beside_their_record() {
    for (log, sealed) in [(true, true), (false, false)] {
        let config = json!({
            "handling": {"restricted": {"log": log}},
            "rules": [{"level": "restricted", "detector": "iban"}]
        });
        let world = world(config, None).await;
        let request = refund("DE89370400440532013000");
        let id = request.id.clone();
        world.permit(request).await.expect("a permit");
        let stored = world.store.audit_read(0, 100).await.expect("records");
        let intent = stored.iter().find(|row| {
            let record: Value = serde_json::from_slice(&row.body).expect("JSON");
            record["call"] == id.as_str() && record["event"] == "call.intent"
        });
        let kept = world.store.audit_sealed(intent.expect("an intent").seq).await.expect("an answer");
        assert_eq!(kept.is_some(), sealed, "log: {log}");
    }
}

#[tokio::test]
async fn a_receipt_of_data_that_is_not_kept_says_that_the_write_was_made_and_no_more() {
    for (handling, kept) in
        [(json!({}), true), (json!({"cache": false}), false), (json!({"retention": "1h"}), true)]
    {
        let shown = handling.to_string();
        let world = world(json!({"handling": {"internal": handling}}), None).await;
        let (_, receipt) = world.permit(refund("a")).await.expect("a permit").redeem();
        let safe = release(Ok(structured(&json!({"refund": "r-1"}))), &receipt, &world.rulebook);
        let reply = world.end(receipt, safe).await;
        assert!(reply.result.contains("r-1"));
        let again = world.path(refund("a"), None).await.expect_err("a receipt");
        let again = world.answer(again).await;
        assert_eq!(again.result.contains("r-1"), kept, "{shown}: {}", again.result);
        assert_eq!(again.code, None, "{shown}");
    }
}

fn with_session(request: CallRequest, session: &SessionId) -> CallRequest {
    CallRequest { session: Some(session.clone()), ..request }
}

#[tokio::test]
async fn a_placeholder_is_put_back_for_the_tool_that_may_have_it_and_for_nobody_else() {
    let config = json!({
        "rules": [{"level": "confidential", "detector": "email"}],
        "tools": [{"tool": "crm_refund", "restores": ["email"]}]
    });
    let world = world(config, None).await;
    let [one, two] = [(); 2].map(|()| SessionId::new(&SystemClock, &SystemRandomness));
    let read = with_session(request(DataClass::Restricted, "crm_status"), &one);
    let raw = structured(&json!({"contact": "ada@example.com"}));
    let (result, ..) = released(&world, read, raw).await.expect("released");
    let placeholder = result["structuredContent"]["contact"].as_str().expect("a text").to_owned();
    assert!(placeholder.starts_with("⟦email:"), "{placeholder}");
    let id = format!("for {placeholder}");
    let write = with_session(refund(&id), &one);
    let call = write.id.clone();
    let (job, _receipt) = world.permit(write).await.expect("a permit").redeem();
    assert_eq!(job.expect("a job").arguments.value()["id"], "for ada@example.com");
    let records = world.records().await;
    assert!(!json!(records).to_string().contains("ada@example.com"), "no record has it");
    let intent = records.iter().find(|r| r["call"] == call.as_str() && r["event"] == "call.intent");
    assert!(intent.expect("an intent")["arguments"].is_string());
    // In another session it is worthless, and its caller is told so.
    let elsewhere = world.permit(with_session(refund(&id), &two)).await.expect_err("worthless");
    assert_eq!(elsewhere.error().code, ErrorCode::InputInvalid);
    // A tool that is not given such data gets the placeholder.
    let other = World::request("analyst", DataClass::Restricted, "crm_status", &json!({"id": id}));
    let (job, _receipt) = world.permit(with_session(other, &one)).await.expect("a permit").redeem();
    assert_eq!(job.expect("a job").arguments.value()["id"], id);
}

#[tokio::test]
async fn a_level_that_is_refused_in_writes_is_not_put_back_either() {
    let config = json!({
        "handling": {"confidential": {"write": "refuse"}},
        "rules": [{"level": "confidential", "detector": "email"}],
        "tools": [{"tool": "crm_refund", "restores": ["email"]}]
    });
    let world = world(config, None).await;
    let raw = structured(&json!({"contact": "ada@example.com"}));
    let (result, ..) =
        released(&world, request(DataClass::Restricted, "crm_status"), raw).await.expect("released");
    let id = result["structuredContent"]["contact"].as_str().expect("a text").to_owned();
    let (job, _receipt) = world.permit(refund(&id)).await.expect("a permit").redeem();
    assert_eq!(job.expect("a job").arguments.value()["id"], id);
}

#[tokio::test]
async fn whoever_decides_sees_arguments_without_what_is_looked_for_in_them() {
    let world = world(json!({}), None).await;
    let mut request = World::request(
        "support",
        DataClass::Internal,
        "crm_refund",
        &json!({"id": "ada@example.com", "amount": 500}),
    );
    request.idempotency_key = Some("for ada@example.com".into());
    let Err(Ended::Refused(refused)) = world.path(request, None).await else { panic!("no gate") };
    let id = refused.error().waits_for().expect("a request");
    let manager = World::request("manager", DataClass::Restricted, "crm_refund", &json!({})).actor;
    let shown = world.approvals.show(&manager, &id).await.expect("an answer").expect("a request");
    let document = shown.document.to_text();
    assert!(!document.contains("ada@example.com") && document.contains("⟦email:"), "{document}");
}
