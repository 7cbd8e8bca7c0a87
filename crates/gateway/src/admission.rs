//! How many calls run at once, and when no more may begin.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use quaymaster_core::{ActorId, CallError, ErrorCode};

use crate::fair::{FairPlace, FairPlaces, NoPlace};

/// How many calls may run at once.
pub(crate) const MAX_CALLS: u32 = 1_024;

/// The door to the path of a call.
#[derive(Debug)]
pub(crate) struct Admission {
    places: FairPlaces,
    /// Set before the places are taken away: who finds none is told why.
    closing: AtomicBool,
}

/// A place on the path; freed when dropped.
pub(crate) type Place = FairPlace;

impl Admission {
    pub(crate) fn new() -> Self {
        Self { places: FairPlaces::new(MAX_CALLS), closing: AtomicBool::new(false) }
    }

    /// Takes a place for `actor`, or says at once that there is none.
    pub(crate) fn enter(&self, actor: &ActorId) -> Result<Place, CallError> {
        if self.is_closing() {
            return Err(closing());
        }
        self.places.take(actor).map_err(|NoPlace { own }| {
            // The end may have begun since it was looked for.
            if self.is_closing() { closing() } else { overloaded(own) }
        })
    }

    /// How many calls run.
    pub(crate) fn running(&self) -> usize {
        self.places.taken()
    }

    /// Lets nobody in any more and waits, up to `limit`, until everybody has left.
    pub(crate) async fn drain(&self, limit: Duration) -> bool {
        self.closing.store(true, Ordering::SeqCst);
        let left = tokio::time::timeout(limit, self.places.close_when_free()).await.is_ok();
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

    fn refused(admission: &Admission, name: &str) -> Option<(ErrorCode, bool)> {
        admission.enter(&named(name)).err().map(|error| (error.code, error.retry_after.is_some()))
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
