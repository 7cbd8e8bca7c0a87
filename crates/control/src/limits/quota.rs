//! Quotas: how much is used in a day or a month (UTC), over all processes and restarts.
//!
//! A process takes a few of a quota from the store at once and gives them out itself, so that most calls
//! need no write. What it has taken counts as used: two processes never give out more than there is. A
//! process that is lost, loses with it what it had taken and not given out, [`BLOCK`] at most of each.
//! Towards the end of a quota the blocks are smaller, down to one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use quaymaster_core::{CallError, Clock, ErrorCode, Period, Timestamp};
use quaymaster_store::{Store, StoreError};

/// Most that is taken from the store at once.
pub(super) const BLOCK: u64 = 64;
/// How many blocks are in memory at once; beyond that they are put away, and count as used.
const MAX_BLOCKS: usize = 50_000;
/// How long a period is remembered that is over: a clock that was set back finds it as it was.
const REMEMBERED: Duration = Duration::from_hours(24 * 62);

#[derive(Debug)]
pub(super) struct Quotas {
    store: Store,
    clock: Arc<dyn Clock>,
    blocks: Mutex<HashMap<(String, String), u64>>,
    /// One process asks the store once at a time; who waits finds what was brought.
    filling: tokio::sync::Mutex<()>,
}

/// A period of the calendar.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Span {
    name: String,
    ends: Timestamp,
}

/// One of a quota, for a call that is about to run; given back when dropped unless it was settled.
#[derive(Debug)]
pub(super) struct Share {
    quotas: Arc<Quotas>,
    key: String,
    span: Span,
    settled: bool,
}

impl Quotas {
    pub(super) fn new(store: Store, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock, blocks: Mutex::default(), filling: tokio::sync::Mutex::default() }
    }

    /// Takes one of a quota of `most`, or says what is left and when there is more.
    pub(super) async fn take(
        self: &Arc<Self>,
        key: &str,
        most: u64,
        per: Period,
    ) -> Result<Result<Share, (u64, Duration)>, CallError> {
        let now = self.clock.now();
        let span = Span::of(now, per);
        if self.spend(key, &span, 1) || self.fill(key, most, &span).await.map_err(unreadable)? {
            let (quotas, key) = (Arc::clone(self), key.to_owned());
            return Ok(Ok(Share { quotas, key, span, settled: false }));
        }
        Ok(Err((0, span.ends.since(now))))
    }

    /// Brings a block from the store and takes one of it; false if nothing is left.
    async fn fill(&self, key: &str, most: u64, span: &Span) -> Result<bool, StoreError> {
        let _one = self.filling.lock().await;
        if self.spend(key, span, 1) {
            return Ok(true);
        }
        let ends = span.ends.as_micros();
        let left = most.saturating_sub(self.store.limit_used(key, &span.name).await?);
        for block in [(left / 16).clamp(1, BLOCK), 1] {
            if left > 0 && self.store.limit_take((key, &span.name, ends), block, most).await? {
                self.put(key, span, block - 1);
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn spend(&self, key: &str, span: &Span, amount: u64) -> bool {
        let mut blocks = self.lock();
        match blocks.get_mut(&(key.to_owned(), span.name.clone())) {
            Some(left) if *left >= amount => {
                *left -= amount;
                true
            }
            _ => false,
        }
    }

    fn put(&self, key: &str, span: &Span, amount: u64) {
        let mut blocks = self.lock();
        if blocks.len() >= MAX_BLOCKS {
            blocks.clear();
        }
        let left = blocks.entry((key.to_owned(), span.name.clone())).or_default();
        *left = left.saturating_add(amount);
    }

    /// Forgets, in memory and in the store, the periods that are long over.
    pub(super) async fn forget(&self) -> Result<(), StoreError> {
        self.lock().retain(|_, left| *left > 0);
        let before = self
            .clock
            .now()
            .as_micros()
            .saturating_sub(u64::try_from(REMEMBERED.as_micros()).unwrap_or(u64::MAX));
        self.store.limit_forget(before).await
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(String, String), u64>> {
        self.blocks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Share {
    /// Counts `amount` as used, of which one was taken already.
    pub(super) async fn settle(&mut self, amount: u64) {
        self.settled = true;
        let quotas = Arc::clone(&self.quotas);
        let more = match amount {
            0 => return quotas.put(&self.key, &self.span, 1),
            amount => amount - 1,
        };
        if more == 0 || quotas.spend(&self.key, &self.span, more) {
            return;
        }
        let period = (self.key.as_str(), self.span.name.as_str(), self.span.ends.as_micros());
        if let Err(error) = quotas.store.limit_add(period, more).await {
            // The call ran, and whoever made it is told what came of it.
            tracing::error!(event = "limit.settle", more, %error, "what a call used could not be counted");
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        if !self.settled {
            self.quotas.put(&self.key, &self.span, 1);
        }
    }
}

impl Span {
    /// The day or the month that `now` is in.
    fn of(now: Timestamp, per: Period) -> Self {
        let text = now.to_string();
        let date = |length: usize| text.get(..length).unwrap_or_default().to_owned();
        let number =
            |at: std::ops::Range<usize>| text.get(at).and_then(|digits| digits.parse().ok()).unwrap_or(1_u64);
        match per {
            Period::Month => {
                let (year, month) = (number(0..4), number(5..7));
                let next = if month == 12 {
                    format!("{:04}-01", year + 1)
                } else {
                    format!("{year:04}-{:02}", month + 1)
                };
                let ends = Timestamp::parse(&format!("{next}-01T00:00:00Z")).unwrap_or(now);
                Self { name: date(7), ends }
            }
            Period::Day | Period::Call => {
                let begins = Timestamp::parse(&format!("{}T00:00:00Z", date(10))).unwrap_or(now);
                Self { name: date(10), ends: begins.after(Duration::from_hours(24)) }
            }
        }
    }
}

fn unreadable(error: StoreError) -> CallError {
    let message = "what is left of a quota cannot be read at the moment, so nothing runs";
    CallError::new(ErrorCode::AuditUnavailable, message).because(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_and_a_month_end_where_the_next_one_begins() {
        let at = |text: &str, per| {
            let span = Span::of(Timestamp::parse(text).expect("an instant"), per);
            format!("{} {}", span.name, span.ends)
        };
        assert_eq!(at("2026-11-22T23:59:59Z", Period::Day), "2026-11-22 2026-11-23T00:00:00.000000Z");
        assert_eq!(at("2026-12-31T00:00:00Z", Period::Month), "2026-12 2027-01-01T00:00:00.000000Z");
        assert_eq!(at("2028-02-29T12:00:00Z", Period::Month), "2028-02 2028-03-01T00:00:00.000000Z");
    }
}
