//! Sees a task that a server made of a call to its end.
//!
//! The server is asked how far it is until it has ended, at the pace that it wishes;
//! what it wants to know is asked of the call's client, and a call that is taken back
//! or whose time is up takes its task with it.
//!
//! Invariants:
//! - A call ends with the result of its task or with a failure, never with a handle.
//! - A write whose task is lost sight of is `upstream.outcome_unknown`.
//! - No request of a task is put to the client twice.

use std::borrow::Cow;
use std::collections::HashSet;
use std::time::Duration;

use http::HeaderValue;
use quaymaster_core::meta::{RELATED_TASK, with_meta};
use quaymaster_core::{CallError, RawBuf, Tasks, mirror};
use serde_json::Value;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::McpConnector;
use super::calling::Target;
use super::failure::Failure;
use super::link::{Answer, Until};
use super::question::{MAX_ROUNDS, Required};
use super::task::{ServerTask, TaskStatus};
use super::wire::rpc_failure;
use crate::ask::Ask;

/// How long the task of a client that does not wait may take.
const LONGEST: Duration = Duration::from_hours(24);

/// How often a server is asked at most, at least, and if it does not say.
const SHORTEST_POLL: Duration = Duration::from_millis(50);
const LONGEST_POLL: Duration = Duration::from_mins(1);
const USUAL_POLL: Duration = Duration::from_secs(1);

/// How many questions after a task may go unanswered in a row.
const MAX_UNANSWERED: u32 = 5;

/// How long a server has to take note that its task is no longer wanted.
const TAKE_BACK: Duration = Duration::from_secs(2);

impl McpConnector {
    /// Follows the task that `begun` says the server has made of the call.
    pub(super) async fn follow(
        &self,
        ask: &Ask<'_>,
        begun: Result<ServerTask, Failure>,
    ) -> Result<RawBuf, CallError> {
        let outcome = async {
            let begun = begun?;
            let held = match &ask.tasks {
                Tasks::Taken(port) => port.begin(begun.terms),
                Tasks::Followed | Tasks::Declined => false,
            };
            // Whoever waits has the time of a call, whoever does not that of a task.
            let limit = match held {
                true => begun.terms.ttl.unwrap_or(LONGEST).min(LONGEST),
                false => self.shared.settings.timeout,
            };
            let (id, name) = (Value::from(begun.id.as_str()).to_string(), mirror::encode(&begun.id));
            let mut following = Following {
                connector: self,
                ask,
                id,
                name,
                deadline: Instant::now() + limit,
                asked: HashSet::new(),
                rounds: 0,
            };
            let outcome = following.run(begun).await;
            if matches!(outcome, Err(Failure::Timeout { .. } | Failure::Cancelled { .. })) {
                following.take_back().await;
            }
            outcome
        };
        outcome.await.map_err(|failure| failure.into_call_error(ask.effect))
    }
}

/// A task on its way.
struct Following<'a> {
    connector: &'a McpConnector,
    ask: &'a Ask<'a>,
    /// The task's name, as JSON text.
    id: String,
    /// The same as a header.
    name: HeaderValue,
    deadline: Instant,
    /// The names of the requests that the client has answered.
    asked: HashSet<String>,
    rounds: usize,
}

impl Following<'_> {
    async fn run(&mut self, begun: ServerTask) -> Result<RawBuf, Failure> {
        let mut task = begun;
        loop {
            if let (Some(message), Tasks::Taken(port)) = (&task.message, &self.ask.tasks) {
                port.say(message);
            }
            match task.status {
                TaskStatus::Working => {}
                TaskStatus::Cancelled => {
                    return Err(Failure::Unsupported("the MCP server has taken its task back".into()));
                }
                status if !self.is_modern().await? => {
                    // The server says what it wants to know, and the result, in answer to this.
                    match self.request("tasks/result", &[], self.deadline).await {
                        Err(failure) if may_pass(&failure) && status == TaskStatus::InputRequired => {}
                        outcome => return outcome.map(|answer| unrelated(answer.result)),
                    }
                }
                TaskStatus::InputRequired => self.inform(&task).await?,
                TaskStatus::Completed => return task.result.ok_or_else(ended_without),
                TaskStatus::Failed => {
                    return Err(task.error.map_or_else(ended_without, |error| rpc_failure(error.as_raw())));
                }
            }
            self.pause(task.terms.poll).await?;
            task = self.look().await?;
        }
    }

    async fn is_modern(&self) -> Result<bool, Failure> {
        let until = Until { deadline: self.deadline, cancel: self.ask.cancel };
        Ok(self.connector.shared.live(until).await?.link.is_modern())
    }

    /// Waits until it is time to ask again.
    async fn pause(&self, poll: Option<Duration>) -> Result<(), Failure> {
        let poll = poll.unwrap_or(USUAL_POLL).clamp(SHORTEST_POLL, LONGEST_POLL);
        let left = self.deadline.saturating_duration_since(Instant::now());
        let slept = self.ask.cancel.run_until_cancelled(sleep(poll.min(left))).await;
        slept.ok_or(Failure::Cancelled { sent: true })?;
        if Instant::now() >= self.deadline { Err(Failure::Timeout { sent: true }) } else { Ok(()) }
    }

    /// Asks how far the task is. A connection that breaks meanwhile is not the end of it.
    async fn look(&self) -> Result<ServerTask, Failure> {
        let mut unanswered = 0;
        loop {
            let deadline = (Instant::now() + self.connector.shared.settings.timeout).min(self.deadline);
            match self.request("tasks/get", &[], deadline).await {
                Ok(answer) => return ServerTask::of_modern(&answer.result),
                Err(Failure::Rpc { .. }) => {
                    return Err(Failure::Unsupported("the MCP server no longer knows its task".into()));
                }
                Err(failure) if may_pass(&failure) && unanswered < MAX_UNANSWERED => unanswered += 1,
                Err(failure) => return Err(failure),
            }
            self.pause(None).await?;
        }
    }

    /// Puts what a modern server wants to know to the client, and tells the server.
    async fn inform(&mut self, task: &ServerTask) -> Result<(), Failure> {
        let mut asked = Vec::new();
        let members = task.requests.iter().filter_map(|requests| requests.as_raw().members()).flatten();
        for (name, request) in members.filter_map(Result::ok) {
            if self.asked.insert(name.clone().into_owned()) {
                asked.push(format!("{}:{request}", Value::from(&*name)));
            }
        }
        if asked.is_empty() {
            return Ok(());
        }
        self.rounds += 1;
        if self.rounds > MAX_ROUNDS {
            let message = format!("the task asked for input more than {MAX_ROUNDS} times");
            return Err(Failure::Unsupported(message));
        }
        let requests = RawBuf::read(&format!("{{{}}}", asked.join(","))).map_err(|_| ended_without())?;
        let since = Instant::now();
        let given = Required::of(requests).give(self.ask.input.as_ref());
        let given = self.ask.cancel.run_until_cancelled(given).await;
        let given = given.ok_or(Failure::Cancelled { sent: true })??;
        // While a person thinks, time stands still.
        self.deadline += since.elapsed();
        let mut members = Vec::new();
        given.add_to(&mut members);
        self.request("tasks/update", &members, self.deadline).await.map(drop)
    }

    /// Tells the server that nobody wants the result any more.
    async fn take_back(&self) {
        let nobody = CancellationToken::new();
        let until = Until { deadline: Instant::now() + TAKE_BACK, cancel: &nobody };
        let _ = timeout(TAKE_BACK, self.send("tasks/cancel", &[], until)).await;
    }

    async fn request(
        &self,
        method: &'static str,
        members: &[&str],
        deadline: Instant,
    ) -> Result<Answer, Failure> {
        self.send(method, members, Until { deadline, cancel: self.ask.cancel }).await
    }

    async fn send(
        &self,
        method: &'static str,
        members: &[&str],
        until: Until<'_>,
    ) -> Result<Answer, Failure> {
        let mut all = vec![r#""taskId":"#, &self.id];
        all.extend(members);
        let name = Some(Cow::Borrowed(&self.name));
        let target = Target { method, begins: false, tasks: true, members: all, name };
        let attempt = self.connector.attempt(&target, self.ask, until, self.ask.input.as_ref());
        attempt.await.map(|(answer, _)| answer).map_err(|(failure, _)| failure)
    }
}

/// Whether the task may go on all the same.
fn may_pass(failure: &Failure) -> bool {
    match failure {
        Failure::NotDelivered(_)
        | Failure::Rejected { .. }
        | Failure::Broken(_)
        | Failure::Timeout { .. }
        | Failure::Down { auth_required: false, .. }
        | Failure::Overloaded => true,
        Failure::Status { status, .. } => status.is_server_error(),
        _ => false,
    }
}

/// A result without the name that its server has for the task: that means nothing to anyone else.
fn unrelated(result: RawBuf) -> RawBuf {
    let without = with_meta(result.as_raw(), RELATED_TASK, None);
    without.and_then(|text| RawBuf::read(&text).ok()).unwrap_or(result)
}

fn ended_without() -> Failure {
    Failure::Malformed("a task that has ended without a result".into())
}
