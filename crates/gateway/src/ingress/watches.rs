//! The resources whose changes a client wants to hear of.
//!
//! Invariants:
//! - Nobody hears of a resource that they may not read, also when that came to be so later.
//! - Their number is bounded, for a client and for a principal with all its clients, and what is not watched any more is let go at once.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::future::select_all;
use quaymaster_core::{CallError, Caller, ErrorCode};
use tokio::sync::Notify;

use super::allowance::Share;
use super::call::ToolCall;
use super::door::{Door, Watch};
use super::front::{Front, Origin};
use super::refusal::Refusal;

/// How many resources one client may watch.
const MAX_WATCHED: usize = 100;

/// What one client watches.
#[derive(Debug, Default)]
pub(super) struct Watches {
    held: Mutex<BTreeMap<String, Held>>,
    changed: Notify,
}

impl Watches {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to watch what `origin` asks for, within what it may watch.
    ///
    /// # Errors
    ///
    /// `-32602` if there is no such resource for it, `gateway.overloaded` if too many are watched,
    /// `audit.unavailable` if that cannot be recorded.
    pub(super) async fn add<D: Door>(
        &self,
        front: &Front<D>,
        origin: Origin,
        uri: &str,
    ) -> Result<(), Refusal> {
        if !self.has_room(uri)? {
            return Ok(());
        }
        let allowance = &front.allowances.watches;
        let share = allowance.take(&origin.actor.id, 1).ok_or_else(|| {
            let most = allowance.each();
            Refusal::overloaded(format!("{most} resources are watched in all sessions: let one go"))
        })?;
        let request = front.request(ToolCall::to_read(uri)?, origin);
        let door = Arc::clone(&front.door);
        // Its records are written whether the client stays or not.
        let watch = front.haven.take(async move { door.begin_watch(request).await }).await;
        let watch = watch.unwrap_or_else(|| Err(CallError::new(ErrorCode::GatewayInternal, "")));
        let watch = watch.map_err(refused)?;
        // Another request may have come first meanwhile.
        if self.has_room(uri)? {
            let held = Held { version: watch.version(), watch, _share: share };
            self.lock().insert(uri.to_owned(), held);
            self.changed.notify_one();
        }
        Ok(())
    }

    /// Whether `uri` is not watched yet, and may be.
    fn has_room(&self, uri: &str) -> Result<bool, Refusal> {
        let held = self.lock();
        if held.contains_key(uri) {
            return Ok(false);
        }
        if held.len() >= MAX_WATCHED {
            return Err(Refusal::overloaded(format!("{MAX_WATCHED} resources are watched: let one go")));
        }
        Ok(true)
    }

    /// Whether nothing is watched.
    pub(super) fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// Watches `uri` no more.
    pub(super) fn remove(&self, uri: &str) {
        self.lock().remove(uri);
        self.changed.notify_one();
    }

    /// Waits until one of the resources has changed, and says which; for ever, if none is watched.
    pub(super) async fn next<D: Door>(&self, door: &D, actor: &Caller) -> String {
        let mut plane = door.changes();
        loop {
            let addresses: Vec<String> = self.lock().keys().cloned().collect();
            // Asked for anew each time: who may read it, and where it is, may have changed.
            let mut watches: Vec<Watch> = addresses.iter().filter_map(|uri| door.watch(actor, uri)).collect();
            self.follow(door, actor, &watches);
            if let Some(uri) = self.news(&watches) {
                return uri;
            }
            let moved = async {
                // Without a sender nothing changes any more.
                if plane.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            };
            if watches.is_empty() {
                tokio::select! {
                    () = self.changed.notified() => {}
                    () = moved => {}
                }
                continue;
            }
            let told = select_all(watches.iter_mut().map(|watch| Box::pin(watch.changed())));
            tokio::select! {
                () = self.changed.notified() => {}
                () = moved => {}
                _ = told => {}
            }
        }
    }

    /// Holds on to the connectors that have the resources now: one that was made anew has
    /// another count of changes, of which none was missed yet.
    fn follow<D: Door>(&self, door: &D, actor: &Caller, watches: &[Watch]) {
        let mut held = self.lock();
        for watch in watches {
            if let Some(held) = held.get_mut(watch.uri()).filter(|held| !held.watch.is_same(watch))
                && let Some(now) = door.watch(actor, watch.uri())
            {
                (held.version, held.watch) = (watch.version(), now);
            }
        }
    }

    /// A resource that has changed since it was last told of.
    fn news(&self, watches: &[Watch]) -> Option<String> {
        let mut held = self.lock();
        watches.iter().find_map(|watch| {
            let seen = held.get_mut(watch.uri())?;
            (std::mem::replace(&mut seen.version, watch.version()) != watch.version())
                .then(|| watch.uri().to_owned())
        })
    }
}

/// What a client is told of a watch that was refused, and recorded as such.
fn refused(error: CallError) -> Refusal {
    let refusal = match error.code {
        ErrorCode::GatewayOverloaded => Refusal::overloaded(error.public_message),
        ErrorCode::AuditUnavailable => Refusal::unrecorded(error.public_message),
        // Whether there is one that it may not watch is nobody's business.
        _ => {
            Refusal::invalid_params("there is no such resource, or it cannot be watched: see resources/list")
        }
    };
    refusal.noted()
}

/// A resource that is watched, and up to which change it was told of.
#[derive(Debug)]
struct Held {
    version: u64,
    watch: Watch,
    _share: Share,
}
