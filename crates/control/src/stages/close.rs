//! The end of every call: its outcome in the audit log, then the reply.
//!
//! Refused calls come here as well as those that ran, so there is one place
//! where a reply is made and one where an outcome is written.

use std::collections::BTreeMap;
use std::sync::Arc;

use quaymaster_core::result::{Envelope, tool_result};
use quaymaster_core::{
    Actor, AgentClaims, CallError, Clock, ConfigVersion, ErrorCode, Keeping, Kind, Reach, Reply, Retry,
    SessionId, Status, TokenId,
};

use super::facts::{Facts, Refused, Waited};
use super::label::{Ran, unlabelled};
use super::permit::{Receipt, describe_decision, durability};
use crate::audit::record::{ActorPart, Event, Record, ToolPart};
use crate::audit::{Audit, AuditError, Draft, Durability, Subject, Subjects};
use crate::ledger::End;
use crate::output::SafeOutput;

/// What writing evidence takes.
#[derive(Clone, Debug)]
pub struct Evidence {
    /// The log.
    pub audit: Arc<Audit>,
    /// The keys that keep names out of it.
    pub subjects: Arc<Subjects>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The configuration in force.
    pub config: ConfigVersion,
}

/// How a call came to its end.
#[derive(Debug)]
pub enum Ended {
    /// It was refused before it could run.
    Refused(Refused),
    /// It was made before, after somebody had agreed, and its result has waited.
    Waited(Waited),
    /// It ran, and whoever asked is labelled for what came of it.
    Ran(Ran),
}

impl From<Refused> for Ended {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

impl From<Waited> for Ended {
    fn from(waited: Waited) -> Self {
        Self::Waited(waited)
    }
}

/// Writes the outcome and makes the reply.
///
/// Where the intent had to be on disk, so has the outcome before anyone hears of
/// it; if it cannot be written, the caller is told that, and never of a success.
pub async fn close(ended: Ended, evidence: &Evidence) -> Reply {
    // A name that no tool has is a stranger's text: it stays out of the log.
    let tool = match &ended {
        Ended::Refused(refused) => refused.facts.tool.clone(),
        Ended::Waited(waited) => waited.facts.tool.clone(),
        Ended::Ran(ran) => ran.receipt.facts.tool.clone(),
    };
    let reply = answer(ended, evidence).await;
    tracing::info!(
        event = "call.closed",
        call = %reply.audit_id,
        tool = tool.as_ref().map(|tool| tool.name().as_str()),
        status = reply.status.as_str(),
        code = reply.code.map(ErrorCode::as_str),
        "a call ended"
    );
    reply
}

async fn answer(ended: Ended, evidence: &Evidence) -> Reply {
    match ended {
        Ended::Refused(mut refused) => {
            note_refusal(&refused, evidence).await;
            if let Some(reservation) = refused.facts.reservation.take() {
                Box::pin(reservation.settle(End::Failed, None)).await;
            }
            failure(&refused.facts, &refused.error)
        }
        Ended::Waited(waited) if !waited.labelled => failure(&waited.facts, &unlabelled()),
        // That it is handed out is in the log already.
        Ended::Waited(waited) => waited.reply.into_reply(),
        Ended::Ran(Ran { mut receipt, outcome, labels, added }) => {
            let effect = receipt.facts.tool.as_ref().map(|tool| tool.effect());
            let outcome = receipt.facts.held.settle(effect, outcome).await;
            let written = write_outcome((&receipt, &added), &outcome, evidence).await;
            let took_effect = receipt.facts.took_effect.get().copied().flatten();
            let (end, reservation) = (End::of(&outcome, took_effect), receipt.facts.reservation.take());
            let facts = &receipt.facts;
            let reply = match (written, outcome) {
                (Err(error), _) => failure(facts, &unrecorded(error)),
                // An error may quote the system: who is given it later is labelled as whoever is given it now.
                (Ok(()), Err(error)) => Reply { labels, ..failure(facts, &error) },
                (Ok(()), Ok(safe)) => Reply {
                    audit_id: facts.request.id.clone(),
                    status: if safe.is_error { Status::Failed } else { Status::Success },
                    code: safe.is_error.then_some(ErrorCode::UpstreamError),
                    message: None,
                    parked: None,
                    keeping: safe.released.keeping,
                    required: None,
                    result: safe.result,
                    labels,
                },
            };
            if let Some(reservation) = reservation {
                Box::pin(reservation.settle(end, Some(&reply))).await;
            }
            reply
        }
    }
}

pub(super) fn unrecorded(error: AuditError) -> CallError {
    CallError::new(
        ErrorCode::AuditUnavailable,
        "the call ran, but its outcome could not be recorded and is withheld",
    )
    .retry(Retry::Never)
    .hint("a person can look the effect up in the system behind the tool")
    .because(error)
}

fn failure(facts: &Facts, error: &CallError) -> Reply {
    if let Some(source) = &error.source {
        tracing::warn!(event = "call.failed", call = %facts.request.id, code = %error.code, cause = %source, "a call failed");
    }
    let envelope = Envelope::failure(&facts.request.id, error);
    let text = match &error.hint {
        Some(hint) => format!("{}: {} ({hint})", error.code, error.public_message),
        None => format!("{}: {}", error.code, error.public_message),
    };
    Reply {
        audit_id: facts.request.id.clone(),
        status: envelope.status,
        code: Some(error.code),
        result: tool_result(&envelope, &text),
        message: Some(text),
        parked: error.waits_for(),
        keeping: Keeping::default(),
        required: error.required,
        labels: vec![],
    }
}

/// Records that a call was refused; whether that can be recorded changes nothing about it.
pub(super) async fn note_refusal(refused: &Refused, evidence: &Evidence) {
    if let Err(error) = write_refusal(refused, evidence).await {
        tracing::error!(event = "audit.refusal", %error, "a refusal could not be recorded");
    }
}

async fn write_refusal(refused: &Refused, evidence: &Evidence) -> Result<(), AuditError> {
    let facts = &refused.facts;
    let subject = evidence.subjects.of(&facts.request.actor.id).await?;
    let (refusal, sealed) = draft_refusal(refused, evidence, &subject)?;
    evidence.audit.append(refusal, sealed, Durability::Accepted).await
}

fn draft_refusal(
    refused: &Refused,
    evidence: &Evidence,
    subject: &Subject,
) -> Result<(Draft, Option<Vec<u8>>), AuditError> {
    let facts = &refused.facts;
    let mut record = begin_record(Event::CallRefused, facts, evidence, subject);
    let sealed = describe_decision(&mut record, facts, subject)?;
    record.code = Some(refused.error.code.as_str());
    record.status = Some(Envelope::failure(&facts.request.id, &refused.error).status.as_str());
    record.duration_us = Some(elapsed(facts, &record));
    Ok((record.into(), sealed))
}

pub(super) async fn write_outcome(
    (receipt, added): (&Receipt, &[String]),
    outcome: &Result<SafeOutput, CallError>,
    evidence: &Evidence,
) -> Result<(), AuditError> {
    let facts = &receipt.facts;
    let subject = match &facts.subject {
        Some(subject) => Arc::clone(subject),
        None => evidence.subjects.of(&facts.request.actor.id).await?,
    };
    let record = draft_outcome((receipt, added), outcome, evidence, &subject);
    evidence.audit.append(record, None, durability(facts)).await
}

fn draft_outcome(
    (receipt, added): (&Receipt, &[String]),
    outcome: &Result<SafeOutput, CallError>,
    evidence: &Evidence,
    subject: &Subject,
) -> Draft {
    let facts = &receipt.facts;
    let mut record = begin_record(Event::CallOutcome, facts, evidence, subject);
    record.duration_us = Some(elapsed(facts, &record));
    record.retries = Some(u64::from(receipt.retries));
    record.asked = (receipt.asked > 0).then(|| receipt.asked.into());
    record.upstream_ids = &receipt.upstream_ids;
    record.labelled = added;
    match outcome {
        Ok(safe) => {
            record.status = Some(if safe.is_error { Status::Failed } else { Status::Success }.as_str());
            record.code = safe.is_error.then_some(ErrorCode::UpstreamError.as_str());
            record.classes = &safe.released.classes;
            record.redactions =
                safe.released.redactions.iter().map(|(class, count)| (class.as_str(), *count)).collect();
        }
        Err(error) => {
            record.status = Some(Status::Failed.as_str());
            record.code = Some(error.code.as_str());
        }
    }
    record.into()
}

fn elapsed(facts: &Facts, record: &Record<'_>) -> u64 {
    u64::try_from(record.time.since(facts.request.received).as_micros()).unwrap_or(u64::MAX)
}

/// What every record of a call says.
pub(super) fn begin_record<'a>(
    event: Event,
    facts: &'a Facts,
    evidence: &'a Evidence,
    subject: &Subject,
) -> Record<'a> {
    let request = &facts.request;
    let mut record = Record::new(event, evidence.clock.now());
    record.actor = Some(actor_part(&request.actor, subject));
    record.call = Some(request.id.to_shared());
    record.config = Some(evidence.config.as_str());
    record.correlation = request.correlation_id.as_deref();
    record.trace = request.trace_id.as_deref();
    record.route = match &request.reach {
        Reach::All => None,
        Reach::One(connector) => Some(connector.as_str()),
    };
    record.session = request.session.as_ref().map(SessionId::as_str);
    record.workspace = Some(request.actor.workspace.to_shared());
    record.method = facts.method;
    record.labels = facts.labels();
    record.limits = &facts.limits;
    record.idempotency = facts.entry().map(|id| BTreeMap::from([("id".to_owned(), id.to_owned())]));
    record.incident = facts.incident().map(|id| BTreeMap::from([("id".to_owned(), id.to_string())]));
    record.effect = facts.tool.as_ref().map(|t| t.effect().as_str());
    let kind = Some(request.kind).filter(|kind| *kind != Kind::Tool).map(Kind::as_str);
    record.tool = Some(match &facts.tool {
        Some(tool) => ToolPart {
            kind,
            connector: Some(tool.declaration().connector.as_str()),
            contract: Some(tool.contract()),
            name: tool.name().to_shared(),
            version: Some(&tool.declaration().version),
        },
        None => ToolPart {
            connector: None,
            contract: None,
            kind,
            name: request.tool.chars().take(64).collect::<String>().into(),
            version: None,
        },
    });
    record
}

pub(crate) fn actor_part<'a>(actor: &'a Actor, subject: &Subject) -> ActorPart<'a> {
    ActorPart {
        authentication: actor.authentication.as_str(),
        id: Arc::clone(subject.commitment()),
        roles: Arc::clone(&actor.roles),
        token: actor.authentication.token().map(TokenId::as_str),
    }
}

/// A request that never became a call: malformed, unknown, or without valid credentials.
#[derive(Clone, Debug)]
pub struct RequestRefusal {
    /// Who asked, where that was established.
    pub actor: Option<Arc<Actor>>,
    /// Why it was refused.
    pub code: ErrorCode,
    /// The method that was asked for: at most 200 bytes, no control characters.
    pub method: Option<String>,
    /// What the client calls itself: at most 200 bytes, no control characters.
    pub client: Option<String>,
    /// The session, where it is one of the asker's own.
    pub session: Option<SessionId>,
}

/// Records a request that never became a call. Of those whose asker was not
/// established, one is recorded for each code and second, with the count of the others.
pub async fn close_request(refusal: RequestRefusal, evidence: &Evidence) {
    let claims = refusal.client.map(|client| AgentClaims { client: Some(client), ..AgentClaims::default() });
    let write = async {
        let now = evidence.clock.now();
        let mut record = Record::new(Event::RequestRefused, now);
        if let Some(actor) = &refusal.actor {
            let subject = evidence.subjects.of(&actor.id).await?;
            record.actor = Some(actor_part(actor, &subject));
            record.workspace = Some(actor.workspace.to_shared());
        } else {
            let Some(left_out) = evidence.audit.flood().admit(refusal.code, now) else { return Ok(()) };
            record.count = (left_out > 0).then_some(left_out);
        }
        record.agent = claims.as_ref();
        record.code = Some(refusal.code.as_str());
        record.config = Some(evidence.config.as_str());
        record.method = refusal.method.as_deref();
        record.session = refusal.session.as_ref().map(SessionId::as_str);
        record.status = Some(Status::Failed.as_str());
        evidence.audit.append(record, None, Durability::Accepted).await
    };
    if let Err(error) = write.await {
        tracing::error!(event = "audit.refusal", %error, "a refusal could not be recorded");
    }
}
