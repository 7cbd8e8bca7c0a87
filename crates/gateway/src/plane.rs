//! Everything that a call is governed by, as it stood when the call began.
//!
//! A plane never changes. A new configuration, or an upstream whose tools
//! changed, makes a new plane; calls that run go on with the one they began on.

use std::sync::Arc;

use quaymaster_catalog::{Catalogue, View};
use quaymaster_connectors::Connectors;
use quaymaster_control::identity::Identity;
use quaymaster_control::{Evidence, Rulebook};
use quaymaster_core::{Actor, PerActor};
use tokio_util::task::TaskTracker;

/// Who there is.
#[derive(Debug)]
pub(crate) struct People {
    pub(crate) identity: Arc<Identity>,
    /// The user of this machine, if the configuration lets them in.
    pub(crate) local_user: Option<Arc<Actor>>,
}

/// Catalogue, rules, systems and evidence of one configuration.
#[derive(Debug)]
pub struct Plane {
    pub(crate) catalogue: Catalogue,
    pub(crate) rulebook: Rulebook,
    pub(crate) connectors: Connectors,
    pub(crate) people: People,
    pub(crate) evidence: Evidence,
    /// The calls that run on this plane.
    pub(crate) calls: TaskTracker,
    views: PerActor<Arc<View>>,
}

impl Plane {
    pub(crate) fn new(
        catalogue: Catalogue,
        rulebook: Rulebook,
        connectors: Connectors,
        people: People,
        evidence: Evidence,
    ) -> Self {
        let (calls, views) = (TaskTracker::new(), PerActor::default());
        Self { catalogue, rulebook, connectors, people, evidence, calls, views }
    }

    /// All tools, whoever may see them. For those who publish tools, not for agents.
    pub fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }

    /// What `actor` may see: tools of its workspace of which some call could be
    /// permitted. Whether a tool is hidden or does not exist takes the same time.
    pub fn view(&self, actor: &Actor) -> Arc<View> {
        self.views.get_or_make(actor, || {
            let policies = self.rulebook.policies();
            Arc::new(self.catalogue.view(|tool| {
                tool.declaration().workspaces.contains(&actor.workspace) && policies.could_permit(actor, tool)
            }))
        })
    }
}
