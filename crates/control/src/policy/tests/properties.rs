//! What holds whatever the policies are.

use cedar_policy::{Authorizer, Context, Decision as Verdict, Entities, PolicyId, PolicySet, Request};
use proptest::prelude::*;
use quaymaster_catalog::search::Query;
use quaymaster_catalog::{Shelf, View};
use quaymaster_core::{CallRequest, Kind, Reach};

use super::*;

const SHAPES: [&str; 15] = [
    "permit (principal in Role::\"ROLE\", action == Action::\"call\", RESOURCE)",
    "permit (principal in Role::\"ROLE\", action, RESOURCE) when { context.arguments.severity == \"low\" }",
    "permit (principal, action, RESOURCE) when { context.approved }",
    "permit (principal, action, RESOURCE) unless { context.approved }",
    "permit (principal in Workspace::\"sales\", action, RESOURCE) when { resource.effect == \"read\" }",
    "permit (principal, action, RESOURCE) when { context.environment == \"production\" && context.time.hour == 12 }",
    "permit (principal, action, RESOURCE) when { principal in Role::\"ROLE\" && context.arguments.severity == \"low\" }",
    "permit (principal == Actor::\"ada\", action, RESOURCE)",
    "permit (principal in Role::\"ROLE\", action, RESOURCE) when { principal.groups.contains(\"corp:eng\") }",
    "forbid (principal in Role::\"ROLE\", action, RESOURCE)",
    "forbid (principal, action, RESOURCE) when { context.arguments.severity == \"high\" }",
    "forbid (principal, action, RESOURCE) unless { context.approved || context.arguments.severity == \"low\" }",
    "forbid (principal in Role::\"ROLE\", action, RESOURCE) when { context.labels.contains(\"saw:restricted\") }",
    "forbid (principal, action, RESOURCE) unless { principal.authentication == \"local_user\" && principal in Role::\"ROLE\" }",
    "forbid (principal, action, RESOURCE) when { principal.person == \"bo\" || context.environment == \"lab\" }",
];
const FORBIDS: usize = 9;
const RESOURCES: [&str; 6] = [
    "resource",
    "resource == Tool::\"escalate\"",
    "resource == Tool::\"search\"",
    "resource in Connector::\"desk\"",
    "resource in Connector::\"shop\"",
    "resource in Workspace::\"sales\"",
];
const DEMANDS: [&str; 5] =
    ["", "@redact(\"email\")", "@limit(\"30/1m\")", "@reason_required", "@label(\"saw:it\")"];

fn any_policy() -> impl Strategy<Value = String> {
    (
        0..SHAPES.len(),
        prop::sample::select(vec!["analyst", "support"]),
        prop::sample::select(RESOURCES.to_vec()),
        any::<bool>(),
        prop::sample::select(DEMANDS.to_vec()),
    )
        .prop_map(|(shape, role, resource, approval, demand)| {
            let approval = if approval { "@approval(\"manager\") " } else { "" };
            let demand = if shape < FORBIDS { demand } else { "" };
            let shape = SHAPES[shape].replace("ROLE", role).replace("RESOURCE", resource);
            format!("{approval}{demand} {shape};")
        })
}

fn text(policies: &[String]) -> String {
    let named: Vec<String> = policies.iter().enumerate().map(|(n, p)| format!("@id(\"p{n}\") {p}")).collect();
    named.join("\n")
}

fn declarations() -> Vec<ToolDeclaration> {
    let search = ToolDeclaration {
        name: ToolName::parse("search").expect("a name"),
        connector: slug("shop"),
        effect: Effect::Write,
        ..escalate(&[])
    };
    vec![escalate(&[]), search]
}

fn shops(policies: &[String]) -> World {
    let (catalogue, found) = Catalogue::build(declarations());
    assert_eq!(found, vec![]);
    let mut known = known();
    known.connectors.insert("shop".into());
    let (policies, problems) = Policies::build(&[file(&text(policies))], &catalogue, &known);
    World { catalogue, policies, problems }
}

impl World {
    fn decide_on(&self, tool: &str, role: &str, severity: &str) -> Decision {
        let tool = self.catalogue.tool(tool).expect("the tool");
        let map = json!({"severity": severity}).as_object().cloned().unwrap_or_default();
        let claims = AgentClaims::default();
        self.policies.decide(
            &actor(role),
            tool,
            &Arguments::from_map(map),
            &Circumstances::new(&claims, NOON),
        )
    }
}

fn rank(effect: &DecisionEffect) -> u8 {
    match effect {
        DecisionEffect::Deny => 0,
        DecisionEffect::NeedsApproval { .. } => 1,
        DecisionEffect::Allow => 2,
    }
}

/// What Cedar says with all policies at once, without a slice and without a schema.
fn whole(policies: &[String], tool: &str, role: &str, severity: &str) -> (Verdict, Vec<String>) {
    let parsed: PolicySet = text(policies).parse().expect("policies");
    let renamed = parsed.policies().map(|p| p.new_id(PolicyId::new(p.annotation("id").unwrap_or_default())));
    let set = PolicySet::from_policies(renamed).expect("a set");
    let (connector, effect) = if tool == "search" { ("shop", "write") } else { ("desk", "read") };
    let entities = json!([
        {"uid": {"type": "Actor", "id": "ada"}, "attrs": {"authentication": "local_user", "groups": [], "person": "ada"},
         "parents": [{"type": "Role", "id": role}, {"type": "Workspace", "id": "sales"}]},
        {"uid": {"type": "Tool", "id": tool},
         "attrs": {"effect": effect, "environment": "production", "classes": ["internal"], "kind": "tool", "name": tool},
         "parents": [{"type": "Connector", "id": connector}, {"type": "Workspace", "id": "sales"}]},
    ]);
    let entities = Entities::from_json_value(entities, None).expect("entities");
    let context = json!({
        "agent": {}, "approved": false, "arguments": {"severity": severity}, "environment": "production",
        "labels": [], "time": {"hour": 12, "minute_of_day": 720, "unix": 1_795_003_200, "weekday": 3},
    });
    let context = Context::from_json_value(context, None).expect("a context");
    let uid = |text: String| text.parse().expect("a uid");
    let request = Request::new(
        uid("Actor::\"ada\"".into()),
        uid("Action::\"call\"".into()),
        uid(format!("Tool::\"{tool}\"")),
        context,
        None,
    )
    .expect("a request");
    let response = Authorizer::new().is_authorized(&request, &set, &entities);
    assert_eq!(response.diagnostics().errors().count(), 0);
    let mut ids: Vec<String> = response.diagnostics().reason().map(ToString::to_string).collect();
    ids.sort();
    (response.decision(), ids)
}

const CALLS: [(&str, &str); 3] = [("analyst", "low"), ("support", "high"), ("support", "critical")];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_slice_decides_as_all_policies_do(policies in prop::collection::vec(any_policy(), 0..8)) {
        let world = shops(&policies);
        prop_assert_eq!(&world.problems, &vec![]);
        for tool in ["escalate", "search"] {
            for (role, severity) in CALLS {
                let decision = world.decide_on(tool, role, severity);
                let (verdict, ids) = whole(&policies, tool, role, severity);
                match verdict {
                    Verdict::Allow => {
                        prop_assert_ne!(decision.effect, DecisionEffect::Deny);
                        prop_assert_eq!(decision.policies, ids);
                    }
                    Verdict::Deny => prop_assert_ne!(decision.effect, DecisionEffect::Allow),
                }
                let seen = world.policies.could_permit(&actor(role), world.catalogue.tool(tool).expect("a tool"));
                prop_assert!(seen || verdict == Verdict::Deny);
            }
        }
    }

    #[test]
    fn what_is_seen_by_short_cuts_is_what_partial_evaluation_says(
        policies in prop::collection::vec(any_policy(), 0..7),
    ) {
        let world = shops(&policies);
        for role in ["analyst", "support", "manager", "analyst"] {
            for tool in ["escalate", "search"] {
                let slice = &world.policies.slices[tool];
                let seen = world.policies.could_permit(&actor(role), world.catalogue.tool(tool).expect("a tool"));
                prop_assert_eq!(seen, slice.could_call_at_all(&actor(role)));
            }
        }
    }

    #[test]
    fn adding_a_forbid_never_allows_more_and_takes_no_demand_away(
        policies in prop::collection::vec(any_policy(), 0..6),
        forbid in any_policy().prop_filter("a forbid", |policy| policy.contains("forbid (")),
    ) {
        let before = shops(&policies);
        let mut more = policies.clone();
        more.push(forbid);
        let after = shops(&more);
        for (role, severity) in CALLS {
            let (was, is) = (before.decide_on("escalate", role, severity), after.decide_on("escalate", role, severity));
            prop_assert!(rank(&is.effect) <= rank(&was.effect));
            if is.effect != DecisionEffect::Deny {
                prop_assert!(is.obligations.redactions.is_superset(&was.obligations.redactions));
                prop_assert!(is.obligations.limits.is_superset(&was.obligations.limits));
                prop_assert!(is.obligations.labels.is_superset(&was.obligations.labels));
                prop_assert!(is.obligations.reason_required || !was.obligations.reason_required);
            }
        }
    }

    #[test]
    fn removing_a_permit_never_allows_more(
        policies in prop::collection::vec(any_policy(), 1..7),
        at in any::<prop::sample::Index>(),
    ) {
        let at = at.index(policies.len());
        prop_assume!(policies[at].contains("permit ("));
        let before = shops(&policies);
        let mut fewer = policies.clone();
        // The others keep their ids.
        fewer[at] = "forbid (principal, action, resource) when { false };".into();
        let after = shops(&fewer);
        for (role, severity) in CALLS {
            let (was, is) = (before.decide_on("escalate", role, severity), after.decide_on("escalate", role, severity));
            prop_assert!(rank(&is.effect) <= rank(&was.effect));
        }
    }

    #[test]
    fn a_configured_approval_binds_and_what_is_hidden_is_never_callable(
        policies in prop::collection::vec(any_policy(), 0..6),
    ) {
        let mut known = known();
        known.connectors.insert("shop".into());
        let gated = ToolDeclaration { approval: Some(by(&["manager"])), ..escalate(&[]) };
        let (catalogue, _) = Catalogue::build(vec![gated]);
        let (policies, _) = Policies::build(&[file(&text(&policies))], &catalogue, &known);
        let world = World { catalogue, policies, problems: vec![] };
        for (role, severity) in CALLS {
            let decision = world.decide_on("escalate", role, severity);
            prop_assert_ne!(&decision.effect, &DecisionEffect::Allow);
            prop_assert!(world.sees(role) || decision.effect == DecisionEffect::Deny);
        }
    }

    #[test]
    fn a_view_without_a_tool_is_that_of_a_catalogue_without_it(
        policies in prop::collection::vec(any_policy(), 0..6),
        query in prop::sample::select(vec!["escalate", "search", "a tool", "severity", "desk", "shop"]),
    ) {
        let world = shops(&policies);
        for role in ["analyst", "support", "manager"] {
            let actor = actor(role);
            let may_see = |tool: &Tool| world.policies.could_permit(&actor, tool);
            let seen = world.catalogue.view(may_see);
            let visible = |declaration: &ToolDeclaration| {
                world.catalogue.tool(declaration.name.as_str()).is_some_and(|tool| may_see(tool))
            };
            let (fewer, _) = Catalogue::build(declarations().into_iter().filter(visible));
            let without = fewer.view(|_| true);
            // Lists, pages, searches and completions are texts of what is in the view, so whoever asks does the
            // same work and gets the same bytes as where the hidden tool was never configured.
            prop_assert_eq!(seen.listing(), without.listing());
            prop_assert_eq!(seen.page(Shelf::Tools, None, 1).objects, without.page(Shelf::Tools, None, 1).objects);
            prop_assert_eq!(seen.tools().count(), without.tools().count());
            let found = |view: &View| {
                let found = view.search(Query { text: query, connector: None, limit: 5 });
                let hits: Vec<String> = found.hits.iter().map(|hit| hit.tool.name().to_string()).collect();
                (hits, found.total)
            };
            prop_assert_eq!(found(&seen), found(&without));
            for tool in ["escalate", "search"] {
                let (one, other) = (asked(&seen, &actor, tool), asked(&without, &actor, tool));
                prop_assert_eq!(&one, &other);
                let denied = world.decide_on(tool, role, "low").effect == DecisionEffect::Deny;
                prop_assert!(one.is_ok() || denied, "what cannot be found is never allowed");
            }
        }
    }
}

/// How a request for `tool` is answered by a view, word for word.
fn asked(view: &View, actor: &Actor, tool: &str) -> Result<String, String> {
    let request = CallRequest {
        id: "call_00000000000000000000000000000000".parse().expect("an id"),
        received: NOON,
        actor: Arc::new(actor.clone()),
        reach: Reach::All,
        session: None,
        agent: AgentClaims::default(),
        trace_id: None,
        sampled: false,
        correlation_id: None,
        idempotency_key: None,
        kind: Kind::Tool,
        tool: tool.to_owned(),
        arguments: Arguments::from_map(Map::new()),
    };
    let found = view.resolve(request).map_err(|unresolved| format!("{:?}", unresolved.error));
    found.map(|call| call.request().tool.clone())
}
