//! Heads of the tree as they leave the building (C2SP tlog-checkpoint).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::merkle::Hash;
use super::note::{LogKey, NoteError, VerifierKey, parts};

/// A head of the tree that was signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// How many records the tree has.
    pub size: u64,
    /// The RFC 6962 root over them.
    pub root: Hash,
}

impl Checkpoint {
    /// The checkpoint as a note signed by `key`.
    pub fn sign(&self, key: &LogKey) -> String {
        key.sign(&format!("{}\n{}\n{}\n", key.public().name(), self.size, STANDARD.encode(self.root)))
    }

    /// The checkpoint of a note that `key` has signed, for the log that is called like it.
    ///
    /// # Errors
    ///
    /// [`NoteError`] if the key did not sign it, or it is no checkpoint of that log.
    pub fn open(note: &str, key: &VerifierKey) -> Result<Self, NoteError> {
        let text = key.open(note)?;
        if text.lines().next() != Some(key.name()) {
            return Err(NoteError::Malformed("it is a checkpoint of another log"));
        }
        Self::read(text)
    }

    /// What a note says whoever signed it: of use only to compare it with a tree that is at hand.
    ///
    /// # Errors
    ///
    /// [`NoteError::Malformed`] if it is no checkpoint.
    pub fn unproved(note: &str) -> Result<Self, NoteError> {
        Self::read(parts(note)?.0)
    }

    fn read(text: &str) -> Result<Self, NoteError> {
        let malformed = NoteError::Malformed;
        let mut lines = text.lines().skip(1);
        let size = lines.next().unwrap_or_default();
        let number: u64 = size.parse().map_err(|_| malformed("its size is no number"))?;
        if number.to_string() != size {
            return Err(malformed("its size is not written as it has to be"));
        }
        let root = STANDARD.decode(lines.next().unwrap_or_default()).unwrap_or_default();
        let root = root.try_into().map_err(|_| malformed("its root is no hash"))?;
        // Lines that follow are extensions, which nobody here writes.
        if lines.any(str::is_empty) {
            return Err(malformed("it has an empty line"));
        }
        Ok(Self { size: number, root })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::SystemRandomness;

    #[test]
    fn a_checkpoint_is_read_back_by_the_public_key_and_by_no_other() {
        let folder = tempfile::tempdir().expect("a folder");
        let open =
            |name| LogKey::open_or_create(&folder.path().join(name), &SystemRandomness).expect("a key").0;
        let (key, other) = (open("one"), open("other"));
        let checkpoint = Checkpoint { size: 20_852_163, root: [7; 32] };
        let note = checkpoint.sign(&key);
        assert!(note.starts_with(&format!(
            "{}\n20852163\nBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=\n\n",
            key.public().name()
        )));
        assert_eq!(Checkpoint::open(&note, key.public()), Ok(checkpoint));
        assert!(matches!(Checkpoint::open(&note, other.public()), Err(NoteError::NotSigned(_))));
        for text in ["another\n1\nBwc=\n", "1\n", &format!("{}\n01\n\n", key.public().name())] {
            assert!(Checkpoint::open(&key.sign(text), key.public()).is_err(), "{text}");
        }
    }
}
