//! The sessions of legacy clients.
//!
//! A session belongs to the principal, the workspace and the route that opened it;
//! to anyone else, and anywhere else, it does not exist. What its client agreed on is
//! in its handle (`handle`), so any process with the key ring can go on with it: the
//! next one on this machine, or another behind the same name. What it has beside that,
//! a log level and watched resources, is in the table of one process.
//!
//! Invariants:
//! - Their number is bounded for all and for each principal. One that nobody uses, or that
//!   has to make room, is put away until its client comes back; one that has more than
//!   its handle says ends instead, so that its client is told and begins again.
//! - One that has ended does not come back in this process, as long as its principal has
//!   not ended as many others as it may have.
//! - One with a call or a stream under way is in use, and stays.

mod handle;
pub(super) mod own_stream;
pub(super) mod streams;

pub(super) use self::handle::Sealing;
use self::own_stream::OwnStream;
use self::streams::Streams;

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::StatusCode;
use quaymaster_core::rpc::RequestId;
use quaymaster_core::{
    ActorId, Caller, ErrorCode, InputAbilities, LogLevel, Reach, SessionId, Timestamp, Workspace,
};
use tokio_util::sync::CancellationToken;

use super::inflight::InFlight;
use super::occupancy::Occupancy;
use super::question::OpenRequests;
use super::refusal::Refusal;
use super::revision::Revision;
use super::watches::Watches;

/// What a session's client said of itself when it opened it, and what was agreed on.
#[derive(Clone, Debug)]
pub(super) struct Opening {
    /// What the client called itself.
    pub(super) client: Option<Arc<str>>,
    /// The revision.
    pub(super) revision: Revision,
    /// What the client can be asked.
    pub(super) abilities: InputAbilities,
}

/// One client's session.
#[derive(Debug)]
pub(super) struct Session {
    /// What the client sends to mean it.
    pub(super) handle: Arc<str>,
    /// Under which name it is recorded.
    pub(super) id: SessionId,
    /// What the client called itself when it opened the session.
    pub(super) client: Option<Arc<str>>,
    /// Cancelled when the session ends, and with it what is under way in it.
    pub(super) ended: CancellationToken,
    /// The calls that are under way.
    pub(super) calls: InFlight,
    /// The revision that was agreed on.
    pub(super) revision: Revision,
    /// What the client can be asked.
    pub(super) abilities: InputAbilities,
    /// What it was asked and has not answered.
    pub(super) questions: OpenRequests,
    /// The resources whose changes it hears of.
    pub(super) watches: Arc<Watches>,
    /// The streams of its calls that can be taken up again.
    pub(super) streams: Streams,
    /// What its own stream told last.
    pub(super) own_stream: OwnStream,
    actor: ActorId,
    workspace: Workspace,
    reach: Reach,
    stream: Mutex<Option<CancellationToken>>,
    /// Whether it has had a stream, here or elsewhere.
    streamed: AtomicBool,
    level: Mutex<LogLevel>,
    last_used: AtomicU64,
}

impl Session {
    fn of(
        caller: &Caller,
        (id, handle): (SessionId, Arc<str>),
        opening: Opening,
        (within, tag): (&CancellationToken, &str),
    ) -> Self {
        let Opening { client, revision, abilities } = opening;
        Self {
            handle,
            id,
            client,
            ended: within.child_token(),
            calls: InFlight::default(),
            revision,
            abilities,
            questions: OpenRequests::tagged(tag),
            watches: Arc::default(),
            streams: Streams::default(),
            own_stream: OwnStream::default(),
            actor: caller.id.clone(),
            workspace: caller.workspace.clone(),
            reach: caller.reach.clone(),
            stream: Mutex::new(None),
            streamed: AtomicBool::new(false),
            level: Mutex::new(LogLevel::Info),
            last_used: AtomicU64::new(0),
        }
    }

    /// Whose it is.
    pub(super) fn actor(&self) -> &ActorId {
        &self.actor
    }

    /// From which level on the client reads log messages.
    pub(super) fn log_level(&self) -> LogLevel {
        *self.level.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Shows the client log messages from `level` on.
    pub(super) fn set_log_level(&self, level: LogLevel) {
        *self.level.lock().unwrap_or_else(PoisonError::into_inner) = level;
    }

    /// Notes that the session was used.
    pub(super) fn touch(&self, now: Timestamp) {
        self.last_used.fetch_max(now.as_micros(), Ordering::Relaxed);
    }

    /// Notes that a call ended.
    pub(super) fn end_call(&self, id: &RequestId, now: Timestamp) {
        self.touch(now);
        self.calls.end(id);
    }

    /// Begins the session's one stream of notifications. One that was open ends:
    /// a client that asks again has lost it.
    pub(super) fn begin_stream(&self) -> CancellationToken {
        let token = self.ended.child_token();
        if let Some(before) = self.stream().replace(token.clone()) {
            before.cancel();
        }
        token
    }

    /// Whether the client may have missed notifications before the stream that begins now: it
    /// had one before, or the session was elsewhere.
    pub(super) fn may_have_missed(&self) -> bool {
        self.streamed.swap(true, Ordering::Relaxed)
    }

    /// Whether it has more than its handle says.
    fn has_more(&self) -> bool {
        self.log_level() != LogLevel::Info || !self.watches.is_empty()
    }

    /// Notes that a stream ended.
    pub(super) fn end_stream(&self, token: &CancellationToken, now: Timestamp) {
        self.touch(now);
        token.cancel();
        self.stream().take_if(|open| open.is_cancelled());
    }

    fn stream(&self) -> MutexGuard<'_, Option<CancellationToken>> {
        self.stream.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn belongs_to(&self, actor: &Caller) -> bool {
        self.actor == actor.id && self.workspace == actor.workspace && self.reach == actor.reach
    }

    fn in_use(&self) -> bool {
        !self.calls.is_empty() || self.stream().is_some()
    }

    fn expired(&self, now: Timestamp, idle: Duration) -> bool {
        let last_used = Timestamp::from_micros(self.last_used.load(Ordering::Relaxed));
        now.since(last_used) > idle && !self.in_use()
    }
}

/// How many sessions there may be and how long one may lie idle.
#[derive(Clone, Copy, Debug)]
pub(super) struct SessionLimits {
    /// Of all principals together.
    pub(super) total: usize,
    /// Of one principal.
    pub(super) per_actor: usize,
    /// After which a session is put away that nobody uses.
    pub(super) idle: Duration,
}

/// The sessions of this process.
#[derive(Debug)]
pub(super) struct Sessions {
    limits: SessionLimits,
    table: Mutex<Table>,
    occupancy: Arc<Occupancy>,
}

#[derive(Debug, Default)]
struct Table {
    held: HashMap<Arc<str>, Arc<Session>>,
    ended: Ended,
}

/// The sessions of each principal that have ended, oldest first. Nobody can have another's forgotten.
#[derive(Debug, Default)]
struct Ended {
    each: HashMap<ActorId, VecDeque<SessionId>>,
}

impl Ended {
    fn note(&mut self, session: &Session, most: usize) {
        let own = self.each.entry(session.actor.clone()).or_default();
        own.push_back(session.id.clone());
        if own.len() > most {
            own.pop_front();
        }
    }

    fn holds(&self, session: &Session) -> bool {
        self.each.get(&session.actor).is_some_and(|own| own.contains(&session.id))
    }
}

impl Sessions {
    /// An empty table, whose size is told to `occupancy`.
    pub(super) fn new(limits: SessionLimits, occupancy: Arc<Occupancy>) -> Self {
        Self { limits, table: Mutex::default(), occupancy }
    }

    /// Opens `session`.
    ///
    /// Of a principal with too many the one that it used least recently is put away, so
    /// that what a crashed agent left behind does not lock out the next; when the whole
    /// table is full, one makes room whose client loses nothing.
    pub(super) fn open(&self, session: Session, now: Timestamp) -> Result<Arc<Session>, Refusal> {
        session.touch(now);
        let mut table = self.table();
        // Two requests may come back with it at once, and a third may end it.
        if let Some(there) = table.held.get(&session.handle) {
            return Ok(Arc::clone(there));
        }
        if table.ended.holds(&session) {
            return Err(unknown());
        }
        if table.held.len() >= self.limits.total {
            self.put_away(&mut table, |s| s.expired(now, self.limits.idle));
        }
        let own = |s: &Session| s.actor == session.actor;
        if table.held.values().filter(|s| own(s)).count() >= self.limits.per_actor {
            let oldest = table
                .held
                .values()
                .filter(|s| own(s) && !s.in_use())
                .min_by_key(|s| s.last_used.load(Ordering::Relaxed))
                .map(|s| s.id.clone());
            match oldest {
                Some(id) => self.put_away(&mut table, |s| s.id == id),
                None => {
                    return Err(Refusal::overloaded("all sessions of this principal are in use: end one"));
                }
            }
        }
        if table.held.len() >= self.limits.total {
            let spare = table.spare();
            let spare =
                spare.ok_or_else(|| Refusal::overloaded("all sessions are in use: try again later"))?;
            self.put_away(&mut table, |s| s.id == spare);
        }
        let session = Arc::new(session);
        table.held.insert(Arc::clone(&session.handle), Arc::clone(&session));
        self.occupancy.set_sessions(table.held.len());
        Ok(session)
    }

    /// The session that `handle` means, if it is one of `caller`'s: one in the table, or one that
    /// was put away, or that another process opened with the same keys.
    pub(super) fn find(
        &self,
        handle: &str,
        caller: &Caller,
        now: Timestamp,
        sealing: Sealing<'_>,
    ) -> Result<Arc<Session>, Refusal> {
        {
            let mut table = self.table();
            match table.held.get(handle).cloned() {
                Some(session) if !session.belongs_to(caller) => {
                    return Err(unknown().recorded_as(ErrorCode::AuthScope));
                }
                Some(session) if !session.expired(now, self.limits.idle) => {
                    session.touch(now);
                    return Ok(session);
                }
                Some(session) => self.put_away(&mut table, |s| s.id == session.id),
                None => {}
            }
        }
        let session = Session::revived(handle, caller, sealing).ok_or_else(unknown)?;
        self.open(session, now)
    }

    /// Ends `session`.
    pub(super) fn end(&self, session: &Session) {
        let mut table = self.table();
        table.ended.note(session, self.limits.per_actor);
        self.put_away(&mut table, |s| s.id == session.id);
    }

    /// Puts away what nobody used for too long.
    pub(super) fn sweep(&self, now: Timestamp) {
        let mut table = self.table();
        self.put_away(&mut table, |s| s.expired(now, self.limits.idle));
        for session in table.held.values() {
            session.streams.sweep(now);
            session.own_stream.sweep(now);
        }
    }

    /// Lets go of what waits for clients that will not come back.
    pub(super) fn let_go(&self) {
        self.table().held.values().for_each(|session| session.streams.clear());
    }

    fn put_away(&self, table: &mut Table, which: impl Fn(&Session) -> bool) {
        let Table { held, ended } = table;
        held.retain(|_, session| {
            let goes = which(session);
            if goes {
                if session.has_more() {
                    ended.note(session, self.limits.per_actor);
                }
                session.ended.cancel();
                session.streams.clear();
            }
            !goes
        });
        self.occupancy.set_sessions(held.len());
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    /// A session whose client loses nothing if it makes room: of the principal with the most, the
    /// one that was used least recently.
    fn spare(&self) -> Option<SessionId> {
        let mut counts: HashMap<&ActorId, usize> = HashMap::new();
        for session in self.held.values() {
            *counts.entry(&session.actor).or_default() += 1;
        }
        let spare = self.held.values().filter(|s| !s.in_use() && !s.has_more());
        let key = |s: &&Arc<Session>| {
            let count = counts.get(&s.actor).copied().unwrap_or_default();
            (std::cmp::Reverse(count), s.last_used.load(Ordering::Relaxed))
        };
        spare.min_by_key(key).map(|s| s.id.clone())
    }
}

fn unknown() -> Refusal {
    Refusal::invalid_request(StatusCode::NOT_FOUND, "unknown session: send `initialize` to open one")
}

#[cfg(test)]
mod tests;
