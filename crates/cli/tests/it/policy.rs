//! What is said about policies without a gateway: explained, tested, compared, replayed.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::gateway::{Demo, Ran, run_in};

fn json_of(ran: &Ran) -> Value {
    serde_json::from_str(&ran.output).unwrap_or_else(|e| panic!("{e}: {} {}", ran.output, ran.complaint))
}

/// The policies of the demo, with one text for another, in a folder of their own.
fn changed(demo: &Demo, from: &str, to: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let text = fs::read_to_string(demo.folder.join("policies/escalations.cedar")).expect("the policies");
    assert!(text.contains(from), "{from}");
    fs::write(folder.path().join("escalations.cedar"), text.replace(from, to)).expect("written");
    let others = "information-flow.cedar";
    fs::copy(demo.folder.join("policies").join(others), folder.path().join(others)).expect("copied");
    folder
}

fn path(folder: &Path) -> &str {
    folder.to_str().expect("a path")
}

const ESCALATION: &str = "desk_create_support_escalation";

#[test]
fn the_tests_of_the_demo_hold_and_a_changed_policy_fails_them_with_the_difference() {
    let demo = Demo::start();
    let ran = demo.run(&["policy", "test"]);
    assert_eq!((ran.code, ran.output.trim()), (0, "7 passed, 0 failed"), "{}", ran.complaint);
    assert_eq!(demo.run(&["policy", "test", "--connect"]).code, 0);
    let lenient = changed(&demo, "@approval(\"support_manager\")", "");
    let ran = demo.run(&["policy", "test", "--json", "--policies", path(lenient.path())]);
    assert_eq!(ran.code, 1);
    let failed = &json_of(&ran)["failed"][0];
    assert_eq!(failed["name"], "a critical escalation waits for a support manager");
    assert_eq!(failed["differences"][0], "decision: expected approval, got allow by `escalations.critical`");
    fs::write(demo.folder.join("policies/typo.test.yaml"), "tests: [{ name: x, expected: allow }]")
        .expect("written");
    let ran = demo.run(&["policy", "test"]);
    assert_eq!(ran.code, 3, "{}", ran.output);
    assert!(
        ran.complaint.contains("expected") && ran.complaint.contains("typo.test.yaml"),
        "{}",
        ran.complaint
    );
}

#[test]
fn a_decision_is_explained_with_its_policies_and_what_would_change_it() {
    let demo = Demo::start();
    let arguments =
        json!({"account_id": "ACC-0001", "severity": "critical", "summary": "Orders are refused"});
    let arguments = arguments.to_string();
    let ask = |role: &str| {
        let asked =
            ["policy", "explain", "--json", "--tool", ESCALATION, "--role", role, "--arguments", &arguments];
        json_of(&demo.run(&asked))
    };
    let told = ask("support");
    assert_eq!((&told["effect"], &told["visible"]), (&json!("approval"), &json!(true)));
    assert_eq!(told["policies"][0]["id"], "escalations.critical");
    assert!(
        told["policies"][0]["place"]
            .as_str()
            .is_some_and(|place| place.starts_with("policies/escalations.cedar:"))
    );
    let changes = told["changes"].to_string();
    assert!(
        changes.contains("without the role `support`: deny") && changes.contains("support_manager"),
        "{changes}"
    );
    let told = ask("analyst");
    assert_eq!((&told["effect"], &told["visible"]), (&json!("deny"), &json!(false)));
    assert!(told["changes"].to_string().contains("with the role `support`: approval by support_manager"));
    let ran = demo.run(&["policy", "explain", "--tool", "desk_creat_support_escalation"]);
    assert_eq!(ran.code, 2);
    assert!(ran.complaint.contains("did you mean `desk_create_support_escalation`?"), "{}", ran.complaint);
}

#[test]
fn access_is_a_matrix_and_a_change_is_its_difference() {
    let demo = Demo::start();
    let matrix = json_of(&demo.run(&["policy", "access", "--json"]));
    let cell = |tool: &str, role: &str| matrix["tools"][tool][role].clone();
    assert_eq!(cell(ESCALATION, "support"), "conditions");
    assert_eq!(cell(ESCALATION, "analyst"), "no");
    assert_eq!(cell("metrics_monthly_revenue", "analyst"), "yes");
    let ran = demo.run(&["policy", "what-if", "--json", "--role", "analyst", "--add-role", "support"]);
    assert!(json_of(&ran)["differences"].to_string().contains(ESCALATION));
    let closed = changed(&demo, "permit (", "forbid (");
    let ran = demo.run(&["policy", "what-if", "--json", "--policies", path(closed.path())]);
    let difference = json!({"tool": ESCALATION, "role": "support", "was": "conditions", "would_be": "no"});
    assert_eq!(json_of(&ran)["differences"], json!([difference]));
    assert_eq!(demo.run(&["policy", "what-if"]).code, 2);
}

#[test]
fn the_decisions_of_the_log_are_made_again_under_other_policies() {
    let mut demo = Demo::start();
    let call = |severity: &str, summary: &str| {
        let arguments = json!({"account_id": "ACC-0001", "severity": severity, "summary": summary});
        demo.call(&demo.support, ESCALATION, &arguments).expect("a result")
    };
    call("high", "Orders are refused");
    call("high", "Orders are late");
    call("critical", "Orders are refused");
    demo.terminate();
    let same = json_of(&demo.run(&["policy", "backtest", "--json"]));
    assert_eq!((&same["differing"], &same["not_replayable"]["erased"]), (&json!(0), &json!(0)), "{same}");
    assert!(same["replayed"].as_u64().is_some_and(|replayed| replayed >= 3), "{same}");
    let strict = changed(&demo, "severity != \"critical\"", "severity == \"low\"");
    let found = json_of(&demo.run(&["policy", "backtest", "--json", "--policies", path(strict.path())]));
    assert_eq!(found["differing"], 2, "{found}");
    let group = &found["differences"][0];
    assert_eq!(
        (&group["was"], &group["would_be"], &group["calls"]),
        (&json!("allow"), &json!("deny"), &json!(2))
    );
    let later = demo.run(&["policy", "backtest", "--json", "--since", "2100-01-01T00:00:00Z"]);
    assert_eq!(json_of(&later)["replayed"], 0);
    assert_eq!(run_in(Path::new("/nowhere"), &["policy", "access"]).code, 3);
}

#[test]
fn without_a_solver_nothing_is_claimed_and_the_error_has_a_code() {
    let demo = Demo::start();
    for (claim, solver, code) in
        [("never", "/no/such/solver", "proof.no_solver"), ("useless", "true", "proof.other_solver")]
    {
        let ran = demo.run(&["policy", "prove", claim, "--solver", solver]);
        assert_eq!((ran.code, ran.output.as_str()), (4, ""), "{}", ran.complaint);
        assert!(
            ran.complaint.contains(code) && ran.complaint.contains("help: install cvc5"),
            "{}",
            ran.complaint
        );
    }
    let ran = demo.run(&["policy", "prove", "never", "--role", "nobody"]);
    assert_eq!((ran.code, ran.complaint.trim()), (2, "error: unknown role `nobody`"));
    assert_eq!(demo.run(&["policy", "prove", "implies"]).code, 2);
}

#[test]
fn a_group_is_something_that_policies_are_asked_about() {
    const ARGUMENTS: &str = r#"{"severity": "low", "summary": "Orders are refused"}"#;
    let demo = Demo::start();
    let text = r#"@id("eng-escalates") permit (principal, action == Action::"call", resource == Tool::"desk_create_support_escalation")
        when { principal.groups.contains("corp:eng") };"#;
    fs::write(demo.folder.join("policies/groups.cedar"), text).expect("written");
    let asked = |group: &str| {
        let ran = demo.run(&[
            "policy",
            "explain",
            "--json",
            "--tool",
            ESCALATION,
            "--group",
            group,
            "--arguments",
            ARGUMENTS,
        ]);
        json_of(&ran)["effect"].clone()
    };
    assert_eq!([asked("corp:eng"), asked("other:eng")], [json!("allow"), json!("deny")]);
}
