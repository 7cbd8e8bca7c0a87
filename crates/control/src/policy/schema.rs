//! The Cedar schema of one tool, made from its JSON Schema.
//!
//! Every tool has a schema of its own in which `context.arguments` has exactly
//! that tool's types, so a policy that compares a string with a number, or names
//! an argument that the tool does not have, is found at load. What JSON Schema
//! can say and Cedar cannot (unions, `null`, references) is not offered to
//! policies at all, so none can rest on it by accident.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use cedar_policy::RestrictedExpression;
use serde_json::{Number, Value};

use super::action::Action;

/// What is said of a value that Cedar does not take: its own words would repeat the value.
pub(super) const NOT_COMPARABLE: &str = "an argument has a form that policies cannot compare";

/// A type that arguments can have in policies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ArgumentType {
    Text,
    Long,
    Bool,
    Decimal,
    Set(Box<ArgumentType>),
    Record(BTreeMap<String, Member>),
    /// Whatever is given.
    Given,
}

/// A member of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Member {
    kind: ArgumentType,
    required: bool,
}

impl ArgumentType {
    /// What policies know of arguments with this JSON Schema.
    pub(super) fn of_arguments(schema: &Value) -> Self {
        Self::of(schema).filter(|t| matches!(t, Self::Record(_))).unwrap_or(Self::Record(BTreeMap::new()))
    }

    fn of(schema: &Value) -> Option<Self> {
        match schema.get("type").and_then(Value::as_str) {
            Some("string") => Some(Self::Text),
            Some("integer") => Some(Self::Long),
            Some("boolean") => Some(Self::Bool),
            Some("number") => Some(Self::Decimal),
            Some("array") => Self::of(schema.get("items")?).map(|item| Self::Set(Box::new(item))),
            Some("object") => Some(Self::Record(members(schema))),
            Some(_) => None,
            None => {
                let options = schema.get("enum")?.as_array()?;
                options.iter().all(Value::is_string).then_some(Self::Text)
            }
        }
    }

    /// The type in Cedar's schema syntax.
    fn write(&self, out: &mut String) {
        match self {
            Self::Text => out.push_str("String"),
            Self::Long => out.push_str("Long"),
            Self::Bool => out.push_str("Bool"),
            Self::Decimal => out.push_str("decimal"),
            Self::Set(item) => {
                out.push_str("Set<");
                item.write(out);
                out.push('>');
            }
            // No schema is made of these.
            Self::Given => out.push_str("{}"),
            Self::Record(members) => {
                out.push('{');
                for (name, member) in members {
                    let optional = if member.required { "" } else { "?" };
                    let _ = write!(out, "{}{optional}: ", Value::from(name.as_str()));
                    member.kind.write(out);
                    out.push(',');
                }
                out.push('}');
            }
        }
    }

    /// The value as Cedar has it. Members that the type does not know are left out.
    ///
    /// # Errors
    ///
    /// Says which kind of value policies cannot hold; never the value.
    pub(super) fn expression(&self, value: &Value) -> Result<RestrictedExpression, String> {
        match (self, value) {
            (Self::Text, Value::String(text)) => Ok(RestrictedExpression::new_string(text.clone())),
            (Self::Bool, Value::Bool(flag)) => Ok(RestrictedExpression::new_bool(*flag)),
            (Self::Long, Value::Number(number)) => long(number).map(RestrictedExpression::new_long),
            (Self::Decimal, Value::Number(number)) => decimal(number).map(RestrictedExpression::new_decimal),
            (Self::Set(item), Value::Array(items)) => {
                let items: Result<Vec<_>, _> = items.iter().map(|i| item.expression(i)).collect();
                Ok(RestrictedExpression::new_set(items?))
            }
            (Self::Record(members), Value::Object(object)) => {
                let mut pairs = Vec::with_capacity(members.len());
                for (name, member) in members {
                    if let Some(value) = object.get(name) {
                        pairs.push((name.clone(), member.kind.expression(value)?));
                    }
                }
                RestrictedExpression::new_record(pairs).map_err(|_| NOT_COMPARABLE.to_owned())
            }
            (Self::Given, value) => given(value),
            _ => Err("an argument has another type than its schema says".into()),
        }
    }
}

/// The value with the type that it has by itself.
fn given(value: &Value) -> Result<RestrictedExpression, String> {
    match value {
        Value::String(_) => ArgumentType::Text.expression(value),
        Value::Bool(_) => ArgumentType::Bool.expression(value),
        Value::Number(number) if number.is_f64() => ArgumentType::Decimal.expression(value),
        Value::Number(_) => ArgumentType::Long.expression(value),
        Value::Array(items) => {
            let items: Result<Vec<_>, _> = items.iter().map(given).collect();
            Ok(RestrictedExpression::new_set(items?))
        }
        Value::Object(members) => {
            let known = members.iter().filter(|(_, value)| !value.is_null());
            let pairs: Result<Vec<_>, String> =
                known.map(|(name, value)| Ok((name.clone(), given(value)?))).collect();
            RestrictedExpression::new_record(pairs?).map_err(|_| NOT_COMPARABLE.to_owned())
        }
        Value::Null => Err("policies do not know `null`".into()),
    }
}

fn members(schema: &Value) -> BTreeMap<String, Member> {
    let required: Vec<&str> = schema
        .get("required")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let properties = schema.get("properties").and_then(Value::as_object).into_iter().flatten();
    properties
        .filter_map(|(name, property)| {
            let kind = ArgumentType::of(property)?;
            Some((name.clone(), Member { kind, required: required.contains(&name.as_str()) }))
        })
        .collect()
}

fn long(number: &Number) -> Result<i64, String> {
    let integral = || number.as_f64().filter(|f| f.fract() == 0.0 && f.abs() < 9e15);
    #[expect(clippy::cast_possible_truncation, reason = "integral and below 2^53")]
    let from_double = |f: f64| f as i64;
    number
        .as_i64()
        .or_else(|| integral().map(from_double))
        .ok_or_else(|| "an integer argument is too large for policies (at most 64 bits, signed)".into())
}

/// Cedar's decimal has four digits after the point and 15 before it.
fn decimal(number: &Number) -> Result<String, String> {
    let text = number.to_string();
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, "0"));
    let digits = whole.trim_start_matches('-').len();
    if text.contains(['e', 'E']) || fraction.len() > 4 || digits > 14 {
        return Err(
            "a number argument has more digits than policies can compare (14 before and 4 after the point)"
                .into(),
        );
    }
    Ok(format!("{whole}.{fraction}"))
}

/// The entities of every schema.
pub(super) const ENTITIES: &str = "entity Role; entity Workspace; entity Connector;
entity Actor in [Role, Workspace] { authentication: String, groups: Set<String>, person: String };
entity Tool in [Connector, Workspace] {
  classes: Set<String>, destination: String, effect: String, environment: String, kind: String, name: String,
  trust: String
};
";

/// The schema of one tool in Cedar's syntax: that of its calls.
pub(super) fn cedar_schema(arguments: &ArgumentType) -> String {
    let mut text = String::from(ENTITIES);
    for action in Action::ASIDE {
        let _ = writeln!(text, "action {};", action.as_str());
    }
    text.push_str(
        "action call appliesTo { principal: [Actor], resource: [Tool], context: {
  agent: { auto_review?: Bool, client?: String, model?: String, sandbox_mode?: String },
  approved: Bool,
  data: { crosses_border: Bool, jurisdictions: Set<String>, level: String, levels: Set<String> },
  environment: String,
  labels: Set<String>,
  reason?: String,
  session?: String,
  time: { hour: Long, minute_of_day: Long, unix: Long, weekday: Long },
  arguments: ",
    );
    arguments.write(&mut text);
    text.push_str("\n} };\n");
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_json_schema_becomes_a_cedar_schema_without_what_cedar_cannot_say() {
        let schema = json!({
            "type": "object",
            "properties": {
                "severity": {"enum": ["low", "high"]},
                "limit": {"type": "integer"},
                "amount": {"type": "number"},
                "tags": {"type": "array", "items": {"type": "string"}},
                "who's": {"type": "object", "properties": {"vip": {"type": "boolean"}}, "required": ["vip"]},
                "either": {"type": ["string", "null"]},
                "open": {"oneOf": [{"type": "string"}]}
            },
            "required": ["severity"]
        });
        let text = cedar_schema(&ArgumentType::of_arguments(&schema));
        insta::assert_snapshot!(text);
        assert!(cedar_policy::Schema::from_cedarschema_str(&text).is_ok());
    }

    #[test]
    fn numbers_that_policies_cannot_compare_exactly_are_errors_and_not_rounded() {
        let number = |text: &str| serde_json::from_str::<Number>(text).expect("a number");
        assert_eq!(decimal(&number("12.5")), Ok("12.5".into()));
        assert_eq!(decimal(&number("-3")), Ok("-3.0".into()));
        assert!(decimal(&number("0.00001")).is_err());
        assert!(decimal(&number("1e300")).is_err());
        assert_eq!(long(&number("2.0")), Ok(2));
        assert!(long(&number("18446744073709551615")).is_err());
    }
}
