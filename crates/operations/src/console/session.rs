//! Who is logged in. Held in memory: a restart logs everybody out.
//!
//! Invariants:
//! - The id of a session is made here at log-in and never taken from a browser. Held is its hash.
//! - A session ends after its time ([`LONGEST`] at most), after [`IDLE`] without a request, and at log-out.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use quaymaster_core::{Randomness, Timestamp};
use sha2::{Digest, Sha256};

use super::Guest;

/// How long a session lasts.
pub(super) const LONGEST: Duration = Duration::from_hours(8);
/// How long it lasts by a code that was made with an access token: what the token says ends as well.
pub(super) const BY_ACCESS_TOKEN: Duration = Duration::from_hours(1);
/// How long it lasts without a request.
const IDLE: Duration = Duration::from_hours(1);
/// Most sessions; then the one that was used least recently goes.
const MAX_SESSIONS: usize = 256;

#[derive(Debug)]
struct Held {
    who: Guest,
    word: String,
    lasts: Duration,
    opened: Timestamp,
    used: Timestamp,
}

/// The sessions of a console.
#[derive(Debug, Default)]
pub(super) struct Sessions(Mutex<HashMap<[u8; 32], Held>>);

/// A session that counts.
#[derive(Debug)]
pub(super) struct SignedIn {
    id: String,
    who: Guest,
    word: String,
}

impl SignedIn {
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    pub(super) fn who(&self) -> &Guest {
        &self.who
    }

    /// What every form of this session says, and no page of another knows.
    pub(super) fn word(&self) -> &str {
        &self.word
    }

    pub(super) fn is_its_word(&self, word: &str) -> bool {
        verify_slices_are_equal(self.word.as_bytes(), word.as_bytes()).is_ok()
    }
}

impl Sessions {
    /// Opens a session for `who`, which `lasts` so long, and gives its id, for the cookie.
    pub(super) fn open(
        &self,
        (who, lasts): (Guest, Duration),
        now: Timestamp,
        randomness: &dyn Randomness,
    ) -> String {
        let (id, word) = (random(randomness), random(randomness));
        let mut held = self.held(now);
        if held.len() >= MAX_SESSIONS {
            let oldest = held.iter().min_by_key(|(_, held)| held.used).map(|(hash, _)| *hash);
            oldest.and_then(|hash| held.remove(&hash));
        }
        held.insert(hash(&id), Held { who, word, lasts: lasts.min(LONGEST), opened: now, used: now });
        id
    }

    /// The session with this id, if it counts; it was used now.
    pub(super) fn find(&self, id: &str, now: Timestamp) -> Option<SignedIn> {
        let mut held = self.held(now);
        let session = held.get_mut(&hash(id))?;
        session.used = session.used.max(now);
        Some(SignedIn { id: id.to_owned(), who: session.who.clone(), word: session.word.clone() })
    }

    /// Ends a session, if there is one.
    pub(super) fn close(&self, id: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&hash(id));
    }

    /// The sessions that count now.
    fn held(&self, now: Timestamp) -> MutexGuard<'_, HashMap<[u8; 32], Held>> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.retain(|_, session| now.since(session.opened) < session.lasts && now.since(session.used) < IDLE);
        held
    }
}

fn random(randomness: &dyn Randomness) -> String {
    let mut bytes = [0_u8; 32];
    randomness.fill(&mut bytes);
    URL_SAFE_NO_PAD.encode(bytes)
}

fn hash(id: &str) -> [u8; 32] {
    Sha256::digest(id.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use quaymaster_control::approval::Asker;
    use quaymaster_core::random::CountingRandomness;

    use super::*;

    const START: Timestamp = Timestamp::from_micros(1_000_000_000);

    fn ada() -> (Guest, Duration) {
        let asker = Asker {
            id: "ada".into(),
            person: None,
            roles: vec![],
            groups: vec![],
            workspace: quaymaster_core::Workspace::parse("sales").expect("a name"),
            authentication: "local_user".into(),
            token: None,
            issuer: None,
            issuer_url: None,
        };
        (Guest::Code(Box::new(asker)), LONGEST)
    }

    #[test]
    fn a_session_ends_by_itself_and_at_log_out() {
        let (sessions, chance) = (Sessions::default(), CountingRandomness::default());
        let id = sessions.open(ada(), START, &chance);
        let at = |time| sessions.find(&id, START.after(time)).is_some();
        assert!(at(Duration::from_mins(59)) && at(Duration::from_mins(110)));
        assert!(!at(Duration::from_mins(171)), "nobody used it for an hour");
        assert!(!at(Duration::ZERO), "it does not come back");
        let id = sessions.open(ada(), START, &chance);
        for minutes in (0..480).step_by(30) {
            assert!(sessions.find(&id, START.after(Duration::from_mins(minutes))).is_some());
        }
        assert!(sessions.find(&id, START.after(LONGEST)).is_none());
        let id = sessions.open((ada().0, Duration::from_mins(5)), START, &chance);
        assert!(sessions.find(&id, START.after(Duration::from_secs(299))).is_some());
        assert!(sessions.find(&id, START.after(Duration::from_mins(5))).is_none(), "its own time is over");
        let id = sessions.open(ada(), START, &chance);
        sessions.close(&id);
        assert!(sessions.find(&id, START).is_none());
        assert!(sessions.find("", START).is_none());
    }

    #[test]
    fn there_are_so_many_sessions_and_the_one_that_rested_longest_makes_room() {
        let (sessions, chance) = (Sessions::default(), CountingRandomness::default());
        let at = |n: u64| START.after(Duration::from_secs(n));
        let first = sessions.open(ada(), START, &chance);
        let second = sessions.open(ada(), at(1), &chance);
        for n in 2..256 {
            sessions.open(ada(), at(n), &chance);
        }
        assert!(sessions.find(&first, at(300)).is_some());
        sessions.open(ada(), at(301), &chance);
        assert!(sessions.find(&first, at(302)).is_some() && sessions.find(&second, at(302)).is_none());
    }

    #[test]
    fn every_session_has_a_word_of_its_own() {
        let (sessions, chance) = (Sessions::default(), CountingRandomness::default());
        let session = |id: String| sessions.find(&id, START).expect("a session");
        let (one, other) =
            (session(sessions.open(ada(), START, &chance)), session(sessions.open(ada(), START, &chance)));
        assert!(one.is_its_word(one.word()) && !one.is_its_word(other.word()) && !one.is_its_word(""));
    }
}
