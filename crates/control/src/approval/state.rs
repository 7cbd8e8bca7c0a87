//! Where a request for approval stands.
//!
//! ```text
//! pending → approved ⇄ running ⇄ begun → done
//!    │          │                   └──→ unknown     it may have taken effect; nobody saw the end
//!    │          ├──→ void                   what was agreed to has changed
//!    │          └──→ lapsed                 it was agreed to and could not begin in time
//!    └──→ rejected | expired | withdrawn
//! ```

use quaymaster_core::ErrorCode;

/// Where a request stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Nobody, or not everybody needed, has agreed.
    Pending,
    /// It was agreed to and is about to run.
    Approved,
    /// A process has taken it and is about to begin.
    Running,
    /// Its call has begun.
    Begun,
    /// It ran, and its result waits or was handed out.
    Done,
    /// It began to run, and it is not known how it ended.
    Unknown,
    /// Somebody said no.
    Rejected,
    /// Nobody decided in time.
    Expired,
    /// Whoever asked took it back.
    Withdrawn,
    /// It was agreed to, but what it was bound to has changed since.
    Void,
    /// It was agreed to, but could not begin in time.
    Lapsed,
}

impl State {
    const ALL: [Self; 11] = [
        Self::Pending,
        Self::Approved,
        Self::Running,
        Self::Begun,
        Self::Done,
        Self::Unknown,
        Self::Rejected,
        Self::Expired,
        Self::Withdrawn,
        Self::Void,
        Self::Lapsed,
    ];

    /// The word for the store, the audit and people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Approved => "approved",
            Self::Running => "running",
            Self::Begun => "begun",
            Self::Done => "done",
            Self::Unknown => "unknown",
            Self::Rejected => "rejected",
            Self::Expired => "expired",
            Self::Withdrawn => "withdrawn",
            Self::Void => "void",
            Self::Lapsed => "lapsed",
        }
    }

    /// The state of this word.
    pub fn named(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }

    /// Whether the same call again waits for this request.
    pub fn is_open(self) -> bool {
        matches!(self, Self::Pending | Self::Approved | Self::Running | Self::Begun)
    }

    /// How a call is refused that will not run because of this.
    pub fn refusal(self) -> Option<(ErrorCode, &'static str)> {
        match self {
            Self::Rejected => Some((ErrorCode::ApprovalRejected, "somebody said no to this call")),
            Self::Expired => Some((ErrorCode::ApprovalExpired, "nobody decided on this call in time")),
            Self::Withdrawn => {
                Some((ErrorCode::ApprovalWithdrawn, "the request for this call was taken back"))
            }
            Self::Void => Some((
                ErrorCode::ApprovalExpired,
                "what was agreed to has changed since, so the agreement does not count any more",
            )),
            Self::Lapsed => Some((
                ErrorCode::ApprovalExpired,
                "this call was agreed to, but it could not begin within a day, so it will not run",
            )),
            Self::Pending | Self::Approved | Self::Running | Self::Begun | Self::Done | Self::Unknown => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_found_by_its_word() {
        for state in State::ALL {
            assert_eq!(State::named(state.as_str()), Some(state));
        }
        assert_eq!(State::named("agreed"), None);
    }
}
