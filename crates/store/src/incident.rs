//! The rows of incident switches.
//!
//! What a switch stops is `quaymaster-control`'s part. Every change moves one version on, which a
//! process that serves looks at many times a second: reading it is all that an unchanged store costs.

use quaymaster_core::IncidentId;

use crate::cell::{Cell, CellRow, Statement};
use crate::{Store, StoreError};

/// Most switches that are read.
pub const MAX_INCIDENTS: u32 = 1_000;

const READ: &str = "read incident switches";
const SAVE: &str = "change an incident switch";

const SELECT_VERSION: &str = "SELECT version FROM incident_version WHERE id = 1";
const NEXT_VERSION: &str = "UPDATE incident_version SET version = version + 1 WHERE id = 1";
const INSERT: &str = "
    INSERT INTO incidents (id, target, reason, made_by, cancels, created_us, until_us)
    VALUES ($1, $2, $3, $4, $5, $6, $7)";
const LIFT: &str =
    "UPDATE incidents SET lifted_us = $1 WHERE id = $2 AND lifted_us IS NULL AND until_us > $3";
const SELECT_STANDING: &str = "
    SELECT id, target, reason, made_by, cancels, created_us, until_us, lifted_us FROM incidents
    WHERE lifted_us IS NULL AND until_us > $1 ORDER BY created_us, id LIMIT $2";
const COUNT_STANDING: &str = "SELECT count(*) FROM incidents WHERE lifted_us IS NULL AND until_us > $1";

/// An incident switch as it is stored. Times are microseconds since the Unix epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IncidentRow {
    /// The id.
    pub id: IncidentId,
    /// What it stops, as JSON.
    pub target: String,
    /// Why, in the words of whoever made it.
    pub reason: String,
    /// Who made it.
    pub made_by: String,
    /// Whether calls that run are cancelled.
    pub cancels: bool,
    /// When it was made.
    pub created_us: u64,
    /// When it ends by itself.
    pub until_us: u64,
    /// When it was lifted, if it was.
    pub lifted_us: Option<u64>,
}

impl Store {
    /// A number that grows with every change of a switch.
    pub async fn incident_version(&self) -> Result<u64, StoreError> {
        let rows = self.rows(READ, SELECT_VERSION, vec![]).await?;
        rows.into_iter().next().map_or(Ok(0), |mut row| row.number("the version of the switches"))
    }

    /// The switches that stand at `now_us`, oldest first, [`MAX_INCIDENTS`] at most.
    pub async fn incidents(&self, now_us: u64) -> Result<Vec<IncidentRow>, StoreError> {
        let parameters = vec![Cell::number(now_us), Cell::number(MAX_INCIDENTS.into())];
        let rows = self.rows(READ, SELECT_STANDING, parameters).await?;
        rows.into_iter().map(IncidentRow::read).collect()
    }

    /// Puts a switch. False if [`MAX_INCIDENTS`] stand already.
    pub async fn incident_insert(&self, row: &IncidentRow) -> Result<bool, StoreError> {
        let counted = self.rows(READ, COUNT_STANDING, vec![Cell::number(row.created_us)]).await?;
        let standing =
            counted.into_iter().next().map_or(Ok(0), |mut row| row.number("the number of switches"))?;
        if standing >= u64::from(MAX_INCIDENTS) {
            return Ok(false);
        }
        let parameters = vec![
            Cell::text(row.id.as_str()),
            Cell::text(&row.target),
            Cell::text(&row.reason),
            Cell::text(&row.made_by),
            Cell::number(u64::from(row.cancels)),
            Cell::number(row.created_us),
            Cell::number(row.until_us),
        ];
        let insert = Statement { sql: INSERT, parameters, must_touch: true };
        self.change(SAVE, vec![insert, next_version()]).await
    }

    /// Lifts a switch. False if none of that id stands at `now_us`.
    pub async fn incident_lift(&self, id: &IncidentId, now_us: u64) -> Result<bool, StoreError> {
        let parameters = vec![Cell::number(now_us), Cell::text(id.as_str()), Cell::number(now_us)];
        let lift = Statement { sql: LIFT, parameters, must_touch: true };
        self.change(SAVE, vec![lift, next_version()]).await
    }
}

fn next_version() -> Statement {
    Statement { sql: NEXT_VERSION, parameters: vec![], must_touch: true }
}

impl IncidentRow {
    fn read(mut row: CellRow) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.parsed("a switch's id", |text| text.parse().ok())?,
            target: row.text("a switch's target")?,
            reason: row.text("a switch's reason")?,
            made_by: row.text("a switch's maker")?,
            cancels: row.number("a switch's kind")? != 0,
            created_us: row.number("a switch's time")?,
            until_us: row.number("a switch's time")?,
            lifted_us: row.maybe_number("a switch's time")?,
        })
    }
}
