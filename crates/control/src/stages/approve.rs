//! Whether somebody has agreed, where policy wants it.
//!
//! Nothing is parked yet: a call that needs an approval is refused with
//! `approval.required`, which is the truth. Parking comes with approvals.

use quaymaster_core::{CallError, ErrorCode, Gate};

use super::authorize::Authorized;
use super::facts::{Facts, Refused};
use crate::policy::DecisionEffect;

/// A call that nobody has to agree to any more.
#[derive(Debug)]
pub struct Approved {
    pub(super) facts: Facts,
}

/// Lets through what needs no approval.
///
/// # Errors
///
/// [`Refused`] with `approval.required`, naming who may decide.
pub fn approve(authorized: Authorized) -> Result<Approved, Refused> {
    let facts = authorized.facts;
    let needed = match facts.decision.as_ref().map(|d| &d.effect) {
        Some(DecisionEffect::Allow) => return Ok(Approved { facts }),
        Some(DecisionEffect::NeedsApproval { gates }) => whose(gates),
        Some(DecisionEffect::Deny) | None => {
            return Err(Refused::new(
                facts,
                CallError::new(ErrorCode::PolicyDenied, "this call was not authorized"),
            ));
        }
    };
    let error = CallError::new(
        ErrorCode::ApprovalRequired,
        format!("{needed} to agree to this call first"),
    )
    .hint("this version cannot hold the call until then: ask that person, or make a call that needs no approval");
    Err(Refused::new(facts, error))
}

/// Whose agreement it takes, up to the verb.
fn whose(gates: &[Gate]) -> String {
    let people: Vec<String> = gates.iter().map(Gate::to_string).collect();
    let one = gates.len() == 1 && gates.iter().all(|gate| gate.quorum.get() == 1);
    format!("{} {}", people.join(" and "), if one { "has" } else { "have" })
}
