//! What policy says of one call, and what it is asked.
//!
//! Invariant: what a permit demands holds whenever that permit is among those that determined the
//! decision; another permit that demands less lifts nothing of it. The one exception is an
//! approval on a permit, which is an alternative (`docs/adr/0013-obligations-add-up.md`).

use std::collections::BTreeSet;

use quaymaster_core::{AgentClaims, Gate, Limit, Timestamp};

use super::redaction::Redaction;

/// What a decision depends on besides who calls what with which arguments.
#[derive(Clone, Copy, Debug)]
pub struct Circumstances<'a> {
    /// What the client says of its agent. Claimed, not proved.
    pub agent: &'a AgentClaims,
    /// When.
    pub at: Timestamp,
    /// What whoever asks has seen (see `flow`).
    pub labels: &'a [String],
    /// The business reason that the caller gave.
    pub reason: Option<&'a str>,
    /// The client's session, where its revision has sessions.
    pub session: Option<&'a str>,
}

impl<'a> Circumstances<'a> {
    /// Those of an agent at a time, without labels, reason and session.
    pub fn new(agent: &'a AgentClaims, at: Timestamp) -> Self {
        Self { agent, at, labels: &[], reason: None, session: None }
    }
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

/// What binds a call that may run: the demands of all permits that determined the decision.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Obligations {
    /// What is taken out of the result, whatever the actor's clearance.
    pub redactions: BTreeSet<Redaction>,
    /// How much may be used; each limit is counted for the policy that sets it.
    pub limits: BTreeSet<PolicyLimit>,
    /// Whether the caller has to give a business reason.
    pub reason_required: bool,
    /// How the result marks whoever is given it.
    pub labels: BTreeSet<String>,
}

/// A limit with the policy that sets it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PolicyLimit {
    /// The policy's id: calls that different policies permit are counted apart.
    pub policy: String,
    /// The limit.
    pub limit: Limit,
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

impl Obligations {
    /// Whether nothing is demanded.
    pub fn is_empty(&self) -> bool {
        // Taken apart, so that a member which is added cannot be forgotten.
        let Self { redactions, limits, reason_required, labels } = self;
        redactions.is_empty() && limits.is_empty() && !reason_required && labels.is_empty()
    }
}
