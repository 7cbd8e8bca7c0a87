//! Logging in to the console: one-time codes, and what the audit says of logging in.
//!
//! A code is 20 random bytes as eight groups of four letters and digits; the store keeps its
//! SHA-256, so looking one up tells nothing of another by its time. Whoever can open the data
//! folder makes one for themselves, as the user of this machine or with a token. Sessions are the
//! console's own, in `quaymaster-operations`.
//!
//! Invariants:
//! - A code counts once, within [`LIFETIME`].
//! - A process looks at [`TRIES`] codes a minute at most, right or wrong.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use quaymaster_core::{Actor, CallError, Clock, ErrorCode, Randomness, Timestamp};
use quaymaster_store::{CodeRow, Store};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::approval::Asker;
use crate::audit::record::{Event, Record};
use crate::audit::{AuditError, Durability, Subjects};
use crate::stages::{Evidence, actor_part};

/// How long a code counts.
pub const LIFETIME: Duration = Duration::from_mins(10);
/// How many codes a process looks at within [`A_MINUTE`].
const TRIES: usize = 5;
const A_MINUTE: Duration = Duration::from_mins(1);

/// Digits and letters without those that are taken for each other: 32 of them.
const ALPHABET: &[u8; 32] = b"23456789ABCDEFGHJKLMNPQRSTUVWXYZ";
const GROUPS: usize = 8;
const GROUP: usize = 4;

/// For what the holder of a code is sealed.
const HOLDER: &str = "whom a code for the console logs in";

/// Makes a code that logs `actor` in, and gives its text. It is shown once and kept nowhere.
///
/// # Errors
///
/// [`AuditError`] if the store does not take it or a key fails.
pub async fn make_code(
    store: &Store,
    subjects: &Subjects,
    actor: &Actor,
    (clock, randomness): (&dyn Clock, &dyn Randomness),
) -> Result<Zeroizing<String>, AuditError> {
    let mut bytes = Zeroizing::new([0_u8; GROUPS * GROUP]);
    randomness.fill(bytes.as_mut());
    let mut text = Zeroizing::new(String::with_capacity(GROUPS * (GROUP + 1)));
    for (at, byte) in bytes.iter().enumerate() {
        if at > 0 && at % GROUP == 0 {
            text.push('-');
        }
        // 32 letters divide 256 evenly: each is as likely.
        let letter = ALPHABET.get(usize::from(byte % 32)).copied().unwrap_or(b'2');
        text.push(char::from(letter));
    }
    let now = clock.now();
    let holder = serde_json::to_string(&Asker::of(actor)).unwrap_or_default();
    let row = CodeRow {
        hash: hash(&text),
        holder: subjects.seal_name(HOLDER, &holder)?,
        created_us: now.as_micros(),
        expires_us: now.after(LIFETIME).as_micros(),
    };
    store.code_insert(&row).await?;
    Ok(text)
}

/// However it is written: in lower case, with spaces, without hyphens.
fn hash(code: &str) -> [u8; 32] {
    let letters = code.bytes().filter(u8::is_ascii_alphanumeric).map(|b| b.to_ascii_uppercase());
    let written = Zeroizing::new(letters.collect::<Vec<u8>>());
    Sha256::new().chain_update(b"console code\0").chain_update(&*written).finalize().into()
}

/// The codes that a process which serves looks at.
#[derive(Debug)]
pub struct Codes {
    store: Store,
    subjects: Arc<Subjects>,
    clock: Arc<dyn Clock>,
    tries: Mutex<VecDeque<Timestamp>>,
}

impl Codes {
    /// The codes in `store`.
    pub fn new(store: Store, subjects: Arc<Subjects>, clock: Arc<dyn Clock>) -> Self {
        Self { store, subjects, clock, tries: Mutex::default() }
    }

    /// Whom `code` logs in. It counts no more then.
    ///
    /// # Errors
    ///
    /// `limit.rate` if too many were tried; `auth.invalid` if it does not count, whatever the reason;
    /// `gateway.internal` if the store fails.
    pub async fn redeem(&self, code: &str) -> Result<Asker, CallError> {
        let now = self.clock.now();
        if !self.may_try(now) {
            let message = "too many codes were tried; wait a minute";
            return Err(CallError::new(ErrorCode::LimitRate, message).retry_after(A_MINUTE));
        }
        let holder = self.store.code_use(&hash(code), now.as_micros()).await.map_err(unchecked)?;
        let holder = holder.ok_or_else(|| {
            CallError::new(ErrorCode::AuthInvalid, "this code is unknown, was used or is over")
        })?;
        let text = self.subjects.open_name(HOLDER, &holder).map_err(unchecked)?;
        serde_json::from_str(&text).map_err(unchecked)
    }

    fn may_try(&self, now: Timestamp) -> bool {
        let mut tries = self.tries.lock().unwrap_or_else(PoisonError::into_inner);
        // A clock that was set back lets nobody try more.
        while tries.front().is_some_and(|first| now.since(*first) >= A_MINUTE) {
            tries.pop_front();
        }
        if tries.len() >= TRIES {
            return false;
        }
        tries.push_back(now);
        true
    }
}

fn unchecked(error: impl std::error::Error + Send + Sync + 'static) -> CallError {
    CallError::new(ErrorCode::GatewayInternal, "the code cannot be checked at the moment").because(error)
}

/// Records that somebody logged in or out, to the console or on the command line, or that a code was made.
///
/// # Errors
///
/// [`AuditError`] if the log or a key fails.
pub async fn note(event: Event, actor: &Actor, evidence: &Evidence) -> Result<(), AuditError> {
    let subject = evidence.subjects.of(&actor.id).await?;
    let draft = {
        let mut record = Record::new(event, evidence.clock.now());
        record.actor = Some(actor_part(actor, &subject));
        record.config = Some(evidence.config.as_str());
        record.workspace = Some(actor.workspace.to_shared());
        crate::audit::Draft::from(record)
    };
    evidence.audit.append(draft, None, Durability::Durable).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_the_same_however_it_is_written() {
        assert_eq!(hash("ABCD-2345"), hash(" abcd2345 "));
        assert_ne!(hash("ABCD-2345"), hash("ABCD-2346"));
    }
}
