//! Asks a session's server to make a task of a call, also for a call that is taken back meanwhile.
//!
//! A server may have begun its task before it says so, and only the answer says how the task is
//! called. So the request runs beside its call: a call that leaves before the answer is not held up,
//! and the task that comes all the same is cancelled (MCP 2025-11-25, basic/utilities/cancellation:
//! what asks for a task is taken back by `tasks/cancel`). A task that is known is followed in
//! `following`.
//!
//! Invariants:
//! - Nothing is sent for a call that has left before it was sent.
//! - A server is waited for a time (`pace`), for [`MAX_LEFT`] calls of one connection at most; beyond
//!   that it is told `notifications/cancelled`, after which it need not answer.
//! - Nobody is asked anything for a call that has left.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue};
use quaymaster_core::{Actor, InputPort, LogSink, Progress, ProgressSink};
use serde_json::Value;
use tokio::sync::oneshot;
use tokio::task::unconstrained;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::caller::CallerCredential;
use super::failure::Failure;
use super::link::{Answer, Link, Query, Sent, Until};
use super::question::Pause;
use super::task::{ServerTask, TaskStatus};

/// For how many calls that have left a connection waits at once.
pub(super) const MAX_LEFT: usize = 64;

/// How long a server has to take note that its task is no longer wanted.
pub(super) const TAKE_BACK: Duration = Duration::from_secs(2);

/// Who hears how far a call is. It is the call's own, so that nobody hears of a task whose call has ended.
#[derive(Debug)]
pub(super) struct Hearing(Arc<dyn ProgressSink>);

impl Hearing {
    pub(super) fn over(sink: Option<&Arc<dyn ProgressSink>>) -> Option<Arc<dyn ProgressSink>> {
        sink.map(|sink| Arc::new(Self(Arc::clone(sink))) as Arc<dyn ProgressSink>)
    }
}

impl ProgressSink for Hearing {
    fn report(&self, progress: Progress) {
        self.0.report(progress);
    }
}

/// What a call learns of its request.
enum Told {
    Outcome(Result<Answer, Failure>),
    /// The call has left first.
    Left {
        sent: bool,
    },
}

/// Sends `query`, which asks for a task, and waits for its result, within its limits. If these end
/// first, the server has `late` to say which task it has made.
pub(super) async fn ask(link: &Arc<Link>, query: &Query<'_>, late: Duration) -> Result<Answer, Failure> {
    let until = query.until;
    let pause = query.pause.cloned().unwrap_or_else(Pause::new);
    let deadline = until.deadline.checked_sub(pause.stood()).unwrap_or(until.deadline);
    let left = CancellationToken::new();
    let leaving = left.clone().drop_guard();
    let (tell, mut told) = oneshot::channel();
    let request = Request { late, ..Request::of(query, pause.clone(), left) };
    tokio::spawn(request.run(Arc::clone(link), tell));
    let failure: fn(bool) -> Failure = tokio::select! {
        biased;
        told = &mut told => return told.map_or_else(|_| Err(lost()), |told| told.or(|_| lost())),
        () = unconstrained(until.cancel.cancelled()) => |sent| Failure::Cancelled { sent },
        () = unconstrained(pause.expired(deadline)) => |sent| Failure::Timeout { sent },
    };
    drop(leaving);
    told.await.map_or_else(|_| Err(failure(true)), |told| told.or(failure))
}

fn lost() -> Failure {
    Failure::Broken("the request was given up".into())
}

impl Told {
    fn or(self, failure: impl FnOnce(bool) -> Failure) -> Result<Answer, Failure> {
        match self {
            Self::Outcome(outcome) => outcome,
            Self::Left { sent } => Err(failure(sent)),
        }
    }
}

/// A query that outlives its call.
struct Request {
    actor: Option<Actor>,
    mute: bool,
    method: &'static str,
    members: Vec<Box<str>>,
    name: Option<HeaderValue>,
    mirrored: Box<[(HeaderName, HeaderValue)]>,
    credential: Option<Arc<CallerCredential>>,
    sink: Option<Arc<dyn ProgressSink>>,
    input: Option<Arc<dyn InputPort>>,
    log: Option<Arc<dyn LogSink>>,
    pause: Pause,
    traceparent: Option<Box<str>>,
    limit_bytes: usize,
    /// When the call leaves at the latest, not counting the time in which somebody thinks.
    deadline: Instant,
    /// How long the server is waited for after that.
    late: Duration,
    /// Cancelled when the call no longer waits.
    left: CancellationToken,
}

impl Request {
    fn of(query: &Query<'_>, pause: Pause, left: CancellationToken) -> Self {
        Self {
            actor: query.actor.cloned(),
            mute: query.mute,
            method: query.method,
            members: query.members.iter().map(|member| Box::from(*member)).collect(),
            name: query.name.cloned(),
            mirrored: query.mirrored.into(),
            credential: query.credential.cloned(),
            sink: query.sink.cloned(),
            input: query.input.cloned(),
            log: query.log.cloned(),
            pause,
            traceparent: query.traceparent.map(Box::from),
            limit_bytes: query.limit_bytes,
            deadline: query.until.deadline,
            late: Duration::ZERO,
            left,
        }
    }

    /// Runs until the answer is there or nobody waits for it any more, and takes back what came too late.
    async fn run(self, link: Arc<Link>, tell: oneshot::Sender<Told>) {
        let (sent, stop) = (Sent::default(), CancellationToken::new());
        let members: Vec<&str> = self.members.iter().map(|member| &**member).collect();
        let until = Until { deadline: self.deadline + self.late, cancel: &stop };
        let query = Query {
            actor: self.actor.as_ref(),
            begins: true,
            mute: self.mute,
            name: self.name.as_ref(),
            mirrored: &self.mirrored,
            credential: self.credential.as_ref(),
            sink: self.sink.as_ref(),
            input: self.input.as_ref(),
            log: self.log.as_ref(),
            pause: Some(&self.pause),
            traceparent: self.traceparent.as_deref(),
            limit_bytes: self.limit_bytes,
            sent: Some(&sent),
            left: Some(&self.left),
            ..Query::plain(self.method, &members, until)
        };
        let mut asking = pin!(link.ask(&query));
        let outcome = tokio::select! {
            biased;
            outcome = &mut asking => outcome,
            () = unconstrained(self.left.cancelled()) => {
                let sent = sent.get();
                // A call that was dropped hears nothing.
                let _ = tell.send(Told::Left { sent });
                if !sent {
                    return;
                }
                let late = match link.left().try_acquire() {
                    Ok(_room) => tokio::select! {
                        biased;
                        outcome = &mut asking => Some(outcome),
                        () = unconstrained(sleep(self.late)) => None,
                    },
                    Err(_) => None,
                };
                let late = match late {
                    Some(late) => late,
                    None => {
                        stop.cancel();
                        asking.await
                    }
                };
                return take_back(&link, late, self.credential.as_ref()).await;
            }
        };
        if let Err(Told::Outcome(late)) = tell.send(Told::Outcome(outcome)) {
            take_back(&link, late, self.credential.as_ref()).await;
        }
    }
}

/// Has the server cancel the task that it has made, if it has made one.
async fn take_back(link: &Link, late: Result<Answer, Failure>, credential: Option<&Arc<CallerCredential>>) {
    let Some(Answer { result, .. }) = late.ok().filter(|answer| ServerTask::is_in(&answer.result)) else {
        return;
    };
    let Ok(task) = ServerTask::of_session(&result) else { return };
    if matches!(task.status, TaskStatus::Working | TaskStatus::InputRequired) {
        let member = format!(r#""taskId":{}"#, Value::from(task.id));
        let nobody = CancellationToken::new();
        let until = Until { deadline: Instant::now() + TAKE_BACK, cancel: &nobody };
        let members = [member.as_str()];
        let query = Query { credential, ..Query::plain("tasks/cancel", &members, until) };
        let _ = link.ask(&query).await;
    }
}
