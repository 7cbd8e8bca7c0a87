//! The check from the outside: does the log still say what it said?
//!
//! Everything is computed again from the stored bytes: the leaf hash of each
//! record, the tree over them, its tiles, what each record is found by ([`record`]), the
//! digest of what is sealed beside it, every checkpoint ([`heads`]), what each writer
//! says of itself, and for each call whether what was begun was also ended ([`story`]).

mod heads;
mod record;
mod story;

use std::collections::BTreeMap;

use quaymaster_core::arguments::push_hex;
use quaymaster_store::{Store, TreeState};
use serde::Serialize;

use self::heads::Heads;
use self::story::Story;
use crate::audit::AuditError;
use crate::audit::merkle::{Hash, Tree, leaf_hash};
use crate::audit::note::VerifierKey;
use crate::audit::tiles::{WIDTH, hashes};

/// How many records are read at once; what is sealed beside one may be large.
const PAGE: u32 = 256;
/// How many problems are named; the rest are counted.
const NAMED: usize = 20;

/// What the log is compared with that is not from the store.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// The public key of the log. Without it signatures are not checked.
    pub key: Option<VerifierKey>,
    /// Checkpoints that were kept elsewhere: where, and the note.
    pub checkpoints: Vec<(String, String)>,
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Verification {
    /// Whether nothing is wrong.
    pub intact: bool,
    /// How many records there are, pruned ones included.
    pub records: u64,
    /// The number of the first record that is kept.
    pub minimum: u64,
    /// RFC 6962 root over all records, in hexadecimal.
    pub root: String,
    /// The key that signatures were checked with.
    pub key: Option<String>,
    /// How many checkpoints were compared with the records.
    pub checkpoints: u64,
    /// How many records the newest of them covers.
    pub signed: u64,
    /// How many records of each event.
    pub events: BTreeMap<String, u64>,
    /// How many writers there were.
    pub writers: u64,
    /// Writers that did not say that they stopped: they run still, or their process died.
    pub open_writers: Vec<String>,
    /// Calls that began and have no outcome: they run still, or their process died.
    pub open_calls: Vec<String>,
    /// Records whose sealed input was erased, as is anybody's right. No damage.
    pub erased: u64,
    /// Records whose input was too large to be sealed beside them. No damage.
    pub not_sealed: u64,
    /// What is wrong, the first few.
    pub problems: Vec<String>,
    /// How much is wrong.
    pub problem_count: u64,
}

impl Verification {
    fn problem(&mut self, text: String) {
        self.problem_count += 1;
        if self.problems.len() < NAMED {
            self.problems.push(text);
        }
    }
}

/// Verifies the log of `store` up to the size that it has now, without any key.
///
/// # Errors
///
/// As [`verify_with`].
pub async fn verify(store: &Store) -> Result<Verification, AuditError> {
    verify_with(store, Known::default()).await
}

/// Verifies the log of `store` up to the size that it has now, and whether it is what `known` says.
///
/// # Errors
///
/// [`AuditError::Store`] if it cannot be read; what is wrong with what was read
/// is in the [`Verification`].
pub async fn verify_with(store: &Store, known: Known) -> Result<Verification, AuditError> {
    let state = store.audit_tree().await?;
    let mut found = Verification {
        minimum: store.audit_minimum().await?,
        key: known.key.as_ref().map(ToString::to_string),
        ..Verification::default()
    };
    let heads = Heads::new(store, known, &mut found);
    let mut walk = Walk { store, heads, tree: Tree::default(), leaves: Vec::new(), found };
    walk.pruned().await?;
    walk.kept(&state).await?;
    let Walk { heads, tree, mut found, .. } = walk;
    heads.end(tree.size(), &mut found).await?;
    heads::check_upper_tiles(store, tree.size(), &mut found).await?;
    found.records = tree.size();
    push_hex(&mut found.root, &tree.root());
    if tree.size() != state.size || tree.frontier() != state.frontier {
        found.problem("the tree over the records is not the tree that was stored".into());
    }
    found.intact = found.problem_count == 0;
    Ok(found)
}

/// The tree as it grows from the first record to the last.
struct Walk<'a> {
    store: &'a Store,
    heads: Heads<'a>,
    tree: Tree,
    /// The leaves of the tile that is not full yet.
    leaves: Vec<Hash>,
    found: Verification,
}

impl Walk<'_> {
    async fn grow(&mut self, leaf: Hash) -> Result<(), AuditError> {
        self.tree.append(leaf);
        self.heads.check(&self.tree, &mut self.found).await
    }

    /// Of records that were pruned the tiles are left.
    async fn pruned(&mut self) -> Result<(), AuditError> {
        let minimum = self.found.minimum;
        while self.tree.size() < minimum {
            let place = self.tree.size() / WIDTH;
            let Some(tile) = self.store.audit_tile(0, place).await? else {
                self.found.problem(format!(
                    "records before {minimum} were pruned, and tile {place} over them is missing"
                ));
                return Ok(());
            };
            for leaf in hashes(&tile) {
                self.grow(leaf).await?;
            }
        }
        Ok(())
    }

    async fn kept(&mut self, state: &TreeState) -> Result<(), AuditError> {
        let mut story = Story::new(self.found.minimum);
        while self.tree.size() < state.size {
            let from = self.tree.size();
            let left = u32::try_from(state.size - from).unwrap_or(PAGE).min(PAGE);
            let page = self.store.audit_read(from, left).await?;
            let Some(last) = page.last().map(|r| r.seq) else {
                self.found.problem(format!("records {from} to {} are missing", state.size - 1));
                break;
            };
            let mut columns = self.store.audit_columns(from, left).await?.into_iter().peekable();
            let mut expected = from;
            for record in page {
                let said = record::check(&record, expected, &mut self.found);
                let beside = columns.next_if(|columns| columns.seq == record.seq);
                if let Some((said, beside)) = said.zip(beside) {
                    record::check_beside(&said, &beside, &mut self.found);
                }
                expected = record.seq + 1;
                story.follow(&record.body, &mut self.found);
                let leaf = leaf_hash(&record.body);
                self.leaves.push(leaf);
                self.grow(leaf).await?;
                self.check_tile().await?;
            }
            if last + 1 != self.tree.size() {
                break;
            }
        }
        story.end(&mut self.found);
        Ok(())
    }

    /// Compares a tile that is full now with the stored one, if there is one yet.
    async fn check_tile(&mut self) -> Result<(), AuditError> {
        if !self.tree.size().is_multiple_of(WIDTH) {
            return Ok(());
        }
        let (place, leaves) = (self.tree.size() / WIDTH - 1, std::mem::take(&mut self.leaves));
        let stored = self.store.audit_tile(0, place).await?;
        if stored.is_some_and(|stored| stored != leaves.as_flattened()) {
            self.found.problem(format!("tile {place} is not made of the records that it stands for"));
        }
        Ok(())
    }
}
