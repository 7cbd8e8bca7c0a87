//! The sessions of legacy clients.
//!
//! A session belongs to the principal, the workspace and the route that opened it;
//! to anyone else, and anywhere else, it does not exist. Their number is bounded for all and for each
//! principal, and one that nobody uses ends by itself. A session with a call or
//! a stream under way is in use.
//!
//! This is the table of one process: a session dies with it, and the client
//! opens another (MCP 2025-11-25, basic/transports, session management).

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::StatusCode;
use quaymaster_core::rpc::RequestId;
use quaymaster_core::{
    ActorId, Caller, ErrorCode, InputAbilities, LogLevel, Reach, SessionId, Timestamp, Workspace,
};
use tokio_util::sync::CancellationToken;

use super::inflight::InFlight;
use super::question::OpenRequests;
use super::refusal::Refusal;
use super::revision::Revision;
use super::watches::Watches;

/// One client's session.
#[derive(Debug)]
pub(super) struct Session {
    /// What the client sends to mean it.
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
    actor: ActorId,
    workspace: Workspace,
    reach: Reach,
    stream: Mutex<Option<CancellationToken>>,
    level: Mutex<LogLevel>,
    last_used: AtomicU64,
}

impl Session {
    /// A session of `actor` that begins now.
    pub(super) fn new(
        id: SessionId,
        actor: &Caller,
        client: Option<Arc<str>>,
        within: &CancellationToken,
    ) -> Self {
        Self {
            id,
            client,
            ended: within.child_token(),
            calls: InFlight::default(),
            revision: Revision::November2025,
            abilities: InputAbilities::default(),
            questions: OpenRequests::default(),
            watches: Arc::default(),
            actor: actor.id.clone(),
            workspace: actor.workspace.clone(),
            reach: actor.reach.clone(),
            stream: Mutex::new(None),
            level: Mutex::new(LogLevel::Info),
            last_used: AtomicU64::new(0),
        }
    }

    /// The same in this revision, with a client that can be asked so much.
    pub(super) fn speaking(self, revision: Revision, abilities: InputAbilities) -> Self {
        Self { revision, abilities, ..self }
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
    /// After which a session ends that nobody uses.
    pub(super) idle: Duration,
}

/// The sessions of this process.
#[derive(Debug)]
pub(super) struct Sessions {
    limits: SessionLimits,
    table: Mutex<HashMap<Box<str>, Arc<Session>>>,
}

impl Sessions {
    /// An empty table.
    pub(super) fn new(limits: SessionLimits) -> Self {
        Self { limits, table: Mutex::default() }
    }

    /// Opens `session`.
    ///
    /// A principal with too many loses the one that it used least recently, so
    /// that what a crashed agent left behind does not lock out the next; when
    /// the whole table is full, nobody loses anything and the request waits.
    pub(super) fn open(&self, session: Session, now: Timestamp) -> Result<(), Refusal> {
        session.touch(now);
        let mut table = self.table();
        if table.len() >= self.limits.total {
            remove(&mut table, |s| s.expired(now, self.limits.idle));
        }
        let own = |s: &Session| s.actor == session.actor;
        if table.values().filter(|s| own(s)).count() >= self.limits.per_actor {
            let oldest = table
                .values()
                .filter(|s| own(s) && !s.in_use())
                .min_by_key(|s| s.last_used.load(Ordering::Relaxed))
                .map(|s| s.id.clone());
            match oldest {
                Some(id) => remove(&mut table, |s| s.id == id),
                None => {
                    return Err(Refusal::overloaded("all sessions of this principal are in use: end one"));
                }
            }
        }
        if table.len() >= self.limits.total {
            return Err(Refusal::overloaded("the table of sessions is full: try again later"));
        }
        table.insert(session.id.as_str().into(), Arc::new(session));
        Ok(())
    }

    /// The session called `id`, if it is one of `actor`'s.
    pub(super) fn find(&self, id: &str, actor: &Caller, now: Timestamp) -> Result<Arc<Session>, Refusal> {
        let found = self.table().get(id).filter(|s| !s.expired(now, self.limits.idle)).cloned();
        match found {
            Some(session) if session.belongs_to(actor) => {
                session.touch(now);
                Ok(session)
            }
            Some(_) => Err(unknown().recorded_as(ErrorCode::AuthScope)),
            None => Err(unknown()),
        }
    }

    /// Ends `session`.
    pub(super) fn end(&self, session: &Session) {
        remove(&mut self.table(), |s| s.id == session.id);
    }

    /// Ends what nobody used for too long.
    pub(super) fn sweep(&self, now: Timestamp) {
        remove(&mut self.table(), |s| s.expired(now, self.limits.idle));
    }

    fn table(&self) -> MutexGuard<'_, HashMap<Box<str>, Arc<Session>>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn remove(table: &mut HashMap<Box<str>, Arc<Session>>, which: impl Fn(&Session) -> bool) {
    table.retain(|_, session| {
        let goes = which(session);
        if goes {
            session.ended.cancel();
        }
        !goes
    });
}

fn unknown() -> Refusal {
    Refusal::invalid_request(StatusCode::NOT_FOUND, "unknown session: send `initialize` to open one")
}

#[cfg(test)]
mod tests {
    use quaymaster_core::clock::FixedClock;
    use quaymaster_core::random::CountingRandomness;

    use super::*;
    use crate::ingress::tests::harbour::caller;

    const SECOND: u64 = 1_000_000;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_micros(seconds * SECOND)
    }

    struct Table {
        sessions: Sessions,
        randomness: CountingRandomness,
        root: CancellationToken,
    }

    impl Table {
        fn new(total: usize, per_actor: usize) -> Self {
            let limits = SessionLimits { total, per_actor, idle: Duration::from_mins(1) };
            Self {
                sessions: Sessions::new(limits),
                randomness: CountingRandomness::default(),
                root: CancellationToken::new(),
            }
        }

        fn open(&self, who: &str, now: u64) -> Result<String, Refusal> {
            let id = SessionId::new(&FixedClock::new(at(now)), &self.randomness);
            let session = Session::new(id.clone(), &caller(who, "main"), None, &self.root);
            self.sessions.open(session, at(now)).map(|()| id.to_string())
        }

        fn find(&self, id: &str, who: &str, workspace: &str, now: u64) -> Result<Arc<Session>, Refusal> {
            self.sessions.find(id, &caller(who, workspace), at(now))
        }
    }

    #[test]
    fn a_session_does_not_exist_for_anyone_else() {
        let table = Table::new(8, 8);
        let id = table.open("ana", 0).expect("opened");
        assert!(table.find(&id, "ana", "main", 1).is_ok());
        let unknown = table.find("ses_nope", "ana", "main", 1).expect_err("unknown");
        for (who, workspace) in [("bo", "main"), ("ana", "other")] {
            let refusal = table.find(&id, who, workspace, 1).expect_err("another's");
            assert_eq!(refusal.to_json(None), unknown.to_json(None));
            assert_eq!((refusal.status, refusal.recorded), (unknown.status, ErrorCode::AuthScope));
        }
    }

    #[test]
    fn a_session_that_nobody_uses_ends() {
        let table = Table::new(8, 8);
        let id = table.open("ana", 0).expect("opened");
        let session = table.find(&id, "ana", "main", 60).expect("just in time");
        assert!(table.find(&id, "ana", "main", 121).is_err());
        table.sessions.sweep(at(121));
        assert!(session.ended.is_cancelled());
    }

    #[test]
    fn a_call_or_a_stream_keeps_a_session() {
        let table = Table::new(8, 8);
        let id = table.open("ana", 0).expect("opened");
        let session = table.find(&id, "ana", "main", 0).expect("found");
        let request = RequestId::number(1);
        session.calls.begin(&request, &CancellationToken::new()).expect("begun");
        assert!(table.find(&id, "ana", "main", 500).is_ok());
        session.end_call(&request, at(600));
        let stream = session.begin_stream();
        table.sessions.sweep(at(900));
        session.end_stream(&stream, at(1_000));
        assert!(table.find(&id, "ana", "main", 1_050).is_ok());
        table.sessions.sweep(at(1_200));
        assert!(session.ended.is_cancelled());
    }

    #[test]
    fn a_second_stream_replaces_the_first() {
        let table = Table::new(8, 8);
        let id = table.open("ana", 0).expect("opened");
        let session = table.find(&id, "ana", "main", 0).expect("found");
        let (first, second) = (session.begin_stream(), session.begin_stream());
        assert_eq!((first.is_cancelled(), second.is_cancelled()), (true, false));
        session.end_stream(&first, at(1));
        assert!(session.in_use(), "the end of the first is not the end of the second");
    }

    #[test]
    fn a_full_table_turns_newcomers_away_until_something_expires() {
        let table = Table::new(2, 8);
        table.open("ana", 0).expect("opened");
        table.open("bo", 10).expect("opened");
        let refusal = table.open("cy", 20).expect_err("full");
        assert_eq!((refusal.code, refusal.status.as_u16()), (ErrorCode::GatewayOverloaded, 503));
        assert!(table.open("cy", 61).is_ok());
    }

    #[test]
    fn one_principal_loses_its_own_oldest_session_and_nobody_elses() {
        let table = Table::new(8, 2);
        let other = table.open("bo", 0).expect("opened");
        let first = table.open("ana", 1).expect("opened");
        let second = table.open("ana", 2).expect("opened");
        table.find(&first, "ana", "main", 3).expect("used");
        let third = table.open("ana", 4).expect("opened");
        let alive = |id: &str, who: &str| table.find(id, who, "main", 5).is_ok();
        assert_eq!(
            [alive(&other, "bo"), alive(&first, "ana"), alive(&second, "ana"), alive(&third, "ana")],
            [true, true, false, true]
        );
    }

    #[test]
    fn ending_a_session_ends_what_is_under_way_in_it() {
        let table = Table::new(8, 8);
        let id = table.open("ana", 0).expect("opened");
        let session = table.find(&id, "ana", "main", 0).expect("found");
        let call = session.ended.child_token();
        table.sessions.end(&session);
        assert!(call.is_cancelled());
        assert!(table.find(&id, "ana", "main", 0).is_err());
    }
}
