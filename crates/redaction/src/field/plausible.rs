//! Whether a value can be of the kind that its field names.

use crate::kind::Kind;

/// Longest value that a field's name classifies as a whole, in bytes: beyond it is a text.
fn longest(kind: Kind) -> usize {
    match kind {
        Kind::Address => 400,
        Kind::PersonName => 160,
        Kind::Email => 320,
        _ if kind.is_secret() => 8_192,
        _ => 96,
    }
}

/// Words that stand where there is no value.
const EMPTY: &[&str] = &[
    "null",
    "none",
    "n/a",
    "na",
    "nil",
    "unknown",
    "undefined",
    "-",
    "--",
    "tbd",
    "yes",
    "no",
    "true",
    "false",
    "nan",
    "missing",
    "not available",
    "not provided",
    "redacted",
    "anonymous",
    "keine",
    "aucun",
    "ninguno",
    "nessuno",
    "geen",
];

/// Whether `value`, which stands in a field for `kind`, can be of it.
pub(crate) fn is_plausible(kind: Kind, value: &str) -> bool {
    let value = value.trim();
    let is_empty =
        value.is_empty() || (value.len() < 16 && EMPTY.iter().any(|word| value.eq_ignore_ascii_case(word)));
    if is_empty || value.len() > longest(kind) || is_mark(value) {
        return false;
    }
    let digits = value.bytes().filter(u8::is_ascii_digit).count();
    let letters = value.chars().filter(|c| c.is_alphabetic()).count();
    let alphanumeric = digits + letters;
    match kind {
        Kind::Email => value.contains('@') || (letters > 4 && has_spoken_at(value)),
        Kind::Phone => digits >= 5 && letters <= 12,
        Kind::CreditCard => digits >= 8,
        Kind::CardSecurityCode => (3..=4).contains(&digits) && letters == 0,
        Kind::CardExpiry => (2..=8).contains(&digits) && letters <= 9,
        Kind::Iban => alphanumeric >= 10 && digits >= 4,
        Kind::BankAccount => digits >= 4 && letters <= digits,
        Kind::Bic => (8..=15).contains(&alphanumeric) && letters >= 6 && value.to_uppercase() == value,
        Kind::Ip => value.contains(['.', ':']) && digits + letters >= 3 && !value.contains(' '),
        Kind::Mac => alphanumeric >= 12 && !value.contains(' '),
        Kind::Ssn => digits >= 4 && letters <= 1,
        Kind::NationalId
        | Kind::TaxId
        | Kind::Passport
        | Kind::DrivingLicence
        | Kind::VehicleId
        | Kind::DeviceId => digits >= 2 && alphanumeric >= 5 && value.split_whitespace().count() <= 7,
        // Whoever fills a field for names may misspell one, but writes no path and no code.
        Kind::PersonName => {
            letters > digits && !value.contains(NO_NAME) && value.split_whitespace().count() <= 8
        }
        Kind::Username => alphanumeric >= 2 && value.split_whitespace().count() <= 3,
        Kind::Address => letters >= 2 || digits >= 1,
        Kind::PostalCode => digits >= 1 && alphanumeric >= 3 && value.len() <= 12,
        Kind::DateOfBirth | Kind::Gps => digits >= 2,
        Kind::Age => (1..=3).contains(&digits) && letters <= 6,
        Kind::Gender | Kind::Nationality => letters >= 1 && value.split_whitespace().count() <= 4,
        Kind::CryptoAddress => alphanumeric >= 20 && !value.contains(' '),
        Kind::SecretPassword => value.len() >= 3 && value.split_whitespace().count() <= 4,
        Kind::SecretGeneric => crate::secrets::is_random(value.as_bytes()) || is_one_long_word(value),
        _ if kind.is_secret() => value.len() >= 8,
        _ => true,
    }
}

/// Whether an address is spelled so that programs pass it over: `ada [at] example.com`.
fn has_spoken_at(value: &str) -> bool {
    let lower = value.to_lowercase();
    [" at ", "(at)", "[at]", "{at}", "<at>", " arroba ", " chez "].iter().any(|at| lower.contains(at))
}

/// Characters that no name has.
const NO_NAME: [char; 13] = ['/', '\\', '_', '=', '{', '}', '<', '>', '@', '#', ':', '|', '*'];

/// Whether all of `value` is the mark of an earlier redaction.
fn is_mark(value: &str) -> bool {
    value.contains('⟦') && crate::scope::marks(value) == [(0, value.len())]
}

fn is_one_long_word(value: &str) -> bool {
    value.len() >= 20 && !value.contains(char::is_whitespace) && !value.starts_with("http")
}

/// Whether `value` reads like the name of a person of at least `least` words.
pub(crate) fn is_name(value: &str, least: usize) -> bool {
    let letters = value.chars().filter(|c| c.is_alphabetic()).count();
    let is_part = |c: char| {
        c.is_alphabetic() || matches!(c, ' ' | '.' | '\'' | '’' | '-' | ',' | '·' | '(' | ')' | '\u{a0}')
    };
    let words = value.split_whitespace().count();
    letters >= 1 && (least..=8).contains(&words) && value.chars().all(is_part)
}

/// Whether `value` reads like first and last name, each with a capital letter.
pub(crate) fn is_full_name(value: &str) -> bool {
    let is_capital = |word: &str| word.chars().next().is_some_and(char::is_uppercase);
    let is_particle = |word: &str| {
        matches!(
            word,
            "de" | "da"
                | "do"
                | "dos"
                | "di"
                | "van"
                | "der"
                | "den"
                | "von"
                | "zu"
                | "la"
                | "le"
                | "y"
                | "e"
        )
    };
    is_name(value, 2)
        && value.split_whitespace().count() <= 5
        && value.split_whitespace().all(|word| is_capital(word) || is_particle(word))
        && value.split_whitespace().any(|word| word.chars().skip(1).any(char::is_lowercase))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_cannot_be_meant_are_not_taken() {
        for (kind, value) in [
            (Kind::Email, "yes"),
            (Kind::Phone, "mobile"),
            (Kind::CreditCard, "visa"),
            (Kind::PersonName, "N/A"),
            (Kind::SecretGeneric, "bearer"),
            (Kind::DateOfBirth, "unknown"),
            (Kind::Email, "⟦email:7f3a9c21b04e⟧"),
        ] {
            assert!(!is_plausible(kind, value), "{kind} {value}");
        }
        for (kind, value) in [
            (Kind::Email, "ada [at] example.com"),
            (Kind::Phone, "555-0187"),
            (Kind::PersonName, "Łucja O’Brien-Nowak"),
            (Kind::PersonName, "Ada"),
            (Kind::DateOfBirth, "12 March 1980"),
        ] {
            assert!(is_plausible(kind, value), "{kind} {value}");
        }
        assert!(is_full_name("Ada Lovelace") && is_full_name("Ludwig van Beethoven"));
        assert!(!is_full_name("billing-team") && !is_full_name("On Call2") && !is_full_name("SALES TEAM"));
    }
}
