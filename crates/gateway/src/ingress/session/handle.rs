//! What a session's client sends to mean it.
//!
//! It holds what was agreed on when the session was opened, sealed and bound to the
//! principal, the workspace and the route, so that any process with the key ring can go
//! on with the session and nobody else can use it or make one up.

use std::sync::Arc;
use std::time::Duration;

use quaymaster_control::keyring::{Binding, KeyRing};
use quaymaster_core::{Caller, InputAbilities, Raw, SessionId};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::{Opening, Session};
use crate::ingress::refusal::Refusal;
use crate::ingress::revision::Revision;

/// For how long a session that was put away can be gone on with.
const LIFETIME: Duration = Duration::from_hours(7 * 24);

const PURPOSE: &str = "session";

/// What is sealed.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Content {
    id: SessionId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    client: Option<Arc<str>>,
    revision: String,
    /// What the client can be asked, as capabilities.
    can: String,
}

/// What it takes to make a session of a handle, and a handle of a session.
#[derive(Clone, Copy)]
pub(in crate::ingress) struct Sealing<'a> {
    pub(in crate::ingress) ring: &'a KeyRing,
    /// Within what sessions live.
    pub(in crate::ingress) within: &'a CancellationToken,
    /// Makes an id that was never used.
    pub(in crate::ingress) fresh: &'a dyn Fn() -> SessionId,
}

fn bound<T>(caller: &Caller, run: impl FnOnce(&Binding<'_>) -> T) -> T {
    let holder = [caller.id.as_str(), caller.workspace.as_str(), caller.reach.as_str()];
    run(&Binding { purpose: PURPOSE, holder: &holder })
}

impl Session {
    /// A session of `caller` that begins now.
    ///
    /// # Errors
    ///
    /// If its handle cannot be sealed.
    pub(in crate::ingress) fn new(
        caller: &Caller,
        opening: Opening,
        Sealing { ring, within, fresh }: Sealing<'_>,
    ) -> Result<Self, Refusal> {
        let id = fresh();
        let content = Content {
            id: id.clone(),
            client: opening.client.clone(),
            revision: opening.revision.to_string(),
            can: opening.abilities.as_json(),
        };
        let content = serde_json::to_string(&content).map_err(|_| Refusal::internal())?;
        let handle = bound(caller, |binding| ring.seal(binding, &content, LIFETIME));
        let handle = handle.map_err(|_| Refusal::internal())?;
        Ok(Self::of(caller, (id, handle.into()), opening, (within, "")))
    }

    /// The session of `caller` that `handle` means, which is not in the table; none if it means none.
    pub(super) fn revived(
        handle: &str,
        caller: &Caller,
        Sealing { ring, within, fresh }: Sealing<'_>,
    ) -> Option<Self> {
        let content = bound(caller, |binding| ring.open(binding, handle)).ok()?;
        let Content { id, client, revision, can } = serde_json::from_str(&content).ok()?;
        let abilities = InputAbilities::read(Raw::read(&can).ok());
        let opening = Opening { client, revision: Revision::named(&revision)?, abilities };
        // An answer to what was asked elsewhere must not find a question of here.
        let tag = format!("{}-", fresh());
        let session = Self::of(caller, (id, handle.into()), opening, (within, &tag));
        // What was told meanwhile, nobody heard here.
        session.may_have_missed();
        Some(session)
    }
}
