//! JSON Schema of the configuration, for editors and for `quaymaster schema`.
//!
//! Made of the Rust types that read the files (draft 2020-12), so the two cannot
//! disagree.

use quaymaster_connectors::mcp::config::McpSpec;
use quaymaster_connectors::sql::config::SqlSpec;
use quaymaster_control::classification::ClassificationConfig;
use quaymaster_core::connector::ConnectorFile;
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::cases::PolicyTests;
use super::settings::SettingsConfig;

const DRAFT: &str = "https://json-schema.org/draft/2020-12/schema";

/// The schema of `quaymaster.yaml`.
pub fn config() -> Value {
    of::<SettingsConfig>("config")
}

/// The schema of `classification.yaml`.
pub fn classification() -> Value {
    of::<ClassificationConfig>("classification")
}

fn of<T: JsonSchema>(name: &str) -> Value {
    let schema = SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<T>();
    let mut members = Map::new();
    members.insert("$schema".into(), json!(DRAFT));
    members.insert("$id".into(), json!(format!("urn:quaymaster:schema:{name}:v1")));
    if let Value::Object(rest) = schema.to_value() {
        // An editor writes `$schema` nowhere: it finds the schema by a comment in the file.
        members.extend(rest.into_iter().filter(|(name, _)| name != "$schema"));
    }
    Value::Object(members)
}

/// The schema of a file in `connectors/`, whichever engine it is for.
pub fn connector() -> Value {
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    let engines = [
        generator.subschema_for::<ConnectorFile<McpSpec>>(),
        generator.subschema_for::<ConnectorFile<SqlSpec>>(),
    ];
    json!({
        "$schema": DRAFT,
        "$id": "urn:quaymaster:schema:connector:v1",
        "title": "Connector",
        "description": "A governed connector: how one system is reached and which tools of it agents may use.",
        "oneOf": engines,
        "$defs": generator.take_definitions(true),
    })
}

/// The schema of a file `policies/*.test.yaml`.
pub fn policy_tests() -> Value {
    of::<PolicyTests>("policy-tests")
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::super::tests::{DESK, METRICS, SETTINGS};
    use super::*;

    fn as_json(yaml: &str) -> Value {
        serde_saphyr::from_str(yaml).expect("YAML")
    }

    /// The problems that an editor would show.
    fn problems(schema: &Value, yaml: &str) -> Vec<String> {
        let validator = jsonschema::draft202012::new(schema).expect("a schema");
        validator.iter_errors(&as_json(yaml)).map(|error| error.to_string()).collect()
    }

    #[test]
    fn the_schema_of_the_settings_is_the_one_that_was_reviewed() {
        insta::assert_snapshot!(serde_json::to_string_pretty(&config()).expect("JSON"));
    }

    #[test]
    fn the_schemas_are_schemas_and_say_which() {
        for schema in [config(), connector(), classification(), policy_tests()] {
            assert!(jsonschema::draft202012::meta::is_valid(&schema));
            assert_eq!(schema["$schema"], DRAFT);
            assert!(schema["$id"].as_str().is_some_and(|id| id.starts_with("urn:quaymaster:schema:")));
        }
        assert_eq!(connector()["oneOf"].as_array().map(Vec::len), Some(2));
    }

    #[test]
    fn what_loads_is_valid_and_what_is_misspelt_is_not() {
        assert_eq!(problems(&config(), SETTINGS), [""; 0]);
        assert_eq!(problems(&connector(), DESK), [""; 0]);
        assert_eq!(problems(&connector(), METRICS), [""; 0]);
        assert!(!problems(&config(), &SETTINGS.replace("localUser", "localuser")).is_empty());
        assert!(
            !problems(&config(), &SETTINGS.replace("customer-operations:", "Customer Operations:"))
                .is_empty()
        );
        assert!(!problems(&connector(), &DESK.replace("engine: mcp", "engine: sql")).is_empty());
        assert!(!problems(&connector(), &METRICS.replace("${secret:METRICS_URL}", "hunter2")).is_empty());
    }

    /// The configurations that this repository shows to its readers, as files below `folder`.
    fn examples(folder: &Path) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
        let of = |path: PathBuf| if path.is_dir() { examples(&path) } else { vec![path] };
        entries.map(|entry| entry.path()).flat_map(of).filter(|path| schema_of(path).is_some()).collect()
    }

    fn schema_of(path: &Path) -> Option<Value> {
        let is_connector = path.parent().is_some_and(|folder| folder.ends_with("connectors"));
        match path.extension()?.to_str()? {
            "yaml" if path.ends_with("quaymaster.yaml") => Some(config()),
            "yaml" | "yml" if is_connector => Some(connector()),
            _ => None,
        }
    }

    /// Fills the places that `quaymaster demo` fills, such as `@LISTEN@`.
    fn filled(text: &str) -> String {
        let mut parts = text.split('@');
        let mut filled = parts.next().unwrap_or_default().to_owned();
        let mut open = false;
        for part in parts {
            let is_place = !part.is_empty() && part.bytes().all(|b| b.is_ascii_uppercase());
            let end = if is_place { "filled" } else { part };
            filled.push_str(if open || is_place { "" } else { "@" });
            filled.push_str(end);
            open = is_place;
        }
        filled
    }

    #[test]
    fn every_example_of_this_repository_is_valid() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let folders = ["crates/cli/src", "crates/gateway/src", "docs", "examples"];
        let files: Vec<PathBuf> = folders.iter().flat_map(|folder| examples(&root.join(folder))).collect();
        assert!(files.len() >= 6, "the examples moved: {files:?}");
        for path in files {
            let text = filled(&std::fs::read_to_string(&path).expect("a file"));
            let schema = schema_of(&path).expect("a schema");
            assert_eq!(problems(&schema, &text), [""; 0], "{}", path.display());
        }
    }
}
