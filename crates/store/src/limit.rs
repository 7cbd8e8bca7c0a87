//! How much of each quota was used.
//!
//! What a name stands for and when a period ends is `quaymaster-control`'s part.
//!
//! Invariant: what is taken under a bound is there as a whole or nothing of it is: of several
//! processes that take the last of a quota together one gets it.

use crate::cell::{Cell, Statement};
use crate::{Store, StoreError};

const READ: &str = "read how much of a quota was used";
const TAKE: &str = "take of a quota";

const INSERT: &str =
    "INSERT INTO limit_uses (name, period, used, ends_us) VALUES ($1, $2, 0, $3) ON CONFLICT DO NOTHING";
const TAKE_WITHIN: &str =
    "UPDATE limit_uses SET used = used + $1 WHERE name = $2 AND period = $3 AND used + $4 <= $5";
const ADD: &str = "UPDATE limit_uses SET used = used + $1 WHERE name = $2 AND period = $3";
const SELECT: &str = "SELECT used FROM limit_uses WHERE name = $1 AND period = $2";
const FORGET: &str = "DELETE FROM limit_uses WHERE ends_us < $1";

impl Store {
    /// How much was used under `name` in `period`.
    pub async fn limit_used(&self, name: &str, period: &str) -> Result<u64, StoreError> {
        let rows = self.rows(READ, SELECT, vec![Cell::text(name), Cell::text(period)]).await?;
        rows.into_iter().next().map_or(Ok(0), |mut row| row.number("the use of a quota"))
    }

    /// Takes `amount` in a period that ends at `ends_us`, if no more than `most` is used then. False otherwise.
    pub async fn limit_take(
        &self,
        (name, period, ends_us): (&str, &str, u64),
        amount: u64,
        most: u64,
    ) -> Result<bool, StoreError> {
        let within = vec![
            Cell::number(amount),
            Cell::text(name),
            Cell::text(period),
            Cell::number(amount),
            Cell::number(most),
        ];
        let take = Statement { sql: TAKE_WITHIN, parameters: within, must_touch: true };
        self.change(TAKE, vec![begin(name, period, ends_us), take]).await
    }

    /// Adds `amount`, whatever was used: for what is known only after it was used.
    pub async fn limit_add(
        &self,
        (name, period, ends_us): (&str, &str, u64),
        amount: u64,
    ) -> Result<(), StoreError> {
        let parameters = vec![Cell::number(amount), Cell::text(name), Cell::text(period)];
        let add = Statement { sql: ADD, parameters, must_touch: false };
        self.change(TAKE, vec![begin(name, period, ends_us), add]).await.map(drop)
    }

    /// Forgets periods that ended before `before_us`.
    pub async fn limit_forget(&self, before_us: u64) -> Result<(), StoreError> {
        let forget = Statement { sql: FORGET, parameters: vec![Cell::number(before_us)], must_touch: false };
        self.change(TAKE, vec![forget]).await.map(drop)
    }
}

fn begin(name: &str, period: &str, ends_us: u64) -> Statement {
    let parameters = vec![Cell::text(name), Cell::text(period), Cell::number(ends_us)];
    Statement { sql: INSERT, parameters, must_touch: false }
}
