//! The rows of calls that wait for somebody's agreement, and of what was said of them.
//!
//! What states there are, who may say what and what is sealed is `quaymaster-control`'s part. Lists,
//! counts and the end of what was kept are in `approval_list`.
//!
//! Invariants:
//! - Of one digest one request waits at most; whoever comes second joins it.
//! - A request is changed by who has read it as it is: two changes at once are one and a refusal.

use quaymaster_core::{ApprovalId, Workspace};

use crate::cell::{Cell, CellRow, Statement};
use crate::number::signed;
use crate::{Store, StoreError};

const PARK: &str = "park a call";
pub(crate) const READ: &str = "read requests for approval";
pub(crate) const SAVE: &str = "change a request for approval";

macro_rules! columns {
    () => {
        "id, version, workspace, digest, tool, state, requester, gates, parked, document, result, call_id, \
         runner, lease_us, created_us, expires_us, decided_us, ended_us, delivered_us, review, asker, \
         escalates_us"
    };
}
pub(crate) use columns;

const INSERT: &str = concat!(
    "INSERT INTO approvals (",
    columns!(),
    ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22) \
     ON CONFLICT DO NOTHING"
);
const UPDATE: &str = "
    UPDATE approvals SET version = version + 1, state = $1, parked = $2, document = $3, result = $4,
        call_id = $5, runner = $6, lease_us = $7, decided_us = $8, ended_us = $9, delivered_us = $10,
        review = $11
    WHERE id = $12 AND version = $13";
const SELECT_ID: &str = concat!("SELECT ", columns!(), " FROM approvals WHERE id = $1");
const SELECT_DIGEST: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM approvals WHERE digest = $1 \
     ORDER BY CASE WHEN state IN ('pending', 'approved', 'running', 'begun') THEN 0 ELSE 1 END, \
     created_us DESC, id DESC LIMIT 1"
);
/// What the runner has to look at: what was agreed to, what a lost process ran, what nobody decided in time.
const SELECT_DUE: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM approvals WHERE (state IN ('approved', 'running', 'begun') AND (lease_us IS NULL OR lease_us < $1)) \
     OR (state = 'pending' AND expires_us <= $2) ORDER BY created_us LIMIT $3"
);
const INSERT_VOTE: &str = "
    INSERT INTO approval_votes (approval, person, stead, kind, verdict, name, roles, comment, channel, time_us)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT DO NOTHING";
const SELECT_VOTES: &str = "
    SELECT person, stead, kind, verdict, name, roles, comment, channel, time_us FROM approval_votes
    WHERE approval = $1 ORDER BY time_us, person LIMIT 1000";

/// A request for approval as it is stored. Times are microseconds since the Unix epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApprovalRow {
    /// The id.
    pub id: ApprovalId,
    /// How often it was changed.
    pub version: u64,
    /// Where it belongs.
    pub workspace: Workspace,
    /// What an agreement is bound to.
    pub digest: String,
    /// The tool.
    pub tool: String,
    /// The state, in a word of `quaymaster-control`.
    pub state: String,
    /// Who asks, sealed.
    pub requester: Vec<u8>,
    /// What has to be agreed to, as JSON.
    pub gates: String,
    /// The call, sealed, until it cannot run any more.
    pub parked: Option<Vec<u8>>,
    /// What deciders read, sealed.
    pub document: Option<Vec<u8>>,
    /// The result that waits, sealed.
    pub result: Option<Vec<u8>>,
    /// The call that runs or ran.
    pub call_id: Option<String>,
    /// The process that runs it.
    pub runner: Option<String>,
    /// Until when that process is believed to be at it.
    pub lease_us: Option<u64>,
    /// When it was made.
    pub created_us: u64,
    /// Until when it may be decided.
    pub expires_us: u64,
    /// When it was.
    pub decided_us: Option<u64>,
    /// When it came to its end.
    pub ended_us: Option<u64>,
    /// When its result was first handed out.
    pub delivered_us: Option<u64>,
    /// Whether an emergency has to be reviewed: `due` or `done`.
    pub review: Option<String>,
    /// When it escalates next, so that somebody is to be told. Changed by its letters alone.
    pub escalates_us: Option<u64>,
    /// Commitment to the account that asks; none where that was not noted yet.
    pub asker: Option<String>,
}

/// What one person said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VoteRow {
    /// Commitment to the person.
    pub person: String,
    /// Commitment to whom the person stood in for, if it was not said in their own right.
    pub stead: Option<String>,
    /// What it was about, in a word of `quaymaster-control`.
    pub kind: String,
    /// What was said.
    pub verdict: String,
    /// The account's name, sealed.
    pub name: Vec<u8>,
    /// The roles that it was said in, as a JSON array.
    pub roles: String,
    /// In the person's own words, sealed.
    pub comment: Option<Vec<u8>>,
    /// By which way.
    pub channel: String,
    /// When.
    pub time_us: u64,
}

/// Which request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ApprovalKey {
    /// The one with this id.
    Id(ApprovalId),
    /// The newest one of this digest.
    Digest(String),
}

impl Store {
    /// Parks a call. False if a request of the same digest waits already.
    pub async fn approval_park(&self, row: &ApprovalRow) -> Result<bool, StoreError> {
        let insert = Statement { sql: INSERT, parameters: row.cells(), must_touch: true };
        self.change(PARK, vec![insert]).await
    }

    /// One request.
    pub async fn approval(&self, key: &ApprovalKey) -> Result<Option<ApprovalRow>, StoreError> {
        let (sql, parameter) = match key {
            ApprovalKey::Id(id) => (SELECT_ID, Cell::text(id.as_str())),
            ApprovalKey::Digest(digest) => (SELECT_DIGEST, Cell::text(digest)),
        };
        let rows = self.rows(READ, sql, vec![parameter]).await?;
        rows.into_iter().next().map(ApprovalRow::read).transpose()
    }

    /// The requests of all workspaces that something has to be done about at `now_us`, `limit` at most.
    pub async fn approvals_due(&self, now_us: u64, limit: u32) -> Result<Vec<ApprovalRow>, StoreError> {
        let parameters = vec![Cell::number(now_us), Cell::number(now_us), Cell::number(limit.into())];
        let rows = self.rows(READ, SELECT_DUE, parameters).await?;
        rows.into_iter().map(ApprovalRow::read).collect()
    }

    /// What was said about a request, oldest first.
    pub async fn approval_votes(&self, id: &ApprovalId) -> Result<Vec<VoteRow>, StoreError> {
        let rows = self.rows(READ, SELECT_VOTES, vec![Cell::text(id.as_str())]).await?;
        rows.into_iter().map(VoteRow::read).collect()
    }

    /// Writes what changed in `row`, together with what was said, if nobody changed the request since
    /// it was read and the person said nothing of that kind before. False otherwise.
    pub async fn approval_save(&self, row: &ApprovalRow, vote: Option<&VoteRow>) -> Result<bool, StoreError> {
        let update = Statement { sql: UPDATE, parameters: row.changes(), must_touch: true };
        let vote = vote.map(|vote| Statement {
            sql: INSERT_VOTE,
            parameters: vote.cells(&row.id),
            must_touch: true,
        });
        self.change(SAVE, std::iter::once(update).chain(vote).collect()).await
    }
}

impl ApprovalRow {
    fn cells(&self) -> Vec<Cell> {
        vec![
            Cell::text(self.id.as_str()),
            Cell::number(self.version),
            Cell::text(self.workspace.as_str()),
            Cell::text(&self.digest),
            Cell::text(&self.tool),
            Cell::text(&self.state),
            Cell::bytes(&self.requester),
            Cell::text(&self.gates),
            sealed(self.parked.as_deref()),
            sealed(self.document.as_deref()),
            sealed(self.result.as_deref()),
            word(self.call_id.as_deref()),
            word(self.runner.as_deref()),
            time(self.lease_us),
            Cell::number(self.created_us),
            Cell::number(self.expires_us),
            time(self.decided_us),
            time(self.ended_us),
            time(self.delivered_us),
            word(self.review.as_deref()),
            word(self.asker.as_deref()),
            time(self.escalates_us),
        ]
    }

    /// What can change, then what the change is made on.
    fn changes(&self) -> Vec<Cell> {
        vec![
            Cell::text(&self.state),
            sealed(self.parked.as_deref()),
            sealed(self.document.as_deref()),
            sealed(self.result.as_deref()),
            word(self.call_id.as_deref()),
            word(self.runner.as_deref()),
            time(self.lease_us),
            time(self.decided_us),
            time(self.ended_us),
            time(self.delivered_us),
            word(self.review.as_deref()),
            Cell::text(self.id.as_str()),
            Cell::number(self.version),
        ]
    }

    pub(crate) fn read(mut row: CellRow) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.parsed("an approval's id", |text| text.parse().ok())?,
            version: row.number("an approval's version")?,
            workspace: row.parsed("an approval's workspace", |text| Workspace::parse(text).ok())?,
            digest: row.text("an approval's digest")?,
            tool: row.text("an approval's tool")?,
            state: row.text("an approval's state")?,
            requester: row.bytes("an approval's requester")?,
            gates: row.text("an approval's gates")?,
            parked: row.maybe_bytes("an approval's call")?,
            document: row.maybe_bytes("an approval's document")?,
            result: row.maybe_bytes("an approval's result")?,
            call_id: row.maybe_text("an approval's call")?,
            runner: row.maybe_text("an approval's runner")?,
            lease_us: row.maybe_number("an approval's lease")?,
            created_us: row.number("an approval's time")?,
            expires_us: row.number("an approval's time")?,
            decided_us: row.maybe_number("an approval's time")?,
            ended_us: row.maybe_number("an approval's time")?,
            delivered_us: row.maybe_number("an approval's time")?,
            review: row.maybe_text("an approval's review")?,
            asker: row.maybe_text("an approval's requester")?,
            escalates_us: row.maybe_number("an approval's time")?,
        })
    }
}

impl VoteRow {
    fn cells(&self, approval: &ApprovalId) -> Vec<Cell> {
        vec![
            Cell::text(approval.as_str()),
            Cell::text(&self.person),
            word(self.stead.as_deref()),
            Cell::text(&self.kind),
            Cell::text(&self.verdict),
            Cell::bytes(&self.name),
            Cell::text(&self.roles),
            sealed(self.comment.as_deref()),
            Cell::text(&self.channel),
            Cell::number(self.time_us),
        ]
    }

    pub(crate) fn read(mut row: CellRow) -> Result<Self, StoreError> {
        Ok(Self {
            person: row.text("a vote's person")?,
            stead: row.maybe_text("a vote's person")?,
            kind: row.text("a vote's kind")?,
            verdict: row.text("a vote's verdict")?,
            name: row.bytes("a vote's name")?,
            roles: row.text("a vote's roles")?,
            comment: row.maybe_bytes("a vote's comment")?,
            channel: row.text("a vote's channel")?,
            time_us: row.number("a vote's time")?,
        })
    }
}

pub(crate) fn time(us: Option<u64>) -> Cell {
    Cell::maybe(us, |us| Cell::Number(signed(us)))
}

pub(crate) fn word(text: Option<&str>) -> Cell {
    Cell::maybe(text, Cell::text)
}

fn sealed(bytes: Option<&[u8]>) -> Cell {
    Cell::maybe(bytes, Cell::bytes)
}
