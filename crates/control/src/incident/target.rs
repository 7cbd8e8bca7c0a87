//! What a switch stops.

use std::collections::BTreeMap;

use quaymaster_core::setting::Slug;
use serde::{Deserialize, Serialize};

use super::running::Called;

/// What a switch stops: the calls for which everything holds that is named here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// Calls of this tool, prompt or group of resources, by its full name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool: Option<String>,
    /// Calls of anything that this connector offers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connector: Option<Slug>,
    /// Calls by this account, and by every account of the person of this name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// Calls of this session: one of ours, or what a client calls its agent's session or thread. The
    /// latter a client can change; an actor it cannot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// Calls in this workspace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workspace: Option<Slug>,
    /// Calls that change something.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub writes: bool,
}

impl Target {
    /// Whether it names nothing.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    pub(super) fn stops(&self, called: &Called) -> bool {
        // Taken apart, so that a member which is added cannot be forgotten.
        let Self { tool, connector, actor, session, workspace, writes } = self;
        !self.is_empty()
            && tool.as_deref().is_none_or(|tool| *tool == *called.tool)
            && (connector.is_none() || *connector == called.connector)
            && actor.as_deref().is_none_or(|actor| called.is_by(actor))
            && session.as_deref().is_none_or(|session| called.is_of(session))
            && workspace.as_ref().is_none_or(|workspace| *workspace == called.workspace)
            && (!writes || called.writes)
    }

    /// What the record may say of it: everything but the actor.
    pub(super) fn members(&self) -> BTreeMap<String, String> {
        let named = [
            ("connector", self.connector.as_ref().map(ToString::to_string)),
            ("session", self.session.clone()),
            ("tool", self.tool.clone()),
            ("workspace", self.workspace.as_ref().map(ToString::to_string)),
            ("writes", self.writes.then(|| "true".to_owned())),
        ];
        named.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::incident::running::tests::called;

    #[test]
    fn a_switch_stops_what_everything_holds_for_that_it_names() {
        let slug = |text: &str| Some(Slug::parse(text).expect("a name"));
        let text = |text: &str| Some(text.to_owned());
        let none = Target::default();
        let stops = [
            Target { tool: text("crm_refund"), ..none.clone() },
            Target { connector: slug("crm"), ..none.clone() },
            Target { actor: text("bot@example.test"), ..none.clone() },
            Target { actor: text("ada@example.test"), ..none.clone() },
            Target { session: text("thread-1"), ..none.clone() },
            Target { workspace: slug("sales"), ..none.clone() },
            Target { writes: true, ..none.clone() },
            Target { writes: true, workspace: slug("sales"), ..none.clone() },
        ];
        let lets = [
            none.clone(),
            Target { tool: text("crm_refund_all"), ..none.clone() },
            Target { connector: slug("crm2"), ..none.clone() },
            Target { actor: text("ADA@example.test"), ..none.clone() },
            Target { session: text(""), ..none.clone() },
            Target { writes: true, workspace: slug("lab"), ..none },
        ];
        assert!(stops.iter().all(|target| target.stops(&called())), "{stops:?}");
        assert!(!lets.iter().any(|target| target.stops(&called())), "{lets:?}");
        let read = Called { writes: false, ..called() };
        assert!(!Target { writes: true, ..Target::default() }.stops(&read));
    }
}
