//! Retention: old records go, and what is left of them are the hashes that everything else rests on.
//!
//! The log says from which number on records are kept (the minimum index of C2SP tlog-tiles). Tiles and checkpoints
//! stay, so the tree, the proofs of what is left and those that were handed out before all hold.
//!
//! Invariants:
//! - Nothing goes that no checkpoint covers, and nothing but whole tiles.
//! - The minimum is in the log, on disk, before a record goes.

use quaymaster_core::Timestamp;
use quaymaster_store::Store;

use super::record::{Event, Record};
use super::tiles::WIDTH;
use super::{Audit, AuditError, Draft, Durability};

/// Takes away the records from before `before`, as far as they are signed and nobody waits for those from
/// `wanted_from` on, and gives the number of the first that is kept; none if there is nothing to take away.
///
/// # Errors
///
/// [`AuditError`] if the store or the log fails. What is left to be taken away then goes with the next time.
pub async fn prune(
    store: &Store,
    audit: &Audit,
    (before, now): (Timestamp, Timestamp),
    wanted_from: u64,
) -> Result<Option<u64>, AuditError> {
    let Some(newest) = store.audit_checkpoint_newest().await? else { return Ok(None) };
    let signed = newest.tree.size;
    let first = store.audit_first_since(before.as_micros()).await?.unwrap_or(signed);
    let minimum = first.min(signed).min(wanted_from) / WIDTH * WIDTH;
    let raised = minimum > store.audit_minimum().await?;
    if raised {
        whole(store, minimum).await?;
        let draft = {
            let mut record = Record::new(Event::AuditPruned, now);
            record.minimum = Some(minimum);
            Draft::from(record)
        };
        audit.append(draft, None, Durability::Durable).await?;
        store.audit_raise_minimum(minimum).await?;
    }
    // Also where an earlier time did not come to its end.
    while store.audit_prune_some().await? {}
    Ok(raised.then_some(minimum))
}

/// Every tile over the records that are to go must be there.
async fn whole(store: &Store, minimum: u64) -> Result<(), AuditError> {
    for place in 0..minimum / WIDTH {
        if store.audit_tile(0, place).await?.is_none() {
            return Err(AuditError::Damaged(format!("tile {place} is missing: nothing is pruned")));
        }
    }
    Ok(())
}
