//! What of a tool an actor may know: that it is there, and what would be permitted.

use std::collections::BTreeSet;
use std::sync::Arc;

use cedar_policy::{
    Context, Decision as Verdict, Effect, PartialEntities, PartialEntityUid, PartialRequest, Policy,
    PrincipalConstraint, RestrictedExpression,
};
use quaymaster_core::{Actor, ActorId, Timestamp};

use super::Slice;
use crate::policy::aside::Aside;
use crate::policy::context::time_of;
use crate::policy::entities::{Placed, actor_uid};

impl Slice {
    /// Whether some arguments could be permitted, now, at another time or after an approval, and
    /// nothing forbids that the actor knows of the tool.
    pub(in crate::policy) fn could_permit(&self, actor: &Actor) -> bool {
        let Some(place) = Placed::of(&self.places, actor) else { return false };
        may(self.lists.as_ref(), actor, place, Context::empty()) && self.could_call(actor, place)
    }

    /// Whether something is said of fields at all.
    pub(in crate::policy) fn restricts_fields(&self) -> bool {
        self.fields.is_some()
    }

    /// Whether `actor` sees what is called `field`, as far as policy has a say.
    pub(in crate::policy) fn sees_field(&self, actor: &Actor, field: &str) -> bool {
        let Some(fields) = &self.fields else { return true };
        let Some(place) = Placed::of(&self.places, actor) else { return false };
        let known = self.seen_fields.get_or_make(actor, Arc::default);
        let field = field.to_owned();
        if let Some(sees) = known.get(&field) {
            return sees;
        }
        let name = RestrictedExpression::new_string(field.clone());
        let context = Context::from_pairs([("field".to_owned(), name)]);
        let sees = context.is_ok_and(|context| may(Some(fields), actor, place, context));
        known.insert(field, sees);
        sees
    }

    /// Whether nothing forbids that `decider` decides on a call that `requester` asked for.
    pub(in crate::policy) fn may_approve(&self, decider: &Actor, requester: &ActorId, at: Timestamp) -> bool {
        let Some(place) = Placed::of(&self.places, decider) else { return false };
        let context = approval_context(place, requester, at);
        context.is_ok_and(|context| may(self.approves.as_ref(), decider, place, context))
    }

    fn could_call(&self, actor: &Actor, place: &Placed) -> bool {
        let mut permits = self.set.policies().filter(|policy| policy.effect() == Effect::Permit);
        if !permits.any(|permit| could_be_for(permit, actor)) {
            return false;
        }
        if !self.typed {
            return true;
        }
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

/// Whether `actor` may do something beside calls; all may of which nothing is said.
fn may(aside: Option<&Aside>, actor: &Actor, place: &Placed, context: Context) -> bool {
    let Some(aside) = aside else { return true };
    match (actor_uid(actor), place.entities(actor)) {
        (Ok(principal), Ok(entities)) => aside.permits(principal, place.tool.uid(), context, &entities),
        _ => false,
    }
}

fn approval_context(place: &Placed, requester: &ActorId, at: Timestamp) -> Result<Context, String> {
    let text = |text: &str| RestrictedExpression::new_string(text.to_owned());
    let pairs = [
        ("environment".to_owned(), text(&place.environment)),
        ("requester".to_owned(), text(requester.as_str())),
        ("time".to_owned(), time_of(&place.zone, at)?),
    ];
    Context::from_pairs(pairs).map_err(|e| e.to_string())
}

/// Whether the principal that a policy names is this actor, its workspace or one of its roles.
pub(in crate::policy) fn could_be_for(policy: &Policy, actor: &Actor) -> bool {
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
