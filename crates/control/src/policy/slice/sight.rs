//! What of a tool an actor may know: that it is there, and what would be permitted.

use std::collections::BTreeSet;
use std::sync::Arc;

use cedar_policy::{
    Authorizer, Context, Decision as Verdict, Effect, PartialEntities, PartialEntityUid, PartialRequest,
    Request, RestrictedExpression,
};
use quaymaster_core::{Actor, ActorId, Timestamp};

use super::Slice;
use super::audience::could_be_for;
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
        let Some(likeness) = self.audiences.likeness(actor) else { return self.find_out(actor, place) };
        self.audiences.alike.get(&likeness).unwrap_or_else(|| {
            let could = self.find_out(actor, place);
            self.audiences.alike.insert(likeness, could);
            could
        })
    }

    /// First by what is known without the context, then by partial evaluation, which is slow.
    fn find_out(&self, actor: &Actor, place: &Placed) -> bool {
        let let_in = self.audiences.let_in(actor);
        if !let_in.permits || !self.typed {
            return let_in.permits;
        }
        match self.plainly(actor, place) {
            Some(Verdict::Allow) if !let_in.conditional_forbids => true,
            Some(Verdict::Deny) if !let_in.conditional_permits => false,
            _ => self.partially(actor, place),
        }
    }

    /// What the policies say that ask nothing of the context; nothing if one of them fails.
    fn plainly(&self, actor: &Actor, place: &Placed) -> Option<Verdict> {
        let entities = place.entities(actor).ok()?;
        let (principal, resource) = (actor_uid(actor).ok()?, place.tool.uid());
        let request = Request::new(principal, self.action.clone(), resource, Context::empty(), None).ok()?;
        let response = Authorizer::new().is_authorized(&request, &self.audiences.plain, &entities);
        response.diagnostics().errors().next().is_none().then(|| response.decision())
    }

    /// What type-aware partial evaluation says, with the context unknown.
    pub(in crate::policy) fn partially(&self, actor: &Actor, place: &Placed) -> bool {
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
