//! Refusals of strangers: one record for each reason and second, however many there are.
//!
//! Whoever is known has limits of its own; strangers could fill the disk. What
//! is left out is counted in the next record for the same reason.
//!
//! Invariant: the state is bounded by the number of error codes.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use quaymaster_core::{ErrorCode, Timestamp};

/// What was recorded last, and left out since, for each reason.
#[derive(Debug, Default)]
pub(crate) struct Flood {
    reasons: Mutex<HashMap<ErrorCode, Reason>>,
}

#[derive(Debug)]
struct Reason {
    second: u64,
    left_out: u64,
}

impl Flood {
    /// Whether a refusal is to be recorded, and then how many were left out since the last that was.
    pub(crate) fn admit(&self, code: ErrorCode, now: Timestamp) -> Option<u64> {
        let second = now.as_micros() / 1_000_000;
        let mut reasons = self.reasons.lock().unwrap_or_else(PoisonError::into_inner);
        match reasons.get_mut(&code) {
            Some(reason) if reason.second == second => {
                reason.left_out += 1;
                None
            }
            before => {
                let left_out = before.map_or(0, |reason| reason.left_out);
                reasons.insert(code, Reason { second, left_out: 0 });
                Some(left_out)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_a_second_is_recorded_for_each_reason_and_the_rest_counted() {
        let flood = Flood::default();
        let at = |ms: u64, code| flood.admit(code, Timestamp::from_micros(ms * 1_000));
        assert_eq!(at(1_000, ErrorCode::AuthInvalid), Some(0));
        assert_eq!(at(1_001, ErrorCode::AuthInvalid), None);
        assert_eq!(at(1_002, ErrorCode::AuthMissing), Some(0));
        assert_eq!(at(1_999, ErrorCode::AuthInvalid), None);
        assert_eq!(at(2_000, ErrorCode::AuthInvalid), Some(2));
        assert_eq!(at(9_000, ErrorCode::AuthInvalid), Some(0));
        assert_eq!(at(9_000, ErrorCode::AuthMissing), Some(0));
    }
}
