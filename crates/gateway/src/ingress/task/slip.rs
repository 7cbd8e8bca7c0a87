//! How a call becomes a task.
//!
//! The system behind the tool says that it has made one; whether the client is handed
//! one too depends on whether there is room. A client that asked for a task holds it
//! from the beginning.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use quaymaster_core::{TaskPort, TaskTerms, Tasks};
use tokio::sync::Notify;

use super::{Owner, Place, TaskTable};
use crate::ingress::refusal::bounded;

/// How long the words of a system on how far it is may be, in bytes.
const MAX_MESSAGE_BYTES: usize = 1_000;

/// What becomes of a call where its system makes a task of it.
#[derive(Clone, Debug, Default)]
pub(in crate::ingress) struct Offer {
    pub(in crate::ingress) tasks: Tasks,
    /// By which the client comes to hold one.
    pub(in crate::ingress) slip: Option<Arc<Slip>>,
}

impl Offer {
    /// That the client takes a task by `slip`.
    pub(super) fn by(slip: Arc<Slip>) -> Self {
        Self { tasks: Tasks::Taken(Arc::clone(&slip) as Arc<dyn TaskPort>), slip: Some(slip) }
    }
}

/// What stands between a call and the client that may come to hold it as a task.
#[derive(Debug)]
pub(in crate::ingress) struct Slip {
    table: Arc<TaskTable>,
    owner: Owner,
    written: Mutex<Written>,
    arrived: Notify,
}

#[derive(Debug, Default)]
struct Written {
    /// Whether the client holds a task.
    held: bool,
    /// Whether it takes none.
    withdrawn: bool,
    /// Whether it has taken the task back.
    taken_back: bool,
    /// What is to be told to whoever waits.
    terms: Option<TaskTerms>,
    place: Option<Place>,
    message: Option<String>,
}

impl Slip {
    /// The slip of a call that becomes a task when its system makes one.
    pub(in crate::ingress) fn new(table: &Arc<TaskTable>, owner: Owner) -> Arc<Self> {
        let (table, written) = (Arc::clone(table), Mutex::default());
        Arc::new(Self { table, owner, written, arrived: Notify::new() })
    }

    /// The slip of a call that is a task from the beginning.
    pub(in crate::ingress) fn held(table: &Arc<TaskTable>, owner: Owner) -> Arc<Self> {
        let slip = Self::new(table, owner);
        slip.lock().held = true;
        slip
    }

    /// From now on the client takes no task, and waits for the answer.
    pub(in crate::ingress) fn withdraw(&self) {
        self.lock().withdrawn = true;
    }

    /// The client has taken the task back.
    pub(super) fn take_back(&self) {
        self.lock().taken_back = true;
    }

    /// What the system said when it made a task, once.
    pub(in crate::ingress) fn begun(&self) -> Option<TaskTerms> {
        self.lock().terms.take()
    }

    /// The place that was found for the task.
    pub(in crate::ingress) fn place(&self) -> Option<Place> {
        self.lock().place.take()
    }

    /// What the system has said since it was last looked.
    pub(super) fn message(&self) -> Option<String> {
        self.lock().message.take()
    }

    /// Waits until something was written. May come back without.
    pub(in crate::ingress) async fn arrived(&self) {
        self.arrived.notified().await;
    }

    fn lock(&self) -> MutexGuard<'_, Written> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TaskPort for Slip {
    fn begin(&self, terms: TaskTerms) -> bool {
        if self.lock().held {
            return true;
        }
        if self.lock().withdrawn {
            return false;
        }
        let Some(place) = self.table.reserve(&self.owner) else { return false };
        let (terms, place) = (Some(terms), Some(place));
        *self.lock() = Written { held: true, terms, place, ..Written::default() };
        self.arrived.notify_one();
        true
    }

    fn say(&self, message: &str) {
        let mut written = self.lock();
        if written.held {
            written.message = Some(bounded(message, MAX_MESSAGE_BYTES).to_owned());
            drop(written);
            self.arrived.notify_one();
        }
    }

    fn is_taken_back(&self) -> bool {
        self.lock().taken_back
    }
}
