//! What people say of requests. In which right they say it is in `right`.

use quaymaster_core::{Actor, ApprovalId, CallError, ErrorCode, Timestamp};
use quaymaster_store::{ApprovalRow, VoteRow};

use super::opened::{DECISION, REVIEW, gates, state, voice};
use super::record::Step;
use super::right::Right;
use super::verdict::{Outcome, Say, Verdict, judge};
use super::{ApprovalError, Approvals, State};
use crate::audit::record::Event;
use crate::stages::Evidence;

/// How often a request is read again that others changed meanwhile.
const ATTEMPTS: usize = 8;
/// Most characters of what somebody says in their own words.
const MAX_COMMENT_CHARS: usize = 2_000;

/// Who decides, and by which way.
#[derive(Clone, Copy, Debug)]
pub struct Decider<'a> {
    /// Who.
    pub actor: &'a Actor,
    /// By which way, such as `cli` or `page`.
    pub channel: &'a str,
}

/// What somebody says.
#[derive(Clone, Debug)]
pub struct Spoken {
    /// What.
    pub verdict: Verdict,
    /// In their own words.
    pub comment: Option<String>,
}

impl Approvals {
    /// Says something of a request. On success the request stands as returned.
    ///
    /// # Errors
    ///
    /// `input.invalid` if there is no such request for this actor, or it is decided already;
    /// `policy.denied` if they may not decide on it; `approval.expired` if it is too late;
    /// `audit.unavailable` if the store or the log fails.
    pub async fn decide(
        &self,
        decider: Decider<'_>,
        id: &ApprovalId,
        spoken: Spoken,
        evidence: &Evidence,
    ) -> Result<State, CallError> {
        let terms = self.terms()?;
        for _ in 0..ATTEMPTS {
            let row = self.seen(decider.actor, id).await?.ok_or_else(|| unknown(id))?;
            let now = self.now_for(&row);
            self.still_open(&row, now, evidence).await?;
            let ties = terms.identity.ties().await.map_err(ApprovalError::from)?;
            let right = self.right(decider.actor, &row, (spoken.verdict, now), (&terms, &ties)).await?;
            let votes = self.store.approval_votes(id).await.map_err(ApprovalError::from)?;
            let mut said = self.says(&row, &votes, &ties).await?;
            let say = right.say(spoken.verdict, now);
            if said.iter().any(|earlier| !earlier.names.is_disjoint(&say.names)) {
                return Err(CallError::new(
                    ErrorCode::InputInvalid,
                    "you have answered this request already",
                ));
            }
            said.push(say);
            let vote = self.vote(&row, decider, &right, &spoken, now).await?;
            let outcome = judge(&gates(&row)?, Timestamp::from_micros(row.created_us), &said);
            let (after, why) = after(&row, outcome, now);
            let step = Step::new(Event::ApprovalVoted, why)
                .by(Some(decider.actor))
                .with("verdict", spoken.verdict.as_str())
                .with("channel", decider.channel);
            if self.turn(&row, (&after, Some(&vote)), step, evidence).await? {
                return Ok(state(&after)?);
            }
        }
        Err(ApprovalError::Contended.into())
    }

    /// Ends a request that is too late, and refuses what is said of one that has ended.
    async fn still_open(
        &self,
        row: &ApprovalRow,
        now: Timestamp,
        evidence: &Evidence,
    ) -> Result<(), CallError> {
        let stands = state(row)?;
        if stands == State::Pending && now.as_micros() >= row.expires_us {
            self.expire(row, evidence).await?;
            return Err(CallError::new(
                ErrorCode::ApprovalExpired,
                "this request waited too long and has expired",
            ));
        }
        if stands == State::Pending {
            return Ok(());
        }
        let message = format!("this request is {} already", stands.as_str());
        Err(CallError::new(ErrorCode::InputInvalid, message))
    }

    async fn vote(
        &self,
        row: &ApprovalRow,
        decider: Decider<'_>,
        right: &Right,
        spoken: &Spoken,
        now: Timestamp,
    ) -> Result<VoteRow, CallError> {
        let comment = spoken.comment.as_deref().map(str::trim).filter(|comment| !comment.is_empty());
        if comment.is_some_and(|comment| comment.chars().count() > MAX_COMMENT_CHARS) {
            let message = format!("a comment has {MAX_COMMENT_CHARS} characters at most");
            return Err(CallError::new(ErrorCode::InputInvalid, message));
        }
        let account = &decider.actor.id;
        let seal = async |what: &str, text: &str| {
            let sealed = self.subjects.seal_about(account, &voice(&row.id, what), text).await;
            sealed.map_err(ApprovalError::from)
        };
        let name = seal("name", account.as_str()).await?;
        let comment = match comment {
            Some(text) => Some(seal("words", text).await?),
            None => None,
        };
        Ok(VoteRow {
            person: right.person.clone(),
            stead: right.stead.as_ref().map(|(giver, _)| giver.clone()),
            kind: DECISION.to_owned(),
            verdict: spoken.verdict.as_str().to_owned(),
            name,
            roles: serde_json::to_string(&right.roles).unwrap_or_default(),
            comment,
            channel: decider.channel.to_owned(),
            time_us: now.as_micros(),
        })
    }

    /// Takes a request back. On success the call will not run.
    ///
    /// # Errors
    ///
    /// `input.invalid` if `actor` has no such request, or it is decided already;
    /// `audit.unavailable` if the store or the log fails.
    pub async fn withdraw(
        &self,
        actor: &Actor,
        id: &ApprovalId,
        evidence: &Evidence,
    ) -> Result<(), CallError> {
        for _ in 0..ATTEMPTS {
            let row = self.seen(actor, id).await?.ok_or_else(|| unknown(id))?;
            if self.asker(&row).await?.is_none_or(|(account, _)| account != actor.id) {
                let message = "only whoever asked can take a request back; say no to it instead";
                return Err(CallError::new(ErrorCode::PolicyDenied, message));
            }
            self.still_open(&row, self.now_for(&row), evidence).await?;
            let why = "whoever asked took it back";
            if self.end(&row, State::Withdrawn, (Some(actor), why), evidence).await? {
                return Ok(());
            }
        }
        Err(ApprovalError::Contended.into())
    }

    /// Reviews a call that was let through in an emergency: whoever could have decided on it and is
    /// neither who asked nor who let it through.
    ///
    /// # Errors
    ///
    /// As [`Approvals::decide`].
    pub async fn review(
        &self,
        decider: Decider<'_>,
        id: &ApprovalId,
        spoken: Spoken,
        evidence: &Evidence,
    ) -> Result<(), CallError> {
        let terms = self.terms()?;
        for _ in 0..ATTEMPTS {
            let row = self.seen(decider.actor, id).await?.ok_or_else(|| unknown(id))?;
            if row.review.as_deref() != Some("due") {
                let message = "there is nothing to review about this request";
                return Err(CallError::new(ErrorCode::InputInvalid, message));
            }
            let now = self.now_for(&row);
            let ties = terms.identity.ties().await.map_err(ApprovalError::from)?;
            let right = self.right(decider.actor, &row, (Verdict::Approve, now), (&terms, &ties)).await?;
            let votes = self.store.approval_votes(id).await.map_err(ApprovalError::from)?;
            let mine = everybody(right.say(Verdict::Approve, now));
            let hurried = self.says(&row, &votes, &ties).await?;
            let mut hurried = hurried.into_iter().filter(|say| say.verdict == Verdict::Emergency);
            if hurried.any(|say| everybody(say).iter().any(|name| mine.contains(name))) {
                let message = "whoever let a call through in an emergency does not review it";
                return Err(CallError::new(ErrorCode::PolicyDenied, message));
            }
            let vote = self.vote(&row, decider, &right, &spoken, now).await?;
            let vote = VoteRow { kind: REVIEW.to_owned(), ..vote };
            let reviewed = ApprovalRow { review: Some("done".to_owned()), ..row.clone() };
            let step = Step::new(Event::ApprovalReviewed, "it was let through in an emergency")
                .by(Some(decider.actor))
                .with("verdict", spoken.verdict.as_str())
                .with("channel", decider.channel);
            if self.turn(&row, (&reviewed, Some(&vote)), step, evidence).await? {
                return Ok(());
            }
        }
        Err(ApprovalError::Contended.into())
    }
}

/// Every name of whoever said something, and of whom they stood in for.
fn everybody(say: Say) -> Vec<String> {
    say.names.into_iter().chain(say.stead).collect()
}

/// The request after what was said, and why it is so then.
fn after(row: &ApprovalRow, outcome: Outcome, now: Timestamp) -> (ApprovalRow, &'static str) {
    let to = |state: State| ApprovalRow {
        state: state.as_str().to_owned(),
        decided_us: Some(now.as_micros()),
        ..row.clone()
    };
    match outcome {
        Outcome::Waiting => (row.clone(), "others have to agree as well"),
        Outcome::Approved => (to(State::Approved), "everybody needed has agreed"),
        Outcome::ByEmergency => {
            let row = ApprovalRow { review: Some("due".to_owned()), ..to(State::Approved) };
            (row, "it was let through in an emergency")
        }
        Outcome::Rejected => {
            let row = ApprovalRow { parked: None, ended_us: Some(now.as_micros()), ..to(State::Rejected) };
            (row, "somebody said no")
        }
    }
}

fn unknown(id: &ApprovalId) -> CallError {
    CallError::new(ErrorCode::InputInvalid, format!("there is no request `{id}` for you"))
}
