//! Running a call, or beginning a watch: the one place where a permit is redeemed.
//!
//! A panic in a connector ends that call and nothing else. Whatever happens, the
//! receipt comes back, so that the call can be closed.

use std::collections::HashMap;
use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use futures_util::FutureExt as _;
use quaymaster_control::output::RawOutput;
use quaymaster_control::{Job, Listening, Permit, Receipt, Voice};
use quaymaster_core::setting::Slug;
use quaymaster_core::{
    CallError, CallerTokens, Effect, ErrorCode, InputAbilities, InputPort, LogSink, NoInput, ProgressSink,
    RawBuf, TaskPort, TaskTerms, Tasks,
};
use tokio_util::sync::CancellationToken;

use crate::ask::{Account, Ask};
use crate::mcp::{McpConnector, Watch};
use crate::sql::SqlConnector;

/// What a call has of the connection that it came in on.
#[derive(Clone, Debug, Default)]
pub struct Wire {
    /// Cancelled when the client takes the call back.
    pub cancel: CancellationToken,
    /// Who wants to hear how far the call got.
    pub progress: Option<Arc<dyn ProgressSink>>,
    /// Who can be asked something in the middle of the call.
    pub input: Option<Arc<dyn InputPort>>,
    /// Who wants to read what the system behind the tool logs.
    pub log: Option<Arc<dyn LogSink>>,
    /// What becomes of the call where the system behind the tool makes a task of it.
    pub tasks: Tasks,
}

/// A system that tools are run on.
#[derive(Clone, Debug)]
pub enum Connector {
    /// A SQL database.
    Sql(Arc<SqlConnector>),
    /// An MCP server.
    Mcp(Arc<McpConnector>),
}

impl Connector {
    /// Whether both are one and the same, connections included.
    pub fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Sql(one), Self::Sql(other)) => Arc::ptr_eq(one, other),
            (Self::Mcp(one), Self::Mcp(other)) => Arc::ptr_eq(one, other),
            (Self::Sql(_) | Self::Mcp(_), _) => false,
        }
    }
}

/// All systems, by the connector's name.
#[derive(Clone, Debug, Default)]
pub struct Connectors {
    by_name: HashMap<Slug, Connector>,
    tokens: Option<Arc<dyn CallerTokens>>,
}

impl Wire {
    /// How the client listens while the call runs.
    pub fn listening(&self) -> Listening {
        if matches!(self.tasks, Tasks::Taken(_)) {
            Listening::AsTask
        } else if self.input.is_some() || self.log.is_some() || self.progress.is_some() {
            Listening::Meanwhile
        } else {
            Listening::ToNothing
        }
    }
}

impl Connectors {
    /// The given connectors.
    pub fn new(by_name: HashMap<Slug, Connector>) -> Self {
        Self { by_name, tokens: None }
    }

    /// The same, with what callers have stored for the systems that are asked in their names.
    #[must_use]
    pub fn with_tokens(self, tokens: Arc<dyn CallerTokens>) -> Self {
        Self { tokens: Some(tokens), ..self }
    }

    /// The connector called `name`.
    pub fn connector(&self, name: &Slug) -> Option<&Connector> {
        self.by_name.get(name)
    }

    /// Every connector with its name.
    pub fn iter(&self) -> impl Iterator<Item = (&Slug, &Connector)> {
        self.by_name.iter()
    }

    /// Runs the call that `permit` is for.
    ///
    /// `voice` says what its system may tell the client before that.
    ///
    /// The result is unread and can only be opened by release; the receipt comes
    /// back whatever happened.
    pub async fn invoke(
        &self,
        permit: Permit,
        voice: Voice,
        wire: &Wire,
    ) -> (Result<RawOutput, CallError>, Receipt) {
        let (job, mut receipt) = permit.redeem();
        let job = match job {
            Ok(job) => job,
            Err(error) => return (Err(error), receipt),
        };
        receipt.listening = wire.listening();
        let mut account = Account::default();
        let counted = |port| {
            let (asked, voice) = (AtomicU32::new(0), voice.clone());
            Arc::new(Counted { port, voice, asked })
        };
        let input = voice.over(wire.input.clone()).map(counted);
        let asked = input.clone();
        let (cancel, stop) = (wire.cancel.child_token(), receipt.stop());
        let wire = Wire { cancel: cancel.clone(), ..wire.clone() };
        let running = AssertUnwindSafe(self.run(&job, (&voice, input), &wire, &mut account)).catch_unwind();
        let running = tokio::select! {
            biased;
            ended = running => ended,
            never = pass_on(&stop, &cancel) => match never {},
        };
        let outcome = running.unwrap_or_else(|_| Err(panicked(job.tool.effect())));
        receipt.retries = account.retries;
        receipt.asked = asked.map_or(0, |input| input.asked.load(Ordering::Relaxed));
        receipt.upstream_ids = account.upstream_ids;
        (outcome, receipt)
    }

    /// Begins to watch the resource that `permit` is for. Its system is told when there is a connection;
    /// the receipt comes back whatever happened.
    pub fn watch(&self, permit: Permit) -> (Result<Watch, CallError>, Receipt) {
        let (job, receipt) = permit.redeem();
        let watch = job.and_then(|job| {
            let uri = job.arguments.value().get("uri").and_then(|uri| uri.as_str());
            match (self.by_name.get(&job.tool.declaration().connector), uri) {
                (Some(Connector::Mcp(mcp)), Some(uri)) => mcp.watch(&job.actor, uri).ok_or_else(|| {
                    let message = "too many resources of this system are watched";
                    CallError::new(ErrorCode::GatewayOverloaded, message)
                }),
                (Some(Connector::Mcp(_) | Connector::Sql(_)), _) => {
                    Err(CallError::new(ErrorCode::GatewayInternal, "the system has nothing to watch"))
                }
                (None, _) => {
                    let message = "the connector of this resource is gone";
                    Err(CallError::new(ErrorCode::UpstreamUnavailable, message))
                }
            }
        });
        (watch, receipt)
    }

    async fn run(
        &self,
        job: &Job,
        (voice, input): (&Voice, Option<Arc<Counted>>),
        wire: &Wire,
        account: &mut Account,
    ) -> Result<RawOutput, CallError> {
        let declaration = job.tool.declaration();
        let ask = Ask {
            actor: &job.actor,
            kind: job.tool.kind(),
            tool: &declaration.local_name,
            arguments: &job.arguments,
            call: &job.call,
            traceparent: job.traceparent.as_deref(),
            lineage: job.lineage,
            effect: declaration.effect,
            cancel: &wire.cancel,
            progress: wire.progress.clone(),
            input: input.map(|input| input as Arc<dyn InputPort>),
            log: voice.over(wire.log.clone()),
            mute: voice.is_mute(),
            tokens: self.tokens.as_ref(),
            credential: None,
            tasks: spoken(voice, wire.tasks.clone()),
        };
        match self.by_name.get(&declaration.connector) {
            Some(Connector::Sql(sql)) => sql.run(&ask, account).await,
            Some(Connector::Mcp(mcp)) => mcp.run(&ask, account).await,
            None => Err(CallError::new(ErrorCode::UpstreamUnavailable, "the connector of this tool is gone")),
        }
    }
}

/// Cancels `cancel` when `stop` is cancelled, and lets the call come to its own end.
async fn pass_on(stop: &CancellationToken, cancel: &CancellationToken) -> Infallible {
    stop.cancelled().await;
    cancel.cancel();
    std::future::pending().await
}

/// The same tasks, of which the client is told in words only where the system may speak to it.
fn spoken(voice: &Voice, tasks: Tasks) -> Tasks {
    match tasks {
        Tasks::Taken(port) if voice.over(Some(Arc::clone(&port))).is_none() => {
            Tasks::Taken(Arc::new(Mute(port)))
        }
        tasks => tasks,
    }
}

/// The client of a task, which is not told what the system says of it.
#[derive(Debug)]
struct Mute(Arc<dyn TaskPort>);

impl TaskPort for Mute {
    fn begin(&self, terms: TaskTerms) -> bool {
        self.0.begin(terms)
    }

    fn say(&self, _message: &str) {}

    fn is_taken_back(&self) -> bool {
        self.0.is_taken_back()
    }
}

/// The client of a call, with how often it was asked: that is part of the evidence. What it answers goes out, so
/// it is asked about again whether it may.
#[derive(Debug)]
struct Counted {
    port: Arc<dyn InputPort>,
    voice: Voice,
    asked: AtomicU32,
}

impl InputPort for Counted {
    fn abilities(&self) -> InputAbilities {
        self.port.abilities()
    }

    fn ask<'a>(
        &'a self,
        requests: RawBuf,
    ) -> Pin<Box<dyn Future<Output = Result<RawBuf, NoInput>> + Send + 'a>> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        Box::pin(async move {
            let answer = self.port.ask(requests).await?;
            if self.voice.may_answer().await { Ok(answer) } else { Err(NoInput::Declined) }
        })
    }
}

/// What began and did not end may have taken effect.
fn panicked(effect: Effect) -> CallError {
    match effect {
        Effect::Read => CallError::new(ErrorCode::GatewayInternal, "a fault in the connector ended the call"),
        Effect::Write | Effect::Destructive => CallError::new(
            ErrorCode::UpstreamOutcomeUnknown,
            "a fault in the connector ended the call; it is not known whether it took effect",
        ),
    }
}
