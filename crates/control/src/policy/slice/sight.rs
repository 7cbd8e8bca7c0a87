//! What of a tool an actor may know: that it is there, and what would be permitted.

use std::collections::BTreeSet;
use std::sync::Arc;

use cedar_policy::{Context, Decision as Verdict, Effect, Policy, RestrictedExpression};
use quaymaster_core::{Actor, ActorId, Timestamp};

use super::Slice;
use super::audience::could_be_for;
use super::outlook::{Forecast, Prospect};
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

    /// By what was found out at load, and where that depends on more of the actor, by partial
    /// evaluation, which is slow and therefore remembered.
    fn could_call(&self, actor: &Actor, place: &Placed) -> bool {
        let Some(at) = self.places.iter().position(|own| own.workspace == place.workspace) else {
            return false;
        };
        let (mut prospect, mut open) = (Prospect::default(), false);
        for bearing in self.audiences.for_actor(actor) {
            match bearing.outlooks.as_ref().and_then(|outlooks| outlooks.get(at)) {
                Some(outlook) => prospect.add(bearing.source.policy.effect(), *outlook),
                None if self.typed => open = true,
                // Without types nothing can be said of conditions.
                None if bearing.permits() => return true,
                None => {}
            }
        }
        if !open || prospect.is_forbidden() {
            return prospect.verdict() == Verdict::Allow;
        }
        let likeness = self.audiences.likeness(actor);
        self.could_call.get(&likeness).unwrap_or_else(|| {
            let could = self.partially(actor, place);
            self.could_call.insert(likeness, could);
            could
        })
    }

    /// What type-aware partial evaluation says of all policies at once, with the context unknown.
    pub(in crate::policy) fn partially(&self, actor: &Actor, place: &Placed) -> bool {
        let partial = || -> Result<Verdict, String> {
            let forecast = Forecast { schema: &self.schema, action: &self.action, places: &self.places };
            let found = forecast.of_place(&self.set, place, actor_uid(actor)?, place.entities(actor)?)?;
            let mut prospect = Prospect::default();
            for (id, outlook) in found {
                let effect = self.set.policy(&id).map_or(Effect::Forbid, Policy::effect);
                prospect.add(effect, outlook);
            }
            Ok(prospect.verdict())
        };
        let verdict = partial().unwrap_or_else(|error| {
            tracing::error!(event = "policy.view", tool = %place.tool.uid(), error, "a tool is hidden because its policies cannot be evaluated");
            Verdict::Deny
        });
        verdict == Verdict::Allow
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
