//! Every step of a request is written down, from which state to which and why, before it is made.

use super::*;

/// What the log says of the steps of a request: event, from, to.
async fn steps(world: &World, request: &ApprovalId) -> Vec<String> {
    world.evidence.audit.close().await;
    let records = world.records().await;
    let text =
        |record: &Value, at: &str| record.pointer(at).and_then(Value::as_str).unwrap_or("-").to_owned();
    let about = records.iter().filter(|record| text(record, "/approval/id") == request.as_str());
    about
        .map(|record| {
            let [event, from, to] =
                ["/event", "/approval/from", "/approval/state"].map(|at| text(record, at));
            format!("{event} {from} {to}")
        })
        .collect()
}

#[tokio::test]
async fn a_call_that_runs_leaves_each_of_its_steps() {
    let (world, _) = world().await;
    let request = parked(&world, 500).await;
    agree(&world, &request).await;
    let grant = granted(&world).await.pop().expect("a grant");
    let permit = world.path(request_of(&world, &grant).await, Some(&grant)).await.expect("a permit");
    let reply = run(&world, permit).await;
    world.approvals.finish(&grant, &reply, &world.evidence).await.expect("kept");
    answered(&world, refund(500)).await;
    let expected = [
        "approval.requested - pending",
        "call.refused - required",
        "approval.voted pending approved",
        "approval.moved approved running",
        "approval.moved running begun",
        "call.intent - granted",
        "approval.moved begun done",
        "approval.delivered - done",
    ];
    assert_eq!(steps(&world, &request).await, expected);
    for record in world.records().await.iter().filter(|record| record["event"] == "approval.moved") {
        let why = record["approval"]["why"].as_str().unwrap_or_default();
        assert!(!why.is_empty() && record["approval"]["version"].is_string(), "{record}");
    }
}

#[tokio::test]
async fn a_call_whose_process_is_lost_leaves_that_it_was_put_back_and_that_nobody_saw_its_end() {
    let (world, clock) = world().await;
    let request = parked(&world, 500).await;
    agree(&world, &request).await;
    drop(granted(&world).await);
    clock.advance(Duration::from_secs(31));
    assert_eq!(granted(&world).await.len(), 0, "it is put back");
    let grant = granted(&world).await.pop().expect("a grant");
    drop(world.path(request_of(&world, &grant).await, Some(&grant)).await.expect("a permit"));
    clock.advance(Duration::from_secs(31));
    assert_eq!(granted(&world).await.len(), 0);
    let steps = steps(&world, &request).await;
    let moved: Vec<&str> = steps.iter().filter_map(|step| step.strip_prefix("approval.moved ")).collect();
    let expected =
        ["approved running", "running approved", "approved running", "running begun", "begun unknown"];
    assert_eq!(moved, expected);
}

#[tokio::test]
async fn without_the_log_no_request_is_made_and_none_moves() {
    let (world, clock) = world().await;
    let (first, second, third) =
        (parked(&world, 500).await, parked(&world, 600).await, parked(&world, 700).await);
    agree(&world, &second).await;
    world.evidence.audit.close().await;
    assert_eq!(answered(&world, refund(800)).await.code, Some(ErrorCode::AuditUnavailable));
    let listed = world.approvals.list(&person("mo", "manager"), Wanted::All, None).await.expect("a list");
    assert_eq!(listed.requests.len(), 3, "nothing was parked");
    let said = say(&world, &person("mo", "manager"), &first, yes()).await;
    assert_eq!(said, Err(ErrorCode::AuditUnavailable));
    let withdrawn = world.approvals.withdraw(&refund(1).actor, &third, &world.evidence).await;
    assert_eq!(withdrawn.map_err(|error| error.code), Err(ErrorCode::AuditUnavailable));
    let due = world.approvals.due().await.expect("an answer").pop().expect("what was agreed to");
    assert!(world.approvals.take(due, &world.evidence).await.is_err(), "nobody takes it");
    clock.advance(Duration::from_hours(24));
    for due in world.approvals.due().await.expect("an answer") {
        assert!(world.approvals.take(due, &world.evidence).await.is_err());
    }
    for (request, state) in [(first, State::Pending), (second, State::Approved), (third, State::Pending)] {
        let shown = world.approvals.show(&person("mo", "manager"), &request).await.expect("an answer");
        assert_eq!(shown.expect("a request").state, state);
    }
}

#[tokio::test]
async fn what_a_decider_says_is_told_to_whoever_asked() {
    let (world, _) = world().await;
    let request = parked(&world, 500).await;
    assert_eq!(say(&world, &person("mo", "manager"), &request, no()).await, Ok(State::Rejected));
    let reply = answered(&world, refund(500)).await;
    assert_eq!(approval(&reply)["said"], json!([{"verdict": "reject", "comment": "too much"}]));
    assert!(reply.message.as_deref().is_some_and(|text| text.contains("`too much`")), "{:?}", reply.message);
    let collected =
        world.approvals.collect(&refund(500), &request, &world.evidence).await.expect("an answer");
    assert_eq!(collected.1["said"][0]["comment"], json!("too much"));
    assert!(!reply.result.contains("\"mo\""), "not who said it");
}

#[tokio::test]
async fn of_two_who_decide_at_once_each_has_a_record_of_the_step_that_counted() {
    let (mut world, _) = world().await;
    world.add_policy(
        r#"@id("careful") @approval("manager; quorum 2")
        forbid (principal, action, resource == Tool::"crm_refund") unless { context.approved };"#,
    );
    let request = parked(&world, 50).await;
    let (mo, di) = (person("mo", "manager"), person("di", "manager"));
    let (first, second) = tokio::join!(say(&world, &mo, &request, yes()), say(&world, &di, &request, yes()));
    let mut states = [first.expect("counted"), second.expect("counted")].map(State::as_str);
    states.sort_unstable();
    assert_eq!(states, ["approved", "pending"]);
    world.evidence.audit.close().await;
    let records = world.records().await;
    let mut last = std::collections::BTreeMap::new();
    for record in records.iter().filter(|record| record["event"] == "approval.voted") {
        let part = &record["approval"];
        last.insert(record["actor"]["id"].to_string(), (part["version"].clone(), part["state"].clone()));
    }
    let mut counted: Vec<String> =
        last.values().map(|(version, state)| format!("{version} {state}")).collect();
    counted.sort();
    assert_eq!(counted, [r#""0" "pending""#, r#""1" "approved""#]);
}
