//! All detectors over one text, and which of their answers count.

use crate::context::{Label, is_phone_after, label_before};
use crate::field::{FieldClass, Lexicon};
use crate::hit::{Confidence, Hit, settle};
use crate::kind::{Kind, KindSet};
use crate::{dates, internet, labels, numeric, secrets, street, words};

/// What is known of a text before it is looked at.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Hint {
    /// The kind that its field names, where its value was not taken as a whole.
    pub(crate) kind: Option<Kind>,
    /// Whether its field holds numbers of things.
    pub(crate) thing: bool,
}

impl Hint {
    pub(crate) fn of(class: FieldClass) -> Self {
        match class {
            FieldClass::Kind(kind, _) => Self { kind: Some(kind), thing: false },
            FieldClass::Thing => Self { kind: None, thing: true },
            _ => Self::default(),
        }
    }
}

/// What is in a text, seen at a glance.
#[derive(Clone, Copy, Debug, Default)]
struct Glance {
    digits: usize,
    letters: usize,
    signs: [u16; 8],
}

const AT: usize = 1;
const COLON: usize = 2;
const DOT: usize = 3;
const HYPHEN: usize = 4;
const SPACE: usize = 5;
const EQUALS: usize = 6;

/// The class of each byte: 0 nothing, 1–6 signs, 8 digits, 9 letters.
#[expect(clippy::indexing_slicing, reason = "evaluated by the compiler, which refuses what is out of bounds")]
const CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let mut letter = 0;
    while letter < 26 {
        classes[b'a' as usize + letter] = 9;
        classes[b'A' as usize + letter] = 9;
        letter += 1;
    }
    let mut digit = 0;
    while digit < 10 {
        classes[b'0' as usize + digit] = 8;
        digit += 1;
    }
    classes[b'@' as usize] = 1;
    classes[b':' as usize] = 2;
    classes[b'.' as usize] = 3;
    classes[b'-' as usize] = 4;
    classes[b' ' as usize] = 5;
    classes[b'=' as usize] = 6;
    classes
};

impl Glance {
    fn at(text: &[u8]) -> Self {
        let mut counts = [0_u32; 16];
        for byte in text {
            let class = CLASSES.get(usize::from(*byte)).copied().unwrap_or(0);
            if let Some(count) = counts.get_mut(usize::from(class & 15)) {
                *count += 1;
            }
        }
        let count = |class: usize| counts.get(class).copied().unwrap_or(0);
        let mut signs = [0; 8];
        for (class, sign) in signs.iter_mut().enumerate() {
            *sign = u16::try_from(count(class)).unwrap_or(u16::MAX);
        }
        Self { digits: count(8) as usize, letters: count(9) as usize, signs }
    }

    fn has(&self, sign: usize, least: u16) -> bool {
        self.signs.get(sign).is_some_and(|count| *count >= least)
    }
}

/// Finds everything in `text`, the unsure too.
pub(crate) fn find_all(text: &str, lexicon: &Lexicon, hits: &mut Vec<Hit>) {
    let bytes = text.as_bytes();
    let glance = Glance::at(bytes);
    if glance.has(AT, 1) {
        internet::emails(text, hits);
    }
    if glance.has(COLON, 1) && memchr::memmem::find(bytes, b"://").is_some() {
        internet::url_users(bytes, hits);
    }
    if glance.has(COLON, 2) {
        internet::colons(bytes, hits);
    }
    if glance.has(HYPHEN, 5) && glance.letters > 0 {
        internet::hyphens(bytes, hits);
    }
    if glance.digits >= 4 {
        numeric::find(bytes, hits);
    }
    if glance.digits >= 8 && glance.has(DOT, 2) {
        internet::coordinates(bytes, hits);
    }
    if glance.digits >= 3 && glance.letters >= 3 {
        dates::find(bytes, hits);
    }
    if (glance.digits >= 2 && glance.letters > 0)
        || (glance.letters >= 8 && glance.digits == 0 && bytes.len() <= 64)
    {
        words::find(bytes, hits);
    }
    if glance.digits > 0 && glance.letters >= 4 && glance.has(SPACE, 1) {
        street::find(bytes, hits);
    }
    let may_be_secret = glance.digits >= 2 || glance.has(COLON, 1) || glance.has(EQUALS, 1);
    if bytes.len() >= secrets::MIN_BYTES && may_be_secret {
        secrets::find(bytes, hits);
    }
    if glance.has(COLON, 1) || glance.has(EQUALS, 1) {
        labels::find(text, lexicon, hits);
    }
}

/// Leaves of `hits` those that count in `text`.
pub(crate) fn judge(text: &str, hint: Hint, wanted: KindSet, hits: &mut Vec<Hit>) {
    let bytes = text.as_bytes();
    let marks = if hits.is_empty() { Vec::new() } else { crate::scope::marks(text) };
    hits.retain_mut(|hit| {
        // Marks are in the order of the text: of those that end behind the beginning the first is the nearest.
        let nearest = marks.partition_point(|(_, end)| *end <= hit.start);
        let is_marked = marks.get(nearest).is_some_and(|(start, _)| *start < hit.end);
        wanted.has(hit.kind)
            && !is_marked
            && match hit.confidence {
                Confidence::Strong => true,
                Confidence::Medium if hint.kind == Some(hit.kind) => true,
                Confidence::Medium => {
                    !hint.thing && !matches!(label_before(bytes, hit.start), Some(label) if contradicts(label, hit.kind))
                }
                Confidence::Weak => {
                    let said = label_before(bytes, hit.start).or(hint.kind.map(Label::Kind));
                    let is_said = said == Some(Label::Kind(hit.kind))
                        || (hit.kind == Kind::Phone && is_phone_after(bytes, hit.end));
                    // What the words around say is as sure as a form that is known.
                    hit.confidence = if is_said { Confidence::Medium } else { Confidence::Weak };
                    is_said
                }
            }
    });
    settle(hits);
}

/// Whether the word before a number says that it is something else.
fn contradicts(label: Label, kind: Kind) -> bool {
    let is_number = matches!(
        kind,
        Kind::Phone
            | Kind::CreditCard
            | Kind::Ssn
            | Kind::NationalId
            | Kind::TaxId
            | Kind::VehicleId
            | Kind::Ip
    );
    label == Label::Thing && is_number
}
