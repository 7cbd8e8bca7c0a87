//! What a detector says of a part of a text, and how contradicting ones are settled.

use std::collections::BTreeMap;

use crate::kind::Kind;

/// How much a match says by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Confidence {
    /// Counts where the words around it, the field's name or its column say the same.
    Weak,
    /// Counts, but not in a field whose name says that it holds another kind of number.
    Medium,
    /// Counts anywhere.
    Strong,
}

/// A part of a text that a detector holds for something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hit {
    /// Where it begins, in bytes.
    pub(crate) start: usize,
    /// Where it ends, in bytes.
    pub(crate) end: usize,
    pub(crate) kind: Kind,
    pub(crate) detector: &'static str,
    pub(crate) confidence: Confidence,
}

/// Leaves of hits that overlap the surest, of equally sure ones the longest; in the order of the text.
pub(crate) fn settle(hits: &mut Vec<Hit>) {
    if hits.len() > 1 {
        hits.sort_by(|a, b| {
            let length = |hit: &Hit| hit.end - hit.start;
            (b.confidence, length(b), a.start).cmp(&(a.confidence, length(a), b.start))
        });
        let mut taken: BTreeMap<usize, usize> = BTreeMap::new();
        let mut kept: Vec<Hit> = Vec::with_capacity(hits.len());
        for hit in hits.drain(..) {
            // Of what was taken nothing overlaps, so what begins last before the end is what can meet it.
            let before = taken.range(..hit.end).next_back();
            if before.is_none_or(|(_, end)| *end <= hit.start) {
                taken.insert(hit.start, hit.end);
                kept.push(hit);
            }
        }
        kept.sort_by_key(|hit| hit.start);
        *hits = kept;
    }
}

/// The byte at `at`, or 0 beyond the ends.
pub(crate) fn byte(text: &[u8], at: usize) -> u8 {
    text.get(at).copied().unwrap_or(0)
}

/// The byte before `at`, or 0 at the beginning.
pub(crate) fn before(text: &[u8], at: usize) -> u8 {
    at.checked_sub(1).map_or(0, |at| byte(text, at))
}

/// The bytes of a part, nothing if there is no such part.
pub(crate) fn part(text: &[u8], start: usize, end: usize) -> &[u8] {
    text.get(start..end).unwrap_or_default()
}

/// Whether a byte belongs to a word.
pub(crate) fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// Whether no longer number or name begins before `at`.
pub(crate) fn is_clean_left(text: &[u8], at: usize) -> bool {
    let previous = before(text, at);
    if is_word(previous) || matches!(previous, b'#' | b'$' | b'%') {
        return false;
    }
    let glued = matches!(previous, b'-' | b'.' | b'/' | b',' | b':' | b'+' | b'\\');
    let further = at.checked_sub(2).map_or(0, |at| byte(text, at));
    match previous {
        b':' | b',' => !further.is_ascii_digit(),
        _ => !glued || !is_word(further),
    }
}

/// Whether no longer number or name ends after `at`.
pub(crate) fn is_clean_right(text: &[u8], at: usize) -> bool {
    let next = byte(text, at);
    if is_word(next) || matches!(next, b'%' | b'@') {
        return false;
    }
    match next {
        b'-' | b'.' | b'/' | b'\\' => !is_word(byte(text, at + 1)),
        b',' | b':' => !byte(text, at + 1).is_ascii_digit(),
        _ => true,
    }
}

/// What `find` is sure enough of in `text`, each with its detector.
#[cfg(test)]
pub(crate) fn found_by(find: fn(&[u8], &mut Vec<Hit>), text: &str) -> Vec<(&str, &'static str)> {
    let mut hits = Vec::new();
    find(text.as_bytes(), &mut hits);
    hits.retain(|hit| hit.confidence > Confidence::Weak);
    settle(&mut hits);
    hits.iter().map(|hit| (&text[hit.start..hit.end], hit.detector)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hit(start: usize, end: usize, confidence: Confidence) -> Hit {
        Hit { start, end, kind: Kind::Phone, detector: "phone", confidence }
    }

    #[test]
    fn the_surest_stays_and_of_equals_the_longest() {
        let mut hits = vec![
            hit(0, 9, Confidence::Medium),
            hit(2, 4, Confidence::Strong),
            hit(10, 12, Confidence::Weak),
            hit(10, 14, Confidence::Weak),
        ];
        settle(&mut hits);
        let places: Vec<_> = hits.iter().map(|hit| (hit.start, hit.end)).collect();
        assert_eq!(places, [(2, 4), (10, 14)]);
    }

    #[test]
    fn a_number_inside_a_longer_name_is_not_clean() {
        let text = b"ORD-2024-11";
        assert!(!is_clean_left(text, 4) && is_clean_right(text, 11) && !is_clean_right(text, 8));
        assert!(is_clean_left(b"tel:555", 4) && is_clean_left(b" -555", 2) && !is_clean_left(b"#555", 1));
    }
}
