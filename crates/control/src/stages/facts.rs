//! What is known of a call so far. Grows along the path; ends in the audit.

use std::sync::Arc;

use quaymaster_catalog::{Tool, Unresolved};
use quaymaster_core::{Arguments, CallError, CallRequest};

use crate::audit::Subject;
use crate::policy::Decision;

/// Facts gathered on the path of one call.
#[derive(Debug)]
pub(crate) struct Facts {
    pub(crate) request: CallRequest,
    pub(crate) tool: Option<Arc<Tool>>,
    /// The arguments that are decided on and run, once they were checked.
    pub(crate) arguments: Option<Arguments>,
    /// The business reason that the caller gave beside the arguments.
    pub(crate) reason: Option<String>,
    pub(crate) decision: Option<Decision>,
    /// The actor's key, once the intent was written with it: the outcome names the
    /// same commitment, and needs no store to do so.
    pub(crate) subject: Option<Arc<Subject>>,
}

/// A call that was refused at some stage, with the reason.
#[derive(Debug)]
pub struct Refused {
    pub(crate) facts: Box<Facts>,
    pub(crate) error: CallError,
}

impl Refused {
    pub(crate) fn new(facts: Facts, error: CallError) -> Self {
        Self { facts: Box::new(facts), error }
    }

    /// A request that is refused before anyone looks at what it asks for.
    pub fn at_the_door(request: CallRequest, error: CallError) -> Self {
        Self::new(
            Facts { request, tool: None, arguments: None, reason: None, decision: None, subject: None },
            error,
        )
    }

    /// Why it was refused.
    pub fn error(&self) -> &CallError {
        &self.error
    }
}

impl From<Unresolved> for Refused {
    fn from(unresolved: Unresolved) -> Self {
        Self::at_the_door(*unresolved.request, unresolved.error)
    }
}
