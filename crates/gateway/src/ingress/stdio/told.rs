//! What a client on pipes is told and asked while its calls run.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use http::StatusCode;
use quaymaster_core::rpc::RequestId;
use quaymaster_core::{Caller, LogLevel, LogSink, Progress, ProgressSink, RawBuf};
use tokio::sync::mpsc;

use super::{Client, MAX_SUBSCRIPTIONS};
use crate::ingress::answer::{self, Pieces};
use crate::ingress::changes::Topic;
use crate::ingress::door::Door;
use crate::ingress::progress::{ProgressToken, log_notification};
use crate::ingress::question::{OpenRequests, QuestionQueue};
use crate::ingress::refusal::Refusal;
use crate::ingress::subscription::Subscription;

impl<D: Door> Client<D> {
    pub(super) async fn list_changed(&self, topics: &[Topic]) {
        for topic in topics {
            if self.session.is_some() {
                self.send(answer::list_changed(*topic).into()).await;
            }
            for message in self.subscriptions.iter().filter_map(|s| s.notification(*topic)) {
                self.send(message.into()).await;
            }
        }
    }

    pub(super) async fn updated(&self, uri: &str) {
        if self.session.is_some() {
            self.send(answer::updated(uri).into()).await;
        }
        for message in self.subscriptions.iter().filter_map(|s| s.update(uri)) {
            self.send(message.into()).await;
        }
    }

    /// Ends a subscription, and lets go what nobody else watches.
    pub(super) fn unsubscribe(&mut self, id: &RequestId) {
        let Some(at) = self.subscriptions.iter().position(|subscription| subscription.id == *id) else {
            return;
        };
        let gone = self.subscriptions.swap_remove(at);
        for uri in gone.resources() {
            if !self.subscriptions.iter().any(|other| other.resources().contains(uri)) {
                self.watches.remove(uri);
            }
        }
    }

    pub(super) fn subscribe(
        &mut self,
        subscription: Subscription,
        actor: &Caller,
    ) -> Result<Pieces, Refusal> {
        if self.subscriptions.len() >= MAX_SUBSCRIPTIONS {
            return Err(Refusal::overloaded("too many subscriptions: cancel one"));
        }
        if self.subscriptions.iter().any(|other| other.id == subscription.id) {
            return Err(Refusal::invalid_request(
                StatusCode::BAD_REQUEST,
                "this `id` is a subscription already",
            ));
        }
        let subscription = subscription.watching(&self.watches, &*self.front.door, actor);
        let acknowledgement = subscription.acknowledgement();
        self.subscriptions.push(subscription);
        Ok(Pieces::whole(acknowledgement))
    }
}

/// Puts the questions of a call to a session's client, for as long as the call runs.
pub(super) async fn put(
    asked: Option<(Arc<QuestionQueue>, Arc<OpenRequests>)>,
    outbox: &mpsc::Sender<Vec<u8>>,
) {
    let Some((queue, open)) = asked else { return std::future::pending().await };
    loop {
        queue.arrived().await;
        while let Some(question) = queue.next() {
            for request in open.open(question) {
                // A client that does not read is not asked, and whoever waits for it gives up in the end.
                let _ = outbox.send(request.into()).await;
            }
        }
    }
}

/// Reports of progress and log messages, which go out as they come as long as there is room.
#[derive(Debug)]
pub(super) struct Reports {
    token: Option<ProgressToken>,
    outbox: mpsc::Sender<Vec<u8>>,
    level: Option<LogLevel>,
    open: AtomicBool,
}

impl Reports {
    /// What is told of a call with this token, log messages from `level` on; none if nothing is.
    pub(super) fn new(
        token: Option<ProgressToken>,
        level: Option<LogLevel>,
        outbox: mpsc::Sender<Vec<u8>>,
    ) -> Option<Arc<Self>> {
        let wanted = token.is_some() || level.is_some();
        wanted.then(|| Arc::new(Self { token, level, outbox, open: AtomicBool::new(true) }))
    }

    /// Where progress goes, if it is wanted.
    pub(super) fn progress(this: &Arc<Self>) -> Option<Arc<dyn ProgressSink>> {
        this.token.is_some().then(|| Arc::clone(this) as Arc<dyn ProgressSink>)
    }

    /// Where log messages go, if they are wanted.
    pub(super) fn log(this: &Arc<Self>) -> Option<Arc<dyn LogSink>> {
        this.level.is_some().then(|| Arc::clone(this) as Arc<dyn LogSink>)
    }

    /// Tells no more.
    pub(super) fn close(&self) {
        self.open.store(false, Ordering::Release);
    }

    fn send(&self, notification: String) {
        if self.open.load(Ordering::Acquire) {
            // One that finds no room is dropped: the next says more.
            let _ = self.outbox.try_send(notification.into());
        }
    }
}

impl ProgressSink for Reports {
    fn report(&self, progress: Progress) {
        if let Some(token) = &self.token {
            self.send(token.notification(&progress));
        }
    }
}

impl LogSink for Reports {
    fn level(&self) -> LogLevel {
        self.level.unwrap_or(LogLevel::Emergency)
    }

    fn log(&self, params: RawBuf) {
        self.send(log_notification(&params));
    }
}
