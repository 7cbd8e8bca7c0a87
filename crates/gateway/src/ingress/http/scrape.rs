//! `GET /metrics`, on a listener of its own.
//!
//! What is told there names every upstream, so it is not on the port of clients: whoever
//! can reach this one may know. It asks for no token, as scrapers on the machine have none.
//!
//! Invariants:
//! - A web page cannot read it: the request must name one of the hosts of this server.
//! - At most [`MAX_SCRAPERS`] are answered at once, each within [`SCRAPE_WAIT`].

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderValue, Method, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use quaymaster_operations::metrics::CONTENT_TYPE as METRICS_TYPE;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::HttpSettings;
use super::aside::{Bounds, serve_aside};
use super::guard::Guard;

/// How many scrapers are served at once.
const MAX_SCRAPERS: usize = 8;

/// How long a scrape may take, from the connection to its end.
const SCRAPE_WAIT: Duration = Duration::from_secs(10);

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
    let respond = move |request: hyper::Request<Incoming>| {
        let response = answer(&scrape.0, &request.into_parts().0, &scrape.1);
        async move { response }
    };
    serve_aside(listener, Bounds { most: MAX_SCRAPERS, wait: SCRAPE_WAIT }, respond, stop).await;
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
