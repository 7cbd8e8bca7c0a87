//! Audit records in the forms that other systems read.
//!
//! A record is given as it is stored, canonical JSON; what is made of it is a text: a line of [`ocsf`] JSON,
//! of [`syslog`], or a batch for a collector of [`otlp`] logs. Nothing is read or sent here.
//!
//! Invariants:
//! - Each form has the number and the call of its record, and the record itself, whole.
//! - A record holds no name, argument or result, so no form does.

pub mod ocsf;
pub mod otlp;
pub mod syslog;

use serde_json::Value;

/// A form of single records, one a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// As they are stored: canonical JSON (RFC 8785).
    JsonLines,
    /// OCSF 1.9, class API Activity (6003), as JSON.
    Ocsf,
    /// RFC 5424 with structured data.
    Syslog,
}

impl Form {
    /// `body`, a record as it is stored, in this form; without a line break.
    pub fn write(self, body: &[u8]) -> String {
        let text = String::from_utf8_lossy(body);
        let said = || serde_json::from_str(&text).unwrap_or_default();
        match self {
            Self::JsonLines => text.into_owned(),
            Self::Ocsf => ocsf::event(&said(), &text).to_string(),
            Self::Syslog => syslog::message(&said(), &text),
        }
    }
}

/// A member of a record by its JSON pointer, as text.
fn text<'a>(said: &'a Value, pointer: &str) -> Option<&'a str> {
    said.pointer(pointer).and_then(Value::as_str)
}

/// How bad it is that this was recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Weight {
    /// As it should be.
    Usual,
    /// Something was refused or failed.
    Notable,
    /// The installation itself was stopped or its evidence changed.
    Grave,
}

fn weight(said: &Value) -> Weight {
    let event = text(said, "/event").unwrap_or_default();
    match event {
        "incident.stopped" | "config.refused" | "audit.pruned" | "audit.erased" => Weight::Grave,
        "call.refused" | "request.refused" => Weight::Notable,
        _ if text(said, "/status") == Some("failed") => Weight::Notable,
        _ => Weight::Usual,
    }
}

#[cfg(test)]
mod tests;
