//! Where the values of placeholders are kept while a session may hand them back.
//!
//! In this process and sealed, so that a dump of its memory shows none. Another process, or this one after it
//! was started anew, does not know them: then a placeholder is not put back, and the caller is told so.
//!
//! Invariants:
//! - A value opens for the workspace, the session and the placeholder that it was sealed for, and for no other.
//! - Bounded in sessions, in values of each, and in time; what is oldest goes first.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use quaymaster_core::{Clock, Timestamp};
use quaymaster_redaction::{Placeholder, Vault, VaultError};
use zeroize::Zeroizing;

use crate::crypto::SealingKey;

/// Most values of one session.
const MAX_VALUES: usize = 10_000;
/// Most sessions.
const MAX_SESSIONS: usize = 1_000;
/// How long the values of a session are kept that is not used.
const KEPT: Duration = Duration::from_hours(24);

/// The values of placeholders of all sessions.
pub struct Placeholders {
    keys: Arc<SealingKey>,
    clock: Arc<dyn Clock>,
    sessions: Mutex<HashMap<String, Session>>,
}

impl fmt::Debug for Placeholders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Placeholders(..)")
    }
}

struct Session {
    values: HashMap<Placeholder, Vec<u8>>,
    /// The same in the order in which they came.
    order: VecDeque<Placeholder>,
    used: Timestamp,
}

impl Placeholders {
    /// None yet.
    pub fn new(keys: Arc<SealingKey>, clock: Arc<dyn Clock>) -> Self {
        Self { keys, clock, sessions: Mutex::default() }
    }

    /// Those of one session of one workspace.
    pub(super) fn of<'a>(&'a self, workspace: &str, session: &str) -> Kept<'a> {
        // The length tells where the one ends and the other begins.
        Kept { all: self, session: format!("{} {workspace} {session}", workspace.len()) }
    }

    /// Forgets what nobody has used for long, and, if there are too many, the session that was used least recently.
    fn make_room(sessions: &mut HashMap<String, Session>, now: Timestamp) {
        sessions.retain(|_, session| now.since(session.used) <= KEPT);
        if sessions.len() >= MAX_SESSIONS {
            let oldest = sessions.iter().min_by_key(|(_, session)| session.used);
            if let Some(name) = oldest.map(|(name, _)| name.clone()) {
                sessions.remove(&name);
            }
        }
    }
}

/// The values of placeholders of one session.
pub(super) struct Kept<'a> {
    all: &'a Placeholders,
    session: String,
}

impl Kept<'_> {
    fn purpose(&self, placeholder: &Placeholder) -> Vec<u8> {
        format!("placeholder {placeholder} of {}", self.session).into_bytes()
    }
}

impl Vault for Kept<'_> {
    fn keep(&self, placeholder: &Placeholder, value: &str) -> Result<(), VaultError> {
        let now = self.all.clock.now();
        let mut sessions = self.all.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        if !sessions.contains_key(&self.session) {
            Placeholders::make_room(&mut sessions, now);
        }
        let fresh = || Session { values: HashMap::new(), order: VecDeque::new(), used: now };
        let session = sessions.entry(self.session.clone()).or_insert_with(fresh);
        session.used = now;
        if session.values.contains_key(placeholder) {
            return Ok(());
        }
        let sealed = self.all.keys.seal(&self.purpose(placeholder), value.as_bytes());
        let sealed = sealed.map_err(|_| VaultError("a value could not be sealed".into()))?;
        if session.values.len() >= MAX_VALUES
            && let Some(oldest) = session.order.pop_front()
        {
            session.values.remove(&oldest);
        }
        session.order.push_back(placeholder.clone());
        session.values.insert(placeholder.clone(), sealed);
        Ok(())
    }

    fn value(&self, placeholder: &Placeholder) -> Option<Zeroizing<String>> {
        let now = self.all.clock.now();
        let mut sessions = self.all.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        let session = sessions.get_mut(&self.session)?;
        if now.since(session.used) > KEPT {
            sessions.remove(&self.session);
            return None;
        }
        session.used = now;
        let sealed = session.values.get(placeholder)?.clone();
        drop(sessions);
        let plain = self.all.keys.open(&self.purpose(placeholder), &sealed).ok()?;
        String::from_utf8(plain.to_vec()).ok().map(Zeroizing::new)
    }
}
