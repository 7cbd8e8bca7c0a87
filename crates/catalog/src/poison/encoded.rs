//! Text in another alphabet: base64, hexadecimal, binary and percent signs, backwards, turned by 13
//! letters, with digits for letters or with room between them.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::{Finding, Severity, phrases};

/// How often an alphabet within an alphabet is looked into.
const MAX_DEPTH: usize = 2;
/// Shortest text that counts as one, in bytes.
const SHORTEST: usize = 12;
/// Most texts that are decoded of one.
const MAX_DECODED: usize = 64;

/// What is found in what `text` holds in another alphabet.
pub(super) fn find(text: &str, depth: usize) -> Vec<Finding> {
    let mut found = Vec::new();
    for decoded in decoded(text).into_iter().take(MAX_DECODED) {
        let inner = phrases::find(&decoded).into_iter().any(|finding| finding.severity >= Severity::Medium);
        let deeper = depth < MAX_DEPTH && !find(&decoded, depth + 1).is_empty();
        if inner || deeper {
            found.push(Finding::new("encoded.instructions", Severity::High, &decoded));
        } else if decoded.split_whitespace().count() >= 4 {
            found.push(Finding::new("encoded.text", Severity::Low, &decoded));
        }
    }
    for disguised in disguised(text) {
        if phrases::find(&disguised).into_iter().any(|finding| finding.severity == Severity::High) {
            found.push(Finding::new("encoded.disguise", Severity::High, &disguised));
        }
    }
    if let Some(spaced) = spaced(text) {
        found.push(Finding::new("encoded.disguise", Severity::High, &spaced));
    }
    found
}

fn decoded(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let is_of_base64 = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '-' | '_' | '=');
    for piece in text.split(|c| !is_of_base64(c)).filter(|piece| piece.len() >= SHORTEST) {
        found.extend(base64(piece).as_deref().and_then(readable));
        if piece.len() >= 2 * SHORTEST && piece.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            found.extend(digits(piece.as_bytes().chunks(2), 16));
        }
    }
    // Two digits or eight bits at a time, with something between them.
    let pieces: Vec<&str> = text
        .split(|c: char| c.is_whitespace() || matches!(c, ',' | ':' | '\\' | 'x' | '%' | ';' | '&' | '#'))
        .filter(|piece| !piece.is_empty())
        .collect();
    for (length, radix) in [(2, 16), (8, 2)] {
        let is_unit = |piece: &&str| piece.len() == length && u8::from_str_radix(piece, radix).is_ok();
        for run in pieces.split(|piece| !is_unit(piece)).filter(|run| run.len() >= SHORTEST) {
            found.extend(digits(run.iter().map(|unit| unit.as_bytes()), radix));
        }
    }
    let bits = |c: char| !matches!(c, '0' | '1');
    for piece in text.split(bits).filter(|piece| piece.len() >= SHORTEST * 8 && piece.len() % 8 == 0) {
        found.extend(digits(piece.as_bytes().chunks(8), 2));
    }
    found
}

fn base64(piece: &str) -> Option<Vec<u8>> {
    let is_url = piece.contains(['-', '_']);
    let alphabet = if is_url { &alphabet::URL_SAFE } else { &alphabet::STANDARD };
    let lenient = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    GeneralPurpose::new(alphabet, lenient).decode(piece).ok()
}

fn digits<'a>(units: impl Iterator<Item = &'a [u8]>, radix: u32) -> Option<String> {
    let byte = |unit: &[u8]| u8::from_str_radix(std::str::from_utf8(unit).ok()?, radix).ok();
    readable(&units.map(byte).collect::<Option<Vec<u8>>>()?)
}

/// The text, if that is what the bytes are.
fn readable(bytes: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(bytes).ok()?;
    let is_text = text.len() >= SHORTEST && text.chars().all(|c| !c.is_control() || c.is_ascii_whitespace());
    is_text.then(|| text.to_owned())
}

fn disguised(text: &str) -> Vec<String> {
    let turned = |c: char| match c {
        'a'..='z' => turn(c, b'a'),
        'A'..='Z' => turn(c, b'A'),
        c => c,
    };
    let drawn = |c: char| match c {
        '0' => 'o',
        '1' | '!' => 'i',
        '3' => 'e',
        '4' | '@' => 'a',
        '5' | '$' => 's',
        '7' => 't',
        c => c,
    };
    let mut all = vec![text.chars().rev().collect(), text.chars().map(turned).collect()];
    if text.contains(|c: char| c.is_ascii_digit() || matches!(c, '@' | '$')) {
        // An address is no word that somebody drew.
        let words = text.split_whitespace().filter(|piece| !super::words::is_address(piece));
        all.push(words.collect::<Vec<_>>().join(" ").chars().map(drawn).collect());
    }
    all
}

fn turn(c: char, first: u8) -> char {
    let at = u32::from(c).saturating_sub(u32::from(first));
    char::from_u32(u32::from(first) + (at + 13) % 26).unwrap_or(c)
}

/// Letters with room between them, if they say something.
fn spaced(text: &str) -> Option<String> {
    const SAID: [&str; 7] = [
        "ignoreprevious",
        "ignoreall",
        "ignoreyour",
        "previousinstruction",
        "priorinstruction",
        "systemprompt",
        "ignoretheprevious",
    ];
    let separators = |c: char| c.is_whitespace() || matches!(c, '.' | '-' | '_' | '*' | '|' | '\u{b7}');
    let mut run = String::new();
    let mut length = 0_usize;
    let mut longest = String::new();
    for piece in text.split(separators).filter(|piece| !piece.is_empty()) {
        if piece.chars().count() == 1 {
            run.push_str(&super::words::fold(piece));
            length += 1;
        } else {
            if length >= SHORTEST {
                longest.push_str(&run);
            }
            run.clear();
            length = 0;
        }
    }
    if length >= SHORTEST {
        longest.push_str(&run);
    }
    SAID.iter().any(|said| longest.contains(said)).then_some(longest)
}
