//! A text as a row of words, so that spelling it another way changes nothing: compatibility forms
//! are composed, accents and case are dropped, letters of other scripts that look Latin are Latin,
//! and what is not drawn is not there.

use quaymaster_core::text::misleads;
use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;

/// Most words of one text that are looked at.
const MAX_WORDS: usize = 20_000;

/// Stands for an address: of mail, or a URL.
pub(super) const ADDRESS: &str = "@address";
/// Stands between sentences.
pub(super) const STOP: &str = ".";

/// The words of `text`, with [`STOP`] between sentences and [`ADDRESS`] for each address.
pub(super) fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    for piece in text.split_whitespace() {
        if words.len() >= MAX_WORDS {
            break;
        }
        if is_address(piece) {
            words.push(ADDRESS.to_owned());
            continue;
        }
        let mut word = String::new();
        for c in fold(piece).chars() {
            match c {
                c if c.is_alphanumeric() || c == '_' => word.push(c),
                // One word, as in `don't`.
                '\'' | '\u{2019}' => {}
                c => {
                    if !word.is_empty() {
                        words.push(std::mem::take(&mut word));
                    }
                    if matches!(c, '.' | '!' | '?' | ';') && words.last().is_some_and(|last| last != STOP) {
                        words.push(STOP.to_owned());
                    }
                }
            }
        }
        if !word.is_empty() {
            words.push(word);
        }
    }
    words
}

/// Whether a piece of text is an address that something can be sent to.
pub(super) fn is_address(piece: &str) -> bool {
    let piece = piece.trim_matches(|c: char| !c.is_alphanumeric());
    if piece.contains("://") {
        return true;
    }
    piece.split_once('@').is_some_and(|(who, host)| !who.is_empty() && host.contains('.'))
}

/// `text` with letters that look alike as one.
pub(super) fn fold(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    let composed = text.nfkd().filter(|c| !is_combining_mark(*c) && !misleads(*c) && !is_selector(*c));
    composed.flat_map(char::to_lowercase).map(latin).collect()
}

fn is_selector(c: char) -> bool {
    matches!(c, '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}')
}

/// The Latin letter that `c` is taken for (after Unicode Technical Standard 39, confusables: the small
/// letters of Cyrillic, Greek and Armenian, and letters with a stroke).
pub(super) fn latin(c: char) -> char {
    const ALIKE: [(&str, char); 24] = [
        ("\u{430}\u{3b1}\u{251}", 'a'),
        ("\u{432}\u{3b2}\u{432}", 'b'),
        ("\u{441}\u{3f2}\u{1d04}", 'c'),
        ("\u{501}\u{111}", 'd'),
        ("\u{435}\u{454}\u{3b5}", 'e'),
        ("\u{192}", 'f'),
        ("\u{261}\u{581}", 'g'),
        ("\u{4bb}\u{570}\u{43d}", 'h'),
        ("\u{456}\u{3b9}\u{131}\u{457}", 'i'),
        ("\u{458}", 'j'),
        ("\u{43a}\u{3ba}", 'k'),
        ("\u{4cf}\u{2113}\u{142}", 'l'),
        ("\u{43c}", 'm'),
        ("\u{578}\u{3b7}\u{43f}", 'n'),
        ("\u{43e}\u{3bf}\u{585}\u{f8}", 'o'),
        ("\u{440}\u{3c1}", 'p'),
        ("\u{51b}", 'q'),
        ("\u{433}", 'r'),
        ("\u{455}", 's'),
        ("\u{442}\u{3c4}", 't'),
        ("\u{57d}\u{3c5}", 'u'),
        ("\u{475}\u{3bd}", 'v'),
        ("\u{51d}\u{461}\u{3c9}", 'w'),
        ("\u{445}\u{3c7}", 'x'),
    ];
    if c.is_ascii() {
        return c;
    }
    let alike = ALIKE.iter().find(|(letters, _)| letters.contains(c)).map(|(_, latin)| *latin);
    alike.unwrap_or(if matches!(c, '\u{443}' | '\u{3b3}') { 'y' } else { c })
}
