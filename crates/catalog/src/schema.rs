//! Arguments against JSON Schema 2020-12.
//!
//! Clients do not validate (Codex sends whatever its model wrote), so every call
//! is checked here, and the answer says for each problem where it is and what
//! would be right. Values are never repeated: they may be personal data.

use jsonschema::error::ValidationErrorKind;
use jsonschema::{ValidationError, Validator};
use quaymaster_core::{CallError, ErrorCode};
use serde_json::Value;

use crate::cost::Cost;

/// How many problems one answer names.
const MAX_PROBLEMS: usize = 5;

/// A compiled schema with the names of what an agent may not send.
#[derive(Debug)]
pub(crate) struct InputSchema {
    /// What agents are shown.
    shown: Value,
    validator: Validator,
    cost: Cost,
    hidden: Vec<String>,
}

impl InputSchema {
    /// Compiles `schema`. Remote references are never fetched.
    /// Agents are told of `shown`, which may have an argument that is taken out before the check.
    pub(crate) fn compile<'a>(
        schema: &Value,
        shown: Value,
        hidden: impl Iterator<Item = &'a str>,
    ) -> Result<Self, String> {
        let is_object = schema.get("type").and_then(Value::as_str) == Some("object");
        if !is_object {
            return Err("the input schema must have `type: object` (MCP 2026-07-28, server/tools)".into());
        }
        let cost = Cost::of(schema)?;
        let validator = jsonschema::draft202012::options()
            .should_validate_formats(true)
            .build(schema)
            .map_err(|e| format!("the input schema is not usable: {e}"))?;
        Ok(Self { shown, validator, cost, hidden: hidden.map(str::to_owned).collect() })
    }

    pub(crate) fn value(&self) -> &Value {
        &self.shown
    }

    /// Checks arguments.
    pub(crate) fn check(&self, arguments: &Value) -> Result<(), CallError> {
        if let Some(name) = self.hidden.iter().find(|name| arguments.get(name.as_str()).is_some()) {
            return Err(CallError::new(ErrorCode::InputInvalid, format!("unknown argument `{name}`"))
                .hint(self.known_arguments()));
        }
        if !self.cost.admits(arguments) {
            let message = "the arguments are nested too deep for a schema that refers to itself";
            return Err(CallError::new(ErrorCode::InputInvalid, message));
        }
        if self.validator.is_valid(arguments) {
            return Ok(());
        }
        let mut problems: Vec<String> =
            self.validator.iter_errors(arguments).take(MAX_PROBLEMS).map(|e| describe(&e)).collect();
        problems.dedup();
        Err(CallError::new(ErrorCode::InputInvalid, problems.join("; ")).hint(self.known_arguments()))
    }

    fn known_arguments(&self) -> String {
        let required: Vec<&str> = self
            .shown
            .get("required")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let names: Vec<String> =
            self.shown
                .get("properties")
                .and_then(Value::as_object)
                .into_iter()
                .flatten()
                .map(|(name, _)| {
                    if required.contains(&name.as_str()) {
                        format!("{name} (required)")
                    } else {
                        name.clone()
                    }
                })
                .collect();
        if names.is_empty() {
            "this tool takes no arguments".into()
        } else {
            format!("arguments: {}", names.join(", "))
        }
    }
}

/// One problem: where it is and what the schema wants, without the value.
fn describe(error: &ValidationError<'_>) -> String {
    let path = error.instance_path().to_string();
    let at = if path.is_empty() {
        "the arguments".to_owned()
    } else {
        format!("`{}`", path.trim_start_matches('/'))
    };
    match error.kind() {
        ValidationErrorKind::Required { property } => {
            format!("{} is missing", property.as_str().map_or_else(|| at.clone(), |p| format!("`{p}`")))
        }
        ValidationErrorKind::AdditionalProperties { unexpected } => {
            let names: Vec<String> =
                unexpected.iter().take(MAX_PROBLEMS).map(|n| format!("`{}`", shown(n))).collect();
            format!("unknown argument {}", names.join(", "))
        }
        ValidationErrorKind::Type { kind } => format!("{at} must be of type {}", type_names(kind)),
        ValidationErrorKind::Enum { options } => format!("{at} must be one of {options}"),
        ValidationErrorKind::Constant { expected_value } => format!("{at} must be {expected_value}"),
        ValidationErrorKind::Pattern { pattern } => format!("{at} must match the pattern `{pattern}`"),
        ValidationErrorKind::Format { format } => format!("{at} must be a {format}"),
        ValidationErrorKind::Minimum { limit } => format!("{at} must be at least {limit}"),
        ValidationErrorKind::Maximum { limit } => format!("{at} must be at most {limit}"),
        ValidationErrorKind::MinLength { limit } => format!("{at} must have at least {limit} characters"),
        ValidationErrorKind::MaxLength { limit } => format!("{at} must have at most {limit} characters"),
        ValidationErrorKind::MinItems { limit } => format!("{at} must have at least {limit} items"),
        ValidationErrorKind::MaxItems { limit } => format!("{at} must have at most {limit} items"),
        _ => {
            let do_not = if path.is_empty() { "do not" } else { "does not" };
            format!("{at} {do_not} fit the schema at `{}`", error.schema_path())
        }
    }
}

fn type_names(kind: &jsonschema::error::TypeKind) -> String {
    match kind {
        jsonschema::error::TypeKind::Single(one) => one.to_string(),
        jsonschema::error::TypeKind::Multiple(many) => {
            many.iter().map(|t| t.to_string()).collect::<Vec<_>>().join(" or ")
        }
    }
}

/// A name that a stranger chose, cut and made visible.
fn shown(name: &str) -> String {
    name.chars().take(64).flat_map(char::escape_debug).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn schema() -> InputSchema {
        let schema = json!({
            "type": "object",
            "properties": {
                "region": {"enum": ["EMEA", "AMER"]},
                "from": {"type": "string", "format": "date"},
                "limit": {"type": "integer", "minimum": 1, "maximum": 50},
                "code": {"type": "string", "pattern": "^C[0-9]+$", "maxLength": 4}
            },
            "required": ["from"],
            "additionalProperties": false
        });
        InputSchema::compile(&schema, schema.clone(), ["secret_key"].into_iter()).expect("a usable schema")
    }

    #[test]
    fn each_problem_says_where_it_is_and_what_would_be_right_without_the_value() {
        let cases = [
            json!({}),
            json!({"from": "yesterday"}),
            json!({"from": 5}),
            json!({"from": "2026-01-01", "region": "MARS"}),
            json!({"from": "2026-01-01", "limit": 0, "code": "private-value"}),
            json!({"from": "2026-01-01", "limit": 1.5}),
            json!({"from": "2026-01-01", "other": 1}),
            json!({"from": "2026-01-01", "secret_key": "x"}),
        ];
        let report: Vec<String> = cases
            .iter()
            .map(|case| {
                schema().check(case).map_or_else(
                    |e| format!("{e} ({})", e.hint.as_deref().unwrap_or_default()),
                    |()| "ok".into(),
                )
            })
            .collect();
        insta::assert_snapshot!(report.join("\n"));
    }

    #[test]
    fn what_does_not_fit_is_told_of_in_its_number() {
        let schema = json!({"type": "object", "minProperties": 1, "properties": {"a": {"multipleOf": 2}}});
        let schema =
            InputSchema::compile(&schema, schema.clone(), std::iter::empty()).expect("a usable schema");
        for (arguments, expected) in [
            (json!({}), "the arguments do not fit the schema at `/minProperties`"),
            (json!({"a": 3}), "`a` does not fit the schema at `/properties/a/multipleOf`"),
        ] {
            let error = schema.check(&arguments).expect_err("no fit").to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn a_schema_with_a_remote_reference_is_not_usable() {
        let schema =
            json!({"type": "object", "properties": {"a": {"$ref": "https://example.test/schema.json"}}});
        assert!(InputSchema::compile(&schema, schema.clone(), std::iter::empty()).is_err());
    }
}
