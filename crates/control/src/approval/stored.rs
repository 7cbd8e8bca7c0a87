//! A reply that waits for whoever asked.

use quaymaster_core::flow::OWN_LABELS;
use quaymaster_core::meta::with_meta;
use quaymaster_core::result::{Envelope, REPEATED_META, tool_result};
use quaymaster_core::{CallError, CallId, ErrorCode, Keeping, Raw, Reply, Status, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::ledger::End;

/// A reply as it is sealed and kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredReply {
    call: CallId,
    status: Status,
    code: Option<ErrorCode>,
    message: Option<String>,
    result: String,
    /// The labels of whoever is given it. Whoever stored it before there were any did not say.
    #[serde(default)]
    labels: Option<Vec<String>>,
    /// Until when it is handed out, in microseconds since the Unix epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until_us: Option<u64>,
}

impl StoredReply {
    /// A reply that is kept from `now` on, or what is left of one that may not be.
    pub(crate) fn of(reply: &Reply, now: Timestamp) -> Self {
        let Keeping { is_allowed, at_most } = reply.keeping;
        if !is_allowed {
            return Self::not_kept(&reply.audit_id, reply.code);
        }
        Self {
            until_us: at_most.map(|at_most| now.after(at_most).as_micros()),
            call: reply.audit_id.clone(),
            status: reply.status,
            code: reply.code,
            message: reply.message.clone(),
            result: reply.result.clone(),
            labels: Some(reply.labels.clone()),
        }
    }

    /// The same at `now`: after the time for which it may be kept only that the call was made.
    #[must_use]
    pub(crate) fn at(self, now: Timestamp) -> Self {
        match self.until_us {
            Some(until) if now.as_micros() > until => Self::not_kept(&self.call, self.code),
            _ => self,
        }
    }

    fn not_kept(call: &CallId, code: Option<ErrorCode>) -> Self {
        match code {
            None => Self::without(call, "the call was made and succeeded; its result may not be kept"),
            Some(code) => {
                let message = "the call was made and failed; what was answered to it may not be kept";
                Self::failed(call, &CallError::new(code, message))
            }
        }
    }

    /// What is left of a call whose process was lost after it had ended so.
    pub(crate) fn lost(call: &CallId, status: &str, code: Option<ErrorCode>) -> Self {
        if status == Status::Success.as_str() {
            let message = "the call was made and succeeded; its result was lost when the gateway stopped";
            return Self::without(call, message);
        }
        match code.filter(|code| End::of_code(*code, None) == End::Failed) {
            Some(code) => {
                let message =
                    "the call was made and failed; what was answered to it was lost when the gateway stopped";
                Self::failed(call, &CallError::new(code, message))
            }
            None => Self::unknown(call),
        }
    }

    /// What is told of a write that was made before and whose receipt is not there, or not for this caller.
    pub(crate) fn made(call: &CallId) -> Self {
        Self::without(
            call,
            "the same write was made before and took effect; its result is not kept for this call",
        )
    }

    fn without(call: &CallId, message: &str) -> Self {
        let hint = "look the effect up in the system behind the tool".to_owned();
        let envelope = Envelope::success(call, message, Value::Null, vec![hint]);
        Self {
            call: call.clone(),
            status: Status::Success,
            code: None,
            message: None,
            result: tool_result(&envelope, message),
            labels: Some(vec![]),
            until_us: None,
        }
    }

    /// What is told of a call whose end nobody saw.
    pub(crate) fn unknown(call: &CallId) -> Self {
        let message = "the gateway stopped while the call ran: it may have taken effect";
        let error = CallError::new(ErrorCode::UpstreamOutcomeUnknown, message)
            .hint("a person can look the effect up in the system behind the tool; do not call again");
        Self::failed(call, &error)
    }

    fn failed(call: &CallId, error: &CallError) -> Self {
        let envelope = Envelope::failure(call, error);
        let text = format!("{}: {}", error.code, error.public_message);
        Self {
            call: call.clone(),
            status: envelope.status,
            code: Some(error.code),
            result: tool_result(&envelope, &text),
            labels: Some(vec![]),
            message: Some(text),
            until_us: None,
        }
    }

    /// The same as the receipt of a write that is made again.
    #[must_use]
    pub(crate) fn repeated(self) -> Self {
        let marked = Raw::read(&self.result).ok().and_then(|raw| with_meta(raw, REPEATED_META, Some("true")));
        Self { result: marked.unwrap_or(self.result), ..self }
    }

    /// The call that made it.
    pub fn call(&self) -> &CallId {
        &self.call
    }

    /// How that call ended.
    pub fn status(&self) -> Status {
        self.status
    }

    /// The labels of whoever is given it.
    pub(crate) fn labels(&self) -> Vec<String> {
        let all = || OWN_LABELS.iter().map(|label| (*label).to_owned()).collect();
        self.labels.clone().unwrap_or_else(all)
    }

    /// The reply. Whoever gets it is labelled before that (see `stages::label`).
    pub(crate) fn into_reply(self) -> Reply {
        let labels = self.labels();
        let Self { call, status, code, message, result, .. } = self;
        Reply {
            audit_id: call,
            status,
            code,
            message,
            parked: None,
            required: None,
            keeping: Keeping::default(),
            result,
            labels,
        }
    }
}
