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
//! connection, which `handshake` opens and `discovery` asks for tools; `link` is
//! what calls go over, with `stdio` (`child`, `lines`) and `streamable` (`sse`,
//! `headers`) below it; `wire` writes requests and reads answers; `inbox` takes
//! what comes unasked; `failure` says what a caller is told.
//!
//! Invariants:
//! - Only configured tools are declared or called.
//! - A call that may have had an effect is never sent twice.
//! - No header, credential or session of a caller reaches a server.
//! - No child outlives its connector.

mod check;
mod child;
pub mod config;
mod discovery;
mod failure;
mod handshake;
mod headers;
mod inbox;
mod lines;
mod link;
mod pace;
mod sse;
mod state;
mod stdio;
mod streamable;
mod supervise;
mod wire;

#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::{HeaderName, HeaderValue};
use quaymaster_control::output::RawOutput;
use quaymaster_core::connector::ConnectorFile;
use quaymaster_core::rpc::code;
use quaymaster_core::{CallError, ErrorCode, RawBuf, SecretSource, ToolDeclaration};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

use self::check::{Settings, ToolSettings};
use self::config::McpSpec;
use self::failure::Failure;
use self::link::{Answer, Query, Until};
pub use self::state::{Health, LeftOut, UpstreamState};
use self::supervise::{Live, Shared};
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

    /// Starts the task that connects to the server and keeps connected. Once.
    pub fn start(&self) {
        let mut supervisor = self.supervisor.lock().unwrap_or_else(PoisonError::into_inner);
        if supervisor.is_none() && !self.stop.token().is_cancelled() {
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

    /// How the server is now.
    pub fn state(&self) -> UpstreamState {
        self.shared.state.borrow().clone()
    }

    /// Waits, at most `limit`, until the server's tools were listed or could not be, and says how it is.
    pub async fn ready(&self, limit: Duration) -> UpstreamState {
        let mut state = self.shared.state.subscribe();
        let settled = state.wait_for(|state| state.health != Health::Starting);
        let _ = tokio::time::timeout(limit, settled).await;
        self.state()
    }

    /// Calls a tool.
    ///
    /// A result with `isError` is a result. What provably did not reach the
    /// server is sent once more, and so is a read whose answer was lost.
    pub(crate) async fn run(&self, ask: &Ask<'_>, account: &mut Account) -> Result<RawOutput, CallError> {
        self.call(ask, account).await.map(RawOutput::upstream)
    }

    async fn call(&self, ask: &Ask<'_>, account: &mut Account) -> Result<RawBuf, CallError> {
        let settings = &self.shared.settings;
        let Some(tool) = settings.tools.iter().find(|tool| tool.config.name == ask.tool) else {
            return Err(CallError::new(ErrorCode::GatewayInternal, "the tool is not one of this connector"));
        };
        let until = Until { deadline: Instant::now() + settings.timeout, cancel: ask.cancel };
        loop {
            let failure = match self.attempt(tool, ask, until).await {
                Ok(answer) => {
                    account.upstream_ids.extend(answer.upstream_id);
                    return Ok(answer.result);
                }
                Err(failure) => failure,
            };
            if account.retries > 0 || !failure.may_be_repeated(ask.effect) {
                return Err(failure.into_call_error(ask.effect));
            }
            account.retries += 1;
            let (connector, reason) = (self.name(), failure.reason());
            tracing::debug!(connector, call = %ask.call, reason, "the call is sent once more");
        }
    }

    async fn attempt(&self, tool: &ToolSettings, ask: &Ask<'_>, until: Until<'_>) -> Result<Answer, Failure> {
        let limit_bytes = self.shared.settings.max_bytes;
        let live = self.shared.live(until).await?;
        let mirrors = live.link.mirrors();
        let query = Query {
            method: "tools/call",
            members: &[r#""name":"#, &tool.name_json, r#","arguments":"#, ask.arguments.as_json()],
            name: mirrors.then_some(&tool.name_header),
            mirrored: &if mirrors { mirrored(&live, ask) } else { Vec::new() },
            sink: ask.progress.as_ref(),
            limit_bytes: limit_bytes.saturating_add(ENVELOPE_BYTES),
            until,
        };
        match live.link.ask(&query).await {
            Ok(answer) if answer.result.get().len() > limit_bytes => Err(Failure::TooLarge { limit_bytes }),
            Ok(answer) => Ok(answer),
            Err(Failure::TooLarge { .. }) => Err(Failure::TooLarge { limit_bytes }),
            Err(failure) => {
                if failure.is_loss() {
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

    /// Ends the connection and waits until it is ended: a session is closed, a child is gone.
    pub async fn shutdown(&self) {
        self.stop.token().cancel();
        let supervisor = self.supervisor.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(supervisor) = supervisor {
            let _ = supervisor.await;
        }
    }
}

/// The headers that mirror arguments of the call.
fn mirrored(live: &Live, ask: &Ask<'_>) -> Vec<(HeaderName, HeaderValue)> {
    let declared = live.routes.get(ask.tool).map(Vec::as_slice).unwrap_or_default();
    headers::of_call(declared, ask.arguments.value())
}
