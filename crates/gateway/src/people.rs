//! Who there is: those whom tokens authenticate, the user of this machine, and what they agree to.

use std::sync::Arc;

use quaymaster_control::approval::Approvals;
use quaymaster_control::identity::Identity;
use quaymaster_core::{Actor, ActorId, CallError, ErrorCode};

use crate::config::Settings;

/// Who there is.
#[derive(Debug)]
pub(crate) struct People {
    pub(crate) identity: Arc<Identity>,
    /// The user of this machine, if the configuration lets them in.
    pub(crate) local_user: Option<Arc<Actor>>,
    /// What they agree to.
    pub(crate) approvals: Arc<Approvals>,
}

/// The user of this machine, as `settings` have it.
pub(crate) fn local_user(settings: &Settings, identity: &Identity) -> Option<Arc<Actor>> {
    let local_user = settings.local_user.clone().zip(local_id());
    local_user.map(|(user, id)| identity.local_user(id, user.roles, user.workspace))
}

pub(crate) fn no_local_user() -> CallError {
    CallError::new(ErrorCode::AuthMissing, "the configuration has no local user")
        .hint("add `localUser: {roles: [...]}` to quaymaster.yaml")
}

/// What the user of this machine is called; always there, as a number is a name.
fn local_id() -> Option<ActorId> {
    ActorId::parse(&format!("local:{}", rustix::process::getuid().as_raw())).ok()
}
