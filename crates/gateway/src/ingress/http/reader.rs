//! Who reads the stream of a session's call.
//!
//! The stream itself is the session's (`session::streams`): when this response ends
//! before it, what is left waits there for a client that comes back. Every event has an
//! id to come back with; a session of 2025-11-25 has one before there is anything to
//! say (MCP 2025-11-25, basic/transports, sending messages to the server).
//!
//! Invariant: the response is closed before the answer only if its client has an id to
//! come back with, and speaks a revision in which it has to.

use std::fmt::Write as _;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http::Response;
use quaymaster_core::Caller;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::body::{self, Body};
use super::endpoint::Endpoint;
use super::event_id::{self, EventId, Whose};
use super::stream::events;
use crate::ingress::door::Door;
use crate::ingress::refusal::Refusal;
use crate::ingress::session::Session;
use crate::ingress::session::streams::{Heard, Line, Words};

/// When a client comes back that lost its stream.
pub(super) const RETRY: Duration = Duration::from_secs(1);

/// One response that is a stream, or a part of it.
pub(super) struct Reader<D: Door> {
    endpoint: Arc<Endpoint<D>>,
    session: Arc<Session>,
    line: Arc<Line>,
    /// Cancelled when another reads.
    replaced: CancellationToken,
    /// The place of the next message.
    next: u64,
    is_begun: bool,
    is_over: bool,
}

impl<D: Door> Endpoint<D> {
    /// The response that says `words` to the client of `session`, and which it can take up with
    /// the same authority; `attended` says whether somebody reads.
    pub(super) fn say(
        self: &Arc<Self>,
        (session, authority): (Arc<Session>, String),
        words: Words,
        attended: Arc<AtomicBool>,
    ) -> Response<Body> {
        let number = self.next_stream();
        let (line, replaced) = session.streams.begin(number, authority, words, attended);
        Reader::new(self, session, (line, replaced), 1).respond()
    }

    /// The response that goes on behind the event `last`.
    ///
    /// # Errors
    ///
    /// 400 if there is no such event in the session, or something after it is not there any more.
    pub(super) fn go_on(
        self: &Arc<Self>,
        session: Arc<Session>,
        last: &EventId<'_>,
        actor: &Caller,
    ) -> Result<Response<Body>, Refusal> {
        let found = (last.process == self.process.as_str())
            .then(|| session.streams.take_up(last.stream, last.place, &actor.authority()))
            .flatten();
        let line = found.ok_or_else(event_id::unknown)?;
        Ok(Reader::new(self, session, line, last.place + 1).respond())
    }

    pub(super) fn next_stream(&self) -> u64 {
        self.streams.fetch_add(1, Ordering::Relaxed)
    }
}

impl<D: Door> Reader<D> {
    fn new(
        endpoint: &Arc<Endpoint<D>>,
        session: Arc<Session>,
        (line, replaced): (Arc<Line>, CancellationToken),
        next: u64,
    ) -> Self {
        let endpoint = Arc::clone(endpoint);
        Self { endpoint, session, line, replaced, next, is_begun: false, is_over: false }
    }

    fn respond(self) -> Response<Body> {
        events(stream::unfold(
            self,
            |mut reader| async move { reader.next().await.map(|bytes| (bytes, reader)) },
        ))
    }

    async fn next(&mut self) -> Option<Bytes> {
        let primes = self.session.revision.is_primed();
        if !self.is_begun {
            self.is_begun = true;
            if primes {
                return Some(priming(&self.id(self.next.saturating_sub(1)), RETRY));
            }
        }
        while !self.is_over {
            let Self { line, next, replaced, endpoint, .. } = self;
            let heard = tokio::select! {
                biased;
                () = replaced.cancelled() => None,
                heard = poll_fn(|cx| line.poll_next(*next, cx)) => heard,
                () = sleep(endpoint.settings.keep_alive) => return Some(body::keep_alive()),
            };
            match heard {
                Some(Heard::Message(place, message)) => {
                    self.next = place + 1;
                    return Some(body::event_with_id(&self.id(place).to_string(), &message));
                }
                // The server behind the call has closed its own stream (SEP-1699).
                Some(Heard::Away(wait)) if primes => {
                    self.is_over = true;
                    return Some(retry(wait));
                }
                Some(Heard::Away(_)) => {}
                None => self.is_over = true,
            }
        }
        None
    }

    fn id(&self, place: u64) -> EventId<'_> {
        EventId {
            process: self.endpoint.process.as_str(),
            whose: Whose::Call,
            stream: self.line.number,
            place,
        }
    }
}

impl<D: Door> Drop for Reader<D> {
    fn drop(&mut self) {
        let Self { endpoint, session, line, replaced, .. } = self;
        let room = || {
            // Where nothing was sent there is nothing to come back with.
            let knows_a_place = session.revision.is_primed() || self.next > 1;
            let stays = knows_a_place && !session.ended.is_cancelled();
            let share = || endpoint.front.allowances.streams.take(session.actor(), 1);
            let permit = Arc::clone(&endpoint.kept);
            Some((stays.then(share).flatten()?, permit.try_acquire_owned().ok()?))
        };
        session.streams.leave(line, replaced, room, endpoint.now());
    }
}

/// The event that a stream begins with: an id, and nothing said.
pub(super) fn priming(id: &EventId<'_>, retry: Duration) -> Bytes {
    let mut event = String::new();
    let _ = write!(event, "id: {id}\nretry: {}\ndata: \n\n", retry.as_millis());
    event.into()
}

fn retry(wait: Duration) -> Bytes {
    format!("retry: {}\n\n", wait.as_millis()).into()
}
