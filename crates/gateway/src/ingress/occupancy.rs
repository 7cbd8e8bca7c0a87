//! How many connections and sessions a listener holds, for whoever watches it.

use std::sync::atomic::{AtomicUsize, Ordering};

/// Kept by the tables themselves whenever they change; shared by all listeners of a process.
#[derive(Debug, Default)]
pub struct Occupancy {
    connections: AtomicUsize,
    sessions: AtomicUsize,
}

impl Occupancy {
    /// How many connections of clients are open.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    /// How many sessions of clients are in memory.
    pub fn sessions(&self) -> usize {
        self.sessions.load(Ordering::Relaxed)
    }

    pub(super) fn set_connections(&self, count: usize) {
        self.connections.store(count, Ordering::Relaxed);
    }

    pub(super) fn set_sessions(&self, count: usize) {
        self.sessions.store(count, Ordering::Relaxed);
    }
}
