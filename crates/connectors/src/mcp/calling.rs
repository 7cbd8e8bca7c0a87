//! A call on its way to the server and back.
//!
//! What was decided on is sent as the server takes it, once more where that is safe, and
//! what the server wants to know meanwhile is asked. A task that the server makes of it
//! is followed in `following`.

use std::borrow::Cow;
use std::pin::pin;
use std::sync::Arc;

use http::{HeaderName, HeaderValue};
use quaymaster_control::output::RawOutput;
use quaymaster_core::rpc::code;
use quaymaster_core::{
    CallError, Effect, ErrorCode, InputPort, Kind, PartedBuf, ProgressSink, Tasks, mirror,
};
use tokio::time::Instant;

use super::alive::Alive;
use super::beginning::Hearing;
use super::breaker::Verdict;
use super::check::Settings;
use super::discovery::TaskSupport;
use super::failure::Failure;
use super::link::{Answer, Query, Until};
use super::question::{Given, MAX_ROUNDS, Pause, Required};
use super::supervise::Live;
use super::task::{self, ServerTask};
use super::wire::Stage;
use super::{McpConnector, beginning};
use crate::ask::{Account, Ask};

/// What a message may hold beside the result that it carries.
const ENVELOPE_BYTES: usize = 64 * 1024;

/// An answer, and how it was asked for.
pub(super) struct Answered {
    pub(super) answer: Answer,
    /// Whether a session's server was asked to make a task of the call.
    as_task: bool,
    /// Whether the server is a modern one.
    is_modern: bool,
    /// Who hears of the task's progress under the token of the call, as long as this is there.
    _hearing: Option<Arc<dyn ProgressSink>>,
}

impl McpConnector {
    /// Calls a tool.
    ///
    /// A result with `isError` is a result. What provably did not reach the
    /// server is sent once more, and so is a read whose answer was lost.
    pub(crate) async fn run(&self, ask: &Ask<'_>, account: &mut Account) -> Result<RawOutput, CallError> {
        self.asked(ask, account).await.map(RawOutput::upstream)
    }

    pub(super) async fn asked(&self, ask: &Ask<'_>, account: &mut Account) -> Result<PartedBuf, CallError> {
        if self.asks_in_names_of_callers() {
            // Few servers are asked so, and the futures of other calls need no room for it.
            return Box::pin(self.run_as_caller(ask, account)).await;
        }
        self.call(ask, account).await
    }

    pub(super) async fn call(&self, ask: &Ask<'_>, account: &mut Account) -> Result<PartedBuf, CallError> {
        let mut given = Given::default();
        for _ in 0..MAX_ROUNDS {
            let answered = self.round(ask, &given, account).await?;
            let Answer { result, stage, .. } = answered.answer;
            match stage {
                Stage::Task if ask.kind == Kind::Tool => {
                    return self
                        .follow(ask, ServerTask::of_modern(&result), answered.is_modern)
                        .await
                        .map(Into::into);
                }
                Stage::Task => {
                    let failure = Failure::Malformed("a task where there can be none".into());
                    return Err(self.blamed(failure).into_call_error(ask.effect));
                }
                // A server that was asked for a task may be done at once.
                Stage::Complete if answered.as_task && ServerTask::is_in(&result) => {
                    return self.follow(ask, ServerTask::of_session(&result), false).await.map(Into::into);
                }
                Stage::Complete => {
                    self.shared.conduct.good();
                    return Ok(result);
                }
                Stage::InputRequired => {}
            }
            // Whoever asks for input has not acted yet, so this fails like a read.
            let asked = async {
                let required = Required::read(&result).map_err(|failure| self.blamed(failure))?;
                required.give(ask.input.as_ref()).await
            };
            let asked = ask.cancel.run_until_cancelled(asked).await;
            given = asked
                .unwrap_or(Err(Failure::Cancelled { sent: false }))
                .map_err(|failure| failure.into_call_error(Effect::Read))?;
        }
        let message = format!("the tool asked for input more than {MAX_ROUNDS} times");
        Err(CallError::new(ErrorCode::UpstreamError, message))
    }

    /// Calls once, with what was `given` to the tool's last request for input.
    async fn round(
        &self,
        ask: &Ask<'_>,
        given: &Given,
        account: &mut Account,
    ) -> Result<Answered, CallError> {
        let settings = &self.shared.settings;
        let Some(mut target) = Target::of(settings, ask) else {
            return Err(CallError::new(ErrorCode::GatewayInternal, "the tool is not one of this connector"));
        };
        given.add_to(&mut target.members);
        target.tasks = ask.kind == Kind::Tool && matches!(ask.tasks, Tasks::Taken(_));
        let mut ticket = self
            .shared
            .breaker
            .admit(Instant::now())
            .map_err(|retry_after| Failure::BreakerOpen { retry_after }.into_call_error(ask.effect))?;
        let until = Until { deadline: Instant::now() + settings.timeout, cancel: ask.cancel };
        let alive = Alive::over(ask.input.as_ref());
        loop {
            let outcome = {
                let attempt = pin!(self.attempt(&target, ask, until, alive.port()));
                alive.tell(attempt, || ticket.answered(Instant::now())).await
            };
            let (failure, connection) = match outcome {
                Ok(mut answered) => {
                    ticket.settle(Verdict::Answered, Instant::now());
                    account.upstream_ids.extend(answered.answer.upstream_id.take());
                    return Ok(answered);
                }
                Err(failed) => failed,
            };
            // A server that can only make a task of it has not begun. We can follow one; but a client
            // that could have said so, and has not, is answered as the server answers it.
            if failure.wants_tasks() && !target.tasks && matches!(ask.tasks, Tasks::Followed) {
                target.tasks = true;
                continue;
            }
            if account.retries > 0 || !failure.may_be_repeated(ask.effect) {
                ticket.settle(failure.verdict(connection), Instant::now());
                return Err(failure.into_call_error(ask.effect));
            }
            account.retries += 1;
            let (connector, reason) = (self.name(), failure.reason());
            tracing::debug!(connector, call = %ask.call, reason, "the call is sent once more");
        }
    }

    /// Sends a request of the call. A failure comes with the number of the connection that ended with it.
    pub(super) async fn attempt(
        &self,
        target: &Target<'_>,
        ask: &Ask<'_>,
        until: Until<'_>,
        input: Option<&Arc<dyn InputPort>>,
    ) -> Result<Answered, (Failure, Option<u64>)> {
        let limit_bytes = self.shared.settings.max_bytes;
        let live = self.shared.live(until).await.map_err(|failure| (failure, None))?;
        let mirrors = live.link.mirrors();
        let mut members = Cow::Borrowed(target.members.as_slice());
        let as_task = target.begins && as_task(&live, ask);
        if as_task {
            members.to_mut().push(task::WANTED);
        }
        let hearing = as_task.then(|| Hearing::over(ask.progress.as_ref())).flatten();
        let query = Query {
            actor: Some(ask.actor),
            begins: target.begins,
            mute: ask.mute,
            method: target.method,
            members: &members,
            name: target.name.as_deref().filter(|_| mirrors),
            mirrored: &if mirrors && target.begins { mirrored(&live, ask) } else { Vec::new() },
            credential: ask.credential.as_ref(),
            sink: hearing.as_ref().or(ask.progress.as_ref()),
            input,
            log: ask.log.as_ref(),
            traceparent: ask.traceparent,
            pause: target.pause,
            tasks: target.tasks,
            sent: None,
            left: None,
            limit_bytes: limit_bytes.saturating_add(ENVELOPE_BYTES),
            until,
        };
        let asked = if as_task {
            beginning::ask(&live.link, &query, self.shared.settings.pace.late).await
        } else {
            live.link.ask(&query).await
        };
        match asked {
            Ok(answer) if answer.result.get().len() <= limit_bytes => {
                Ok(Answered { answer, as_task, is_modern: live.link.is_modern(), _hearing: hearing })
            }
            Ok(_) | Err(Failure::TooLarge { .. }) => Err((Failure::TooLarge { limit_bytes }, None)),
            Err(failure) => {
                let has_ended = live.link.has_ended();
                let is_too_often = failure.is_offence() && self.shared.conduct.broke_protocol(Instant::now());
                if failure.is_loss() || is_too_often || has_ended {
                    self.shared.lost(&live.link);
                }
                // The tool wants other headers than it did when it was listed.
                if matches!(failure, Failure::Rpc { code: code::HEADER_MISMATCH, .. }) {
                    live.link.inbox().suspect_list();
                }
                Err((failure, has_ended.then_some(live.number)))
            }
        }
    }

    /// `failure`, once it has been counted if what the server answered broke the protocol though it
    /// was a message.
    pub(super) fn blamed(&self, failure: Failure) -> Failure {
        if failure.is_offence() && self.shared.conduct.broke_protocol(Instant::now()) {
            self.shared.lose();
        }
        failure
    }
}

/// A request as the server is sent it.
pub(super) struct Target<'a> {
    pub(super) method: &'static str,
    /// Whether it begins the call; else it follows one that was begun.
    pub(super) begins: bool,
    /// How long the client has thought of what the call asked before.
    pub(super) pause: Option<&'a Pause>,
    /// Whether a modern server is told that it may make a task of it.
    pub(super) tasks: bool,
    /// Pieces of JSON text: the members of the parameters.
    pub(super) members: Vec<&'a str>,
    /// What stands in `Mcp-Name`.
    pub(super) name: Option<Cow<'a, HeaderValue>>,
}

impl<'a> Target<'a> {
    fn beginning(method: &'static str, members: Vec<&'a str>) -> Self {
        Self { method, begins: true, pause: None, tasks: false, members, name: None }
    }

    /// What `ask` means; none if the connector has no such thing.
    fn of(settings: &'a Settings, ask: &'a Ask<'_>) -> Option<Self> {
        let arguments = ask.arguments.as_json();
        let named = |method, name: &'a str, header| Self {
            name: Some(Cow::Borrowed(header)),
            ..Self::beginning(method, vec![r#""name":"#, name, r#","arguments":"#, arguments])
        };
        match ask.kind {
            Kind::Tool => {
                let tool = settings.tools.iter().find(|tool| tool.config.name == ask.tool)?;
                Some(named("tools/call", &tool.name_json, &tool.name_header))
            }
            Kind::Prompt => {
                let prompt = settings.prompts.iter().find(|prompt| prompt.config.name == ask.tool)?;
                Some(named("prompts/get", &prompt.name_json, &prompt.name_header))
            }
            Kind::Resource => {
                let uri = ask.arguments.value().get("uri")?.as_str()?;
                // Looked at once more: what the server is sent is what was decided on.
                settings.resources.iter().find(|r| r.config.name == ask.tool && r.pattern.fits(uri))?;
                let members = vec![arguments.strip_prefix('{')?.strip_suffix('}')?];
                let name = Some(Cow::Owned(mirror::encode(uri)));
                Some(Self { name, ..Self::beginning("resources/read", members) })
            }
            Kind::Completion => {
                let prompts = settings.prompts.iter().map(|prompt| (&prompt.completed, &prompt.reference));
                let groups = settings.resources.iter().map(|group| (&group.completed, &group.reference));
                let (_, reference) =
                    prompts.chain(groups).find(|(completed, _)| ***completed == *ask.tool)?;
                let members = vec![&**reference, ",", arguments.strip_prefix('{')?.strip_suffix('}')?];
                Some(Self::beginning("completion/complete", members))
            }
        }
    }
}

/// Whether a session's server is to make a task of the call: where it can do nothing else, and
/// where the client takes one. A modern server decides by itself.
fn as_task(live: &Live, ask: &Ask<'_>) -> bool {
    if ask.kind != Kind::Tool || live.link.is_modern() {
        return false;
    }
    match live.routes.get(ask.tool).map(|route| route.tasks).unwrap_or_default() {
        TaskSupport::Forbidden => false,
        TaskSupport::Optional => matches!(ask.tasks, Tasks::Taken(_)),
        TaskSupport::Required => true,
    }
}

/// The headers that mirror arguments of the call.
fn mirrored(live: &Live, ask: &Ask<'_>) -> Vec<(HeaderName, HeaderValue)> {
    if ask.kind != Kind::Tool {
        return Vec::new();
    }
    let declared = live.routes.get(ask.tool).map(|route| route.headers.as_slice()).unwrap_or_default();
    mirror::of_call(declared, ask.arguments.value())
}
