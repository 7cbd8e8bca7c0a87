//! The console's listener: pages for people, on a port of their own.
//!
//! Invariants:
//! - A request must name one of the hosts of this server, and a page of no other may send one.
//! - At most [`MAX_VISITORS`] are answered at once, each within [`VISIT_WAIT`].

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use quaymaster_operations::console::{Console, MAX_FORM_BYTES};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::HttpSettings;
use super::aside::{Bounds, serve_aside};
use super::guard::Guard;
use super::reading::read;

/// How many browsers are served at once.
const MAX_VISITORS: usize = 64;

/// How long an exchange may take, from the connection to its end.
const VISIT_WAIT: Duration = Duration::from_secs(30);

/// Answers browsers on `listener` with the pages of `console`, until `stop`. Of `settings` the
/// hosts count by which the server may be addressed.
pub async fn serve_console(
    listener: TcpListener,
    settings: &HttpSettings,
    console: Console,
    stop: CancellationToken,
) {
    let guard = Guard::new(&settings.allowed_hosts, &own_origins(&settings.allowed_hosts));
    let inside = Arc::new((guard, console, settings.body_wait));
    let answer = move |request: hyper::Request<Incoming>| {
        let inside = Arc::clone(&inside);
        async move {
            let (guard, console, body_wait) = &*inside;
            let (head, body) = request.into_parts();
            if guard.check(&head).is_err() {
                return plain(StatusCode::FORBIDDEN, "this is not the server that the request is for\n");
            }
            match read(body, MAX_FORM_BYTES, *body_wait).await {
                Ok(body) => console.answer(&head, &body).await.map(Full::from),
                Err(_) => plain(StatusCode::BAD_REQUEST, "the form is too large, too slow or broke off\n"),
            }
        }
    };
    serve_aside(listener, Bounds { most: MAX_VISITORS, wait: VISIT_WAIT }, answer, stop).await;
}

/// The origins that pages at `hosts` have.
fn own_origins(hosts: &[String]) -> Vec<String> {
    let origins = hosts.iter().flat_map(|host| {
        let has_port =
            host.rsplit_once(':').is_some_and(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()));
        let any_port = if has_port { "" } else { ":*" };
        ["http", "https"].map(|scheme| format!("{scheme}://{host}{any_port}"))
    });
    origins.collect()
}

fn plain(status: StatusCode, line: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(line));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    response
}
