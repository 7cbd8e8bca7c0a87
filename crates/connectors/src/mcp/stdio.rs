//! Messages over a child's standard streams: one JSON-RPC message a line.
//!
//! One reader and one writer serve all calls; each answer finds its call in
//! `exchange`. Starting and ending the process is in `child`, era and handshake in
//! `handshake`.
//!
//! Invariant: a line is written whole or not at all, whatever becomes of its caller.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use quaymaster_core::PartedBuf;
use rustix::process::Pid;
use secrecy::ExposeSecret;
use tokio::io::{AsyncWriteExt, BufReader};
use tokio::process::{ChildStdin, ChildStdout};
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::check::server::{Environment, StdioServer};
use super::child::{self, ErrorLog, ProcessGroup};
use super::credential::Guarded;
use super::exchange::{Exchange, MAX_MESSAGE_BYTES, MAX_STRAY};
use super::failure::Failure;
use super::followed::Holder;
use super::inbox::Inbox;
use super::lines::{Line, read_line};
use super::link::{Outgoing, Sent};
use super::wire::{self, Era, Settled};

/// A running child that can be spoken to.
#[derive(Debug)]
pub(super) struct Stdio {
    exchange: Arc<Exchange>,
    pid: Pid,
    group: Mutex<Option<ProcessGroup>>,
    grace: Duration,
    /// Cancelled to close the child's standard input.
    hang_up: CancellationToken,
    /// Ends the tasks that serve the streams.
    _tasks: DropGuard,
}

impl Stdio {
    /// Starts `server` and the tasks that serve its streams.
    pub(super) fn start(
        (server, environment): (&StdioServer, &Environment),
        connector: &str,
        grace: Duration,
        inbox: Arc<Inbox>,
    ) -> Result<Self, Failure> {
        let (group, streams) = child::start(server, environment)?;
        let guarded = Guarded::child(environment.secrets.iter().map(ExposeSecret::expose_secret));
        let (exchange, queue) = Exchange::new(connector, inbox, guarded);
        let (stop, hang_up) = (CancellationToken::new(), CancellationToken::new());
        tokio::spawn(read(streams.stdout, Arc::clone(&exchange), stop.clone()));
        tokio::spawn(write(streams.stdin, queue, hang_up.clone(), stop.clone()));
        let errors = ErrorLog::new(connector, &environment.secrets);
        tokio::spawn(errors.copy(streams.stderr, stop.clone()));
        Ok(Self {
            exchange,
            pid: group.pid(),
            group: Mutex::new(Some(group)),
            grace,
            hang_up,
            _tasks: stop.drop_guard(),
        })
    }

    /// From now on `era` is spoken.
    pub(super) fn speak(&self, era: Era) {
        self.exchange.speak(era);
    }

    /// Sends a request and waits for its answer.
    pub(super) async fn exchange(
        &self,
        outgoing: Outgoing<'_>,
        sent: &Sent,
    ) -> Result<Settled<PartedBuf>, Failure> {
        let mut expected = self.exchange.expect(&outgoing)?;
        self.send(outgoing.body).await?;
        sent.set();
        expected.answer().await
    }

    /// From now on the server may speak of what `holder` watches.
    pub(super) fn hold(&self, holder: &Holder) {
        self.exchange.hold(holder);
    }

    /// Sends a message that has no answer.
    pub(super) async fn send(&self, message: String) -> Result<(), Failure> {
        self.exchange.send(message).await
    }

    /// Tells the server that a request is no longer wanted, if there is room in the queue.
    pub(super) fn abandon(&self, id: u64) {
        self.exchange.send_if_room(wire::cancelled(id));
    }

    /// Waits until the child has left or its output has ended.
    pub(super) async fn ended(&self) {
        tokio::select! {
            () = self.exchange.ended() => {}
            () = child::exited(self.pid) => {}
        }
    }

    /// Whether no more answers can come.
    pub(super) fn has_ended(&self) -> bool {
        self.exchange.has_ended()
    }

    /// Closes the child's standard input and sees to it that the child goes.
    pub(super) async fn close(&self) {
        self.hang_up.cancel();
        let group = self.group.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(group) = group {
            group.end(self.grace).await;
        }
    }
}

/// Arguments are sent as the client wrote them, line breaks between tokens
/// included. Inside a JSON string there can be none, so a space is the same.
fn one_line(message: String) -> String {
    let mut line = if message.contains(['\n', '\r']) { message.replace(['\n', '\r'], " ") } else { message };
    line.push('\n');
    line
}

async fn write(
    mut stdin: ChildStdin,
    mut queue: mpsc::Receiver<String>,
    hang_up: CancellationToken,
    stop: CancellationToken,
) {
    let writing = async {
        while let Some(message) = queue.recv().await {
            if stdin.write_all(one_line(message).as_bytes()).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = writing => {}
        () = hang_up.cancelled() => {}
        () = stop.cancelled() => {}
    }
}

async fn read(stdout: ChildStdout, exchange: Arc<Exchange>, stop: CancellationToken) {
    let why = tokio::select! {
        why = read_messages(stdout, &exchange) => why,
        () = stop.cancelled() => Failure::Broken("the connection was closed".into()),
    };
    exchange.end(&why);
}

/// Ends with the output; says why that ended.
async fn read_messages(stdout: ChildStdout, exchange: &Arc<Exchange>) -> Failure {
    let mut reader = BufReader::new(stdout);
    let (mut line, mut stray) = (Vec::new(), 0_usize);
    while stray < MAX_STRAY {
        match read_line(&mut reader, &mut line, MAX_MESSAGE_BYTES).await {
            Ok(Line::Whole) if line.is_empty() => {}
            Ok(Line::Whole) if exchange.take(&line) => stray = 0,
            Ok(Line::Whole) => stray += 1,
            Ok(Line::Cut) => {
                return Failure::Malformed(format!("a line of more than {MAX_MESSAGE_BYTES} bytes"));
            }
            Ok(Line::End) => return Failure::Broken("the server ended its output".into()),
            Err(error) => return Failure::Broken(format!("the server's output broke: {error}")),
        }
    }
    Failure::Malformed("the server prints lines that are not MCP messages".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_one_line_whatever_the_client_wrote() {
        assert_eq!(one_line("{\"a\":\r\n \"\\n\"}".into()), "{\"a\":   \"\\n\"}\n");
    }
}
