//! Secrets in a text: tokens whose form their provider publishes, keys, and what stands behind a
//! word such as `password` or `api_key` and looks drawn at random.
//!
//! One automaton goes over the text for all beginnings and words at once; only where one stands is
//! looked closer. The forms are in [`forms`], what stands behind words is in [`named`].

use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use regex::bytes::{Regex, RegexBuilder};

use crate::checksum::entropy;
use crate::hit::{Confidence, Hit, before, byte, part};
use crate::kind::Kind;

mod forms;
mod named;

use forms::{Alphabet, FORMS, Form, PATTERNS, Pattern};

/// Shortest text in which a secret is looked for, in bytes.
pub(crate) const MIN_BYTES: usize = 12;

/// Bytes that are looked at from the telling part of a pattern on: of one that begins with it, and of
/// one that has it in its middle.
const MAX_PATTERN_BYTES: usize = 16 * 1024;
const MAX_MIDDLE_BYTES: usize = 400;

/// What an entry of the automaton stands for.
#[derive(Clone, Copy, Debug)]
enum Entry {
    Form(usize),
    Pattern(usize),
    Word(named::Word),
}

struct Forms {
    automaton: AhoCorasick,
    entries: Vec<Entry>,
    patterns: Vec<Option<Regex>>,
}

static KNOWN: LazyLock<Option<Forms>> = LazyLock::new(|| {
    let forms = FORMS.iter().enumerate().map(|(at, form)| (Entry::Form(at), form.prefix));
    let patterns = PATTERNS.iter().enumerate().map(|(at, pattern)| (Entry::Pattern(at), pattern.anchor));
    let words = named::words().map(|(word, text)| (Entry::Word(word), text));
    let (entries, texts): (Vec<_>, Vec<_>) = forms.chain(patterns).chain(words).unzip();
    let automaton = AhoCorasick::builder()
        .kind(Some(AhoCorasickKind::DFA))
        .match_kind(MatchKind::Standard)
        .ascii_case_insensitive(true)
        .build(texts)
        .ok()?;
    let compile = |pattern: &Pattern| {
        let anchor = if pattern.lead == 0 { r"\A" } else { "" };
        let regex = format!("{anchor}(?:{})", pattern.regex);
        RegexBuilder::new(&regex).unicode(false).build().ok()
    };
    Some(Forms { automaton, entries, patterns: PATTERNS.iter().map(compile).collect() })
});

/// Adds the secrets of `text`.
pub(crate) fn find(text: &[u8], hits: &mut Vec<Hit>) {
    let Some(known) = KNOWN.as_ref() else { return };
    let mut named_until = 0;
    for found in known.automaton.find_overlapping_iter(text) {
        match known.entries.get(found.pattern().as_usize()) {
            Some(Entry::Form(at)) => {
                hits.extend(FORMS.get(*at).and_then(|form| of_form(text, found.start(), form)));
            }
            Some(Entry::Pattern(at)) => {
                let pattern = PATTERNS.get(*at).zip(known.patterns.get(*at).and_then(Option::as_ref));
                hits.extend(
                    pattern.and_then(|(pattern, regex)| of_pattern(text, found.start(), pattern, regex)),
                );
            }
            // A word within what was found behind another is part of a secret.
            Some(Entry::Word(word)) if found.start() >= named_until => {
                if let Some(hit) = named::behind(text, found.start(), found.end(), *word) {
                    named_until = hit.end;
                    hits.push(hit);
                }
            }
            _ => {}
        }
    }
}

/// A token that begins at `start` with the letters of its form.
fn of_form(text: &[u8], start: usize, form: &Form) -> Option<Hit> {
    let prefix = form.prefix.as_bytes();
    if part(text, start, start + prefix.len()) != prefix || before(text, start).is_ascii_alphanumeric() {
        return None;
    }
    let from = start + prefix.len();
    let rest = text.get(from..)?;
    let length = rest.iter().take(form.most + 1).take_while(|byte| form.alphabet.has(**byte)).count();
    // A full stop or a hyphen at the end belongs to the sentence.
    let trailing = rest.get(..length)?.iter().rev().take_while(|byte| matches!(byte, b'.' | b'-')).count();
    let length = length - if form.alphabet == Alphabet::Dotted { trailing } else { 0 };
    let body = rest.get(..length)?;
    let is_long_enough = (form.least..=form.most).contains(&length);
    let is_random = entropy(body) >= form.alphabet.least_entropy(length);
    is_long_enough.then_some(())?;
    let (kind, detector, end) = (form.kind, form.detector, from + length);
    is_random.then_some(Hit { start, end, kind, detector, confidence: Confidence::Strong })
}

/// A secret of which `start` is a telling part.
fn of_pattern(text: &[u8], start: usize, pattern: &Pattern, regex: &Regex) -> Option<Hit> {
    // A token that is in the middle of a word is none; looking at all of it each time would take long.
    if pattern.lead == 0 && before(text, start).is_ascii_alphanumeric() {
        return None;
    }
    let from = start.saturating_sub(pattern.lead);
    let ahead = if pattern.lead == 0 { MAX_PATTERN_BYTES } else { MAX_MIDDLE_BYTES };
    let window = part(text, from, text.len().min(start + ahead));
    let captures = regex.captures_iter(window).find(|captures| {
        captures.get(0).is_some_and(|whole| (whole.start()..whole.end()).contains(&(start - from)))
    })?;
    let found = captures.get(1).or_else(|| captures.get(0))?;
    let body = found.as_bytes();
    let is_random = pattern.kind == Kind::SecretPrivateKey || entropy(body) >= 2.8;
    let (start, end) = (from + found.start(), from + found.end());
    let is_alone = pattern.kind == Kind::SecretPrivateKey
        || !(before(text, start).is_ascii_alphanumeric() || byte(text, end).is_ascii_alphanumeric());
    let (kind, detector, confidence) = (pattern.kind, pattern.detector, Confidence::Strong);
    (is_random && is_alone).then_some(Hit { start, end, kind, detector, confidence })
}

pub(crate) use named::is_random;

/// The names of the detectors of forms and patterns.
pub(crate) fn detectors() -> impl Iterator<Item = &'static str> {
    FORMS.iter().map(|form| form.detector).chain(PATTERNS.iter().map(|pattern| pattern.detector))
}

#[cfg(test)]
mod tests;
