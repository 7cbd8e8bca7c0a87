//! What people say of requests, and who may say it.
//!
//! Somebody may decide in the roles that they have and in those that were lent to them, as long as a
//! gate names one of these. Nobody decides on what they asked for themselves, with whatever account,
//! nor in the stead of whoever asked.

use std::collections::BTreeSet;
use std::time::Duration;

use quaymaster_core::{Actor, ActorId, ApprovalId, CallError, ErrorCode, Gate, Role, Timestamp};
use quaymaster_store::{ApprovalKey, ApprovalRow, DelegationRow, VoteRow};

use super::opened::{DECISION, REVIEW, Request, gates, says, state, voice};
use super::record::{Entry, write};
use super::verdict::{Outcome, Verdict, judge, may_decide, may_hurry};
use super::{ApprovalError, Approvals, State};
use crate::audit::record::Event;
use crate::stages::Evidence;

/// How often a request is read again that others changed meanwhile.
const ATTEMPTS: usize = 8;
/// How long requests that have ended are listed.
const LISTED: Duration = Duration::from_hours(30 * 24);
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

/// In which right somebody speaks.
#[derive(Debug)]
struct Right {
    person: String,
    roles: BTreeSet<Role>,
    stead: Option<String>,
}

impl Approvals {
    /// The requests that `viewer` made or may have a say in, newest first; of those that have ended,
    /// the ones of the last 30 days.
    ///
    /// # Errors
    ///
    /// [`ApprovalError`] if the store or a key fails.
    pub async fn list(&self, viewer: &Actor) -> Result<Vec<Request>, ApprovalError> {
        let since =
            self.clock.now().as_micros().saturating_sub(u64::try_from(LISTED.as_micros()).unwrap_or(0));
        let rows = self.store.approval_list(&viewer.workspace, since).await?;
        let lent = self.lent(viewer).await?;
        let mut seen = Vec::new();
        for row in rows {
            match self.seen_by(viewer, &lent, &row).await {
                Ok(request) => seen.extend(request),
                Err(error) if error.is_of_the_request() => {
                    tracing::warn!(event = "approval.unreadable", approval = %row.id, %error, "a request cannot be read");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(seen)
    }

    /// One request, if `viewer` made it or may have a say in it. What they may not see does not exist.
    ///
    /// # Errors
    ///
    /// [`ApprovalError`] if the store or a key fails.
    pub async fn show(&self, viewer: &Actor, id: &ApprovalId) -> Result<Option<Request>, ApprovalError> {
        let Some(row) = self.seen(viewer, id).await? else { return Ok(None) };
        self.open(&row).await.map(Some)
    }

    async fn seen_by(
        &self,
        viewer: &Actor,
        lent: &[DelegationRow],
        row: &ApprovalRow,
    ) -> Result<Option<Request>, ApprovalError> {
        if self.may_see(viewer, lent, row)? { self.open(row).await.map(Some) } else { Ok(None) }
    }

    async fn seen(&self, viewer: &Actor, id: &ApprovalId) -> Result<Option<ApprovalRow>, ApprovalError> {
        let Some(row) = self.store.approval(&ApprovalKey::Id(id.clone())).await? else { return Ok(None) };
        let lent = self.lent(viewer).await?;
        Ok(if self.may_see(viewer, &lent, &row)? { Some(row) } else { None })
    }

    fn may_see(
        &self,
        viewer: &Actor,
        lent: &[DelegationRow],
        row: &ApprovalRow,
    ) -> Result<bool, ApprovalError> {
        if row.workspace != viewer.workspace {
            return Ok(false);
        }
        let named = |roles: &BTreeSet<Role>, gates: &[Gate]| {
            gates.iter().flat_map(Gate::all_roles).any(|role| roles.contains(role))
        };
        let gates = gates(row)?;
        let mut roles: BTreeSet<Role> = viewer.roles.iter().cloned().collect();
        roles.extend(lent.iter().flat_map(lent_roles));
        Ok(named(&roles, &gates) || self.asker(row)?.0 == viewer.id)
    }

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
        let mut recorded = false;
        for _ in 0..ATTEMPTS {
            let row = self.seen(decider.actor, id).await?.ok_or_else(|| unknown(id))?;
            let now = self.clock.now();
            self.still_open(&row, now, evidence).await?;
            let right = self.right(decider.actor, &row, spoken.verdict, now).await?;
            let votes = self.store.approval_votes(id).await.map_err(ApprovalError::from)?;
            if votes.iter().any(|vote| vote.person == right.person && vote.kind == DECISION) {
                return Err(CallError::new(
                    ErrorCode::InputInvalid,
                    "you have answered this request already",
                ));
            }
            let vote = self.vote(&row, decider, &right, &spoken, now)?;
            let mut said = says(&votes)?;
            said.extend(says(std::slice::from_ref(&vote))?);
            let outcome = judge(&gates(&row)?, Timestamp::from_micros(row.created_us), &said);
            let after = after(&row, outcome, now);
            if !recorded {
                let more = vec![
                    ("verdict", spoken.verdict.as_str().to_owned()),
                    ("channel", decider.channel.to_owned()),
                ];
                self.enter(Event::ApprovalVoted, &after, (decider.actor, more), evidence).await?;
                recorded = true;
            }
            if self.store.approval_save(&after, Some(&vote)).await.map_err(ApprovalError::from)? {
                self.tell();
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

    /// In which right `actor` speaks, if in any.
    async fn right(
        &self,
        actor: &Actor,
        row: &ApprovalRow,
        verdict: Verdict,
        now: Timestamp,
    ) -> Result<Right, CallError> {
        let (account, person) = self.asker(row)?;
        if actor.id == account
            || *actor.person() == person
            || actor.id == person
            || *actor.person() == account
        {
            let message = "whoever asks for a call never decides on it, with none of their accounts";
            return Err(CallError::new(ErrorCode::PolicyDenied, message));
        }
        let policies = self.policies.load();
        let allowed =
            policies.as_ref().is_some_and(|known| known.may_approve(actor, &row.tool, &person, now));
        if !allowed {
            let message = "policy does not let you decide on calls of this tool";
            return Err(CallError::new(ErrorCode::PolicyDenied, message));
        }
        drop(policies);
        let gates = gates(row)?;
        let waited = now.since(Timestamp::from_micros(row.created_us));
        let may = |roles: &BTreeSet<Role>| match verdict {
            Verdict::Emergency => may_hurry(&gates, roles),
            Verdict::Approve | Verdict::Reject => may_decide(&gates, roles, waited),
        };
        let own: BTreeSet<Role> = actor.roles.iter().cloned().collect();
        let me = self.commitment(actor.person()).await?;
        if may(&own) {
            return Ok(Right { person: me, roles: own, stead: None });
        }
        let asker = self.commitment(&person).await?;
        for lent in self.lent(actor).await?.iter().filter(|lent| lent.giver != asker) {
            let roles: BTreeSet<Role> = lent_roles(lent).collect();
            if may(&roles) {
                return Ok(Right { person: me, roles, stead: Some(lent.giver.clone()) });
            }
        }
        let whose: Vec<String> = gates.iter().map(Gate::to_string).collect();
        let message = match verdict {
            Verdict::Emergency => "your roles do not let you go ahead in an emergency".to_owned(),
            _ => format!("this is for {} to decide", whose.join(" and ")),
        };
        Err(CallError::new(ErrorCode::PolicyDenied, message))
    }

    fn vote(
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
        let seal = |what: &str, text: &str| self.subjects.seal_name(&voice(&row.id, what), text);
        Ok(VoteRow {
            person: right.person.clone(),
            stead: right.stead.clone(),
            kind: DECISION.to_owned(),
            verdict: spoken.verdict.as_str().to_owned(),
            name: seal("name", decider.actor.id.as_str()).map_err(ApprovalError::from)?,
            roles: serde_json::to_string(&right.roles).unwrap_or_default(),
            comment: comment.map(|text| seal("words", text)).transpose().map_err(ApprovalError::from)?,
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
            if self.asker(&row)?.0 != actor.id {
                let message = "only whoever asked can take a request back; say no to it instead";
                return Err(CallError::new(ErrorCode::PolicyDenied, message));
            }
            self.still_open(&row, self.clock.now(), evidence).await?;
            if self.end(&row, State::Withdrawn, (Some(actor), evidence)).await? {
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
        let row = self.seen(decider.actor, id).await?.ok_or_else(|| unknown(id))?;
        if row.review.as_deref() != Some("due") {
            return Err(CallError::new(
                ErrorCode::InputInvalid,
                "there is nothing to review about this request",
            ));
        }
        let now = self.clock.now();
        let right = self.right(decider.actor, &row, Verdict::Approve, now).await?;
        let votes = self.store.approval_votes(id).await.map_err(ApprovalError::from)?;
        let mine = [Some(&right.person), right.stead.as_ref()];
        let hurried = |vote: &VoteRow| {
            let theirs = [Some(&vote.person), vote.stead.as_ref()];
            let is_same = theirs.iter().flatten().any(|person| mine.contains(&Some(person)));
            vote.verdict == Verdict::Emergency.as_str() && is_same
        };
        if votes.iter().any(hurried) {
            let message = "whoever let a call through in an emergency does not review it";
            return Err(CallError::new(ErrorCode::PolicyDenied, message));
        }
        let vote = VoteRow { kind: REVIEW.to_owned(), ..self.vote(&row, decider, &right, &spoken, now)? };
        let more = vec![("verdict", spoken.verdict.as_str().to_owned())];
        self.enter(Event::ApprovalReviewed, &row, (decider.actor, more), evidence).await?;
        let reviewed = ApprovalRow { review: Some("done".to_owned()), ..row };
        let saved = self.store.approval_save(&reviewed, Some(&vote)).await.map_err(ApprovalError::from)?;
        self.tell();
        if saved { Ok(()) } else { Err(ApprovalError::Contended.into()) }
    }

    async fn enter(
        &self,
        event: Event,
        row: &ApprovalRow,
        (actor, more): (&Actor, Vec<(&'static str, String)>),
        evidence: &Evidence,
    ) -> Result<(), ApprovalError> {
        let entry = Entry {
            event,
            id: &row.id,
            workspace: &row.workspace,
            tool: &row.tool,
            actor: Some(actor),
            call: None,
            state: Some(state(row)?),
            more,
        };
        write(entry, evidence).await
    }

    /// The delegations of which `actor` is the taker.
    async fn lent(&self, actor: &Actor) -> Result<Vec<DelegationRow>, ApprovalError> {
        let all = self.store.delegations(&actor.workspace, self.clock.now().as_micros()).await?;
        if all.is_empty() {
            return Ok(all);
        }
        let me = self.commitment(actor.person()).await?;
        Ok(all.into_iter().filter(|lent| lent.taker == me).collect())
    }

    pub(super) async fn commitment(&self, person: &ActorId) -> Result<String, ApprovalError> {
        Ok(self.subjects.of(person).await?.commitment().to_string())
    }
}

fn lent_roles(lent: &DelegationRow) -> impl Iterator<Item = Role> + use<> {
    let roles: Vec<Role> = serde_json::from_str(&lent.roles).unwrap_or_default();
    roles.into_iter()
}

/// The request after what was said.
fn after(row: &ApprovalRow, outcome: Outcome, now: Timestamp) -> ApprovalRow {
    let to = |state: State| ApprovalRow {
        state: state.as_str().to_owned(),
        decided_us: Some(now.as_micros()),
        ..row.clone()
    };
    match outcome {
        Outcome::Waiting => row.clone(),
        Outcome::Approved => to(State::Approved),
        Outcome::ByEmergency => ApprovalRow { review: Some("due".to_owned()), ..to(State::Approved) },
        Outcome::Rejected => {
            ApprovalRow { parked: None, ended_us: Some(now.as_micros()), ..to(State::Rejected) }
        }
    }
}

fn unknown(id: &ApprovalId) -> CallError {
    CallError::new(ErrorCode::InputInvalid, format!("there is no request `{id}` for you"))
}
