//! The calls that run, so that a switch can cancel them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use quaymaster_catalog::Call;
use quaymaster_core::setting::Slug;
use quaymaster_core::{ActorId, CallId, CallRequest, Effect, SessionId, Workspace};
use tokio_util::sync::CancellationToken;

use super::Switch;

/// What of a call a switch can look at.
#[derive(Clone, Debug)]
pub(crate) struct Called {
    pub(crate) tool: Arc<str>,
    pub(crate) connector: Option<Slug>,
    pub(crate) actor: ActorId,
    pub(crate) person: ActorId,
    pub(crate) sessions: Vec<Arc<str>>,
    pub(crate) workspace: Workspace,
    pub(crate) writes: bool,
}

impl Called {
    pub(crate) fn of(call: &Call) -> Self {
        let tool = call.tool();
        Self {
            tool: tool.name().to_shared(),
            connector: Some(tool.declaration().connector.clone()),
            writes: tool.effect() != Effect::Read,
            ..Self::by(call.request())
        }
    }

    /// Whoever asks, for something that is of no connector.
    pub(crate) fn by(request: &CallRequest) -> Self {
        let agent = &request.agent;
        let claimed = [&agent.session, &agent.thread, &agent.parent_thread].into_iter().flatten();
        let own = request.session.iter().map(SessionId::to_shared);
        Self {
            tool: request.tool.as_str().into(),
            connector: None,
            actor: request.actor.id.clone(),
            person: request.actor.person().clone(),
            sessions: own.chain(claimed.map(|text| text.as_str().into())).collect(),
            workspace: request.actor.workspace.clone(),
            writes: false,
        }
    }

    pub(super) fn is_by(&self, actor: &str) -> bool {
        self.actor.as_str() == actor || self.person.as_str() == actor
    }

    pub(super) fn is_of(&self, session: &str) -> bool {
        self.sessions.iter().any(|own| **own == *session)
    }
}

/// A call that runs.
#[derive(Debug)]
struct Entry {
    called: Called,
    cancel: CancellationToken,
    stopped: OnceLock<Switch>,
}

/// All calls of this process that run.
#[derive(Debug, Default)]
pub(super) struct Register(Mutex<HashMap<CallId, Arc<Entry>>>);

/// The place of a call in the register; given back when dropped.
#[derive(Debug)]
pub(crate) struct Running {
    register: Arc<Register>,
    id: CallId,
    entry: Arc<Entry>,
}

impl Register {
    pub(super) fn enter(self: &Arc<Self>, id: CallId, called: Called) -> Running {
        let entry = Arc::new(Entry { called, cancel: CancellationToken::new(), stopped: OnceLock::new() });
        self.entries().insert(id.clone(), Arc::clone(&entry));
        Running { register: Arc::clone(self), id, entry }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries().is_empty()
    }

    /// Cancels every call that `switch` is for; how many that were.
    pub(super) fn cancel(&self, switch: &Switch) -> usize {
        let matching: Vec<Arc<Entry>> =
            self.entries().values().filter(|entry| switch.target.stops(&entry.called)).cloned().collect();
        for entry in &matching {
            // The first switch is the one that is told.
            let _ = entry.stopped.set(switch.clone());
            entry.cancel.cancel();
        }
        matching.len()
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<CallId, Arc<Entry>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Running {
    pub(super) fn called(&self) -> &Called {
        &self.entry.called
    }

    /// Cancelled when a switch wants this call to end.
    pub(crate) fn cancel(&self) -> &CancellationToken {
        &self.entry.cancel
    }

    /// The switch that wants this call to end, if one does.
    pub(crate) fn stopped_by(&self) -> Option<&Switch> {
        self.entry.stopped.get()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.register.entries().remove(&self.id);
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::incident::Target;
    use quaymaster_core::clock::FixedClock;
    use quaymaster_core::random::CountingRandomness;
    use quaymaster_core::{IncidentId, Timestamp};

    pub(crate) fn called() -> Called {
        let actor = |name: &str| ActorId::parse(name).expect("a name");
        let slug = |name: &str| Slug::parse(name).expect("a name");
        Called {
            tool: "crm_refund".into(),
            connector: Some(slug("crm")),
            actor: actor("bot@example.test"),
            person: actor("ada@example.test"),
            sessions: vec!["ses_1".into(), "thread-1".into()],
            workspace: slug("sales"),
            writes: true,
        }
    }

    #[test]
    fn a_switch_cancels_the_calls_that_it_is_for_and_who_left_takes_no_room() {
        let (clock, chance) = (FixedClock::new(Timestamp::from_micros(0)), CountingRandomness::default());
        let register = Arc::new(Register::default());
        let write = register.enter(CallId::new(&clock, &chance), called());
        let read = register.enter(CallId::new(&clock, &chance), Called { writes: false, ..called() });
        let switch = Switch {
            id: IncidentId::new(&clock, &chance),
            target: Target { writes: true, ..Target::default() },
            reason: "a test".into(),
            made_by: "mo".into(),
            cancels: true,
            made: Timestamp::from_micros(0),
            until: Timestamp::from_micros(1),
        };
        assert_eq!(register.cancel(&switch), 1);
        assert!(write.cancel().is_cancelled() && write.stopped_by() == Some(&switch));
        assert!(!read.cancel().is_cancelled() && read.stopped_by().is_none());
        drop((write, read));
        assert!(register.is_empty());
    }
}
