//! What was found in one place and stands in another: a name in its field is a name in the notes.

use memchr::memmem::Finder;

use crate::engine::Engine;
use crate::hit::{Confidence, Hit, before, byte, is_word, settle};
use crate::items::{Form, Item, Verdict};
use crate::kind::Kind;

/// Most values that are looked for elsewhere, and fewest bytes of one.
const MAX_VALUES: usize = 64;
const MIN_BYTES: usize = 6;

/// Most bytes of texts that are looked through for each value.
const MAX_TEXT_BYTES: usize = 4 * 1024 * 1024;

/// Adds to `verdicts` where values of whole fields stand in texts again.
pub(super) fn find(engine: &Engine, items: &[Item<'_>], verdicts: &mut [Verdict]) {
    if engine.is_off("echo") {
        return;
    }
    let is_open = |(item, verdict): (&Item<'_>, &Verdict)| {
        item.form == Form::Text
            && matches!(verdict, Verdict::Parts(_) | Verdict::Open)
            && item.text.len() > MIN_BYTES
            && item.text.contains(' ')
    };
    if !items.iter().zip(verdicts.iter()).any(is_open) {
        return;
    }
    let values = values(items, verdicts);
    if values.is_empty() {
        return;
    }
    let finder = |(value, kind): (&'_ str, Kind)| (value.to_owned(), kind, Finder::new(value).into_owned());
    let values: Vec<(String, Kind, Finder<'static>)> = values.into_iter().map(finder).collect();
    let mut left = MAX_TEXT_BYTES;
    for (item, verdict) in items.iter().zip(verdicts.iter_mut()) {
        if !is_open((item, verdict)) {
            continue;
        }
        let Some(rest) = left.checked_sub(item.text.len()) else { return };
        left = rest;
        let mut found = Vec::new();
        for (value, kind, finder) in &values {
            // What is looked for is longer than most values that it could stand in.
            if item.text.len() > value.len() {
                places(&item.text, finder, (value.len(), *kind), &mut found);
            }
        }
        if !found.is_empty() {
            if let Verdict::Parts(hits) = verdict {
                found.append(hits);
            }
            settle(&mut found);
            *verdict = Verdict::Parts(found);
        }
    }
}

/// The values that say enough to be known again.
fn values<'i>(items: &'i [Item<'_>], verdicts: &[Verdict]) -> Vec<(&'i str, Kind)> {
    let mut values: Vec<(&str, Kind)> = Vec::new();
    for (item, verdict) in items.iter().zip(verdicts) {
        let Verdict::Whole(kind, _, action) = verdict else { continue };
        let text = item.text.trim();
        let is_telling = match kind {
            Kind::PersonName | Kind::Address => text.contains(' '),
            Kind::Age
            | Kind::Gender
            | Kind::Nationality
            | Kind::CardExpiry
            | Kind::CardSecurityCode
            | Kind::Gps
            | Kind::PostalCode
            | Kind::DateOfBirth => false,
            _ => text.bytes().any(|byte| byte.is_ascii_digit()) || text.contains('@'),
        };
        let is_new = !values.iter().any(|(known, _)| *known == text);
        let is_left = *action == Some(crate::Action::Allow);
        if is_telling && is_new && !is_left && (MIN_BYTES..=200).contains(&text.len()) {
            values.push((text, *kind));
        }
        if values.len() == MAX_VALUES {
            break;
        }
    }
    values
}

fn places(text: &str, finder: &Finder<'_>, (length, kind): (usize, Kind), found: &mut Vec<Hit>) {
    let bytes = text.as_bytes();
    for start in finder.find_iter(bytes) {
        let end = start + length;
        if !is_word(before(bytes, start)) && !is_word(byte(bytes, end)) {
            found.push(Hit { start, end, kind, detector: "echo", confidence: Confidence::Strong });
        }
    }
}
