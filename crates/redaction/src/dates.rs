//! Dates with the name of a month, in eight languages; the words around must say that somebody was born then.

use std::sync::LazyLock;

use regex::bytes::{Regex, RegexBuilder};

use crate::hit::{Confidence, Hit, before, byte, is_word};
use crate::kind::Kind;

/// The beginnings of the months: what follows one is the rest of its name.
const MONTHS: &str = "jan|feb|mar|m\\xc3\\xa4r|mrt|apr|avr|may|mai|maj|mei|mag|jun|juin|giu|cze|jul|juil|lug|lip|aug|ao\\xc3\\xbb|ago|sie|\
    sep|set|wrz|oct|okt|ott|out|pa\\xc5\\xba|nov|lis|dec|dez|d\\xc3\\xa9c|dic|gru|ene|gen|janv|f\\xc3\\xa9v|fev|abr|kwi|sty|lut";

static DATES: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let month = format!(r"(?:{MONTHS})[a-z\x80-\xff]{{0,9}}\.?");
    let pattern = format!(
        r"(?i-u)\d{{1,2}}(?:\.|st|nd|rd|th|er|\xc2\xba)?[ -](?:of |de )?{month},?[ -](?:de |del )?\d{{4}}|{month} \d{{1,2}}(?:st|nd|rd|th)?,? \d{{4}}"
    );
    RegexBuilder::new(&pattern).unicode(false).build().ok()
});

/// Adds the dates of `text`.
pub(crate) fn find(text: &[u8], hits: &mut Vec<Hit>) {
    let Some(pattern) = DATES.as_ref() else { return };
    for found in pattern.find_iter(text) {
        let (start, end) = (found.start(), found.end());
        if !is_word(before(text, start)) && !is_word(byte(text, end)) {
            let (kind, detector, confidence) = (Kind::DateOfBirth, "date.words", Confidence::Weak);
            hits.push(Hit { start, end, kind, detector, confidence });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_with_months_are_found_in_several_languages() {
        for text in [
            "14 April 1988",
            "April 14, 1988",
            "1. März 1970",
            "3 de mayo de 1990",
            "1er août 1985",
            "12 listopada 1977",
        ] {
            let mut hits = Vec::new();
            find(text.as_bytes(), &mut hits);
            assert_eq!(
                hits.iter().map(|hit| (hit.start, hit.end)).collect::<Vec<_>>(),
                [(0, text.len())],
                "{text}"
            );
        }
        let mut hits = Vec::new();
        find(b"3 tables 2000 and 5 boxes 1200", &mut hits);
        assert!(hits.is_empty());
    }
}
