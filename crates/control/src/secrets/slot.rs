//! One secret as it is kept: for how long it is used, and who asks for it again.
//!
//! Invariants:
//! - Who takes a value never waits: a value that is due is asked for aside and used meanwhile, up to the
//!   bound for stale ones; then there is none.
//! - A source is asked by one at a time, and everybody who waits has that answer. For a value that
//!   somebody refused it is asked at most every [`BETWEEN_REFUSALS`], after a failure at most every
//!   [`AFTER_FAILURE`].
//! - A source that says that there is no such secret any more ends its use.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use quaymaster_core::{LiveSecret, Renewal, SecretError, SecretValue, Timestamp};
use secrecy::ExposeSecret as _;
use tokio::sync::Mutex;

use super::outside;
use super::sources::{Fetched, Sources};

/// How long a source is left alone that was asked because a value was refused.
pub(super) const BETWEEN_REFUSALS: Duration = Duration::from_secs(10);
/// How long a source is left alone that failed.
pub(super) const AFTER_FAILURE: Duration = Duration::from_secs(3);

/// One secret.
#[derive(Debug)]
pub(super) struct Slot {
    name: String,
    sources: Arc<Sources>,
    held: ArcSwapOption<Held>,
    /// Whether it is being asked for aside.
    is_aside: AtomicBool,
    /// How many values there were.
    generations: AtomicU64,
    asked: Mutex<Asked>,
}

/// A value with its times.
#[derive(Debug)]
struct Held {
    value: Arc<SecretValue>,
    /// From when on it is asked for again; none is never.
    due: Option<Timestamp>,
    /// From when on it is not used any more.
    end: Option<Timestamp>,
}

/// What became of earlier questions.
#[derive(Debug, Default)]
struct Asked {
    refused: Option<Timestamp>,
    failed: Option<(Timestamp, SecretError)>,
}

impl Slot {
    pub(super) fn new(name: &str, sources: Arc<Sources>) -> Self {
        Self {
            name: name.to_owned(),
            sources,
            held: ArcSwapOption::empty(),
            is_aside: AtomicBool::new(false),
            generations: AtomicU64::new(0),
            asked: Mutex::default(),
        }
    }

    /// The value that may be used now.
    fn usable(&self, now: Timestamp) -> Option<Arc<SecretValue>> {
        let held = self.held.load();
        let held = held.as_ref().filter(|held| held.end.is_none_or(|end| now < end))?;
        Some(Arc::clone(&held.value))
    }

    fn is_due(&self, now: Timestamp) -> bool {
        self.held.load().as_ref().is_none_or(|held| held.due.is_some_and(|due| due <= now))
    }

    /// Asks the source, unless somebody has meanwhile.
    pub(super) async fn ask(&self, rejected: Option<u64>) -> Result<Arc<SecretValue>, SecretError> {
        let mut asked = self.asked.lock().await;
        let now = self.sources.clock.now();
        match (self.usable(now), rejected) {
            (Some(value), None) if !self.is_due(now) => return Ok(value),
            (Some(value), Some(rejected)) if value.generation != rejected => return Ok(value),
            (Some(value), Some(_)) => {
                if asked.refused.is_some_and(|last| now.since(last) < BETWEEN_REFUSALS) {
                    return Ok(value);
                }
                asked.refused = Some(now);
            }
            _ => {}
        }
        if let Some((at, error)) = &asked.failed
            && now.since(*at) < AFTER_FAILURE
        {
            return self.usable(now).ok_or_else(|| error.clone());
        }
        match self.sources.fetch(&self.name).await {
            Ok(fetched) => {
                asked.failed = None;
                Ok(self.keep(fetched))
            }
            Err(error) => {
                let (secret, code) = (self.name.as_str(), error.code());
                tracing::warn!(event = "secret.renewal", secret, code, %error, "a secret could not be asked for");
                if error.is_final() {
                    self.held.store(None);
                }
                let now = self.sources.clock.now();
                asked.failed = Some((now, error.clone()));
                self.usable(now).ok_or(error)
            }
        }
    }

    fn keep(&self, Fetched { text, lease }: Fetched) -> Arc<SecretValue> {
        let before = self.held.load_full();
        let same = before.as_ref().filter(|b| b.value.text.expose_secret() == text.expose_secret());
        let value = match same {
            Some(held) => Arc::clone(&held.value),
            None => {
                // Never one that another value had, also where there was none in between.
                let generation = self.generations.fetch_add(1, Ordering::AcqRel);
                Arc::new(SecretValue { generation, text })
            }
        };
        let now = self.sources.clock.now();
        let refresh = self.sources.refresh(&self.name);
        // Before a lease ends there has to be time to ask.
        let due = lease.map_or(refresh, |lease| refresh.min(lease.mul_f32(0.75)));
        // A source cannot have it used for longer than is configured.
        let end =
            lease.map_or(refresh, |lease| lease.min(refresh)).saturating_add(self.sources.settings.stale);
        let changes = !self.sources.is_constant(&self.name);
        let (due, end) = (changes.then(|| now.after(due)), changes.then(|| now.after(end)));
        self.held.store(Some(Arc::new(Held { value: Arc::clone(&value), due, end })));
        value
    }

    /// Has the source asked aside, unless that is under way.
    fn ask_aside(self: &Arc<Self>) {
        if self.is_aside.swap(true, Ordering::AcqRel) {
            return;
        }
        let slot = Arc::clone(self);
        let asking = outside::spawn(async move {
            let _ = slot.ask(None).await;
            slot.is_aside.store(false, Ordering::Release);
        });
        if asking.is_none() {
            self.is_aside.store(false, Ordering::Release);
        }
    }

    /// The value, waited for with this thread where there is none yet.
    pub(super) fn wait(self: &Arc<Self>) -> Result<Arc<SecretValue>, SecretError> {
        if let Some(value) = Followed(Arc::clone(self)).now() {
            return Ok(value);
        }
        let slot = Arc::clone(self);
        outside::wait(async move { slot.ask(None).await }).unwrap_or_else(|| Err(self.gave_up()))
    }

    fn gave_up(&self) -> SecretError {
        let reason = "its source takes too long".into();
        SecretError::Unavailable { name: self.name.clone(), reason }
    }
}

/// A secret that somebody uses again and again.
#[derive(Debug)]
pub(super) struct Followed(pub(super) Arc<Slot>);

impl LiveSecret for Followed {
    fn now(&self) -> Option<Arc<SecretValue>> {
        let now = self.0.sources.clock.now();
        if self.0.is_due(now) {
            self.0.ask_aside();
        }
        self.0.usable(now)
    }

    fn renew(&self, rejected: Option<u64>) -> Renewal<'_> {
        let slot = Arc::clone(&self.0);
        Box::pin(async move {
            match outside::spawn(async move { slot.ask(rejected).await }) {
                Some(asking) => asking.await.unwrap_or_else(|_| Err(self.0.gave_up())),
                None => Err(self.0.gave_up()),
            }
        })
    }
}
