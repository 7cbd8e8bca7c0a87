//! Changes of the list of tools, as somebody waits for them.

use tokio::sync::watch;

/// The changes after a moment.
#[derive(Debug)]
pub(super) struct Changes(Option<watch::Receiver<u64>>);

impl Changes {
    /// The changes that `receiver` has not seen.
    pub(super) fn of(receiver: watch::Receiver<u64>) -> Self {
        Self(Some(receiver))
    }

    /// Waits for a change; for ever, if there will be none any more.
    pub(super) async fn next(&mut self) {
        if let Some(receiver) = &mut self.0 {
            if receiver.changed().await.is_ok() {
                return;
            }
            self.0 = None;
        }
        std::future::pending::<()>().await;
    }
}
