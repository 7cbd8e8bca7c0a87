//! `subscriptions/listen`: what a client of 2026-07-28 wants to hear of by itself.
//!
//! The answer is a stream: first what was granted, then notifications that each
//! name the subscription, and a result when the gateway ends it (MCP 2026-07-28,
//! basic/patterns/subscriptions). What we cannot tell of is not granted.

use quaymaster_core::Caller;
use quaymaster_core::raw::Raw;
use quaymaster_core::rpc::{self, RequestId};

use serde_json::json;

use super::changes::Topic;
use super::door::Door;
use super::params::Params;
use super::refusal::Refusal;
use super::watches::Watches;

/// A subscription that is in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Subscription {
    /// The id of the request, which is the name of the subscription.
    pub(super) id: RequestId,
    topics: Vec<Topic>,
    /// The resources whose changes are wanted.
    resources: Vec<String>,
}

/// How many resources one subscription may name.
const MAX_RESOURCES: usize = 100;

impl Subscription {
    /// Reads the request `id`.
    pub(super) fn read(id: &RequestId, params: &Params<'_>) -> Result<Self, Refusal> {
        let wanted = params.notifications.and_then(Raw::members).ok_or_else(|| {
            Refusal::invalid_params(
                "`params.notifications` must be an object such as `{\"toolsListChanged\": true}`",
            )
        })?;
        let (mut topics, mut resources) = (Vec::new(), Vec::new());
        for member in wanted {
            let unreadable = || Refusal::invalid_params("`params.notifications` cannot be read");
            let (name, value) = member.map_err(|_| unreadable())?;
            if name == "resourceSubscriptions" {
                let uris: Option<Vec<String>> = serde_json::from_str(value.get()).ok();
                resources = uris.filter(|uris| uris.len() <= MAX_RESOURCES).ok_or_else(|| {
                    let message = format!(
                        "`resourceSubscriptions` must be a list of at most {MAX_RESOURCES} addresses"
                    );
                    Refusal::invalid_params(message)
                })?;
                continue;
            }
            let Some(topic) = Topic::ALL.into_iter().find(|topic| topic.member() == name) else { continue };
            match value.get() {
                "true" if !topics.contains(&topic) => topics.push(topic),
                "true" | "false" => {}
                _ => return Err(Refusal::invalid_params(format!("`{name}` must be true or false"))),
            }
        }
        Ok(Self { id: id.clone(), topics, resources })
    }

    /// The same with those of the resources that `actor` may watch, which it does from now on.
    pub(super) fn watching<D: Door>(mut self, watches: &Watches, door: &D, actor: &Caller) -> Self {
        self.resources.retain(|uri| watches.add(door, actor, uri).is_ok());
        self
    }

    /// The message that the subscription begins with.
    pub(super) fn acknowledgement(&self) -> String {
        let mut granted: Vec<String> =
            self.topics.iter().map(|topic| format!(r#""{}":true"#, topic.member())).collect();
        if !self.resources.is_empty() {
            granted.push(format!(r#""resourceSubscriptions":{}"#, json!(self.resources)));
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
