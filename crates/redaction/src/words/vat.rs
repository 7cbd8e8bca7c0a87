//! VAT numbers of the European Union and its neighbours, with the check digits of each country.
//!
//! The rules are those by which the member states' own tools check; VIES says which numbers are given out.

use super::Word;
use crate::checksum::{digit, luhn, mod_11_10, number, weighted};
use crate::hit::{Confidence, Hit};
use crate::kind::Kind;

pub(super) fn find(word: &Word<'_>, hits: &mut Vec<Hit>) {
    let written = word.written();
    let Some((country, body)) = written.split_at_checked(2) else { return };
    if !country.iter().all(u8::is_ascii_uppercase) || !(7..=13).contains(&body.len()) {
        return;
    }
    if is_vat(country, body) && word.is_clean() {
        hits.push(word.hit(Kind::TaxId, "tax_id.eu_vat", Confidence::Medium));
    }
}

fn is_vat(country: &[u8], body: &[u8]) -> bool {
    let values: Vec<u8> = body.iter().filter(|b| b.is_ascii_digit()).map(|b| b - b'0').collect();
    let d = values.as_slice();
    let plain = d.len() == body.len();
    let check = |weights: &[u32], modulus: u32| weighted(d, weights) % modulus;
    match country {
        b"DE" => plain && d.len() == 9 && mod_11_10(d),
        b"AT" => body.first() == Some(&b'U') && d.len() == 8 && austrian(d),
        b"BE" => plain && d.len() == 10 && 97 - number(d, 0, 8) % 97 == number(d, 8, 10),
        b"DK" => plain && d.len() == 8 && check(&[2, 7, 6, 5, 4, 3, 2, 1], 11) == 0,
        b"FI" => plain && d.len() == 8 && (11 - check(&[7, 9, 10, 5, 8, 4, 2], 11)) % 11 == digit(d, 7),
        b"FR" => plain && d.len() == 11 && (12 + 3 * (number(d, 2, 11) % 97)) % 97 == number(d, 0, 2),
        b"IT" => plain && d.len() == 11 && luhn(d),
        b"LU" => plain && d.len() == 8 && number(d, 0, 6) % 89 == number(d, 6, 8),
        b"NL" => d.len() == 11 && body.get(9) == Some(&b'B') && dutch(body, d),
        b"PL" => plain && d.len() == 10 && check(&[6, 5, 7, 2, 3, 4, 5, 6, 7], 11) == digit(d, 9),
        b"PT" => {
            let last = 11 - check(&[9, 8, 7, 6, 5, 4, 3, 2], 11);
            plain && d.len() == 9 && (if last > 9 { 0 } else { last }) == digit(d, 8)
        }
        b"SE" => plain && d.len() == 12 && luhn(d.get(..10).unwrap_or_default()) && d.ends_with(&[0, 1]),
        b"SI" => plain && d.len() == 8 && (11 - check(&[8, 7, 6, 5, 4, 3, 2], 11)) % 10 == digit(d, 7),
        b"EL" | b"GR" => {
            plain && d.len() == 9 && check(&[256, 128, 64, 32, 16, 8, 4, 2], 11) % 10 == digit(d, 8)
        }
        b"HU" => plain && d.len() == 8 && check(&[9, 7, 3, 1, 9, 7, 3, 1], 10) == 0,
        b"EE" => plain && d.len() == 9 && check(&[3, 7, 1, 3, 7, 1, 3, 7, 1], 10) == 0,
        b"SK" => plain && d.len() == 10 && number(d, 0, 10).is_multiple_of(11),
        b"HR" => plain && d.len() == 11 && mod_11_10(d),
        b"ES" => super::personal::is_spanish(body),
        b"GB" => plain && d.len() == 9 && british(d),
        _ => false,
    }
}

fn austrian(d: &[u8]) -> bool {
    let doubled = |value: u32| value * 2 / 10 + value * 2 % 10;
    let body = d.iter().take(7).enumerate().map(|(at, digit)| (at, u32::from(*digit)));
    let sum: u32 = body.map(|(at, value)| if at % 2 == 1 { doubled(value) } else { value }).sum();
    (96 - sum) % 10 == digit(d, 7)
}

fn dutch(body: &[u8], d: &[u8]) -> bool {
    let old = weighted(d, &[9, 8, 7, 6, 5, 4, 3, 2]) % 11 == digit(d, 8);
    let new = crate::checksum::mod_97(b"NL".iter().chain(body).copied()) == 1;
    old || new
}

fn british(d: &[u8]) -> bool {
    let sum = u64::from(weighted(d, &[8, 7, 6, 5, 4, 3, 2])) + number(d, 7, 9);
    sum.is_multiple_of(97) || (sum + 55).is_multiple_of(97)
}
