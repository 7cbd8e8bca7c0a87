//! Threads of their own for asking sources.
//!
//! Secrets are wanted where nothing may wait (a configuration is read, a call is made). What waits for
//! a server or a program runs here, beside the threads that serve calls.

use std::future::Future;
use std::sync::OnceLock;
use std::sync::mpsc;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;

/// How long who cannot go on without a secret waits for it.
const PATIENCE: Duration = Duration::from_secs(75);

static RUNTIME: OnceLock<Option<Runtime>> = OnceLock::new();

fn runtime() -> Option<&'static Runtime> {
    let make = || {
        Builder::new_multi_thread()
            .worker_threads(1)
            .max_blocking_threads(4)
            .thread_name("secrets")
            .enable_all()
            .build()
            .ok()
    };
    RUNTIME.get_or_init(make).as_ref()
}

/// Runs `work` aside; none if the machine gives no thread for it.
pub(super) fn spawn<T: Send + 'static>(
    work: impl Future<Output = T> + Send + 'static,
) -> Option<JoinHandle<T>> {
    Some(runtime()?.spawn(work))
}

/// Runs `work` aside and waits for it with this thread; none if it took too long or could not run.
pub(super) fn wait<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> Option<T> {
    let (done, ended) = mpsc::sync_channel(1);
    spawn(async move {
        let _ = done.send(work.await);
    })?;
    ended.recv_timeout(PATIENCE).ok()
}
