//! Numbers: runs of digits with the separators that people put between them.
//!
//! A text is cut into clusters of groups of digits; each stretch of groups that stands by
//! itself is a candidate, which is known by its shape, such as `3-2-4`, and its check digits.
//! What is written with letters is in [`crate::words`].

use crate::hit::{Confidence, Hit, before, byte, is_clean_left, is_clean_right, part};
use crate::kind::Kind;

mod card;
mod phone;
mod schemes;

/// Most groups of a cluster, and most of a candidate.
const MAX_GROUPS: usize = 48;
const MAX_WINDOW: usize = 8;
/// Most and fewest digits of a candidate.
const MAX_DIGITS: usize = 20;
const MIN_DIGITS: usize = 4;

/// Digits in a row.
#[derive(Clone, Copy, Debug)]
struct Group {
    start: usize,
    end: usize,
    /// What stands between this and the group before, as one character; 0 for the first.
    separator: u8,
}

/// Groups that stand by themselves.
#[derive(Debug)]
pub(crate) struct Candidate<'t> {
    text: &'t [u8],
    start: usize,
    end: usize,
    digits: [u8; MAX_DIGITS],
    count: usize,
    shape: [u8; 32],
    shape_len: usize,
    groups: usize,
    /// Whether a `+` stands before it.
    plus: bool,
}

impl<'t> Candidate<'t> {
    fn of(text: &'t [u8], groups: &[Group]) -> Option<Self> {
        let (first, last) = (groups.first()?, groups.last()?);
        let mut candidate = Self {
            text,
            start: first.start,
            end: last.end,
            digits: [0; MAX_DIGITS],
            count: 0,
            shape: [0; 32],
            shape_len: 0,
            groups: groups.len(),
            plus: before(text, first.start) == b'+'
                || (before(text, first.start) == b'(' && before(text, first.start - 1) == b'+'),
        };
        for (at, group) in groups.iter().enumerate() {
            if at > 0 {
                candidate.push_shape(group.separator);
            }
            let length = group.end - group.start;
            if length >= 10 {
                candidate.push_shape(b'0' + u8::try_from(length / 10).ok()?);
            }
            candidate.push_shape(b'0' + u8::try_from(length % 10).ok()?);
            for digit in part(text, group.start, group.end) {
                *candidate.digits.get_mut(candidate.count)? = digit - b'0';
                candidate.count += 1;
            }
        }
        Some(candidate)
    }

    fn push_shape(&mut self, byte: u8) {
        if let Some(place) = self.shape.get_mut(self.shape_len) {
            *place = byte;
            self.shape_len += 1;
        }
    }

    fn digits(&self) -> &[u8] {
        self.digits.get(..self.count).unwrap_or_default()
    }

    fn shape(&self) -> &[u8] {
        self.shape.get(..self.shape_len).unwrap_or_default()
    }

    fn is_plain(&self) -> bool {
        self.groups == 1
    }

    fn hit(&self, kind: Kind, detector: &'static str, confidence: Confidence) -> Hit {
        Hit { start: self.start, end: self.end, kind, detector, confidence }
    }

    fn is_clean(&self) -> bool {
        is_clean_left(self.text, self.start - usize::from(self.plus && before(self.text, self.start) == b'+'))
            && is_clean_right(self.text, self.end)
    }
}

/// The names of the detectors of numbers of states and banks.
pub(crate) fn detectors() -> impl Iterator<Item = &'static str> {
    schemes::detectors()
}

/// Adds what the numbers of `text` may be.
pub(crate) fn find(text: &[u8], hits: &mut Vec<Hit>) {
    let mut groups: Vec<Group> = Vec::with_capacity(8);
    let mut at = 0;
    while at < text.len() {
        at = next_cluster(text, at, &mut groups);
        judge(text, &groups, hits);
    }
}

/// Reads the next cluster at or after `at`; returns where it ends.
fn next_cluster(text: &[u8], at: usize, groups: &mut Vec<Group>) -> usize {
    groups.clear();
    let rest = text.get(at..).unwrap_or_default();
    let Some(first) = rest.iter().position(u8::is_ascii_digit) else { return text.len() };
    let mut start = at + first;
    let mut separator = 0;
    loop {
        let run = text.get(start..).unwrap_or_default();
        let end = start + run.iter().take_while(|byte| byte.is_ascii_digit()).count();
        groups.push(Group { start, end, separator });
        let Some((sign, width)) = separator_at(text, end).filter(|_| groups.len() < MAX_GROUPS) else {
            return end;
        };
        separator = sign;
        start = end + width;
    }
}

/// The separator at `at` and its width, where digits follow it.
fn separator_at(text: &[u8], at: usize) -> Option<(u8, usize)> {
    let signs = [byte(text, at), byte(text, at + 1), byte(text, at + 2)];
    let (sign, width) = match signs {
        [b')', b' ' | b'-' | b'.' | b'/', next] if next.is_ascii_digit() => (b')', 2),
        [b' ' | b'-' | b'.', b'(', _] => (b'(', 2),
        [b' ', b'-' | b'/', b' '] => (signs[1], 3),
        [b')', ..] => (b')', 1),
        [b'(', ..] => (b'(', 1),
        [sign @ (b' ' | b'-' | b'.' | b'/'), ..] => (sign, 1),
        _ => return None,
    };
    byte(text, at + width).is_ascii_digit().then_some((sign, width))
}

fn judge(text: &[u8], groups: &[Group], hits: &mut Vec<Hit>) {
    for first in 0..groups.len() {
        let begins = groups.get(first).is_some_and(|group| matches!(group.separator, 0 | b' ' | b'/' | b'('));
        if !begins {
            continue;
        }
        for last in (first..groups.len().min(first + MAX_WINDOW)).rev() {
            let follows = groups.get(last + 1).map_or(0, |group| group.separator);
            let Some(window) = groups.get(first..=last) else { continue };
            let length: usize = window.iter().map(|group| group.end - group.start).sum();
            if !(MIN_DIGITS..=MAX_DIGITS).contains(&length) {
                continue;
            }
            let Some(candidate) = Candidate::of(text, window) else { continue };
            if matches!(follows, 0 | b'/' | b' ') {
                internet(&candidate, hits);
            }
            let starts_clean = window.first().is_some_and(|group| matches!(group.separator, 0 | b' ' | b'('));
            if matches!(follows, 0 | b' ') && starts_clean {
                classify(&candidate, hits);
            }
        }
    }
}

fn classify(candidate: &Candidate<'_>, hits: &mut Vec<Hit>) {
    phone::find(candidate, hits);
    if !candidate.is_clean() || candidate.plus {
        return;
    }
    card::find(candidate, hits);
    schemes::find(candidate, hits);
    date(candidate, hits);
}

/// IPv4 addresses (RFC 791), with a port or a prefix after them or without.
fn internet(candidate: &Candidate<'_>, hits: &mut Vec<Hit>) {
    let text = candidate.text;
    let is_shape = candidate.groups == 4
        && candidate.shape().iter().enumerate().all(|(at, byte)| at % 2 == 0 || *byte == b'.');
    let (previous, next) = (before(text, candidate.start), byte(text, candidate.end));
    let is_inside = crate::hit::is_word(previous)
        || matches!(previous, b'.' | b'-')
        || crate::hit::is_word(next)
        || (matches!(next, b'.' | b'-') && crate::hit::is_word(byte(text, candidate.end + 1)));
    if !is_shape || is_inside {
        return;
    }
    let written = part(text, candidate.start, candidate.end);
    let is_address = std::str::from_utf8(written).is_ok_and(|t| t.parse::<std::net::Ipv4Addr>().is_ok());
    if is_address {
        // Versions have four parts too, but seldom such large ones.
        let is_large = written.split(|byte| *byte == b'.').any(|part| part.len() == 3);
        let confidence = if is_large { Confidence::Strong } else { Confidence::Medium };
        hits.push(candidate.hit(Kind::Ip, "ip.v4", confidence));
    }
}

/// Dates in figures; the words around must say that somebody was born then.
fn date(candidate: &Candidate<'_>, hits: &mut Vec<Hit>) {
    use crate::checksum::{is_day, number};
    let digits = candidate.digits();
    let year = |from: usize| (1900..2100).contains(&number(digits, from, from + 4));
    let either = |a: u64, b: u64| is_day(a, b) || is_day(b, a);
    let is_date = match candidate.shape() {
        b"4-2-2" | b"4/2/2" | b"4.2.2" => year(0) && is_day(number(digits, 4, 6), number(digits, 6, 8)),
        b"2-2-4" | b"2/2/4" | b"2.2.4" | b"2 2 4" => {
            year(4) && either(number(digits, 0, 2), number(digits, 2, 4))
        }
        b"1/1/4" | b"1.1.4" => year(2) && either(number(digits, 0, 1), number(digits, 1, 2)),
        b"1/2/4" | b"1.2.4" => year(3) && either(number(digits, 0, 1), number(digits, 1, 3)),
        b"2/1/4" | b"2.1.4" => year(3) && either(number(digits, 0, 2), number(digits, 2, 3)),
        b"2/2/2" | b"2.2.2" | b"2-2-2" => either(number(digits, 0, 2), number(digits, 2, 4)),
        _ => false,
    };
    if is_date {
        hits.push(candidate.hit(Kind::DateOfBirth, "date", Confidence::Weak));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<(&str, &'static str)> {
        crate::hit::found_by(find, text)
    }

    #[test]
    fn numbers_are_told_apart_by_shape_and_check_digits() {
        for (text, expected, detector) in [
            ("pay 4111 1111 1111 1111 now", "4111 1111 1111 1111", "credit_card"),
            ("pay 378282246310005.", "378282246310005", "credit_card"),
            ("ssn 536-90-4399", "536-90-4399", "ssn"),
            ("call (212) 555-0187 today", "212) 555-0187", "phone.nanp"),
            ("+49 30 901820", "+49 30 901820", "phone.e164"),
            ("01 42 68 53 00", "01 42 68 53 00", "phone.trunk"),
            ("cpf 529.982.247-25", "529.982.247-25", "national_id.br_cpf"),
            ("756.9217.0769.85", "756.9217.0769.85", "national_id.ch_ahv"),
            ("at 10.0.12.200:8080", "10.0.12.200", "ip.v4"),
            ("net 192.168.17.0/24", "192.168.17.0", "ip.v4"),
        ] {
            let found = found(text);
            let (part, by) = found.first().copied().unwrap_or_default();
            assert_eq!((part.trim_start_matches('('), by, found.len()), (expected, detector, 1), "{text}");
        }
    }

    #[test]
    fn other_numbers_are_nothing() {
        for text in [
            "ORD-2024-000123",
            "2024-05-01 10:22:33",
            "SKU-8842-1190-22",
            "total 1,234,567.89 EUR",
            "4006381333931",
            "v1.2.3.4",
            "1.2.3.4.5",
            "4111 1111 1111 1112",
            "000-12-3456",
            "tracking 1Z999AA10123456784",
            "16 GB, 3200 MHz, 4 x 8",
            "2024 2025 2026 2027",
        ] {
            assert_eq!(found(text), [], "{text}");
        }
    }
}
