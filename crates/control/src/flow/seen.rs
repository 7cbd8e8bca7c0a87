//! What whoever calls has seen, as a decision and its refusal need it.

use std::collections::BTreeMap;

use quaymaster_core::Timestamp;
use quaymaster_store::LabelRow;

use super::told;

/// What somebody has seen. At least one label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    names: Vec<String>,
    labels: Vec<SeenLabel>,
}

/// One label of somebody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenLabel {
    /// The label.
    pub label: String,
    /// The call by which it was set first.
    pub call: String,
    /// When that was.
    pub since: Timestamp,
    /// When it ends by itself.
    pub until: Timestamp,
}

impl Seen {
    /// What `rows` say together; none if they say nothing.
    pub(super) fn of(rows: &[LabelRow]) -> Option<Self> {
        let mut labels: BTreeMap<&str, SeenLabel> = BTreeMap::new();
        for row in rows {
            let since = Timestamp::from_micros(row.since_us);
            let until = Timestamp::from_micros(row.until_us);
            let new = || SeenLabel { label: row.label.clone(), call: row.call.clone(), since, until };
            let known = labels.entry(&row.label).or_insert_with(new);
            known.until = known.until.max(until);
            if since < known.since {
                (known.since, known.call) = (since, row.call.clone());
            }
        }
        let names: Vec<String> = labels.keys().map(|label| (*label).to_owned()).collect();
        (!names.is_empty()).then(|| Self { names, labels: labels.into_values().collect() })
    }

    /// The labels, sorted.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The labels with where they come from, in the same order.
    pub fn labels(&self) -> &[SeenLabel] {
        &self.labels
    }

    /// Why, in words that whoever is labelled may read.
    pub(crate) fn why(&self) -> String {
        format!("because of what was seen before: {}", self.listed())
    }

    /// What those are told who decide on a call of somebody who is labelled.
    pub(crate) fn told(&self) -> String {
        format!("whoever asks has seen before: {}", self.listed())
    }

    fn listed(&self) -> String {
        let one = |seen: &SeenLabel| format!("`{}` since `{}`", seen.label, seen.call);
        self.labels.iter().map(one).collect::<Vec<_>>().join(", ")
    }

    /// What would be right.
    pub(crate) fn hint(&self) -> String {
        let last = self.labels.iter().map(|seen| seen.until).max();
        let until = last.map(told).unwrap_or_default();
        format!(
            "tools whose arguments stay within the company are not affected; a person may make this call \
             themselves, or take the labels away; a new session, thread or token changes nothing; without \
             anything new the labels end by {until}"
        )
    }
}
