//! The path of a watch of a resource: that of a call, up to where its system would be asked.
//!
//! ```text
//! request → admission → resolve → authorize → approve   as for a call
//!         → watchable  → Approved   the actor may have the whole     else release.refused
//!         → record     → Permit     the intent is in the audit       else audit.unavailable
//!         → watch      → Watch      changes are told from now on
//!         → close      → the outcome is in the audit, and the watch is given
//! ```
//!
//! Who may go on watching is looked at with every change (`plane`), which leaves no record.

use quaymaster_connectors::mcp::Watch;
use quaymaster_control::{
    Permit, Refused, approve_unasked, authorize, close_refused_watch, close_watch, record, watchable,
};
use quaymaster_core::{CallError, CallRequest};

use crate::admission::Admission;
use crate::plane::Plane;

/// Begins to watch the resource that `request` would read. Must be driven to its end like a call.
///
/// # Errors
///
/// Why it was refused or could not be; it is recorded.
pub(crate) async fn watch(
    plane: &Plane,
    admission: &Admission,
    request: CallRequest,
) -> Result<Watch, CallError> {
    let permit = match admission.enter(&request.actor.id) {
        Ok(room) => permitted(plane, request).await.map(|permit| (permit, room)),
        Err(error) => Err(Refused::at_the_door(request, error)),
    };
    match permit {
        Ok((permit, _room)) => {
            let (watch, receipt) = plane.connectors.watch(permit);
            close_watch(receipt, watch, &plane.evidence).await
        }
        Err(refused) => Err(close_refused_watch(refused, &plane.evidence).await),
    }
}

async fn permitted(plane: &Plane, request: CallRequest) -> Result<Permit, Refused> {
    let call = plane.reached(&request.actor, &request.reach).resolve(request)?;
    let approved = approve_unasked(authorize(call, &plane.rulebook, &plane.guards).await?)?;
    record(watchable(approved, &plane.rulebook)?, &plane.evidence).await
}
