//! For whom a text is redacted: the keys, the session, and where the values of placeholders are kept.
//!
//! Invariants:
//! - The same value of the same kind has the same placeholder within a session, and another one in
//!   any other session or workspace.
//! - Without the session's key nobody can tell what a placeholder stands for, nor make one up.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::action::Action;
use crate::kind::Kind;

/// Bytes of a key.
pub const KEY_BYTES: usize = 32;

/// Hexadecimal digits of a placeholder: 48 bits, so that nobody hits one by guessing.
const PLACEHOLDER_DIGITS: usize = 12;
/// Hexadecimal digits of a hash.
const HASH_DIGITS: usize = 16;

/// What a placeholder begins and ends with.
pub(crate) const OPEN: char = '⟦';
pub(crate) const CLOSE: char = '⟧';

/// A key, wiped from memory when it is dropped.
#[derive(Clone)]
pub struct Key(Zeroizing<[u8; KEY_BYTES]>);

impl Key {
    /// A key of `bytes`, which were drawn at random.
    pub fn new(bytes: [u8; KEY_BYTES]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The HMAC-SHA-256 (RFC 2104) of `parts`, each with its length before it, in hexadecimal.
    fn digest(&self, parts: &[&str], digits: usize) -> String {
        use std::fmt::Write as _;
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(self.0.as_slice()) else { return String::new() };
        for part in parts {
            mac.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            mac.update(part.as_bytes());
        }
        let mut text = String::with_capacity(digits);
        for byte in mac.finalize().into_bytes().iter().take(digits / 2) {
            let _ = write!(text, "{byte:02x}");
        }
        text
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(…)")
    }
}

/// Where the marks of earlier redactions stand in `text`: placeholders, and kinds that were dropped.
///
/// Anything else in such brackets is a text like any other.
pub(crate) fn marks(text: &str) -> Vec<(usize, usize)> {
    let mut marks = Vec::new();
    for (start, _) in text.match_indices(OPEN) {
        let from = start + OPEN.len_utf8();
        let inner = inner_of(text, from);
        let is_mark = |inner: &&str| Kind::parse(inner).is_some() || Placeholder::parse(inner).is_some();
        if let Some(inner) = inner.filter(is_mark) {
            marks.push((start, from + inner.len() + CLOSE.len_utf8()));
        }
    }
    marks
}

/// The longest text that stands between the brackets of a mark, in bytes.
const MAX_INNER: usize = 64;

/// The text from `at` up to the bracket that closes it, if that is near.
pub(crate) fn inner_of(text: &str, at: usize) -> Option<&str> {
    let near = text.get(at..text.floor_char_boundary(at + MAX_INNER + CLOSE.len_utf8()))?;
    near.split_once(CLOSE).map(|(inner, _)| inner)
}

/// What stands in the place of a value, such as `⟦email:7f3a9c21b04e⟧`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Placeholder {
    kind: Kind,
    id: String,
}

impl Placeholder {
    /// The kind of what it stands for.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Its hexadecimal digits.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The placeholder that `inner`, the text between the brackets, is.
    pub(crate) fn parse(inner: &str) -> Option<Self> {
        let (kind, id) = inner.split_once(':')?;
        let is_id =
            id.len() == PLACEHOLDER_DIGITS && id.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        let kind = Kind::parse(kind)?;
        is_id.then(|| Self { kind, id: id.to_owned() })
    }
}

impl fmt::Display for Placeholder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{OPEN}{}:{}{CLOSE}", self.kind, self.id)
    }
}

/// Where the values of placeholders are kept. The gateway's are sealed.
pub trait Vault: Send + Sync {
    /// Keeps `value` for `placeholder`; keeping the same again changes nothing.
    ///
    /// # Errors
    ///
    /// Why it cannot be kept, without the value.
    fn keep(&self, placeholder: &Placeholder, value: &str) -> Result<(), VaultError>;

    /// The value that was kept for `placeholder`.
    fn value(&self, placeholder: &Placeholder) -> Option<Zeroizing<String>>;
}

/// Why the value of a placeholder could not be kept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct VaultError(pub String);

/// A vault in memory, for one session.
#[derive(Debug)]
pub struct MemoryVault {
    values: Mutex<HashMap<Placeholder, Zeroizing<String>>>,
    max: usize,
}

impl MemoryVault {
    /// A vault for at most `max` values.
    pub fn new(max: usize) -> Self {
        Self { values: Mutex::default(), max }
    }
}

impl Vault for MemoryVault {
    fn keep(&self, placeholder: &Placeholder, value: &str) -> Result<(), VaultError> {
        let mut values = self.values.lock().unwrap_or_else(PoisonError::into_inner);
        match values.get(placeholder) {
            Some(kept) if **kept != value => Err(VaultError("two values have one placeholder".into())),
            Some(_) => Ok(()),
            None if values.len() >= self.max => {
                Err(VaultError(format!("the session has more than {} placeholders", self.max)))
            }
            None => {
                values.insert(placeholder.clone(), Zeroizing::new(value.to_owned()));
                Ok(())
            }
        }
    }

    fn value(&self, placeholder: &Placeholder) -> Option<Zeroizing<String>> {
        self.values.lock().unwrap_or_else(PoisonError::into_inner).get(placeholder).cloned()
    }
}

/// For whom a text is redacted.
#[derive(Clone, Copy)]
pub struct Scope<'a> {
    /// The workspace.
    pub workspace: &'a str,
    /// The session.
    pub session: &'a str,
    /// The key of the workspace's tenant, for hashes that are the same in all of its sessions.
    pub tenant_key: &'a Key,
    /// The key of the session, for placeholders.
    pub session_key: &'a Key,
    /// Where the values of placeholders are kept; without one nothing can be put back.
    pub vault: Option<&'a dyn Vault>,
    /// Kinds that whoever gets the text may not have, with what is done with them where the engine
    /// would leave them as they are.
    pub withheld: &'a [(Kind, Action)],
}

impl fmt::Debug for Scope<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope").field("workspace", &self.workspace).finish_non_exhaustive()
    }
}

impl Scope<'_> {
    /// What is done with data of `kind` where the engine says `usual`.
    pub(crate) fn action(&self, kind: Kind, usual: Action) -> Action {
        let withheld = || self.withheld.iter().find(|(other, _)| *other == kind);
        match usual {
            Action::Allow => withheld().map_or(usual, |(_, action)| *action),
            _ => usual,
        }
    }

    /// The placeholder for `value` of `kind`.
    pub(crate) fn placeholder(&self, kind: Kind, value: &str) -> Placeholder {
        let parts = ["placeholder", self.workspace, self.session, kind.as_str(), value];
        Placeholder { kind, id: self.session_key.digest(&parts, PLACEHOLDER_DIGITS) }
    }

    /// The hash of `value`, which is of what `name` says, such as `confidential#9f86d081884c7d65`.
    pub fn hash_of(&self, name: &str, value: &str) -> String {
        format!("{name}#{}", self.tenant_key.digest(&["hash of", name, value], HASH_DIGITS))
    }

    /// The hash of `value` of `kind`, such as `email#9f86d081884c7d65`.
    pub(crate) fn hash(&self, kind: Kind, value: &str) -> String {
        format!("{kind}#{}", self.tenant_key.digest(&["hash", kind.as_str(), value], HASH_DIGITS))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_placeholder_belongs_to_one_session_of_one_workspace() {
        let (a, b) = (Key::new([1; 32]), Key::new([2; 32]));
        let scope = Scope {
            workspace: "w",
            session: "s",
            tenant_key: &a,
            session_key: &b,
            vault: None,
            withheld: &[],
        };
        let own = scope.placeholder(Kind::Email, "ada@example.com");
        assert_eq!(own, scope.placeholder(Kind::Email, "ada@example.com"));
        assert_eq!(Placeholder::parse(own.to_string().trim_matches(['⟦', '⟧'])), Some(own.clone()));
        let others = [
            Scope { workspace: "w2", ..scope },
            Scope { session: "s2", ..scope },
            Scope { session_key: &a, ..scope },
            // Where one part ends and the next begins makes a difference.
            Scope { workspace: "ws", session: "", ..scope },
        ];
        for other in others {
            assert_ne!(other.placeholder(Kind::Email, "ada@example.com"), own);
        }
        assert_eq!(Scope { session: "s2", ..scope }.hash(Kind::Email, "x"), scope.hash(Kind::Email, "x"));
        assert!(!format!("{scope:?} {a:?}").contains("1, 1"));
    }

    #[test]
    fn a_vault_is_bounded_and_never_mixes_values_up() {
        let key = Key::new([1; 32]);
        let scope = Scope {
            workspace: "w",
            session: "s",
            tenant_key: &key,
            session_key: &key,
            vault: None,
            withheld: &[],
        };
        let vault = MemoryVault::new(1);
        let one = scope.placeholder(Kind::Email, "a");
        assert!(vault.keep(&one, "a").is_ok() && vault.keep(&one, "a").is_ok());
        assert!(vault.keep(&one, "b").is_err());
        assert!(vault.keep(&scope.placeholder(Kind::Email, "b"), "b").is_err());
        assert_eq!(vault.value(&one).as_deref().map(String::as_str), Some("a"));
    }
}
