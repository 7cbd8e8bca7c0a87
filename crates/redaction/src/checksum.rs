//! Check digits: the arithmetic by which numbers tell that they were copied right.
//!
//! Digits are values from 0 to 9, not characters. What number of which country has
//! which check is in [`crate::numeric`] and [`crate::words`].

/// The digits of `text` as values; nothing else in it is looked at.
pub(crate) fn digits(text: &[u8]) -> impl Iterator<Item = u32> {
    text.iter().filter(|byte| byte.is_ascii_digit()).map(|byte| u32::from(byte - b'0'))
}

/// ISO/IEC 7812-1, annex B: every second digit from the right counts twice.
pub(crate) fn luhn(digits: &[u8]) -> bool {
    let doubled = |digit: u8| if digit > 4 { u32::from(digit) * 2 - 9 } else { u32::from(digit) * 2 };
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(at, digit)| if at % 2 == 1 { doubled(*digit) } else { u32::from(*digit) })
        .sum();
    sum.is_multiple_of(10)
}

/// ISO/IEC 7064, MOD 97-10, over characters 0–9 and A–Z (10 to 35).
pub(crate) fn mod_97(characters: impl Iterator<Item = u8>) -> u32 {
    characters.fold(0, |rest, character| match character {
        b'0'..=b'9' => (rest * 10 + u32::from(character - b'0')) % 97,
        b'A'..=b'Z' => (rest * 100 + u32::from(character - b'A') + 10) % 97,
        b'a'..=b'z' => (rest * 100 + u32::from(character - b'a') + 10) % 97,
        _ => rest,
    })
}

/// ISO/IEC 7064, MOD 11,10 over digits, the last of which is the check digit.
pub(crate) fn mod_11_10(digits: &[u8]) -> bool {
    let Some((check, body)) = digits.split_last() else { return false };
    let product = body.iter().fold(10, |product, digit| {
        let sum = (product + u32::from(*digit)) % 10;
        (if sum == 0 { 10 } else { sum } * 2) % 11
    });
    (11 - product) % 10 == u32::from(*check)
}

/// The sum of digits times weights, as far as there are both.
pub(crate) fn weighted(digits: &[u8], weights: &[u32]) -> u32 {
    digits.iter().zip(weights).map(|(digit, weight)| u32::from(*digit) * weight).sum()
}

/// The number that digits `from..to` are.
pub(crate) fn number(digits: &[u8], from: usize, to: usize) -> u64 {
    digits.get(from..to).unwrap_or_default().iter().fold(0, |n, digit| n * 10 + u64::from(*digit))
}

/// The digit at `at`; 10, which no check is, if there is none.
pub(crate) fn digit(digits: &[u8], at: usize) -> u32 {
    digits.get(at).map_or(10, |digit| u32::from(*digit))
}

/// Whether `month` and `day` are of a year, which may be a leap year.
pub(crate) fn is_day(month: u64, day: u64) -> bool {
    let days = match month {
        2 => 29,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return false,
    };
    (1..=days).contains(&day)
}

/// Verhoeff's check over the dihedral group of order 10, the last digit being the check.
pub(crate) fn verhoeff(digits: &[u8]) -> bool {
    /// The permutation of each place, modulo 8.
    const PLACES: [[u8; 10]; 8] = [
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
        [1, 5, 7, 6, 2, 8, 3, 0, 9, 4],
        [5, 8, 0, 3, 7, 9, 6, 1, 4, 2],
        [8, 9, 1, 6, 0, 4, 3, 5, 2, 7],
        [9, 4, 5, 3, 1, 2, 6, 8, 7, 0],
        [4, 2, 8, 6, 5, 7, 3, 9, 0, 1],
        [2, 7, 9, 3, 8, 0, 6, 4, 1, 5],
        [7, 0, 4, 6, 9, 1, 3, 2, 5, 8],
    ];
    let check = digits.iter().rev().enumerate().fold(0, |check, (at, digit)| {
        let place = PLACES.get(at % 8).and_then(|place| place.get(usize::from(*digit)));
        turn(check, place.copied().unwrap_or(0))
    });
    check == 0
}

/// The product of two elements of the dihedral group of order 10.
fn turn(a: u8, b: u8) -> u8 {
    match (a < 5, b < 5) {
        (true, true) => (a + b) % 5,
        (true, false) => (a + b - 5) % 5 + 5,
        (false, true) => (a + 5 - b) % 5 + 5,
        (false, false) => (a + 5 - b) % 5,
    }
}

/// Bits for each byte of a text that was drawn like this one (Shannon).
pub(crate) fn entropy(text: &[u8]) -> f32 {
    let mut counts = [0_u16; 256];
    for byte in text {
        if let Some(count) = counts.get_mut(usize::from(*byte)) {
            *count = count.saturating_add(1);
        }
    }
    let total = f32::from(u16::try_from(text.len()).unwrap_or(u16::MAX));
    let share = |count: &u16| f32::from(*count) / total;
    -counts.iter().filter(|count| **count > 0).map(share).map(|p| p * p.log2()).sum::<f32>()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(text: &str) -> Vec<u8> {
        text.bytes().filter(u8::is_ascii_digit).map(|byte| byte - b'0').collect()
    }

    /// The examples of the standards' own pages and of the issuers.
    #[test]
    fn published_examples_pass_and_a_changed_digit_does_not() {
        assert!(luhn(&values("4111 1111 1111 1111")) && !luhn(&values("4111 1111 1111 1112")));
        assert!(mod_11_10(&values("86095742719")) && !mod_11_10(&values("86095742718")));
        assert!(verhoeff(&values("2363")) && !verhoeff(&values("2364")));
        assert_eq!(mod_97(b"WEST12345698765432GB82".iter().copied()), 1);
    }

    #[test]
    fn every_single_wrong_digit_is_found_by_verhoeff() {
        let right = values("234123412346");
        assert!(verhoeff(&right));
        for at in 0..right.len() {
            for other in (0..10).filter(|other| *other != right[at]) {
                let mut wrong = right.clone();
                wrong[at] = other;
                assert!(!verhoeff(&wrong), "{wrong:?}");
            }
        }
    }

    #[test]
    fn random_text_has_more_entropy_than_words() {
        assert!(entropy(b"aaaaaaaa") < 0.1);
        assert!(entropy(b"9fK2qLx7Rw0ZbV4t") > 3.9);
    }
}
