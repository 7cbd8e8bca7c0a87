//! Tasks: calls whose clients hold a handle instead of waiting.
//!
//! Sessions ask for one with the call (MCP 2025-11-25, basic/utilities/tasks); modern
//! clients say that they take them and get one where the system behind the tool makes
//! one (extension `io.modelcontextprotocol/tasks`). Either way it is the call itself
//! that goes on, in the same path and with the same record, and each client reads it
//! in its own words.
//!
//! Code map: here is the table; `desk` answers requests, which `wish` reads; `state` is
//! one task, `slip` how a call becomes one, `wait` how its result is waited for, `view` how
//! it is told of.
//!
//! Invariants:
//! - A handle is sealed and bound to the principal with what it may, the workspace and
//!   the route; to anyone else, and anywhere else, there is no such task.
//! - A task is there until its time is up, and then it is taken back.
//! - Their number is bounded, in all and for each principal.

mod desk;
mod slip;
mod state;
mod view;
mod wait;
mod watch;
mod wish;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use quaymaster_control::keyring::{Binding, KeyRing};
use quaymaster_core::{
    ActorId, CallId, Caller, InputAbilities, Reach, SessionId, TaskTerms, Timestamp, Workspace,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

pub(super) use self::slip::{Offer, Slip};
use self::state::Now;
pub(super) use self::state::Task;
pub(super) use self::view::{created, notified};
use self::view::{listed, shown};
pub(super) use self::watch::TaskWatch;
pub(super) use self::wish::{TaskMethod, TaskRequest, Wish, check_declared};
use super::allowance::{Allowance, Share};
use super::progress::ProgressToken;
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
const LONGEST_POLL: Duration = Duration::from_mins(1);
const SHORTEST_POLL: Duration = Duration::from_millis(50);

const PURPOSE: &str = "task";

/// Whose a task is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Owner {
    actor: ActorId,
    workspace: Workspace,
    reach: Reach,
    authority: String,
}

impl Owner {
    /// `caller`, where it is now.
    pub(super) fn of(caller: &Caller) -> Self {
        let (actor, workspace) = (caller.id.clone(), caller.workspace.clone());
        Self { actor, workspace, reach: caller.reach.clone(), authority: caller.authority() }
    }

    fn with<T>(&self, run: impl FnOnce(&Binding<'_>) -> T) -> T {
        let Self { actor, workspace, reach, authority } = self;
        let holder = [actor.as_str(), workspace.as_str(), reach.as_str(), authority];
        run(&Binding { purpose: PURPOSE, holder: &holder })
    }
}

/// The tasks of this process.
#[derive(Debug)]
pub(super) struct TaskTable {
    held: Mutex<HashMap<String, Arc<Task>>>,
    room: Arc<Semaphore>,
    each: Arc<Allowance>,
}

/// A place for a task of somebody's; free again when dropped.
#[derive(Debug)]
pub(super) struct Place {
    owner: Owner,
    _room: OwnedSemaphorePermit,
    _share: Share,
}

/// What a call brings that becomes a task.
pub(super) struct Beginning {
    pub(super) place: Place,
    pub(super) terms: TaskTerms,
    pub(super) begun: Begun,
    pub(super) running: Running,
}

/// Where a session began a task. What the task tells before its result goes there alone.
#[derive(Clone, Debug, Default)]
pub(super) struct Begun {
    pub(super) session: Option<SessionId>,
    /// Under which name the session hears of progress.
    pub(super) token: Option<ProgressToken>,
}

/// Who waits for what comes of a task.
pub(super) struct Waiter {
    /// What it can be asked.
    pub(super) abilities: InputAbilities,
    /// Its session, if it can be told anything before the result.
    pub(super) session: Option<SessionId>,
    /// Ends the wait.
    pub(super) cancel: CancellationToken,
}

impl Default for TaskTable {
    fn default() -> Self {
        let (room, each) = (Arc::new(Semaphore::new(MAX_TASKS)), Allowance::new(MAX_OF_ACTOR));
        Self { held: Mutex::default(), room, each }
    }
}

impl TaskTable {
    /// A place for a task of `owner`'s; none if too many are taken.
    pub(super) fn reserve(&self, owner: &Owner) -> Option<Place> {
        let share = self.each.take(&owner.actor, 1)?;
        let room = Arc::clone(&self.room).try_acquire_owned().ok()?;
        Some(Place { owner: owner.clone(), _room: room, _share: share })
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
        let Beginning { place, terms, begun, mut running } = beginning;
        let (owner, cancel) = (place.owner.clone(), running.cancel.clone());
        let ttl = terms.ttl.unwrap_or(USUAL_TTL).clamp(SHORTEST_TTL, LONGEST_TTL);
        let key: CallId = running.key.clone();
        let handle = owner.with(|binding| ring.seal(binding, key.as_str(), ttl));
        let handle = handle.map_err(|_| Refusal::internal())?;
        let (notes, slip) = running.detach(ttl);
        let task = Arc::new(Task {
            handle,
            key,
            owner,
            created: now(),
            ttl,
            poll: terms.poll.unwrap_or(USUAL_POLL).clamp(SHORTEST_POLL, LONGEST_POLL),
            cancel,
            slip: slip.clone(),
            notes,
            begun,
            state: state::Shared::at(now()),
            now,
            _place: place,
        });
        self.lock().insert(running.key.as_str().to_owned(), Arc::clone(&task));
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
        let found = self.lock().get(key.as_str()).cloned();
        found.filter(|task| task.owner == *owner).ok_or_else(unknown)
    }

    /// Takes back all that have not ended.
    pub(super) fn clear(&self) {
        let all = std::mem::take(&mut *self.lock());
        for task in all.values() {
            task.cancel.cancel();
        }
    }

    /// The tasks of `owner`'s, oldest first.
    pub(super) fn of(&self, owner: &Owner) -> Vec<Arc<Task>> {
        let mut own: Vec<_> = self.lock().values().filter(|task| task.owner == *owner).cloned().collect();
        own.sort_by(|one, other| (one.created, &one.key).cmp(&(other.created, &other.key)));
        own
    }

    /// Ends the tasks whose time is up.
    pub(super) fn sweep(&self, now: Timestamp) {
        let ended: Vec<Arc<Task>> = {
            let mut table = self.lock();
            table.extract_if(|_, task| task.created.after(task.ttl) <= now).map(|(_, task)| task).collect()
        };
        for task in ended {
            task.cancel.cancel();
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<Task>>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn unknown() -> Refusal {
    Refusal::invalid_params("`taskId` is unknown, expired or another's")
}

/// The answer where there is no room for one more.
fn no_room() -> Refusal {
    Refusal::overloaded("too many tasks are held: fetch a result and wait until its task has expired")
}
