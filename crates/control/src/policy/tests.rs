//! What policies decide, on tools like those of the demo.

use std::sync::Arc;

use quaymaster_core::connector::{Access, ApprovalConfig};
use quaymaster_core::setting::Slug;
use quaymaster_core::tool::ResultForm;
use quaymaster_core::{
    ActorId, AgentClaims, Authentication, Classification, DataClass, Effect, Gate, Timestamp,
    ToolDeclaration, ToolName,
};
use serde_json::{Map, Value, json};

use super::*;

/// 18 November 2026, a Wednesday, at noon UTC.
const NOON: Timestamp = Timestamp::from_micros(1_795_003_200_000_000);

fn slug(text: &str) -> Slug {
    Slug::parse(text).expect("a slug")
}

fn declaration(name: &str, roles: &[&str], input_schema: Value) -> ToolDeclaration {
    ToolDeclaration {
        offer: quaymaster_core::Offer::Tool,
        connector: slug("desk"),
        version: "1.0.0".into(),
        workspaces: [slug("sales")].into(),
        name: ToolName::parse(name).expect("a tool name"),
        local_name: name.into(),
        title: None,
        description: "A tool.".into(),
        effect: Effect::Read,
        input_schema,
        output_schema: None,
        form: ResultForm::Upstream,
        access: Access { roles: roles.iter().map(|r| slug(r)).collect(), workspaces: None },
        approval: None,
        briefing: Arc::default(),
        idempotency: None,
        fixed: Map::new(),
        defaults: Map::new(),
        classification: Arc::new(Classification {
            default: DataClass::Internal,
            columns: vec![],
            fields: vec![],
        }),
        passed_on: Map::new(),
        tasks: false,
        definition: None,
        quarantined: None,
        trust: quaymaster_core::Trust::Internal,
        destination: quaymaster_core::Destination::Internal,
    }
}

fn escalate(roles: &[&str]) -> ToolDeclaration {
    declaration(
        "escalate",
        roles,
        json!({
            "type": "object",
            "properties": {
                "severity": {"enum": ["low", "high", "critical"]},
                "amount": {"type": "integer"}
            },
            "required": ["severity"]
        }),
    )
}

fn known() -> Known {
    let set = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect();
    Known {
        roles: set(&["analyst", "support", "manager"]),
        workspaces: set(&["sales"]),
        connectors: set(&["desk"]),
        tools: set(&["escalate", "search"]),
        ..Known::default()
    }
}

fn actor(role: &str) -> Actor {
    Actor {
        id: ActorId::parse("ada").expect("an id"),
        person: None,
        roles: [slug(role)].into(),
        groups: [].into(),
        workspace: slug("sales"),
        clearance: DataClass::Internal,
        authentication: Authentication::LocalUser,
    }
}

fn file(text: &str) -> PolicyFile {
    PolicyFile { path: "test.cedar".into(), text: text.into() }
}

struct World {
    catalogue: Catalogue,
    policies: Policies,
    problems: Vec<PolicyProblem>,
}

fn world(policy: &str, declarations: Vec<ToolDeclaration>) -> World {
    let (catalogue, found) = Catalogue::build(declarations);
    assert_eq!(found, vec![]);
    let (policies, problems) = Policies::build(&[file(policy)], &catalogue, &known());
    World { catalogue, policies, problems }
}

impl World {
    fn decide(&self, role: &str, arguments: &Value) -> Decision {
        let tool = self.catalogue.tool("escalate").expect("the tool");
        let map = arguments.as_object().cloned().unwrap_or_default();
        self.policies.decide(
            &actor(role),
            tool,
            &Arguments::from_map(map),
            &Circumstances::new(&AgentClaims::default(), NOON),
        )
    }

    fn sees(&self, role: &str) -> bool {
        self.policies.could_permit(&actor(role), self.catalogue.tool("escalate").expect("the tool"))
    }
}

const ESCALATIONS: &str = r#"
@id("support-escalates")
@reason("support may open escalations below critical")
permit (principal in Role::"support", action == Action::"call", resource == Tool::"escalate")
when { context.arguments.severity != "critical" };

@id("critical-needs-a-manager")
@approval("manager")
permit (principal in Role::"support", action == Action::"call", resource == Tool::"escalate")
when { context.arguments.severity == "critical" };

@id("not-too-much")
@reason("amounts above 100 are never opened by agents")
forbid (principal, action == Action::"call", resource in Connector::"desk")
when { context.arguments has amount && context.arguments.amount > 100 };
"#;

#[test]
fn without_a_policy_nothing_is_visible_and_nothing_may_be_called() {
    let world = world("", vec![escalate(&[])]);
    assert!(!world.sees("support"));
    assert_eq!(world.decide("support", &json!({"severity": "low"})), Decision::default_deny());
}

#[test]
fn arguments_decide_and_forbid_wins() {
    let world = world(ESCALATIONS, vec![escalate(&[])]);
    assert_eq!(world.problems, vec![]);
    let effect = |arguments: Value| world.decide("support", &arguments).effect;
    assert_eq!(effect(json!({"severity": "low"})), DecisionEffect::Allow);
    let managers = gated(&["manager"]);
    assert_eq!(effect(json!({"severity": "critical"})), managers);
    assert_eq!(effect(json!({"severity": "low", "amount": 101})), DecisionEffect::Deny);
    let denied = world.decide("support", &json!({"severity": "critical", "amount": 101}));
    assert_eq!(denied.policies, ["not-too-much"]);
    assert_eq!(denied.reasons, ["amounts above 100 are never opened by agents"]);
}

#[test]
fn a_tool_is_seen_if_and_only_if_some_call_could_be_permitted() {
    let world = world(ESCALATIONS, vec![escalate(&[])]);
    assert!(world.sees("support"));
    assert!(!world.sees("analyst"));
    let never = r#"
        @id("p") permit (principal in Role::"support", action, resource) when { principal.authentication == "token" };
        @id("f") forbid (principal in Role::"analyst", action, resource);
        @id("q") permit (principal in Role::"analyst", action, resource) when { context.arguments.severity == "low" };
    "#;
    let world = self::world(never, vec![escalate(&[])]);
    assert_eq!(world.problems, vec![]);
    assert!(!world.sees("support"), "a local user is never a token's bearer");
    assert!(!world.sees("analyst"), "what is forbidden whatever the arguments is not seen");
}

#[test]
fn access_and_approval_of_a_connector_are_policies_too() {
    let mut declaration = escalate(&["analyst"]);
    let world = world("", vec![declaration.clone()]);
    assert_eq!(world.decide("analyst", &json!({"severity": "low"})).policies, ["access/escalate/analyst"]);
    assert!(world.sees("analyst") && !world.sees("support"));

    declaration.approval = Some(by(&["manager"]));
    let world = self::world("", vec![declaration]);
    let managers = gated(&["manager"]);
    assert_eq!(world.decide("analyst", &json!({"severity": "low"})).effect, managers);
}

fn by(roles: &[&str]) -> ApprovalConfig {
    ApprovalConfig::by(roles.iter().map(|r| slug(r)).collect())
}

fn gated(roles: &[&str]) -> DecisionEffect {
    DecisionEffect::NeedsApproval { gates: vec![Gate::by(roles.iter().map(|r| slug(r)))] }
}

#[test]
fn every_forbid_that_an_agreement_lifts_is_a_gate_of_its_own() {
    let policy = r#"
        @id("allowed") permit (principal in Role::"support", action, resource);
        @id("by-manager") @approval("manager; quorum 2")
        forbid (principal, action, resource) unless { context.approved };
        @id("by-analyst") @approval("analyst")
        forbid (principal, action, resource)
        when { context.arguments.severity == "critical" } unless { context.approved };
    "#;
    let world = world(policy, vec![escalate(&[])]);
    assert_eq!(world.problems, vec![]);
    let gates = |severity| match world.decide("support", &json!({"severity": severity})).effect {
        DecisionEffect::NeedsApproval { gates } => gates.iter().map(Gate::to_string).collect(),
        _ => vec![],
    };
    assert_eq!(gates("low"), ["2 people with the role `manager`"]);
    assert_eq!(gates("critical"), ["somebody with the role `analyst`", "2 people with the role `manager`"]);
}

#[test]
fn a_configured_approval_binds_whatever_a_written_permit_says() {
    let mut declaration = escalate(&["analyst"]);
    declaration.approval = Some(by(&["manager"]));
    let policy = r#"
        @id("all") permit (principal in Role::"support", action, resource);
        @id("lenient") @approval("support") permit (principal in Role::"analyst", action, resource);
    "#;
    let world = world(policy, vec![declaration]);
    assert_eq!(world.problems, vec![]);
    let managers = gated(&["manager"]);
    for role in ["analyst", "support"] {
        assert_eq!(world.decide(role, &json!({"severity": "low"})).effect, managers, "{role}");
        assert!(world.sees(role));
    }
    assert_eq!(world.decide("manager", &json!({"severity": "low"})).effect, DecisionEffect::Deny);
}

#[test]
fn an_approval_that_nobody_could_give_is_an_error() {
    let mut declaration = escalate(&["analyst"]);
    declaration.approval = Some(by(&[]));
    let world = world("", vec![declaration]);
    assert_eq!(world.problems.iter().map(|p| p.severity).collect::<Vec<_>>(), [Severity::Error]);
    assert!(!world.sees("analyst"));
    assert_eq!(world.decide("analyst", &json!({"severity": "low"})).effect, DecisionEffect::Deny);
}

#[test]
fn the_hint_to_whoever_is_denied_speaks_of_their_own_permits_alone() {
    let policy = r#"
        @id("a") @reason("analysts may by day") permit (principal in Role::"analyst", action, resource);
        @id("s") @reason("support may at night") permit (principal in Role::"support", action, resource);
        @id("b") @reason("bo may always") permit (principal == Actor::"bo", action, resource);
        @id("w") @reason("sales may") permit (principal in Workspace::"sales", action, resource);
        @id("e") @reason("everybody may") permit (principal, action, resource);
    "#;
    let world = world(policy, vec![escalate(&[])]);
    assert_eq!(world.problems, vec![]);
    let tool = world.catalogue.tool("escalate").expect("the tool");
    let told = world.policies.permit_reasons(&actor("analyst"), tool);
    assert_eq!(told, ["analysts may by day", "everybody may", "sales may"]);
}

#[test]
fn a_forbid_that_an_approval_lifts_asks_for_that_approval() {
    let policy = r#"
        @id("all") permit (principal, action, resource);
        @id("gate") @approval("manager") forbid (principal, action, resource)
        when { context.arguments.severity == "critical" && !context.approved };
    "#;
    let world = world(policy, vec![escalate(&[])]);
    assert_eq!(world.problems, vec![]);
    assert_eq!(world.decide("analyst", &json!({"severity": "low"})).effect, DecisionEffect::Allow);
    let managers = gated(&["manager"]);
    assert_eq!(world.decide("analyst", &json!({"severity": "critical"})).effect, managers);
}

#[test]
fn a_policy_that_fails_to_evaluate_denies_even_if_another_permits() {
    let policy = r#"
        @id("all") permit (principal, action, resource);
        @id("sum") forbid (principal, action, resource)
        when { context.arguments has amount && context.arguments.amount + 1 < 0 };
    "#;
    let world = world(policy, vec![escalate(&[])]);
    assert_eq!(world.problems, vec![]);
    let overflow = world.decide("analyst", &json!({"severity": "low", "amount": i64::MAX}));
    assert_eq!((overflow.effect, overflow.errors), (DecisionEffect::Deny, 1));
}

#[test]
fn what_is_wrong_with_a_policy_is_said_with_its_place_and_what_would_be_right() {
    let cases = [
        "permit (principal, action, resource)",
        "permit (principal, action, resource);",
        r#"@id("a") @aproval("manager") permit (principal, action, resource);"#,
        r#"@id("a") permit (principal in Role::"analist", action, resource);"#,
        r#"@id("a") permit (principal, action == Action::"cal", resource);"#,
        r#"@id("a") permit (principal, action, resource == Tool::"escalte");"#,
        r#"@id("a") permit (principal, action, resource == Role::"analyst");"#,
        r#"@id("a") @approval("") permit (principal, action, resource);"#,
        r#"@id("a") @approval("boss") permit (principal, action, resource);"#,
        r#"@id("a") @redact("data.email") permit (principal, action, resource);"#,
        r#"@id("a") @redact("$.a[") permit (principal, action, resource);"#,
        r#"@id("a") @redact("email") forbid (principal, action, resource);"#,
        r#"@id("a") @limit("30/minute") permit (principal, action, resource);"#,
        r#"@id("a") @reason_required("yes") permit (principal, action, resource);"#,
        r#"@id("a") @label("Saw Customers") permit (principal, action, resource);"#,
        r#"@id("a") permit (principal, action, resource) when { context.arguments.severty == "low" };"#,
        r#"@id("a") permit (principal, action, resource) when { context.arguments.severity == 5 };"#,
        r#"@id("a") permit (principal, action, resource) when { principal.clearanse };"#,
        r#"@id("a") permit (principal, action, resource); @id("a") permit (principal, action, resource);"#,
        r#"@id("a") permit (principal == ?principal, action, resource);"#,
    ];
    let report: Vec<String> = cases
        .iter()
        .map(|case| {
            let problems = world(case, vec![escalate(&[])]).problems;
            assert!(!problems.is_empty(), "{case}");
            let told: Vec<String> = problems
                .iter()
                .map(|p| format!("    {:?} {} ({})", p.span, p.message, p.help.as_deref().unwrap_or("-")))
                .collect();
            format!("{case}\n{}", told.join("\n"))
        })
        .collect();
    insta::assert_snapshot!(report.join("\n"));
}

mod actions;
mod demands;
mod properties;
