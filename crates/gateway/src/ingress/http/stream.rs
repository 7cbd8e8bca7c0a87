//! What only sessions have: the stream of notifications, and the end.
//!
//! A modern client has neither, and is told so with 405 (MCP 2026-07-28,
//! streamable HTTP, earlier revisions).

use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream;
use http::header::CACHE_CONTROL;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use quaymaster_core::Actor;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::body::{self, Body};
use super::endpoint::{Endpoint, bare, with_type};
use super::guard;
use crate::ingress::answer::LIST_CHANGED;
use crate::ingress::changes::Changes;
use crate::ingress::door::Door;
use crate::ingress::era::is_modern;
use crate::ingress::front::Trail;
use crate::ingress::refusal::Refusal;
use crate::ingress::session::Session;

/// Keeps a reverse proxy from holding events back.
static BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

impl<D: Door> Endpoint<D> {
    /// `GET`: opens the session's stream of notifications.
    pub(super) fn listen(
        self: &Arc<Self>,
        headers: &HeaderMap,
        actor: &Arc<Actor>,
        trail: &mut Trail,
    ) -> Result<Response<Body>, Refusal> {
        let session = self.named_session(headers, actor, trail)?;
        if !guard::accepts(headers).events {
            return Err(Refusal::invalid_request(
                StatusCode::NOT_ACCEPTABLE,
                "notifications are events: send `Accept: text/event-stream`",
            ));
        }
        let open = Open {
            endpoint: self.clone(),
            token: session.begin_stream(),
            session,
            changes: Changes::of(self.front.door.changes(), || self.front.door.tools(actor)),
            actor: actor.clone(),
        };
        Ok(events(stream::unfold((open, true), |(mut open, first)| async move {
            let next = if first { Some(body::keep_alive()) } else { open.next().await };
            next.map(|bytes| (bytes, (open, false)))
        })))
    }

    /// `DELETE`: ends the session.
    pub(super) fn end(
        &self,
        headers: &HeaderMap,
        actor: &Actor,
        trail: &mut Trail,
    ) -> Result<Response<Body>, Refusal> {
        let session = self.named_session(headers, actor, trail)?;
        self.sessions.end(&session);
        Ok(bare(StatusCode::NO_CONTENT))
    }

    fn named_session(
        &self,
        headers: &HeaderMap,
        actor: &Actor,
        trail: &mut Trail,
    ) -> Result<Arc<Session>, Refusal> {
        let head = guard::request_head(headers)?;
        let modern = head.protocol_version.is_some_and(is_modern);
        let Some(id) = head.session.filter(|_| !modern) else {
            return Err(Refusal::invalid_request(
                StatusCode::METHOD_NOT_ALLOWED,
                "only a session has this: without one, use POST",
            ));
        };
        let session = self.sessions.find(id, actor, self.now())?;
        trail.session = Some(session.id.clone());
        trail.client.clone_from(&session.client);
        Ok(session)
    }
}

/// A response that is a stream of events.
pub(super) fn events(events: impl futures_util::Stream<Item = Bytes> + Send + 'static) -> Response<Body> {
    let mut response = with_type(StatusCode::OK, "text/event-stream", Body::Events(Box::pin(events)));
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(&BUFFERING, HeaderValue::from_static("no"));
    response
}

/// A stream of notifications that is open.
struct Open<D: Door> {
    endpoint: Arc<Endpoint<D>>,
    session: Arc<Session>,
    token: CancellationToken,
    changes: Changes,
    actor: Arc<Actor>,
}

impl<D: Door> Open<D> {
    async fn next(&mut self) -> Option<Bytes> {
        let Self { endpoint, token, changes, actor, .. } = self;
        tokio::select! {
            biased;
            () = endpoint.lifecycle.draining.cancelled() => None,
            () = token.cancelled() => None,
            () = changes.next(|| endpoint.front.door.tools(actor)) => {
                Some(body::event(LIST_CHANGED.as_bytes()))
            }
            () = sleep(endpoint.settings.keep_alive) => Some(body::keep_alive()),
        }
    }
}

impl<D: Door> Drop for Open<D> {
    fn drop(&mut self) {
        self.session.end_stream(&self.token, self.endpoint.now());
    }
}
