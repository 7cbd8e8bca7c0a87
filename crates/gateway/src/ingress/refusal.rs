//! Why a request is refused before it becomes a call.
//!
//! One type for both transports: the JSON-RPC error that the client gets, the
//! HTTP status that goes with it, and the stable code that is recorded and
//! counted. Messages say what is wrong and what would be right; they quote names
//! that the client sent, bounded and escaped, and never arguments.

use std::time::Duration;

use http::StatusCode;
use quaymaster_core::actor::NeededScopes;
use quaymaster_core::rpc::{self, RequestId, RpcError, code};
use quaymaster_core::{CallError, ErrorCode, InputAbilities};
use serde_json::{Value, json};

use super::era::SUPPORTED;

/// A request that is answered with an error and does not reach the gateway.
#[derive(Clone, Debug, PartialEq)]
pub struct Refusal {
    /// The HTTP status; stdio has none.
    pub status: StatusCode,
    /// The JSON-RPC error code.
    pub rpc_code: i64,
    /// The stable word that the client is told.
    pub code: ErrorCode,
    /// The stable word that is recorded. It differs from `code` only where the
    /// client must not learn the difference.
    pub recorded: ErrorCode,
    /// What is wrong and what would be right.
    pub message: String,
    /// Whether it is in the audit log already.
    pub(super) is_noted: bool,
    /// When asking again can help.
    pub retry_after: Option<Duration>,
    /// All scopes that are needed, where some lack.
    pub(super) scopes: Option<Box<NeededScopes>>,
    /// What else the client is told that it needs to know.
    data: Option<Box<Value>>,
}

impl Refusal {
    pub(super) fn new(
        status: StatusCode,
        rpc_code: i64,
        code: ErrorCode,
        message: impl Into<String>,
    ) -> Self {
        let message = message.into();
        Self {
            status,
            rpc_code,
            code,
            recorded: code,
            message,
            is_noted: false,
            retry_after: None,
            scopes: None,
            data: None,
        }
    }

    /// The request is not one that this transport takes.
    pub(super) fn invalid_request(status: StatusCode, message: impl Into<String>) -> Self {
        Self::new(status, code::INVALID_REQUEST, ErrorCode::InputInvalid, message)
    }

    /// The parameters do not fit the method.
    pub(super) fn invalid_params(message: impl Into<String>) -> Self {
        Self::new(StatusCode::OK, code::INVALID_PARAMS, ErrorCode::InputInvalid, message)
    }

    /// The request says less of itself than it must (MCP 2026-07-28, basic, `_meta`).
    pub(super) fn malformed(message: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, ..Self::invalid_params(message) }
    }

    /// Header and body disagree (MCP 2026-07-28, streamable HTTP, server validation).
    pub(super) fn header_mismatch(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code::HEADER_MISMATCH, ErrorCode::InputInvalid, message)
    }

    /// `method` is not one of `known`.
    pub(super) fn method_not_found(status: StatusCode, method: &str, known: &[&str]) -> Self {
        let message = format!("no method `{}`: there are {}", quoted(method), known.join(", "));
        Self::new(status, code::METHOD_NOT_FOUND, ErrorCode::InputInvalid, message)
    }

    /// `requested` is not a version that we speak.
    pub(super) fn unsupported_version(requested: &str) -> Self {
        let requested = quoted(requested);
        let message =
            format!("protocol version `{requested}` is not supported: use {}", SUPPORTED.join(", "));
        Self {
            data: Some(Box::new(json!({"supported": SUPPORTED, "requested": requested}))),
            ..Self::new(
                StatusCode::BAD_REQUEST,
                code::UNSUPPORTED_PROTOCOL_VERSION,
                ErrorCode::InputInvalid,
                message,
            )
        }
    }

    /// The client has to be able to do what it does not say that it can (MCP 2026-07-28, basic,
    /// error codes).
    pub(super) fn missing_capability(status: StatusCode, required: InputAbilities) -> Self {
        let (rpc_code, code) = (code::MISSING_CLIENT_CAPABILITY, ErrorCode::ClientCapability);
        let required: Value = serde_json::from_str(&required.as_json()).unwrap_or_default();
        let message = format!("the client does not declare the capabilities that this takes: {required}");
        let data = json!({"code": code.as_str(), "requiredCapabilities": required});
        Self { data: Some(Box::new(data)), ..Self::new(status, rpc_code, code, message) }
    }

    /// A task is wanted of something that cannot be one.
    pub(super) fn no_task() -> Self {
        let message = "this cannot be called as a task: call it without `task`";
        Self::new(StatusCode::OK, code::METHOD_NOT_FOUND, ErrorCode::InputInvalid, message)
    }

    /// A table of ours is full.
    pub(super) fn overloaded(message: impl Into<String>) -> Self {
        Self {
            retry_after: Some(Duration::from_secs(1)),
            ..Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                code::INTERNAL_ERROR,
                ErrorCode::GatewayOverloaded,
                message,
            )
        }
    }

    /// What must be in the audit log could not be written there.
    pub(super) fn unrecorded(message: impl Into<String>) -> Self {
        Self {
            code: ErrorCode::AuditUnavailable,
            recorded: ErrorCode::AuditUnavailable,
            ..Self::overloaded(message)
        }
    }

    /// The same of something that is in the audit log already.
    pub(super) fn noted(self) -> Self {
        Self { is_noted: true, ..self }
    }

    /// A fault of ours.
    pub(super) fn internal() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            code::INTERNAL_ERROR,
            ErrorCode::GatewayInternal,
            "the gateway failed to answer",
        )
    }

    /// Records `code` though the client is told another.
    pub(super) fn recorded_as(self, code: ErrorCode) -> Self {
        Self { recorded: code, ..self }
    }

    /// The error response. Without an id it has no `id` member: MCP's schema
    /// does not allow `null` there.
    pub(super) fn to_json(&self, id: Option<&RequestId>) -> String {
        let data = self.data.as_deref().cloned().unwrap_or_else(|| match self.retry_after {
            // Standard streams have no header for it.
            Some(after) => {
                json!({"code": self.code.as_str(), "retry_after_seconds": after.as_secs().max(1)})
            }
            None => json!({"code": self.code.as_str()}),
        });
        if id.is_some() {
            return rpc::error_response(id, self.rpc_code, &self.message, Some(&data));
        }
        let message = Value::from(self.message.as_str());
        let code = self.rpc_code;
        format!(r#"{{"jsonrpc":"2.0","error":{{"code":{code},"message":{message},"data":{data}}}}}"#)
    }
}

impl From<&RpcError> for Refusal {
    fn from(error: &RpcError) -> Self {
        Self::new(StatusCode::BAD_REQUEST, error.code, ErrorCode::InputInvalid, bounded(&error.message, 400))
    }
}

/// A caller that the door does not let in.
impl From<CallError> for Refusal {
    fn from(error: CallError) -> Self {
        let (status, rpc_code) = match error.code {
            ErrorCode::AuthMissing | ErrorCode::AuthInvalid => {
                (StatusCode::UNAUTHORIZED, code::INVALID_REQUEST)
            }
            ErrorCode::AuthScope | ErrorCode::PolicyDenied => (StatusCode::FORBIDDEN, code::INVALID_REQUEST),
            ErrorCode::LimitRate | ErrorCode::LimitConcurrency | ErrorCode::LimitQuota => {
                (StatusCode::TOO_MANY_REQUESTS, code::INVALID_REQUEST)
            }
            ErrorCode::InputInvalid => (StatusCode::BAD_REQUEST, code::INVALID_REQUEST),
            ErrorCode::AuditUnavailable
            | ErrorCode::GatewayOverloaded
            | ErrorCode::GatewayShuttingDown
            | ErrorCode::UpstreamUnavailable
            | ErrorCode::IncidentStopped => (StatusCode::SERVICE_UNAVAILABLE, code::INTERNAL_ERROR),
            _ => (StatusCode::INTERNAL_SERVER_ERROR, code::INTERNAL_ERROR),
        };
        let message = match &error.hint {
            Some(hint) => format!("{}: {hint}", error.public_message),
            None => error.public_message,
        };
        let (retry_after, scopes) =
            (error.retry_after, error.aside.and_then(|aside| aside.scopes).map(Box::new));
        Self { retry_after, scopes, ..Self::new(status, rpc_code, error.code, message) }
    }
}

/// A name that the client sent, fit for a message.
pub(super) fn quoted(text: &str) -> String {
    bounded(text, 64).escape_debug().to_string()
}

/// At most `max` bytes of `text`, cut between characters.
pub(super) fn bounded(text: &str, max: usize) -> &str {
    text.get(..text.floor_char_boundary(max)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_without_an_id_has_no_id_member() {
        let refusal = Refusal::invalid_request(StatusCode::BAD_REQUEST, "no");
        assert_eq!(
            refusal.to_json(None),
            r#"{"jsonrpc":"2.0","error":{"code":-32600,"message":"no","data":{"code":"input.invalid"}}}"#
        );
        assert!(refusal.to_json(Some(&RequestId::number(3))).contains(r#""id":3"#));
    }

    #[test]
    fn a_name_in_a_message_is_bounded_and_escaped() {
        let refusal = Refusal::method_not_found(StatusCode::OK, &format!("a\n{}", "é".repeat(90)), &["ping"]);
        assert!(refusal.message.starts_with("no method `a\\nééé"), "{}", refusal.message);
        assert!(refusal.message.len() < 100, "{}", refusal.message);
    }

    #[test]
    fn a_caller_without_credentials_is_told_to_authenticate() {
        let refusal = Refusal::from(CallError::new(ErrorCode::AuthMissing, "no token").hint("send one"));
        assert_eq!(
            (refusal.status, refusal.message.as_str()),
            (StatusCode::UNAUTHORIZED, "no token: send one")
        );
    }
}
