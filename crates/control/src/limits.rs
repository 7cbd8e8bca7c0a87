//! Limits: how often, how many at once and how much, for what configuration and policies name.
//!
//! What can be written is in `quaymaster_core::limit`, and the same in both places. A limit is counted by
//! what it says it is (`by`), never by connection, session, token or address, so more of those give
//! nobody more. Rates ([`rate`]) and places ([`places`]) are counted in this process; quotas
//! ([`quota`]) in the store, over all processes and restarts.
//!
//! Invariants:
//! - A call that one of its limits refuses uses up none of its quotas.
//! - No more of a quota of calls is used than it has. Of rows, tokens and cost, which are known when a
//!   call has ended, at most what the calls bring that ran when it was used up.
//! - Whoever floods a limit with names evicts nobody's count.
//! - Of a limit that several share nobody keeps all while others are refused.

mod places;
mod quota;
mod rate;
mod rule;
mod usage;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use quaymaster_catalog::Tool;
use quaymaster_core::error::LimitLeft;
use quaymaster_core::{
    Actor, ActorId, Allowance, CallError, Clock, Effect, ErrorCode, Limit, LimitScope, Measure, Period,
};
use quaymaster_store::Store;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::output::SafeOutput;
use crate::policy::Decision;

use places::{Places, Seat};
use quota::{Quotas, Share};
use rate::Rates;
pub use rule::{LimitRule, Selection};
use usage::usage;

/// How often old periods are put away.
const UPKEEP: Duration = Duration::from_hours(6);

/// What was counted so far; one for a process, whatever configuration is at work.
#[derive(Debug)]
pub struct Counts {
    rates: Rates,
    places: Arc<Places>,
    quotas: Arc<Quotas>,
}

impl Counts {
    /// Forgets the periods of quotas that are long over, until `stop`.
    pub async fn keep(self: Arc<Self>, stop: CancellationToken) {
        while !stop.is_cancelled() {
            if let Err(error) = self.quotas.forget().await {
                tracing::error!(event = "limit.keep", %error, "old periods of quotas could not be put away");
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = sleep(UPKEEP) => {}
            }
        }
    }

    /// Counts that keep quotas in `store`.
    pub fn new(store: Store, clock: Arc<dyn Clock>) -> Self {
        Self { rates: Rates::default(), places: Arc::default(), quotas: Arc::new(Quotas::new(store, clock)) }
    }
}

/// The limits of a configuration.
#[derive(Clone, Debug)]
pub struct Limits {
    rules: Arc<[LimitRule]>,
    counts: Arc<Counts>,
}

/// One limit that bears on a call, under the name that it is counted by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Bound {
    /// What the caller and the audit are told: the rule's name, or the policy's.
    name: String,
    limit: Limit,
    key: String,
    /// Whether several principals are counted together.
    shared: bool,
}

/// What a call holds of its limits; given back when it is dropped, but for what was used.
#[derive(Debug, Default)]
pub(crate) struct Held {
    bounds: Vec<Bound>,
    seats: Vec<Seat>,
    shares: Vec<Share>,
}

impl Limits {
    /// The limits that `rules` set.
    pub fn new(rules: Vec<LimitRule>, counts: Arc<Counts>) -> Self {
        Self { rules: rules.into(), counts }
    }

    /// The limits that bear on a call, in a fixed order.
    pub(crate) fn bearing(&self, actor: &Actor, tool: &Tool, decision: Option<&Decision>) -> Vec<Bound> {
        bounds_of(&self.rules, actor, tool, decision)
    }

    /// Takes what a call needs of each limit that bears on it.
    pub(crate) async fn take(&self, bounds: &[Bound], who: &ActorId) -> Result<Held, CallError> {
        let mut held = Held::default();
        for bound in bounds {
            if let Allowance::Concurrency { calls } = bound.limit.allowance {
                let seat = self.counts.places.enter((&bound.key, calls, bound.shared), who, Instant::now());
                held.seats.push(seat.map_err(|after| bound.refused(0, after))?);
            }
        }
        self.counts.rates.take(bounds, who).map_err(|(bound, after)| bound.refused(0, after))?;
        for bound in bounds {
            let Allowance::Quota { most, per, .. } = bound.limit.allowance else { continue };
            if per == Period::Call {
                continue;
            }
            let quotas = &self.counts.quotas;
            match Box::pin(quotas.take(&bound.key, most.get(), per)).await? {
                Ok(share) => held.shares.push(share),
                Err((left, after)) => return Err(bound.refused(left, after)),
            }
        }
        Ok(held)
    }
}

fn bounds_of(rules: &[LimitRule], actor: &Actor, tool: &Tool, decision: Option<&Decision>) -> Vec<Bound> {
    let configured = rules.iter().filter(|rule| rule.only.fits(actor, tool));
    let configured = configured.map(|rule| (rule.name.to_string(), rule.limit));
    let demanded = decision.into_iter().flat_map(|decision| &decision.obligations.limits);
    let demanded = demanded.map(|demand| (format!("policy {}", demand.policy), demand.limit));
    configured.chain(demanded).map(|(name, limit)| Bound::new(name, limit, actor, tool)).collect()
}

impl Bound {
    fn new(name: String, limit: Limit, actor: &Actor, tool: &Tool) -> Self {
        let roles = || actor.roles.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
        let of = match limit.by {
            LimitScope::Actor => actor.id.to_string(),
            LimitScope::Role => roles(),
            LimitScope::Tool => tool.name().to_string(),
            LimitScope::Connector => tool.declaration().connector.to_string(),
            LimitScope::Workspace => String::new(),
        };
        // No part but the last has a line end, so no two limits share a key.
        let key = format!("{name}\n{limit}\n{}\n{of}", actor.workspace);
        Self { name, limit, key, shared: limit.by != LimitScope::Actor }
    }

    /// As the audit names it.
    pub(crate) fn described(&self) -> String {
        format!("{}: {}", self.name, self.limit)
    }

    fn refused(&self, left: u64, after: Duration) -> CallError {
        let (code, what) = match self.limit.allowance {
            Allowance::Rate { .. } => (ErrorCode::LimitRate, "too many calls in a short time"),
            Allowance::Concurrency { .. } => (ErrorCode::LimitConcurrency, "too many calls at once"),
            Allowance::Quota { measure: Measure::Calls, .. } => {
                (ErrorCode::LimitQuota, "the quota is used up")
            }
            Allowance::Quota { .. } => (ErrorCode::LimitBudget, "the budget is used up"),
        };
        let limit = LimitLeft { name: self.name.clone(), limit: self.limit.to_string(), left };
        CallError::new(code, format!("{what}: `{}` of `{}`", self.limit, self.name))
            .retry_after(after)
            .limited_by(limit)
    }

    fn too_much(&self, most: u64, brought: u64) -> CallError {
        let measure = match self.limit.allowance {
            Allowance::Quota { measure, .. } => measure.as_str(),
            _ => "calls",
        };
        let message =
            format!("the result has {brought} {measure}, and `{}` lets {most} pass at once", self.name);
        CallError::new(ErrorCode::LimitBudget, message).hint("ask for less at once")
    }
}

impl Held {
    /// The same with what it is held of.
    pub(crate) fn bound_by(self, bounds: Vec<Bound>) -> Self {
        Self { bounds, ..self }
    }

    /// Settles what is known only when a call has ended, and withholds a read that brings too much.
    ///
    /// Whoever made a write is told what came of it whatever it brings.
    pub(crate) async fn settle(
        &mut self,
        effect: Option<Effect>,
        outcome: Result<SafeOutput, CallError>,
    ) -> Result<SafeOutput, CallError> {
        // It ran, however it ended: what was taken is used.
        let measured = self.bounds.iter().any(|bound| bound.measure().is_some());
        let used = match &outcome {
            Ok(safe) if measured => usage(&safe.result),
            _ => BTreeMap::new(),
        };
        let quotas = self.bounds.iter().filter(|bound| bound.has_share());
        for (bound, share) in quotas.zip(&mut self.shares) {
            // A call counts once; of what it brought nothing if it brought nothing.
            let amount = bound.measure().map_or(1, |measure| used.get(&measure).copied().unwrap_or(0));
            Box::pin(share.settle(amount)).await;
        }
        let excess = self.bounds.iter().find_map(|bound| match bound.limit.allowance {
            Allowance::Quota { measure, most, per: Period::Call } => {
                let brought = used.get(&measure).copied().unwrap_or(0);
                (brought > most.get()).then(|| bound.too_much(most.get(), brought))
            }
            _ => None,
        });
        match excess {
            Some(error) if effect == Some(Effect::Read) => Err(error),
            _ => outcome,
        }
    }
}

impl Bound {
    /// What is counted that a call brings, if it is not the call.
    fn measure(&self) -> Option<Measure> {
        match self.limit.allowance {
            Allowance::Quota { measure, .. } => Some(measure).filter(|measure| *measure != Measure::Calls),
            _ => None,
        }
    }

    fn has_share(&self) -> bool {
        matches!(self.limit.allowance, Allowance::Quota { per: Period::Day | Period::Month, .. })
    }
}

#[cfg(test)]
mod tests {
    use quaymaster_core::connector::Access;
    use quaymaster_core::setting::Slug;
    use quaymaster_core::tool::ResultForm;
    use quaymaster_core::{Classification, DataClass, ToolDeclaration, ToolName};
    use serde_json::json;

    use super::*;
    use crate::policy::PolicyLimit;

    /// A tool of the connector `crm`, and an actor who has two roles.
    fn tool_and_actor() -> (Arc<Tool>, Actor) {
        let slug = |name: &str| Slug::parse(name).expect("a name");
        let declaration = ToolDeclaration {
            offer: quaymaster_core::Offer::Tool,
            connector: slug("crm"),
            version: "1.0.0".into(),
            workspaces: [slug("sales")].into(),
            name: ToolName::parse("crm_refund").expect("a name"),
            local_name: "refund".into(),
            title: None,
            description: "Refunds.".into(),
            effect: Effect::Write,
            input_schema: json!({"type": "object"}),
            output_schema: None,
            form: ResultForm::Upstream,
            access: Access { roles: vec![], workspaces: None },
            approval: None,
            briefing: Arc::default(),
            idempotency: None,
            fixed: serde_json::Map::new(),
            defaults: serde_json::Map::new(),
            classification: Arc::new(Classification {
                default: DataClass::Public,
                columns: vec![],
                fields: vec![],
            }),
            passed_on: serde_json::Map::new(),
            tasks: false,
            definition: None,
            quarantined: None,
            trust: quaymaster_core::Trust::Internal,
            destination: quaymaster_core::Destination::Internal,
        };
        let (catalogue, _) = quaymaster_catalog::Catalogue::build(vec![declaration]);
        let actor = Actor {
            id: named("ada"),
            person: None,
            roles: [slug("analyst"), slug("support")].into(),
            groups: [].into(),
            workspace: slug("sales"),
            clearance: DataClass::Public,
            authentication: quaymaster_core::Authentication::LocalUser,
        };
        let tool = catalogue.offers().next().map(Arc::clone).expect("a tool");
        (tool, actor)
    }

    #[test]
    fn what_policies_demand_is_counted_for_the_policy_that_demands_it() {
        let (tool, actor) = tool_and_actor();
        let limit = |text: &str| Limit::parse(text).expect("a limit");
        let demand = |policy: &str, text: &str| PolicyLimit { policy: policy.into(), limit: limit(text) };
        let mut decision = Decision::default_deny();
        decision.obligations.limits =
            [demand("a", "5/1m by tool"), demand("b", "5/1m by tool"), demand("b", "rows 5 by role")].into();
        let rules = [LimitRule {
            name: Slug::parse("mine").expect("a name"),
            only: Selection::default(),
            limit: limit("concurrent 2 by workspace"),
        }];
        let bounds = bounds_of(&rules, &actor, &tool, Some(&decision));
        let keys: Vec<&str> = bounds.iter().map(|bound| bound.key.as_str()).collect();
        assert_eq!(
            keys,
            [
                "mine\nconcurrent 2 by workspace\nsales\n",
                "policy a\n5/1m by tool\nsales\ncrm_refund",
                "policy b\n5/1m by tool\nsales\ncrm_refund",
                "policy b\nrows 5 by role\nsales\nanalyst,support",
            ]
        );
        assert_eq!(bounds.get(1).map(Bound::described).as_deref(), Some("policy a: 5/1m by tool"));
    }

    pub(super) fn named(name: &str) -> ActorId {
        ActorId::parse(name).expect("a name")
    }

    pub(super) fn bound(text: &str, key: &str) -> Bound {
        let limit = Limit::parse(text).expect("a limit");
        Bound { name: "a-rule".into(), limit, key: key.into(), shared: limit.by != LimitScope::Actor }
    }
}
