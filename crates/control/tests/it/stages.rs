//! Invariants of the path, stage by stage.

use quaymaster_control::output::RawOutput;
use quaymaster_control::{
    Evidence, Refused, RequestRefusal, approve_unasked, authorize, close_refused_watch, close_request,
    close_watch, record, release, watchable,
};
use quaymaster_core::clock::FixedClock;
use quaymaster_core::{Actor, DataClass, ErrorCode, RawBuf, Status, Timestamp};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

use crate::world::World;

fn code(refused: Result<impl std::fmt::Debug, Refused>) -> Option<ErrorCode> {
    refused.err().map(|r| r.error().code)
}

fn upstream(value: &Value) -> RawOutput {
    RawOutput::upstream(RawBuf::read(&value.to_string()).expect("JSON"))
}

#[tokio::test]
async fn no_permit_without_an_audit_intent() {
    let world = World::new().await;
    let request =
        World::request("support", DataClass::Internal, "crm_refund", &json!({"id": "a", "amount": 5}));
    let id = request.id.to_string();
    world.permit(request).await.expect("a permit");
    let records = world.records().await;
    let intent = records.iter().find(|r| r["call"] == id.as_str()).expect("the intent is on disk already");
    assert_eq!((&intent["event"], &intent["effect"]), (&json!("call.intent"), &json!("write")));
    assert_eq!(intent["decision"]["policies"], json!(["small-refunds"]));

    world.evidence.audit.close().await;
    let request =
        World::request("support", DataClass::Internal, "crm_refund", &json!({"id": "a", "amount": 6}));
    assert_eq!(code(world.permit(request).await), Some(ErrorCode::AuditUnavailable));
}

#[tokio::test]
async fn what_an_actor_may_never_call_is_answered_like_what_does_not_exist() {
    let world = World::new().await;
    let ask = async |tool: &str| {
        let request = World::request("manager", DataClass::Internal, tool, &json!({"id": "a"}));
        let refused = world.permit(request).await.expect_err("hidden");
        refused.error().to_string().replace(tool, "TOOL")
    };
    assert_eq!(ask("crm_account").await, ask("crm_nothing").await);
}

#[tokio::test]
async fn each_refusal_has_its_code_its_reason_and_a_record() {
    let world = World::new().await;
    let cases = [
        ("support", "crm_refund", json!({"id": "a", "amount": "5"})),
        ("support", "crm_refund", json!({"id": "a", "amount": 0})),
        ("support", "crm_refund", json!({"id": "a", "amount": 101})),
        ("support", "crm_refund", json!({"id": "a", "amount": 5, "key": "mine"})),
        ("support", "crm_account", json!({})),
        ("analyst", "crm_account", json!({"id": 7})),
    ];
    let mut told = Vec::new();
    for (role, tool, arguments) in cases {
        let request = World::request(role, DataClass::Internal, tool, &arguments);
        let refused = world.permit(request).await.expect_err("a refusal");
        let reply = world.answer(refused).await;
        let result: Value = serde_json::from_str(&reply.result).expect("JSON");
        let text = result["content"][0]["text"].to_string();
        let id = result["structuredContent"]["approval"]["id"].as_str().unwrap_or("no id");
        told.push(format!("{role} {tool} {arguments}\n    {}", text.replace(id, "apr_ID")));
        assert_eq!(result["isError"], json!(true));
    }
    insta::assert_snapshot!(told.join("\n"));
    world.evidence.audit.close().await;
    let refused = world.records().await.into_iter().filter(|r| r["event"] == "call.refused").count();
    assert_eq!(refused, 6);
    let approvals: Vec<Value> =
        world.records().await.into_iter().filter_map(|r| r["approval"].get("roles").cloned()).collect();
    assert_eq!(approvals, ["manager"]);
}

#[tokio::test]
async fn the_outcome_is_recorded_whatever_happened_and_never_says_a_success_that_was_not_seen() {
    let world = World::new().await;
    for (raw, status) in [
        (Ok(upstream(&json!({"content": []}))), Status::Success),
        (
            Ok(upstream(&json!({"content": [{"type": "text", "text": "no such account"}], "isError": true}))),
            Status::Failed,
        ),
        (Ok(upstream(&json!({"content": [], "isError": "no"}))), Status::Failed),
        (Ok(upstream(&json!({"tools": []}))), Status::Failed),
        (Ok(upstream(&json!([]))), Status::Failed),
        (Err(quaymaster_core::CallError::new(ErrorCode::UpstreamTimeout, "too slow")), Status::Failed),
    ] {
        let request = World::request("analyst", DataClass::Restricted, "crm_status", &json!({"id": "a"}));
        let id = request.id.to_string();
        let (job, receipt) = world.permit(request).await.expect("a permit").redeem();
        assert!(job.is_ok());
        let safe = release(raw, &receipt, &world.rulebook);
        let reply = world.end(receipt, safe).await;
        assert_eq!(reply.status, status, "{}", reply.result);
        assert_eq!(reply.audit_id.to_string(), id);
    }
    world.evidence.audit.close().await;
    let outcomes: Vec<Value> =
        world.records().await.into_iter().filter(|r| r["event"] == "call.outcome").collect();
    let statuses: Vec<&str> = outcomes.iter().filter_map(|r| r["status"].as_str()).collect();
    assert_eq!(statuses, ["success", "failed", "failed", "failed", "failed", "failed"]);
    assert_eq!(outcomes[0]["classes"], json!(["public"]));
}

#[tokio::test]
async fn the_system_behind_a_tool_hears_of_the_trace_with_the_call_as_its_parent() {
    let world = World::new().await;
    let trace = "0af7651916cd43dd8448eb211c80319c";
    for (sampled, flags) in [(true, "01"), (false, "00")] {
        let arguments = json!({"id": flags, "amount": 5});
        let mut request = World::request("support", DataClass::Internal, "crm_refund", &arguments);
        (request.trace_id, request.sampled) = (Some(trace.to_owned()), sampled);
        let call = request.id.to_string();
        let (job, _) = world.permit(request).await.expect("a permit").redeem();
        let span = &call[call.len() - 16..];
        assert_eq!(job.expect("a job").traceparent, Some(format!("00-{trace}-{span}-{flags}")));
    }
    let untraced =
        World::request("support", DataClass::Internal, "crm_refund", &json!({"id": "a", "amount": 5}));
    let (job, _) = world.permit(untraced).await.expect("a permit").redeem();
    assert_eq!(job.expect("a job").traceparent, None);
}

#[tokio::test]
async fn the_same_write_has_the_same_idempotency_key_and_another_has_another() {
    let world = World::new().await;
    let key = async |id: &str, amount: u64| {
        let arguments = json!({"id": id, "amount": amount});
        let request = World::request("support", DataClass::Internal, "crm_refund", &arguments);
        let (job, receipt) = world.permit(request).await.expect("a permit").redeem();
        // It never reached its system, so the same may be tried again.
        let failed = Err(quaymaster_core::CallError::new(ErrorCode::UpstreamUnavailable, "not there"));
        world.end(receipt, failed).await;
        job.expect("a job").arguments.get("key").cloned().expect("a key")
    };
    assert_eq!(key("a", 5).await, key("a", 5).await);
    assert_ne!(key("a", 5).await, key("a", 6).await);
    assert_ne!(key("a", 5).await, key("b", 5).await);
}

#[tokio::test]
async fn records_name_nobody_and_hold_no_argument_and_what_is_sealed_opens_with_the_actors_key() {
    let world = World::new().await;
    let arguments = json!({"id": "private-4711", "amount": 5});
    let mut request = World::request("support", DataClass::Internal, "crm_refund", &arguments);
    request.agent.client = Some("\"quoted\"/\u{1}\u{2028}é".into());
    request.agent.model = Some("},\"v\":2".into());
    let (actor, call) = (request.actor.id.clone(), request.id.to_string());
    world.permit(request).await.expect("a permit");
    let stored = world.store.audit_read(0, 100).await.expect("records");
    for record in &stored {
        let text = String::from_utf8_lossy(&record.body);
        assert!(!text.contains("example.test") && !text.contains("private-4711"), "{text}");
    }
    let intent = stored.last().expect("the intent").seq;
    let sealed = world.store.audit_sealed(intent).await.expect("readable").expect("sealed");
    assert!(!String::from_utf8_lossy(&sealed).contains("private-4711"));
    let subject = world.evidence.subjects.find(&actor).await.expect("readable").expect("a key");
    let opened = subject.open(&call, &sealed).expect("opened");
    let text = std::str::from_utf8(&opened).expect("UTF-8");
    let input = quaymaster_core::json::parse_strict(text).expect("JSON");
    assert_eq!(quaymaster_core::json::canonical(&input), text);
    assert_eq!(input["arguments"]["id"], "private-4711");
    assert_eq!(input["actor"]["roles"], json!(["support"]));
    assert_eq!((&input["agent"]["model"], &input["v"]), (&json!("},\"v\":2"), &json!(3)));
}

#[tokio::test]
async fn strangers_do_not_fill_the_log() {
    let world = World::new().await;
    let clock = Arc::new(FixedClock::new(Timestamp::from_micros(1_000_000_000)));
    let evidence = Evidence { clock: clock.clone(), ..world.evidence.clone() };
    let known = World::request("analyst", DataClass::Internal, "crm_status", &json!({})).actor;
    let refuse = async |actor: Option<&Arc<Actor>>| {
        let refusal = RequestRefusal {
            actor: actor.cloned(),
            code: ErrorCode::AuthInvalid,
            method: Some("tools/call".into()),
            client: None,
            session: None,
        };
        close_request(refusal, &evidence).await;
    };
    for _ in 0..100 {
        refuse(None).await;
    }
    refuse(Some(&known)).await;
    refuse(Some(&known)).await;
    clock.advance(Duration::from_secs(1));
    refuse(None).await;
    world.evidence.audit.close().await;
    let records = world.records().await;
    let refused = records.iter().filter(|r| r["event"] == "request.refused");
    let counts: Vec<(bool, Option<u64>)> =
        refused.map(|r| (r.get("actor").is_some(), r["count"].as_u64())).collect();
    assert_eq!(counts, [(false, None), (true, None), (true, None), (false, Some(99))]);
}

#[tokio::test]
async fn who_may_not_have_the_whole_watches_nothing_and_that_is_recorded() {
    for (clearance, expected) in
        [(DataClass::Public, Some(ErrorCode::ReleaseRefused)), (DataClass::Restricted, None)]
    {
        let world = World::new().await;
        let request = World::request("analyst", clearance, "crm_account", &json!({"id": "a"}));
        let id = request.id.to_string();
        let call = world.resolve(request).expect("it is there");
        let authorized = authorize(call, &world.rulebook, &world.guards).await.expect("it may be called");
        let watched = watchable(approve_unasked(authorized).expect("no approval"), &world.rulebook);
        let events = match watched {
            Ok(approved) => {
                let (_, receipt) = record(approved, &world.evidence).await.expect("a permit").redeem();
                close_watch(receipt, Ok(()), &world.evidence).await.expect("recorded");
                vec!["call.intent", "call.outcome"]
            }
            Err(refused) => {
                let error = close_refused_watch(refused, &world.evidence).await;
                assert_eq!(Some(error.code), expected);
                vec!["call.refused"]
            }
        };
        assert_eq!(events.len() == 1, expected.is_some(), "{clearance:?}");
        world.evidence.audit.close().await;
        let records = world.records().await;
        let own: Vec<&Value> = records.iter().filter(|record| record["call"] == id.as_str()).collect();
        assert_eq!(own.iter().map(|record| &record["event"]).collect::<Vec<_>>(), events);
        assert!(own.iter().all(|record| record["method"] == "resources/subscribe"), "{own:?}");
    }
}

#[tokio::test]
async fn a_watch_whose_outcome_cannot_be_recorded_is_none() {
    let world = World::new().await;
    let request = World::request("analyst", DataClass::Restricted, "crm_account", &json!({"id": "a"}));
    let (_, receipt) = world.permit(request).await.expect("a permit").redeem();
    world.evidence.audit.close().await;
    let error = close_watch(receipt, Ok(()), &world.evidence).await.expect_err("no record");
    assert_eq!(error.code, ErrorCode::AuditUnavailable);
}
