//! The rows of sinks: how far each has the records of the audit.
//!
//! What a sink is and how it is fed is `quaymaster-gateway`'s part.
//!
//! Invariants:
//! - One process feeds a sink at a time, as long as its lease runs.
//! - A position never goes back.

use crate::cell::{Cell, Statement};
use crate::{Store, StoreError};

const READ: &str = "read how far sinks are";
const SAVE: &str = "note how far a sink is";

const INSERT: &str = "
    INSERT INTO audit_sinks (name, next_seq, holder, lease_us) VALUES ($1, 0, '', 0) ON CONFLICT (name) DO NOTHING";
const CLAIM: &str = "
    UPDATE audit_sinks SET holder = $1, lease_us = $2 WHERE name = $3 AND (holder = $4 OR lease_us < $5)";
const ADVANCE: &str = "
    UPDATE audit_sinks SET next_seq = $1 WHERE name = $2 AND holder = $3 AND next_seq <= $4";
const RELEASE: &str = "UPDATE audit_sinks SET lease_us = 0 WHERE name = $1 AND holder = $2";
const SELECT: &str = "SELECT next_seq FROM audit_sinks WHERE name = $1";

impl Store {
    /// Takes a sink for `holder` until `until_us`. False if another holds it at `now_us`.
    pub async fn audit_sink_claim(
        &self,
        name: &str,
        holder: &str,
        (now_us, until_us): (u64, u64),
    ) -> Result<bool, StoreError> {
        let insert = Statement { sql: INSERT, parameters: vec![Cell::text(name)], must_touch: false };
        let parameters = vec![
            Cell::text(holder),
            Cell::number(until_us),
            Cell::text(name),
            Cell::text(holder),
            Cell::number(now_us),
        ];
        let claim = Statement { sql: CLAIM, parameters, must_touch: true };
        // In two changes: a claim that fails must not take back that there is such a sink.
        self.change(SAVE, vec![insert]).await?;
        self.change(SAVE, vec![claim]).await
    }

    /// Notes that a sink has every record before `next`. False if `holder` does not hold it any more.
    pub async fn audit_sink_advance(&self, name: &str, holder: &str, next: u64) -> Result<bool, StoreError> {
        let parameters = vec![Cell::number(next), Cell::text(name), Cell::text(holder), Cell::number(next)];
        self.change(SAVE, vec![Statement { sql: ADVANCE, parameters, must_touch: true }]).await
    }

    /// Leaves a sink to others.
    pub async fn audit_sink_release(&self, name: &str, holder: &str) -> Result<(), StoreError> {
        let parameters = vec![Cell::text(name), Cell::text(holder)];
        let release = Statement { sql: RELEASE, parameters, must_touch: false };
        self.change(SAVE, vec![release]).await.map(drop)
    }

    /// The number of the first record that a sink does not have; 0 of one that was never fed.
    pub async fn audit_sink_position(&self, name: &str) -> Result<u64, StoreError> {
        let rows = self.rows(READ, SELECT, vec![Cell::text(name)]).await?;
        rows.into_iter().next().map_or(Ok(0), |mut row| row.number("a position"))
    }
}
