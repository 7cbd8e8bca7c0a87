//! `classification.yaml`, and what is looked for in texts by it.

use std::path::Path;

use quaymaster_control::classification::{ClassProblem, Classes, ClassificationConfig, KnownNames};
use quaymaster_redaction::{ConfigProblem, Engine};

use super::checked::PathProblem;
use super::diagnostic::{Code, Diagnostics, Source};
use super::document::Document;
use super::folder;

/// A classification at work.
#[derive(Debug)]
pub struct LoadedClassification {
    /// As it is written.
    pub config: ClassificationConfig,
    /// What it says of levels and tools.
    pub classes: Classes,
    /// What redacts by it.
    pub engine: Engine,
}

/// Reads the classification at `file` and makes the engine that redacts by it. What it names of the rest of a
/// configuration is taken on trust.
///
/// # Errors
///
/// Everything that is wrong with it, each where it is.
pub fn load_classification(file: &Path) -> Result<LoadedClassification, Diagnostics> {
    let (source, mut found) = folder::read_one(file);
    let Some(source) = source else { return Err(found) };
    let (loaded, problems) = check(source, None);
    found.add(problems);
    loaded.ok_or(found)
}

/// Reads and checks `source`, in a configuration that has what `known` names; with the classification what
/// is worth knowing, without what is wrong.
pub(super) fn check(
    source: Source,
    known: Option<&KnownNames>,
) -> (Option<LoadedClassification>, Diagnostics) {
    let mut found = Diagnostics::default();
    let mut document = Document::<ClassificationConfig>::read(source);
    let config = document.value.take();
    let engine = config.as_ref().and_then(|config| match Engine::new(&config.redaction) {
        Ok(engine) => Some(engine),
        Err(problems) => {
            let problem = |ConfigProblem { path, message }| {
                PathProblem::error(Code::Value, format!("redaction.{path}"), message)
            };
            document.report(problems.into_iter().map(problem));
            None
        }
    });
    let classes = config.as_ref().zip(engine.as_ref());
    let classes = classes.and_then(|(config, engine)| match Classes::new(config, engine, known) {
        Ok(classes) => Some(classes),
        Err(problems) => {
            let problem = |ClassProblem { path, message, help }| {
                PathProblem::error(Code::Value, path, message).help(help)
            };
            document.report(problems.into_iter().map(problem));
            None
        }
    });
    found.add(document.found);
    let loaded = config.zip(classes).zip(engine);
    let loaded = loaded.map(|((config, classes), engine)| LoadedClassification { config, classes, engine });
    (loaded.filter(|_| !found.has_errors()), found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Style;

    fn load(text: &str) -> Result<Engine, String> {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("classification.yaml");
        std::fs::write(&file, text).expect("a file");
        let told = |found: Diagnostics| {
            found.render(Style::Plain).replace(&format!("{}/", folder.path().display()), "")
        };
        load_classification(&file).map(|loaded| loaded.engine).map_err(told)
    }

    #[test]
    fn a_classification_makes_an_engine() {
        let text = "redaction:\n  default: mask\n  kinds:\n    ip: off\n    email: tokenise\n  fields:\n    - match: $..remark\n      kind: person_name\n  lexicon:\n    - names: [matrikelNr]\n      kind: national_id\n";
        assert!(load(text).is_ok());
        assert!(load("redaction: {}").is_ok());
    }

    #[test]
    fn what_is_wrong_is_told_where_it_is() {
        let text = "redaction:\n  defualt: mask\n  kinds:\n    emial: drop\n  fields:\n    - match: $.a[0]\n      kind: email\n      action: hide\n";
        let form = load(text).expect_err("problems");
        let text = "redaction:\n  fields:\n    - match: $.a[0]\n      kind: email\n  detectorsOff: [emial]\n  columns:\n    percent: 0\n";
        let meaning = load(text).expect_err("problems");
        insta::assert_snapshot!(format!("{form}\n{meaning}"));
        let missing = load_classification(Path::new("/nowhere/classification.yaml")).map(|_| ());
        assert!(missing.expect_err("no file").to_string().contains("no such file"));
    }

    #[test]
    fn levels_rules_and_tools_that_mean_nothing_are_told_where_they_are() {
        let known = KnownNames {
            connectors: ["crm".to_owned()].into(),
            tools: ["crm_export".to_owned()].into(),
            roles: ["dpo".to_owned()].into(),
            ..KnownNames::default()
        };
        let told = |text: &str| {
            let (loaded, found) = check(Source::new("classification.yaml".into(), text.into()), Some(&known));
            assert!(loaded.is_none());
            found.render(Style::Plain)
        };
        let form = "levels: [public, internal, restricted]\nhandling:\n  restricted: { retreive: false }\n";
        let meaning = "handling:\n  restrcted: { retrieve: false }\n  restricted: { roles: [dop], cache: false, approval: { by: { roles: [dpo] } } }\nrules:\n  - { level: confidental, field: salary }\n  - { level: restricted, connector: crn, path: '$.a', column: t.c }\n  - { level: restricted, column: email }\n  - { level: restricted }\n  - { connector: crm }\n  - { jurisdiction: eu, field: salary }\n  - { level: restricted, detector: ip }\n  - { level: restricted, tool: crm_exprot }\ntools:\n  - { tool: crm_export, accepts: secret, restores: [secret_jwt] }\n  - { tool: crm_export }\nredaction: { kinds: { ip: 'off' } }\n";
        let levels = "levels: [public, internal, restricted]\n";
        insta::assert_snapshot!(format!("{}\n{}\n{}", told(form), told(levels), told(meaning)));
    }

    #[test]
    fn all_that_the_guide_shows_is_read() {
        let guide = include_str!("../../../../docs/guides/classification.md");
        let example =
            guide.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next()).expect("an example");
        let (loaded, found) = check(Source::new("classification.yaml".into(), example.into()), None);
        assert!(loaded.is_some(), "{}", found.render(Style::Plain));
    }
}
