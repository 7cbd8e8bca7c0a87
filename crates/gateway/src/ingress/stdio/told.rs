//! What a client on pipes is told of by itself.
//!
//! One pipe may carry a session and subscriptions of 2026-07-28. Each watches for
//! itself: what one of them asked for is not told to the other.

use std::sync::Arc;

use futures_util::future::select_all;
use http::StatusCode;
use quaymaster_core::Caller;
use quaymaster_core::rpc::RequestId;

use super::{Client, MAX_SUBSCRIPTIONS};
use crate::ingress::answer::{self, Pieces};
use crate::ingress::changes::Topic;
use crate::ingress::door::Door;
use crate::ingress::front::Trail;
use crate::ingress::refusal::Refusal;
use crate::ingress::subscription::{LISTEN, Subscription};
use crate::ingress::task::{Owner, Task, TaskWatch};

/// Waits until a task has changed of which a subscription tells; gives the place of the first one.
pub(super) async fn task_changed(subscriptions: &mut [(Subscription, TaskWatch)]) -> (usize, Arc<Task>) {
    if subscriptions.is_empty() {
        return std::future::pending().await;
    }
    let each = subscriptions.iter_mut().map(|(_, tasks)| Box::pin(tasks.next()));
    let (task, at, _) = select_all(each).await;
    (at, task)
}

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

    /// A task changed of which the subscription at this place tells.
    pub(super) async fn task_changed(&mut self, (at, task): (usize, Arc<Task>)) {
        let Some((subscription, _)) = self.subscriptions.get(at) else { return };
        let id = subscription.id.clone();
        match subscription.task(&task) {
            Ok(message) => self.send(message.into()).await,
            // What the client does not understand ends its subscription.
            Err(refusal) => {
                self.unsubscribe(&id);
                self.refuse(
                    &refusal,
                    Trail { id: Some(id), method: Some(LISTEN.to_owned()), ..self.trail() },
                )
                .await;
            }
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

    pub(super) async fn subscribe(
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
        let (owner, keys) = (Owner::of(actor), self.front.door.keys());
        let (subscription, tasks) = subscription.following(&self.front.tasks, &owner, keys)?;
        let resources = subscription.resources().to_vec();
        let subscription = subscription
            .watching(&self.subscribed, &self.front, actor)
            .await
            .inspect_err(|_| self.let_go(&resources))?;
        let acknowledgement = subscription.acknowledgement();
        self.subscriptions.push((subscription, tasks));
        Ok(Pieces::whole(acknowledgement))
    }
}
