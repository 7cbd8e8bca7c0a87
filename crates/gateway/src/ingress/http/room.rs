//! Who has the connections that there may be.
//!
//! Whose a connection is, is known once a request on it was authenticated: until then it
//! is a stranger's, and afterwards that principal's, the latest one's where a proxy sends
//! for several. Addresses say nothing of who somebody is and are not looked at.
//!
//! Invariants:
//! - At most `max` connections are open, and [`MAX_LEAVING`] that were told to go.
//! - When there is no room the stranger's that came first goes. One that is somebody's is
//!   never closed for another's sake.
//! - Nobody has more connections than are nobody's, counting free ones and strangers'. Who would
//!   have more lets go of one on which nothing happens, and is refused if there is none.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use quaymaster_core::ActorId;
use tokio::sync::Notify;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::ingress::occupancy::Occupancy;

/// How many connections may be on their way out beside those that are open. They go within one
/// turn of the runtime, so these are many.
const MAX_LEAVING: usize = 64;

/// How long a connection waits for one that was told to go. It is over long before, unless the
/// runtime stands still.
const LEAVING_WAIT: Duration = Duration::from_secs(1);

/// The connections of a listener.
#[derive(Debug)]
pub(super) struct Room {
    max: usize,
    table: Mutex<Table>,
    /// One that was told to go has gone.
    has_left: Notify,
    occupancy: Arc<Occupancy>,
}

/// Why there is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Full {
    /// All connections are somebody's.
    Owned,
    /// Too many that were told to go are still there.
    Leaving,
}

#[derive(Debug, Default)]
struct Table {
    next: u64,
    /// By age.
    open: BTreeMap<u64, Entry>,
    strangers: BTreeSet<u64>,
    /// How many connections each principal has. Who has none takes no room.
    each: HashMap<ActorId, usize>,
    leaving: usize,
}

#[derive(Debug)]
struct Entry {
    owner: Option<ActorId>,
    activity: Arc<Activity>,
}

/// What happens on a connection.
#[derive(Debug, Default)]
struct Activity {
    exchanges: AtomicUsize,
    was_used: AtomicBool,
    told_to_go: CancellationToken,
}

/// The place of one connection; free when dropped.
#[derive(Debug)]
pub(super) struct Seat {
    room: Arc<Room>,
    number: u64,
    activity: Arc<Activity>,
}

impl Room {
    /// A room for `max` connections, whose number is told to `occupancy`.
    pub(super) fn new(max: usize, occupancy: Arc<Occupancy>) -> Arc<Self> {
        Arc::new(Self { max, table: Mutex::default(), has_left: Notify::new(), occupancy })
    }

    /// A place for one more connection, if need be that of a stranger, who is told to go. A crowd
    /// that comes at once waits for those that go.
    pub(super) async fn admit(self: &Arc<Self>) -> Option<Seat> {
        let admitted = async {
            loop {
                match self.try_admit() {
                    Ok(seat) => return Some(seat),
                    Err(Full::Owned) => return None,
                    Err(Full::Leaving) => self.has_left.notified().await,
                }
            }
        };
        timeout(LEAVING_WAIT, admitted).await.ok().flatten()
    }

    fn try_admit(self: &Arc<Self>) -> Result<Seat, Full> {
        let mut table = self.lock();
        if table.open.len() >= self.max {
            if table.leaving >= MAX_LEAVING {
                return Err(Full::Leaving);
            }
            let first = table.strangers.pop_first().ok_or(Full::Owned)?;
            if let Some(entry) = table.open.remove(&first) {
                entry.activity.told_to_go.cancel();
                table.leaving += 1;
            }
        }
        let (number, activity) = (table.next, Arc::<Activity>::default());
        table.next += 1;
        table.strangers.insert(number);
        table.open.insert(number, Entry { owner: None, activity: Arc::clone(&activity) });
        self.occupancy.set_connections(table.open.len());
        Ok(Seat { room: Arc::clone(self), number, activity })
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seat {
    /// Whether `actor` may have this connection, on which it has made a request. From then on it
    /// is its own.
    pub(super) fn claim(&self, actor: &ActorId) -> bool {
        let mut table = self.room.lock();
        let Some(entry) = table.open.get(&self.number) else { return false };
        if entry.owner.as_ref() == Some(actor) {
            return true;
        }
        let owned = table.open.len() - table.strangers.len() - usize::from(entry.owner.is_some());
        let own = table.each.get(actor).copied().unwrap_or_default();
        if own > 0 && own >= self.room.max.saturating_sub(owned) && !table.let_go_of_one(actor) {
            return false;
        }
        table.give(self.number, Some(actor.clone()));
        true
    }

    /// Ends when the connection has to make room for another.
    pub(super) fn told_to_go(&self) -> &CancellationToken {
        &self.activity.told_to_go
    }

    /// Whether there ever was an exchange.
    pub(super) fn was_used(&self) -> bool {
        self.activity.was_used.load(Ordering::Relaxed)
    }

    /// Notes that an exchange began, or ended.
    pub(super) fn exchange_began(&self) {
        self.activity.exchanges.fetch_add(1, Ordering::Relaxed);
        self.activity.was_used.store(true, Ordering::Relaxed);
    }

    /// See [`Self::exchange_began`].
    pub(super) fn exchange_ended(&self) {
        self.activity.exchanges.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut table = self.room.lock();
        if table.open.contains_key(&self.number) {
            table.give(self.number, None);
            table.strangers.remove(&self.number);
            table.open.remove(&self.number);
            self.room.occupancy.set_connections(table.open.len());
        } else {
            table.leaving = table.leaving.saturating_sub(1);
            self.room.has_left.notify_one();
        }
    }
}

impl Table {
    /// Makes a connection somebody's, or a stranger's again.
    fn give(&mut self, number: u64, to: Option<ActorId>) {
        let Some(entry) = self.open.get_mut(&number) else { return };
        match &to {
            Some(actor) => {
                self.strangers.remove(&number);
                *self.each.entry(actor.clone()).or_default() += 1;
            }
            None => {
                self.strangers.insert(number);
            }
        }
        let Some(before) = std::mem::replace(&mut entry.owner, to) else { return };
        if let Some(count) = self.each.get_mut(&before) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.each.remove(&before);
            }
        }
    }

    /// Makes the oldest connection of `actor` on which nothing happens a stranger's, if there is one.
    fn let_go_of_one(&mut self, actor: &ActorId) -> bool {
        let idle = |entry: &Entry| {
            entry.owner.as_ref() == Some(actor) && entry.activity.exchanges.load(Ordering::Relaxed) == 0
        };
        let found = self.open.iter().find(|(_, entry)| idle(entry)).map(|(number, _)| *number);
        if let Some(number) = found {
            self.give(number, None);
        }
        found.is_some()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;

    fn named(name: &str) -> ActorId {
        ActorId::parse(name).expect("a name")
    }

    fn room(max: usize) -> Arc<Room> {
        Room::new(max, Arc::default())
    }

    /// Connections in use that `name` gets, each new.
    fn all_of(room: &Arc<Room>, name: &str) -> Vec<Seat> {
        let claimed = || {
            let seat = room.try_admit().ok()?;
            seat.exchange_began();
            seat.claim(&named(name)).then_some(seat)
        };
        std::iter::from_fn(claimed).collect()
    }

    #[test]
    fn the_strangers_connection_that_came_first_makes_room() {
        let room = room(3);
        let [own, first, second] =
            [room.try_admit(), room.try_admit(), room.try_admit()].map(|seat| seat.expect("room"));
        assert!(own.claim(&named("ana")));
        let third = room.try_admit().expect("room for one more");
        let told = [&own, &first, &second, &third].map(|seat| seat.told_to_go().is_cancelled());
        assert_eq!((told, room.occupancy.connections()), ([false, true, false, false], 3));
        assert!(!first.claim(&named("ana")), "whoever was told to go has no place");
        drop([first, second, third]);
        assert_eq!((room.occupancy.connections(), room.lock().leaving), (1, 0));
    }

    #[test]
    fn what_is_somebodys_is_closed_for_nobody() {
        let room = room(2);
        let seats = [room.try_admit().expect("room"), room.try_admit().expect("room")];
        for (seat, name) in seats.iter().zip(["ana", "bo"]) {
            assert!(seat.claim(&named(name)));
        }
        assert_eq!(room.try_admit().err(), Some(Full::Owned));
        assert!(seats.iter().all(|seat| !seat.told_to_go().is_cancelled()));
    }

    #[test]
    fn nobody_has_more_connections_than_are_nobodys() {
        let room = room(12);
        let ana = all_of(&room, "ana");
        assert_eq!(ana.len(), 6);
        assert_eq!(all_of(&room, "bo").len(), 3, "who comes later finds room");
        assert!(ana.iter().all(|seat| seat.claim(&named("ana"))), "what one has one keeps");
        drop(ana);
        let table = room.lock();
        assert_eq!((table.open.len(), table.each.len(), table.strangers.len()), (0, 0, 0));
    }

    #[test]
    fn one_on_which_nothing_happens_is_let_go_of_first() {
        let room = room(4);
        let [first, second, third] =
            [room.try_admit(), room.try_admit(), room.try_admit()].map(|s| s.expect("room"));
        for seat in [&first, &second, &third] {
            seat.exchange_began();
        }
        assert!(first.claim(&named("ana")) && second.claim(&named("ana")));
        assert!(!third.claim(&named("ana")), "both are in use");
        second.exchange_ended();
        assert!(third.claim(&named("ana")));
        assert_eq!(room.lock().strangers.iter().copied().collect::<Vec<_>>(), [second.number]);
    }

    #[test]
    fn a_proxys_connection_is_the_latest_principals() {
        let room = room(2);
        let seat = room.try_admit().expect("room");
        assert!(seat.claim(&named("ana")) && seat.claim(&named("bo")) && seat.claim(&named("ana")));
        assert_eq!(room.lock().each, HashMap::from([(named("ana"), 1)]));
    }

    #[test]
    fn no_more_than_so_many_are_on_their_way_out() {
        let room = room(1);
        let seats: Vec<Seat> = std::iter::from_fn(|| room.try_admit().ok()).collect();
        assert_eq!((seats.len(), room.occupancy.connections()), (MAX_LEAVING + 1, 1));
        assert_eq!(room.try_admit().err(), Some(Full::Leaving));
        drop(seats);
        assert!(room.try_admit().is_ok());
    }

    #[tokio::test]
    async fn a_crowd_waits_for_those_that_go() {
        let room = room(1);
        let mut seats: VecDeque<Seat> = std::iter::from_fn(|| room.try_admit().ok()).collect();
        let leaving = async {
            tokio::task::yield_now().await;
            seats.pop_front().is_some_and(|seat| seat.told_to_go().is_cancelled())
        };
        let (seat, has_left) = tokio::join!(room.admit(), leaving);
        assert!(seat.is_some() && has_left);
    }

    #[tokio::test]
    async fn who_does_not_go_is_not_waited_for() {
        let room = room(1);
        let seats: Vec<Seat> = std::iter::from_fn(|| room.try_admit().ok()).collect();
        assert!(room.admit().await.is_none());
        drop(seats);
    }
}
