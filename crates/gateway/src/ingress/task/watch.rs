//! Which tasks a subscription tells of.

use std::sync::Arc;

use tokio::sync::watch;

use super::{Owner, Task, TaskTable};
use quaymaster_control::keyring::KeyRing;

/// The tasks of which somebody wants to hear when they change.
#[derive(Debug)]
pub(in crate::ingress) struct TaskWatch {
    any: watch::Receiver<u64>,
    each: Vec<(Arc<Task>, watch::Receiver<u64>)>,
}

impl TaskWatch {
    /// Those of `handles` that are tasks of `owner`'s, from now on.
    pub(in crate::ingress) fn of(
        table: &TaskTable,
        handles: &[String],
        owner: &Owner,
        ring: &KeyRing,
    ) -> Self {
        let any = table.changed.subscribe();
        let found = handles.iter().filter_map(|handle| table.find(owner, handle, ring).ok());
        let each = found.map(|task| (Arc::clone(&task), task.changes())).collect();
        Self { any, each }
    }

    /// The handles of the tasks.
    pub(in crate::ingress) fn handles(&self) -> impl Iterator<Item = &str> {
        self.each.iter().map(|(task, _)| task.handle.as_str())
    }

    /// One that has changed since it was last given.
    pub(in crate::ingress) fn changed(&mut self) -> Option<Arc<Task>> {
        let (task, changes) = self.each.iter_mut().find(|(_, changes)| {
            // The sender is the task's, so it is there.
            changes.has_changed().is_ok_and(|changed| changed)
        })?;
        changes.mark_unchanged();
        Some(Arc::clone(task))
    }

    /// Waits until one of them has changed.
    pub(in crate::ingress) async fn next(&mut self) -> Arc<Task> {
        loop {
            self.any.mark_unchanged();
            if let Some(task) = self.changed() {
                return task;
            }
            if self.each.is_empty() || self.any.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }
}
