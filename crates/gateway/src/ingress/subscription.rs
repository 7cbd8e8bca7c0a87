//! `subscriptions/listen`: what a client of 2026-07-28 wants to hear of by itself.
//!
//! The answer is a stream: first what was granted, then notifications that each
//! name the subscription, and a result when the gateway ends it (MCP 2026-07-28,
//! basic/patterns/subscriptions). What we cannot tell of is not granted.

use quaymaster_control::keyring::KeyRing;
use quaymaster_core::raw::Raw;
use quaymaster_core::rpc::{self, RequestId};
use quaymaster_core::{Caller, InputAbilities};

use serde_json::json;

use super::changes::Topic;
use super::claims::Claims;
use super::door::Door;
use super::front::{Front, Origin};
use super::params::Params;
use super::refusal::Refusal;
use super::task::{self, Owner, Task, TaskTable, TaskWatch};
use super::watches::Watches;

/// The method by which one is begun.
pub(super) const LISTEN: &str = "subscriptions/listen";

/// A subscription that is in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Subscription {
    /// The id of the request, which is the name of the subscription.
    pub(super) id: RequestId,
    topics: Vec<Topic>,
    /// The resources whose changes are wanted.
    resources: Vec<String>,
    /// The tasks whose changes are wanted, by their handles.
    tasks: Vec<String>,
    /// What the client can be asked.
    abilities: InputAbilities,
}

/// How many resources, and how many tasks, one subscription may name.
const MAX_NAMED: usize = 100;

impl Subscription {
    /// Reads the request `id`.
    pub(super) fn read(id: &RequestId, params: &Params<'_>) -> Result<Self, Refusal> {
        let wanted = params.notifications.and_then(Raw::members).ok_or_else(|| {
            Refusal::invalid_params(
                "`params.notifications` must be an object such as `{\"toolsListChanged\": true}`",
            )
        })?;
        let (mut topics, mut resources, mut tasks) = (Vec::new(), Vec::new(), Vec::new());
        for member in wanted {
            let unreadable = || Refusal::invalid_params("`params.notifications` cannot be read");
            let (name, value) = member.map_err(|_| unreadable())?;
            let list = match &*name {
                "resourceSubscriptions" => Some(&mut resources),
                "taskIds" => Some(&mut tasks),
                _ => None,
            };
            if let Some(list) = list {
                *list = strings(&name, value)?;
                continue;
            }
            let Some(topic) = Topic::ALL.into_iter().find(|topic| topic.member() == name) else { continue };
            match value.get() {
                "true" if !topics.contains(&topic) => topics.push(topic),
                "true" | "false" => {}
                _ => return Err(Refusal::invalid_params(format!("`{name}` must be true or false"))),
            }
        }
        let abilities = InputAbilities::default();
        Ok(Self { id: id.clone(), topics, resources, tasks, abilities })
    }

    /// The same of a client that can be asked so much.
    pub(super) fn able_to(self, abilities: InputAbilities) -> Self {
        Self { abilities, ..self }
    }

    /// The same with those of the resources that `actor` may watch, which it does from now on.
    ///
    /// # Errors
    ///
    /// `gateway.overloaded` if it would watch too many, `audit.unavailable` if that cannot be recorded;
    /// some of them are watched all the same.
    pub(super) async fn watching<D: Door>(
        mut self,
        watches: &Watches,
        front: &Front<D>,
        actor: &Caller,
    ) -> Result<Self, Refusal> {
        let mut granted = Vec::with_capacity(self.resources.len());
        for uri in self.resources {
            let origin = Origin { actor: actor.clone(), session: None, claims: Claims::default() };
            match watches.add(front, origin, &uri).await {
                Ok(()) => granted.push(uri),
                Err(refusal) if refusal.retry_after.is_some() => return Err(refusal),
                Err(_) => {}
            }
        }
        self.resources = granted;
        Ok(self)
    }

    /// Whether changes of tasks are wanted.
    pub(super) fn is_of_tasks(&self) -> bool {
        !self.tasks.is_empty()
    }

    /// The same with those of the tasks that are `owner`'s, which are watched from now on.
    ///
    /// # Errors
    ///
    /// `-32021` if one of them wants to know what the client cannot be asked.
    pub(super) fn following(
        mut self,
        table: &TaskTable,
        owner: &Owner,
        ring: &KeyRing,
    ) -> Result<(Self, TaskWatch), Refusal> {
        let watch = TaskWatch::of(table, &self.tasks, owner, ring);
        let tasks: Vec<_> = watch.tasks().collect();
        tasks.iter().try_for_each(|task| self.task(task).map(drop))?;
        self.tasks = tasks.iter().map(|task| task.handle.clone()).collect();
        Ok((self, watch))
    }

    /// The notification that `task` has changed.
    ///
    /// # Errors
    ///
    /// `-32021` if it wants to know what the client cannot be asked.
    pub(super) fn task(&self, task: &Task) -> Result<String, Refusal> {
        task::notified(task, &self.meta(), self.abilities)
    }

    /// The message that the subscription begins with.
    pub(super) fn acknowledgement(&self) -> String {
        let mut granted: Vec<String> =
            self.topics.iter().map(|topic| format!(r#""{}":true"#, topic.member())).collect();
        if !self.resources.is_empty() {
            granted.push(format!(r#""resourceSubscriptions":{}"#, json!(self.resources)));
        }
        if !self.tasks.is_empty() {
            granted.push(format!(r#""taskIds":{}"#, json!(self.tasks)));
        }
        let params = format!(r#"{{"notifications":{{{}}},{}}}"#, granted.join(","), self.meta());
        rpc::notification("notifications/subscriptions/acknowledged", &params)
    }

    /// The notification that the list changed, if it was asked for.
    pub(super) fn notification(&self, topic: Topic) -> Option<String> {
        let wanted = self.topics.contains(&topic);
        wanted.then(|| rpc::notification(topic.method(), &format!("{{{}}}", self.meta())))
    }

    /// The resources whose changes it tells of.
    pub(super) fn resources(&self) -> &[String] {
        &self.resources
    }

    /// The notification that a resource has changed, if it is one of them.
    pub(super) fn update(&self, uri: &str) -> Option<String> {
        let params = || format!(r#"{{"uri":{},{}}}"#, json!(uri), self.meta());
        let wanted = self.resources.iter().any(|resource| resource == uri);
        wanted.then(|| rpc::notification("notifications/resources/updated", &params()))
    }

    /// The message that the subscription ends with.
    pub(super) fn end(&self) -> String {
        rpc::response(&self.id, &format!(r#"{{"resultType":"complete",{}}}"#, self.meta()))
    }

    fn meta(&self) -> String {
        format!(r#""_meta":{{"io.modelcontextprotocol/subscriptionId":{}}}"#, self.id.as_json())
    }
}

/// The list that `value` is.
fn strings(name: &str, value: Raw<'_>) -> Result<Vec<String>, Refusal> {
    let strings: Option<Vec<String>> = serde_json::from_str(value.get()).ok();
    strings.filter(|strings| strings.len() <= MAX_NAMED).ok_or_else(|| {
        Refusal::invalid_params(format!("`{name}` must be a list of at most {MAX_NAMED} strings"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(params: &str) -> Result<Subscription, String> {
        let params = Params::read(Some(Raw::read(params).expect("JSON"))).expect("params");
        Subscription::read(&RequestId::number(7), &params).map_err(|refusal| refusal.message)
    }

    #[test]
    fn what_cannot_be_told_of_is_not_granted() {
        let asked = r#"{"notifications":{"toolsListChanged":true,"promptsListChanged":false,"later":{}}}"#;
        let subscription = read(asked).expect("a subscription");
        insta::assert_snapshot!(subscription.acknowledgement());
        assert_eq!(subscription.notification(Topic::Prompts), None);
        insta::assert_snapshot!(subscription.notification(Topic::Tools).expect("granted"));
        insta::assert_snapshot!(subscription.end());
    }

    #[test]
    fn a_subscription_to_nothing_that_can_be_read_is_refused() {
        for bad in ["{}", r#"{"notifications":[]}"#, r#"{"notifications":{"toolsListChanged":1}}"#] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
