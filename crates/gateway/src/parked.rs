//! How the client of a call that was parked waits, where it has a way of its own to do so.
//!
//! Every client is told in the answer that the call waits for somebody, and how to go on. A client that takes
//! tasks holds one instead, until somebody has decided and the call has run. A client that can show an
//! address is asked to open the page of the request, and is answered when it has.
//!
//! Invariants:
//! - Nothing here decides, nor does anything that the client answers: what was asked is read from the
//!   request for approval alone.
//! - A wait holds no place among the calls that run, and no configuration that was replaced.

use std::time::Duration;

use quaymaster_connectors::Wire;
use quaymaster_core::{
    ApprovalId, Arguments, CallRequest, InputPort, RawBuf, Reply, TaskPort, TaskTerms, Tasks,
};
use quaymaster_operations::links::Links;
use serde_json::json;

use crate::approvals::{Awaited, standing};
use crate::gateway::Gateway;

/// How long a client that was shown the page may look at it before its call is answered.
const LOOKING: Duration = Duration::from_mins(10);
/// How long a task waits at most; it is taken from its client before.
const LONGEST: Duration = Duration::from_hours(48);
/// How often the client of a task is asked to look how it stands.
const POLL: Duration = Duration::from_secs(5);
/// How often it is looked for a task what other processes have decided.
const LOOK_FOR_TASK: Duration = Duration::from_secs(2);

/// A call that may come to wait, as far as its wait needs it. None if its client has no way to wait.
#[derive(Debug)]
pub(crate) struct Patient(CallRequest);

impl Patient {
    pub(crate) fn of(request: &CallRequest, wire: &Wire) -> Option<Self> {
        let can_look = || wire.input.as_ref().is_some_and(|port| port.abilities().url);
        let can_wait = matches!(wire.tasks, Tasks::Taken(_)) || can_look();
        can_wait.then(|| {
            let CallRequest { id, received, actor, reach, session, agent, .. } = request;
            Self(CallRequest {
                id: id.clone(),
                received: *received,
                actor: actor.clone(),
                reach: reach.clone(),
                session: session.clone(),
                agent: agent.clone(),
                trace_id: request.trace_id.clone(),
                sampled: request.sampled,
                idempotency_key: None,
                correlation_id: request.correlation_id.clone(),
                kind: request.kind,
                tool: request.tool.clone(),
                // Large, and none of them matters to a wait.
                arguments: Arguments::default(),
            })
        })
    }
}

impl Gateway {
    /// Has the client of a call wait that was answered with `reply`, if the call was parked; gives what is
    /// to be answered then.
    pub(crate) async fn see_through(&self, patient: Option<Patient>, reply: Reply, wire: &Wire) -> Reply {
        let (Some(Patient(request)), Some(id)) = (patient, reply.parked.clone()) else { return reply };
        if let Tasks::Taken(port) = &wire.tasks
            && port.begin(TaskTerms { ttl: None, poll: Some(POLL) })
        {
            return self.wait_as_task(&request, id, (&**port, wire)).await.unwrap_or(reply);
        }
        match (&wire.input, self.page_of(&id)) {
            (Some(port), Some(page)) if port.abilities().url => {
                self.show(&request, id, (&**port, page), wire).await.unwrap_or(reply)
            }
            _ => reply,
        }
    }

    /// Waits until the call has run or will not; none if that could not be found out.
    async fn wait_as_task(
        &self,
        request: &CallRequest,
        id: ApprovalId,
        (port, wire): (&dyn TaskPort, &Wire),
    ) -> Option<Reply> {
        let page = self.page_of(&id).map(|page| format!("; its page is {page}")).unwrap_or_default();
        port.say(&format!("waits until somebody agrees: request {id}{page}"));
        let awaited = Awaited { id, wait: LONGEST, look: LOOK_FOR_TASK };
        let stands = self.stand(&self.plane(), request, &awaited, &wire.cancel).await;
        if port.is_taken_back() {
            let evidence = &self.plane().evidence;
            if let Err(error) = self.state.approvals.withdraw(&request.actor, &awaited.id, evidence).await {
                tracing::warn!(event = "approval.withdraw", approval = %awaited.id, %error,
                    "a task was taken back, and its request stands");
            }
        }
        Some(standing(request, stands.ok()?))
    }

    /// Asks the client to open the page, and waits until it has, or the call has run or will not.
    async fn show(
        &self,
        request: &CallRequest,
        id: ApprovalId,
        (port, page): (&dyn InputPort, String),
        wire: &Wire,
    ) -> Option<Reply> {
        let question = RawBuf::read(&asking(&id, &request.tool, &page)).ok()?;
        let plane = self.plane();
        let awaited = Awaited::new(id, LOOKING);
        let stands = {
            let stands = self.stand(&plane, request, &awaited, &wire.cancel);
            tokio::select! {
                biased;
                stands = stands => stands,
                // Whatever it answers: nobody has decided by that.
                _ = port.ask(question) => {
                    self.stand(&plane, request, &Awaited::new(awaited.id.clone(), Duration::ZERO), &wire.cancel).await
                }
            }
        };
        Some(standing(request, stands.ok()?))
    }

    /// The address of the page on which somebody decides on `id`, where people reach one.
    fn page_of(&self, id: &ApprovalId) -> Option<String> {
        let base = self.console_url()?;
        Some(Links { base: &base, keys: &self.state.keys }.show(id))
    }
}

/// The question by which a client is asked to show `page` (MCP 2025-11-25, client/elicitation, URL mode).
fn asking(id: &ApprovalId, tool: &str, page: &str) -> String {
    let message = format!(
        "Somebody has to agree to the call of `{tool}` before it runs. Whoever may decide can do so on this page, \
         under their own name; to open it decides nothing."
    );
    let params = json!({"mode": "url", "elicitationId": id.as_str(), "url": page, "message": message});
    json!({"approval": {"method": "elicitation/create", "params": params}}).to_string()
}
