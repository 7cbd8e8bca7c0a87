//! Who asks: bearer tokens of this installation, and the local user.
//!
//! A token is 32 random bytes in base64url behind `qmt_`; the store keeps its
//! SHA-256 and its first characters. An actor's clearance is the highest of its
//! roles', and a role that the configuration does not declare gives nothing.
//! Nothing else is accepted, and nothing is ever read from a query string.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use quaymaster_core::actor::RoleConfig;
use quaymaster_core::{
    Actor, ActorId, Authentication, CallError, Clock, DataClass, ErrorCode, Memory, Randomness, Role,
    Timestamp, TokenId, Workspace,
};
use quaymaster_store::{Store, StoreError, TokenRow};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::approval::Asker;

const PREFIX: &str = "qmt_";
/// How many characters of a token are kept to recognise it by.
const SHOWN: usize = 12;
/// How long a verified token is trusted before the store is asked again: the
/// longest that a revocation by another process goes unnoticed.
const TRUSTED: Duration = Duration::from_secs(1);
/// How exactly the last use of a token is noted: each note is a durable write.
const NOTED: Duration = Duration::from_mins(5);
/// What every role may see at most.
pub type Roles = BTreeMap<Role, RoleConfig>;

/// What a new token is for.
#[derive(Clone, Debug)]
pub struct TokenRequest {
    /// Whom it authenticates.
    pub actor: ActorId,
    /// The roles that its bearer acts in.
    pub roles: Vec<Role>,
    /// The workspace that its bearer acts in.
    pub workspace: Workspace,
    /// How long it counts.
    pub lifetime: Duration,
    /// What it is for, in the words of whoever makes it.
    pub note: Option<String>,
}

/// A token that was made. The text is shown once and kept nowhere.
#[derive(Debug)]
pub struct NewToken {
    /// The token itself.
    pub text: Zeroizing<String>,
    /// What the store keeps.
    pub row: TokenRow,
}

/// Makes a token and keeps its hash.
///
/// # Errors
///
/// [`StoreError`] if the store does not take it.
pub async fn create_token(
    store: &Store,
    request: TokenRequest,
    clock: &dyn Clock,
    randomness: &dyn Randomness,
) -> Result<NewToken, StoreError> {
    let mut bytes = Zeroizing::new([0_u8; 32]);
    randomness.fill(bytes.as_mut());
    let text = Zeroizing::new(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes.as_ref())));
    let mut roles = request.roles;
    roles.sort();
    roles.dedup();
    let now = clock.now();
    let row = TokenRow {
        id: TokenId::new(clock, randomness),
        prefix: text.chars().take(SHOWN).collect(),
        hash: hash(&text),
        actor: request.actor,
        roles,
        workspace: request.workspace,
        created_us: now.as_micros(),
        expires_us: now.after(request.lifetime).as_micros(),
        revoked_us: None,
        last_used_us: None,
        note: request.note,
    };
    store.token_insert(&row).await?;
    Ok(NewToken { text, row })
}

fn hash(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

#[derive(Clone, Debug)]
struct Verified {
    actor: Arc<Actor>,
    expires: Timestamp,
    checked: Timestamp,
}

/// Establishes who asks.
#[derive(Debug)]
pub struct Identity {
    store: Store,
    clock: Arc<dyn Clock>,
    roles: Roles,
    verified: Memory<[u8; 32], Verified>,
}

impl Identity {
    /// Tokens of `store`, with clearances from `roles`.
    pub fn new(store: Store, clock: Arc<dyn Clock>, roles: Roles) -> Self {
        Self { store, clock, roles, verified: Memory::default() }
    }

    /// The actor behind an `Authorization` header. `workspace` is the one named in
    /// the path, if any; a token counts in its own workspace alone.
    ///
    /// # Errors
    ///
    /// `auth.missing` without credentials; `auth.invalid` for any that do not
    /// count, without saying why: an attacker learns nothing from the answer.
    pub async fn authenticate(
        &self,
        authorization: Option<&str>,
        workspace: Option<&str>,
    ) -> Result<Arc<Actor>, CallError> {
        let Some(header) = authorization else {
            return Err(CallError::new(ErrorCode::AuthMissing, "this endpoint needs a bearer token")
                .hint("send `Authorization: Bearer <token>`; `quaymaster token create` makes one"));
        };
        let token = header
            .split_once(' ')
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map(|(_, token)| token.trim())
            .filter(|token| token.starts_with(PREFIX) && token.len() < 128)
            .ok_or_else(invalid)?;
        let actor = self.verify(hash(token)).await?;
        if workspace.is_some_and(|named| named != actor.workspace.as_str()) {
            return Err(invalid());
        }
        Ok(actor)
    }

    async fn verify(&self, hash: [u8; 32]) -> Result<Arc<Actor>, CallError> {
        let now = self.clock.now();
        let known = self.verified.get(&hash);
        if let Some(known) = known.filter(|v| now.since(v.checked) < TRUSTED && now < v.expires) {
            return Ok(known.actor);
        }
        let row = self.store.token_by_hash(&hash).await.map_err(|e| {
            CallError::new(ErrorCode::GatewayInternal, "the token cannot be checked at the moment").because(e)
        })?;
        let row = row.filter(|row| row.revoked_us.is_none() && now.as_micros() < row.expires_us);
        let Some(row) = row else {
            self.verified.remove(&hash);
            return Err(invalid());
        };
        self.note_use(&row, now).await;
        let expires = Timestamp::from_micros(row.expires_us);
        let actor = Arc::new(self.actor(row.actor, row.roles, row.workspace, Authentication::Token(row.id)));
        self.verified.insert(hash, Verified { actor: Arc::clone(&actor), expires, checked: now });
        Ok(actor)
    }

    /// Notes now and then that a token is in use; that this fails keeps nobody out.
    async fn note_use(&self, row: &TokenRow, now: Timestamp) {
        let noted = row.last_used_us.map(Timestamp::from_micros);
        if noted.is_some_and(|last| now.since(last) < NOTED) {
            return;
        }
        if let Err(error) = self.store.token_touch(&row.id, now.as_micros()).await {
            tracing::warn!(event = "token.touch", %error, "the last use of a token could not be noted");
        }
    }

    /// Whoever asked for a call that was parked, in the roles that they had then and that there still
    /// are; none if the token that they used was revoked since.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the store fails.
    pub async fn again(&self, asker: &Asker) -> Result<Option<Arc<Actor>>, StoreError> {
        let by = match &asker.token {
            None if asker.authentication == Authentication::LocalUser.as_str() => Authentication::LocalUser,
            None => return Ok(None),
            Some(token) => {
                let Ok(id) = token.parse::<TokenId>() else { return Ok(None) };
                match self.store.token(&id).await? {
                    Some(row) if row.revoked_us.is_none() => Authentication::Token(id),
                    _ => return Ok(None),
                }
            }
        };
        let Some(id) = asker.actor() else { return Ok(None) };
        let person = asker.person.as_deref().and_then(|name| ActorId::parse(name).ok());
        let actor = self.actor(id, asker.roles.clone(), asker.workspace.clone(), by);
        Ok(Some(Arc::new(Actor { person, ..actor })))
    }

    /// The user of this machine, in the roles that the configuration gives.
    pub fn local_user(&self, id: ActorId, roles: Vec<Role>, workspace: Workspace) -> Arc<Actor> {
        Arc::new(self.actor(id, roles, workspace, Authentication::LocalUser))
    }

    fn actor(&self, id: ActorId, mut roles: Vec<Role>, workspace: Workspace, by: Authentication) -> Actor {
        roles.retain(|role| self.roles.contains_key(role));
        roles.sort();
        roles.dedup();
        let clearances = roles.iter().filter_map(|role| self.roles.get(role)).map(|role| role.clearance);
        let clearance = clearances.max().unwrap_or(DataClass::Public);
        Actor { id, person: None, roles: roles.into(), workspace, clearance, authentication: by }
    }
}

fn invalid() -> CallError {
    CallError::new(
        ErrorCode::AuthInvalid,
        "the bearer token is unknown, expired, revoked or for another workspace",
    )
}
