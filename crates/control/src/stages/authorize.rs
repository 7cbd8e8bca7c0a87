//! Whether this actor may make this call: arguments valid, policy in favour.

use quaymaster_catalog::Call;
use quaymaster_core::{CallError, ErrorCode};

use super::Rulebook;
use super::facts::{Facts, Refused};
use super::guards::Guards;
use crate::incident::Called;
use crate::policy::{Decision, DecisionEffect};

/// A call that policy allows, perhaps after somebody has agreed.
#[derive(Debug)]
pub struct Authorized {
    pub(super) facts: Facts,
}

/// Looks for a switch that stops the call, checks the arguments and asks policy.
///
/// # Errors
///
/// [`Refused`] with `incident.stopped`, `input.invalid` or `policy.denied`; with `audit.unavailable` if
/// nobody can say whether a switch stands.
pub async fn authorize(call: Call, rulebook: &Rulebook, guards: &Guards) -> Result<Authorized, Refused> {
    let entered = guards.incidents.enter(call.request().id.clone(), Called::of(&call)).await;
    let (request, tool) = call.into_parts();
    let mut facts = Facts { tool: Some(tool), ..Facts::of(request) };
    match entered {
        Ok(running) => facts.running = Some(running),
        Err((error, switch)) => {
            facts.incident = switch.map(|switch| switch.id);
            return Err(Refused::new(facts, error));
        }
    }
    decide(facts, rulebook)
}

/// Checks the arguments and asks policy.
fn decide(mut facts: Facts, rulebook: &Rulebook) -> Result<Authorized, Refused> {
    let Some(tool) = facts.tool.clone() else {
        let error = CallError::new(ErrorCode::GatewayInternal, "the call has no tool");
        return Err(Refused::new(facts, error));
    };
    let arguments = match tool.check_arguments(&facts.request) {
        Ok(arguments) => arguments,
        Err(error) => return Err(Refused::new(facts, error)),
    };
    let decision = rulebook.policies().decide(&facts.request.actor, &tool, &arguments, &facts.request.agent);
    let denied = (decision.effect == DecisionEffect::Deny).then(|| denial(&decision));
    facts.rules = rulebook.policies().digest(&tool);
    facts.arguments = Some(arguments);
    facts.decision = Some(decision);
    match denied {
        Some(error) => {
            let hints = rulebook.policies().permit_reasons(&facts.request.actor, &tool);
            Err(Refused::new(facts, if hints.is_empty() { error } else { error.hint(hints.join("; ")) }))
        }
        None => Ok(Authorized { facts }),
    }
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
