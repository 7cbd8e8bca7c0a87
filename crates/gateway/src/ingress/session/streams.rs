//! The streams of a session's calls that its client can take up again.
//!
//! A call goes on when its client loses the stream, and what it says meanwhile, its
//! answer last, waits here until the client comes back with the id of the last event
//! that it had (MCP 2025-11-25, basic/transports, resumability). How events are
//! written down is the transport's own.
//!
//! Invariants:
//! - A stream has one reader. Who takes it up ends the one before.
//! - A place in a stream means something in its own session alone, and to whoever may what the
//!   principal of the call may: a lesser token of the same person is told nothing of it.
//! - What is kept of a stream is bounded in number, bytes and time. A place whose
//!   following words are gone is unknown, so that nothing is left out unsaid.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use quaymaster_core::Timestamp;
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;

use crate::ingress::allowance::Share;

/// How long a stream waits that nobody reads.
const PATIENCE: Duration = Duration::from_mins(2);

/// How many streams of one session may wait.
const MAX_LEFT: usize = 8;

/// How many messages of a stream are kept after they were sent, and how many bytes of them. The
/// last one is kept if it has as many as an answer may have that waits.
const MAX_TOLD: (usize, usize) = (32, 64 * 1024);

/// How large an answer may be that waits for its client to come back, in bytes.
pub(in crate::ingress) const MAX_ANSWER_BYTES: usize = 1024 * 1024;

/// What is said on a stream.
pub(in crate::ingress) enum Word {
    /// A message on one line.
    Message(Bytes),
    /// There will be nothing for so long, and who waits may as well come back.
    Away(Duration),
}

/// All that is said on a stream. Nothing of it happens because it is read.
pub(in crate::ingress) type Words = Pin<Box<dyn Stream<Item = Word> + Send>>;

/// What a stream that waits takes up.
pub(in crate::ingress) type Room = (Share, OwnedSemaphorePermit);

/// The streams of one session that can be taken up.
#[derive(Debug, Default)]
pub(in crate::ingress) struct Streams(Mutex<Vec<Arc<Line>>>);

/// One of them.
pub(in crate::ingress) struct Line {
    /// Which one it is, of all of this process.
    pub(in crate::ingress) number: u64,
    /// What its principal may.
    authority: String,
    /// Whether somebody reads.
    attended: Arc<AtomicBool>,
    state: Mutex<State>,
}

struct State {
    /// None when everything has been said.
    words: Option<Words>,
    /// What was said last, oldest first.
    told: VecDeque<(u64, Bytes)>,
    told_bytes: usize,
    /// The place of the next message; the first is 1.
    next: u64,
    reader: CancellationToken,
    left: Option<(Timestamp, Room)>,
}

/// Where a message stands in its stream, and the message.
pub(in crate::ingress) enum Heard {
    Message(u64, Bytes),
    Away(Duration),
}

impl Streams {
    /// A stream of `words`, to a principal that may what `authority` says. It has a reader;
    /// `attended` says from now on whether it has.
    pub(in crate::ingress) fn begin(
        &self,
        number: u64,
        authority: String,
        words: Words,
        attended: Arc<AtomicBool>,
    ) -> (Arc<Line>, CancellationToken) {
        let reader = CancellationToken::new();
        let state = State {
            words: Some(words),
            told: VecDeque::new(),
            told_bytes: 0,
            next: 1,
            reader: reader.clone(),
            left: None,
        };
        let line = Arc::new(Line { number, authority, attended, state: Mutex::new(state) });
        self.lock().push(Arc::clone(&line));
        (line, reader)
    }

    /// Takes up the stream `number` behind the message at `place`; none if there is no such
    /// place any more, or not for `authority`.
    pub(in crate::ingress) fn take_up(
        &self,
        number: u64,
        place: u64,
        authority: &str,
    ) -> Option<(Arc<Line>, CancellationToken)> {
        let is_it = |line: &&Arc<Line>| line.number == number && line.authority == authority;
        let line = self.lock().iter().find(is_it).cloned()?;
        let reader = line.take_up(place)?;
        Some((line, reader))
    }

    /// Notes that `reader` of `line` has gone. What is left waits, if there is `room`.
    pub(in crate::ingress) fn leave(
        &self,
        line: &Arc<Line>,
        reader: &CancellationToken,
        room: impl FnOnce() -> Option<Room>,
        now: Timestamp,
    ) {
        let mut lines = self.lock();
        let mut state = line.lock();
        if reader.is_cancelled() {
            // Another reads.
            return;
        }
        reader.cancel();
        let waiting = lines.iter().filter(|line| !line.attended.load(Ordering::Relaxed)).count();
        let room = room().filter(|_| state.words.is_some() && waiting < MAX_LEFT);
        let gone = match room {
            Some(room) => {
                state.left = Some((until(now), room));
                line.attended.store(false, Ordering::Relaxed);
                None
            }
            None => {
                lines.retain(|other| !Arc::ptr_eq(other, line));
                state.words.take()
            }
        };
        drop((state, lines));
        // Not under the locks: a call that nobody waits for lets go of other things.
        drop(gone);
    }

    /// Lets go of what nobody came back to.
    pub(in crate::ingress) fn sweep(&self, now: Timestamp) {
        self.let_go(|line| line.lock().left.as_ref().is_some_and(|(until, _)| *until <= now));
    }

    /// Lets go of everything that waits: nobody can come back any more.
    pub(in crate::ingress) fn clear(&self) {
        self.let_go(|line| !line.attended.load(Ordering::Relaxed));
    }

    fn let_go(&self, which: impl Fn(&Line) -> bool) {
        let gone: Vec<Arc<Line>> = self.lock().extract_if(.., |line| which(line)).collect();
        drop(gone);
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Line>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Until when something waits that was left now.
pub(super) fn until(now: Timestamp) -> Timestamp {
    let patience = u64::try_from(PATIENCE.as_micros()).unwrap_or(u64::MAX);
    Timestamp::from_micros(now.as_micros().saturating_add(patience))
}

impl Line {
    /// Waits for what is said at the place `next` or after it; none if there is nothing more.
    pub(in crate::ingress) fn poll_next(&self, next: u64, cx: &mut Context<'_>) -> Poll<Option<Heard>> {
        let mut state = self.lock();
        if next < state.next {
            let told = state.told.iter().find(|(place, _)| *place == next);
            return Poll::Ready(told.map(|(place, message)| Heard::Message(*place, message.clone())));
        }
        let Some(words) = &mut state.words else { return Poll::Ready(None) };
        let heard = match std::task::ready!(words.as_mut().poll_next(cx)) {
            Some(Word::Message(message)) => Some(Heard::Message(state.tell(&message), message)),
            Some(Word::Away(wait)) => Some(Heard::Away(wait)),
            None => {
                state.words = None;
                None
            }
        };
        Poll::Ready(heard)
    }

    /// Gives the stream to another reader, who has everything up to `place`.
    fn take_up(&self, place: u64) -> Option<CancellationToken> {
        let mut state = self.lock();
        let is_next = place.checked_add(1)? == state.next;
        if !is_next && !state.told.iter().any(|(told, _)| *told == place + 1) {
            return None;
        }
        state.left = None;
        self.attended.store(true, Ordering::Relaxed);
        let reader = CancellationToken::new();
        std::mem::replace(&mut state.reader, reader.clone()).cancel();
        Some(reader)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Keeps a message that is about to be sent, within bounds; says which place it has.
    fn tell(&mut self, message: &Bytes) -> u64 {
        let place = self.next;
        self.next += 1;
        let (most, most_bytes) = MAX_TOLD;
        self.told_bytes += message.len();
        self.told.push_back((place, message.clone()));
        while self.told.len() > most || (self.told.len() > 1 && self.told_bytes > most_bytes) {
            self.forget_oldest();
        }
        if self.told_bytes > MAX_ANSWER_BYTES {
            self.forget_oldest();
        }
        place
    }

    fn forget_oldest(&mut self) {
        if let Some((_, gone)) = self.told.pop_front() {
            self.told_bytes -= gone.len();
        }
    }
}

impl std::fmt::Debug for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Line").field("number", &self.number).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::future::poll_fn;
    use futures_util::stream;
    use quaymaster_core::ActorId;
    use tokio::sync::Semaphore;

    use super::*;
    use crate::ingress::allowance::Allowance;

    fn room() -> Option<Room> {
        let share = Allowance::new(1).take(&ActorId::parse("ana").expect("a name"), 1)?;
        Some((share, Arc::new(Semaphore::new(1)).try_acquire_owned().ok()?))
    }

    fn begun(streams: &Streams, messages: u64) -> (Arc<Line>, CancellationToken) {
        let words = stream::iter((1..=messages).map(|n| Word::Message(n.to_string().into())));
        streams.begin(7, "all".to_owned(), Box::pin(words), Arc::new(AtomicBool::new(true)))
    }

    async fn heard(line: &Line, next: u64) -> Option<(u64, Bytes)> {
        match poll_fn(|cx| line.poll_next(next, cx)).await? {
            Heard::Message(place, message) => Some((place, message)),
            Heard::Away(_) => None,
        }
    }

    fn at(now_s: u64) -> Timestamp {
        Timestamp::from_micros(now_s * 1_000_000)
    }

    #[tokio::test]
    async fn who_comes_back_hears_what_it_had_not_and_then_the_rest() {
        let streams = Streams::default();
        let (line, reader) = begun(&streams, 3);
        assert_eq!(heard(&line, 1).await, Some((1, "1".into())));
        assert_eq!(heard(&line, 2).await, Some((2, "2".into())));
        streams.leave(&line, &reader, room, at(0));
        let (line, _reader) = streams.take_up(7, 1, "all").expect("it waits");
        for n in 2..4 {
            assert_eq!(heard(&line, n).await, Some((n, n.to_string().into())));
        }
        assert_eq!(heard(&line, 4).await, None);
    }

    #[tokio::test]
    async fn a_stream_has_one_reader_and_the_one_that_was_replaced_leaves_nothing() {
        let streams = Streams::default();
        let (line, first) = begun(&streams, 3);
        let (_, second) = streams.take_up(7, 0, "all").expect("it is there");
        assert!(first.is_cancelled() && !second.is_cancelled());
        streams.leave(&line, &first, room, at(0));
        assert!(streams.take_up(7, 0, "all").is_some(), "the second one still reads");
    }

    #[tokio::test]
    async fn a_place_that_is_not_there_is_unknown() {
        let streams = Streams::default();
        let (line, reader) = begun(&streams, 200);
        for n in 1..=100 {
            heard(&line, n).await.expect("a message");
        }
        streams.leave(&line, &reader, room, at(0));
        for (number, place) in [(8, 100), (7, 101), (7, u64::MAX), (7, 0), (7, 67)] {
            assert!(streams.take_up(number, place, "all").is_none(), "{number} {place}");
        }
        assert!(streams.take_up(7, 68, "less").is_none());
        assert!(streams.take_up(7, 68, "all").is_some());
    }

    #[tokio::test]
    async fn what_nobody_comes_back_to_is_let_go_and_so_is_what_finds_no_room() {
        let streams = Streams::default();
        let (line, reader) = begun(&streams, 3);
        streams.leave(&line, &reader, room, at(0));
        streams.sweep(at(119));
        assert!(!streams.lock().is_empty());
        streams.sweep(at(120));
        assert!(streams.lock().is_empty());
        let (line, reader) = begun(&streams, 3);
        streams.leave(&line, &reader, || None, at(0));
        assert!(streams.lock().is_empty());
        for _ in 0..=MAX_LEFT {
            let (line, reader) = begun(&streams, 3);
            streams.leave(&line, &reader, room, at(0));
        }
        assert_eq!(streams.lock().len(), MAX_LEFT);
        streams.clear();
        assert!(streams.lock().is_empty());
    }

    #[tokio::test]
    async fn what_is_kept_of_what_was_said_is_bounded() {
        let streams = Streams::default();
        let long = |n: usize| Word::Message(vec![b'x'; n].into());
        let words = stream::iter([long(60_000), long(60_000), long(MAX_ANSWER_BYTES + 1), long(1)]);
        let (line, _reader) =
            streams.begin(7, "all".to_owned(), Box::pin(words), Arc::new(AtomicBool::new(true)));
        let mut kept = Vec::new();
        for n in 1..=4 {
            heard(&line, n).await.expect("a message");
            kept.push(line.lock().told.iter().map(|(place, _)| *place).collect::<Vec<_>>());
        }
        assert_eq!(kept, [vec![1], vec![2], vec![], vec![4]]);
    }
}
