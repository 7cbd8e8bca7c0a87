//! Which tasks a subscription tells of.
//!
//! Invariants:
//! - Nothing wakes it but a change of one of its tasks.
//! - It keeps no task: one whose time is up is gone, and its place free.

use std::sync::{Arc, Weak};

use futures_util::future::select_all;
use quaymaster_control::keyring::KeyRing;
use tokio::sync::watch;

use super::{Owner, Task, TaskTable};

/// The tasks of which somebody wants to hear when they change.
#[derive(Debug, Default)]
pub(in crate::ingress) struct TaskWatch {
    each: Vec<Watched>,
}

#[derive(Debug)]
struct Watched {
    task: Weak<Task>,
    changes: watch::Receiver<u64>,
}

impl TaskWatch {
    /// Those of `handles` that are tasks of `owner`'s, from now on.
    pub(in crate::ingress) fn of(
        table: &TaskTable,
        handles: &[String],
        owner: &Owner,
        ring: &KeyRing,
    ) -> Self {
        let found = handles.iter().filter_map(|handle| table.find(owner, handle, ring).ok());
        let each = found.map(|task| Watched { task: Arc::downgrade(&task), changes: task.changes() });
        Self { each: each.collect() }
    }

    /// The tasks that there still are.
    pub(in crate::ingress) fn tasks(&self) -> impl Iterator<Item = Arc<Task>> {
        self.each.iter().filter_map(|watched| watched.task.upgrade())
    }

    /// Waits until one of them has changed. Nothing is lost when the wait is given up.
    pub(in crate::ingress) async fn next(&mut self) -> Arc<Task> {
        loop {
            self.each.retain(|watched| watched.task.strong_count() > 0);
            if self.each.is_empty() {
                return std::future::pending().await;
            }
            let changes = self.each.iter_mut().map(|watched| Box::pin(watched.changes.changed()));
            // That a task is gone ends the wait for its changes, too.
            let (_, at, _) = select_all(changes).await;
            if let Some(task) = self.each.get(at).and_then(|watched| watched.task.upgrade()) {
                return task;
            }
        }
    }
}
