//! What can stand in the way of a call that policy allows.

use std::sync::Arc;

use quaymaster_core::{CallError, CallRequest};

use crate::flow::Flow;
use crate::incident::{Called, Incidents};
use crate::ledger::Ledger;
use crate::limits::Limits;

/// What is looked at beside policy before a call may run.
#[derive(Clone, Debug)]
pub struct Guards {
    /// What is stopped at the moment.
    pub incidents: Arc<Incidents>,
    /// The writes that were made.
    pub ledger: Arc<Ledger>,
    /// How much may be used.
    pub limits: Limits,
    /// What whoever calls has seen.
    pub flow: Flow,
}

impl Guards {
    /// Whether whoever asks may have a result that has waited: switches for tools and connectors
    /// stop calls, those for the asker stop this as well.
    ///
    /// # Errors
    ///
    /// `incident.stopped`, or `audit.unavailable` if nobody can say.
    pub async fn check_waiting(&self, request: &CallRequest) -> Result<(), CallError> {
        match self.incidents.against(&Called::by(request)).await? {
            Some(switch) => Err(switch.refusal()),
            None => Ok(()),
        }
    }
}
