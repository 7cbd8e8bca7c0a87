//! The path of one call, from top to bottom. There is no other path: clients,
//! workflows, tests and the command line all enter at [`call`].
//!
//! ```text
//! request → admission  → room for one more                        else gateway.overloaded
//!         → resolve    → Call        the actor may see the tool   else tool.not_found
//!         → authorize  → Authorized  no switch stands against it  else incident.stopped
//!                                    its definition is accepted   else tool.quarantined
//!                                    arguments valid, policy in   else input.invalid, policy.denied,
//!                                    favour, within limits        limit.*
//!         → approve    → Approved    nobody has to agree, or somebody has (`Grant`)
//!                                                                 else parked: approval.required
//!         → reserve    → Reserved    a write that nobody makes or has made; else its first receipt,
//!                                    idempotency.conflict, upstream.outcome_unknown
//!         → record     → Permit      the intent is in the audit   else audit.unavailable
//!         → invoke     → RawOutput and Receipt, once; `voice` says what may be asked meanwhile
//!         → release    → SafeOutput  what this actor may have     else release.refused
//!         → label      → Ran         whoever asked is labelled for what they see; else it is withheld
//!         → close      → Reply       the outcome is in the audit
//! ```
//!
//! Every arrow takes the value before it *by value*, and no value can be made
//! except by the stage that stands here, so a stage cannot be left out, changed
//! in order or taken twice: it would not compile (`crates/control/tests/ui`).
//!
//! What this module does not do: speak a protocol (`ingress`), decide
//! (`quaymaster_control`), reach a system (`quaymaster_connectors`).

use quaymaster_connectors::Wire;
use quaymaster_control::approval::Grant;
use quaymaster_control::{
    Ended, Permit, Refused, approve, authorize, close, label, label_again, record, release, reserve, voice,
};
use quaymaster_core::{CallRequest, Reply};
use quaymaster_operations::metrics::CallMetrics;

use crate::admission::Admission;
use crate::plane::Plane;

/// Governs and runs one call; with a `grant`, one that was parked and somebody has agreed to.
///
/// Must be driven to its end whatever becomes of the client: `close` is what
/// makes the evidence whole. Refusals and failures are replies too.
pub(crate) async fn call(
    plane: &Plane,
    (admission, metrics): (&Admission, &CallMetrics),
    request: CallRequest,
    grant: Option<&Grant>,
    wire: &Wire,
) -> Reply {
    let (clock, received) = (&plane.evidence.clock, request.received);
    let _room = match admission.enter(&request.actor.id) {
        Ok(room) => room,
        Err(error) => return close(Refused::at_the_door(request, error).into(), &plane.evidence).await,
    };
    let mut waited = None;
    let ended = match permitted(plane, request, grant).await {
        Ok(permit) => {
            let voice = voice(&permit, &plane.rulebook, &plane.guards.flow, wire.listening()).await;
            let asked = clock.now();
            let (raw, receipt) = plane.connectors.invoke(permit, voice, wire).await;
            waited = Some(clock.now().since(asked));
            let safe = release(raw, &receipt, &plane.rulebook);
            label(receipt, safe, &plane.guards.flow).await
        }
        Err(ended) => label_again(ended, &plane.guards.flow, wire.listening()).await,
    };
    let reply = close(ended, &plane.evidence).await;
    if let Some(waited) = waited {
        metrics.added(clock.now().since(received).saturating_sub(waited));
    }
    reply
}

/// Everything that must hold before a call may run.
async fn permitted(plane: &Plane, request: CallRequest, grant: Option<&Grant>) -> Result<Permit, Ended> {
    let call = plane.reached(&request.actor, &request.reach).resolve(request).map_err(Refused::from)?;
    let authorized = authorize(call, &plane.rulebook, &plane.guards).await?;
    let approved = approve(authorized, grant, &plane.people.approvals, &plane.evidence).await?;
    let reserved = reserve(approved, &plane.guards.ledger, &plane.evidence).await?;
    Ok(record(reserved, &plane.evidence).await?)
}
