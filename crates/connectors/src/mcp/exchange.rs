//! Requests and answers over one stream that all calls of a connection share.
//!
//! Standard streams (`stdio`) and HTTP+SSE (`http_sse`) bring one message after
//! another, whichever call it belongs to. Here each finds its place; how messages
//! travel is the transports' business.
//!
//! Invariants:
//! - An answer is given to the request whose id it carries and to no other; one
//!   without such a request goes nowhere.
//! - When the stream ends, every waiting request fails at once.
//! - What the server asks or logs goes where `under_way` says.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use quaymaster_core::PartedBuf;
use quaymaster_core::rpc::{self, Message, RequestId};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::batch;
use super::credential::Guarded;
use super::failure::Failure;
use super::followed::Holder;
use super::inbox::Inbox;
use super::link::Outgoing;
use super::question::{self, Asked, Questions};
use super::under_way::{Noted, UnderWay};
use super::wire::{self, Era, Settled};

/// How large one message on the stream may be.
pub(super) const MAX_MESSAGE_BYTES: usize = 16 * 1024 * 1024;
/// A server that sends this many things in a row that are no messages does not speak MCP.
pub(super) const MAX_STRAY: usize = 200;
/// How many messages of ours wait to be sent.
const MAX_QUEUED: usize = 256;
const MAX_PENDING: usize = 1_024;
/// How many questions of a server's are open at most.
const MAX_REPLIES: usize = 64;

/// The requests on one stream that wait for their answers.
#[derive(Debug)]
pub(super) struct Exchange {
    connector: String,
    /// What the server was given and must not come back.
    guarded: Guarded,
    pending: Mutex<Pending>,
    under_way: UnderWay,
    inbox: Arc<Inbox>,
    /// What is sent without being waited for.
    outbox: mpsc::Sender<String>,
    /// Whether the server may put several messages into one (MCP 2025-03-26).
    batches: AtomicBool,
    /// Whether the server must not ask anything on the stream (MCP 2026-07-28, basic/transports/stdio).
    modern: AtomicBool,
    replies: Arc<Semaphore>,
    /// Cancelled when no more messages can come.
    ended: CancellationToken,
}

#[derive(Debug, Default)]
struct Pending {
    /// Why no more answers can come.
    ended: Option<Failure>,
    calls: HashMap<u64, oneshot::Sender<Result<Settled<PartedBuf>, Failure>>>,
}

impl Exchange {
    /// The exchange of `connector`, and the messages that its transport has to send.
    pub(super) fn new(
        connector: &str,
        inbox: Arc<Inbox>,
        guarded: Guarded,
    ) -> (Arc<Self>, mpsc::Receiver<String>) {
        let (outbox, queue) = mpsc::channel(MAX_QUEUED);
        let exchange = Self {
            connector: connector.to_owned(),
            guarded,
            pending: Mutex::default(),
            under_way: UnderWay::beside(inbox.followed()),
            inbox,
            outbox,
            batches: AtomicBool::new(false),
            modern: AtomicBool::new(false),
            replies: Arc::new(Semaphore::new(MAX_REPLIES)),
            ended: CancellationToken::new(),
        };
        (Arc::new(exchange), queue)
    }

    /// From now on messages are those of `era`.
    pub(super) fn speak(&self, era: Era) {
        self.batches.store(era.has_batches(), Ordering::Relaxed);
        self.modern.store(era == Era::Modern, Ordering::Relaxed);
    }

    /// Has the answer to `outgoing` waited for, from before it is sent.
    ///
    /// # Errors
    ///
    /// The stream has ended, or too many wait.
    pub(super) fn expect(&self, outgoing: &Outgoing<'_>) -> Result<Expected<'_>, Failure> {
        let (answer, answered) = oneshot::channel();
        let noted = self.under_way.note(outgoing);
        let mut pending = self.pending();
        if let Some(why) = &pending.ended {
            return Err(Failure::NotDelivered(why.reason()));
        }
        if pending.calls.len() >= MAX_PENDING {
            return Err(Failure::Overloaded);
        }
        pending.calls.insert(outgoing.id, answer);
        Ok(Expected { exchange: self, id: outgoing.id, answered, _noted: noted })
    }

    /// From now on the server may speak of what `holder` watches.
    pub(super) fn hold(&self, holder: &Holder) {
        self.under_way.hold(holder);
    }

    /// Sends a message that has no answer, when there is room in the queue.
    pub(super) async fn send(&self, message: String) -> Result<(), Failure> {
        let sent = self.outbox.send(message).await;
        sent.map_err(|_| Failure::NotDelivered("the server takes no more messages".into()))
    }

    /// Sends a message that has no answer, if there is room in the queue now.
    pub(super) fn send_if_room(&self, message: String) {
        let _ = self.outbox.try_send(message);
    }

    /// Takes one message, or a batch of them; `false` if it is none.
    pub(super) fn take(self: &Arc<Self>, bytes: &[u8]) -> bool {
        let may_be_batches = self.batches.load(Ordering::Relaxed);
        let mut is_any = false;
        let bytes = self.guarded.clean(bytes);
        let Ok(text) = str::from_utf8(&bytes) else {
            tracing::debug!(connector = self.connector, "not an MCP message, as it is not UTF-8");
            return false;
        };
        for message in batch::messages(text, may_be_batches) {
            is_any |= self.take_one(message);
        }
        is_any
    }

    fn take_one(self: &Arc<Self>, message: &str) -> bool {
        match rpc::parse_text(message) {
            Ok(Message::Response { id, outcome }) => {
                self.answer(&id, || wire::settle(outcome).map(Settled::into_buf));
            }
            Ok(Message::Notification { method, params }) => {
                if method == wire::LOG
                    && let Some(sink) = self.under_way.whose(params).and_then(|client| client.log)
                {
                    wire::log(params, &*sink);
                }
                self.inbox.take(&method, params, |id| self.under_way.sink(id));
            }
            Ok(Message::Request { id, method, params }) => {
                self.inbox.unasked().count(Instant::now());
                if self.modern.load(Ordering::Relaxed) {
                    self.send_if_room(wire::answer_to_modern(&id));
                    return true;
                }
                let questions = self.under_way.whose(params).and_then(|client| client.questions);
                match Asked::read(&method, params).zip(questions) {
                    Some((asked, questions)) => self.respond(id, asked, questions),
                    // A server that asks faster than it reads gets no answer.
                    None => self.send_if_room(wire::answer_to_server(&id, &method)),
                }
            }
            Err(error) => {
                let reason = Failure::unreadable(&error).reason();
                tracing::debug!(connector = self.connector, reason, "not an MCP message");
                match &error.id {
                    // The id is one of the server's own, whatever request of ours has the same.
                    Some(_) if error.has_method => {
                        self.inbox.unasked().count(Instant::now());
                        self.send_if_room(wire::answer_to_unreadable(&error));
                    }
                    Some(id) => self.answer(id, || Err(Failure::unreadable(&error))),
                    None => return false,
                }
            }
        }
        true
    }

    /// No more messages come, and `why`.
    pub(super) fn end(&self, why: &Failure) {
        let calls = {
            let mut pending = self.pending();
            pending.ended = Some(why.clone());
            std::mem::take(&mut pending.calls)
        };
        self.under_way.clear();
        // First, so that whoever is told of the end finds that it has come.
        self.ended.cancel();
        for waiting in calls.into_values() {
            let _ = waiting.send(Err(why.clone()));
        }
    }

    /// Whether no more messages can come.
    pub(super) fn has_ended(&self) -> bool {
        self.ended.is_cancelled()
    }

    /// Waits until no more messages can come.
    pub(super) async fn ended(&self) {
        self.ended.cancelled().await;
    }

    /// Puts a question of the server's to the client of the call, and sends the answer.
    fn respond(self: &Arc<Self>, id: RequestId, asked: Asked, questions: Questions) {
        let Ok(permit) = Arc::clone(&self.replies).try_acquire_owned() else {
            return self.send_if_room(question::no_room(&id));
        };
        let exchange = Arc::clone(self);
        tokio::spawn(async move {
            if let Some(response) = questions.respond(&id, asked).await {
                let _ = exchange.send(response).await;
            }
            drop(permit);
        });
    }

    fn answer(&self, id: &RequestId, settle: impl FnOnce() -> Result<Settled<PartedBuf>, Failure>) {
        // Ours are numbers, written one way; anything else was not asked by us.
        let ours = id.as_json().parse::<u64>().ok().filter(|n| n.to_string() == id.as_json());
        let waiting = ours.and_then(|id| {
            self.under_way.forget(id);
            self.pending().calls.remove(&id)
        });
        match waiting {
            Some(waiting) => {
                let _ = waiting.send(settle());
            }
            None => {
                self.inbox.unasked().count(Instant::now());
                tracing::debug!(connector = self.connector, "an answer that nobody waits for");
            }
        }
    }

    fn pending(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request whose answer is waited for. Dropped, it is forgotten.
pub(super) struct Expected<'a> {
    exchange: &'a Exchange,
    id: u64,
    answered: oneshot::Receiver<Result<Settled<PartedBuf>, Failure>>,
    _noted: Noted<'a>,
}

impl Expected<'_> {
    /// Waits for the answer.
    pub(super) async fn answer(&mut self) -> Result<Settled<PartedBuf>, Failure> {
        let answered = &mut self.answered;
        answered.await.unwrap_or_else(|_| Err(Failure::Broken("the connection ended".into())))
    }
}

impl Drop for Expected<'_> {
    fn drop(&mut self) {
        self.exchange.pending().calls.remove(&self.id);
    }
}
