//! What the head and the failure of an HTTP response say.

use std::time::Duration;

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue};
use quaymaster_core::rpc::{self, Message};

use crate::egress::{BodyError, EgressError};
use crate::mcp::failure::Failure;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum ContentType {
    Json,
    Events,
    Other,
}

pub(super) fn content_type(headers: &HeaderMap) -> ContentType {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = value.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("application/json") {
        ContentType::Json
    } else if essence.eq_ignore_ascii_case("text/event-stream") {
        ContentType::Events
    } else {
        ContentType::Other
    }
}

pub(super) fn no_response(error: EgressError) -> Failure {
    match error {
        EgressError::NotSent(why) => Failure::NotDelivered(why),
        EgressError::Broken(why) => Failure::Broken(why),
    }
}

pub(super) fn no_body(error: BodyError) -> Failure {
    match error {
        BodyError::TooLarge { limit_bytes } => Failure::TooLarge { limit_bytes },
        BodyError::Broken(why) => Failure::Broken(why),
    }
}

pub(super) fn no_answer() -> Failure {
    Failure::Malformed("a message that is no answer".into())
}

/// Whether `body` answers our request `id`, in whichever way.
pub(super) fn is_answer(body: &[u8], id: u64) -> bool {
    let answered = match rpc::parse(body) {
        Ok(Message::Response { id, .. }) => id.as_json().parse().ok(),
        _ => None,
    };
    answered == Some(id)
}

pub(super) fn names_session(body: &[u8]) -> bool {
    body.windows(7).take(4096).any(|window| window.eq_ignore_ascii_case(b"session"))
}

pub(super) fn seconds(value: &HeaderValue) -> Option<Duration> {
    value.to_str().ok()?.trim().parse().ok().map(Duration::from_secs)
}

/// An id that the server gave the request, if it is one that may go into a record.
pub(super) fn plain_id(value: &HeaderValue) -> Option<String> {
    let text = value.to_str().ok()?;
    (!text.is_empty() && text.len() <= 128 && text.bytes().all(|b| b.is_ascii_graphic())).then(|| text.into())
}

pub(super) fn wait(asked_for: Option<Duration>, (usual, longest): (Duration, Duration)) -> Duration {
    asked_for.unwrap_or(usual).min(longest)
}
