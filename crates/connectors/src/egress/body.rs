//! What comes back, as it arrives, and the connection that it comes over.
//!
//! Invariant: the connection serves others only once all of the body was read or
//! left to it; a body that is dropped before takes its connection with it.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use hyper::body::Body as _;

use super::connection::Connection;
use super::idle::Idle;

/// Why a body could not be read.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum BodyError {
    /// It is larger than allowed.
    #[error("more than {limit_bytes} bytes")]
    TooLarge { limit_bytes: usize },
    /// It ended early.
    #[error("it ended early: {0}")]
    Broken(String),
}

/// The body of a response.
pub(crate) struct Incoming {
    body: hyper::body::Incoming,
    /// `None` once it serves others.
    connection: Option<Box<Connection>>,
    idle: Arc<Idle>,
}

impl Incoming {
    pub(super) fn new(body: hyper::body::Incoming, connection: Box<Connection>, idle: &Arc<Idle>) -> Self {
        let mut incoming = Self { body, connection: Some(connection), idle: Arc::clone(idle) };
        if incoming.body.is_end_stream() {
            incoming.give_back();
        }
        incoming
    }

    /// The next piece; `None` when there is no more.
    pub(crate) async fn chunk(&mut self) -> Option<Result<Bytes, BodyError>> {
        loop {
            let frame = poll_fn(|cx| {
                let body = &mut self.body;
                match &mut self.connection {
                    Some(connection) => connection.poll(cx, |cx| Pin::new(&mut *body).poll_frame(cx)),
                    None => Pin::new(body).poll_frame(cx),
                }
            });
            match frame.await {
                // Trailers say nothing to us.
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        return Some(Ok(data));
                    }
                }
                Some(Err(error)) => return Some(Err(BodyError::Broken(error.to_string()))),
                None => {
                    self.give_back();
                    return None;
                }
            }
        }
    }

    /// Reads to the end, at most `limit_bytes`.
    pub(crate) async fn read(mut self, limit_bytes: usize) -> Result<Bytes, BodyError> {
        let too_large = BodyError::TooLarge { limit_bytes };
        if usize::try_from(self.body.size_hint().lower()).unwrap_or(usize::MAX) > limit_bytes {
            return Err(too_large);
        }
        // Most bodies arrive as one piece, which is passed on without copying.
        let mut first = Bytes::new();
        let mut rest: Option<BytesMut> = None;
        while let Some(data) = self.chunk().await {
            let data = data?;
            let so_far = rest.as_ref().map_or(first.len(), BytesMut::len);
            if so_far.saturating_add(data.len()) > limit_bytes {
                return Err(too_large);
            }
            match &mut rest {
                Some(rest) => rest.extend_from_slice(&data),
                None if first.is_empty() => first = data,
                None => {
                    let mut joined = BytesMut::with_capacity((first.len() + data.len()).saturating_mul(2));
                    joined.extend_from_slice(&first);
                    joined.extend_from_slice(&data);
                    rest = Some(joined);
                }
            }
        }
        Ok(rest.map_or(first, BytesMut::freeze))
    }

    /// Leaves what is still to come: the connection serves others as soon as that has ended.
    pub(crate) fn leave(self) {
        if let Some(connection) = self.connection {
            self.idle.put(connection, Some(self.body));
        }
    }

    fn give_back(&mut self) {
        if let Some(connection) = self.connection.take() {
            self.idle.put(connection, None);
        }
    }
}
