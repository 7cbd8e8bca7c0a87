//! What a client on pipes is told of by itself.
//!
//! One pipe may carry a session and subscriptions of 2026-07-28. Each watches for
//! itself: what one of them asked for is not told to the other.

use http::StatusCode;
use quaymaster_core::Caller;
use quaymaster_core::rpc::RequestId;

use super::{Client, MAX_SUBSCRIPTIONS};
use crate::ingress::answer::{self, Pieces};
use crate::ingress::changes::Topic;
use crate::ingress::door::Door;
use crate::ingress::refusal::Refusal;
use crate::ingress::subscription::Subscription;
use crate::ingress::task::Owner;

impl<D: Door> Client<D> {
    pub(super) async fn list_changed(&self, topics: &[Topic]) {
        for topic in topics {
            if self.session.is_some() {
                self.send(answer::list_changed(*topic).into()).await;
            }
            for message in self.subscriptions.iter().filter_map(|(s, _)| s.notification(*topic)) {
                self.send(message.into()).await;
            }
        }
    }

    /// A resource changed that the session watches.
    pub(super) async fn updated(&self, uri: &str) {
        if self.session.is_some() {
            self.send(answer::updated(uri).into()).await;
        }
    }

    /// A resource changed that a subscription watches.
    pub(super) async fn subscribed_updated(&self, uri: &str) {
        for message in self.subscriptions.iter().filter_map(|(s, _)| s.update(uri)) {
            self.send(message.into()).await;
        }
    }

    /// A task changed.
    pub(super) async fn tasks_changed(&mut self) {
        let mut messages = Vec::new();
        for (subscription, tasks) in &mut self.subscriptions {
            while let Some(task) = tasks.changed() {
                messages.push(subscription.task(&task));
            }
        }
        for message in messages {
            self.send(message.into()).await;
        }
    }

    /// Ends a subscription, and lets go what nobody else watches.
    pub(super) fn unsubscribe(&mut self, id: &RequestId) {
        let Some(at) = self.subscriptions.iter().position(|(subscription, _)| subscription.id == *id) else {
            return;
        };
        let (gone, _) = self.subscriptions.swap_remove(at);
        self.let_go(gone.resources());
    }

    /// Watches no more what no subscription names.
    fn let_go(&self, resources: &[String]) {
        for uri in resources {
            if !self.subscriptions.iter().any(|(other, _)| other.resources().contains(uri)) {
                self.subscribed.remove(uri);
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
        if self.subscriptions.iter().any(|(other, _)| other.id == subscription.id) {
            return Err(Refusal::invalid_request(
                StatusCode::BAD_REQUEST,
                "this `id` is a subscription already",
            ));
        }
        let resources = subscription.resources().to_vec();
        let subscription = subscription
            .watching(&self.subscribed, &self.front, actor)
            .inspect_err(|_| self.let_go(&resources))?;
        let (owner, keys) = (Owner::of(actor), self.front.door.keys());
        let (subscription, tasks) = subscription.following(&self.front.tasks, &owner, keys);
        let acknowledgement = subscription.acknowledgement();
        self.subscriptions.push((subscription, tasks));
        Ok(Pieces::whole(acknowledgement))
    }
}
