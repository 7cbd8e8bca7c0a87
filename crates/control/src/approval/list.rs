//! Which requests somebody sees: by the page, and one.
//!
//! Invariants:
//! - What somebody may not see does not exist for them, in no page and no cursor.
//! - Every request is on some page, and what has to be reviewed is on the first ones.
//! - A page reads a bounded number of rows, and what was said of all of them at once.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use quaymaster_core::{Actor, ApprovalId, Gate, Role};
use quaymaster_store::{ApprovalKey, ApprovalPlace, ApprovalRow, ApprovalsWanted, MAX_APPROVALS};

use super::opened::{Request, gates};
use super::right::Lent;
use super::{ApprovalError, Approvals};

/// How many pages of the store are looked at for one page of somebody who may see little of them.
const MOST_PAGES: usize = 20;

/// Which requests somebody wants to see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Those that nobody has decided.
    Pending,
    /// Those that have not come to their end, and those that have to be reviewed.
    Open,
    /// Those that have to be reviewed.
    Reviews,
    /// Those that they asked for.
    Mine,
    /// All whose contents are still kept.
    All,
}

/// A page of requests: first those that have to be reviewed, then newest first.
#[derive(Debug)]
pub struct Listed {
    /// The requests.
    pub requests: Vec<Request>,
    /// Where the list goes on; none at its end. For the same viewer, and sealed.
    pub next: Option<String>,
}

impl Approvals {
    /// A page of the requests that `viewer` made or may have a say in, behind the place `after`.
    ///
    /// # Errors
    ///
    /// [`ApprovalError::Place`] if the list never told that place to this viewer; [`ApprovalError`] if the
    /// store or a key fails.
    pub async fn list(
        &self,
        viewer: &Actor,
        wanted: Wanted,
        after: Option<&str>,
    ) -> Result<Listed, ApprovalError> {
        let mut place = after.map(|text| self.read_place(viewer, text)).transpose()?;
        let lent = self.lent_to(viewer).await?;
        let mut requests = Vec::new();
        for _ in 0..MOST_PAGES {
            let rows = self.store.approval_page(&viewer.workspace, of_store(wanted), place.as_ref()).await?;
            let is_last = rows.len() < MAX_APPROVALS as usize;
            let mut seen = Vec::new();
            for row in &rows {
                let is_mine = wanted != Wanted::Mine || self.asked_by(row, viewer).await?;
                if is_mine && self.may_see(viewer, &lent, row).await? {
                    seen.push(row);
                }
            }
            let ids: Vec<ApprovalId> = seen.iter().map(|row| row.id.clone()).collect();
            let votes = self.store.approval_votes_of(&ids).await?;
            for row in seen {
                let said = votes.get(&row.id).map(Vec::as_slice).unwrap_or_default();
                match self.open_with(row, said, viewer.clearance).await {
                    Ok(request) => requests.push(request),
                    Err(error) if error.is_of_the_request() => {
                        tracing::warn!(event = "approval.unreadable", approval = %row.id, %error, "a request cannot be read");
                    }
                    Err(error) => return Err(error),
                }
                if requests.len() >= MAX_APPROVALS as usize {
                    let next = Some(self.write_place(viewer, &place_of(row))?);
                    return Ok(Listed { requests, next });
                }
            }
            place = rows.last().map(place_of);
            if is_last {
                return Ok(Listed { requests, next: None });
            }
        }
        let next = place.map(|place| self.write_place(viewer, &place)).transpose()?;
        Ok(Listed { requests, next })
    }

    /// One request, if `viewer` made it or may have a say in it. What they may not see does not exist,
    /// nor does what was forgotten.
    ///
    /// # Errors
    ///
    /// [`ApprovalError`] if the store or a key fails.
    pub async fn show(&self, viewer: &Actor, id: &ApprovalId) -> Result<Option<Request>, ApprovalError> {
        match self.seen(viewer, id).await? {
            Some(row) if row.document.is_some() => self.open(&row, viewer.clearance).await.map(Some),
            _ => Ok(None),
        }
    }

    pub(super) async fn seen(
        &self,
        viewer: &Actor,
        id: &ApprovalId,
    ) -> Result<Option<ApprovalRow>, ApprovalError> {
        let Some(row) = self.store.approval(&ApprovalKey::Id(id.clone())).await? else { return Ok(None) };
        let lent = self.lent_to(viewer).await?;
        Ok(if self.may_see(viewer, &lent, &row).await? { Some(row) } else { None })
    }

    async fn lent_to(&self, viewer: &Actor) -> Result<Vec<Lent>, ApprovalError> {
        let Some(terms) = self.terms.load_full() else { return Ok(vec![]) };
        let ties = terms.identity.ties().await?;
        let kin = ties.of(&viewer.id, viewer.person()).await?;
        self.lent(viewer, &kin, &ties).await
    }

    async fn may_see(&self, viewer: &Actor, lent: &[Lent], row: &ApprovalRow) -> Result<bool, ApprovalError> {
        if row.workspace != viewer.workspace {
            return Ok(false);
        }
        let gates = gates(row)?;
        let mut roles: BTreeSet<&Role> = viewer.roles.iter().collect();
        roles.extend(lent.iter().flat_map(|lent| &lent.roles));
        let is_named = gates.iter().flat_map(Gate::all_roles).any(|role| roles.contains(role));
        Ok(is_named || self.asked_by(row, viewer).await?)
    }

    async fn asked_by(&self, row: &ApprovalRow, viewer: &Actor) -> Result<bool, ApprovalError> {
        Ok(self.asker(row).await?.is_some_and(|(account, _)| account == viewer.id))
    }

    /// Sealed, because the request that it names may be one that the viewer does not see.
    fn write_place(&self, viewer: &Actor, place: &ApprovalPlace) -> Result<String, ApprovalError> {
        let text = format!("{} {} {}", u8::from(place.review_due), place.created_us, place.id);
        Ok(URL_SAFE_NO_PAD.encode(self.subjects.seal_name(&purpose(viewer), &text)?))
    }

    fn read_place(&self, viewer: &Actor, text: &str) -> Result<ApprovalPlace, ApprovalError> {
        let sealed = URL_SAFE_NO_PAD.decode(text).map_err(|_| ApprovalError::Place)?;
        let text = self.subjects.open_name(&purpose(viewer), &sealed).map_err(|_| ApprovalError::Place)?;
        let mut parts = text.split(' ');
        let mut part = || parts.next().ok_or(ApprovalError::Place);
        let (review_due, created, id) = (part()? == "1", part()?, part()?);
        let created_us = created.parse().map_err(|_| ApprovalError::Place)?;
        Ok(ApprovalPlace { review_due, created_us, id: id.parse().map_err(|_| ApprovalError::Place)? })
    }
}

fn of_store(wanted: Wanted) -> ApprovalsWanted {
    match wanted {
        Wanted::Pending => ApprovalsWanted::Pending,
        Wanted::Open => ApprovalsWanted::Open,
        Wanted::Reviews => ApprovalsWanted::Reviews,
        Wanted::Mine | Wanted::All => ApprovalsWanted::All,
    }
}

fn place_of(row: &ApprovalRow) -> ApprovalPlace {
    let review_due = row.review.as_deref() == Some("due");
    ApprovalPlace { review_due, created_us: row.created_us, id: row.id.clone() }
}

fn purpose(viewer: &Actor) -> String {
    format!("a place in the list of {} in {}", viewer.id, viewer.workspace)
}
