//! How much waits, how long what is over is kept, and lists that go on.

use quaymaster_control::approval::{Bounds, Listed};

use super::*;

async fn listed(world: &World, viewer: &Actor, wanted: Wanted, after: Option<&str>) -> Listed {
    world.approvals.list(viewer, wanted, after).await.expect("a list")
}

#[tokio::test]
async fn as_many_calls_wait_as_may_and_room_is_made_by_deciding() {
    let (world, _) = world().await;
    world.bound(Bounds { per_account: 2, per_workspace: 3, ..Bounds::default() });
    let (first, _) = (parked(&world, 500).await, parked(&world, 501).await);
    let full = answered(&world, refund(502)).await;
    assert_eq!(full.code, Some(ErrorCode::LimitConcurrency));
    let told: Value = serde_json::from_str(&full.result).expect("JSON");
    let error = &told["structuredContent"]["error"];
    assert_eq!((&error["retry"], &error["retry_after_seconds"]), (&json!("safe"), &json!(60)));
    assert_eq!(error["limit"]["name"], json!("approvals.waiting.perAccount"));
    assert_eq!(id(&answered(&world, refund(500)).await), first, "what waits is joined");

    let other = |amount| CallRequest { actor: Arc::new(person("support-2", "support")), ..refund(amount) };
    id(&answered(&world, other(500)).await);
    let full = answered(&world, other(501)).await;
    assert!(full.result.contains("approvals.waiting.perWorkspace"), "{}", full.result);
    assert_eq!(say(&world, &person("mo", "manager"), &first, no()).await, Ok(State::Rejected));
    id(&answered(&world, refund(502)).await);
}

#[tokio::test]
async fn what_is_over_is_forgotten_after_its_time_and_what_has_to_be_reviewed_is_not() {
    let (mut world, clock) = world().await;
    world.add_policy(
        r#"@id("careful") @approval("manager; quorum 2; emergency analyst")
        forbid (principal, action, resource == Tool::"crm_refund")
        when { context.arguments.amount == 50 } unless { context.approved };"#,
    );
    let (rejected, waits, hurried) =
        (parked(&world, 500).await, parked(&world, 600).await, parked(&world, 50).await);
    let mo = person("mo", "manager");
    assert_eq!(say(&world, &mo, &rejected, no()).await, Ok(State::Rejected));
    let hurry = Spoken { verdict: Verdict::Emergency, comment: None };
    assert_eq!(say(&world, &person("al", "analyst"), &hurried, hurry).await, Ok(State::Approved));
    let grant = granted(&world).await.pop().expect("a grant");
    let permit = world.path(request_of(&world, &grant).await, Some(&grant)).await.expect("a permit");
    let reply = run(&world, permit).await;
    world.approvals.finish(&grant, &reply, &world.evidence).await.expect("kept");

    clock.advance(Duration::from_hours(90 * 24));
    assert_eq!(world.approvals.purge(&world.evidence).await.expect("an answer"), 0);
    clock.advance(Duration::from_micros(1));
    assert_eq!(world.approvals.purge(&world.evidence).await.expect("an answer"), 1);
    assert_eq!(world.approvals.purge(&world.evidence).await.expect("an answer"), 0);
    assert!(world.approvals.show(&mo, &rejected).await.expect("an answer").is_none());
    for request in [&waits, &hurried] {
        assert!(world.approvals.show(&mo, request).await.expect("an answer").is_some());
    }
    let all = listed(&world, &mo, Wanted::All, None).await;
    assert_eq!(all.requests.iter().map(|request| &request.id).collect::<Vec<_>>(), [&hurried, &waits]);
    world.evidence.audit.close().await;
    let records = world.records().await;
    let purged: Vec<&Value> = records.iter().filter(|record| record["event"] == "approval.purged").collect();
    assert_eq!(purged.len(), 1);
    assert_eq!(purged[0]["approval"]["ids"], json!(rejected.as_str()));
}

#[tokio::test]
async fn a_list_goes_on_to_its_end_and_what_has_to_be_reviewed_comes_first_however_old() {
    let (mut world, clock) = world().await;
    world.add_policy(
        r#"@id("careful") @approval("manager; emergency analyst")
        forbid (principal, action, resource == Tool::"crm_refund")
        when { context.arguments.amount == 50 } unless { context.approved };"#,
    );
    let hurried = parked(&world, 50).await;
    let hurry = Spoken { verdict: Verdict::Emergency, comment: None };
    assert_eq!(say(&world, &person("al", "analyst"), &hurried, hurry).await, Ok(State::Approved));
    clock.advance(Duration::from_hours(40 * 24));
    assert_eq!(granted(&world).await.len(), 0, "it lapsed");
    for amount in 0..60 {
        clock.advance(Duration::from_secs(1));
        parked(&world, 500 + amount).await;
    }
    let mo = person("mo", "manager");
    let first = listed(&world, &mo, Wanted::Open, None).await;
    assert_eq!((first.requests.len(), &first.requests[0].id), (50, &hurried));
    assert_eq!(first.requests[0].said.len(), 1);
    let next = first.next.as_deref().expect("there are more");
    let second = listed(&world, &mo, Wanted::Open, Some(next)).await;
    assert_eq!((second.requests.len(), second.next), (11, None));
    let mut ids: Vec<&ApprovalId> =
        first.requests.iter().chain(&second.requests).map(|request| &request.id).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 61, "each once");
    assert_eq!(listed(&world, &mo, Wanted::Reviews, None).await.requests.len(), 1);
    assert_eq!(listed(&world, &mo, Wanted::Mine, None).await.requests.len(), 0);
    let asking = Actor::clone(&refund(1).actor);
    assert_eq!(listed(&world, &asking, Wanted::Mine, None).await.requests.len(), 50);
    for (viewer, place) in [(&asking, next), (&mo, "AAAA"), (&mo, "not base64!")] {
        let refused = world.approvals.list(viewer, Wanted::Open, Some(place)).await.expect_err("no place");
        let refused: quaymaster_core::CallError = refused.into();
        assert_eq!(refused.code, ErrorCode::InputInvalid);
    }
}
