//! A say that is lent, and one that is taken in an emergency.

use super::*;

#[tokio::test]
async fn a_say_can_be_lent_until_an_end_date_and_never_to_whoever_asked() {
    let (world, clock) = world().await;
    let (mo, al) = (person("mo", "manager"), person("al", "analyst"));
    world.let_in("mo", None, "manager").await;
    let lend = async |to: &str, days: u64| {
        let until = clock.now().after(Duration::from_hours(24 * days));
        let to = ActorId::parse(to).expect("a name");
        let lent = world.approvals.delegate(&mo, &to, vec![slug("manager")], until, &world.evidence).await;
        lent.map_err(|error| error.code)
    };
    assert_eq!(lend("mo", 1).await, Err(ErrorCode::InputInvalid), "to oneself");
    assert_eq!(lend("al", 400).await, Err(ErrorCode::InputInvalid), "for ever");
    lend("support@example.test", 2).await.expect("lent");
    let delegation = lend("al", 2).await.expect("lent");
    let (first, second, third) =
        (parked(&world, 500).await, parked(&world, 600).await, parked(&world, 700).await);
    let asking = Actor::clone(&refund(1).actor);
    assert_eq!(say(&world, &asking, &first, yes()).await, Err(ErrorCode::PolicyDenied));
    assert_eq!(say(&world, &al, &first, yes()).await, Ok(State::Approved));
    let listed = world.approvals.list(&al, Wanted::All, None).await.expect("a list");
    assert_eq!(listed.requests.len(), 3);
    assert!(world.approvals.take_back(&mo, &delegation, &world.evidence).await.is_ok());
    assert_eq!(say(&world, &al, &second, yes()).await, Err(ErrorCode::InputInvalid), "it was taken back");
    lend("al", 1).await.expect("lent");
    clock.advance(Duration::from_hours(24) - Duration::from_micros(1));
    agree(&world, &third).await;
}

#[tokio::test]
async fn nobody_lends_a_role_that_they_do_not_have_or_a_say_on_what_they_asked_for() {
    let (world, clock) = world().await;
    let until = clock.now().after(Duration::from_hours(1));
    let asking = Actor { roles: [slug("manager"), slug("support")].into(), ..Actor::clone(&refund(1).actor) };
    let al = ActorId::parse("al").expect("a name");
    world.let_in("support@example.test", None, "manager").await;
    let lend = async |role: &str| {
        let roles = vec![slug(role)];
        world.approvals.delegate(&asking, &al, roles, until, &world.evidence).await.map_err(|e| e.code)
    };
    assert_eq!(lend("analyst").await, Err(ErrorCode::PolicyDenied));
    lend("manager").await.expect("lent");
    let request = CallRequest { actor: Arc::new(asking.clone()), ..refund(500) };
    let request = id(&answered(&world, request).await);
    let said = say(&world, &person("al", "analyst"), &request, yes()).await;
    assert_eq!(said, Err(ErrorCode::PolicyDenied), "it would be the requester's own say");
}

#[tokio::test]
async fn an_emergency_goes_ahead_and_somebody_else_reviews_it() {
    let (mut world, _) = world().await;
    world.add_policy(
        r#"@id("careful") @approval("manager; quorum 2; emergency analyst")
        forbid (principal, action, resource == Tool::"crm_refund")
        when { context.arguments.amount == 50 || context.arguments.amount > 900 } unless { context.approved };"#,
    );
    let hurry = || Spoken { verdict: Verdict::Emergency, comment: Some("the shop is down".into()) };
    let (al, mo) = (person("al", "analyst"), person("mo", "manager"));
    let two_gates = parked(&world, 950).await;
    let said = say(&world, &al, &two_gates, hurry()).await;
    assert_eq!(said, Err(ErrorCode::PolicyDenied), "one of the two gates knows no emergency");

    let request = parked(&world, 50).await;
    assert_eq!(say(&world, &mo, &request, hurry()).await, Err(ErrorCode::PolicyDenied));
    assert_eq!(say(&world, &al, &request, hurry()).await, Ok(State::Approved));
    let shown = world.approvals.show(&mo, &request).await.expect("an answer").expect("a request");
    assert!(shown.review_due);
    let review = async |actor: &Actor| {
        let decider = Decider { actor, channel: "test" };
        world.approvals.review(decider, &request, yes(), &world.evidence).await.map_err(|error| error.code)
    };
    let both = Actor { roles: [slug("analyst"), slug("manager")].into(), ..al };
    assert_eq!(review(&both).await, Err(ErrorCode::PolicyDenied), "not whoever let it through");
    assert_eq!(review(&refund(1).actor).await, Err(ErrorCode::PolicyDenied), "not whoever asked");
    assert_eq!(review(&mo).await, Ok(()));
    assert_eq!(review(&person("di", "manager")).await, Err(ErrorCode::InputInvalid), "it is reviewed");
}

#[tokio::test]
async fn what_was_lent_counts_as_long_as_its_giver_has_the_role() {
    let (world, clock) = world().await;
    let token = world.let_in("mo", None, "manager").await;
    let (mo, al) = (person("mo", "manager"), person("al", "analyst"));
    let until = clock.now().after(Duration::from_hours(80 * 24));
    let lent = world.approvals.delegate(&mo, &al.id, vec![slug("manager")], until, &world.evidence).await;
    lent.expect("lent");
    let (first, second) = (parked(&world, 500).await, parked(&world, 600).await);
    assert_eq!(say(&world, &al, &first, yes()).await, Ok(State::Approved));
    assert!(world.store.token_revoke(&token, 1).await.expect("revoked"));
    assert_eq!(say(&world, &al, &second, yes()).await, Err(ErrorCode::InputInvalid), "the giver has no role");
    assert!(world.approvals.show(&al, &second).await.expect("an answer").is_none());

    // A token in another role is none in this one; one that is over is none any more.
    world.let_in("mo", None, "analyst").await;
    assert_eq!(say(&world, &al, &second, yes()).await, Err(ErrorCode::InputInvalid));
    world.let_in("mo-2", Some("MO"), "manager").await;
    assert_eq!(say(&world, &al, &second, yes()).await, Ok(State::Approved));
    clock.advance(Duration::from_hours(31 * 24));
    let third = parked(&world, 700).await;
    assert_eq!(say(&world, &al, &third, yes()).await, Err(ErrorCode::InputInvalid));
}

#[tokio::test]
async fn nobody_lends_to_another_account_of_theirs_nor_without_end() {
    let (world, clock) = world().await;
    world.let_in("mo-2", Some("mo"), "analyst").await;
    let mo = person("mo", "manager");
    let until = clock.now().after(Duration::from_hours(1));
    let lend = async |to: &str| {
        let to = ActorId::parse(to).expect("a name");
        let lent = world.approvals.delegate(&mo, &to, vec![slug("manager")], until, &world.evidence).await;
        lent.map(drop).map_err(|error| error.code)
    };
    for name in ["MO", "mo-2", "m\u{200b}o"] {
        assert_eq!(lend(name).await, Err(ErrorCode::InputInvalid), "{name:?}");
    }
    for number in 0..100 {
        assert_eq!(lend(&format!("taker-{number}")).await, Ok(()));
    }
    assert_eq!(lend("one-more").await, Err(ErrorCode::InputInvalid));
}
