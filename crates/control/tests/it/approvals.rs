//! Calls that wait until somebody agrees: what is parked, who decides, and that it runs once.

use std::sync::Arc;
use std::time::Duration;

use quaymaster_control::approval::{Decider, Document, Grant, Spoken, State, Turn, Verdict, Wanted};
use quaymaster_control::output::RawOutput;
use quaymaster_control::{Permit, release};
use quaymaster_core::clock::FixedClock;
use quaymaster_core::{
    Actor, ActorId, ApprovalId, CallError, CallRequest, Clock, DataClass, ErrorCode, RawBuf, Reply, Status,
    Timestamp,
};
use serde_json::{Value, json};

use crate::world::{World, declarations, slug};

mod attacks;
mod bounds;
mod flowing;
mod lent;
mod lost;
mod people;
mod steps;

/// A world whose clock stands, and the clock.
pub(crate) async fn world() -> (World, Arc<FixedClock>) {
    let clock = Arc::new(FixedClock::new(Timestamp::from_micros(1_795_255_200_000_000)));
    (World::at(clock.clone(), declarations()).await, clock)
}

fn refund(amount: u32) -> CallRequest {
    World::request("support", DataClass::Internal, "crm_refund", &json!({"id": "a", "amount": amount}))
}

pub(crate) fn person(name: &str, role: &str) -> Actor {
    let request = World::request(role, DataClass::Internal, "crm_refund", &json!({}));
    Actor { id: ActorId::parse(name).expect("a name"), ..Actor::clone(&request.actor) }
}

fn yes() -> Spoken {
    Spoken { verdict: Verdict::Approve, comment: Some("fine by me".into()) }
}

pub(crate) fn no() -> Spoken {
    Spoken { verdict: Verdict::Reject, comment: Some("too much".into()) }
}

/// What is answered to a call that does not get its permit.
async fn answered(world: &World, request: CallRequest) -> Reply {
    let ended = world.path(request, None).await.map(drop).expect_err("no permit");
    world.answer(ended).await
}

fn approval(reply: &Reply) -> Value {
    let result: Value = serde_json::from_str(&reply.result).expect("JSON");
    result.pointer("/structuredContent/approval").cloned().unwrap_or_default()
}

fn id(reply: &Reply) -> ApprovalId {
    approval(reply).get("id").and_then(Value::as_str).and_then(|id| id.parse().ok()).expect("an id")
}

pub(crate) async fn parked(world: &World, amount: u32) -> ApprovalId {
    id(&answered(world, refund(amount)).await)
}

pub(crate) async fn say(
    world: &World,
    actor: &Actor,
    request: &ApprovalId,
    spoken: Spoken,
) -> Result<State, ErrorCode> {
    let decider = Decider { actor, channel: "test" };
    let said = world.approvals.decide(decider, request, spoken, &world.evidence).await;
    said.map_err(|error| error.code)
}

pub(crate) async fn agree(world: &World, request: &ApprovalId) {
    let said = say(world, &person("mo", "manager"), request, yes()).await;
    assert_eq!(said, Ok(State::Approved));
}

/// The grants of what is due now.
async fn granted(world: &World) -> Vec<Grant> {
    let mut grants = Vec::new();
    for due in world.approvals.due().await.expect("an answer") {
        if let Turn::Run(_, _, grant) = world.approvals.take(due, &world.evidence).await.expect("an answer") {
            grants.push(grant);
        }
    }
    grants
}

async fn request_of(world: &World, grant: &Grant) -> CallRequest {
    let actor = Arc::clone(&refund(1).actor);
    world.approvals.call_of(grant, actor).await.expect("the call")
}

/// Runs a call that has its permit; the system behind it refunds.
async fn run(world: &World, permit: Permit) -> Reply {
    let (_, receipt) = permit.redeem();
    let result = json!({"content": [], "structuredContent": {"state": "refunded"}, "isError": false});
    let raw = RawOutput::upstream(RawBuf::read(&result.to_string()).expect("JSON"));
    let safe = release(Ok(raw), &receipt, &world.rulebook);
    world.end(receipt, safe).await
}

async fn stands(world: &World, request: &ApprovalId) -> State {
    let support = refund(1);
    world.approvals.collect(&support, request, &world.evidence).await.expect("an answer").0
}

#[tokio::test]
async fn a_call_that_needs_an_agreement_waits_and_the_same_call_joins_it() {
    let (world, _) = world().await;
    let first = answered(&world, refund(500)).await;
    assert_eq!((first.status, first.code), (Status::RequiresApproval, Some(ErrorCode::ApprovalRequired)));
    let told = approval(&first);
    assert_eq!((&told["state"], &told["decided_by"][0]["roles"]), (&json!("pending"), &json!(["manager"])));
    assert_eq!(told["expires_at"], json!("2026-11-22T10:00:00.000000Z"));
    assert_eq!(id(&answered(&world, refund(500)).await), id(&first), "the same call joins");
    assert_ne!(id(&answered(&world, refund(501)).await), id(&first), "another call waits by itself");
    assert_eq!(granted(&world).await.len(), 0, "nobody has agreed");
}

#[tokio::test]
async fn what_was_agreed_to_runs_once_and_its_result_waits() {
    let (world, clock) = world().await;
    let request = parked(&world, 500).await;
    agree(&world, &request).await;
    let grant = granted(&world).await.pop().expect("a grant");
    assert_eq!(granted(&world).await.len(), 0, "there is no second grant");
    assert_eq!(approval(&answered(&world, refund(500)).await)["state"], json!("running"));

    let permit = world.path(request_of(&world, &grant).await, Some(&grant)).await.expect("a permit");
    let reply = run(&world, permit).await;
    world.approvals.finish(&grant, &reply, &world.evidence).await.expect("kept");
    assert_eq!(granted(&world).await.len(), 0);

    let collected = answered(&world, refund(500)).await;
    assert_eq!((collected.status, &collected.result), (Status::Success, &reply.result));
    clock.advance(Duration::from_mins(9));
    assert_eq!(
        answered(&world, refund(500)).await.result,
        reply.result,
        "the first answer may have been lost"
    );
    clock.advance(Duration::from_mins(2));
    let anew = answered(&world, refund(500)).await;
    assert_ne!(id(&anew), request, "an agreement is used once");
}

#[tokio::test]
async fn whoever_asked_never_decides_with_whatever_account() {
    let (world, _) = world().await;
    let asking =
        Actor { person: Some(ActorId::parse("ada").expect("a name")), ..Actor::clone(&refund(1).actor) };
    let request = CallRequest { actor: Arc::new(asking.clone()), ..refund(500) };
    let request = id(&answered(&world, request).await);
    let manager = |name: &str, of: Option<&str>| Actor {
        person: of.map(|name| ActorId::parse(name).expect("a name")),
        ..person(name, "manager")
    };
    let accounts = [
        Actor { roles: [slug("manager")].into(), ..asking },
        manager("support@example.test", None),
        manager("ada", None),
        manager("ada-admin", Some("ada")),
        manager("robot-of-ada", Some("ada")),
        manager("robot", Some("support@example.test")),
    ];
    for account in &accounts {
        let said = say(&world, account, &request, yes()).await;
        assert_eq!(said, Err(ErrorCode::PolicyDenied), "{} of {}", account.id, account.person());
    }
    assert_eq!(say(&world, &manager("mo", None), &request, yes()).await, Ok(State::Approved));
}

#[tokio::test]
async fn whose_roles_are_not_named_may_not_decide_and_other_workspaces_see_nothing() {
    let (world, _) = world().await;
    let request = parked(&world, 500).await;
    let analyst = person("al", "analyst");
    assert_eq!(say(&world, &analyst, &request, yes()).await, Err(ErrorCode::InputInvalid));
    assert!(world.approvals.show(&analyst, &request).await.expect("an answer").is_none());
    let colleague = person("support-2", "support");
    assert!(world.approvals.show(&colleague, &request).await.expect("an answer").is_none());
    let elsewhere = Actor { workspace: slug("lab"), ..person("mo", "manager") };
    assert_eq!(say(&world, &elsewhere, &request, yes()).await, Err(ErrorCode::InputInvalid));
    let listed = async |viewer: &Actor| {
        world.approvals.list(viewer, Wanted::All, None).await.expect("a list").requests.len()
    };
    assert_eq!((listed(&elsewhere).await, listed(&person("mo", "manager")).await), (0, 1));
    let stranger = CallRequest { actor: Arc::new(colleague), ..refund(1) };
    assert!(world.approvals.collect(&stranger, &request, &world.evidence).await.is_err());
}

#[tokio::test]
async fn a_grant_fits_the_call_that_was_agreed_to_and_no_other() {
    let (world, _) = world().await;
    agree(&world, &parked(&world, 500).await).await;
    let grant = granted(&world).await.pop().expect("a grant");
    let swapped = [
        refund(501),
        refund(5),
        World::request("support", DataClass::Internal, "crm_refund", &json!({"id": "b", "amount": 500})),
        CallRequest { actor: Arc::new(person("support-2", "support")), ..refund(500) },
    ];
    for request in swapped {
        let ended = world.path(request, Some(&grant)).await.map(drop).expect_err("no permit");
        let reply = world.answer(ended).await;
        assert_eq!(reply.code, Some(ErrorCode::ApprovalExpired));
    }
    assert!(world.path(refund(500), Some(&grant)).await.is_ok());
}

#[tokio::test]
async fn an_agreement_does_not_survive_a_change_of_the_policies() {
    let (mut world, _) = world().await;
    let request = parked(&world, 500).await;
    agree(&world, &request).await;
    let grant = granted(&world).await.pop().expect("a grant");
    world.add_policy(
        r#"@id("new") forbid (principal, action, resource == Tool::"crm_refund") when { context.arguments.amount > 9000 };"#,
    );
    let ended =
        world.path(request_of(&world, &grant).await, Some(&grant)).await.map(drop).expect_err("no permit");
    let reply = world.answer(ended).await;
    assert_eq!(reply.code, Some(ErrorCode::ApprovalExpired));
    world.approvals.finish(&grant, &reply, &world.evidence).await.expect("ended");
    assert_eq!(stands(&world, &request).await, State::Void);
}

#[tokio::test]
async fn a_request_expires_at_its_time_and_not_before_and_a_clock_that_goes_back_does_not_revive_it() {
    let (world, clock) = world().await;
    let (early, late) = (parked(&world, 500).await, parked(&world, 600).await);
    clock.advance(Duration::from_hours(24) - Duration::from_micros(1));
    agree(&world, &early).await;
    clock.advance(Duration::from_micros(1));
    let manager = person("mo", "manager");
    assert_eq!(say(&world, &manager, &late, yes()).await, Err(ErrorCode::ApprovalExpired));
    clock.set(Timestamp::from_micros(1_795_255_200_000_000));
    assert_eq!(say(&world, &manager, &late, yes()).await, Err(ErrorCode::InputInvalid));
    assert_eq!(stands(&world, &late).await, State::Expired);
    let told = answered(&world, refund(600)).await;
    assert_ne!(id(&told), late, "who was told that it expired asks anew");
}

#[tokio::test]
async fn nobody_has_to_ask_for_a_request_to_expire() {
    let (world, clock) = world().await;
    let request = parked(&world, 500).await;
    clock.advance(Duration::from_hours(24));
    assert_eq!(granted(&world).await.len(), 0);
    let told = answered(&world, refund(500)).await;
    assert_eq!((told.code, id(&told)), (Some(ErrorCode::ApprovalExpired), request.clone()));
    assert_ne!(id(&answered(&world, refund(500)).await), request);
}

#[tokio::test]
async fn a_no_holds_as_long_as_the_request_would_have_waited() {
    let (world, clock) = world().await;
    let request = parked(&world, 500).await;
    assert_eq!(say(&world, &person("mo", "manager"), &request, no()).await, Ok(State::Rejected));
    assert_eq!(say(&world, &person("di", "manager"), &request, yes()).await, Err(ErrorCode::InputInvalid));
    for _ in 0..2 {
        assert_eq!(answered(&world, refund(500)).await.code, Some(ErrorCode::ApprovalRejected));
    }
    clock.advance(Duration::from_hours(24));
    assert_eq!(answered(&world, refund(500)).await.code, Some(ErrorCode::ApprovalRequired));
}

#[tokio::test]
async fn whoever_asked_takes_a_request_back_and_nobody_else_does() {
    let (world, _) = world().await;
    let request = parked(&world, 500).await;
    let by = async |actor: &Actor| {
        world.approvals.withdraw(actor, &request, &world.evidence).await.map_err(|error| error.code)
    };
    assert_eq!(by(&person("mo", "manager")).await, Err(ErrorCode::PolicyDenied));
    assert_eq!(by(&refund(1).actor).await, Ok(()));
    assert_eq!(answered(&world, refund(500)).await.code, Some(ErrorCode::ApprovalWithdrawn));
    assert_eq!(say(&world, &person("mo", "manager"), &request, yes()).await, Err(ErrorCode::InputInvalid));
}

#[tokio::test]
async fn a_lesser_token_of_the_same_account_gets_no_result_of_a_greater_one() {
    let (world, _) = world().await;
    let request = parked(&world, 500).await;
    agree(&world, &request).await;
    let grant = granted(&world).await.pop().expect("a grant");
    let permit = world.path(request_of(&world, &grant).await, Some(&grant)).await.expect("a permit");
    let reply = run(&world, permit).await;
    world.approvals.finish(&grant, &reply, &world.evidence).await.expect("kept");
    let lesser = Actor { clearance: DataClass::Public, ..Actor::clone(&refund(1).actor) };
    let asked = CallRequest { actor: Arc::new(lesser), ..refund(500) };
    let collected = world.approvals.collect(&asked, &request, &world.evidence).await;
    assert_eq!(collected.map_err(|error| error.code).err(), Some(ErrorCode::InputInvalid));
    assert_ne!(id(&answered(&world, asked).await), request, "theirs is another call");
}

#[tokio::test]
async fn the_document_says_what_will_happen_and_hides_what_is_secret() {
    let (world, _) = world().await;
    let request = parked(&world, 500).await;
    let shown = world.approvals.show(&person("mo", "manager"), &request).await.expect("an answer");
    let document = Document { id: "apr_0".into(), ..shown.expect("a request").document };
    insta::assert_snapshot!(document.to_text());
}

#[tokio::test]
async fn a_policy_may_forbid_somebody_to_decide_whatever_role_they_have() {
    let (mut world, _) = world().await;
    world.add_policy(
        r#"@id("on-leave") forbid (principal == Actor::"mo", action == Action::"approve", resource);"#,
    );
    let request = parked(&world, 500).await;
    assert_eq!(say(&world, &person("mo", "manager"), &request, yes()).await, Err(ErrorCode::PolicyDenied));
    assert_eq!(say(&world, &person("mo", "manager"), &request, no()).await, Err(ErrorCode::PolicyDenied));
    assert_eq!(say(&world, &person("di", "manager"), &request, yes()).await, Ok(State::Approved));
}

#[tokio::test]
async fn a_quorum_is_of_people_who_answer_once_each() {
    let (mut world, _) = world().await;
    world.add_policy(
        r#"@id("careful") @approval("manager; quorum 2")
        forbid (principal, action, resource == Tool::"crm_refund") unless { context.approved };"#,
    );
    let request = parked(&world, 50).await;
    let (mo, di) = (person("mo", "manager"), person("di", "manager"));
    assert_eq!(say(&world, &mo, &request, yes()).await, Ok(State::Pending));
    assert_eq!(say(&world, &mo, &request, yes()).await, Err(ErrorCode::InputInvalid), "once each");
    assert_eq!(say(&world, &di, &request, yes()).await, Ok(State::Approved));
}

#[tokio::test]
async fn everything_that_happens_to_a_request_is_in_the_audit_and_names_nobody() {
    let (world, _) = world().await;
    let request = parked(&world, 500).await;
    agree(&world, &request).await;
    let grant = granted(&world).await.pop().expect("a grant");
    let permit = world.path(request_of(&world, &grant).await, Some(&grant)).await.expect("a permit");
    let reply = run(&world, permit).await;
    world.approvals.finish(&grant, &reply, &world.evidence).await.expect("kept");
    answered(&world, refund(500)).await;
    world.evidence.audit.close().await;
    let records = world.records().await;
    let about: Vec<&Value> = records.iter().filter(|r| r["approval"]["id"] == request.as_str()).collect();
    let events: Vec<&str> = about.iter().filter_map(|record| record["event"].as_str()).collect();
    let expected = [
        "approval.requested",
        "call.refused",
        "approval.voted",
        "approval.moved",
        "approval.moved",
        "call.intent",
        "approval.moved",
        "approval.delivered",
    ];
    assert_eq!(events, expected);
    let text = serde_json::to_string(&records).expect("JSON");
    for secret in ["support@example.test", "\"mo\"", "fine by me"] {
        assert!(!text.contains(secret), "{secret}");
    }
}
