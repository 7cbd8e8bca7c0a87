//! Connections between two requests.
//!
//! Nothing happens on them until they are taken again, when it turns out whether
//! the peer still keeps them.
//!
//! Invariants:
//! - At most [`MAX_IDLE`] are kept, none of them twice as long as [`IDLE_LIMIT`],
//!   and none is used after that limit.
//! - None is used before the response that it brought has ended.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::body::{Body, Incoming};
use tokio::time::Instant;

use super::connection::Connection;

/// Shorter than the 5 s after which Node closes an idle connection: a request
/// that meets such a close has an unknown outcome.
const IDLE_LIMIT: Duration = Duration::from_secs(4);
const MAX_IDLE: usize = 64;
/// What a stream may still hold after its answer, if its connection is to be kept.
const MAX_REST_BYTES: usize = 64 * 1024;

/// The idle connections to one system.
#[derive(Default)]
pub(super) struct Idle(Mutex<State>);

#[derive(Default)]
struct State {
    /// The one that was used last is the last.
    resting: Vec<Resting>,
    is_swept: bool,
}

struct Resting {
    connection: Box<Connection>,
    /// The end of a response that nobody reads any more.
    rest: Option<Incoming>,
    rest_bytes: usize,
    since: Instant,
}

/// What a resting connection is good for.
enum Use {
    Ready,
    /// Its last response has not ended yet.
    Later,
    Never,
}

impl Idle {
    /// Keeps `connection` for another request, once `rest` has ended.
    pub(super) fn put(self: &Arc<Self>, connection: Box<Connection>, rest: Option<Incoming>) {
        let mut state = self.lock();
        if state.resting.len() < MAX_IDLE {
            state.resting.push(Resting { connection, rest, rest_bytes: 0, since: Instant::now() });
        }
        if !std::mem::replace(&mut state.is_swept, true) {
            tokio::spawn(sweep(Arc::downgrade(self)));
        }
    }

    /// A connection that can take a request.
    pub(super) async fn take(&self) -> Option<Box<Connection>> {
        poll_fn(|cx| Poll::Ready(self.newest(cx))).await
    }

    fn newest(&self, cx: &mut Context<'_>) -> Option<Box<Connection>> {
        let mut later = Vec::new();
        let found = loop {
            // Looked at one by one and without the lock, because looking reads from the network.
            let Some(mut resting) = self.lock().resting.pop() else { break None };
            match resting.look(cx) {
                Use::Ready => break Some(resting.connection),
                Use::Later => later.push(resting),
                Use::Never => {}
            }
        };
        if !later.is_empty() {
            let mut state = self.lock();
            state.resting.extend(later.into_iter().rev());
            state.resting.truncate(MAX_IDLE);
        }
        found
    }

    /// Closes what has rested too long; whether nothing is left.
    fn is_empty_when_swept(&self) -> bool {
        let mut state = self.lock();
        state.resting.retain(|resting| resting.since.elapsed() < IDLE_LIMIT);
        state.is_swept = !state.resting.is_empty();
        !state.is_swept
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Resting {
    fn look(&mut self, cx: &mut Context<'_>) -> Use {
        if self.since.elapsed() >= IDLE_LIMIT {
            return Use::Never;
        }
        self.connection.drive(cx);
        while let Some(rest) = &mut self.rest {
            match Pin::new(rest).poll_frame(cx) {
                Poll::Ready(None) => self.rest = None,
                Poll::Ready(Some(Ok(frame))) => {
                    self.rest_bytes += frame.data_ref().map_or(0, bytes::Bytes::len);
                    if self.rest_bytes > MAX_REST_BYTES {
                        return Use::Never;
                    }
                    self.connection.drive(cx);
                }
                Poll::Ready(Some(Err(_))) => return Use::Never,
                Poll::Pending => return Use::Later,
            }
        }
        if self.connection.is_ready() { Use::Ready } else { Use::Never }
    }
}

/// Closes connections that nobody takes. Ends with the last of them.
async fn sweep(idle: Weak<Idle>) {
    loop {
        tokio::time::sleep(IDLE_LIMIT).await;
        if idle.upgrade().is_none_or(|idle| idle.is_empty_when_swept()) {
            return;
        }
    }
}
