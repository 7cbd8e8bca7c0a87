//! The endpoint: from a request to a response.
//!
//! Routes, the checks that every request goes through, and the one place where
//! a refusal is recorded and written. What a POST and the methods of sessions do
//! is in `post` and `stream`.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use http::header::{ALLOW, AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER, USER_AGENT, WWW_AUTHENTICATE};
use http::request::Parts;
use http::{HeaderValue, Method, Response, StatusCode};
use hyper::body::Incoming;
use quaymaster_control::identity::{METADATA_PATH, is_plain_path};
use quaymaster_core::{Actor, Caller, ErrorCode, SessionId, Timestamp};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use super::body::Body;
use super::guard::{self, Guard};
use super::place::Place;
use super::room::Seat;
use super::{HttpSettings, Lifecycle, reading};
use crate::ingress::answer::Pieces;
use crate::ingress::claims;
use crate::ingress::door::{Arrival, Door};
use crate::ingress::front::{Front, Trail};
use crate::ingress::refusal::Refusal;
use crate::ingress::session::{Sealing, SessionLimits, Sessions};

/// How many streams of calls may wait for their clients, each with an answer at most.
const MAX_KEPT: usize = 64;

/// The head of what is sent to a connection beyond the limit, up to the length of the rest.
const BUSY: &str = "HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\nretry-after: 1\r\n\
                    content-type: application/json\r\ncontent-length: ";

/// A server's answers, without its connections.
pub(super) struct Endpoint<D> {
    pub(super) front: Front<D>,
    pub(super) settings: HttpSettings,
    pub(super) sessions: Sessions,
    pub(super) lifecycle: Lifecycle,
    /// What tells this process from others in the ids of events.
    pub(super) process: SessionId,
    /// How many streams there were that can be taken up.
    pub(super) streams: AtomicU64,
    /// How many of them may wait for their clients.
    pub(super) kept: Arc<Semaphore>,
    guard: Guard,
}

enum Route<'a> {
    Alive,
    Ready,
    Mcp(Place<'a>),
    /// What is to be known of the place at this path, or of all at the empty one.
    Metadata(&'a str),
    Unknown,
}

fn route(path: &str) -> Route<'_> {
    match path {
        "/healthz" => Route::Alive,
        "/readyz" => Route::Ready,
        _ => match (Place::read(path), path.strip_prefix(METADATA_PATH)) {
            (Some(place), _) => Route::Mcp(place),
            (None, Some(of)) if of.is_empty() || Place::read(of).is_some() => Route::Metadata(of),
            (None, _) => Route::Unknown,
        },
    }
}

impl<D: Door> Endpoint<D> {
    /// The endpoint of `door`.
    pub(super) fn new(door: Arc<D>, settings: HttpSettings, lifecycle: Lifecycle) -> Self {
        let limits = SessionLimits {
            total: settings.max_sessions,
            per_actor: settings.max_sessions_per_actor,
            idle: settings.session_idle,
        };
        Self {
            process: door.session_id(),
            streams: AtomicU64::new(1),
            kept: Arc::new(Semaphore::new(MAX_KEPT)),
            front: Front::new(door, settings.identity.clone(), settings.counters.clone()),
            guard: Guard::new(&settings.allowed_hosts, &settings.allowed_origins),
            sessions: Sessions::new(limits, Arc::clone(&settings.occupancy)),
            settings,
            lifecycle,
        }
    }

    /// Answers a request, whatever it is.
    pub(super) async fn handle(
        self: Arc<Self>,
        request: hyper::Request<Incoming>,
        seat: &Seat,
    ) -> Response<Body> {
        let (head, body) = request.into_parts();
        match route(head.uri.path()) {
            Route::Mcp(place) => self.mcp((&head, body), place, seat).await,
            Route::Alive => plain(StatusCode::OK, "alive"),
            Route::Ready if self.lifecycle.draining.is_cancelled() => {
                plain(StatusCode::SERVICE_UNAVAILABLE, "shutting down")
            }
            Route::Ready => match self.front.door.ready() {
                Ok(()) => plain(StatusCode::OK, "ready"),
                Err(reason) => plain(StatusCode::SERVICE_UNAVAILABLE, &format!("not ready: {reason}")),
            },
            Route::Metadata(path) if let Some(response) = self.metadata(&head, path) => response,
            Route::Unknown | Route::Metadata(_) => {
                reading::discard(body).await;
                let text = r#"{"error":"not_found","message":"the endpoint is /mcp or /w/<workspace>/mcp, and for one server /s/<server> or /w/<workspace>/s/<server>"}"#;
                json(StatusCode::NOT_FOUND, Pieces::whole(text.into()))
            }
        }
    }

    async fn mcp(
        self: &Arc<Self>,
        (head, body): (&Parts, Incoming),
        place: Place<'_>,
        seat: &Seat,
    ) -> Response<Body> {
        let mut trail = Trail::default();
        let mut body = Some(body);
        let refusal = match self.answer((head, &mut body), place, seat, &mut trail).await {
            Ok(response) => return response,
            Err(refusal) => refusal,
        };
        if let Some(unread) = body {
            reading::discard(unread).await;
        }
        let challenge = self.challenge(head.uri.path(), &refusal);
        let response = refused(&refusal, &trail, challenge);
        if trail.client.is_none() {
            trail.client = claims::user_agent(head.headers.get(USER_AGENT)).map(Arc::from);
        }
        self.front.record(&refusal, trail).await;
        response
    }

    async fn answer(
        self: &Arc<Self>,
        (head, body): (&Parts, &mut Option<Incoming>),
        place: Place<'_>,
        seat: &Seat,
        trail: &mut Trail,
    ) -> Result<Response<Body>, Refusal> {
        self.guard.check(head)?;
        let actor = self.authenticate(head, place.workspace).await?;
        trail.actor = Some(actor.clone());
        if !seat.claim(&actor.id) {
            return Err(Refusal::overloaded(
                "this principal has as many connections in use as are left for others: end one",
            ));
        }
        let actor = Caller { actor, reach: place.reach };
        if head.uri.query().is_some() {
            // What stands in an address ends up in logs, so nothing is read from there.
            return Err(Refusal::invalid_request(
                StatusCode::BAD_REQUEST,
                "the endpoint takes no query: send credentials as `Authorization: Bearer`",
            ));
        }
        match head.method {
            Method::POST => self.post(head, body, actor, trail).await,
            Method::GET => self.listen(&head.headers, &actor, trail),
            Method::DELETE => self.end(&head.headers, &actor, trail),
            _ => Err(Refusal::invalid_request(StatusCode::METHOD_NOT_ALLOWED, "use POST, GET or DELETE")),
        }
    }

    async fn authenticate(&self, head: &Parts, workspace: Option<&str>) -> Result<Arc<Actor>, Refusal> {
        let authorization = guard::single(&head.headers, &AUTHORIZATION).map_err(|refusal| {
            let message = refusal.message;
            Refusal::new(StatusCode::UNAUTHORIZED, refusal.rpc_code, ErrorCode::AuthInvalid, message)
        })?;
        let arrival = Arrival { authorization, workspace, path: head.uri.path() };
        Ok(self.front.door.authenticate(arrival).await?)
    }

    /// What a client is told of how to get in, where it was not let in (RFC 6750, section 3).
    fn challenge(&self, path: &str, refusal: &Refusal) -> Option<HeaderValue> {
        let error = match (refusal.status, refusal.code) {
            (StatusCode::UNAUTHORIZED, ErrorCode::AuthMissing) => "Bearer",
            (StatusCode::UNAUTHORIZED, _) => r#"Bearer error="invalid_token""#,
            (StatusCode::FORBIDDEN, ErrorCode::AuthScope) => r#"Bearer error="insufficient_scope""#,
            _ => return None,
        };
        let protection = self.front.door.protection();
        let scopes = refusal.scopes.as_ref().map(|scopes| scopes.as_str());
        let told = protection.map(|own| own.challenge(path, refusal.code, scopes));
        told.and_then(|told| HeaderValue::from_str(&told).ok()).or(Some(HeaderValue::from_static(error)))
    }

    /// The document about a protected resource (RFC 9728), for whatever place the path could name: that
    /// there is such a workspace or server is not learnt from it.
    fn metadata(&self, head: &Parts, path: &str) -> Option<Response<Body>> {
        let protection = self.front.door.protection()?;
        if self.guard.check(head).is_err() || !(path.is_empty() || is_plain_path(path)) {
            return None;
        }
        if head.method != Method::GET {
            let mut response = bare(StatusCode::METHOD_NOT_ALLOWED);
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET"));
            return Some(response);
        }
        Some(json(StatusCode::OK, Pieces::whole(protection.metadata(path))))
    }

    /// Answers a connection for which there is no room, as far as that goes without waiting.
    pub(super) fn turn_away(&self, stream: &TcpStream) {
        self.front.counters.add(ErrorCode::GatewayOverloaded);
        let why = Refusal::overloaded("all connections are in use: try again later").to_json(None);
        if stream.try_write(format!("{BUSY}{}\r\n\r\n{why}", why.len()).as_bytes()).is_err() {
            tracing::debug!("a connection beyond the limit went unanswered");
        }
    }

    /// Ends what nobody used for too long.
    pub(super) fn sweep(&self) {
        self.sessions.sweep(self.now());
        self.front.sweep();
    }

    /// Nobody comes back any more to what waits for a client.
    pub(super) fn let_go(&self) {
        self.front.suspended.clear();
        self.sessions.let_go();
    }

    /// The calls whose clients have gone.
    pub(super) fn abandoned(&self) -> TaskTracker {
        self.front.haven.tasks().clone()
    }

    /// Runs something that makes a session of a handle, or a handle of a session.
    pub(super) fn sealed<T>(&self, run: impl FnOnce(Sealing<'_>) -> T) -> T {
        let fresh = || self.front.door.session_id();
        run(Sealing { ring: self.front.door.keys(), within: &self.lifecycle.calls, fresh: &fresh })
    }

    /// What time it is.
    pub(super) fn now(&self) -> Timestamp {
        self.front.door.clock().now()
    }
}

/// A response that carries JSON.
pub(super) fn json(status: StatusCode, pieces: Pieces) -> Response<Body> {
    with_type(status, "application/json", Body::message(pieces))
}

fn plain(status: StatusCode, line: &str) -> Response<Body> {
    with_type(status, "text/plain", Body::message(Pieces::whole(format!("{line}\n"))))
}

/// A response of the content type `content_type`.
pub(super) fn with_type(status: StatusCode, content_type: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// A response without a body.
pub(super) fn bare(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

fn refused(refusal: &Refusal, trail: &Trail, challenge: Option<HeaderValue>) -> Response<Body> {
    let mut response = json(refusal.status, Pieces::whole(refusal.to_json(trail.id.as_ref())));
    let headers = response.headers_mut();
    if let Some(challenge) = challenge {
        headers.insert(WWW_AUTHENTICATE, challenge);
    }
    if refusal.status == StatusCode::METHOD_NOT_ALLOWED {
        headers.insert(ALLOW, HeaderValue::from_static("POST, GET, DELETE"));
    }
    if let Some(after) = refusal.retry_after {
        headers.insert(RETRY_AFTER, HeaderValue::from(after.as_secs().max(1)));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_leads_to_one_place() {
        for (path, is_it) in [
            ("/healthz", matches!(route("/healthz"), Route::Alive)),
            ("/readyz", matches!(route("/readyz"), Route::Ready)),
            ("/mcp", matches!(route("/mcp"), Route::Mcp(_))),
            ("/s/desk", matches!(route("/s/desk"), Route::Mcp(_))),
            ("/", matches!(route("/"), Route::Unknown)),
        ] {
            assert!(is_it, "{path}");
        }
    }
}
