//! How a session's client waits for what comes of its task.
//!
//! Until the task has ended, the client is asked what the task wants to know. A wait is
//! no call: when its client leaves, it is dropped, and the task goes on.
//!
//! Invariants:
//! - A wait asks for each thing once, however often the task changes meanwhile.
//! - What somebody else has answered is no longer asked.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt as _};
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use quaymaster_core::{InputPort as _, NoInput, RawBuf, Reply};
use tokio::time::sleep;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::state::{State, Task};
use super::view;
use crate::ingress::question::QuestionQueue;

/// After how long a client that had too many questions open is asked again.
const AGAIN: Duration = Duration::from_secs(1);

/// What a client said when it was asked something; none if it is no longer asked.
type Said = Option<Result<RawBuf, NoInput>>;

/// What one wait has asked.
#[derive(Default)]
struct Asking {
    /// By name. Dropping one ends the asking.
    asked: HashMap<String, DropGuard>,
    unanswered: FuturesUnordered<BoxFuture<'static, (String, Said)>>,
}

impl Task {
    /// Waits for what came of it, for a session's client: until then it is asked through `port`
    /// what the task wants to know.
    pub(super) async fn outcome(&self, port: Option<Arc<QuestionQueue>>) -> Reply {
        let mut changes = self.changes();
        let mut asking = Asking::default();
        loop {
            changes.mark_unchanged();
            {
                let state = self.state.lock();
                if let Some(reply) = &state.reply {
                    return view::with_related_task(reply, &self.handle);
                }
                if let Some(port) = &port {
                    asking.ask(port, &state, &self.handle);
                }
            }
            tokio::select! {
                Some((name, said)) = asking.unanswered.next() => match said {
                    Some(Ok(answers)) => self.inform(answers.as_raw()),
                    Some(Err(NoInput::Declined)) => self.decline(&name),
                    // Who cannot be asked here may be asked elsewhere.
                    Some(Err(_)) | None => {}
                },
                _ = changes.changed() => {}
            }
        }
    }
}

impl Asking {
    /// Asks for what is new, and no longer for what has been answered.
    fn ask(&mut self, port: &Arc<QuestionQueue>, state: &State, handle: &str) {
        self.asked.retain(|name, _| view::unanswered(state).any(|open| open.name == *name));
        for open in view::unanswered(state) {
            let Entry::Vacant(place) = self.asked.entry(open.name.clone()) else { continue };
            let Some(request) = view::for_session(open, handle) else { continue };
            let ended = CancellationToken::new();
            place.insert(ended.clone().drop_guard());
            let (port, name) = (Arc::clone(port), open.name.clone());
            let said = async move {
                let said = ended.run_until_cancelled(insist(&port, request)).await;
                (name, said)
            };
            self.unanswered.push(said.boxed());
        }
    }
}

/// Asks; where there is no room, again when there may be.
async fn insist(port: &QuestionQueue, request: RawBuf) -> Result<RawBuf, NoInput> {
    loop {
        match port.ask(request.clone()).await {
            Err(NoInput::Overloaded) => sleep(AGAIN).await,
            said => return said,
        }
    }
}
