//! JSON, read strictly and written canonically.
//!
//! What policy decides on and what runs must be the same, so arguments are read
//! with no room for two readings: a repeated key, a number that would lose
//! digits and a nesting beyond the limit are errors here, where most parsers
//! pick one reading silently. [`canonical`] writes RFC 8785 (JCS), which digests
//! and audit records are made of.

mod object;
mod strict;

use std::fmt::Write as _;

use serde_json::{Map, Number, Value};

pub use object::ObjectWriter;

/// How deep arguments may be nested.
pub const MAX_DEPTH: usize = 64;

/// Integers up to this size are exact in every JSON implementation (RFC 8259, section 6).
const MAX_SAFE_INTEGER: f64 = 9_007_199_254_740_992.0;

/// Why a text cannot be taken as JSON with one meaning.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{reason}")]
pub struct JsonError {
    reason: String,
}

impl JsonError {
    pub(crate) fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into() }
    }
}

/// Reads `text` as one JSON value that has exactly one meaning.
///
/// # Errors
///
/// Malformed JSON, a repeated object key, a number that a double cannot hold
/// exactly though it is written as an integer, or nesting beyond [`MAX_DEPTH`].
pub fn parse_strict(text: &str) -> Result<Value, JsonError> {
    strict::read(text)
}

/// Writes `value` in the canonical form of RFC 8785.
///
/// Integers beyond ±2⁵³, which that form cannot hold, keep all their digits, so
/// that different integers never share a digest.
pub fn canonical(value: &Value) -> String {
    let mut out = String::with_capacity(256);
    write_canonical(&mut out, value);
    out
}

fn write_canonical(out: &mut String, value: &Value) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(true) => out.push_str("true"),
        Value::Bool(false) => out.push_str("false"),
        Value::Number(number) => write_number(out, number),
        Value::String(text) => write_string(out, text),
        Value::Array(items) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                write_canonical(out, item);
            }
            out.push(']');
        }
        Value::Object(object) => write_object(out, object),
    }
}

/// Keys are ordered by their UTF-16 code units (RFC 8785, section 3.2.3).
fn write_object(out: &mut String, object: &Map<String, Value>) {
    let mut members: Vec<(&String, &Value)> = object.iter().collect();
    members.sort_unstable_by(|(a, _), (b, _)| {
        if a.is_ascii() && b.is_ascii() { a.cmp(b) } else { a.encode_utf16().cmp(b.encode_utf16()) }
    });
    out.push('{');
    for (at, (key, value)) in members.into_iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        write_string(out, key);
        out.push(':');
        write_canonical(out, value);
    }
    out.push('}');
}

/// Writes `text` as a canonical JSON string.
pub fn write_string(out: &mut String, text: &str) {
    out.push('"');
    if text.as_bytes().chunks(32).any(needs_escape) {
        write_escaped(out, text);
    } else {
        out.push_str(text);
    }
    out.push('"');
}

/// Looks at all bytes of a chunk without a branch, so that it is done many at a time.
pub(crate) fn needs_escape(chunk: &[u8]) -> bool {
    let marks = |byte: &u8| u8::from(*byte < 0x20) | u8::from(*byte == b'"') | u8::from(*byte == b'\\');
    chunk.iter().fold(0, |found, byte| found | marks(byte)) != 0
}

/// The bytes that stand for something else in a JSON string (RFC 8259, section 7).
#[expect(clippy::indexing_slicing, reason = "evaluated by the compiler, which refuses what is out of bounds")]
const SPECIAL: [bool; 256] = {
    let mut special = [false; 256];
    let mut byte = 0;
    while byte < 0x20 {
        special[byte] = true;
        byte += 1;
    }
    special[b'"' as usize] = true;
    special[b'\\' as usize] = true;
    special
};

/// Where the first byte is that cannot stand for itself in a JSON string.
pub(crate) fn first_special(bytes: &[u8]) -> Option<usize> {
    bytes.iter().position(|byte| SPECIAL.get(usize::from(*byte)).copied().unwrap_or(true))
}

fn write_escaped(out: &mut String, text: &str) {
    let mut rest = text;
    while let Some(at) = first_special(rest.as_bytes()) {
        // The byte is ASCII, so the text can be cut on both sides of it.
        out.push_str(rest.get(..at).unwrap_or_default());
        match rest.as_bytes().get(at).copied().unwrap_or_default() {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            0x08 => out.push_str("\\b"),
            0x09 => out.push_str("\\t"),
            0x0a => out.push_str("\\n"),
            0x0c => out.push_str("\\f"),
            0x0d => out.push_str("\\r"),
            byte => {
                let _ = write!(out, "\\u{byte:04x}");
            }
        }
        rest = rest.get(at + 1..).unwrap_or_default();
    }
    out.push_str(rest);
}

/// Has every number in `value` be what its canonical form reads as: a double that is a whole number
/// below 2⁵³ is an integer.
pub(crate) fn spell_numbers(value: &mut Value) {
    match value {
        Value::Number(number) => {
            let whole = number
                .as_f64()
                .filter(|double| number.is_f64() && double.fract() == 0.0 && double.abs() < MAX_SAFE_INTEGER);
            if let Some(whole) = whole {
                #[expect(clippy::cast_possible_truncation, reason = "it is whole and small enough")]
                let integer = whole as i64;
                *number = integer.into();
            }
        }
        Value::Array(items) => items.iter_mut().for_each(spell_numbers),
        Value::Object(object) => object.values_mut().for_each(spell_numbers),
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

fn write_number(out: &mut String, number: &Number) {
    if let Some(integer) = number.as_i64() {
        let _ = write!(out, "{integer}");
    } else if let Some(integer) = number.as_u64() {
        let _ = write!(out, "{integer}");
    } else {
        write_double(out, number.as_f64().unwrap_or(0.0));
    }
}

/// The shortest digits that read back, laid out as ECMAScript does (RFC 8785, section 3.2.2.3).
fn write_double(out: &mut String, value: f64) {
    if value == 0.0 {
        out.push('0');
        return;
    }
    if value < 0.0 {
        out.push('-');
    }
    let scientific = format!("{:e}", value.abs());
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let digits: String = mantissa.chars().filter(|c| *c != '.').collect();
    let count = i32::try_from(digits.len()).unwrap_or(i32::MAX);
    let point = exponent.parse::<i32>().unwrap_or(0) + 1;
    if (count..=21).contains(&point) {
        out.push_str(&digits);
        (count..point).for_each(|_| out.push('0'));
    } else if (1..=21).contains(&point) {
        let (whole, fraction) = digits.split_at(usize::try_from(point).unwrap_or(0));
        let _ = write!(out, "{whole}.{fraction}");
    } else if (-5..=0).contains(&point) {
        out.push_str("0.");
        (point..0).for_each(|_| out.push('0'));
        out.push_str(&digits);
    } else {
        let (first, rest) = digits.split_at(1);
        let dot = if rest.is_empty() { "" } else { "." };
        let sign = if point > 0 { "+" } else { "" };
        let _ = write!(out, "{first}{dot}{rest}e{sign}{}", point - 1);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn refused(text: &str) -> String {
        parse_strict(text).map_or_else(|e| e.to_string(), |v| format!("accepted as {v}"))
    }

    #[test]
    fn what_has_two_readings_is_refused() {
        assert_eq!(refused(r#"{"a":1,"a":2}"#), "key `a` is repeated at line 1 column 12");
        assert_eq!(refused(r#"{"a":1,"\u0061":2}"#), "key `a` is repeated at line 1 column 17");
        assert!(refused("12345678901234567890123").contains("too large to be read exactly"));
        assert!(refused("1e400").contains("number out of range"));
        assert!(refused(&"[".repeat(100)).contains("nested deeper than 64 levels"));
        assert!(refused("1 2").contains("nothing after the value"));
        assert!(refused(r#""\ud800""#).contains("half of a surrogate pair"));
    }

    #[test]
    fn the_limit_of_nesting_itself_is_accepted() {
        let text = format!("{}{}", "[".repeat(MAX_DEPTH), "]".repeat(MAX_DEPTH));
        assert!(parse_strict(&text).is_ok());
    }

    /// The examples of RFC 8785, section 3.2.
    #[test]
    fn canonical_form_follows_the_examples_of_the_rfc() {
        let value = json!({
            "numbers": [333_333_333.333_333_3, 1E30, 4.50, 2e-3, 0.000_000_000_000_000_000_000_000_001],
            "string": "\u{20ac}$\u{000F}\u{000a}A'\u{0042}\u{0022}\u{005c}\\\"/",
            "literals": [null, true, false]
        });
        assert_eq!(
            canonical(&value),
            "{\"literals\":[null,true,false],\"numbers\":[333333333.3333333,1e+30,4.5,0.002,1e-27],\
             \"string\":\"\u{20ac}$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\"}"
        );
        let keys =
            json!({"\u{20ac}": 1, "\r": 2, "\u{fb33}": 3, "1": 4, "\u{1f600}": 5, "\u{80}": 6, "\u{f6}": 7});
        assert_eq!(
            canonical(&keys),
            "{\"\\r\":2,\"1\":4,\"\u{80}\":6,\"\u{f6}\":7,\"\u{20ac}\":1,\"\u{1f600}\":5,\"\u{fb33}\":3}"
        );
    }

    /// A selection of RFC 8785, appendix B.
    #[test]
    fn doubles_are_laid_out_as_ecmascript_does() {
        for (bits, text) in [
            (0x0000_0000_0000_0001_u64, "5e-324"),
            (0x8000_0000_0000_0001, "-5e-324"),
            (0x7fef_ffff_ffff_ffff, "1.7976931348623157e+308"),
            (0x4430_0000_0000_0000, "295147905179352830000"),
            (0x44b5_2d02_c7e1_4af5, "9.999999999999997e+22"),
            (0x444b_1ae4_d6e2_ef4e, "999999999999999700000"),
            (0x444b_1ae4_d6e2_ef50, "1e+21"),
            (0x3eb0_c6f7_a0b5_ed8c, "9.999999999999997e-7"),
            (0x3eb0_c6f7_a0b5_ed8d, "0.000001"),
            (0x41b3_de43_5555_5553, "333333333.3333332"),
        ] {
            let mut out = String::new();
            write_double(&mut out, f64::from_bits(bits));
            assert_eq!(out, text);
        }
    }

    #[test]
    fn spellings_of_one_number_share_a_form_and_different_integers_do_not() {
        let form = |text: &str| parse_strict(text).map(|v| canonical(&v)).unwrap_or_default();
        assert_eq!(form("[1.0, 1e2, -0.0]"), "[1,100,0]");
        assert_ne!(form("9007199254740993"), form("9007199254740992"));
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::Bool),
            any::<i64>().prop_map(Value::from),
            (-1e15_f64..1e15).prop_map(Value::from),
            ".{0,12}".prop_map(Value::String),
        ];
        leaf.prop_recursive(4, 32, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::Array),
                prop::collection::hash_map(".{0,6}", inner, 0..6)
                    .prop_map(|m| Value::Object(m.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn canonical_text_reads_back_as_itself(value in any_json()) {
            let text = canonical(&value);
            let read = parse_strict(&text).map_err(|e| TestCaseError::fail(e.to_string()))?;
            prop_assert_eq!(canonical(&read), text);
        }

        #[test]
        fn no_input_makes_the_strict_reader_panic(text in ".{0,64}") {
            let _ = parse_strict(&text);
        }
    }
}
