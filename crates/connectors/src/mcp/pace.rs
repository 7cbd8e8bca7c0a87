//! How long things may take and how soon they are tried again.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::conduct::Patience;

/// The waits of one connector.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// How long a server may take to say which era it speaks, before it is
    /// taken for one that does not know the question.
    pub(super) probe: Duration,
    /// How long a server may take for any other step before the first call.
    pub(super) handshake: Duration,
    /// How long a child has to leave by itself, and then again after SIGTERM.
    pub(super) grace: Duration,
    /// The wait before the second attempt to connect; doubled for each further one.
    pub(super) first_wait: Duration,
    /// The longest such wait.
    pub(super) longest_wait: Duration,
    /// A connection that lived this long was a good one: waits start over.
    pub(super) healthy: Duration,
    /// How long a call waits for a connection that is about to be tried again.
    pub(super) patience: Duration,
    /// The shortest time between two listings that the server asked for.
    pub(super) between_listings: Duration,
    /// How long a session's server has to say which task it has made of a call that has left.
    pub(super) late: Duration,
    /// How often a server may misbehave before it is shut out.
    pub(super) conduct: Patience,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            probe: Duration::from_secs(3),
            handshake: Duration::from_secs(15),
            grace: Duration::from_secs(2),
            first_wait: Duration::from_millis(200),
            longest_wait: Duration::from_secs(30),
            healthy: Duration::from_secs(30),
            patience: Duration::from_secs(1),
            between_listings: Duration::from_secs(1),
            late: Duration::from_secs(10),
            conduct: Patience::default(),
        }
    }
}

/// Exponential backoff with jitter. The first attempt after a loss is made at once.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    attempts: u32,
    spread: Spread,
}

impl Backoff {
    /// The wait before the next attempt.
    pub(super) fn next(&mut self, pace: &Pace) -> Duration {
        let attempt = self.attempts;
        self.attempts = attempt.saturating_add(1);
        let Some(doublings) = attempt.checked_sub(1) else { return Duration::ZERO };
        let full = pace.first_wait.saturating_mul(1 << doublings.min(16)).min(pace.longest_wait);
        full.mul_f64(0.5 + self.spread.fraction() / 2.0)
    }

    /// Starts over.
    pub(super) fn reset(&mut self) {
        self.attempts = 0;
    }
}

/// Numbers that keep gateways from knocking at the same moment. They guard
/// nothing, so the seed of the standard library's hash maps will do.
#[derive(Debug, Default)]
pub(super) struct Spread {
    seed: RandomState,
    drawn: AtomicU32,
}

impl Spread {
    /// The next number from 0 to 1.
    pub(super) fn fraction(&self) -> f64 {
        let [a, b, ..] = self.seed.hash_one(self.drawn.fetch_add(1, Ordering::Relaxed)).to_le_bytes();
        f64::from(u16::from_le_bytes([a, b])) / f64::from(u16::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_limit_and_start_over() {
        let (pace, mut backoff) = (Pace::default(), Backoff::default());
        assert_eq!(backoff.next(&pace), Duration::ZERO);
        let waits: Vec<_> = (0..40).map(|_| backoff.next(&pace)).collect();
        assert!(waits[0] >= pace.first_wait / 2 && waits[0] <= pace.first_wait, "{:?}", waits[0]);
        assert!(waits[39] >= pace.longest_wait / 2 && waits[39] <= pace.longest_wait, "{:?}", waits[39]);
        backoff.reset();
        assert_eq!(backoff.next(&pace), Duration::ZERO);
    }
}
