//! Keeps one connection to an upstream: connects, lists, listens, connects again.
//!
//! One task for each connector runs [`run`]. Calls look at what it publishes
//! and tell it when they find the connection lost.
//!
//! Invariants:
//! - There is at most one connection, and what was one is closed before the next.
//! - The tools that were last seen stay declared while the upstream is away, so
//!   that a failure changes what calls answer and not what agents see.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use quaymaster_core::ToolDeclaration;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::check::Settings;
use super::check::server::Server;
use super::discovery::{self, Listing, Routes};
use super::failure::Failure;
use super::handshake;
use super::link::{Link, Until};
use super::pace::Backoff;
use super::state::{Health, LeftOut, Trouble, UpstreamState};

const MAX_SHOWN_WARNINGS: usize = 10;

/// What a connector's calls and its supervisor share.
pub(super) struct Shared {
    pub(super) settings: Settings,
    connection: watch::Sender<Connection>,
    pub(super) tools: watch::Sender<Arc<[ToolDeclaration]>>,
    pub(super) state: watch::Sender<UpstreamState>,
    /// The digest of the listing that `tools` holds.
    listed: Mutex<String>,
}

#[derive(Clone)]
enum Connection {
    /// One is being made.
    Starting,
    Up(Arc<Live>),
    Down {
        retry_at: Instant,
        auth_required: bool,
    },
    /// There will be none any more.
    Ended,
}

/// A connection whose tools are known.
pub(super) struct Live {
    pub(super) link: Arc<Link>,
    pub(super) routes: Routes,
}

impl Shared {
    pub(super) fn new(settings: Settings) -> Self {
        let state = UpstreamState::without_connection(Health::Starting, "");
        Self {
            settings,
            connection: watch::Sender::new(Connection::Starting),
            tools: watch::Sender::new(Arc::from([])),
            state: watch::Sender::new(state),
            listed: Mutex::default(),
        }
    }

    /// The connection, waited for where it is on its way.
    pub(super) async fn live(&self, until: Until<'_>) -> Result<Arc<Live>, Failure> {
        if let Connection::Up(live) = &*self.connection.borrow() {
            return Ok(Arc::clone(live));
        }
        let mut connection = self.connection.subscribe();
        let patience = Instant::now() + self.settings.pace.patience;
        loop {
            match &*connection.borrow_and_update() {
                Connection::Up(live) => return Ok(Arc::clone(live)),
                Connection::Ended => return Err(Failure::Ended),
                Connection::Down { retry_at, auth_required } if *retry_at > patience || *auth_required => {
                    let retry_after = retry_at.saturating_duration_since(Instant::now());
                    return Err(Failure::Down { auth_required: *auth_required, retry_after });
                }
                Connection::Down { .. } | Connection::Starting => {}
            }
            tokio::select! {
                changed = connection.changed() => changed.map_err(|_| Failure::Ended)?,
                () = until.cancel.cancelled() => return Err(Failure::Cancelled { sent: false }),
                () = tokio::time::sleep_until(until.deadline) => return Err(Failure::Timeout { sent: false }),
            }
        }
    }

    /// A call found that `link` is gone.
    pub(super) fn lost(&self, link: &Arc<Link>) {
        link.lose();
        self.connection.send_if_modified(|connection| {
            let is_current = matches!(connection, Connection::Up(live) if Arc::ptr_eq(&live.link, link));
            if is_current {
                *connection = Connection::Starting;
            }
            is_current
        });
    }

    fn publish(&self, link: &Arc<Link>, listing: Listing) {
        let Listing { declarations, routes, left_out, digest } = listing;
        let state = described(declarations.len(), self.settings.tools.len(), left_out, link.revision());
        if self.state.borrow().health != state.health || !state.left_out.is_empty() {
            let connector = self.settings.connector.as_str();
            tracing::info!(connector, health = state.health.as_str(), reason = state.reason, "MCP upstream");
        }
        let is_new = {
            let mut listed = self.listed.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *listed, digest.clone()) != digest
        };
        if is_new {
            self.tools.send_replace(declarations.into());
        }
        let live = Arc::new(Live { link: Arc::clone(link), routes });
        let published = self.connection.send_if_modified(|connection| {
            // Looked at under the lock: what was lost meanwhile must not come back.
            let is_up = !link.is_lost();
            if is_up {
                *connection = Connection::Up(live);
            }
            is_up
        });
        if published {
            self.state.send_replace(state);
        }
    }

    fn down(&self, trouble: &Trouble, wait: Duration) {
        let connector = self.settings.connector.as_str();
        let health = trouble.health.as_str();
        tracing::warn!(connector, health, reason = trouble.reason, ?wait, "MCP upstream is not there");
        let auth_required = trouble.health == Health::AuthRequired;
        let retry_at = Instant::now() + wait;
        self.connection.send_replace(Connection::Down { retry_at, auth_required });
        self.state.send_replace(UpstreamState::without_connection(trouble.health, &trouble.reason));
    }
}

fn described(
    offered: usize,
    configured: usize,
    left_out: Vec<LeftOut>,
    revision: &'static str,
) -> UpstreamState {
    let (health, mut reason) = match offered {
        0 => (Health::NoTools, "none of the configured tools is offered".to_owned()),
        _ if left_out.is_empty() => (Health::Ready, String::new()),
        _ => (Health::Degraded, format!("{offered} of {configured} tools are offered")),
    };
    for LeftOut { why, .. } in left_out.iter().take(MAX_SHOWN_WARNINGS) {
        reason.push_str("; ");
        reason.push_str(why);
    }
    UpstreamState { health, reason, revision: Some(revision), left_out: left_out.into() }
}

/// Runs until `stop`, then closes what is open.
pub(super) async fn run(shared: Arc<Shared>, stop: CancellationToken) {
    let mut backoff = Backoff::default();
    let mut was_legacy = false;
    while !stop.is_cancelled() {
        let began = Instant::now();
        let trouble = connected(&shared, &mut was_legacy, &stop).await;
        if stop.is_cancelled() {
            break;
        }
        if began.elapsed() >= shared.settings.pace.healthy {
            backoff.reset();
        }
        let wait = backoff.next(&shared.settings.pace);
        let wait =
            trouble.retry_after.map_or(wait, |asked| wait.max(asked.min(shared.settings.pace.longest_wait)));
        shared.down(&trouble, wait);
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(wait) => {}
        }
        shared.connection.send_replace(Connection::Starting);
    }
    shared.connection.send_replace(Connection::Ended);
    shared.state.send_replace(UpstreamState::without_connection(Health::Stopped, ""));
}

/// One connection, from its first byte to its last. Says why it ended.
async fn connected(shared: &Shared, was_legacy: &mut bool, stop: &CancellationToken) -> Trouble {
    let link = match handshake::open(&shared.settings, *was_legacy, stop).await {
        Ok(link) => Arc::new(link),
        Err(trouble) => {
            *was_legacy = false;
            return trouble;
        }
    };
    // Another server may answer at an address any time; a child is the same file.
    *was_legacy = matches!(shared.settings.server, Server::Stdio(_)) && !link.is_modern();
    let trouble = attend(shared, &link, stop).await;
    let ending = if stop.is_cancelled() { Connection::Ended } else { Connection::Starting };
    shared.connection.send_replace(ending);
    link.close().await;
    trouble
}

/// Lists the tools, and again whenever they may have changed, until the connection is lost.
async fn attend(shared: &Shared, link: &Arc<Link>, stop: &CancellationToken) -> Trouble {
    loop {
        let until = Until { deadline: Instant::now() + shared.settings.pace.handshake, cancel: stop };
        match discovery::list(link, &shared.settings, until).await {
            Ok(listing) => shared.publish(link, listing),
            Err(failure) => return Trouble::of(&failure),
        }
        let next_listing = Instant::now() + shared.settings.pace.between_listings;
        let changed = async {
            link.inbox().list_changed().await;
            tokio::time::sleep_until(next_listing).await;
        };
        tokio::select! {
            () = stop.cancelled() => return Trouble::new(Health::Stopped, ""),
            () = link.ended() => {
                return Trouble::new(Health::Unreachable, "the connection, the session or the process ended");
            }
            () = changed => {}
        }
    }
}
