//! What a policy comes to whatever the context of a call, found out once at load.
//!
//! By type-aware partial evaluation, which takes too long to be done for every list. What a policy
//! comes to for whoever its scope lets in is asked for somebody whom all scopes let in; so this is
//! for policies alone whose conditions do not speak of who asks.

use std::collections::{BTreeSet, HashMap};

use cedar_policy::{
    Decision as Verdict, Effect, Entities, EntityUid, PartialEntities, PartialEntityUid, PartialRequest,
    PolicyId, PolicySet, Schema,
};

use crate::policy::entities::{Placed, anybody};
use crate::policy::source::SourcePolicy;

/// What a policy comes to for those whom its scope lets in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outlook {
    /// It holds, whatever the context.
    Holds,
    /// It never holds.
    Never,
    /// That depends on the context.
    Depends,
    /// It always fails to evaluate.
    Fails,
}

/// What policies are asked about beforehand.
#[derive(Debug)]
pub(super) struct Forecast<'a> {
    pub(super) schema: &'a Schema,
    pub(super) action: &'a EntityUid,
    pub(super) places: &'a [Placed],
}

impl Forecast<'_> {
    /// What each of `policies` comes to in each place, for somebody in all of `roles`.
    pub(super) fn outlooks<'p>(
        &self,
        policies: impl Iterator<Item = &'p SourcePolicy>,
        roles: &BTreeSet<&str>,
    ) -> Result<HashMap<PolicyId, Vec<Outlook>>, String> {
        let set = PolicySet::from_policies(policies.map(|source| source.policy.clone()))
            .map_err(|e| e.to_string())?;
        let mut found: HashMap<PolicyId, Vec<Outlook>> = HashMap::new();
        for place in self.places {
            let (principal, entities) = anybody(place, roles)?;
            for (id, outlook) in self.of_place(&set, place, principal, entities)? {
                found.entry(id).or_default().push(outlook);
            }
        }
        Ok(found)
    }

    /// What each policy of `set` comes to for `principal`, with the context unknown.
    pub(super) fn of_place(
        &self,
        set: &PolicySet,
        place: &Placed,
        principal: EntityUid,
        entities: Entities,
    ) -> Result<Vec<(PolicyId, Outlook)>, String> {
        if set.is_empty() {
            return Ok(Vec::new());
        }
        let entities = PartialEntities::from_concrete(entities, self.schema).map_err(|e| e.to_string())?;
        let request = PartialRequest::new(
            PartialEntityUid::from_concrete(principal),
            self.action.clone(),
            PartialEntityUid::from_concrete(place.tool.uid()),
            None,
            self.schema,
        )
        .map_err(|e| e.to_string())?;
        let response = set.tpe(&request, &entities, self.schema).map_err(|e| e.to_string())?;
        let all = [
            (response.true_permits().collect::<Vec<_>>(), Outlook::Holds),
            (response.true_forbids().collect(), Outlook::Holds),
            (response.false_permits().collect(), Outlook::Never),
            (response.false_forbids().collect(), Outlook::Never),
            (response.error_permits().collect(), Outlook::Fails),
            (response.error_forbids().collect(), Outlook::Fails),
            (response.residual_permits().collect(), Outlook::Depends),
            (response.residual_forbids().collect(), Outlook::Depends),
        ];
        let named = |(ids, outlook): (Vec<&PolicyId>, Outlook)| {
            ids.into_iter().map(|id| (id.clone(), outlook)).collect::<Vec<_>>()
        };
        Ok(all.into_iter().flat_map(named).collect())
    }
}

/// What several policies come to together: whether some call could be permitted.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Prospect {
    permitted: bool,
    forbidden: bool,
}

impl Prospect {
    pub(super) fn add(&mut self, effect: Effect, outlook: Outlook) {
        match (effect, outlook) {
            (Effect::Permit, Outlook::Holds | Outlook::Depends) => self.permitted = true,
            // A forbid that cannot be evaluated denies.
            (Effect::Forbid, Outlook::Holds | Outlook::Fails) => self.forbidden = true,
            _ => {}
        }
    }

    /// Nothing that is added would permit any more.
    pub(super) fn is_forbidden(self) -> bool {
        self.forbidden
    }

    /// Whether some call could be permitted.
    pub(super) fn verdict(self) -> Verdict {
        if self.permitted && !self.forbidden { Verdict::Allow } else { Verdict::Deny }
    }
}
