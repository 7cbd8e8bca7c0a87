//! Labels for those who look at them and may take them away.

use quaymaster_control::flow::{self, FlowError};
use quaymaster_core::{Actor, ActorId, ErrorCode};
use quaymaster_store::{ClearedRow, LabelRow};

use super::{Office, OfficeError};
use crate::people::identity;
use crate::state::StartError;

impl Office {
    /// The labels that were set in the workspace of `visitor` and stand, by account.
    ///
    /// # Errors
    ///
    /// [`OfficeError`] if no policy permits it, or the store fails.
    pub async fn labels(&self, visitor: &Actor) -> Result<Vec<LabelRow>, OfficeError> {
        let rules = self.rules()?;
        let now = self.state.clock.now();
        Ok(flow::standing(&self.state.store, (visitor, rules.policies()), now).await?)
    }

    /// Who took labels away in the workspace of `visitor`, and why, the last first.
    ///
    /// # Errors
    ///
    /// [`OfficeError`] if no policy permits it, or the store fails.
    pub async fn cleared_labels(&self, visitor: &Actor) -> Result<Vec<ClearedRow>, OfficeError> {
        Ok(flow::cleared(&self.state.store, (visitor, self.rules()?.policies())).await?)
    }

    /// Takes away the labels of `whose`, or those alone that are named, and gives those that are gone. That it is
    /// done is in the audit log before it is.
    ///
    /// # Errors
    ///
    /// [`OfficeError`] if no policy permits it, if they are the visitor's own under whichever name, or if the
    /// store, a key or the log fails.
    pub async fn clear_labels(
        &self,
        visitor: &Actor,
        (whose, labels): (&ActorId, &[String]),
        reason: &str,
    ) -> Result<Vec<LabelRow>, OfficeError> {
        let rules = self.rules()?;
        for label in labels {
            rules.policies().check_label(label).map_err(OfficeError::Refused)?;
        }
        if self.is_own(visitor, whose).await? {
            let message = "nobody takes away their own labels: somebody else has to look at what was seen";
            return Err(OfficeError::Refused(message.into()));
        }
        let evidence = self.evidence().await?;
        let with = (self.state.randomness.as_ref(), &evidence);
        let (store, by) = (&self.state.store, (visitor, rules.policies().as_ref()));
        let cleared = flow::clear(store, by, (whose, labels), reason, with).await;
        evidence.audit.close().await;
        Ok(cleared?)
    }

    /// Whether one person may be behind both, as far as that is known.
    async fn is_own(&self, visitor: &Actor, whose: &ActorId) -> Result<bool, OfficeError> {
        let identity = identity(&self.state, &self.loaded).map_err(StartError::from)?;
        let unknown = |error: quaymaster_control::identity::KinError| {
            OfficeError::Identity(quaymaster_core::CallError::new(
                ErrorCode::AuditUnavailable,
                error.to_string(),
            ))
        };
        let ties = identity.ties().await.map_err(unknown)?;
        let own = ties.of(&visitor.id, visitor.person()).await.map_err(unknown)?;
        let theirs = ties.of(whose, whose).await.map_err(unknown)?;
        Ok(own.overlaps(&theirs))
    }
}

impl From<FlowError> for OfficeError {
    fn from(error: FlowError) -> Self {
        match error {
            FlowError::Store(error) => Self::Start(error.into()),
            FlowError::Audit(error) => Self::Start(error.into()),
            refused => Self::Refused(refused.to_string()),
        }
    }
}
