//! What a tool takes: one table from which its schema and its checks come.
//!
//! The same [`Form`] is published in `inputSchema` and held against the
//! arguments, so the two cannot disagree. Messages say what would be right and
//! never repeat a value.

use serde_json::{Map, Value, json};

/// One argument of a tool.
#[derive(Debug)]
pub(super) struct Parameter {
    pub(super) name: &'static str,
    pub(super) required: bool,
    pub(super) description: &'static str,
    pub(super) form: Form,
}

/// What an argument may look like.
#[derive(Debug)]
pub(super) enum Form {
    /// A prefix and a number of so many digits.
    Id { prefix: &'static str, digits: usize },
    /// One of some words.
    OneOf(&'static [&'static str]),
    /// Text of so many characters.
    Text { min: usize, max: usize },
    /// How many at most, from 1; `default` if it is not given.
    Limit { max: u32, default: u32 },
}

impl Form {
    fn schema(&self) -> Value {
        match self {
            Self::Id { prefix, digits } => {
                json!({"type": "string", "pattern": format!("^{prefix}[0-9]{{{digits}}}$")})
            }
            Self::OneOf(words) => json!({"type": "string", "enum": words}),
            Self::Text { min, max } => json!({"type": "string", "minLength": min, "maxLength": max}),
            Self::Limit { max, default } => {
                json!({"type": "integer", "minimum": 1, "maximum": max, "default": default})
            }
        }
    }

    fn fits(&self, value: &Value) -> bool {
        match (self, value) {
            (Self::Id { prefix, digits }, Value::String(text)) => text
                .strip_prefix(prefix)
                .is_some_and(|number| number.len() == *digits && number.bytes().all(|b| b.is_ascii_digit())),
            (Self::OneOf(words), Value::String(text)) => words.contains(&text.as_str()),
            (Self::Text { min, max }, Value::String(text)) => (*min..=*max).contains(&text.chars().count()),
            (Self::Limit { max, .. }, value) => {
                value.as_u64().is_some_and(|n| (1..=u64::from(*max)).contains(&n))
            }
            _ => false,
        }
    }

    fn expected(&self) -> String {
        match self {
            Self::Id { prefix, digits } => format!("an id such as {prefix}{:0digits$}", 42),
            Self::OneOf(words) => format!("one of {}", words.join(", ")),
            Self::Text { min, max } => format!("text of {min} to {max} characters"),
            Self::Limit { max, .. } => format!("an integer from 1 to {max}"),
        }
    }
}

/// The JSON Schema of an object with these members and no others.
pub(super) fn schema(parameters: &[Parameter]) -> Value {
    let mut properties = Map::new();
    for parameter in parameters {
        let mut schema = parameter.form.schema();
        if let Some(schema) = schema.as_object_mut() {
            schema.insert("description".into(), parameter.description.into());
        }
        properties.insert(parameter.name.into(), schema);
    }
    let required: Vec<&str> = parameters.iter().filter(|p| p.required).map(|p| p.name).collect();
    json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false})
}

/// Arguments that fit the parameters of their tool.
#[derive(Debug)]
pub(super) struct Checked<'a> {
    parameters: &'static [Parameter],
    given: &'a Map<String, Value>,
}

impl<'a> Checked<'a> {
    /// Holds `given` against `parameters`.
    ///
    /// # Errors
    ///
    /// Everything that is wrong, each with what would be right.
    pub(super) fn check(
        parameters: &'static [Parameter],
        given: &'a Map<String, Value>,
    ) -> Result<Self, String> {
        let unknown = given.keys().any(|name| !parameters.iter().any(|p| p.name == name));
        let mut wrong: Vec<String> = parameters.iter().filter_map(|p| problem(p, given)).collect();
        if unknown {
            let names: Vec<&str> = parameters.iter().map(|p| p.name).collect();
            wrong.push(format!(
                "there are arguments that this tool does not take; it takes {}",
                names.join(", ")
            ));
        }
        if wrong.is_empty() { Ok(Self { parameters, given }) } else { Err(wrong.join("; ")) }
    }

    /// The text called `name`, if it is given.
    pub(super) fn text(&self, name: &str) -> Option<&'a str> {
        self.given.get(name).and_then(Value::as_str)
    }

    /// The text called `name`, which the table requires.
    pub(super) fn required_text(&self, name: &str) -> &'a str {
        self.text(name).unwrap_or_default()
    }

    /// The limit called `name`, or its default.
    pub(super) fn limit(&self, name: &str) -> u32 {
        let given = self.given.get(name).and_then(Value::as_u64).and_then(|n| u32::try_from(n).ok());
        let default = self.parameters.iter().find(|p| p.name == name).map_or(1, |p| match p.form {
            Form::Limit { default, .. } => default,
            _ => 1,
        });
        given.unwrap_or(default)
    }
}

fn problem(parameter: &Parameter, given: &Map<String, Value>) -> Option<String> {
    let Parameter { name, required, form, .. } = parameter;
    match given.get(*name) {
        None if *required => Some(format!("`{name}` is missing: expected {}", form.expected())),
        Some(value) if !form.fits(value) => Some(format!("`{name}` must be {}", form.expected())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARAMETERS: &[Parameter] = &[
        Parameter {
            name: "id",
            required: true,
            description: "Which.",
            form: Form::Id { prefix: "X-", digits: 3 },
        },
        Parameter { name: "word", required: false, description: "How.", form: Form::OneOf(&["a", "b"]) },
        Parameter {
            name: "text",
            required: false,
            description: "What.",
            form: Form::Text { min: 2, max: 4 },
        },
        Parameter {
            name: "limit",
            required: false,
            description: "How many.",
            form: Form::Limit { max: 9, default: 5 },
        },
    ];

    fn check(given: &Value) -> Result<u32, String> {
        let given = given.as_object().expect("an object");
        Checked::check(PARAMETERS, given).map(|checked| checked.limit("limit"))
    }

    #[test]
    fn what_fits_is_taken_with_its_defaults() {
        assert_eq!(check(&json!({"id": "X-042"})), Ok(5));
        assert_eq!(check(&json!({"id": "X-042", "word": "b", "text": "äöüß", "limit": 9})), Ok(9));
    }

    #[test]
    fn what_does_not_fit_is_refused_with_what_would_be_right_and_without_the_value() {
        let cases = [
            json!({}),
            json!({"id": "X-42"}),
            json!({"id": "x-042"}),
            json!({"id": "X-04٢"}),
            json!({"id": 42}),
            json!({"id": null}),
            json!({"id": "X-042", "word": "SECRET", "text": "SECRET", "limit": 10}),
            json!({"id": "X-042", "text": "s", "limit": 0}),
            json!({"id": "X-042", "limit": -1}),
            json!({"id": "X-042", "limit": 1.5}),
            json!({"id": "X-042", "limit": "3"}),
            json!({"id": "X-042", "SECRET": 1}),
        ];
        let report: Vec<String> = cases
            .iter()
            .map(|case| check(case).expect_err("something wrong"))
            .inspect(|message| assert!(!message.contains("SECRET"), "{message}"))
            .collect();
        insta::assert_snapshot!(report.join("\n"));
    }

    #[test]
    fn the_schema_says_what_the_check_holds() {
        insta::assert_snapshot!(format!("{:#}", schema(PARAMETERS)));
    }
}
