//! Syslog messages (RFC 5424) with structured data; for TCP each behind its length (RFC 6587, section 3.4.1).
//!
//! The structured data has what is filtered by, the message is the record.

use std::fmt::Write as _;

use serde_json::Value;

use super::{Weight, text, weight};

/// "Log audit" (RFC 5424, table 1).
const FACILITY: u8 = 13;
/// The number is the one for examples (RFC 5612): Quaymaster has none of its own.
const ELEMENT: &str = "quaymaster@32473";

/// The members that are filtered by, and what they are called.
const PARAMETERS: [(&str, &str); 9] = [
    ("event", "/event"),
    ("call", "/call"),
    ("actor", "/actor/id"),
    ("workspace", "/workspace"),
    ("tool", "/tool/name"),
    ("status", "/status"),
    ("code", "/code"),
    ("session", "/session"),
    ("writer", "/writer"),
];

/// The message of a record, whose text is `raw`.
pub fn message(said: &Value, raw: &str) -> String {
    let severity = match weight(said) {
        Weight::Usual => 6,
        Weight::Notable => 5,
        Weight::Grave => 4,
    };
    let priority = FACILITY * 8 + severity;
    let time = text(said, "/time").unwrap_or("-");
    let kind =
        text(said, "/event").filter(|kind| kind.len() <= 32 && kind.bytes().all(|b| b.is_ascii_graphic()));
    let seq = said.get("seq").and_then(Value::as_u64).unwrap_or_default();
    let mut data = format!("[{ELEMENT} seq=\"{seq}\"");
    for (name, pointer) in PARAMETERS {
        if let Some(value) = text(said, pointer) {
            // Writing to a string does not fail.
            let _ = write!(data, " {name}=\"{}\"", escaped(value));
        }
    }
    data.push(']');
    // A byte order mark says that the message is UTF-8 (section 6.4).
    format!("<{priority}>1 {time} - quaymaster - {} {data} \u{feff}{raw}", kind.unwrap_or("-"))
}

/// A message as it goes over TCP.
pub fn framed(message: &str) -> String {
    format!("{} {message}", message.len())
}

/// Section 6.3.3: these three characters are escaped in a parameter. Line breaks would end a line of a file.
fn escaped(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for c in value.chars() {
        if matches!(c, '"' | '\\' | ']') {
            out.push('\\');
        }
        out.push(if c.is_control() { ' ' } else { c });
    }
    out
}
