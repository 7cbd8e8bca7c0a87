//! Whether a write has been made before: each runs once.

use std::collections::BTreeMap;
use std::sync::Arc;

use quaymaster_core::{CallError, Effect, EntryId};

use super::approve::Approved;
use super::close::{Ended, Evidence, begin_record};
use super::facts::{Facts, Refused, Waited};
use crate::approval::StoredReply;
use crate::audit::record::Event;
use crate::audit::{AuditError, Draft, Durability};
use crate::ledger::{Begun, Ledger};

/// A call that may run: a read, or a write that nobody else makes.
#[derive(Debug)]
pub struct Reserved {
    pub(super) facts: Facts,
}

/// Lets a read through; of a write, begins it in the ledger, where its key and what is asked for under it
/// are on disk when this returns.
///
/// # Errors
///
/// [`Ended`]: the first receipt, if the same write was made before; refused with `idempotency.conflict` if
/// its key was used for another, with `upstream.outcome_unknown` if nobody knows what became of it, with
/// `limit.concurrency` while it runs.
pub async fn reserve(
    approved: Approved,
    ledger: &Arc<Ledger>,
    evidence: &Evidence,
) -> Result<Reserved, Ended> {
    let mut facts = approved.facts;
    if facts.tool.as_ref().is_none_or(|tool| tool.effect() == Effect::Read) {
        return Ok(Reserved { facts });
    }
    // On the heap, so that a read does not carry the room for it.
    match Box::pin(ledger.begin(&facts, evidence)).await {
        Ok(Ok(Begun::Run(reservation))) => {
            facts.reservation = Some(reservation);
            Ok(Reserved { facts })
        }
        Ok(Ok(Begun::Repeated(id, reply))) => match Box::pin(note(&facts, &id, &reply, evidence)).await {
            Ok(()) => Err(Waited { facts: Box::new(facts), reply: reply.repeated(), labelled: false }.into()),
            Err(error) => Err(refused(facts, error.into())),
        },
        Ok(Ok(Begun::Refused(id, error))) => Err(refused(Facts { entry: Some(id), ..facts }, error)),
        Ok(Err(error)) => Err(refused(facts, error)),
        Err(error) => Err(refused(facts, error.into())),
    }
}

fn refused(facts: Facts, error: CallError) -> Ended {
    Refused::new(facts, error).into()
}

/// Records that the receipt of another call is handed out, before it is.
async fn note(
    facts: &Facts,
    id: &EntryId,
    reply: &StoredReply,
    evidence: &Evidence,
) -> Result<(), AuditError> {
    let subject = evidence.subjects.of(&facts.request.actor.id).await?;
    let draft = {
        let mut record = begin_record(Event::CallRepeated, facts, evidence, &subject);
        record.idempotency = Some(BTreeMap::from([
            ("first".to_owned(), reply.call().to_string()),
            ("id".to_owned(), id.to_string()),
        ]));
        record.status = Some(reply.status().as_str());
        Draft::from(record)
    };
    evidence.audit.append(draft, None, Durability::Durable).await
}
