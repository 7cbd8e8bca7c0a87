//! One connection of a client, and what it costs while nothing happens.
//!
//! hyper keeps 16 KiB of buffers for a connection, used or not. One on which nothing has
//! happened for a while rests: only the socket is held until there is something to read.
//!
//! Invariants:
//! - A connection rests only between two exchanges: no request is under way, nothing waits to
//!   be written, and nothing of a next request has been read.
//! - A head that comes bit by bit has the time of one head, counted from its first byte at the latest.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use super::Lifecycle;
use super::body::Body;
use super::endpoint::Endpoint;
use super::room::Seat;
use super::stall::Stall;
use crate::ingress::door::Door;

/// What happens on a connection.
#[derive(Debug, Default)]
struct Traffic {
    begun: AtomicU64,
    under_way: AtomicUsize,
}

/// An exchange that is under way until this is dropped.
#[derive(Debug)]
struct Exchange {
    traffic: Arc<Traffic>,
    seat: Arc<Seat>,
}

impl Exchange {
    fn begin(traffic: &Arc<Traffic>, seat: &Arc<Seat>) -> Self {
        traffic.begun.fetch_add(1, Ordering::Relaxed);
        traffic.under_way.fetch_add(1, Ordering::Relaxed);
        seat.exchange_began();
        Self { traffic: Arc::clone(traffic), seat: Arc::clone(seat) }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.traffic.under_way.fetch_sub(1, Ordering::Relaxed);
        self.seat.exchange_ended();
    }
}

/// A body that keeps its exchange under way until it is gone.
struct Attended {
    body: Body,
    _exchange: Exchange,
}

impl hyper::body::Body for Attended {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A connection that rests.
struct Resting {
    io: Stall<TcpStream>,
    /// Something of a next request was there after all.
    is_begun: bool,
}

/// Serves `stream` until its client goes, nothing comes for too long, it has to make room for
/// another, or the server stops.
pub(super) async fn serve<D: Door>(
    (stream, seat): (TcpStream, Arc<Seat>),
    endpoint: Arc<Endpoint<D>>,
    http: http1::Builder,
    lifecycle: Lifecycle,
) {
    let settings = &endpoint.settings;
    let rest = settings.head_wait.saturating_sub(2 * settings.rest_after);
    let mut io = Stall::new(stream, endpoint.settings.stall_wait);
    let mut may_rest = true;
    loop {
        let Some(resting) = exchanges((io, &seat), may_rest, &endpoint, (&http, &lifecycle)).await else {
            return;
        };
        io = resting.io;
        // Whoever sends a head bit by bit does not begin anew with each rest.
        may_rest = !resting.is_begun;
        if resting.is_begun {
            continue;
        }
        tokio::select! {
            biased;
            () = lifecycle.draining.cancelled() => return,
            () = seat.told_to_go().cancelled() => return let_go(&endpoint, &seat, io.inner()),
            readable = timeout(rest, io.inner().readable()) => {
                if !readable.is_ok_and(|readable| readable.is_ok()) {
                    return;
                }
            }
        }
    }
}

/// Serves exchanges until the connection ends or, where it `may_rest`, rests. Without that it
/// rests again only after an exchange.
async fn exchanges<D: Door>(
    (io, seat): (Stall<TcpStream>, &Arc<Seat>),
    may_rest: bool,
    endpoint: &Arc<Endpoint<D>>,
    (http, lifecycle): (&http1::Builder, &Lifecycle),
) -> Option<Resting> {
    let traffic = Arc::<Traffic>::default();
    let is_blocked = io.is_blocked();
    let service = service_fn(|request| {
        let (endpoint, exchange) = (Arc::clone(endpoint), Exchange::begin(&traffic, seat));
        async move {
            let response = endpoint.handle(request, &exchange.seat).await;
            Ok::<_, Infallible>(response.map(|body| Attended { body, _exchange: exchange }))
        }
    });
    let mut connection = http.serve_connection(TokioIo::new(io), service);
    let mut seen = if may_rest { None } else { Some(0) };
    let mut is_quiet = false;
    loop {
        tokio::select! {
            biased;
            ended = &mut connection => return noted(ended),
            () = lifecycle.draining.cancelled() => break,
            () = seat.told_to_go().cancelled() => {
                let_go(endpoint, seat, connection.into_parts().io.inner().inner());
                return None;
            }
            () = sleep(endpoint.settings.rest_after) => {}
        }
        let begun = traffic.begun.load(Ordering::Relaxed);
        let is_idle = traffic.under_way.load(Ordering::Relaxed) == 0 && !is_blocked.load(Ordering::Relaxed);
        if is_idle && is_quiet && seen == Some(begun) && (may_rest || begun > 0) {
            let parts = connection.into_parts();
            let mut io = parts.io.into_inner();
            let is_begun = !parts.read_buf.is_empty();
            io.rewind(parts.read_buf);
            return Some(Resting { io, is_begun });
        }
        is_quiet = is_idle && seen.is_none_or(|seen| seen == begun);
        seen = Some(begun);
    }
    Pin::new(&mut connection).graceful_shutdown();
    tokio::select! {
        biased;
        ended = &mut connection => noted(ended),
        () = lifecycle.connections.cancelled() => None,
    }
}

/// Tells the client of a connection that makes room why, unless it asked something: it would take
/// this for the answer.
fn let_go<D: Door>(endpoint: &Endpoint<D>, seat: &Seat, stream: &TcpStream) {
    if !seat.was_used() {
        endpoint.turn_away(stream);
    }
}

fn noted(ended: hyper::Result<()>) -> Option<Resting> {
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection broke");
    }
    None
}

impl std::fmt::Debug for Attended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Attended").field("body", &self.body).finish_non_exhaustive()
    }
}
