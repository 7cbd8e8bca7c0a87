//! The end of what is kept of requests that are over.
//!
//! Invariant: what waits, and what has to be reviewed, keeps its contents.

use quaymaster_core::ApprovalId;

use super::{ApprovalError, Approvals};
use crate::audit::record::{Event, Record};
use crate::audit::{Draft, Durability};
use crate::stages::Evidence;

/// How many requests are forgotten together.
const TOGETHER: u32 = 50;

impl Approvals {
    /// Forgets call, document, result and comments of requests that came to their end longer ago than they
    /// are kept, and says of how many. That they are forgotten is in the audit log before they are. What
    /// was decided, by which commitment and when stays. To be called again while it is not zero.
    ///
    /// # Errors
    ///
    /// [`ApprovalError`] if the store or the log fails.
    pub async fn purge(&self, evidence: &Evidence) -> Result<usize, ApprovalError> {
        let kept = u64::try_from(self.bounds().retention.as_micros()).unwrap_or(u64::MAX);
        // The machine's own time: one that once was far ahead must not make everything old.
        let before = self.clock.now().as_micros().saturating_sub(kept);
        let old = self.store.approvals_old(before, TOGETHER).await?;
        if old.is_empty() {
            return Ok(0);
        }
        let draft = {
            let mut record = Record::new(Event::ApprovalPurged, evidence.clock.now());
            let ids: Vec<&str> = old.iter().map(ApprovalId::as_str).collect();
            record.approval = Some([("ids".to_owned(), ids.join(","))].into());
            record.config = Some(evidence.config.as_str());
            Draft::from(record)
        };
        evidence.audit.append(draft, None, Durability::Durable).await?;
        self.store.approvals_empty(&old).await?;
        Ok(old.len())
    }
}
