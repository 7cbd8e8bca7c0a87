//! Whether this actor may make this call: covered by its credentials, arguments valid, policy in favour.

use std::sync::Arc;

use quaymaster_catalog::{Call, CheckedArguments, Tool};
use quaymaster_core::{CallError, ErrorCode, SessionId};

use super::Rulebook;
use super::facts::{Facts, Refused};
use super::given::{look_through, put_back};
use super::guards::Guards;
use crate::flow::Seen;
use crate::incident::Called;
use crate::limits::Bound;
use crate::policy::{Circumstances, Decision, DecisionEffect};

/// A call that policy allows, perhaps after somebody has agreed.
#[derive(Debug)]
pub struct Authorized {
    pub(super) facts: Facts,
}

/// Looks for a switch that stops the call and whether the tool is quarantined, checks the scopes and the arguments, asks policy, and takes
/// what the call needs of its limits.
///
/// # Errors
///
/// [`Refused`] with `incident.stopped`, `tool.quarantined`, `auth.scope`, `input.invalid`, `policy.denied`, `limit.rate`,
/// `limit.concurrency`, `limit.quota` or `limit.budget`; with `audit.unavailable` if nobody can say
/// whether a switch stands or what is left of a quota.
pub async fn authorize(call: Call, rulebook: &Rulebook, guards: &Guards) -> Result<Authorized, Refused> {
    let entered = guards.incidents.enter(call.request().id.clone(), Called::of(&call)).await;
    let (request, tool) = call.into_parts();
    let mut facts = Facts { tool: Some(Arc::clone(&tool)), ..Facts::of(request) };
    match entered {
        Ok(running) => facts.running = Some(running),
        Err((error, switch)) => {
            facts.incident = switch.map(|switch| switch.id);
            return Err(Refused::new(facts, error));
        }
    }
    if let Some(why) = tool.quarantine() {
        return Err(Refused::new(facts, quarantined(why)));
    }
    let counts = rulebook.policies().asks_labels(&tool);
    match guards.flow.seen_by(&facts.request, counts).await {
        Ok(seen) => facts.seen = seen,
        Err(error) => return Err(Refused::new(facts, error)),
    }
    within_limits(decide(facts, &tool, rulebook)?, guards).await
}

fn quarantined(why: &str) -> CallError {
    CallError::new(ErrorCode::ToolQuarantined, format!("the tool is quarantined: {why}"))
        .hint("nothing that you change helps: a person has to look at the tool's definition and accept it")
}

/// Takes what the call needs of the limits that bear on it.
async fn within_limits(authorized: Authorized, guards: &Guards) -> Result<Authorized, Refused> {
    let mut facts = authorized.facts;
    let actor = &facts.request.actor;
    let bearing = |tool| guards.limits.bearing(actor, tool, facts.decision.as_ref());
    let bounds = facts.tool.as_deref().map(bearing).unwrap_or_default();
    if bounds.is_empty() {
        return Ok(Authorized { facts });
    }
    let taken = guards.limits.take(&bounds, &actor.id).await;
    facts.limits = bounds.iter().map(Bound::described).collect();
    match taken {
        Ok(held) => {
            facts.held = held.bound_by(bounds);
            Ok(Authorized { facts })
        }
        Err(error) => Err(Refused::new(facts, error)),
    }
}

/// Checks the scopes and the arguments, and asks policy.
fn decide(mut facts: Facts, tool: &Tool, rulebook: &Rulebook) -> Result<Authorized, Refused> {
    if let Some(scope) = facts.request.actor.lacks_scopes(tool.declaration().effect) {
        return Err(Refused::new(facts, CallError::lacking(scope)));
    }
    facts.redactor = rulebook.redactor().cloned();
    let CheckedArguments { arguments, reason } = match check(&mut facts, tool, rulebook) {
        Ok(checked) => checked,
        Err(error) => return Err(Refused::new(facts, error)),
    };
    let request = &facts.request;
    let circumstances = Circumstances {
        session: request.session.as_ref().map(SessionId::as_str),
        reason: reason.as_deref(),
        labels: facts.labels(),
        ..Circumstances::new(&request.agent, request.received)
    };
    let decision = rulebook.policies().decide(&request.actor, tool, &arguments, &circumstances);
    let by_flow = !circumstances.labels.is_empty() && decision.effect != DecisionEffect::Allow && {
        let unlabelled = Circumstances { labels: &[], ..circumstances };
        decision.effect != rulebook.policies().decide(&request.actor, tool, &arguments, &unlabelled).effect
    };
    let lacks_reason = decision.obligations.reason_required && reason.is_none();
    facts.reason = reason;
    facts.by_flow = by_flow;
    let denied = (decision.effect == DecisionEffect::Deny).then(|| denial(&decision));
    facts.rules = rulebook.policies().digest(tool);
    facts.arguments = Some(arguments);
    facts.decision = Some(decision);
    match denied {
        Some(error) if by_flow => {
            let error = because_of_flow(error, facts.seen.as_deref());
            Err(Refused::new(facts, error))
        }
        Some(error) => {
            let hints = rulebook.policies().permit_reasons(&facts.request.actor, tool);
            Err(Refused::new(facts, if hints.is_empty() { error } else { error.hint(hints.join("; ")) }))
        }
        None if lacks_reason => Err(Refused::new(facts, without_reason())),
        None => Ok(Authorized { facts }),
    }
}

/// Looks through the arguments for what may not go to the tool, and holds them against its schema: with what
/// placeholders stand for, which nobody sees but the tool.
fn check(facts: &mut Facts, tool: &Tool, rulebook: &Rulebook) -> Result<CheckedArguments, CallError> {
    let Some(rules) = rulebook.field_rules(tool) else { return tool.check_arguments(&facts.request) };
    let effect = tool.effect();
    facts.classified = rules.classified();
    if facts.classified.looks {
        let looked = look_through(facts, effect, rules, rulebook)?;
        facts.classified.logs &= looked.logs;
        if let Some(covered) = looked.covered {
            facts.request.arguments = covered;
        }
    }
    let restored = put_back(facts, &facts.request.arguments, (effect, rules), rulebook)?;
    let Some(restored) = restored else { return tool.check_arguments(&facts.request) };
    let checked = tool.check_restored(&facts.request, &restored)?;
    facts.restored = put_back(facts, &checked.arguments, (effect, rules), rulebook)?;
    Ok(checked)
}

fn without_reason() -> CallError {
    CallError::new(ErrorCode::InputInvalid, "this call needs a business reason")
        .hint("say in the argument `reason`, in one sentence, why it is made")
}

/// The same refusal, with what it is because of.
fn because_of_flow(error: CallError, seen: Option<&Seen>) -> CallError {
    let Some(seen) = seen else { return error };
    let public_message = format!("{}; {}", error.public_message, seen.why());
    CallError { public_message, ..error }.hint(seen.hint())
}

fn denial(decision: &Decision) -> CallError {
    if decision.errors > 0 {
        let message = "a policy could not be evaluated for this call, so it is denied";
        return match decision.reasons.first() {
            Some(reason) => CallError::new(ErrorCode::PolicyDenied, format!("{message}: {reason}")),
            None => CallError::new(ErrorCode::PolicyDenied, message),
        };
    }
    let named = decision.policies.join("`, `");
    let message = match (decision.policies.is_empty(), decision.reasons.is_empty()) {
        (true, _) => "no policy permits this call with these arguments".to_owned(),
        (false, true) => format!("forbidden by policy `{named}`"),
        (false, false) => format!("forbidden by policy `{named}`: {}", decision.reasons.join("; ")),
    };
    CallError::new(ErrorCode::PolicyDenied, message)
}
