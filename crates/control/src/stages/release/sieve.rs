//! What is taken out of the result of one call: by the classification of its connector and the
//! clearance of its actor, by the redactions that its permits demand, and by what policy says of
//! single fields.

use std::collections::{BTreeSet, HashMap};

use quaymaster_catalog::Tool;
use quaymaster_core::{Actor, DataClass, Handling};
use serde_json::Value;
use serde_json_path::NormalizedPath;

use super::Tally;
use super::fields::{FieldRules, in_document_order, take_out};
use crate::policy::{Policies, Redaction};
use crate::stages::Rulebook;
use crate::stages::facts::Facts;

/// The rules for the result of one call.
#[derive(Clone, Copy, Debug)]
pub(in crate::stages) struct Sieve<'a> {
    rules: &'a FieldRules,
    pub(super) tool: &'a Tool,
    actor: &'a Actor,
    policies: &'a Policies,
    redactions: &'a BTreeSet<Redaction>,
    restricts_fields: bool,
}

impl<'a> Sieve<'a> {
    /// The rules for the result of a call; none without a classification or a decision to go by.
    pub(in crate::stages) fn of(facts: &'a Facts, rulebook: &'a Rulebook) -> Option<Self> {
        let tool = facts.tool.as_deref()?;
        let policies = rulebook.policies();
        Some(Self {
            rules: rulebook.field_rules(tool)?.as_ref(),
            tool,
            actor: &facts.request.actor,
            policies,
            redactions: &facts.decision.as_ref()?.obligations.redactions,
            restricts_fields: policies.restricts_fields(tool),
        })
    }

    /// The class of whatever no rule names.
    pub(super) fn default_class(&self) -> DataClass {
        self.rules.default_class()
    }

    pub(super) fn clearance(&self) -> DataClass {
        self.actor.clearance
    }

    /// Whether everything may leave as it is.
    pub(in crate::stages) fn lets_all_through(&self) -> bool {
        self.rules.default_class() <= self.clearance() && !self.binds()
    }

    /// Whether something may have to be taken out.
    pub(super) fn binds(&self) -> bool {
        self.rules.bind(self.clearance()) || !self.redactions.is_empty() || self.restricts_fields
    }

    /// The highest class among what is released.
    pub(super) fn note_released(&self, tally: &mut Tally) {
        self.rules.note_released(self.clearance(), tally);
    }

    /// Takes out what may not leave.
    ///
    /// All places are found before the first is taken out, so that no rule hides
    /// from another what it looks for: the order of the rules does not matter.
    pub(super) fn apply(&self, value: &mut Value, tally: &mut Tally) {
        let mut found: HashMap<String, Option<DataClass>> = HashMap::new();
        for (place, class) in self.rules.places(value, self.clearance()) {
            let strictest = found.entry(place).or_insert(Some(class));
            *strictest = (*strictest).max(Some(class));
        }
        let by_policy = self.redactions.iter().flat_map(|redaction| redaction.places(value));
        let unseen = if self.restricts_fields { self.unseen(value) } else { vec![] };
        for place in by_policy.chain(unseen) {
            found.entry(place).or_insert(None);
        }
        let mut places: Vec<(String, Option<DataClass>)> = found.into_iter().collect();
        // From the back, so that taking out one item of a list does not move the next.
        places.sort_by(|(a, _), (b, _)| in_document_order(b, a));
        for (place, class) in places {
            if take_out(value, &place) {
                tally.note_kept_back(class);
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
        let by_name = hidden.iter().flat_map(|name| Redaction::named(name).places(value));
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

    /// Whether a column of a table leaves, and the class by which it is counted.
    pub(super) fn column(&self, name: &str) -> Result<DataClass, Option<DataClass>> {
        let declaration = self.tool.declaration();
        let (class, handling) = declaration.classification.column(&declaration.local_name, name);
        let redacted = || self.redactions.iter().any(|field| !field.columns([name].into_iter()).is_empty());
        if handling != Handling::Allow || class > self.clearance() {
            Err(Some(class))
        } else if redacted() || (self.restricts_fields && !self.sees(name)) {
            Err(None)
        } else {
            Ok(class)
        }
    }
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
