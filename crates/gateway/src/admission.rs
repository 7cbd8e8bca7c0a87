//! How many calls run at once, and when no more may begin.
//!
//! Places are shared by one rule: nobody holds more of them than are left free. One
//! principal alone has half of all, two who want everything a third each, and whoever
//! comes next finds room. So no number has to be chosen for how many principals there
//! are (Choudhury and Hahne, "Dynamic queue length thresholds", 1998, with a factor of 1).

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use quaymaster_core::{ActorId, CallError, ErrorCode};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError};

/// How many calls may run at once.
pub(crate) const MAX_CALLS: u32 = 1_024;

/// The door to the path of a call.
#[derive(Debug)]
pub(crate) struct Admission {
    places: Arc<Semaphore>,
    held: Arc<Held>,
    /// Set before the places are taken away: who finds none is told why.
    closing: AtomicBool,
}

/// How many places each principal holds. Who holds none takes no room.
#[derive(Debug, Default)]
struct Held(Mutex<HashMap<ActorId, usize>>);

impl Held {
    fn lock(&self) -> MutexGuard<'_, HashMap<ActorId, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place on the path; freed when dropped.
#[derive(Debug)]
pub(crate) struct Place {
    // Freed after the count, so that the free ones and the held ones are never more than there are.
    _permit: OwnedSemaphorePermit,
    held: Arc<Held>,
    actor: ActorId,
}

impl Drop for Place {
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

impl Admission {
    pub(crate) fn new() -> Self {
        let places = Arc::new(Semaphore::new(MAX_CALLS as usize));
        Self { places, held: Arc::default(), closing: AtomicBool::new(false) }
    }

    /// Takes a place for `actor`, or says at once that there is none.
    pub(crate) fn enter(&self, actor: &ActorId) -> Result<Place, CallError> {
        if self.is_closing() {
            return Err(closing());
        }
        let mut held = self.held.lock();
        let own = held.get(actor).copied().unwrap_or_default();
        let entered = if own > 0 && own >= self.places.available_permits() {
            Err(TryAcquireError::NoPermits)
        } else {
            Arc::clone(&self.places).try_acquire_owned()
        };
        match entered {
            Ok(permit) => {
                held.insert(actor.clone(), own + 1);
                Ok(Place { _permit: permit, held: Arc::clone(&self.held), actor: actor.clone() })
            }
            // The end may have begun since it was looked for.
            Err(TryAcquireError::NoPermits) if !self.is_closing() => Err(overloaded(own)),
            Err(TryAcquireError::NoPermits | TryAcquireError::Closed) => Err(closing()),
        }
    }

    /// How many calls run.
    pub(crate) fn running(&self) -> usize {
        self.held.lock().values().sum()
    }

    /// Lets nobody in any more and waits, up to `limit`, until everybody has left.
    pub(crate) async fn drain(&self, limit: Duration) -> bool {
        self.closing.store(true, Ordering::SeqCst);
        let everybody = Arc::clone(&self.places).acquire_many_owned(MAX_CALLS);
        let left = tokio::time::timeout(limit, everybody).await.is_ok();
        self.places.close();
        left
    }

    fn is_closing(&self) -> bool {
        self.closing.load(Ordering::SeqCst)
    }
}

/// `own` are the places of the principal that found none.
fn overloaded(own: usize) -> CallError {
    let message = match own {
        0 => format!("{MAX_CALLS} calls are running already"),
        own => format!("{own} calls of this principal are running already, and others need what is left"),
    };
    CallError::new(ErrorCode::GatewayOverloaded, message).retry_after(Duration::from_secs(1))
}

fn closing() -> CallError {
    CallError::new(ErrorCode::GatewayShuttingDown, "the gateway is shutting down")
        .retry_after(Duration::from_secs(5))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str) -> ActorId {
        ActorId::parse(name).expect("a name")
    }

    /// As many places as `name` gets.
    fn all_of(admission: &Admission, name: &str) -> Vec<Place> {
        std::iter::from_fn(|| admission.enter(&named(name)).ok()).collect()
    }

    fn refused(admission: &Admission, name: &str) -> Option<(ErrorCode, bool)> {
        admission.enter(&named(name)).err().map(|error| (error.code, error.retry_after.is_some()))
    }

    #[tokio::test]
    async fn nobody_holds_more_places_than_are_left_free() {
        let admission = Admission::new();
        let ana = all_of(&admission, "ana");
        assert_eq!(ana.len(), 512);
        assert_eq!(refused(&admission, "ana"), Some((ErrorCode::GatewayOverloaded, true)));
        let bo = all_of(&admission, "bo");
        assert_eq!(bo.len(), 256, "who comes later finds room");
        assert_eq!((admission.running(), all_of(&admission, "cy").len()), (768, 128));
        // What one gives back is shared by the same rule.
        drop(ana);
        let more = all_of(&admission, "bo").len();
        assert_eq!(bo.len() + more, 512);
    }

    #[tokio::test]
    async fn two_who_want_everything_have_a_third_each() {
        let admission = Admission::new();
        let (mut ana, mut bo) = (Vec::new(), Vec::new());
        for _ in 0..MAX_CALLS {
            ana.extend(admission.enter(&named("ana")).ok());
            bo.extend(admission.enter(&named("bo")).ok());
        }
        assert_eq!((ana.len(), bo.len()), (342, 341));
    }

    #[tokio::test]
    async fn who_gave_back_everything_takes_no_room() {
        let admission = Admission::new();
        drop(all_of(&admission, "ana"));
        assert!(admission.held.lock().is_empty());
        assert_eq!(admission.places.available_permits(), MAX_CALLS as usize);
    }

    #[tokio::test]
    async fn beyond_the_limit_and_after_the_end_nobody_is_let_in() {
        let admission = Admission::new();
        let each = (0..MAX_CALLS).map(|n| admission.enter(&named(&format!("a{n}"))).expect("room"));
        let places: Vec<Place> = each.collect();
        assert_eq!(refused(&admission, "bo"), Some((ErrorCode::GatewayOverloaded, true)));
        assert!(!admission.drain(Duration::from_millis(1)).await);
        assert_eq!(refused(&admission, "bo"), Some((ErrorCode::GatewayShuttingDown, true)));
        drop(places);
    }

    #[tokio::test]
    async fn who_comes_while_the_last_calls_end_is_told_of_the_end_and_not_of_a_crowd() {
        let admission = Admission::new();
        let last = admission.enter(&named("ana")).expect("room");
        let draining = admission.drain(Duration::from_secs(20));
        let mut draining = std::pin::pin!(draining);
        assert!(futures_util::poll!(&mut draining).is_pending());
        assert_eq!(refused(&admission, "bo"), Some((ErrorCode::GatewayShuttingDown, true)));
        drop(last);
        assert!(draining.await);
    }
}
