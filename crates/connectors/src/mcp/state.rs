//! How an upstream is, for health, readiness and the people who run the gateway.
//!
//! One enumeration, [`Health`], for the command line, readiness, lists, metrics and, later,
//! the console. What enters and leaves each state is written in
//! `docs/guides/upstreams.md`.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::failure::Failure;

/// How an upstream is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamState {
    /// The state in one word.
    pub health: Health,
    /// Why, in one sentence; empty where there is nothing to say. Holds no secrets.
    pub reason: String,
    /// The protocol revision that is spoken, while there is a connection.
    pub revision: Option<&'static str>,
    /// All configured tools that a server that is up does not have; `reason` names the first of them.
    pub left_out: Arc<[LeftOut]>,
}

impl UpstreamState {
    pub(super) fn without_connection(health: Health, reason: &str) -> Self {
        Self { health, reason: reason.to_owned(), revision: None, left_out: Arc::from([]) }
    }
}

/// A configured tool that is not declared to agents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// The name under which the server should have it.
    pub tool: String,
    /// What is wrong with it, in one sentence. Holds no secrets.
    pub why: String,
}

/// The state of an upstream in one word.
///
/// Eight are what an upstream can be for long; `Starting`, `Incompatible` and
/// `Stopped` say of one that is not up what none of these would.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Health {
    /// It was not reached yet, and no attempt has failed.
    Starting,
    /// It offers everything that is configured.
    Ready,
    /// It works, but not all is as configured, or calls failed and the next one is a trial.
    Degraded,
    /// It is there, and offers none of the configured tools.
    NoTools,
    /// The program that should be started is not there.
    Missing,
    /// The configuration says that it is not to be used.
    Disabled,
    /// It cannot be reached, or does not answer. It is tried again.
    Unreachable,
    /// It refuses the gateway's credentials.
    AuthRequired,
    /// It was shut out for what it did, for a time or until a person has looked at it.
    Quarantined,
    /// It speaks no revision of the protocol that we speak.
    Incompatible,
    /// The connector was shut down.
    Stopped,
}

impl Health {
    /// Every state.
    pub const ALL: [Self; 11] = [
        Self::Starting,
        Self::Ready,
        Self::Degraded,
        Self::NoTools,
        Self::Missing,
        Self::Disabled,
        Self::Unreachable,
        Self::AuthRequired,
        Self::Quarantined,
        Self::Incompatible,
        Self::Stopped,
    ];

    /// The word for reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Degraded => "degraded",
            Self::NoTools => "no_tools",
            Self::Missing => "missing",
            Self::Disabled => "disabled",
            Self::Unreachable => "unreachable",
            Self::AuthRequired => "auth_required",
            Self::Quarantined => "quarantined",
            Self::Incompatible => "incompatible",
            Self::Stopped => "stopped",
        }
    }

    /// Whether calls can succeed.
    pub fn is_up(self) -> bool {
        matches!(self, Self::Ready | Self::Degraded)
    }
}

/// Why there is no connection, or none any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Trouble {
    pub(super) health: Health,
    pub(super) reason: String,
    /// How long the server wants to be left alone; for one that is shut out, how
    /// long it is, or until a person acts.
    pub(super) retry_after: Option<Duration>,
    /// Whether the server broke the protocol.
    pub(super) is_offence: bool,
}

impl Trouble {
    pub(super) fn new(health: Health, reason: impl Into<String>) -> Self {
        Self { health, reason: reason.into(), retry_after: None, is_offence: false }
    }

    /// What `failure` of a request of our own says of the server.
    pub(super) fn of(failure: &Failure) -> Self {
        let (health, retry_after) = match failure {
            Failure::Status { status, .. } if matches!(status.as_u16(), 401 | 403) => {
                (Health::AuthRequired, None)
            }
            Failure::Renewed => (Health::AuthRequired, None),
            Failure::Status { retry_after, .. } => (Health::Unreachable, *retry_after),
            Failure::Missing(_) => (Health::Missing, None),
            _ => (Health::Unreachable, None),
        };
        let is_offence = failure.is_offence() || matches!(failure, Failure::TooLarge { .. });
        Self { health, reason: failure.reason(), retry_after, is_offence }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_one_word_wherever_it_is_written() {
        for health in Health::ALL {
            assert_eq!(serde_json::to_value(health).ok(), Some(health.as_str().into()));
        }
        let words: std::collections::BTreeSet<&str> =
            Health::ALL.iter().map(|health| health.as_str()).collect();
        assert_eq!(words.len(), Health::ALL.len());
    }

    #[test]
    fn calls_can_succeed_in_two_states_alone() {
        let up: Vec<&str> =
            Health::ALL.into_iter().filter(|health| health.is_up()).map(Health::as_str).collect();
        assert_eq!(up, ["ready", "degraded"]);
    }
}
