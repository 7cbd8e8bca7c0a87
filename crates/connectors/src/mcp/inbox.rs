//! What an upstream tells without being asked.
//!
//! Progress goes to the call that it belongs to; a changed list of tools is
//! noted for the supervisor; anything else is not for us.
//!
//! Invariant: the text of a progress report stays here. It is content of the
//! upstream, and content leaves through release alone; what passes is how far a
//! call got, in numbers.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use quaymaster_core::{Progress, ProgressSink, Raw};
use serde::Deserialize;
use serde_json::Number;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::announced::{EachList, ListKind};
use super::conduct::Unasked;
use super::followed::Followed;
use super::watching::Watched;

/// What one connection's messages that are no answers have told.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    list_changed: Notify,
    /// Of which lists the server said so, since it was last asked.
    announced: Mutex<EachList<bool>>,
    unasked: Unasked,
    watched: Arc<Watched>,
    followed: Arc<Followed>,
}

impl Inbox {
    /// One that tells who watches a resource that it has changed, of a server whose tasks are `followed`.
    pub(super) fn telling(watched: Arc<Watched>, followed: Arc<Followed>) -> Self {
        Self { watched, followed, ..Self::default() }
    }

    /// The tasks that the server may speak of.
    pub(super) fn followed(&self) -> Arc<Followed> {
        Arc::clone(&self.followed)
    }

    /// Takes a notification. `sink` gives who waits for the progress of a request of ours, by its id.
    pub(super) fn take(
        &self,
        method: &str,
        params: Option<Raw<'_>>,
        sink: impl FnOnce(u64) -> Option<Arc<dyn ProgressSink>>,
    ) {
        self.unasked.count(Instant::now());
        match method {
            "notifications/progress" => {
                if let Some((token, progress)) = params.and_then(progress)
                    && let Some(sink) = sink(token)
                {
                    sink.report(progress);
                }
            }
            "notifications/tasks/status" => self.followed.hint(params),
            "notifications/resources/updated" => self.watched.updated(params),
            _ => {
                if let Some(kind) = ListKind::announced_by(method) {
                    *self.announced().of(kind) = true;
                    self.list_changed.notify_one();
                }
            }
        }
    }

    /// Waits until the server says that its tools have changed, or returns at
    /// once if it said so since this was last called.
    pub(super) async fn list_changed(&self) {
        self.list_changed.notified().await;
    }

    /// Of which lists the server said that they have changed, since this was last called.
    pub(super) fn take_announced(&self) -> EachList<bool> {
        std::mem::take(&mut *self.announced())
    }

    fn announced(&self) -> MutexGuard<'_, EachList<bool>> {
        self.announced.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the server sends without being asked.
    pub(super) fn unasked(&self) -> &Unasked {
        &self.unasked
    }

    /// Notes that the server may have told of changes while nobody listened.
    pub(super) fn missed_something(&self) {
        self.suspect_list();
        self.watched.all_updated();
    }

    /// Notes that the list of tools should be read again.
    pub(super) fn suspect_list(&self) {
        self.list_changed.notify_one();
    }
}

fn progress(params: Raw<'_>) -> Option<(u64, Progress)> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Params {
        progress_token: u64,
        progress: Number,
        #[serde(default)]
        total: Option<Number>,
    }
    let params: Params = serde_json::from_str(params.get()).ok()?;
    let progress = Progress { progress: params.progress, total: params.total, message: None };
    Some((params.progress_token, progress))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default)]
    struct Seen(Mutex<Vec<Progress>>);

    impl ProgressSink for Seen {
        fn report(&self, progress: Progress) {
            self.0.lock().expect("no panic").push(progress);
        }
    }

    #[test]
    fn progress_reaches_its_own_call_as_numbers_alone() {
        let (inbox, seen) = (Inbox::default(), Arc::new(Seen::default()));
        for params in [
            r#"{"progressToken":7,"progress":1,"total":4,"message":"reading ada@example.test"}"#,
            r#"{"progressToken":8,"progress":2}"#,
            r#"{"progressToken":"7","progress":3}"#,
            r#"{"progressToken":7,"progress":"3"}"#,
            r#"{"progress":3}"#,
        ] {
            let params = Raw::read(params).expect("JSON");
            inbox.take("notifications/progress", Some(params), |token| {
                (token == 7).then(|| Arc::clone(&seen) as Arc<dyn ProgressSink>)
            });
        }
        let expected = Progress { progress: 1.into(), total: Some(4.into()), message: None };
        assert_eq!(*seen.0.lock().expect("no panic"), [expected]);
    }
}
