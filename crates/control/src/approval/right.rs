//! In which right somebody speaks of a request, if in any.
//!
//! Somebody may decide in the roles that they have and in those that were lent to them, as long as a
//! gate names one of these. What was lent counts as long as its giver has the role themselves.
//!
//! Invariants:
//! - Nobody decides on what they asked for themselves, with whatever account, nor in the stead of whoever
//!   asked.
//! - A role that its giver lost is lent no more.

use std::collections::BTreeSet;
use std::sync::Arc;

use quaymaster_core::{Actor, ActorId, CallError, ErrorCode, FoldedName, Gate, Role, Timestamp};
use quaymaster_store::{ApprovalRow, VoteRow};

use super::opened::{DECISION, gates, roles, verdict, voice};
use super::verdict::{Say, Verdict, may_decide, may_hurry};
use super::{ApprovalError, Approvals, Terms};
use crate::identity::{Kin, Ties};

/// In which right somebody speaks.
#[derive(Debug)]
pub(super) struct Right {
    /// Commitment to the person.
    pub(super) person: String,
    /// Every name of theirs.
    pub(super) kin: Kin,
    pub(super) roles: BTreeSet<Role>,
    /// For whom they stand in: the commitment, and every name.
    pub(super) stead: Option<(String, Kin)>,
}

/// A say that somebody has in the stead of somebody else.
#[derive(Debug)]
pub(super) struct Lent {
    giver: String,
    kin: Kin,
    /// Those that the giver still has.
    pub(super) roles: BTreeSet<Role>,
}

fn denied(message: impl Into<String>) -> CallError {
    CallError::new(ErrorCode::PolicyDenied, message)
}

impl Approvals {
    /// What the configuration says, without which nobody decides.
    pub(super) fn terms(&self) -> Result<Arc<Terms>, CallError> {
        self.terms.load_full().ok_or_else(|| denied("nobody decides here: no policy is at work"))
    }

    /// In which right `actor` says `verdict` at `now`.
    pub(super) async fn right(
        &self,
        actor: &Actor,
        row: &ApprovalRow,
        (verdict, now): (Verdict, Timestamp),
        (terms, ties): (&Terms, &Ties<'_>),
    ) -> Result<Right, CallError> {
        let Some((account, person)) = self.asker(row).await? else {
            return Err(denied("whoever asked for this call was erased, so nobody decides on it"));
        };
        let asker = ties.of(&account, &person).await.map_err(ApprovalError::from)?;
        let kin = ties.of(&actor.id, actor.person()).await.map_err(ApprovalError::from)?;
        if kin.overlaps(&asker) {
            return Err(denied("whoever asks for a call never decides on it, with none of their accounts"));
        }
        if !terms.policies.may_approve(actor, &row.tool, &person, now) {
            return Err(denied("policy does not let you decide on calls of this tool"));
        }
        let gates = gates(row)?;
        let waited = now.since(Timestamp::from_micros(row.created_us));
        let may = |roles: &BTreeSet<Role>| match verdict {
            Verdict::Emergency => may_hurry(&gates, roles),
            Verdict::Approve | Verdict::Reject => may_decide(&gates, roles, waited),
        };
        let own: BTreeSet<Role> = actor.roles.iter().cloned().collect();
        let person = self.commitment(kin.end()).await?;
        if may(&own) {
            return Ok(Right { person, kin, roles: own, stead: None });
        }
        let lent = self.lent(actor, &kin, ties).await?;
        for Lent { giver, kin: theirs, roles } in lent {
            if !theirs.overlaps(&asker) && may(&roles) {
                return Ok(Right { person, kin, roles, stead: Some((giver, theirs)) });
            }
        }
        let whose: Vec<String> = gates.iter().map(Gate::to_string).collect();
        Err(match verdict {
            Verdict::Emergency => denied("your roles do not let you go ahead in an emergency"),
            _ => denied(format!("this is for {} to decide", whose.join(" and "))),
        })
    }

    /// What is lent to `actor`, who goes by the names of `kin`, as far as its givers have it.
    pub(super) async fn lent(
        &self,
        actor: &Actor,
        kin: &Kin,
        ties: &Ties<'_>,
    ) -> Result<Vec<Lent>, ApprovalError> {
        let (account, person) = (actor.id.folded(), actor.person().folded());
        let takers = [
            self.commitment(&account).await?,
            self.commitment(&person).await?,
            self.commitment(kin.end()).await?,
        ];
        let rows = self
            .store
            .delegations_to(takers.each_ref().map(String::as_str), &actor.workspace, self.now().as_micros())
            .await?;
        let mut all = Vec::new();
        for row in rows {
            let Some(names) = self.names_of(&row).await? else { continue };
            let lent: BTreeSet<Role> =
                serde_json::from_str(&row.roles).map_err(|_| ApprovalError::Damaged("a delegation"))?;
            let held = ties.held(&names.account, &names.giver, &actor.workspace).await?;
            let roles: BTreeSet<Role> = lent.intersection(&held).cloned().collect();
            let theirs = ties.of(&names.account, &names.giver).await?;
            if !roles.is_empty() {
                all.push(Lent { giver: row.giver, kin: theirs, roles });
            }
        }
        Ok(all)
    }

    /// What was said that decides. Whoever said it is known by every name that they have now.
    pub(super) async fn says(
        &self,
        row: &ApprovalRow,
        votes: &[VoteRow],
        ties: &Ties<'_>,
    ) -> Result<Vec<Say>, ApprovalError> {
        let mut says = Vec::new();
        for vote in votes.iter().filter(|vote| vote.kind == DECISION) {
            let account = self.subjects.open_about(&voice(&row.id, "name"), &vote.name).await?;
            // Of whoever was erased the commitment is left, and counts.
            let names = match account.as_deref().map(ActorId::parse) {
                Some(Ok(account)) => known_by(&vote.person, &ties.of(&account, &account).await?),
                Some(Err(_)) => return Err(ApprovalError::Damaged("a vote")),
                None => BTreeSet::from([vote.person.clone()]),
            };
            says.push(Say {
                names,
                stead: vote.stead.iter().cloned().collect(),
                roles: roles(vote)?,
                verdict: verdict(vote)?,
                time: Timestamp::from_micros(vote.time_us),
            });
        }
        Ok(says)
    }

    pub(super) async fn commitment(&self, name: &FoldedName) -> Result<String, ApprovalError> {
        let actor = name.to_actor().map_err(|_| ApprovalError::Damaged("a name"))?;
        Ok(self.subjects.of(&actor).await?.commitment().to_string())
    }
}

impl Right {
    /// What is said in this right.
    pub(super) fn say(&self, verdict: Verdict, now: Timestamp) -> Say {
        Say {
            names: known_by(&self.person, &self.kin),
            stead: self.stead.iter().flat_map(|(giver, kin)| known_by(giver, kin)).collect(),
            roles: self.roles.clone(),
            verdict,
            time: now,
        }
    }
}

fn known_by(commitment: &str, kin: &Kin) -> BTreeSet<String> {
    kin.names().map(ToString::to_string).chain([commitment.to_owned()]).collect()
}
