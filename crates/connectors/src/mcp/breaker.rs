//! The circuit breaker: when calls to an upstream are not even tried.
//!
//! A server that accepts calls and does not answer them costs every caller a
//! whole time limit. After some such calls in a row the breaker opens: calls are
//! refused at once, until a cooldown is over and one call is let through as a
//! trial. Whether there is a connection at all is `supervise`'s business, and
//! what a failure says of a server is `failure`'s.
//!
//! Invariants:
//! - Only what no answer came to counts. An answer, be it an error or a question,
//!   closes the row.
//! - Many calls that end with one connection count once.
//! - At most one trial is under way, and one that comes to nothing is given back.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::pace::Spread;

/// How much longer than configured a cooldown may be, so that gateways do not
/// all try a server at the same moment.
const JITTER: f64 = 0.25;

/// When a breaker opens, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tolerance {
    /// How many calls in a row may fail; the last of them opens it.
    pub(super) failures: u32,
    /// Within which time they must fail.
    pub(super) window: Duration,
    /// How long it stays open at least.
    pub(super) cooldown: Duration,
}

/// What became of a call, as far as it says whether the server answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It answered, whatever it said.
    Answered,
    /// It did not.
    Failed,
    /// The connection with this number ended before it did.
    Ended(u64),
    /// The call says nothing of the server.
    Nothing,
}

/// How a breaker is, for those who watch it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Position {
    /// Calls are tried.
    Closed,
    /// Calls are refused.
    Open,
    /// The next call is a trial, or one is under way.
    HalfOpen,
}

/// The breaker of one upstream.
pub(super) struct Breaker {
    tolerance: Tolerance,
    phase: Mutex<Phase>,
    spread: Spread,
}

enum Phase {
    Closed(Row),
    Open { until: Instant },
    Trial { since: Instant },
}

/// Failures without an answer between them.
#[derive(Clone, Copy, Default)]
struct Row {
    count: u32,
    began: Option<Instant>,
    /// The connection whose end was counted last.
    ended: Option<u64>,
}

/// That a call may be tried.
pub(super) struct Ticket<'a> {
    breaker: &'a Breaker,
    /// When the trial was let through, if it is one that nothing was said of yet.
    trial: Option<Instant>,
}

impl Breaker {
    /// A closed one.
    pub(super) fn new(tolerance: Tolerance) -> Self {
        Self { tolerance, phase: Mutex::new(Phase::Closed(Row::default())), spread: Spread::default() }
    }

    /// Whether a call may be tried.
    ///
    /// # Errors
    ///
    /// After how long it may be worth asking again.
    pub(super) fn admit(&self, now: Instant) -> Result<Ticket<'_>, Duration> {
        let mut phase = self.phase();
        let trial = match *phase {
            Phase::Closed(_) => None,
            Phase::Open { until } if until > now => return Err(until - now),
            Phase::Open { .. } => {
                *phase = Phase::Trial { since: now };
                Some(now)
            }
            // How long the trial takes is not known, and not longer than a cooldown worth waiting for.
            Phase::Trial { since } => {
                let left = (since + self.tolerance.cooldown).saturating_duration_since(now);
                return Err(left.max(Duration::from_secs(1)));
            }
        };
        Ok(Ticket { breaker: self, trial })
    }

    /// How it is at `now`.
    pub(super) fn position(&self, now: Instant) -> Position {
        match *self.phase() {
            Phase::Closed(_) => Position::Closed,
            Phase::Open { until } if until > now => Position::Open,
            Phase::Open { .. } | Phase::Trial { .. } => Position::HalfOpen,
        }
    }

    /// How many calls in a row open it.
    pub(super) fn failures(&self) -> u32 {
        self.tolerance.failures
    }

    fn open(&self, now: Instant) -> Phase {
        let longer = self.tolerance.cooldown.mul_f64(JITTER * self.spread.fraction());
        Phase::Open { until: now + self.tolerance.cooldown + longer }
    }

    fn failed(&self, row: &mut Row, ended: Option<u64>, now: Instant) -> Option<Phase> {
        if ended.is_some() && row.ended == ended {
            return None;
        }
        let is_over =
            row.began.is_none_or(|began| now.saturating_duration_since(began) > self.tolerance.window);
        if is_over {
            *row = Row { count: 0, began: Some(now), ended: None };
        }
        row.count = row.count.saturating_add(1);
        row.ended = ended.or(row.ended);
        (row.count >= self.tolerance.failures).then(|| self.open(now))
    }

    fn phase(&self) -> MutexGuard<'_, Phase> {
        self.phase.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ticket<'_> {
    /// The server has shown that it answers, before the call is over. What becomes of the call
    /// then counts like that of any other.
    pub(super) fn answered(&mut self, now: Instant) {
        let now_known = Ticket { breaker: self.breaker, trial: self.trial.take() };
        now_known.settle(Verdict::Answered, now);
    }

    /// Says what became of the call.
    pub(super) fn settle(mut self, verdict: Verdict, now: Instant) {
        let ended = match verdict {
            // Whether the server answers is as unknown as before; a trial is given back.
            Verdict::Nothing => return,
            Verdict::Answered | Verdict::Failed => None,
            Verdict::Ended(connection) => Some(connection),
        };
        let is_trial = self.trial.take().is_some();
        let mut phase = self.breaker.phase();
        let next = match (&mut *phase, verdict) {
            (Phase::Closed(_), Verdict::Answered) => Some(Phase::Closed(Row::default())),
            (Phase::Closed(row), _) => self.breaker.failed(row, ended, now),
            // What began before the breaker opened says nothing of how the server is now.
            _ if !is_trial => None,
            (_, Verdict::Answered) => Some(Phase::Closed(Row::default())),
            _ => Some(self.breaker.open(now)),
        };
        if let Some(next) = next {
            *phase = next;
        }
    }
}

impl Drop for Ticket<'_> {
    /// A trial of which nothing became is the next call's.
    fn drop(&mut self) {
        if let Some(since) = self.trial.take() {
            *self.breaker.phase() = Phase::Open { until: since };
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const TOLERANCE: Tolerance = Tolerance { failures: 3, window: SECOND, cooldown: SECOND };
    /// The longest that a cooldown of a second can be.
    const COOL: Duration = Duration::from_millis(1_250);

    fn call(breaker: &Breaker, verdict: Verdict, now: Instant) {
        breaker.admit(now).unwrap_or_else(|after| panic!("refused for {after:?}")).settle(verdict, now);
    }

    fn opened(now: Instant) -> Breaker {
        let breaker = Breaker::new(TOLERANCE);
        for _ in 0..3 {
            call(&breaker, Verdict::Failed, now);
        }
        assert_eq!(breaker.position(now), Position::Open);
        breaker
    }

    #[test]
    fn it_opens_after_failures_in_a_row_and_says_for_how_long() {
        let now = Instant::now();
        let breaker = opened(now);
        let after = breaker.admit(now).err().expect("refused");
        assert!((SECOND..=COOL).contains(&after), "{after:?}");
        assert_eq!(breaker.position(now + COOL), Position::HalfOpen);
    }

    #[test]
    fn an_answer_or_too_much_time_ends_the_row() {
        let (breaker, now) = (Breaker::new(TOLERANCE), Instant::now());
        for verdict in [Verdict::Failed, Verdict::Failed, Verdict::Answered, Verdict::Failed, Verdict::Failed]
        {
            call(&breaker, verdict, now);
        }
        assert_eq!(breaker.position(now), Position::Closed);
        call(&breaker, Verdict::Failed, now + 2 * SECOND);
        assert_eq!(breaker.position(now + 2 * SECOND), Position::Closed);
    }

    #[test]
    fn calls_that_end_with_one_connection_count_once() {
        let (breaker, now) = (Breaker::new(TOLERANCE), Instant::now());
        for connection in [1, 1, 1, 1, 2, 2] {
            call(&breaker, Verdict::Ended(connection), now);
        }
        assert_eq!(breaker.position(now), Position::Closed);
        call(&breaker, Verdict::Ended(3), now);
        assert_eq!(breaker.position(now), Position::Open);
    }

    #[test]
    fn one_trial_decides_whether_it_closes() {
        let now = Instant::now();
        for (verdict, after) in [(Verdict::Answered, Position::Closed), (Verdict::Failed, Position::Open)] {
            let breaker = opened(now);
            let trial = breaker.admit(now + COOL).expect("the trial");
            assert!(breaker.admit(now + COOL).is_err(), "one at a time");
            assert_eq!(breaker.position(now + COOL), Position::HalfOpen);
            trial.settle(verdict, now + COOL);
            assert_eq!(breaker.position(now + COOL), after);
        }
    }

    #[test]
    fn a_trial_in_which_the_server_shows_itself_closes_it_and_goes_on_as_any_call() {
        let now = Instant::now();
        let breaker = opened(now);
        let mut trial = breaker.admit(now + COOL).expect("the trial");
        trial.answered(now + COOL);
        assert_eq!(breaker.position(now + COOL), Position::Closed);
        call(&breaker, Verdict::Failed, now + COOL);
        trial.answered(now + COOL);
        trial.settle(Verdict::Failed, now + COOL);
        call(&breaker, Verdict::Failed, now + COOL);
        assert_eq!(breaker.position(now + COOL), Position::Closed, "two in a row since it last answered");
        call(&breaker, Verdict::Failed, now + COOL);
        assert_eq!(breaker.position(now + COOL), Position::Open);
    }

    #[test]
    fn a_trial_that_says_nothing_is_the_next_calls() {
        let now = Instant::now();
        let breaker = opened(now);
        drop(breaker.admit(now + COOL).expect("the trial"));
        call(&breaker, Verdict::Nothing, now + COOL);
        call(&breaker, Verdict::Answered, now + COOL);
        assert_eq!(breaker.position(now + COOL), Position::Closed);
    }

    #[test]
    fn what_began_before_it_opened_neither_closes_it_nor_keeps_it_open() {
        let (breaker, now) = (Breaker::new(TOLERANCE), Instant::now());
        let late = [breaker.admit(now), breaker.admit(now)].map(|ticket| ticket.expect("closed"));
        for _ in 0..3 {
            call(&breaker, Verdict::Failed, now);
        }
        for (ticket, verdict) in late.into_iter().zip([Verdict::Answered, Verdict::Failed]) {
            ticket.settle(verdict, now + SECOND / 2);
            assert_eq!(breaker.position(now + SECOND / 2), Position::Open);
            assert_eq!(breaker.position(now + COOL), Position::HalfOpen);
        }
    }

    proptest! {
        /// Whatever calls come to: a closed breaker refuses nothing, a refusal has an end, and
        /// a server that answers again is called again within one cooldown.
        #[test]
        fn it_never_stays_shut(steps in prop::collection::vec((0_u8..4, 0_u64..3_000), 0..60)) {
            let (breaker, mut now) = (Breaker::new(TOLERANCE), Instant::now());
            for (verdict, wait) in steps {
                now += Duration::from_millis(wait);
                let before = breaker.position(now);
                match breaker.admit(now) {
                    Ok(ticket) => {
                        prop_assert_ne!(before, Position::Open);
                        let verdict = match verdict {
                            0 => Verdict::Answered,
                            1 => Verdict::Failed,
                            2 => Verdict::Ended(wait % 3),
                            _ => Verdict::Nothing,
                        };
                        ticket.settle(verdict, now);
                    }
                    Err(after) => {
                        prop_assert_eq!(before, Position::Open);
                        prop_assert!(after <= COOL);
                    }
                }
            }
            call(&breaker, Verdict::Answered, now + COOL);
            prop_assert_eq!(breaker.position(now + COOL), Position::Closed);
        }
    }
}
