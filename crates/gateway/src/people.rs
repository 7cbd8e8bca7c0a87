//! Who there is: those whom tokens authenticate, the user of this machine, and what they agree to.

use std::sync::Arc;

use quaymaster_control::approval::{Approvals, Bounds, Terms};
use quaymaster_control::identity::{self, Declared, Federation, Identity};
use quaymaster_control::policy::Policies;
use quaymaster_core::{Actor, ActorId, CallError, ErrorCode};

use crate::config::{Diagnostics, Loaded, LocalUser};
use crate::state::State;

/// Who there is.
#[derive(Debug)]
pub(crate) struct People {
    pub(crate) identity: Arc<Identity>,
    /// The user of this machine, if the configuration lets them in.
    pub(crate) local_user: Option<Arc<Actor>>,
    /// What they agree to.
    pub(crate) approvals: Arc<Approvals>,
    /// How much of it waits, and how long it is kept.
    pub(crate) bounds: Bounds,
}

impl People {
    /// Has requests for approval obey what is said of these people and by `policies`.
    pub(crate) fn rule(&self, policies: &Arc<Policies>) {
        let (policies, identity) = (Arc::clone(policies), Arc::clone(&self.identity));
        self.approvals.obey(Terms { policies, identity, bounds: self.bounds });
    }
}

/// The user of this machine, as `identity` has them.
pub(crate) fn local_user(identity: &Identity) -> Option<Arc<Actor>> {
    identity.local_user(local_id()?)
}

pub(crate) fn no_local_user() -> CallError {
    CallError::new(ErrorCode::AuthMissing, "the configuration has no local user")
        .hint("add `localUser: {roles: [...]}` to quaymaster.yaml")
}

/// What the user of this machine is called; always there, as a number is a name.
pub(crate) fn local_id() -> Option<ActorId> {
    ActorId::parse(&format!("local:{}", rustix::process::getuid().as_raw())).ok()
}

/// Who may authenticate, by `loaded`.
pub(crate) fn identity(state: &State, loaded: &Loaded) -> Result<Identity, Diagnostics> {
    let settings = &loaded.settings;
    let declared = Declared {
        roles: settings.roles.clone(),
        workspaces: settings.workspaces.keys().cloned().collect(),
        default_workspace: settings.default_workspace.clone(),
    };
    let federation =
        Federation::try_new(&settings.identity, declared.clone(), &state.sources, &loaded.secrets());
    let federation = federation.map_err(|error| loaded.identity_diagnostic(&error))?;
    let identity = Identity::new(state.store.clone(), Arc::clone(&state.clock), declared);
    let local = settings.local_user.clone();
    let local =
        local.map(|LocalUser { roles, workspace, person }| identity::LocalUser { roles, workspace, person });
    Ok(identity.with_issuers(federation).with_local_user(local))
}
