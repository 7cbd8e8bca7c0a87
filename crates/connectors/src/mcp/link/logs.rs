//! From which level on a session's server logs (MCP 2025-11-25, server/utilities/logging).
//!
//! A modern server is told with each request (`wire`).
//!
//! Invariant: a session is shared, so it is told the lowest level that anybody wanted, and
//! never a higher one after that; who wants less is given less (`wire::log`).

use std::time::Duration;

use quaymaster_core::LogLevel;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::super::failure::Failure;
use super::{Link, Query, Until};

/// How long a call waits until a server knows from which level on it should log.
const LEVEL_LIMIT: Duration = Duration::from_secs(1);

/// What the server was told, if it was. Locked while it is told.
pub(super) type LogLevelTold = Mutex<Option<LogLevel>>;

impl Link {
    /// Whether the server would not log at `level`, as far as it was told.
    pub(super) fn has_to_be_told(&self, level: LogLevel) -> bool {
        let is_told = || self.log_level.try_lock().is_ok_and(|told| told.is_some_and(|told| told <= level));
        !self.is_modern() && self.serves("logging") && !is_told()
    }

    /// Has the server log from `level` on, if it was not told so meanwhile.
    pub(super) async fn want_logs(&self, level: LogLevel, until: Until<'_>) {
        let deadline = until.deadline.min(Instant::now() + LEVEL_LIMIT);
        let telling = tokio::time::timeout_at(deadline, async {
            let mut told = self.log_level.lock().await;
            if told.is_none_or(|told| level < told) {
                let member = format!(r#""level":"{}""#, level.as_str());
                let until = Until { deadline, ..until };
                match self.request(&Query::plain("logging/setLevel", &[&member], until)).await {
                    // It is told again, with the next call.
                    Err(Failure::Cancelled { .. } | Failure::NotDelivered(_) | Failure::Overloaded) => {}
                    // A server that refuses or does not answer would do so again.
                    _ => *told = Some(level),
                }
            }
        });
        let _ = until.cancel.run_until_cancelled(telling).await;
    }
}
