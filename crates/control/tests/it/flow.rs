//! What whoever calls has seen, and what follows from it.

use std::sync::Arc;
use std::time::Duration;

use quaymaster_control::Listening;
use quaymaster_control::flow::{Flow, FlowError, Labels, SHORTEST_WINDOW, WINDOW, clear, cleared, standing};
use quaymaster_control::output::RawOutput;
use quaymaster_control::policy::Policies;
use quaymaster_control::{release, voice};
use quaymaster_core::clock::FixedClock;
use quaymaster_core::setting::Slug;
use quaymaster_core::{
    Actor, ActorId, AgentClaims, Authentication, CallError, CallRequest, Classification, Clock as _,
    DataClass, Destination, ErrorCode, RawBuf, Reply, SessionId, Status, SystemClock, Timestamp, TokenId,
    ToolDeclaration, Trust,
};
use serde_json::{Value, json};

use crate::world::{World, declarations, slug};

mod racing;

/// What a stranger wrote and whoever has both must not carry out.
pub(crate) const POLICY: &str = r#"
@id("reads")
permit (principal, action == Action::"call", resource in Connector::"crm") when { resource.effect == "read" };

@id("refunds")
permit (principal, action == Action::"call", resource == Tool::"crm_refund");

@id("flow.nothing-private-to-strangers") @reason("private data does not leave after content of strangers")
forbid (principal, action == Action::"call", resource)
when {
  context.labels.containsAll(["saw:untrusted", "saw:confidential"]) && resource.destination == "public"
};

@id("mo-may") permit (principal == Actor::"mo@example.test", action == Action::"administer", resource);
"#;

fn harmless() -> Arc<Classification> {
    Arc::new(Classification { default: DataClass::Public, columns: vec![], fields: vec![] })
}

/// `crm_status` is a page of the internet, `crm_account` holds confidential data, `crm_refund` goes out.
pub(crate) fn tools() -> Vec<ToolDeclaration> {
    let placed = |tool: ToolDeclaration| match tool.local_name.as_str() {
        "status" => ToolDeclaration { trust: Trust::Untrusted, destination: Destination::Public, ..tool },
        "refund" => ToolDeclaration { destination: Destination::Public, classification: harmless(), ..tool },
        _ => tool,
    };
    declarations().into_iter().map(placed).collect()
}

pub(crate) async fn world() -> World {
    World::governed(tools(), POLICY).await
}

pub(crate) fn ask(tool: &str) -> CallRequest {
    let arguments = if tool == "crm_refund" { json!({"id": "a", "amount": 5}) } else { json!({"id": "a"}) };
    World::request("support", DataClass::Confidential, tool, &arguments)
}

fn as_actor(request: CallRequest, change: impl FnOnce(&mut Actor)) -> CallRequest {
    let mut actor = Actor::clone(&request.actor);
    change(&mut actor);
    CallRequest { actor: Arc::new(actor), ..request }
}

fn session() -> SessionId {
    SessionId::new(&SystemClock, &quaymaster_control::crypto::SystemRandomness)
}

fn upstream(value: &Value) -> RawOutput {
    RawOutput::upstream(RawBuf::read(&value.to_string()).expect("JSON"))
}

pub(crate) fn answer_of(tool: &str) -> RawOutput {
    let structured = match tool {
        "crm_account" => json!({"id": "a", "email": "ada@acme.test"}),
        _ => json!({"state": "as asked"}),
    };
    upstream(&json!({"content": [], "structuredContent": structured}))
}

/// Makes a call and gives its result.
pub(crate) async fn called(world: &World, request: CallRequest) -> Reply {
    let tool = request.tool.clone();
    match world.path(request, None).await {
        Ok(permit) => {
            let (_, receipt) = permit.redeem();
            let safe = release(Ok(answer_of(&tool)), &receipt, &world.rulebook);
            world.end(receipt, safe).await
        }
        Err(ended) => world.answer(ended).await,
    }
}

async fn has_both(world: &World) {
    assert_eq!(called(world, ask("crm_status")).await.status, Status::Success);
    assert_eq!(called(world, ask("crm_account")).await.status, Status::Success);
}

fn structured(reply: &Reply) -> Value {
    let result: Value = serde_json::from_str(&reply.result).expect("JSON");
    result.get("structuredContent").cloned().expect("structured content")
}

#[tokio::test]
async fn whoever_saw_a_strangers_content_and_private_data_cannot_carry_it_out_and_is_told_why() {
    let world = world().await;
    assert_eq!(called(&world, ask("crm_refund")).await.status, Status::Success, "before");
    let page = called(&world, ask("crm_status")).await;
    let request = CallRequest { idempotency_key: Some("1".into()), ..ask("crm_refund") };
    assert_eq!(called(&world, request).await.status, Status::Success, "with one of them");
    let account = called(&world, ask("crm_account")).await;
    assert_eq!(page.labels, ["saw:untrusted"]);
    assert_eq!(account.labels, ["saw:confidential"]);
    let refused = called(&world, ask("crm_refund")).await;
    assert_eq!(refused.code, Some(ErrorCode::PolicyDenied));
    let told = structured(&refused);
    let message = told["message"].as_str().expect("a message");
    let untrusted = format!("`saw:untrusted` since `{}`", page.audit_id);
    let confidential = format!("`saw:confidential` since `{}`", account.audit_id);
    assert!(message.contains("private data does not leave") && message.contains(&untrusted), "{message}");
    assert!(message.contains(&confidential), "{message}");
    let hint = told["error"]["hint"].as_str().expect("a hint");
    assert!(hint.contains("stay within the company") && hint.contains("a person"), "{hint}");
    // A search is told to whoever answers it.
    assert_eq!(called(&world, ask("crm_status")).await.code, Some(ErrorCode::PolicyDenied));
    assert_eq!(called(&world, ask("crm_account")).await.status, Status::Success, "what stays inside goes on");
    world.evidence.audit.close().await;
    let records = world.records().await;
    let of = |event: &str, call: &Reply| {
        let found = |r: &&Value| r["event"] == event && r["call"] == call.audit_id.as_str();
        records.iter().find(found).cloned().expect("a record")
    };
    assert_eq!(of("call.outcome", &page)["labelled"], json!(["saw:untrusted"]));
    assert_eq!(of("call.outcome", &page).get("labels"), None);
    assert_eq!(of("call.intent", &account)["labels"], json!(["saw:untrusted"]));
    assert_eq!(of("call.outcome", &account)["labelled"], json!(["saw:confidential"]));
    assert_eq!(of("call.refused", &refused)["labels"], json!(["saw:confidential", "saw:untrusted"]));
}

#[tokio::test]
async fn what_was_taken_out_labels_nobody() {
    let world = world().await;
    let analyst = World::request("support", DataClass::Internal, "crm_account", &json!({"id": "a"}));
    let reply = called(&world, analyst).await;
    assert!(!reply.result.contains("acme"), "{}", reply.result);
    assert_eq!(reply.labels, [""; 0]);
    assert!(!world.store.labels_exist(0).await.expect("an answer"));
}

#[tokio::test]
async fn no_other_way_of_asking_sheds_a_label() {
    let world = world().await;
    let first = CallRequest { session: Some(session()), ..ask("crm_status") };
    assert_eq!(called(&world, first).await.status, Status::Success);
    assert_eq!(called(&world, ask("crm_account")).await.status, Status::Success);
    let text = |text: &str| Some(text.to_owned());
    let claims = AgentClaims {
        client: text("another/1"),
        thread: text("new"),
        session: text("new"),
        ..AgentClaims::default()
    };
    let token: TokenId = "tok_00000000000000000000000000000001".parse().expect("an id");
    let id = |name: &str| ActorId::parse(name).expect("a name");
    let other_account = |a: &mut Actor| {
        (a.person, a.id) = (Some(a.id.clone()), id("corp:17"));
    };
    let ways = [
        ("a new session", CallRequest { session: Some(session()), ..ask("crm_refund") }),
        ("no session", ask("crm_refund")),
        ("other claims", CallRequest { agent: claims, ..ask("crm_refund") }),
        ("another token", as_actor(ask("crm_refund"), |a| a.authentication = Authentication::Token(token))),
        ("another role", as_actor(ask("crm_refund"), |a| a.roles = [slug("analyst")].into())),
        ("another spelling", as_actor(ask("crm_refund"), |a| a.id = id("Support@Example.TEST"))),
        ("another account", as_actor(ask("crm_refund"), other_account)),
        ("a person made up", as_actor(ask("crm_refund"), |a| a.person = Some(id("nobody@example.test")))),
    ];
    for (way, request) in ways {
        assert_eq!(called(&world, request).await.code, Some(ErrorCode::PolicyDenied), "{way}");
    }
    let somebody_else = as_actor(ask("crm_refund"), |a| a.id = id("bo@example.test"));
    assert_eq!(called(&world, somebody_else).await.status, Status::Success);
}

#[tokio::test]
async fn labels_outlive_a_restart_and_count_in_every_process() {
    let mut world = world().await;
    // Another process that has looked before there were any.
    let other = Labels::open(world.store.clone(), Arc::clone(&world.evidence.clock)).await.expect("labels");
    has_both(&world).await;
    world.guards.flow = Flow::new(Arc::new(other), WINDOW, true);
    assert_eq!(called(&world, ask("crm_refund")).await.code, Some(ErrorCode::PolicyDenied));
    let after = Labels::open(world.store.clone(), Arc::clone(&world.evidence.clock)).await.expect("labels");
    world.guards.flow = Flow::new(Arc::new(after), WINDOW, true);
    assert_eq!(called(&world, ask("crm_refund")).await.code, Some(ErrorCode::PolicyDenied));
}

#[tokio::test]
async fn labels_end_with_the_window_and_those_of_a_session_with_its_handle() {
    let clock = Arc::new(FixedClock::new(Timestamp::from_micros(1_795_255_200_000_000)));
    let mut world = World::at(clock.clone(), tools()).await;
    world.govern(POLICY);
    let own = Some(session());
    let within = |tool: &str| CallRequest { session: own.clone(), ..ask(tool) };
    assert_eq!(called(&world, within("crm_status")).await.status, Status::Success);
    clock.advance(WINDOW / 2);
    assert_eq!(called(&world, within("crm_account")).await.status, Status::Success);
    clock.advance(WINDOW / 2);
    assert_eq!(called(&world, ask("crm_refund")).await.status, Status::Success, "the first has ended");
    assert_eq!(called(&world, within("crm_refund")).await.code, Some(ErrorCode::PolicyDenied));
    clock.advance(Duration::from_hours(24 * 7));
    let request = CallRequest { idempotency_key: Some("2".into()), ..within("crm_refund") };
    assert_eq!(called(&world, request).await.status, Status::Success);
    assert!(SHORTEST_WINDOW <= WINDOW);
}

#[tokio::test]
async fn what_cannot_be_noted_is_withheld_and_a_write_is_not_said_to_have_failed() {
    let mut world = world().await;
    world.offer_under(tools().into_iter().map(|t| ToolDeclaration { trust: Trust::Untrusted, ..t }), POLICY);
    let ready = [ask("crm_status"), ask("crm_refund")].map(|request| world.path(request, None));
    let mut receipts = Vec::new();
    for permit in ready {
        receipts.push(permit.await.expect("a permit").redeem().1);
    }
    let connection =
        rusqlite::Connection::open(world.folder.path().join("quaymaster.db")).expect("the database");
    connection.execute_batch("ALTER TABLE labels RENAME TO gone").expect("taken away");
    let mut replies = Vec::new();
    for receipt in receipts {
        let safe = release(Ok(answer_of("crm_status")), &receipt, &world.rulebook);
        replies.push(world.end(receipt, safe).await);
    }
    let [read, write] = replies.try_into().expect("two");
    assert_eq!(read.code, Some(ErrorCode::AuditUnavailable));
    assert!(!read.result.contains("as asked"), "{}", read.result);
    assert_eq!(write.code, Some(ErrorCode::ReleaseRefused));
    assert!(write.result.contains("it took effect; its result is withheld"), "{}", write.result);
    assert!(!write.result.contains("as asked"), "{}", write.result);
    // Nor is anything decided that depends on it.
    assert_eq!(called(&world, ask("crm_account")).await.code, Some(ErrorCode::AuditUnavailable));
}

#[tokio::test]
async fn words_of_a_system_label_like_its_results() {
    let world = world().await;
    let (_, receipt) = world.permit(ask("crm_status")).await.expect("a permit").redeem();
    let failed = CallError::new(ErrorCode::UpstreamError, "it failed").upstream_message("do as I say");
    let outcome = release(Err(failed), &receipt, &world.rulebook);
    let reply = world.end(receipt, outcome).await;
    assert!(reply.result.contains("do as I say"), "{}", reply.result);
    assert!(world.store.labels_exist(0).await.expect("an answer"));
    let silent = self::world().await;
    let (_, receipt) = silent.permit(ask("crm_status")).await.expect("a permit").redeem();
    let outcome =
        release(Err(CallError::new(ErrorCode::UpstreamTimeout, "late")), &receipt, &silent.rulebook);
    silent.end(receipt, outcome).await;
    assert!(!silent.store.labels_exist(0).await.expect("an answer"), "what says nothing labels nobody");
}

#[tokio::test]
async fn whoever_may_hear_a_system_is_labelled_before_and_answers_nothing_that_may_not_go_out() {
    let world = world().await;
    let permit = world.permit(ask("crm_status")).await.expect("a permit");
    let deaf = voice(&permit, &world.rulebook, &world.guards.flow, Listening::ToNothing).await;
    assert!(!deaf.is_mute() && !world.store.labels_exist(0).await.expect("an answer"));
    let spoken = voice(&permit, &world.rulebook, &world.guards.flow, Listening::Meanwhile).await;
    assert!(!spoken.is_mute() && world.store.labels_exist(0).await.expect("an answer"));
    assert!(spoken.may_answer().await);
    assert_eq!(called(&world, ask("crm_account")).await.status, Status::Success);
    assert!(!spoken.may_answer().await, "what was released meanwhile would go out with the answer");
    let (_, receipt) = permit.redeem();
    let safe = release(Ok(answer_of("crm_status")), &receipt, &world.rulebook);
    world.end(receipt, safe).await;
    world.evidence.audit.close().await;
    let records = world.records().await;
    let outcome = records.iter().rfind(|r| r["event"] == "call.outcome").expect("an outcome");
    assert_eq!(outcome["labelled"], json!(["saw:untrusted"]));
}

#[tokio::test]
async fn a_receipt_that_is_handed_out_again_labels_again() {
    let mut world = world().await;
    world.offer_under(tools().into_iter().map(|t| ToolDeclaration { trust: Trust::Untrusted, ..t }), POLICY);
    let first = called(&world, ask("crm_refund")).await;
    assert_eq!(first.labels, ["saw:untrusted"]);
    let all = world.store.labels_in("sales", None, 0).await.expect("rows");
    forget(&world, &all).await;
    let again = called(&world, ask("crm_refund")).await;
    assert!(again.result.contains("dev.quaymaster/repeated"), "{}", again.result);
    assert!(world.store.labels_exist(0).await.expect("an answer"));
}

async fn forget(world: &World, rows: &[quaymaster_store::LabelRow]) {
    let text = String::new;
    let note = quaymaster_store::ClearedRow {
        id: text(),
        workspace: text(),
        account: text(),
        labels: text(),
        cleared_by: text(),
        reason: text(),
        cleared_us: 0,
    };
    world.store.labels_clear(rows, &note).await.expect("cleared");
}

fn visitor(name: &str) -> Actor {
    as_actor(ask("crm_status"), |a| a.id = ActorId::parse(name).expect("a name")).actor.as_ref().clone()
}

async fn take_away(world: &World, by: &Actor, whose: &str, reason: &str) -> Result<usize, FlowError> {
    let whose = ActorId::parse(whose).expect("a name");
    let with = (&quaymaster_control::crypto::SystemRandomness as _, &world.evidence);
    let policies: &Policies = world.rulebook.policies();
    clear(&world.store, (by, policies), (&whose, &[]), reason, with).await.map(|rows| rows.len())
}

#[tokio::test]
async fn a_person_whom_policy_lets_takes_labels_away_and_nobody_their_own() {
    let world = world().await;
    has_both(&world).await;
    let session = CallRequest { session: Some(session()), ..ask("crm_status") };
    let mut late = session.clone();
    late.tool = "crm_account".into();
    assert_eq!(called(&world, late).await.status, Status::Success);
    let (mo, own) = (visitor("mo@example.test"), visitor("support@example.test"));
    let policies: &Policies = world.rulebook.policies();
    let now = SystemClock.now();
    assert_eq!(standing(&world.store, (&mo, policies), now).await.expect("rows").len(), 3);
    assert!(matches!(standing(&world.store, (&own, policies), now).await, Err(FlowError::Denied { .. })));
    let whose = "support@example.test";
    assert!(matches!(take_away(&world, &own, whose, "please").await, Err(FlowError::Denied { .. })));
    let mo_as_support = Actor { person: Some(own.id.clone()), ..mo.clone() };
    let refused =
        take_away(&world, &mo_as_support, whose, "please").await.expect_err("their own").to_string();
    assert!(refused.contains("nobody takes away their own"), "{refused}");
    assert!(take_away(&world, &mo, whose, " ").await.is_err());
    let elsewhere = Actor { workspace: Slug::parse("lab").expect("a name"), ..mo.clone() };
    assert_eq!(take_away(&world, &elsewhere, whose, "not mine").await.ok(), Some(0));
    assert_eq!(called(&world, ask("crm_refund")).await.code, Some(ErrorCode::PolicyDenied));
    assert_eq!(take_away(&world, &mo, "Support@example.test", "looked at it").await.ok(), Some(3));
    assert_eq!(called(&world, ask("crm_refund")).await.status, Status::Success);
    let told = cleared(&world.store, (&mo, policies)).await.expect("rows");
    assert_eq!((told[0].reason.as_str(), told[0].cleared_by.as_str()), ("looked at it", "mo@example.test"));
    world.evidence.audit.close().await;
    let records = world.records().await;
    let record = records.iter().find(|r| r["event"] == "labels.cleared").expect("a record");
    assert_eq!(record["labels"], json!(["saw:confidential", "saw:untrusted"]));
    assert!(!record.to_string().contains("looked") && !record.to_string().contains("example.test"));
}

#[tokio::test]
async fn where_nothing_is_seen_nothing_is_read_or_written() {
    let world = World::with(declarations()).await;
    let analyst = World::request("analyst", DataClass::Internal, "crm_table", &json!({"id": "a"}));
    let connection =
        rusqlite::Connection::open(world.folder.path().join("quaymaster.db")).expect("the database");
    connection.execute_batch("ALTER TABLE labels RENAME TO gone").expect("taken away");
    // Without the table, whoever looked would fail.
    assert!(world.permit(analyst).await.is_ok());
}
