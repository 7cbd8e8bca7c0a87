//! A text as it reads: percent-encoding (RFC 3986) undone, and characters that look alike made one.
//!
//! Digits with another width, spaces that do not break and hyphens of all kinds are written by people and
//! by those who want to be passed over. Every byte of the plain text knows where it came from.

/// A text as it reads, and where each byte of it stands in the text as it is written.
#[derive(Debug)]
pub(crate) struct Plain {
    text: String,
    places: Vec<usize>,
    encoded: bool,
}

impl Plain {
    /// `text` as it reads, unless that is as it is written.
    pub(crate) fn of(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        let is_percent = |at: usize| {
            bytes.get(at + 1..at + 3).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
        };
        let encoded = memchr::memchr_iter(b'%', bytes).any(is_percent);
        let unusual = !text.is_ascii() && text.chars().any(|c| usual(c) != Some(c));
        if !encoded && !unusual {
            return None;
        }
        let mut plain = Self { text: String::new(), places: Vec::with_capacity(text.len() + 1), encoded };
        let decoded = if encoded { decode(text) } else { None };
        match decoded {
            Some((decoded, places)) => {
                plain.fold(&decoded, |at| places.get(at).copied().unwrap_or(text.len()));
            }
            None if unusual => {
                plain.encoded = false;
                plain.fold(text, |at| at);
            }
            None => return None,
        }
        plain.places.push(text.len());
        Some(plain)
    }

    fn fold(&mut self, text: &str, place: impl Fn(usize) -> usize) {
        for (at, c) in text.char_indices() {
            if let Some(c) = usual(c) {
                self.text.push(c);
                self.places.extend(std::iter::repeat_n(place(at), c.len_utf8()));
            }
        }
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Whether what stands in it has to be written with percent signs.
    pub(crate) fn is_encoded(&self) -> bool {
        self.encoded
    }

    /// Where a part of the plain text stands in the text as it is written, which has `length` bytes.
    pub(crate) fn place(&self, start: usize, end: usize, length: usize) -> (usize, usize) {
        let at = |at: usize| self.places.get(at).copied().unwrap_or(length);
        (at(start), at(end))
    }
}

/// The character that `c` reads as; nothing for one that cannot be seen.
fn usual(c: char) -> Option<char> {
    Some(match c {
        '\u{a0}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}' => ' ',
        '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{fe58}' | '\u{fe63}' => '-',
        '\u{ad}'
        | '\u{200b}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{2064}'
        | '\u{feff}' => {
            return None;
        }
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xfee0)?,
        '\u{660}'..='\u{669}' => char::from_u32(u32::from(c) - 0x660 + 0x30)?,
        '\u{6f0}'..='\u{6f9}' => char::from_u32(u32::from(c) - 0x6f0 + 0x30)?,
        '\u{966}'..='\u{96f}' => char::from_u32(u32::from(c) - 0x966 + 0x30)?,
        other => other,
    })
}

/// `text` without percent-encoding and where each byte came from, if what comes out is text.
fn decode(text: &str) -> Option<(String, Vec<usize>)> {
    let bytes = text.as_bytes();
    let digit = |at: usize| bytes.get(at).and_then(|byte| char::from(*byte).to_digit(16));
    let mut out = Vec::with_capacity(bytes.len());
    let mut places = Vec::with_capacity(bytes.len() + 1);
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        places.push(at);
        match (*byte == b'%').then(|| digit(at + 1).zip(digit(at + 2))).flatten() {
            Some((high, low)) => {
                out.push(u8::try_from(high * 16 + low).ok()?);
                at += 3;
            }
            None => {
                out.push(*byte);
                at += 1;
            }
        }
    }
    places.push(bytes.len());
    Some((String::from_utf8(out).ok()?, places))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_reads_otherwise_is_made_plain_and_knows_its_place() {
        let text = "x=a%40b.c&y";
        let plain = Plain::of(text).expect("encoded");
        assert_eq!((plain.text(), plain.is_encoded()), ("x=a@b.c&y", true));
        assert_eq!(plain.place(2, 7, text.len()), (2, 9));
        let text = "06\u{a0}12\u{2011}34\u{200b}５６";
        let plain = Plain::of(text).expect("unusual");
        assert_eq!((plain.text(), plain.is_encoded()), ("06 12-3456", false));
        assert_eq!(plain.place(0, 10, text.len()), (0, text.len()));
        assert!(Plain::of("plain, 100% sure, größer").is_none());
        assert!(Plain::of("100%ffx").is_none());
    }
}
