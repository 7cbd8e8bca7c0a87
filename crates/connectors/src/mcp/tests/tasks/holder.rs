//! A client that holds a task.

use std::sync::{Arc, Mutex};

use quaymaster_core::{TaskPort, TaskTerms};

/// A client that takes a task where there is `room` for one.
#[derive(Debug)]
pub(super) struct Holder {
    room: bool,
    pub(super) terms: Mutex<Vec<TaskTerms>>,
    pub(super) said: Mutex<Vec<String>>,
}

impl Holder {
    pub(super) fn with(room: bool) -> Arc<Self> {
        Arc::new(Self { room, terms: Mutex::default(), said: Mutex::default() })
    }
}

impl TaskPort for Holder {
    fn begin(&self, terms: TaskTerms) -> bool {
        self.terms.lock().expect("no panic").push(terms);
        self.room
    }

    fn say(&self, message: &str) {
        self.said.lock().expect("no panic").push(message.to_owned());
    }

    fn is_taken_back(&self) -> bool {
        false
    }
}
