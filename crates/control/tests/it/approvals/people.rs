//! Who somebody is, whatever their accounts are called: nobody decides on what they asked for, nor twice.

use quaymaster_core::Actor;

use super::*;

fn as_person(name: &str, of: Option<&str>, role: &str) -> Actor {
    Actor { person: of.map(|name| ActorId::parse(name).expect("a name")), ..person(name, role) }
}

/// The request of an account behind which `of` is.
async fn asked_by(world: &World, name: &str, of: Option<&str>, amount: u32) -> ApprovalId {
    let request = CallRequest { actor: Arc::new(as_person(name, of, "support")), ..refund(amount) };
    id(&answered(world, request).await)
}

#[tokio::test]
async fn a_requester_never_decides_over_a_chain_of_accounts() {
    let (world, _) = world().await;
    world.let_in("ada-robots", Some("ada-work"), "support").await;
    world.let_in("ada-work", Some("ada"), "support").await;
    world.let_in("ada-admin", Some("ada"), "manager").await;
    let request = asked_by(&world, "robot-7", Some("ada-robots"), 500).await;
    for (name, of) in [("ada-work", None), ("ada", None), ("ada-admin", Some("ada")), ("x", Some("ada-work"))]
    {
        let said = say(&world, &as_person(name, of, "manager"), &request, yes()).await;
        assert_eq!(said, Err(ErrorCode::PolicyDenied), "{name} of {of:?}");
    }
    assert_eq!(say(&world, &person("mo", "manager"), &request, yes()).await, Ok(State::Approved));
}

#[tokio::test]
async fn whoever_owns_a_service_account_never_decides_on_what_it_asked_for() {
    let (world, _) = world().await;
    // Of two tokens of the account one names its owner, and it asks with the other.
    world.let_in("robot", Some("ada"), "support").await;
    let request = asked_by(&world, "robot", None, 500).await;
    let said = say(&world, &person("ada", "manager"), &request, yes()).await;
    assert_eq!(said, Err(ErrorCode::PolicyDenied));
    assert_eq!(say(&world, &person("mo", "manager"), &request, yes()).await, Ok(State::Approved));
}

#[tokio::test]
async fn a_name_that_is_spelled_otherwise_is_the_same_name() {
    let (world, _) = world().await;
    let request = asked_by(&world, "robot", Some("Jos\u{e9}@Example.test"), 500).await;
    for name in [
        "jose\u{301}@example.test",
        "JOS\u{c9}@EXAMPLE.TEST",
        "jos\u{e9}@\u{ff45}xample.test",
        "jos\u{e9}\u{200b}@example.test",
        "ROBOT",
    ] {
        let said = say(&world, &person(name, "manager"), &request, yes()).await;
        assert_eq!(said, Err(ErrorCode::PolicyDenied), "{name:?}");
    }
    let other = person("jose@example.test", "manager");
    assert_eq!(say(&world, &other, &request, yes()).await, Ok(State::Approved));
}

#[tokio::test]
async fn a_person_with_two_accounts_is_one_of_a_quorum_and_does_not_review_their_own_emergency() {
    let (mut world, _) = world().await;
    world.add_policy(
        r#"@id("careful") @approval("manager; quorum 2; emergency manager")
        forbid (principal, action, resource == Tool::"crm_refund") unless { context.approved };"#,
    );
    world.let_in("mo-admin", Some("mo-work"), "manager").await;
    world.let_in("mo-work", Some("Mo"), "manager").await;
    let (mo, admin) = (person("mo", "manager"), as_person("mo-admin", Some("mo-work"), "manager"));
    let request = parked(&world, 50).await;
    assert_eq!(say(&world, &admin, &request, yes()).await, Ok(State::Pending));
    assert_eq!(say(&world, &mo, &request, yes()).await, Err(ErrorCode::InputInvalid), "once each");
    assert_eq!(say(&world, &person("di", "manager"), &request, yes()).await, Ok(State::Approved));

    let request = parked(&world, 60).await;
    let hurry = Spoken { verdict: Verdict::Emergency, comment: None };
    assert_eq!(say(&world, &mo, &request, hurry).await, Ok(State::Approved));
    let review = async |actor: &Actor| {
        let decider = Decider { actor, channel: "test" };
        world.approvals.review(decider, &request, yes(), &world.evidence).await.map_err(|error| error.code)
    };
    assert_eq!(review(&admin).await, Err(ErrorCode::PolicyDenied));
    assert_eq!(review(&person("di", "manager")).await, Ok(()));
}

#[tokio::test]
async fn accounts_in_a_circle_are_one_person_and_more_than_are_followed_keep_everybody_out() {
    let (world, _) = world().await;
    for (account, person) in [("a", "b"), ("b", "c"), ("c", "a")] {
        world.let_in(account, Some(person), "support").await;
    }
    let request = asked_by(&world, "a", Some("b"), 500).await;
    let said = say(&world, &person("c", "manager"), &request, yes()).await;
    assert_eq!(said, Err(ErrorCode::PolicyDenied));
    assert_eq!(say(&world, &person("mo", "manager"), &request, yes()).await, Ok(State::Approved));

    for number in 0..70 {
        world.let_in(&format!("n{number}"), Some(&format!("n{}", number + 1)), "support").await;
    }
    let request = asked_by(&world, "n0", None, 600).await;
    let said = say(&world, &person("mo", "manager"), &request, yes()).await;
    assert_eq!(said, Err(ErrorCode::PolicyDenied), "nobody can tell who asked");
}
