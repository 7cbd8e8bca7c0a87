//! Requests for approval by the page, how many wait, and the end of what was kept of them.
//!
//! Invariants:
//! - A page is found by where the one before it ended, so a list has no end that is silently cut.
//! - What waits, and what somebody has to review, keeps its contents.

use std::collections::HashMap;

use quaymaster_core::{ApprovalId, Workspace};

use crate::approval::{ApprovalRow, READ, SAVE, VoteRow, columns};
use crate::cell::{Cell, CellRow, Statement};
use crate::{Store, StoreError};

/// Most requests of one page.
pub const MAX_APPROVALS: u32 = 50;

macro_rules! page {
    ($which:literal) => {
        concat!(
            "SELECT ",
            columns!(),
            " FROM approvals WHERE workspace = $1 AND document IS NOT NULL AND ",
            $which,
            " AND (CASE WHEN review = 'due' THEN 0 ELSE 1 END > CAST($2 AS BIGINT) \
             OR (CASE WHEN review = 'due' THEN 0 ELSE 1 END = CAST($3 AS BIGINT) \
             AND (created_us < $4 OR (created_us = $5 AND id < $6)))) \
             ORDER BY CASE WHEN review = 'due' THEN 0 ELSE 1 END, created_us DESC, id DESC LIMIT $7"
        )
    };
}

const SELECT_PENDING: &str = page!("state = 'pending'");
const SELECT_OPEN: &str = page!("(state IN ('pending', 'approved', 'running', 'begun') OR review = 'due')");
const SELECT_REVIEWS: &str = page!("review = 'due'");
const SELECT_ALL: &str = page!("1 = 1");
/// As many places as a page has requests.
const SELECT_VOTES: &str = "
    SELECT approval, person, stead, kind, verdict, name, roles, comment, channel, time_us FROM approval_votes
    WHERE approval IN ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19,
        $20, $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, $32, $33, $34, $35, $36, $37, $38, $39,
        $40, $41, $42, $43, $44, $45, $46, $47, $48, $49, $50)
    ORDER BY approval, time_us, person LIMIT 50000";
const COUNT_OF_ASKER: &str = "
    SELECT COUNT(*) FROM approvals
    WHERE asker = $1 AND state IN ('pending', 'approved', 'running', 'begun')";
const COUNT_OF_WORKSPACE: &str = "
    SELECT COUNT(*) FROM approvals
    WHERE workspace = $1 AND state IN ('pending', 'approved', 'running', 'begun')";
const SELECT_OPEN_OF: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM approvals WHERE asker = $1 AND state IN ('pending', 'approved', 'running', 'begun') \
     ORDER BY created_us LIMIT 1000"
);
const SELECT_OLD: &str = "
    SELECT id FROM approvals
    WHERE document IS NOT NULL AND state NOT IN ('pending', 'approved', 'running', 'begun')
        AND (review IS NULL OR review <> 'due')
        AND COALESCE(delivered_us, ended_us, decided_us, created_us) < $1
    ORDER BY created_us LIMIT $2";
const EMPTY: &str = "
    UPDATE approvals SET version = version + 1, parked = NULL, document = NULL, result = NULL
    WHERE id = $1 AND state NOT IN ('pending', 'approved', 'running', 'begun')
        AND (review IS NULL OR review <> 'due')";
const EMPTY_VOTES: &str = "
    UPDATE approval_votes SET comment = NULL
    WHERE approval = $1 AND approval IN (SELECT id FROM approvals WHERE document IS NULL)";

/// Which requests of a workspace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApprovalsWanted {
    /// Those that nobody has decided.
    Pending,
    /// Those that have not come to their end, and those that somebody has to review.
    Open,
    /// Those that somebody has to review.
    Reviews,
    /// All.
    All,
}

/// Where a page of a list ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApprovalPlace {
    /// Whether its last request has to be reviewed: those come first.
    pub review_due: bool,
    /// When its last request was made.
    pub created_us: u64,
    /// That request.
    pub id: ApprovalId,
}

impl Store {
    /// The requests of a workspace behind `after`: first those that somebody has to review, then newest
    /// first, [`MAX_APPROVALS`] at most. Those whose contents were forgotten are left out.
    pub async fn approval_page(
        &self,
        workspace: &Workspace,
        wanted: ApprovalsWanted,
        after: Option<&ApprovalPlace>,
    ) -> Result<Vec<ApprovalRow>, StoreError> {
        let sql = match wanted {
            ApprovalsWanted::Pending => SELECT_PENDING,
            ApprovalsWanted::Open => SELECT_OPEN,
            ApprovalsWanted::Reviews => SELECT_REVIEWS,
            ApprovalsWanted::All => SELECT_ALL,
        };
        let rank = after.map_or(-1, |place| i64::from(!place.review_due));
        let created = Cell::number(after.map_or(0, |place| place.created_us));
        let parameters = vec![
            Cell::text(workspace.as_str()),
            Cell::Number(rank),
            Cell::Number(rank),
            created.clone(),
            created,
            Cell::text(after.map_or("", |place| place.id.as_str())),
            Cell::number(MAX_APPROVALS.into()),
        ];
        let rows = self.rows(READ, sql, parameters).await?;
        rows.into_iter().map(ApprovalRow::read).collect()
    }

    /// What was said about each of these requests, oldest first; of [`MAX_APPROVALS`] requests at most.
    pub async fn approval_votes_of(
        &self,
        ids: &[ApprovalId],
    ) -> Result<HashMap<ApprovalId, Vec<VoteRow>>, StoreError> {
        let mut votes: HashMap<ApprovalId, Vec<VoteRow>> = HashMap::new();
        if ids.is_empty() {
            return Ok(votes);
        }
        let places = MAX_APPROVALS as usize;
        let named = ids.iter().map(|id| Cell::text(id.as_str()));
        let parameters = named.chain(std::iter::repeat(Cell::text(""))).take(places).collect();
        for mut row in self.rows(READ, SELECT_VOTES, parameters).await? {
            let id = row.parsed("a vote's request", |text| text.parse().ok())?;
            votes.entry(id).or_default().push(VoteRow::read(row)?);
        }
        Ok(votes)
    }

    /// How many requests of the account with this commitment, and of its workspace, have not come to
    /// their end.
    pub async fn approvals_open(&self, asker: &str, workspace: &Workspace) -> Result<(u64, u64), StoreError> {
        let of_asker = self.approvals_counted(COUNT_OF_ASKER, asker).await?;
        Ok((of_asker, self.approvals_counted(COUNT_OF_WORKSPACE, workspace.as_str()).await?))
    }

    /// The requests of the account with this commitment that have not come to their end; 1,000 at most.
    pub async fn approvals_open_of(&self, asker: &str) -> Result<Vec<ApprovalRow>, StoreError> {
        let rows = self.rows(READ, SELECT_OPEN_OF, vec![Cell::text(asker)]).await?;
        rows.into_iter().map(ApprovalRow::read).collect()
    }

    async fn approvals_counted(&self, sql: &'static str, whose: &str) -> Result<u64, StoreError> {
        let rows = self.rows(READ, sql, vec![Cell::text(whose)]).await?;
        let count = |mut row: CellRow| row.number("how many requests wait");
        rows.into_iter().next().map_or(Ok(0), count)
    }

    /// The requests that came to their end before `before_us` and still have contents, oldest first,
    /// `limit` at most. What has to be reviewed is not among them.
    pub async fn approvals_old(&self, before_us: u64, limit: u32) -> Result<Vec<ApprovalId>, StoreError> {
        let parameters = vec![Cell::number(before_us), Cell::number(limit.into())];
        let rows = self.rows(READ, SELECT_OLD, parameters).await?;
        rows.into_iter().map(|mut row| row.parsed("an approval's id", |text| text.parse().ok())).collect()
    }

    /// Forgets the call, the document, the result and the comments of these requests, as far as they
    /// have come to their end and need no review.
    pub async fn approvals_empty(&self, ids: &[ApprovalId]) -> Result<(), StoreError> {
        let statement = |sql, id: &ApprovalId| Statement {
            sql,
            parameters: vec![Cell::text(id.as_str())],
            must_touch: false,
        };
        let statements = ids.iter().flat_map(|id| [statement(EMPTY, id), statement(EMPTY_VOTES, id)]);
        self.change(SAVE, statements.collect()).await.map(drop)
    }
}
