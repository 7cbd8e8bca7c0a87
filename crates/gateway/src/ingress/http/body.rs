//! The bodies of responses.

use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::Stream;
use hyper::body::{Frame, SizeHint};

use crate::ingress::answer::Pieces;
use crate::ingress::answer::one_line;

/// What a response carries.
pub(super) enum Body {
    /// A message whose length is known.
    Message(std::array::IntoIter<Bytes, 3>),
    /// Server-sent events, for as long as they come.
    Events(Pin<Box<dyn Stream<Item = Bytes> + Send>>),
}

impl Body {
    /// No body at all.
    pub(super) fn empty() -> Self {
        Self::message(Pieces([Bytes::new(), Bytes::new(), Bytes::new()]))
    }

    /// The body that is `pieces`.
    pub(super) fn message(pieces: Pieces) -> Self {
        Self::Message(pieces.0.into_iter())
    }
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let next = match &mut *self {
            Self::Message(pieces) => pieces.find(|piece| !piece.is_empty()),
            Self::Events(events) => std::task::ready!(events.as_mut().poll_next(cx)),
        };
        Poll::Ready(next.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Message(pieces) => pieces.as_slice().iter().all(Bytes::is_empty),
            Self::Events(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Message(pieces) => {
                SizeHint::with_exact(pieces.as_slice().iter().map(|piece| piece.len() as u64).sum())
            }
            Self::Events(_) => SizeHint::default(),
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Message(_) => "Body::Message",
            Self::Events(_) => "Body::Events",
        })
    }
}

/// One event that carries `message`. Parts of it may be what an upstream wrote over several
/// lines, of which each would be another event.
pub(super) fn event(message: &[u8]) -> Bytes {
    let mut event = [b"event: message\ndata: ", message].concat();
    one_line(event.get_mut(b"event: message\n".len()..).unwrap_or_default());
    event.extend_from_slice(b"\n\n");
    event.into()
}

/// The same with the id by which a client says that it has it. The message is on one line.
pub(super) fn event_with_id(id: &str, message: &[u8]) -> Bytes {
    [b"event: message\nid: ", id.as_bytes(), b"\ndata: ", message, b"\n\n"].concat().into()
}

/// A comment, which shows that the stream is alive.
pub(super) fn keep_alive() -> Bytes {
    Bytes::from_static(b":\n\n")
}
