//! Policies for people: as they are written, and what a decision still depends on.

use cedar_policy::{Effect, PartialEntities, PartialEntityUid, PartialRequest, Policy, PolicyId};
use quaymaster_core::Actor;

use super::entities::{Placed, actor_uid};
use super::slice::{Slice, could_be_for};
use super::source::mentions_context;

/// A policy as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// Its id.
    pub id: String,
    /// Where, as `file:line`; nowhere if it was made of a connector's `access` or `approval`.
    pub place: Option<String>,
    /// Its text.
    pub text: String,
}

/// A policy whose effect on an actor's calls depends on the context alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Residual {
    /// Its id.
    pub id: String,
    /// Whether it permits; else it forbids.
    pub permits: bool,
    /// Whether an approval has a part in it.
    pub approval: bool,
    /// Its text.
    pub text: String,
    /// Where it is written, as [`Written::place`].
    pub place: Option<String>,
}

impl Slice {
    pub(super) fn written(&self, id: &str) -> Option<Written> {
        let id = PolicyId::new(id);
        let policy = self.set.policy(&id)?;
        let place = self.notes.get(&id).and_then(|notes| notes.place.clone());
        Some(Written { id: id.to_string(), place, text: policy.to_string() })
    }

    /// The policies that are neither true nor false of the actor and the tool alone, sorted by id.
    pub(super) fn residuals(&self, actor: &Actor) -> Vec<Residual> {
        let mut residuals = self.open_policies(actor).unwrap_or_else(|| self.conditional_policies(actor));
        residuals.sort_by(|a, b| a.id.cmp(&b.id));
        residuals
    }

    fn open_policies(&self, actor: &Actor) -> Option<Vec<Residual>> {
        let place = Placed::of(&self.places, actor).filter(|_| self.typed)?;
        let entities = PartialEntities::from_concrete(place.entities(actor).ok()?, &self.schema).ok()?;
        let request = PartialRequest::new(
            PartialEntityUid::from_concrete(actor_uid(actor).ok()?),
            self.action.clone(),
            PartialEntityUid::from_concrete(place.tool.uid()),
            None,
            &self.schema,
        )
        .ok()?;
        let response = self.set.tpe(&request, &entities, &self.schema).ok()?;
        let open = response.residual_permits().chain(response.residual_forbids());
        Some(open.filter_map(|id| self.residual(id)).collect())
    }

    /// The same where the types of the arguments are not known: those that ask the context at all.
    fn conditional_policies(&self, actor: &Actor) -> Vec<Residual> {
        let asks = |policy: &&Policy| mentions_context(policy) && could_be_for(policy, actor);
        self.set.policies().filter(asks).filter_map(|policy| self.residual(policy.id())).collect()
    }

    fn residual(&self, id: &PolicyId) -> Option<Residual> {
        let policy = self.set.policy(id)?;
        let Written { id: name, place, text } = self.written(id.as_ref())?;
        let approval = self.notes.get(id).is_some_and(|notes| notes.approval.is_some());
        Some(Residual { id: name, permits: policy.effect() == Effect::Permit, approval, text, place })
    }
}
