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
mod problem;
mod schema;
mod slice;
mod source;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use quaymaster_catalog::{Catalogue, Tool};
use quaymaster_core::{Actor, AgentClaims, Arguments, Gate, Limit};

pub use problem::{PolicyProblem, Severity};
pub use source::PolicyFile;

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
}

/// What policy says of one call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Whether it may run.
    pub effect: DecisionEffect,
    /// The policies that determined it, sorted by id.
    pub policies: Vec<String>,
    /// The reasons that those policies give, in the same order.
    pub reasons: Vec<String>,
    /// How many policies failed to evaluate.
    pub errors: u64,
    /// What binds the call if it runs; nothing for one that may not.
    pub obligations: Obligations,
}

/// What binds a call that may run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Obligations {
    /// How much may be used; each limit is counted for the policy that sets it.
    pub limits: BTreeSet<PolicyLimit>,
}

/// A limit with the policy that sets it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PolicyLimit {
    /// The policy's id: calls that different policies permit are counted apart.
    pub policy: String,
    /// The limit.
    pub limit: Limit,
}

/// Whether a call may run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DecisionEffect {
    /// It may.
    Allow,
    /// It may not.
    Deny,
    /// It may once each of these gates is open.
    NeedsApproval {
        /// What has to be agreed to, sorted; at least one.
        gates: Vec<Gate>,
    },
}

impl DecisionEffect {
    /// The word for the audit record.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::NeedsApproval { .. } => "approval",
        }
    }
}

/// All policies in force, ready to decide.
#[derive(Debug, Default)]
pub struct Policies {
    slices: HashMap<String, Slice>,
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
            match Slice::build(&source, tool) {
                Ok(slice) => {
                    slices.insert(tool.name().to_string(), slice);
                }
                Err(found) => problems.extend(found),
            }
        }
        problems.dedup();
        (Self { slices }, problems)
    }

    /// Decides one call.
    pub fn decide(&self, actor: &Actor, tool: &Tool, arguments: &Arguments, agent: &AgentClaims) -> Decision {
        match self.slices.get(tool.name().as_str()) {
            Some(slice) => slice.decide(actor, arguments, agent),
            None => Decision::default_deny(),
        }
    }

    /// Whether somebody may have to agree to a call of `tool`.
    pub fn may_need_approval(&self, tool: &Tool) -> bool {
        self.slices.get(tool.name().as_str()).is_some_and(Slice::has_gates)
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
}

impl Decision {
    /// What holds where no policy says anything.
    pub(crate) fn default_deny() -> Self {
        Self {
            effect: DecisionEffect::Deny,
            policies: vec![],
            reasons: vec![],
            errors: 0,
            obligations: Obligations::default(),
        }
    }
}

#[cfg(test)]
mod tests;
