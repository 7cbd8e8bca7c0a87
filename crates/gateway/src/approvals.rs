//! Calls that wait for an agreement: running what was agreed to, and waiting for it.
//!
//! A process that serves looks for requests that were agreed to, from wherever, and runs their calls
//! through the whole path of a call. An agent that wants to know waits with `await_approval`; it
//! holds no place among the calls that run.

use std::sync::Arc;
use std::time::Duration;

use quaymaster_connectors::Wire;
use quaymaster_control::approval::{Approvals, Asker, Due, Grant, Standing, State, Turn};
use quaymaster_control::{Evidence, Listening, Refused, close, hand_out};
use quaymaster_core::result::{Envelope, tool_result};
use quaymaster_core::{ApprovalId, CallError, CallId, CallRequest, ErrorCode, Memory, Reply, Status};
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::call::call;
use crate::fair::FairPlaces;
use crate::gateway::Gateway;

/// How often it is looked for what other processes, such as the command line, have decided.
const LOOK: Duration = Duration::from_millis(500);
/// How often it is looked for what is kept no longer.
const TIDIED: Duration = Duration::from_hours(1);
/// How long after a fault it is looked again.
const AFTER_A_FAULT: Duration = Duration::from_secs(5);
/// How long it is waited at most before a result is tried to be left once more.
const LONGEST_PAUSE: Duration = Duration::from_secs(4);
/// Most calls that were agreed to that run at once.
const MOST_AT_ONCE: usize = 32;
/// Most agents that wait at once; beyond that they are told at once how things stand.
const MOST_WAITING: u32 = 256;

/// Most clients that hold a task, or look at a page, at once; beyond that they are answered.
const MOST_LASTING: u32 = 512;

/// Those who wait, and what runs for them.
#[derive(Debug)]
pub(crate) struct Waiting {
    room: FairPlaces,
    /// For clients that hold a task, or look at a page, until somebody has decided.
    pub(crate) lasting: FairPlaces,
    /// The requests whose pages were shown, the last ones.
    pub(crate) shown: Memory<ApprovalId, ()>,
    /// The calls that were agreed to, until their results are left; and whoever tells people of requests.
    pub(crate) runs: TaskTracker,
}

impl Default for Waiting {
    fn default() -> Self {
        Self {
            room: FairPlaces::new(MOST_WAITING),
            lasting: FairPlaces::new(MOST_LASTING),
            shown: Memory::default(),
            runs: TaskTracker::new(),
        }
    }
}

/// What an `await_approval` waits for, and how long.
#[derive(Clone, Debug)]
pub(crate) struct Awaited {
    pub(crate) id: ApprovalId,
    pub(crate) wait: Duration,
    /// How often it is looked for what other processes, such as the command line, have decided.
    pub(crate) look: Duration,
    /// Whether a fault of the store is waited out.
    pub(crate) is_patient: bool,
}

impl Awaited {
    /// A wait of at most `wait`.
    pub(crate) fn new(id: ApprovalId, wait: Duration) -> Self {
        Self { id, wait, look: LOOK, is_patient: false }
    }
}

/// Runs what was agreed to until the gateway stops.
pub(crate) fn run_what_was_agreed_to(gateway: &Arc<Gateway>) {
    let gateway = Arc::clone(gateway);
    tokio::spawn(async move {
        let stopped = gateway.stopped.clone();
        let room = Arc::new(Semaphore::new(MOST_AT_ONCE));
        let mut changes = gateway.state.approvals.changes();
        let mut tidy = Instant::now();
        while !stopped.is_cancelled() {
            if tidy <= Instant::now() {
                tidy = Instant::now() + forget_what_is_over(&gateway).await;
            }
            let pause = match look(&gateway, &room).await {
                Ok(()) => LOOK,
                Err(error) => {
                    tracing::error!(event = "approval.look", %error, "requests for approval cannot be looked at");
                    AFTER_A_FAULT
                }
            };
            tokio::select! {
                () = stopped.cancelled() => {}
                () = sleep(pause) => {}
                Ok(()) = changes.changed() => {}
            }
        }
    });
}

/// Forgets some of what is kept no longer, and says after what time to go on.
async fn forget_what_is_over(gateway: &Gateway) -> Duration {
    match gateway.state.approvals.purge(&gateway.plane().evidence).await {
        Ok(0) => TIDIED,
        Ok(_) => LOOK,
        Err(error) => {
            tracing::error!(event = "approval.purge", %error, "requests that are over cannot be forgotten");
            TIDIED
        }
    }
}

async fn look(
    gateway: &Arc<Gateway>,
    room: &Arc<Semaphore>,
) -> Result<(), quaymaster_control::approval::ApprovalError> {
    for due in gateway.state.approvals.due().await? {
        let Ok(place) = Arc::clone(room).try_acquire_owned() else { return Ok(()) };
        let gateway = Arc::clone(gateway);
        let request = due.id().clone();
        // Claimed here, one after the other, so that the next look does not find it again.
        let (asker, id, grant) = match taken(&gateway, due).await {
            Ok(Some(taken)) => taken,
            Ok(None) => continue,
            // One that cannot be read must not keep the others from running.
            Err(error) if error.is_of_the_request() => {
                tracing::error!(event = "approval.unreadable", approval = %request, %error, "a request is given up");
                gateway.state.approvals.forget(&request, &gateway.plane().evidence).await?;
                continue;
            }
            Err(error) => return Err(error),
        };
        let runs = gateway.waiting.runs.clone();
        runs.spawn(async move {
            Box::pin(run(&gateway, &asker, id, grant)).await;
            drop(place);
        });
    }
    Ok(())
}

async fn taken(
    gateway: &Gateway,
    due: Due,
) -> Result<Option<(Box<Asker>, CallId, Grant)>, quaymaster_control::approval::ApprovalError> {
    let evidence = &gateway.plane().evidence;
    Ok(match gateway.state.approvals.take(due, evidence).await? {
        Turn::Run(asker, id, grant) => Some((asker, id, grant)),
        Turn::Nothing => None,
    })
}

/// Runs one call, and says meanwhile that it still runs here.
async fn run(gateway: &Gateway, asker: &Asker, id: CallId, grant: Grant) {
    let approval = grant.id().clone();
    let ran = Box::pin(run_granted(gateway, asker, grant)).await;
    if let Err(error) = ran {
        tracing::error!(event = "approval.run", %approval, call = %id, %error, "a call that was agreed to is left as it stands");
    }
}

async fn run_granted(
    gateway: &Gateway,
    asker: &Asker,
    grant: Grant,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let (plane, _running) = gateway.enter();
    let approvals = &gateway.state.approvals;
    let Some(actor) = plane.people.identity.again(asker).await? else {
        return Ok(approvals.give_up(&grant, &plane.evidence).await?);
    };
    let request = approvals.call_of(&grant, actor).await?;
    let wire = Wire::default();
    let reply = {
        let running = call(&plane, (&gateway.admission, &gateway.calls), request, Some(&grant), &wire);
        let mut running = std::pin::pin!(running);
        loop {
            match timeout(Approvals::LEASE / 3, &mut running).await {
                Ok(reply) => break reply,
                // The call goes on whatever becomes of the lease.
                Err(_) => {
                    if let Err(error) = approvals.renew(&grant).await {
                        tracing::warn!(event = "approval.renew", approval = %grant.id(), %error, "a lease could not be renewed");
                    }
                }
            }
        }
    };
    leave(approvals, &grant, &reply, &plane.evidence).await
}

/// Leaves the result; tries again while the store is busy.
async fn leave(
    approvals: &Approvals,
    grant: &Grant,
    reply: &Reply,
    evidence: &Evidence,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let mut pause = LOOK;
    loop {
        match approvals.finish(grant, reply, evidence).await {
            Ok(()) => return Ok(()),
            Err(error) if pause > LONGEST_PAUSE || error.is_of_the_request() => return Err(error.into()),
            Err(_) => sleep(pause).await,
        }
        pause *= 2;
    }
}

impl Gateway {
    /// Waits until somebody has decided and the call has run, or the time is over.
    pub(crate) async fn await_approval(
        &self,
        request: CallRequest,
        awaited: Awaited,
        cancel: &CancellationToken,
    ) -> Reply {
        let seat = self.waiting.room.take(&request.actor.id).ok();
        // Without a seat it is told at once how things stand.
        let wait = if seat.is_some() { awaited.wait } else { Duration::ZERO };
        let stands = self.stand(&request, &Awaited { wait, ..awaited.clone() }, cancel).await;
        self.handed_out(request, &awaited.id, stands).await
    }

    /// How the request stands, once nothing more can come of it, the time is over or `cancel` is.
    ///
    /// # Errors
    ///
    /// `incident.stopped` as soon as a switch stands against whoever asked; `input.invalid` if it is not theirs;
    /// `audit.unavailable` if the store fails, at once or when a wait that is patient ends.
    pub(crate) async fn stand(
        &self,
        request: &CallRequest,
        awaited: &Awaited,
        cancel: &CancellationToken,
    ) -> Result<Standing, CallError> {
        let mut changes = self.state.approvals.changes();
        let deadline = Instant::now() + awaited.wait;
        loop {
            let now = self.look_once(request, &awaited.id).await;
            let left = deadline.saturating_duration_since(Instant::now());
            let may_pass = awaited.is_patient
                && now.as_ref().is_err_and(|error| error.code == ErrorCode::AuditUnavailable);
            let is_open = now.as_ref().is_ok_and(|(state, ..)| state.is_open()) || may_pass;
            if !is_open || left.is_zero() || cancel.is_cancelled() || self.stopped.is_cancelled() {
                return now;
            }
            tokio::select! {
                () = cancel.cancelled() => {}
                () = self.stopped.cancelled() => {}
                () = sleep(left.min(awaited.look)) => {}
                Ok(()) = changes.changed() => {}
            }
        }
    }

    /// How it stands now. The configuration is that of now, too, and is let go again.
    async fn look_once(&self, request: &CallRequest, id: &ApprovalId) -> Result<Standing, CallError> {
        self.plane().guards.check_waiting(request).await?;
        self.state.approvals.look(&request.actor, id).await
    }

    /// The answer to whoever waited, who is labelled for the result if there is one.
    ///
    /// # Errors
    ///
    /// `audit.unavailable` if that cannot be noted.
    pub(crate) async fn answered(
        &self,
        request: &CallRequest,
        (state, approval, reply): Standing,
        listening: Listening,
    ) -> Result<Reply, CallError> {
        match reply.filter(|_| matches!(state, State::Done | State::Unknown)) {
            Some(reply) => hand_out(reply, request, &self.plane().guards.flow, listening).await,
            None => Ok(standing(request, state, approval)),
        }
    }

    /// The answer to whoever waited and is given the result now, which is noted.
    pub(crate) async fn handed_out(
        &self,
        request: CallRequest,
        id: &ApprovalId,
        stands: Result<Standing, CallError>,
    ) -> Reply {
        let plane = self.plane();
        let collected = match stands {
            Ok((state, ..)) if !state.is_open() => {
                self.state.approvals.collect(&request, id, &plane.evidence).await
            }
            stands => stands,
        };
        let answered = match collected {
            Ok(stands) => self.answered(&request, stands, Listening::ToNothing).await,
            Err(error) => Err(error),
        };
        match answered {
            Ok(reply) => reply,
            Err(error) => close(Refused::at_the_door(request, error).into(), &plane.evidence).await,
        }
    }
}

/// The answer to whoever waits on.
fn standing(request: &CallRequest, state: State, approval: Value) -> Reply {
    let (status, code, message) = match state.refusal() {
        Some((code, message)) => (Status::Failed, Some(code), message.to_owned()),
        None => {
            let message = format!("the request is {}: call `await_approval` again later", state.as_str());
            (Status::RequiresApproval, Some(ErrorCode::ApprovalRequired), message)
        }
    };
    let error =
        CallError::new(code.unwrap_or(ErrorCode::ApprovalRequired), message.clone()).waiting_for(approval);
    let envelope =
        Envelope { data: json!({"state": state.as_str()}), ..Envelope::failure(&request.id, &error) };
    Reply {
        audit_id: request.id.clone(),
        status,
        code,
        result: tool_result(&envelope, &message),
        message: Some(message),
        parked: error.waits_for(),
        keeping: quaymaster_core::Keeping::default(),
        required: None,
        labels: vec![],
    }
}
