//! What the console says where there is an error, nothing, or something that is stopped.

use http::StatusCode;
use quaymaster_control::incident::Notice;
use quaymaster_core::text::as_sentence;
use quaymaster_core::{CallError, ErrorCode};

use super::page::Answer;

/// What is told of switches, a sentence for each.
pub(super) fn told(stopped: Result<Vec<Notice>, CallError>) -> Vec<String> {
    match stopped {
        Ok(notices) => notices.iter().map(|notice| as_sentence(&notice.to_string())).collect(),
        Err(error) => vec![sentence(&error)],
    }
}

pub(super) fn unknown() -> Answer {
    Answer::message(StatusCode::NOT_FOUND, "There is no such request for you.")
}

pub(super) fn failed(error: &CallError) -> Answer {
    if let Some(source) = &error.source {
        tracing::error!(event = "console.read", %source, "a page could not be made");
    }
    Answer::message(status(error), &sentence(error))
}

pub(super) fn status(error: &CallError) -> StatusCode {
    match error.code {
        ErrorCode::InputInvalid | ErrorCode::ApprovalExpired => StatusCode::CONFLICT,
        ErrorCode::PolicyDenied | ErrorCode::AuthInvalid => StatusCode::FORBIDDEN,
        ErrorCode::LimitRate => StatusCode::TOO_MANY_REQUESTS,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    }
}

/// What an error says to anybody, as a sentence.
pub(super) fn sentence(error: &CallError) -> String {
    as_sentence(&error.public_message)
}
