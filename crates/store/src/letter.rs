//! Letters about requests for approval: what has to be told to whom, until it was.
//!
//! A letter has no text here: what it says is read from its request when it goes out. Which letters
//! there are and how often one is tried is `quaymaster-control`'s part.
//!
//! Invariants:
//! - Of one event of one request letters are made once, by whichever process sees it first.
//! - A letter is there until it was delivered or given up. Of several processes one takes it at a time.

use quaymaster_core::ApprovalId;

use crate::approval::time;
use crate::cell::{Cell, CellRow, Statement};
use crate::{Store, StoreError};

const READ: &str = "read letters about requests for approval";
const WRITE: &str = "write letters about requests for approval";

macro_rules! news {
    ($event:literal, $condition:literal) => {
        concat!(
            "SELECT id FROM approvals WHERE created_us >= $1 AND ",
            $condition,
            " AND NOT EXISTS (SELECT 1 FROM approval_notices \
             WHERE approval_notices.approval = approvals.id AND event = '",
            $event,
            "') ORDER BY created_us LIMIT $2"
        )
    };
}

const SELECT_REQUESTED: &str = news!("requested", "state <> ''");
const SELECT_DECIDED: &str = news!("decided", "decided_us IS NOT NULL");
const SELECT_REVIEW: &str = news!("review_due", "review = 'due'");
/// What is told of an escalation is in the request itself: one may escalate several times.
const SELECT_ESCALATED: &str = "
    SELECT id FROM approvals WHERE created_us >= $1 AND state = 'pending' AND escalates_us <= $2
    ORDER BY created_us LIMIT $3";
const UPDATE_ESCALATION: &str = "
    UPDATE approvals SET escalates_us = $1 WHERE id = $2 AND escalates_us = $3";
/// Of a request that was rejected the decision is the end.
const SELECT_ENDED: &str = news!("ended", "ended_us IS NOT NULL AND state <> 'rejected'");
const INSERT_NOTICE: &str =
    "INSERT INTO approval_notices (approval, event, time_us) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
const INSERT_LETTER: &str = "
    INSERT INTO approval_letters (id, approval, event, target, created_us, next_us, attempts)
    VALUES ($1, $2, $3, $4, $5, $6, $7)";
const SELECT_DUE: &str = "
    SELECT id, approval, event, target, created_us, next_us, attempts FROM approval_letters
    WHERE next_us <= $1 ORDER BY next_us LIMIT $2";
const UPDATE: &str = "
    UPDATE approval_letters SET next_us = $1, attempts = $2 WHERE id = $3 AND attempts = $4";
const DELETE: &str = "DELETE FROM approval_letters WHERE id = $1";

/// What can be told of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NewsEvent {
    /// It was made.
    Requested,
    /// It waited so long that others may decide on it as well.
    Escalated,
    /// Somebody agreed or refused, and that decided it.
    Decided,
    /// It was let through in an emergency, and somebody has to review that.
    ReviewDue,
    /// It came to its end in another way than by a no.
    Ended,
}

impl NewsEvent {
    /// All of them, in the order in which they happen.
    pub const ALL: [Self; 5] =
        [Self::Requested, Self::Escalated, Self::Decided, Self::ReviewDue, Self::Ended];

    /// The word for the store and for messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Escalated => "escalated",
            Self::Decided => "decided",
            Self::ReviewDue => "review_due",
            Self::Ended => "ended",
        }
    }

    /// Whether whoever is told is asked to do something.
    pub fn is_a_question(self) -> bool {
        matches!(self, Self::Requested | Self::Escalated | Self::ReviewDue)
    }

    /// The event of this word.
    pub fn named(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|event| event.as_str() == word)
    }
}

/// A letter as it is stored. Times are microseconds since the Unix epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LetterRow {
    /// The id; the same at each try.
    pub id: String,
    /// The request.
    pub approval: ApprovalId,
    /// What it tells.
    pub event: NewsEvent,
    /// Whom it is for, in a word of `quaymaster-control`.
    pub target: String,
    /// When it was written.
    pub created_us: u64,
    /// When it is tried next.
    pub next_us: u64,
    /// How often it was tried.
    pub attempts: u64,
}

impl Store {
    /// The requests since `since_us` of which `event` happened by `now_us` and nobody made letters,
    /// `limit` at most.
    pub async fn news(
        &self,
        event: NewsEvent,
        (since_us, now_us): (u64, u64),
        limit: u32,
    ) -> Result<Vec<ApprovalId>, StoreError> {
        let sql = match event {
            NewsEvent::Requested => SELECT_REQUESTED,
            NewsEvent::Escalated => SELECT_ESCALATED,
            NewsEvent::Decided => SELECT_DECIDED,
            NewsEvent::ReviewDue => SELECT_REVIEW,
            NewsEvent::Ended => SELECT_ENDED,
        };
        let now = (event == NewsEvent::Escalated).then(|| Cell::number(now_us));
        let parameters = std::iter::once(Cell::number(since_us)).chain(now);
        let parameters = parameters.chain([Cell::number(limit.into())]).collect();
        let rows = self.rows(READ, sql, parameters).await?;
        rows.into_iter().map(|mut row| row.parsed("an approval's id", |id| id.parse().ok())).collect()
    }

    /// Notes that letters of this event are made, and stores them. False, and nothing is stored, if
    /// that was noted before.
    pub async fn letters_insert(
        &self,
        (approval, event): (&ApprovalId, NewsEvent),
        letters: &[LetterRow],
        now_us: u64,
    ) -> Result<bool, StoreError> {
        let parameters =
            vec![Cell::text(approval.as_str()), Cell::text(event.as_str()), Cell::number(now_us)];
        let mut statements = vec![Statement { sql: INSERT_NOTICE, parameters, must_touch: true }];
        statements.extend(letters.iter().map(|letter| Statement {
            sql: INSERT_LETTER,
            parameters: letter.cells(),
            must_touch: true,
        }));
        self.change(WRITE, statements).await
    }

    /// Notes that letters of an escalation at `at_us` are made, and stores them; the next one is at
    /// `next_us`. False, and nothing is stored, if that was noted before.
    pub async fn escalation_letters_insert(
        &self,
        approval: &ApprovalId,
        (at_us, next_us): (u64, Option<u64>),
        letters: &[LetterRow],
    ) -> Result<bool, StoreError> {
        let parameters = vec![time(next_us), Cell::text(approval.as_str()), Cell::number(at_us)];
        let mut statements = vec![Statement { sql: UPDATE_ESCALATION, parameters, must_touch: true }];
        statements.extend(letters.iter().map(|letter| Statement {
            sql: INSERT_LETTER,
            parameters: letter.cells(),
            must_touch: true,
        }));
        self.change(WRITE, statements).await
    }

    /// The letters that are due at `now_us`, `limit` at most.
    pub async fn letters_due(&self, now_us: u64, limit: u32) -> Result<Vec<LetterRow>, StoreError> {
        let parameters = vec![Cell::number(now_us), Cell::number(limit.into())];
        let rows = self.rows(READ, SELECT_DUE, parameters).await?;
        rows.into_iter().map(LetterRow::read).collect()
    }

    /// Has a letter tried at `next_us`, as the try `attempts`, if nobody changed it since it was
    /// read. False otherwise.
    pub async fn letter_move(
        &self,
        letter: &LetterRow,
        next_us: u64,
        attempts: u64,
    ) -> Result<bool, StoreError> {
        let parameters = vec![
            Cell::number(next_us),
            Cell::number(attempts),
            Cell::text(&letter.id),
            Cell::number(letter.attempts),
        ];
        self.change(WRITE, vec![Statement { sql: UPDATE, parameters, must_touch: true }]).await
    }

    /// Removes a letter that was delivered or given up.
    pub async fn letter_remove(&self, id: &str) -> Result<(), StoreError> {
        let delete = Statement { sql: DELETE, parameters: vec![Cell::text(id)], must_touch: false };
        self.change(WRITE, vec![delete]).await.map(drop)
    }
}

impl LetterRow {
    fn cells(&self) -> Vec<Cell> {
        vec![
            Cell::text(&self.id),
            Cell::text(self.approval.as_str()),
            Cell::text(self.event.as_str()),
            Cell::text(&self.target),
            Cell::number(self.created_us),
            Cell::number(self.next_us),
            Cell::number(self.attempts),
        ]
    }

    fn read(mut row: CellRow) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.text("a letter's id")?,
            approval: row.parsed("a letter's approval", |id| id.parse().ok())?,
            event: row.parsed("a letter's event", NewsEvent::named)?,
            target: row.text("a letter's target")?,
            created_us: row.number("a letter's time")?,
            next_us: row.number("a letter's time")?,
            attempts: row.number("a letter's tries")?,
        })
    }
}
