//! What a session's own stream told last, for a client that lost it and comes back.
//!
//! What is told there says that something changed, and no more. So beside the last
//! messages the state is kept against which changes are seen: what changes while nobody
//! listens is told when somebody does.
//!
//! Invariant: whoever is not told all that it missed is told that everything may have
//! changed.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use quaymaster_core::Timestamp;

use super::streams::until;
use crate::ingress::changes::Changes;

/// How many messages are kept after they were sent.
const MAX_TOLD: usize = 16;

/// The own stream of one session, over all responses by which it was sent.
#[derive(Debug, Default)]
pub(in crate::ingress) struct OwnStream(Mutex<Option<Box<State>>>);

#[derive(Debug)]
struct State {
    /// Which stream of the process it is.
    number: u64,
    /// The place of the last message; the first is 1.
    last: u64,
    told: VecDeque<(u64, String)>,
    /// Since when nobody listens, and what changes are seen against.
    left: Option<Left>,
}

#[derive(Debug)]
struct Left {
    until: Timestamp,
    /// What whoever listened may.
    authority: String,
    changes: Changes,
}

/// What a client that comes back has missed, and the changes from there on.
pub(in crate::ingress) struct Missed {
    pub(in crate::ingress) told: Vec<(u64, String)>,
    pub(in crate::ingress) changes: Changes,
}

impl OwnStream {
    /// Which stream it is and how far it is; one that begins has the number that `fresh` gives.
    pub(in crate::ingress) fn place(&self, fresh: impl FnOnce() -> u64) -> (u64, u64) {
        let mut state = self.lock();
        let begin = || State { number: fresh(), last: 0, told: VecDeque::new(), left: None };
        let state = state.get_or_insert_with(|| Box::new(begin()));
        (state.number, state.last)
    }

    /// Keeps a message that is about to be sent; says which place it has.
    pub(in crate::ingress) fn tell(&self, message: &str) -> u64 {
        let mut state = self.lock();
        let Some(state) = state.as_mut() else { return 0 };
        state.last += 1;
        state.told.push_back((state.last, message.to_owned()));
        if state.told.len() > MAX_TOLD {
            state.told.pop_front();
        }
        state.last
    }

    /// Has the stream listened to behind `place` of `number`; none if that is not known any more,
    /// or not to whoever may what `authority` says.
    pub(in crate::ingress) fn take_up(&self, number: u64, place: u64, authority: &str) -> Option<Missed> {
        let mut state = self.lock();
        let state = state.as_mut().filter(|state| state.number == number && place <= state.last)?;
        let told: Vec<_> = state.told.iter().filter(|(told, _)| *told > place).cloned().collect();
        if u64::try_from(told.len()).ok()? != state.last - place {
            return None;
        }
        let Left { changes, .. } = state.left.take_if(|left| left.authority == authority)?;
        Some(Missed { told, changes })
    }

    /// Notes that nobody listens from `now` on, and what changes were seen against by somebody
    /// who may what `authority` says.
    pub(in crate::ingress) fn leave(&self, changes: Changes, authority: String, now: Timestamp) {
        if let Some(state) = self.lock().as_mut() {
            state.left = Some(Left { until: until(now), authority, changes });
        }
    }

    /// Lets go of what nobody came back to.
    pub(in crate::ingress) fn sweep(&self, now: Timestamp) {
        if let Some(state) = self.lock().as_mut() {
            state.left.take_if(|left| left.until <= now);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Box<State>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(stream: &OwnStream, number: u64, place: u64) -> Option<Vec<u64>> {
        stream.leave(Changes::none(), "all".to_owned(), Timestamp::from_micros(0));
        let missed = stream.take_up(number, place, "all")?;
        Some(missed.told.into_iter().map(|(place, _)| place).collect())
    }

    #[test]
    fn only_who_missed_what_is_kept_goes_on_where_it_was() {
        let stream = OwnStream::default();
        assert_eq!(stream.place(|| 7), (7, 0));
        assert_eq!(told(&stream, 7, 0), Some(vec![]));
        for n in 1..=20 {
            assert_eq!(stream.tell("x"), n);
        }
        assert_eq!(stream.place(|| 8), (7, 20));
        assert_eq!(told(&stream, 7, 18), Some(vec![19, 20]));
        for (number, place) in [(7, 3), (7, 21), (8, 20)] {
            assert_eq!(told(&stream, number, place), None, "{number} {place}");
        }
    }

    #[test]
    fn what_changes_are_seen_against_is_kept_for_a_while_and_for_one() {
        let stream = OwnStream::default();
        stream.place(|| 7);
        stream.leave(Changes::none(), "all".to_owned(), Timestamp::from_micros(0));
        stream.sweep(Timestamp::from_micros(119_999_999));
        assert!(stream.take_up(7, 0, "less").is_none());
        assert!(stream.take_up(7, 0, "all").is_some());
        assert!(stream.take_up(7, 0, "all").is_none(), "somebody listens");
        stream.leave(Changes::none(), "all".to_owned(), Timestamp::from_micros(0));
        stream.sweep(Timestamp::from_micros(120_000_000));
        assert!(stream.take_up(7, 0, "all").is_none());
    }
}
