//! How much of something each principal holds at once.
//!
//! Tables of a session are bounded, and so is the number of sessions; the product of
//! both would be too much for one principal to hold. Invariants:
//! - What a principal holds over all its sessions is at most the allowance.
//! - A share is given back when it is dropped, and who holds nothing takes no room.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use quaymaster_core::ActorId;

/// How many requests for input one principal may have open, in all its sessions.
const MAX_QUESTIONS: usize = 256;

/// How many resources one principal may watch, in all its sessions and subscriptions. Fewer
/// than can be watched of one server, so that nobody uses up what there is for all.
const MAX_WATCHED: usize = 500;

/// How many streams of one principal may wait for it to come back, in all its sessions.
const MAX_STREAMS: usize = 16;

/// What each principal may hold.
#[derive(Debug)]
pub(super) struct Allowances {
    /// Requests for input that are open.
    pub(super) questions: Arc<Allowance>,
    /// Resources that are watched.
    pub(super) watches: Arc<Allowance>,
    /// Streams of calls that wait for their client to come back.
    pub(super) streams: Arc<Allowance>,
}

impl Default for Allowances {
    fn default() -> Self {
        Self {
            questions: Allowance::new(MAX_QUESTIONS),
            watches: Allowance::new(MAX_WATCHED),
            streams: Allowance::new(MAX_STREAMS),
        }
    }
}

/// What of one kind each principal may hold.
#[derive(Debug)]
pub(super) struct Allowance {
    each: usize,
    held: Mutex<HashMap<ActorId, usize>>,
}

impl Allowance {
    /// So many for each principal.
    pub(super) fn new(each: usize) -> Arc<Self> {
        Arc::new(Self { each, held: Mutex::default() })
    }

    /// Gives `count` to `actor`; none if it would hold too many.
    pub(super) fn take(self: &Arc<Self>, actor: &ActorId, count: usize) -> Option<Share> {
        let mut held = self.lock();
        let now = held.get(actor).copied().unwrap_or_default();
        let then = now.checked_add(count).filter(|then| *then <= self.each)?;
        held.insert(actor.clone(), then);
        Some(Share { of: Arc::clone(self), actor: actor.clone(), count })
    }

    /// How many each principal may hold.
    pub(super) fn each(&self) -> usize {
        self.each
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ActorId, usize>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a principal holds, until it is dropped.
#[derive(Debug)]
pub(super) struct Share {
    of: Arc<Allowance>,
    actor: ActorId,
    count: usize,
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut held = self.of.lock();
        if let Some(count) = held.get_mut(&self.actor) {
            *count = count.saturating_sub(self.count);
            if *count == 0 {
                held.remove(&self.actor);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_principal_holds_so_many_and_gets_back_what_it_dropped() {
        let allowance = Allowance::new(3);
        let [ana, bo] = ["ana", "bo"].map(|name| ActorId::parse(name).expect("a name"));
        let two = allowance.take(&ana, 2).expect("room");
        assert!(allowance.take(&ana, 2).is_none());
        assert!(allowance.take(&bo, 3).is_some(), "another's are another's");
        let one = allowance.take(&ana, 1).expect("room for one");
        assert!(allowance.take(&ana, usize::MAX).is_none());
        drop(two);
        assert!(allowance.take(&ana, 2).is_some());
        drop(one);
        assert!(allowance.lock().is_empty(), "who holds nothing takes no room");
    }
}
