//! Sessions in a table, and away from it.

use quaymaster_control::keyring::KeyRing;
use quaymaster_core::clock::FixedClock;
use quaymaster_core::random::CountingRandomness;
use quaymaster_core::setting::Slug;

use quaymaster_core::{InputPort as _, RawBuf};

use super::*;
use crate::ingress::allowance::Allowance;
use crate::ingress::question::QuestionQueue;
use crate::ingress::tests::harbour::caller;

const SECOND: u64 = 1_000_000;

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_micros(seconds * SECOND)
}

struct Table {
    sessions: Sessions,
    clock: Arc<FixedClock>,
    randomness: Arc<CountingRandomness>,
    ring: KeyRing,
    root: CancellationToken,
    _folder: tempfile::TempDir,
}

fn limits(total: usize, per_actor: usize) -> SessionLimits {
    SessionLimits { total, per_actor, idle: Duration::from_mins(1) }
}

impl Table {
    fn new(total: usize, per_actor: usize) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let (clock, randomness) = (Arc::new(FixedClock::new(at(0))), Arc::new(CountingRandomness::default()));
        let ring = KeyRing::open_or_create(&folder.path().join("keys"), clock.clone(), randomness.clone());
        Self {
            sessions: Sessions::new(limits(total, per_actor), Arc::default()),
            clock,
            randomness,
            ring: ring.expect("a ring"),
            root: CancellationToken::new(),
            _folder: folder,
        }
    }

    /// The next process with the same key ring.
    fn restarted(self) -> Self {
        Self { sessions: Sessions::new(limits(8, 8), Arc::default()), root: CancellationToken::new(), ..self }
    }

    fn sealed<T>(&self, now: u64, run: impl FnOnce(Sealing<'_>) -> T) -> T {
        let fresh = || SessionId::new(&FixedClock::new(at(now)), &*self.randomness);
        run(Sealing { ring: &self.ring, within: &self.root, fresh: &fresh })
    }

    fn open(&self, who: &str, now: u64) -> Result<String, Refusal> {
        let opening = Opening {
            client: Some("codex/1".into()),
            revision: Revision::June2025,
            abilities: InputAbilities { form: true, ..InputAbilities::default() },
        };
        let session = self.sealed(now, |sealing| Session::new(&caller(who, "main"), opening, sealing))?;
        self.sessions.open(session, at(now)).map(|session| session.handle.to_string())
    }

    fn find(&self, id: &str, who: &str, workspace: &str, now: u64) -> Result<Arc<Session>, Refusal> {
        self.sealed(now, |sealing| self.sessions.find(id, &caller(who, workspace), at(now), sealing))
    }

    fn is_held(&self, handle: &str) -> bool {
        self.sessions.table().held.contains_key(handle)
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
fn a_session_that_nobody_uses_is_put_away_until_its_client_comes_back() {
    let table = Table::new(8, 8);
    let handle = table.open("ana", 0).expect("opened");
    let before = table.find(&handle, "ana", "main", 60).expect("just in time");
    table.sessions.sweep(at(121));
    assert!(before.ended.is_cancelled() && !table.is_held(&handle));
    let after = table.find(&handle, "ana", "main", 122).expect("it is in its handle");
    assert_eq!((&after.id, &after.client, after.revision), (&before.id, &before.client, before.revision));
    assert_eq!(after.abilities, before.abilities);
    assert!(Arc::ptr_eq(&after, &table.find(&handle, "ana", "main", 123).expect("the same")));
    assert!(after.may_have_missed() && !before.may_have_missed());
}

#[test]
fn a_session_that_has_more_than_its_handle_says_ends_and_its_client_is_told() {
    let table = Table::new(8, 8);
    let handle = table.open("ana", 0).expect("opened");
    table.find(&handle, "ana", "main", 0).expect("found").set_log_level(LogLevel::Debug);
    assert!(table.find(&handle, "ana", "main", 121).is_err());
    assert!(table.find(&handle, "ana", "main", 122).is_err(), "and it stays so");
}

#[test]
fn any_process_with_the_key_ring_goes_on_with_a_session_and_for_nobody_else() {
    let table = Table::new(8, 8);
    let handle = table.open("ana", 0).expect("opened");
    let id = table.find(&handle, "ana", "main", 0).expect("found").id.clone();
    let table = table.restarted();
    for (who, workspace) in [("bo", "main"), ("ana", "other")] {
        assert!(table.find(&handle, who, workspace, 1).is_err(), "{who} {workspace}");
    }
    let elsewhere =
        Caller { reach: Reach::One(Slug::parse("files").expect("a name")), ..caller("ana", "main") };
    assert!(table.sealed(1, |sealing| table.sessions.find(&handle, &elsewhere, at(1), sealing)).is_err());
    let mut forged = handle.clone();
    forged.replace_range(30..31, if forged.get(30..31) == Some("A") { "B" } else { "A" });
    assert!(table.find(&forged, "ana", "main", 1).is_err());
    assert_eq!(table.find(&handle, "ana", "main", 1).expect("gone on with").id, id);
    let table = table.restarted();
    table.ring.rotate().expect("a new key");
    assert!(table.find(&handle, "ana", "main", 2).is_ok(), "an older key opens it still");
    let table = table.restarted();
    table.clock.advance(Duration::from_hours(8 * 24));
    assert!(table.find(&handle, "ana", "main", 3).is_err(), "a handle does not last for ever");
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
fn in_a_full_table_one_makes_room_whose_client_loses_nothing() {
    let table = Table::new(3, 8);
    let [loud, old, young] = [0, 1, 2].map(|now| table.open("ana", now).expect("opened"));
    table.find(&loud, "ana", "main", 3).expect("found").set_log_level(LogLevel::Debug);
    let bo = table.open("bo", 4).expect("there is room");
    assert_eq!([&loud, &old, &young, &bo].map(|handle| table.is_held(handle)), [true, false, true, true]);
    assert!(table.find(&old, "ana", "main", 5).is_ok(), "and it comes back, in place of another");
    let used = table.find(&old, "ana", "main", 5).expect("found");
    let stream = used.begin_stream();
    let other = table.find(&bo, "bo", "main", 6).expect("found");
    let second = other.begin_stream();
    let refusal = table.open("cy", 7).expect_err("all are in use or have more");
    assert_eq!((refusal.code, refusal.status.as_u16()), (ErrorCode::GatewayOverloaded, 503));
    used.end_stream(&stream, at(8));
    assert!(table.open("cy", 9).is_ok());
    drop(second);
}

#[test]
fn nobody_has_the_ended_sessions_of_another_forgotten() {
    let table = Table::new(8, 2);
    let end = |handle: &str, who: &str| {
        let session = table.find(handle, who, "main", 1).expect("found");
        table.sessions.end(&session);
    };
    let ended = table.open("ana", 0).expect("opened");
    end(&ended, "ana");
    for _ in 0..10 {
        let handle = table.open("bo", 0).expect("opened");
        end(&handle, "bo");
    }
    assert!(table.find(&ended, "ana", "main", 2).is_err());
}

#[tokio::test]
async fn what_was_asked_elsewhere_is_not_answered_here() {
    let table = Table::new(8, 8);
    let handle = table.open("ana", 0).expect("opened");
    let ask = |session: &Session| {
        let ability = InputAbilities { form: true, ..InputAbilities::default() };
        let ana = ActorId::parse("ana").expect("a name");
        let queue = QuestionQueue::new(ability, &ana, &Allowance::new(8));
        let question = r#"{"q":{"method":"elicitation/create","params":{}}}"#;
        let asked = queue.ask(RawBuf::read(question).expect("JSON"));
        drop(futures_util::FutureExt::now_or_never(asked));
        session.questions.open(queue.next().expect("a question")).remove(0)
    };
    let first = ask(&table.find(&handle, "ana", "main", 0).expect("found"));
    let table = table.restarted();
    let second = ask(&table.find(&handle, "ana", "main", 1).expect("gone on with"));
    assert!(first.contains("\"quaymaster-1\""), "{first}");
    assert_ne!(first, second, "no id is used twice in a session");
}

#[test]
fn with_too_many_a_principals_own_oldest_session_makes_room_and_nobody_elses() {
    let table = Table::new(8, 2);
    let other = table.open("bo", 0).expect("opened");
    let first = table.open("ana", 1).expect("opened");
    let second = table.open("ana", 2).expect("opened");
    table.find(&first, "ana", "main", 3).expect("used");
    let third = table.open("ana", 4).expect("opened");
    let alive = |id: &str, who: &str| table.find(id, who, "main", 5).is_ok();
    assert_eq!(
        [&other, &first, &second, &third].map(|handle| table.is_held(handle)),
        [true, true, false, true]
    );
    assert!(alive(&second, "ana"), "it makes room, and comes back");
}

#[test]
fn ending_a_session_ends_what_is_under_way_in_it() {
    let table = Table::new(8, 8);
    let id = table.open("ana", 0).expect("opened");
    let session = table.find(&id, "ana", "main", 0).expect("found");
    let call = session.ended.child_token();
    table.sessions.end(&session);
    assert!(call.is_cancelled());
    assert!(table.find(&id, "ana", "main", 0).is_err(), "what has ended does not come back");
}

#[test]
fn how_many_sessions_there_are_is_told_whenever_that_changes() {
    let table = Table::new(8, 8);
    let count = || table.sessions.occupancy.sessions();
    let [first, _second] = [0, 0].map(|now| table.open("ana", now).expect("opened"));
    assert_eq!(count(), 2);
    table.sessions.end(&table.find(&first, "ana", "main", 0).expect("found"));
    assert_eq!(count(), 1);
    table.sessions.sweep(at(121));
    assert_eq!(count(), 0);
}
