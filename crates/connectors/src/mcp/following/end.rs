//! What is the end of a task, and what says nothing of it.
//!
//! Invariant: whatever is not the task's own end is taken for the loss of it ([`End::Lost`]).

use http::StatusCode;
use quaymaster_core::rpc::code;
use quaymaster_core::{CallError, Effect};

use super::super::failure::Failure;

/// Why a task has no result.
pub(super) enum End {
    /// It came to this, by its server's own word.
    Failed(Failure),
    /// It was lost sight of, and may still go on or have taken effect.
    Lost(Failure),
}

impl From<Failure> for End {
    fn from(failure: Failure) -> Self {
        Self::Lost(failure)
    }
}

impl End {
    pub(super) fn into_call_error(self, effect: Effect) -> CallError {
        match self {
            Self::Failed(failure) => failure.into_call_error(effect),
            Self::Lost(failure) => failure.into_error_of_begun(effect),
        }
    }
}

/// Whether the task may go on all the same.
pub(super) fn may_pass(failure: &Failure) -> bool {
    match failure {
        Failure::NotDelivered(_)
        | Failure::Rejected { .. }
        | Failure::Broken(_)
        | Failure::Timeout { .. }
        | Failure::Down { auth_required: false, .. }
        | Failure::Quarantined { retry_after: Some(_) }
        | Failure::Overloaded => true,
        Failure::Status { status, .. } => {
            status.is_server_error() || *status == StatusCode::TOO_MANY_REQUESTS
        }
        _ => false,
    }
}

/// Whether `failure` leaves open what a task has come to, so that `method` is tried again: only a look
/// at it that fails says nothing of the task, whatever is wrong.
pub(super) fn is_no_word(method: &str, failure: &Failure) -> bool {
    match failure {
        Failure::Rpc { code, .. } => method == "tasks/get" && !means_forgotten(*code),
        failure => may_pass(failure),
    }
}

/// Whether an error with `code` says that there is no such task (MCP 2025-11-25, basic/utilities/tasks,
/// "Protocol Errors"; some servers have the code of resources that are not there).
pub(super) fn means_forgotten(code: i64) -> bool {
    matches!(code, code::INVALID_PARAMS | code::RESOURCE_NOT_FOUND)
}

pub(super) fn ended_without() -> Failure {
    Failure::Malformed("a task that has ended without a result".into())
}

pub(super) fn of_another() -> Failure {
    Failure::Malformed("an answer about another task".into())
}
