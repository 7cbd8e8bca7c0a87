//! One HTTP/1.1 connection, moved along by whoever waits for it.
//!
//! A connection of hyper's mostly has a task of its own, so that each request,
//! response and piece of a body changes tasks twice. Here the task that waits
//! for an answer moves the bytes itself, and a connection that nobody waits for
//! costs nothing.
//!
//! Invariants:
//! - A connection serves one request at a time.
//! - A request that is given back was not sent.
//! - Whoever stops waiting for an answer closes its connection.

use std::future::poll_fn;
use std::io::Cursor;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use futures_util::task::AtomicWaker;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_rustls::MaybeHttpsStream;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// How often a connection is moved on before others get their turn.
const MAX_PASSES: usize = 8;

/// What is sent: one text, which is not copied.
pub(crate) type Payload = Full<Cursor<String>>;

type Stream = MaybeHttpsStream<TokioIo<TcpStream>>;

pub(super) struct Connection {
    sender: SendRequest<Payload>,
    driver: Driver,
}

/// What moves the bytes.
struct Driver {
    /// `None` once it has ended; with it go the requests that it did not take.
    connection: Option<http1::Connection<Stream, Payload>>,
    bell: Arc<Bell>,
    /// Rings the bell.
    waker: Waker,
}

impl Connection {
    /// The connection over `stream`, on which nothing was said yet.
    pub(super) async fn open(stream: Stream) -> Result<Self, hyper::Error> {
        let (sender, connection) = http1::handshake(stream).await?;
        let bell = Arc::new(Bell::default());
        let waker = Waker::from(Arc::clone(&bell));
        Ok(Self { sender, driver: Driver { connection: Some(connection), bell, waker } })
    }

    /// Sends `request` and gives the head of the response, whose body arrives by [`Connection::poll`].
    pub(super) async fn exchange(
        &mut self,
        request: Request<Payload>,
    ) -> Result<Response<Incoming>, TrySendError<Request<Payload>>> {
        self.driver.bell.attend();
        let mut response = pin!(self.sender.try_send_request(request));
        poll_fn(|cx| self.driver.poll(cx, |cx| response.as_mut().poll(cx))).await
    }

    /// Polls `step`, which waits for something of this connection, and moves bytes until it is there.
    pub(super) fn poll<T>(
        &mut self,
        cx: &mut Context<'_>,
        step: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        self.driver.poll(cx, step)
    }

    /// Whether it can take a request, as far as the peer was heard of.
    pub(super) fn is_ready(&mut self, cx: &mut Context<'_>) -> bool {
        let nothing = self.driver.poll(cx, |_| Poll::<()>::Pending);
        nothing.is_pending() && self.driver.connection.is_some() && self.sender.is_ready()
    }
}

impl Driver {
    fn poll<T>(
        &mut self,
        cx: &mut Context<'_>,
        mut step: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        self.bell.task.register(cx.waker());
        for _ in 0..MAX_PASSES {
            self.bell.attend();
            if let Poll::Ready(there) = step(&mut Context::from_waker(&self.waker)) {
                self.bell.leave();
                return Poll::Ready(there);
            }
            self.drive();
            if !self.bell.leave() {
                return Poll::Pending;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Moves what can be moved without waiting. An end is also the answer to what was under way.
    fn drive(&mut self) {
        let Some(connection) = &mut self.connection else { return };
        if Pin::new(connection).poll(&mut Context::from_waker(&self.waker)).is_ready() {
            self.connection = None;
        }
    }
}

/// Wakes the task that waits for a connection.
///
/// The parts of a connection wake each other. While the task attends to them all
/// the same, it is not woken: it would be put at the end of the run queue, and
/// another thread would be woken to take it from there.
#[derive(Default)]
struct Bell {
    task: AtomicWaker,
    is_attended: AtomicBool,
    has_rung: AtomicBool,
}

impl Bell {
    /// From now on ringing is only noted. The task has to look at everything after this.
    fn attend(&self) {
        // Not a mere store: what rang before is to be seen by the look that follows.
        self.has_rung.swap(false, Ordering::SeqCst);
        self.is_attended.store(true, Ordering::SeqCst);
    }

    /// Ends [`Bell::attend`]; whether it has rung meanwhile.
    fn leave(&self) -> bool {
        // In the opposite order of `wake_by_ref`, so that one of the two sees the other.
        self.is_attended.store(false, Ordering::SeqCst);
        self.has_rung.load(Ordering::SeqCst)
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.has_rung.store(true, Ordering::SeqCst);
        if !self.is_attended.load(Ordering::SeqCst) {
            self.task.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn a_task_that_attends_is_told_when_it_leaves_and_not_woken() {
        let (bell, count) = (Arc::new(Bell::default()), Arc::new(Count::default()));
        bell.task.register(&Waker::from(Arc::clone(&count)));
        bell.attend();
        bell.wake_by_ref();
        assert!(bell.leave());
        assert_eq!(count.0.load(Ordering::SeqCst), 0);

        bell.attend();
        assert!(!bell.leave());
        bell.wake_by_ref();
        assert_eq!(count.0.load(Ordering::SeqCst), 1);
    }
}
