//! Whether this actor may make this call: covered by its credentials, arguments valid, policy in favour.

use quaymaster_catalog::Call;
use quaymaster_core::{CallError, ErrorCode};

use super::Rulebook;
use super::facts::{Facts, Refused};
use crate::policy::{Decision, DecisionEffect};

/// A call that policy allows, perhaps after somebody has agreed.
#[derive(Debug)]
pub struct Authorized {
    pub(super) facts: Facts,
}

/// Checks the scopes and the arguments, and asks policy.
///
/// # Errors
///
/// [`Refused`] with `auth.scope`, `input.invalid` or `policy.denied`.
pub fn authorize(call: Call, rulebook: &Rulebook) -> Result<Authorized, Refused> {
    let (request, tool) = call.into_parts();
    let mut facts = Facts { tool: Some(tool.clone()), ..Facts::of(request) };
    if let Some(scope) = facts.request.actor.lacks_scopes(tool.declaration().effect) {
        return Err(Refused::new(facts, CallError::lacking(scope)));
    }
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
