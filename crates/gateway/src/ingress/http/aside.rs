//! Listeners beside the one for clients: for scrapers and for the console.
//!
//! Invariant: so many are answered at once as there are places, each within its time; whoever
//! comes beyond that is let go.

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::ACCEPT_PAUSE;

/// How large the head of a request may be.
const MAX_HEAD_BYTES: usize = 16 * 1024;

/// How many are answered at once, and how long one may take from the connection to its end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) most: usize,
    pub(super) wait: Duration,
}

/// Answers one request on each connection to `listener` with `answer`, until `stop`.
pub(super) async fn serve_aside<A, F>(
    listener: TcpListener,
    bounds: Bounds,
    answer: A,
    stop: CancellationToken,
) where
    A: Fn(hyper::Request<Incoming>) -> F + Clone + Send + 'static,
    F: Future<Output = Response<Full<Bytes>>> + Send + 'static,
{
    let (room, under_way) = (Arc::new(Semaphore::new(bounds.most)), TaskTracker::new());
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).keep_alive(false).max_header_size(MAX_HEAD_BYTES);
    while let Some(accepted) = stop.run_until_cancelled(listener.accept()).await {
        let Ok((stream, _)) = accepted else {
            sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let Ok(place) = Arc::clone(&room).try_acquire_owned() else { continue };
        let answer = answer.clone();
        let service = service_fn(move |request| {
            let response = answer(request);
            async move { Ok::<_, Infallible>(response.await) }
        });
        let connection = http.serve_connection(TokioIo::new(stream), service);
        let (stop, wait) = (stop.clone(), bounds.wait);
        under_way.spawn(async move {
            let _place = place;
            if let Some(Ok(Err(error))) = stop.run_until_cancelled(timeout(wait, connection)).await {
                tracing::debug!(%error, "an exchange beside clients broke off");
            }
        });
    }
    under_way.close();
    under_way.wait().await;
}
