//! Identifiers of letters and digits: bank accounts, tax numbers, personal codes, addresses of
//! cryptocurrencies. What is digits alone is in [`crate::numeric`].

use crate::hit::{Confidence, Hit, byte, is_clean_left, is_clean_right, part};
use crate::kind::Kind;

mod bank;
mod crypto;
mod personal;
mod vat;

/// A word: letters and digits in a row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Word<'t> {
    text: &'t [u8],
    start: usize,
    end: usize,
}

impl<'t> Word<'t> {
    fn written(&self) -> &'t [u8] {
        part(self.text, self.start, self.end)
    }

    fn hit(&self, kind: Kind, detector: &'static str, confidence: Confidence) -> Hit {
        self.hit_to(self.end, kind, detector, confidence)
    }

    fn hit_to(&self, end: usize, kind: Kind, detector: &'static str, confidence: Confidence) -> Hit {
        Hit { start: self.start, end, kind, detector, confidence }
    }

    fn is_clean(&self) -> bool {
        is_clean_left(self.text, self.start) && is_clean_right(self.text, self.end)
    }
}

/// Adds what the words of `text` may be.
pub(crate) fn find(text: &[u8], hits: &mut Vec<Hit>) {
    let mut at = 0;
    while let Some(found) = text.get(at..).and_then(|rest| rest.iter().position(u8::is_ascii_alphanumeric)) {
        let start = at + found;
        let (mut digits, mut end) = (0_usize, start);
        while byte(text, end).is_ascii_alphanumeric() {
            digits += usize::from(byte(text, end).is_ascii_digit());
            end += 1;
        }
        at = end;
        let word = Word { text, start, end };
        let length = end - start;
        if digits > 0 && (digits < length || length >= 6) {
            mixed(&word, digits, hits);
        } else if matches!(length, 8 | 11) {
            bank::bic(&word, hits);
        } else if length == 2 {
            hits.extend(personal::british(&word));
        }
    }
}

fn mixed(word: &Word<'_>, digits: usize, hits: &mut Vec<Hit>) {
    let length = word.end - word.start;
    if length >= 26 {
        crypto::find(word, hits);
    }
    if length > 40 {
        return;
    }
    bank::iban(word, hits);
    if digits == length {
        personal::with_sign(word, hits);
        return;
    }
    if matches!(length, 8 | 11) {
        bank::bic(word, hits);
    }
    personal::find(word, hits);
    vat::find(word, hits);
    if word.is_clean() && (6..=20).contains(&length) && digits >= 4 {
        let is_upper = !word.written().iter().any(u8::is_ascii_lowercase);
        if is_upper && length <= 10 {
            hits.push(word.hit(Kind::Passport, "passport", Confidence::Weak));
        }
        hits.push(word.hit(Kind::DrivingLicence, "driving_licence", Confidence::Weak));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<(&str, &'static str)> {
        crate::hit::found_by(find, text)
    }

    #[test]
    fn identifiers_are_known_by_their_check_digits() {
        for (text, expected, detector) in [
            ("to DE89370400440532013000", "DE89370400440532013000", "iban"),
            ("to GB82 WEST 1234 5698 7654 32 please", "GB82 WEST 1234 5698 7654 32", "iban"),
            ("nl91abna0417164300", "nl91abna0417164300", "iban"),
            ("RSSMRA85T10A562S", "RSSMRA85T10A562S", "national_id.it_codice_fiscale"),
            ("12345678Z", "12345678Z", "national_id.es_dni"),
            ("12345678-Z", "12345678-Z", "national_id.es_dni"),
            ("X1234567L", "X1234567L", "national_id.es_nie"),
            ("S1234567D", "S1234567D", "national_id.sg_nric"),
            ("131052-308T", "131052-308T", "national_id.fi_hetu"),
            ("HEGG560427MVZRRL04", "HEGG560427MVZRRL04", "national_id.mx_curp"),
            ("AB 12 34 56 C", "AB 12 34 56 C", "national_id.uk_nino"),
            ("11010519491231002X", "11010519491231002X", "national_id.cn_resident"),
            ("DE136695976", "DE136695976", "tax_id.eu_vat"),
            ("ATU13585627", "ATU13585627", "tax_id.eu_vat"),
            ("1M8GDM9AXKP042788", "1M8GDM9AXKP042788", "vehicle_id.vin"),
            ("1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2", "1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2", "crypto.base58"),
            (
                "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq",
                "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq",
                "crypto.bech32",
            ),
            (
                "0x52908400098527886E0F7030069857D2E4169EE7",
                "0x52908400098527886E0F7030069857D2E4169EE7",
                "crypto.ethereum",
            ),
        ] {
            assert_eq!(found(text), [(expected, detector)], "{text}");
        }
    }

    #[test]
    fn other_identifiers_are_nothing() {
        for text in [
            "DE89370400440532013001",
            "SKU-8842-XK",
            "AB-1234",
            "12345678A",
            "B0074R1KCG",
            "550e8400-e29b-41d4-a716-446655440000",
            "1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN3",
            "da39a3ee5e6b4b0d3255bfef95601890afd80709",
            "PO123456789",
        ] {
            assert_eq!(found(text), [], "{text}");
        }
    }
}
