//! Several messages in one JSON array, which one revision allows.
//!
//! MCP 2025-03-26 (basic, "Batching") has them, and a server of that revision may
//! answer with one; all others have not. We send none.
//!
//! Invariant: a batch has no other messages than its own elements, in their order,
//! and at most [`MAX_MESSAGES`] of them; a batch in a batch is none.

use std::fmt;

use serde::Deserializer as _;
use serde::de::{Error as _, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// How many messages one batch may hold.
const MAX_MESSAGES: usize = 1_000;

/// The messages that `text` holds: those of a batch where there `may_be_batches`, else one.
pub(super) fn messages(text: &str, may_be_batches: bool) -> impl Iterator<Item = &str> {
    let batch = if may_be_batches { read(text) } else { None };
    let single = batch.is_none().then_some(text);
    single.into_iter().chain(batch.into_iter().flatten().map(RawValue::get))
}

/// Reads an array of at least one message. None if `text` is something else.
fn read(text: &str) -> Option<Vec<&RawValue>> {
    if !text.trim_ascii_start().starts_with('[') {
        return None;
    }
    let mut json = serde_json::Deserializer::from_str(text);
    let messages = json.deserialize_seq(Messages).ok()?;
    json.end().ok()?;
    (!messages.is_empty()).then_some(messages)
}

struct Messages;

impl<'de> Visitor<'de> for Messages {
    type Value = Vec<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at most {MAX_MESSAGES} messages")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut messages: A) -> Result<Self::Value, A::Error> {
        let mut read = Vec::new();
        while let Some(message) = messages.next_element::<&'de RawValue>()? {
            if read.len() >= MAX_MESSAGES {
                return Err(A::Error::custom("too many messages"));
            }
            read.push(message);
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(text: &str, may_be_batches: bool) -> Vec<&str> {
        messages(text, may_be_batches).collect()
    }

    #[test]
    fn a_batch_is_its_elements_in_their_order_and_anything_else_is_one_message() {
        let two = " [{\"id\": 1}\n, {\"id\":2}]\n";
        assert_eq!(split(two, true), ["{\"id\": 1}", "{\"id\":2}"]);
        assert_eq!(split(two, false), [two]);
        assert_eq!(split("[[{}]]", true), ["[{}]"], "which is no message");
        for one in ["", "{}", "[]", "[{}", "[{}] {}", "[{},]", "\"[]\""] {
            assert_eq!(split(one, true), [one]);
        }
    }

    #[test]
    fn the_number_of_messages_is_bounded() {
        let of = |count: usize| format!("[{}]", vec!["{}"; count].join(","));
        assert_eq!(split(&of(MAX_MESSAGES), true).len(), MAX_MESSAGES);
        assert_eq!(split(&of(MAX_MESSAGES + 1), true).len(), 1);
    }
}
