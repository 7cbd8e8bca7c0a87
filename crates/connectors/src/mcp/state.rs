//! How an upstream is, for health, readiness and the people who run the gateway.

use std::sync::Arc;
use std::time::Duration;

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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Health {
    /// It was not reached yet, and no attempt has failed.
    Starting,
    /// It offers everything that is configured.
    Ready,
    /// It works, but not all is as configured.
    Degraded,
    /// It is there, and offers none of the configured tools.
    NoTools,
    /// It cannot be reached, or does not answer. It is tried again.
    Unreachable,
    /// It refuses the gateway's credentials.
    AuthRequired,
    /// It speaks no revision of the protocol that we speak.
    Incompatible,
    /// The connector was shut down.
    Stopped,
}

impl Health {
    /// The word for reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Degraded => "degraded",
            Self::NoTools => "no_tools",
            Self::Unreachable => "unreachable",
            Self::AuthRequired => "auth_required",
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
    /// How long the server wants to be left alone.
    pub(super) retry_after: Option<Duration>,
}

impl Trouble {
    pub(super) fn new(health: Health, reason: impl Into<String>) -> Self {
        Self { health, reason: reason.into(), retry_after: None }
    }

    /// What `failure` of a request of our own says of the server.
    pub(super) fn of(failure: &Failure) -> Self {
        let (health, retry_after) = match failure {
            Failure::Status { status, .. } if matches!(status.as_u16(), 401 | 403) => {
                (Health::AuthRequired, None)
            }
            Failure::Status { retry_after, .. } => (Health::Unreachable, *retry_after),
            _ => (Health::Unreachable, None),
        };
        Self { health, reason: failure.reason(), retry_after }
    }
}
