//! Proofs that one record is in the log, for anybody who has the log's public key (C2SP tlog-proof).
//!
//! A proof is a text: the record itself as its extra data, its number, the hashes beside its way up the
//! tree, and the checkpoint that it leads to. Checking it needs nothing else: no store, no network.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use quaymaster_store::Store;

use super::AuditError;
use super::checkpoint::Checkpoint;
use super::merkle::{Hash, leaf_hash, node_hash};
use super::note::{NoteError, VerifierKey};
use super::tiles::Tiles;

/// The first line.
const FORM: &str = "c2sp.org/tlog-proof@v1";
/// Longest proof that is read, in bytes. A record has 64 KiB at most.
pub const MAX_PROOF: usize = 256 * 1024;
/// Most hashes of a proof: a tree has no more levels.
const MAX_HASHES: usize = 64;

/// Why a proof proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProofError {
    /// The text is no proof.
    #[error("this is no proof: {0}")]
    Malformed(&'static str),
    /// Its checkpoint does not count.
    #[error("its checkpoint does not count: {0}")]
    Checkpoint(#[from] NoteError),
    /// Record, number and hashes do not lead to the root that was signed.
    #[error("the record does not lead to the root that was signed: it, its number or the proof was changed")]
    AnotherRoot,
}

/// A record that was proved to be in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proved {
    /// Its number.
    pub seq: u64,
    /// The record: canonical JSON (RFC 8785).
    pub record: Vec<u8>,
    /// The head of the tree that it is in.
    pub checkpoint: Checkpoint,
}

/// The proof that record `seq`, whose text is `body`, is in the tree of the checkpoint with this `note`.
///
/// # Errors
///
/// [`AuditError`] if the store fails or does not have the hashes.
pub async fn prove(
    store: &Store,
    (seq, body): (u64, &[u8]),
    (size, note): (u64, &str),
) -> Result<String, AuditError> {
    let mut lines = vec![FORM.to_owned(), format!("extra {}", STANDARD.encode(body)), format!("index {seq}")];
    let hashes = Tiles::new(store, size).inclusion(seq).await?;
    lines.extend(hashes.iter().map(|hash| STANDARD.encode(hash)));
    lines.push(String::new());
    Ok(lines.join("\n") + "\n" + note)
}

/// Checks a proof with the public key of the log.
///
/// # Errors
///
/// [`ProofError`] with what is wrong.
pub fn check(proof: &str, key: &VerifierKey) -> Result<Proved, ProofError> {
    let malformed = ProofError::Malformed;
    if proof.len() > MAX_PROOF {
        return Err(malformed("it is too long"));
    }
    let (head, note) = proof.split_once("\n\n").ok_or(malformed("it has no checkpoint"))?;
    let mut lines = head.lines();
    if lines.next() != Some(FORM) {
        return Err(malformed("its first line is another"));
    }
    let member = |line: Option<&str>, name: &str| line?.strip_prefix(name).map(str::to_owned);
    let record = member(lines.next(), "extra ").and_then(|text| STANDARD.decode(text).ok());
    let record = record.ok_or(malformed("it does not have the record"))?;
    let index = member(lines.next(), "index ").ok_or(malformed("it has no number"))?;
    let seq: u64 = index.parse().map_err(|_| malformed("its number is none"))?;
    if seq.to_string() != index {
        return Err(malformed("its number is not written as it has to be"));
    }
    let hash = |line: &str| -> Option<Hash> { STANDARD.decode(line).ok()?.try_into().ok() };
    let hashes: Option<Vec<Hash>> = lines.map(hash).collect();
    let hashes = hashes.filter(|hashes| hashes.len() <= MAX_HASHES);
    let hashes = hashes.ok_or(malformed("its hashes are none"))?;
    let checkpoint = Checkpoint::open(note, key)?;
    if root_of_path(leaf_hash(&record), seq, checkpoint.size, &hashes) != Some(checkpoint.root) {
        return Err(ProofError::AnotherRoot);
    }
    Ok(Proved { seq, record, checkpoint })
}

/// The root that a leaf leads to by the hashes beside its way (RFC 9162, section 2.1.3.2).
pub fn root_of_path(leaf: Hash, index: u64, size: u64, path: &[Hash]) -> Option<Hash> {
    if index >= size {
        return None;
    }
    let (mut at, mut last, mut root) = (index, size - 1, leaf);
    for hash in path {
        if last == 0 {
            return None;
        }
        if at % 2 == 1 || at == last {
            root = node_hash(hash, &root);
            while at.is_multiple_of(2) && at != 0 {
                at /= 2;
                last /= 2;
            }
        } else {
            root = node_hash(&root, hash);
        }
        at /= 2;
        last /= 2;
    }
    (last == 0).then_some(root)
}
