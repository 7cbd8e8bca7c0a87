//! Connections between two requests.
//!
//! Nothing happens on them until they are taken again, when it turns out whether
//! the peer still keeps them.
//!
//! Invariants:
//! - At most [`MAX_IDLE`] are kept; none is used after the limit of time, and none
//!   is kept twice as long.
//! - None is used before the response that it brought has ended.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::body::{Body, Incoming};
use tokio::time::Instant;

use super::connection::Connection;

const MAX_IDLE: usize = 64;
/// What a stream may still hold after its answer, if its connection is to be kept.
const MAX_REST_BYTES: usize = 64 * 1024;

/// The idle connections to one system.
pub(super) struct Idle {
    limit: Duration,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The one that was used last is the last.
    resting: Vec<Resting>,
    is_swept: bool,
}

struct Resting {
    connection: Box<Connection>,
    /// The end of a response that nobody reads any more.
    rest: Option<Incoming>,
    rest_bytes: usize,
    since: Instant,
}

/// What a resting connection is good for.
enum Use {
    Ready,
    /// Its last response has not ended yet.
    Later,
    Never,
}

impl Idle {
    /// No connections yet; they may rest for `limit`.
    pub(super) fn new(limit: Duration) -> Arc<Self> {
        Arc::new(Self { limit, state: Mutex::default() })
    }

    /// Keeps `connection` for another request, once `rest` has ended.
    pub(super) fn put(self: &Arc<Self>, connection: Box<Connection>, rest: Option<Incoming>) {
        let mut state = self.lock();
        if state.resting.len() < MAX_IDLE {
            state.resting.push(Resting { connection, rest, rest_bytes: 0, since: Instant::now() });
        }
        if !std::mem::replace(&mut state.is_swept, true) {
            tokio::spawn(sweep(Arc::downgrade(self), self.limit));
        }
    }

    /// A connection that can take a request.
    pub(super) async fn take(&self) -> Option<Box<Connection>> {
        poll_fn(|cx| Poll::Ready(self.newest(cx))).await
    }

    fn newest(&self, cx: &mut Context<'_>) -> Option<Box<Connection>> {
        let mut later = Vec::new();
        let found = loop {
            // Looked at one by one and without the lock, because looking reads from the network.
            let Some(mut resting) = self.lock().resting.pop() else { break None };
            match resting.look(cx, self.limit) {
                Use::Ready => break Some(resting.connection),
                Use::Later => later.push(resting),
                Use::Never => {}
            }
        };
        if !later.is_empty() {
            let mut state = self.lock();
            state.resting.extend(later.into_iter().rev());
            state.resting.truncate(MAX_IDLE);
        }
        found
    }

    /// Closes what has rested too long; whether nothing is left.
    fn is_empty_when_swept(&self) -> bool {
        let mut state = self.lock();
        state.resting.retain(|resting| resting.since.elapsed() < self.limit);
        state.is_swept = !state.resting.is_empty();
        !state.is_swept
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Resting {
    fn look(&mut self, cx: &mut Context<'_>, limit: Duration) -> Use {
        if self.since.elapsed() >= limit {
            return Use::Never;
        }
        while let Some(rest) = &mut self.rest {
            match self.connection.poll(cx, |cx| Pin::new(&mut *rest).poll_frame(cx)) {
                Poll::Ready(None) => self.rest = None,
                Poll::Ready(Some(Ok(frame))) => {
                    self.rest_bytes += frame.data_ref().map_or(0, bytes::Bytes::len);
                    if self.rest_bytes > MAX_REST_BYTES {
                        return Use::Never;
                    }
                }
                Poll::Ready(Some(Err(_))) => return Use::Never,
                Poll::Pending => return Use::Later,
            }
        }
        if self.connection.is_ready(cx) { Use::Ready } else { Use::Never }
    }
}

/// Closes connections that nobody takes. Ends with the last of them.
async fn sweep(idle: Weak<Idle>, limit: Duration) {
    loop {
        tokio::time::sleep(limit).await;
        if idle.upgrade().is_none_or(|idle| idle.is_empty_when_swept()) {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use http::{Request, Response};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    use super::super::{Egress, Incoming, Payload, address};

    use super::*;

    const ANSWER: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    const STREAM: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n";

    async fn server() -> (TcpListener, Egress) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port on loopback");
        let url = format!("http://{}/", listener.local_addr().expect("an address"));
        let egress = Egress::try_new(&address(&url).expect("a good address")).expect("no TLS is needed");
        (listener, egress)
    }

    async fn accept(listener: &TcpListener) -> TcpStream {
        listener.accept().await.expect("a connection").0
    }

    /// Takes a request without a body and answers with `text`.
    async fn answer(stream: &mut TcpStream, text: &str) {
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            request.push(stream.read_u8().await.expect("a request"));
        }
        stream.write_all(text.as_bytes()).await.expect("a client that reads");
    }

    async fn get(egress: &Egress) -> Response<Incoming> {
        egress.send(Request::new(Payload::default())).await.expect("a response")
    }

    /// What is found in the pool once that is `wanted`; what is found before is put back.
    async fn taken(egress: &Egress, wanted: bool) -> Option<Box<Connection>> {
        loop {
            let found = egress.idle.take().await;
            if found.is_some() == wanted {
                return found;
            }
            if let Some(connection) = found {
                egress.idle.put(connection, None);
            }
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn a_connection_serves_one_request_after_another() {
        let (listener, egress) = server().await;
        let serving = async {
            let mut stream = accept(&listener).await;
            answer(&mut stream, ANSWER).await;
            answer(&mut stream, ANSWER).await;
        };
        let asking = async {
            for _ in 0..2 {
                assert_eq!(get(&egress).await.into_body().read(2).await.as_deref(), Ok(&b"ok"[..]));
            }
        };
        tokio::join!(serving, asking);
    }

    #[tokio::test]
    async fn a_connection_that_was_closed_while_it_rested_is_replaced_without_a_word() {
        let (listener, egress) = server().await;
        let (mut stream, response) = tokio::join!(
            async {
                let mut stream = accept(&listener).await;
                answer(&mut stream, ANSWER).await;
                stream
            },
            get(&egress)
        );
        assert!(response.into_body().read(2).await.is_ok());
        stream.shutdown().await.expect("an open connection");
        assert!(taken(&egress, false).await.is_none());
        let serving = async { answer(&mut accept(&listener).await, ANSWER).await };
        let ((), response) = tokio::join!(serving, get(&egress));
        assert!(response.into_body().read(2).await.is_ok());
    }

    #[tokio::test]
    async fn a_stream_that_was_left_holds_its_connection_until_it_ends() {
        let (listener, egress) = server().await;
        let serving = async {
            let mut stream = accept(&listener).await;
            answer(&mut stream, STREAM).await;
            stream
        };
        let (mut stream, response) = tokio::join!(serving, get(&egress));
        let mut body = response.into_body();
        assert_eq!(body.chunk().await.expect("a piece").as_deref(), Ok(&b"ok"[..]));
        body.leave();
        assert!(egress.idle.take().await.is_none());
        stream.write_all(b"0\r\n\r\n").await.expect("an open connection");
        let mut connection = taken(&egress, true).await.expect("the connection");
        let request = connection.exchange(Request::new(Payload::default()));
        let ((), response) = tokio::join!(answer(&mut stream, ANSWER), request);
        assert!(response.is_ok());
    }

    #[tokio::test]
    async fn a_stream_that_goes_on_after_it_was_left_loses_its_connection() {
        let (listener, egress) = server().await;
        let serving = async {
            let mut stream = accept(&listener).await;
            answer(&mut stream, STREAM).await;
            stream
        };
        let (mut stream, response) = tokio::join!(serving, get(&egress));
        let mut body = response.into_body();
        assert!(body.chunk().await.is_some());
        body.leave();
        let piece = format!("1000\r\n{}\r\n", "x".repeat(0x1000));
        let talking = async { while stream.write_all(piece.as_bytes()).await.is_ok() {} };
        let looking = async {
            while !egress.idle.lock().resting.is_empty() {
                assert!(egress.idle.take().await.is_none());
                tokio::task::yield_now().await;
            }
        };
        tokio::join!(talking, looking);
    }

    #[tokio::test]
    async fn a_response_that_is_dropped_unread_closes_its_connection() {
        let (listener, egress) = server().await;
        let serving = async {
            let mut stream = accept(&listener).await;
            answer(&mut stream, STREAM).await;
            stream
        };
        let (mut stream, response) = tokio::join!(serving, get(&egress));
        drop(response);
        assert!(matches!(stream.read(&mut [0; 8]).await, Ok(0) | Err(_)));
        assert!(egress.idle.take().await.is_none());
    }

    #[tokio::test]
    async fn a_connection_that_nobody_takes_is_closed() {
        let (listener, egress) = server().await;
        let (mut stream, connection) = tokio::join!(accept(&listener), egress.connect());
        let idle = Idle::new(Duration::from_millis(1));
        idle.put(connection.expect("a connection"), None);
        assert_eq!(stream.read(&mut [0; 8]).await.expect("a good end"), 0);
        assert!(idle.take().await.is_none());
    }
}
