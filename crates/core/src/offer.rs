//! What of MCP a declaration offers: a tool, a prompt, or resources.
//!
//! Policy, audit and release see one thing that can be asked for, with a name,
//! arguments and an effect. What differs is by which method clients ask, and for
//! resources that one declaration stands for all whose address fits a pattern.
//!
//! Invariant: an address that could be read in two ways fits no pattern.

use std::fmt;
use std::sync::Arc;

use serde_json::Value;

use crate::name::ToolName;

/// Longest address of a resource, in bytes.
pub const MAX_URI_BYTES: usize = 4 * 1024;

/// By which method something is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// `tools/call`.
    #[default]
    Tool,
    /// `prompts/get`.
    Prompt,
    /// `resources/read`.
    Resource,
    /// `completion/complete`.
    Completion,
}

impl Kind {
    /// The kind of this word.
    pub fn named(word: &str) -> Option<Self> {
        let all = [Self::Tool, Self::Prompt, Self::Resource, Self::Completion];
        all.into_iter().find(|kind| kind.as_str() == word)
    }

    /// The kind as people and programs read it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tool => "tool",
            Self::Prompt => "prompt",
            Self::Resource => "resource",
            Self::Completion => "completion",
        }
    }
}

/// What a declaration offers.
#[derive(Clone, Debug, Default)]
pub enum Offer {
    /// A tool.
    #[default]
    Tool,
    /// A prompt.
    Prompt,
    /// The resources whose address fits.
    Resources(Arc<Resources>),
    /// Values for an argument of a prompt or a template.
    Completion(Completed),
}

/// For what values are completed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Completed {
    /// For the arguments of the prompt that agents know by this name.
    Prompt(ToolName),
    /// For the variables of these addresses.
    Resource(UriPattern),
}

impl Completed {
    /// What a request for it names.
    pub fn reference(&self) -> String {
        match self {
            Self::Prompt(name) => format!("prompt:{name}"),
            Self::Resource(pattern) => format!("resource:{pattern}"),
        }
    }
}

impl Offer {
    /// By which method it is asked for.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Tool => Kind::Tool,
            Self::Prompt => Kind::Prompt,
            Self::Resources(_) => Kind::Resource,
            Self::Completion(_) => Kind::Completion,
        }
    }
}

/// Resources that are declared together.
#[derive(Clone, Debug)]
pub struct Resources {
    /// Which addresses belong to them.
    pub pattern: UriPattern,
    /// The `Resource` objects of those that are listed (MCP 2026-07-28, server/resources).
    pub listed: Vec<Value>,
    /// The `ResourceTemplate` objects.
    pub templates: Vec<Value>,
}

/// Addresses of resources, such as `docs://manual/*` or `db://table/{name}/schema`.
///
/// `*` stands for any text, `{name}` for any text without `/`; neither is empty, nor
/// reaches into a query or a fragment. The rest stands for itself, a scheme included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UriPattern {
    text: Arc<str>,
    pieces: Vec<Piece>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(Box<str>),
    Any,
    Segment,
}

/// How many places that stand for any text one pattern may have.
const MAX_OPEN: usize = 8;

impl UriPattern {
    /// Reads a pattern.
    ///
    /// # Errors
    ///
    /// Says what a pattern looks like.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = |what: &str| Err(format!("`{}` {what}", text.escape_debug()));
        let scheme = text.split_once(':').map_or("", |(scheme, _)| scheme);
        let has_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'));
        if !has_scheme {
            return wrong("does not begin with a scheme, as in `docs://manual/*`");
        }
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some(at) = rest.find(['*', '{', '}']) {
            let (before, behind) = rest.split_at(at);
            if !before.is_empty() {
                pieces.push(Piece::Text(before.into()));
            }
            let piece = if behind.starts_with('*') { Piece::Any } else { Piece::Segment };
            let length = match (&piece, behind.find('}')) {
                (Piece::Any, _) => 1,
                (_, Some(end)) if behind.starts_with('{') && end > 1 => end + 1,
                _ => return wrong("has a brace that is not part of a variable such as `{name}`"),
            };
            if matches!(pieces.last(), Some(Piece::Any | Piece::Segment)) {
                return wrong("has two open places with nothing between them");
            }
            pieces.push(piece);
            rest = behind.get(length..).unwrap_or_default();
        }
        if !rest.is_empty() {
            pieces.push(Piece::Text(rest.into()));
        }
        if pieces.iter().filter(|piece| !matches!(piece, Piece::Text(_))).count() > MAX_OPEN {
            return wrong(&format!("has more than {MAX_OPEN} open places"));
        }
        if text.len() > MAX_URI_BYTES || !is_plain(text) {
            return wrong("is too long, or has a dot segment, a backslash, a space or a control character");
        }
        Ok(Self { text: text.into(), pieces })
    }

    /// The pattern as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether `uri` is one of the addresses.
    pub fn fits(&self, uri: &str) -> bool {
        uri.len() <= MAX_URI_BYTES && is_plain(uri) && fits(&self.pieces, uri)
    }

    /// Whether some address could fit both, as far as what comes before the first
    /// open place tells.
    pub fn may_meet(&self, other: &Self) -> bool {
        let (one, two) = (self.opening(), other.opening());
        match (self.is_open(), other.is_open()) {
            (false, false) => one == two,
            (false, true) => other.fits(one),
            (true, false) => self.fits(two),
            (true, true) => one.starts_with(two) || two.starts_with(one),
        }
    }

    fn is_open(&self) -> bool {
        self.pieces.iter().any(|piece| !matches!(piece, Piece::Text(_)))
    }

    fn opening(&self) -> &str {
        match self.pieces.first() {
            Some(Piece::Text(text)) => text,
            _ => "",
        }
    }
}

impl fmt::Display for UriPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Whether an address has one reading: what a server would decode or resolve
/// before it looks could lead elsewhere than the pattern, or a policy, says.
fn is_plain(uri: &str) -> bool {
    let path = uri.split(['?', '#']).next().unwrap_or_default();
    let behind_scheme = path.split_once(':').map_or(path, |(_, rest)| rest);
    let behind_authority = match behind_scheme.strip_prefix("//") {
        Some(rest) => rest.split_once('/').map_or("", |(_, rest)| rest),
        None => behind_scheme.strip_prefix('/').unwrap_or(behind_scheme),
    };
    let (last, inner) = match behind_authority.rsplit_once('/') {
        Some((inner, last)) => (last, inner),
        None => (behind_authority, "-"),
    };
    // One slash at the end is a folder; anywhere else an empty segment may begin another path.
    let hollow = inner.split('/').any(str::is_empty);
    let dotted = |segment: &str| matches!(segment.split(';').next(), Some("." | ".."));
    let dotted = dotted(last) || inner.split('/').any(dotted);
    let odd = |c: char| c.is_control() || c.is_whitespace() || c == '\\';
    !hollow && !dotted && !uri.chars().any(odd) && decodes_to_what_must_be_encoded(uri)
}

/// Whether every `%XX` stands for what cannot stand there itself: a byte of a character beyond
/// ASCII, or one of those that no part of an address may hold. A letter, a dot or a slash that
/// is written so would be the same to a server, and another to a pattern.
fn decodes_to_what_must_be_encoded(uri: &str) -> bool {
    let mut decoded = Vec::with_capacity(uri.len());
    let mut rest = uri.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        rest = behind;
        if *first != b'%' {
            decoded.push(*first);
            continue;
        }
        let Some((digits, behind)) = behind.split_first_chunk::<2>() else { return false };
        let hex = std::str::from_utf8(digits).ok().filter(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()));
        let Some(byte) = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) else { return false };
        if byte.is_ascii() && !matches!(byte, b' ' | b'"' | b'<' | b'>' | b'^' | b'`' | b'{' | b'|' | b'}') {
            return false;
        }
        decoded.push(byte);
        rest = behind;
    }
    // Bytes that are no UTF-8 are read in ways of their own.
    String::from_utf8(decoded).is_ok()
}

/// The number of open places is small, so going back costs little.
fn fits(pieces: &[Piece], uri: &str) -> bool {
    let Some((first, rest)) = pieces.split_first() else { return uri.is_empty() };
    let is_segment = match first {
        Piece::Text(text) => return uri.strip_prefix(&**text).is_some_and(|behind| fits(rest, behind)),
        Piece::Any => false,
        Piece::Segment => true,
    };
    // A variable is within one segment; nothing open reaches into a query that the pattern has not.
    let ends: &[char] = if is_segment { &['/', '?', '#'] } else { &['?', '#'] };
    let longest = uri.find(ends).unwrap_or(uri.len());
    match rest.first() {
        None => !uri.is_empty() && longest == uri.len(),
        // Only places where the next text begins are worth a look.
        Some(Piece::Text(next)) => uri
            .match_indices(&**next)
            .take_while(|(at, _)| *at <= longest)
            .any(|(at, _)| at > 0 && uri.get(at..).is_some_and(|behind| fits(rest, behind))),
        Some(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pattern(text: &str) -> UriPattern {
        UriPattern::parse(text).expect(text)
    }

    #[test]
    fn a_pattern_says_which_addresses_are_meant() {
        let docs = pattern("docs://manual/*");
        assert!(docs.fits("docs://manual/a/b.md"));
        for other in ["docs://manual/", "docs://manuals/a", "DOCS://manual/a", "docs://manual"] {
            assert!(!docs.fits(other), "{other}");
        }
        let table = pattern("db://table/{name}/schema");
        assert!(table.fits("db://table/orders/schema"));
        for other in [
            "db://table/secret#/schema",
            "db://table/secret?/schema",
            "db://table//schema",
            "db://table/a/b/schema",
            "db://table/orders/schema/x",
        ] {
            assert!(!table.fits(other), "{other}");
        }
        assert!(pattern("test://static-text").fits("test://static-text"));
        assert!(pattern("a://{x}.{y}").fits("a://one.two.three"));
    }

    #[test]
    fn an_address_with_two_readings_fits_nothing() {
        let all = pattern("file:///srv/*");
        assert!(all.fits("file:///srv/a%20b/%C3%A4.md") && all.fits("file:///srv/folder/"));
        for uri in [
            "file:///srv/../etc/passwd",
            "file:///srv/%2e%2e/etc/passwd",
            "file:///srv/..%2Fetc/passwd",
            "file:///srv/%252e%252e/x",
            "file:///srv/a\\..\\b",
            "file:///srv/./a",
            "file:///srv/a\u{0}",
            "file:///srv/a b",
            "file:///srv/%68r",
            "file:///srv//etc/passwd",
            "file:///srv/a//b",
            "file:///srv/..;/x",
            "file:///srv/%c0%ae%c0%ae/x",
            "file:///srv/a?b=../c",
            "file:///srv/a#b",
            "file:///srv/%2",
            "file:///srv/%zz",
        ] {
            assert!(!all.fits(uri), "{uri}");
        }
        assert!(!all.fits(&format!("file:///srv/{}", "a".repeat(MAX_URI_BYTES))));
    }

    #[test]
    fn what_is_no_pattern_is_told_why() {
        let reasons: Vec<String> =
            ["manual/*", "*", "1a://x", "a://{}", "a://{x", "a://x}", "a://**", "a://{x}{y}", "a://x/../y"]
                .into_iter()
                .map(|text| UriPattern::parse(text).expect_err(text))
                .collect();
        insta::assert_snapshot!(reasons.join("\n"));
    }

    #[test]
    fn patterns_that_could_meet_are_found() {
        let meet = |one: &str, two: &str| pattern(one).may_meet(&pattern(two));
        assert!(meet("a://x/*", "a://x/y/*") && meet("a://x/y", "a://x/*") && meet("a://x", "a://x"));
        assert!(!meet("a://x/*", "a://y/*") && !meet("a://x", "a://y") && !meet("a://x", "a://x/*"));
    }

    proptest! {
        #[test]
        fn patterns_that_an_address_fits_both_are_said_to_meet(
            one in "a:[ab/]{0,3}[*]?[ab/]{0,2}", two in "a:[ab/]{0,3}[*]?[ab/]{0,2}", uri in "a:[ab/]{0,6}"
        ) {
            if let (Ok(one), Ok(two)) = (UriPattern::parse(&one), UriPattern::parse(&two))
                && one.fits(&uri) && two.fits(&uri)
            {
                prop_assert!(one.may_meet(&two));
            }
        }

        #[test]
        fn no_text_makes_a_pattern_panic(text in ".{0,24}", uri in ".{0,24}") {
            if let Ok(pattern) = UriPattern::parse(&text) {
                let _ = pattern.fits(&uri);
            }
        }
    }
}
