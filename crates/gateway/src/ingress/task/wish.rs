//! What is read of requests about tasks.

use std::time::Duration;

use http::StatusCode;
use quaymaster_core::{InputAbilities, Raw};

use crate::ingress::era::Era;
use crate::ingress::params::{Params, text};
use crate::ingress::refusal::Refusal;

/// How long a handle may be that could still be ours, in bytes.
const MAX_HANDLE_BYTES: usize = 4 * 1024;

/// That a session wants a task instead of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::ingress) struct Wish {
    /// How long it wants the task to be kept.
    pub(in crate::ingress) ttl: Option<Duration>,
}

impl Wish {
    /// The wish that the member `task` of a request is.
    ///
    /// # Errors
    ///
    /// `-32602` if it cannot be read.
    pub(in crate::ingress) fn read(raw: Raw<'_>) -> Result<Self, Refusal> {
        let unclear = || {
            Refusal::invalid_params(
                "`params.task` must be an object such as `{\"ttl\": 60000}`, in milliseconds",
            )
        };
        if !raw.get().starts_with('{') {
            return Err(unclear());
        }
        let ttl = raw.member("ttl").map_err(|_| unclear())?.filter(|ttl| ttl.get() != "null");
        let ttl = ttl.map(|ttl| ttl.get().parse::<u64>().map_err(|_| unclear())).transpose()?;
        Ok(Self { ttl: ttl.map(Duration::from_millis) })
    }
}

/// What can be asked about a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::ingress) enum TaskMethod {
    /// How far it is.
    Get,
    /// What came of it; sessions alone.
    Result,
    /// Which there are; sessions alone.
    List,
    /// Here is what it wants to know; modern clients alone.
    Update,
    /// It is no longer wanted.
    Cancel,
}

impl TaskMethod {
    /// The method called `name`, if the era has it.
    pub(in crate::ingress) fn named(era: Era, name: &str) -> Option<Self> {
        match (era, name) {
            (_, "tasks/get") => Some(Self::Get),
            (_, "tasks/cancel") => Some(Self::Cancel),
            (Era::Legacy, "tasks/result") => Some(Self::Result),
            (Era::Legacy, "tasks/list") => Some(Self::List),
            (Era::Modern, "tasks/update") => Some(Self::Update),
            _ => None,
        }
    }
}

/// A request about a task.
#[derive(Debug)]
pub(in crate::ingress) struct TaskRequest<'a> {
    /// What the client calls the task; empty for a list.
    pub(in crate::ingress) handle: String,
    /// The answers that it gives.
    pub(in crate::ingress) answers: Option<Raw<'a>>,
}

impl<'a> TaskRequest<'a> {
    /// Reads the parameters of `method`.
    pub(in crate::ingress) fn read(method: TaskMethod, params: &Params<'a>) -> Result<Self, Refusal> {
        if method == TaskMethod::List {
            return Ok(Self { handle: String::new(), answers: None });
        }
        let handle = text(params.task_id).filter(|id| !id.is_empty() && id.len() <= MAX_HANDLE_BYTES);
        let handle = handle.ok_or_else(|| Refusal::invalid_params("`params.taskId` must name a task"))?;
        let answers = match (method, params.input_responses) {
            (TaskMethod::Update, Some(raw)) if raw.get().starts_with('{') => Some(raw),
            (TaskMethod::Update, _) => {
                return Err(Refusal::invalid_params("`params.inputResponses` must be an object"));
            }
            _ => None,
        };
        Ok(Self { handle: handle.into_owned(), answers })
    }
}

/// Refuses a modern client that does not say that it takes tasks.
pub(in crate::ingress) fn check_declared(abilities: InputAbilities) -> Result<(), Refusal> {
    if abilities.tasks {
        return Ok(());
    }
    let required = InputAbilities { tasks: true, ..InputAbilities::default() };
    Err(Refusal::missing_capability(StatusCode::BAD_REQUEST, required))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(task: &str) -> Result<Wish, String> {
        Wish::read(Raw::read(task).expect("JSON")).map_err(|refusal| refusal.message)
    }

    #[test]
    fn a_session_may_wish_for_a_task_and_say_for_how_long() {
        assert_eq!(wish("{}"), Ok(Wish { ttl: None }));
        assert_eq!(wish(r#"{"ttl":1500}"#), Ok(Wish { ttl: Some(Duration::from_millis(1_500)) }));
        for bad in ["true", r#"{"ttl":"1h"}"#, r#"{"ttl":-1}"#, r#"{"ttl":1,"ttl":2}"#] {
            assert!(wish(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn each_era_has_methods_of_its_own() {
        let both = |name| (TaskMethod::named(Era::Legacy, name), TaskMethod::named(Era::Modern, name));
        assert_eq!(both("tasks/get"), (Some(TaskMethod::Get), Some(TaskMethod::Get)));
        assert_eq!(both("tasks/result"), (Some(TaskMethod::Result), None));
        assert_eq!(both("tasks/update"), (None, Some(TaskMethod::Update)));
        assert_eq!(both("tasks/later"), (None, None));
    }
}
