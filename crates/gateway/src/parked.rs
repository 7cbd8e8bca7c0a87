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
use quaymaster_control::approval::Standing;
use quaymaster_control::{Listening, Refused, close};
use quaymaster_core::{
    ApprovalId, Arguments, CallError, CallRequest, InputPort, RawBuf, Reply, TaskPort, TaskTerms, Tasks,
    Timestamp,
};
use quaymaster_operations::links::Links;
use serde_json::{Value, json};

use crate::approvals::Awaited;
use crate::gateway::Gateway;

/// How long a client that was shown the page may look at it before its call is answered.
const LOOKING: Duration = Duration::from_mins(10);
/// How long the call may take that was agreed to at the last moment: so much longer there is a task.
const TO_RUN: Duration = Duration::from_mins(10);
/// How often the client of a task is asked to look how it stands.
const POLL: Duration = Duration::from_secs(5);
/// How often it is looked for a client that waits so long what other processes have decided.
const LOOK: Duration = Duration::from_secs(2);

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
        let Ok(_seat) = self.waiting.lasting.take(&request.actor.id) else { return reply };
        let request = CallRequest { id: self.new_call_id(), ..request };
        let Ok((_, approval, _)) = self.state.approvals.look(&request.actor, &id).await else { return reply };
        let until =
            approval.get("expires_at").and_then(Value::as_str).and_then(|at| Timestamp::parse(at).ok());
        let left = until.map_or(LOOKING, |until| until.since(self.state.clock.now())) + TO_RUN;
        let awaited = Awaited { id, wait: left, look: LOOK, is_patient: true };
        if let Tasks::Taken(port) = &wire.tasks
            && port.begin(TaskTerms { ttl: Some(left), poll: Some(POLL) })
        {
            return self.wait_as_task(request, awaited, (&**port, wire)).await;
        }
        let is_new = self.waiting.shown.get(&awaited.id).is_none();
        match (&wire.input, self.page_of(&awaited.id).filter(|_| is_new)) {
            (Some(port), Some(page)) if port.abilities().url => {
                self.waiting.shown.insert(awaited.id.clone(), ());
                let awaited = Awaited { wait: LOOKING, ..awaited };
                self.show(request, awaited, (&**port, page), wire).await
            }
            _ => reply,
        }
    }

    /// Waits until the call has run or will not. That its client has fetched the result is not known here, so
    /// the same call gets it too.
    async fn wait_as_task(
        &self,
        request: CallRequest,
        awaited: Awaited,
        (port, wire): (&dyn TaskPort, &Wire),
    ) -> Reply {
        let page = self.page_of(&awaited.id).map(|page| format!("; its page is {page}")).unwrap_or_default();
        port.say(&format!("waits until somebody agrees: request {}{page}", awaited.id));
        let stands = self.stand(&request, &awaited, &wire.cancel).await;
        if port.is_taken_back() {
            let evidence = &self.plane().evidence;
            if let Err(error) = self.state.approvals.withdraw(&request.actor, &awaited.id, evidence).await {
                tracing::warn!(event = "approval.withdraw", approval = %awaited.id, %error,
                    "a task was taken back, and its request stands");
            }
        }
        let answered = match stands {
            Ok(stands) => self.answered(&request, stands, Listening::AsTask).await,
            Err(error) => Err(error),
        };
        match answered {
            Ok(reply) => reply,
            Err(error) => close(Refused::at_the_door(request, error).into(), &self.plane().evidence).await,
        }
    }

    /// Asks the client to open the page, and waits until it has, or the call has run or will not.
    async fn show(
        &self,
        request: CallRequest,
        awaited: Awaited,
        (port, page): (&dyn InputPort, String),
        wire: &Wire,
    ) -> Reply {
        let seen = wire.cancel.child_token();
        let asking = async {
            let question = RawBuf::read(&asking(&awaited.id, &request.tool, &page));
            if let Ok(question) = question {
                // Whatever it answers: nobody has decided by that.
                let _ = port.ask(question).await;
            }
            seen.cancel();
            std::future::pending::<Result<Standing, CallError>>().await
        };
        let stands = tokio::select! {
            biased;
            stands = self.stand(&request, &awaited, &seen) => stands,
            never = asking => never,
        };
        self.handed_out(request, &awaited.id, stands).await
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
