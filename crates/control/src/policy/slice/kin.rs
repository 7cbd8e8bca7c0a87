//! Those whom no policy of a slice can tell apart, and what is the same for all their calls.
//!
//! Invariants:
//! - Whoever shares an entry has the same decision on the same call.
//! - A policy whose scope lets the actor in is among those that decide. The others are false of the
//!   actor, whatever their conditions, and are left out.

use std::sync::OnceLock;

use cedar_policy::{Entities, EntityUid, PolicySet};
use quaymaster_core::Actor;

use super::audience::{Audiences, Bearing, Likeness};
use super::set_of;
use crate::policy::context::Wants;
use crate::policy::decision::Decision;
use crate::policy::entities::{Placed, alike};

/// How many kinds of actors are remembered for one tool.
pub(super) const MAX_KIN: usize = 128;

/// What is the same for all calls of those who are alike.
#[derive(Debug)]
pub(super) struct Kin {
    /// Who asks, as far as the policies can tell.
    pub(super) principal: EntityUid,
    pub(super) entities: Entities,
    /// The policies that let them in.
    pub(super) set: PolicySet,
    /// The permits of these alone, where somebody may agree.
    pub(super) permits: Option<PolicySet>,
    pub(super) wants: Wants,
    /// No policy looks at the context, so what was decided once holds for all calls.
    pub(super) ignores_context: bool,
    pub(super) decided: OnceLock<Decision>,
}

impl Kin {
    /// What holds for those who are like `actor`, and so of `likeness`, in `place`.
    pub(super) fn of(
        audiences: &Audiences,
        likeness: &Likeness,
        actor: &Actor,
        place: &Placed,
    ) -> Result<Self, String> {
        let bearings: Vec<&Bearing> = audiences.for_actor(actor).collect();
        let permits = || bearings.iter().filter(|bearing| bearing.permits()).map(|bearing| &bearing.source);
        let has_gates = bearings.iter().any(|bearing| bearing.source.notes.approval.is_some());
        let (principal, entities) = alike(place, likeness)?;
        Ok(Self {
            principal,
            entities,
            set: set_of(bearings.iter().map(|bearing| &bearing.source))?,
            permits: has_gates.then(|| set_of(permits())).transpose()?,
            wants: bearings.iter().fold(Wants::default(), |wants, bearing| wants.and(bearing.wants)),
            ignores_context: !bearings.iter().any(|bearing| bearing.source.mentions_context),
            decided: OnceLock::new(),
        })
    }
}
