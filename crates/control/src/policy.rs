//! Authorization by Cedar policies: who may call which tool with which arguments.
//!
//! Deny by default, forbid wins, and a policy that fails to evaluate denies:
//! Cedar itself skips such a policy, which would make an erring `forbid` let
//! calls through. Cedar has no index, so the policies that can bear on a tool are
//! put together once, at load (a [`slice`]); each slice is validated strictly
//! against a schema in which the arguments have that tool's types ([`schema`]).
//! A connector's `access` and `approval` become Cedar policies too ([`access`]),
//! so there is one engine.
//!
//! Invariants:
//! - Without a policy nothing is visible and nothing may be called.
//! - A configured approval is needed whatever a permit says.
//! - An actor sees a tool if and only if some call of it could be permitted.

mod access;
mod action;
mod annotation;
mod aside;
mod context;
mod decision;
mod entities;
mod explain;
mod labels;
mod problem;
mod proof;
mod redaction;
mod schema;
mod slice;
mod source;
mod validate;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use quaymaster_catalog::{Catalogue, Tool};
use quaymaster_core::{Actor, ActorId, Arguments, Timestamp, Zone, suggest};

pub use decision::{Circumstances, Decision, DecisionEffect, Obligations, PolicyLimit};
pub use explain::{Residual, Written};
pub use problem::{PolicyProblem, Severity};
pub use proof::{Example, Finding, Idle, Never, ProofError, Prover};
pub use redaction::Redaction;
pub use source::PolicyFile;

use crate::classification::Classes;
use action::Action;
use aside::Aside;
use slice::Slice;
use source::Source;

/// What policies may speak of. A name that is not here is an error in a policy.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// The declared roles.
    pub roles: BTreeSet<String>,
    /// The declared workspaces.
    pub workspaces: BTreeSet<String>,
    /// The connectors.
    pub connectors: BTreeSet<String>,
    /// The public names of all configured tools, also of those that are not there yet.
    pub tools: BTreeSet<String>,
    /// The environments of workspaces, where they say one; [`DEFAULT_ENVIRONMENT`] elsewhere.
    pub environments: BTreeMap<String, String>,
    /// The environments of connectors, where they say one: it wins over that of the workspace.
    pub connector_environments: BTreeMap<String, String>,
    /// Tools whose arguments nobody knows, because their server was not asked: policies about them
    /// are not validated, and their arguments have the types that they are given with. Only for
    /// questions about a configuration; no call is decided so.
    pub untyped: BTreeSet<String>,
    /// What the classification says of the tools' data.
    pub classes: Arc<Classes>,
    /// The time zones of workspaces, where they say one; UTC elsewhere.
    pub zones: BTreeMap<String, Zone>,
}

/// The environment of what says nothing of its own: the one that most is forbidden in.
pub const DEFAULT_ENVIRONMENT: &str = "production";

/// All policies in force, ready to decide.
#[derive(Debug, Default)]
pub struct Policies {
    slices: HashMap<String, Slice>,
    administers: Option<Aside>,
    errors: AtomicU64,
    /// The labels that there can be.
    labels: BTreeSet<String>,
}

impl Policies {
    /// Reads policy files, adds what the tools' `access` says, and validates all of it.
    ///
    /// A tool whose slice does not validate has no policy, so nobody sees it.
    /// Whoever loads a configuration treats any problem of severity
    /// [`Severity::Error`] as a reason to refuse it.
    pub fn build(files: &[PolicyFile], catalogue: &Catalogue, known: &Known) -> (Self, Vec<PolicyProblem>) {
        let (source, mut problems) = Source::read(files, known);
        let mut slices = HashMap::new();
        for tool in catalogue.offers() {
            match Slice::build(&source, tool, known) {
                Ok(slice) => {
                    slices.insert(tool.name().to_string(), slice);
                }
                Err(found) => problems.extend(found),
            }
        }
        problems.dedup();
        // What does not compile was told above; without it nobody may.
        let administers = Aside::build(Action::Administer, &source.about(Action::Administer)).ok().flatten();
        (Self { slices, administers, errors: AtomicU64::new(0), labels: source.labels() }, problems)
    }

    /// Decides one call.
    pub fn decide(
        &self,
        actor: &Actor,
        tool: &Tool,
        arguments: &Arguments,
        circumstances: &Circumstances<'_>,
    ) -> Decision {
        let decision = match self.slices.get(tool.name().as_str()) {
            Some(slice) => slice.decide(actor, arguments, circumstances),
            None => Decision::default_deny(),
        };
        if decision.errors > 0 {
            self.errors.fetch_add(1, Ordering::Relaxed);
        }
        decision
    }

    /// How many decisions were denied because something could not be evaluated, since these
    /// policies were put to work.
    pub fn evaluation_errors(&self) -> u64 {
        self.errors.load(Ordering::Relaxed)
    }

    /// Whether somebody may have to agree to a call of `tool`.
    pub fn may_need_approval(&self, tool: &Tool) -> bool {
        self.slices.get(tool.name().as_str()).is_some_and(Slice::has_gates)
    }

    /// Whether calls of the tool called `name` may need an approval; of one that is not known, they may.
    pub(crate) fn may_park(&self, name: &str) -> bool {
        self.slices.get(name).is_none_or(Slice::has_gates)
    }

    /// What the policies that bear on `tool` are, as a digest: it changes when one of them does.
    pub fn digest(&self, tool: &Tool) -> Option<Arc<str>> {
        self.slices.get(tool.name().as_str()).map(|slice| Arc::clone(slice.digest()))
    }

    /// Under what circumstances `tool` is permitted to `actor` at all, in the words of its policies.
    pub fn permit_reasons(&self, actor: &Actor, tool: &Tool) -> Vec<String> {
        let slice = self.slices.get(tool.name().as_str());
        slice.map(|slice| slice.permit_reasons(actor)).unwrap_or_default()
    }

    /// Whether some call of `tool` by `actor` could be permitted, now or after an approval.
    pub fn could_permit(&self, actor: &Actor, tool: &Tool) -> bool {
        self.slices.get(tool.name().as_str()).is_some_and(|slice| slice.could_permit(actor))
    }

    /// A policy that bears on `tool`, as it is written.
    pub fn written(&self, tool: &Tool, id: &str) -> Option<Written> {
        self.slices.get(tool.name().as_str())?.written(id)
    }

    /// What it depends on whether `actor` may call `tool`: of every policy that only looks at
    /// the context what is left of its conditions, in Cedar.
    pub fn residuals(&self, actor: &Actor, tool: &Tool) -> Vec<Residual> {
        self.slices.get(tool.name().as_str()).map(|slice| slice.residuals(actor)).unwrap_or_default()
    }

    /// Whether what is decided on calls of `tool` may depend on when they are made.
    pub fn asks_time(&self, tool: &Tool) -> bool {
        self.slices.get(tool.name().as_str()).is_none_or(Slice::asks_time)
    }

    /// Whether there can be a label of this name.
    ///
    /// # Errors
    ///
    /// Says that there cannot, and which was probably meant.
    pub fn check_label(&self, label: &str) -> Result<(), String> {
        if self.labels.contains(label) {
            return Ok(());
        }
        let known = self.labels.iter().map(String::as_str);
        let help = suggest::did_you_mean(label, "there are", known).unwrap_or_default();
        Err(format!("unknown label `{}`: {help}", label.escape_debug()))
    }

    /// Whether what is decided on calls of `tool` may depend on what was seen before.
    pub fn asks_labels(&self, tool: &Tool) -> bool {
        self.slices.get(tool.name().as_str()).is_some_and(Slice::asks_labels)
    }

    /// Whether it may on calls of any tool.
    pub fn ask_labels(&self) -> bool {
        self.slices.values().any(Slice::asks_labels)
    }

    /// Whether policy says something of the fields of `tool`'s results.
    pub fn restricts_fields(&self, tool: &Tool) -> bool {
        self.slices.get(tool.name().as_str()).is_none_or(Slice::restricts_fields)
    }

    /// Whether `actor` sees the field called `field` in results of `tool`, as far as policy has a
    /// say: the classification may say more.
    pub fn sees_field(&self, actor: &Actor, tool: &Tool, field: &str) -> bool {
        self.slices.get(tool.name().as_str()).is_some_and(|slice| slice.sees_field(actor, field))
    }

    /// Whether nothing forbids that `decider`, who has a role of the gate, decides at the time
    /// `at` on a call of `tool` that the person `requester` asked for.
    pub fn may_approve(&self, decider: &Actor, tool: &str, requester: &ActorId, at: Timestamp) -> bool {
        let slice = self.slices.get(tool);
        slice.is_some_and(|slice| slice.may_approve(decider, requester, at))
    }

    /// Whether `actor` may run the administrative `command` in its workspace. Denied unless a
    /// permit for `administer` says otherwise.
    pub fn may_administer(&self, actor: &Actor, command: &str) -> bool {
        self.administers.as_ref().is_some_and(|policies| entities::administer(policies, actor, command))
    }

    /// Whether calls of `tool` may be refused for want of a business reason.
    pub fn asks_reason(&self, tool: &Tool) -> bool {
        self.slices.get(tool.name().as_str()).is_some_and(Slice::asks_reason)
    }

    /// Whether policy may take a field out of `tool`'s results.
    pub fn takes_fields_out(&self, tool: &Tool) -> bool {
        self.slices.get(tool.name().as_str()).is_some_and(Slice::takes_fields_out)
    }
}

#[cfg(test)]
mod tests;
