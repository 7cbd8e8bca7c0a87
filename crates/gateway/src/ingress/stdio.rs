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

mod batch;
mod calls;
mod lines;
mod told;

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use quaymaster_core::rpc::{self, Incoming, Message, RequestId};
use quaymaster_core::{CallError, Caller, InputAbilities, LogLevel, Parted, Reach, SessionId};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::calls::Answer;
use self::lines::{Line, Lines};
use self::told::task_changed;
use super::answer::one_line;
use super::changes::{Changes, Seen};
use super::claims::{self, Claims};
use super::counters::RefusalCounters;
use super::door::Door;
use super::era::{self, Detected, Era, RequestHead};
use super::front::{Asked, Front, Origin, Plan, ServerIdentity, Trail, notified};
use super::inflight::InFlight;
use super::modern;
use super::question::OpenRequests;
use super::refusal::Refusal;
use super::revision::Revision;
use super::subscription::Subscription;
use super::task::TaskWatch;
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
    /// How often calls are taken back that wait for input and to which nobody came back.
    pub sweep: Duration,
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
            sweep: Duration::from_mins(1),
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
    let front = Front::new(door, settings.identity, settings.counters);
    let mut client = Client::new(front, settings.reach, outbox);
    let mut sweep = interval(settings.sweep);
    sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let work = async {
            tokio::select! {
                biased;
                topics = changes.next(&listing) => client.list_changed(&topics).await,
                uri = watched(client.watches.clone()) => client.updated(&uri).await,
                uri = watched(client.subscribed.clone()) => client.subscribed_updated(&uri).await,
                task = task_changed(&mut client.subscriptions) => client.task_changed(task).await,
                _ = sweep.tick() => client.front.sweep(),
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
    revision: Revision,
    abilities: InputAbilities,
    questions: Arc<OpenRequests>,
    level: LogLevel,
}

struct Client<D> {
    front: Arc<Front<D>>,
    reach: Reach,
    outbox: mpsc::Sender<Vec<u8>>,
    session: Option<Session>,
    /// Each with the tasks that it tells of.
    subscriptions: Vec<(Subscription, TaskWatch)>,
    /// What the session watches.
    watches: Arc<Watches>,
    /// What the subscriptions watch.
    subscribed: Arc<Watches>,
    calls: Arc<InFlight>,
    cancel: CancellationToken,
    tasks: TaskTracker,
}

impl<D: Door> Client<D> {
    fn new(front: Front<D>, reach: Reach, outbox: mpsc::Sender<Vec<u8>>) -> Self {
        Self {
            reach,
            front: Arc::new(front),
            outbox,
            session: None,
            subscriptions: Vec::new(),
            watches: Arc::default(),
            subscribed: Arc::default(),
            calls: Arc::default(),
            cancel: CancellationToken::new(),
            tasks: TaskTracker::new(),
        }
    }

    async fn take(&mut self, line: &[u8]) {
        if line.trim_ascii().is_empty() {
            return;
        }
        let mut trail = self.trail();
        let has_batches = self.session.as_ref().is_some_and(|session| session.revision.has_batches());
        let incoming = if has_batches { rpc::parse_any(line) } else { rpc::parse(line).map(Incoming::One) };
        let outcome = match incoming {
            Ok(Incoming::One(message)) => self.read(&message, &mut trail).await,
            Ok(Incoming::Batch(batch)) => return self.batch(batch, trail).await,
            Err(error) => {
                trail.id.clone_from(&error.id);
                Err(Refusal::from(&error))
            }
        };
        match outcome {
            Ok(Some(Answer::Now(pieces))) => self.send(pieces.one_line()).await,
            Ok(Some(later)) => {
                let outbox = self.outbox.clone();
                self.tasks.spawn(async move {
                    if let Some(line) = later.line().await {
                        let _ = outbox.send(line).await;
                    }
                });
            }
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
        if trail.wants_answer() {
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

    async fn read(&mut self, message: &Message<'_>, trail: &mut Trail) -> Result<Option<Answer>, Refusal> {
        let outcome = match era::detect(&RequestHead::default(), message) {
            Ok(detected) => self.message(message, &detected, trail).await,
            Err(refusal) => Err(refusal),
        };
        if outcome.is_err() {
            trail.name(message);
        }
        outcome
    }

    async fn message(
        &mut self,
        message: &Message<'_>,
        detected: &Detected<'_>,
        trail: &mut Trail,
    ) -> Result<Option<Answer>, Refusal> {
        match message {
            Message::Request { id, method, .. } => {
                let outcome = self.request(&Asked { id, method, detected }).await;
                if outcome.is_err() && trail.client.is_none() {
                    trail.client = claims::implementation(detected.meta.client_info).map(Arc::from);
                }
                outcome.map(Some)
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
                    session.questions.settle(id, outcome.as_ref().map(Parted::raw).map_err(|error| *error));
                }
                Ok(None)
            }
        }
    }

    async fn request(&mut self, asked: &Asked<'_>) -> Result<Answer, Refusal> {
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
        let revision = self.session.as_ref().map(|session| session.revision);
        let answer = match self.front.plan(asked, revision, &actor)? {
            Plan::Answer(pieces) => pieces,
            Plan::Call(call) => return self.call(asked, call, actor),
            Plan::TaskResult(task) => return self.await_task(asked, task, &actor),
            Plan::Resume(resumption) => return self.resume(asked, resumption, &actor),
            Plan::Listen(subscription) => Box::pin(self.subscribe(subscription, &actor)).await?,
            Plan::Watch { uri, begins: true, answer } => {
                let session = self.session.as_ref().map(|session| session.id.clone());
                let origin = Origin { actor, session, claims: Claims::default() };
                Box::pin(self.watches.add(&self.front, origin, &uri)).await?;
                answer
            }
            Plan::Watch { uri, begins: false, answer } => {
                self.watches.remove(&uri);
                answer
            }
            Plan::SetLevel { level, answer } => {
                if let Some(session) = &mut self.session {
                    session.level = level;
                }
                answer
            }
            // It is the first interaction (MCP 2025-11-25, basic/lifecycle): what runs in the
            // session that there is would lose what was agreed on.
            Plan::Open { .. } if self.session.is_some() => {
                return Err(Refusal::invalid_request(
                    StatusCode::BAD_REQUEST,
                    "a session is open on this pipe: send `initialize` once",
                ));
            }
            Plan::Open { answer, client, revision, abilities } => {
                let (id, questions) = (self.front.door.session_id(), Arc::default());
                let level = LogLevel::Info;
                self.session = Some(Session { id, client, revision, abilities, questions, level });
                answer
            }
        };
        Ok(Answer::Now(answer))
    }

    /// Ends the subscriptions, waits for the calls that run, then takes them back.
    async fn drain(self, wait: Duration) {
        for (subscription, _) in &self.subscriptions {
            // The client may have gone, so nothing waits for it to read this.
            let _ = self.outbox.try_send(subscription.end().into());
        }
        let alone = self.front.haven.tasks();
        self.tasks.close();
        alone.close();
        let ended = async {
            // Nobody comes back to the calls that wait for input, or will.
            self.front.suspended.clear();
            self.tasks.wait().await;
            self.front.suspended.clear();
            self.front.tasks.clear();
            alone.wait().await;
        };
        let mut ended = std::pin::pin!(ended);
        if timeout(wait, ended.as_mut()).await.is_ok() {
            return;
        }
        self.cancel.cancel();
        if timeout(GRACE, ended.as_mut()).await.is_err() {
            let calls = self.tasks.len() + alone.len();
            tracing::warn!(calls, "stopped before every call had ended");
        }
    }
}
