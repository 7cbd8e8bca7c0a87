//! What stands in a string in another form: JSON, tables, Base64, percent-encoding, look-alike characters.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::{Beside, Edit, Outcome, Pass, Spot, apply};
use crate::config::BinaryAction;
use crate::field::FieldClass;
use crate::finding::Refusal;
use crate::items::parts;
use crate::plain::Plain;

/// Fewest characters that are taken for Base64, and most tokens of a text that are tried.
const MIN_BASE64: usize = 24;
const MAX_TOKENS: usize = 256;

/// Bytes from which on content that is no text counts as binary content, and not as an id.
const MIN_BINARY: usize = 256;

impl Pass<'_> {
    /// What becomes of a text that holds another; nothing if it holds none.
    pub(super) fn encoded(
        &mut self,
        text: &str,
        class: FieldClass,
        depth: u32,
        media: Beside<'_>,
    ) -> Result<Option<Outcome>, Refusal> {
        let first = text.trim_start().bytes().next();
        if matches!(first, Some(b'{' | b'['))
            && let Some(outcome) = self.inner_json(text, depth)?
        {
            return Ok(Some(outcome));
        }
        if text.contains('\n')
            && let Some(outcome) = self.table(text, depth)?
        {
            return Ok(Some(outcome));
        }
        if has_long_token(text)
            && let Some(outcome) = self.base64(text, class, depth, media)?
        {
            return Ok(Some(outcome));
        }
        match Plain::of(text) {
            Some(plain) => self.plain(text, &plain, class, depth).map(Some),
            None => Ok(None),
        }
    }

    fn deeper(&self, depth: u32) -> Result<u32, Refusal> {
        let max = self.engine.max_nested;
        if depth >= max {
            return Err(Refusal::TooDeep { path: String::new(), max: max as usize });
        }
        Ok(depth + 1)
    }

    /// JSON in a string, or a line of it in each line.
    fn inner_json(&mut self, text: &str, depth: u32) -> Result<Option<Outcome>, Refusal> {
        let trimmed = text.trim();
        let is_json = |text: &str| quaymaster_core::Raw::read(text).is_ok();
        if is_json(trimmed) {
            return self.inner_document(text, self.deeper(depth)?).map(Some);
        }
        let lines: Vec<&str> = trimmed.lines().filter(|line| !line.trim().is_empty()).collect();
        if lines.len() > 1 && lines.iter().all(|line| is_json(line)) {
            let mut whole = Outcome::default();
            let deeper = self.deeper(depth)?;
            for line in lines {
                let at = line.as_ptr().addr() - text.as_ptr().addr();
                whole.append(self.inner_document(line, deeper)?.moved(at));
            }
            return Ok(Some(whole));
        }
        // What begins as an object with a member, or a list of objects, was JSON before it was cut off.
        let head: String = trimmed.chars().filter(|c| !c.is_whitespace()).take(2).collect();
        let began = matches!(head.as_str(), "{\"" | "[{" | "[[") && trimmed.contains("\":");
        if began { Err(Refusal::Truncated { path: String::new() }) } else { Ok(None) }
    }

    /// Base64 (RFC 4648) in a text, and content that is no text.
    fn base64(
        &mut self,
        text: &str,
        class: FieldClass,
        depth: u32,
        media: Beside<'_>,
    ) -> Result<Option<Outcome>, Refusal> {
        let mut whole = Outcome::default();
        let mut is_any = false;
        for (start, end) in tokens(text) {
            let token = text.get(start..end).unwrap_or_default();
            let Some((coding, bytes)) = decode(token) else { continue };
            let inner = String::from_utf8(bytes).map_err(|error| error.into_bytes().len());
            match inner {
                Ok(inner) if is_text(&inner) => {
                    let outcome = self.text(&inner, class, self.deeper(depth)?)?;
                    is_any |= !outcome.is_empty();
                    let spot = |spot: &Spot| Spot { start, end, ..*spot };
                    whole.spots.extend(outcome.spots.iter().map(spot));
                    if !outcome.edits.is_empty() {
                        let text = coding.encode(apply(&inner, &outcome.edits));
                        whole.edits.push(Edit { start, end, text });
                    }
                }
                other => {
                    let length = other.map_or_else(|length| length, |text| text.len());
                    if length >= MIN_BINARY && !self.is_let_through(text, start, media) {
                        whole.edits.push(self.binary(start, end)?);
                        is_any = true;
                    }
                }
            }
        }
        if !is_any {
            return Ok(None);
        }
        // What stands around the tokens is a text like any other.
        let hits = parts(self.engine, text, class);
        let covered =
            |start: usize, end: usize| whole.edits.iter().any(|edit| edit.start < end && start < edit.end);
        let hits: Vec<_> = hits.into_iter().filter(|hit| !covered(hit.start, hit.end)).collect();
        let around = self.act(text, &hits)?;
        whole.append(around);
        whole.edits.sort_by_key(|edit| edit.start);
        whole.spots.sort_by_key(|spot| spot.start);
        Ok(Some(whole))
    }

    /// Whether the media type of content is let through: that of a `data:` URL, or one that stands beside.
    fn is_let_through(&self, text: &str, start: usize, media: Beside<'_>) -> bool {
        let before = text.get(..start).unwrap_or_default();
        let url = before
            .rfind("data:")
            .and_then(|at| before.get(at + 5..))
            .and_then(|rest| rest.split([';', ',']).next());
        let kind = url.map(str::to_owned).or_else(media);
        kind.is_some_and(|kind| self.engine.lets_through(&kind))
    }

    fn binary(&self, start: usize, end: usize) -> Result<Edit, Refusal> {
        match self.engine.binary {
            BinaryAction::Refuse => Err(Refusal::Binary { path: String::new() }),
            BinaryAction::Drop => Ok(Edit { start, end, text: String::new() }),
        }
    }

    /// A text that reads otherwise than it is written.
    fn plain(
        &mut self,
        text: &str,
        plain: &Plain,
        class: FieldClass,
        depth: u32,
    ) -> Result<Outcome, Refusal> {
        // What was encoded may hold another form again.
        let outcome = self.text(plain.text(), class, self.deeper(depth)?)?;
        let mut whole = Outcome::default();
        for spot in outcome.spots {
            let (start, end) = plain.place(spot.start, spot.end, text.len());
            whole.spots.push(Spot { start, end, ..spot });
        }
        for edit in outcome.edits {
            let (start, end) = plain.place(edit.start, edit.end, text.len());
            let text = if plain.is_encoded() { percent_encoded(&edit.text) } else { edit.text };
            whole.edits.push(Edit { start, end, text });
        }
        Ok(whole)
    }
}

fn percent_encoded(text: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(text.len() * 2);
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'*') {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

fn is_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'_')
}

/// Whether a text has a stretch that is long enough to be Base64. Looks at every few bytes only.
fn has_long_token(text: &str) -> bool {
    let bytes = text.as_bytes();
    let mut at = MIN_BASE64 - 1;
    while at < bytes.len() {
        let back = bytes.get(at + 1 - MIN_BASE64..=at).unwrap_or_default();
        match back.iter().rposition(|byte| !is_base64(*byte)) {
            None => return true,
            Some(bad) => at += bad + 1,
        }
    }
    false
}

/// Where the stretches are that may be Base64.
fn tokens(text: &str) -> Vec<(usize, usize)> {
    let bytes = text.as_bytes();
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(from) = bytes.get(at..).and_then(|rest| rest.iter().position(|byte| is_base64(*byte))) {
        let start = at + from;
        let rest = bytes.get(start..).unwrap_or_default();
        let length = rest.iter().position(|byte| !is_base64(*byte)).unwrap_or(rest.len());
        let padding =
            rest.get(length..).unwrap_or_default().iter().take(2).take_while(|byte| **byte == b'=').count();
        at = start + length + padding;
        if length >= MIN_BASE64 {
            tokens.push((start, at));
        }
        if tokens.len() == MAX_TOKENS {
            break;
        }
    }
    tokens
}

/// The bytes that a token stands for, and how it is written.
fn decode(token: &str) -> Option<(GeneralPurpose, Vec<u8>)> {
    // Without padding and without a telling character it is as in tokens: safe in a URL.
    let is_url =
        token.contains(['-', '_']) || (!token.contains(['+', '/', '=']) && !token.len().is_multiple_of(4));
    let letters = if is_url { &alphabet::URL_SAFE } else { &alphabet::STANDARD };
    let config = GeneralPurposeConfig::new()
        .with_encode_padding(token.ends_with('=') || !is_url)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let coding = GeneralPurpose::new(letters, config);
    let bytes = coding.decode(token).ok()?;
    Some((coding, bytes))
}

fn is_text(text: &str) -> bool {
    !text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t'))
}
