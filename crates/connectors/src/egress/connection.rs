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
use std::task::Context;

use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_rustls::MaybeHttpsStream;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// What is sent: one text, which is not copied.
pub(crate) type Payload = Full<Cursor<String>>;

type Stream = MaybeHttpsStream<TokioIo<TcpStream>>;

pub(super) struct Connection {
    sender: SendRequest<Payload>,
    /// What moves the bytes. `None` once it has ended; with it go the requests that it did not take.
    driver: Option<http1::Connection<Stream, Payload>>,
}

impl Connection {
    /// The connection over `stream`, on which nothing was said yet.
    pub(super) async fn open(stream: Stream) -> Result<Self, hyper::Error> {
        let (sender, driver) = http1::handshake(stream).await?;
        Ok(Self { sender, driver: Some(driver) })
    }

    /// Sends `request` and gives the head of the response, whose body arrives as this is driven.
    pub(super) async fn exchange(
        &mut self,
        request: Request<Payload>,
    ) -> Result<Response<Incoming>, TrySendError<Request<Payload>>> {
        let mut response = pin!(self.sender.try_send_request(request));
        let driver = &mut self.driver;
        poll_fn(|cx| {
            drive(driver, cx);
            response.as_mut().poll(cx)
        })
        .await
    }

    /// Moves what can be moved without waiting; what comes later wakes the task.
    pub(super) fn drive(&mut self, cx: &mut Context<'_>) {
        drive(&mut self.driver, cx);
    }

    /// Whether it could take a request when it was last driven.
    pub(super) fn is_ready(&self) -> bool {
        self.driver.is_some() && self.sender.is_ready()
    }
}

fn drive(driver: &mut Option<http1::Connection<Stream, Payload>>, cx: &mut Context<'_>) {
    // An error is also the answer to what was under way.
    if driver.as_mut().is_some_and(|moving| Pin::new(moving).poll(cx).is_ready()) {
        *driver = None;
    }
}
