//! A say that is lent, and one that is taken in an emergency.

use super::*;

#[tokio::test]
async fn a_say_can_be_lent_until_an_end_date_and_never_to_whoever_asked() {
    let (world, clock) = world().await;
    let (mo, al) = (person("mo", "manager"), person("al", "analyst"));
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
    assert_eq!(world.approvals.list(&al).await.expect("a list").len(), 3);
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
