//! What the annotations of a policy say.
//!
//! An unknown annotation is an error, because a mistyped `@approval` would silently let calls
//! through; so is one that cannot be read, and one that binds nothing where it stands.

use std::collections::BTreeSet;

use cedar_policy::{Effect, Policy};
use quaymaster_core::flow::check_label;
use quaymaster_core::{Gate, Limit, Role, suggest};

use super::decision::{Obligations, PolicyLimit};
use super::redaction::Redaction;

const ANNOTATIONS: [&str; 8] =
    ["id", "reason", "description", "approval", "redact", "limit", "reason_required", "label"];
/// Those that bind what a permit permits.
const OF_PERMITS: [&str; 4] = ["redact", "limit", "reason_required", "label"];

/// What the annotations of a policy say.
#[derive(Clone, Debug, Default)]
pub(super) struct Notes {
    pub(super) approval: Option<Gate>,
    /// What a person is told when this policy decided.
    pub(super) reason: Option<String>,
    /// What binds the calls that it permits.
    pub(super) obligations: Obligations,
    /// Where it is written, as `file:line`, where it is in a file.
    pub(super) place: Option<String>,
}

/// What is wrong, and what would be right.
pub(super) type Told = (String, Option<String>);

impl Notes {
    /// Reads the annotations of the policy called `id`.
    pub(super) fn read(policy: &Policy, id: &str, roles: &BTreeSet<String>) -> (Self, Vec<Told>) {
        let mut told = Vec::new();
        for (name, _) in policy.annotations().filter(|(name, _)| !ANNOTATIONS.contains(name)) {
            told.push((format!("unknown annotation `@{name}`"), suggest::near(name, ANNOTATIONS)));
        }
        if policy.effect() == Effect::Forbid {
            let misplaced = OF_PERMITS.iter().filter(|name| policy.annotation(name).is_some());
            told.extend(misplaced.map(|name| {
                let help = "put it on the permits of those calls".to_owned();
                (format!("`@{name}` binds what a policy permits, and a `forbid` permits nothing"), Some(help))
            }));
        }
        let mut read = |name: &str, help: &str, take: &mut dyn FnMut(&str) -> Result<(), String>| {
            let Some(text) = policy.annotation(name) else { return };
            if let Err(message) = take(text) {
                told.push((format!("`@{name}`: {message}"), Some(help.to_owned())));
            }
        };
        let mut notes = Self { reason: policy.annotation("reason").map(str::to_owned), ..Self::default() };
        let Self { approval, obligations, .. } = &mut notes;
        read("approval", "name who may decide, such as @approval(\"manager\")", &mut |text| {
            Gate::parse(text).map(|gate| *approval = Some(gate))
        });
        read("redact", "name fields, such as @redact(\"email, $..phone\")", &mut |text| {
            Redaction::parse_all(text).map(|fields| obligations.redactions.extend(fields))
        });
        read("limit", "write a limit, such as @limit(\"30/1m\")", &mut |text| {
            let of_policy = |limit| PolicyLimit { policy: id.to_owned(), limit };
            Limit::parse_all(text).map(|limits| obligations.limits.extend(limits.into_iter().map(of_policy)))
        });
        read("reason_required", "write @reason_required alone", &mut |text| {
            obligations.reason_required = true;
            if text.is_empty() { Ok(()) } else { Err("it takes no value".into()) }
        });
        read("label", "name labels, such as @label(\"saw:customer-data\")", &mut |text| {
            labels(text).map(|labels| obligations.labels.extend(labels))
        });
        told.extend(notes.unknown_roles(roles));
        (notes, told)
    }

    fn unknown_roles(&self, known: &BTreeSet<String>) -> Vec<Told> {
        let named = self.approval.iter().flat_map(Gate::all_roles);
        let unknown = named.filter(|role| !known.contains(role.as_str()));
        let near = |role: &Role| suggest::near(role.as_str(), known.iter().map(String::as_str));
        unknown.map(|role| (format!("`@approval` names the unknown role `{role}`"), near(role))).collect()
    }
}

/// Labels, separated by commas.
fn labels(text: &str) -> Result<Vec<String>, String> {
    let labels = text.split(',').map(str::trim);
    labels.map(|label| check_label(label).map(|()| label.to_owned())).collect()
}
