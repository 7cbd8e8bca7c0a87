//! Values that belong together, such as those of one JSON text or the cells of one table: what each
//! is by its declaration, its field, its content, its column, and what is said of it elsewhere.
//!
//! The order of the layers is the order of this file. What was found is acted on in [`crate::pass`].

use std::borrow::Cow;
use std::collections::HashMap;

use crate::action::Action;
use crate::engine::Engine;
use crate::field::{FieldClass, is_full_name, is_plausible};
use crate::hit::{Confidence, Hit, settle};
use crate::kind::Kind;
use crate::scan::{Hint, find_all, judge};

mod echo;

/// Longest value of a column that may be of one kind, in bytes.
const MAX_COLUMN_VALUE: usize = 256;

/// Fewest values, and how many of 100, where each match by itself says little.
const MIN_WEAK_VALUES: usize = 8;
const MIN_WEAK_PERCENT: usize = 90;

/// What kind of value an item is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Text,
    Number,
    /// The name of a member.
    Name,
}

/// A value.
#[derive(Clone, Debug)]
pub(crate) struct Item<'t> {
    pub(crate) text: Cow<'t, str>,
    pub(crate) column: usize,
    pub(crate) form: Form,
}

/// What values of one column have in common.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Column {
    pub(crate) class: FieldClass,
    /// The rule that declares it.
    pub(crate) declared: Option<usize>,
    /// Whether there may be many values of it.
    pub(crate) in_list: bool,
}

/// What a value was found to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// All of it is of a kind.
    Whole(Kind, &'static str, Option<Action>),
    /// Parts of it are.
    Parts(Vec<Hit>),
    /// Nothing was found; it may hold more in another form.
    Open,
    /// It is not looked at.
    Left,
}

/// Decides on each item.
pub(crate) fn decide(engine: &Engine, items: &[Item<'_>], columns: &[Column]) -> Vec<Verdict> {
    let mut verdicts: Vec<Verdict> = Vec::with_capacity(items.len());
    let mut hits: Vec<Hit> = Vec::new();
    for item in items {
        let column = columns.get(item.column).copied().unwrap_or_default();
        hits.clear();
        let verdict = first_look(engine, item, column, &mut hits);
        verdicts.push(match verdict {
            Verdict::Open if !hits.is_empty() => Verdict::Parts(std::mem::take(&mut hits)),
            verdict => verdict,
        });
    }
    by_columns(engine, items, columns, &mut verdicts);
    for (item, verdict) in items.iter().zip(&mut verdicts) {
        if let Verdict::Parts(hits) = verdict {
            let class = columns.get(item.column).map(|column| column.class).unwrap_or_default();
            let is_unsure = item.form != Form::Text;
            hits.retain(|hit| !is_unsure || hit.confidence == Confidence::Strong);
            judge(&item.text, Hint::of(class), engine.wanted, hits);
            hits.retain(|hit| !engine.is_off(hit.detector));
            if hits.is_empty() {
                *verdict = if item.form == Form::Number { Verdict::Left } else { Verdict::Open };
            }
        }
    }
    echo::find(engine, items, &mut verdicts);
    verdicts
}

/// What a value is by its declaration, its field, or its content.
fn first_look(engine: &Engine, item: &Item<'_>, column: Column, hits: &mut Vec<Hit>) -> Verdict {
    let text = item.text.as_ref();
    if item.form == Form::Name {
        find_all(text, &engine.lexicon, hits);
        return Verdict::Open;
    }
    if let Some(field) = column.declared.and_then(|at| engine.fields.get(at)) {
        return match (field.action, field.kind) {
            _ if text.is_empty() => Verdict::Left,
            (_, None) => Verdict::Left,
            (action, Some(kind)) => Verdict::Whole(kind, "declared", action),
        };
    }
    let class = match column.class {
        FieldClass::Role if is_full_name(text) => FieldClass::Kind(Kind::PersonName, "field.role"),
        class => class,
    };
    if let FieldClass::Kind(kind, detector) = class
        && engine.wanted.has(kind)
        && !engine.is_off(detector)
        && is_plausible(kind, text)
    {
        let (kind, detector) = better(engine, kind, text, hits).unwrap_or((kind, detector));
        return Verdict::Whole(kind, detector, None);
    }
    if item.form == Form::Text || (column.in_list && text.len() >= 9) {
        find_all(text, &engine.lexicon, hits);
    }
    if item.form == Form::Text {
        Verdict::Open
    } else if hits.is_empty() {
        Verdict::Left
    } else {
        Verdict::Open
    }
}

/// What all of a value is by its content, where that says more than the name of its field.
fn better(engine: &Engine, kind: Kind, text: &str, hits: &mut Vec<Hit>) -> Option<(Kind, &'static str)> {
    let is_broad = matches!(
        kind,
        Kind::Username
            | Kind::NationalId
            | Kind::TaxId
            | Kind::BankAccount
            | Kind::SecretGeneric
            | Kind::Passport
    );
    if !is_broad {
        return None;
    }
    find_all(text, &engine.lexicon, hits);
    let is_better = |hit: &&Hit| {
        hit.start == 0
            && hit.end == text.len()
            && engine.wanted.has(hit.kind)
            && hit.confidence == Confidence::Strong
    };
    let found =
        hits.iter().filter(is_better).max_by_key(|hit| hit.confidence).map(|hit| (hit.kind, hit.detector));
    hits.clear();
    found
}

/// How often the values of a column are of a kind.
#[derive(Debug, Default)]
struct Counts {
    values: usize,
    sure: HashMap<(Kind, &'static str), usize>,
    weak: HashMap<(Kind, &'static str), usize>,
}

/// Detectors that take almost any number of some length: many of them prove nothing.
const UNCHECKED: &[&str] = &[
    "bank.number",
    "passport",
    "driving_licence",
    "phone.number",
    "date",
    "date.words",
    "imei",
    "tax_id.us_ein",
    "bic",
];

/// Makes whole columns of what most of their values are.
fn by_columns(engine: &Engine, items: &[Item<'_>], columns: &[Column], verdicts: &mut [Verdict]) {
    let counts = count(items, columns, verdicts);
    let mut kinds: HashMap<usize, Kind> = HashMap::new();
    for (column, counts) in counts {
        let is_thing = columns.get(column).is_some_and(|column| column.class == FieldClass::Thing);
        let least = counts.values * engine.columns.1;
        let sure = counts
            .sure
            .iter()
            .filter(|(_, count)| **count * 100 >= least && counts.values >= engine.columns.0);
        let weak = counts.weak.iter().filter(|(_, count)| {
            !is_thing && counts.values >= MIN_WEAK_VALUES && **count * 100 >= counts.values * MIN_WEAK_PERCENT
        });
        // The order of a map is by chance; that of names is not.
        let best = sure.max_by_key(|((kind, by), count)| (**count, *kind, *by));
        let best = best.or_else(|| weak.max_by_key(|((kind, by), count)| (**count, *kind, *by)));
        if let Some(((kind, _), _)) = best.filter(|((kind, _), _)| engine.wanted.has(*kind)) {
            kinds.insert(column, *kind);
        }
    }
    if kinds.is_empty() {
        return;
    }
    for (item, verdict) in items.iter().zip(verdicts) {
        let is_open =
            item.form != Form::Name && matches!(verdict, Verdict::Parts(_) | Verdict::Open | Verdict::Left);
        let declared = columns.get(item.column).is_some_and(|column| column.declared.is_some());
        let kind = kinds.get(&item.column).filter(|_| is_open && !declared);
        if let Some(kind) = kind.filter(|kind| is_plausible(**kind, &item.text)) {
            *verdict = Verdict::Whole(*kind, "column", None);
        }
    }
}

fn count(items: &[Item<'_>], columns: &[Column], verdicts: &[Verdict]) -> HashMap<usize, Counts> {
    let mut counts: HashMap<usize, Counts> = HashMap::new();
    for (item, verdict) in items.iter().zip(verdicts) {
        let column = columns.get(item.column).copied().unwrap_or_default();
        let is_counted = column.in_list && item.form != Form::Name && !item.text.trim().is_empty();
        if !is_counted || column.declared.is_some() || matches!(column.class, FieldClass::Kind(..)) {
            continue;
        }
        // Only columns of which something was found are worth a row of the map.
        let Verdict::Parts(hits) = verdict else {
            if let Some(counts) = counts.get_mut(&item.column) {
                counts.values += 1;
            }
            continue;
        };
        let counts = counts.entry(item.column).or_default();
        counts.values += 1;
        let trimmed = item.text.trim();
        let covers = |hit: &&Hit| hit.end - hit.start >= trimmed.len() && item.text.len() <= MAX_COLUMN_VALUE;
        let mut seen: Vec<(Kind, &str)> = Vec::new();
        for hit in hits.iter().filter(covers).filter(|hit| !UNCHECKED.contains(&hit.detector)) {
            if seen.contains(&(hit.kind, hit.detector)) {
                continue;
            }
            seen.push((hit.kind, hit.detector));
            let is_thing = column.class == FieldClass::Thing && hit.confidence != Confidence::Strong;
            if hit.confidence > Confidence::Weak && !is_thing {
                *counts.sure.entry((hit.kind, group(hit))).or_default() += 1;
            } else {
                *counts.weak.entry((hit.kind, hit.detector)).or_default() += 1;
            }
        }
    }
    counts
}

/// Surer matches of one kind count together, by whatever detector.
fn group(hit: &Hit) -> &'static str {
    if hit.kind == Kind::NationalId { hit.detector } else { "" }
}

/// The parts of a text by itself, without a field.
pub(crate) fn parts(engine: &Engine, text: &str, class: FieldClass) -> Vec<Hit> {
    let mut hits = Vec::new();
    find_all(text, &engine.lexicon, &mut hits);
    judge(text, Hint::of(class), engine.wanted, &mut hits);
    hits.retain(|hit| !engine.is_off(hit.detector));
    settle(&mut hits);
    hits
}
