//! How a task is told of, in the words of each era.
//!
//! A session gets the state and fetches the result; a modern client gets all that
//! there is with the state. What is a result was released when the call ended.

use std::fmt::Write as _;

use http::StatusCode;
use quaymaster_core::meta::{RELATED_TASK, with_meta};
use quaymaster_core::result::{Envelope, tool_result};
use quaymaster_core::rpc::{self, RequestId};
use quaymaster_core::{
    CallError, CallId, ErrorCode, InputAbilities, InputRequest, Kind, Raw, RawBuf, Reply, Status,
};
use serde_json::{Value, json};

use super::state::{OpenRequest, State, Task, TaskStatus};
use crate::ingress::answer::{self, Pieces};
use crate::ingress::era::Era;
use crate::ingress::refusal::Refusal;

/// The answer to the call that has become `task` (`CreateTaskResult`).
pub(in crate::ingress) fn created(id: &RequestId, era: Era, task: &Task) -> Pieces {
    let members = described(task, &task.state.lock(), era);
    let result = match era {
        Era::Legacy => format!(r#"{{"task":{{{members}}}}}"#),
        Era::Modern => format!(r#"{{"resultType":"task",{members}}}"#),
    };
    answer::plain(id, &result)
}

/// The answer to a client with these abilities that asks how far `task` is.
///
/// # Errors
///
/// See [`detailed`].
pub(in crate::ingress) fn shown(
    id: &RequestId,
    era: Era,
    task: &Task,
    abilities: InputAbilities,
) -> Result<Pieces, Refusal> {
    let result = match era {
        Era::Legacy => format!("{{{}}}", described(task, &task.state.lock(), era)),
        Era::Modern => format!(r#"{{"resultType":"complete",{}}}"#, detailed(task, abilities)?),
    };
    Ok(answer::plain(id, &result))
}

/// The answer to a session that asks for its tasks.
pub(in crate::ingress) fn listed<'a>(id: &RequestId, tasks: impl IntoIterator<Item = &'a Task>) -> Pieces {
    let each =
        tasks.into_iter().map(|task| format!("{{{}}}", described(task, &task.state.lock(), Era::Legacy)));
    let each: Vec<String> = each.collect();
    answer::plain(id, &format!(r#"{{"tasks":[{}]}}"#, each.join(",")))
}

/// The notification to a client with these abilities that `task` has changed; `meta` is the
/// member `_meta`.
///
/// # Errors
///
/// See [`detailed`].
pub(in crate::ingress) fn notified(
    task: &Task,
    meta: &str,
    abilities: InputAbilities,
) -> Result<String, Refusal> {
    let members = detailed(task, abilities)?;
    Ok(rpc::notification("notifications/tasks", &format!("{{{members},{meta}}}")))
}

/// The members of `Task`.
fn described(task: &Task, state: &State, era: Era) -> String {
    let (ttl, poll) = match era {
        Era::Legacy => ("ttl", "pollInterval"),
        Era::Modern => ("ttlMs", "pollIntervalMs"),
    };
    let status = state.status(era == Era::Modern);
    let mut members = format!(
        r#""taskId":{},"status":"{}","createdAt":"{}","lastUpdatedAt":"{}","{ttl}":{},"{poll}":{}"#,
        Value::from(task.handle.as_str()),
        status.as_str(),
        task.created,
        state.updated,
        task.ttl.as_millis(),
        task.poll.as_millis().max(1),
    );
    let said = match (&state.reply, status) {
        (Some(reply), TaskStatus::Failed) => reply.message.as_deref(),
        _ => state.message.as_deref(),
    };
    if let Some(said) = said {
        let _ = write!(members, r#","statusMessage":{}"#, Value::from(said));
    }
    members
}

/// The members of `DetailedTask` (extension `io.modelcontextprotocol/tasks`).
///
/// # Errors
///
/// `-32021` if the task wants to know what a client with these abilities cannot be asked (MCP
/// 2026-07-28, basic/patterns, multi round-trip requests).
fn detailed(task: &Task, abilities: InputAbilities) -> Result<String, Refusal> {
    let state = task.state.lock();
    let mut members = described(task, &state, Era::Modern);
    match (state.status(true), &state.reply) {
        (TaskStatus::InputRequired, _) => {
            let required = needed(&state);
            if !abilities.cover(required) {
                let required = InputAbilities { tasks: true, ..required };
                return Err(Refusal::missing_capability(StatusCode::BAD_REQUEST, required));
            }
            let each = unanswered(&state)
                .map(|request| format!("{}:{}", Value::from(request.name.as_str()), request.request.get()));
            let _ = write!(members, r#","inputRequests":{{{}}}"#, each.collect::<Vec<_>>().join(","));
        }
        (TaskStatus::Completed, Some(reply)) => {
            let result = answer::result(Era::Modern, Kind::Tool, &reply.result);
            let _ = write!(members, r#","result":{}"#, result.as_deref().unwrap_or("{}"));
        }
        (TaskStatus::Failed, Some(reply)) => {
            let _ = write!(members, r#","error":{}"#, answer::task_error(reply));
        }
        _ => {}
    }
    Ok(members)
}

/// What it takes to be asked all that is unanswered.
fn needed(state: &State) -> InputAbilities {
    let requests = unanswered(state).filter_map(|open| InputRequest::read(open.request.as_raw()));
    requests.map(InputRequest::needs).fold(InputAbilities::default(), InputAbilities::and)
}

/// What the client has still to answer, of what somebody waits for.
pub(super) fn unanswered(state: &State) -> impl Iterator<Item = &OpenRequest> {
    let open = state.open.iter().filter(|open| open.is_open());
    open.flat_map(|open| &open.requests).filter(|request| request.is_unanswered())
}

/// `open` as a session's client is asked it while it waits for the result; none if it cannot be.
pub(super) fn for_session(open: &OpenRequest, handle: &str) -> Option<RawBuf> {
    let request = open.request.as_raw();
    let method = request.member("method").ok()??;
    let params = request.member("params").ok()?;
    let params = params.map_or_else(|| Raw::read("{}").ok(), Some)?;
    let params = with_meta(params, RELATED_TASK, Some(&related(handle)))?;
    let name = Value::from(open.name.as_str());
    RawBuf::read(&format!(r#"{{{name}:{{"method":{method},"params":{params}}}}}"#)).ok()
}

/// The task that a message belongs to, for its `_meta`.
pub(super) fn related(handle: &str) -> String {
    json!({"taskId": handle}).to_string()
}

/// `reply` with the task that it came of.
pub(super) fn with_related_task(reply: &Reply, handle: &str) -> Reply {
    let related = related(handle);
    let result =
        Raw::read(&reply.result).ok().and_then(|result| with_meta(result, RELATED_TASK, Some(&related)));
    let mut reply = reply.clone();
    if let Some(result) = result {
        reply.result = result;
    }
    reply
}

/// The reply of a call that came to none.
pub(super) fn lost(call: &CallId) -> Reply {
    failed(call, CallError::new(ErrorCode::GatewayInternal, "the gateway failed to answer"))
}

/// The answer to who no longer waits for what comes of the task that `call` is.
pub(super) fn given_up(call: &CallId) -> Reply {
    failed(call, CallError::new(ErrorCode::CallCancelled, "the wait was cancelled, and the task goes on"))
}

fn failed(call: &CallId, error: CallError) -> Reply {
    let envelope = Envelope::failure(call, &error);
    Reply {
        audit_id: call.clone(),
        status: Status::Failed,
        code: Some(error.code),
        result: tool_result(&envelope, &error.public_message),
        message: Some(error.public_message),
        parked: None,
        keeping: quaymaster_core::Keeping::default(),
        required: None,
        labels: vec![],
    }
}
