//! Whether somebody has agreed, where policy wants it.
//!
//! A call before which a gate stands is parked, and refused with where it waits. It goes on by a
//! [`Grant`] alone, which a process gets for what was agreed to and for nothing else; whatever the
//! agreement was bound to is made again here and compared.

use quaymaster_core::{CallError, ErrorCode};

use super::authorize::Authorized;
use super::close::{Ended, Evidence};
use super::facts::{Facts, Refused, Waited};
use crate::approval::{Approvals, Asked, Grant, binding};
use crate::policy::DecisionEffect;

/// A call that nobody has to agree to any more.
#[derive(Debug)]
pub struct Approved {
    pub(super) facts: Facts,
}

/// Lets through what needs no approval and what was agreed to; parks what waits.
///
/// # Errors
///
/// [`Ended`]: refused with `approval.required` where the call waits, with `approval.rejected`,
/// `approval.expired` or `approval.withdrawn` where it will not run, with `limit.concurrency` where too many
/// wait already; or the result that has waited.
pub async fn approve(
    authorized: Authorized,
    grant: Option<&Grant>,
    approvals: &Approvals,
    evidence: &Evidence,
) -> Result<Approved, Ended> {
    let facts = authorized.facts;
    if let Some(grant) = grant {
        return granted(facts, grant, approvals, evidence).await;
    }
    let gates = match facts.decision.as_ref().map(|d| &d.effect) {
        Some(DecisionEffect::Allow) => return Ok(Approved { facts }),
        Some(DecisionEffect::NeedsApproval { gates }) => gates.clone(),
        Some(DecisionEffect::Deny) | None => return Err(refused(facts, unauthorized())),
    };
    match approvals.ask(&facts, &gates, evidence).await {
        Ok(Asked::Refused(mut error, id)) => {
            if let Some(seen) = facts.seen.as_deref().filter(|_| facts.by_flow) {
                error.public_message = format!("{}; it is asked {}", error.public_message, seen.why());
            }
            Err(refused(Facts { approval: Some(id), ..facts }, error))
        }
        Ok(Asked::Full(error)) => Err(refused(facts, error)),
        Ok(Asked::Answered(answer)) => {
            let facts = Box::new(Facts { approval: Some(answer.id), ..facts });
            Err(Waited { facts, reply: answer.reply, labelled: false }.into())
        }
        Err(error) => Err(refused(facts, error.into())),
    }
}

/// Lets through what needs no approval, and parks nothing: for what cannot wait, such as a watch.
///
/// # Errors
///
/// [`Refused`] with `approval.required`.
pub fn approve_unasked(authorized: Authorized) -> Result<Approved, Refused> {
    let facts = authorized.facts;
    let error = match facts.decision.as_ref().map(|d| &d.effect) {
        Some(DecisionEffect::Allow) => return Ok(Approved { facts }),
        Some(DecisionEffect::NeedsApproval { .. }) => {
            let message = "somebody has to agree to this first, and it cannot wait for them";
            CallError::new(ErrorCode::ApprovalRequired, message)
        }
        Some(DecisionEffect::Deny) | None => unauthorized(),
    };
    Err(Refused::new(facts, error))
}

/// Lets a call through that was agreed to, if it is still the one and everybody agreed who has to now.
/// From here on it may take effect, and no other process runs it.
async fn granted(
    facts: Facts,
    grant: &Grant,
    approvals: &Approvals,
    evidence: &Evidence,
) -> Result<Approved, Ended> {
    let facts = Facts { approval: Some(grant.id().clone()), ..facts };
    let demanded = match facts.decision.as_ref().map(|d| &d.effect) {
        Some(DecisionEffect::Allow) => vec![],
        Some(DecisionEffect::NeedsApproval { gates }) => gates.clone(),
        Some(DecisionEffect::Deny) | None => return Err(refused(facts, unauthorized())),
    };
    let fits = match evidence.subjects.of(&facts.request.actor.id).await {
        Ok(subject) => grant.fits(&binding(&facts, &subject), &demanded),
        Err(error) => return Err(refused(facts, error.into())),
    };
    if !fits {
        let message = "what was agreed to has changed since: the tool, its policies, or who asked";
        return Err(refused(facts, CallError::new(ErrorCode::ApprovalExpired, message)));
    }
    match approvals.begin(grant, evidence).await {
        Ok(true) => Ok(Approved { facts: Facts { granted: true, ..facts } }),
        Ok(false) => {
            let message = "another process has taken this call over";
            Err(refused(facts, CallError::new(ErrorCode::GatewayInternal, message)))
        }
        Err(error) => Err(refused(facts, error.into())),
    }
}

fn refused(facts: Facts, error: CallError) -> Ended {
    Refused::new(facts, error).into()
}

fn unauthorized() -> CallError {
    CallError::new(ErrorCode::PolicyDenied, "this call was not authorized")
}
