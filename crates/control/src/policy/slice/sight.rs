//! What of a tool an actor may know: that it is there, and what would be permitted.

use std::collections::BTreeSet;

use cedar_policy::{
    Decision as Verdict, Effect, PartialEntities, PartialEntityUid, PartialRequest, Policy,
    PrincipalConstraint,
};
use quaymaster_core::Actor;

use super::Slice;
use crate::policy::entities::{Placed, actor_uid};

impl Slice {
    /// Whether some arguments could be permitted, now, at another time or after an approval.
    pub(in crate::policy) fn could_permit(&self, actor: &Actor) -> bool {
        let Some(place) = Placed::of(&self.places, actor) else { return false };
        let partial = || -> Result<bool, String> {
            let entities = place.entities(actor)?;
            let entities =
                PartialEntities::from_concrete(entities, &self.schema).map_err(|e| e.to_string())?;
            let request = PartialRequest::new(
                PartialEntityUid::from_concrete(actor_uid(actor)?),
                self.action.clone(),
                PartialEntityUid::from_concrete(place.tool.uid()),
                None,
                &self.schema,
            )
            .map_err(|e| e.to_string())?;
            let response = self.set.tpe(&request, &entities, &self.schema).map_err(|e| e.to_string())?;
            Ok(response.decision() != Some(Verdict::Deny) && response.error_forbids().next().is_none())
        };
        partial().unwrap_or_else(|error| {
            tracing::error!(event = "policy.view", tool = %place.tool.uid(), error, "a tool is hidden because its policies cannot be evaluated");
            false
        })
    }

    /// The reasons of the permits that could be for this actor, for a hint to whoever was
    /// denied. What is for others is none of this actor's business.
    pub(in crate::policy) fn permit_reasons(&self, actor: &Actor) -> Vec<String> {
        let permits = self.set.policies().filter(|p| p.effect() == Effect::Permit && could_be_for(p, actor));
        let reasons: BTreeSet<String> =
            permits.filter_map(|p| self.notes.get(p.id())?.reason.clone()).collect();
        reasons.into_iter().collect()
    }
}

/// Whether the principal that a policy names is this actor, its workspace or one of its roles.
fn could_be_for(policy: &Policy, actor: &Actor) -> bool {
    let named = match policy.principal_constraint() {
        PrincipalConstraint::Any | PrincipalConstraint::Is(_) => return true,
        PrincipalConstraint::In(named)
        | PrincipalConstraint::Eq(named)
        | PrincipalConstraint::IsIn(_, named) => named,
    };
    let id = named.id().unescaped();
    match named.type_name().to_string().as_str() {
        "Actor" => id == actor.id.as_str(),
        "Role" => actor.roles.iter().any(|role| role.as_str() == id),
        "Workspace" => id == actor.workspace.as_str(),
        _ => false,
    }
}
