//! Decisions beside those about calls: what is listed, which fields are seen, who decides on
//! requests, who administers.
//!
//! Invariant: a policy that fails to evaluate denies here as well.

use std::collections::BTreeSet;

use cedar_policy::{
    Authorizer, Context, Decision as Verdict, Entities, EntityUid, Policy, PolicyId, PolicySet, Request,
};

use super::action::Action;
use super::entities::uid;
use super::source::SourcePolicy;

/// The policies about one action, where there are any that matter.
#[derive(Debug)]
pub(super) struct Aside {
    set: PolicySet,
    action: EntityUid,
}

impl Aside {
    /// Those of `policies` that are about `action`; none if they leave everything as it is.
    pub(super) fn build(action: Action, policies: &[&SourcePolicy]) -> Result<Option<Self>, String> {
        let about = policies.iter().filter(|policy| policy.actions.contains(&action));
        let mut about: Vec<Policy> = about.map(|policy| policy.policy.clone()).collect();
        if about.is_empty() {
            return Ok(None);
        }
        if action.is_open() {
            let all = "permit (principal, action, resource);";
            about.push(Policy::parse(Some(PolicyId::new("open/all")), all).map_err(|e| e.to_string())?);
        }
        let set = PolicySet::from_policies(about).map_err(|e| e.to_string())?;
        Ok(Some(Self { set, action: uid("Action", action.as_str())? }))
    }

    /// The policies, as they are written.
    pub(super) fn written(&self) -> BTreeSet<String> {
        self.set.policies().map(ToString::to_string).collect()
    }

    /// Whether `principal` may.
    pub(super) fn permits(
        &self,
        principal: EntityUid,
        resource: EntityUid,
        context: Context,
        entities: &Entities,
    ) -> bool {
        let Ok(request) = Request::new(principal, self.action.clone(), resource, context, None) else {
            return false;
        };
        let response = Authorizer::new().is_authorized(&request, &self.set, entities);
        response.decision() == Verdict::Allow && response.diagnostics().errors().next().is_none()
    }
}
