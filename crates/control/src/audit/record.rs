//! The audit record: a frozen contract (`docs/adr/0003-frozen-contracts.md`).
//!
//! A record is canonical JSON (RFC 8785). The structs below keep their members
//! in alphabetical order and hold nothing but strings, integers and lists, so
//! that what `serde_json` writes is the canonical form already; a test compares
//! it with the canonical writer. Members are only ever added.

use std::collections::BTreeMap;
use std::sync::Arc;

use quaymaster_core::{AgentClaims, Timestamp};
use serde::Serialize;

/// The version of this form.
const FORM: u64 = 1;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Event {
    /// A call is about to run.
    #[serde(rename = "call.intent")]
    CallIntent,
    /// A call that was permitted has ended, however it ended.
    #[serde(rename = "call.outcome")]
    CallOutcome,
    /// A call was refused before it could run.
    #[serde(rename = "call.refused")]
    CallRefused,
    /// A request never became a call: malformed, unknown, or without valid credentials.
    #[serde(rename = "request.refused")]
    RequestRefused,
    /// A configuration was put to work.
    #[serde(rename = "config.applied")]
    ConfigApplied,
    /// A configuration was refused; the old one goes on.
    #[serde(rename = "config.refused")]
    ConfigRefused,
    /// A bearer token was issued.
    #[serde(rename = "token.created")]
    TokenCreated,
    /// A bearer token was revoked.
    #[serde(rename = "token.revoked")]
    TokenRevoked,
    /// A process began to write to the log.
    #[serde(rename = "writer.started")]
    WriterStarted,
    /// A process stopped writing to the log, in order.
    #[serde(rename = "writer.stopped")]
    WriterStopped,
}

impl Event {
    /// The event as it is written in the record.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CallIntent => "call.intent",
            Self::CallOutcome => "call.outcome",
            Self::CallRefused => "call.refused",
            Self::RequestRefused => "request.refused",
            Self::ConfigApplied => "config.applied",
            Self::ConfigRefused => "config.refused",
            Self::TokenCreated => "token.created",
            Self::TokenRevoked => "token.revoked",
            Self::WriterStarted => "writer.started",
            Self::WriterStopped => "writer.stopped",
        }
    }
}

/// Who acted, as the record may say it.
#[derive(Clone, Debug, Serialize)]
pub struct ActorPart {
    /// How the actor was established: `token` or `local_user`.
    pub authentication: &'static str,
    /// Keyed commitment to the actor's id.
    pub id: Arc<str>,
    /// The roles that were in force.
    pub roles: Vec<String>,
    /// The id of the bearer token, where one was used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
}

/// What policy said.
#[derive(Clone, Debug, Serialize)]
pub struct DecisionPart {
    /// `allow`, `deny` or `approval`.
    pub effect: &'static str,
    /// How many policies failed to evaluate. Any makes the decision a denial.
    pub errors: u64,
    /// SHA-256 of the sealed input that lies beside the record, for replay. For an
    /// input too large to be kept: a commitment to it under the actor's key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input: Option<String>,
    /// The policies that determined it.
    pub policies: Vec<String>,
}

/// Which tool, at which version.
#[derive(Clone, Debug, Serialize)]
pub struct ToolPart {
    /// The connector it belongs to; absent where there is no such tool.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connector: Option<String>,
    /// Digest of what agents are told of the tool.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contract: Option<String>,
    /// The name that was asked for, cut to 64 characters.
    pub name: String,
    /// The version of the connector's contract.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

/// One record. The writer sets `seq` and `writer`; nobody else can.
#[derive(Clone, Debug, Serialize)]
pub struct Record {
    /// Who acted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actor: Option<ActorPart>,
    /// What the client said of its agent. Claimed, not proved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentClaims>,
    /// The approval that was met or is needed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approval: Option<BTreeMap<String, String>>,
    /// SHA-256 of the canonical arguments.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arguments: Option<String>,
    /// The call; also its audit id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub call: Option<String>,
    /// Data classes of what was released.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub classes: Vec<String>,
    /// The error code, where it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<&'static str>,
    /// The configuration in force.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config: Option<String>,
    /// SHA-256 over all files of a configuration that was put to work or refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config_digest: Option<String>,
    /// The id that ties together the calls of one piece of work.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub correlation: Option<String>,
    /// How many events like this one were left out since the last that was recorded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// What policy said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decision: Option<DecisionPart>,
    /// From the request's arrival to this record, in microseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_us: Option<u64>,
    /// What the tool does to the world.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub effect: Option<&'static str>,
    /// What happened.
    pub event: Event,
    /// Labels of the session.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
    /// Limits that bore on the call.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub limits: Vec<String>,
    /// The method of a request that never became a call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Keyed commitment to whom the actor acts for, where that is another.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_behalf_of: Option<String>,
    /// How much was kept back, by data class.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub redactions: BTreeMap<String, u64>,
    /// How often the connector tried again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retries: Option<u64>,
    /// Position in the log, from 0.
    pub(super) seq: u64,
    /// The client's session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// `success`, `partial`, `requires_approval` or `failed`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<&'static str>,
    /// When; written as RFC 3339, UTC, with microseconds.
    #[serde(serialize_with = "as_text")]
    pub time: Timestamp,
    /// The token that was issued or revoked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// Which tool.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool: Option<ToolPart>,
    /// The trace that the call is part of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace: Option<String>,
    /// Ids that the system behind the tool gave.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub upstream_ids: Vec<String>,
    /// The version of this form.
    v: u64,
    /// The workspace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workspace: Option<String>,
    /// The process that wrote the record.
    pub(super) writer: Arc<str>,
}

impl Record {
    /// A record of `event` at `time`, with nothing else yet.
    pub fn new(event: Event, time: Timestamp) -> Self {
        Self {
            actor: None,
            agent: None,
            approval: None,
            arguments: None,
            call: None,
            classes: vec![],
            code: None,
            config: None,
            config_digest: None,
            correlation: None,
            count: None,
            decision: None,
            duration_us: None,
            effect: None,
            event,
            labels: vec![],
            limits: vec![],
            method: None,
            on_behalf_of: None,
            redactions: BTreeMap::new(),
            retries: None,
            seq: 0,
            session: None,
            status: None,
            time,
            token: None,
            tool: None,
            trace: None,
            upstream_ids: vec![],
            v: FORM,
            workspace: None,
            writer: "".into(),
        }
    }

    /// The canonical JSON text (RFC 8785).
    ///
    /// # Errors
    ///
    /// Whatever `serde_json` says; with the types above there is nothing it could.
    pub(super) fn canonical(&self) -> Result<Vec<u8>, serde_json::Error> {
        let mut text = Vec::with_capacity(1_024);
        serde_json::to_writer(&mut text, self)?;
        Ok(text)
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn as_text<S: serde::Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full() -> Record {
        let text = |t: &str| Some(t.to_owned());
        Record {
            actor: Some(ActorPart {
                authentication: "token",
                id: "hmac-sha256:00ff".into(),
                roles: vec!["analyst".into()],
                token: text("tok_1"),
            }),
            agent: Some(AgentClaims {
                call: text("c-1"),
                client: text("codex \u{e9}\u{1f600}\"\\\n\u{1}\u{7f}/0.169.0"),
                model: text("m"),
                parent_thread: text("p"),
                sandbox_mode: text("read-only"),
                session: text("s"),
                thread: text("t"),
            }),
            approval: Some(BTreeMap::from([("roles".into(), "support_manager".into())])),
            arguments: text("sha256:aa"),
            call: text("call_1"),
            classes: vec!["internal".into()],
            code: Some("policy.denied"),
            config: text("cfg_1"),
            config_digest: text("sha256:dd"),
            correlation: text("cor"),
            count: Some(3),
            decision: Some(DecisionPart {
                effect: "deny",
                errors: 0,
                input: text("sha256:bb"),
                policies: vec!["freeze".into()],
            }),
            duration_us: Some(1_234),
            effect: Some("write"),
            labels: vec!["saw:untrusted".into()],
            limits: vec!["rate".into()],
            method: text("tools/call"),
            on_behalf_of: text("hmac-sha256:11"),
            redactions: BTreeMap::from([("confidential".into(), 2), ("restricted".into(), 1)]),
            retries: Some(1),
            seq: 7,
            session: text("ses_1"),
            status: Some("failed"),
            token: text("tok_2"),
            tool: Some(ToolPart {
                connector: text("support-desk"),
                contract: text("sha256:cc"),
                name: "desk_get_ticket".into(),
                version: text("1.0.0"),
            }),
            trace: text("0af7651916cd43dd8448eb211c80319c"),
            upstream_ids: vec!["T-1".into()],
            workspace: text("sales"),
            writer: "wrt_1".into(),
            ..Record::new(Event::CallOutcome, Timestamp::from_micros(1_795_255_200_000_042))
        }
    }

    #[test]
    fn the_record_has_the_frozen_form() {
        let text = full().canonical().expect("serializable");
        let value: serde_json::Value = serde_json::from_slice(&text).expect("JSON");
        insta::assert_json_snapshot!(value);
    }

    #[test]
    fn what_is_written_is_canonical_already() {
        for record in [full(), Record::new(Event::WriterStarted, Timestamp::from_micros(0))] {
            let text = String::from_utf8(record.canonical().expect("serializable")).expect("UTF-8");
            let value = quaymaster_core::json::parse_strict(&text).expect("JSON");
            assert_eq!(quaymaster_core::json::canonical(&value), text);
        }
    }

    #[test]
    fn an_event_is_written_as_its_word() {
        for event in [
            Event::CallIntent,
            Event::CallOutcome,
            Event::CallRefused,
            Event::RequestRefused,
            Event::ConfigApplied,
            Event::ConfigRefused,
            Event::TokenCreated,
            Event::TokenRevoked,
            Event::WriterStarted,
            Event::WriterStopped,
        ] {
            assert_eq!(serde_json::to_value(event).ok(), Some(event.as_str().into()));
        }
    }
}
