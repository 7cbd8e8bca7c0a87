//! What a process that serves knows of the switches, and how old that is.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use quaymaster_core::{CallError, CallId, Clock};
use quaymaster_store::Store;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::running::{Called, Register, Running};
use super::{IncidentError, Switch, standing};

/// How often the store is looked at while calls run.
pub const LOOK: Duration = Duration::from_millis(40);
/// How old what is known may be for a call that begins.
pub const FRESH: Duration = Duration::from_millis(80);
/// How often the store is looked at while none do, for those who read metrics.
const IDLE: Duration = Duration::from_secs(5);

/// The switches of an installation, as a process that serves knows them.
#[derive(Debug)]
pub struct Incidents {
    store: Store,
    clock: Arc<dyn Clock>,
    known: RwLock<Known>,
    /// One look at a time: who comes meanwhile has what it brings.
    looking: tokio::sync::Mutex<()>,
    register: Arc<Register>,
    entered: Notify,
}

#[derive(Clone, Debug, Default)]
struct Known {
    /// The store's version and when it was asked for.
    seen: Option<(u64, Instant)>,
    switches: Arc<[Switch]>,
}

impl Known {
    fn is_fresh(&self) -> bool {
        self.seen.is_some_and(|(_, at)| at.elapsed() <= FRESH)
    }

    /// Whether it was asked for after `moment`, however long the answer took.
    fn is_newer_than(&self, moment: Instant) -> bool {
        self.seen.is_some_and(|(_, at)| at >= moment)
    }
}

impl Incidents {
    /// The switches in `store`. Nothing is read yet.
    pub fn new(store: Store, clock: Arc<dyn Clock>) -> Self {
        Self {
            store,
            clock,
            known: RwLock::default(),
            looking: tokio::sync::Mutex::default(),
            register: Arc::default(),
            entered: Notify::new(),
        }
    }

    /// Follows the store until `stop`, and cancels what a new switch wants to end.
    pub async fn follow(self: Arc<Self>, stop: CancellationToken) {
        let mut failed = false;
        while !stop.is_cancelled() {
            let idle = self.register.is_empty();
            tokio::select! {
                () = stop.cancelled() => return,
                () = sleep(if idle { IDLE } else { LOOK }) => {}
                () = self.entered.notified(), if idle => sleep(LOOK).await,
            }
            match self.look().await {
                Ok(()) => failed = false,
                // Calls find out for themselves, so it is told once.
                Err(error) if !failed => {
                    failed = true;
                    tracing::error!(event = "incident.look", %error, "incident switches cannot be read");
                }
                Err(_) => {}
            }
        }
    }

    /// How many switches stand, as far as this process knows.
    pub fn count(&self) -> usize {
        let now = self.clock.now();
        self.known().switches.iter().filter(|switch| switch.until > now).count()
    }

    /// The switches that stand, as far as this process knows: while no call runs, that may be some
    /// seconds old. For what is told, not for what is decided.
    pub fn standing_as_known(&self) -> Vec<Switch> {
        let (known, now) = (self.known(), self.clock.now());
        known.switches.iter().filter(|switch| switch.until > now).cloned().collect()
    }

    /// Reads the store, unless what is known is [fresh](FRESH).
    pub(super) async fn refresh(&self) -> Result<(), CallError> {
        if !self.known().is_fresh() {
            Box::pin(self.look_again()).await?;
        }
        Ok(())
    }

    /// Enters a call among those that run, unless a switch stands against it.
    pub(crate) async fn enter(
        &self,
        id: CallId,
        called: Called,
    ) -> Result<Running, (CallError, Option<Switch>)> {
        // First entered, then looked at: a switch that comes between finds it.
        let running = self.register.enter(id, called);
        self.entered.notify_one();
        match self.against(running.called()).await {
            Ok(None) => Ok(running),
            Ok(Some(switch)) => Err((switch.refusal(), Some(switch))),
            Err(error) => Err((error, None)),
        }
    }

    /// The switch that stands against a call, if one does.
    pub(crate) async fn against(&self, called: &Called) -> Result<Option<Switch>, CallError> {
        self.refresh().await?;
        let (known, now) = (self.known(), self.clock.now());
        let stands = |switch: &&Switch| switch.until > now && switch.target.stops(called);
        Ok(known.switches.iter().find(stands).cloned())
    }

    /// Reads what is newer than this moment, unless somebody else does: so a crowd looks twice and not
    /// in a row, also where the store takes longer than what is known is fresh.
    async fn look_again(&self) -> Result<(), IncidentError> {
        let came = Instant::now();
        let _one = self.looking.lock().await;
        if self.known().is_newer_than(came) { Ok(()) } else { self.read().await }
    }

    async fn look(&self) -> Result<(), IncidentError> {
        let _one = self.looking.lock().await;
        self.read().await
    }

    /// Reads what has changed. What is read is at least as new as the version that it is kept under.
    async fn read(&self) -> Result<(), IncidentError> {
        let begun = Instant::now();
        let version = self.store.incident_version().await?;
        let before = self.known();
        let changed = before.seen.is_none_or(|(seen, _)| seen != version);
        let switches = if changed {
            standing(&self.store, self.clock.as_ref()).await?.into()
        } else {
            Arc::clone(&before.switches)
        };
        let known = Known { seen: Some((version, begun)), switches: Arc::clone(&switches) };
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = known;
        if changed {
            self.cancel_what_is_new(&before.switches, &switches);
        }
        Ok(())
    }

    fn cancel_what_is_new(&self, before: &[Switch], now: &[Switch]) {
        for switch in now.iter().filter(|switch| !before.iter().any(|other| other.id == switch.id)) {
            let cancelled = if switch.cancels { self.register.cancel(switch) } else { 0 };
            tracing::warn!(event = "incident.stopped", incident = %switch.id, until = %switch.until, cancelled, "an incident switch stands");
        }
        for switch in before.iter().filter(|switch| !now.iter().any(|other| other.id == switch.id)) {
            tracing::warn!(event = "incident.lifted", incident = %switch.id, "an incident switch stands no more");
        }
    }

    fn known(&self) -> Known {
        self.known.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
