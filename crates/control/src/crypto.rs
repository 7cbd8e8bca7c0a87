//! Cryptography: randomness, keyed commitments and sealing.
//!
//! One key per installation (the sealing key) wraps one key per subject; the
//! subject's key makes commitments to its name and seals what is about it, so
//! that destroying that one key makes both unreadable. Algorithms: AES-256-GCM
//! (NIST SP 800-38D) with random nonces, HMAC-SHA-256 (RFC 2104).

use std::cell::RefCell;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hmac;
use quaymaster_core::Randomness;
use quaymaster_core::arguments::push_hex;
use zeroize::{Zeroize, Zeroizing};

use crate::keyfile::{create_once, only_for_owner};

const KEY_BYTES: usize = 32;

/// How a commitment begins.
pub const KEYED_DIGEST: &str = "hmac-sha256:";

/// Why something could not be sealed or opened. Says nothing of the content.
#[derive(Debug, thiserror::Error)]
pub enum CryptoError {
    /// The key file cannot be read or made.
    #[error("the sealing key {path} cannot be used: {reason}")]
    KeyFile {
        /// The file.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The bytes were not sealed with this key for this purpose, or were changed.
    #[error("sealed bytes do not open: another key, another purpose, or changed")]
    DoesNotOpen,
    /// The library refused.
    #[error("the cryptographic library refused to seal")]
    Refused,
}

/// The machine's random number generator.
///
/// Each thread draws a pool at a time, which costs little more than a few bytes; a
/// byte is handed out once and leaves the pool.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemRandomness;

const POOL_BYTES: usize = 512;

thread_local! {
    static POOL: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

impl Randomness for SystemRandomness {
    fn fill(&self, bytes: &mut [u8]) {
        if bytes.len() >= POOL_BYTES {
            return draw(bytes);
        }
        POOL.with_borrow_mut(|pool| {
            if pool.len() < bytes.len() {
                pool.resize(POOL_BYTES, 0);
                draw(pool);
            }
            let left = pool.len() - bytes.len();
            let (_, mine) = pool.split_at_mut(left);
            bytes.copy_from_slice(mine);
            mine.zeroize();
            pool.truncate(left);
        });
    }
}

fn draw(bytes: &mut [u8]) {
    // The library aborts rather than returns where the system has no randomness;
    // what it returned as an error would leave predictable bytes behind.
    if aws_lc_rs::rand::fill(bytes).is_err() {
        std::process::abort();
    }
}

/// A key that seals and opens, and makes commitments.
pub struct SealingKey {
    aead: LessSafeKey,
    commit: hmac::Key,
    /// Of which other keys are made. No commitment is one of them.
    derive: hmac::Key,
    randomness: Arc<dyn Randomness>,
}

impl std::fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SealingKey(..)")
    }
}

impl SealingKey {
    /// A key of the given 32 bytes.
    ///
    /// # Errors
    ///
    /// [`CryptoError::Refused`] if there are not 32.
    pub fn new(bytes: &[u8], randomness: Arc<dyn Randomness>) -> Result<Self, CryptoError> {
        let unbound = UnboundKey::new(&AES_256_GCM, bytes).map_err(|_| CryptoError::Refused)?;
        let root = hmac::Key::new(hmac::HMAC_SHA256, bytes);
        let commit = hmac::sign(&root, b"quaymaster commitment v1");
        let derive = hmac::sign(&root, b"quaymaster derived keys v1");
        Ok(Self {
            aead: LessSafeKey::new(unbound),
            commit: hmac::Key::new(hmac::HMAC_SHA256, commit.as_ref()),
            derive: hmac::Key::new(hmac::HMAC_SHA256, derive.as_ref()),
            randomness,
        })
    }

    /// Reads the key of this installation, or makes it on the first start (mode 0600).
    ///
    /// # Errors
    ///
    /// [`CryptoError::KeyFile`] if the file is not a key, is open to others, or cannot be made.
    pub fn open_or_create(path: &Path, randomness: Arc<dyn Randomness>) -> Result<Self, CryptoError> {
        let fault = |reason: String| CryptoError::KeyFile { path: path.display().to_string(), reason };
        let mut fresh = Zeroizing::new([0_u8; KEY_BYTES]);
        randomness.fill(fresh.as_mut());
        create_once(path, fresh.as_ref()).map_err(|e| fault(e.to_string()))?;
        only_for_owner(path).map_err(fault)?;
        let mut bytes = fs::read(path).map_err(|e| fault(e.to_string()))?;
        let key = Self::new(&bytes, randomness)
            .map_err(|_| fault(format!("it holds {} bytes, not 32", bytes.len())));
        bytes.zeroize();
        key
    }

    /// Seals `plain` for `purpose`; opening needs the same purpose.
    ///
    /// # Errors
    ///
    /// [`CryptoError::Refused`] if the library refuses.
    pub fn seal(&self, purpose: &[u8], plain: &[u8]) -> Result<Vec<u8>, CryptoError> {
        let mut nonce = [0_u8; NONCE_LEN];
        self.randomness.fill(&mut nonce);
        let mut sealed = Vec::with_capacity(NONCE_LEN + plain.len() + AES_256_GCM.tag_len());
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(plain);
        let body = sealed.get_mut(NONCE_LEN..).unwrap_or_default();
        let tag = self
            .aead
            .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), Aad::from(purpose), body)
            .map_err(|_| CryptoError::Refused)?;
        sealed.extend_from_slice(tag.as_ref());
        Ok(sealed)
    }

    /// Opens what [`SealingKey::seal`] made.
    ///
    /// # Errors
    ///
    /// [`CryptoError::DoesNotOpen`] if it was not made with this key for this purpose.
    pub fn open(&self, purpose: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
        let (nonce, body) = sealed.split_at_checked(NONCE_LEN).ok_or(CryptoError::DoesNotOpen)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| CryptoError::DoesNotOpen)?;
        let mut body = Zeroizing::new(body.to_vec());
        let length = self
            .aead
            .open_in_place(nonce, Aad::from(purpose), body.as_mut_slice())
            .map_err(|_| CryptoError::DoesNotOpen)?
            .len();
        body.truncate(length);
        Ok(body)
    }

    /// A key for `purpose` that is another one for any other `parts`: HMAC-SHA-256 of all, each with its length.
    pub(crate) fn derived(&self, purpose: &str, parts: &[&str]) -> Zeroizing<[u8; KEY_BYTES]> {
        let mut context = hmac::Context::with_key(&self.derive);
        for part in [purpose].iter().chain(parts) {
            context.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            context.update(part.as_bytes());
        }
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        for (byte, of_digest) in key.iter_mut().zip(context.sign().as_ref()) {
            *byte = *of_digest;
        }
        key
    }

    /// A commitment to `value`: the same for the same key and value, and no way back.
    pub fn commitment(&self, value: &[u8]) -> String {
        let mut text = String::from(KEYED_DIGEST);
        push_hex(&mut text, hmac::sign(&self.commit, value).as_ref());
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> SealingKey {
        SealingKey::new(&[byte; 32], Arc::new(SystemRandomness)).expect("32 bytes")
    }

    #[test]
    fn what_is_sealed_opens_with_the_same_key_and_purpose_alone() {
        let sealed = key(1).seal(b"decision:call_1", b"plain").expect("sealed");
        assert_eq!(key(1).open(b"decision:call_1", &sealed).expect("opened").as_slice(), b"plain");
        assert!(key(2).open(b"decision:call_1", &sealed).is_err());
        assert!(key(1).open(b"decision:call_2", &sealed).is_err());
        let mut changed = sealed;
        *changed.last_mut().expect("bytes") ^= 1;
        assert!(key(1).open(b"decision:call_1", &changed).is_err());
    }

    #[test]
    fn a_derived_key_is_of_one_purpose_and_no_commitment() {
        let derived = |purpose, parts: &[&str]| *key(1).derived(purpose, parts);
        let own = derived("a", &["b", "c"]);
        assert_eq!(own, derived("a", &["b", "c"]));
        assert_ne!(own, derived("a", &["bc"]));
        assert_ne!(own, derived("ab", &["c"]));
        assert_ne!(own, *key(2).derived("a", &["b", "c"]));
        let mut committed = String::from(KEYED_DIGEST);
        push_hex(&mut committed, &own);
        let written = [&1_u64.to_be_bytes()[..], b"a"].concat();
        assert_ne!(key(1).commitment(&written), committed);
    }

    #[test]
    fn random_bytes_are_handed_out_once_whatever_their_number() {
        let lengths = [1, 12, 32, 500, 511, 512, 513, 7, 12, 12];
        let mut seen = std::collections::BTreeSet::new();
        for length in lengths.into_iter().cycle().take(200) {
            let mut bytes = vec![0; length];
            SystemRandomness.fill(&mut bytes);
            assert!(length < 12 || seen.insert(bytes.clone()), "{length} bytes came twice");
            assert!(length < 32 || bytes.chunks(16).all(|chunk| chunk.len() < 16 || chunk != [0; 16]));
        }
    }

    #[test]
    fn a_commitment_depends_on_key_and_value() {
        assert_eq!(key(1).commitment(b"ada"), key(1).commitment(b"ada"));
        assert_ne!(key(1).commitment(b"ada"), key(2).commitment(b"ada"));
        assert_ne!(key(1).commitment(b"ada"), key(1).commitment(b"bob"));
    }

    #[test]
    fn the_key_file_is_made_once_and_kept_from_others() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("seal.key");
        let first = SealingKey::open_or_create(&path, Arc::new(SystemRandomness)).expect("made");
        let again = SealingKey::open_or_create(&path, Arc::new(SystemRandomness)).expect("read");
        assert_eq!(first.commitment(b"x"), again.commitment(b"x"));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("chmod");
            let refused =
                SealingKey::open_or_create(&path, Arc::new(SystemRandomness)).expect_err("open to others");
            assert!(refused.to_string().contains("chmod 600"));
        }
    }
}
