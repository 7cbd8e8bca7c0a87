//! The stream on which a server tells what belongs to no request.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::Method;
use quaymaster_core::rpc::{self, Message};
use tokio::task::yield_now;

use super::super::batch;
use super::super::failure::Failure;
use super::super::link::subscription;
use super::super::sse::Events;
use super::super::wire::{self, Era, LOG};
use super::Http;
use super::response::wait;
use crate::egress::Incoming;

/// What one event on a stream of notifications may hold.
const MAX_NOTICE_BYTES: usize = 64 * 1024;
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
    /// Takes the server's notices of changes until it offers no more of them.
    pub(in crate::mcp) async fn listen(self, listening: Listening) {
        let mut was_open = false;
        loop {
            let request = match listening.era {
                Era::Modern => {
                    let id = listening.ids.fetch_add(1, Ordering::Relaxed);
                    self.post(subscription(id, &listening.watched), "subscriptions/listen", None)
                }
                Era::Legacy(_) => self.bare(Method::GET),
            };
            let Some(body) = self.open_stream(request).await else {
                // A stream that was there and cannot be had again: what it would
                // have told has to be looked up.
                if was_open {
                    self.inbox.suspect_list();
                }
                return;
            };
            was_open = true;
            let mut events = Events::new(MAX_NOTICE_BYTES);
            let _ = self.take_notices(body, &mut events).await;
            tokio::time::sleep(wait(events.retry(), LISTEN_WAIT).max(LISTEN_PAUSE)).await;
        }
    }

    /// Ends with the stream, or with an event that is larger than a notice can be.
    async fn take_notices(&self, mut body: Incoming, events: &mut Events) -> Result<(), Failure> {
        while let Some(Ok(data)) = body.chunk().await {
            let mut chunk = &data[..];
            while let Some(event) = events.next(&mut chunk)? {
                for message in batch::messages(&event, self.era.has_batches()) {
                    match rpc::parse(message) {
                        Ok(Message::Notification { method, params }) => {
                            if method == LOG
                                && let Some(sink) = self.under_way.whose(params).and_then(|client| client.log)
                            {
                                wire::log(params, &*sink);
                            }
                            self.inbox.take(&method, params, |id| self.under_way.sink(id));
                        }
                        Ok(Message::Request { id, method, params }) => {
                            let questions =
                                || self.under_way.whose(params).and_then(|client| client.questions);
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
