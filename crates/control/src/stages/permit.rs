//! The permit: a call that is in the audit log and may run, once.

use std::sync::Arc;

use quaymaster_catalog::Tool;
use quaymaster_core::arguments::sha256_text;
use quaymaster_core::json::canonical;
use quaymaster_core::{Actor, Arguments, CallError, CallId, DataClass, Effect, ErrorCode};
use serde_json::json;

use super::approve::Approved;
use super::close::{Evidence, begin_record};
use super::facts::{Facts, Refused};
use crate::audit::record::{DecisionPart, Event};
use crate::audit::{AuditError, Durability};

/// Beyond this size the input of a decision is not kept for replay, only its digest.
const MAX_SEALED_INPUT: usize = 64 * 1024;

/// The right to run one call once. Given only for a recorded intent.
#[derive(Debug)]
pub struct Permit {
    facts: Box<Facts>,
}

/// What a connector is to do.
#[derive(Debug)]
pub struct Job {
    /// The call; also its audit id.
    pub call: CallId,
    /// Who asked.
    pub actor: Arc<Actor>,
    /// The tool.
    pub tool: Arc<Tool>,
    /// The arguments that were decided on.
    pub arguments: Arguments,
}

/// What is known of a call that ran; goes to `close` whatever happened.
#[derive(Debug)]
pub struct Receipt {
    pub(super) facts: Box<Facts>,
    /// How often the connector tried again.
    pub retries: u32,
    /// Ids that the system behind the tool gave.
    pub upstream_ids: Vec<String>,
}

impl Permit {
    /// Trades the permit for the job and the receipt. There is no second time.
    ///
    /// # Errors
    ///
    /// `gateway.internal` with the receipt if the call lost its tool, which no path makes possible.
    pub fn redeem(self) -> (Result<Job, CallError>, Receipt) {
        let facts = self.facts;
        let job = match (&facts.tool, &facts.arguments) {
            (Some(tool), Some(arguments)) => Ok(Job {
                call: facts.request.id.clone(),
                actor: Arc::clone(&facts.request.actor),
                tool: Arc::clone(tool),
                arguments: arguments.clone(),
            }),
            _ => Err(CallError::new(ErrorCode::GatewayInternal, "the call has no tool")),
        };
        (job, Receipt { facts, retries: 0, upstream_ids: vec![] })
    }
}

/// Writes the intent into the audit log and gives the permit.
///
/// For a write, and for a read that may release confidential data, the intent is
/// on disk when this returns; for any other read the writer has accepted it.
///
/// # Errors
///
/// [`Refused`] with `audit.unavailable`: no record, no permit.
pub async fn record(approved: Approved, evidence: &Evidence) -> Result<Permit, Refused> {
    let facts = approved.facts;
    match write_intent(&facts, evidence).await {
        Ok(()) => Ok(Permit { facts: Box::new(facts) }),
        Err(error) => Err(Refused::new(facts, error.into())),
    }
}

async fn write_intent(facts: &Facts, evidence: &Evidence) -> Result<(), AuditError> {
    let subject = evidence.subjects.of(&facts.request.actor.id).await?;
    let mut record = begin_record(Event::CallIntent, facts, evidence, &subject);
    let sealed = match decision_input(facts) {
        Some(input) => Some(subject.seal(facts.request.id.as_str(), input.as_bytes())?),
        None => None,
    };
    record.decision = decision_part(facts, sealed.as_deref());
    record.agent =
        Some(facts.request.agent.clone()).filter(|a| *a != quaymaster_core::AgentClaims::default());
    record.arguments = facts.arguments.as_ref().map(Arguments::digest);
    evidence.audit.append(record, sealed, durability(facts)).await
}

/// Writes, and reads that may release confidential data, wait for the disk.
pub(super) fn durability(facts: &Facts) -> Durability {
    let harmless =
        |tool: &Arc<Tool>| tool.effect() == Effect::Read && !tool.may_release(DataClass::Confidential);
    if facts.tool.as_ref().is_some_and(harmless) { Durability::Accepted } else { Durability::Durable }
}

pub(super) fn decision_part(facts: &Facts, sealed: Option<&[u8]>) -> Option<DecisionPart> {
    facts.decision.as_ref().map(|decision| DecisionPart {
        effect: decision.effect.as_str(),
        errors: decision.errors,
        input: sealed.map(sha256_text),
        policies: decision.policies.clone(),
    })
}

/// What the decision was made on, so that it can be made again under other policies.
pub(super) fn decision_input(facts: &Facts) -> Option<String> {
    let (tool, arguments) = (facts.tool.as_ref()?, facts.arguments.as_ref()?);
    let actor = &facts.request.actor;
    let input = canonical(&json!({
        "action": "call",
        "actor": {
            "authentication": actor.authentication.as_str(),
            "id": actor.id.as_str(),
            "roles": actor.roles.as_ref(),
            "workspace": actor.workspace.as_str(),
        },
        "agent": facts.request.agent,
        "arguments": arguments.value(),
        "tool": tool.name().as_str(),
        "v": 1,
    }));
    (input.len() <= MAX_SEALED_INPUT).then_some(input)
}
