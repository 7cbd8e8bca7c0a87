//! How many calls run at once.
//!
//! Of what several share one may have everything, as long as nobody else wants it. Once somebody is
//! refused who holds less, nobody takes more than are left free for a while, which is how the gateway's
//! own places are shared (`gateway/src/admission.rs`).

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use quaymaster_core::ActorId;
use tokio::time::Instant;

/// When it is worth to ask again.
const AGAIN: Duration = Duration::from_secs(1);
/// How long it is shared after somebody was refused.
const SHARED: Duration = Duration::from_secs(5);

/// The places of all limits. A limit of which nobody holds one takes no room.
#[derive(Debug, Default)]
pub(super) struct Places(Mutex<HashMap<String, Holders>>);

#[derive(Debug, Default)]
struct Holders {
    all: u32,
    own: HashMap<ActorId, u32>,
    shared_until: Option<Instant>,
}

/// One place; given back when dropped.
#[derive(Debug)]
pub(super) struct Seat {
    places: Arc<Places>,
    key: String,
    who: ActorId,
}

impl Places {
    /// Takes a place, or says when to ask again.
    pub(super) fn enter(
        self: &Arc<Self>,
        (key, most, shared): (&str, NonZeroU32, bool),
        who: &ActorId,
        now: Instant,
    ) -> Result<Seat, Duration> {
        let mut places = self.lock();
        let holders = places.entry(key.to_owned()).or_default();
        let own = holders.own.get(who).copied().unwrap_or(0);
        let free = most.get().saturating_sub(holders.all);
        let is_shared = shared && holders.shared_until.is_some_and(|until| until > now);
        if free == 0 || (is_shared && own > 0 && own >= free) {
            if holders.own.values().any(|held| *held > own) {
                holders.shared_until = Some(now + SHARED);
            }
            return Err(AGAIN);
        }
        holders.all += 1;
        *holders.own.entry(who.clone()).or_default() += 1;
        Ok(Seat { places: Arc::clone(self), key: key.to_owned(), who: who.clone() })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Holders>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut places = self.places.lock();
        let Some(holders) = places.get_mut(&self.key) else { return };
        holders.all = holders.all.saturating_sub(1);
        if let Some(own) = holders.own.get_mut(&self.who) {
            *own = own.saturating_sub(1);
            if *own == 0 {
                holders.own.remove(&self.who);
            }
        }
        if holders.all == 0 {
            places.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::named;
    use super::*;

    fn most(number: u32) -> NonZeroU32 {
        NonZeroU32::new(number).expect("a number")
    }

    #[test]
    fn one_alone_has_all_and_gives_all_back() {
        let places = Arc::new(Places::default());
        let enter = |who: &str| places.enter(("k", most(4), true), &named(who), Instant::now());
        let seats: Vec<Seat> = (0..4).map(|_| enter("ana").expect("a place")).collect();
        assert_eq!(enter("ana").err(), Some(AGAIN));
        drop(seats);
        assert!(places.lock().is_empty());
    }

    #[test]
    fn whoever_is_refused_and_holds_less_gets_the_next_and_the_others_do_not() {
        let places = Arc::new(Places::default());
        let began = Instant::now();
        let enter_at = |who: &str, at| places.enter(("k", most(4), true), &named(who), at);
        let enter = |who: &str| enter_at(who, began);
        let mut seats: Vec<Seat> = (0..4).map(|_| enter("hog").expect("a place")).collect();
        assert!(enter("bo").is_err());
        seats.pop();
        assert!(enter("hog").is_err(), "it holds more than are free");
        let bo = enter("bo").expect("a place");
        drop(bo);
        assert!(enter_at("hog", began + SHARED).is_ok(), "nobody else wants it any more");
    }
}
