//! `GET /metrics`, on a listener of its own.
//!
//! What is told there names every upstream, so it is not on the port of clients: whoever
//! can reach this one may know. It asks for no token, as scrapers on the machine have none.
//!
//! Invariants:
//! - A web page cannot read it: the request must name one of the hosts of this server.
//! - At most [`MAX_SCRAPERS`] are answered at once, each within [`SCRAPE_WAIT`].

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderValue, Method, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use quaymaster_operations::metrics::CONTENT_TYPE as METRICS_TYPE;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::guard::Guard;
use super::{ACCEPT_PAUSE, HttpSettings};

/// How many scrapers are served at once.
const MAX_SCRAPERS: usize = 8;

/// How long a scrape may take, from the connection to its end.
const SCRAPE_WAIT: Duration = Duration::from_secs(10);

/// How large the head of a request may be.
const MAX_HEAD_BYTES: usize = 16 * 1024;

/// Answers `GET /metrics` on `listener` with what `text` gives, until `stop`. Of `settings` the
/// hosts count by which the server may be addressed.
pub async fn serve_metrics(
    listener: TcpListener,
    settings: &HttpSettings,
    text: impl Fn() -> String + Send + Sync + 'static,
    stop: CancellationToken,
) {
    // No page may ask, whatever pages may call tools.
    let scrape = Arc::new((Guard::new(&settings.allowed_hosts, &[]), text));
    let (room, scrapes) = (Arc::new(Semaphore::new(MAX_SCRAPERS)), TaskTracker::new());
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).keep_alive(false).max_header_size(MAX_HEAD_BYTES);
    while let Some(accepted) = stop.run_until_cancelled(listener.accept()).await {
        let Ok((stream, _)) = accepted else {
            sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let Ok(place) = Arc::clone(&room).try_acquire_owned() else { continue };
        let scrape = Arc::clone(&scrape);
        let service = service_fn(move |request: hyper::Request<Incoming>| {
            let response = answer(&scrape.0, &request.into_parts().0, &scrape.1);
            async move { Ok::<_, Infallible>(response) }
        });
        let connection = http.serve_connection(TokioIo::new(stream), service);
        let stop = stop.clone();
        scrapes.spawn(async move {
            let _place = place;
            if let Some(Ok(Err(error))) = stop.run_until_cancelled(timeout(SCRAPE_WAIT, connection)).await {
                tracing::debug!(%error, "a scrape broke off");
            }
        });
    }
    scrapes.close();
    scrapes.wait().await;
}

fn answer(guard: &Guard, head: &Parts, text: &impl Fn() -> String) -> Response<Full<Bytes>> {
    if guard.check(head).is_err() {
        return plain(StatusCode::FORBIDDEN, "this is not the server that the request is for\n");
    }
    match (head.uri.path(), &head.method) {
        ("/metrics", &Method::GET) => {
            let mut response = Response::new(Full::from(text()));
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(METRICS_TYPE));
            response
        }
        ("/metrics", _) => {
            let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, "use GET\n");
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET"));
            response
        }
        _ => plain(StatusCode::NOT_FOUND, "there is /metrics\n"),
    }
}

fn plain(status: StatusCode, line: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(line));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    response
}
