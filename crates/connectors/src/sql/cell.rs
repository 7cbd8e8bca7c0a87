//! One value of a result, as JSON that loses nothing silently.
//!
//! What JSON cannot hold exactly goes out as text, what is too long is cut, and
//! what cannot be shown is empty; each leaves a [`Mark`], of which `rows` makes
//! warnings. How a database encodes its values is in `sqlite` and `postgres`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Number, Value};

/// Integers up to this size are exact in every JSON implementation (RFC 8259, section 6).
const MAX_SAFE_INTEGER: u64 = 1 << 53;
/// A double keeps this many decimal digits, whichever they are.
const SAFE_DIGITS: usize = 15;

/// A value and what happened to it on the way.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Cell {
    pub(crate) value: Value,
    pub(crate) mark: Option<Mark>,
}

/// What happened to a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    /// A number went out as text, because JSON cannot hold it or would lose digits.
    AsText,
    /// A text was too long and lost its end.
    Cut,
    /// The type cannot be shown.
    Unreadable,
    /// A text held bytes that are no UTF-8.
    Repaired,
}

impl Cell {
    /// A value that is what it was.
    pub(crate) fn exact(value: impl Into<Value>) -> Self {
        Self { value: value.into(), mark: None }
    }

    /// A value of a type that cannot be shown.
    pub(crate) fn unreadable() -> Self {
        Self { value: Value::Null, mark: Some(Mark::Unreadable) }
    }

    /// A whole number.
    pub(crate) fn integer(number: i64) -> Self {
        if number.unsigned_abs() <= MAX_SAFE_INTEGER {
            Self::exact(number)
        } else {
            Self::as_text(number.to_string())
        }
    }

    /// A number that a double holds. What is no number in JSON goes out as the word for it.
    pub(crate) fn double(number: f64) -> Self {
        match Number::from_f64(number) {
            Some(number) => Self::exact(Value::Number(number)),
            None if number.is_nan() => Self::as_text("NaN"),
            None => Self::as_text(if number > 0.0 { "Infinity" } else { "-Infinity" }),
        }
    }

    /// A decimal number, written with digits, a sign and a point.
    pub(crate) fn decimal(text: &str) -> Self {
        let shorter =
            if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text };
        if let Ok(number) = shorter.parse::<i64>() {
            let cell = Self::integer(number);
            return if cell.mark.is_none() { cell } else { Self::as_text(text) };
        }
        let digits = shorter.trim_start_matches(['-', '0', '.']).bytes().filter(u8::is_ascii_digit).count();
        match shorter.parse::<f64>().ok().and_then(Number::from_f64) {
            Some(number) if digits <= SAFE_DIGITS => Self::exact(Value::Number(number)),
            _ => Self::as_text(text),
        }
    }

    /// Text of which at most `most` bytes are kept.
    pub(crate) fn text(bytes: &[u8], most: usize) -> Self {
        let kept = bytes.get(..most).unwrap_or(bytes);
        match std::str::from_utf8(kept) {
            Ok(text) if kept.len() == bytes.len() => Self::exact(text),
            Ok(text) => Self { value: text.into(), mark: Some(Mark::Cut) },
            // A cut may fall into a character: what is left of it goes too.
            Err(e) if kept.len() < bytes.len() && e.error_len().is_none() => {
                let whole = kept.get(..e.valid_up_to()).unwrap_or_default();
                Self { value: String::from_utf8_lossy(whole).into(), mark: Some(Mark::Cut) }
            }
            Err(_) => {
                Self { value: String::from_utf8_lossy(kept).into_owned().into(), mark: Some(Mark::Repaired) }
            }
        }
    }

    /// Bytes as base64 (RFC 4648, section 4), of which at most `most` characters are kept.
    pub(crate) fn binary(bytes: &[u8], most: usize) -> Self {
        let whole = (most / 4).saturating_mul(3);
        let kept = bytes.get(..whole).unwrap_or(bytes);
        let mark = (kept.len() < bytes.len()).then_some(Mark::Cut);
        Self { value: STANDARD.encode(kept).into(), mark }
    }

    fn as_text(text: impl Into<String>) -> Self {
        Self { value: Value::String(text.into()), mark: Some(Mark::AsText) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn whole_numbers_beyond_two_to_the_fifty_third_are_text() {
        assert_eq!(Cell::integer(1 << 53), Cell::exact(1_i64 << 53));
        assert_eq!(Cell::integer(-(1 << 53) - 1), Cell::as_text("-9007199254740993"));
        assert_eq!(Cell::integer(i64::MIN).value, json!("-9223372036854775808"));
    }

    #[test]
    fn decimals_are_numbers_as_long_as_no_digit_is_lost() {
        for (text, value) in [
            ("12.50", json!(12.5)),
            ("100.00", json!(100)),
            ("0", json!(0)),
            ("-0.000123456789012345", json!(-0.000_123_456_789_012_345)),
            ("1234567890.12345", json!(1_234_567_890.123_45)),
            ("1234567890.123456", json!("1234567890.123456")),
            ("123456789012345678901234567890", json!("123456789012345678901234567890")),
            ("9007199254740993.00", json!("9007199254740993.00")),
            ("NaN", json!("NaN")),
            ("Infinity", json!("Infinity")),
        ] {
            assert_eq!(Cell::decimal(text).value, value, "{text}");
        }
    }

    #[test]
    fn a_cut_does_not_split_a_character() {
        assert_eq!(Cell::text("aé".as_bytes(), 3), Cell::exact("aé"));
        assert_eq!(Cell::text("aé".as_bytes(), 2), Cell { value: json!("a"), mark: Some(Mark::Cut) });
        assert_eq!(Cell::text(b"a\xff", 9).mark, Some(Mark::Repaired));
    }

    /// The test vectors of RFC 4648, section 10.
    #[test]
    fn binary_is_base64_with_padding() {
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(Cell::binary(bytes.as_bytes(), 100), Cell::exact(text));
        }
        assert_eq!(Cell::binary(b"foobar", 7), Cell { value: json!("Zm9v"), mark: Some(Mark::Cut) });
        assert_eq!(Cell::binary(&[0xfb, 0xff], 100).value, json!("+/8="));
    }

    proptest! {
        #[test]
        fn a_decimal_that_is_a_number_reads_back_as_itself(
            whole in -999_999_999_i64..999_999_999, cents in 0_u32..1_000_000
        ) {
            let text = format!("{whole}.{cents:06}");
            let cell = Cell::decimal(&text);
            let shown = match &cell.value {
                Value::Number(number) => number.as_f64().map(|n| format!("{n:.6}")).unwrap_or_default(),
                other => other.as_str().unwrap_or_default().to_owned(),
            };
            prop_assert_eq!(shown, text);
        }

        #[test]
        fn no_bytes_make_a_cell_longer_than_asked(bytes in prop::collection::vec(any::<u8>(), 0..40), most in 0_usize..40) {
            let text = Cell::binary(&bytes, most).value;
            prop_assert!(text.as_str().is_some_and(|t| t.len() <= most));
            let text = Cell::text(&bytes, most).value;
            // Each broken byte is shown as a replacement character of three bytes.
            prop_assert!(text.as_str().is_some_and(|t| t.chars().count() <= most));
        }
    }
}
