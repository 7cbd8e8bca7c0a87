//! What a server says of a task that it made of a call, in either era.
//!
//! A session's server is asked for one and answers with it as `task`; its result is
//! fetched with `tasks/result` (MCP 2025-11-25, basic/utilities/tasks). A modern one
//! makes one by itself and hands the result out with the state (extension
//! `io.modelcontextprotocol/tasks`). The rest is the same under other names.

use std::time::Duration;

use quaymaster_core::{RawBuf, TaskTerms};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::failure::Failure;

/// What a session's server is asked with: to make a task, and to keep it for an hour.
pub(super) const WANTED: &str = r#","task":{"ttl":3600000}"#;

/// How long the name of a task may be, in bytes.
const MAX_ID_BYTES: usize = 4 * 1024;

/// Where a task is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum TaskStatus {
    Working,
    InputRequired,
    Completed,
    Failed,
    Cancelled,
}

/// A task as its server describes it.
#[derive(Debug)]
pub(super) struct ServerTask {
    /// Its name.
    pub(super) id: String,
    pub(super) status: TaskStatus,
    pub(super) message: Option<String>,
    pub(super) terms: TaskTerms,
    /// What the server wants to know, by names of its own.
    pub(super) requests: Option<RawBuf>,
    pub(super) result: Option<RawBuf>,
    pub(super) error: Option<RawBuf>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Described<'a> {
    task_id: String,
    status: TaskStatus,
    #[serde(default)]
    status_message: Option<String>,
    // Some servers say these under the names of both eras, so they are no aliases.
    #[serde(default)]
    ttl: Option<f64>,
    #[serde(default)]
    ttl_ms: Option<f64>,
    #[serde(default)]
    poll_interval: Option<f64>,
    #[serde(default)]
    poll_interval_ms: Option<f64>,
    #[serde(borrow, default)]
    input_requests: Option<&'a RawValue>,
    #[serde(borrow, default)]
    result: Option<&'a RawValue>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
}

impl ServerTask {
    /// Reads the result with which a modern server says that it has made a task, or how far one is.
    pub(super) fn of_modern(result: &RawBuf) -> Result<Self, Failure> {
        Self::read(result.get())
    }

    /// Whether `result`, of a session's server that was asked for a task, says that there is one.
    pub(super) fn is_in(result: &RawBuf) -> bool {
        let member = |name| result.as_raw().member(name);
        !matches!((member("task"), member("content")), (Ok(None), Ok(Some(_))))
    }

    /// Reads the result with which a session's server says that it has made a task.
    pub(super) fn of_session(result: &RawBuf) -> Result<Self, Failure> {
        let task = result.as_raw().member("task").ok().flatten().ok_or_else(unclear)?;
        Self::read(task.get())
    }

    /// Reads what a server says of a task.
    pub(super) fn read(described: &str) -> Result<Self, Failure> {
        let described: Described<'_> = serde_json::from_str(described).map_err(|_| unclear())?;
        if described.task_id.is_empty() || described.task_id.len() > MAX_ID_BYTES {
            return Err(unclear());
        }
        let object = |raw: Option<&RawValue>| {
            let object = raw.filter(|raw| raw.get().starts_with('{'));
            object.and_then(|raw| RawBuf::read(raw.get()).ok())
        };
        Ok(Self {
            id: described.task_id,
            status: described.status,
            message: described.status_message,
            terms: TaskTerms {
                ttl: millis(described.ttl_ms.or(described.ttl)),
                poll: millis(described.poll_interval_ms.or(described.poll_interval)),
            },
            requests: object(described.input_requests),
            result: object(described.result),
            error: object(described.error),
        })
    }
}

/// A number of milliseconds; none for one that is no duration.
fn millis(number: Option<f64>) -> Option<Duration> {
    Duration::try_from_secs_f64(number? / 1_000.0).ok()
}

fn unclear() -> Failure {
    Failure::Malformed("a task that cannot be read".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> String {
        match ServerTask::read(text) {
            Ok(task) => format!("{task:?}"),
            Err(failure) => format!("{failure:?}"),
        }
    }

    #[test]
    fn a_task_is_read_under_the_names_of_both_eras() {
        let cases = [
            r#"{"taskId":"t-1","status":"working","createdAt":"x","lastUpdatedAt":"x","ttl":60000,"pollInterval":500}"#,
            r#"{"resultType":"task","taskId":"t-1","status":"working","statusMessage":"half","ttlMs":null,"pollIntervalMs":200}"#,
            r#"{"taskId":"t-1","status":"input_required","ttlMs":1,"inputRequests":{"a":{"method":"roots/list"}}}"#,
            r#"{"taskId":"t-1","status":"completed","ttlMs":1,"result":{"content":[]}}"#,
            r#"{"taskId":"t-1","status":"failed","ttlMs":-1,"error":{"code":-32603,"message":"no"}}"#,
        ];
        insta::assert_snapshot!(cases.map(read).join("\n"));
    }

    #[test]
    fn what_is_no_task_is_an_offence() {
        let long = format!(r#"{{"taskId":"{}","status":"working"}}"#, "t".repeat(MAX_ID_BYTES + 1));
        for case in [
            "{}",
            r#"{"taskId":7,"status":"working"}"#,
            r#"{"taskId":"","status":"working"}"#,
            r#"{"taskId":"t","status":"later"}"#,
            r#"{"taskId":"t","taskId":"u","status":"working"}"#,
            &long,
        ] {
            assert!(ServerTask::read(case).is_err_and(|failure| failure.is_offence()), "{case}");
        }
        let result = RawBuf::read(r#"{"content":[]}"#).expect("JSON");
        assert!(ServerTask::of_session(&result).is_err());
    }
}
