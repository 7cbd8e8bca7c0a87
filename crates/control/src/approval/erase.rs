//! The end of what waits for somebody whose data is being erased.

use super::opened::state;
use super::{ApprovalError, Approvals, State};
use crate::stages::Evidence;

/// How often a request is looked at again that others changed meanwhile.
const ATTEMPTS: usize = 8;

impl Approvals {
    /// Ends every request of the account with this `commitment` whose call has not begun. False if one runs:
    /// that has to end first.
    ///
    /// # Errors
    ///
    /// [`ApprovalError`] if the store or the log fails.
    pub(crate) async fn end_all_of(
        &self,
        commitment: &str,
        evidence: &Evidence,
    ) -> Result<bool, ApprovalError> {
        for _ in 0..ATTEMPTS {
            let open = self.store.approvals_open_of(commitment).await?;
            if open.is_empty() {
                return Ok(true);
            }
            for row in &open {
                if !matches!(state(row)?, State::Pending | State::Approved) {
                    return Ok(false);
                }
                let why = "the data of whoever asked is erased";
                self.end(row, State::Withdrawn, (None, why), evidence).await?;
            }
        }
        Err(ApprovalError::Contended)
    }
}
