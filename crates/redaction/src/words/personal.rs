//! Personal codes with letters in them, each with its check character where it has one.

use super::Word;
use crate::checksum::{digits, is_day, number};
use crate::hit::{Confidence, Hit, before, byte, is_clean_left, is_clean_right, part};
use crate::kind::Kind;

pub(super) fn find(word: &Word<'_>, hits: &mut Vec<Hit>) {
    let written = word.written();
    if let Some(hit) = british(word).or_else(|| finnish(word)) {
        hits.push(hit);
        return;
    }
    let found = match written.len() {
        8 | 9 if is_irish(written) => ("national_id.ie_pps", Kind::NationalId, Confidence::Weak),
        9 if is_dni(written) => ("national_id.es_dni", Kind::NationalId, Confidence::Medium),
        9 if is_nie(written) => ("national_id.es_nie", Kind::NationalId, Confidence::Medium),
        9 if is_nric(written) => ("national_id.sg_nric", Kind::NationalId, Confidence::Medium),
        9 if is_cif(written) => ("tax_id.es_cif", Kind::TaxId, Confidence::Medium),
        10 if is_pan(written) => ("tax_id.in_pan", Kind::TaxId, Confidence::Medium),
        15 if is_corsican(written) => ("national_id.fr_nir", Kind::NationalId, Confidence::Strong),
        16 if is_codice_fiscale(written) => {
            ("national_id.it_codice_fiscale", Kind::NationalId, Confidence::Strong)
        }
        17 if is_vin(written) => ("vehicle_id.vin", Kind::VehicleId, Confidence::Medium),
        18 if is_curp(written) => ("national_id.mx_curp", Kind::NationalId, Confidence::Strong),
        18 if is_chinese(written) => ("national_id.cn_resident", Kind::NationalId, Confidence::Strong),
        _ => return,
    };
    if word.is_clean() {
        hits.push(word.hit(found.1, found.0, found.2));
    }
}

/// Digits that a hyphen and a check letter follow.
pub(super) fn with_sign(word: &Word<'_>, hits: &mut Vec<Hit>) {
    if let Some(hit) = finnish(word) {
        hits.push(hit);
        return;
    }
    let letter = byte(word.text, word.end + 1);
    if byte(word.text, word.end) == b'-' && word.end - word.start == 8 && letter.is_ascii_alphabetic() {
        let mut joined = word.written().to_vec();
        joined.push(letter);
        let end = word.end + 2;
        if is_dni(&joined) && is_clean_left(word.text, word.start) && is_clean_right(word.text, end) {
            hits.push(word.hit_to(end, Kind::NationalId, "national_id.es_dni", Confidence::Medium));
        }
    }
}

fn value(written: &[u8]) -> u64 {
    digits(written).fold(0, |n, digit| n * 10 + u64::from(digit))
}

fn all_digits(written: &[u8], from: usize, to: usize) -> bool {
    written.get(from..to).is_some_and(|part| part.iter().all(u8::is_ascii_digit))
}

fn all_upper(written: &[u8], from: usize, to: usize) -> bool {
    written.get(from..to).is_some_and(|part| part.iter().all(u8::is_ascii_uppercase))
}

const SPANISH_LETTERS: &[u8] = b"TRWAGMYFPDXBNJZSQVHLCKE";

fn spanish_letter(number: u64) -> u8 {
    usize::try_from(number % 23).map_or(0, |at| byte(SPANISH_LETTERS, at))
}

fn is_dni(written: &[u8]) -> bool {
    all_digits(written, 0, 8)
        && spanish_letter(value(part(written, 0, 8))) == byte(written, 8).to_ascii_uppercase()
}

fn is_nie(written: &[u8]) -> bool {
    let Some(first) = b"XYZ".iter().position(|known| *known == byte(written, 0)) else { return false };
    let number = u64::try_from(first).unwrap_or(0) * 10_000_000 + value(part(written, 1, 8));
    all_digits(written, 1, 8) && spanish_letter(number) == byte(written, 8)
}

/// Numbers of organisations in Spain.
fn is_cif(written: &[u8]) -> bool {
    if !b"ABCDEFGHJNPQRSUVW".contains(&byte(written, 0)) || !all_digits(written, 1, 8) {
        return false;
    }
    let doubled = |value: u32| value * 2 / 10 + value * 2 % 10;
    let body = digits(part(written, 1, 8)).enumerate();
    let sum: u32 = body.map(|(at, value)| if at % 2 == 0 { doubled(value) } else { value }).sum();
    let check = (10 - sum % 10) % 10;
    let letter = usize::try_from(check).map_or(0, |at| byte(b"JABCDEFGHI", at));
    let last = byte(written, 8);
    last == letter || u32::from(last.wrapping_sub(b'0')) == check
}

/// Whether `written` is a number of a person or an organisation in Spain.
pub(super) fn is_spanish(written: &[u8]) -> bool {
    written.len() == 9 && (is_dni(written) || is_nie(written) || is_cif(written))
}

fn is_nric(written: &[u8]) -> bool {
    let first = byte(written, 0);
    if !b"STFG".contains(&first) || !all_digits(written, 1, 8) {
        return false;
    }
    let weights = [2, 7, 6, 5, 4, 3, 2];
    let sum: u32 = digits(part(written, 1, 8)).zip(weights).map(|(digit, weight)| digit * weight).sum();
    let shift = if matches!(first, b'T' | b'G') { 4 } else { 0 };
    let letters: &[u8] = if matches!(first, b'S' | b'T') { b"JZIHGFEDCBA" } else { b"XWUTRQPNMLK" };
    usize::try_from((sum + shift) % 11).is_ok_and(|at| byte(letters, at) == byte(written, 8))
}

fn is_irish(written: &[u8]) -> bool {
    if !all_digits(written, 0, 7) || !all_upper(written, 7, written.len()) {
        return false;
    }
    let sum: u32 = digits(part(written, 0, 7)).zip((2..=8).rev()).map(|(digit, weight)| digit * weight).sum();
    let second = match byte(written, 8) {
        letter @ b'A'..=b'W' => u32::from(letter - b'@') * 9,
        _ => 0,
    };
    usize::try_from((sum + second) % 23)
        .is_ok_and(|at| byte(b"WABCDEFGHIJKLMNOPQRSTUV", at) == byte(written, 7))
}

/// Numbers for taxes in India: the fourth letter says whose it is.
fn is_pan(written: &[u8]) -> bool {
    all_upper(written, 0, 5)
        && all_digits(written, 5, 9)
        && all_upper(written, 9, 10)
        && b"ABCFGHLJPT".contains(&byte(written, 3))
}

/// France's number of somebody born in Corsica, whose department is 2A or 2B.
fn is_corsican(written: &[u8]) -> bool {
    let department = match part(written, 5, 7) {
        b"2A" => 19,
        b"2B" => 18,
        _ => return false,
    };
    let body =
        value(part(written, 0, 5)) * 100_000_000 + department * 1_000_000 + value(part(written, 7, 13));
    all_digits(written, 0, 5) && all_digits(written, 7, 15) && 97 - body % 97 == value(part(written, 13, 15))
}

fn is_codice_fiscale(written: &[u8]) -> bool {
    /// What a character in an odd place counts, 0–9 and A–Z alike.
    const ODD: [u32; 26] =
        [1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23];
    let is_form = all_upper(written, 0, 6)
        && b"ABCDEHLMPRST".contains(&byte(written, 8))
        && all_upper(written, 11, 12)
        && all_upper(written, 15, 16)
        && written.iter().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
    let rank = |byte: u8| usize::from(if byte.is_ascii_digit() { byte - b'0' } else { byte - b'A' });
    let counts = |(at, byte): (usize, &u8)| match at % 2 {
        0 => ODD.get(rank(*byte)).copied().unwrap_or(0),
        _ => u32::try_from(rank(*byte)).unwrap_or(0),
    };
    is_form && {
        let sum: u32 = written.iter().take(15).enumerate().map(counts).sum();
        u32::from(byte(written, 15) - b'A') == sum % 26
    }
}

/// ISO 3779 with the check digit that is obligatory in North America.
fn is_vin(written: &[u8]) -> bool {
    const WEIGHTS: [u32; 17] = [8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2];
    let value = |byte: u8| match byte {
        b'0'..=b'9' => Some(u32::from(byte - b'0')),
        b'A'..=b'H' => Some(u32::from(byte - b'A') + 1),
        b'J'..=b'N' => Some(u32::from(byte - b'J') + 1),
        b'P' => Some(7),
        b'R' => Some(9),
        b'S'..=b'Z' => Some(u32::from(byte - b'S') + 2),
        _ => None,
    };
    // What couriers have is as long and has few letters.
    if written.iter().filter(|byte| byte.is_ascii_alphabetic()).count() < 5 {
        return false;
    }
    let mut sum = 0;
    for (byte, weight) in written.iter().zip(WEIGHTS) {
        let Some(value) = value(*byte) else { return false };
        sum += value * weight;
    }
    let check = match sum % 11 {
        10 => b'X',
        rest => b'0' + u8::try_from(rest).unwrap_or(0),
    };
    byte(written, 8) == check
}

fn is_curp(written: &[u8]) -> bool {
    let is_form = all_upper(written, 0, 4)
        && all_digits(written, 4, 10)
        && matches!(byte(written, 10), b'H' | b'M' | b'X')
        && all_upper(written, 11, 16)
        && all_digits(written, 17, 18);
    let rank = |byte: u8| match byte {
        b'0'..=b'9' => u32::from(byte - b'0'),
        b'A'..=b'N' => u32::from(byte - b'A') + 10,
        b'O'..=b'Z' => u32::from(byte - b'A') + 11,
        _ => 0,
    };
    let body = written.iter().take(17).zip((2..=18).rev());
    let sum: u32 = body.map(|(byte, weight)| rank(*byte) * weight).sum();
    is_form && (10 - sum % 10) % 10 == u32::from(byte(written, 17) - b'0')
}

fn is_chinese(written: &[u8]) -> bool {
    let weights = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
    let sum: u32 = digits(part(written, 0, 17)).zip(weights).map(|(digit, weight)| digit * weight).sum();
    let month = value(part(written, 10, 12));
    all_digits(written, 0, 17)
        && matches!(byte(written, 17), b'X' | b'x')
        && is_day(month, value(part(written, 12, 14)))
        && sum % 11 == 2
}

/// National Insurance number: two letters, six digits, one of A–D, with spaces or without.
pub(super) fn british(word: &Word<'_>) -> Option<Hit> {
    let (text, start) = (word.text, word.start);
    let letters = [byte(text, start), byte(text, start + 1)];
    let allowed = |letter: u8| letter.is_ascii_uppercase() && !b"DFIQUV".contains(&letter);
    if !letters.iter().all(|letter| allowed(*letter)) || letters[1] == b'O' || !is_clean_left(text, start) {
        return None;
    }
    if matches!(&letters, b"BG" | b"GB" | b"KN" | b"NK" | b"NT" | b"TN" | b"ZZ") {
        return None;
    }
    let (mut at, mut count) = (start + 2, 0);
    while count < 6 {
        match byte(text, at) {
            b'0'..=b'9' => count += 1,
            b' ' if byte(text, at + 1).is_ascii_digit() => {}
            _ => return None,
        }
        at += 1;
    }
    if byte(text, at) == b' ' {
        at += 1;
    }
    let is_end = matches!(byte(text, at), b'A'..=b'D') && is_clean_right(text, at + 1);
    is_end.then(|| word.hit_to(at + 1, Kind::NationalId, "national_id.uk_nino", Confidence::Medium))
}

/// Henkilötunnus: the day, a sign for the century, a number, a check character.
fn finnish(word: &Word<'_>) -> Option<Hit> {
    let (text, start) = (word.text, word.start);
    let written = part(text, start, start + 11);
    if !all_digits(written, 0, 6)
        || !all_digits(written, 7, 10)
        || before(text, start).is_ascii_alphanumeric()
    {
        return None;
    }
    let values: Vec<u8> = part(written, 0, 6).iter().map(|byte| byte - b'0').collect();
    let is_born = is_day(number(&values, 2, 4), number(&values, 0, 2));
    let is_sign = matches!(byte(written, 6), b'-' | b'+' | b'A'..=b'F' | b'U'..=b'Y');
    let rest = (value(part(written, 0, 6)) * 1_000 + value(part(written, 7, 10))) % 31;
    let check = usize::try_from(rest).map_or(0, |at| byte(b"0123456789ABCDEFHJKLMNPRSTUVWXY", at));
    let is_one = is_born && is_sign && check == byte(written, 10) && is_clean_right(text, start + 11);
    is_one.then(|| word.hit_to(start + 11, Kind::NationalId, "national_id.fi_hetu", Confidence::Strong))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn examples_of_issuers_pass_and_a_changed_character_does_not() {
        assert!(is_dni(b"12345678Z") && !is_dni(b"12345678A"));
        assert!(is_nie(b"X1234567L") && !is_nie(b"X1234567M"));
        assert!(is_cif(b"A58818501") && !is_cif(b"A58818502"));
        assert!(is_irish(b"1234567T") && !is_irish(b"1234567A"));
        assert!(is_pan(b"AFZPK7190K"));
        assert!(is_vin(b"1M8GDM9AXKP042788") && !is_vin(b"1M8GDM9AXKP042789"));
    }
}
