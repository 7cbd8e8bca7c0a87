//! MCP over a pair of pipes: one message a line, both eras on one stream.
//!
//! The client is the process that started us, and acts as the local user, as each
//! request finds that user configured. It may have many calls under way. When its end of the input closes, the calls that
//! run have the drain time to end.
//!
//! Invariants:
//! - Nothing but messages is written to the output, each on one line.
//! - A call that its client took back is not answered.
//! - A client that does not read stops us from reading, not from stopping.

mod lines;
mod told;

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use quaymaster_core::rpc::{self, Message, RequestId};
use quaymaster_core::{CallError, Caller, InputAbilities, InputPort, LogLevel, Reach, SessionId};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::lines::{Line, Lines};
use self::told::{Reports, put};
use super::answer::{Pieces, one_line};
use super::call::ToolCall;
use super::changes::{Changes, Seen};
use super::claims;
use super::counters::RefusalCounters;
use super::door::{Door, Wire};
use super::era::{self, Detected, Era, RequestHead};
use super::front::{
    Addressee, Asked, Front, Origin, Plan, ServerIdentity, Trail, is_notification, log_level, notified,
};
use super::inflight::InFlight;
use super::modern;
use super::progress::ProgressToken;
use super::question::{OpenRequests, QuestionQueue};
use super::refusal::Refusal;
use super::subscription::Subscription;
use super::suspended;
use super::watches::Watches;

/// How many messages may wait for the client to read them.
const OUTBOX: usize = 64;

/// How many subscriptions the client may have.
const MAX_SUBSCRIPTIONS: usize = 16;

/// How long calls have to end after they were taken back, and the client to read what is left.
const GRACE: Duration = Duration::from_secs(2);

/// What the server on the pipes is to do.
#[derive(Clone, Debug)]
pub struct StdioSettings {
    /// How long a line may be.
    pub max_line_bytes: usize,
    /// How long calls have to end when the input closes.
    pub drain: Duration,
    /// What the server calls itself.
    pub identity: ServerIdentity,
    /// Where refusals are counted.
    pub counters: Arc<RefusalCounters>,
    /// What the pipes lead to.
    pub reach: Reach,
}

impl Default for StdioSettings {
    fn default() -> Self {
        Self {
            max_line_bytes: 4 * 1024 * 1024,
            drain: Duration::from_secs(20),
            identity: ServerIdentity::default(),
            counters: Arc::default(),
            reach: Reach::All,
        }
    }
}

/// Serves `door` to its local user on `pipes` (input, output) until the input ends,
/// the output breaks or `shutdown`.
pub async fn serve<D, R, W>(door: Arc<D>, pipes: (R, W), settings: StdioSettings, shutdown: CancellationToken)
where
    D: Door,
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin + Send + 'static,
{
    let (input, output) = pipes;
    let (outbox, inbox) = mpsc::channel(OUTBOX);
    let broken = CancellationToken::new();
    let writer = tokio::spawn(write(output, inbox, broken.clone()));
    let mut lines = Lines::new(input, settings.max_line_bytes);
    // Whoever is let in no more sees nothing.
    let listing = {
        let (door, reach) = (door.clone(), settings.reach.clone());
        move || user(&*door, &reach).map_or_else(|_| Seen::default(), |user| Seen::by(&*door, &user))
    };
    let mut changes = Changes::of(door.changes(), &listing);
    let watched = {
        let (door, reach) = (door.clone(), settings.reach.clone());
        async move |watches: Arc<Watches>| match user(&*door, &reach) {
            Ok(user) => watches.next(&*door, &user).await,
            Err(_) => std::future::pending().await,
        }
    };
    let mut client = Client {
        front: Arc::new(Front::new(door, settings.identity, settings.counters)),
        reach: settings.reach,
        outbox,
        session: None,
        subscriptions: Vec::new(),
        watches: Arc::default(),
        calls: Arc::default(),
        cancel: CancellationToken::new(),
        tasks: TaskTracker::new(),
    };
    loop {
        let work = async {
            tokio::select! {
                biased;
                topics = changes.next(&listing) => client.list_changed(&topics).await,
                uri = watched(client.watches.clone()) => client.updated(&uri).await,
                line = lines.next() => match line {
                    Ok(Line::Message(bytes)) => client.take(&bytes).await,
                    Ok(Line::TooLong) => client.too_long(settings.max_line_bytes).await,
                    Ok(Line::End) | Err(_) => return false,
                },
            }
            true
        };
        tokio::select! {
            biased;
            () = shutdown.cancelled() => break,
            () = broken.cancelled() => break,
            more = work => if !more { break },
        }
    }
    client.drain(settings.drain).await;
    if timeout(GRACE, writer).await.is_err() {
        tracing::debug!("the client did not read everything");
    }
}

/// The local user, as the configuration has them now.
fn user<D: Door>(door: &D, reach: &Reach) -> Result<Caller, CallError> {
    door.local_user().map(|actor| Caller { actor, reach: reach.clone() })
}

async fn write<W>(mut output: W, mut inbox: mpsc::Receiver<Vec<u8>>, broken: CancellationToken)
where
    W: AsyncWrite + Unpin,
{
    let _broken = broken.drop_guard();
    while let Some(mut line) = inbox.recv().await {
        // Whoever made it, it is one message: a second line would be another's.
        one_line(&mut line);
        line.push(b'\n');
        let written = output.write_all(&line).await.is_ok();
        if !written || (inbox.is_empty() && output.flush().await.is_err()) {
            return;
        }
    }
}

/// What a legacy client opened.
struct Session {
    id: SessionId,
    client: Option<Arc<str>>,
    abilities: InputAbilities,
    questions: Arc<OpenRequests>,
    level: LogLevel,
}

struct Client<D> {
    front: Arc<Front<D>>,
    reach: Reach,
    outbox: mpsc::Sender<Vec<u8>>,
    session: Option<Session>,
    subscriptions: Vec<Subscription>,
    /// What the session's client watches.
    watches: Arc<Watches>,
    calls: Arc<InFlight>,
    cancel: CancellationToken,
    tasks: TaskTracker,
}

impl<D: Door> Client<D> {
    async fn take(&mut self, line: &[u8]) {
        if line.trim_ascii().is_empty() {
            return;
        }
        let mut trail = self.trail();
        match self.read(line, &mut trail) {
            Ok(Some(pieces)) => self.send(pieces.one_line()).await,
            Ok(None) => {}
            Err(refusal) => self.refuse(&refusal, trail).await,
        }
    }

    async fn too_long(&self, max: usize) {
        let message = format!("the line is longer than {max} bytes");
        let refusal = Refusal::invalid_request(StatusCode::PAYLOAD_TOO_LARGE, message);
        self.refuse(&refusal, self.trail()).await;
    }

    async fn refuse(&self, refusal: &Refusal, trail: Trail) {
        // A notification is not answered, not even a bad one (JSON-RPC 2.0, section 4.1).
        if trail.id.is_some() || !trail.method.as_deref().is_some_and(is_notification) {
            self.send(refusal.to_json(trail.id.as_ref()).into()).await;
        }
        self.front.record(refusal, trail).await;
    }

    async fn send(&self, line: Vec<u8>) {
        // A reader that has gone ends the loop by itself.
        let _ = self.outbox.send(line).await;
    }

    fn trail(&self) -> Trail {
        Trail {
            actor: self.front.door.local_user().ok(),
            session: self.session.as_ref().map(|s| s.id.clone()),
            client: self.session.as_ref().and_then(|s| s.client.clone()),
            ..Trail::default()
        }
    }

    fn read(&mut self, line: &[u8], trail: &mut Trail) -> Result<Option<Pieces>, Refusal> {
        let message = rpc::parse(line).map_err(|error| {
            trail.id.clone_from(&error.id);
            Refusal::from(&error)
        })?;
        let outcome = era::detect(&RequestHead::default(), &message)
            .and_then(|detected| self.message(&message, &detected, trail));
        if outcome.is_err() {
            trail.name(&message);
        }
        outcome
    }

    fn message(
        &mut self,
        message: &Message<'_>,
        detected: &Detected<'_>,
        trail: &mut Trail,
    ) -> Result<Option<Pieces>, Refusal> {
        match message {
            Message::Request { id, method, .. } => {
                let outcome = self.request(&Asked { id, method, detected });
                if outcome.is_err() && trail.client.is_none() {
                    trail.client = claims::implementation(detected.meta.client_info).map(Arc::from);
                }
                outcome
            }
            Message::Notification { method, .. } => {
                notified(method)?;
                if method == "notifications/cancelled"
                    && let Some(id) = detected.params.request_id.and_then(|raw| RequestId::parse(raw).ok())
                {
                    self.calls.cancel(&id);
                    self.unsubscribe(&id);
                }
                Ok(None)
            }
            Message::Response { id, outcome } => {
                if let Some(session) = &self.session {
                    session.questions.settle(id, *outcome);
                }
                Ok(None)
            }
        }
    }

    fn request(&mut self, asked: &Asked<'_>) -> Result<Option<Pieces>, Refusal> {
        match asked.detected.era {
            Era::Modern => modern::check(None, asked.method, asked.detected)?,
            Era::Legacy if self.session.is_some() || matches!(asked.method, "initialize" | "ping") => {}
            Era::Legacy => {
                return Err(Refusal::invalid_request(
                    StatusCode::BAD_REQUEST,
                    "send `initialize` first, or a request of 2026-07-28 with its `_meta`",
                ));
            }
        }
        let actor = user(&*self.front.door, &self.reach)?;
        match self.front.plan(asked, &actor)? {
            Plan::Answer(pieces) => Ok(Some(pieces)),
            Plan::Call(call) => self.call(asked, call, actor).map(|()| None),
            Plan::Listen(subscription) => self.subscribe(subscription, &actor).map(Some),
            Plan::Watch { uri, begins, answer } => {
                if begins {
                    self.watches.add(&*self.front.door, &actor, &uri)?;
                } else {
                    self.watches.remove(&uri);
                }
                Ok(Some(answer))
            }
            Plan::SetLevel { level, answer } => {
                if let Some(session) = &mut self.session {
                    session.level = level;
                }
                Ok(Some(answer))
            }
            Plan::Resume(_) => Err(suspended::unknown()),
            Plan::Open { answer, client, abilities } => {
                let questions = Arc::default();
                let id = self.front.door.session_id();
                self.session = Some(Session { id, client, abilities, questions, level: LogLevel::Info });
                Ok(Some(answer))
            }
        }
    }

    fn call(&mut self, asked: &Asked<'_>, call: ToolCall, actor: Caller) -> Result<(), Refusal> {
        let Asked { id, detected, .. } = asked;
        let (id, era) = ((*id).clone(), detected.era);
        let token = ProgressToken::read(&detected.meta)?;
        let session = self.session.as_ref().filter(|_| era == Era::Legacy);
        let level = match session {
            Some(session) => Some(session.level),
            None => log_level(detected.meta.log_level)?,
        };
        let cancel = self.cancel.child_token();
        self.calls.begin(&id, &cancel)?;
        let origin = Origin {
            actor,
            session: session.map(|s| s.id.clone()),
            claims: claims::read(
                &detected.meta,
                session.and_then(|s| s.client.as_deref()).map(str::to_owned),
                None,
            ),
        };
        let reports = Reports::new(token, level, self.outbox.clone());
        let asked = session
            .filter(|session| session.abilities != InputAbilities::default())
            .map(|session| (Arc::new(QuestionQueue::new(session.abilities)), Arc::clone(&session.questions)));
        let wire = Wire {
            cancel: cancel.clone(),
            progress: reports.as_ref().and_then(Reports::progress),
            log: reports.as_ref().and_then(Reports::log),
            input: asked.clone().map(|(queue, _)| queue as Arc<dyn InputPort>),
        };
        let addressee = Addressee { id: id.clone(), era, kind: call.kind };
        let (calls, ended) = (self.calls.clone(), id);
        let running = self.front.run(self.front.request(call, origin), wire, move |_| calls.end(&ended));
        let (front, outbox, stopping) = (self.front.clone(), self.outbox.clone(), self.cancel.clone());
        self.tasks.spawn(async move {
            let reply = tokio::select! {
                reply = running => reply,
                () = put(asked, &outbox) => None,
            };
            if let Some(reports) = reports {
                reports.close();
            }
            let taken_back = cancel.is_cancelled() && !stopping.is_cancelled();
            if !taken_back {
                let _ = outbox.send(front.answered(&addressee, reply).1.one_line()).await;
            }
        });
        Ok(())
    }

    /// Ends the subscriptions, waits for the calls that run, then takes them back.
    async fn drain(self, wait: Duration) {
        for subscription in &self.subscriptions {
            // The client may have gone, so nothing waits for it to read this.
            let _ = self.outbox.try_send(subscription.end().into());
        }
        self.tasks.close();
        if timeout(wait, self.tasks.wait()).await.is_ok() {
            return;
        }
        self.cancel.cancel();
        if timeout(GRACE, self.tasks.wait()).await.is_err() {
            tracing::warn!(calls = self.tasks.len(), "stopped before every call had ended");
        }
    }
}
