//! How a server behaves, and when that is no longer put up with.
//!
//! A server that breaks the protocol again and again, that floods the gateway, or
//! whose tools are others each time it is asked, is shut out for a while: it costs the gateway work
//! and its callers trust. A server whose configuration forbids that its tools
//! change is shut out until a person has looked at the change. This module
//! counts and judges; `supervise` ends the connection and waits.
//!
//! Invariants:
//! - One good answer forgives broken ones, one listing like the last forgives changes.
//! - What was shut out for a while is let in again by time alone.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::config::Changes;
use super::state::{Health, Trouble};

/// How much is put up with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// How many offences in a row shut a server out.
    pub(super) offences: u32,
    /// Within which time they must come.
    pub(super) window: Duration,
    /// How long it is shut out.
    pub(super) cooling: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { offences: 10, window: Duration::from_mins(1), cooling: Duration::from_mins(5) }
    }
}

/// How many messages a second a server may send that nobody asked for.
const MAX_UNASKED: u32 = 20_000;

/// What a server sends without being asked, counted.
#[derive(Debug, Default)]
pub(super) struct Unasked {
    second: Mutex<Row>,
    flood: Notify,
}

impl Unasked {
    /// Counts one more.
    pub(super) fn count(&self, now: Instant) {
        let second =
            Patience { offences: MAX_UNASKED, window: Duration::from_secs(1), cooling: Duration::ZERO };
        if self.second.lock().unwrap_or_else(PoisonError::into_inner).add(second, now) {
            self.flood.notify_one();
        }
    }

    /// Waits until there were too many, or returns at once if there were.
    pub(super) async fn flood(&self) {
        self.flood.notified().await;
    }
}

/// The conduct of one server.
pub(super) struct Conduct {
    patience: Patience,
    changes: Changes,
    ledger: Mutex<Ledger>,
}

#[derive(Default)]
struct Ledger {
    broken: Row,
    changed: Row,
    /// The digest of the last listing, and under `changes: quarantine` the only one that is let in.
    listed: Option<String>,
    verdict: Option<Trouble>,
}

/// Offences without good conduct between them.
#[derive(Debug, Default)]
struct Row {
    count: u32,
    began: Option<Instant>,
}

impl Conduct {
    /// Good so far.
    pub(super) fn new(patience: Patience, changes: Changes) -> Self {
        Self { patience, changes, ledger: Mutex::default() }
    }

    /// An answer could be understood.
    pub(super) fn good(&self) {
        self.ledger().broken = Row::default();
    }

    /// Why a server is shut out that sends more than can be looked at.
    pub(super) fn flooded(&self) -> Trouble {
        let why = format!("the server sent {MAX_UNASKED} messages within a second that nobody asked for");
        quarantine(why, Some(self.patience.cooling))
    }

    /// The protocol was broken. Returns whether that was once too often.
    pub(super) fn broke_protocol(&self, now: Instant) -> bool {
        let mut ledger = self.ledger();
        let patience = self.patience;
        if ledger.broken.add(patience, now) {
            let why = format!("the server broke the protocol {} times in a row", patience.offences);
            ledger.verdict = Some(quarantine(why, Some(patience.cooling)));
        }
        ledger.verdict.is_some()
    }

    /// The tools were listed; `digest` is the same for the same tools.
    ///
    /// # Errors
    ///
    /// Why the listing is not taken.
    pub(super) fn listed(&self, digest: &str, now: Instant) -> Result<(), Trouble> {
        let mut ledger = self.ledger();
        let Some(last) = &ledger.listed else {
            ledger.listed = Some(digest.to_owned());
            return Ok(());
        };
        if last == digest {
            ledger.changed = Row::default();
            return Ok(());
        }
        if self.changes == Changes::Quarantine {
            let why =
                "the server changed the definition of a configured tool, which `changes: quarantine` forbids";
            return Err(quarantine(why.to_owned(), None));
        }
        ledger.listed = Some(digest.to_owned());
        if ledger.changed.add(self.patience, now) {
            let why = format!("the server's tools changed {} times in a row", self.patience.offences);
            return Err(quarantine(why, Some(self.patience.cooling)));
        }
        Ok(())
    }

    /// Why the server is to be shut out, if calls have found that it is. Told once.
    pub(super) fn verdict(&self) -> Option<Trouble> {
        self.ledger().verdict.take()
    }

    /// The time is over: counting starts anew.
    pub(super) fn let_in(&self) {
        let mut ledger = self.ledger();
        let listed = ledger.listed.take();
        *ledger = Ledger { listed, ..Ledger::default() };
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Row {
    /// Adds an offence; whether the row is full.
    fn add(&mut self, patience: Patience, now: Instant) -> bool {
        if self.began.is_none_or(|began| now.saturating_duration_since(began) > patience.window) {
            *self = Self { count: 0, began: Some(now) };
        }
        self.count = self.count.saturating_add(1);
        self.count >= patience.offences
    }
}

fn quarantine(why: String, cooling: Option<Duration>) -> Trouble {
    Trouble { retry_after: cooling, ..Trouble::new(Health::Quarantined, why) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);
    const PATIENCE: Patience = Patience { offences: 3, window: MINUTE, cooling: MINUTE };

    #[test]
    fn broken_answers_in_a_row_are_too_many_and_a_good_one_forgives_them() {
        let (conduct, now) = (Conduct::new(PATIENCE, Changes::Follow), Instant::now());
        assert!(!conduct.broke_protocol(now) && !conduct.broke_protocol(now));
        conduct.good();
        assert!(!conduct.broke_protocol(now) && !conduct.broke_protocol(now));
        assert!(conduct.verdict().is_none());
        assert!(conduct.broke_protocol(now));
        let trouble = conduct.verdict().expect("a verdict");
        assert_eq!((trouble.health, trouble.retry_after), (Health::Quarantined, Some(MINUTE)));
        assert!(conduct.verdict().is_none(), "it is told once");
        conduct.let_in();
        assert!(!conduct.broke_protocol(now), "counting starts anew");
    }

    #[test]
    fn broken_answers_that_are_far_apart_are_no_row() {
        let (conduct, now) = (Conduct::new(PATIENCE, Changes::Follow), Instant::now());
        for nth in 0..20 {
            assert!(!conduct.broke_protocol(now + MINUTE * nth * 2), "{nth}");
        }
    }

    #[tokio::test]
    async fn more_messages_in_a_second_than_can_be_looked_at_are_a_flood() {
        let (unasked, now) = (Unasked::default(), Instant::now());
        let is_flood = async || tokio::time::timeout(Duration::ZERO, unasked.flood()).await.is_ok();
        for nth in 0..MAX_UNASKED * 3 {
            unasked.count(now + Duration::from_millis(nth.into()));
        }
        assert!(!is_flood().await);
        for _ in 0..MAX_UNASKED {
            unasked.count(now + MINUTE * 10);
        }
        assert!(is_flood().await);
    }

    #[test]
    fn tools_that_change_with_each_listing_are_too_many_changes() {
        let (conduct, now) = (Conduct::new(PATIENCE, Changes::Follow), Instant::now());
        for digest in ["a", "b", "c", "c", "d", "e"] {
            assert_eq!(conduct.listed(digest, now), Ok(()), "{digest}");
        }
        let trouble = conduct.listed("f", now).expect_err("the third change in a row");
        assert_eq!((trouble.health, trouble.retry_after), (Health::Quarantined, Some(MINUTE)));
        conduct.let_in();
        assert_eq!(conduct.listed("g", now), Ok(()));
    }

    #[test]
    fn a_change_that_the_configuration_forbids_stays_forbidden() {
        let (conduct, now) = (Conduct::new(PATIENCE, Changes::Quarantine), Instant::now());
        assert_eq!(conduct.listed("a", now), Ok(()));
        assert_eq!(conduct.listed("a", now), Ok(()));
        for _ in 0..2 {
            let trouble = conduct.listed("b", now).expect_err("a change");
            assert_eq!((trouble.health, trouble.retry_after), (Health::Quarantined, None));
            conduct.let_in();
        }
        assert_eq!(conduct.listed("a", now), Ok(()), "what was let in first still is");
    }
}
