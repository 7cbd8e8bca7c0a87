//! Rates, by the generic cell rate algorithm (ITU-T I.371, annex A).
//!
//! `30/1m` lets 30 calls through at once and then one every two seconds. For each key one instant is
//! kept: when all that was let through would have been due. Time is the process's own, which never goes
//! back, whatever becomes of the clock on the wall.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use quaymaster_core::{ActorId, Allowance};
use tokio::time::Instant;

use super::Bound;

/// How many keys are counted at once.
const MAX_KEYS: usize = 50_000;
/// How long whoever was refused may claim the next call for itself.
const CLAIM: Duration = Duration::from_secs(2);
/// How often it is looked which keys are not in use any more, where there is no room.
const SWEEP: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Rates {
    began: Instant,
    cells: Mutex<Cells>,
}

#[derive(Debug, Default)]
struct Cells {
    by_key: HashMap<String, Cell>,
    swept: Duration,
}

#[derive(Clone, Debug, Default)]
struct Cell {
    /// When everything that was let through would have been due.
    due: Duration,
    /// Who was let through last, and who was refused since: of what is shared nobody takes the next as
    /// well while somebody else waits for it.
    last: Option<ActorId>,
    claim: Option<(ActorId, Duration)>,
}

impl Default for Rates {
    fn default() -> Self {
        Self { began: Instant::now(), cells: Mutex::default() }
    }
}

impl Rates {
    /// Takes a call of each rate in `bounds`, or of none and says of which there is none and when.
    pub(super) fn take<'a>(&self, bounds: &'a [Bound], who: &ActorId) -> Result<(), (&'a Bound, Duration)> {
        self.take_at(bounds, who, self.began.elapsed())
    }

    fn take_at<'a>(
        &self,
        bounds: &'a [Bound],
        who: &ActorId,
        now: Duration,
    ) -> Result<(), (&'a Bound, Duration)> {
        let rates = bounds.iter().filter_map(|bound| match bound.limit.allowance {
            Allowance::Rate { calls, per } => Some((bound, calls.get(), per)),
            _ => None,
        });
        let mut cells = self.lock();
        let mut taken = Vec::new();
        for (bound, calls, per) in rates {
            let Some(cell) = cells.of(&bound.key, now) else { return Err((bound, SWEEP)) };
            match cell.next((calls, per), (who, bound.shared), now) {
                Ok(after) => taken.push((&bound.key, after)),
                Err(wait) => return Err((bound, wait)),
            }
        }
        for (key, after) in taken {
            cells.by_key.insert(key.clone(), after);
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Cells> {
        self.cells.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Cells {
    /// The cell of `key`; none if there is no room, since one in use is never put away for another.
    fn of(&mut self, key: &str, now: Duration) -> Option<&mut Cell> {
        if !self.by_key.contains_key(key) {
            if self.by_key.len() >= MAX_KEYS && now >= self.swept + SWEEP {
                self.swept = now;
                self.by_key.retain(|_, cell| cell.due > now);
            }
            if self.by_key.len() >= MAX_KEYS {
                return None;
            }
            self.by_key.insert(key.to_owned(), Cell::default());
        }
        self.by_key.get_mut(key)
    }
}

impl Cell {
    /// The cell after one more call, or how long until there is one.
    fn next(
        &mut self,
        (calls, per): (u32, Duration),
        (who, shared): (&ActorId, bool),
        now: Duration,
    ) -> Result<Self, Duration> {
        let step = (per / calls).max(Duration::from_nanos(1));
        let claim = self.claim.take().filter(|(_, until)| *until > now);
        let is_claimed =
            claim.as_ref().is_some_and(|(other, _)| other != who) && self.last.as_ref() == Some(who);
        self.claim = claim;
        if is_claimed {
            return Err(step.min(CLAIM));
        }
        let due = self.due.max(now);
        let wait = (due + step).saturating_sub(now + per);
        if wait.is_zero() {
            let claim = self.claim.take().filter(|(other, _)| other != who);
            return Ok(Self { due: due + step, last: shared.then(|| who.clone()), claim });
        }
        if shared && self.last.as_ref() != Some(who) {
            self.claim = Some((who.clone(), now + wait + CLAIM));
        }
        Err(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{bound, named};
    use super::*;

    fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    fn taken(rates: &Rates, text: &str, who: &str, now: Duration) -> Result<(), Duration> {
        rates.take_at(&[bound(text, "k")], &named(who), now).map_err(|(_, wait)| wait)
    }

    #[test]
    fn so_many_at_once_and_then_one_after_the_other() {
        let rates = Rates::default();
        for _ in 0..30 {
            assert_eq!(taken(&rates, "30/1m", "ana", secs(0)), Ok(()));
        }
        assert_eq!(taken(&rates, "30/1m", "ana", secs(0)), Err(secs(2)));
        assert_eq!(taken(&rates, "30/1m", "ana", secs(1)), Err(secs(1)));
        assert_eq!(taken(&rates, "30/1m", "ana", secs(2)), Ok(()));
        assert_eq!(taken(&rates, "30/1m", "ana", secs(2)), Err(secs(2)));
        let later = (0..40).filter(|_| taken(&rates, "30/1m", "ana", secs(600)).is_ok()).count();
        assert_eq!(later, 30, "what was not used is not saved up");
    }

    #[test]
    fn a_call_that_one_rate_refuses_uses_none_of_the_others() {
        let rates = Rates::default();
        let bounds = [bound("5/1m", "wide"), bound("1/1m", "narrow")];
        assert!(rates.take_at(&bounds, &named("ana"), secs(0)).is_ok());
        for _ in 0..20 {
            let refused = rates.take_at(&bounds, &named("ana"), secs(0)).expect_err("refused");
            assert_eq!(refused.0.key, "narrow");
        }
        for _ in 0..4 {
            assert!(rates.take_at(&bounds[..1], &named("ana"), secs(0)).is_ok());
        }
    }

    #[test]
    fn a_flood_of_keys_evicts_nobody_and_ends_when_they_are_not_in_use_any_more() {
        let rates = Rates::default();
        assert_eq!(taken(&rates, "1/1h", "ana", secs(0)), Ok(()));
        let flood = |from: usize, now| {
            let of = |n| rates.take_at(&[bound("1/1m", &format!("f{n}"))], &named("eve"), now).is_ok();
            (from..from + MAX_KEYS).filter(|n| of(*n)).count()
        };
        assert_eq!(flood(0, secs(1)), MAX_KEYS - 1);
        assert_eq!(flood(MAX_KEYS, secs(2)), 0, "there is no room");
        assert!(taken(&rates, "1/1h", "ana", secs(2)).is_err(), "who was counted is counted");
        assert_eq!(flood(MAX_KEYS, secs(120)), MAX_KEYS - 1);
        assert!(taken(&rates, "1/1h", "ana", secs(120)).is_err());
    }

    #[test]
    fn of_a_shared_rate_nobody_takes_everything_while_others_wait() {
        let rates = Rates::default();
        let mut got = HashMap::from([("hog", 0), ("bo", 0)]);
        for tick in 0..6_000_u64 {
            let now = Duration::from_millis(tick * 10);
            // One tries all the time, the other when it was told to.
            let mut tries = vec!["hog"];
            tries.extend((tick % 100 == 0).then_some("bo"));
            for who in tries {
                let passed = taken(&rates, "60/1m by tool", who, now).is_ok();
                *got.entry(who).or_default() += i32::from(passed);
            }
        }
        assert!(got["bo"] >= 25, "{got:?}");
        assert!(got["hog"] >= 60, "{got:?}");
    }
}
