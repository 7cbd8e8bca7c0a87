//! The rows of the audit's tree that outlive its records: tiles, checkpoints and the minimum.
//!
//! What is in a tile and who signs a checkpoint is `quaymaster-control`'s part.
//!
//! Invariants:
//! - A tile or a checkpoint that is stored is never replaced by another.
//! - Records go in order, from the oldest on, and none from the minimum on.

use super::TreeState;
use crate::cell::{Cell, CellRow, Statement};
use crate::{Store, StoreError};

/// Most tiles and checkpoints that one read or one change takes.
pub const MAX_TILES: u32 = 256;

/// Most records that one step of pruning takes away.
const MAX_PRUNED: u64 = 2_048;

const READ: &str = "read the audit's tree";
const SAVE: &str = "store a checkpoint of the audit";
const PRUNE: &str = "prune the audit";

const SELECT_LEAVES: &str = "SELECT seq, leaf FROM audit_records WHERE seq >= $1 ORDER BY seq LIMIT $2";
const SELECT_TILE: &str = "SELECT hashes FROM audit_tiles WHERE level = $1 AND place = $2";
const SELECT_TILES: &str = "
    SELECT place, hashes FROM audit_tiles WHERE level = $1 AND place >= $2 ORDER BY place LIMIT $3";
const INSERT_TILE: &str = "
    INSERT INTO audit_tiles (level, place, hashes) VALUES ($1, $2, $3)
    ON CONFLICT (level, place) DO NOTHING";
const INSERT_CHECKPOINT: &str = "
    INSERT INTO audit_checkpoints (size, frontier, time_us, note) VALUES ($1, $2, $3, $4)
    ON CONFLICT (size) DO NOTHING";
const SELECT_NEWEST: &str =
    "SELECT size, frontier, time_us, note FROM audit_checkpoints ORDER BY size DESC LIMIT 1";
const SELECT_CHECKPOINT: &str = "SELECT size, frontier, time_us, note FROM audit_checkpoints WHERE size = $1";
const SELECT_CHECKPOINTS: &str = "
    SELECT size, frontier, time_us, note FROM audit_checkpoints WHERE size > $1 ORDER BY size LIMIT $2";
const SELECT_MINIMUM: &str = "SELECT minimum FROM audit_tree WHERE id = 1";
const RAISE_MINIMUM: &str = "UPDATE audit_tree SET minimum = $1 WHERE id = 1 AND minimum < $2";
const SELECT_SINCE: &str = "SELECT min(seq) FROM audit_records WHERE time_us >= $1";
const SELECT_OLDEST: &str = "SELECT min(seq) FROM audit_records WHERE seq < $1";
const DELETE_RECORDS: &str = "DELETE FROM audit_records WHERE seq < $1";

/// A full tile of the tree: 256 hashes of one level, of 8,192 bytes together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TileRow {
    /// 0 for leaves; a hash of each further level stands for a full tile of the one below.
    pub level: u32,
    /// Which tile of its level.
    pub place: u64,
    /// The hashes.
    pub hashes: Vec<u8>,
}

/// A checkpoint: a head of the tree that was signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckpointRow {
    /// The tree then.
    pub tree: TreeState,
    /// When it was signed, in microseconds since the Unix epoch.
    pub time_us: u64,
    /// The signed note.
    pub note: String,
}

impl Store {
    /// The leaf hashes of the records from `from_seq` on, in order, with their numbers.
    ///
    /// At most [`crate::MAX_PAGE`] are returned, whatever `limit` says.
    pub async fn audit_leaves(&self, from_seq: u64, limit: u32) -> Result<Vec<(u64, [u8; 32])>, StoreError> {
        let limit = limit.min(super::MAX_PAGE);
        let parameters = vec![Cell::number(from_seq), Cell::number(limit.into())];
        let rows = self.rows(READ, SELECT_LEAVES, parameters).await?;
        rows.into_iter().map(|mut row| Ok((row.number("a number")?, hash(&mut row)?))).collect()
    }

    /// A full tile, if it is stored.
    pub async fn audit_tile(&self, level: u32, place: u64) -> Result<Option<Vec<u8>>, StoreError> {
        let parameters = vec![Cell::number(level.into()), Cell::number(place)];
        let row = self.rows(READ, SELECT_TILE, parameters).await?.into_iter().next();
        row.map(|mut row| row.bytes("a tile")).transpose()
    }

    /// Full tiles of a level from `from` on, in order; [`MAX_TILES`] at most.
    pub async fn audit_tiles(&self, level: u32, from: u64) -> Result<Vec<TileRow>, StoreError> {
        let parameters = vec![Cell::number(level.into()), Cell::number(from), Cell::number(MAX_TILES.into())];
        let rows = self.rows(READ, SELECT_TILES, parameters).await?;
        let read = |mut row: CellRow| {
            Ok(TileRow { level, place: row.number("a tile's number")?, hashes: row.bytes("a tile")? })
        };
        rows.into_iter().map(read).collect()
    }

    /// Stores full tiles; those that are there stay as they are.
    pub async fn audit_tiles_save(&self, tiles: &[TileRow]) -> Result<(), StoreError> {
        if tiles.is_empty() {
            return Ok(());
        }
        self.change(SAVE, tiles.iter().map(insert_tile).collect()).await.map(drop)
    }

    /// Stores a checkpoint; one of the same size that is there stays as it is.
    pub async fn audit_checkpoint_save(&self, checkpoint: &CheckpointRow) -> Result<(), StoreError> {
        let CheckpointRow { tree, time_us, note } = checkpoint;
        let parameters = vec![
            Cell::number(tree.size),
            Cell::bytes(tree.frontier.as_flattened()),
            Cell::number(*time_us),
            Cell::text(note),
        ];
        let insert = Statement { sql: INSERT_CHECKPOINT, parameters, must_touch: false };
        self.change(SAVE, vec![insert]).await.map(drop)
    }

    /// The checkpoint of the largest tree, if there is any.
    pub async fn audit_checkpoint_newest(&self) -> Result<Option<CheckpointRow>, StoreError> {
        let rows = self.rows(READ, SELECT_NEWEST, vec![]).await?;
        rows.into_iter().next().map(CheckpointRow::read).transpose()
    }

    /// The checkpoint of a tree of `size`, if there is one.
    pub async fn audit_checkpoint(&self, size: u64) -> Result<Option<CheckpointRow>, StoreError> {
        let rows = self.rows(READ, SELECT_CHECKPOINT, vec![Cell::number(size)]).await?;
        rows.into_iter().next().map(CheckpointRow::read).transpose()
    }

    /// Checkpoints of trees larger than `size`, in order; [`MAX_TILES`] at most.
    pub async fn audit_checkpoints(&self, size: u64) -> Result<Vec<CheckpointRow>, StoreError> {
        let parameters = vec![Cell::number(size), Cell::number(MAX_TILES.into())];
        let rows = self.rows(READ, SELECT_CHECKPOINTS, parameters).await?;
        rows.into_iter().map(CheckpointRow::read).collect()
    }

    /// The number of the first record that is kept: 0 where nothing was pruned.
    pub async fn audit_minimum(&self) -> Result<u64, StoreError> {
        let rows = self.rows(READ, SELECT_MINIMUM, vec![]).await?;
        rows.into_iter().next().map_or(Ok(0), |mut row| row.number("the minimum"))
    }

    /// The number of the first record of `time_us` or later, if there is one.
    pub async fn audit_first_since(&self, time_us: u64) -> Result<Option<u64>, StoreError> {
        let rows = self.rows(READ, SELECT_SINCE, vec![Cell::number(time_us)]).await?;
        rows.into_iter().next().map_or(Ok(None), |mut row| row.maybe_number("a number"))
    }

    /// Raises the minimum. False if it is as high already.
    pub async fn audit_raise_minimum(&self, minimum: u64) -> Result<bool, StoreError> {
        let parameters = vec![Cell::number(minimum), Cell::number(minimum)];
        self.change(PRUNE, vec![Statement { sql: RAISE_MINIMUM, parameters, must_touch: true }]).await
    }

    /// Takes away some of the records below the minimum, the oldest first. False if there are none.
    ///
    /// What is sealed beside them goes with them; tiles and checkpoints stay.
    pub async fn audit_prune_some(&self) -> Result<bool, StoreError> {
        let minimum = self.audit_minimum().await?;
        let rows = self.rows(PRUNE, SELECT_OLDEST, vec![Cell::number(minimum)]).await?;
        let oldest = rows.into_iter().next().map_or(Ok(None), |mut row| row.maybe_number("a number"))?;
        let Some(oldest) = oldest else { return Ok(false) };
        let until = Cell::number(minimum.min(oldest.saturating_add(MAX_PRUNED)));
        let delete = Statement { sql: DELETE_RECORDS, parameters: vec![until], must_touch: false };
        self.change(PRUNE, vec![delete]).await
    }
}

fn insert_tile(tile: &TileRow) -> Statement {
    let parameters =
        vec![Cell::number(tile.level.into()), Cell::number(tile.place), Cell::bytes(&tile.hashes)];
    Statement { sql: INSERT_TILE, parameters, must_touch: false }
}

fn hash(row: &mut CellRow) -> Result<[u8; 32], StoreError> {
    let malformed = StoreError::Malformed { operation: READ, what: "a leaf" };
    row.bytes("a leaf")?.try_into().map_err(|_| malformed)
}

impl CheckpointRow {
    fn read(mut row: CellRow) -> Result<Self, StoreError> {
        let size = row.number("a checkpoint's size")?;
        let frontier = row.bytes("a checkpoint's frontier")?;
        let (hashes, rest) = frontier.as_chunks::<32>();
        if !rest.is_empty() {
            return Err(StoreError::Malformed { operation: READ, what: "a checkpoint's frontier" });
        }
        Ok(Self {
            tree: TreeState { size, frontier: hashes.to_vec() },
            time_us: row.number("a checkpoint's time")?,
            note: row.text("a checkpoint's note")?,
        })
    }
}
