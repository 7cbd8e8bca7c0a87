//! Payment cards: ISO/IEC 7812 lengths, the ranges of the schemes, and Luhn's check digit.

use super::Candidate;
use crate::checksum::{luhn, number};
use crate::hit::{Confidence, Hit};
use crate::kind::Kind;

pub(super) fn find(candidate: &Candidate<'_>, hits: &mut Vec<Hit>) {
    let digits = candidate.digits();
    if !(12..=19).contains(&digits.len()) || !luhn(digits) || !is_grouped(candidate) {
        return;
    }
    if digits.len() == 15 && candidate.is_plain() {
        hits.push(candidate.hit(Kind::DeviceId, "imei", Confidence::Weak));
    }
    let Some(is_usual) = issuer(digits) else {
        hits.push(candidate.hit(Kind::CreditCard, "credit_card", Confidence::Weak));
        return;
    };
    let confidence = match (candidate.is_plain(), is_usual) {
        (false, true) => Confidence::Strong,
        (false, false) | (true, true) => Confidence::Medium,
        (true, false) => Confidence::Weak,
    };
    hits.push(candidate.hit(Kind::CreditCard, "credit_card", confidence));
}

/// In one piece, or in groups of three to six with one kind of separator, as cards are printed.
fn is_grouped(candidate: &Candidate<'_>) -> bool {
    let separators: Vec<u8> =
        candidate.shape().iter().copied().filter(|byte| !byte.is_ascii_digit()).collect();
    candidate.is_plain()
        || (separators.windows(2).all(|pair| pair.first() == pair.last())
            && matches!(separators.first(), Some(b' ' | b'-'))
            && candidate.shape().split(|byte| !byte.is_ascii_digit()).all(|n| matches!(n, [b'1'..=b'7']))
            && candidate.shape().first() == Some(&b'4'))
}

/// Whether a scheme has numbers like these, and if so whether it has them in this length usually.
fn issuer(digits: &[u8]) -> Option<bool> {
    let prefix = |count: usize| number(digits, 0, count);
    let length = digits.len();
    let known = match prefix(4) {
        // Few other numbers begin with these four, so short and long ones count.
        5018 | 5020 | 5038 | 5893 | 6304 | 6759 | 6761..=6763 => Some(&[12, 13, 14, 15, 16, 17, 18, 19][..]),
        4000..=4999 => Some(&[16, 19][..]),
        3400..=3499 | 3700..=3799 | 2131 | 1800 => Some(&[15][..]),
        3000..=3059 | 3095 | 3600..=3699 | 3800..=3999 => Some(&[14, 16][..]),
        5100..=5599 | 2221..=2720 | 2200..=2204 | 3500..=3599 | 6011 | 6440..=6599 | 6200..=6299 => {
            Some(&[16][..])
        }
        5000..=5099 | 5600..=5899 | 6000..=6999 | 8100..=8299 => Some(&[][..]),
        _ => None,
    };
    known.map(|usual| usual.contains(&length))
}
