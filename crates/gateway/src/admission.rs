//! How many calls run at once, and when no more may begin.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use quaymaster_core::{CallError, ErrorCode};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError};

/// How many calls may run at once.
pub(crate) const MAX_CALLS: u32 = 1_024;

/// The door to the path of a call.
#[derive(Debug)]
pub(crate) struct Admission {
    places: Arc<Semaphore>,
    /// Set before the places are taken away: who finds none is told why.
    closing: AtomicBool,
}

/// A place on the path; freed when dropped.
#[derive(Debug)]
pub(crate) struct Place {
    _permit: OwnedSemaphorePermit,
}

impl Admission {
    pub(crate) fn new() -> Self {
        Self { places: Arc::new(Semaphore::new(MAX_CALLS as usize)), closing: AtomicBool::new(false) }
    }

    /// Takes a place, or says at once that there is none.
    pub(crate) fn enter(&self) -> Result<Place, CallError> {
        let entered = if self.is_closing() {
            Err(TryAcquireError::Closed)
        } else {
            Arc::clone(&self.places).try_acquire_owned()
        };
        match entered {
            Ok(permit) => Ok(Place { _permit: permit }),
            // The end may have begun since it was looked for.
            Err(TryAcquireError::NoPermits) if !self.is_closing() => Err(CallError::new(
                ErrorCode::GatewayOverloaded,
                format!("{MAX_CALLS} calls are running already"),
            )
            .retry_after(Duration::from_secs(1))),
            Err(TryAcquireError::NoPermits | TryAcquireError::Closed) => {
                Err(CallError::new(ErrorCode::GatewayShuttingDown, "the gateway is shutting down")
                    .retry_after(Duration::from_secs(5)))
            }
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn beyond_the_limit_and_after_the_end_nobody_is_let_in() {
        let admission = Admission::new();
        let places: Vec<Place> = (0..MAX_CALLS).map(|_| admission.enter().expect("room")).collect();
        assert_eq!(admission.enter().map_err(|e| e.code).err(), Some(ErrorCode::GatewayOverloaded));
        assert!(!admission.drain(Duration::from_millis(1)).await);
        assert_eq!(admission.enter().map_err(|e| e.code).err(), Some(ErrorCode::GatewayShuttingDown));
        drop(places);
    }

    #[tokio::test]
    async fn who_comes_while_the_last_calls_end_is_told_of_the_end_and_not_of_a_crowd() {
        let admission = Admission::new();
        let last = admission.enter().expect("room");
        let draining = admission.drain(Duration::from_secs(20));
        let mut draining = std::pin::pin!(draining);
        assert!(futures_util::poll!(&mut draining).is_pending());
        assert_eq!(admission.enter().map_err(|e| e.code).err(), Some(ErrorCode::GatewayShuttingDown));
        drop(last);
        assert!(draining.await);
    }
}
