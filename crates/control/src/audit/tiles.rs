//! The tree as tiles (C2SP tlog-tiles): where a hash stands, and how it is had from the store.
//!
//! Full tiles are stored when a checkpoint is made and stay when records are pruned. Those at
//! the right edge are made of leaves, or of full tiles of the level below, whenever they are needed.

use std::collections::HashMap;

use quaymaster_store::{Store, TileRow};

use super::AuditError;
use super::merkle::{Hash, node_hash, root_of};

/// How many hashes a full tile has.
pub const WIDTH: u64 = 256;
/// Each level of tiles stands for this many levels of the tree.
const HEIGHT: u32 = 8;

/// How many leaves one hash of a level of tiles stands for.
fn span(level: u32) -> u64 {
    1_u64.checked_shl(HEIGHT * level).unwrap_or(u64::MAX)
}

/// How wide a tile is in a tree of `size` leaves; 0 where the tree has no such tile.
pub fn width(size: u64, level: u32, place: u64) -> u64 {
    (size / span(level)).saturating_sub(place.saturating_mul(WIDTH)).min(WIDTH)
}

/// How many levels of tiles a tree of `size` leaves has.
pub fn levels(size: u64) -> u32 {
    (0..HEIGHT).filter(|level| size / span(*level) > 0).map(|_| 1).sum()
}

/// Where a tile is to be found: `tile/<level>/<place>`, with `.p/<width>` if it is not full.
pub fn path(level: u32, place: u64, width: u64) -> String {
    format!("tile/{level}/{}", numbered(place, width))
}

/// Where a bundle of records is to be found.
pub fn bundle_path(place: u64, width: u64) -> String {
    format!("tile/entries/{}", numbered(place, width))
}

fn numbered(place: u64, width: u64) -> String {
    let mut text = format!("{:03}", place % 1_000);
    let mut rest = place / 1_000;
    while rest > 0 {
        text = format!("x{:03}/{text}", rest % 1_000);
        rest /= 1_000;
    }
    if width < WIDTH { format!("{text}.p/{width}") } else { text }
}

/// The hashes of a tile as it is stored.
pub fn hashes(bytes: &[u8]) -> Vec<Hash> {
    bytes.as_chunks::<32>().0.to_vec()
}

/// Hashes of a tree of a certain size, read from the store.
#[derive(Debug)]
pub struct Tiles<'a> {
    store: &'a Store,
    size: u64,
    read: HashMap<(u32, u64), Vec<Hash>>,
}

impl<'a> Tiles<'a> {
    /// The tree over the first `size` records.
    pub fn new(store: &'a Store, size: u64) -> Self {
        Self { store, size, read: HashMap::new() }
    }

    /// A tile, as wide as it is in this tree.
    ///
    /// # Errors
    ///
    /// [`AuditError::Damaged`] if the store does not have what it is made of.
    pub async fn tile(&mut self, level: u32, place: u64) -> Result<Vec<Hash>, AuditError> {
        if let Some(tile) = self.read.get(&(level, place)) {
            return Ok(tile.clone());
        }
        let width = width(self.size, level, place);
        let tile = match self.stored(level, place, width).await? {
            Some(tile) => tile,
            None if level == 0 => self.leaves(place * WIDTH, width).await?,
            None => self.of_tiles_below(level, place, width).await?,
        };
        self.read.insert((level, place), tile.clone());
        Ok(tile)
    }

    /// The same where it is full and stored.
    async fn stored(&self, level: u32, place: u64, width: u64) -> Result<Option<Vec<Hash>>, AuditError> {
        // One that is not full here may be by now: its beginning is the same.
        let stored = self.store.audit_tile(level, place).await?;
        Ok(stored.map(|bytes| hashes(&bytes).into_iter().take(usize::try_from(width).unwrap_or(0)).collect()))
    }

    async fn leaves(&self, from: u64, count: u64) -> Result<Vec<Hash>, AuditError> {
        let leaves = self.store.audit_leaves(from, u32::try_from(count).unwrap_or(0)).await?;
        for (at, (seq, _)) in (from..).zip(&leaves) {
            if at != *seq {
                return Err(missing(at));
            }
        }
        if u64::try_from(leaves.len()) != Ok(count) {
            return Err(missing(from + leaves.len() as u64));
        }
        Ok(leaves.into_iter().map(|(_, leaf)| leaf).collect())
    }

    async fn of_tiles_below(&mut self, level: u32, place: u64, width: u64) -> Result<Vec<Hash>, AuditError> {
        let mut tile = Vec::new();
        for below in place * WIDTH..place * WIDTH + width {
            let hashes = Box::pin(self.tile(level - 1, below)).await?;
            tile.push(root_of(&hashes).ok_or_else(|| missing(below * span(level)))?);
        }
        Ok(tile)
    }

    /// The hash over the leaves from `from` to before `to` (RFC 6962, section 2.1), where the tree has a node
    /// over them or over their beginning: `from` is a multiple of the largest power of two below their number.
    async fn node(&mut self, from: u64, to: u64) -> Result<Hash, AuditError> {
        let mut frontier = Vec::new();
        let mut at = from;
        while at < to {
            let height = (to - at).ilog2();
            frontier.push(self.perfect(at, height).await?);
            at += 1 << height;
        }
        let mut subtrees = frontier.into_iter().rev();
        let last = subtrees.next().ok_or_else(|| missing(from))?;
        Ok(subtrees.fold(last, |right, left| node_hash(&left, &right)))
    }

    /// The root of the perfect subtree of 2^`height` leaves that begins at `from`.
    async fn perfect(&mut self, from: u64, height: u32) -> Result<Hash, AuditError> {
        let level = height / HEIGHT;
        let at = from / span(level);
        let tile = self.tile(level, at / WIDTH).await?;
        let first = usize::try_from(at % WIDTH).unwrap_or(usize::MAX);
        let count = 1_usize << (height % HEIGHT);
        let nodes = tile.get(first..first.saturating_add(count));
        nodes.and_then(root_of).ok_or_else(|| missing(from))
    }

    /// The root of the tree.
    ///
    /// # Errors
    ///
    /// [`AuditError::Damaged`] if the store does not have what it is made of.
    pub async fn root(&mut self) -> Result<Hash, AuditError> {
        if self.size == 0 {
            return Ok(super::merkle::Tree::default().root());
        }
        self.node(0, self.size).await
    }

    /// The inclusion proof of a leaf, from its sibling up (RFC 6962, section 2.1.1).
    ///
    /// # Errors
    ///
    /// [`AuditError::Damaged`] if the store does not have what it is made of.
    pub async fn inclusion(&mut self, index: u64) -> Result<Vec<Hash>, AuditError> {
        let mut proof = Vec::new();
        for (from, to) in siblings(index, self.size) {
            proof.push(self.node(from, to).await?);
        }
        Ok(proof)
    }
}

fn missing(at: u64) -> AuditError {
    AuditError::Damaged(format!("record {at} is missing, or the tile that has its hash"))
}

/// The ranges of leaves whose hashes prove that a leaf is in a tree, from the leaf up.
fn siblings(index: u64, size: u64) -> Vec<(u64, u64)> {
    let (mut from, mut to, mut ranges) = (0, size, Vec::new());
    while to - from > 1 {
        let split = from + (to - from).next_power_of_two() / 2;
        if index < split {
            ranges.push((split, to));
            to = split;
        } else {
            ranges.push((from, split));
            from = split;
        }
    }
    ranges.reverse();
    ranges
}

/// Gathers leaves, as the tree grows, into full tiles of all levels.
#[derive(Debug, Default)]
pub(super) struct Gathering {
    /// The leaves of the last tile, which is not full.
    leaves: Vec<Hash>,
    full: Vec<TileRow>,
}

impl Gathering {
    /// To go on after `leaves`, which make the beginning of a tile.
    pub(super) fn after(leaves: Vec<Hash>) -> Self {
        Self { leaves, full: Vec::new() }
    }

    /// Takes the leaf of the record before `size`, which is the size of the tree with it.
    pub(super) fn push(&mut self, leaf: Hash, size: u64) {
        self.leaves.push(leaf);
        if size.is_multiple_of(WIDTH) {
            let leaves = std::mem::take(&mut self.leaves);
            self.full.push(TileRow { level: 0, place: size / WIDTH - 1, hashes: leaves.concat() });
        }
    }

    /// Stores the tiles that are full now, and those above that are full with them.
    pub(super) async fn store(&mut self, store: &Store) -> Result<(), AuditError> {
        let mut full = std::mem::take(&mut self.full);
        while !full.is_empty() {
            for tiles in full.chunks(32) {
                store.audit_tiles_save(tiles).await?;
            }
            let last_ones = full.iter().filter(|tile| (tile.place + 1).is_multiple_of(WIDTH));
            let mut above = Vec::new();
            for TileRow { level, place, .. } in last_ones {
                let (level, place) = (level + 1, place / WIDTH);
                let tiles = store.audit_tiles(level - 1, place * WIDTH).await?;
                let roots: Option<Vec<Hash>> = tiles.iter().map(|t| root_of(&hashes(&t.hashes))).collect();
                let whole = tiles.iter().zip(place * WIDTH..).all(|(tile, at)| tile.place == at);
                let roots = roots.filter(|roots| whole && roots.len() as u64 == WIDTH);
                let hashes = roots.ok_or_else(|| missing(place * span(level + 1)))?.concat();
                above.push(TileRow { level, place, hashes });
            }
            full = above;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_widths_are_those_of_the_specification() {
        assert_eq!(path(0, 1_234_067, WIDTH), "tile/0/x001/x234/067");
        assert_eq!(path(1, 0, 17), "tile/1/000.p/17");
        assert_eq!(bundle_path(273, 112), "tile/entries/273.p/112");
        assert_eq!(bundle_path(1_000, WIDTH), "tile/entries/x001/000");
        // The example of a tree of 70,000 leaves.
        assert_eq!((width(70_000, 0, 272), width(70_000, 0, 273), width(70_000, 0, 274)), (256, 112, 0));
        assert_eq!((width(70_000, 1, 0), width(70_000, 1, 1), width(70_000, 2, 0)), (256, 17, 1));
        assert_eq!((levels(0), levels(1), levels(256), levels(70_000)), (0, 1, 2, 3));
    }

    #[test]
    fn the_siblings_of_a_leaf_are_those_of_the_rfc() {
        // The example of RFC 6962, section 2.1.3, with seven leaves.
        assert_eq!(siblings(0, 7), [(1, 2), (2, 4), (4, 7)]);
        assert_eq!(siblings(3, 7), [(2, 3), (0, 2), (4, 7)]);
        assert_eq!(siblings(4, 7), [(5, 6), (6, 7), (0, 4)]);
        assert_eq!(siblings(6, 7), [(4, 6), (0, 4)]);
        assert_eq!(siblings(0, 1), []);
    }
}
