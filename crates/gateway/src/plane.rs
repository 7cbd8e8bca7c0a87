//! Everything that a call is governed by, as it stood when the call began.
//!
//! A plane never changes. A new configuration, or an upstream whose tools
//! changed, makes a new plane; calls that run go on with the one they began on.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use quaymaster_catalog::{Catalogue, View};
use quaymaster_connectors::Connectors;
use quaymaster_control::identity::Identity;
use quaymaster_control::{Evidence, Rulebook};
use quaymaster_core::{Actor, ActorId, Role, Workspace};
use tokio_util::task::TaskTracker;

/// How many actors' views are remembered.
const REMEMBERED: usize = 10_000;

/// What of an actor decides what it may see.
type Viewer = (ActorId, Arc<[Role]>, Workspace, &'static str);

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
    views: Mutex<HashMap<Viewer, Arc<View>>>,
}

impl Plane {
    pub(crate) fn new(
        catalogue: Catalogue,
        rulebook: Rulebook,
        connectors: Connectors,
        people: People,
        evidence: Evidence,
    ) -> Self {
        let (calls, views) = (TaskTracker::new(), Mutex::default());
        Self { catalogue, rulebook, connectors, people, evidence, calls, views }
    }

    /// All tools, whoever may see them. For those who publish tools, not for agents.
    pub fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }

    /// What `actor` may see: tools of its workspace of which some call could be
    /// permitted. Whether a tool is hidden or does not exist takes the same time.
    pub fn view(&self, actor: &Actor) -> Arc<View> {
        let viewer = (
            actor.id.clone(),
            Arc::clone(&actor.roles),
            actor.workspace.clone(),
            actor.authentication.as_str(),
        );
        if let Some(view) = self.views().get(&viewer) {
            return Arc::clone(view);
        }
        let policies = self.rulebook.policies();
        let view = Arc::new(self.catalogue.view(|tool| {
            tool.declaration().workspaces.contains(&actor.workspace) && policies.could_permit(actor, tool)
        }));
        let mut views = self.views();
        if views.len() >= REMEMBERED {
            views.clear();
        }
        views.insert(viewer, Arc::clone(&view));
        view
    }

    fn views(&self) -> std::sync::MutexGuard<'_, HashMap<Viewer, Arc<View>>> {
        self.views.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
