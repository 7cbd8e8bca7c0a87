//! Everything that was written down about what may happen: policies and
//! classification, read at load and then only looked at.

use std::collections::HashMap;
use std::sync::Arc;

use quaymaster_catalog::{Catalogue, Ruled, Tool};

use super::release::FieldRules;
use crate::policy::{Known, Policies, PolicyFile, PolicyProblem, Severity};
use crate::redaction::Redactor;

/// The rules in force.
#[derive(Debug, Default)]
pub struct Rulebook {
    policies: Arc<Policies>,
    fields: HashMap<String, Arc<FieldRules>>,
    redactor: Option<Redactor>,
}

impl Rulebook {
    /// Reads policies and classification for the tools of `catalogue`.
    ///
    /// Any problem of severity [`Severity::Error`] is a reason not to put the
    /// rulebook to work; where it is put to work nevertheless, the tools that are
    /// concerned have no rules and can neither be seen nor called.
    pub fn build(files: &[PolicyFile], catalogue: &Catalogue, known: &Known) -> (Self, Vec<PolicyProblem>) {
        let (policies, mut problems) = Policies::build(files, catalogue, known);
        let mut fields = HashMap::new();
        for tool in catalogue.offers() {
            match FieldRules::compile(tool, &known.classes) {
                Ok(rules) => {
                    fields.insert(tool.name().to_string(), Arc::new(rules));
                }
                Err(message) => problems.push(PolicyProblem {
                    file: None,
                    tool: None,
                    span: None,
                    severity: Severity::Error,
                    message: format!(
                        "the classification of connector `{}`: {message}",
                        tool.declaration().connector
                    ),
                    help: Some("write a JSONPath (RFC 9535) such as `$..email`".into()),
                }),
            }
        }
        problems.dedup();
        (Self { policies: Arc::new(policies), fields, redactor: None }, problems)
    }

    /// These rules, with what is looked for in whatever leaves.
    #[must_use]
    pub fn redacting(self, redactor: Option<Redactor>) -> Self {
        Self { redactor, ..self }
    }

    pub(super) fn redactor(&self) -> Option<&Redactor> {
        self.redactor.as_ref()
    }

    /// What policy says.
    pub fn policies(&self) -> &Arc<Policies> {
        &self.policies
    }

    /// What the rules change in what agents are told of `tool`.
    pub fn told(&self, tool: &Tool) -> Ruled {
        Ruled {
            asks_reason: self.policies.asks_reason(tool),
            takes_fields_out: self.policies.takes_fields_out(tool)
                || self.field_rules(tool).is_some_and(|rules| rules.may_take_out()),
            may_park: self.policies.may_need_approval(tool),
        }
    }

    pub(super) fn field_rules(&self, tool: &Tool) -> Option<&Arc<FieldRules>> {
        self.fields.get(tool.name().as_str())
    }
}
