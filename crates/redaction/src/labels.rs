//! Values in a text that a name stands before, as in logs and forms: `user_name=Ada`, `Name: Ada`.

use crate::field::{FieldClass, Lexicon, is_full_name, is_plausible};
use crate::hit::{Confidence, Hit};
use crate::kind::Kind;

/// Longest name before a sign, and longest value behind it, in bytes.
const MAX_NAME: usize = 40;
const MAX_VALUE: usize = 160;

/// Adds the values of `text` whose names say what they are.
pub(crate) fn find(text: &str, lexicon: &Lexicon, hits: &mut Vec<Hit>) {
    for at in memchr::memchr2_iter(b':', b'=', text.as_bytes()) {
        let Some(name) = name_before(text, at) else { continue };
        let FieldClass::Kind(kind, _) = lexicon.classify(name) else { continue };
        let is_pair = text.as_bytes().get(at) == Some(&b'=');
        let Some((start, end)) = value_after(text, at + 1, is_pair, kind) else { continue };
        let value = text.get(start..end).unwrap_or_default();
        if counts(kind, value) {
            hits.push(Hit { start, end, kind, detector: "label", confidence: Confidence::Medium });
        }
    }
}

/// The name that ends before `at`: words of one line, with quotes around it or without.
fn name_before(text: &str, at: usize) -> Option<&str> {
    let left = text.get(..at)?;
    let left = left.trim_end_matches([' ', '"', '\'', '*', '_', '`']);
    let is_name = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | ' ' | '/' | '\'');
    let from = left.char_indices().rev().take(MAX_NAME + 1).take_while(|(_, c)| is_name(*c)).last()?.0;
    let whole = left.get(from..)?;
    // Of a sentence only its end is a name; of a path only its last part.
    let last = whole.rsplit(['/', '.']).next().unwrap_or(whole).trim();
    let words = last.split(' ').count();
    let cut =
        last.char_indices().filter(|(_, c)| *c == ' ').map(|(at, _)| at + 1).nth(words.saturating_sub(5));
    let name = if words > 4 { last.get(cut?..)? } else { last };
    (!name.is_empty()).then_some(name)
}

/// Where the value after a sign is: in quotes, or up to what ends one.
fn value_after(text: &str, at: usize, is_pair: bool, kind: Kind) -> Option<(usize, usize)> {
    let rest = text.get(at..)?;
    let lead = rest.len() - rest.trim_start_matches([' ', '\t', '*', '_']).len();
    let rest = rest.get(lead..)?;
    let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\'' | '`'));
    let (start, rest) = match quote {
        Some(quote) => (at + lead + quote.len_utf8(), rest.get(1..)?),
        None => (at + lead, rest),
    };
    let is_list = matches!(kind, Kind::Address | Kind::Gps);
    let ends = |c: char| match quote {
        Some(quote) => c == quote || c == '\n',
        None => {
            matches!(c, '\n' | '\r' | '\t' | ';' | '|' | '"' | '&' | '<' | '}' | ']')
                || (c == ',' && !is_list)
                || (is_pair && c.is_whitespace())
        }
    };
    let rest = rest.get(..rest.floor_char_boundary(MAX_VALUE + 1)).unwrap_or_default();
    let length = rest.find(ends).unwrap_or(rest.len());
    let value = rest.get(..length)?.trim_end().trim_end_matches(['.', '*', '_']);
    (!value.is_empty() && length <= MAX_VALUE).then_some((start, start + value.len()))
}

/// Whether a value behind a name in prose is one: a name in a sentence is often followed by a sentence.
fn counts(kind: Kind, value: &str) -> bool {
    let words = value.split_whitespace().count();
    let is_short = match kind {
        Kind::PersonName => {
            is_full_name(value) || (words == 1 && value.chars().next().is_some_and(char::is_uppercase))
        }
        Kind::Address => value.bytes().any(|byte| byte.is_ascii_digit()) && words <= 14,
        Kind::Username => words == 1 && !value.contains("://"),
        Kind::Gender | Kind::Nationality | Kind::Age => words == 1,
        Kind::DateOfBirth => words <= 4 && value.bytes().filter(u8::is_ascii_digit).count() >= 3,
        // What secrets look like is known better elsewhere.
        kind if kind.is_secret() => false,
        Kind::Email => value.contains('@') && words <= 8,
        Kind::CreditCard | Kind::Iban => words <= 8,
        _ => words <= 5 && value.bytes().filter(u8::is_ascii_digit).count() >= 4,
    };
    is_short && is_plausible(kind, value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<(&str, Kind)> {
        let mut hits = Vec::new();
        find(text, &Lexicon::new([]), &mut hits);
        hits.iter().map(|hit| (&text[hit.start..hit.end], hit.kind)).collect()
    }

    #[test]
    fn named_values_of_logs_and_forms_are_found() {
        assert_eq!(
            found("user_email=x customer_name=\"Ada Lovelace\" status=ok"),
            [("Ada Lovelace", Kind::PersonName)]
        );
        assert_eq!(found("Full name: Ada Lovelace\nCity: London"), [("Ada Lovelace", Kind::PersonName)]);
        assert_eq!(found("**Date of birth**: 12 March 1980"), [("12 March 1980", Kind::DateOfBirth)]);
        assert_eq!(found("Passport No: X1234567, valid"), [("X1234567", Kind::Passport)]);
        assert_eq!(found("{\"passportNumber\": \"X1234567\"}"), [("X1234567", Kind::Passport)]);
    }

    #[test]
    fn prose_behind_a_name_is_no_value() {
        for text in [
            "About the customer name: please spell it right",
            "Email: we answer soon",
            "status: active",
            "https://example.com",
        ] {
            assert_eq!(found(text), [], "{text}");
        }
    }
}
