//! What every call of one tool in one workspace has in common, as policies.
//!
//! To the solver a tool is any tool and a time any number. A frame is a `forbid` of everything that
//! cannot be, so that neither side of a question allows it.

use std::collections::BTreeSet;
use std::str::FromStr as _;

use cedar_policy::{
    Effect, EvalResult, Expression, Policy, PolicyId, PolicySet, Schema, ValidationMode, Validator,
};
use quaymaster_core::Role;

use super::super::entities::{Placed, uid};
use super::super::slice::Slice;
use super::{Never, ProofError, failed};

/// What cannot be otherwise.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    facts: Vec<String>,
    claim: Vec<String>,
    /// The entities that policies name, as `(type, id)`.
    named: BTreeSet<(String, String)>,
    workspace: String,
    /// What the tool is in.
    parents: BTreeSet<(String, String)>,
}

/// The times that there are.
const TIMES: &str = "context.time.hour >= 0 && context.time.hour <= 23 \
    && context.time.minute_of_day >= context.time.hour * 60 \
    && context.time.minute_of_day < context.time.hour * 60 + 60 \
    && context.time.weekday >= 1 && context.time.weekday <= 7 && context.time.unix >= 0";
/// The ways to be established.
const ESTABLISHED: &str = r#"["token", "oauth", "local_user"].contains(principal.authentication)"#;

impl Frame {
    /// That of the tool of `slice` in `place`.
    pub(super) fn of(slice: &Slice, place: &Placed) -> Result<Self, ProofError> {
        let own = place.tool.uid();
        let mut facts = vec![format!("resource == {own}"), TIMES.to_owned(), ESTABLISHED.to_owned()];
        for name in ["classes", "destination", "effect", "environment", "kind", "name", "trust"] {
            let value = place.tool.attr(name).ok_or_else(|| failed("a tool without its attributes"))?;
            facts.push(format!("resource.{name} == {}", literal(&value.map_err(failed)?)));
        }
        let environment = quoted(&place.environment)?;
        facts.push(format!("context.environment == {environment}"));
        let parents = place.parents.iter();
        let parents = parents.map(|uid| (uid.type_name().to_string(), uid.id().unescaped().to_owned()));
        let workspace = place.workspace.to_string();
        let frame =
            Self { facts, claim: vec![], named: BTreeSet::new(), workspace, parents: parents.collect() };
        Ok(frame.with_names_of(slice))
    }

    /// The same for the entities that the policies of `slice` name as well.
    pub(super) fn with_names_of(mut self, slice: &Slice) -> Self {
        let literals = slice.sources().flat_map(|source| source.policy.entity_literals());
        self.named.extend(literals.map(|uid| (uid.type_name().to_string(), uid.id().unescaped().to_owned())));
        self
    }

    /// The same with what `claim` speaks of.
    pub(super) fn claimed(mut self, claim: &Never) -> Result<Self, ProofError> {
        if let Some(roles) = &claim.roles {
            let named = self.named.iter().filter(|(kind, _)| kind == "Role");
            let named = named.filter_map(|(_, id)| Role::parse(id).ok());
            for role in named.chain(roles.iter().cloned()).collect::<BTreeSet<Role>>() {
                let is_in = format!("principal in {}", uid("Role", role.as_str()).map_err(failed)?);
                self.claim.push(if roles.contains(&role) { is_in } else { format!("!({is_in})") });
            }
        }
        if let Some(when) = &claim.when {
            // That it is one expression: as text it could be more.
            Expression::from_str(when).map_err(|e| ProofError::Condition(e.to_string()))?;
            self.claim.push(format!("({when})"));
        }
        Ok(self)
    }

    /// Whether what is claimed fits the types of the tool.
    pub(super) fn check(&self, schema: &Schema) -> Result<(), ProofError> {
        let set = PolicySet::from_policies(self.policies(false)?).map_err(failed)?;
        let found = Validator::new(schema.clone()).validate(&set, ValidationMode::Strict);
        match found.validation_errors().next() {
            Some(error) => Err(ProofError::Condition(error.to_string())),
            None => Ok(()),
        }
    }

    /// The frame as policies; without anybody's agreement if `unapproved`.
    pub(super) fn policies(&self, unapproved: bool) -> Result<Vec<Policy>, ProofError> {
        let mut policies = vec![self.policy("frame/facts", Effect::Forbid, unapproved)?];
        if !self.claim.is_empty() {
            let text =
                format!("forbid (principal, action, resource) unless {{ {} }};", self.claim.join(" && "));
            let claim = Policy::parse(Some(PolicyId::new("frame/claim")), text);
            policies.push(claim.map_err(|e| ProofError::Condition(e.to_string()))?);
        }
        Ok(policies)
    }

    /// One policy: a `permit` of what can be, or a `forbid` of all else.
    pub(super) fn policy(&self, id: &str, effect: Effect, unapproved: bool) -> Result<Policy, ProofError> {
        let mut facts = self.facts.clone();
        let workspace = ("Workspace".to_owned(), self.workspace.clone());
        for (kind, id) in self.named.iter().chain(&self.parents).chain([&workspace]).collect::<BTreeSet<_>>()
        {
            let entity = uid(kind, id).map_err(failed)?;
            if kind == "Connector" || kind == "Workspace" {
                let of_tool = format!("resource in {entity}");
                let holds = self.parents.contains(&(kind.clone(), id.clone()));
                facts.push(if holds { of_tool } else { format!("!({of_tool})") });
            }
            if kind == "Workspace" {
                let of_actor = format!("principal in {entity}");
                facts.push(if *id == self.workspace { of_actor } else { format!("!({of_actor})") });
            }
        }
        if unapproved {
            facts.push("!context.approved".to_owned());
        }
        let (effect, clause) = match effect {
            Effect::Permit => ("permit", "when"),
            Effect::Forbid => ("forbid", "unless"),
        };
        let text = format!("{effect} (principal, action, resource) {clause} {{ {} }};", facts.join(" && "));
        Policy::parse(Some(PolicyId::new(id)), text).map_err(failed)
    }
}

/// A value of a tool's attributes as Cedar writes it.
fn literal(value: &EvalResult) -> String {
    value.to_string()
}

fn quoted(text: &str) -> Result<String, ProofError> {
    // As an id is quoted, so is a text.
    let uid = uid("Tool", text).map_err(failed)?.to_string();
    uid.strip_prefix("Tool::").map(str::to_owned).ok_or_else(|| failed("a text that cannot be quoted"))
}
