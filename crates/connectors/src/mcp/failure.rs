//! Why a request to an upstream has no result, and what a caller is told.
//!
//! The transports say what happened and whether the upstream may have seen the
//! request; only here is that turned into a code, because it depends on what the
//! tool does to the world.
//!
//! Invariants:
//! - A write that may have been seen and was not answered is
//!   `upstream.outcome_unknown`, whatever went wrong.
//! - Only what the upstream provably did not act on, or a read, is repeated.
//! - What an upstream says of its error is a result: it is kept for release to judge
//!   (`CallError::upstream_message`), shortened and without control characters, and
//!   is in no message and no log.

use std::time::Duration;

use http::StatusCode;
use quaymaster_core::rpc::{RpcError, code};
use quaymaster_core::text::misleads;
use quaymaster_core::{CallError, Effect, ErrorCode, InputAbilities};

use super::breaker::Verdict;

const SHOWN_CHARS: usize = 300;

/// What went wrong with one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// It was never sent. The connection is lost.
    NotDelivered(String),
    /// The server refused it, as it does when it lost the session. The connection is lost.
    Rejected { status: StatusCode },
    /// The server, or something before it, answered with an HTTP status alone.
    Status { status: StatusCode, retry_after: Option<Duration> },
    /// The connection broke before the answer.
    Broken(String),
    /// There was an answer, and it cannot be understood.
    Malformed(String),
    /// There was an answer of a kind that we did not ask for.
    Unsupported(String),
    /// There was an answer, and it is larger than allowed.
    TooLarge { limit_bytes: usize },
    /// The server answered with an error.
    Rpc { code: i64, message: String },
    /// The call needs to ask the client what that says it cannot be asked.
    Incapable { required: InputAbilities },
    /// Nothing came in time.
    Timeout { sent: bool },
    /// The caller took the call back.
    Cancelled { sent: bool },
    /// The server refused a credential, which is another one by now.
    Renewed,
    /// The server refused the caller's own token.
    CallerRefused,
    /// A secret that the server needs cannot be had.
    Secret(String),
    /// There is no connection now.
    Down { auth_required: bool, retry_after: Duration },
    /// What should be started is not there.
    Missing(String),
    /// So many calls failed that this one is not tried.
    BreakerOpen { retry_after: Duration },
    /// The server is shut out, for that long or until a person acts.
    Quarantined { retry_after: Option<Duration> },
    /// Too many requests are under way.
    Overloaded,
    /// The connector is shutting down.
    Ended,
}

impl Failure {
    /// An answer that is no message. What stands behind the colon of `error` may quote it.
    pub(super) fn unreadable(error: &RpcError) -> Self {
        Self::Malformed(error.message.split(": ").next().unwrap_or_default().to_owned())
    }

    /// Whether the connection that gave this is of no more use.
    pub(super) fn is_loss(&self) -> bool {
        matches!(self, Self::NotDelivered(_) | Self::Rejected { .. })
    }

    /// Whether the server can answer only with a task, and was not told that it may.
    pub(super) fn wants_tasks(&self) -> bool {
        matches!(self, Self::Incapable { required } if required.tasks)
    }

    /// Whether the server broke the protocol.
    pub(super) fn is_offence(&self) -> bool {
        matches!(self, Self::Malformed(_))
    }

    /// What it says of whether the server answers, for the breaker. `connection` is the number of
    /// the one that it happened on, if that has ended with it.
    pub(super) fn verdict(&self, connection: Option<u64>) -> Verdict {
        match self {
            Self::Rpc { .. }
            | Self::Incapable { .. }
            | Self::Malformed(_)
            | Self::Unsupported(_)
            | Self::Renewed
            | Self::CallerRefused
            | Self::TooLarge { .. } => Verdict::Answered,
            Self::Status { status, .. } if !status.is_server_error() => Verdict::Answered,
            Self::Broken(_) => connection.map_or(Verdict::Failed, Verdict::Ended),
            Self::Status { .. } | Self::NotDelivered(_) | Self::Rejected { .. } | Self::Timeout { .. } => {
                Verdict::Failed
            }
            Self::Cancelled { .. }
            | Self::Down { .. }
            | Self::Secret(_)
            | Self::Missing(_)
            | Self::BreakerOpen { .. }
            | Self::Quarantined { .. }
            | Self::Overloaded
            | Self::Ended => Verdict::Nothing,
        }
    }

    /// Whether the same request may be sent again.
    pub(super) fn may_be_repeated(&self, effect: Effect) -> bool {
        match self {
            // A request with a refused credential was not applied (RFC 9110, section 15.5.2).
            Self::NotDelivered(_) | Self::Renewed => true,
            Self::Rejected { status } => effect == Effect::Read || is_unread(*status),
            Self::Broken(_) => effect == Effect::Read,
            Self::Status { status, retry_after: None } => effect == Effect::Read && status.is_server_error(),
            _ => false,
        }
    }

    /// What went wrong, for the people who run the gateway.
    pub(super) fn reason(&self) -> String {
        match self {
            Self::NotDelivered(why)
            | Self::Broken(why)
            | Self::Malformed(why)
            | Self::Unsupported(why)
            | Self::Secret(why)
            | Self::Missing(why) => shown(why),
            Self::Renewed => "the server refused a credential that is another one by now".into(),
            Self::CallerRefused => "the server refused the caller's own token".into(),
            Self::Rejected { status } | Self::Status { status, .. } => {
                format!("the server answers with HTTP status {}", status.as_u16())
            }
            Self::TooLarge { limit_bytes } => format!("an answer of more than {limit_bytes} bytes"),
            Self::Rpc { code, .. } => format!("the server answers with error {code}"),
            Self::Incapable { .. } => "the client cannot be asked what the server wants to know".into(),
            Self::Timeout { .. } => "no answer in time".into(),
            Self::Cancelled { .. } => "taken back".into(),
            Self::Down { .. } => "no connection".into(),
            Self::BreakerOpen { .. } => "too many calls failed in a row".into(),
            Self::Quarantined { .. } => "the server is shut out".into(),
            Self::Overloaded => "too many requests at once".into(),
            Self::Ended => "shutting down".into(),
        }
    }

    /// How long the server, or what stands before it, wants to be left alone.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status { retry_after, .. } | Self::Quarantined { retry_after } => *retry_after,
            _ => None,
        }
    }

    /// What the caller is told if this came after the server had taken up the call, so that of a write it
    /// does not say what became of it.
    pub(super) fn into_error_of_begun(self, effect: Effect) -> CallError {
        match effect {
            Effect::Read => self.into_call_error(effect),
            Effect::Write | Effect::Destructive => outcome_unknown().because(self.reason()),
        }
    }

    /// What the caller of a tool with `effect` is told.
    pub(super) fn into_call_error(self, effect: Effect) -> CallError {
        let reason = self.reason();
        let is_read = effect == Effect::Read;
        let error = match self {
            Self::Rejected { status } if !is_read && !is_unread(status) => outcome_unknown(),
            Self::NotDelivered(_)
            | Self::Missing(_)
            | Self::Rejected { .. }
            | Self::Timeout { sent: false } => unavailable(UNREACHABLE, None),
            Self::Down { auth_required: true, .. } | Self::Renewed => auth_required(),
            Self::CallerRefused => caller_refused(),
            Self::Secret(_) => CallError::new(
                ErrorCode::SecretUnavailable,
                "a secret that the MCP server needs cannot be had now",
            ),
            Self::Down { retry_after, .. } => unavailable(UNREACHABLE, Some(retry_after)),
            Self::BreakerOpen { retry_after } => unavailable(
                "calls of the MCP server failed again and again, so it is left alone for a while",
                Some(retry_after),
            ),
            Self::Quarantined { retry_after } => quarantined(retry_after),
            Self::Status { status, retry_after } => of_status(status, retry_after, is_read),
            Self::Rpc { code, message } => of_rpc(code, &message),
            Self::Incapable { required } => incapable(required),
            Self::Unsupported(what) if is_read => CallError::new(ErrorCode::UpstreamError, what),
            Self::Cancelled { sent } if is_read || !sent => {
                CallError::new(ErrorCode::CallCancelled, "the call was taken back")
            }
            Self::Overloaded => CallError::new(
                ErrorCode::GatewayOverloaded,
                "too many calls of this MCP server are under way",
            ),
            Self::Ended => CallError::new(ErrorCode::GatewayShuttingDown, "the gateway is shutting down"),
            _ if !is_read => outcome_unknown(),
            Self::Broken(_) => unavailable("the connection to the MCP server broke before its answer", None),
            Self::Timeout { .. } => {
                CallError::new(ErrorCode::UpstreamTimeout, "the MCP server did not answer in time")
                    .hint("ask for less, or try again later")
            }
            Self::TooLarge { limit_bytes } => CallError::new(
                ErrorCode::UpstreamError,
                format!("the MCP server's answer is larger than the limit of {limit_bytes} bytes"),
            )
            .hint("ask for less"),
            Self::Malformed(_) | Self::Unsupported(_) | Self::Cancelled { .. } => {
                CallError::new(ErrorCode::UpstreamError, "the MCP server's answer cannot be understood")
            }
        };
        error.because(reason)
    }
}

/// Whether `status` of a lost session says that the request was not read: 404 does (MCP 2025-11-25,
/// basic/transports, "Session Management"). A 400 that speaks of a session may be about the call.
fn is_unread(status: StatusCode) -> bool {
    status == StatusCode::NOT_FOUND
}

const UNREACHABLE: &str = "the MCP server cannot be reached";

fn unavailable(message: impl Into<String>, retry_after: Option<Duration>) -> CallError {
    let error = CallError::new(ErrorCode::UpstreamUnavailable, message);
    match retry_after {
        Some(after) => error.retry_after(after),
        None => error,
    }
}

fn auth_required() -> CallError {
    CallError::new(
        ErrorCode::UpstreamAuthRequired,
        "the MCP server does not accept the gateway's credentials",
    )
}

fn caller_refused() -> CallError {
    CallError::new(ErrorCode::UpstreamAuthRequired, "the MCP server does not accept your own token any more")
        .hint("have another one stored: `quaymaster credentials put` for this connector and your name")
}

fn quarantined(retry_after: Option<Duration>) -> CallError {
    let error = CallError::new(ErrorCode::ToolQuarantined, "the MCP server is shut out for what it did");
    match retry_after {
        Some(after) => error.retry_after(after),
        None => error.hint("ask those who run the gateway: a person has to look at it"),
    }
}

/// Whoever wants to ask first has not acted yet, so this is the same for a write.
fn incapable(required: InputAbilities) -> CallError {
    CallError::new(
        ErrorCode::ClientCapability,
        "the call needs to ask something that this client cannot be asked",
    )
    .hint(format!("a client that declares the capabilities {} can make it", required.as_json()))
    .requiring(required)
}

fn outcome_unknown() -> CallError {
    CallError::new(
        ErrorCode::UpstreamOutcomeUnknown,
        "the MCP server gave no usable answer; it is not known whether the call took effect",
    )
    .hint("look up whether it happened before calling again")
}

fn of_status(status: StatusCode, retry_after: Option<Duration>, is_read: bool) -> CallError {
    let said = || format!("the MCP server answered with HTTP status {}", status.as_u16());
    match status {
        StatusCode::UNAUTHORIZED => auth_required(),
        StatusCode::FORBIDDEN => CallError::new(
            ErrorCode::UpstreamPermission,
            "the MCP server does not permit this to the gateway",
        ),
        StatusCode::TOO_MANY_REQUESTS => {
            let error = CallError::new(ErrorCode::UpstreamRateLimited, "the MCP server asks for fewer calls");
            match retry_after {
                Some(after) => error.retry_after(after),
                None => error,
            }
        }
        status if status.is_server_error() && is_read => unavailable(said(), retry_after),
        status if status.is_server_error() => outcome_unknown(),
        status if status.is_redirection() => CallError::new(
            ErrorCode::UpstreamError,
            "the MCP server answered with a redirect, which is not followed",
        ),
        _ => CallError::new(ErrorCode::UpstreamError, said()),
    }
}

fn of_rpc(code: i64, message: &str) -> CallError {
    let (kind, what) = match code {
        code::INVALID_PARAMS => (ErrorCode::InputInvalid, "refused the arguments"),
        code::METHOD_NOT_FOUND => (ErrorCode::UpstreamNotFound, "does not know what was asked for"),
        _ => (ErrorCode::UpstreamError, "answered with an error"),
    };
    CallError::new(kind, format!("the MCP server {what} (JSON-RPC code {code})"))
        .upstream_message(shown(message))
}

/// `text` as others may see it: at most 300 characters, and none that steer a
/// terminal or hide text from a reader.
pub(super) fn shown(text: &str) -> String {
    let spaced = text.chars().map(|c| if matches!(c, '\n' | '\t') { ' ' } else { c });
    let visible = spaced.filter(|c| !misleads(*c));
    let mut shown: String = visible.take(SHOWN_CHARS + 1).collect();
    if let Some((at, _)) = shown.char_indices().nth(SHOWN_CHARS) {
        shown.truncate(at);
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests;
