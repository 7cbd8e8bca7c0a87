//! Whoever asked before, established anew: the local user, and who logged in or had a call parked.

use std::sync::Arc;
use std::time::Duration;

use quaymaster_core::{Actor, ActorId, Authentication, Clock, Memory, Role, Timestamp, Workspace};
use quaymaster_store::{AccountRow, Store, StoreError};

use super::Identity;
use crate::approval::Asker;

/// How exactly it is noted when an account was last seen: each note is a durable write.
const NOTED: Duration = Duration::from_mins(5);

/// The user of this machine, as the configuration has them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalUser {
    /// The roles.
    pub roles: Vec<Role>,
    /// The workspace.
    pub workspace: Workspace,
    /// Who that is under another name.
    pub person: Option<ActorId>,
}

/// The accounts of issuers that were seen here.
#[derive(Debug, Default)]
pub(super) struct Sightings(Memory<(ActorId, Workspace), (Arc<Actor>, Timestamp)>);

impl Sightings {
    /// Notes that `actor`, whom an issuer vouches for, was seen; that this fails keeps nobody out.
    pub(super) async fn note(&self, actor: &Arc<Actor>, store: &Store, clock: &dyn Clock) {
        let Authentication::Issuer(grant) = &actor.authentication else { return };
        let (key, now) = ((actor.id.clone(), actor.workspace.clone()), clock.now());
        let is_noted = |(seen, at): &(Arc<Actor>, Timestamp)| {
            let is_same = seen.roles == actor.roles && seen.person == actor.person;
            (is_same || Arc::ptr_eq(seen, actor)) && *at <= now && now.since(*at) < NOTED
        };
        if self.0.get(&key).as_ref().is_some_and(is_noted) {
            return;
        }
        let row = AccountRow {
            account: actor.id.folded(),
            workspace: actor.workspace.clone(),
            issuer: grant.url.to_string(),
            person: actor.person.as_ref().map(ActorId::folded),
            roles: actor.roles.to_vec(),
            seen_us: now.as_micros(),
        };
        match store.account_note(&row).await {
            Ok(()) => self.0.insert(key, (Arc::clone(actor), now)),
            Err(error) => {
                tracing::warn!(event = "identity.seen", %error, "an account that was seen could not be noted");
            }
        }
    }
}

impl Identity {
    /// The same with the user of this machine.
    #[must_use]
    pub fn with_local_user(self, local: Option<LocalUser>) -> Self {
        Self { local, ..self }
    }

    /// The user of this machine who is called `id`, as the configuration has them now; none if it lets
    /// no such user in.
    pub fn local_user(&self, id: ActorId) -> Option<Arc<Actor>> {
        let LocalUser { roles, workspace, person } = self.local.clone()?;
        let actor = self.declared.actor(id, roles, workspace, Authentication::LocalUser);
        Some(Arc::new(Actor { person, ..actor }))
    }

    /// Whoever asked for a call that was parked, or logged in, as they are now: the local user in the
    /// roles that the configuration gives, the bearer of a token in those of the token, an account of an
    /// issuer in the roles that it had then, each as far as the role is still declared. None if the token
    /// was revoked, its issuer (by the address that its tokens name) is trusted no more, or they are of
    /// another workspace now.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the store fails.
    pub async fn again(&self, asker: &Asker) -> Result<Option<Arc<Actor>>, StoreError> {
        let Some(id) = asker.actor() else { return Ok(None) };
        let found = match (&asker.token, &asker.issuer) {
            (Some(token), _) => self.tokens.still_counts(token).await?.map(|row| {
                let actor =
                    self.declared.actor(row.actor, row.roles, row.workspace, Authentication::Token(row.id));
                Arc::new(Actor { person: row.person, ..actor })
            }),
            (None, Some((issuer, scopes))) => {
                let federation = self.federation.as_ref();
                let url = asker.issuer_url.as_deref();
                let grant = federation.zip(url).and_then(|(known, url)| known.grant((issuer, url), scopes));
                grant.map(|grant| {
                    let by = Authentication::Issuer(grant);
                    let actor =
                        self.declared.actor(id.clone(), asker.roles.clone(), asker.workspace.clone(), by);
                    let person = asker.person.as_deref().and_then(|name| ActorId::parse(name).ok());
                    Arc::new(Actor { person, groups: asker.groups.clone().into(), ..actor })
                })
            }
            (None, None) if asker.authentication == Authentication::LocalUser.as_str() => {
                self.local_user(id.clone())
            }
            (None, None) => None,
        };
        Ok(found.filter(|actor| actor.id == id && actor.workspace == asker.workspace))
    }
}
