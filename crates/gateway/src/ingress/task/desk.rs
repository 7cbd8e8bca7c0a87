//! What a way in does about tasks.

use std::sync::Arc;

use futures_util::future::FutureExt as _;
use http::StatusCode;
use quaymaster_core::{Caller, InputAbilities, Kind, TaskTerms, Tasks};

use super::wish::TaskMethod;
use super::{
    Beginning, Begun, Now, Offer, Owner, Place, Slip, Task, TaskRequest, Waiter, Wish, check_declared,
    created, listed, no_room, shown, view,
};
use crate::ingress::addressee::Addressee;
use crate::ingress::answer::{self, Pieces};
use crate::ingress::call::ToolCall;
use crate::ingress::door::Door;
use crate::ingress::era::Era;
use crate::ingress::front::{Asked, Front, Plan};
use crate::ingress::progress::{Listener, Wanted};
use crate::ingress::refusal::Refusal;
use crate::ingress::revision::Revision;
use crate::ingress::running::{Running, Speech};

impl<D: Door> Front<D> {
    /// Says what is to be done about a request about a task.
    pub(in crate::ingress) fn about_task(
        &self,
        method: TaskMethod,
        asked: &Asked<'_>,
        actor: &Caller,
    ) -> Result<Plan, Refusal> {
        let (id, era) = (asked.id, asked.detected.era);
        let abilities = InputAbilities::read(asked.detected.meta.client_capabilities);
        if era == Era::Modern {
            check_declared(abilities)?;
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
        shown(id, era, &task, abilities).map(Plan::Answer)
    }

    /// The wish for a task of a call in a session of `revision`, if that has a word for it.
    ///
    /// # Errors
    ///
    /// `-32601` if this cannot be called as a task (MCP 2025-11-25, basic/utilities/tasks,
    /// tool-level negotiation), `-32602` if the wish cannot be read.
    pub(in crate::ingress) fn wish(
        &self,
        call: &ToolCall,
        revision: Option<Revision>,
        actor: &Caller,
    ) -> Result<Option<Wish>, Refusal> {
        let has_tasks = revision.is_some_and(Revision::has_tasks) && self.door.takes_tasks(actor, None);
        let Some(task) = call.task.as_ref().filter(|_| has_tasks) else { return Ok(None) };
        let can_be = self.door.takes_tasks(actor, Some(&call.tool));
        if can_be { Wish::read(task.as_raw()).map(Some) } else { Err(Refusal::no_task()) }
    }

    /// What becomes of a call of a client with these abilities where its system makes a task of it.
    pub(in crate::ingress) fn task_offer(
        &self,
        (era, kind): (Era, Kind),
        abilities: InputAbilities,
        actor: &Caller,
    ) -> Offer {
        match era {
            Era::Modern if abilities.tasks && kind == Kind::Tool => {
                Offer::by(Slip::new(&self.tasks, Owner::of(actor)))
            }
            Era::Modern => Offer { tasks: Tasks::Declined, slip: None },
            Era::Legacy => Offer { tasks: Tasks::Followed, slip: None },
        }
    }

    /// A place for a task that a client of `actor` holds from the beginning.
    ///
    /// # Errors
    ///
    /// `gateway.overloaded` if too many are taken.
    pub(in crate::ingress) fn task_place(&self, actor: &Caller) -> Result<(Place, Offer), Refusal> {
        let owner = Owner::of(actor);
        let place = self.tasks.reserve(&owner).ok_or_else(no_room)?;
        Ok((place, Offer::by(Slip::held(&self.tasks, owner))))
    }

    /// Makes a task of a call, and drives it to its end.
    pub(in crate::ingress) fn begin_task(
        &self,
        running: Running,
        (terms, begun): (TaskTerms, Begun),
        place: Place,
    ) -> Result<Arc<Task>, Refusal> {
        let door = Arc::clone(&self.door);
        let now: Now = Arc::new(move || door.clock().now());
        let beginning = Beginning { place, terms, begun, running };
        let (task, driven) = self.tasks.begin(beginning, (self.door.keys(), now))?;
        // Nobody waits for it, so it goes on by itself.
        drop(self.haven.take(driven));
        Ok(task)
    }

    /// Answers a call with the task that its system has made of it.
    pub(in crate::ingress) fn hand_over(
        &self,
        to: &Addressee,
        call: Running,
        terms: TaskTerms,
    ) -> (StatusCode, Pieces) {
        // There is no word for reports and logs of a task in this era.
        call.tell(Wanted::default());
        let place = call.slip().and_then(|slip| slip.place()).ok_or_else(Refusal::internal);
        let task = place.and_then(|place| self.begin_task(call, (terms, Begun::default()), place));
        task.map_or_else(
            |refusal| {
                self.counters.add(refusal.recorded);
                (refusal.status, Pieces::whole(refusal.to_json(Some(&to.id))))
            },
            |task| (StatusCode::OK, created(&to.id, to.era, &task)),
        )
    }

    /// What waits for what comes of `task`, and as whom its client hears of the task. `flight` is
    /// dropped when the wait is over.
    pub(in crate::ingress) fn await_task(
        &self,
        task: Arc<Task>,
        waiter: Waiter,
        actor: &Caller,
        flight: impl Send + 'static,
    ) -> (Running, Listener) {
        let Waiter { abilities, session, cancel } = waiter;
        let questions = self.questions(abilities, actor, None).map(Arc::new);
        if let Some(questions) = &questions {
            // As long as the task waits for an answer.
            questions.be_patient(task.ttl);
        }
        let speech = Speech::of_task(task.notes(session.as_ref()), questions.clone());
        let (key, listener, ended) = (task.key().clone(), task.listener(), cancel.clone());
        let outcome = async move {
            let _flight = flight;
            let outcome = ended.run_until_cancelled(task.outcome(questions)).await;
            Some(outcome.unwrap_or_else(|| view::given_up(task.key())))
        };
        (Running::of_task(key, outcome.boxed(), speech, cancel), listener)
    }
}
