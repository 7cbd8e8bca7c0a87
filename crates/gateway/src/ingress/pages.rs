//! Lists, one page after the other.
//!
//! A client that gets a page with a `nextCursor` sends it back for the next (MCP
//! 2026-07-28, server/utilities/pagination). The cursor holds the key of the last
//! object that was told, sealed, so that no table of ours has to remember it and
//! any process with the key ring can go on.
//!
//! Invariants:
//! - A cursor opens for the principal, the workspace, the list and the route that it
//!   was made for, within an hour. Whatever else is sent has one answer.
//! - What a page holds is decided when it is asked for: a cursor gives nobody more
//!   than they may see by then.

use std::time::Duration;

use quaymaster_control::keyring::{Binding, KeyRing};
use quaymaster_core::{Caller, Raw};

use super::answer;
use super::door::{Door, Shelf};
use super::front::{Asked, Front, Plan};
use super::params::text;
use super::refusal::Refusal;

/// How long a client may take to ask for the next page.
const LIFETIME: Duration = Duration::from_hours(1);

const PURPOSE: &str = "list-cursor";

impl<D: Door> Front<D> {
    /// Answers a request for a list of `caller`.
    pub(super) fn list(&self, asked: &Asked<'_>, caller: &Caller, which: Shelf) -> Result<Plan, Refusal> {
        let era = asked.detected.era;
        let holder = Holder { caller, which };
        // Before it is opened, so that who is not to be answered learns nothing of it.
        self.door.whole(caller)?;
        let after = match asked.detected.params.cursor.filter(|cursor| cursor.get() != "null") {
            Some(cursor) => Some(holder.open(self.door.keys(), cursor)?),
            None => None,
        };
        let page = self.door.page(caller, which, after.as_deref()).ok_or_else(unknown)?;
        let next = page.next.as_deref().map(|last| holder.seal(self.door.keys(), last)).transpose()?;
        let meta = self.door.gaps(caller).as_meta(era, &self.identity);
        Ok(Plan::Answer(answer::list(asked.id, era, meta, (which, page, next))))
    }
}

/// Whose cursor of which list it is.
struct Holder<'a> {
    caller: &'a Caller,
    which: Shelf,
}

impl Holder<'_> {
    fn with<T>(&self, run: impl FnOnce(&Binding<'_>) -> T) -> T {
        let Self { caller, which } = self;
        let holder = [caller.id.as_str(), caller.workspace.as_str(), which.member(), caller.reach.as_str()];
        run(&Binding { purpose: PURPOSE, holder: &holder })
    }

    fn seal(&self, ring: &KeyRing, last: &str) -> Result<String, Refusal> {
        self.with(|binding| ring.seal(binding, last, LIFETIME)).map_err(|_| Refusal::internal())
    }

    /// The key of the last object that was told.
    fn open(&self, ring: &KeyRing, cursor: Raw<'_>) -> Result<String, Refusal> {
        let cursor = text(Some(cursor)).ok_or_else(unknown)?;
        let opened = self.with(|binding| ring.open(binding, &cursor));
        opened.map(|last| last.as_str().to_owned()).map_err(|_| unknown())
    }
}

/// The answer to every cursor that leads nowhere.
fn unknown() -> Refusal {
    Refusal::invalid_params("`cursor` is unknown, expired or of another list: begin again without one")
}
