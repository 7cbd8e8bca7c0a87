//! The ids of events, by which a session's client says where its stream broke.
//!
//! An id names the process, the stream and the place in it. It is looked up among the
//! streams of the session that sends it and nowhere else, so it need not be sealed: the
//! session's handle is.

use std::fmt;

use http::{HeaderMap, HeaderName};

use super::guard::single;
use crate::ingress::refusal::Refusal;

static LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// Which stream an event is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whose {
    /// That of a call.
    Call,
    /// The session's own.
    Session,
}

/// Where an event stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct EventId<'a> {
    /// Which process it is of.
    pub(super) process: &'a str,
    pub(super) whose: Whose,
    /// Which stream of the process.
    pub(super) stream: u64,
    /// The place in the stream; 0 is its beginning.
    pub(super) place: u64,
}

impl<'a> EventId<'a> {
    /// The id that a request names, if it names one.
    ///
    /// # Errors
    ///
    /// The same as for one of which nothing is known, if it is none of ours.
    pub(super) fn last(headers: &'a HeaderMap) -> Result<Option<Self>, Refusal> {
        let Some(text) = single(headers, &LAST_EVENT_ID)? else { return Ok(None) };
        Self::parse(text).map(Some).ok_or_else(unknown)
    }

    fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.split('.');
        let whose = match parts.next()? {
            "call" => Whose::Call,
            "own" => Whose::Session,
            _ => return None,
        };
        let process = parts.next()?;
        let (stream, place) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        parts.next().is_none().then_some(Self { process, whose, stream, place })
    }
}

impl fmt::Display for EventId<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { process, whose, stream, place } = self;
        let whose = match whose {
            Whose::Call => "call",
            Whose::Session => "own",
        };
        write!(f, "{whose}.{process}.{stream}.{place}")
    }
}

/// The answer to every id that leads nowhere. Not 404, which would be the end of the session.
pub(super) fn unknown() -> Refusal {
    Refusal::invalid_request(
        http::StatusCode::BAD_REQUEST,
        "`Last-Event-ID` is unknown in this session, or what came after it is no longer kept",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_as_it_was_written_and_nothing_else_is_one() {
        let id = EventId { process: "p-1", whose: Whose::Session, stream: 3, place: 9 };
        assert_eq!(EventId::parse(&id.to_string()), Some(id));
        for bad in ["", "call", "call.p.1", "call.p.1.2.3", "call.p.-1.2", "all.p.1.2", "call.p.1.x"] {
            assert_eq!(EventId::parse(bad), None, "{bad}");
        }
    }
}
