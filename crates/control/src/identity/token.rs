//! Bearer tokens of this installation: 32 random bytes in base64url behind `qmt_`.
//!
//! The store keeps a token's SHA-256 and its first characters, never the token.
//!
//! Invariants:
//! - A revocation counts at once in the process that it is made in, and within a second in others.
//! - A token never gives an actor that is called like those of an issuer.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use quaymaster_core::{
    Actor, ActorId, Authentication, CallError, Clock, ErrorCode, Memory, Randomness, Role, Timestamp,
    TokenId, Workspace,
};
use quaymaster_store::{Store, StoreError, TokenRow};
use zeroize::Zeroizing;

use super::{Declared, hash, invalid};

/// How every token begins.
pub(super) const PREFIX: &str = "qmt_";
/// How many characters of a token are kept to recognise it by.
const SHOWN: usize = 12;
/// How long a verified token is trusted before the store is asked again: the
/// longest that a revocation by another process goes unnoticed.
const TRUSTED: Duration = Duration::from_secs(1);
/// How exactly the last use of a token is noted: each note is a durable write.
const NOTED: Duration = Duration::from_mins(5);

/// What a new token is for.
#[derive(Clone, Debug)]
pub struct TokenRequest {
    /// Whom it authenticates.
    pub actor: ActorId,
    /// The person behind the actor, where that is another name: of a service account, its owner.
    pub person: Option<ActorId>,
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
        person: request.person,
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

#[derive(Clone, Debug)]
struct Verified {
    actor: Arc<Actor>,
    expires: Timestamp,
    checked: Timestamp,
}

/// The tokens of this installation.
#[derive(Debug)]
pub(super) struct Tokens {
    store: Store,
    clock: Arc<dyn Clock>,
    verified: Memory<[u8; 32], Verified>,
}

impl Tokens {
    pub(super) fn new(store: Store, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock, verified: Memory::default() }
    }

    /// The actor that bears `token`. `is_foreign` says whether a name is one of an issuer's actors.
    pub(super) async fn actor(
        &self,
        token: &str,
        declared: &Declared,
        is_foreign: impl Fn(&str) -> bool,
    ) -> Result<Arc<Actor>, CallError> {
        let (hash, now) = (hash(token), self.clock.now());
        let known = self.verified.get(&hash);
        // A clock that went back says nothing of how long ago that was.
        let counts = |v: &Verified| v.checked <= now && now.since(v.checked) < TRUSTED && now < v.expires;
        if let Some(known) = known.filter(counts) {
            return Ok(known.actor);
        }
        let row = self.store.token_by_hash(&hash).await.map_err(|e| {
            CallError::new(ErrorCode::GatewayInternal, "the token cannot be checked at the moment").because(e)
        })?;
        // The store finds a row by an index, in a time that may tell of hashes. That helps nobody: whoever
        // learns the hash of a token cannot make the token of it, and cannot choose the hash of another.
        let row = row.filter(|row| verify_slices_are_equal(&row.hash, &hash).is_ok());
        let row = row.filter(|row| row.revoked_us.is_none() && now.as_micros() < row.expires_us);
        let Some(row) = row.filter(|row| !is_called_like_another(row, &is_foreign)) else {
            self.verified.remove(&hash);
            return Err(invalid());
        };
        self.note_use(&row, now).await;
        let expires = Timestamp::from_micros(row.expires_us);
        let actor = declared.actor(row.actor, row.roles, row.workspace, Authentication::Token(row.id));
        let actor = Arc::new(Actor { person: row.person, ..actor });
        self.verified.insert(hash, Verified { actor: Arc::clone(&actor), expires, checked: now });
        Ok(actor)
    }

    /// The token with this id, unless it was revoked. That its time is over does not matter here.
    pub(super) async fn still_counts(&self, id: &str) -> Result<Option<TokenRow>, StoreError> {
        let Ok(id) = id.parse::<TokenId>() else { return Ok(None) };
        let row = self.store.token(&id).await?;
        Ok(row.filter(|row| row.revoked_us.is_none()))
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
}

/// Whether a token has the name of an issuer's actor, which no token gets any more.
fn is_called_like_another(row: &TokenRow, is_foreign: impl Fn(&str) -> bool) -> bool {
    let is_foreign = is_foreign(row.actor.as_str());
    if is_foreign {
        tracing::warn!(
            event = "identity.name",
            token = row.id.as_str(),
            "a token whose actor is called like those of an issuer does not count"
        );
    }
    is_foreign
}
