//! What permits demand, and what else policies see of a call.

use super::*;

fn texts<'a>(items: impl Iterator<Item = &'a Redaction>) -> Vec<&'a str> {
    items.map(Redaction::as_str).collect()
}

#[test]
fn every_permit_that_holds_adds_its_demands_and_none_lifts_those_of_another() {
    let policy = r#"
        @id("all") permit (principal in Role::"support", action, resource);
        @id("low") @redact("email, $..phone") @limit("30/1m; rows 500") @label("saw:customers")
        permit (principal in Role::"support", action, resource) when { context.arguments.severity == "low" };
        @id("why") @reason_required @redact("email")
        permit (principal in Role::"support", action, resource) when { context.arguments.severity != "high" };
    "#;
    let world = world(policy, vec![escalate(&[])]);
    assert_eq!(world.problems, vec![]);
    let of = |severity| world.decide("support", &json!({"severity": severity})).obligations;
    assert!(of("high").is_empty());
    assert_eq!(texts(of("critical").redactions.iter()), ["email"]);
    let low = of("low");
    assert_eq!(texts(low.redactions.iter()), ["$..phone", "email"]);
    let limits: Vec<String> = low.limits.iter().map(|l| format!("{} {}", l.policy, l.limit)).collect();
    assert_eq!(limits, ["low 30/1m", "low rows 500"]);
    assert!(low.reason_required && low.labels.contains("saw:customers"));
    assert!(world.decide("analyst", &json!({"severity": "low"})).obligations.is_empty());
}

#[test]
fn a_forbid_that_an_approval_lifts_takes_no_demand_away() {
    let policy = r#"
        @id("all") permit (principal, action, resource);
        @id("until") @redact("email") permit (principal, action, resource) unless { context.approved };
    "#;
    let before = world(policy, vec![escalate(&[])]).decide("support", &json!({"severity": "low"}));
    assert_eq!((before.effect, before.obligations.redactions.len()), (DecisionEffect::Allow, 1));
    let gated = ToolDeclaration { approval: Some(by(&["manager"])), ..escalate(&[]) };
    let after = world(policy, vec![gated]).decide("support", &json!({"severity": "low"}));
    assert_eq!(after.effect, self::gated(&["manager"]));
    assert_eq!(after.obligations, before.obligations);
}

#[test]
fn what_needs_an_agreement_of_nobody_is_denied_whatever_stands_beside_it() {
    let nobodys = r#"@id("nobodys") permit (principal, action, resource) when { context.approved };"#;
    let forbid = r#"@id("until") @approval("manager") forbid (principal, action, resource) unless { context.approved };"#;
    let permit =
        r#"@id("says") @approval("manager") permit (principal, action, resource) when { context.approved };"#;
    let decide = |policies: &[&str]| {
        let world = world(&policies.join("\n"), vec![escalate(&[])]);
        world.decide("support", &json!({"severity": "low"})).effect
    };
    assert_eq!(decide(&[nobodys]), DecisionEffect::Deny);
    assert_eq!(decide(&[nobodys, forbid]), DecisionEffect::Deny, "a forbid allows nothing");
    assert_eq!(decide(&[nobodys, permit]), gated(&["manager"]), "whoever says whose is asked");
    assert_eq!(decide(&[permit]), gated(&["manager"]));
    let nobodys = r#"@id("lifted") forbid (principal, action, resource) unless { context.approved };"#;
    let all = r#"@id("all") permit (principal, action, resource);"#;
    assert_eq!(decide(&[nobodys, all]), DecisionEffect::Deny);
    assert_eq!(decide(&[nobodys, permit]), gated(&["manager"]));
    assert_eq!(decide(&[nobodys, permit, all]), gated(&["manager"]), "another permit takes nothing away");
}

#[test]
fn a_policy_sees_when_where_and_by_whom_a_call_is_made() {
    let sees = |condition: &str, circumstances: &Circumstances<'_>| {
        let policy = format!("@id(\"p\") permit (principal, action, resource) when {{ {condition} }};");
        let (catalogue, _) = Catalogue::build(vec![escalate(&[])]);
        let known = Known {
            environments: [("sales".to_owned(), "staging".to_owned())].into(),
            zones: [("sales".to_owned(), Zone::parse("Europe/Berlin").expect("a zone"))].into(),
            ..known()
        };
        let (policies, problems) = Policies::build(&[file(&policy)], &catalogue, &known);
        assert_eq!(problems, vec![], "{condition}");
        let tool = catalogue.tool("escalate").expect("the tool");
        let arguments = Arguments::from_map(Map::from_iter([("severity".to_owned(), "low".into())]));
        policies.decide(&actor("support"), tool, &arguments, circumstances).effect == DecisionEffect::Allow
    };
    let claims = AgentClaims { auto_review: Some(true), ..AgentClaims::default() };
    let labels = ["saw:confidential".to_owned()];
    let circumstances = Circumstances {
        labels: &labels,
        reason: Some("a customer asked"),
        session: Some("ses_1"),
        ..Circumstances::new(&claims, NOON)
    };
    for condition in [
        "context.time.hour == 13 && context.time.minute_of_day == 780 && context.time.weekday == 3",
        "context.time.unix == 1795003200",
        "context.environment == \"staging\" && resource.environment == \"staging\"",
        "resource.classes.contains(\"internal\") && !resource.classes.contains(\"restricted\")",
        "context.labels.contains(\"saw:confidential\")",
        "context has reason && context has session && context.session == \"ses_1\"",
        "principal.person == \"ada\"",
        "context.agent has auto_review && context.agent.auto_review",
    ] {
        assert!(sees(condition, &circumstances), "{condition}");
    }
    let bare = Circumstances::new(&claims, NOON);
    assert!(!sees("context has reason", &bare) && !sees("context has session", &bare));
    assert!(!sees("context.labels.containsAny([\"saw:confidential\"])", &bare));
}

#[test]
fn a_decision_that_cannot_be_evaluated_is_counted() {
    let policy = r#"
        @id("all") permit (principal, action, resource);
        @id("sum") forbid (principal, action, resource)
        when { context.arguments has amount && context.arguments.amount + 1 < 0 };
    "#;
    let world = world(policy, vec![escalate(&[])]);
    world.decide("analyst", &json!({"severity": "low", "amount": 1}));
    assert_eq!(world.policies.evaluation_errors(), 0);
    world.decide("analyst", &json!({"severity": "low", "amount": i64::MAX}));
    assert_eq!(world.policies.evaluation_errors(), 1);
}

#[test]
fn who_is_alike_to_all_policies_decides_alike_and_nobody_else() {
    let policy = r#"
        @id("support") permit (principal in Role::"support", action, resource)
        when { context.arguments.severity == "low" };
        @id("eng") permit (principal, action, resource) when { principal.groups.contains("corp:eng") };
        @id("not-bo") forbid (principal == Actor::"bo", action, resource);
        @id("nobody-of-cy") forbid (principal, action, resource) when { principal.person == "cy" };
    "#;
    let world = world(policy, vec![escalate(&[])]);
    assert_eq!(world.problems, vec![]);
    let tool = world.catalogue.tool("escalate").expect("the tool");
    let arguments = Arguments::from_map(json!({"severity": "low"}).as_object().cloned().expect("an object"));
    let named = |id: &str| ActorId::parse(id).expect("an id");
    let of = |id: &str, person: Option<&str>, role: &str, groups: &[&str]| Actor {
        id: named(id),
        person: person.map(named),
        groups: groups.iter().map(|group| (*group).to_owned()).collect(),
        ..actor(role)
    };
    let may = |actor: &Actor| {
        let claims = AgentClaims::default();
        let decision = world.policies.decide(actor, tool, &arguments, &Circumstances::new(&claims, NOON));
        let allowed = decision.effect == DecisionEffect::Allow;
        assert!(world.policies.could_permit(actor, tool) || !allowed, "what is allowed is seen");
        allowed
    };
    // Twice, so that what was remembered for one is there when another asks.
    for _ in 0..2 {
        assert!(may(&of("ada", None, "support", &[])));
        assert!(!may(&of("bo", None, "support", &[])));
        assert!(!may(&of("dee", Some("cy"), "support", &[])));
        assert!(!may(&of("ada", None, "analyst", &["corp:sales", "other:eng"])));
        assert!(may(&of("ada", None, "analyst", &["corp:eng"])));
        assert!(!may(&of("cy", None, "analyst", &["corp:eng"])));
    }
}
