//! A connection that does not wait for ever for its peer to read.

use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// Fails a write when the peer took nothing for `limit`. While everything flows
/// it costs a comparison.
#[derive(Debug)]
pub(super) struct Stall<S> {
    inner: S,
    limit: Duration,
    since: Option<Pin<Box<Sleep>>>,
    /// What was read before and is to be read again.
    again: Bytes,
    /// Whether the peer has not taken what was written.
    blocked: Arc<AtomicBool>,
}

impl<S> Stall<S> {
    /// Watches `inner`.
    pub(super) fn new(inner: S, limit: Duration) -> Self {
        Self { inner, limit, since: None, again: Bytes::new(), blocked: Arc::default() }
    }

    /// What is watched.
    pub(super) fn inner(&self) -> &S {
        &self.inner
    }

    /// Whether the peer has not taken what was written, from now on.
    pub(super) fn is_blocked(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.blocked)
    }

    /// Has `bytes` read before anything else.
    pub(super) fn rewind(&mut self, bytes: Bytes) {
        self.again = bytes;
    }

    fn watched<T>(&mut self, cx: &mut Context<'_>, outcome: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if outcome.is_ready() {
            if self.since.take().is_some() {
                self.blocked.store(false, Ordering::Relaxed);
            }
            return outcome;
        }
        self.blocked.store(true, Ordering::Relaxed);
        let limit = self.limit;
        let since = self.since.get_or_insert_with(|| Box::pin(sleep(limit)));
        since.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Stall<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.again.is_empty() {
            let length = self.again.len().min(buf.remaining());
            buf.put_slice(&self.again.split_to(length));
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Stall<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.inner).poll_write(cx, buf);
        self.watched(cx, outcome)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.inner).poll_write_vectored(cx, bufs);
        self.watched(cx, outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.inner).poll_flush(cx);
        self.watched(cx, outcome)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.inner).poll_shutdown(cx);
        self.watched(cx, outcome)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[tokio::test]
    async fn a_peer_that_reads_nothing_fails_the_write() {
        let (ours, _theirs) = tokio::io::duplex(8);
        let mut watched = Stall::new(ours, Duration::from_millis(5));
        let error = watched.write_all(&[0; 64]).await.expect_err("nobody reads");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn a_peer_that_reads_gets_everything() {
        let (ours, mut theirs) = tokio::io::duplex(8);
        let mut watched = Stall::new(ours, Duration::from_mins(1));
        let reading = tokio::spawn(async move {
            let mut read = Vec::new();
            theirs.read_to_end(&mut read).await.map(|_| read.len())
        });
        watched.write_all(&[0; 64]).await.expect("written");
        drop(watched);
        assert_eq!(reading.await.expect("ended").expect("read"), 64);
    }
}
