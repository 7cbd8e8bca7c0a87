//! The parameters of a query: what a value must be, and the value that is bound.
//!
//! The same test serves a call's arguments, a default and an example. Patterns
//! are checked with the rest of the input schema by the catalogue, which every
//! call passes first; everything else is checked again here, because what is
//! bound should not depend on who checked before.
//!
//! Invariants:
//! - Messages name the parameter and what would be right, never the value.
//! - A [`Bound`] shows nothing of its value in `Debug`.

use std::fmt;

use quaymaster_core::{CallError, ErrorCode};
use serde_json::{Number, Value};

use super::calendar;
use super::config::{ParamConfig, ParamType, TextFormat};

/// A parameter whose settings fit together.
#[derive(Clone, Debug)]
pub(crate) struct Parameter {
    pub(crate) name: String,
    pub(crate) config: ParamConfig,
}

/// A value as it is handed to the database, beside the text of the query.
#[derive(Clone, PartialEq)]
pub(crate) enum Bound {
    Null,
    Boolean(bool),
    Integer(i64),
    Number(Number),
    Text(String),
}

impl fmt::Debug for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Bound(..)")
    }
}

impl Parameter {
    /// Takes a parameter of the configuration.
    ///
    /// # Errors
    ///
    /// What does not fit together, each with the member it is about (empty for the whole).
    pub(crate) fn check(name: &str, config: &ParamConfig) -> Result<Self, Vec<(&'static str, String)>> {
        let parameter = Self { name: name.to_owned(), config: config.clone() };
        let mut wrong = Vec::new();
        parameter.check_members(&mut wrong);
        if wrong.is_empty() {
            parameter.check_values(&mut wrong);
        }
        if wrong.is_empty() { Ok(parameter) } else { Err(wrong) }
    }

    /// Whether a caller has to give a value.
    pub(crate) fn is_required(&self) -> bool {
        !self.config.optional && self.config.default.is_none()
    }

    /// The value to bind when a caller gave `given`.
    pub(crate) fn bind(&self, given: Option<&Value>) -> Result<Bound, CallError> {
        match given.or(self.config.default.as_ref()) {
            None | Some(Value::Null) if self.config.optional => Ok(Bound::Null),
            None => Err(self.refuse("is missing")),
            Some(value) => self.fit(value).map_err(|what| self.refuse(&what)),
        }
    }

    fn refuse(&self, what: &str) -> CallError {
        CallError::new(ErrorCode::InputInvalid, format!("`{}` {what}", self.name))
    }

    /// Says what `value` must be if it is something else.
    pub(crate) fn fit(&self, value: &Value) -> Result<Bound, String> {
        let bound = self.typed(value)?;
        if let Some(choices) = &self.config.choices
            && !choices.iter().any(|c| self.typed(c).as_ref() == Ok(&bound))
        {
            let choices: Vec<String> = choices.iter().map(Value::to_string).collect();
            return Err(format!("must be one of {}", choices.join(", ")));
        }
        match &bound {
            Bound::Text(text) => self.fit_text(text)?,
            Bound::Integer(number) => self.fit_number(&Number::from(*number))?,
            Bound::Number(number) => self.fit_number(number)?,
            Bound::Null | Bound::Boolean(_) => {}
        }
        Ok(bound)
    }

    fn typed(&self, value: &Value) -> Result<Bound, String> {
        let bound = match (self.config.kind, value) {
            (ParamType::String, Value::String(text)) => Some(Bound::Text(text.clone())),
            (ParamType::Boolean, Value::Bool(truth)) => Some(Bound::Boolean(*truth)),
            (ParamType::Number, Value::Number(number)) => Some(Bound::Number(number.clone())),
            (ParamType::Integer, Value::Number(number)) => whole(number).map(Bound::Integer),
            _ => None,
        };
        bound.ok_or_else(|| {
            let what = match self.config.kind {
                ParamType::String => "a string",
                ParamType::Boolean => "true or false",
                ParamType::Number => "a number",
                ParamType::Integer => "a whole number of at most 64 bits",
            };
            format!("must be {what}")
        })
    }

    fn fit_text(&self, text: &str) -> Result<(), String> {
        match self.config.format {
            Some(TextFormat::Date) if !calendar::is_day(text) => {
                return Err("must be a day such as 2026-01-31".into());
            }
            Some(TextFormat::DateTime) if !calendar::is_instant(text) => {
                return Err("must be an instant such as 2026-01-31T08:30:00Z".into());
            }
            _ => {}
        }
        let length = text.chars().count();
        let beyond =
            |limit: Option<u32>| limit.map(|n| (n, length.cmp(&usize::try_from(n).unwrap_or(usize::MAX))));
        match (beyond(self.config.min_length), beyond(self.config.max_length)) {
            (Some((least, order)), _) if order.is_lt() => {
                Err(format!("must have at least {least} characters"))
            }
            (_, Some((most, order))) if order.is_gt() => Err(format!("must have at most {most} characters")),
            _ => Ok(()),
        }
    }

    fn fit_number(&self, number: &Number) -> Result<(), String> {
        match (&self.config.minimum, &self.config.maximum) {
            (Some(least), _) if is_less(number, least) => Err(format!("must be at least {least}")),
            (_, Some(most)) if is_less(most, number) => Err(format!("must be at most {most}")),
            _ => Ok(()),
        }
    }

    fn check_members(&self, wrong: &mut Vec<(&'static str, String)>) {
        let fits = self.name.len() <= 64
            && self.name.starts_with(|c: char| c.is_ascii_lowercase())
            && self.name.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_'));
        if !fits {
            wrong.push(("", "its name must be a letter and then at most 63 of a-z, 0-9 and _".into()));
        }
        let is_text = self.config.kind == ParamType::String;
        let is_number = matches!(self.config.kind, ParamType::Integer | ParamType::Number);
        let members = [
            ("format", self.config.format.is_some() && !is_text, "strings"),
            ("pattern", self.config.pattern.is_some() && !is_text, "strings"),
            ("minLength", self.config.min_length.is_some() && !is_text, "strings"),
            ("maxLength", self.config.max_length.is_some() && !is_text, "strings"),
            ("minimum", self.config.minimum.is_some() && !is_number, "numbers"),
            ("maximum", self.config.maximum.is_some() && !is_number, "numbers"),
        ];
        for (member, _, whom) in members.into_iter().filter(|(_, misplaced, _)| *misplaced) {
            let kind = self.config.kind.as_str();
            wrong.push((member, format!("`{member}` is for {whom}, and the type is `{kind}`")));
        }
        if let (Some(least), Some(most)) = (&self.config.minimum, &self.config.maximum)
            && is_less(most, least)
        {
            wrong.push(("maximum", "`maximum` is less than `minimum`".into()));
        }
        if self.config.min_length > self.config.max_length.or(Some(u32::MAX)) {
            wrong.push(("maxLength", "`maxLength` is less than `minLength`".into()));
        }
        if self.config.optional && self.config.default.is_some() {
            wrong.push((
                "optional",
                "with a `default` the query never sees NULL: remove `optional` or the default".into(),
            ));
        }
    }

    fn check_values(&self, wrong: &mut Vec<(&'static str, String)>) {
        let choices = self.config.choices.as_deref();
        if choices.is_some_and(<[Value]>::is_empty) {
            wrong.push(("enum", "`enum` has no value, so no call would be possible".into()));
        }
        for choice in choices.unwrap_or_default() {
            if let Err(what) = self.fit(choice) {
                wrong.push(("enum", format!("a value of `enum` {what}")));
            }
        }
        if let Some(Err(what)) = self.config.default.as_ref().map(|d| self.fit(d)) {
            wrong.push(("default", format!("the `default` {what}")));
        }
    }
}

/// The number, if it is whole; `3.0` is (JSON Schema 2020-12, 4.2.3).
fn whole(number: &Number) -> Option<i64> {
    if let Some(whole) = number.as_i64() {
        return Some(whole);
    }
    let double = number.as_f64().filter(|n| n.fract() == 0.0 && n.abs() < 9_007_199_254_740_992.0)?;
    format!("{double:.0}").parse().ok()
}

fn is_less(one: &Number, other: &Number) -> bool {
    match (one.as_i64(), other.as_i64()) {
        (Some(one), Some(other)) => one < other,
        _ => one.as_f64() < other.as_f64(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn config(value: Value) -> ParamConfig {
        serde_json::from_value(value).expect("a parameter")
    }

    fn parameter(value: Value) -> Parameter {
        Parameter::check("region", &config(value)).expect("settings that fit")
    }

    fn wrong(name: &str, value: Value) -> Vec<(&'static str, String)> {
        Parameter::check(name, &config(value)).expect_err("settings that do not fit")
    }

    #[test]
    fn a_missing_optional_value_is_null_and_a_missing_required_one_is_refused() {
        let optional = parameter(json!({"type": "string", "optional": true}));
        assert_eq!(optional.bind(None).ok(), Some(Bound::Null));
        assert_eq!(optional.bind(Some(&Value::Null)).ok(), Some(Bound::Null));
        let required = parameter(json!({"type": "string"}));
        let error = required.bind(None).expect_err("missing");
        assert_eq!(error.to_string(), "input.invalid: `region` is missing");
        assert!(required.bind(Some(&Value::Null)).is_err());
        let with_default = parameter(json!({"type": "integer", "default": 10}));
        assert_eq!(with_default.bind(None).ok(), Some(Bound::Integer(10)));
    }

    #[test]
    fn messages_say_what_would_be_right_and_never_the_value() {
        for (config, value, message) in [
            (json!({"type": "string"}), json!(7), "must be a string"),
            (json!({"type": "boolean"}), json!("true"), "must be true or false"),
            (json!({"type": "integer"}), json!(1.5), "must be a whole number of at most 64 bits"),
            (json!({"type": "integer"}), json!(u64::MAX), "must be a whole number of at most 64 bits"),
            (json!({"type": "number", "minimum": 0.5}), json!(0.25), "must be at least 0.5"),
            (json!({"type": "integer", "maximum": 100}), json!(101), "must be at most 100"),
            (
                json!({"type": "string", "enum": ["EMEA", "APAC"]}),
                json!("x"),
                r#"must be one of "EMEA", "APAC""#,
            ),
            (json!({"type": "string", "format": "date"}), json!("now"), "must be a day such as 2026-01-31"),
            (
                json!({"type": "string", "format": "date-time"}),
                json!("2026-01-31"),
                "must be an instant such as 2026-01-31T08:30:00Z",
            ),
            (json!({"type": "string", "minLength": 2}), json!("é"), "must have at least 2 characters"),
            (json!({"type": "string", "maxLength": 2}), json!("abc"), "must have at most 2 characters"),
        ] {
            let error = parameter(config).bind(Some(&value)).expect_err("a value that does not fit");
            assert_eq!(error.to_string(), format!("input.invalid: `region` {message}"));
        }
    }

    #[test]
    fn a_whole_number_may_be_written_as_a_decimal() {
        let whole = parameter(json!({"type": "integer"}));
        assert_eq!(whole.fit(&json!(3.0)), Ok(Bound::Integer(3)));
        assert_eq!(whole.fit(&json!(-3e3)), Ok(Bound::Integer(-3_000)));
        assert_eq!(whole.fit(&json!(i64::MIN)), Ok(Bound::Integer(i64::MIN)));
        let choice = parameter(json!({"type": "integer", "enum": [1, 2]}));
        assert_eq!(choice.fit(&json!(2.0)), Ok(Bound::Integer(2)));
    }

    #[test]
    fn settings_that_do_not_fit_together_are_named() {
        assert_eq!(
            wrong("region", json!({"type": "integer", "pattern": "x", "minLength": 1})),
            [
                ("pattern", "`pattern` is for strings, and the type is `integer`".to_owned()),
                ("minLength", "`minLength` is for strings, and the type is `integer`".to_owned()),
            ]
        );
        assert_eq!(
            wrong(
                "region",
                json!({"type": "integer", "minimum": 2, "maximum": 1, "default": 3, "optional": true})
            )
            .into_iter()
            .map(|(member, _)| member)
            .collect::<Vec<_>>(),
            ["maximum", "optional"]
        );
        assert_eq!(wrong("Region", json!({"type": "string"})).first().map(|w| w.0), Some(""));
        for (config, member) in [
            (json!({"type": "string", "enum": []}), "enum"),
            (json!({"type": "string", "enum": ["a", 1]}), "enum"),
            (json!({"type": "string", "enum": ["a"], "default": "b"}), "default"),
            (json!({"type": "string", "format": "date", "default": "today"}), "default"),
            (json!({"type": "string", "minLength": 3, "maxLength": 2}), "maxLength"),
        ] {
            assert_eq!(wrong("region", config).first().map(|w| w.0), Some(member));
        }
    }

    #[test]
    fn a_bound_value_is_not_in_its_debug_form() {
        assert_eq!(format!("{:?}", Bound::Text("secret".into())), "Bound(..)");
    }
}
