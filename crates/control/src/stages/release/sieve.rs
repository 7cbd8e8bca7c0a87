//! What is taken out of the result of one call: by the classification of its connector and the
//! clearance of its actor, by the redactions that its permits demand, and by what policy says of
//! single fields.

use std::collections::{BTreeSet, HashMap};

use quaymaster_catalog::Tool;
use quaymaster_core::Actor;
use quaymaster_redaction::{Action, Kind};
use serde_json::Value;
use serde_json_path::NormalizedPath;

use super::Tally;
use super::fields::{Fate, FieldRules, in_document_order, take_out};
use super::names::each_member;
use crate::classification::{Bounds, Cover, Level, Levels};
use crate::output::Column;
use crate::policy::{Policies, Redaction as Redacted};
use crate::redaction::Redaction;
use crate::stages::Rulebook;
use crate::stages::facts::Facts;

/// The rules for the result of one call.
#[derive(Clone, Copy, Debug)]
pub(in crate::stages) struct Sieve<'a> {
    rules: &'a FieldRules,
    pub(super) tool: &'a Tool,
    pub(super) actor: &'a Actor,
    policies: &'a Policies,
    redactions: &'a BTreeSet<Redacted>,
    restricts_fields: bool,
    bounds: Bounds,
}

impl<'a> Sieve<'a> {
    /// The rules for the result of a call; none without a classification or a decision to go by.
    pub(in crate::stages) fn of(facts: &'a Facts, rulebook: &'a Rulebook) -> Option<Self> {
        let tool = facts.tool.as_deref()?;
        let policies = rulebook.policies();
        let (rules, actor) = (rulebook.field_rules(tool)?.as_ref(), facts.request.actor.as_ref());
        Some(Self {
            bounds: rules.bounds(actor, facts.granted),
            rules,
            tool,
            actor,
            policies,
            redactions: &facts.decision.as_ref()?.obligations.redactions,
            restricts_fields: policies.restricts_fields(tool),
        })
    }

    /// The level of whatever no rule names, unless that may be released.
    pub(super) fn withheld_default(&self) -> Option<Level> {
        let mark = self.rules.default_mark();
        (!self.bounds.lets(mark)).then_some(mark.level)
    }

    /// The levels that there are.
    pub(super) fn levels(&self) -> &Levels {
        &self.rules.classes().levels
    }

    /// Whether everything may leave as it is, but for what is detected in it.
    pub(in crate::stages) fn lets_all_through(&self) -> bool {
        self.withheld_default().is_none() && !self.binds()
    }

    /// Whether something may have to be taken out.
    pub(super) fn binds(&self) -> bool {
        self.binds_places() || self.binds_names()
    }

    /// Whether something may have to be taken out that could be in content which cannot be looked into.
    pub(super) fn binds_places(&self) -> bool {
        self.rules.bind_paths(self.bounds) || !self.redactions.is_empty() || self.restricts_fields
    }

    /// Whether there are kinds of data that may not be released where they are found.
    pub(in crate::stages) fn withholds_kinds(&self) -> bool {
        !self.withheld_kinds().is_empty()
    }

    /// The kinds of data that may not be released where they are found, with what is done with them.
    pub(super) fn withheld_kinds(&self) -> Vec<(Kind, Action)> {
        self.rules.withheld_kinds(self.bounds)
    }

    /// Counts data of `kind` that was found and left where it is.
    pub(super) fn note_found(&self, kind: Kind, tally: &mut Tally) {
        tally.kinds.insert(kind);
        tally.classes.extend(self.rules.level_of(kind));
    }

    /// The levels of what is released, as far as they are declared.
    pub(super) fn note_released(&self, tally: &mut Tally) {
        self.rules.note_released(self.bounds, tally);
    }

    /// Whether the names of members say of which level data is.
    pub(super) fn names_fields(&self) -> bool {
        self.rules.names_fields()
    }

    /// Whether fields may have to be taken out for their names.
    pub(super) fn binds_names(&self) -> bool {
        self.rules.bind_names(self.bounds)
    }

    /// Counts the members of `value` that are released, by their names.
    pub(super) fn note_names(&self, value: &Value, tally: &mut Tally) {
        each_member(value, &mut String::new(), &mut |name, _| self.rules.note_name(name, self.bounds, tally));
    }

    /// Takes out what may not leave, or covers it.
    ///
    /// All places are found before the first is changed, so that no rule hides
    /// from another what it looks for: the order of the rules does not matter.
    pub(super) fn apply(&self, value: &mut Value, redaction: Option<&Redaction<'_>>, tally: &mut Tally) {
        let mut found = strictest(self.rules.places(value, self.bounds));
        let by_policy = self.redactions.iter().flat_map(|redaction| redaction.places(value));
        let unseen = if self.restricts_fields { self.unseen(value) } else { vec![] };
        for place in by_policy.chain(unseen) {
            // What policy takes out is gone, whatever the level says; it is counted by its level where it has one.
            found.entry(place).or_insert((None, Cover::Drop)).1 = Cover::Drop;
        }
        self.take_out(found, value, redaction, tally);
    }

    /// Takes out of one cell of a table what may not leave for the names that it has in it.
    pub(super) fn apply_names(&self, cell: &mut Value, redaction: Option<&Redaction<'_>>, tally: &mut Tally) {
        let found = strictest(self.rules.named_places(cell, self.bounds));
        self.take_out(found, cell, redaction, tally);
    }

    fn take_out(
        &self,
        found: HashMap<String, (Option<Level>, Cover)>,
        value: &mut Value,
        redaction: Option<&Redaction<'_>>,
        tally: &mut Tally,
    ) {
        let mut places: Vec<(String, (Option<Level>, Cover))> = found.into_iter().collect();
        // From the back, so that taking out one item of a list does not move the next.
        places.sort_by(|(a, _), (b, _)| in_document_order(b, a));
        for (place, (level, cover)) in places {
            let stand_in = level.zip(redaction).and_then(|(level, redaction)| {
                let name = self.levels().name(level);
                value.pointer(&place).and_then(|value| redaction.cover(cover, name, value))
            });
            let is_changed = match (stand_in, value.pointer_mut(&place)) {
                (Some(stand_in), Some(value)) => {
                    *value = stand_in;
                    true
                }
                _ => take_out(value, &place),
            };
            if is_changed {
                tally.note_kept_back(level);
            }
        }
    }

    /// Where the fields are that policy hides from this actor: by their names, and by the paths
    /// that the classification declares.
    fn unseen(&self, value: &Value) -> Vec<String> {
        let mut names = BTreeSet::new();
        names_in(value, &mut names);
        let hidden = names.into_iter().filter(|name| !self.sees(name));
        let hidden: Vec<String> = hidden.map(str::to_owned).collect();
        let by_name = hidden.iter().flat_map(|name| Redacted::named(name).places(value));
        let mut places: Vec<String> = by_name.collect();
        for path in self.rules.paths().filter(|path| !self.sees(&path.to_string())) {
            let located = path.query_located(value);
            places.extend(located.locations().map(NormalizedPath::to_json_pointer));
        }
        places
    }

    fn sees(&self, field: &str) -> bool {
        self.policies.sees_field(self.actor, self.tool, field)
    }

    /// What becomes of a column of a table, by the level that it is counted by; none if policy hides it.
    pub(super) fn column(&self, column: &Column) -> Option<Fate> {
        let name = column.name.as_str();
        let redacted = || self.redactions.iter().any(|field| !field.columns([name].into_iter()).is_empty());
        match self.rules.column(column, self.bounds) {
            Fate::Covered(level, Cover::Drop) => Some(Fate::Covered(level, Cover::Drop)),
            _ if redacted() || (self.restricts_fields && !self.sees(name)) => None,
            fate => Some(fate),
        }
    }
}

/// The strictest of what is said of each place.
fn strictest(places: Vec<(String, (Level, Cover))>) -> HashMap<String, (Option<Level>, Cover)> {
    let mut found: HashMap<String, (Option<Level>, Cover)> = HashMap::new();
    for (place, (level, cover)) in places {
        let strictest = found.entry(place).or_insert((Some(level), cover));
        let cover = if strictest.1 == cover { cover } else { Cover::Drop };
        *strictest = (strictest.0.max(Some(level)), cover);
    }
    found
}

fn names_in<'v>(value: &'v Value, names: &mut BTreeSet<&'v str>) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                names.insert(name);
                names_in(value, names);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| names_in(item, names)),
        _ => {}
    }
}
