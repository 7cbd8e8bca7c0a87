//! One key for each actor: names stay out of the log, and can be forgotten.
//!
//! An actor's key is made at its first call, wrapped by the installation's
//! sealing key and kept in the store. With it the actor's id becomes a keyed
//! commitment in the records, and what is sealed beside them can be opened.
//! Destroying the key makes both meaningless without touching a record. What else is kept about a person is
//! sealed under their key as well, behind their commitment, by which whoever reads it finds the key, and
//! which says nothing once the key is gone.
//!
//! One more key, under the empty name, which no actor has, is the canary: it shows
//! at the start whether the sealing key at hand is the one that wrapped the others.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use quaymaster_core::arguments::push_hex;
use quaymaster_core::{ActorId, Clock, FoldedName, Memory, Randomness, Timestamp};
use quaymaster_store::Store;
use zeroize::Zeroizing;

use crate::audit::AuditError;
use crate::crypto::{CryptoError, KEYED_DIGEST, SealingKey};

/// What begins a text that is sealed under its subject's key: the form, then the commitment's 32 bytes.
const ABOUT: &[u8; 8] = b"qm-subj1";
/// How long a key that was read is used without asking whether it still exists.
const FRESH: Duration = Duration::from_mins(1);

/// The key of one actor, and what the log calls it.
#[derive(Debug)]
pub struct Subject {
    key: SealingKey,
    commitment: Arc<str>,
    /// When it was read.
    read: Timestamp,
}

impl Subject {
    /// What the records call the actor.
    pub fn commitment(&self) -> &Arc<str> {
        &self.commitment
    }

    /// Seals `plain` under the actor's key, for `purpose` alone.
    ///
    /// # Errors
    ///
    /// [`AuditError::Crypto`] if the library refuses.
    pub fn seal_for(&self, purpose: &str, plain: &[u8]) -> Result<Vec<u8>, AuditError> {
        Ok(self.key.seal(purpose.as_bytes(), plain)?)
    }

    /// Opens what [`Subject::seal_for`] made for this purpose.
    ///
    /// # Errors
    ///
    /// [`AuditError::Crypto`] if it was not sealed by this key for this purpose.
    pub fn open_for(&self, purpose: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, AuditError> {
        Ok(self.key.open(purpose.as_bytes(), sealed)?)
    }

    fn open_text(&self, purpose: &str, sealed: &[u8]) -> Result<String, AuditError> {
        let bytes = self.open_for(purpose, sealed)?;
        String::from_utf8(bytes.to_vec()).map_err(|_| CryptoError::DoesNotOpen.into())
    }

    /// Seals `plain` under the actor's key, for one record.
    ///
    /// # Errors
    ///
    /// [`AuditError::Crypto`] if the library refuses.
    pub fn seal(&self, call: &str, plain: &[u8]) -> Result<Vec<u8>, AuditError> {
        Ok(self.key.seal(&purpose(call), plain)?)
    }

    /// Commits to `plain` under the actor's key, for one record, where it is not kept.
    pub fn commit_to(&self, call: &str, plain: &[u8]) -> String {
        self.key.commitment(&[&purpose(call), plain].concat())
    }

    /// Opens what [`Subject::seal`] made for the record of `call`.
    ///
    /// # Errors
    ///
    /// [`AuditError::Crypto`] if it was not sealed by this key for this call.
    pub fn open(&self, call: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, AuditError> {
        Ok(self.key.open(&purpose(call), sealed)?)
    }
}

/// The name of the canary. No [`ActorId`] is empty.
const CANARY: &str = "";

fn purpose(call: &str) -> Vec<u8> {
    [b"decision input of ", call.as_bytes()].concat()
}

/// The keys of all actors.
#[derive(Debug)]
pub struct Subjects {
    store: Store,
    sealing: Arc<SealingKey>,
    clock: Arc<dyn Clock>,
    randomness: Arc<dyn Randomness>,
    cached: Memory<ActorId, Arc<Subject>>,
    /// The same by the bytes of their commitments.
    known: Memory<[u8; 32], Arc<Subject>>,
}

impl Subjects {
    /// The keys that `store` holds, wrapped by `sealing`.
    pub fn new(
        store: Store,
        sealing: Arc<SealingKey>,
        clock: Arc<dyn Clock>,
        randomness: Arc<dyn Randomness>,
    ) -> Self {
        Self { store, sealing, clock, randomness, cached: Memory::default(), known: Memory::default() }
    }

    /// The installation's key.
    pub fn sealing_key(&self) -> &Arc<SealingKey> {
        &self.sealing
    }

    /// Whether `store` holds what a sealing key wrapped.
    ///
    /// # Errors
    ///
    /// [`AuditError::Store`] if the store fails.
    pub async fn are_in(store: &Store) -> Result<bool, AuditError> {
        Ok(store.subject_key(CANARY).await?.is_some())
    }

    /// Proves that the sealing key opens what the store holds; on the first start
    /// leaves there what later starts prove it with.
    ///
    /// # Errors
    ///
    /// [`AuditError::Crypto`] with [`CryptoError::DoesNotOpen`](crate::crypto::CryptoError::DoesNotOpen)
    /// if another key sealed it; [`AuditError`] if the store or the sealing key fails.
    pub async fn confirm(&self) -> Result<(), AuditError> {
        let wrapped = match self.store.subject_key(CANARY).await? {
            Some(wrapped) => wrapped,
            None => self.create(CANARY).await?,
        };
        self.sealing.open(&wrapping(CANARY), &wrapped)?;
        self.name_the_nameless().await
    }

    /// Keys that older versions made are not found by their commitment yet.
    async fn name_the_nameless(&self) -> Result<(), AuditError> {
        loop {
            let page = self.store.subjects_nameless().await?;
            if page.is_empty() {
                return Ok(());
            }
            for (name, wrapped) in page {
                let bytes = self.sealing.open(&wrapping(&name), &wrapped)?;
                let key = SealingKey::new(&bytes, Arc::clone(&self.randomness))?;
                self.store.subject_known_as(&name, &key.commitment(name.as_bytes())).await?;
            }
        }
    }

    /// The key of `actor`, made if it has none yet.
    ///
    /// # Errors
    ///
    /// [`AuditError`] if the store or the sealing key fails.
    pub async fn of(&self, actor: &ActorId) -> Result<Arc<Subject>, AuditError> {
        if let Some(subject) = self.cached.get(actor).filter(|subject| self.is_fresh(subject)) {
            return Ok(subject);
        }
        let wrapped = match self.store.subject_key(actor.as_str()).await? {
            Some(wrapped) => wrapped,
            None => self.create(actor.as_str()).await?,
        };
        self.unwrap(actor, &wrapped)
    }

    /// The key of `actor`, if it has one.
    ///
    /// # Errors
    ///
    /// [`AuditError`] if the store or the sealing key fails.
    pub async fn find(&self, actor: &ActorId) -> Result<Option<Arc<Subject>>, AuditError> {
        match self.store.subject_key(actor.as_str()).await? {
            Some(wrapped) => self.unwrap(actor, &wrapped).map(Some),
            None => Ok(None),
        }
    }

    /// Seals a name under the installation's own key, for `purpose` alone: whoever reads it can
    /// find the key of its bearer.
    ///
    /// # Errors
    ///
    /// [`AuditError::Crypto`] if the library refuses.
    pub fn seal_name(&self, purpose: &str, name: &str) -> Result<Vec<u8>, AuditError> {
        Ok(self.sealing.seal(purpose.as_bytes(), name.as_bytes())?)
    }

    /// Opens what [`Subjects::seal_name`] made for this purpose.
    ///
    /// # Errors
    ///
    /// [`AuditError::Crypto`] if it was not sealed by this key for this purpose.
    pub fn open_name(&self, purpose: &str, sealed: &[u8]) -> Result<String, AuditError> {
        let bytes = self.sealing.open(purpose.as_bytes(), sealed)?;
        String::from_utf8(bytes.to_vec()).map_err(|_| CryptoError::DoesNotOpen.into())
    }

    /// Seals `text` for `purpose` alone under the key of `actor`, whom it is about: gone with that key.
    ///
    /// # Errors
    ///
    /// [`AuditError`] if the store or a key fails.
    pub async fn seal_about(
        &self,
        actor: &ActorId,
        purpose: &str,
        text: &str,
    ) -> Result<Vec<u8>, AuditError> {
        let subject = self.of(actor).await?;
        let mut sealed = ABOUT.to_vec();
        sealed.extend_from_slice(&digest_of(subject.commitment()).ok_or(CryptoError::Refused)?);
        sealed.extend_from_slice(&subject.seal_for(purpose, text.as_bytes())?);
        Ok(sealed)
    }

    /// Opens what [`Subjects::seal_about`] made for this purpose, or [`Subjects::seal_name`] in older versions;
    /// none if the key of whom it is about was destroyed.
    ///
    /// # Errors
    ///
    /// [`AuditError`] if the store or a key fails, or it was sealed for another purpose.
    pub async fn open_about(&self, purpose: &str, sealed: &[u8]) -> Result<Option<String>, AuditError> {
        let Some((commitment, sealed)) = sealed.strip_prefix(ABOUT).and_then(<[u8]>::split_first_chunk::<32>)
        else {
            return self.open_name(purpose, sealed).map(Some);
        };
        if let Some(subject) = self.known.get(commitment).filter(|subject| self.is_fresh(subject)) {
            return subject.open_text(purpose, sealed).map(Some);
        }
        let mut name = KEYED_DIGEST.to_owned();
        push_hex(&mut name, commitment);
        let Some((actor, wrapped)) = self.store.subject_by_commitment(&name).await? else { return Ok(None) };
        let actor = ActorId::parse(&actor).map_err(|_| CryptoError::DoesNotOpen)?;
        let subject = self.unwrap(&actor, &wrapped)?;
        self.known.insert(*commitment, Arc::clone(&subject));
        subject.open_text(purpose, sealed).map(Some)
    }

    /// Everybody who has a key and whose name is taken for `name`, however it is spelled.
    ///
    /// # Errors
    ///
    /// [`AuditError`] if the store or a key fails.
    pub async fn spelled(&self, name: &FoldedName) -> Result<Vec<(ActorId, Arc<Subject>)>, AuditError> {
        let (mut all, mut after) = (Vec::new(), String::new());
        loop {
            let page = self.store.subject_names(&after).await?;
            let Some(last) = page.last() else { return Ok(all) };
            after.clone_from(last);
            let actors = page.iter().filter_map(|name| ActorId::parse(name).ok());
            for actor in actors.filter(|actor| actor.folded() == *name) {
                if let Some(subject) = self.find(&actor).await? {
                    all.push((actor, subject));
                }
            }
        }
    }

    /// Forgets what this process remembers of a key that was destroyed.
    pub(crate) fn forget(&self, actor: &ActorId, subject: &Subject) {
        self.cached.remove(actor);
        if let Some(commitment) = digest_of(&subject.commitment) {
            self.known.remove(&commitment);
        }
    }

    /// Somebody may have destroyed a key: what a process remembers must not outlive it for long.
    fn is_fresh(&self, subject: &Subject) -> bool {
        self.clock.now().since(subject.read) < FRESH
    }

    /// Every actor that has a key, by its commitment. Whoever was erased is not among them.
    ///
    /// # Errors
    ///
    /// [`AuditError`] if the store or the sealing key fails.
    pub async fn by_commitment(&self) -> Result<HashMap<Arc<str>, ActorId>, AuditError> {
        let (mut all, mut after) = (HashMap::new(), String::new());
        loop {
            let page = self.store.subject_names(&after).await?;
            let Some(last) = page.last() else { return Ok(all) };
            after.clone_from(last);
            for actor in page.iter().filter_map(|name| ActorId::parse(name).ok()) {
                if let Some(subject) = self.find(&actor).await? {
                    all.insert(Arc::clone(subject.commitment()), actor);
                }
            }
        }
    }

    async fn create(&self, name: &str) -> Result<Vec<u8>, AuditError> {
        let mut fresh = Zeroizing::new([0_u8; 32]);
        self.randomness.fill(fresh.as_mut());
        let wrapped = self.sealing.seal(&wrapping(name), fresh.as_ref())?;
        let commitment = match name {
            CANARY => None,
            name => Some(
                SealingKey::new(fresh.as_ref(), Arc::clone(&self.randomness))?.commitment(name.as_bytes()),
            ),
        };
        // Two processes may race for a new name; the store says whose key it is.
        let (known_as, now) = (commitment.as_deref(), self.clock.now().as_micros());
        Ok(self.store.subject_insert(name, &wrapped, known_as, now).await?)
    }

    fn unwrap(&self, actor: &ActorId, wrapped: &[u8]) -> Result<Arc<Subject>, AuditError> {
        let bytes = self.sealing.open(&wrapping(actor.as_str()), wrapped)?;
        let key = SealingKey::new(&bytes, Arc::clone(&self.randomness))?;
        let commitment = key.commitment(actor.as_str().as_bytes()).into();
        let subject = Arc::new(Subject { key, commitment, read: self.clock.now() });
        self.cached.insert(actor.clone(), Arc::clone(&subject));
        Ok(subject)
    }
}

/// The 32 bytes of a commitment.
fn digest_of(commitment: &str) -> Option<[u8; 32]> {
    let mut digits = commitment.strip_prefix(KEYED_DIGEST)?.chars().map(|digit| digit.to_digit(16));
    let mut bytes = [0; 32];
    for byte in &mut bytes {
        let both = digits.next()??.checked_mul(16)?.checked_add(digits.next()??)?;
        *byte = u8::try_from(both).ok()?;
    }
    Some(bytes)
}

fn wrapping(name: &str) -> Vec<u8> {
    [b"key of subject ", name.as_bytes()].concat()
}
