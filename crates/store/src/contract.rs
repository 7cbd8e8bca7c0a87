//! The rows of what was seen first of each upstream's tools.
//!
//! What they are compared with, and what follows from that, is `quaymaster-gateway`'s part. A row is
//! written once: whoever comes second is told what the first one saw.

use crate::cell::{Cell, CellRow, Statement};
use crate::{Store, StoreError};

/// Most rows that are kept and read.
pub const MAX_SEEN_CONTRACTS: u32 = 10_000;

const READ: &str = "read what was seen of tools";
const SAVE: &str = "note what was seen of tools";

const SELECT: &str =
    "SELECT connector, tool, definition, seen_us FROM seen_contracts ORDER BY connector, tool LIMIT $1";
const COUNT: &str = "SELECT count(*) FROM seen_contracts";
const INSERT: &str = "
    INSERT INTO seen_contracts (connector, tool, definition, seen_us) VALUES ($1, $2, $3, $4)
    ON CONFLICT (connector, tool) DO NOTHING";
const DELETE: &str = "DELETE FROM seen_contracts WHERE connector = $1";

/// What was seen first of one tool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenContractRow {
    /// The connector.
    pub connector: String,
    /// The name that its server gives to the tool.
    pub tool: String,
    /// The definition, as JSON.
    pub definition: String,
    /// When it was seen, in microseconds since the Unix epoch.
    pub seen_us: u64,
}

impl Store {
    /// What was seen first, [`MAX_SEEN_CONTRACTS`] rows at most.
    pub async fn seen_contracts(&self) -> Result<Vec<SeenContractRow>, StoreError> {
        let rows = self.rows(READ, SELECT, vec![Cell::number(MAX_SEEN_CONTRACTS.into())]).await?;
        rows.into_iter().map(SeenContractRow::read).collect()
    }

    /// Notes what is seen of tools of which nothing is known yet; what is known stays. False, and
    /// nothing is noted, if there would be more than [`MAX_SEEN_CONTRACTS`].
    pub async fn seen_contracts_insert(&self, seen: &[SeenContractRow]) -> Result<bool, StoreError> {
        if seen.is_empty() {
            return Ok(true);
        }
        let counted = self.rows(READ, COUNT, vec![]).await?;
        let known = counted.into_iter().next().map_or(Ok(0), |mut row| row.number("the number of tools"))?;
        if known.saturating_add(seen.len() as u64) > u64::from(MAX_SEEN_CONTRACTS) {
            return Ok(false);
        }
        let insert = |row: &SeenContractRow| Statement {
            sql: INSERT,
            parameters: vec![
                Cell::text(&row.connector),
                Cell::text(&row.tool),
                Cell::text(&row.definition),
                Cell::number(row.seen_us),
            ],
            must_touch: false,
        };
        self.change(SAVE, seen.iter().map(insert).collect()).await
    }

    /// Forgets what was seen of the tools of `connector`, which a file pins from now on.
    pub async fn seen_contracts_delete(&self, connector: &str) -> Result<(), StoreError> {
        let delete = Statement { sql: DELETE, parameters: vec![Cell::text(connector)], must_touch: false };
        self.change(SAVE, vec![delete]).await.map(|_| ())
    }
}

impl SeenContractRow {
    fn read(mut row: CellRow) -> Result<Self, StoreError> {
        Ok(Self {
            connector: row.text("a connector's name")?,
            tool: row.text("a tool's name")?,
            definition: row.text("a tool's definition")?,
            seen_us: row.number("the time at which a tool was seen")?,
        })
    }
}
