//! The keys that seal what is handed out and comes back: states, cursors, task ids.
//!
//! A handle is sealed with the newest key and opened with whichever key it names,
//! so keys can be rotated while handles are out. The ring is a file; whoever has
//! it (another replica, the next process) opens the same handles.
//!
//! Invariants:
//! - A handle opens for the purpose and the holder that it was sealed for, and for
//!   no other, until it expires. Nothing tells why one does not open.
//! - A key leaves the ring when [`MAX_KEYS`] newer ones were made, and not before.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use quaymaster_core::{Clock, Randomness, Timestamp};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, Zeroizing};

use crate::crypto::{CryptoError, SealingKey};
use crate::keyfile::{create_once, only_for_owner, replace};

/// How many keys a ring holds.
pub const MAX_KEYS: usize = 4;

/// The form of a handle; part of what is sealed.
const FORM: u8 = 1;

const KEY_BYTES: usize = 32;

/// How long a handle may be, in bytes.
const MAX_HANDLE_BYTES: usize = 16 * 1024;

/// How often the file is looked at for a key that is not known, and for a newer one.
const BETWEEN_LOOKS: Duration = Duration::from_secs(1);

/// The text of a handle is not one of ours, or not for this holder, or no longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the handle is unknown, expired or another's")]
pub struct Unopened;

/// What a handle is for, and for whom: all of it must be the same when it comes back.
#[derive(Clone, Copy, Debug)]
pub struct Binding<'a> {
    /// What it is for, such as `request-state`.
    pub purpose: &'static str,
    /// Who may use it: principal, workspace, request digest and the like, in order.
    pub holder: &'a [&'a str],
}

impl Binding<'_> {
    /// One text for one binding: every part is told apart by its length.
    fn as_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![FORM];
        for part in [self.purpose].iter().chain(self.holder) {
            bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
            bytes.extend_from_slice(part.as_bytes());
        }
        bytes
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct RingFile {
    /// Newest first.
    keys: Vec<KeyFile>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct KeyFile {
    id: u32,
    created_us: u64,
    /// 32 bytes in base64url.
    secret: String,
}

impl Drop for KeyFile {
    fn drop(&mut self) {
        self.secret.zeroize();
    }
}

/// Newest first, with their ids.
type Ring = Vec<(u32, SealingKey)>;

/// What may be known of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyAge {
    /// Its number; a newer key has a higher one.
    pub id: u32,
    /// When it was made.
    pub created: Timestamp,
}

/// When the file was last looked at for one reason, in microseconds since the Unix epoch.
#[derive(Debug)]
struct LastLook(AtomicU64);

impl LastLook {
    fn at(now: Timestamp) -> Self {
        Self(AtomicU64::new(now.as_micros()))
    }

    /// Whether it is time to look again; then somebody else need not for a while.
    fn is_over(&self, now: Timestamp) -> bool {
        let last = self.0.load(Ordering::Relaxed);
        now.since(Timestamp::from_micros(last)) >= BETWEEN_LOOKS
            && self.0.compare_exchange(last, now.as_micros(), Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

/// The keys of an installation for handles.
pub struct KeyRing {
    path: PathBuf,
    ring: Mutex<Arc<Ring>>,
    /// For a key that opens what the known ones do not.
    for_unknown: LastLook,
    /// For a newer key to seal with.
    for_newer: LastLook,
    clock: Arc<dyn Clock>,
    randomness: Arc<dyn Randomness>,
}

impl std::fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyRing").field("path", &self.path).finish_non_exhaustive()
    }
}

impl KeyRing {
    /// Reads the ring, or makes one with one key at the first start (mode 0600).
    ///
    /// # Errors
    ///
    /// [`CryptoError::KeyFile`] if the file is no ring, is open to others, or cannot be made.
    pub fn open_or_create(
        path: &Path,
        clock: Arc<dyn Clock>,
        randomness: Arc<dyn Randomness>,
    ) -> Result<Self, CryptoError> {
        let first = RingFile { keys: vec![new_key(1, clock.as_ref(), randomness.as_ref())] };
        let text = written(path, &first)?;
        create_once(path, text.as_bytes()).map_err(|e| fault(path, e.to_string()))?;
        let ring = Mutex::new(Arc::new(read(path, &randomness)?));
        let (for_unknown, for_newer) = (LastLook::at(clock.now()), LastLook::at(clock.now()));
        Ok(Self { path: path.to_owned(), ring, for_unknown, for_newer, clock, randomness })
    }

    /// The keys that the file holds, newest first, without their secrets.
    ///
    /// # Errors
    ///
    /// [`CryptoError::KeyFile`] if the file cannot be read.
    pub fn ages(&self) -> Result<Vec<KeyAge>, CryptoError> {
        let file = read_file(&self.path)?;
        let age = |key: &KeyFile| KeyAge { id: key.id, created: Timestamp::from_micros(key.created_us) };
        Ok(file.keys.iter().take(MAX_KEYS).map(age).collect())
    }

    /// Puts a new key in front; the oldest goes when there are more than [`MAX_KEYS`].
    ///
    /// Other processes see it when they meet a handle that was sealed with it, and seal
    /// with it themselves after a second at most.
    ///
    /// # Errors
    ///
    /// [`CryptoError::KeyFile`] if the file cannot be read or replaced.
    pub fn rotate(&self) -> Result<u32, CryptoError> {
        // Two that rotate at once would both make the same number.
        let lock = self.path.with_extension("lock");
        let lock = fs::File::create(&lock).and_then(|file| file.lock().map(|()| file));
        let _lock = lock.map_err(|e| fault(&self.path, format!("it cannot be locked: {e}")))?;
        let mut file = read_file(&self.path)?;
        let newest = file.keys.first().map_or(0, |key| key.id);
        let id = newest.checked_add(1).ok_or_else(|| fault(&self.path, "it has no room for a key".into()))?;
        file.keys.insert(0, new_key(id, self.clock.as_ref(), self.randomness.as_ref()));
        file.keys.truncate(MAX_KEYS);
        let text = written(&self.path, &file)?;
        replace(&self.path, text.as_bytes()).map_err(|e| fault(&self.path, e.to_string()))?;
        self.hold(read(&self.path, &self.randomness)?);
        Ok(id)
    }

    /// Seals `content` for `binding`; it opens for `lifetime`.
    ///
    /// # Errors
    ///
    /// [`CryptoError::Refused`] if the library refuses.
    pub fn seal(
        &self,
        binding: &Binding<'_>,
        content: &str,
        lifetime: Duration,
    ) -> Result<String, CryptoError> {
        let ring = if self.for_newer.is_over(self.clock.now()) { self.read_again() } else { self.ring() };
        let (id, key) = ring.first().ok_or(CryptoError::Refused)?;
        let expires = self.clock.now().as_micros().saturating_add(micros(lifetime));
        let mut plain = expires.to_be_bytes().to_vec();
        plain.extend_from_slice(content.as_bytes());
        let sealed = key.seal(&binding.as_bytes(), &plain)?;
        let mut handle = vec![FORM];
        handle.extend_from_slice(&id.to_be_bytes());
        handle.extend_from_slice(&sealed);
        Ok(URL_SAFE_NO_PAD.encode(handle))
    }

    /// What `handle` holds.
    ///
    /// # Errors
    ///
    /// [`Unopened`], whatever the reason.
    pub fn open(&self, binding: &Binding<'_>, handle: &str) -> Result<Zeroizing<String>, Unopened> {
        if handle.len() > MAX_HANDLE_BYTES {
            return Err(Unopened);
        }
        let bytes = URL_SAFE_NO_PAD.decode(handle).map_err(|_| Unopened)?;
        let (head, sealed) = bytes.split_first_chunk::<5>().ok_or(Unopened)?;
        let [FORM, id @ ..] = *head else { return Err(Unopened) };
        let id = u32::from_be_bytes(id);
        let ring = self.ring_with(id);
        let (_, key) = ring.iter().find(|(known, _)| *known == id).ok_or(Unopened)?;
        let plain = key.open(&binding.as_bytes(), sealed).map_err(|_| Unopened)?;
        let (expires, content) = plain.split_first_chunk::<8>().ok_or(Unopened)?;
        if u64::from_be_bytes(*expires) <= self.clock.now().as_micros() {
            return Err(Unopened);
        }
        String::from_utf8(content.to_vec()).map(Zeroizing::new).map_err(|_| Unopened)
    }

    /// Seals a key with the newest one for `binding`, without an end, and gives that one's number.
    ///
    /// What is sealed so has to be sealed anew ([`KeyRing::unwrap_key`]) before [`MAX_KEYS`] newer keys are made.
    ///
    /// # Errors
    ///
    /// [`CryptoError::Refused`] if the library refuses.
    pub fn wrap_key(&self, binding: &Binding<'_>, key: &[u8]) -> Result<(u32, Vec<u8>), CryptoError> {
        let ring = self.read_again();
        let (id, newest) = ring.first().ok_or(CryptoError::Refused)?;
        Ok((*id, newest.seal(&binding.as_bytes(), key)?))
    }

    /// Opens what [`KeyRing::wrap_key`] sealed with the key `id`.
    ///
    /// # Errors
    ///
    /// [`CryptoError::DoesNotOpen`] if it was sealed by another key or for something else.
    pub fn unwrap_key(
        &self,
        binding: &Binding<'_>,
        id: u32,
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
        let known = |ring: &Ring| ring.iter().any(|(known, _)| *known == id);
        let ring = Some(self.ring()).filter(|ring| known(ring)).unwrap_or_else(|| self.read_again());
        let (_, key) = ring.iter().find(|(known, _)| *known == id).ok_or(CryptoError::DoesNotOpen)?;
        key.open(&binding.as_bytes(), sealed)
    }

    fn ring(&self) -> Arc<Ring> {
        Arc::clone(&self.ring.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The ring; read again, not too often, if it has no key `id`.
    fn ring_with(&self, id: u32) -> Arc<Ring> {
        let ring = self.ring();
        let is_known = ring.iter().any(|(known, _)| *known == id);
        if is_known || !self.for_unknown.is_over(self.clock.now()) { ring } else { self.read_again() }
    }

    /// The ring as the file has it now; as it was, if the file cannot be read.
    fn read_again(&self) -> Arc<Ring> {
        match read(&self.path, &self.randomness) {
            Ok(ring) => self.hold(ring),
            Err(error) => {
                tracing::warn!(event = "keyring.read", %error, "the key ring could not be read again");
                self.ring()
            }
        }
    }

    fn hold(&self, ring: Ring) -> Arc<Ring> {
        let ring = Arc::new(ring);
        *self.ring.lock().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&ring);
        ring
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

fn new_key(id: u32, clock: &dyn Clock, randomness: &dyn Randomness) -> KeyFile {
    let mut secret = Zeroizing::new([0_u8; KEY_BYTES]);
    randomness.fill(secret.as_mut());
    KeyFile { id, created_us: clock.now().as_micros(), secret: URL_SAFE_NO_PAD.encode(secret.as_ref()) }
}

fn fault(path: &Path, reason: String) -> CryptoError {
    CryptoError::KeyFile { path: path.display().to_string(), reason }
}

fn written(path: &Path, file: &RingFile) -> Result<Zeroizing<String>, CryptoError> {
    let text = serde_json::to_string(file).map_err(|e| fault(path, e.to_string()))?;
    Ok(Zeroizing::new(text))
}

fn read_file(path: &Path) -> Result<RingFile, CryptoError> {
    only_for_owner(path).map_err(|reason| fault(path, reason))?;
    let text = fs::read(path).map(Zeroizing::new).map_err(|e| fault(path, e.to_string()))?;
    // The parser's own message could repeat what it read.
    serde_json::from_slice(&text).map_err(|_| fault(path, "it is no key ring".into()))
}

fn read(path: &Path, randomness: &Arc<dyn Randomness>) -> Result<Ring, CryptoError> {
    let file = read_file(path)?;
    let mut keys = Vec::new();
    for key in file.keys.iter().take(MAX_KEYS) {
        let bytes = URL_SAFE_NO_PAD.decode(key.secret.as_bytes()).map(Zeroizing::new);
        let usable = bytes.ok().and_then(|bytes| SealingKey::new(&bytes, Arc::clone(randomness)).ok());
        keys.push((key.id, usable.ok_or_else(|| fault(path, format!("its key {} is no key", key.id)))?));
    }
    if keys.is_empty() {
        return Err(fault(path, "it holds no key".into()));
    }
    Ok(keys)
}

#[cfg(test)]
mod tests;
