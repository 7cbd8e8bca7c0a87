//! The permit: a call that is in the audit log and may run, once.

use std::collections::BTreeMap;
use std::sync::Arc;

use quaymaster_catalog::Tool;
use quaymaster_core::arguments::sha256_text;
use quaymaster_core::{
    Actor, AgentClaims, Arguments, CallError, CallId, CallRequest, DataClass, Effect, ErrorCode, Gate, Role,
};

use tokio_util::sync::CancellationToken;

use super::close::{Evidence, begin_record};
use super::facts::{Facts, Refused};
use super::input::decision_input;
use super::reserve::Reserved;
use super::voice::Listening;
use crate::audit::record::{DecisionPart, Event, Record};
use crate::audit::{AuditError, Draft, Durability, Subject};
use crate::policy::DecisionEffect;

/// Beyond this size, or where a level of data says so, the input of a decision is not kept for replay, only a digest
/// of it. The digest is keyed, because the input names the actor.
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
    /// The arguments that were decided on; with what placeholders in them stand for.
    pub arguments: Arguments,
    /// Whether it has to be said what the columns of a result are made of.
    pub lineage: bool,
    /// The trace that the call is part of, for the system behind the tool (W3C Trace Context,
    /// `traceparent`). The call itself is the parent.
    pub traceparent: Option<String>,
}

/// What is known of a call that ran; goes to `close` whatever happened.
#[derive(Debug)]
pub struct Receipt {
    pub(super) facts: Box<Facts>,
    /// How often the connector tried again.
    pub retries: u32,
    /// How often the client was asked something for the system behind the tool.
    pub asked: u32,
    /// Ids that the system behind the tool gave.
    pub upstream_ids: Vec<String>,
    /// How its client listens.
    pub listening: Listening,
}

impl Receipt {
    /// Cancelled when an incident switch wants the call to end.
    pub fn stop(&self) -> CancellationToken {
        self.facts.running.as_ref().map(|running| running.cancel().clone()).unwrap_or_default()
    }
}

impl Permit {
    pub(super) fn facts(&self) -> &Facts {
        &self.facts
    }

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
                arguments: facts.restored.as_ref().unwrap_or(arguments).clone(),
                lineage: facts.classified.lineage,
                traceparent: traceparent(&facts.request),
            }),
            _ => Err(CallError::new(ErrorCode::GatewayInternal, "the call has no tool")),
        };
        (job, Receipt { facts, retries: 0, asked: 0, upstream_ids: vec![], listening: Listening::ToNothing })
    }
}

/// The trace of a request with its call as the parent (W3C Trace Context, section 3.2).
fn traceparent(request: &CallRequest) -> Option<String> {
    let trace = request.trace_id.as_deref()?;
    // The last digits of the id are random, so they name the call within the trace.
    let id = request.id.as_str();
    let span = id.get(id.len().checked_sub(16)?..)?;
    Some(format!("00-{trace}-{span}-{:02x}", u8::from(request.sampled)))
}

/// Writes the intent into the audit log and gives the permit.
///
/// For a write, and for a read that may release confidential data, the intent is
/// on disk when this returns; for any other read the writer has accepted it.
///
/// # Errors
///
/// [`Refused`] with `audit.unavailable`: no record, no permit. With `incident.stopped` if a switch has
/// come meanwhile that ends calls which run.
pub async fn record(reserved: Reserved, evidence: &Evidence) -> Result<Permit, Refused> {
    let mut facts = reserved.facts;
    if let Some(error) = facts.stopped() {
        return Err(Refused::new(facts, error));
    }
    match write_intent(&mut facts, evidence).await {
        Ok(()) => Ok(Permit { facts: Box::new(facts) }),
        Err(error) => Err(Refused::new(facts, error.into())),
    }
}

async fn write_intent(facts: &mut Facts, evidence: &Evidence) -> Result<(), AuditError> {
    let subject = evidence.subjects.of(&facts.request.actor.id).await?;
    let (intent, sealed) = draft_intent(facts, evidence, &subject)?;
    facts.subject = Some(subject);
    evidence.audit.append(intent, sealed, durability(facts)).await
}

/// The intent as text, and the sealed input of its decision. No async function, so
/// that the record with all its members takes no room in the call's future.
fn draft_intent(
    facts: &Facts,
    evidence: &Evidence,
    subject: &Subject,
) -> Result<(Draft, Option<Vec<u8>>), AuditError> {
    let mut record = begin_record(Event::CallIntent, facts, evidence, subject);
    let sealed = describe_decision(&mut record, facts, subject)?;
    Ok((record.into(), sealed))
}

/// Writes into `record` what was decided on which arguments, and returns the
/// sealed input of the decision, from which it can be made again under other policies.
pub(super) fn describe_decision<'a>(
    record: &mut Record<'a>,
    facts: &'a Facts,
    subject: &Subject,
) -> Result<Option<Vec<u8>>, AuditError> {
    let request = &facts.request;
    let arguments = facts.arguments.as_ref().unwrap_or(&request.arguments).as_json();
    record.arguments = Some(sha256_text(arguments.as_bytes()));
    record.agent = Some(&request.agent).filter(|agent| **agent != AgentClaims::default());
    let Some((decision, tool)) = facts.decision.as_ref().zip(facts.tool.as_ref()) else { return Ok(None) };
    let input = decision_input(facts, tool, arguments);
    let (digest, sealed) = if input.len() <= MAX_SEALED_INPUT && facts.classified.logs {
        let sealed = subject.seal(request.id.as_str(), input.as_bytes())?;
        (sha256_text(&sealed), Some(sealed))
    } else {
        (subject.commit_to(request.id.as_str(), input.as_bytes()), None)
    };
    record.approval = approval_part(facts, &decision.effect);
    record.decision = Some(DecisionPart {
        effect: decision.effect.as_str(),
        errors: decision.errors,
        input: Some(digest),
        obligations: Some(&decision.obligations).filter(|obligations| !obligations.is_empty()),
        policies: &decision.policies,
    });
    Ok(sealed)
}

/// What had to be agreed to, and whether it was.
fn approval_part(facts: &Facts, effect: &DecisionEffect) -> Option<BTreeMap<String, String>> {
    let roles = match effect {
        DecisionEffect::NeedsApproval { gates } => {
            Some(gates.iter().map(roles).collect::<Vec<_>>().join(";"))
        }
        _ if facts.granted => None,
        _ => return None,
    };
    let state = if facts.granted { "granted" } else { "required" };
    let id = facts.approval.as_ref().map(|id| ("id".to_owned(), id.to_string()));
    let roles = roles.map(|roles| ("roles".to_owned(), roles));
    Some([("state".to_owned(), state.to_owned())].into_iter().chain(roles).chain(id).collect())
}

fn roles(gate: &Gate) -> String {
    let roles: Vec<&str> = gate.roles.iter().map(Role::as_str).collect();
    roles.join(",")
}

/// Writes, and reads that may release confidential data, wait for the disk.
pub(super) fn durability(facts: &Facts) -> Durability {
    let harmless = |tool: &Arc<Tool>| {
        tool.effect() == Effect::Read
            && !tool.may_release(DataClass::Confidential)
            && facts.classified.class < DataClass::Confidential
    };
    if facts.tool.as_ref().is_some_and(harmless) { Durability::Accepted } else { Durability::Durable }
}
