//! Messages over HTTP+SSE: what the server sends comes on one stream of events, and
//! what it is sent goes in a POST for each message (MCP 2024-11-05, basic/transports).
//!
//! The stream tells first to where messages are posted (`endpoint`). All calls share it,
//! so each answer finds its call in `exchange`. When this transport is tried is said
//! in `handshake`.
//!
//! Invariants:
//! - Nothing is sent to another origin than the configured one.
//! - A stream that ended is not taken up again: the supervisor makes another connection.
//! - The address of the session is in no message and no log.

mod endpoint;

use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use quaymaster_core::PartedBuf;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::check::server::HttpServer;
use super::credential::Guarded;
use super::exchange::{Exchange, MAX_MESSAGE_BYTES, MAX_STRAY};
use super::failure::Failure;
use super::followed::Holder;
use super::inbox::Inbox;
use super::link::{Outgoing, Sent};
use super::sse::Events;
use super::streamable::Http;
use super::wire::{self, Era, Settled};
use crate::egress::Incoming;

/// How long a server may take to accept a message that nobody waits for.
const ACCEPT_LIMIT: Duration = Duration::from_secs(30);
/// The same, for a request that was answered already; and how long an end may take.
const ASIDE_LIMIT: Duration = Duration::from_secs(2);

/// A server whose stream is open.
pub(super) struct HttpSse {
    /// To where messages are posted.
    http: watch::Sender<Http>,
    exchange: Arc<Exchange>,
    /// Cancelled to end the tasks that serve the connection.
    stop: CancellationToken,
    _tasks: DropGuard,
}

impl HttpSse {
    /// Opens the stream and waits until it says to where messages are posted. How long that
    /// may take is up to the caller.
    ///
    /// # Errors
    ///
    /// [`Failure::Malformed`] if the stream is one of events and breaks the protocol.
    pub(super) async fn open(
        server: &HttpServer,
        connector: &str,
        inbox: Arc<Inbox>,
    ) -> Result<Self, Failure> {
        let http = Http::try_new(server, Arc::clone(&inbox))?;
        let body = http.events().await?;
        let mut stream = Stream { body, events: Events::new(MAX_MESSAGE_BYTES), rest: Bytes::new() };
        let target = stream.endpoint().await?;
        let target = endpoint::resolve(&server.uri, &target).map_err(Failure::Malformed)?;
        let http = watch::Sender::new(http.posting_to(target));
        let guarded = server.credentials.clone().map_or(Guarded::Nothing, Guarded::Headers);
        let (exchange, queue) = Exchange::new(connector, inbox, guarded);
        let stop = CancellationToken::new();
        tokio::spawn(receive(stream, Arc::clone(&exchange), stop.clone()));
        let sending = send(http.subscribe(), queue, connector.to_owned());
        tokio::spawn(stop.clone().run_until_cancelled_owned(sending));
        Ok(Self { http, exchange, _tasks: stop.clone().drop_guard(), stop })
    }

    /// From now on `era` is spoken.
    pub(super) fn speak(&self, era: Era) {
        self.exchange.speak(era);
        self.http.send_modify(|http| *http = http.speaking(era, None));
    }

    /// From now on the server may speak of what `holder` watches.
    pub(super) fn hold(&self, holder: &Holder) {
        self.exchange.hold(holder);
    }

    /// Sends a request and waits for its answer.
    pub(super) async fn exchange(
        &self,
        outgoing: Outgoing<'_>,
        sent: &Sent,
    ) -> Result<Settled<PartedBuf>, Failure> {
        let mut expected = self.exchange.expect(&outgoing)?;
        let (http, body) = (self.http.borrow().clone(), outgoing.body);
        let mut posting = Box::pin(async move { http.notify(body).await });
        sent.set();
        tokio::select! {
            biased;
            accepted = &mut posting => {
                accepted?;
                expected.answer().await
            }
            answer = expected.answer() => {
                if answer.is_ok() {
                    // The server may not like it if nobody hears that it has accepted the message.
                    tokio::spawn(tokio::time::timeout(ASIDE_LIMIT, posting));
                }
                answer
            }
        }
    }

    /// Sends a message that has no answer.
    pub(super) async fn notify(&self, message: String) -> Result<(), Failure> {
        let http = self.http.borrow().clone();
        http.notify(message).await
    }

    /// Tells the server that a request is no longer wanted, if there is room in the queue.
    pub(super) fn abandon(&self, id: u64) {
        self.exchange.send_if_room(wire::cancelled(id));
    }

    /// Waits until the stream has ended.
    pub(super) async fn ended(&self) {
        self.exchange.ended().await;
    }

    /// Whether the stream has ended.
    pub(super) fn has_ended(&self) -> bool {
        self.exchange.has_ended()
    }

    /// Closes the stream, and with it the session.
    pub(super) async fn close(&self) {
        self.stop.cancel();
        let _ = tokio::time::timeout(ASIDE_LIMIT, self.exchange.ended()).await;
    }
}

/// The events that a server sends.
struct Stream {
    body: Incoming,
    events: Events,
    /// What came and was not looked at yet.
    rest: Bytes,
}

impl Stream {
    /// The data of the next event.
    async fn next(&mut self) -> Result<Vec<u8>, Failure> {
        loop {
            let mut rest = &self.rest[..];
            let event = self.events.next(&mut rest);
            let taken = self.rest.len() - rest.len();
            self.rest.advance(taken);
            if let Some(event) = event? {
                return Ok(event);
            }
            self.rest = match self.body.chunk().await {
                Some(Ok(chunk)) => chunk,
                Some(Err(_)) => return Err(Failure::Broken("the server's stream broke".into())),
                None => return Err(Failure::Broken("the server ended its stream".into())),
            };
        }
    }

    /// What the server says of where messages are posted.
    async fn endpoint(&mut self) -> Result<String, Failure> {
        for _ in 0..MAX_STRAY {
            let event = self.next().await?;
            if self.events.name() == b"endpoint" {
                return String::from_utf8(event).map_err(|_| Failure::Malformed(endpoint::NO_ADDRESS.into()));
            }
        }
        Err(Failure::Malformed("a stream of events that does not begin with `endpoint`".into()))
    }

    /// Ends with the stream; says why that ended.
    async fn messages(mut self, exchange: &Arc<Exchange>) -> Failure {
        let mut stray = 0_usize;
        while stray < MAX_STRAY {
            let event = match self.next().await {
                Ok(event) => event,
                Err(Failure::TooLarge { limit_bytes }) => {
                    return Failure::Malformed(format!("an event of more than {limit_bytes} bytes"));
                }
                Err(failure) => return failure,
            };
            // Where messages are posted is said once, and events of other kinds are not for us.
            if !matches!(self.events.name(), b"" | b"message") || event.is_empty() {
                continue;
            }
            stray = if exchange.take(&event) { 0 } else { stray + 1 };
        }
        Failure::Malformed("the server sends events that are not MCP messages".into())
    }
}

async fn receive(stream: Stream, exchange: Arc<Exchange>, stop: CancellationToken) {
    let why = tokio::select! {
        why = stream.messages(&exchange) => why,
        () = stop.cancelled() => Failure::Broken("the connection was closed".into()),
    };
    exchange.end(&why);
}

/// Posts what nobody waits for, one message after another.
async fn send(http: watch::Receiver<Http>, mut queue: mpsc::Receiver<String>, connector: String) {
    let mut is_told = false;
    while let Some(message) = queue.recv().await {
        let http = http.borrow().clone();
        let accepted = tokio::time::timeout(ACCEPT_LIMIT, http.notify(message)).await;
        // Once for each connection: how often it happens is up to the server.
        if !matches!(accepted, Ok(Ok(()))) && !std::mem::replace(&mut is_told, true) {
            tracing::warn!(
                event = "upstream.answer",
                connector,
                "a server did not take an answer or a notice of ours"
            );
        }
    }
}
