//! One pass over a text: what [`crate::items`] decided is acted on, and what is encoded in a string is
//! looked into.
//!
//! Places are bytes of the text at hand; what stands in a string that stands in a text is moved by
//! where the string begins. Only what has to change is written anew.

use std::borrow::Cow;
use std::collections::HashMap;

use crate::action::{Action, number_replacement, replacement};
use crate::document::{Document, Leaf};
use crate::engine::Engine;
use crate::field::FieldClass;
use crate::finding::{Finding, Refusal};
use crate::hit::Hit;
use crate::items::{Column, Form, Item, Verdict, decide, parts};
use crate::kind::Kind;
use crate::scope::Scope;
use crate::table;

mod encoded;

/// The members, with their quotes, that say of what type the content beside them is.
const MEDIA_TYPES: &[&str] =
    &["\"mimeType\"", "\"mediaType\"", "\"contentType\"", "\"mime_type\"", "\"content_type\""];

/// Most findings of one text.
pub(crate) const MAX_FINDINGS: usize = 100_000;

/// What is written in the place of a part of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Edit {
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) text: String,
}

/// What was found in a part of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Spot {
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) kind: Kind,
    pub(crate) action: Action,
    pub(crate) detector: &'static str,
}

/// What becomes of a text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) edits: Vec<Edit>,
    pub(crate) spots: Vec<Spot>,
}

impl Outcome {
    fn is_empty(&self) -> bool {
        self.edits.is_empty() && self.spots.is_empty()
    }

    /// This outcome for a text in which the one at hand begins at `by`.
    fn moved(mut self, by: usize) -> Self {
        for edit in &mut self.edits {
            edit.start += by;
            edit.end += by;
        }
        for spot in &mut self.spots {
            spot.start += by;
            spot.end += by;
        }
        self
    }

    fn append(&mut self, other: Self) {
        self.edits.extend(other.edits);
        self.spots.extend(other.spots);
    }
}

/// `text` with `edits` made in it, which are in its order and do not overlap.
pub(crate) fn apply(text: &str, edits: &[Edit]) -> String {
    let mut out = String::with_capacity(text.len() + edits.len() * 24);
    let mut at = 0;
    for edit in edits {
        out.push_str(text.get(at..edit.start).unwrap_or_default());
        out.push_str(&edit.text);
        at = edit.end;
    }
    out.push_str(text.get(at..).unwrap_or_default());
    out
}

/// Asks for the media type that stands beside a value.
type Beside<'a> = &'a dyn Fn() -> Option<String>;

/// What has to be known for a pass.
#[derive(Debug)]
pub(crate) struct Pass<'e> {
    pub(crate) engine: &'e Engine,
    pub(crate) scope: &'e Scope<'e>,
    found: usize,
}

impl<'e> Pass<'e> {
    pub(crate) fn new(engine: &'e Engine, scope: &'e Scope<'e>) -> Self {
        Self { engine, scope, found: 0 }
    }

    /// All of a JSON text: the edits, and the findings with their pointers.
    pub(crate) fn document(&mut self, text: &str) -> Result<(Vec<Edit>, Vec<Finding>), Refusal> {
        let mut edits = Vec::new();
        let mut findings = Vec::new();
        let (document, outcomes) = self.leaves(text, 0)?;
        let renamed = renamed(&document, &outcomes);
        for (at, outcome) in outcomes {
            let Some(leaf) = document.leaves.get(at) else { continue };
            let path = document.pointer(leaf, &renamed);
            findings.extend(outcome.spots.iter().map(|spot| Finding {
                path: path.clone(),
                class: spot.kind,
                action: spot.action,
                detector: spot.detector,
                start: spot.start,
                end: spot.end,
            }));
            edits.extend(rewritten(leaf, &outcome));
        }
        Ok((edits, findings))
    }

    /// A JSON text that stands in another text.
    fn inner_document(&mut self, text: &str, depth: u32) -> Result<Outcome, Refusal> {
        let mut whole = Outcome::default();
        let (document, outcomes) = self.leaves(text, depth)?;
        for (at, outcome) in outcomes {
            let Some(leaf) = document.leaves.get(at) else { continue };
            whole.edits.extend(rewritten(leaf, &outcome));
            let inner = leaf.at + usize::from(leaf.is_string());
            let end = leaf.at + leaf.token.len() - usize::from(leaf.is_string());
            // In a string with escapes the places of its text are not those of its spelling.
            let is_plain = !leaf.token.contains('\\');
            whole.spots.extend(outcome.spots.iter().map(|spot| {
                if is_plain {
                    Spot { start: inner + spot.start, end: inner + spot.end, ..*spot }
                } else {
                    Spot { start: inner, end, ..*spot }
                }
            }));
        }
        Ok(whole)
    }

    /// The values of a JSON text of which something was found.
    fn leaves<'t>(
        &mut self,
        text: &'t str,
        depth: u32,
    ) -> Result<(Document<'t>, Vec<(usize, Outcome)>), Refusal> {
        let mut document = Document::read(text, self.engine)?;
        document.name_positions(self.engine);
        let mut items = Vec::with_capacity(document.leaves.len());
        for leaf in &document.leaves {
            let form = match (leaf.is_name, leaf.is_string()) {
                (true, _) => Form::Name,
                (_, true) => Form::Text,
                _ => Form::Number,
            };
            let none = || Refusal::NotText { path: document.pointer(leaf, &HashMap::new()) };
            items.push(Item { text: leaf.text().ok_or_else(none)?, column: leaf.shape, form });
        }
        let column = |(at, shape): (usize, &crate::document::Shape<'_>)| Column {
            class: document.class_of(at),
            declared: shape.declared,
            in_list: shape.in_list,
        };
        let columns: Vec<Column> = document.shapes.iter().enumerate().map(column).collect();
        let verdicts = decide(self.engine, &items, &columns);
        let mut outcomes = Vec::new();
        for (at, (item, verdict)) in items.iter().zip(verdicts).enumerate() {
            if verdict == Verdict::Left {
                continue;
            }
            let class = columns.get(item.column).map(|column| column.class).unwrap_or_default();
            let media = || document.beside(at, MEDIA_TYPES).map(Cow::into_owned);
            let outcome = self.item(item, class, verdict, depth, &media);
            let pointer = |refusal: Refusal| match document.leaves.get(at) {
                Some(leaf) => refusal.at(|| document.pointer(leaf, &HashMap::new())),
                None => refusal,
            };
            let outcome = outcome.map_err(pointer)?;
            if !outcome.is_empty() {
                outcomes.push((at, outcome));
            }
        }
        Ok((document, outcomes))
    }

    fn item(
        &mut self,
        item: &Item<'_>,
        class: FieldClass,
        verdict: Verdict,
        depth: u32,
        media: Beside<'_>,
    ) -> Result<Outcome, Refusal> {
        let text = item.text.as_ref();
        match verdict {
            Verdict::Whole(kind, detector, action) => {
                let action = self.scope.action(kind, action.unwrap_or_else(|| self.engine.action(kind)));
                let written = match item.form {
                    Form::Number => number_replacement(action, kind, text, self.scope)?.map(Cow::into_owned),
                    _ => replacement(action, kind, text, self.scope)?,
                };
                self.one(Spot { start: 0, end: text.len(), kind, action, detector }, written)
            }
            Verdict::Left => Ok(Outcome::default()),
            Verdict::Parts(hits) if item.form != Form::Text => self.act(text, &hits),
            Verdict::Open if item.form != Form::Text => Ok(Outcome::default()),
            Verdict::Parts(hits) => match self.encoded(text, class, depth, media)? {
                Some(outcome) => Ok(outcome),
                None => self.act(text, &hits),
            },
            Verdict::Open => Ok(self.encoded(text, class, depth, media)?.unwrap_or_default()),
        }
    }

    fn one(&mut self, spot: Spot, written: Option<String>) -> Result<Outcome, Refusal> {
        self.count(1)?;
        let edits = written.map(|text| Edit { start: spot.start, end: spot.end, text });
        Ok(Outcome { edits: edits.into_iter().collect(), spots: vec![spot] })
    }

    fn count(&mut self, more: usize) -> Result<(), Refusal> {
        self.found += more;
        if self.found > MAX_FINDINGS { Err(Refusal::TooMany { max: MAX_FINDINGS }) } else { Ok(()) }
    }

    /// Does with the parts of a text what is to be done with their kinds.
    pub(crate) fn act(&mut self, text: &str, hits: &[Hit]) -> Result<Outcome, Refusal> {
        self.count(hits.len())?;
        let mut outcome = Outcome::default();
        for hit in hits {
            let Some(value) = text.get(hit.start..hit.end) else { continue };
            let action = self.scope.action(hit.kind, self.engine.action(hit.kind));
            let (start, end, kind, detector) = (hit.start, hit.end, hit.kind, hit.detector);
            outcome.spots.push(Spot { start, end, kind, action, detector });
            let written = replacement(action, kind, value, self.scope)?;
            outcome.edits.extend(written.map(|text| Edit { start, end, text }));
        }
        Ok(outcome)
    }

    /// A text of its own, or one that was encoded in another.
    pub(crate) fn text(&mut self, text: &str, class: FieldClass, depth: u32) -> Result<Outcome, Refusal> {
        match self.encoded(text, class, depth, &|| None)? {
            Some(outcome) => Ok(outcome),
            None => {
                let mut hits = parts(self.engine, text, class);
                if let Some(recogniser) = &self.engine.recogniser {
                    crate::ner::add(recogniser.as_ref(), self.engine, text, &mut hits);
                }
                self.act(text, &hits)
            }
        }
    }

    /// The cells of a table that stands in a text, if it is one.
    fn table(&mut self, text: &str, depth: u32) -> Result<Option<Outcome>, Refusal> {
        let Some(table) = table::read(text) else { return Ok(None) };
        let cell = |(start, end): &table::Cell| text.get(*start..*end).unwrap_or_default();
        let mut columns: Vec<Column> = Vec::with_capacity(table.names.len());
        for name in &table.names {
            let class = self.engine.lexicon.classify(cell(name));
            columns.push(Column { class, declared: None, in_list: true });
        }
        let is_personal =
            columns.iter().any(|c| matches!(c.class, FieldClass::Kind(kind, _) if !kind.is_secret()));
        for column in columns.iter_mut().filter(|column| is_personal && column.class == FieldClass::Name) {
            column.class = FieldClass::Kind(Kind::PersonName, "field.company");
        }
        let is_known = columns.iter().any(|column| column.class != FieldClass::Unknown);
        if !is_known && (table.rows.len() < 5 || columns.len() < 3) {
            return Ok(None);
        }
        let cells: Vec<(usize, &table::Cell)> =
            table.rows.iter().flat_map(|row| row.iter().enumerate()).collect();
        let items: Vec<Item<'_>> = cells
            .iter()
            .map(|(column, place)| Item {
                text: Cow::Borrowed(cell(place)),
                column: *column,
                form: Form::Text,
            })
            .collect();
        let verdicts = decide(self.engine, &items, &columns);
        let mut outcome = self.around(text, &table)?;
        for ((item, verdict), (column, place)) in items.iter().zip(verdicts).zip(&cells) {
            let class = columns.get(*column).map(|column| column.class).unwrap_or_default();
            let of_cell = self.item(item, class, verdict, depth + 1, &|| None)?;
            outcome.append(of_cell.moved(place.0));
        }
        outcome.edits.sort_by_key(|edit| edit.start);
        outcome.spots.sort_by_key(|spot| spot.start);
        Ok(Some(outcome))
    }

    /// What stands before and behind the rows of a table.
    fn around(&mut self, text: &str, table: &table::Table) -> Result<Outcome, Refusal> {
        let first = table.rows.first().and_then(|row| row.first()).map_or(0, |cell| cell.0);
        let last = table.rows.last().and_then(|row| row.last()).map_or(text.len(), |cell| cell.1);
        let mut outcome = Outcome::default();
        for (from, to) in [(0, first), (last, text.len())] {
            let piece = text.get(from..to).unwrap_or_default();
            let hits = parts(self.engine, piece, FieldClass::Unknown);
            outcome.append(self.act(piece, &hits)?.moved(from));
        }
        Ok(outcome)
    }
}

/// The value of a leaf as it is written after its edits, if there are any.
fn rewritten(leaf: &Leaf<'_>, outcome: &Outcome) -> Option<Edit> {
    if outcome.edits.is_empty() {
        return None;
    }
    let text = leaf.text()?;
    let changed = apply(&text, &outcome.edits);
    let (start, end) = (leaf.at, leaf.at + leaf.token.len());
    if !leaf.is_string() {
        return Some(Edit { start, end, text: changed });
    }
    let mut token = String::with_capacity(changed.len() + 2);
    quaymaster_core::json::write_string(&mut token, &changed);
    Some(Edit { start, end, text: token })
}

/// Names of members that are data, each with how it is released.
fn renamed<'t>(document: &Document<'t>, outcomes: &[(usize, Outcome)]) -> HashMap<&'t str, String> {
    let names = outcomes.iter().filter_map(|(at, outcome)| Some((document.leaves.get(*at)?, outcome)));
    let names = names.filter(|(leaf, outcome)| leaf.is_name && !outcome.edits.is_empty());
    names.filter_map(|(leaf, outcome)| Some((leaf.token, apply(&leaf.text()?, &outcome.edits)))).collect()
}

impl Refusal {
    /// This refusal with the place that it is about, unless it has one.
    fn at(self, place: impl FnOnce() -> String) -> Self {
        match self {
            Self::Truncated { path } if path.is_empty() => Self::Truncated { path: place() },
            Self::NotText { path } if path.is_empty() => Self::NotText { path: place() },
            Self::Binary { path } if path.is_empty() => Self::Binary { path: place() },
            Self::TooDeep { path, max } if path.is_empty() => Self::TooDeep { path: place(), max },
            other => other,
        }
    }
}
