//! What is found in a result does not leave with it.

use std::sync::Arc;

use quaymaster_control::crypto::SystemRandomness;
use quaymaster_control::output::{Column, RawOutput, Table, TableStats};
use quaymaster_control::redaction::Redactor;
use quaymaster_control::release;
use quaymaster_core::{CallError, CallRequest, DataClass, ErrorCode, RawBuf, SessionId, SystemClock};
use quaymaster_redaction::{Engine, RedactionConfig};
use serde_json::{Value, json};

use crate::world::World;

/// The world with a classification that says this of redaction.
async fn world(config: Value) -> World {
    let mut world = World::new().await;
    let config: RedactionConfig = serde_json::from_value(config).expect("a classification");
    let engine = Engine::new(&config).expect("an engine");
    let redactor = Redactor::new(Arc::new(engine), Arc::clone(world.evidence.subjects.sealing_key()));
    world.rulebook = std::mem::take(&mut world.rulebook).redacting(Some(redactor));
    world
}

fn request(tool: &str) -> CallRequest {
    World::request("analyst", DataClass::Restricted, tool, &json!({"id": "a"}))
}

/// What a system answers.
struct Answer(Result<RawOutput, CallError>);

impl From<RawOutput> for Answer {
    fn from(raw: RawOutput) -> Self {
        Self(Ok(raw))
    }
}

impl From<CallError> for Answer {
    fn from(error: CallError) -> Self {
        Self(Err(error))
    }
}

/// What whoever makes `request` gets where the system answers `raw`, and what the log says was kept back.
async fn released(
    world: &World,
    request: CallRequest,
    raw: impl Into<Answer>,
) -> Result<(Value, Value), CallError> {
    let id = request.id.clone();
    let (_, receipt) = world.permit(request).await.expect("a permit").redeem();
    let safe = release(raw.into().0, &receipt, &world.rulebook)?;
    let reply = world.end(receipt, Ok(safe)).await;
    let kept_back = loop {
        // The record of a read comes to the store with others.
        let records = world.records().await;
        let outcome =
            records.iter().find(|record| record["call"] == id.as_str() && record["event"] == "call.outcome");
        if let Some(outcome) = outcome {
            break outcome["redactions"].clone();
        }
        tokio::task::yield_now().await;
    };
    Ok((serde_json::from_str(&reply.result).expect("JSON"), kept_back))
}

fn upstream(value: &Value) -> RawOutput {
    RawOutput::upstream(RawBuf::read(&value.to_string()).expect("JSON"))
}

fn said(text: &str) -> RawOutput {
    upstream(&json!({"content": [{"type": "text", "text": text}]}))
}

#[tokio::test]
async fn data_of_persons_becomes_placeholders_and_secrets_go_and_both_are_counted() {
    let world = world(json!({})).await;
    let token = ["ghp", "_", "16C7e42F292c6912E7710c838347Ae178B4a"].concat();
    let note = format!("write to ada@example.com, token {token}, order 4711");
    let (result, kept_back) = released(&world, request("crm_status"), said(&note)).await.expect("released");
    let text = result["content"][0]["text"].as_str().expect("a text");
    assert!(!text.contains("ada@example.com") && !text.contains(&token), "{text}");
    assert!(text.contains("⟦email:") && text.contains("order 4711"), "{text}");
    assert_eq!(kept_back["email"], 1, "{kept_back}");
    assert!(!kept_back.to_string().contains("ada"), "the log has no values: {kept_back}");
    assert!(result["_meta"]["dev.quaymaster/audit_id"].is_string(), "our own words stay as they are");
}

#[tokio::test]
async fn a_placeholder_is_the_same_in_a_session_and_another_one_elsewhere() {
    let world = world(json!({})).await;
    let mut seen = Vec::new();
    let [one, two] = [(); 2].map(|()| SessionId::new(&SystemClock, &SystemRandomness));
    for session in [&one, &one, &two] {
        let request = CallRequest { session: Some(session.clone()), ..request("crm_status") };
        let (result, _) = released(&world, request, said("ada@example.com")).await.expect("released");
        seen.push(result["content"][0]["text"].clone());
    }
    assert_eq!(seen[0], seen[1]);
    assert_ne!(seen[0], seen[2]);
}

#[tokio::test]
async fn columns_are_looked_through_by_their_names_and_by_what_most_of_their_values_are() {
    let world = world(json!({"default": "drop"})).await;
    let column = |name: &str| Column {
        name: name.into(),
        kind: "text".into(),
        unit: None,
        description: None,
        sources: None,
    };
    let row = |name: &str, contact: &str| vec![json!(name), json!(contact), json!(7)];
    let table = Table {
        columns: vec![column("name"), column("contact"), column("orders")],
        rows: vec![row("Acme", "a@acme.test"), row("Globex", "b@globex.test")],
        stats: TableStats {
            truncated: false,
            elapsed_us: 1,
            query_hash: "sha256:00".into(),
            as_of: "t".into(),
        },
        warnings: vec![],
    };
    let (result, kept_back) =
        released(&world, request("crm_table"), RawOutput::table(table)).await.expect("released");
    let text = result.to_string();
    assert!(!text.contains("acme.test") && !text.contains("globex.test"), "{text}");
    let rows = result["structuredContent"]["data"]["rows"].as_array().expect("rows");
    assert!(rows.iter().all(|row| row[2] == 7), "{rows:?}");
    assert_eq!(kept_back["email"], 2, "{kept_back}");
}

#[tokio::test]
async fn what_cannot_be_looked_through_does_not_leave() {
    let world = world(json!({})).await;
    let cut = said(r#"{"customers": [{"email": "ada@exam"#);
    let image = upstream(&json!({"content": [
        {"type": "image", "mimeType": "image/png", "data": "////".repeat(200)}
    ]}));
    for (raw, what) in [(cut, "cut off"), (image, "an image")] {
        let error = released(&world, request("crm_status"), raw).await.expect_err(what);
        assert_eq!(error.code, ErrorCode::ReleaseRefused, "{what}");
        assert!(!error.to_string().contains("ada"), "{error}");
    }
}

#[tokio::test]
async fn what_an_upstream_says_with_an_error_is_looked_through_too() {
    let world = world(json!({})).await;
    let error = CallError::new(ErrorCode::UpstreamError, "the upstream failed");
    let error = error.upstream_message("no account for ada@example.com");
    let error = released(&world, request("crm_status"), error).await.expect_err("it failed");
    assert!(error.to_string().contains("no account for ⟦email:"), "{error}");
    assert!(!error.to_string().contains("ada@example.com"), "{error}");
}

#[tokio::test]
async fn without_a_classification_a_result_leaves_as_it_was() {
    let mut world = world(json!({})).await;
    world.rulebook = std::mem::take(&mut world.rulebook).redacting(None);
    let (result, _) =
        released(&world, request("crm_status"), said("ada@example.com")).await.expect("released");
    assert_eq!(result["content"][0]["text"], "ada@example.com");
}
