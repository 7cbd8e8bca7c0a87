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

    /// Waits until one of them has changed.
    pub(in crate::ingress) async fn next(&mut self) -> Arc<Task> {
        loop {
            self.any.mark_unchanged();
            for (task, changes) in &mut self.each {
                // The sender is the task's, so it is there.
                if changes.has_changed().is_ok_and(|changed| changed) {
                    changes.mark_unchanged();
                    return Arc::clone(task);
                }
            }
            if self.each.is_empty() || self.any.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }
}
