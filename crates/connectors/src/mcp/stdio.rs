//! Messages over a child's standard streams: one JSON-RPC message a line.
//!
//! One reader and one writer serve all calls; each answer finds its call by its
//! id. Starting and ending the process is in `child`, era and handshake in
//! `handshake`.
//!
//! Invariants:
//! - An answer is given to the request whose id it carries and to no other; one
//!   without such a request goes nowhere.
//! - When the output ends, every waiting request fails at once.
//! - What the server asks or logs goes to the one principal whose calls this connection
//!   has carried, and to nobody once it has carried those of two.
//! - A line is written whole or not at all, whatever becomes of its caller.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use quaymaster_core::rpc::{self, Message, RequestId};
use quaymaster_core::{Actor, ActorId, LogSink, ProgressSink, RawBuf, Workspace};
use rustix::process::Pid;
use tokio::io::{AsyncWriteExt, BufReader};
use tokio::process::{ChildStdin, ChildStdout};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::check::server::StdioServer;
use super::child::{self, ErrorLog, ProcessGroup};
use super::failure::Failure;
use super::inbox::Inbox;
use super::lines::{Line, read_line};
use super::link::{Outgoing, Sent};
use super::question::{self, Asked, Questions};
use super::wire;

const MAX_LINE_BYTES: usize = 16 * 1024 * 1024;
const MAX_PENDING: usize = 1_024;
const MAX_QUEUED: usize = 256;
/// How many questions of a server's are open at most.
const MAX_REPLIES: usize = 64;
/// A server that prints this many lines in a row that are no messages does not speak MCP.
const MAX_STRAY_LINES: usize = 200;

/// A running child that can be spoken to.
#[derive(Debug)]
pub(super) struct Stdio {
    lines: mpsc::Sender<String>,
    pending: Arc<Mutex<Pending>>,
    pid: Pid,
    group: Mutex<Option<ProcessGroup>>,
    grace: Duration,
    /// Cancelled to close the child's standard input.
    hang_up: CancellationToken,
    /// Cancelled when the child's standard output has ended.
    ended: CancellationToken,
    /// Ends the tasks that serve the streams.
    _tasks: DropGuard,
}

/// For whom calls were made over this connection.
#[derive(Debug, Default)]
struct Holder {
    first: Option<(ActorId, Workspace)>,
    /// There was another after the first.
    mixed: bool,
}

impl Holder {
    fn note(&mut self, actor: &Actor) {
        match &self.first {
            None => self.first = Some((actor.id.clone(), actor.workspace.clone())),
            Some((id, workspace)) => self.mixed |= *id != actor.id || *workspace != actor.workspace,
        }
    }
}

#[derive(Debug, Default)]
struct Pending {
    holder: Holder,
    /// Why no more answers can come.
    ended: Option<Failure>,
    calls: HashMap<u64, Waiting>,
}

#[derive(Debug)]
struct Waiting {
    answer: oneshot::Sender<Result<RawBuf, Failure>>,
    sink: Option<Arc<dyn ProgressSink>>,
    questions: Option<Questions>,
    log: Option<Arc<dyn LogSink>>,
}

impl Stdio {
    /// Starts `server` and the tasks that serve its streams.
    pub(super) fn start(
        server: &StdioServer,
        connector: &str,
        grace: Duration,
        inbox: Arc<Inbox>,
    ) -> Result<Self, Failure> {
        let (group, streams) = child::start(server)?;
        let (lines, queue) = mpsc::channel(MAX_QUEUED);
        let (stop, hang_up, ended) =
            (CancellationToken::new(), CancellationToken::new(), CancellationToken::new());
        let pending = Arc::new(Mutex::new(Pending::default()));
        let reading = Reading {
            connector: connector.to_owned(),
            pending: Arc::clone(&pending),
            inbox,
            lines: lines.clone(),
            ended: ended.clone(),
            replies: Arc::new(Semaphore::new(MAX_REPLIES)),
        };
        tokio::spawn(reading.run(streams.stdout, stop.clone()));
        tokio::spawn(write(streams.stdin, queue, hang_up.clone(), stop.clone()));
        let errors = ErrorLog::new(connector, &server.secrets);
        tokio::spawn(errors.copy(streams.stderr, stop.clone()));
        Ok(Self {
            lines,
            pending,
            pid: group.pid(),
            group: Mutex::new(Some(group)),
            grace,
            hang_up,
            ended,
            _tasks: stop.drop_guard(),
        })
    }

    /// Sends a request and waits for its answer.
    pub(super) async fn exchange(&self, outgoing: Outgoing<'_>, sent: &Sent) -> Result<RawBuf, Failure> {
        let (answer, answered) = oneshot::channel();
        if let Some(actor) = outgoing.actor {
            lock(&self.pending).holder.note(actor);
        }
        let _forget = self.expect(
            outgoing.id,
            Waiting {
                answer,
                sink: outgoing.sink.cloned(),
                questions: outgoing.questions,
                log: outgoing.log,
            },
        )?;
        self.send(outgoing.body).await?;
        sent.set();
        answered.await.unwrap_or_else(|_| Err(Failure::Broken("the connection ended".into())))
    }

    /// Sends a message that has no answer.
    pub(super) async fn send(&self, message: String) -> Result<(), Failure> {
        let sent = self.lines.send(one_line(message)).await;
        sent.map_err(|_| Failure::NotDelivered("the server takes no more messages".into()))
    }

    /// Tells the server that a request is no longer wanted, if there is room in the queue.
    pub(super) fn abandon(&self, id: u64) {
        let _ = self.lines.try_send(one_line(wire::cancelled(id)));
    }

    /// Waits until the child has left or its output has ended.
    pub(super) async fn ended(&self) {
        tokio::select! {
            () = self.ended.cancelled() => {}
            () = child::exited(self.pid) => {}
        }
    }

    /// Whether no more answers can come.
    pub(super) fn has_ended(&self) -> bool {
        self.ended.is_cancelled()
    }

    /// Closes the child's standard input and sees to it that the child goes.
    pub(super) async fn close(&self) {
        self.hang_up.cancel();
        let group = self.group.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(group) = group {
            group.end(self.grace).await;
        }
    }

    fn expect(&self, id: u64, waiting: Waiting) -> Result<Forget<'_>, Failure> {
        let mut pending = lock(&self.pending);
        if let Some(why) = &pending.ended {
            return Err(Failure::NotDelivered(why.reason()));
        }
        if pending.calls.len() >= MAX_PENDING {
            return Err(Failure::Overloaded);
        }
        pending.calls.insert(id, waiting);
        Ok(Forget { pending: &self.pending, id })
    }
}

/// Takes a request off the list of those that wait, however its wait ended.
struct Forget<'a> {
    pending: &'a Mutex<Pending>,
    id: u64,
}

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        lock(self.pending).calls.remove(&self.id);
    }
}

fn lock(pending: &Mutex<Pending>) -> MutexGuard<'_, Pending> {
    pending.lock().unwrap_or_else(PoisonError::into_inner)
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
        while let Some(line) = queue.recv().await {
            if stdin.write_all(line.as_bytes()).await.is_err() {
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

struct Reading {
    connector: String,
    pending: Arc<Mutex<Pending>>,
    inbox: Arc<Inbox>,
    lines: mpsc::Sender<String>,
    ended: CancellationToken,
    replies: Arc<Semaphore>,
}

impl Reading {
    async fn run(self, stdout: ChildStdout, stop: CancellationToken) {
        let why = tokio::select! {
            why = self.read(stdout) => why,
            () = stop.cancelled() => Failure::Broken("the connection was closed".into()),
        };
        let calls = {
            let mut pending = lock(&self.pending);
            pending.ended = Some(why.clone());
            std::mem::take(&mut pending.calls)
        };
        // First, so that whoever is told of the end finds that it has come.
        self.ended.cancel();
        for waiting in calls.into_values() {
            let _ = waiting.answer.send(Err(why.clone()));
        }
    }

    async fn read(&self, stdout: ChildStdout) -> Failure {
        let mut reader = BufReader::new(stdout);
        let (mut line, mut stray) = (Vec::new(), 0_usize);
        while stray < MAX_STRAY_LINES {
            match read_line(&mut reader, &mut line, MAX_LINE_BYTES).await {
                Ok(Line::Whole) if line.is_empty() => {}
                Ok(Line::Whole) if self.take(&line) => stray = 0,
                Ok(Line::Whole) => stray += 1,
                Ok(Line::Cut) => {
                    return Failure::Malformed(format!("a line of more than {MAX_LINE_BYTES} bytes"));
                }
                Ok(Line::End) => return Failure::Broken("the server ended its output".into()),
                Err(error) => return Failure::Broken(format!("the server's output broke: {error}")),
            }
        }
        Failure::Malformed("the server prints lines that are not MCP messages".into())
    }

    /// Takes one line; `false` if it is no message.
    fn take(&self, line: &[u8]) -> bool {
        match rpc::parse(line) {
            Ok(Message::Response { id, outcome }) => self.answer(&id, || wire::settle(outcome)),
            Ok(Message::Notification { method, params }) => {
                if method == wire::LOG
                    && let Some(sink) = self.only(|call| call.log.clone())
                {
                    wire::log(params, &*sink);
                }
                let sink = |id| lock(&self.pending).calls.get(&id).and_then(|w| w.sink.clone());
                self.inbox.take(&method, params, sink);
            }
            Ok(Message::Request { id, method, params }) => {
                self.inbox.unasked().count(Instant::now());
                match Asked::read(&method, params).zip(self.only(|call| call.questions.clone())) {
                    Some((asked, questions)) => self.respond(id, asked, questions),
                    // A server that asks faster than it reads gets no answer.
                    None => _ = self.lines.try_send(one_line(wire::answer_to_server(&id, &method))),
                }
            }
            Err(error) => {
                let reason = Failure::unreadable(&error).reason();
                tracing::debug!(connector = self.connector, reason, "not an MCP message");
                let Some(id) = &error.id else { return false };
                self.answer(id, || Err(Failure::unreadable(&error)));
            }
        }
        true
    }

    /// Something of the call that a question or a log message belongs to. Nothing on
    /// the stream says which that is: it may be one that was given up and that the server
    /// still works on. So there must be only one, and no call of anybody else's before it.
    fn only<T>(&self, what: impl FnOnce(&Waiting) -> Option<T>) -> Option<T> {
        let pending = lock(&self.pending);
        if pending.holder.mixed {
            return None;
        }
        let mut calls = pending.calls.values();
        calls.next().filter(|_| calls.next().is_none()).and_then(what)
    }

    /// Puts a question of the server's to the client of the call, and sends the answer.
    fn respond(&self, id: RequestId, asked: Asked, questions: Questions) {
        let Ok(permit) = Arc::clone(&self.replies).try_acquire_owned() else {
            let _ = self.lines.try_send(one_line(question::no_room(&id)));
            return;
        };
        let lines = self.lines.clone();
        tokio::spawn(async move {
            if let Some(response) = questions.respond(&id, asked).await {
                let _ = lines.send(one_line(response)).await;
            }
            drop(permit);
        });
    }

    fn answer(&self, id: &RequestId, settle: impl FnOnce() -> Result<RawBuf, Failure>) {
        // Ours are numbers, written one way; anything else was not asked by us.
        let ours = id.as_json().parse::<u64>().ok().filter(|n| n.to_string() == id.as_json());
        let waiting = ours.and_then(|id| lock(&self.pending).calls.remove(&id));
        match waiting {
            Some(waiting) => {
                let _ = waiting.answer.send(settle());
            }
            None => {
                self.inbox.unasked().count(Instant::now());
                tracing::debug!(connector = self.connector, "an answer that nobody waits for");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_one_line_whatever_the_client_wrote() {
        assert_eq!(one_line("{\"a\":\r\n \"\\n\"}".into()), "{\"a\":   \"\\n\"}\n");
    }
}
