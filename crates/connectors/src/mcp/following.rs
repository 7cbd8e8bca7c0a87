//! Sees a task that a server made of a call to its end.
//!
//! The server is asked how far it is until it has ended, at the pace that it wishes;
//! what it wants to know is asked of the call's client, and a call that is taken back
//! or whose time is up takes its task with it.
//!
//! Invariants:
//! - A call ends with the result of its task or with a failure, never with a handle.
//! - What is not the task's own end is `upstream.outcome_unknown` of a write, whatever it would be of a
//!   call that was not begun ([`End`]).
//! - No request of a task is put to the client twice, and there is a limit to how many are.

mod end;
mod thinking;

use std::borrow::Cow;
use std::collections::HashSet;
use std::time::Duration;

use http::HeaderValue;
use quaymaster_core::meta::{RELATED_TASK, without_task};
use quaymaster_core::{CallError, Raw, RawBuf, Tasks, mirror};
use serde_json::Value;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use self::end::{End, ended_without, is_no_word, may_pass, means_forgotten, of_another};
use self::thinking::Thinking;
use super::McpConnector;
use super::beginning::TAKE_BACK;
use super::calling::Target;
use super::failure::Failure;
use super::followed::{Client, FollowedTask, Holder};
use super::link::{Answer, Until};
use super::pace::Backoff;
use super::question::{Pause, Questions, Required};
use super::task::{ServerTask, TaskStatus};
use super::wire::{complete, rpc_failure};
use crate::ask::Ask;

/// How long the task of a client that does not wait may take.
const LONGEST: Duration = Duration::from_hours(24);

/// How often a server is asked at most, at least, and if it does not say.
const SHORTEST_POLL: Duration = Duration::from_millis(50);
const LONGEST_POLL: Duration = Duration::from_mins(1);
const USUAL_POLL: Duration = Duration::from_secs(1);

/// How many questions after a task may go unanswered in a row while its client waits.
const MAX_UNANSWERED: u32 = 5;

impl McpConnector {
    /// Follows the task that `begun` says the server has made of the call.
    pub(super) async fn follow(
        &self,
        ask: &Ask<'_>,
        begun: Result<ServerTask, Failure>,
        is_modern: bool,
    ) -> Result<RawBuf, CallError> {
        let outcome: Result<RawBuf, End> = async {
            let begun = begun.map_err(|failure| self.blamed(failure))?;
            let held = match &ask.tasks {
                Tasks::Taken(port) => port.begin(begun.terms),
                Tasks::Followed | Tasks::Declined => false,
            };
            // Whoever waits has the time of a call, whoever does not that of a task.
            let limit = if held {
                begun.terms.ttl.unwrap_or(LONGEST).min(LONGEST)
            } else {
                self.shared.settings.timeout
            };
            let thinking = Pause::new();
            let input = Thinking::over(ask.input.as_ref(), &thinking);
            let over = CancellationToken::new();
            let _over = over.clone().drop_guard();
            let client = Client {
                questions: input.clone().map(|port| Questions::new(port, thinking.clone(), over)),
                log: ask.log.clone(),
            };
            let followed = self.shared.followed.add(&begun.id, Holder::of(ask.actor), client);
            let mut following = Following {
                connector: self,
                followed,
                ask: Ask { input, ..ask.clone() },
                is_modern,
                id: begun.id.clone(),
                id_json: Value::from(begun.id.as_str()).to_string(),
                name: mirror::encode(&begun.id),
                deadline: Instant::now() + limit,
                thinking,
                asked: HashSet::new(),
                is_held: held,
                has_ended: false,
            };
            let outcome = following.run(begun).await;
            if outcome.is_err() && !following.has_ended {
                following.take_back().await;
            }
            outcome
        }
        .await;
        if outcome.is_ok() {
            self.shared.conduct.good();
        }
        outcome.map_err(|end| end.into_call_error(ask.effect))
    }
}

/// A task on its way.
struct Following<'a> {
    connector: &'a McpConnector,
    followed: FollowedTask,
    ask: Ask<'a>,
    /// Whether its server is a modern one.
    is_modern: bool,
    /// The task's name.
    id: String,
    /// The same as JSON text.
    id_json: String,
    /// The same as a header.
    name: HeaderValue,
    /// When its time is up if nobody is asked anything.
    deadline: Instant,
    /// How long the client has thought.
    thinking: Pause,
    /// The names of the requests that the client has answered.
    asked: HashSet<String>,
    /// Whether its client holds it instead of waiting.
    is_held: bool,
    /// Whether the server has no more to do for it.
    has_ended: bool,
}

impl Following<'_> {
    async fn run(&mut self, begun: ServerTask) -> Result<RawBuf, End> {
        let mut task = begun;
        loop {
            if let (Some(message), Tasks::Taken(port)) = (&task.message, &self.ask.tasks) {
                port.say(message);
            }
            self.has_ended = !matches!(task.status, TaskStatus::Working | TaskStatus::InputRequired);
            match task.status {
                TaskStatus::Working => {}
                TaskStatus::Cancelled => {
                    return Err(Failure::Unsupported("the MCP server has taken its task back".into()).into());
                }
                status if !self.is_modern => {
                    if let Some(result) = self.fetch(status).await? {
                        return Ok(result);
                    }
                }
                TaskStatus::InputRequired => self.inform(&task).await?,
                TaskStatus::Completed => {
                    let result = task.result.ok_or_else(ended_without).and_then(complete);
                    return result.map_err(|failure| self.connector.blamed(failure).into());
                }
                TaskStatus::Failed => {
                    let failure = task.error.map_or_else(ended_without, |error| rpc_failure(error.as_raw()));
                    return Err(End::Failed(self.connector.blamed(failure)));
                }
            }
            let poll = task.terms.poll.unwrap_or(USUAL_POLL);
            self.rest(poll.clamp(SHORTEST_POLL, LONGEST_POLL)).await?;
            task = self.look().await?;
        }
    }

    /// When its time is up. While a person thinks, time stands still.
    fn deadline(&self) -> Instant {
        self.deadline + self.thinking.stood()
    }

    /// Waits until it is time to look again: so long, or until the server says that there is something to see.
    async fn rest(&self, wait: Duration) -> Result<(), Failure> {
        self.pause(SHORTEST_POLL).await?;
        tokio::select! {
            rested = self.pause(wait.saturating_sub(SHORTEST_POLL)) => rested,
            () = self.followed.hinted() => Ok(()),
        }
    }

    /// Waits until it is time to ask again.
    async fn pause(&self, wait: Duration) -> Result<(), Failure> {
        let deadline = self.deadline();
        let left = deadline.saturating_duration_since(Instant::now());
        let slept = self.ask.cancel.run_until_cancelled(sleep(wait.min(left))).await;
        slept.ok_or(Failure::Cancelled { sent: true })?;
        if Instant::now() >= deadline { Err(Failure::Timeout { sent: true }) } else { Ok(()) }
    }

    /// Asks how far the task is.
    async fn look(&mut self) -> Result<ServerTask, Failure> {
        match self.insist("tasks/get", &[]).await {
            Ok(answer) => {
                let task = ServerTask::of_modern(&answer.result);
                let own = task.and_then(|task| if task.id == self.id { Ok(task) } else { Err(of_another()) });
                own.map_err(|failure| self.connector.blamed(failure))
            }
            Err(Failure::Rpc { code, .. }) if means_forgotten(code) => Err(self.forgotten()),
            Err(Failure::Rpc { code, .. }) => {
                let why = format!("the MCP server does not say how far its task is (JSON-RPC code {code})");
                Err(Failure::Unsupported(why))
            }
            Err(failure) => Err(failure),
        }
    }

    /// Asks a session's server for the result; what it wants to know it asks before that. None if
    /// it has to be asked again.
    async fn fetch(&mut self, status: TaskStatus) -> Result<Option<RawBuf>, End> {
        let is_open = status == TaskStatus::InputRequired;
        let outcome = if is_open {
            self.request("tasks/result", &[], self.deadline()).await
        } else {
            self.insist("tasks/result", &[]).await
        };
        match outcome {
            Ok(answer) => Ok(Some(self.unrelated(answer.result.into_whole())?)),
            Err(failure) if is_open && may_pass(&failure) => Ok(None),
            // A task that is not there is told by the same code as arguments that are wrong.
            Err(Failure::Rpc { code, .. })
                if status == TaskStatus::Completed || (is_open && means_forgotten(code)) =>
            {
                Err(self.forgotten().into())
            }
            // Whether that is what the call came to, the state of the task will tell.
            Err(Failure::Rpc { .. }) if is_open => Ok(None),
            Err(failure @ (Failure::Rpc { .. } | Failure::Incapable { .. })) if !is_open => {
                self.has_ended = true;
                Err(End::Failed(failure))
            }
            Err(failure) => Err(failure.into()),
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
        let requests = RawBuf::read(&format!("{{{}}}", asked.join(","))).map_err(|_| ended_without())?;
        let given = Required::of(requests).give(self.ask.input.as_ref());
        let given = self.ask.cancel.run_until_cancelled(given).await;
        let given = given.ok_or(Failure::Cancelled { sent: true })??;
        let mut members = Vec::new();
        given.add_to(&mut members);
        self.insist("tasks/update", &members).await.map(drop)
    }

    /// Tells the server that nobody wants the result any more.
    async fn take_back(&self) {
        let nobody = CancellationToken::new();
        let until = Until { deadline: Instant::now() + TAKE_BACK, cancel: &nobody };
        let _ = timeout(TAKE_BACK, self.send("tasks/cancel", &[], until)).await;
    }

    /// Makes a request that may be made twice. A connection that breaks is not the end of the task. A
    /// server that wants to be left alone is, if there is time for that.
    async fn insist(&self, method: &'static str, members: &[&str]) -> Result<Answer, Failure> {
        let (mut unanswered, mut backoff) = (0, Backoff::default());
        loop {
            let deadline = Instant::now() + self.connector.shared.settings.timeout;
            let failure = match self.request(method, members, deadline.min(self.deadline())).await {
                // Who waits is told soon; a task that is held may outlast its server's absence.
                Err(failure)
                    if is_no_word(method, &failure)
                        && (unanswered < MAX_UNANSWERED || (self.is_held && may_pass(&failure))) =>
                {
                    failure
                }
                outcome => return outcome,
            };
            unanswered += 1;
            let pace = &self.connector.shared.settings.pace;
            let usual = if self.is_held { backoff.next(pace).max(SHORTEST_POLL) } else { USUAL_POLL };
            let wait = failure.retry_after().unwrap_or_default().max(usual);
            if failure.retry_after().is_some() && Instant::now() + wait >= self.deadline() {
                return Err(failure);
            }
            self.pause(wait).await?;
        }
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
        let mut all = vec![r#""taskId":"#, &self.id_json];
        all.extend(members);
        let name = Some(Cow::Borrowed(&self.name));
        let pause = Some(&self.thinking);
        let target = Target { method, begins: false, pause, tasks: true, members: all, name };
        let attempt = self.connector.attempt(&target, &self.ask, until, self.ask.input.as_ref());
        attempt.await.map(|answered| answered.answer).map_err(|(failure, _)| failure)
    }

    /// The server has no such task any more.
    fn forgotten(&mut self) -> Failure {
        self.has_ended = true;
        Failure::Unsupported("the MCP server no longer knows its task".into())
    }

    /// A result without its server's name for the task, which means nothing to anyone else.
    fn unrelated(&self, result: RawBuf) -> Result<RawBuf, Failure> {
        let meta = result.as_raw().member("_meta").ok().flatten();
        let related = meta.and_then(|meta| meta.member(RELATED_TASK).ok()?);
        let named = related.and_then(|related| related.member("taskId").ok()?).and_then(Raw::text);
        if named.is_some_and(|named| *named != *self.id) {
            return Err(self.connector.blamed(of_another()));
        }
        let result = complete(result).map_err(|failure| self.connector.blamed(failure))?;
        Ok(without_task(result))
    }
}
