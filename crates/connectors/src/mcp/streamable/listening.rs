//! The stream on which a server tells what belongs to no request.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::{Method, StatusCode};
use quaymaster_core::rpc::{self, Message};
use tokio::task::yield_now;

use super::super::batch;
use super::super::exchange::MAX_MESSAGE_BYTES;
use super::super::failure::Failure;
use super::super::link::subscription;
use super::super::sse::Events;
use super::super::wire::{self, Era, LOG};
use super::Http;
use super::response::wait;
use crate::egress::Incoming;

/// How long a stream of notices that ended is left alone usually and at most.
const LISTEN_WAIT: (Duration, Duration) = (Duration::from_secs(5), Duration::from_mins(1));
/// How long a stream of notices that ended is left alone at least, whatever the server asks for.
const LISTEN_PAUSE: Duration = Duration::from_secs(1);

/// How a server is listened to.
pub(in crate::mcp) struct Listening {
    pub(in crate::mcp) ids: Arc<AtomicU64>,
    pub(in crate::mcp) era: Era,
    /// The resources whose changes are wanted.
    pub(in crate::mcp) watched: BTreeSet<String>,
}

impl Http {
    /// Takes the server's notices of changes, for as long as there is somebody who wants them; of a server
    /// that offers none, not at all.
    pub(in crate::mcp) async fn listen(self, listening: Listening) {
        let (mut was_open, mut pause) = (false, LISTEN_PAUSE);
        loop {
            let request = match listening.era {
                Era::Modern => {
                    let id = listening.ids.fetch_add(1, Ordering::Relaxed);
                    self.post(subscription(id, &listening.watched), "subscriptions/listen", None)
                }
                Era::Legacy(_) => self.bare(Method::GET),
            };
            match self.open_stream(request).await {
                Ok(body) => {
                    // What was told while nobody listened has to be looked up.
                    if was_open {
                        self.inbox.missed_something();
                    }
                    was_open = true;
                    let mut events = Events::new(MAX_MESSAGE_BYTES);
                    let _ = self.take_notices(body, &mut events).await;
                    pause = LISTEN_PAUSE;
                    tokio::time::sleep(wait(events.retry(), LISTEN_WAIT).max(LISTEN_PAUSE)).await;
                }
                Err(failure) if !was_open && offers_none(&failure) => return,
                Err(failure) => {
                    // It may be long until it can be had again.
                    if was_open && pause == LISTEN_PAUSE {
                        self.inbox.missed_something();
                    }
                    let (_, longest) = LISTEN_WAIT;
                    let asked_for = failure.retry_after().unwrap_or_default();
                    tokio::time::sleep(pause.max(asked_for).min(longest)).await;
                    pause = (pause * 2).min(longest);
                }
            }
        }
    }

    /// Whether what comes beside calls may be told to their callers. Without a session nothing says that
    /// the stream is ours alone; and where calls have credentials of their own, nothing says whose may
    /// stand in it.
    fn is_ours(&self) -> bool {
        self.has_session && !self.is_per_caller
    }

    /// Takes what comes: notices, and in a session what the server logs and asks. Ends with the stream, or with an event that is larger than a notice can be.
    async fn take_notices(&self, mut body: Incoming, events: &mut Events) -> Result<(), Failure> {
        while let Some(Ok(data)) = body.chunk().await {
            let mut chunk = &data[..];
            while let Some(event) = events.next(&mut chunk)? {
                let event = self.clean_event(event, None);
                let text = str::from_utf8(&event).unwrap_or_default();
                for message in batch::messages(text, self.era.has_batches()) {
                    match rpc::parse_text(message) {
                        Ok(Message::Notification { method, params }) => {
                            if method == LOG
                                && self.is_ours()
                                && let Some(sink) = self.under_way.whose(params).and_then(|client| client.log)
                            {
                                wire::log(params, &*sink);
                            }
                            let sink = |id| self.under_way.sink(id).filter(|_| !self.is_per_caller);
                            self.inbox.take(&method, params, sink);
                        }
                        Ok(Message::Request { id, method, params }) => {
                            let client = || self.under_way.whose(params).filter(|_| self.is_ours());
                            let questions = || client().and_then(|client| client.questions);
                            self.answer(id, &method, params, questions);
                        }
                        Ok(Message::Response { .. }) | Err(_) => {}
                    }
                }
            }
            yield_now().await;
        }
        Ok(())
    }
}

/// Whether the answer to the first request for a stream says that there is none: it is refused, and not for
/// a while, or it is answered with something else.
fn offers_none(failure: &Failure) -> bool {
    match failure {
        Failure::Status { status, .. } => {
            status.is_client_error()
                && !matches!(*status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT)
        }
        Failure::Unsupported(_) => true,
        _ => false,
    }
}
