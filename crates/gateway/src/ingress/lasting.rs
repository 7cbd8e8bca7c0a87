//! A future that is driven to its end whatever becomes of who waits for it.
//!
//! Once begun, a call must be closed in the audit even when its client has gone.
//! Nearly every client stays, so a call runs in the task of its connection, with
//! no hand-over between threads; only when that task drops it does the rest
//! become a task of its own.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::FutureExt as _;
use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;

/// Where futures go that were left alone.
#[derive(Clone, Debug)]
pub(super) struct Haven {
    tasks: TaskTracker,
    runtime: Handle,
}

impl Haven {
    /// A haven in the current runtime.
    pub(super) fn new() -> Self {
        Self { tasks: TaskTracker::new(), runtime: Handle::current() }
    }

    /// Drives `future` until it ends, with or without whoever waits for it.
    pub(super) fn take<T>(&self, future: impl Future<Output = T> + Send + 'static) -> Lasting<T>
    where
        T: Send + 'static,
    {
        Lasting { future: Some(Box::pin(future)), haven: self.clone() }
    }

    /// The tasks of futures that were left alone.
    pub(super) fn tasks(&self) -> &TaskTracker {
        &self.tasks
    }
}

/// See [`Haven::take`]. None is the result of a future that panicked.
pub(super) struct Lasting<T: Send + 'static> {
    future: Option<Pin<Box<dyn Future<Output = T> + Send>>>,
    haven: Haven,
}

impl<T: Send + 'static> Future for Lasting<T> {
    type Output = Option<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let Some(future) = &mut self.future else { return Poll::Ready(None) };
        let polled = catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx)));
        if matches!(polled, Ok(Poll::Pending)) {
            return Poll::Pending;
        }
        self.future = None;
        Poll::Ready(match polled {
            Ok(Poll::Ready(value)) => Some(value),
            _ => None,
        })
    }
}

impl<T: Send + 'static> Drop for Lasting<T> {
    fn drop(&mut self) {
        if let Some(future) = self.future.take() {
            self.haven.tasks.spawn_on(future.map(drop), &self.haven.runtime);
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn a_future_that_nobody_waits_for_still_ends() {
        let haven = Haven::new();
        let (go, wait) = oneshot::channel::<()>();
        let (done, ended) = oneshot::channel();
        let mut lasting = haven.take(async move {
            let _ = wait.await;
            let _ = done.send(());
        });
        assert!(futures_util::poll!(&mut lasting).is_pending());
        drop(lasting);
        go.send(()).expect("it still waits");
        ended.await.expect("it ended");
    }

    #[tokio::test]
    async fn a_future_that_was_never_polled_ends_too() {
        let haven = Haven::new();
        let (done, ended) = oneshot::channel();
        drop(haven.take(async move { done.send(()) }));
        ended.await.expect("it ended");
    }

    #[tokio::test]
    async fn a_panic_ends_the_future_and_nothing_else() {
        let lasting = Haven::new().take(async { panic!("on purpose") });
        assert_eq!(lasting.await.map(|()| "came back"), None);
    }
}
