//! What became of a write whose end nobody saw, looked up in the system behind its tool.

use std::pin::Pin;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use quaymaster_control::ledger::{LEASE, SETTLED};
use quaymaster_core::clock::FixedClock;
use quaymaster_core::{CallRequest, CallTool, DataClass, ErrorCode, ProgressSink, Reply, Status, Timestamp};
use serde_json::{Value, json};

use crate::world::{World, declarations};

const NOW: Timestamp = Timestamp::from_micros(1_795_255_200_000_000);

/// A gateway whose tools all answer with `content`, or fail without it.
#[derive(Debug)]
struct Desk {
    content: Option<Value>,
    asked: Mutex<Vec<CallRequest>>,
}

impl CallTool for Desk {
    fn call_tool<'a>(
        &'a self,
        request: CallRequest,
        _: Option<Arc<dyn ProgressSink>>,
    ) -> Pin<Box<dyn Future<Output = Reply> + Send + 'a>> {
        let audit_id = request.id.clone();
        self.asked.lock().expect("no panic").push(request);
        let (status, code) = match &self.content {
            Some(_) => (Status::Success, None),
            None => (Status::Failed, Some(ErrorCode::PolicyDenied)),
        };
        let result = json!({"content": [], "structuredContent": self.content}).to_string();
        let reply = Reply {
            audit_id,
            status,
            code,
            message: None,
            parked: None,
            keeping: quaymaster_core::Keeping::default(),
            required: None,
            result,
            labels: vec![],
        };
        Box::pin(async move { reply })
    }
}

fn refund() -> CallRequest {
    World::request("support", DataClass::Internal, "crm_refund", &json!({"id": "a", "amount": 5}))
}

/// A world in which the process that made a refund was lost, and the desk that is asked about it after `wait`.
async fn lost(content: Option<Value>, wait: Duration) -> (World, Arc<Desk>) {
    let clock = Arc::new(FixedClock::new(NOW));
    let world = World::at(clock.clone(), declarations()).await;
    drop(world.path(refund(), None).await.expect("a permit"));
    clock.advance(wait);
    let desk = Arc::new(Desk { content, asked: Mutex::default() });
    let gateway: Weak<dyn CallTool> = Arc::<Desk>::downgrade(&desk);
    world.guards.ledger.read_by(gateway);
    (world, desk)
}

/// Makes the refund again: nothing if it may run, else the code that it is refused with, if it is.
async fn again(world: &World) -> Option<(Option<ErrorCode>, String)> {
    match world.path(refund(), None).await {
        Ok(_) => None,
        Err(ended) => {
            let reply = world.answer(ended).await;
            Some((reply.code, reply.result))
        }
    }
}

#[tokio::test]
async fn a_write_that_is_found_took_effect_and_is_not_made_again() {
    let (world, desk) = lost(Some(json!({"refund": {"id": 7}})), LEASE).await;
    for _ in 0..2 {
        let (code, result) = again(&world).await.expect("not run");
        assert_eq!(code, None);
        assert!(result.contains(r#""dev.quaymaster/repeated":true"#), "{result}");
    }
    let asked = desk.asked.lock().expect("no panic").clone();
    assert_eq!(asked.len(), 1, "what was found is known");
    let key = asked[0].arguments.get("key").and_then(Value::as_str).expect("a key");
    assert!(asked[0].tool == "crm_refunded" && key.starts_with("qm-"), "{key}");
    assert_eq!(asked[0].actor.id, refund().actor.id, "as whoever asks");
    world.evidence.audit.close().await;
    let records = world.records().await;
    let said = records.iter().find(|r| r["event"] == "idempotency.resolved").expect("the record");
    assert_eq!(
        (&said["idempotency"]["state"], &said["idempotency"]["look_up"]),
        (&json!("done"), &json!(asked[0].id))
    );
}

#[tokio::test]
async fn a_write_that_is_not_found_runs_again_once_it_cannot_be_on_its_way() {
    for content in [json!({}), json!({"refund": null})] {
        let (world, _desk) = lost(Some(content.clone()), LEASE).await;
        let (code, _) = again(&world).await.expect("not run");
        assert_eq!(code, Some(ErrorCode::UpstreamOutcomeUnknown), "it is too early to tell");
        let (world, _desk) = lost(Some(content), SETTLED).await;
        assert_eq!(again(&world).await, None);
    }
}

#[tokio::test]
async fn a_look_up_that_fails_says_nothing() {
    let (world, desk) = lost(None, SETTLED).await;
    let (code, _) = again(&world).await.expect("not run");
    assert_eq!(code, Some(ErrorCode::UpstreamOutcomeUnknown));
    assert_eq!(desk.asked.lock().expect("no panic").len(), 1);
    drop(desk);
    let (code, _) = again(&world).await.expect("not run");
    assert_eq!(code, Some(ErrorCode::UpstreamOutcomeUnknown), "nobody is there to read");
}
