//! Ids: newtypes that say what they name.
//!
//! An id is a prefix and a UUIDv7 (RFC 9562, section 5.7) in 32 hexadecimal
//! digits, such as `call_019a2f…`: ids of one kind sort by the time they were
//! made, and a log line shows at a glance what an id belongs to.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{Clock, Randomness};

/// Why a text is not an id.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{text}` is not an id of the form {prefix}_<32 hexadecimal digits>")]
pub struct IdError {
    text: String,
    prefix: &'static str,
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// Makes a new id from the time and 74 random bits.
            pub fn new(clock: &dyn Clock, randomness: &dyn Randomness) -> Self {
                Self(uuid_v7($prefix, clock, randomness).into())
            }

            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// The id as text that is shared, not copied.
            pub fn to_shared(&self) -> Arc<str> {
                Arc::clone(&self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                match text.strip_prefix(concat!($prefix, "_")) {
                    Some(hex) if hex.len() == 32 && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) => {
                        Ok(Self(text.into()))
                    }
                    _ => Err(IdError { text: text.into(), prefix: $prefix }),
                }
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;

            fn try_from(text: String) -> Result<Self, IdError> {
                text.parse()
            }
        }
    )*};
}

ids! {
    /// One call of one tool; also the id under which its audit records are found.
    CallId = "call";
    /// A bearer token that this installation issued.
    TokenId = "tok";
    /// A session of a client that speaks a revision with sessions.
    SessionId = "ses";
    /// One run of one process that writes to the audit log.
    WriterId = "wrt";
    /// A request for approval.
    ApprovalId = "apr";
    /// An incident switch.
    IncidentId = "inc";
    /// A write in the idempotency ledger.
    EntryId = "idm";
    /// A time when somebody took labels away.
    ClearingId = "clr";
    /// One configuration that was loaded and put to work.
    ConfigVersion = "cfg";
}

fn uuid_v7(prefix: &str, clock: &dyn Clock, randomness: &dyn Randomness) -> String {
    let mut bytes = [0_u8; 16];
    randomness.fill(&mut bytes);
    let random = u128::from_be_bytes(bytes);
    let millis = u128::from(clock.now().as_millis()) & 0xffff_ffff_ffff;
    let version_and_variant = (0x7 << 76) | (0b10 << 62);
    let kept = random & ((0xfff << 64) | 0x3fff_ffff_ffff_ffff);
    format!("{prefix}_{:032x}", (millis << 80) | version_and_variant | kept)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Timestamp;
    use crate::clock::FixedClock;
    use crate::random::CountingRandomness;

    #[test]
    fn an_id_carries_its_time_version_and_variant() {
        let clock = FixedClock::new(Timestamp::from_micros(0x0123_4567_89ab * 1_000));
        let id = CallId::new(&clock, &CountingRandomness::default());
        assert_eq!(id.as_str(), "call_0123456789ab70008000000000000000");
        assert_eq!(id.as_str().parse(), Ok(id));
    }

    #[test]
    fn an_id_of_another_kind_is_refused() {
        let text = "tok_0123456789ab70008000000000000000";
        assert!(text.parse::<TokenId>().is_ok());
        assert_eq!(
            text.parse::<CallId>().map_err(|e| e.to_string()),
            Err(format!("`{text}` is not an id of the form call_<32 hexadecimal digits>"))
        );
    }
}
