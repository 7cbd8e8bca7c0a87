//! A request as people and programs see it, opened from its row.

use std::collections::BTreeSet;

use quaymaster_core::{Actor, ActorId, ApprovalId, DataClass, Gate, Role, Timestamp, Workspace};
use quaymaster_store::{ApprovalRow, VoteRow};

use super::document::Document;
use super::verdict::Verdict;
use super::{ApprovalError, Approvals, State};

/// The kind of a vote that decides. Reviews are of another kind.
pub(super) const DECISION: &str = "decision";
/// The kind of a vote about a call that was let through in an emergency.
pub(super) const REVIEW: &str = "review";

/// A request for approval.
#[derive(Clone, Debug)]
pub struct Request {
    /// The id.
    pub id: ApprovalId,
    /// Where it belongs.
    pub workspace: Workspace,
    /// Where it stands.
    pub state: State,
    /// Who asks: the account.
    pub requester: ActorId,
    /// Who is behind that account.
    pub person: ActorId,
    /// What has to be agreed to.
    pub gates: Vec<Gate>,
    /// What is decided on.
    pub document: Document,
    /// When it was made.
    pub created: Timestamp,
    /// Until when it may be decided.
    pub expires: Timestamp,
    /// What was said so far, oldest first.
    pub said: Vec<Said>,
    /// Whether it was let through in an emergency and waits for a review.
    pub review_due: bool,
    /// The call that runs or ran for it.
    pub call: Option<String>,
}

/// What somebody said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// The account; `(erased)` where its key was destroyed, and its words with it.
    pub by: String,
    /// In which roles.
    pub roles: Vec<Role>,
    /// What.
    pub verdict: Verdict,
    /// Whether it is the review of a call that was let through in an emergency.
    pub review: bool,
    /// In their own words.
    pub comment: Option<String>,
    /// By which way, such as `cli`.
    pub channel: String,
    /// When.
    pub at: Timestamp,
}

impl Request {
    /// Whether `actor` asked, with this account or another that says so itself. Whether they may decide is
    /// found out in full when they do.
    pub fn is_of(&self, actor: &Actor) -> bool {
        let mine = [actor.id.folded(), actor.person().folded()];
        mine.contains(&self.requester.folded()) || mine.contains(&self.person.folded())
    }
}

/// Why a request cannot be read whose asker was erased.
pub(super) const ERASED: &str = "whoever asked was erased";

/// For what the requester's names are sealed.
pub(super) fn names(id: &ApprovalId) -> String {
    format!("who asked for {id}")
}

/// For what the call is sealed.
pub(super) fn parked(id: &ApprovalId) -> String {
    format!("the call of {id}")
}

/// For what the document is sealed.
pub(super) fn document(id: &ApprovalId) -> String {
    format!("the document of {id}")
}

/// For what the result is sealed.
pub(super) fn result(id: &ApprovalId) -> String {
    format!("the result of {id}")
}

/// For what is sealed what somebody says.
pub(super) fn voice(id: &ApprovalId, what: &str) -> String {
    format!("{what} of somebody who decides on {id}")
}

/// Account, person and authority of whoever asked, as they are sealed together.
pub(super) fn write_names(actor: &Actor) -> String {
    format!("{}\n{}\n{}", actor.id, actor.person(), actor.authority())
}

fn read_names(text: &str) -> Option<(ActorId, ActorId, &str)> {
    let (account, rest) = text.split_once('\n')?;
    let (person, authority) = rest.split_once('\n')?;
    Some((ActorId::parse(account).ok()?, ActorId::parse(person).ok()?, authority))
}

impl Approvals {
    /// Account and person of whoever asked.
    /// None where they were erased.
    pub(super) async fn asker(&self, row: &ApprovalRow) -> Result<Option<(ActorId, ActorId)>, ApprovalError> {
        let Some(text) = self.subjects.open_about(&names(&row.id), &row.requester).await? else {
            return Ok(None);
        };
        let (account, person, _) = read_names(&text).ok_or(ApprovalError::Damaged("who asked"))?;
        Ok(Some((account, person)))
    }

    /// Whether `actor` made this request, with credentials that may as much.
    pub(super) async fn is_by(&self, row: &ApprovalRow, actor: &Actor) -> Result<bool, ApprovalError> {
        let Some(text) = self.subjects.open_about(&names(&row.id), &row.requester).await? else {
            return Ok(false);
        };
        let (account, _, authority) = read_names(&text).ok_or(ApprovalError::Damaged("who asked"))?;
        Ok(row.workspace == actor.workspace && account == actor.id && authority == actor.authority())
    }

    /// Opens a row with all that was said of it, for somebody who may have data of `clearance`.
    pub(super) async fn open(
        &self,
        row: &ApprovalRow,
        clearance: DataClass,
    ) -> Result<Request, ApprovalError> {
        let votes = self.store.approval_votes(&row.id).await?;
        self.open_with(row, &votes, clearance).await
    }

    /// The same with what was said, which is at hand.
    pub(super) async fn open_with(
        &self,
        row: &ApprovalRow,
        votes: &[VoteRow],
        clearance: DataClass,
    ) -> Result<Request, ApprovalError> {
        let (requester, person) = self.asker(row).await?.ok_or(ApprovalError::Damaged(ERASED))?;
        let subject = self.subjects.of(&requester).await?;
        let sealed = row.document.as_deref().ok_or(ApprovalError::Damaged("its document"))?;
        let plain = subject.open_for(&document(&row.id), sealed)?;
        let document: Document =
            serde_json::from_slice(&plain).map_err(|_| ApprovalError::Damaged("its document"))?;
        let mut said = Vec::new();
        for vote in votes {
            said.push(self.said(row, vote).await?);
        }
        Ok(Request {
            id: row.id.clone(),
            workspace: row.workspace.clone(),
            state: state(row)?,
            requester,
            person,
            gates: gates(row)?,
            document: document.for_clearance(clearance),
            created: Timestamp::from_micros(row.created_us),
            expires: Timestamp::from_micros(row.expires_us),
            said,
            review_due: row.review.as_deref() == Some("due"),
            call: row.call_id.clone(),
        })
    }

    async fn said(&self, row: &ApprovalRow, vote: &VoteRow) -> Result<Said, ApprovalError> {
        let comment = match vote.comment.as_deref() {
            Some(sealed) => self.subjects.open_about(&voice(&row.id, "words"), sealed).await?,
            None => None,
        };
        let by = self.subjects.open_about(&voice(&row.id, "name"), &vote.name).await?;
        Ok(Said {
            by: by.unwrap_or_else(|| "(erased)".to_owned()),
            roles: roles(vote)?.into_iter().collect(),
            verdict: verdict(vote)?,
            review: vote.kind == REVIEW,
            comment,
            channel: vote.channel.clone(),
            at: Timestamp::from_micros(vote.time_us),
        })
    }
}

pub(super) fn state(row: &ApprovalRow) -> Result<State, ApprovalError> {
    State::named(&row.state).ok_or(ApprovalError::Damaged("its state"))
}

pub(super) fn gates(row: &ApprovalRow) -> Result<Vec<Gate>, ApprovalError> {
    serde_json::from_str(&row.gates).map_err(|_| ApprovalError::Damaged("its gates"))
}

pub(super) fn roles(vote: &VoteRow) -> Result<BTreeSet<Role>, ApprovalError> {
    serde_json::from_str(&vote.roles).map_err(|_| ApprovalError::Damaged("the roles of a vote"))
}

pub(super) fn verdict(vote: &VoteRow) -> Result<Verdict, ApprovalError> {
    Verdict::named(&vote.verdict).ok_or(ApprovalError::Damaged("a vote"))
}
