//! Ways to have something else run than what was agreed to, or after its time.

use quaymaster_core::Briefing;

use super::*;

/// What comes of a granted call that does not get its permit.
async fn refused(world: &World, request: CallRequest, grant: &Grant) -> ErrorCode {
    let ended = world.path(request, Some(grant)).await.map(drop).expect_err("no permit");
    let reply = world.answer(ended).await;
    let code = reply.code.expect("a code");
    world.approvals.finish(grant, &reply, &world.evidence).await.expect("ended");
    code
}

#[tokio::test]
async fn a_grant_begins_one_call_and_no_second_one() {
    let (world, _) = world().await;
    let request = parked(&world, 500).await;
    agree(&world, &request).await;
    let grant = granted(&world).await.pop().expect("a grant");
    let call = request_of(&world, &grant).await;
    let permit = world.path(call.clone(), Some(&grant)).await.expect("a permit");
    assert!(world.path(call, Some(&grant)).await.is_err(), "it has begun");
    let reply = run(&world, permit).await;
    world.approvals.finish(&grant, &reply, &world.evidence).await.expect("kept");
    assert!(world.path(refund(500), Some(&grant)).await.is_err(), "it is over");
    assert!(world.approvals.finish(&grant, &reply, &world.evidence).await.is_err());
}

#[tokio::test]
async fn the_grants_of_two_calls_do_not_fit_each_other() {
    let (world, _) = world().await;
    for amount in [500, 600] {
        agree(&world, &parked(&world, amount).await).await;
    }
    let grants = granted(&world).await;
    let (first, second) = (request_of(&world, &grants[0]).await, request_of(&world, &grants[1]).await);
    assert!(world.path(second.clone(), Some(&grants[0])).await.is_err());
    assert!(world.path(first.clone(), Some(&grants[1])).await.is_err());
    assert!(world.path(first, Some(&grants[0])).await.is_ok());
    assert!(world.path(second, Some(&grants[1])).await.is_ok());
}

#[tokio::test]
async fn an_agreement_does_not_survive_another_contract_or_another_environment() {
    let (mut world, _) = world().await;
    let request = parked(&world, 500).await;
    agree(&world, &request).await;
    let grant = granted(&world).await.pop().expect("a grant");
    let mut changed = declarations();
    for tool in changed.iter_mut().filter(|tool| tool.name.as_str() == "crm_refund") {
        tool.description = "Refunds to whom the caller names.".into();
    }
    world.offer(changed);
    let call = request_of(&world, &grant).await;
    assert_eq!(refused(&world, call, &grant).await, ErrorCode::ApprovalExpired);
    assert_eq!(stands(&world, &request).await, State::Void);

    world.offer(declarations());
    let request = parked(&world, 600).await;
    agree(&world, &request).await;
    let grant = granted(&world).await.pop().expect("a grant");
    world.move_to("staging");
    let call = request_of(&world, &grant).await;
    assert_eq!(refused(&world, call, &grant).await, ErrorCode::ApprovalExpired);
    assert_eq!(stands(&world, &request).await, State::Void);
}

#[tokio::test]
async fn an_agreement_does_not_survive_a_change_of_who_asks() {
    let (world, _) = world().await;
    let request = parked(&world, 500).await;
    agree(&world, &request).await;
    let grant = granted(&world).await.pop().expect("a grant");
    let more = Actor { roles: [slug("analyst"), slug("support")].into(), ..Actor::clone(&refund(1).actor) };
    let call = world.approvals.call_of(&grant, Arc::new(more)).await.expect("the call");
    assert_eq!(refused(&world, call, &grant).await, ErrorCode::ApprovalExpired);
}

#[tokio::test]
async fn a_clock_that_goes_back_gives_nobody_more_time() {
    let (world, clock) = world().await;
    let request = parked(&world, 500).await;
    clock.advance(Duration::from_hours(24));
    // Somebody looks, and nothing is done yet.
    assert_eq!(world.approvals.due().await.expect("an answer").len(), 1);
    clock.go_back(Duration::from_hours(2));
    let said = say(&world, &person("mo", "manager"), &request, yes()).await;
    assert_eq!(said, Err(ErrorCode::ApprovalExpired));

    let request = parked(&world, 600).await;
    agree(&world, &request).await;
    clock.advance(Duration::from_hours(27));
    let due = world.approvals.due().await.expect("an answer").pop().expect("what was agreed to");
    clock.go_back(Duration::from_hours(20));
    assert!(matches!(world.approvals.take(due, &world.evidence).await, Ok(Turn::Nothing)));
    assert_eq!(stands(&world, &request).await, State::Lapsed);
}

#[tokio::test]
async fn nobody_decides_before_it_was_asked_whatever_the_clock_says() {
    let (world, clock) = world().await;
    let request = parked(&world, 500).await;
    let shown = async || {
        let shown = world.approvals.show(&person("mo", "manager"), &request).await.expect("an answer");
        shown.expect("a request")
    };
    let made = shown().await.created;
    clock.go_back(Duration::from_hours(1));
    agree(&world, &request).await;
    assert!(shown().await.said[0].at >= made);
}

#[tokio::test]
async fn what_was_agreed_to_and_could_not_begin_in_time_says_so() {
    let (world, clock) = world().await;
    let request = parked(&world, 500).await;
    agree(&world, &request).await;
    clock.advance(Duration::from_hours(24) + Duration::from_micros(1));
    assert_eq!(granted(&world).await.len(), 0);
    assert_eq!(stands(&world, &request).await, State::Lapsed);
    let shown = world.approvals.show(&person("mo", "manager"), &request).await.expect("an answer");
    assert_eq!(shown.expect("a request").state.as_str(), "lapsed");
    let (_, told) = State::Lapsed.refusal().expect("a refusal");
    assert!(told.contains("was agreed to"), "{told}");
}

#[tokio::test]
async fn no_preview_comes_by_a_tool_that_needs_an_agreement_itself() {
    for reads_by in ["crm_refund", "crm_unknown"] {
        let mut tools = declarations();
        let refund = tools.iter_mut().find(|tool| tool.name.as_str() == "crm_refund").expect("a tool");
        let preview = json!({"preview": {"tool": reads_by, "after": {"state": "refunded"}}});
        refund.briefing = Arc::new(serde_json::from_value::<Briefing>(preview).expect("a briefing"));
        let world = World::with(tools).await;
        let request = parked(&world, 500).await;
        let shown = world.approvals.show(&person("mo", "manager"), &request).await.expect("an answer");
        let unknown = shown.expect("a request").document.changes_unknown.expect("it is not known");
        assert!(unknown.contains("needs an agreement itself"), "{unknown}");
    }
}

#[tokio::test]
async fn the_document_has_the_key_under_which_the_write_is_made_once() {
    let (world, _) = world().await;
    let request = CallRequest { idempotency_key: Some("refund-7\u{202e}".into()), ..refund(500) };
    let request = id(&answered(&world, request).await);
    let shown = world.approvals.show(&person("mo", "manager"), &request).await.expect("an answer");
    let document = shown.expect("a request").document;
    assert_eq!(document.idempotency_key.as_deref(), Some("refund-7\\u{202e}"));
    assert!(document.to_text().contains("Key           refund-7"), "{}", document.to_text());
    let written = serde_json::to_value(&document).expect("JSON");
    assert_eq!(written["idempotency_key"], json!("refund-7\\u{202e}"));
}
