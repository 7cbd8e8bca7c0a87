//! Who asks: tokens of this installation, access tokens of issuers, and the local user.
//!
//! This file owns which of them a request's credentials are. Tokens of this installation
//! are in `token`; those of issuers in `federation` and below it: `jwt` and `keys` verify,
//! `introspection` asks, `mapping` says what claims mean. What clients are told of where
//! tokens come from is in `protection`. People who log in at an issuer are in `login`; who is behind an
//! account is in `kin`, who asked before in `again`.
//!
//! Invariants:
//! - Nothing else is accepted, and nothing is ever read from a query string.
//! - An actor's clearance is the highest of its roles', and a role that the configuration
//!   does not declare gives nothing.
//! - Whatever does not count has one answer.

mod again;
mod checked;
mod config;
mod federation;
mod introspection;
mod issuer;
mod jwt;
mod keys;
mod kin;
mod login;
mod mapping;
mod protection;
mod source;
mod sources;
mod token;
pub mod web;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use quaymaster_core::actor::RoleConfig;
use quaymaster_core::{
    Actor, ActorId, Authentication, CallError, Clock, DataClass, ErrorCode, Role, Workspace,
};
use quaymaster_store::Store;
use sha2::{Digest, Sha256};

pub use self::again::LocalUser;
use self::again::Sightings;
pub use self::checked::{IdentityProblem, IdentitySettings, IssuerSettings};
pub use self::config::{
    IdentityConfig, IntrospectedTokens, IntrospectionConfig, IssuerConfig, LoginConfig, MappingConfig,
    ScopesConfig,
};
pub use self::federation::Federation;
pub use self::keys::SignatureAlgorithm;
pub use self::kin::{Kin, KinError, Ties};
pub use self::login::{Begun, LoginError, LoginWay, Returned, Voucher};
pub use self::mapping::Mapping;
pub use self::protection::{METADATA_PATH, Protection, is_plain_path};
pub use self::sources::Sources;
pub use self::token::{NewToken, TokenRequest, create_token};
use self::token::{PREFIX, Tokens};

/// What every role may see at most.
pub type Roles = BTreeMap<Role, RoleConfig>;

/// What a configuration declares that identities refer to.
#[derive(Clone, Debug)]
pub struct Declared {
    /// The roles.
    pub roles: Roles,
    /// The workspaces.
    pub workspaces: BTreeSet<Workspace>,
    /// The workspace that is meant where none is named.
    pub default_workspace: Workspace,
}

impl Declared {
    fn actor(&self, id: ActorId, mut roles: Vec<Role>, workspace: Workspace, by: Authentication) -> Actor {
        roles.retain(|role| self.roles.contains_key(role));
        roles.sort();
        roles.dedup();
        let clearances = roles.iter().filter_map(|role| self.roles.get(role)).map(|role| role.clearance);
        let clearance = clearances.max().unwrap_or(DataClass::Public);
        Actor {
            id,
            person: None,
            roles: roles.into(),
            groups: [].into(),
            workspace,
            clearance,
            authentication: by,
        }
    }
}

/// What a request shows, and where.
#[derive(Clone, Copy, Debug)]
pub struct Arrival<'a> {
    /// The value of the `Authorization` header.
    pub authorization: Option<&'a str>,
    /// The workspace named in the path, if any; a token counts in its own workspaces alone.
    pub workspace: Option<&'a str>,
    /// The path, such as `/mcp`.
    pub path: &'a str,
}

/// Establishes who asks.
#[derive(Debug)]
pub struct Identity {
    store: Store,
    clock: Arc<dyn Clock>,
    tokens: Tokens,
    declared: Declared,
    federation: Option<Federation>,
    local: Option<LocalUser>,
    sightings: Sightings,
}

impl Identity {
    /// Tokens of `store`, with what the configuration declares.
    pub fn new(store: Store, clock: Arc<dyn Clock>, declared: Declared) -> Self {
        let tokens = Tokens::new(store.clone(), Arc::clone(&clock));
        let (federation, local, sightings) = (None, None, Sightings::default());
        Self { store, clock, tokens, declared, federation, local, sightings }
    }

    /// The same with the issuers of `federation`.
    #[must_use]
    pub fn with_issuers(self, federation: Federation) -> Self {
        Self { federation: Some(federation), ..self }
    }

    /// The actor behind what a request shows.
    ///
    /// # Errors
    ///
    /// `auth.missing` without credentials; `auth.invalid` for any that do not count, without saying
    /// why: an attacker learns nothing from the answer. `auth.scope` for an access token that lacks the
    /// scope which everything needs. `gateway.*` if it could not be found out.
    pub async fn authenticate(&self, arrival: Arrival<'_>) -> Result<Arc<Actor>, CallError> {
        let Some(header) = arrival.authorization else {
            return Err(CallError::new(ErrorCode::AuthMissing, "this endpoint needs a bearer token")
                .hint("send `Authorization: Bearer <token>`; `quaymaster token create` makes one"));
        };
        let token = header
            .split_once(' ')
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map(|(_, token)| token.trim())
            .filter(|token| is_b64token(token))
            .ok_or_else(invalid)?;
        if !token.starts_with(PREFIX) {
            let federation = self.federation.as_ref().ok_or_else(invalid)?;
            let actor = federation.actor(token, &arrival).await?;
            self.sightings.note(&actor, &self.store, self.clock.as_ref()).await;
            return Ok(actor);
        }
        if token.len() >= 128 {
            return Err(invalid());
        }
        let is_foreign = |name: &str| self.federation.as_ref().is_some_and(|issuers| issuers.owns(name));
        let actor = self.tokens.actor(token, &self.declared, is_foreign).await?;
        if arrival.workspace.is_some_and(|named| named != actor.workspace.as_str()) {
            return Err(invalid());
        }
        Ok(actor)
    }

    /// How clients get access tokens; none without issuers.
    pub fn protection(&self) -> Option<Arc<Protection>> {
        self.federation.as_ref().and_then(Federation::protection)
    }
}

/// Whether `text` has the form of a bearer token (RFC 6750, section 2.1).
fn is_b64token(text: &str) -> bool {
    let bare = text.trim_end_matches('=');
    !bare.is_empty()
        && bare
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~' | b'+' | b'/'))
}

fn hash(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

fn invalid() -> CallError {
    CallError::new(
        ErrorCode::AuthInvalid,
        "the bearer token is unknown, expired, revoked or for another workspace or audience",
    )
}
