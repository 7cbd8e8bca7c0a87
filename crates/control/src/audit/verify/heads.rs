//! Checkpoints, wherever they were kept, against the tree as it grows; and the upper tiles.

use std::collections::VecDeque;

use quaymaster_store::{CheckpointRow, Store};

use super::{Known, Verification};
use crate::audit::AuditError;
use crate::audit::checkpoint::Checkpoint;
use crate::audit::merkle::{Tree, root_of};
use crate::audit::note::{NoteError, VerifierKey};
use crate::audit::sequencer::read_tree;
use crate::audit::tiles::{WIDTH, hashes, levels, width};

/// The checkpoints of a log, the smallest first.
pub(super) struct Heads<'a> {
    store: &'a Store,
    key: Option<VerifierKey>,
    /// Those that were kept elsewhere, with where.
    elsewhere: VecDeque<(String, Checkpoint)>,
    page: VecDeque<CheckpointRow>,
    /// The size of the last that was read; none before the first.
    read: Option<u64>,
    at_end: bool,
}

impl<'a> Heads<'a> {
    pub(super) fn new(store: &'a Store, known: Known, found: &mut Verification) -> Self {
        let Known { key, checkpoints } = known;
        let mut elsewhere = Vec::new();
        for (place, note) in checkpoints {
            match opened(&note, key.as_ref()) {
                Ok(checkpoint) => elsewhere.push((place, checkpoint)),
                Err(error) => found.problem(format!("the checkpoint in {place} does not count: {error}")),
            }
        }
        elsewhere.sort_by_key(|(_, checkpoint)| checkpoint.size);
        Self { store, key, elsewhere: elsewhere.into(), page: VecDeque::new(), read: None, at_end: false }
    }

    /// Compares those of this size with the tree.
    pub(super) async fn check(&mut self, tree: &Tree, found: &mut Verification) -> Result<(), AuditError> {
        while self.elsewhere.front().is_some_and(|(_, checkpoint)| checkpoint.size <= tree.size()) {
            if let Some((place, checkpoint)) = self.elsewhere.pop_front() {
                compare(&format!("in {place} "), &checkpoint, tree, found);
            }
        }
        while let Some(row) = self.next(tree.size()).await? {
            let size = row.tree.size;
            match opened(&row.note, self.key.as_ref()) {
                Ok(checkpoint) => {
                    let kept = read_tree(row.tree).is_ok_and(|kept| kept.root() == checkpoint.root);
                    if checkpoint.size != size || !kept {
                        found.problem(format!(
                            "what is stored beside the checkpoint of {size} records is not what was signed"
                        ));
                    }
                    compare("", &checkpoint, tree, found);
                }
                Err(error) => {
                    found.problem(format!("the checkpoint of {size} records does not count: {error}"));
                }
            }
        }
        Ok(())
    }

    /// The next that is no larger than `size`.
    async fn next(&mut self, size: u64) -> Result<Option<CheckpointRow>, AuditError> {
        if self.page.is_empty() && !self.at_end {
            self.page = self.store.audit_checkpoints(self.read.unwrap_or(0)).await?.into();
            self.at_end = self.page.is_empty();
            self.read = self.page.back().map(|row| row.tree.size).or(self.read);
        }
        let fits = self.page.front().is_some_and(|row| row.tree.size <= size);
        Ok(if fits { self.page.pop_front() } else { None })
    }

    /// None may be left when the records are at their end.
    pub(super) async fn end(mut self, size: u64, found: &mut Verification) -> Result<(), AuditError> {
        let cut = |which: &str, signed| {
            format!(
                "there are {size} records, and the checkpoint {which}of {signed} was signed: the log was cut off, or went back in time"
            )
        };
        for (place, checkpoint) in self.elsewhere.drain(..) {
            found.problem(cut(&format!("in {place} "), checkpoint.size));
        }
        while let Some(row) = self.next(u64::MAX).await? {
            found.problem(cut("", row.tree.size));
        }
        Ok(())
    }
}

fn opened(note: &str, key: Option<&VerifierKey>) -> Result<Checkpoint, NoteError> {
    match key {
        Some(key) => Checkpoint::open(note, key),
        None => Checkpoint::unproved(note),
    }
}

fn compare(which: &str, checkpoint: &Checkpoint, tree: &Tree, found: &mut Verification) {
    found.checkpoints += 1;
    found.signed = found.signed.max(checkpoint.size);
    // One of no records has the root of the empty tree, and is met with the first record.
    let root = if checkpoint.size == 0 { Tree::default().root() } else { tree.root() };
    if root != checkpoint.root {
        found.problem(format!(
            "the checkpoint {which}of {} records has another root: records were changed, removed or moved after it was signed",
            checkpoint.size
        ));
    }
}

/// Tiles of upper levels are made of those below.
pub(super) async fn check_upper_tiles(
    store: &Store,
    size: u64,
    found: &mut Verification,
) -> Result<(), AuditError> {
    for level in 1..levels(size) {
        let mut from = 0;
        loop {
            let tiles = store.audit_tiles(level, from).await?;
            let Some(last) = tiles.last().map(|tile| tile.place) else { break };
            for tile in tiles {
                let below = store.audit_tiles(level - 1, tile.place * WIDTH).await?;
                let roots = below.iter().filter_map(|tile| root_of(&hashes(&tile.hashes)));
                let whole = width(size, level, tile.place) == WIDTH;
                if !whole || roots.collect::<Vec<_>>().as_flattened() != tile.hashes {
                    let place = tile.place;
                    found.problem(format!("tile {place} of level {level} is not made of those below it"));
                }
            }
            from = last + 1;
        }
    }
    Ok(())
}
