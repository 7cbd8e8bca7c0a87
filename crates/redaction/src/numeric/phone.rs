//! Telephone numbers: international (ITU-T E.164) and as people of a country write them.

use super::Candidate;
use crate::checksum::number;
use crate::hit::{Confidence, Hit, before, byte, is_clean_left, is_clean_right};
use crate::kind::Kind;

pub(super) fn find(candidate: &Candidate<'_>, hits: &mut Vec<Hit>) {
    let Some((detector, confidence)) = judge(candidate) else { return };
    let text = candidate.text;
    let mut start = candidate.start;
    if before(text, start) == b'(' {
        start -= 1;
    }
    if before(text, start) == b'+' {
        start -= 1;
    }
    let end = extension(text, candidate.end).unwrap_or(candidate.end);
    if is_clean_left(text, start) && is_clean_right(text, end) {
        hits.push(Hit { start, end, kind: Kind::Phone, detector, confidence });
    }
}

fn judge(candidate: &Candidate<'_>) -> Option<(&'static str, Confidence)> {
    let digits = candidate.digits();
    let count = digits.len();
    if !(7..=17).contains(&count) {
        return None;
    }
    if candidate.plus {
        return is_international(digits).then_some(("phone.e164", Confidence::Strong));
    }
    let is_dialled = digits.starts_with(&[0, 0]) && !candidate.is_plain();
    if is_dialled && digits.get(2..).is_some_and(is_international) {
        return Some(("phone.dialled", Confidence::Medium));
    }
    national(candidate, count)
}

fn national(candidate: &Candidate<'_>, count: usize) -> Option<(&'static str, Confidence)> {
    let digits = candidate.digits();
    let first = digits.first().copied()?;
    let is_area = |at: usize| digits.get(at).is_some_and(|digit| *digit > 1);
    let opened = before(candidate.text, candidate.start) == b'(';
    let found = match candidate.shape() {
        b"3-3-4" | b"3.3.4" => ("phone.nanp", Confidence::Medium),
        b"3)3-4" | b"3)3.4" | b"3)3 4" if opened => ("phone.nanp", Confidence::Medium),
        b"3 3 4" | b"3 3-4" | b"3/3-4" if is_area(0) => ("phone.nanp", Confidence::Medium),
        b"1-3-3-4" | b"1 3 3 4" | b"1.3.3.4" | b"1 3-3-4" | b"1-3-3 4" if first == 1 => {
            ("phone.nanp", Confidence::Medium)
        }
        b"1(3)3-4" | b"1(3)3 4" | b"1(3)3.4" if first == 1 => ("phone.nanp", Confidence::Medium),
        b"2)5-4" | b"2)4-4" | b"2)5 4" | b"2)4 4" if opened => ("phone.br", Confidence::Medium),
        b"2 5-4" | b"2 4-4" => ("phone.br", Confidence::Medium),
        _ if opened && is_code_in_brackets(candidate) => ("phone.dialled", Confidence::Medium),
        b"3-2-4" => return None,
        b"3 4 4" | b"3-4-4" if first == 1 => ("phone.cn", Confidence::Medium),
        _ if first == 0 && is_trunk(candidate, count) => ("phone.trunk", Confidence::Medium),
        _ if count <= 12 => ("phone.number", Confidence::Weak),
        _ => return None,
    };
    Some(found)
}

/// A number whose country's code stands in brackets before it.
fn is_code_in_brackets(candidate: &Candidate<'_>) -> bool {
    let shape = candidate.shape();
    let is_code = shape.get(1) == Some(&b')') && matches!(shape.first(), Some(b'2' | b'3'));
    is_code && candidate.digits().len() >= 11 && is_international(candidate.digits())
}

/// A number that begins with the 0 that is left out from abroad, in groups.
fn is_trunk(candidate: &Candidate<'_>, count: usize) -> bool {
    let separators = candidate.shape().iter().filter(|byte| !byte.is_ascii_digit());
    let lengths = candidate.shape().split(|byte| !byte.is_ascii_digit());
    let is_even = lengths.clone().all(|length| length != b"1");
    (9..=12).contains(&count)
        && (2..=6).contains(&candidate.groups)
        && candidate.digits().get(1).is_some_and(|digit| *digit != 0)
        && lengths.clone().next().is_some_and(|length| matches!(length, [b'2'..=b'6']))
        && is_even
        && separators.clone().filter(|byte| **byte == b'/').count() <= 1
        // Numbers of things end in short groups behind hyphens; telephones' do not.
        && !matches!(candidate.shape(), [.., b'-', b'1' | b'2'])
}

/// Whether digits are a country's code and a number of a length that is dialled there.
fn is_international(digits: &[u8]) -> bool {
    let count = digits.len();
    // `+44 (0)20 …` has a 0 that is not dialled.
    match number(digits, 0, 1) {
        1 | 7 => count == 11,
        _ => {
            let two = number(digits, 0, 2);
            let is_two = matches!(
                two,
                20 | 27 | 30..=34 | 36 | 39..=41 | 43..=49 | 51..=58 | 60..=66 | 81 | 82 | 84 | 86 | 90..=95 | 98
            );
            let is_three = matches!(
                number(digits, 0, 3),
                211..=213 | 216 | 218 | 220..=269 | 290 | 291 | 297..=299 | 350..=359 | 370..=389 | 420 | 421
                    | 423 | 500..=509 | 590..=599 | 670 | 672..=692 | 850 | 852 | 853 | 855 | 856 | 870 | 880
                    | 886 | 960..=968 | 970..=977 | 992..=996 | 998
            );
            (is_two && (9..=15).contains(&count)) || (is_three && (9..=15).contains(&count))
        }
    }
}

/// Where an extension after a number ends, such as `x123` or ` ext. 12`.
fn extension(text: &[u8], at: usize) -> Option<usize> {
    let mut here = at;
    while byte(text, here) == b' ' {
        here += 1;
    }
    if byte(text, here) == b',' && byte(text, here + 1) == b' ' {
        here += 2;
    }
    let rest = text.get(here..).unwrap_or_default();
    let word = rest.iter().take(9).take_while(|byte| byte.is_ascii_alphabetic()).count();
    let name = rest.get(..word)?;
    let known = [&b"x"[..], b"ext", b"extn", b"extension", b"durchwahl", b"poste"];
    if !known.iter().any(|known| name.eq_ignore_ascii_case(known)) {
        return None;
    }
    here += word;
    while matches!(byte(text, here), b' ' | b'.' | b':') {
        here += 1;
    }
    let digits = text.get(here..).unwrap_or_default().iter().take(7).take_while(|b| b.is_ascii_digit());
    match digits.count() {
        count @ 1..=6 => Some(here + count),
        _ => None,
    }
}
