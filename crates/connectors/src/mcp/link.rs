//! A connection that is ready for calls: a transport, and the era agreed on it.
//!
//! Adds to the transports (`stdio`, `streamable`, `http_sse`) what they have in common: ids, the
//! time limit, and that a server hears of a request that is no longer wanted.
//! How a link comes to be is in `handshake`, when in `supervise`.
//!
//! Invariant: one link serves all calls of a connector; ids on it are never
//! used twice.

mod logs;
mod query;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use http::HeaderValue;
use quaymaster_core::InputAbilities;
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::task::unconstrained;
use tokio_util::sync::{CancellationToken, DropGuard};

use self::logs::LogLevelTold;
pub(super) use self::query::{Answer, Outgoing, Query, Sent, Until};
use super::beginning::MAX_LEFT;
use super::failure::Failure;
use super::followed::Holder;
use super::http_sse::HttpSse;
use super::inbox::Inbox;
use super::question::{Pause, Questions};
use super::stdio::Stdio;
use super::streamable::{Http, Listening};
use super::wire::{self, Era, Manner};

/// The first id of a link; smaller ones are used in the handshake.
const FIRST_ID: u64 = 10;

/// A transport.
pub(super) enum Channel {
    Stdio(Stdio),
    Http(Http),
    HttpSse(HttpSse),
}

impl Channel {
    /// Sends `query` under `id` and waits for its result, within its limits.
    pub(super) async fn ask(&self, id: u64, era: Era, query: &Query<'_>) -> Result<Answer, Failure> {
        let over = query.left.map_or_else(CancellationToken::new, CancellationToken::child_token);
        let _over = over.clone().drop_guard();
        let pause = query.pause.cloned().unwrap_or_else(Pause::new);
        let manner = Manner {
            era,
            wants_progress: query.sink.is_some(),
            abilities: InputAbilities {
                tasks: query.tasks,
                // Whether a client shows it or not, what a tool has for a person passes through.
                apps: true,
                ..query.input.map(|port| port.abilities()).unwrap_or_default()
            },
            log_level: query.log.map(|sink| sink.level()),
            traceparent: query.traceparent,
        };
        let outgoing = Outgoing {
            wants_task: query.left.is_some(),
            actor: query.actor,
            begins: query.begins,
            mute: query.mute,
            id,
            method: query.method,
            body: wire::request(id, query.method, query.members, manner),
            log: query.log.cloned(),
            questions: query.input.map(|port| Questions::new(Arc::clone(port), pause.clone(), over)),
            name: query.name,
            mirrored: query.mirrored,
            credential: query.credential,
            sink: query.sink,
            limit_bytes: query.limit_bytes,
        };
        let (noted, until) = (Sent::default(), query.until);
        let sent = query.sent.unwrap_or(&noted);
        // From now on time stands still while somebody thinks, and not for what they thought before.
        let deadline = until.deadline.checked_sub(pause.stood()).unwrap_or(until.deadline);
        if until.cancel.is_cancelled() {
            return Err(Failure::Cancelled { sent: false });
        }
        tokio::select! {
            biased;
            answer = self.exchange(outgoing, sent) => answer,
            // A server that sends without end uses up all that this task may do at one go, and
            // whatever else keeps to that budget would never get its turn.
            () = unconstrained(until.cancel.cancelled()) => Err(Failure::Cancelled { sent: sent.get() }),
            () = unconstrained(pause.expired(deadline)) => Err(Failure::Timeout { sent: sent.get() }),
        }
    }

    /// Sends a message that has no answer.
    pub(super) async fn notify(&self, message: String) -> Result<(), Failure> {
        match self {
            Self::Stdio(stdio) => stdio.send(message).await,
            Self::Http(http) => http.notify(message).await,
            Self::HttpSse(http) => http.notify(message).await,
        }
    }

    /// From now on the server may speak of what `holder` watches.
    fn hold(&self, holder: &Holder) {
        match self {
            Self::Stdio(stdio) => stdio.hold(holder),
            Self::Http(http) => http.hold(holder),
            Self::HttpSse(http) => http.hold(holder),
        }
    }

    /// From now on `era` is spoken, within `session`.
    pub(super) fn speak(&mut self, era: Era, session: Option<HeaderValue>) {
        match self {
            Self::Stdio(stdio) => stdio.speak(era),
            Self::Http(http) => *http = http.speaking(era, session),
            Self::HttpSse(http) => http.speak(era),
        }
    }

    /// Whether no more answers can come.
    pub(super) fn has_ended(&self) -> bool {
        match self {
            Self::Stdio(stdio) => stdio.has_ended(),
            Self::Http(_) => false,
            Self::HttpSse(http) => http.has_ended(),
        }
    }

    /// Ends the session or the child process.
    pub(super) async fn close(&self) {
        match self {
            Self::Stdio(stdio) => stdio.close().await,
            Self::Http(http) => http.close().await,
            Self::HttpSse(http) => http.close().await,
        }
    }

    async fn exchange(&self, outgoing: Outgoing<'_>, sent: &Sent) -> Result<Answer, Failure> {
        let settled = match self {
            Self::Stdio(stdio) => stdio.exchange(outgoing, sent).await?,
            Self::Http(http) => return http.exchange(outgoing, sent).await,
            Self::HttpSse(http) => http.exchange(outgoing, sent).await?,
        };
        Ok(Answer::from(settled))
    }

    fn abandon(&self, id: u64) {
        match self {
            Self::Stdio(stdio) => stdio.abandon(id),
            Self::Http(http) => http.abandon(id),
            Self::HttpSse(http) => http.abandon(id),
        }
    }
}

/// A connection that is ready for calls.
pub(super) struct Link {
    channel: Channel,
    era: Era,
    ids: Arc<AtomicU64>,
    inbox: Arc<Inbox>,
    /// Cancelled when a call has found the connection or the session gone.
    lost: CancellationToken,
    /// What the server says that it can do.
    capabilities: Box<[Box<str>]>,
    /// Whether it makes tasks of calls.
    makes_tasks: bool,
    /// From which level on a session's server was told to log.
    log_level: LogLevelTold,
    /// The request by which a modern server on standard streams was subscribed to; 0 is none.
    subscription: AtomicU64,
    /// Ends the task that listens for changes.
    listening: Mutex<DropGuard>,
    /// Room for calls that have left before the server said which task it made of them.
    left: Semaphore,
}

impl Link {
    /// The link over `channel`, on which `era` was agreed.
    pub(super) fn new(channel: Channel, era: Era, inbox: Arc<Inbox>, capabilities: Box<[Box<str>]>) -> Self {
        let ids = Arc::new(AtomicU64::new(FIRST_ID));
        let lost = CancellationToken::new();
        Self {
            channel,
            era,
            ids,
            inbox,
            lost,
            capabilities,
            makes_tasks: false,
            log_level: LogLevelTold::default(),
            subscription: AtomicU64::new(0),
            listening: Mutex::new(CancellationToken::new().drop_guard()),
            left: Semaphore::new(MAX_LEFT),
        }
    }

    /// The same of a server that makes tasks of calls, or does not.
    pub(super) fn making_tasks(self, makes_tasks: bool) -> Self {
        Self { makes_tasks, ..self }
    }

    /// Whether the server makes tasks of calls.
    pub(super) fn makes_tasks(&self) -> bool {
        self.makes_tasks
    }

    /// Whether the server says that it has `capability`.
    pub(super) fn serves(&self, capability: &str) -> bool {
        self.capabilities.iter().any(|name| **name == *capability)
    }

    /// Whether calls need headers that mirror their body.
    pub(super) fn mirrors(&self) -> bool {
        self.era == Era::Modern && matches!(self.channel, Channel::Http(_))
    }

    /// Whether the server is reached over HTTP and keeps a session.
    pub(super) fn is_session_over_http(&self) -> bool {
        !self.is_modern() && matches!(self.channel, Channel::Http(_))
    }

    /// Whether the server is a modern one.
    pub(super) fn is_modern(&self) -> bool {
        self.era == Era::Modern
    }

    /// The protocol revision.
    pub(super) fn revision(&self) -> &'static str {
        self.era.revision()
    }

    /// Room for calls that have left before the server said which task it made of them.
    pub(super) fn left(&self) -> &Semaphore {
        &self.left
    }

    /// What the server has told without being asked.
    pub(super) fn inbox(&self) -> &Inbox {
        &self.inbox
    }

    /// Sends `query` and waits for its result.
    pub(super) async fn ask(&self, query: &Query<'_>) -> Result<Answer, Failure> {
        if let Some(sink) = query.log
            && self.has_to_be_told(sink.level())
        {
            // Seldom, so the futures of calls need no room for it.
            Box::pin(self.want_logs(sink.level(), query.until)).await;
        }
        self.request(query).await
    }

    async fn request(&self, query: &Query<'_>) -> Result<Answer, Failure> {
        let id = self.ids.fetch_add(1, Ordering::Relaxed);
        let answer = self.channel.ask(id, self.era, query).await;
        if let Err(Failure::Timeout { sent: true } | Failure::Cancelled { sent: true }) = answer {
            self.channel.abandon(id);
        }
        answer
    }

    /// From now on the server may speak of what `holder` watches.
    pub(super) fn hold(&self, holder: &Holder) {
        self.channel.hold(holder);
    }

    /// Has the server tell when one of its lists changes, and a modern one when one of the
    /// `watched` resources does. Takes the place of what was asked for before.
    pub(super) async fn listen(&self, watched: &BTreeSet<String>) {
        let id = self.ids.fetch_add(1, Ordering::Relaxed);
        let stop = CancellationToken::new();
        let before = {
            let mut listening = self.listening.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *listening, stop.clone().drop_guard())
        };
        drop(before);
        match (&self.channel, self.era) {
            (Channel::Http(http), era) => {
                let listening = Listening { ids: Arc::clone(&self.ids), era, watched: watched.clone() };
                let http = http.clone();
                tokio::spawn(async move { stop.run_until_cancelled(http.listen(listening)).await });
            }
            // The answer comes when the subscription ends, and then says nothing.
            (Channel::Stdio(stdio), Era::Modern) => {
                let before = self.subscription.swap(id, Ordering::Relaxed);
                if before != 0 {
                    stdio.abandon(before);
                }
                let _ = stdio.send(subscription(id, watched)).await;
            }
            // A session tells of changes by itself.
            (Channel::Stdio(_), Era::Legacy(_)) | (Channel::HttpSse(_), _) => {}
        }
    }

    /// A request has found that the connection or the session is gone.
    pub(super) fn lose(&self) {
        self.lost.cancel();
    }

    /// Whether a request has found that the connection or the session is gone.
    pub(super) fn is_lost(&self) -> bool {
        self.lost.is_cancelled()
    }

    /// Waits until the connection is gone. Over Streamable HTTP only a request can tell.
    pub(super) async fn ended(&self) {
        let ended = async {
            match &self.channel {
                Channel::Stdio(stdio) => stdio.ended().await,
                Channel::Http(_) => std::future::pending().await,
                Channel::HttpSse(http) => http.ended().await,
            }
        };
        let _ = self.lost.run_until_cancelled(ended).await;
    }

    /// Whether the connection has ended, and every request on it.
    pub(super) fn has_ended(&self) -> bool {
        self.channel.has_ended()
    }

    /// Ends the session or the child process.
    pub(super) async fn close(&self) {
        self.channel.close().await;
    }
}

/// The request for the server's notices of what changes (MCP 2026-07-28, basic/patterns/subscriptions).
pub(super) fn subscription(id: u64, watched: &BTreeSet<String>) -> String {
    let mut members = String::from(
        r#""notifications":{"toolsListChanged":true,"promptsListChanged":true,"resourcesListChanged":true"#,
    );
    if !watched.is_empty() {
        members.push_str(r#","resourceSubscriptions":"#);
        members.push_str(&watched.iter().map(String::as_str).collect::<Value>().to_string());
    }
    members.push('}');
    wire::request(id, "subscriptions/listen", &[&members], Manner::plain(Era::Modern))
}
