//! Places that principals share by one rule: nobody holds more of them than are left free.
//!
//! One principal alone has half of all, two who want everything a third each, and whoever comes
//! next finds room. So no number has to be chosen for how many principals there are (Choudhury
//! and Hahne, "Dynamic queue length thresholds", 1998, with a factor of 1).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use quaymaster_core::ActorId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A number of places.
#[derive(Debug)]
pub(crate) struct FairPlaces {
    all: u32,
    free: Arc<Semaphore>,
    held: Arc<Held>,
}

/// How many places each principal holds. Who holds none takes no room.
#[derive(Debug, Default)]
struct Held(Mutex<HashMap<ActorId, usize>>);

impl Held {
    fn lock(&self) -> MutexGuard<'_, HashMap<ActorId, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place; freed when dropped.
#[derive(Debug)]
pub(crate) struct FairPlace {
    // Freed after the count, so that the free ones and the held ones are never more than there are.
    _permit: OwnedSemaphorePermit,
    held: Arc<Held>,
    actor: ActorId,
}

impl Drop for FairPlace {
    fn drop(&mut self) {
        let mut held = self.held.lock();
        if let Some(count) = held.get_mut(&self.actor) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                held.remove(&self.actor);
            }
        }
    }
}

/// There is no place for a principal, who holds `own` already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NoPlace {
    pub(crate) own: usize,
}

impl FairPlaces {
    /// As many places as `all`.
    pub(crate) fn new(all: u32) -> Self {
        Self { all, free: Arc::new(Semaphore::new(all as usize)), held: Arc::default() }
    }

    /// Takes a place for `actor`, or says at once that there is none.
    pub(crate) fn take(&self, actor: &ActorId) -> Result<FairPlace, NoPlace> {
        let mut held = self.held.lock();
        let own = held.get(actor).copied().unwrap_or_default();
        if own > 0 && own >= self.free.available_permits() {
            return Err(NoPlace { own });
        }
        let permit = Arc::clone(&self.free).try_acquire_owned().map_err(|_| NoPlace { own })?;
        held.insert(actor.clone(), own + 1);
        Ok(FairPlace { _permit: permit, held: Arc::clone(&self.held), actor: actor.clone() })
    }

    /// How many are taken.
    pub(crate) fn taken(&self) -> usize {
        self.held.lock().values().sum()
    }

    /// Waits until all are free at once, and takes them away.
    pub(crate) async fn close_when_free(&self) {
        let _all = self.free.acquire_many(self.all).await;
        self.close();
    }

    /// Takes away those that are free; nobody gets one any more.
    pub(crate) fn close(&self) {
        self.free.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str) -> ActorId {
        ActorId::parse(name).expect("a name")
    }

    /// As many places as `name` gets.
    fn all_of(places: &FairPlaces, name: &str) -> Vec<FairPlace> {
        std::iter::from_fn(|| places.take(&named(name)).ok()).collect()
    }

    #[test]
    fn nobody_holds_more_places_than_are_left_free() {
        let places = FairPlaces::new(1_024);
        let ana = all_of(&places, "ana");
        assert_eq!(ana.len(), 512);
        assert_eq!(places.take(&named("ana")).err(), Some(NoPlace { own: 512 }));
        let bo = all_of(&places, "bo");
        assert_eq!(bo.len(), 256, "who comes later finds room");
        assert_eq!((places.taken(), all_of(&places, "cy").len()), (768, 128));
        // What one gives back is shared by the same rule.
        drop(ana);
        let more = all_of(&places, "bo").len();
        assert_eq!(bo.len() + more, 512);
    }

    #[test]
    fn two_who_want_everything_have_a_third_each() {
        let places = FairPlaces::new(1_024);
        let (mut ana, mut bo) = (Vec::new(), Vec::new());
        for _ in 0..1_024 {
            ana.extend(places.take(&named("ana")).ok());
            bo.extend(places.take(&named("bo")).ok());
        }
        assert_eq!((ana.len(), bo.len()), (342, 341));
    }

    #[test]
    fn who_gave_back_everything_takes_no_room() {
        let places = FairPlaces::new(8);
        drop(all_of(&places, "ana"));
        assert!(places.held.lock().is_empty());
        assert_eq!(places.free.available_permits(), 8);
    }
}
