//! The value of a variable in the environment of an MCP server's program.

use std::borrow::Cow;
use std::fmt;

use quaymaster_core::SecretRef;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::{Deserializer, Error, Visitor};

/// The value of an environment variable: a text without `$`, or a reference to a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EnvValue {
    /// The value itself.
    Literal(String),
    /// The secret that holds it.
    Secret(SecretRef),
}

impl EnvValue {
    /// Reads a text such as `info` or `${secret:API_KEY}`.
    ///
    /// # Errors
    ///
    /// Says what a value looks like; never repeats the text, which may be a secret.
    pub fn parse(text: &str) -> Result<Self, String> {
        if !text.contains('$') {
            return Ok(Self::Literal(text.to_owned()));
        }
        SecretRef::parse(text).map(Self::Secret).map_err(|_| {
            "a value with `$` must be one reference to a secret such as `${secret:NAME}`; nothing else is \
             expanded"
                .into()
        })
    }
}

/// Asks for it as for a reference to a secret, so that the place is never shown.
impl<'de> Deserialize<'de> for EnvValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(SecretRef::SERDE_NAME, EnvValueVisitor)
    }
}

struct EnvValueVisitor;

impl<'de> Visitor<'de> for EnvValueVisitor {
    type Value = EnvValue;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text or a reference to a secret")
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<EnvValue, D::Error> {
        String::deserialize(deserializer).and_then(|text| self.visit_str(&text))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<EnvValue, E> {
        EnvValue::parse(text).map_err(E::custom)
    }
}

impl JsonSchema for EnvValue {
    fn schema_name() -> Cow<'static, str> {
        "EnvValue".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": r"^([^$]*|\$\{secret:[A-Z][A-Z0-9_]*\})$",
            "description": "A text without `$`, or a reference to a secret such as `${secret:NAME}`."
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_environment_value_is_plain_or_wholly_a_secret() {
        let read = EnvValue::parse;
        assert_eq!(read("info"), Ok(EnvValue::Literal("info".into())));
        assert!(matches!(read("${secret:API_KEY}"), Ok(EnvValue::Secret(_))));
        for bad in ["$HOME", "a${secret:API_KEY}", "${API_KEY}", "hunter2$"] {
            let error = read(bad).expect_err(bad);
            assert!(!error.contains("hunter2"));
        }
    }
}
