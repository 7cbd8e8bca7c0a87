//! What a reader of a bad configuration sees, and what can never happen.

use std::path::Path;

use proptest::prelude::*;
use quaymaster_control::policy::{self, PolicyProblem};

use super::*;

pub(super) const SETTINGS: &str = include_str!("example/quaymaster.yaml");

pub(super) const DESK: &str = include_str!("example/connectors/desk.yaml");

pub(super) const METRICS: &str = include_str!("example/connectors/metrics.yaml");

/// A folder with `files`, and with the good ones where nothing else is said.
pub(super) fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let good = [
        (SETTINGS_FILE, SETTINGS),
        ("connectors/desk.yaml", DESK),
        ("connectors/metrics.yaml", METRICS),
        ("policies/base.cedar", include_str!("example/policies/base.cedar")),
    ];
    for (path, text) in good.iter().chain(files) {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        std::fs::write(path, text).expect("a file");
    }
    folder
}

fn loaded(files: &[(&str, &str)]) -> Result<Loaded, Diagnostics> {
    load(folder(files).path(), SecretCheck::Skip)
}

fn refused(files: &[(&str, &str)]) -> String {
    loaded(files).expect_err("a bad configuration").render(Style::Plain)
}

fn desk_with(from: &str, to: &str) -> String {
    assert!(DESK.contains(from), "{from}");
    DESK.replace(from, to)
}

fn settings_with(from: &str, to: &str) -> String {
    assert!(SETTINGS.contains(from), "{from}");
    SETTINGS.replace(from, to)
}

#[test]
fn a_good_configuration_is_loaded_whole() {
    let loaded = loaded(&[]).unwrap_or_else(|found| panic!("{}", found.render(Style::Plain)));
    assert!(loaded.warnings.is_empty(), "{}", loaded.warnings);
    let names: Vec<String> =
        loaded.connectors.iter().map(|c| c.connector.metadata().name.to_string()).collect();
    assert_eq!(names, ["business-metrics", "desk"]);
    let files: Vec<&str> = loaded.connectors.iter().map(|c| c.source.path()).collect();
    assert_eq!(files, ["connectors/metrics.yaml", "connectors/desk.yaml"]);
    assert_eq!(loaded.policies.first().map(|p| p.path()), Some("policies/base.cedar"));
    assert!(loaded.settings.data_folder.ends_with("data"));
}

#[test]
fn a_misspelt_key_gets_a_suggestion() {
    insta::assert_snapshot!(refused(&[(
        SETTINGS_FILE,
        &settings_with("defaultWorkspace", "defaultWorksapce")
    )]));
}

#[test]
fn a_value_of_another_type_is_told_where_it_is() {
    insta::assert_snapshot!(refused(&[
        (SETTINGS_FILE, &settings_with("roles: [analyst]", "roles: analyst")),
        ("connectors/desk.yaml", &desk_with("timeout: 10s", "timeout: 10, breaker: { failures: many }")),
    ]));
}

#[test]
fn a_tab_cannot_indent() {
    insta::assert_snapshot!(refused(&[(
        "connectors/desk.yaml",
        &desk_with("  engine: mcp", "\tengine: mcp")
    )]));
}

#[test]
fn a_key_that_is_there_twice_is_refused() {
    insta::assert_snapshot!(refused(&[(
        "connectors/desk.yaml",
        &desk_with("  prefix: desk", "  prefix: desk\n  prefix: d")
    )]));
}

#[test]
fn a_secret_that_stands_in_a_file_is_refused_and_never_shown() {
    let literal =
        METRICS.replace("url: ${secret:METRICS_URL}", "url: ada-hunter2-db").replace("rows", "rowz");
    let flow = METRICS.replace(
        "    url: ${secret:METRICS_URL}\n    session: { statementTimeout: 8s }",
        "    session: { statementTimeout: 8s, x: 1 }\n    url: { hunter2: [hunter2, 'hunter2'] }",
    );
    let block = METRICS
        .replace("url: ${secret:METRICS_URL}", "url: |\n      hunter2\n      and hunter2\n    pooll: {}");
    let misspelt = METRICS.replace("url: ${secret:METRICS_URL}", "ulr: hunter2");
    let twice = METRICS.replace("url: ${secret:METRICS_URL}", "url: hunter2\n    url: hunter2");
    let broken = METRICS.replace("url: ${secret:METRICS_URL}", "\turl: hunter2");
    let engine = METRICS
        .replace("engine: sql", "engine: none")
        .replace("  connection:\n    dialect: postgres\n", "  connection:\n");
    let engine = engine
        .replace("url: ${secret:METRICS_URL}", "url: hunter2")
        .replace("engine: none\n  connection:", "engine: none");
    for text in [literal.as_str(), &block, &flow, &misspelt, &twice, &broken, &engine] {
        let found = loaded(&[("connectors/metrics.yaml", text)]).expect_err("a literal secret");
        let json = serde_json::to_string(&found).expect("JSON");
        for shown in
            [found.render(Style::Plain), found.render(Style::Coloured), json, format!("{found} {found:?}")]
        {
            assert!(!shown.contains("hunter2"), "{shown}");
        }
    }
    insta::assert_snapshot!(refused(&[("connectors/metrics.yaml", &literal)]));
}

#[test]
fn an_unknown_role_gets_the_nearest_one_suggested() {
    insta::assert_snapshot!(refused(&[
        (SETTINGS_FILE, &settings_with("roles: [analyst]", "roles: [anaylst]")),
        ("connectors/desk.yaml", &desk_with("[support-agent, analyst]", "[suport-agent, manager]")),
    ]));
}

#[test]
fn an_unknown_workspace_is_told_with_those_that_there_are() {
    insta::assert_snapshot!(refused(&[
        (SETTINGS_FILE, &settings_with("defaultWorkspace: customer-operations", "defaultWorkspace: sales")),
        ("connectors/desk.yaml", &desk_with("[customer-operations]", "[customer-operation]")),
    ]));
}

#[test]
fn a_tool_is_kept_to_workspaces_of_its_connector() {
    let settings = settings_with("workspaces:\n", "workspaces:\n  laboratory: {}\n");
    let listed = |list: &str| desk_with("analyst] }", &format!("analyst], workspaces: {list} }}"));
    insta::assert_snapshot!(refused(&[
        (SETTINGS_FILE, &settings),
        ("connectors/desk.yaml", &listed("[customer-operations, laboratory, customer-operation, sales]")),
    ]));
    let found = refused(&[(SETTINGS_FILE, &settings), ("connectors/desk.yaml", &listed("[]"))]);
    assert!(found.contains("names no workspace: leave it out, or remove the tool"), "{found}");
    let narrow = listed("[customer-operations]");
    assert!(loaded(&[(SETTINGS_FILE, &settings), ("connectors/desk.yaml", &narrow)]).is_ok());
}

#[test]
fn who_may_approve_is_not_a_matter_of_workspaces() {
    let approval =
        "analyst] }\n      approval: { by: { roles: [analyst], workspaces: [customer-operations] } }";
    let found = refused(&[("connectors/desk.yaml", &desk_with("analyst] }", approval))]);
    assert!(found.contains("unknown key `workspaces`"), "{found}");
}

#[test]
fn a_bad_length_of_time_says_which_there_are() {
    insta::assert_snapshot!(refused(&[(
        "connectors/desk.yaml",
        &desk_with("timeout: 10s", "timeout: 10 sec")
    )]));
}

#[test]
fn two_connectors_cannot_have_one_name_or_one_prefix_or_one_tool() {
    let other_prefix = desk_with("name: desk", "name: other");
    let same_tool = other_prefix
        .replace("prefix: desk", "prefix: ''")
        .replace("name: get_ticket", "name: desk_get_ticket");
    insta::assert_snapshot!(refused(&[
        ("connectors/a.yaml", DESK),
        ("connectors/e.yaml", &other_prefix),
        ("connectors/f.yaml", &same_tool.replace("name: other", "name: third")),
    ]));
}

#[test]
fn two_things_cannot_have_one_name_for_agents_nor_for_policies() {
    let prompt = "\n  prompts:\n    - { name: get, access: { roles: [analyst] } }\n";
    let with_values = format!("{}{prompt}", DESK.trim_end());
    let second = "    - name: fetch\n      rename: get_ticket\n      effect: read\n      access: { roles: [analyst] }\n";
    let twice = desk_with("  tools:\n", &format!("  tools:\n{second}"));
    let like_values = DESK
        .replace("name: desk", "name: other")
        .replace("prefix: desk", "prefix: ''")
        .replace("name: get_ticket", "name: desk_get_completion");
    insta::assert_snapshot!(
        [
            refused(&[("connectors/desk.yaml", &twice)]),
            refused(&[("connectors/desk.yaml", &with_values), ("connectors/other.yaml", &like_values)]),
            refused(&[(
                "connectors/desk.yaml",
                &with_values.replace("name: get_ticket", "name: get_completion")
            )]),
        ]
        .join("\n\n")
    );
}

#[test]
fn a_page_has_at_least_one_object_and_at_most_ten_thousand() {
    for size in ["0", "10001", "all"] {
        let paged = format!("workspaces:\n  paged: {{ catalogue: {{ pageSize: {size} }} }}\n");
        let text = settings_with("workspaces:\n", &paged);
        let found = refused(&[(SETTINGS_FILE, &text)]);
        assert!(found.contains("pageSize") && found.contains("quaymaster.yaml:"), "{found}");
    }
}

#[test]
fn an_unknown_engine_is_told_with_those_that_there_are() {
    insta::assert_snapshot!(refused(&[
        ("connectors/desk.yaml", &desk_with("engine: mcp", "engine: mpc")),
        ("connectors/a.yaml", &desk_with("  engine: mcp\n", "")),
        ("connectors/b.yaml", "apiVersion: connector/v1\n"),
        ("connectors/c.yaml", "- a list\n"),
        ("connectors/d.yaml", "# nothing\n"),
        ("connectors/e.yaml", &desk_with("engine: mcp", "engine: 7")),
    ]));
}

#[test]
fn what_the_engine_finds_wrong_is_shown_where_it_is() {
    insta::assert_snapshot!(refused(&[(
        "connectors/desk.yaml",
        &desk_with("/usr/local/bin/desk", "npx").replace("effect: read", "effect: destructive"),
    )]));
}

#[test]
fn the_problems_of_all_files_are_told_at_once() {
    let found = loaded(&[
        (SETTINGS_FILE, &format!("{SETTINGS}lissten: {{}}\nstore: {{ engine: oracle }}\n")),
        ("connectors/desk.yaml", "a: [\n"),
        (
            "connectors/metrics.yaml",
            &METRICS.replace("200", "0").replace("dialect: postgres", "dialect: db2"),
        ),
        ("connectors/readme.txt", ""),
    ])
    .expect_err("many problems");
    insta::assert_snapshot!(found.to_string());
    insta::assert_snapshot!(serde_json::to_string_pretty(&found).expect("JSON"));
}

#[test]
fn a_secret_that_cannot_be_had_is_an_error_only_where_secrets_are_checked() {
    use std::os::unix::fs::PermissionsExt;

    let settings = format!("{SETTINGS}secrets: {{ files: ./secrets }}\n");
    let folder = folder(&[(SETTINGS_FILE, &settings), ("secrets/DESK_TOKEN", "hunter2\n")]);
    assert!(load(folder.path(), SecretCheck::Skip).is_ok());
    let found = load(folder.path(), SecretCheck::Resolve).expect_err("a missing and an exposed secret");
    let root = folder.path().display().to_string();
    insta::assert_snapshot!(found.to_string().replace(&root, "<folder>"));

    for name in ["DESK_TOKEN", "METRICS_URL"] {
        let path = folder.path().join("secrets").join(name);
        std::fs::write(&path, "postgres://ada:hunter2@db/metrics").expect("a file");
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).expect("permissions");
    }
    let loaded = load(folder.path(), SecretCheck::Resolve);
    assert!(loaded.is_ok(), "{loaded:?}");
}

#[test]
fn a_problem_that_is_found_later_is_shown_where_it_is() {
    let loaded =
        loaded(&[("policies/base.cedar", "permit(principal,\n  actoin, resource);\n")]).expect("good");
    let policy = |file, span, severity| PolicyProblem {
        file,
        tool: None,
        span,
        severity,
        message: "unexpected token `actoin`".into(),
        help: Some("did you mean `action`?".into()),
    };
    let late = [
        loaded.policy_diagnostic(&policy(Some(0), Some((20, 6)), policy::Severity::Error)),
        loaded.policy_diagnostic(&policy(Some(0), Some((9_999, 9_999)), policy::Severity::Warning)),
        loaded.policy_diagnostic(&policy(Some(0), None, policy::Severity::Error)),
        loaded.policy_diagnostic(&policy(Some(9), Some((0, 1)), policy::Severity::Error)),
        loaded.connectors[1].source.problem_at("spec.tools[0].name", "the server has no such tool", None),
    ];
    insta::assert_snapshot!(Diagnostics::from_iter(late).render(Style::Plain));
}

#[test]
fn a_folder_that_is_not_there_is_an_error_like_any_other() {
    let found = load(Path::new("/nowhere/at/all"), SecretCheck::Resolve).expect_err("no folder");
    insta::assert_snapshot!(found.render(Style::Plain));
}

/// Texts that are nearly a configuration: good ones with parts put elsewhere.
fn nearly() -> impl Strategy<Value = String> {
    let parts = prop_oneof![
        Just("\n".to_owned()),
        Just(": ".to_owned()),
        Just("- ".to_owned()),
        Just("${secret:X}".to_owned()),
        Just("\t".to_owned()),
        Just("&a *a !b".to_owned()),
        Just("99999999999999999999".to_owned()),
        "[\\PC]{0,6}",
        "[{}\\[\\],:#|>'\"-]{1,4}",
    ];
    (0..3_usize, prop::collection::vec((0..1_000_usize, 0..30_usize, parts), 1..5)).prop_map(
        |(which, edits)| {
            let mut text = [SETTINGS, DESK, METRICS].get(which).copied().unwrap_or_default().to_owned();
            for (at, length, with) in edits {
                let start = text.floor_char_boundary(at % (text.len() + 1));
                let end = text.ceil_char_boundary((start + length).min(text.len()));
                text.replace_range(start..end, &with);
            }
            text
        },
    )
}

proptest! {
    #[test]
    fn no_text_makes_loading_panic(text in prop_oneof![nearly(), "\\PC{0,200}"], name in 0..2_usize) {
        let file = [SETTINGS_FILE, "connectors/desk.yaml"].get(name).copied().unwrap_or_default();
        match loaded(&[(file, &text)]) {
            Ok(loaded) => prop_assert!(!loaded.warnings.has_errors()),
            Err(found) => {
                prop_assert!(found.has_errors());
                prop_assert!(!found.render(Style::Plain).is_empty());
            }
        }
    }
}
