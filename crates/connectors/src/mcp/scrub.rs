//! Secrets that a server was given must not come back in what it says.
//!
//! A server that refuses a credential may repeat it in its error, and one that reports its configuration may
//! show it. Whatever comes from a server that was given a secret is looked through for it before anything
//! reads it: as it is, within JSON, in base64 at any place of a longer text, in hexadecimal, and URL-encoded.
//! A server without secrets costs nothing here.
//!
//! This is for servers that are careless, not for those that are hostile: whoever has a secret can write it
//! in a way that nobody recognises.
//!
//! Invariants:
//! - What stands in its place keeps JSON what it was.
//! - A part of less than [`MIN_BYTES`] bytes is left alone: it would be found in every other text.

use std::borrow::Cow;
use std::collections::BTreeMap;

use aho_corasick::{AhoCorasick, MatchKind};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use bytes::Bytes;

/// Shortest part that is looked for.
const MIN_BYTES: usize = 8;
/// Most parts of one secret: lines, words of a header, the password of an address.
const MAX_PARTS: usize = 64;
/// What is read instead of a secret.
const INSTEAD: &str = "[secret]";
/// The same where the secret may stand as a number.
const INSTEAD_OF_DIGITS: &str = "0";

/// What must not come back.
pub(super) struct Scrub {
    automaton: AhoCorasick,
    instead: Vec<&'static str>,
}

/// Shows nothing of what it looks for.
impl std::fmt::Debug for Scrub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Scrub(..)")
    }
}

impl Scrub {
    /// What looks for `secrets`; none if there is nothing to look for.
    pub(super) fn of<'a>(secrets: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        let mut patterns: BTreeMap<String, &'static str> = BTreeMap::new();
        for part in secrets.into_iter().flat_map(parts) {
            let is_digits = part.bytes().all(|byte| byte.is_ascii_digit());
            for spelling in spellings(&part) {
                if spelling.len() >= MIN_BYTES {
                    patterns.insert(spelling, INSTEAD);
                }
            }
            patterns.insert(part, if is_digits { INSTEAD_OF_DIGITS } else { INSTEAD });
        }
        if patterns.is_empty() {
            return None;
        }
        let (patterns, instead): (Vec<String>, Vec<&'static str>) = patterns.into_iter().unzip();
        let built = AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(patterns);
        Some(Self { automaton: built.ok()?, instead })
    }

    /// Whether `bytes` hold a secret.
    pub(super) fn is_in(&self, bytes: &[u8]) -> bool {
        self.automaton.is_match(bytes)
    }

    /// `bytes` without secrets.
    pub(super) fn clean<'a>(&self, bytes: &'a [u8]) -> Cow<'a, [u8]> {
        if !self.is_in(bytes) {
            return Cow::Borrowed(bytes);
        }
        let mut cleaned = Vec::with_capacity(bytes.len());
        self.automaton.replace_all_with_bytes(bytes, &mut cleaned, |found, _, out| {
            let instead = self.instead.get(found.pattern().as_usize()).copied().unwrap_or(INSTEAD);
            out.extend_from_slice(instead.as_bytes());
            true
        });
        Cow::Owned(cleaned)
    }

    /// The same of what is owned.
    pub(super) fn clean_bytes(&self, bytes: Bytes) -> Bytes {
        match self.clean(&bytes) {
            Cow::Borrowed(_) => bytes,
            Cow::Owned(cleaned) => cleaned.into(),
        }
    }
}

/// The secret itself, and what of it a server may repeat alone: lines, the credential behind a scheme such as
/// `Bearer`, a password behind `Basic` or within an address.
fn parts(secret: &str) -> Vec<String> {
    let mut all = vec![secret.to_owned()];
    all.extend(secret.lines().map(|line| line.trim().to_owned()));
    let mut words = secret.split_whitespace();
    let scheme = words.clone().next().filter(|word| word.bytes().all(|byte| byte.is_ascii_alphabetic()));
    if scheme.is_some() {
        words.next();
    }
    for word in words {
        all.push(word.to_owned());
        if scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case("basic"))
            && let Ok(pair) = STANDARD.decode(word)
            && let Ok(pair) = String::from_utf8(pair)
        {
            all.extend(pair.split_once(':').map(|(_, password)| password.to_owned()));
            all.push(pair);
        }
    }
    // The password of `scheme://user:password@host`.
    let authority =
        secret.split_once("://").map(|(_, rest)| rest.split(['/', '?', '#']).next().unwrap_or(rest));
    let user = authority.and_then(|authority| authority.rsplit_once('@')).map(|(user, _)| user);
    if let Some((_, password)) = user.and_then(|user| user.split_once(':')) {
        all.push(password.to_owned());
        all.extend(percent_decoded(password));
    }
    all.truncate(MAX_PARTS);
    all.retain(|part| part.len() >= MIN_BYTES);
    all
}

/// How `part` may be written besides as it is.
fn spellings(part: &str) -> Vec<String> {
    let bytes = part.as_bytes();
    let mut all = vec![hex(bytes), hex(bytes).to_ascii_uppercase()];
    let quoted = serde_json::Value::from(part).to_string();
    let escaped = quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default().to_owned();
    all.push(escaped.replace('/', "\\/"));
    all.push(for_html(&escaped, false));
    all.push(for_html(&escaped, true));
    all.push(escaped);
    let encoded = percent_encoded(part);
    all.push(encoded.replace("%20", "+"));
    all.push(encoded.to_ascii_lowercase());
    all.push(encoded);
    for shift in 0..3 {
        let standard = within_base64(bytes, shift, |bytes| STANDARD_NO_PAD.encode(bytes));
        all.push(standard.replace('/', "\\/"));
        all.push(standard);
        all.push(within_base64(bytes, shift, |bytes| URL_SAFE_NO_PAD.encode(bytes)));
    }
    all
}

/// JSON as it is written by those who think of HTML: Go's encoder in lower case, that of .NET in upper case and with
/// more characters.
fn for_html(escaped: &str, upper: bool) -> String {
    let mut text = String::with_capacity(escaped.len());
    for c in escaped.chars() {
        match c {
            '<' | '>' | '&' if !upper => text.extend(format!("\\u{:04x}", u32::from(c)).chars()),
            '<' | '>' | '&' | '+' | '\'' | '`' if upper => {
                text.extend(format!("\\u{:04X}", u32::from(c)).chars());
            }
            c => text.push(c),
        }
    }
    text
}

/// The characters that stand for `bytes` alone in the base64 of a text that has `shift` bytes before them
/// (modulo 3), whatever is before and behind.
fn within_base64(bytes: &[u8], shift: usize, encode: impl Fn(&[u8]) -> String) -> String {
    let mut shifted = vec![0; shift];
    shifted.extend_from_slice(bytes);
    let encoded = encode(&shifted);
    // Characters of 6 bits: those that share bits with what is before or behind are not certain.
    let (first, last) = ((shift * 8).div_ceil(6), shifted.len() * 8 / 6);
    encoded.get(first..last).unwrap_or_default().to_owned()
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    quaymaster_core::arguments::push_hex(&mut text, bytes);
    text
}

/// Everything but what RFC 3986, section 2.3 calls unreserved.
fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len() * 3);
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            encoded.push(char::from(byte));
        } else {
            encoded.push('%');
            encoded.push_str(&hex(&[byte]).to_ascii_uppercase());
        }
    }
    encoded
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let (high, low) =
                    (char::from(rest.next()?).to_digit(16)?, char::from(rest.next()?).to_digit(16)?);
                u8::try_from(high * 16 + low).ok()?
            }
            other => other,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "s3cr3t/Zürich+\"key\"==";

    fn cleaned(secret: &str, text: &str) -> String {
        let scrub = Scrub::of([secret]).expect("something to look for");
        String::from_utf8(scrub.clean(text.as_bytes()).into_owned()).expect("UTF-8")
    }

    #[test]
    fn a_secret_is_found_however_it_is_written() {
        for spelling in spellings(SECRET).into_iter().chain([SECRET.to_owned()]) {
            let text = format!("<<{spelling}>>");
            assert!(!cleaned(SECRET, &text).contains(&spelling), "{spelling}");
        }
        let json = serde_json::json!({"error": format!("bad key {SECRET}.")}).to_string();
        assert_eq!(cleaned(SECRET, &json), r#"{"error":"bad key [secret]."}"#);
    }

    #[test]
    fn a_secret_is_found_at_any_place_of_what_is_encoded_in_base64() {
        for before in ["", "u", "us", "user:", "Authorization: Bearer "] {
            for behind in ["", "!", "!!", " and more"] {
                let encoded = STANDARD.encode(format!("{before}{SECRET}{behind}"));
                assert!(cleaned(SECRET, &encoded).contains("[secret]"), "{before}…{behind}");
            }
        }
    }

    #[test]
    fn a_credential_is_found_without_its_scheme_and_a_password_without_its_address() {
        assert_eq!(cleaned("Bearer abcdefgh12", "token abcdefgh12 is bad"), "token [secret] is bad");
        let basic = format!("Basic {}", STANDARD.encode("ada:hunter2hunter2"));
        assert_eq!(cleaned(&basic, "no ada with hunter2hunter2"), "no ada with [secret]");
        let url = "postgres://ada:p%40ssw0rd!x@db.example.test/crm?x=1";
        assert_eq!(cleaned(url, "p@ssw0rd!x and p%40ssw0rd!x"), "[secret] and [secret]");
        assert_eq!(cleaned("Negotiate abcdefgh12", "Negotiate what"), "Negotiate what");
    }

    #[test]
    fn a_secret_is_found_in_json_that_was_written_with_html_in_mind() {
        let secret = "a+b<c>d&e'f12345";
        for json in [
            r#"{"e":"a\u002Bb\u003Cc\u003Ed\u0026e\u0027f12345"}"#,
            r#"{"e":"a+b\u003cc\u003ed\u0026e'f12345"}"#,
        ] {
            assert_eq!(cleaned(secret, json), r#"{"e":"[secret]"}"#);
        }
    }

    #[test]
    fn json_stays_json_and_what_is_too_short_is_left() {
        assert_eq!(cleaned("1234567890", r#"{"pin":1234567890}"#), r#"{"pin":0}"#);
        assert!(Scrub::of(["short", ""]).is_none());
        let text = "nothing of the kind";
        assert!(matches!(Scrub::of([SECRET]).expect("it").clean(text.as_bytes()), Cow::Borrowed(_)));
    }

    proptest::proptest! {
        #[test]
        fn no_text_that_is_written_as_json_lets_a_secret_through(
            before in ".{0,12}", secret in "[ -~]{8,40}", behind in ".{0,12}"
        ) {
            let scrub = Scrub::of([secret.as_str()]).expect("something to look for");
            let json = serde_json::json!([format!("{before}{secret}{behind}")]).to_string();
            let cleaned = String::from_utf8(scrub.clean(json.as_bytes()).into_owned()).expect("UTF-8");
            let value: serde_json::Value = serde_json::from_str(&cleaned).expect("still JSON");
            proptest::prop_assert!(!value[0].as_str().unwrap_or_default().contains(&secret));
        }
    }
}
