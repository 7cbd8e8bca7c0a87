//! What holds whatever the policies are.

use proptest::prelude::*;

use super::*;

const SHAPES: [&str; 6] = [
    "permit (principal in Role::\"ROLE\", action, resource)",
    "permit (principal in Role::\"ROLE\", action, resource) when { context.arguments.severity == \"low\" }",
    "permit (principal, action, resource == Tool::\"escalate\") when { context.approved }",
    "forbid (principal in Role::\"ROLE\", action, resource)",
    "forbid (principal, action, resource in Connector::\"desk\") when { context.arguments.severity == \"high\" }",
    "forbid (principal, action, resource) unless { context.approved || context.arguments.severity == \"low\" }",
];

fn any_policy() -> impl Strategy<Value = String> {
    (prop::sample::select(SHAPES.to_vec()), prop::sample::select(vec!["analyst", "support"]), any::<bool>())
        .prop_map(|(shape, role, approval)| {
            let approval = if approval { "@approval(\"manager\") " } else { "" };
            format!("{approval}{};", shape.replace("ROLE", role))
        })
}

fn text(policies: &[String]) -> String {
    let named: Vec<String> = policies.iter().enumerate().map(|(n, p)| format!("@id(\"p{n}\") {p}")).collect();
    named.join("\n")
}

fn rank(effect: &DecisionEffect) -> u8 {
    match effect {
        DecisionEffect::Deny => 0,
        DecisionEffect::NeedsApproval { .. } => 1,
        DecisionEffect::Allow => 2,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn adding_a_forbid_never_allows_more_an_approval_binds_and_hidden_is_never_callable(
        policies in prop::collection::vec(any_policy(), 0..5),
        forbid in prop::sample::select(SHAPES[3..].to_vec()),
    ) {
        let before = world(&text(&policies), vec![escalate(&[])]);
        let mut more = policies.clone();
        more.push(format!("{};", forbid.replace("ROLE", "analyst")));
        let after = world(&text(&more), vec![escalate(&[])]);
        let gated = world(&text(&policies), vec![ToolDeclaration {
            approval: Some(by(&["manager"])),
            ..escalate(&[])
        }]);
        for role in ["analyst", "support"] {
            for severity in ["low", "high", "critical"] {
                let call = json!({"severity": severity});
                let (was, is) = (before.decide(role, &call), after.decide(role, &call));
                prop_assert!(rank(&is.effect) <= rank(&was.effect));
                prop_assert_ne!(gated.decide(role, &call).effect, DecisionEffect::Allow);
                prop_assert!(before.sees(role) || was.effect == DecisionEffect::Deny);
            }
        }
    }
}
