//! Changes of the lists, as somebody waits for them.
//!
//! Invariant: a change of what others see is told to nobody else. That something
//! changed would be word of what does not exist for who hears it. What a server announces
//! and has not done is told to those who see something in that list of it.

use std::sync::Arc;

use quaymaster_core::Caller;
use tokio::sync::watch;

use super::door::{Announced, Door, Shelf};

/// A list of which changes are told. Templates are told of with the resources.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Topic {
    Tools,
    Prompts,
    Resources,
}

impl Topic {
    /// Every list of which changes are told.
    pub(super) const ALL: [Self; 3] = [Self::Tools, Self::Prompts, Self::Resources];

    /// The method of the notification.
    pub(super) fn method(self) -> &'static str {
        match self {
            Self::Tools => "notifications/tools/list_changed",
            Self::Prompts => "notifications/prompts/list_changed",
            Self::Resources => "notifications/resources/list_changed",
        }
    }

    /// The member of a subscription that asks for it (MCP 2026-07-28, subscriptions).
    pub(super) fn member(self) -> &'static str {
        match self {
            Self::Tools => "toolsListChanged",
            Self::Prompts => "promptsListChanged",
            Self::Resources => "resourcesListChanged",
        }
    }
}

/// What somebody sees of every list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    tools: Arc<str>,
    prompts: Arc<str>,
    resources: [Arc<str>; 2],
    announced: Announced,
}

impl Seen {
    /// What `caller` sees behind `door`.
    pub(super) fn by<D: Door>(door: &D, caller: &Caller) -> Self {
        Self {
            tools: door.list(caller, Shelf::Tools),
            prompts: door.list(caller, Shelf::Prompts),
            resources: [door.list(caller, Shelf::Resources), door.list(caller, Shelf::ResourceTemplates)],
            announced: door.announced(caller),
        }
    }

    fn differs_in(&self, other: &Self) -> Vec<Topic> {
        let (now, before) = (self.announced, other.announced);
        let differs = |topic: &Topic| match topic {
            Topic::Tools => self.tools != other.tools || now.tools != before.tools,
            Topic::Prompts => self.prompts != other.prompts || now.prompts != before.prompts,
            Topic::Resources => self.resources != other.resources || now.resources != before.resources,
        };
        Topic::ALL.into_iter().filter(differs).collect()
    }
}

/// The changes after a moment of what somebody sees.
#[derive(Debug)]
pub(super) struct Changes {
    receiver: Option<watch::Receiver<u64>>,
    seen: Seen,
}

impl Changes {
    /// The changes that `receiver` has not seen, of what `look` gives.
    pub(super) fn of(receiver: watch::Receiver<u64>, look: impl Fn() -> Seen) -> Self {
        Self { receiver: Some(receiver), seen: look() }
    }

    /// Of nothing: there will be none.
    pub(super) fn none() -> Self {
        Self { receiver: None, seen: Seen::default() }
    }

    /// Waits until `look` gives something else, and says of which lists; for ever, if
    /// there will be no change any more.
    pub(super) async fn next(&mut self, look: impl Fn() -> Seen) -> Vec<Topic> {
        while let Some(receiver) = &mut self.receiver {
            if receiver.changed().await.is_err() {
                self.receiver = None;
                break;
            }
            let now = look();
            let topics = now.differs_in(&self.seen);
            self.seen = now;
            if !topics.is_empty() {
                return topics;
            }
        }
        std::future::pending().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_announcement_is_told_like_a_change_and_of_its_own_list_alone() {
        let before = Seen::default();
        let announced = Announced { prompts: 1, ..Announced::default() };
        let after = Seen { announced, ..before.clone() };
        assert_eq!(after.differs_in(&before), [Topic::Prompts]);
        assert_eq!(after.differs_in(&after), []);
    }
}
