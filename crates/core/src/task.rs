//! Calls that a client does not wait for.
//!
//! A system that takes long makes a task of a call: it answers with a handle, and
//! the result is fetched later (MCP 2025-11-25, basic/utilities/tasks; extension
//! `io.modelcontextprotocol/tasks` of 2026-07-28). Whoever runs the call follows
//! the system's task to its end; whether the client is handed one too is up to it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// What a system says of a task that it has begun.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TaskTerms {
    /// How long it keeps the task from its beginning; none is without a limit.
    pub ttl: Option<Duration>,
    /// How often it wants to be asked how far it is.
    pub poll: Option<Duration>,
}

/// The client of one call, which can be handed a task instead of an answer.
pub trait TaskPort: Send + Sync + fmt::Debug {
    /// The system has made a task of the call. Says whether the client holds one now; else it
    /// waits for the answer.
    fn begin(&self, terms: TaskTerms) -> bool;

    /// What the system says of how far it is, in words.
    fn say(&self, message: &str);

    /// Whether the client has taken the task back, rather than let it run out of time.
    fn is_taken_back(&self) -> bool;
}

/// What becomes of a call for which its system makes a task.
#[derive(Clone, Debug, Default)]
pub enum Tasks {
    /// The client has no word for tasks: the call is followed to its end while it waits.
    #[default]
    Followed,
    /// The client could have said that it takes tasks, and has not: the system is told so.
    Declined,
    /// The client takes a task.
    Taken(Arc<dyn TaskPort>),
}
