//! Answers that come as a stream of events, which is taken up again where it breaks.

use std::time::Duration;

use http::header::RETRY_AFTER;
use http::{HeaderName, HeaderValue, Method, Request};
use quaymaster_core::{LogSink, PartedBuf};
use tokio::task::coop::consume_budget;

use super::super::failure::Failure;
use super::super::sse::Events;
use super::super::wire::{Era, Settled};
use super::guarded::renewed;
use super::response::{ContentType, content_type, seconds, wait};
use super::{Http, Wanted};
use crate::egress::{Incoming, Payload};

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// How often one response's stream is taken up again.
const MAX_RESUMPTIONS: usize = 5;
/// How long until a stream is taken up again: if its server does not say, and at most.
const RESUME_WAIT: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(5));

impl Http {
    /// Reads a response's stream up to its answer.
    pub(super) async fn read_stream(
        &self,
        mut body: Incoming,
        mut wanted: Wanted<'_>,
    ) -> Result<Settled<PartedBuf>, Failure> {
        let mut events = Events::new(wanted.outgoing.limit_bytes);
        for _ in 0..=MAX_RESUMPTIONS {
            if let Some(result) = self.until_answer(&mut body, &mut events, &wanted).await? {
                // The end of the stream is mostly on its way, and nobody needs to wait for it.
                body.leave();
                return Ok(result);
            }
            body = self.resume(&mut events, wanted.outgoing.log.as_deref()).await?;
            wanted.is_resumed = true;
        }
        Err(Failure::Broken("the stream ended without an answer".into()))
    }

    /// `None` if the stream ended first.
    async fn until_answer(
        &self,
        body: &mut Incoming,
        events: &mut Events,
        wanted: &Wanted<'_>,
    ) -> Result<Option<Settled<PartedBuf>>, Failure> {
        while let Some(Ok(data)) = body.chunk().await {
            let mut chunk = &data[..];
            while let Some(event) = events.next(&mut chunk)? {
                let event = self.clean_event(event, wanted.outgoing.credential);
                // An event without data carries an id to resume from.
                if !event.is_empty()
                    && let Some(result) = self.take(event, wanted)?
                {
                    return Ok(Some(result));
                }
            }
            // A stream without end must not keep a thread, nor its call from its deadline.
            consume_budget().await;
        }
        Ok(None)
    }

    /// Takes up a session's stream where it broke (MCP 2025-11-25, basic/transports, "Resumability").
    /// A server that says when to come back has closed it on purpose, which `log` is told.
    async fn resume(&self, events: &mut Events, log: Option<&dyn LogSink>) -> Result<Incoming, Failure> {
        let broken = || Failure::Broken("the stream ended without an answer".into());
        let last_id = HeaderValue::from_bytes(events.last_id()).map_err(|_| broken())?;
        if self.era == Era::Modern || last_id.is_empty() {
            return Err(broken());
        }
        let wait = wait(events.retry(), RESUME_WAIT);
        if let Some(log) = log.filter(|_| events.retry().is_some()) {
            log.away(wait);
        }
        tokio::time::sleep(wait).await;
        events.reconnected();
        let mut request = self.bare(Method::GET);
        request.headers_mut().insert(LAST_EVENT_ID, last_id);
        self.open_stream(request).await.map_err(|_| broken())
    }

    pub(super) async fn open_stream(&self, request: Request<Payload>) -> Result<Incoming, Failure> {
        let response = self.send(request).await?;
        if renewed(&response) {
            return Err(Failure::Renewed);
        }
        let status = response.status();
        if !status.is_success() {
            let retry_after = response.headers().get(RETRY_AFTER).and_then(seconds);
            return Err(Failure::Status { status, retry_after });
        }
        if content_type(response.headers()) != ContentType::Events {
            let status = status.as_u16();
            return Err(Failure::Unsupported(format!("HTTP status {status} without a stream of events")));
        }
        Ok(response.into_body())
    }
}
