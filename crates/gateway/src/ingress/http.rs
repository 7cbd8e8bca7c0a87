//! Streamable HTTP, both eras on one endpoint.
//!
//! This file owns the listener: connections, their bounds and their end. What a
//! request is answered with is in `endpoint` and below.
//!
//! Invariants:
//! - A client that is slow to send, slow to read or gone is dropped within a
//!   bound, whichever part of an exchange it stops in.
//! - When the server stops, calls that were begun have the drain time to end;
//!   then they are taken back, and no answer is promised to anyone.

mod aside;
mod batch;
mod body;
mod calling;
mod connection;
mod console;
mod endpoint;
mod event_id;
mod guard;
mod place;
mod post;
mod reader;
mod reading;
mod room;
mod scrape;
mod stall;
mod stream;
mod waiting;

pub use self::console::serve_console;
pub use self::scrape::serve_metrics;

use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper_util::rt::TokioTimer;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::endpoint::Endpoint;
use self::room::{Room, Seat};
use super::counters::RefusalCounters;
use super::door::Door;
use super::front::ServerIdentity;
use super::occupancy::Occupancy;

/// How large the head of a request may be.
const MAX_HEAD_BYTES: usize = 64 * 1024;

/// How long calls have to end after they were taken back.
const GRACE: Duration = Duration::from_secs(2);

/// How long to wait after the system refused a connection, such as for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What the listener is to do.
#[derive(Clone, Debug)]
pub struct HttpSettings {
    /// The names under which the server may be addressed; one without a port
    /// stands for any port.
    pub allowed_hosts: Vec<String>,
    /// The web origins that may send requests, such as `http://localhost:*`.
    pub allowed_origins: Vec<String>,
    /// How large the body of a request may be.
    pub max_body_bytes: usize,
    /// How many connections there may be. One principal has at most as many as others do not
    /// have, so half of them if it is alone.
    pub max_connections: usize,
    /// How many sessions there may be.
    pub max_sessions: usize,
    /// How many sessions one principal may have.
    pub max_sessions_per_actor: usize,
    /// After which a session is put away that nobody uses.
    pub session_idle: Duration,
    /// How long a connection may go without the complete head of a request, idle
    /// time between requests included.
    pub head_wait: Duration,
    /// After which a connection rests on which nothing happens: its buffers are let go. Between
    /// one and two of these pass.
    pub rest_after: Duration,
    /// How long the body of a request may take.
    pub body_wait: Duration,
    /// How long a client may take nothing of what it is sent.
    pub stall_wait: Duration,
    /// After which a call without an answer is answered by events, where its client can take up
    /// the stream when it breaks.
    pub events_after: Duration,
    /// How often a stream of events shows that it is alive.
    pub keep_alive: Duration,
    /// How long requests have to end when the server stops.
    pub drain: Duration,
    /// What the server calls itself.
    pub identity: ServerIdentity,
    /// Where refusals are counted.
    pub counters: Arc<RefusalCounters>,
    /// Where it is told how many connections and sessions there are.
    pub occupancy: Arc<Occupancy>,
}

impl Default for HttpSettings {
    fn default() -> Self {
        let loopback = ["localhost", "127.0.0.1", "[::1]"];
        Self {
            allowed_hosts: loopback.map(String::from).to_vec(),
            allowed_origins: loopback.map(|host| format!("http://{host}:*")).to_vec(),
            max_body_bytes: 4 * 1024 * 1024,
            max_connections: 1_024,
            max_sessions: 10_000,
            max_sessions_per_actor: 1_000,
            session_idle: Duration::from_mins(30),
            head_wait: Duration::from_mins(1),
            rest_after: Duration::from_secs(1),
            body_wait: Duration::from_secs(30),
            stall_wait: Duration::from_secs(30),
            events_after: Duration::from_millis(200),
            keep_alive: Duration::from_secs(15),
            drain: Duration::from_secs(20),
            identity: ServerIdentity::default(),
            counters: Arc::default(),
            occupancy: Arc::default(),
        }
    }
}

/// Serves `door` on `listener` until `shutdown`, and returns when what was begun
/// has ended or the drain time is over.
pub async fn serve<D: Door>(
    listener: TcpListener,
    door: Arc<D>,
    settings: HttpSettings,
    shutdown: CancellationToken,
) {
    let mut server = Server::new(door, settings, shutdown);
    server.accept(&listener).await;
    drop(listener);
    server.drain().await;
}

/// The tokens by which a server ends, one after the other.
#[derive(Clone, Debug)]
struct Lifecycle {
    /// No more requests; streams of notifications end.
    draining: CancellationToken,
    /// Calls are taken back.
    calls: CancellationToken,
    /// Connections are dropped.
    connections: CancellationToken,
}

struct Server<D> {
    endpoint: Arc<Endpoint<D>>,
    http: http1::Builder,
    connections: TaskTracker,
    room: Arc<Room>,
    lifecycle: Lifecycle,
}

impl<D: Door> Server<D> {
    fn new(door: Arc<D>, settings: HttpSettings, shutdown: CancellationToken) -> Self {
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new()).header_read_timeout(settings.head_wait).max_header_size(MAX_HEAD_BYTES);
        let lifecycle = Lifecycle {
            draining: shutdown,
            calls: CancellationToken::new(),
            connections: CancellationToken::new(),
        };
        Self {
            http,
            connections: TaskTracker::new(),
            room: Room::new(settings.max_connections, Arc::clone(&settings.occupancy)),
            endpoint: Arc::new(Endpoint::new(door, settings, lifecycle.clone())),
            lifecycle,
        }
    }

    async fn accept(&mut self, listener: &TcpListener) {
        let idle = self.endpoint.settings.session_idle;
        let mut sweep = interval((idle / 4).clamp(Duration::from_secs(1), Duration::from_mins(1)));
        sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = self.lifecycle.draining.cancelled() => return,
                _ = sweep.tick() => self.endpoint.sweep(),
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => self.admit(stream).await,
                    Err(error) => {
                        tracing::warn!(%error, "a connection was not accepted");
                        sleep(ACCEPT_PAUSE).await;
                    }
                },
            }
        }
    }

    async fn admit(&self, stream: TcpStream) {
        // Without it an answer waits for the acknowledgement of the one before.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY was refused");
        }
        match self.room.admit().await {
            Some(seat) => {
                self.connections.spawn(self.connection(stream, seat));
            }
            None => self.endpoint.turn_away(&stream),
        }
    }

    fn connection(&self, stream: TcpStream, seat: Seat) -> impl Future<Output = ()> + Send + use<D> {
        let (endpoint, http, lifecycle) = (self.endpoint.clone(), self.http.clone(), self.lifecycle.clone());
        connection::serve((stream, Arc::new(seat)), endpoint, http, lifecycle)
    }

    async fn drain(self) {
        let drain = self.endpoint.settings.drain;
        let calls = self.endpoint.abandoned();
        self.connections.close();
        calls.close();
        let ended = async {
            self.connections.wait().await;
            // Nobody comes back to the calls that wait for input.
            self.endpoint.let_go();
            calls.wait().await;
        };
        let mut ended = std::pin::pin!(ended);
        if timeout(drain, ended.as_mut()).await.is_ok() {
            return;
        }
        self.lifecycle.calls.cancel();
        self.endpoint.let_go();
        if timeout(GRACE, ended.as_mut()).await.is_err() {
            tracing::warn!(
                connections = self.connections.len(),
                calls = calls.len(),
                "stopped before everything had ended"
            );
            self.lifecycle.connections.cancel();
            self.connections.wait().await;
        }
    }
}
