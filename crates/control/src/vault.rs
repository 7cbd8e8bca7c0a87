//! What people have stored for systems that are asked in their names.
//!
//! A token is sealed under a key of its own. That key is sealed under the person's key, so that what erases
//! them erases it, and then under the newest key of the ring, so that a rotation has only keys to wrap anew.
//! Both layers, and the token, are bound to workspace, connector, person and version.
//!
//! Invariants:
//! - A token opens in its row and in no other.
//! - Wrapping anew leaves the sealed token as it is, to the byte.
//! - No key of the ring goes while a token needs it.
//! - A running process uses what it remembers for [`REMEMBERED`] at most.

use std::sync::Arc;
use std::time::Duration;

use quaymaster_core::setting::Slug;
use quaymaster_core::{
    Actor, ActorId, CallError, CallerToken, CallerTokens, Clock, ErrorCode, Found, Memory, Randomness,
    Timestamp, Workspace,
};
use quaymaster_store::{CallerTokenKey, CallerTokenRow, Store};
use secrecy::{ExposeSecret as _, SecretString};
use zeroize::Zeroizing;

use crate::audit::{AuditError, Subject, Subjects};
use crate::crypto::{CryptoError, SealingKey};
use crate::keyring::{Binding, KeyRing};

/// How long a token, or that there is none, is remembered.
pub const REMEMBERED: Duration = Duration::from_secs(5);
/// Longest token, in bytes: what a header can hold.
pub const MAX_TOKEN_BYTES: usize = 8 * 1024;

const KEY_BYTES: usize = 32;
const TOKEN: &str = "caller token";

/// Why a token could not be stored or read. Says nothing of the token.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VaultError {
    /// The store or a key failed.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// A key does not open what it should, or the library refused.
    #[error(transparent)]
    Crypto(#[from] CryptoError),
    /// Somebody else stored one at the same moment.
    #[error("another token was stored for it at the same moment: try again")]
    Raced,
    /// The text can be no token.
    #[error("not a token: {0}")]
    NoToken(&'static str),
}

impl From<quaymaster_store::StoreError> for VaultError {
    fn from(error: quaymaster_store::StoreError) -> Self {
        Self::Audit(error.into())
    }
}

/// Whose token it is, and for what.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Owner {
    /// The workspace.
    pub workspace: Workspace,
    /// The connector.
    pub connector: Slug,
    /// The person or account that calls.
    pub actor: ActorId,
}

/// What may be known of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredToken {
    /// Whose it is, and for what. None as the actor is somebody whose key was destroyed.
    pub workspace: String,
    /// The connector.
    pub connector: String,
    /// Whose it is.
    pub actor: Option<ActorId>,
    /// The first has 1.
    pub version: u64,
    /// When it was stored.
    pub stored: Timestamp,
    /// When it ends, where that is known.
    pub expires: Option<Timestamp>,
}

/// The vault.
#[derive(Debug)]
pub struct Vault {
    store: Store,
    subjects: Arc<Subjects>,
    ring: Arc<KeyRing>,
    clock: Arc<dyn Clock>,
    randomness: Arc<dyn Randomness>,
    known: Memory<Owner, (Timestamp, Option<Arc<CallerToken>>)>,
}

/// The parts that a token is bound to.
struct Bound<'a> {
    row: &'a CallerTokenKey,
    version: String,
}

impl<'a> Bound<'a> {
    fn new(row: &'a CallerTokenKey, version: u64) -> Self {
        Self { row, version: version.to_string() }
    }

    fn parts(&self) -> [&str; 4] {
        [&self.row.workspace, &self.row.connector, &self.row.subject, &self.version]
    }

    /// For one layer: every part is told apart by its length.
    fn purpose(&self, layer: &str) -> String {
        let mut text = format!("{TOKEN} {layer}");
        for part in self.parts() {
            text.extend([" ", &part.len().to_string(), ":", part]);
        }
        text
    }
}

impl Vault {
    /// The vault in `store`.
    pub fn new(
        store: Store,
        (subjects, ring): (Arc<Subjects>, Arc<KeyRing>),
        clock: Arc<dyn Clock>,
        randomness: Arc<dyn Randomness>,
    ) -> Self {
        Self { store, subjects, ring, clock, randomness, known: Memory::default() }
    }

    /// Stores `token` for `owner` instead of the one that there is, and gives its version.
    ///
    /// # Errors
    ///
    /// [`VaultError`].
    pub async fn put(
        &self,
        owner: &Owner,
        token: &SecretString,
        expires: Option<Timestamp>,
    ) -> Result<u64, VaultError> {
        check(token.expose_secret())?;
        let subject = self.subjects.of(&owner.actor).await?;
        let key = row_key(owner, &subject);
        let before = self.store.caller_token(&key).await?;
        let version = before.map_or(1, |row| row.version.saturating_add(1));
        let bound = Bound::new(&key, version);
        let mut data_key = Zeroizing::new([0_u8; KEY_BYTES]);
        self.randomness.fill(data_key.as_mut());
        let sealing = SealingKey::new(data_key.as_ref(), Arc::clone(&self.randomness))?;
        let sealed = sealing.seal(bound.purpose("content").as_bytes(), token.expose_secret().as_bytes())?;
        let inner = subject.seal_for(&bound.purpose("key"), data_key.as_ref())?;
        let (ring_key, wrapped_key) = self.ring.wrap_key(&binding(&bound.parts()), &inner)?;
        let stored_us = self.clock.now().as_micros();
        let expires_us = expires.map(Timestamp::as_micros);
        let row = CallerTokenRow { key, version, sealed, wrapped_key, ring_key, stored_us, expires_us };
        self.known.remove(owner);
        if self.store.caller_token_store(&row).await? { Ok(version) } else { Err(VaultError::Raced) }
    }

    /// Removes the token of `owner`; false if there is none.
    ///
    /// # Errors
    ///
    /// [`VaultError`] if the store or a key fails.
    pub async fn remove(&self, owner: &Owner) -> Result<bool, VaultError> {
        self.known.remove(owner);
        let Some(subject) = self.subjects.find(&owner.actor).await? else { return Ok(false) };
        Ok(self.store.caller_token_remove(&row_key(owner, &subject)).await?)
    }

    /// All tokens, without their texts.
    ///
    /// # Errors
    ///
    /// [`VaultError`] if the store or a key fails.
    pub async fn list(&self) -> Result<Vec<StoredToken>, VaultError> {
        let names = self.subjects.by_commitment().await?;
        let mut all = Vec::new();
        let mut after =
            CallerTokenKey { workspace: String::new(), connector: String::new(), subject: String::new() };
        loop {
            let page = self.store.caller_tokens(&after).await?;
            let Some(last) = page.last() else { return Ok(all) };
            after = last.key.clone();
            all.extend(page.into_iter().map(|row| StoredToken {
                actor: names.get(row.key.subject.as_str()).cloned(),
                workspace: row.key.workspace,
                connector: row.key.connector,
                version: row.version,
                stored: Timestamp::from_micros(row.stored_us),
                expires: row.expires_us.map(Timestamp::from_micros),
            }));
        }
    }

    /// Puts the newest key of the ring round every key of a token that is wrapped by an older one, and gives
    /// how many those were. The tokens themselves are not opened.
    ///
    /// # Errors
    ///
    /// [`VaultError`] if the store or a key fails. What was wrapped before that is as it should be.
    pub async fn rewrap(&self) -> Result<u64, VaultError> {
        let mut count = 0;
        loop {
            // Looked at each time: somebody may make another one meanwhile.
            let newest = self.ring.ages()?.first().map_or(0, |key| key.id);
            let page = self.store.caller_tokens_not_wrapped_by(newest).await?;
            if page.is_empty() {
                return Ok(count);
            }
            for row in page {
                let bound = Bound::new(&row.key, row.version);
                let inner = self.ring.unwrap_key(&binding(&bound.parts()), row.ring_key, &row.wrapped_key)?;
                let (ring_key, wrapped) = self.ring.wrap_key(&binding(&bound.parts()), &inner)?;
                // A token that was replaced meanwhile is wrapped by the newest key already.
                count += u64::from(self.store.caller_token_rewrap(&row, &wrapped, ring_key).await?);
            }
        }
    }

    /// The token of `owner`; none if there is none, or it has ended.
    ///
    /// # Errors
    ///
    /// [`VaultError`] if the store or a key fails.
    pub async fn open(&self, owner: &Owner) -> Result<Option<CallerToken>, VaultError> {
        let Some(subject) = self.subjects.find(&owner.actor).await? else { return Ok(None) };
        let Some(row) = self.store.caller_token(&row_key(owner, &subject)).await? else { return Ok(None) };
        if row.expires_us.is_some_and(|end| end <= self.clock.now().as_micros()) {
            return Ok(None);
        }
        let bound = Bound::new(&row.key, row.version);
        let inner = self.ring.unwrap_key(&binding(&bound.parts()), row.ring_key, &row.wrapped_key)?;
        let data_key = subject.open_for(&bound.purpose("key"), &inner)?;
        let sealing = SealingKey::new(&data_key, Arc::clone(&self.randomness))?;
        let plain = sealing.open(bound.purpose("content").as_bytes(), &row.sealed)?;
        let text = std::str::from_utf8(&plain).map_err(|_| CryptoError::DoesNotOpen)?;
        Ok(Some(CallerToken { version: row.version, text: SecretString::from(text) }))
    }

    async fn look(&self, owner: Owner, refused: Option<u64>) -> Result<Option<Arc<CallerToken>>, CallError> {
        let now = self.clock.now();
        let known = self.known.get(&owner).filter(|(read, _)| now.since(*read) < REMEMBERED);
        if let Some((_, token)) = known.filter(|_| refused.is_none()) {
            return Ok(token);
        }
        let token = self.open(&owner).await.map_err(|error| {
            let message = "the vault with the callers' tokens cannot be read";
            CallError::new(ErrorCode::SecretUnavailable, message).because(error.to_string())
        })?;
        let token = token.map(Arc::new);
        self.known.insert(owner, (now, token.clone()));
        Ok(token)
    }
}

impl CallerTokens for Vault {
    fn find<'a>(&'a self, connector: &'a Slug, actor: &'a Actor, refused: Option<u64>) -> Found<'a> {
        let owner = Owner {
            workspace: actor.workspace.clone(),
            connector: connector.clone(),
            actor: actor.id.clone(),
        };
        Box::pin(self.look(owner, refused))
    }
}

fn row_key(owner: &Owner, subject: &Subject) -> CallerTokenKey {
    CallerTokenKey {
        workspace: owner.workspace.as_str().into(),
        connector: owner.connector.as_str().into(),
        subject: subject.commitment().to_string(),
    }
}

fn binding<'a>(parts: &'a [&'a str]) -> Binding<'a> {
    Binding { purpose: TOKEN, holder: parts }
}

fn check(token: &str) -> Result<(), VaultError> {
    if token.is_empty() {
        return Err(VaultError::NoToken("it is empty"));
    }
    if token.len() > MAX_TOKEN_BYTES {
        return Err(VaultError::NoToken("it is longer than 8 KiB"));
    }
    if !token.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ') {
        return Err(VaultError::NoToken("it has characters that a header cannot hold"));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
