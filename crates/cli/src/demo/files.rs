//! The demo's configuration: a folder that a reader learns from.
//!
//! The files are templates beside this module, complete but for a few places
//! such as `@LISTEN@`, which [`write`] fills. What they mean is checked when
//! they are loaded, not here.
//!
//! Invariants:
//! - A file that is already there is never changed: whoever edited it to try
//!   something keeps it, and is told.
//! - Whatever a path holds, it cannot break out of the YAML text it is put in.

use std::fmt::Write as _;
use std::fs;
use std::io::{ErrorKind, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

/// What the templates do not know.
#[derive(Clone, Debug)]
pub(crate) struct Values {
    /// The running binary, which the support desk is a part of.
    pub(crate) executable: PathBuf,
    /// Where agents connect.
    pub(crate) listen: SocketAddr,
    /// The company's database (see [`super::company`]).
    pub(crate) company: PathBuf,
    /// The folder of the support desk (see [`super::ticketing`]).
    pub(crate) ticketing: PathBuf,
}

/// What [`write`] did, in paths below the folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use = "whoever runs the demo is told which of their files were kept"]
pub(crate) struct Written {
    /// Files that are new.
    pub(crate) created: Vec<&'static str>,
    /// Files that were there with other content, and still are.
    pub(crate) kept: Vec<&'static str>,
}

const FILES: [(&str, &str); 8] = [
    ("README.md", include_str!("files/README.md")),
    ("quaymaster.yaml", include_str!("files/quaymaster.yaml")),
    ("connectors/business-metrics.yaml", include_str!("files/connectors/business-metrics.yaml")),
    ("connectors/support-desk.yaml", include_str!("files/connectors/support-desk.yaml")),
    ("policies/escalations.cedar", include_str!("files/policies/escalations.cedar")),
    ("policies/escalations.test.yaml", include_str!("files/policies/escalations.test.yaml")),
    ("policies/information-flow.cedar", include_str!("files/policies/information-flow.cedar")),
    ("policies/information-flow.test.yaml", include_str!("files/policies/information-flow.test.yaml")),
];

/// Writes the configuration into `folder`, which is created if need be.
///
/// # Errors
///
/// If a path in `values` is not absolute or not Unicode, before anything is
/// written; if a file cannot be read or written.
pub(crate) fn write(folder: &Path, values: &Values) -> anyhow::Result<Written> {
    let placeholders = placeholders(values)?;
    let mut written = Written::default();
    for (name, template) in FILES {
        let path = folder.join(name);
        let content = fill(template, &placeholders);
        match fs::read(&path) {
            Ok(found) if found == content.as_bytes() => {}
            Ok(_) => written.kept.push(name),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                create(&path, &content).with_context(|| format!("cannot write `{}`", path.display()))?;
                written.created.push(name);
            }
            Err(error) => {
                return Err(error).with_context(|| format!("cannot read `{}`", path.display()));
            }
        }
    }
    Ok(written)
}

fn create(path: &Path, content: &str) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    // Never over a file that somebody put there in the meantime.
    fs::File::create_new(path)?.write_all(content.as_bytes())
}

fn placeholders(values: &Values) -> anyhow::Result<[(&'static str, String); 5]> {
    Ok([
        ("@LISTEN@", yaml_text(&values.listen.to_string())),
        ("@ADDRESS@", values.listen.to_string()),
        ("@EXECUTABLE@", yaml_text(absolute(&values.executable)?)),
        ("@COMPANY@", yaml_text(absolute(&values.company)?)),
        ("@TICKETING@", yaml_text(absolute(&values.ticketing)?)),
    ])
}

fn absolute(path: &Path) -> anyhow::Result<&str> {
    match path.to_str() {
        Some(text) if path.is_absolute() => Ok(text),
        Some(_) => bail!("`{}` must be an absolute path", path.display()),
        None => bail!("`{}` is not Unicode, so it cannot be written into a configuration", path.display()),
    }
}

/// Replaces the placeholders in one pass, so that what is filled in is not searched again.
fn fill(template: &str, placeholders: &[(&str, String)]) -> String {
    let mut filled = String::with_capacity(template.len() + 256);
    let mut rest = template;
    let next = |rest: &str| {
        placeholders.iter().filter_map(|(name, value)| Some((rest.find(name)?, *name, value))).min()
    };
    while let Some((at, name, value)) = next(rest) {
        let (before, from) = rest.split_at(at);
        filled.push_str(before);
        filled.push_str(value);
        rest = from.strip_prefix(name).unwrap_or_default();
    }
    filled + rest
}

/// `text` in the double-quoted style of YAML 1.2 (section 7.3.1).
fn yaml_text(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            // Not printable in YAML, or a line break to some readers.
            '\0'..='\u{1f}'
            | '\u{7f}'..='\u{9f}'
            | '\u{2028}'
            | '\u{2029}'
            | '\u{feff}'
            | '\u{fffe}'
            | '\u{ffff}' => {
                let _ = write!(quoted, "\\u{:04x}", u32::from(character));
            }
            printable => quoted.push(printable),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use quaymaster_catalog::Catalogue;
    use quaymaster_control::policy::{Circumstances, DecisionEffect, Known, Policies, PolicyFile};
    use quaymaster_core::connector::Access;
    use quaymaster_core::setting::Slug;
    use quaymaster_core::tool::ResultForm;
    use quaymaster_core::{
        Actor, ActorId, AgentClaims, Arguments, Authentication, Classification, DataClass, Effect, Gate,
        Timestamp, ToolDeclaration, ToolName,
    };
    use quaymaster_gateway::config;
    use serde_json::{Map, json};

    use super::*;

    fn values() -> Values {
        Values {
            executable: "/opt/quaymaster/bin/quaymaster".into(),
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            company: "/var/demo/company.db".into(),
            ticketing: "/var/demo/ticketing".into(),
        }
    }

    fn read(folder: &Path, name: &str) -> String {
        fs::read_to_string(folder.join(name)).expect(name)
    }

    #[test]
    fn every_place_of_every_file_is_filled() {
        let folder = tempfile::tempdir().expect("a folder");
        let written = write(folder.path(), &values()).expect("a configuration");
        assert_eq!(written.created, FILES.map(|(name, _)| name));
        for (name, _) in FILES {
            let text = read(folder.path(), name);
            let left: Vec<&str> = text
                .split(|c: char| !c.is_ascii_uppercase() && c != '@')
                .filter(|word| word.len() > 2 && word.starts_with('@') && word.ends_with('@'))
                .collect();
            assert!(left.is_empty(), "{name}: {left:?}");
        }
        let yaml = read(folder.path(), "connectors/support-desk.yaml");
        assert!(yaml.contains("    command: \"/opt/quaymaster/bin/quaymaster\"\n"), "{yaml}");
        assert!(yaml.contains("args: [demo-ticketing, --data, \"/var/demo/ticketing\"]"), "{yaml}");
        assert!(read(folder.path(), "README.md").contains("http://127.0.0.1:8080/mcp"));
    }

    #[test]
    fn an_edited_file_is_kept_and_named() {
        let folder = tempfile::tempdir().expect("a folder");
        assert!(write(folder.path(), &values()).is_ok());
        fs::write(folder.path().join("quaymaster.yaml"), "# mine\n").expect("an edit");
        fs::remove_file(folder.path().join("README.md")).expect("a removal");
        let written = write(folder.path(), &values()).expect("a configuration");
        assert_eq!(written, Written { created: vec!["README.md"], kept: vec!["quaymaster.yaml"] });
        assert_eq!(read(folder.path(), "quaymaster.yaml"), "# mine\n");
    }

    #[test]
    fn nothing_is_written_where_a_path_cannot_be() {
        let folder = tempfile::tempdir().expect("a folder");
        let relative = Values { company: "company.db".into(), ..values() };
        let error = write(folder.path(), &relative).expect_err("a relative path").to_string();
        assert_eq!(error, "`company.db` must be an absolute path");
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 0);
    }

    #[test]
    fn a_path_cannot_break_out_of_its_quotes() {
        for (text, quoted) in [
            ("/plain path", r#""/plain path""#),
            (r#"/a"b\c"#, r#""/a\"b\\c""#),
            ("/x\n  evil: true # '", "\"/x\\u000a  evil: true # '\""),
            ("/Köln/\u{85}\u{2028}", "\"/Köln/\\u0085\\u2028\""),
        ] {
            assert_eq!(yaml_text(text), quoted);
        }
    }

    #[test]
    fn the_configuration_loads_without_a_warning() {
        let folder = tempfile::tempdir().expect("a folder");
        assert!(write(folder.path(), &values()).is_ok());
        let loaded = config::load(folder.path(), config::SecretCheck::Resolve)
            .unwrap_or_else(|found| panic!("{found}"));
        assert!(loaded.warnings.is_empty(), "{}", loaded.warnings);
        assert_eq!(loaded.settings.listen.address, values().listen);
        assert_eq!(loaded.connectors.len(), 2);
    }

    /// The desk's own tool as the connector offers it, with the policies of the folder.
    fn escalation_policies() -> (Catalogue, Policies) {
        let yaml = include_str!("files/connectors/support-desk.yaml");
        assert!(
            yaml.contains(
                "idempotency: { from: [account_id, severity, summary], argument: idempotency_key }"
            )
        );
        let definition = crate::demo::ticketing::definitions()
            .into_iter()
            .find(|tool| tool["name"] == "create_support_escalation")
            .expect("the tool");
        let slug = |text| Slug::parse(text).expect("a name");
        let classification = Classification { default: DataClass::Internal, columns: vec![], fields: vec![] };
        let declaration = ToolDeclaration {
            offer: quaymaster_core::Offer::Tool,
            connector: slug("support-desk"),
            version: "1.0.0".into(),
            workspaces: [slug("sales")].into(),
            name: ToolName::parse("desk_create_support_escalation").expect("a name"),
            local_name: "create_support_escalation".into(),
            title: None,
            description: String::new(),
            effect: Effect::Write,
            input_schema: definition["inputSchema"].clone(),
            output_schema: None,
            form: ResultForm::Upstream,
            access: Access { roles: vec![], workspaces: None },
            approval: None,
            briefing: std::sync::Arc::default(),
            idempotency: None,
            fixed: Map::new(),
            defaults: Map::new(),
            classification: classification.into(),
            passed_on: Map::new(),
            tasks: false,
            definition: None,
            quarantined: None,
            trust: quaymaster_core::Trust::Internal,
            destination: quaymaster_core::Destination::Internal,
        };
        let (catalogue, problems) = Catalogue::build([declaration]);
        assert!(problems.is_empty(), "{problems:?}");
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let known = Known {
            roles: names(&["analyst", "support", "support_manager"]),
            workspaces: names(&["sales"]),
            connectors: names(&["support-desk"]),
            tools: names(&["desk_create_support_escalation"]),
            ..Known::default()
        };
        let text = include_str!("files/policies/escalations.cedar").to_owned();
        let (policies, problems) =
            Policies::build(&[PolicyFile { path: "escalations.cedar".into(), text }], &catalogue, &known);
        assert!(problems.is_empty(), "{problems:?}");
        (catalogue, policies)
    }

    #[test]
    fn the_policies_decide_by_role_and_arguments() {
        let (catalogue, policies) = escalation_policies();
        let tool = catalogue.tool("desk_create_support_escalation").expect("the tool");
        let actor = |role: &str| Actor {
            id: ActorId::parse("ada@example.test").expect("an actor"),
            person: None,
            roles: [Slug::parse(role).expect("a role")].into(),
            groups: [].into(),
            workspace: Slug::parse("sales").expect("a workspace"),
            clearance: DataClass::Confidential,
            authentication: Authentication::LocalUser,
        };
        let claims = AgentClaims::default();
        let decide = |role, severity, summary| {
            let arguments = json!({"account_id": "ACC-0001", "severity": severity, "summary": summary, "idempotency_key": "k"});
            let arguments = Arguments::from_map(arguments.as_object().cloned().unwrap_or_default());
            let circumstances = Circumstances::new(&claims, Timestamp::from_micros(0));
            policies.decide(&actor(role), tool, &arguments, &circumstances).effect
        };
        assert!(!policies.could_permit(&actor("analyst"), tool));
        assert!(policies.could_permit(&actor("support"), tool));
        assert_eq!(decide("support", "high", "Orders are refused"), DecisionEffect::Allow);
        assert_eq!(decide("support", "high", "Write to ada@example.test"), DecisionEffect::Deny);
        assert_eq!(decide("analyst", "low", "Orders are refused"), DecisionEffect::Deny);
        let approval = DecisionEffect::NeedsApproval {
            gates: vec![Gate::by([Slug::parse("support_manager").expect("a role")])],
        };
        assert_eq!(decide("support", "critical", "Orders are refused"), approval);
        assert_eq!(decide("support", "critical", "Write to ada@example.test"), DecisionEffect::Deny);
    }

    /// Each of the connector's statements, with its parameters bound by name.
    #[test]
    fn every_statement_of_the_configuration_answers_from_the_sample_company() {
        let folder = tempfile::tempdir().expect("a folder");
        let company = folder.path().join("company.db");
        crate::demo::company::create(&company).expect("the company");
        let connection = rusqlite::Connection::open(company).expect("the company");
        let yaml = include_str!("files/connectors/business-metrics.yaml");
        let statements: Vec<&str> = yaml
            .split("statement: |")
            .skip(1)
            .filter_map(|rest| rest.split_once("params:").map(|(statement, _)| statement))
            .collect();
        assert_eq!(statements.len(), 4);
        for sql in statements {
            let mut statement = connection.prepare(sql).expect(sql);
            for at in 1..=statement.parameter_count() {
                let name = statement.parameter_name(at).expect("a named parameter").to_owned();
                match name.as_str() {
                    ":from" => statement.raw_bind_parameter(at, "2026-01-01"),
                    ":to" => statement.raw_bind_parameter(at, "2026-12-31"),
                    ":account_id" => statement.raw_bind_parameter(at, "ACC-0042"),
                    ":count" => statement.raw_bind_parameter(at, 5),
                    _ => statement.raw_bind_parameter(at, rusqlite::types::Null),
                }
                .expect("a value");
            }
            assert!(statement.raw_query().next().expect(sql).is_some(), "{sql}");
        }
    }

    #[test]
    fn a_path_that_looks_like_a_placeholder_is_not_filled_again() {
        let values = Values { company: "/data/@TICKETING@/company.db".into(), ..values() };
        let placeholders = placeholders(&values).expect("paths");
        assert_eq!(fill("path: @COMPANY@\n", &placeholders), "path: \"/data/@TICKETING@/company.db\"\n");
    }
}
