//! What a caller gets.
//!
//! [`Envelope`] is the `structuredContent` of every result that Quaymaster makes
//! itself: from its own connectors, and for every refusal and failure. It is a
//! contract (`docs/adr/0003-frozen-contracts.md`). A success of an MCP upstream
//! is passed on unchanged, with the audit id in `_meta`.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::error::{CallError, ErrorCode, LimitLeft, Retry};
use crate::id::ApprovalId;
use crate::id::CallId;
use crate::input::InputAbilities;

/// The key in a result's `_meta` under which the audit id is found.
pub const AUDIT_ID_META: &str = "dev.quaymaster/audit_id";

/// The name under which a result says that what it holds is an upstream's and that nobody vouches for it.
pub const UNTRUSTED_META: &str = "dev.quaymaster/untrusted";

/// How the names in `_meta` begin that are ours: nobody else's is passed on.
pub const OWN_META: &str = "dev.quaymaster/";

/// The key in a result's `_meta` that says `true` where it is the receipt of the same write, made before.
pub const REPEATED_META: &str = "dev.quaymaster/repeated";

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It did what was asked.
    Success,
    /// Part of it did; `progress` and `warnings` say which.
    Partial,
    /// A person has to agree first.
    RequiresApproval,
    /// It did not do what was asked.
    Failed,
}

impl Status {
    /// The status as it is written on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Partial => "partial",
            Self::RequiresApproval => "requires_approval",
            Self::Failed => "failed",
        }
    }
}

/// Why a call failed, for programs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ErrorBody {
    /// The stable word.
    pub code: ErrorCode,
    /// Whether calling again can help.
    pub retry: Retry,
    /// Seconds after which calling again can help.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after_seconds: Option<u64>,
    /// What would be right.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// What is left of the limit that refused the call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<LimitLeft>,
}

/// The structured result of a call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Envelope {
    /// How the call ended.
    pub status: Status,
    /// One sentence for the agent.
    pub message: String,
    /// Under which id the call is found in the audit log.
    pub audit_id: String,
    /// What the tool returned; its shape is the tool's own.
    pub data: Value,
    /// How far a partial result got.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress: Option<Value>,
    /// What the agent should know about the result.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// The approval that the call waits for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approval: Option<Value>,
    /// Why the call failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorBody>,
}

impl Envelope {
    /// The envelope of a success or a partial success.
    pub fn success(
        audit_id: &CallId,
        message: impl Into<String>,
        data: Value,
        warnings: Vec<String>,
    ) -> Self {
        Self {
            status: Status::Success,
            message: message.into(),
            audit_id: audit_id.to_string(),
            data,
            progress: None,
            warnings,
            approval: None,
            error: None,
        }
    }

    /// The envelope of a refusal or failure.
    pub fn failure(audit_id: &CallId, error: &CallError) -> Self {
        let status =
            if error.code == ErrorCode::ApprovalRequired { Status::RequiresApproval } else { Status::Failed };
        Self {
            status,
            message: error.public_message.clone(),
            audit_id: audit_id.to_string(),
            data: Value::Null,
            progress: None,
            warnings: vec![],
            approval: error.aside.as_deref().and_then(|aside| aside.approval.clone()),
            error: Some(ErrorBody {
                code: error.code,
                retry: error.retry,
                retry_after_seconds: error.retry_after.map(|d| d.as_secs().max(1)),
                hint: error.hint.as_deref().map(str::to_owned),
                limit: error.aside.as_deref().and_then(|aside| aside.limit.clone()),
            }),
        }
    }

    /// The JSON Schema 2020-12 of an envelope whose `data` is described by `data`.
    ///
    /// A failed call has no data, so `null` is always possible too.
    pub fn schema(data: &Value) -> Value {
        json!({
            "type": "object",
            "properties": {
                "status": {"enum": ["success", "partial", "requires_approval", "failed"]},
                "message": {"type": "string"},
                "audit_id": {"type": "string"},
                "data": {"anyOf": [data, {"type": "null"}]},
                "progress": {"type": "object"},
                "warnings": {"type": "array", "items": {"type": "string"}},
                "approval": {"type": "object"},
                "error": {
                    "type": "object",
                    "properties": {
                        "code": {"type": "string"},
                        "retry": {"enum": ["never", "safe", "after_change"]},
                        "retry_after_seconds": {"type": "integer"},
                        "hint": {"type": "string"}
                    },
                    "required": ["code", "retry"]
                }
            },
            "required": ["status", "message", "audit_id", "data"]
        })
    }
}

/// Whether a result may be kept for whoever asks again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keeping {
    /// Whether it may be kept at all.
    pub is_allowed: bool,
    /// How long; as long as such results are kept if nothing is said.
    pub at_most: Option<Duration>,
}

impl Default for Keeping {
    fn default() -> Self {
        Self { is_allowed: true, at_most: None }
    }
}

impl Keeping {
    /// What holds for a result of which both are said.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let shorter = self.at_most.into_iter().chain(other.at_most).min();
        Self { is_allowed: self.is_allowed && other.is_allowed, at_most: shorter }
    }
}

/// What leaves the path of a call: an MCP `CallToolResult` (2026-07-28, server/tools)
/// as JSON text, ready for the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Under which id the call is found in the audit log.
    pub audit_id: CallId,
    /// How the call ended.
    pub status: Status,
    /// Why it failed, if it did.
    pub code: Option<ErrorCode>,
    /// The same in words that its caller may read, and what would be right.
    pub message: Option<String>,
    /// The request that the call waits for, where somebody has to agree to it.
    pub parked: Option<ApprovalId>,
    /// What the client would have to be able to, where it is that.
    pub required: Option<InputAbilities>,
    /// Whether it may be kept for whoever asks again.
    pub keeping: Keeping,
    /// The result object, without `resultType`, which ingress adds where the revision has it.
    pub result: String,
    /// The labels of whoever is given it.
    pub labels: Vec<String>,
}

/// The `CallToolResult` that carries `envelope`: structured, with a text beside it.
pub fn tool_result(envelope: &Envelope, text: &str) -> String {
    let mut result = Map::new();
    result.insert("content".into(), json!([{"type": "text", "text": text}]));
    result.insert("structuredContent".into(), serde_json::to_value(envelope).unwrap_or(Value::Null));
    let failed = matches!(envelope.status, Status::Failed | Status::RequiresApproval);
    result.insert("isError".into(), Value::Bool(failed));
    result.insert("_meta".into(), json!({AUDIT_ID_META: envelope.audit_id}));
    Value::Object(result).to_string()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::Timestamp;
    use crate::clock::FixedClock;
    use crate::random::CountingRandomness;

    fn id() -> CallId {
        CallId::new(&FixedClock::new(Timestamp::from_micros(0)), &CountingRandomness::default())
    }

    #[test]
    fn a_success_has_the_frozen_shape() {
        let envelope = Envelope::success(&id(), "2 rows", json!({"rows": [[1], [2]]}), vec!["cut".into()]);
        insta::assert_json_snapshot!(envelope);
        insta::assert_snapshot!(tool_result(&envelope, "2 rows"));
    }

    #[test]
    fn a_failure_has_the_frozen_shape() {
        let error = CallError::new(ErrorCode::LimitRate, "too many calls")
            .retry_after(Duration::from_millis(200))
            .hint("wait");
        insta::assert_json_snapshot!(Envelope::failure(&id(), &error));
    }

    #[test]
    fn a_call_that_waits_for_a_person_is_not_called_failed() {
        let error = CallError::new(ErrorCode::ApprovalRequired, "a person has to agree");
        assert_eq!(Envelope::failure(&id(), &error).status, Status::RequiresApproval);
    }

    #[test]
    fn the_published_schema_names_every_field_of_the_envelope() {
        let schema = Envelope::schema(&json!({"type": "object"}));
        let generated = schemars::schema_for!(Envelope);
        let names = |v: &Value| -> Vec<String> {
            let mut names: Vec<_> = v
                .get("properties")
                .and_then(Value::as_object)
                .into_iter()
                .flatten()
                .map(|(k, _)| k.clone())
                .collect();
            names.sort();
            names
        };
        assert_eq!(names(&schema), names(generated.as_value()));
    }
}
