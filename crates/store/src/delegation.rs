//! The rows of who decides on requests for approval in whose stead.
//!
//! A delegation counts until its end or until it is taken back; whose say it is remains a
//! commitment here.

use quaymaster_core::Workspace;

use crate::approval::time;
use crate::cell::{Cell, CellRow, Statement};
use crate::{Store, StoreError};

/// Most delegations of one giver, and to one taker, that are looked at.
pub const MAX_DELEGATIONS: usize = 100;

const READ: &str = "read who decides in whose stead";
const DELEGATE: &str = "note who decides in whose stead";

const INSERT_DELEGATION: &str = "
    INSERT INTO approval_delegations
        (id, workspace, giver, taker, names, roles, created_us, until_us, revoked_us)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
const SELECT_TAKEN: &str = "
    SELECT id, workspace, giver, taker, names, roles, created_us, until_us, revoked_us
    FROM approval_delegations WHERE taker IN ($1, $2, $3) AND workspace = $4 AND until_us > $5
        AND revoked_us IS NULL
    ORDER BY created_us, id LIMIT 100";
const SELECT_GIVEN: &str = "
    SELECT id, workspace, giver, taker, names, roles, created_us, until_us, revoked_us
    FROM approval_delegations WHERE giver = $1 AND workspace = $2 AND until_us > $3 AND revoked_us IS NULL
    ORDER BY created_us, id LIMIT 100";
const REVOKE_DELEGATION: &str =
    "UPDATE approval_delegations SET revoked_us = $1 WHERE id = $2 AND workspace = $3 AND revoked_us IS NULL";

/// Who decides in whose stead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DelegationRow {
    /// The id.
    pub id: String,
    /// Where.
    pub workspace: Workspace,
    /// Commitment to the person whose say it is.
    pub giver: String,
    /// Commitment to the person who has it meanwhile.
    pub taker: String,
    /// Both names, sealed.
    pub names: Vec<u8>,
    /// The roles that are lent, as a JSON array.
    pub roles: String,
    /// When it was made.
    pub created_us: u64,
    /// Until when it counts.
    pub until_us: u64,
    /// When it was taken back.
    pub revoked_us: Option<u64>,
}

impl Store {
    /// Notes who decides in whose stead.
    pub async fn delegation_insert(&self, row: &DelegationRow) -> Result<(), StoreError> {
        let insert = Statement { sql: INSERT_DELEGATION, parameters: row.cells(), must_touch: false };
        self.change(DELEGATE, vec![insert]).await.map(drop)
    }

    /// What is lent at `now_us` in a workspace to whoever goes by one of these commitments, oldest
    /// first, [`MAX_DELEGATIONS`] at most.
    pub async fn delegations_to(
        &self,
        takers: [&str; 3],
        workspace: &Workspace,
        now_us: u64,
    ) -> Result<Vec<DelegationRow>, StoreError> {
        let rest = [Cell::text(workspace.as_str()), Cell::number(now_us)];
        let parameters = takers.into_iter().map(Cell::text).chain(rest).collect();
        let rows = self.rows(READ, SELECT_TAKEN, parameters).await?;
        rows.into_iter().map(DelegationRow::read).collect()
    }

    /// What this giver lends at `now_us` in a workspace, oldest first, [`MAX_DELEGATIONS`] at most.
    pub async fn delegations_by(
        &self,
        giver: &str,
        workspace: &Workspace,
        now_us: u64,
    ) -> Result<Vec<DelegationRow>, StoreError> {
        let parameters = vec![Cell::text(giver), Cell::text(workspace.as_str()), Cell::number(now_us)];
        let rows = self.rows(READ, SELECT_GIVEN, parameters).await?;
        rows.into_iter().map(DelegationRow::read).collect()
    }

    /// Takes a delegation back; false if there is none that counts.
    pub async fn delegation_revoke(
        &self,
        workspace: &Workspace,
        id: &str,
        at_us: u64,
    ) -> Result<bool, StoreError> {
        let parameters = vec![Cell::number(at_us), Cell::text(id), Cell::text(workspace.as_str())];
        let update = Statement { sql: REVOKE_DELEGATION, parameters, must_touch: true };
        self.change(DELEGATE, vec![update]).await
    }
}

impl DelegationRow {
    fn cells(&self) -> Vec<Cell> {
        vec![
            Cell::text(&self.id),
            Cell::text(self.workspace.as_str()),
            Cell::text(&self.giver),
            Cell::text(&self.taker),
            Cell::bytes(&self.names),
            Cell::text(&self.roles),
            Cell::number(self.created_us),
            Cell::number(self.until_us),
            time(self.revoked_us),
        ]
    }

    fn read(mut row: CellRow) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.text("a delegation's id")?,
            workspace: row.parsed("a delegation's workspace", |text| Workspace::parse(text).ok())?,
            giver: row.text("a delegation's giver")?,
            taker: row.text("a delegation's taker")?,
            names: row.bytes("a delegation's names")?,
            roles: row.text("a delegation's roles")?,
            created_us: row.number("a delegation's time")?,
            until_us: row.number("a delegation's time")?,
            revoked_us: row.maybe_number("a delegation's time")?,
        })
    }
}
