//! The arguments of a call: read once, strictly, and never in two ways.

use std::sync::Arc;

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::error::{CallError, ErrorCode};
use crate::json;
use crate::raw::Raw;

/// The arguments of one call.
///
/// They are read once, with [`json::parse_strict`], and written once, in the
/// canonical form of RFC 8785: what policy sees, what the digest is made of and
/// what is sent on are the same, down to the digits of a number.
///
/// Cheap to clone: every stage of the path shares the one reading.
#[derive(Clone, Debug, PartialEq)]
pub struct Arguments(Arc<Reading>);

#[derive(Debug, PartialEq)]
struct Reading {
    text: String,
    value: Value,
}

impl Arguments {
    /// Reads arguments as a client sent them; none at all are the empty object.
    ///
    /// # Errors
    ///
    /// `input.invalid` if they are not one unambiguous JSON object.
    pub fn parse(raw: Option<Raw<'_>>) -> Result<Self, CallError> {
        let Some(raw) = raw else { return Ok(Self::default()) };
        let value = json::parse_strict(raw.get()).map_err(|e| {
            CallError::new(ErrorCode::InputInvalid, format!("`arguments` cannot be read: {e}"))
        })?;
        if !value.is_object() {
            return Err(CallError::new(ErrorCode::InputInvalid, "`arguments` must be an object")
                .hint("send the arguments by name, as in {\"region\": \"EMEA\"}"));
        }
        Ok(Self::of(value))
    }

    fn of(mut value: Value) -> Self {
        json::spell_numbers(&mut value);
        Self(Arc::new(Reading { text: json::canonical(&value), value }))
    }

    /// Arguments that Quaymaster put together itself.
    pub fn from_map(map: Map<String, Value>) -> Self {
        Self::of(Value::Object(map))
    }

    /// The canonical JSON text, as it is sent on.
    pub fn as_json(&self) -> &str {
        &self.0.text
    }

    /// The arguments as a JSON object.
    pub fn value(&self) -> &Value {
        &self.0.value
    }

    /// The argument called `name`.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.value.get(name)
    }

    /// SHA-256 of the canonical form, as `sha256:<64 hexadecimal digits>`.
    pub fn digest(&self) -> String {
        sha256_text(self.0.text.as_bytes())
    }
}

impl Default for Arguments {
    fn default() -> Self {
        Self::from_map(Map::new())
    }
}

/// SHA-256 of `bytes` as `sha256:<64 hexadecimal digits>`.
pub fn sha256_text(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    let mut text = String::with_capacity(71);
    text.push_str("sha256:");
    push_hex(&mut text, &digest);
    text
}

/// Appends `bytes` to `text` in lower-case hexadecimal.
pub fn push_hex(text: &mut String, bytes: &[u8]) {
    // All digits of a chunk are put together first, so that they are appended at once.
    for chunk in bytes.chunks(32) {
        let mut digits = [0_u8; 64];
        for ([high, low], byte) in digits.as_chunks_mut::<2>().0.iter_mut().zip(chunk) {
            (*high, *low) = (hex_digit(byte >> 4), hex_digit(byte & 15));
        }
        let digits = digits.get(..2 * chunk.len()).unwrap_or_default();
        text.push_str(std::str::from_utf8(digits).unwrap_or_default());
    }
}

/// The digit of a number below 16.
fn hex_digit(nibble: u8) -> u8 {
    nibble + if nibble < 10 { b'0' } else { b'a' - 10 }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn read(text: &str) -> Result<Arguments, CallError> {
        let raw = Raw::read(text).map_err(|e| CallError::new(ErrorCode::InputInvalid, e.to_string()))?;
        Arguments::parse(Some(raw))
    }

    #[test]
    fn arguments_that_are_not_an_object_are_refused_with_what_would_be_right() {
        let error = read("[1]").expect_err("an array");
        assert_eq!(error.to_string(), "input.invalid: `arguments` must be an object");
        assert!(error.hint.is_some());
    }

    #[test]
    fn bytes_of_any_number_are_written_in_hexadecimal() {
        for count in [0, 1, 31, 32, 33, 256] {
            let bytes: Vec<u8> = (0..count).map(|n: usize| n.to_le_bytes()[0]).collect();
            let mut text = String::new();
            push_hex(&mut text, &bytes);
            let digits: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(text, digits.concat());
        }
    }

    proptest! {
        #[test]
        fn what_is_decided_on_is_what_is_sent(numbers in prop::collection::vec(-9e15..9e15_f64, 0..8), whole in any::<i32>()) {
            let numbers: Vec<Value> = numbers.into_iter().map(Value::from).collect();
            let map = json!({"list": numbers, "whole": f64::from(whole), "deep": {"whole": f64::from(whole)}});
            let Value::Object(map) = map else { unreachable!("an object") };
            let arguments = Arguments::from_map(map);
            prop_assert_eq!(&arguments, &read(arguments.as_json()).expect("an object"));
            prop_assert_eq!(arguments.get("whole"), Some(&Value::from(whole)));
        }
    }

    #[test]
    fn the_digest_does_not_depend_on_spelling() {
        let one = read(r#"{"b": 1.0, "a": "\u0078"}"#).expect("an object").digest();
        let other = read(r#"{"a":"x","b":1}"#).expect("an object").digest();
        assert_eq!(one, other);
        let sent = read(r#"{"amount": 1000.00000000000000000009}"#).expect("an object");
        assert_eq!(sent.as_json(), r#"{"amount":1000}"#, "no digit is sent that nobody decided on");
        assert_eq!(
            Arguments::default().digest(),
            "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
        );
    }
}
