//! What a way in does about tasks.

use std::sync::Arc;

use quaymaster_core::{Actor, InputAbilities, Kind, TaskTerms};
use tokio_util::sync::CancellationToken;

use super::wish::TaskMethod;
use super::{Beginning, Now, Owner, Place, Task, TaskRequest, check_declared, listed, shown};
use crate::ingress::answer;
use crate::ingress::call::ToolCall;
use crate::ingress::door::Door;
use crate::ingress::era::Era;
use crate::ingress::front::{Asked, Front, Plan};
use crate::ingress::refusal::Refusal;
use crate::ingress::running::Running;

impl<D: Door> Front<D> {
    /// Says what is to be done about a request about a task.
    pub(in crate::ingress) fn about_task(
        &self,
        method: TaskMethod,
        asked: &Asked<'_>,
        actor: &Actor,
    ) -> Result<Plan, Refusal> {
        let (id, era) = (asked.id, asked.detected.era);
        if era == Era::Modern {
            check_declared(InputAbilities::read(asked.detected.meta.client_capabilities))?;
        }
        let TaskRequest { handle, answers } = TaskRequest::read(method, &asked.detected.params)?;
        let owner = Owner::of(actor);
        if method == TaskMethod::List {
            let own = self.tasks.of(&owner);
            return Ok(Plan::Answer(listed(id, own.iter().map(Arc::as_ref))));
        }
        let task = self.tasks.find(&owner, &handle, self.door.keys())?;
        match (method, era) {
            (TaskMethod::Result, _) => return Ok(Plan::TaskResult(task)),
            (TaskMethod::Cancel, Era::Legacy) if !task.take_back() => {
                return Err(Refusal::invalid_params("the task has ended, so it cannot be cancelled"));
            }
            (TaskMethod::Cancel, Era::Modern) => {
                task.take_back();
                return Ok(Plan::Answer(answer::complete(id)));
            }
            (TaskMethod::Update, _) => {
                if let Some(answers) = answers {
                    task.inform(answers);
                }
                return Ok(Plan::Answer(answer::complete(id)));
            }
            (TaskMethod::Get | TaskMethod::Cancel | TaskMethod::List, _) => {}
        }
        Ok(Plan::Answer(shown(id, era, &task)))
    }

    /// Refuses a wish for a task of something that cannot be one (MCP 2025-11-25,
    /// basic/utilities/tasks, tool-level negotiation).
    pub(in crate::ingress) fn check_wish(&self, call: &ToolCall, actor: &Actor) -> Result<(), Refusal> {
        let can_be = call.kind == Kind::Tool && self.door.takes_tasks(actor, Some(&call.tool));
        if call.wish.is_none() || can_be {
            return Ok(());
        }
        Err(Refusal::no_task())
    }

    /// Makes a task of a call, and drives it to its end.
    pub(in crate::ingress) fn begin_task(
        &self,
        running: Running,
        terms: TaskTerms,
        cancel: CancellationToken,
        (owner, place): (Owner, Place),
    ) -> Result<Arc<Task>, Refusal> {
        let door = Arc::clone(&self.door);
        let now: Now = Arc::new(move || door.clock().now());
        let beginning = Beginning { owner, place, terms, cancel, running };
        let (task, driven) = self.tasks.begin(beginning, (self.door.keys(), now))?;
        // Nobody waits for it, so it goes on by itself.
        drop(self.haven.take(driven));
        Ok(task)
    }
}
