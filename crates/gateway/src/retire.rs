//! Connectors that a new configuration has no use for, while calls still run on them.
//!
//! Invariants:
//! - A connector is stopped when the last call has ended that began before it
//!   went, at the latest after [`LIMIT`].
//! - When the gateway stops, nothing is waited for here: all calls have ended.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::assembly::Fleet;

/// How long calls that run may take to end on a connector that is gone.
const LIMIT: Duration = Duration::from_secs(30);

/// How long the gateway's end waits for connectors to stop.
const END: Duration = Duration::from_secs(10);

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Retired {
    /// The calls on planes that were replaced; as many as calls run, at most.
    calls: Mutex<Vec<TaskTracker>>,
    stopping: TaskTracker,
    ended: CancellationToken,
}

impl Retired {
    /// Takes note of the calls on a plane that no call begins on any more.
    pub(crate) fn add(&self, calls: &TaskTracker) {
        calls.close();
        let mut before = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        before.retain(|calls| !calls.is_empty());
        before.push(calls.clone());
    }

    /// Stops what is in `before` and not in `kept` once the calls on replaced planes have ended.
    pub(crate) fn stop(&self, before: Fleet, kept: Fleet) {
        let calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let ended = self.ended.clone();
        self.stopping.spawn(async move {
            let left = join_all(calls.iter().map(TaskTracker::wait));
            tokio::select! {
                left = timeout(LIMIT, left) => if left.is_err() {
                    tracing::warn!(event = "upstream.cut", "calls still ran on an upstream that was taken away");
                },
                () = ended.cancelled() => {}
            }
            before.stop_except(&kept).await;
        });
    }

    /// Stops at once what still waits, and returns when it has stopped.
    pub(crate) async fn end(&self) {
        self.ended.cancel();
        self.stopping.close();
        if timeout(END, self.stopping.wait()).await.is_err() {
            tracing::warn!(event = "upstream.stop", "an upstream that was taken away did not stop in time");
        }
    }
}
