//! What is known of a call so far. Grows along the path; ends in the audit.

use std::sync::{Arc, OnceLock};

use quaymaster_catalog::{Tool, Unresolved};
use quaymaster_core::{
    ActorId, ApprovalId, Arguments, CallError, CallRequest, DataClass, EntryId, IncidentId,
};

use crate::approval::StoredReply;
use crate::audit::Subject;
use crate::flow::Seen;
use crate::incident::{Running, Switch};
use crate::ledger::Reservation;
use crate::limits::Held;
use crate::policy::Decision;
use crate::redaction::Redactor;

/// Facts gathered on the path of one call.
#[derive(Debug)]
pub(crate) struct Facts {
    pub(crate) request: CallRequest,
    pub(crate) tool: Option<Arc<Tool>>,
    /// The arguments that are decided on and run, once they were checked.
    pub(crate) arguments: Option<Arguments>,
    /// The same with what placeholders in them stand for, where the tool is given that. It goes to the tool
    /// and nowhere else.
    pub(crate) restored: Option<Arguments>,
    /// What redacts what is shown to people who decide.
    pub(crate) redactor: Option<Redactor>,
    /// The business reason that the caller gave beside the arguments.
    pub(crate) reason: Option<String>,
    /// What whoever asks had seen when the call was decided on, if anything.
    pub(crate) seen: Option<Arc<Seen>>,
    /// Whether the decision is what it is because of that.
    pub(crate) by_flow: bool,
    /// The labels that were set while the call ran, because its system may speak to its client.
    pub(crate) heard: OnceLock<Vec<String>>,
    /// Whether words of the system behind the tool are in the error that the call ends with.
    pub(crate) quoted: OnceLock<()>,
    pub(crate) decision: Option<Decision>,
    /// What the policies are that decided, as a digest.
    pub(crate) rules: Option<Arc<str>>,
    /// The request for approval that the call waits for or runs by.
    pub(crate) approval: Option<ApprovalId>,
    /// Whether everybody needed has agreed to the call, and it runs by that.
    pub(crate) granted: bool,
    /// The incident switch that stopped the call before it was entered.
    pub(crate) incident: Option<IncidentId>,
    /// Where a switch finds the call while it runs.
    pub(crate) running: Option<Running>,
    /// The write that the call is in the idempotency ledger, until what came of it is there.
    pub(crate) reservation: Option<Reservation>,
    /// What the system behind the tool says of whether a write took effect, where it can be understood.
    pub(crate) took_effect: OnceLock<Option<bool>>,
    /// The write there that stands against the call.
    pub(crate) entry: Option<EntryId>,
    /// The limits that bear on the call, as the audit names them.
    pub(crate) limits: Vec<String>,
    /// What the call holds of them.
    pub(crate) held: Held,
    /// The actor's key, once the intent was written with it: the outcome names the
    /// same commitment, and needs no store to do so.
    pub(crate) subject: Option<Arc<Subject>>,
    /// The method, where the kind of what is asked for does not say it.
    pub(crate) method: Option<&'static str>,
    /// What the classification says of the call before it runs.
    pub(crate) classified: Classified,
}

/// What the classification says of a call before it runs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Classified {
    /// The highest class of data that the tool is declared to release.
    pub(crate) class: DataClass,
    /// Whether the arguments may be kept beside the record of the call.
    pub(crate) logs: bool,
    /// Whether it has to be said what the columns of a result are made of.
    pub(crate) lineage: bool,
    /// Whether the arguments have to be looked through.
    pub(crate) looks: bool,
}

impl Default for Classified {
    fn default() -> Self {
        Self { class: DataClass::Public, logs: true, lineage: false, looks: false }
    }
}

impl Facts {
    /// The highest class that the tool is declared to release, and that whoever asks may have.
    pub(crate) fn class_of_words(&self) -> (DataClass, DataClass) {
        (self.classified.class, self.request.actor.clearance)
    }

    /// What is known of a call that has just come in.
    pub(crate) fn of(request: CallRequest) -> Self {
        Self {
            request,
            tool: None,
            arguments: None,
            restored: None,
            redactor: None,
            reason: None,
            seen: None,
            by_flow: false,
            heard: OnceLock::new(),
            quoted: OnceLock::new(),
            decision: None,
            rules: None,
            approval: None,
            granted: false,
            incident: None,
            running: None,
            reservation: None,
            took_effect: OnceLock::new(),
            entry: None,
            limits: vec![],
            held: Held::default(),
            subject: None,
            method: None,
            classified: Classified::default(),
        }
    }

    /// The labels that the call was decided on with.
    pub(crate) fn labels(&self) -> &[String] {
        self.seen.as_deref().map(Seen::names).unwrap_or_default()
    }

    /// The incident switch that stopped the call or wants it to end.
    pub(crate) fn incident(&self) -> Option<&IncidentId> {
        let running = self.running.as_ref().and_then(Running::stopped_by);
        self.incident.as_ref().or(running.map(|switch| &switch.id))
    }

    /// The write that the call is, or that stands against it.
    pub(crate) fn entry(&self) -> Option<&str> {
        let reserved = self.reservation.as_ref().map(Reservation::id);
        reserved.or(self.entry.as_ref().map(EntryId::as_str))
    }

    /// How the call ends if a switch wants it to.
    pub(crate) fn stopped(&self) -> Option<CallError> {
        self.running.as_ref().and_then(Running::stopped_by).map(Switch::refusal)
    }
}

/// A call that was made before, after somebody had agreed to it, and whose result has waited.
#[derive(Debug)]
pub struct Waited {
    pub(crate) facts: Box<Facts>,
    pub(crate) reply: StoredReply,
    /// Whether whoever asks has the labels that it brings.
    pub(crate) labelled: bool,
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
        Self::new(Facts::of(request), error)
    }

    /// Whose call it was.
    pub fn actor(&self) -> &ActorId {
        &self.facts.request.actor.id
    }

    /// Why it was refused.
    pub fn error(&self) -> &CallError {
        &self.error
    }
}

impl From<Unresolved> for Refused {
    fn from(unresolved: Unresolved) -> Self {
        Self::at_the_door(*unresolved.request, *unresolved.error)
    }
}
