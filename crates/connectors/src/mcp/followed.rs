//! The tasks of one server that are followed, for what the server says of them beside their polls.
//!
//! A task outlives the request that began it, those that look at it and even the connection, so they are
//! kept for the connector. Which message belongs to which is decided in `under_way`.
//!
//! Invariant: a name leads to the client of the one task that has it; where two have it, to nobody.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use quaymaster_core::{Actor, ActorId, DataClass, LogSink, Raw, Role, Workspace};
use tokio::sync::Notify;

use super::question::Questions;

/// For whom calls are made. What a server may say to somebody depends on all of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Holder {
    id: ActorId,
    workspace: Workspace,
    roles: Arc<[Role]>,
    groups: Arc<[String]>,
    clearance: DataClass,
}

impl Holder {
    pub(super) fn of(actor: &Actor) -> Self {
        let Actor { id, workspace, roles, groups, clearance, person: _, authentication: _ } = actor.clone();
        Self { id, workspace, roles, groups, clearance }
    }
}

/// Who is told of a call, beside its answer.
#[derive(Clone, Debug)]
pub(super) struct Client {
    pub(super) questions: Option<Questions>,
    pub(super) log: Option<Arc<dyn LogSink>>,
}

/// The tasks of one server that are followed.
#[derive(Debug, Default)]
pub(super) struct Followed(Mutex<Tasks>);

#[derive(Debug, Default)]
struct Tasks {
    count: u64,
    open: HashMap<u64, Task>,
}

#[derive(Debug)]
struct Task {
    /// The server's name for it.
    name: String,
    holder: Holder,
    client: Client,
    /// Notified when its server says that it has come further.
    hint: Arc<Notify>,
}

impl Followed {
    /// From now on the server may speak of the task `name`, until what is given back is dropped.
    pub(super) fn add(self: &Arc<Self>, name: &str, holder: Holder, client: Client) -> FollowedTask {
        let mut tasks = self.tasks();
        let key = tasks.count;
        tasks.count += 1;
        let hint = Arc::new(Notify::new());
        tasks.open.insert(key, Task { name: name.to_owned(), holder, client, hint: Arc::clone(&hint) });
        FollowedTask { followed: Arc::clone(self), key, hint }
    }

    /// Who is told of the task `name`.
    pub(super) fn named(&self, name: &str) -> Option<Client> {
        let tasks = self.tasks();
        let mut named = tasks.open.values().filter(|task| task.name == name);
        named.next().filter(|_| named.next().is_none()).map(|task| task.client.clone())
    }

    /// Takes the parameters of `notifications/tasks/status`. What they say is not believed: whoever follows
    /// the task looks for itself.
    pub(super) fn hint(&self, params: Option<Raw<'_>>) {
        let Some(name) = params.and_then(|params| params.member("taskId").ok()?).and_then(Raw::text) else {
            return;
        };
        self.tasks().open.values().filter(|task| task.name == name).for_each(|task| task.hint.notify_one());
    }

    /// How many there are, and one of them.
    pub(super) fn some(&self) -> (usize, Option<(Holder, Client)>) {
        let tasks = self.tasks();
        let some = tasks.open.values().next().map(|task| (task.holder.clone(), task.client.clone()));
        (tasks.open.len(), some)
    }

    fn tasks(&self) -> MutexGuard<'_, Tasks> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A task that is followed. Dropped, it no longer is.
pub(super) struct FollowedTask {
    followed: Arc<Followed>,
    key: u64,
    hint: Arc<Notify>,
}

impl FollowedTask {
    /// Waits until the server says that the task has come further, or returns at once if it said so
    /// since this was last called.
    pub(super) async fn hinted(&self) {
        self.hint.notified().await;
    }
}

impl Drop for FollowedTask {
    fn drop(&mut self) {
        self.followed.tasks().open.remove(&self.key);
    }
}
