//! What is decided beside calls: lists, fields, approvals, administration.

use super::*;

const ALL: &str = r#"@id("all") permit (principal, action == Action::"call", resource);"#;

fn with(policy: &str) -> World {
    let world = world(&format!("{ALL}\n{policy}"), vec![escalate(&[])]);
    assert_eq!(world.problems, vec![]);
    world
}

impl World {
    fn tool(&self) -> &Tool {
        self.catalogue.tool("escalate").expect("the tool")
    }

    fn sees_field(&self, role: &str, field: &str) -> bool {
        self.policies.sees_field(&actor(role), self.tool(), field)
    }
}

#[test]
fn a_forbid_of_list_hides_what_could_be_called() {
    let world = with(
        r#"@id("hidden") forbid (principal in Role::"analyst", action == Action::"list", resource in Connector::"desk");"#,
    );
    assert!(world.sees("support") && !world.sees("analyst"));
}

#[test]
fn fields_are_seen_unless_a_forbid_says_otherwise() {
    let world = with(
        r#"@id("salaries") forbid (principal, action == Action::"read_field", resource == Tool::"escalate")
           when { context.field == "salary" } unless { principal in Role::"manager" };"#,
    );
    assert!(world.policies.restricts_fields(world.tool()));
    assert!(world.policies.takes_fields_out(world.tool()));
    for _ in 0..2 {
        assert!(!world.sees_field("analyst", "salary"));
        assert!(world.sees_field("manager", "salary") && world.sees_field("analyst", "name"));
    }
    assert!(!with("").policies.restricts_fields(world.tool()));
}

#[test]
fn who_may_decide_can_be_forbidden_and_not_permitted() {
    let world = with(
        r#"
        @id("not-at-night") forbid (principal, action == Action::"approve", resource)
        when { context.time.hour < 6 };
        @id("no-analysts") forbid (principal in Role::"analyst", action == Action::"approve", resource);
        @id("not-for-the-boss") forbid (principal, action in [Action::"approve"], resource)
        when { context.requester == "boss" };
        "#,
    );
    let night = Timestamp::from_micros(NOON.as_micros() - 8 * 3_600_000_000);
    let may = |role: &str, requester: &str, at| {
        let requester = ActorId::parse(requester).expect("an id");
        world.policies.may_approve(&actor(role), world.tool().name().as_str(), &requester, at)
    };
    assert!(may("manager", "bo", NOON));
    assert!(!may("manager", "bo", night) && !may("analyst", "bo", NOON) && !may("manager", "boss", NOON));
}

#[test]
fn a_forbid_that_names_no_action_is_about_everything_done_with_tools() {
    let world = with(r#"@id("none") forbid (principal in Role::"analyst", action, resource);"#);
    let bo = ActorId::parse("bo").expect("an id");
    assert!(!world.policies.may_approve(&actor("analyst"), world.tool().name().as_str(), &bo, NOON));
    assert!(world.policies.may_approve(&actor("manager"), world.tool().name().as_str(), &bo, NOON));
    assert!(!world.sees("analyst") && !world.sees_field("analyst", "name"));
}

#[test]
fn nobody_administers_without_a_permit_of_its_own() {
    let world = with("");
    assert!(!world.policies.may_administer(&actor("manager"), "incident.stop"));
    let world = with(
        r#"
        @id("admin") permit (principal in Role::"manager", action == Action::"administer", resource == Workspace::"sales");
        @id("no-keys") forbid (principal, action == Action::"administer", resource) when { context.command like "keys.*" };
        "#,
    );
    let may = |role: &str, command| world.policies.may_administer(&actor(role), command);
    assert!(may("manager", "incident.stop"));
    assert!(!may("manager", "keys.rotate") && !may("analyst", "incident.stop"));
}

#[test]
fn what_changes_nothing_or_does_not_fit_its_action_is_an_error() {
    let cases = [
        r#"@id("a") permit (principal, action == Action::"list", resource);"#,
        r#"@id("a") permit (principal, action in [Action::"approve", Action::"read_field"], resource);"#,
        r#"@id("a") forbid (principal, action == Action::"read_field", resource) when { context.fild == "x" };"#,
        r#"@id("a") forbid (principal, action == Action::"list", resource) when { context.arguments.severity == "low" };"#,
        r#"@id("a") permit (principal, action == Action::"administer", resource == Tool::"escalate");"#,
        r#"@id("a") permit (principal, action == Action::"start_workflow", resource);"#,
        r#"@id("a") forbid (principal, action == Action::"read_feld", resource);"#,
    ];
    let told = cases.map(|case| {
        let problems = world(case, vec![escalate(&[])]).problems;
        assert!(!problems.is_empty(), "{case}");
        let told: Vec<String> = problems
            .iter()
            .map(|p| format!("    {} ({})", p.message, p.help.as_deref().unwrap_or("-")))
            .collect();
        format!("{case}\n{}", told.join("\n"))
    });
    insta::assert_snapshot!(told.join("\n"));
}
