//! Names in free text, where somebody can tell them: an interface.
//!
//! Nothing here guesses. What a text says of a person without a field, a word before it or a form of
//! its own is found by a model of language, which runs elsewhere and is asked through this.

use std::fmt;

use crate::engine::Engine;
use crate::hit::{Confidence, Hit, settle};
use crate::kind::Kind;

/// Fewest bytes of a text that is worth asking about.
const MIN_BYTES: usize = 12;

/// Something that knows entities in free text.
pub trait Recogniser: Send + Sync + fmt::Debug {
    /// What is in `text`: kind, where it begins and where it ends, in bytes.
    ///
    /// Parts that are not at characters of the text are passed over.
    fn recognise(&self, text: &str) -> Vec<(Kind, usize, usize)>;
}

pub(crate) fn add(recogniser: &dyn Recogniser, engine: &Engine, text: &str, hits: &mut Vec<Hit>) {
    if text.len() < MIN_BYTES || !text.contains(' ') {
        return;
    }
    for (kind, start, end) in recogniser.recognise(text) {
        let is_part = start < end && text.get(start..end).is_some();
        if is_part && engine.wanted.has(kind) {
            hits.push(Hit { start, end, kind, detector: "recogniser", confidence: Confidence::Weak });
        }
    }
    settle(hits);
}
