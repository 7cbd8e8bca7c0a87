//! Bank accounts (ISO 13616) and banks (ISO 9362).

use super::Word;
use crate::checksum::mod_97;
use crate::hit::{Confidence, Hit, byte, is_clean_left, is_clean_right};
use crate::kind::Kind;

/// Length of an IBAN by country, from the registry that SWIFT keeps.
const IBAN_LENGTHS: &[(&str, usize)] = &[
    ("AD", 24),
    ("AE", 23),
    ("AL", 28),
    ("AT", 20),
    ("AZ", 28),
    ("BA", 20),
    ("BE", 16),
    ("BG", 22),
    ("BH", 22),
    ("BI", 27),
    ("BR", 29),
    ("BY", 28),
    ("CH", 21),
    ("CR", 22),
    ("CY", 28),
    ("CZ", 24),
    ("DE", 22),
    ("DJ", 27),
    ("DK", 18),
    ("DO", 28),
    ("EE", 20),
    ("EG", 29),
    ("ES", 24),
    ("FI", 18),
    ("FK", 18),
    ("FO", 18),
    ("FR", 27),
    ("GB", 22),
    ("GE", 22),
    ("GI", 23),
    ("GL", 18),
    ("GR", 27),
    ("GT", 28),
    ("HN", 28),
    ("HR", 21),
    ("HU", 28),
    ("IE", 22),
    ("IL", 23),
    ("IQ", 23),
    ("IS", 26),
    ("IT", 27),
    ("JO", 30),
    ("KW", 30),
    ("KZ", 20),
    ("LB", 28),
    ("LC", 32),
    ("LI", 21),
    ("LT", 20),
    ("LU", 20),
    ("LV", 21),
    ("LY", 25),
    ("MC", 27),
    ("MD", 24),
    ("ME", 22),
    ("MK", 19),
    ("MN", 20),
    ("MR", 27),
    ("MT", 31),
    ("MU", 30),
    ("NI", 28),
    ("NL", 18),
    ("NO", 15),
    ("OM", 23),
    ("PK", 24),
    ("PL", 28),
    ("PS", 29),
    ("PT", 25),
    ("QA", 29),
    ("RO", 24),
    ("RS", 22),
    ("RU", 33),
    ("SA", 24),
    ("SC", 31),
    ("SD", 18),
    ("SE", 24),
    ("SI", 19),
    ("SK", 24),
    ("SM", 27),
    ("SO", 23),
    ("ST", 25),
    ("SV", 28),
    ("TL", 23),
    ("TN", 24),
    ("TR", 26),
    ("UA", 29),
    ("VA", 22),
    ("VG", 24),
    ("XK", 20),
    ("YE", 30),
];

/// An IBAN that begins with `word`, in one piece or in groups.
pub(super) fn iban(word: &Word<'_>, hits: &mut Vec<Hit>) {
    let head = word.written();
    let [a, b, c, d, ..] = *head else { return };
    let is_head =
        a.is_ascii_alphabetic() && b.is_ascii_alphabetic() && c.is_ascii_digit() && d.is_ascii_digit();
    if !is_head || !is_clean_left(word.text, word.start) {
        return;
    }
    let country = [a.to_ascii_uppercase(), b.to_ascii_uppercase()];
    let Some((_, length)) = IBAN_LENGTHS.iter().find(|(code, _)| code.as_bytes() == country) else { return };
    let Some((end, written)) = gather(word, *length) else { return };
    let rotated = written.iter().skip(4).chain(written.iter().take(4)).copied();
    if mod_97(rotated) == 1 && is_clean_right(word.text, end) {
        hits.push(word.hit_to(end, Kind::Iban, "iban", Confidence::Strong));
    }
}

/// `length` letters and digits from the word on, over single spaces and hyphens.
fn gather(word: &Word<'_>, length: usize) -> Option<(usize, Vec<u8>)> {
    let mut written = Vec::with_capacity(length);
    let mut at = word.start;
    while written.len() < length {
        let here = byte(word.text, at);
        let is_gap = matches!(here, b' ' | b'-') && byte(word.text, at + 1).is_ascii_alphanumeric();
        if here.is_ascii_alphanumeric() {
            written.push(here);
        } else if !is_gap {
            return None;
        }
        at += 1;
    }
    Some((at, written))
}

/// Countries with a BIC are those with an IBAN and these.
const OTHER_COUNTRIES: &[u8] = b"USCAAUNZJPCNHKSGINKRMXARCLCOPEZAKENGMATHMYIDPHVNTWBSBMKY";

pub(super) fn bic(word: &Word<'_>, hits: &mut Vec<Hit>) {
    let written = word.written();
    let (Some(bank), Some(country)) = (written.get(..4), written.get(4..6)) else { return };
    let is_country = IBAN_LENGTHS.iter().any(|(code, _)| code.as_bytes() == country)
        || OTHER_COUNTRIES.as_chunks::<2>().0.iter().any(|code| code == country);
    let is_form = bank.iter().all(u8::is_ascii_uppercase)
        && written.iter().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
    if is_form && is_country && word.is_clean() {
        hits.push(word.hit(Kind::Bic, "bic", Confidence::Weak));
    }
}
