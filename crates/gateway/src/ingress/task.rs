//! Tasks: calls whose clients hold a handle instead of waiting.
//!
//! Sessions ask for one with the call (MCP 2025-11-25, basic/utilities/tasks); modern
//! clients say that they take them and get one where the system behind the tool makes
//! one (extension `io.modelcontextprotocol/tasks`). Either way it is the call itself
//! that goes on, in the same path and with the same record, and each client reads it
//! in its own words.
//!
//! Code map: here is the table; `desk` answers requests, which `wish` reads; `state` is
//! one task, `slip` how a call becomes one, `view` how it is told of.
//!
//! Invariants:
//! - A handle is sealed and bound to the principal and the workspace; to anyone else
//!   there is no such task.
//! - A task is there until its time is up, and then it is taken back.
//! - Their number is bounded, in all and for each principal.

mod desk;
mod slip;
mod state;
mod view;
mod watch;
mod wish;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use quaymaster_control::keyring::{Binding, KeyRing};
use quaymaster_core::{Actor, ActorId, CallId, TaskTerms, Timestamp, Workspace};
use tokio::sync::watch as channel;
use tokio_util::sync::CancellationToken;

pub(super) use self::slip::Slip;
pub(super) use self::state::{Now, Task};
pub(super) use self::view::{created, listed, notified, shown};
pub(super) use self::watch::TaskWatch;
pub(super) use self::wish::{TaskMethod, TaskRequest, Wish, check_declared};
use super::refusal::Refusal;
use super::running::Running;

/// How many tasks there may be.
const MAX_TASKS: usize = 512;

/// How many of one principal.
const MAX_OF_ACTOR: usize = 64;

/// How long a task is kept from its beginning, unless somebody says.
const USUAL_TTL: Duration = Duration::from_hours(1);
const LONGEST_TTL: Duration = Duration::from_hours(24);
const SHORTEST_TTL: Duration = Duration::from_secs(1);

/// How often its client is asked to look, unless the system behind the tool says.
const USUAL_POLL: Duration = Duration::from_secs(1);

const PURPOSE: &str = "task";

/// Whose a task is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Owner {
    actor: ActorId,
    workspace: Workspace,
}

impl Owner {
    /// `actor`, where it is now.
    pub(super) fn of(actor: &Actor) -> Self {
        Self { actor: actor.id.clone(), workspace: actor.workspace.clone() }
    }

    fn with<T>(&self, run: impl FnOnce(&Binding<'_>) -> T) -> T {
        let holder = [self.actor.as_str(), self.workspace.as_str()];
        run(&Binding { purpose: PURPOSE, holder: &holder })
    }
}

/// The tasks of this process.
#[derive(Debug, Default)]
pub(super) struct TaskTable {
    tasks: Mutex<Table>,
    /// Counts up when a task changes.
    changed: channel::Sender<u64>,
}

#[derive(Debug, Default)]
struct Table {
    held: HashMap<String, Arc<Task>>,
    /// Places that are taken by calls that may become tasks, or are.
    places: HashMap<ActorId, usize>,
    taken: usize,
}

/// A place in the table; free again when dropped.
#[derive(Debug)]
pub(super) struct Place {
    table: Arc<TaskTable>,
    actor: ActorId,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut table = self.table.lock();
        table.taken = table.taken.saturating_sub(1);
        if let Some(count) = table.places.get_mut(&self.actor) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                table.places.remove(&self.actor);
            }
        }
    }
}

/// What a call brings that becomes a task.
pub(super) struct Beginning {
    pub(super) owner: Owner,
    pub(super) place: Place,
    pub(super) terms: TaskTerms,
    /// Takes the call back.
    pub(super) cancel: CancellationToken,
    pub(super) running: Running,
}

impl TaskTable {
    /// A place for a task of `owner`'s; none if too many are taken.
    pub(super) fn reserve(self: &Arc<Self>, owner: &Owner) -> Option<Place> {
        let mut table = self.lock();
        let own = table.places.get(&owner.actor).copied().unwrap_or_default();
        if table.taken >= MAX_TASKS || own >= MAX_OF_ACTOR {
            return None;
        }
        table.taken += 1;
        table.places.insert(owner.actor.clone(), own + 1);
        drop(table);
        Some(Place { table: Arc::clone(self), actor: owner.actor.clone() })
    }

    /// Makes a task of a call, and gives what drives it to its end.
    ///
    /// # Errors
    ///
    /// If its handle cannot be sealed; the call is taken back.
    pub(super) fn begin(
        self: &Arc<Self>,
        beginning: Beginning,
        (ring, now): (&KeyRing, Now),
    ) -> Result<(Arc<Task>, impl Future<Output = ()> + Send + use<>), Refusal> {
        let Beginning { owner, place, terms, cancel, mut running } = beginning;
        let ttl = terms.ttl.unwrap_or(USUAL_TTL).clamp(SHORTEST_TTL, LONGEST_TTL);
        let key: &CallId = &running.key;
        let handle = owner.with(|binding| ring.seal(binding, key.as_str(), ttl));
        let handle = handle.map_err(|_| Refusal::internal())?;
        let slip = running.slip.take();
        if let Some(questions) = &running.questions {
            questions.be_patient(ttl);
        }
        let task = Arc::new(Task {
            handle,
            key: key.clone(),
            owner,
            created: now(),
            ttl,
            poll: terms.poll.unwrap_or(USUAL_POLL),
            cancel,
            notes: running.notes.take(),
            token: running.token.take(),
            state: state::Shared::at(now(), self.changed.clone()),
            now,
            _place: place,
        });
        let mut table = self.lock();
        table.held.insert(key.as_str().to_owned(), Arc::clone(&task));
        drop(table);
        let driven = Arc::clone(&task);
        Ok((task, async move { driven.drive(running, slip).await }))
    }

    /// The task of `owner`'s that `handle` names.
    ///
    /// # Errors
    ///
    /// `-32602` if there is none, whatever the reason.
    pub(super) fn find(&self, owner: &Owner, handle: &str, ring: &KeyRing) -> Result<Arc<Task>, Refusal> {
        let key = owner.with(|binding| ring.open(binding, handle)).map_err(|_| unknown())?;
        let found = self.lock().held.get(key.as_str()).cloned();
        found.filter(|task| task.owner == *owner).ok_or_else(unknown)
    }

    /// The tasks of `owner`'s, oldest first.
    pub(super) fn of(&self, owner: &Owner) -> Vec<Arc<Task>> {
        let mut own: Vec<_> =
            self.lock().held.values().filter(|task| task.owner == *owner).cloned().collect();
        own.sort_by(|one, other| (one.created, &one.key).cmp(&(other.created, &other.key)));
        own
    }

    /// Ends the tasks whose time is up.
    pub(super) fn sweep(&self, now: Timestamp) {
        let ended: Vec<Arc<Task>> = {
            let mut table = self.lock();
            table
                .held
                .extract_if(|_, task| task.created.after(task.ttl) <= now)
                .map(|(_, task)| task)
                .collect()
        };
        for task in ended {
            task.cancel.cancel();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn unknown() -> Refusal {
    Refusal::invalid_params("`taskId` is unknown, expired or another's")
}

/// The answer where there is no room for one more.
pub(super) fn no_room() -> Refusal {
    Refusal::overloaded("too many tasks are held: fetch a result and wait until its task has expired")
}
