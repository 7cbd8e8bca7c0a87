//! MCP servers behind the gateway.
//!
//! A connector keeps one connection to one server, over a child's standard
//! streams or over HTTP, in the era that the server speaks, and multiplexes all
//! calls over it. It asks for tools and calls them; whether a call may be made
//! was decided before (`invoke` redeems the permit), and what may leave of a
//! result is decided after (`quaymaster-control::output`). A result is the bytes
//! that came.
//!
//! Code map: `config` and `check` read a file's `spec`; `supervise` keeps the
//! connection, which `handshake` opens and `discovery` asks, in `pages`, for what it offers; `link` is
//! what calls go over, with `stdio` (`child`, `lines`) and `streamable` (`sse`)
//! below it; `wire` writes requests and reads answers; `inbox` takes
//! what comes unasked, and `question` puts what the server asks to the call's client;
//! `following` sees a task of the server's (`task`) to its end;
//! `failure` says what a caller is told. `state` names how a
//! server is; `breaker` and `conduct` say when it is not called any more.
//!
//! Invariants:
//! - Only configured tools are declared or called.
//! - A call that may have had an effect is never sent twice.
//! - No header, credential or session of a caller reaches a server.
//! - No child outlives its connector.

mod breaker;
mod check;
mod child;
mod conduct;
pub mod config;
mod discovery;
mod failure;
mod following;
mod handshake;
mod inbox;
mod lines;
mod link;
mod pace;
mod pages;
mod question;
mod sse;
mod state;
mod stdio;
mod streamable;
mod supervise;
pub mod survey;
mod task;
mod watching;
mod wire;

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::{HeaderName, HeaderValue};
use quaymaster_control::output::RawOutput;
use quaymaster_core::connector::ConnectorFile;
use quaymaster_core::mirror;
use quaymaster_core::rpc::code;
use quaymaster_core::setting::Slug;
use quaymaster_core::{CallError, Effect, ErrorCode, Kind, RawBuf, SecretSource, Tasks, ToolDeclaration};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

use self::breaker::Verdict;
use self::check::Settings;
use self::check::server::Server;
use self::config::{McpSpec, Transport};
use self::discovery::TaskSupport;
use self::failure::Failure;
use self::link::{Answer, Query, Until};
use self::question::{Given, MAX_ROUNDS, Required};
pub use self::state::{Health, LeftOut, UpstreamState};
use self::supervise::{Live, Shared};
use self::task::ServerTask;
pub use self::watching::Watch;
use self::wire::Stage;
use crate::ask::{Account, Ask};
use crate::problem::SpecProblem;

/// What a message may hold beside the result that it carries.
const ENVELOPE_BYTES: usize = 64 * 1024;

/// The connector to one MCP server.
pub struct McpConnector {
    shared: Arc<Shared>,
    supervisor: Mutex<Option<JoinHandle<()>>>,
    /// Ends the supervisor, and with it the connection, at the latest when the connector is dropped.
    stop: DropGuard,
}

impl std::fmt::Debug for McpConnector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("McpConnector").field("name", &self.shared.settings.connector).finish_non_exhaustive()
    }
}

impl McpConnector {
    /// The connector that `file` describes. Nothing is started yet.
    ///
    /// `folder` is the configuration's: relative paths in the file start there.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with the file, secrets that cannot be had included.
    pub fn new(
        file: ConnectorFile<McpSpec>,
        secrets: &dyn SecretSource,
        folder: &Path,
    ) -> Result<Arc<Self>, Vec<SpecProblem>> {
        Ok(Self::of(check::settings(file, secrets, folder)?))
    }

    fn of(settings: Settings) -> Arc<Self> {
        Arc::new(Self {
            shared: Arc::new(Shared::new(settings)),
            supervisor: Mutex::default(),
            stop: CancellationToken::new().drop_guard(),
        })
    }

    /// Starts the task that connects to the server and keeps connected. Once, and only where the
    /// server is enabled.
    pub fn start(&self) {
        let mut supervisor = self.supervisor.lock().unwrap_or_else(PoisonError::into_inner);
        let is_wanted = self.shared.settings.enabled && !self.stop.token().is_cancelled();
        if supervisor.is_none() && is_wanted {
            let run = supervise::run(Arc::clone(&self.shared), self.stop.token().clone());
            *supervisor = Some(tokio::spawn(run));
        }
    }

    /// The connector's name.
    pub fn name(&self) -> &str {
        self.shared.settings.connector.as_str()
    }

    /// Whether the gateway is not ready without this server.
    pub fn is_required(&self) -> bool {
        self.shared.settings.required
    }

    /// The tools that the server offers of those that are configured, as last seen; empty at first.
    pub fn tools(&self) -> watch::Receiver<Arc<[ToolDeclaration]>> {
        self.shared.tools.subscribe()
    }

    /// The workspaces in which the connector exists.
    pub fn workspaces(&self) -> &[Slug] {
        &self.shared.settings.workspaces
    }

    /// How many tools, prompts and groups of resources are configured.
    pub fn configured(&self) -> usize {
        self.shared.settings.configured()
    }

    /// How the server is reached.
    pub fn transport(&self) -> Transport {
        match self.shared.settings.server {
            Server::Stdio(_) => Transport::Stdio,
            Server::Http(_) => Transport::Http,
        }
    }

    /// How the server is now.
    pub fn state(&self) -> UpstreamState {
        let state = self.shared.state.borrow().clone();
        self.shared.as_calls_find_it(state)
    }

    /// The same in one word.
    pub fn health(&self) -> Health {
        let health = self.shared.state.borrow().health;
        self.shared.health_for_calls(health)
    }

    /// Waits, at most `limit`, until the server's tools were listed or could not be, and says how it is.
    pub async fn ready(&self, limit: Duration) -> UpstreamState {
        let mut state = self.shared.state.subscribe();
        let settled = state.wait_for(|state| state.health != Health::Starting);
        let _ = tokio::time::timeout(limit, settled).await;
        self.state()
    }

    /// Begins to watch a resource; none if too many are watched already. The server is told
    /// as soon as there is a connection.
    pub fn watch(&self, uri: &str) -> Option<Watch> {
        self.shared.watched.add(uri)
    }

    /// Calls a tool.
    ///
    /// A result with `isError` is a result. What provably did not reach the
    /// server is sent once more, and so is a read whose answer was lost.
    pub(crate) async fn run(&self, ask: &Ask<'_>, account: &mut Account) -> Result<RawOutput, CallError> {
        self.call(ask, account).await.map(RawOutput::upstream)
    }

    async fn call(&self, ask: &Ask<'_>, account: &mut Account) -> Result<RawBuf, CallError> {
        let mut given = Given::default();
        for _ in 0..MAX_ROUNDS {
            let (result, tried) = self.round(ask, &given, account).await?;
            match wire::stage(&result) {
                Stage::Task if ask.kind == Kind::Tool => {
                    return self.follow(ask, ServerTask::of_modern(&result), tried.is_modern).await;
                }
                Stage::Task => {
                    let failure = Failure::Malformed("a task where there can be none".into());
                    return Err(self.blamed(failure).into_call_error(ask.effect));
                }
                // A server that was asked for a task may be done at once.
                Stage::Complete if tried.as_task && ServerTask::is_in(&result) => {
                    return self.follow(ask, ServerTask::of_session(&result), false).await;
                }
                Stage::Complete => {
                    self.shared.conduct.good();
                    return Ok(result);
                }
                Stage::InputRequired => {}
            }
            // Whoever asks for input has not acted yet, so this fails like a read.
            let asked = async {
                let required = Required::read(&result).map_err(|failure| self.blamed(failure))?;
                required.give(ask.input.as_ref()).await
            };
            let asked = ask.cancel.run_until_cancelled(asked).await;
            given = asked
                .unwrap_or(Err(Failure::Cancelled { sent: false }))
                .map_err(|failure| failure.into_call_error(Effect::Read))?;
        }
        let message = format!("the tool asked for input more than {MAX_ROUNDS} times");
        Err(CallError::new(ErrorCode::UpstreamError, message))
    }

    /// Calls once, with what was `given` to the tool's last request for input.
    async fn round(
        &self,
        ask: &Ask<'_>,
        given: &Given,
        account: &mut Account,
    ) -> Result<(RawBuf, Tried), CallError> {
        let settings = &self.shared.settings;
        let Some(mut target) = Target::of(settings, ask) else {
            return Err(CallError::new(ErrorCode::GatewayInternal, "the tool is not one of this connector"));
        };
        given.add_to(&mut target.members);
        let ticket = self
            .shared
            .breaker
            .admit(Instant::now())
            .map_err(|retry_after| Failure::BreakerOpen { retry_after }.into_call_error(ask.effect))?;
        let until = Until { deadline: Instant::now() + settings.timeout, cancel: ask.cancel };
        target.tasks = ask.kind == Kind::Tool && matches!(ask.tasks, Tasks::Taken(_));
        loop {
            let mut tried = Tried::default();
            let failure = match self.attempt(&target, ask, until, &mut tried).await {
                Ok(answer) => {
                    ticket.settle(Verdict::Answered, Instant::now());
                    account.upstream_ids.extend(answer.upstream_id);
                    return Ok((answer.result, tried));
                }
                Err(failure) => failure,
            };
            // A server that can only make a task of it has not begun. We can follow one; but a client
            // that could have said so, and has not, is answered as the server answers it.
            if failure.wants_tasks() && !target.tasks && matches!(ask.tasks, Tasks::Followed) {
                target.tasks = true;
                continue;
            }
            if account.retries > 0 || !failure.may_be_repeated(ask.effect) {
                ticket.settle(failure.verdict(tried.ended), Instant::now());
                return Err(failure.into_call_error(ask.effect));
            }
            account.retries += 1;
            let (connector, reason) = (self.name(), failure.reason());
            tracing::debug!(connector, call = %ask.call, reason, "the call is sent once more");
        }
    }

    async fn attempt(
        &self,
        target: &Target<'_>,
        ask: &Ask<'_>,
        until: Until<'_>,
        tried: &mut Tried,
    ) -> Result<Answer, Failure> {
        let limit_bytes = self.shared.settings.max_bytes;
        let live = self.shared.live(until).await?;
        let mirrors = live.link.mirrors();
        let mut members = Cow::Borrowed(target.members.as_slice());
        tried.is_modern = live.link.is_modern();
        tried.as_task = target.begins && as_task(&live, ask);
        if tried.as_task {
            members.to_mut().push(task::WANTED);
        }
        let query = Query {
            actor: Some(ask.actor),
            method: target.method,
            members: &members,
            tasks: target.tasks,
            name: target.name.as_deref().filter(|_| mirrors),
            mirrored: &if mirrors { mirrored(&live, ask) } else { Vec::new() },
            sink: ask.progress.as_ref(),
            input: ask.input.as_ref(),
            log: ask.log.as_ref(),
            limit_bytes: limit_bytes.saturating_add(ENVELOPE_BYTES),
            until,
        };
        match live.link.ask(&query).await {
            Ok(answer) if answer.result.get().len() > limit_bytes => Err(Failure::TooLarge { limit_bytes }),
            Ok(answer) => Ok(answer),
            Err(Failure::TooLarge { .. }) => Err(Failure::TooLarge { limit_bytes }),
            Err(failure) => {
                // Over standard streams, what breaks one call breaks all of the connection's.
                if matches!(self.shared.settings.server, Server::Stdio(_)) {
                    tried.ended = Some(live.number);
                }
                let is_too_often = failure.is_offence() && self.shared.conduct.broke_protocol(Instant::now());
                if failure.is_loss() || is_too_often {
                    self.shared.lost(&live.link);
                }
                // The tool wants other headers than it did when it was listed.
                if matches!(failure, Failure::Rpc { code: code::HEADER_MISMATCH, .. }) {
                    live.link.inbox().suspect_list();
                }
                Err(failure)
            }
        }
    }

    /// The same, once it has been counted if what the server answered broke the protocol though it
    /// was a message.
    fn blamed(&self, failure: Failure) -> Failure {
        if failure.is_offence() && self.shared.conduct.broke_protocol(Instant::now()) {
            self.shared.lose();
        }
        failure
    }

    /// Ends the connection and waits until it is ended: a session is closed, a child is gone.
    pub async fn shutdown(&self) {
        self.stop.token().cancel();
        let supervisor = self.supervisor.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(supervisor) = supervisor {
            let _ = supervisor.await;
        }
    }
}

/// How a request was made, and what it did to the connection.
#[derive(Debug, Default)]
struct Tried {
    /// The number of the connection, if that ended with it.
    ended: Option<u64>,
    /// Whether the server was asked to make a task of it.
    as_task: bool,
    /// Whether the server is a modern one.
    is_modern: bool,
}

/// A request as the server is sent it.
struct Target<'a> {
    method: &'static str,
    /// Whether it begins the call; else it follows one that was begun.
    begins: bool,
    /// Whether a modern server is told that it may make a task of it.
    tasks: bool,
    /// Pieces of JSON text: the members of the parameters.
    members: Vec<&'a str>,
    /// What stands in `Mcp-Name`.
    name: Option<Cow<'a, HeaderValue>>,
}

impl<'a> Target<'a> {
    fn beginning(method: &'static str, members: Vec<&'a str>) -> Self {
        Self { method, begins: true, tasks: false, members, name: None }
    }

    /// What `ask` means; none if the connector has no such thing.
    fn of(settings: &'a Settings, ask: &'a Ask<'_>) -> Option<Self> {
        let arguments = ask.arguments.as_json();
        let named = |method, name: &'a str, header| Self {
            name: Some(Cow::Borrowed(header)),
            ..Self::beginning(method, vec![r#""name":"#, name, r#","arguments":"#, arguments])
        };
        match ask.kind {
            Kind::Tool => {
                let tool = settings.tools.iter().find(|tool| tool.config.name == ask.tool)?;
                Some(named("tools/call", &tool.name_json, &tool.name_header))
            }
            Kind::Prompt => {
                let prompt = settings.prompts.iter().find(|prompt| prompt.config.name == ask.tool)?;
                Some(named("prompts/get", &prompt.name_json, &prompt.name_header))
            }
            Kind::Resource => {
                let uri = ask.arguments.value().get("uri")?.as_str()?;
                // Looked at once more: what the server is sent is what was decided on.
                settings.resources.iter().find(|r| r.config.name == ask.tool && r.pattern.fits(uri))?;
                let members = vec![arguments.strip_prefix('{')?.strip_suffix('}')?];
                let name = Some(Cow::Owned(mirror::encode(uri)));
                Some(Self { name, ..Self::beginning("resources/read", members) })
            }
            Kind::Completion => {
                let prompts = settings.prompts.iter().map(|prompt| (&prompt.completed, &prompt.reference));
                let groups = settings.resources.iter().map(|group| (&group.completed, &group.reference));
                let (_, reference) =
                    prompts.chain(groups).find(|(completed, _)| ***completed == *ask.tool)?;
                let members = vec![&**reference, ",", arguments.strip_prefix('{')?.strip_suffix('}')?];
                Some(Self::beginning("completion/complete", members))
            }
        }
    }
}

/// Whether a session's server is to make a task of the call: where it can do nothing else, and
/// where the client takes one. A modern server decides by itself.
fn as_task(live: &Live, ask: &Ask<'_>) -> bool {
    if ask.kind != Kind::Tool || live.link.is_modern() {
        return false;
    }
    match live.routes.get(ask.tool).map(|route| route.tasks).unwrap_or_default() {
        TaskSupport::Forbidden => false,
        TaskSupport::Optional => matches!(ask.tasks, Tasks::Taken(_)),
        TaskSupport::Required => true,
    }
}

/// The headers that mirror arguments of the call.
fn mirrored(live: &Live, ask: &Ask<'_>) -> Vec<(HeaderName, HeaderValue)> {
    if ask.kind != Kind::Tool {
        return Vec::new();
    }
    let declared = live.routes.get(ask.tool).map(|route| route.headers.as_slice()).unwrap_or_default();
    mirror::of_call(declared, ask.arguments.value())
}
