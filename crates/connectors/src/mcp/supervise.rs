//! Keeps one connection to an upstream: connects, lists, listens, connects again.
//!
//! One task for each connector runs [`run`]. Calls look at what it publishes
//! and tell it when they find the connection lost.
//!
//! Invariants:
//! - There is at most one connection, and what was one is closed before the next.
//! - A server that is shut out (`conduct`) has no connection and is not spoken to.
//! - The tools that were last seen stay declared while the upstream is away, so
//!   that a failure changes what calls answer and not what agents see.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use quaymaster_core::ToolDeclaration;
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::announced::Announced;
use super::breaker::{Breaker, Position};
use super::check::Settings;
use super::check::server::Server;
use super::conduct::Conduct;
use super::discovery::{self, Listing, Routes};
use super::failure::Failure;
use super::followed::Followed;
use super::handshake;
use super::inbox::Inbox;
use super::link::{Link, Query, Until};
use super::pace::Backoff;
use super::state::{Health, LeftOut, Trouble, UpstreamState};
use super::watching::Watched;

const MAX_SHOWN_WARNINGS: usize = 10;
/// When a server that did not answer is asked again to tell of a resource.
const SUBSCRIBE_AGAIN: Duration = Duration::from_secs(5);

/// What a connector's calls and its supervisor share.
pub(super) struct Shared {
    pub(super) settings: Settings,
    connection: watch::Sender<Connection>,
    pub(super) tools: watch::Sender<Arc<[ToolDeclaration]>>,
    pub(super) state: watch::Sender<UpstreamState>,
    pub(super) announced: watch::Sender<Announced>,
    pub(super) breaker: Breaker,
    pub(super) conduct: Conduct,
    pub(super) watched: Arc<Watched>,
    pub(super) followed: Arc<Followed>,
    /// How many connections there were.
    connections: AtomicU64,
    /// The digest of the listing that `tools` holds.
    listed: Mutex<String>,
}

#[derive(Clone)]
enum Connection {
    /// One is being made.
    Starting,
    Up(Arc<Live>),
    Down(Down),
    /// There will be none any more.
    Ended,
}

#[derive(Clone, Copy)]
struct Down {
    health: Health,
    /// When it is tried again; none is when a person acts.
    retry_at: Option<Instant>,
}

impl Down {
    /// What a caller is told who would have to wait for longer than until `patience`.
    fn failure(self, patience: Instant) -> Option<Failure> {
        let after = |at: Instant| at.saturating_duration_since(Instant::now());
        match (self.health, self.retry_at) {
            (Health::Quarantined, retry_at) => {
                Some(Failure::Quarantined { retry_after: retry_at.map(after) })
            }
            (Health::AuthRequired, at) => {
                Some(Failure::Down { auth_required: true, retry_after: at.map(after).unwrap_or_default() })
            }
            (_, Some(at)) if at <= patience => None,
            (_, at) => {
                Some(Failure::Down { auth_required: false, retry_after: at.map(after).unwrap_or_default() })
            }
        }
    }
}

/// A connection whose tools are known.
pub(super) struct Live {
    pub(super) link: Arc<Link>,
    /// Which connection it is; no two of a connector have the same number.
    pub(super) number: u64,
    pub(super) routes: Routes,
}

impl Shared {
    pub(super) fn new(settings: Settings) -> Self {
        let health = if settings.enabled { Health::Starting } else { Health::Disabled };
        let why = if settings.enabled { "" } else { "`enabled: false` is in its file" };
        let state = UpstreamState::without_connection(health, why);
        Self {
            breaker: Breaker::new(settings.breaker),
            watched: Arc::default(),
            followed: Arc::default(),
            conduct: Conduct::new(settings.pace.conduct, settings.changes),
            connections: AtomicU64::new(0),
            settings,
            connection: watch::Sender::new(Connection::Starting),
            tools: watch::Sender::new(Arc::from([])),
            state: watch::Sender::new(state),
            announced: watch::Sender::default(),
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
                Connection::Down(down) => {
                    if let Some(failure) = down.failure(patience) {
                        return Err(failure);
                    }
                }
                Connection::Starting => {}
            }
            tokio::select! {
                changed = connection.changed() => changed.map_err(|_| Failure::Ended)?,
                () = until.cancel.cancelled() => return Err(Failure::Cancelled { sent: false }),
                () = tokio::time::sleep_until(until.deadline) => return Err(Failure::Timeout { sent: false }),
            }
        }
    }

    /// The connection that there is, if there is one, is of no more use.
    pub(super) fn lose(&self) {
        let link = match &*self.connection.borrow() {
            Connection::Up(live) => Arc::clone(&live.link),
            _ => return,
        };
        self.lost(&link);
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

    /// `state`, with what calls have found of a server that looks up.
    pub(super) fn as_calls_find_it(&self, state: UpstreamState) -> UpstreamState {
        let health = self.health_for_calls(state.health);
        if health == state.health {
            return state;
        }
        let then = if health.is_up() { "the next one is a trial" } else { "they are refused for a while" };
        let reason = format!("{} calls in a row had no answer; {then}", self.breaker.failures());
        UpstreamState { health, reason, ..state }
    }

    /// How a server that looks like `health` is for those who call it.
    pub(super) fn health_for_calls(&self, health: Health) -> Health {
        match self.breaker.position(Instant::now()) {
            Position::Open if health.is_up() => Health::Unreachable,
            Position::HalfOpen if health == Health::Ready => Health::Degraded,
            _ => health,
        }
    }

    fn publish(&self, link: &Arc<Link>, number: u64, listing: Listing) {
        let Listing { declarations, routes, left_out, shown, .. } = listing;
        let state = described(declarations.len(), self.settings.configured(), left_out, link.revision());
        if self.state.borrow().health != state.health || !state.left_out.is_empty() {
            let connector = self.settings.connector.as_str();
            tracing::info!(connector, health = state.health.as_str(), reason = state.reason, "MCP upstream");
        }
        let is_new = {
            let mut listed = self.listed.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *listed, shown.clone()) != shown
        };
        if is_new {
            self.tools.send_replace(declarations.into());
        }
        let live = Arc::new(Live { link: Arc::clone(link), number, routes });
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

    /// There is no connection for `wait`, or until a person acts.
    fn down(&self, trouble: &Trouble, wait: Option<Duration>) {
        let connector = self.settings.connector.as_str();
        let health = trouble.health.as_str();
        tracing::warn!(connector, health, reason = trouble.reason, ?wait, "MCP upstream is not there");
        let retry_at = wait.map(|wait| Instant::now() + wait);
        self.connection.send_replace(Connection::Down(Down { health: trouble.health, retry_at }));
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
        let trouble = judged(&shared, Box::pin(connected(&shared, &mut was_legacy, &stop)).await);
        if stop.is_cancelled() {
            break;
        }
        if began.elapsed() >= shared.settings.pace.healthy {
            backoff.reset();
        }
        let is_shut_out = trouble.health == Health::Quarantined;
        let wait =
            if is_shut_out { trouble.retry_after } else { Some(pause(&shared, &trouble, &mut backoff)) };
        shared.down(&trouble, wait);
        let rest = async {
            match wait {
                Some(wait) => tokio::time::sleep(wait).await,
                None => std::future::pending().await,
            }
        };
        if stop.run_until_cancelled(rest).await.is_some() && is_shut_out {
            shared.conduct.let_in();
        }
        shared.connection.send_replace(Connection::Starting);
    }
    shared.connection.send_replace(Connection::Ended);
    shared.state.send_replace(UpstreamState::without_connection(Health::Stopped, ""));
}

/// What a connection ended of, or that the server is shut out for how it behaved.
fn judged(shared: &Shared, trouble: Trouble) -> Trouble {
    if trouble.is_offence {
        shared.conduct.broke_protocol(Instant::now());
    }
    shared.conduct.verdict().unwrap_or(trouble)
}

/// How long the server is left alone: for longer and longer, and at least as long as it asked for.
fn pause(shared: &Shared, trouble: &Trouble, backoff: &mut Backoff) -> Duration {
    let pace = &shared.settings.pace;
    let wait = backoff.next(pace);
    trouble.retry_after.map_or(wait, |asked| wait.max(asked.min(pace.longest_wait)))
}

/// One connection, from its first byte to its last. Says why it ended.
async fn connected(shared: &Shared, was_legacy: &mut bool, stop: &CancellationToken) -> Trouble {
    let inbox = Inbox::telling(Arc::clone(&shared.watched), Arc::clone(&shared.followed));
    let link = match handshake::open(&shared.settings, *was_legacy, inbox, stop).await {
        Ok(link) => Arc::new(link),
        Err(trouble) => {
            *was_legacy = false;
            return trouble;
        }
    };
    // Another server may answer at an address any time; a child is the same file.
    *was_legacy = matches!(shared.settings.server, Server::Stdio(_)) && !link.is_modern();
    let trouble = tokio::select! {
        trouble = attend(shared, &link, stop) => trouble,
        trouble = tell_what_is_watched(shared, &link, stop) => trouble,
    };
    let ending = if stop.is_cancelled() { Connection::Ended } else { Connection::Starting };
    shared.connection.send_replace(ending);
    link.close().await;
    trouble
}

/// Has the server know which resources are watched, for as long as the connection lasts.
async fn tell_what_is_watched(shared: &Shared, link: &Arc<Link>, stop: &CancellationToken) -> Trouble {
    let mut told = BTreeSet::new();
    loop {
        let wanted = shared.watched.now();
        let mut missed = BTreeSet::new();
        if link.is_modern() {
            if wanted != told {
                link.listen(&wanted).await;
            }
        } else if link.serves("resources") {
            // First, so that nothing which comes of a watch is taken for another's.
            shared.watched.holders().iter().for_each(|holder| link.hold(holder));
            let gone = told.difference(&wanted).map(|uri| ("resources/unsubscribe", uri));
            let new = wanted.difference(&told).map(|uri| ("resources/subscribe", uri));
            for (method, uri) in gone.chain(new) {
                let until = Until { deadline: Instant::now() + shared.settings.pace.handshake, cancel: stop };
                let member = format!(r#""uri":{}"#, Value::from(uri.as_str()));
                // A server without subscriptions says so; who watches then hears nothing.
                if let Err(failure) = link.ask(&Query::plain(method, &[&member], until)).await {
                    let (connector, reason) = (shared.settings.connector.as_str(), failure.reason());
                    tracing::debug!(connector, method, reason, "a resource is not watched");
                    if !matches!(failure, Failure::Rpc { .. }) {
                        missed.insert(uri.clone());
                    }
                }
            }
        }
        told = wanted.difference(&missed).cloned().collect();
        tokio::select! {
            () = shared.watched.changed() => {}
            () = tokio::time::sleep(SUBSCRIBE_AGAIN), if !missed.is_empty() => {}
        }
    }
}

/// Lists the tools, and again whenever they may have changed, until the connection is lost.
async fn attend(shared: &Shared, link: &Arc<Link>, stop: &CancellationToken) -> Trouble {
    let number = shared.connections.fetch_add(1, Ordering::Relaxed);
    let mut before = None;
    loop {
        let said = link.inbox().take_announced();
        let until = Until { deadline: Instant::now() + shared.settings.pace.handshake, cancel: stop };
        match discovery::list(link, &shared.settings, until).await {
            Ok(listing) => {
                // Nothing at all is a state of its own, and no definition that could be held on to.
                let is_empty = listing.declarations.is_empty();
                if !is_empty && let Err(trouble) = shared.conduct.listed(&listing.digest, Instant::now()) {
                    return trouble;
                }
                let each = listing.each.clone();
                shared.publish(link, number, listing);
                // After a first listing nothing can be said to be the same.
                if let Some(before) = &before {
                    let same = each.same(before);
                    shared.announced.send_if_modified(|announced| announced.count(said, same));
                }
                before = Some(each);
            }
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
            () = link.inbox().unasked().flood() => return shared.conduct.flooded(),
            () = changed => {}
        }
    }
}
