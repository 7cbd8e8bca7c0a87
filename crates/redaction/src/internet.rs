//! What is written as on the Internet: e-mail addresses, IPv6 and hardware addresses, the user and
//! password of a URL, and coordinates. IPv4 addresses are digits and in [`crate::numeric`].

use std::net::Ipv6Addr;
use std::sync::LazyLock;

use regex::bytes::{Regex, RegexBuilder};

use crate::hit::{Confidence, Hit, before, byte, is_word, part};
use crate::kind::Kind;

/// Endings of files that stand where the domain of an address would end.
const FILE_ENDINGS: &[&str] = &["png", "jpg", "jpeg", "gif", "svg", "webp", "css", "js", "mjs", "ts"];

/// Longest address that is looked for (RFC 5321, section 4.5.3.1), in characters on each side of the `@`.
const MAX_SIDE: usize = 255;

/// Most bytes of the part of a URL that names its user and host.
const MAX_AUTHORITY: usize = 512;

/// Adds the e-mail addresses of `text` (RFC 5322 `dot-atom`, and internationalised ones).
pub(crate) fn emails(text: &str, hits: &mut Vec<Hit>) {
    for at in memchr::memchr_iter(b'@', text.as_bytes()) {
        let (Some(left), Some(right)) = (text.get(..at), text.get(at + 1..)) else { continue };
        let is_local = |c: &char| c.is_alphanumeric() || "._%+-&'!*=".contains(*c);
        let length: usize = left.chars().rev().take(MAX_SIDE).take_while(is_local).map(char::len_utf8).sum();
        let local = left.get(at - length..).unwrap_or_default();
        // `key=ada@example.com` and `'ada@example.com'`: what stands before is not the address.
        let local = local.rsplit(['=', '!', '*']).next().unwrap_or_default();
        let local = local.trim_start_matches(['.', '\'', '-', '&', '%', '+']);
        let is_domain = |c: &char| c.is_alphanumeric() || matches!(c, '.' | '-');
        let length = right.chars().take(MAX_SIDE).take_while(is_domain).map(char::len_utf8).sum();
        let domain = right.get(..length).unwrap_or_default().trim_end_matches(['.', '-']);
        let end = at + 1 + domain.len();
        let is_remote = byte(text.as_bytes(), end) == b':' && is_word(byte(text.as_bytes(), end + 1));
        if !local.is_empty() && is_host(domain) && !is_remote && !in_authority(left) {
            let start = at - local.len();
            let found =
                Hit { start, end, kind: Kind::Email, detector: "email", confidence: Confidence::Strong };
            hits.push(found);
        }
    }
}

fn is_host(domain: &str) -> bool {
    let Some((rest, last)) = domain.rsplit_once('.') else { return false };
    let is_last = last.chars().count() >= 2 && last.chars().all(char::is_alphabetic);
    let is_last = is_last || last.starts_with("xn--");
    !rest.is_empty()
        && is_last
        && rest.split('.').all(|label| !label.is_empty() && !label.starts_with('-'))
        && !FILE_ENDINGS.contains(&last)
}

/// Whether what follows `left` still names the host of a URL.
fn in_authority(left: &str) -> bool {
    let near =
        left.get(left.floor_char_boundary(left.len().saturating_sub(MAX_AUTHORITY))..).unwrap_or_default();
    let Some(at) = near.rfind("://") else { return false };
    let left = near;
    let after = left.get(at + 3..).unwrap_or_default();
    !after
        .contains(|c: char| c.is_whitespace() || matches!(c, '/' | '?' | '#' | '"' | '\'' | '<' | '>' | ','))
}

/// Adds the users and passwords of the URLs in `text` (RFC 3986, section 3.2.1).
pub(crate) fn url_users(text: &[u8], hits: &mut Vec<Hit>) {
    for at in memchr::memmem::find_iter(text, b"://") {
        let start = at + 3;
        let rest = text.get(start..).unwrap_or_default();
        let ends = |byte: &u8| {
            byte.is_ascii_whitespace()
                || matches!(byte, b'/' | b'?' | b'#' | b'"' | b'\'' | b'<' | b'>' | b'`')
        };
        // A password may hold a `/` that should have been written otherwise.
        let authority = part(rest, 0, rest.iter().position(ends).unwrap_or(rest.len()));
        let Some(user) = memchr::memrchr(b'@', authority) else { continue };
        let written = part(authority, 0, user);
        let Some(colon) = memchr::memchr(b':', written) else { continue };
        let password = written.get(colon + 1..).unwrap_or_default();
        let is_reference =
            password.starts_with(b"$") || password.starts_with(b"{") || password.starts_with(b"%s");
        if !password.is_empty() && !is_reference {
            let (kind, detector) = (Kind::SecretUrl, "secret.url");
            hits.push(Hit { start, end: start + user, kind, detector, confidence: Confidence::Strong });
        }
    }
}

/// Adds IPv6 addresses (RFC 4291) and hardware addresses with colons.
pub(crate) fn colons(text: &[u8], hits: &mut Vec<Hit>) {
    let is_part = |byte: u8| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.');
    let mut at = 0;
    while let Some(found) = memchr::memchr(b':', text.get(at..).unwrap_or_default()) {
        let colon = at + found;
        let mut start = colon;
        while start > at && is_part(before(text, start)) {
            start -= 1;
        }
        let mut end = colon;
        while is_part(byte(text, end)) && end - start < 64 {
            end += 1;
        }
        at = end;
        let trailing = part(text, start, end).iter().rev().take_while(|byte| **byte == b'.').count();
        let end = end - trailing;
        let written = part(text, start, end);
        if is_word(before(text, start)) || is_word(byte(text, end)) || written.len() < 3 {
            continue;
        }
        let mut push = |kind, detector, confidence| hits.push(Hit { start, end, kind, detector, confidence });
        if is_mac(written, b':') {
            push(Kind::Mac, "mac", Confidence::Strong);
        } else if is_ipv6(written) {
            push(Kind::Ip, "ip.v6", Confidence::Strong);
        }
    }
}

fn is_ipv6(written: &[u8]) -> bool {
    let colons = memchr::memchr_iter(b':', written).count();
    let is_telling = written.iter().any(u8::is_ascii_digit) || colons > 2;
    let text = std::str::from_utf8(written).unwrap_or_default();
    colons >= 2 && is_telling && text.parse::<Ipv6Addr>().is_ok_and(|address| !address.is_unspecified())
}

fn is_mac(written: &[u8], sign: u8) -> bool {
    let is_pair = |pair: &[u8]| pair.len() == 2 && pair.iter().all(u8::is_ascii_hexdigit);
    written.len() == 17 && written.split(|byte| *byte == sign).all(is_pair)
}

/// Adds hardware addresses with hyphens, as Windows writes them.
pub(crate) fn hyphens(text: &[u8], hits: &mut Vec<Hit>) {
    for (start, window) in text.windows(17).enumerate() {
        let is_address =
            byte(window, 2) == b'-' && is_mac(window, b'-') && window.iter().any(u8::is_ascii_alphabetic);
        if is_address && !is_word(before(text, start)) && !is_word(byte(text, start + 17)) {
            let (kind, detector) = (Kind::Mac, "mac");
            hits.push(Hit { start, end: start + 17, kind, detector, confidence: Confidence::Strong });
        }
    }
}

static COORDINATES: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let number = r"[-+]?\d{1,3}\.\d{4,}(?:\xC2\xB0)?(?:\s?[NSEW]\b)?";
    RegexBuilder::new(&format!(r"(?-u){number}\s*[,;/]?\s*{number}")).unicode(false).build().ok()
});

/// Adds pairs of a latitude and a longitude with at least four decimals, which is some ten metres.
pub(crate) fn coordinates(text: &[u8], hits: &mut Vec<Hit>) {
    let Some(pattern) = COORDINATES.as_ref() else { return };
    for found in pattern.find_iter(text) {
        let (start, end) = (found.start(), found.end());
        let trailing = found.as_bytes().iter().rev().take_while(|byte| byte.is_ascii_whitespace()).count();
        let number = |text: &[u8]| std::str::from_utf8(text).ok().and_then(|text| text.parse::<f64>().ok());
        let is_sign = |byte: &u8| !(byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'+'));
        let mut numbers = found.as_bytes().split(is_sign).filter(|piece| piece.len() > 4).map(number);
        let (latitude, longitude) = (numbers.next().flatten(), numbers.next().flatten());
        let is_place = latitude.is_some_and(|degrees| degrees.abs() <= 90.0)
            && longitude.is_some_and(|degrees| degrees.abs() <= 180.0);
        let is_alone =
            !is_word(before(text, start)) && before(text, start) != b'.' && !is_word(byte(text, end));
        if is_place && is_alone {
            let (kind, detector, confidence) = (Kind::Gps, "gps", Confidence::Medium);
            hits.push(Hit { start, end: end - trailing, kind, detector, confidence });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<(&str, &'static str)> {
        let mut hits = Vec::new();
        emails(text, &mut hits);
        url_users(text.as_bytes(), &mut hits);
        colons(text.as_bytes(), &mut hits);
        hyphens(text.as_bytes(), &mut hits);
        coordinates(text.as_bytes(), &mut hits);
        hits.iter().map(|hit| (&text[hit.start..hit.end], hit.detector)).collect()
    }

    #[test]
    fn addresses_are_found_to_the_character() {
        for (text, expected, detector) in [
            ("mail <ada.l+x@mail.example.co.uk>.", "ada.l+x@mail.example.co.uk", "email"),
            ("„jürgen@müller.de“", "jürgen@müller.de", "email"),
            ("?to=ada@example.com&x", "ada@example.com", "email"),
            ("https://example.com/?q=ada@example.com", "ada@example.com", "email"),
            ("postgres://ada:hunter2@db.example.com/x", "ada:hunter2", "secret.url"),
            ("at 2001:db8::8a2e:370:7334.", "2001:db8::8a2e:370:7334", "ip.v6"),
            ("fe80::1%eth0", "fe80::1", "ip.v6"),
            ("00:1B:44:11:3A:B7", "00:1B:44:11:3A:B7", "mac"),
            ("00-1B-44-11-3A-B7", "00-1B-44-11-3A-B7", "mac"),
            ("at 48.858370, 2.294481 now", "48.858370, 2.294481", "gps"),
        ] {
            assert_eq!(found(text), [(expected, detector)], "{text}");
        }
    }

    #[test]
    fn what_only_looks_like_an_address_is_nothing() {
        for text in [
            "logo@2x.png",
            "lodash@4.17.21",
            "git@github.com:org/repo",
            "@ada on 10:22:33",
            "std::cout << a::b",
            "face::add",
            "https://example.com:8080/x@y",
            "postgres://${USER}:${PASSWORD}@db/x",
            "ratio 1.5, 2.25",
        ] {
            assert_eq!(found(text), [], "{text}");
        }
    }
}
