//! Who decides in whose stead: a say that is lent, until an end date, and as long as its giver has it
//! (see `right`).

use std::collections::BTreeSet;
use std::time::Duration;

use quaymaster_core::{Actor, ActorId, ApprovalId, CallError, ErrorCode, Role, Timestamp};
use quaymaster_store::{DelegationRow, MAX_DELEGATIONS};

use super::{ApprovalError, Approvals};
use crate::audit::record::{Event, Record};
use crate::audit::{Draft, Durability};
use crate::stages::{Evidence, actor_part};

/// Longest time that a say is lent.
const LONGEST: Duration = Duration::from_hours(90 * 24);

/// A say that is lent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delegation {
    /// Its id.
    pub id: String,
    /// Whose say it is.
    pub giver: String,
    /// Who has it meanwhile.
    pub taker: String,
    /// The roles that are lent.
    pub roles: Vec<Role>,
    /// Until when.
    pub until: Timestamp,
}

/// The names in a delegation, as they are sealed together.
pub(super) struct Names {
    /// The person whose say it is.
    pub(super) giver: ActorId,
    /// The account by which they lent it.
    pub(super) account: ActorId,
    taker: String,
}

fn read_names(text: &str) -> Option<Names> {
    let mut lines = text.split('\n');
    let (giver, taker) = (lines.next()?, lines.next()?);
    let account = lines.next().unwrap_or(giver);
    let (giver, account) = (ActorId::parse(giver).ok()?, ActorId::parse(account).ok()?);
    Some(Names { giver, account, taker: taker.to_owned() })
}

/// What begins the names of a delegation that are sealed under two keys.
const BOTH: &[u8] = b"qm-both1";

/// For what the names are sealed.
fn names(id: &str) -> String {
    format!("the names of {id}")
}

impl Approvals {
    /// Lends the say that `giver` has in `roles` to `taker`, and gives the delegation's id.
    ///
    /// # Errors
    ///
    /// `policy.denied` if the giver has not all of these roles; `input.invalid` if there are none, the
    /// end is not within 90 days, it is lent to oneself, or too much is lent already; `audit.unavailable` if the store or the
    /// log fails.
    pub async fn delegate(
        &self,
        giver: &Actor,
        taker: &ActorId,
        roles: Vec<Role>,
        until: Timestamp,
        evidence: &Evidence,
    ) -> Result<String, CallError> {
        let invalid = |message: &str| Err(CallError::new(ErrorCode::InputInvalid, message));
        let now = self.now();
        let roles: BTreeSet<Role> = roles.into_iter().collect();
        if roles.is_empty() {
            return invalid("name the roles in which somebody is to decide");
        }
        if until <= now || until.since(now) > LONGEST {
            return invalid("a say is lent until a time within the next 90 days");
        }
        let terms = self.terms()?;
        let ties = terms.identity.ties().await.map_err(ApprovalError::from)?;
        let kin = ties.of(&giver.id, giver.person()).await.map_err(ApprovalError::from)?;
        if kin.overlaps(&ties.of(taker, taker).await.map_err(ApprovalError::from)?) {
            return invalid("nobody lends their say to themselves");
        }
        if let Some(role) = roles.iter().find(|role| !giver.roles.contains(role)) {
            let message = format!("you do not have the role `{role}` that you lend");
            return Err(CallError::new(ErrorCode::PolicyDenied, message));
        }
        let me = self.commitment(kin.end()).await?;
        let already = self.store.delegations_by(&me, &giver.workspace, now.as_micros()).await;
        if already.map_err(ApprovalError::from)?.len() >= MAX_DELEGATIONS {
            return invalid("you have lent your say as often as you may: take something back first");
        }
        // An id of its own kind, made as those of requests are.
        let id = ApprovalId::new(self.clock.as_ref(), self.randomness.as_ref());
        let id = id.as_str().replacen("apr_", "dlg_", 1);
        let row = DelegationRow {
            workspace: giver.workspace.clone(),
            giver: me,
            taker: self.commitment(&taker.folded()).await?,
            names: self.seal_names(&id, giver, taker).await?,
            roles: serde_json::to_string(&roles).unwrap_or_default(),
            created_us: now.as_micros(),
            until_us: until.as_micros(),
            revoked_us: None,
            id,
        };
        self.record_delegation(giver, &row, "lent", evidence).await?;
        self.store.delegation_insert(&row).await.map_err(ApprovalError::from)?;
        Ok(row.id)
    }

    /// What is lent in the workspace of `viewer`, by them or to them.
    ///
    /// # Errors
    ///
    /// [`ApprovalError`] if the store or a key fails.
    pub async fn delegations(&self, viewer: &Actor) -> Result<Vec<Delegation>, ApprovalError> {
        let now = self.now().as_micros();
        let me = self.me(viewer).await?;
        let mut rows = self.store.delegations_by(&me, &viewer.workspace, now).await?;
        let (account, person) = (viewer.id.folded(), viewer.person().folded());
        let (account, person) = (self.commitment(&account).await?, self.commitment(&person).await?);
        rows.extend(self.store.delegations_to([&account, &person, &me], &viewer.workspace, now).await?);
        let mut all = Vec::new();
        for row in &rows {
            all.extend(self.open_delegation(row).await?);
        }
        Ok(all)
    }

    /// Commitment to whoever is behind an account.
    async fn me(&self, actor: &Actor) -> Result<String, ApprovalError> {
        let Some(terms) = self.terms.load_full() else {
            return self.commitment(&actor.person().folded()).await;
        };
        let kin = terms.identity.ties().await?.of(&actor.id, actor.person()).await?;
        self.commitment(kin.end()).await
    }

    /// Takes back what `giver` has lent.
    ///
    /// # Errors
    ///
    /// `input.invalid` if they have lent no such thing; `audit.unavailable` if the store or the log fails.
    pub async fn take_back(&self, giver: &Actor, id: &str, evidence: &Evidence) -> Result<(), CallError> {
        let (me, now) = (self.me(giver).await?, self.now().as_micros());
        let rows =
            self.store.delegations_by(&me, &giver.workspace, now).await.map_err(ApprovalError::from)?;
        let row = rows
            .into_iter()
            .find(|row| row.id == id)
            .ok_or_else(|| CallError::new(ErrorCode::InputInvalid, "you have lent no such say"))?;
        self.record_delegation(giver, &row, "taken_back", evidence).await?;
        self.store.delegation_revoke(&giver.workspace, id, now).await.map_err(ApprovalError::from)?;
        Ok(())
    }

    /// The names of both, sealed under the key of each.
    async fn seal_names(&self, id: &str, giver: &Actor, taker: &ActorId) -> Result<Vec<u8>, ApprovalError> {
        let theirs = format!("{}\n{}", giver.person(), giver.id);
        let theirs = self.subjects.seal_about(&giver.id, &names(id), &theirs).await?;
        let mut both = BOTH.to_vec();
        both.extend_from_slice(&u32::try_from(theirs.len()).unwrap_or(0).to_be_bytes());
        both.extend_from_slice(&theirs);
        both.extend_from_slice(&self.subjects.seal_about(taker, &names(id), taker.as_str()).await?);
        Ok(both)
    }

    /// The names in a delegation; none if one of both was erased.
    pub(super) async fn names_of(&self, row: &DelegationRow) -> Result<Option<Names>, ApprovalError> {
        let (purpose, damaged) = (names(&row.id), ApprovalError::Damaged("a delegation"));
        let Some((length, rest)) = row.names.strip_prefix(BOTH).and_then(<[u8]>::split_first_chunk::<4>)
        else {
            // As older versions sealed them, together.
            let all = self.subjects.open_about(&purpose, &row.names).await?.ok_or(damaged)?;
            return read_names(&all).map(Some).ok_or(ApprovalError::Damaged("a delegation"));
        };
        let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
        let (theirs, takers) = rest.split_at_checked(length).ok_or(damaged)?;
        let theirs = self.subjects.open_about(&purpose, theirs).await?;
        let taker = self.subjects.open_about(&purpose, takers).await?;
        let Some((theirs, taker)) = theirs.zip(taker) else { return Ok(None) };
        let read = || {
            let (giver, account) = theirs.split_once('\n')?;
            let (giver, account) = (ActorId::parse(giver).ok()?, ActorId::parse(account).ok()?);
            Some(Names { giver, account, taker })
        };
        read().map(Some).ok_or(ApprovalError::Damaged("a delegation"))
    }

    async fn open_delegation(&self, row: &DelegationRow) -> Result<Option<Delegation>, ApprovalError> {
        let Some(Names { giver, taker, .. }) = self.names_of(row).await? else { return Ok(None) };
        Ok(Some(Delegation {
            id: row.id.clone(),
            giver: giver.to_string(),
            taker,
            roles: serde_json::from_str(&row.roles).map_err(|_| ApprovalError::Damaged("a delegation"))?,
            until: Timestamp::from_micros(row.until_us),
        }))
    }

    async fn record_delegation(
        &self,
        giver: &Actor,
        row: &DelegationRow,
        what: &str,
        evidence: &Evidence,
    ) -> Result<(), ApprovalError> {
        let subject = evidence.subjects.of(&giver.id).await?;
        let draft = {
            let mut record = Record::new(Event::ApprovalDelegated, evidence.clock.now());
            let members = [("delegation", row.id.as_str()), ("state", what), ("roles", row.roles.as_str())];
            let members = members.map(|(name, text)| (name.to_owned(), text.to_owned()));
            record.actor = Some(actor_part(giver, &subject));
            record.approval = Some(members.into());
            record.on_behalf_of = Some(&row.taker);
            record.config = Some(evidence.config.as_str());
            record.workspace = Some(giver.workspace.to_shared());
            Draft::from(record)
        };
        Ok(evidence.audit.append(draft, None, Durability::Durable).await?)
    }
}
