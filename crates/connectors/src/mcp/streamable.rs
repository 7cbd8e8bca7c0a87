//! Messages over Streamable HTTP: one POST for each (MCP 2026-07-28 and
//! 2025-11-25, basic/transports).
//!
//! Owns requests, responses and their streams. Connections are `egress`'s; which
//! era is spoken is agreed in `handshake`.
//!
//! Invariants:
//! - A response is the answer to the request that it responds to, by its id too.
//! - The headers of a request are the configured ones and the protocol's, and what the
//!   caller has stored for this server; none that the caller came with are here.
//! - A stream that breaks is taken up again only where the server offered it,
//!   which repeats nothing.

mod aside;
mod guarded;
mod listening;
mod response;
mod streaming;

use std::io::Cursor;
use std::str::Utf8Error;
use std::sync::Arc;
use std::time::Duration;

use bytestring::ByteString;
use http::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, HOST, RETRY_AFTER, USER_AGENT};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use quaymaster_core::rpc::{self, Message};
use quaymaster_core::{Parted, PartedBuf, Raw};
use tokio::sync::Semaphore;

use self::guarded::renewed;
pub(super) use self::listening::Listening;
use self::response::{
    ContentType, content_type, is_answer, names_session, no_answer, no_body, plain_id, seconds,
};
use super::batch;
use super::check::server::HttpServer;
use super::credential::Credentials;
use super::failure::Failure;
use super::followed::{Client, Holder};
use super::inbox::Inbox;
use super::link::{Answer, Outgoing, Sent};
use super::under_way::UnderWay;
use super::wire::{self, Era, LOG, Settled};
use crate::egress::{Egress, Incoming, Payload};

const SESSION_ID: HeaderName = HeaderName::from_static("mcp-session-id");
const PROTOCOL_VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
const METHOD: HeaderName = HeaderName::from_static("mcp-method");
const NAME: HeaderName = HeaderName::from_static("mcp-name");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What an error's body may hold.
const MAX_ERROR_BYTES: usize = 64 * 1024;
/// How many answers to a server's requests are under way at most.
const MAX_REPLIES: usize = 8;
/// How many of a server's questions to clients are open at most.
const MAX_QUESTIONS: usize = 64;
/// How long a message that nobody waits for may take.
const ASIDE_LIMIT: Duration = Duration::from_secs(2);

/// A server at an address.
#[derive(Clone)]
pub(super) struct Http {
    egress: Egress,
    /// What is sent with every message, with a place for what is its own, so
    /// that a copy of it does not grow.
    headers: HeaderMap,
    /// What lets us in, if anything is needed for that.
    credentials: Option<Arc<Credentials>>,
    /// Whether calls are made with tokens of their callers.
    is_per_caller: bool,
    has_session: bool,
    era: Era,
    inbox: Arc<Inbox>,
    replies: Arc<Semaphore>,
    questions: Arc<Semaphore>,
    under_way: Arc<UnderWay>,
}

/// The answer that a stream should hold.
struct Wanted<'a> {
    outgoing: Outgoing<'a>,
    /// Whether its stream broke and was taken up again.
    is_resumed: bool,
}

impl Http {
    /// The server at its address, of which nothing is known yet.
    pub(super) fn try_new(server: &HttpServer, inbox: Arc<Inbox>) -> Result<Self, Failure> {
        let egress = server.egress().map_err(Failure::NotDelivered)?;
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
        let own_name = HeaderValue::from_static(concat!("quaymaster/", env!("CARGO_PKG_VERSION")));
        headers.insert(USER_AGENT, own_name);
        if let Some(authority) = server.uri.authority()
            && let Ok(host) = HeaderValue::from_str(authority.as_str())
        {
            headers.insert(HOST, host);
        }
        headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        Ok(Self {
            egress,
            headers,
            credentials: server.credentials.clone(),
            is_per_caller: server.caller.is_some(),
            has_session: false,
            era: Era::Legacy(wire::PROPOSED),
            under_way: Arc::new(UnderWay::beside(inbox.followed())),
            inbox,
            replies: Arc::new(Semaphore::new(MAX_REPLIES)),
            questions: Arc::new(Semaphore::new(MAX_QUESTIONS)),
        })
    }

    /// The same server, spoken to in `era` and within `session`.
    pub(super) fn speaking(&self, era: Era, session: Option<HeaderValue>) -> Self {
        let has_session = self.has_session || session.is_some();
        let mut http = Self { has_session, era, ..self.clone() };
        http.headers.remove(SESSION_ID);
        if era == Era::Modern {
            http.headers.insert(METHOD, HeaderValue::from_static(""));
            http.headers.insert(NAME, HeaderValue::from_static(""));
        }
        // The header came with 2025-06-18; revisions sort by their date.
        if era.revision() >= "2025-06-18" {
            http.headers.insert(PROTOCOL_VERSION, HeaderValue::from_static(era.revision()));
        }
        if let Some(mut session) = session {
            session.set_sensitive(true);
            http.headers.insert(SESSION_ID, session);
        }
        http
    }

    /// The same server, where `target` names a session (`http_sse`).
    pub(super) fn posting_to(&self, target: PathAndQuery) -> Self {
        Self { egress: self.egress.at(target), has_session: true, ..self.clone() }
    }

    /// Opens a stream of what the server sends by itself.
    pub(super) async fn events(&self) -> Result<Incoming, Failure> {
        self.open_stream(self.bare(Method::GET)).await
    }

    /// From now on the server may speak of what `holder` watches.
    pub(super) fn hold(&self, holder: &Holder) {
        self.under_way.hold(holder);
    }

    /// Sends a request and waits for its answer.
    pub(super) async fn exchange(&self, mut outgoing: Outgoing<'_>, sent: &Sent) -> Result<Answer, Failure> {
        // Only a session has a stream beside its calls.
        let _noted = matches!(self.era, Era::Legacy(_)).then(|| self.under_way.note(&outgoing));
        let body = std::mem::take(&mut outgoing.body);
        let mut request = self.post(body, outgoing.method, outgoing.name);
        request.headers_mut().extend(outgoing.mirrored.iter().cloned());
        if let Some(credential) = outgoing.credential {
            credential.put_into(request.headers_mut());
        }
        sent.set();
        let response = self.send(request).await?;
        if !response.status().is_success() {
            return Err(self.refusal(response, &outgoing).await);
        }
        let session = response.headers().get(SESSION_ID).cloned();
        let upstream_id = response.headers().get(REQUEST_ID).and_then(plain_id);
        let credential = outgoing.credential.cloned();
        let upstream_id = upstream_id.filter(|id| !self.is_given_back(id.as_bytes(), credential.as_deref()));
        let settled = match content_type(response.headers()) {
            ContentType::Json => {
                let body = response.into_body().read(outgoing.limit_bytes).await.map_err(no_body)?;
                let body = self.clean(body, outgoing.credential);
                if self.era.has_batches() {
                    self.take(body, &Wanted { outgoing, is_resumed: false })?.ok_or_else(no_answer)?
                } else {
                    wire::answer(body, outgoing.id)?
                }
            }
            ContentType::Events => {
                self.read_stream(response.into_body(), Wanted { outgoing, is_resumed: false }).await?
            }
            ContentType::Other => {
                let status = response.status().as_u16();
                return Err(Failure::Malformed(format!(
                    "HTTP status {status} with neither JSON nor a stream of events"
                )));
            }
        };
        Ok(Answer { session, upstream_id, ..Answer::from(settled) })
    }

    /// Sends a message that has no answer, or none in its response.
    pub(super) async fn notify(&self, message: String) -> Result<(), Failure> {
        let response = self.send(self.post(message, "", None)).await?;
        let is_renewed = renewed(&response);
        let status = response.status();
        let retry_after = response.headers().get(RETRY_AFTER).and_then(seconds);
        let body = response.into_body().read(MAX_ERROR_BYTES).await.unwrap_or_default();
        match status {
            status if status.is_success() => Ok(()),
            _ if is_renewed => Err(Failure::Renewed),
            _ => Err(self.refused(status, retry_after, &body)),
        }
    }

    /// Tells the server that a request is no longer wanted. Without a session the
    /// end of the response's stream has told it already.
    pub(super) fn abandon(&self, id: u64) {
        if matches!(self.era, Era::Legacy(_)) {
            let http = self.clone();
            tokio::spawn(async move {
                let _ = tokio::time::timeout(ASIDE_LIMIT, http.notify(wire::cancelled(id))).await;
            });
        }
    }

    /// Ends the session, if there is one.
    pub(super) async fn close(&self) {
        if self.has_session {
            let _ = tokio::time::timeout(ASIDE_LIMIT, self.send(self.bare(Method::DELETE))).await;
        }
    }

    /// Takes a message of a response, or a batch of them; gives the result if the answer is there.
    fn take(
        &self,
        bytes: impl TryInto<ByteString, Error = Utf8Error>,
        wanted: &Wanted<'_>,
    ) -> Result<Option<Settled<PartedBuf>>, Failure> {
        let text = wire::text(bytes)?;
        let mut result = None;
        for message in batch::messages(&text, self.era.has_batches()) {
            match (self.take_one(message, wanted), &result) {
                (Ok(taken), None) => result = taken.map(|settled| settled.part_of(&text)),
                (Err(failure), None) => return Err(failure),
                // Whatever comes after the answer does not take it back.
                (_, Some(_)) => {}
            }
        }
        Ok(result)
    }

    fn take_one<'a>(
        &self,
        message: &'a str,
        wanted: &Wanted<'_>,
    ) -> Result<Option<Settled<Parted<'a>>>, Failure> {
        let id = wanted.outgoing.id;
        match rpc::parse_text(message) {
            Ok(Message::Response { id: answered, outcome }) => {
                return wire::settle_for(id, &answered, outcome).map(Some);
            }
            Ok(Message::Notification { method, params }) => {
                if method == LOG
                    && let Some(sink) = self.client(params, wanted).and_then(|client| client.log)
                {
                    wire::log(params, &*sink);
                }
                let own = |token| wanted.outgoing.sink.filter(|_| token == id).cloned();
                self.inbox.take(&method, params, |token| own(token).or_else(|| self.under_way.sink(token)));
            }
            Ok(Message::Request { id, method, params }) => {
                let questions = || self.client(params, wanted).and_then(|client| client.questions);
                self.answer(id, &method, params, questions);
            }
            Err(error) => return Err(Failure::unreadable(&error)),
        }
        Ok(None)
    }

    /// Who is told what comes on a response's stream. A stream that was taken up again may be the one beside
    /// all calls, of a server that has not looked at where it broke.
    fn client(&self, params: Option<Raw<'_>>, wanted: &Wanted<'_>) -> Option<Client> {
        if wanted.is_resumed {
            return self.under_way.whose(params);
        }
        let Outgoing { questions, log, .. } = &wanted.outgoing;
        Some(Client { questions: questions.clone(), log: log.clone() })
    }

    /// Why there is no result, from a response that is no success.
    async fn refusal(&self, response: Response<Incoming>, outgoing: &Outgoing<'_>) -> Failure {
        let id = outgoing.id;
        let status = response.status();
        let is_renewed = renewed(&response);
        let retry_after = response.headers().get(RETRY_AFTER).and_then(seconds);
        let body = response.into_body().read(MAX_ERROR_BYTES).await.unwrap_or_default();
        if status == StatusCode::UNAUTHORIZED {
            // Our own first: with an old one of ours nobody's token is looked at.
            if is_renewed {
                return Failure::Renewed;
            }
            if outgoing.credential.is_some() {
                return Failure::CallerRefused;
            }
        }
        let body = self.clean(body, outgoing.credential);
        let is_answer = is_answer(&body, id);
        if status.is_client_error()
            && outgoing.method == "tools/call"
            && (!is_answer || status == StatusCode::NOT_FOUND)
        {
            // Perhaps the server is another one by now, or the session is lost
            // after all; a listing will tell.
            self.inbox.suspect_list();
        }
        if is_answer {
            // Whoever answers the request has read it.
            return wire::answer(body, id).err().unwrap_or_else(|| {
                Failure::Malformed(format!("a result with HTTP status {}", status.as_u16()))
            });
        }
        self.refused(status, retry_after, &body)
    }

    /// What a status that is no success says, when `body` is no answer.
    fn refused(&self, status: StatusCode, retry_after: Option<Duration>, body: &[u8]) -> Failure {
        // A session that the server does not know is told by 404 (2025-11-25,
        // basic/transports, "Session Management"); many servers say 400.
        let lost =
            status == StatusCode::NOT_FOUND || (status == StatusCode::BAD_REQUEST && names_session(body));
        if self.has_session && lost {
            Failure::Rejected { status }
        } else {
            Failure::Status { status, retry_after }
        }
    }

    fn post(&self, body: String, method: &'static str, name: Option<&HeaderValue>) -> Request<Payload> {
        let mut headers = self.headers.clone();
        headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
        if self.era == Era::Modern {
            headers.insert(METHOD, HeaderValue::from_static(method));
            match name {
                Some(name) => headers.insert(NAME, name.clone()),
                None => headers.remove(NAME),
            };
        }
        let mut request = Request::new(Payload::new(Cursor::new(body)));
        *request.method_mut() = Method::POST;
        *request.headers_mut() = headers;
        request
    }

    /// A request without a body.
    fn bare(&self, method: Method) -> Request<Payload> {
        let mut request = Request::new(Payload::default());
        *request.method_mut() = method;
        let headers = request.headers_mut();
        headers.clone_from(&self.headers);
        for of_messages in [CONTENT_TYPE, CONTENT_LENGTH, METHOD, NAME] {
            headers.remove(of_messages);
        }
        headers.insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
        request
    }
}
