//! Two JSON Schemas (2020-12) of one place: which instances are valid that were not, and the
//! other way round.
//!
//! Schemas are compared keyword by keyword, and below the keywords that hold
//! schemas again. Whatever lets less through is [`Change::Tighter`], whatever
//! lets more through [`Change::Looser`]; what that means depends on the side.
//! What cannot be told is [`Change::Unclear`]. Arguments of a tool are compared
//! as the gateway takes them, so their outermost object is closed
//! (`crate::hidden`).

mod branches;
mod parts;

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use self::branches::is_union;
use super::compare::{MAX_REASONS, pointer, reason};
use super::keywords::{self, WORDING};
use super::reference::{is_unclear, same, same_definitions};
use super::verdict::{Reason, Verdict};

/// How deep is looked, references included.
const MAX_DEPTH: usize = 100;
/// How many pairs of schemas are looked at.
const MAX_PAIRS: usize = 20_000;
/// The rule for what lies beyond these bounds.
const TOO_LARGE: &str = "schema.too_large";

/// Whether a schema is of what callers may send, or of what they get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// What callers may send: what was valid must stay valid.
    Input,
    /// What callers get: what is valid must have been valid.
    Output,
}

/// What a difference does to the instances that are valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// Nothing.
    Wording,
    /// Something can be said or had that could not, and nothing else changes.
    Harmless,
    /// More are valid.
    Looser,
    /// More are valid, and what callers could rely on of a result is gone.
    Forgone,
    /// Fewer are valid.
    Tighter,
    /// None that was valid is, or what was named is not there any more.
    Gone,
    /// It cannot be told.
    Unclear,
}

impl Change {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Wording => "changed",
            Self::Harmless => "added",
            Self::Looser | Self::Forgone => "widened",
            Self::Tighter => "narrowed",
            Self::Gone => "removed",
            Self::Unclear => "unclear",
        }
    }

    fn verdict(self, side: Side) -> Verdict {
        match (self, side) {
            (Self::Wording, _) => Verdict::Cosmetic,
            (Self::Harmless, _)
            | (Self::Looser | Self::Forgone, Side::Input)
            | (Self::Tighter, Side::Output) => Verdict::Additive,
            (Self::Looser, Side::Output) | (Self::Unclear, _) => Verdict::Risky,
            (Self::Tighter, Side::Input) | (Self::Forgone, Side::Output) | (Self::Gone, _) => {
                Verdict::Breaking
            }
        }
    }
}

/// What `new` means at `at` for whoever relied on `old`. Empty if nothing is different.
pub fn compare_schemas(old: &Value, new: &Value, side: Side, at: &str) -> Vec<Reason> {
    if old == new {
        return Vec::new();
    }
    let definitions = same_definitions(old, new);
    let mut comparison = Comparison {
        side,
        old,
        new,
        definitions,
        identical: ["$defs", "definitions"].iter().all(|name| old.get(*name) == new.get(*name)),
        seen: BTreeSet::new(),
        left: MAX_PAIRS,
        reasons: Vec::new(),
    };
    if is_unclear(old) || is_unclear(new) {
        let change = if same(old, new, definitions) { Change::Wording } else { Change::Unclear };
        comparison.note("reference.unclear", change, at.to_owned(), None, None);
        return comparison.reasons;
    }
    let dialect = |schema: &Value| {
        let named = schema.get("$schema").and_then(Value::as_str);
        named.unwrap_or("https://json-schema.org/draft/2020-12/schema").trim_end_matches('#').to_owned()
    };
    if dialect(old) != dialect(new) {
        let (old, new) = (old.get("$schema"), new.get("$schema"));
        comparison.note("dialect.changed", Change::Unclear, pointer(at, "$schema"), old, new);
    }
    comparison.pair(old, new, at, 0);
    let mut reasons = comparison.reasons;
    let mut is_told = false;
    reasons.retain(|reason| !reason.rule.ends_with(TOO_LARGE) || !std::mem::replace(&mut is_told, true));
    reasons
}

/// A comparison under way.
pub(super) struct Comparison<'a> {
    side: Side,
    old: &'a Value,
    new: &'a Value,
    /// Whether both documents define the same parts to refer to.
    definitions: bool,
    /// Whether they do so in the same words.
    identical: bool,
    /// Pairs that were reached by references, so that what refers to itself ends.
    seen: BTreeSet<(usize, usize)>,
    left: usize,
    reasons: Vec<Reason>,
}

/// A schema as an object, or the one that lets nothing through.
enum Schema<'a> {
    Object(&'a Map<String, Value>),
    Nothing,
}

static ANYTHING: std::sync::LazyLock<Map<String, Value>> = std::sync::LazyLock::new(Map::new);
static TRUE: Value = Value::Bool(true);

fn read(schema: &Value) -> Option<Schema<'_>> {
    match schema {
        Value::Bool(true) => Some(Schema::Object(&ANYTHING)),
        Value::Bool(false) => Some(Schema::Nothing),
        Value::Object(object) => Some(Schema::Object(object)),
        _ => None,
    }
}

impl<'a> Comparison<'a> {
    pub(super) fn note(
        &mut self,
        rule: &str,
        change: Change,
        at: String,
        old: Option<&Value>,
        new: Option<&Value>,
    ) {
        let verdict = change.verdict(self.side);
        let side = if self.side == Side::Input { "input" } else { "output" };
        let found = reason(&format!("{side}.{rule}"), verdict, at, old, new);
        // What is worse than all that was found is never cut away.
        if self.reasons.len() < MAX_REASONS || self.reasons.iter().all(|known| known.verdict < verdict) {
            self.reasons.push(found);
        }
    }

    fn pair(&mut self, old: &'a Value, new: &'a Value, at: &str, depth: usize) {
        if old == new && same(old, new, self.identical) {
            return;
        }
        if self.left == 0 || depth > MAX_DEPTH {
            return self.note(TOO_LARGE, Change::Unclear, at.to_owned(), None, None);
        }
        self.left -= 1;
        let (was, is) = match (read(old), read(new)) {
            (Some(Schema::Object(was)), Some(Schema::Object(is))) => (was, is),
            (Some(Schema::Nothing), Some(Schema::Nothing)) => return,
            (Some(Schema::Nothing), Some(Schema::Object(_))) => {
                return self.note("schema.opened", Change::Looser, at.to_owned(), Some(old), Some(new));
            }
            (Some(Schema::Object(_)), Some(Schema::Nothing)) => {
                return self.note("schema.closed", Change::Tighter, at.to_owned(), Some(old), Some(new));
            }
            _ => return self.note("schema.unclear", Change::Unclear, at.to_owned(), Some(old), Some(new)),
        };
        if self.references((old, was), (new, is), at, depth) {
            return;
        }
        self.wording(was, is, at);
        if is_union(was, is) {
            return self.union((old, was), (new, is), at, depth);
        }
        keywords::compare(self, was, is, at);
        self.objects(was, is, at, depth);
        self.lists(was, is, at, depth);
        self.applicators(was, is, at, depth);
        self.unevaluated((old, was), (new, is), at);
        self.others(was, is, at);
    }

    fn wording(&mut self, old: &Map<String, Value>, new: &Map<String, Value>, at: &str) {
        for name in WORDING {
            if old.get(name) != new.get(name) {
                let (old, new) = (old.get(name), new.get(name));
                self.note("wording.changed", Change::Wording, pointer(at, name), old, new);
            }
        }
        let (before, after) = (old.get("default"), new.get("default"));
        if before != after {
            let change = match (self.side, before) {
                (Side::Output, _) => Change::Wording,
                (Side::Input, None) => Change::Harmless,
                // Callers that leave it out get something else than they did.
                (Side::Input, Some(_)) => Change::Unclear,
            };
            self.note("default.changed", change, pointer(at, "default"), before, after);
        }
    }
}

/// Keywords that say nothing of an instance by themselves.
fn is_aside(name: &str) -> bool {
    WORDING.contains(&name) || matches!(name, "$defs" | "definitions" | "$schema" | "$id" | "$vocabulary")
}
