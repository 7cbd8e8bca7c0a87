//! How many calls run at once, and when no more may begin.

use std::sync::Arc;
use std::time::Duration;

use quaymaster_core::{CallError, ErrorCode};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError};

/// How many calls may run at once.
pub(crate) const MAX_CALLS: u32 = 1_024;

/// The door to the path of a call.
#[derive(Debug)]
pub(crate) struct Admission {
    places: Arc<Semaphore>,
}

/// A place on the path; freed when dropped.
#[derive(Debug)]
pub(crate) struct Place {
    _permit: OwnedSemaphorePermit,
}

impl Admission {
    pub(crate) fn new() -> Self {
        Self { places: Arc::new(Semaphore::new(MAX_CALLS as usize)) }
    }

    /// Takes a place, or says at once that there is none.
    pub(crate) fn enter(&self) -> Result<Place, CallError> {
        match Arc::clone(&self.places).try_acquire_owned() {
            Ok(permit) => Ok(Place { _permit: permit }),
            Err(TryAcquireError::NoPermits) => Err(CallError::new(
                ErrorCode::GatewayOverloaded,
                format!("{MAX_CALLS} calls are running already"),
            )
            .retry_after(Duration::from_secs(1))),
            Err(TryAcquireError::Closed) => {
                Err(CallError::new(ErrorCode::GatewayShuttingDown, "the gateway is shutting down")
                    .retry_after(Duration::from_secs(5)))
            }
        }
    }

    /// Lets nobody in any more and waits, up to `limit`, until everybody has left.
    pub(crate) async fn drain(&self, limit: Duration) -> bool {
        let everybody = Arc::clone(&self.places).acquire_many_owned(MAX_CALLS);
        let left = tokio::time::timeout(limit, everybody).await.is_ok();
        self.places.close();
        left
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
}
