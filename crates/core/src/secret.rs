//! References to secrets, and secrets that change while they are used.
//!
//! A configuration names a secret and never holds one. Where it comes from, and how long what
//! came is used, is `quaymaster-control::secrets`.

use std::borrow::Cow;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use secrecy::SecretString;
use serde::de::{Deserialize, Deserializer, Error, Visitor};

use crate::setting::Slug;
use crate::{Actor, CallError};

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

/// Why a secret could not be had. Each has a stable code ([`SecretError::code`]).
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
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
    /// Its source cannot be asked now.
    #[error("secret `{name}` cannot be had now: {reason}")]
    Unavailable {
        /// The secret's name.
        name: String,
        /// Why. Holds nothing that the source said.
        reason: String,
    },
    /// Its source does not give it to this gateway.
    #[error("secret `{name}` is refused: {reason}")]
    Denied {
        /// The secret's name.
        name: String,
        /// By whom.
        reason: String,
    },
    /// What its source gave cannot be a secret.
    #[error("what was given for secret `{name}` cannot be used: {reason}")]
    Unusable {
        /// The secret's name.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl SecretError {
    /// The stable word for programs and logs. Never renamed without a major version.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Missing { .. } => "secret.not_found",
            Self::Exposed { .. } => "secret.permissions",
            Self::Unreadable { .. } => "secret.unreadable",
            Self::Unavailable { .. } => "secret.unavailable",
            Self::Denied { .. } => "secret.denied",
            Self::Unusable { .. } => "secret.unusable",
        }
    }

    /// Whether its source says that there is no such secret, rather than that it cannot be had now.
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Missing { .. })
    }
}

/// Where secrets come from (see `quaymaster-control::secrets`).
pub trait SecretSource: Send + Sync {
    /// The secret that `reference` names. May wait for its source: not for the path of a call.
    ///
    /// # Errors
    ///
    /// [`SecretError`] if it cannot be had.
    fn resolve(&self, reference: &SecretRef) -> Result<SecretString, SecretError>;

    /// The same for who uses it again and again, and follows its changes.
    ///
    /// # Errors
    ///
    /// [`SecretError`] if it cannot be had.
    fn follow(&self, reference: &SecretRef) -> Result<Arc<dyn LiveSecret>, SecretError> {
        self.resolve(reference).map(|text| Arc::new(FixedSecret::new(text)) as Arc<dyn LiveSecret>)
    }
}

/// A secret as its source gave it.
#[derive(Debug)]
pub struct SecretValue {
    /// Counts the values: another value has another number.
    pub generation: u64,
    /// The secret.
    pub text: SecretString,
}

/// A value that is waited for.
pub type Renewal<'a> = Pin<Box<dyn Future<Output = Result<Arc<SecretValue>, SecretError>> + Send + 'a>>;

/// A secret that is used again and again, as it is now.
pub trait LiveSecret: Send + Sync + fmt::Debug {
    /// Its value. Never waits: one that is due is asked for aside. None if it is too old to be used.
    fn now(&self) -> Option<Arc<SecretValue>>;

    /// Waits for a value that may be used: of which the source was asked again, if somebody refused
    /// the one numbered `rejected`. Who comes meanwhile waits for the same answer, and a source is
    /// asked for what was refused only now and then; then the value is the same as before.
    fn renew(&self, rejected: Option<u64>) -> Renewal<'_>;
}

/// What a person has stored for a system that is asked in their name.
#[derive(Debug)]
pub struct CallerToken {
    /// Counts what was stored: another token has another number.
    pub version: u64,
    /// The token.
    pub text: SecretString,
}

/// The token of a caller; none if they have stored none.
pub type Found<'a> = Pin<Box<dyn Future<Output = Result<Option<Arc<CallerToken>>, CallError>> + Send + 'a>>;

/// Where the tokens of callers are: a port to the vault.
pub trait CallerTokens: Send + Sync + fmt::Debug {
    /// The token that `actor` has stored for `connector`, in the workspace that they act in.
    ///
    /// What was stored is known for a few seconds; `refused` is the version of a token that the system
    /// did not take, so that the store is asked again.
    fn find<'a>(&'a self, connector: &'a Slug, actor: &'a Actor, refused: Option<u64>) -> Found<'a>;
}

/// A secret that never changes.
#[derive(Debug)]
pub struct FixedSecret(Arc<SecretValue>);

impl FixedSecret {
    /// The secret `text`.
    pub fn new(text: SecretString) -> Self {
        Self(Arc::new(SecretValue { generation: 0, text }))
    }
}

impl LiveSecret for FixedSecret {
    fn now(&self) -> Option<Arc<SecretValue>> {
        Some(Arc::clone(&self.0))
    }

    fn renew(&self, _: Option<u64>) -> Renewal<'_> {
        Box::pin(std::future::ready(Ok(Arc::clone(&self.0))))
    }
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
