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
//! connection, which `handshake` opens and `discovery` asks, in `pages`, for what it offers; `pinned` looks whether a program is the one that was pinned; `link` is
//! what calls (`calling`) go over, with `stdio` (`child`, `lines`), `streamable` and `http_sse` (`sse`)
//! below it, of which two share a stream among calls (`exchange`, `under_way`, `followed`); `wire` writes requests and reads answers; `credential` is what is sent to let us in, of the gateway, and
//! `caller` of whoever calls, and `scrub` keeps it from coming back; `inbox` takes
//! what comes unasked, and `question` puts what the server asks to the call's client;
//! `following` sees a task of the server's (`task`) to its end;
//! `failure` says what a caller is told. `state` names how a
//! server is; `breaker` (`alive`) and `conduct` say when it is not called any more.
//!
//! Invariants:
//! - Only configured tools are declared or called.
//! - A call that may have had an effect is never sent twice.
//! - No header, credential or session that a caller came with reaches a server; only what they have stored for it.
//! - No child outlives its connector.

mod alive;
mod announced;
mod batch;
mod beginning;
mod breaker;
mod caller;
mod calling;
mod check;
mod child;
mod conduct;
pub mod config;
mod credential;
mod discovery;
mod exchange;
mod failure;
mod followed;
mod following;
mod handshake;
mod http_sse;
mod inbox;
mod lines;
mod link;
mod pace;
mod pages;
pub mod pinned;
mod question;
mod scrub;
mod sse;
mod state;
mod stdio;
mod streamable;
mod supervise;
pub mod survey;
mod task;
mod under_way;
mod watching;
mod ways;
mod wire;

#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use quaymaster_core::connector::ConnectorFile;
use quaymaster_core::setting::Slug;
use quaymaster_core::{Actor, SecretSource, ToolDeclaration};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

pub use self::announced::{Announced, EachList, ListKind};
pub(crate) use self::caller::CallerCredential;
use self::check::Settings;
use self::check::server::Server;
use self::config::{McpSpec, Transport};
pub use self::state::{Health, LeftOut, UpstreamState};
use self::supervise::Shared;
pub use self::watching::{Watch, Watched};
pub use self::ways::Ways;
use crate::problem::SpecProblem;

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

    /// How often the server said that a list had changed which turned out to be the same.
    pub fn announced(&self) -> watch::Receiver<Announced> {
        self.shared.announced.subscribe()
    }

    /// The same as it is now.
    pub fn announced_so_far(&self) -> Announced {
        *self.shared.announced.borrow()
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
            Server::Sse(_) => Transport::Sse,
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

    /// Begins to watch a resource for `actor`; none if too many are watched already. The server is told
    /// as soon as there is a connection.
    pub fn watch(&self, actor: &Actor, uri: &str) -> Option<Watch> {
        self.shared.watched.add(actor, uri)
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
