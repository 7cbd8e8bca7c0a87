//! Changes of the list of tools, as somebody waits for them.
//!
//! Invariant: a change of what others see is told to nobody else. That something
//! changed would be word of tools that do not exist for who hears it.

use std::sync::Arc;

use tokio::sync::watch;

/// The changes after a moment of what somebody sees.
#[derive(Debug)]
pub(super) struct Changes {
    receiver: Option<watch::Receiver<u64>>,
    /// What they saw last.
    seen: Arc<str>,
}

impl Changes {
    /// The changes that `receiver` has not seen, of what `listing` gives.
    pub(super) fn of(receiver: watch::Receiver<u64>, listing: impl Fn() -> Arc<str>) -> Self {
        Self { receiver: Some(receiver), seen: listing() }
    }

    /// Waits until `listing` is another; for ever, if there will be no change any more.
    pub(super) async fn next(&mut self, listing: impl Fn() -> Arc<str>) {
        while let Some(receiver) = &mut self.receiver {
            if receiver.changed().await.is_err() {
                self.receiver = None;
                break;
            }
            let now = listing();
            if now != self.seen {
                self.seen = now;
                return;
            }
        }
        std::future::pending::<()>().await;
    }
}
