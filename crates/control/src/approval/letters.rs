//! Telling people of requests for approval: what there is to tell, and that it was told.
//!
//! What has happened to a request is seen in its row, so nothing that happens has to think of
//! telling: a process that serves looks for news, and makes a letter for each address. A letter is
//! tried until it is delivered or [`GIVEN_UP`] has passed. What a letter says and how it travels is
//! `quaymaster-operations`' part.
//!
//! Invariants:
//! - A letter that was made is delivered or given up, whatever process is lost meanwhile; it may be
//!   delivered twice, under one id.
//! - A letter is not asked to bring an answer, and brings none.

use std::collections::BTreeSet;
use std::time::Duration;

use quaymaster_core::{ApprovalId, CallId, Gate, Role, Timestamp};
use quaymaster_store::{ApprovalKey, ApprovalRow, LetterRow, NewsEvent};

use super::document::UNSEEN_CLEARANCE;
use super::opened::{Request, gates};
use super::{ApprovalError, Approvals, State};

/// After which a letter that cannot be delivered is given up.
pub const GIVEN_UP: Duration = Duration::from_hours(24);
/// How often a letter is tried at most.
const MAX_ATTEMPTS: u64 = 48;
/// How long after the first failure it is tried again; twice as long after each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// Longest time between two tries.
const LONGEST_PAUSE: Duration = Duration::from_hours(1);
/// How long one try may take before another process takes the letter up.
const TRY: Duration = Duration::from_mins(1);
/// How old a request may be about which there are news: longer than one waits.
const TOLD_OF: Duration = Duration::from_hours(60 * 24);
/// How long what happened is news.
const NEWS: Duration = Duration::from_hours(24);
/// How many requests and letters are looked at together.
const MOST: u32 = 32;

/// Something that happened to a request and was not told yet.
#[derive(Debug)]
pub struct News {
    /// What.
    pub event: NewsEvent,
    /// The request as it is now; none if there is nothing left that anybody could be told.
    pub request: Option<Box<Request>>,
    /// The roles that are asked to do something about it, and were not asked before.
    pub asks: BTreeSet<Role>,
    id: ApprovalId,
    /// Which escalation it is, and when the next one comes.
    escalation: Option<(u64, Option<u64>)>,
}

/// A letter that this process has taken, to deliver it.
#[derive(Debug)]
pub struct Letter(LetterRow);

impl Letter {
    /// Its id, the same at each try.
    pub fn id(&self) -> &str {
        &self.0.id
    }

    /// The request that it is about.
    pub fn approval(&self) -> &ApprovalId {
        &self.0.approval
    }

    /// What it tells.
    pub fn event(&self) -> NewsEvent {
        self.0.event
    }

    /// Whom it is for.
    pub fn target(&self) -> &str {
        &self.0.target
    }

    /// Which try this is, from 1.
    pub fn attempt(&self) -> u64 {
        self.0.attempts
    }
}

impl Approvals {
    /// What has happened to requests and was not told yet.
    ///
    /// # Errors
    ///
    /// [`ApprovalError`] if the store fails.
    pub async fn news(&self) -> Result<Vec<News>, ApprovalError> {
        let now = self.clock.now();
        let since = now.as_micros().saturating_sub(micros(TOLD_OF));
        let mut news = Vec::new();
        for event in NewsEvent::ALL {
            for id in self.store.news(event, (since, now.as_micros()), MOST).await? {
                news.extend(self.news_of(event, id, now).await?);
            }
        }
        Ok(news)
    }

    async fn news_of(
        &self,
        event: NewsEvent,
        id: ApprovalId,
        now: Timestamp,
    ) -> Result<Option<News>, ApprovalError> {
        let Some(row) = self.store.approval(&ApprovalKey::Id(id.clone())).await? else { return Ok(None) };
        let created = Timestamp::from_micros(row.created_us);
        let gates = gates(&row).unwrap_or_default();
        let escalation = match (event, row.escalates_us) {
            (NewsEvent::Escalated, Some(at)) => {
                let next = next_escalation(&gates, created, Some(Timestamp::from_micros(at)));
                Some((at, next.map(Timestamp::as_micros)))
            }
            // Another process was faster.
            (NewsEvent::Escalated, None) => return Ok(None),
            _ => None,
        };
        let asks = match event {
            NewsEvent::Requested => gates.iter().flat_map(|gate| gate.roles.iter().cloned()).collect(),
            NewsEvent::Escalated => escalated_to(&gates, created, escalation.map_or(0, |(at, _)| at)),
            NewsEvent::ReviewDue => reviewers(&gates, now.since(created)),
            NewsEvent::Decided | NewsEvent::Ended => BTreeSet::new(),
        };
        let request = self.readable(&row).await?.filter(|(request, happened)| {
            let is_new = now.as_micros().saturating_sub(*happened) < micros(NEWS);
            if event.is_a_question() { is_open(event, request, now) } else { is_new }
        });
        let request = request.map(|(request, _)| Box::new(request));
        Ok(Some(News { event, request, asks, id, escalation }))
    }

    /// The request that a letter is about, whoever asks, and when it last changed. None if it cannot
    /// be read any more, as where its requester's key was erased.
    async fn told_of(&self, id: &ApprovalId) -> Result<Option<(Request, u64)>, ApprovalError> {
        match self.store.approval(&ApprovalKey::Id(id.clone())).await? {
            Some(row) => self.readable(&row).await,
            None => Ok(None),
        }
    }

    async fn readable(&self, row: &ApprovalRow) -> Result<Option<(Request, u64)>, ApprovalError> {
        let happened = row.ended_us.or(row.decided_us).unwrap_or(row.created_us);
        match self.open(row, UNSEEN_CLEARANCE).await {
            Ok(request) => Ok(Some((request, happened))),
            Err(ApprovalError::Store(error)) => Err(error.into()),
            Err(error) => {
                tracing::warn!(event = "approval.letter", approval = %row.id, %error, "a request cannot be told of");
                Ok(None)
            }
        }
    }

    /// Makes a letter of `news` to each of `targets`, unless another process has done so.
    ///
    /// # Errors
    ///
    /// [`ApprovalError`] if the store fails.
    pub async fn write_letters(&self, news: &News, targets: &[String]) -> Result<(), ApprovalError> {
        let now = self.clock.now().as_micros();
        let letter = |target: &String| {
            // An id of its own kind, made as those of calls are.
            let id = CallId::new(self.clock.as_ref(), self.randomness.as_ref());
            LetterRow {
                id: id.as_str().replacen("call_", "msg_", 1),
                approval: news.id.clone(),
                event: news.event,
                target: target.clone(),
                created_us: now,
                next_us: now,
                attempts: 0,
            }
        };
        let letters: Vec<LetterRow> = targets.iter().map(letter).collect();
        match news.escalation {
            Some(times) => self.store.escalation_letters_insert(&news.id, times, &letters).await?,
            None => self.store.letters_insert((&news.id, news.event), &letters, now).await?,
        };
        Ok(())
    }

    /// Takes the letters that are due. Another process takes them up if this one is lost.
    ///
    /// # Errors
    ///
    /// [`ApprovalError`] if the store fails.
    pub async fn take_letters(&self) -> Result<Vec<Letter>, ApprovalError> {
        let now = self.clock.now();
        let mut taken = Vec::new();
        for row in self.store.letters_due(now.as_micros(), MOST).await? {
            let (next_us, attempts) = (now.after(TRY).as_micros(), row.attempts.saturating_add(1));
            if self.store.letter_move(&row, next_us, attempts).await? {
                taken.push(Letter(LetterRow { next_us, attempts, ..row }));
            }
        }
        Ok(taken)
    }

    /// The request that a letter is about, as it is now. None if there is nothing to tell any more:
    /// nobody is asked to decide on what was decided.
    ///
    /// # Errors
    ///
    /// [`ApprovalError`] if the store fails.
    pub async fn request_of(&self, letter: &Letter) -> Result<Option<Request>, ApprovalError> {
        let request = self.told_of(letter.approval()).await?.map(|(request, _)| request);
        let (event, now) = (letter.event(), self.clock.now());
        Ok(request.filter(|request| !event.is_a_question() || is_open(event, request, now)))
    }

    /// Forgets a letter that was delivered, or that nobody needs any more.
    ///
    /// # Errors
    ///
    /// [`ApprovalError`] if the store fails.
    pub async fn letter_is_done(&self, letter: Letter) -> Result<(), ApprovalError> {
        Ok(self.store.letter_remove(&letter.0.id).await?)
    }

    /// Has a letter tried again that could not be delivered, and says after what time; none if it is
    /// given up.
    ///
    /// # Errors
    ///
    /// [`ApprovalError`] if the store fails.
    pub async fn letter_failed(&self, letter: Letter) -> Result<Option<Duration>, ApprovalError> {
        let row = letter.0;
        let now = self.clock.now();
        let pause = pause(row.attempts);
        let age = now.as_micros().saturating_sub(row.created_us);
        if row.attempts >= MAX_ATTEMPTS || age.saturating_add(micros(pause)) > micros(GIVEN_UP) {
            self.store.letter_remove(&row.id).await?;
            return Ok(None);
        }
        self.store.letter_move(&row, now.after(pause).as_micros(), row.attempts).await?;
        Ok(Some(pause))
    }
}

/// Whether what `event` asks for is still to be done.
fn is_open(event: NewsEvent, request: &Request, now: Timestamp) -> bool {
    match event {
        NewsEvent::ReviewDue => request.review_due,
        _ => request.state == State::Pending && now < request.expires,
    }
}

/// When a request that was made at `created` escalates next, after `last` if it has.
pub(super) fn next_escalation(
    gates: &[Gate],
    created: Timestamp,
    last: Option<Timestamp>,
) -> Option<Timestamp> {
    let times = gates.iter().filter_map(|gate| Some(created.after(gate.escalation.as_ref()?.after)));
    times.filter(|time| last.is_none_or(|last| *time > last)).min()
}

/// To whom a request escalates at `at_us`.
fn escalated_to(gates: &[Gate], created: Timestamp, at_us: u64) -> BTreeSet<Role> {
    let escalations = gates.iter().filter_map(|gate| gate.escalation.as_ref());
    let now = escalations.filter(|escalation| created.after(escalation.after).as_micros() == at_us);
    now.flat_map(|escalation| escalation.to.iter().cloned()).collect()
}

/// Who reviews a call that was let through in an emergency: whoever could have decided on it.
fn reviewers(gates: &[Gate], waited: Duration) -> BTreeSet<Role> {
    let own = gates.iter().flat_map(|gate| &gate.roles);
    let escalations = gates.iter().filter_map(|gate| gate.escalation.as_ref());
    let later = escalations.filter(|escalation| waited >= escalation.after);
    own.chain(later.flat_map(|escalation| &escalation.to)).cloned().collect()
}

/// How long to wait after that many failures.
fn pause(failures: u64) -> Duration {
    let doublings = u32::try_from(failures.saturating_sub(1)).unwrap_or(u32::MAX).min(16);
    FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(doublings)).min(LONGEST_PAUSE)
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_an_hour_and_reach_a_day_before_the_last_try() {
        assert_eq!([1, 2, 3, 12].map(pause).map(|pause| pause.as_secs()), [1, 2, 4, 2_048]);
        assert_eq!([13, 1_000].map(pause), [LONGEST_PAUSE; 2]);
        let all: Duration = (1..MAX_ATTEMPTS).map(pause).sum();
        assert!(all > GIVEN_UP);
    }
}
