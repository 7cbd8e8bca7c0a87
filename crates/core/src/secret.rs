//! References to secrets. A configuration names a secret and never holds one.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use secrecy::SecretString;
use serde::de::{Deserialize, Deserializer, Error, Visitor};

/// A reference such as `${secret:METRICS_RO_URL}`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SecretRef(String);

impl SecretRef {
    /// The name under which a [`Deserializer`] is asked for a reference, so that the one for
    /// configuration files knows where a secret may have been written and never shows the place.
    pub const SERDE_NAME: &'static str = "SecretRef";

    /// The secret's name, such as `METRICS_RO_URL`.
    pub fn name(&self) -> &str {
        &self.0
    }

    /// Reads a text such as `${secret:METRICS_RO_URL}`.
    ///
    /// # Errors
    ///
    /// Says what a reference looks like; never repeats the text, which may be a secret.
    pub fn parse(text: &str) -> Result<Self, String> {
        let name = text.strip_prefix("${secret:").and_then(|rest| rest.strip_suffix('}'));
        match name {
            Some(name)
                if name.starts_with(|c: char| c.is_ascii_uppercase())
                    && name.bytes().all(|b| matches!(b, b'A'..=b'Z' | b'0'..=b'9' | b'_')) =>
            {
                Ok(Self(name.into()))
            }
            _ => {
                Err("not a reference to a secret: expected `${secret:NAME}` with a NAME of A-Z, 0-9 and _; \
                      a secret itself is never written into a configuration"
                    .into())
            }
        }
    }
}

impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "${{secret:{}}}", self.0)
    }
}

impl<'de> Deserialize<'de> for SecretRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(Self::SERDE_NAME, SecretRefVisitor)
    }
}

struct SecretRefVisitor;

impl<'de> Visitor<'de> for SecretRefVisitor {
    type Value = SecretRef;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a reference to a secret")
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<SecretRef, D::Error> {
        String::deserialize(deserializer).and_then(|text| self.visit_str(&text))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<SecretRef, E> {
        SecretRef::parse(text).map_err(E::custom)
    }
}

impl JsonSchema for SecretRef {
    fn schema_name() -> Cow<'static, str> {
        "SecretRef".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": r"^\$\{secret:[A-Z][A-Z0-9_]*\}$",
            "description": "A reference to a secret. A secret itself is an error here."
        })
    }
}

/// Why a secret could not be had.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum SecretError {
    /// No source knows the name.
    #[error("secret `{name}` is not set: {expected}")]
    Missing {
        /// The secret's name.
        name: String,
        /// Where it was looked for.
        expected: String,
    },
    /// A file that holds it can be read by others.
    #[error("the file of secret `{name}` must not be readable by group or others: chmod 600 {path}")]
    Exposed {
        /// The secret's name.
        name: String,
        /// The file.
        path: String,
    },
    /// The file that should hold it cannot be read.
    #[error("the file of secret `{name}` cannot be read: {path}: {reason}")]
    Unreadable {
        /// The secret's name.
        name: String,
        /// The file.
        path: String,
        /// The operating system's reason.
        reason: String,
    },
}

/// Where secrets come from (see `quaymaster-control::secrets`).
pub trait SecretSource: Send + Sync {
    /// The secret that `reference` names.
    ///
    /// # Errors
    ///
    /// [`SecretError`] if it cannot be had.
    fn resolve(&self, reference: &SecretRef) -> Result<SecretString, SecretError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_literal_secret_does_not_parse_and_is_not_repeated() {
        let error = SecretRef::parse("postgres://ada:hunter2@db/metrics").expect_err("a literal");
        assert!(!error.contains("hunter2"));
        assert_eq!(
            SecretRef::parse("${secret:METRICS_URL}").map(|r| r.name().to_owned()),
            Ok("METRICS_URL".into())
        );
        assert!(SecretRef::parse("${secret:lower}").is_err());
        assert!(SecretRef::parse("${env:X}").is_err());
    }
}
