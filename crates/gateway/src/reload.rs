//! Following what changes while the gateway runs: its configuration, and the
//! tools of its upstreams.
//!
//! Invariants:
//! - What cannot be put to work changes nothing. The old plane goes on serving, the refusal is
//!   logged and in the audit.
//! - A plane is made beside the threads that serve: thousands of policies take a while.

use std::future::pending;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use quaymaster_control::Evidence;
use quaymaster_control::audit::{AuditError, Event};
use tokio::sync::mpsc;
use tokio::task::{JoinError, spawn_blocking};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::assembly::{Drift, Fleet, Told};
use crate::config::{Change, Diagnostics, Loaded, Reload, SecretCheck, Settings, Severity, Style, watch};
use crate::gateway::{AtWork, Gateway, assemble, record_config};
use crate::integrity::noted;
use crate::plane::Plane;

/// How often the configuration folder is looked at.
const INTERVAL: Duration = Duration::from_secs(1);

/// After which a configuration is read again that could not be recorded.
const AGAIN: Duration = Duration::from_secs(5);

/// Why a configuration was not put to work.
#[derive(Debug)]
enum Held {
    /// It is not valid.
    Invalid(Diagnostics),
    /// The audit log did not take it; it may later.
    Unrecorded(AuditError),
}

impl From<Diagnostics> for Held {
    fn from(found: Diagnostics) -> Self {
        Self::Invalid(found)
    }
}

/// Requests to read the configuration again. None is lost: one that comes before
/// the configuration is followed is passed on when it is.
#[derive(Debug, Default)]
pub(crate) struct Requests(Mutex<Listener>);

#[derive(Debug)]
enum Listener {
    NotYet { asked: bool },
    Watcher(Reload),
}

impl Default for Listener {
    fn default() -> Self {
        Self::NotYet { asked: false }
    }
}

impl Requests {
    pub(crate) fn now(&self) {
        match &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            Listener::NotYet { asked } => *asked = true,
            Listener::Watcher(reload) => reload.now(),
        }
    }

    /// From here on, requests go to `reload`.
    pub(crate) fn pass_to(&self, reload: Reload) {
        let mut listener = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(*listener, Listener::NotYet { asked: true }) {
            reload.now();
        }
        *listener = Listener::Watcher(reload);
    }
}

/// Who follows the upstreams of the configuration at work.
#[derive(Debug, Default)]
pub(crate) struct Followers {
    tasks: TaskTracker,
    generation: Mutex<CancellationToken>,
    /// How many changes of tools were told, and how many of them a plane was made for.
    told: AtomicU64,
    taken: AtomicU64,
}

/// Watches the configuration folder of `gateway` until it is dropped or stopped.
pub(crate) fn follow_configuration(gateway: &Arc<Gateway>) {
    let loaded = gateway.at_work().loaded;
    let (changes, reload) =
        watch(loaded.folder.clone(), loaded.digest.clone(), SecretCheck::Resolve, INTERVAL);
    tokio::spawn(take_changes(Arc::downgrade(gateway), changes));
    gateway.requests.pass_to(reload);
}

async fn take_changes(gateway: Weak<Gateway>, mut changes: mpsc::Receiver<Change>) {
    let Some(stopped) = gateway.upgrade().map(|g| g.stopped.clone()) else { return };
    loop {
        let change = tokio::select! {
            change = changes.recv() => change,
            () = stopped.cancelled() => return,
        };
        match (change, gateway.upgrade()) {
            (Some(change), Some(gateway)) => take_change(&gateway, change).await,
            _ => return,
        }
    }
}

async fn take_change(gateway: &Arc<Gateway>, change: Change) {
    let _one_at_a_time = gateway.changing.lock().await;
    let applied = match change.outcome {
        Ok(loaded) => apply(gateway, loaded, change.asked).await,
        Err(found) => Err(found.into()),
    };
    match applied {
        Ok(()) => {}
        Err(Held::Invalid(found)) => refuse(gateway, &found, &change.digest).await,
        Err(Held::Unrecorded(error)) => {
            tracing::error!(
                event = "audit.config",
                digest = change.digest,
                %error,
                "a configuration that cannot be recorded is not put to work; it is read again soon"
            );
            ask_again(gateway, AGAIN);
        }
    }
}

/// Has the configuration read again after `wait`, as the watcher tells each change once.
fn ask_again(gateway: &Arc<Gateway>, wait: Duration) {
    let (stopped, gateway) = (gateway.stopped.clone(), Arc::downgrade(gateway));
    tokio::spawn(async move {
        if tokio::time::timeout(wait, stopped.cancelled()).await.is_err()
            && let Some(gateway) = gateway.upgrade()
        {
            gateway.reload_now();
        }
    });
}

async fn refuse(gateway: &Gateway, found: &Diagnostics, digest: &str) {
    let rendered = found.render(Style::Plain);
    tracing::error!(
        event = "config.refused",
        digest,
        "the configuration is not valid; the old one goes on\n{rendered}"
    );
    let evidence = &gateway.plane().evidence;
    let error = found.iter().find(|problem| problem.severity == Severity::Error);
    let code = error.map_or("config.invalid", |first| first.code.as_str());
    if let Err(error) = record_config(evidence, (Event::ConfigRefused, Some(code)), digest).await {
        tracing::error!(event = "audit.config", %error, "a refused configuration could not be recorded");
    }
}

/// Puts a configuration to work, all of it or nothing.
///
/// Whoever asked for it may have rotated a secret, which no file shows: then
/// every connector that uses one is made anew.
async fn apply(gateway: &Arc<Gateway>, loaded: Loaded, asked: bool) -> Result<(), Held> {
    let loaded = Arc::new(loaded);
    let before = gateway.at_work();
    let kept = if asked { before.fleet.without_secrets(&loaded) } else { before.fleet.clone() };
    warn_of_restart(&before.loaded.settings, &loaded.settings);
    let fleet = Fleet::build(&loaded, &kept, &loaded.secrets(), &gateway.state.clock)?;
    fleet.start().await;
    // From here on, so that what changes while the plane is made is not missed.
    let tools = fleet.follow();
    let evidence = Evidence { config: gateway.state.config_version(), ..gateway.plane().evidence.clone() };
    let plane = match assembled(gateway, (&loaded, &fleet), Drift::Refuse, evidence).await {
        Ok(plane) => plane,
        Err(found) => {
            fleet.stop_except(&before.fleet).await;
            return Err(found.into());
        }
    };
    if let Err(error) = record_config(&plane.evidence, (Event::ConfigApplied, None), &loaded.digest).await {
        fleet.stop_except(&before.fleet).await;
        return Err(Held::Unrecorded(error));
    }
    tracing::info!(event = "config.applied", digest = loaded.digest, "a new configuration is at work");
    gateway.put_to_work(plane).await;
    let now = AtWork { loaded, fleet: fleet.clone() };
    *gateway.at_work.lock().unwrap_or_else(PoisonError::into_inner) = now;
    follow_upstreams(gateway, tools);
    gateway.retired.stop(before.fleet, fleet);
    Ok(())
}

/// [`assemble`], beside the threads that serve.
async fn assembled(
    gateway: &Arc<Gateway>,
    (loaded, fleet): (&Arc<Loaded>, &Fleet),
    drift: Drift,
    evidence: Evidence,
) -> Result<Plane, Diagnostics> {
    let offered = noted(&gateway.state, loaded, fleet.declarations()).await;
    let (gateway, loaded, fleet) = (Arc::clone(gateway), Arc::clone(loaded), fleet.clone());
    let work = spawn_blocking(move || assemble(&gateway.state, (&loaded, &fleet), offered, drift, evidence));
    match work.await.map_err(JoinError::try_into_panic) {
        Ok(made) => made,
        Err(Ok(panic)) => resume_unwind(panic),
        // The runtime has ended, and with it whoever waits here.
        Err(Err(_)) => pending().await,
    }
}

/// What is opened once cannot be changed under way.
fn warn_of_restart(before: &Settings, after: &Settings) {
    let fixed = [
        ("listen", before.listen == after.listen),
        ("store", before.store == after.store),
        ("dataFolder", before.data_folder == after.data_folder),
        ("audit", before.audit == after.audit),
    ];
    for (section, _) in fixed.iter().filter(|(_, same)| !same) {
        tracing::warn!(
            event = "config.restart",
            section,
            "this section changed and takes effect at the next start"
        );
    }
}

/// Makes a new plane whenever the tools of `upstreams` change, and tells of what they announce.
/// Whoever followed before ends.
pub(crate) fn follow_upstreams(gateway: &Arc<Gateway>, upstreams: Vec<Told>) {
    let generation = gateway.stopped.child_token();
    {
        let mut current = gateway.followers.generation.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *current, generation.clone()).cancel();
    }
    for Told { mut tools, mut announced } in upstreams {
        let (generation, follower) = (generation.clone(), Arc::downgrade(gateway));
        gateway.followers.tasks.spawn(async move {
            let mut changed = async || {
                tokio::select! {
                    biased;
                    changed = tools.changed() => changed.map(|()| true),
                    changed = announced.changed() => changed.map(|()| false),
                }
            };
            while let Some(Ok(has_other_tools)) = generation.run_until_cancelled(changed()).await {
                let Some(gateway) = follower.upgrade() else { return };
                if has_other_tools {
                    take_tools(&gateway).await;
                } else {
                    gateway.look_again();
                }
            }
        });
    }
}

/// Makes a new plane, unless one was made since the change: many that come together need one.
async fn take_tools(gateway: &Arc<Gateway>) {
    let Followers { told, taken, .. } = &gateway.followers;
    let own = told.fetch_add(1, Ordering::SeqCst) + 1;
    let _one_at_a_time = gateway.changing.lock().await;
    if taken.load(Ordering::SeqCst) >= own {
        return;
    }
    taken.store(told.load(Ordering::SeqCst), Ordering::SeqCst);
    let AtWork { loaded, fleet } = gateway.at_work();
    let evidence = gateway.plane().evidence.clone();
    match assembled(gateway, (&loaded, &fleet), Drift::Hide, evidence).await {
        Ok(plane) => {
            tracing::info!(event = "catalogue.changed", "an upstream's tools changed");
            gateway.put_to_work(plane).await;
        }
        Err(found) => {
            let rendered = found.render(Style::Plain);
            tracing::error!(
                event = "catalogue.refused",
                "an upstream's tools changed and no longer fit the policies; the old ones go on\n{rendered}"
            );
        }
    }
}

#[cfg(test)]
mod tests;
