//! Information flow: what whoever calls has seen, so that policies can say where it must not go.
//!
//! Whoever is given content that a stranger may have written, or data of a class, is labelled ([`level`]). Labels
//! are in the context of every later decision. They follow the account and the person behind it over a time window,
//! whichever token, transport, session, thread or client they come with: these an agent chooses itself, who it
//! authenticates as it does not. A session keeps its own as long as its handle lasts (`docs/adr/0025`).
//!
//! The store has them. A decision that a policy makes depend on labels reads it, so what another process released
//! counts at once; where no policy asks, what this process remembers is evidence and no more.
//!
//! Invariants:
//! - A label is in the store before what sets it leaves; what cannot be noted is withheld.
//! - Labels are only added and made to last longer, until their time is over or a person takes them away.
//! - Nobody takes away their own.

mod clear;
mod level;
mod seen;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use quaymaster_core::{ActorId, CallError, CallRequest, Clock, ErrorCode, Memory, SessionId, Timestamp};
use quaymaster_store::{LabelRow, MAX_LABELS, Store, StoreError};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

pub use clear::{FlowError, clear, cleared, standing};
pub(crate) use level::{of_released, of_words};
pub use seen::{Seen, SeenLabel};

/// How long labels follow an actor unless something else is configured.
pub const WINDOW: Duration = Duration::from_hours(8);
/// The shortest window: what a client may still fetch of a stream that broke is not older.
pub const SHORTEST_WINDOW: Duration = Duration::from_hours(1);
/// The longest window.
pub const LONGEST_WINDOW: Duration = Duration::from_hours(24 * 30);
/// How long a session keeps its labels: as long as its handle may be used.
const OF_A_SESSION: Duration = Duration::from_hours(24 * 7);
/// A label is written again when it would end so much earlier than it should, as a part of its time.
const SLACK: u32 = 16;
/// How long it is told who took labels away.
const CLEARED_KEPT: Duration = Duration::from_hours(24 * 400);
/// How often labels are put away that are over.
const UPKEEP: Duration = Duration::from_hours(1);

/// The labels of an installation, as one process knows them.
#[derive(Debug)]
pub struct Labels {
    store: Store,
    clock: Arc<dyn Clock>,
    /// Whether there may be any. As long as there are none, nobody is looked up.
    any: AtomicBool,
    known: Memory<Holder, Arc<Known>>,
}

/// The labels, by the rules of a configuration.
#[derive(Clone, Debug)]
pub struct Flow {
    labels: Arc<Labels>,
    window: Duration,
    /// Whether some policy asks for labels, so that the store is what counts.
    strictly: bool,
}

/// Whom a label follows.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Holder {
    Actor(ActorId),
    Session(SessionId),
}

impl Holder {
    /// All of whoever makes `request`.
    fn all(request: &CallRequest) -> Vec<Self> {
        let (account, person) = (&request.actor.id, request.actor.person());
        let other = (person != account).then(|| Self::Actor(person.clone()));
        let session = request.session.clone().map(Self::Session);
        [Some(Self::Actor(account.clone())), other, session].into_iter().flatten().collect()
    }

    /// The holder in the store. Names that are taken for one are one.
    fn key(&self) -> String {
        match self {
            Self::Actor(actor) => format!("actor:{}", actor.folded()),
            Self::Session(session) => format!("session:{session}"),
        }
    }

    fn lasts(&self, window: Duration) -> Duration {
        match self {
            Self::Actor(_) => window,
            Self::Session(_) => window.max(OF_A_SESSION),
        }
    }
}

/// What is remembered of one holder.
#[derive(Debug)]
struct Known {
    rows: Vec<LabelRow>,
    seen: Option<Arc<Seen>>,
    /// When the first of them ends.
    until_us: u64,
}

impl Known {
    fn of(rows: Vec<LabelRow>) -> Self {
        let until_us = rows.iter().map(|row| row.until_us).min().unwrap_or(u64::MAX);
        Self { seen: Seen::of(&rows).map(Arc::new), rows, until_us }
    }

    fn stands_at(&self, now_us: u64) -> bool {
        self.until_us > now_us
    }

    fn has(&self, label: &str, workspace: &str, until_us: u64) -> bool {
        self.rows.iter().any(|r| r.label == label && r.workspace == workspace && r.until_us >= until_us)
    }

    /// What several holders have seen. Mostly the first has all that the others have.
    fn together(all: &[Arc<Self>]) -> Option<Arc<Seen>> {
        let first = all.first()?.seen.as_ref();
        let names = first.map(|seen| seen.names()).unwrap_or_default();
        let others = all.iter().skip(1).flat_map(|known| &known.rows);
        if others.clone().all(|row| names.contains(&row.label)) {
            return first.cloned();
        }
        let rows: Vec<LabelRow> = all.iter().flat_map(|known| &known.rows).cloned().collect();
        Seen::of(&rows).map(Arc::new)
    }
}

impl Labels {
    /// The labels in `store`.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if it cannot be read.
    pub async fn open(store: Store, clock: Arc<dyn Clock>) -> Result<Self, StoreError> {
        let any = AtomicBool::new(store.labels_exist(clock.now().as_micros()).await?);
        Ok(Self { store, clock, any, known: Memory::default() })
    }

    /// Forgets the labels that are over, until `stop`.
    pub async fn keep(self: Arc<Self>, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let now = self.clock.now().as_micros();
            let kept = u64::try_from(CLEARED_KEPT.as_micros()).unwrap_or(u64::MAX);
            if let Err(error) = self.store.labels_purge(now, now.saturating_sub(kept)).await {
                tracing::error!(event = "flow.keep", %error, "labels that are over could not be put away");
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = sleep(UPKEEP) => {}
            }
        }
    }

    async fn read(&self, holders: &[Holder]) -> Result<Vec<LabelRow>, StoreError> {
        let keys: Vec<String> = holders.iter().map(Holder::key).collect();
        let mut named = keys.iter().map(String::as_str).cycle();
        let mut next = || named.next().unwrap_or_default();
        let rows = self.store.labels_of([next(), next(), next()], self.clock.now().as_micros()).await?;
        if rows.len() >= MAX_LABELS as usize {
            return Err(StoreError::Malformed { operation: "read labels", what: "how many there are" });
        }
        for (holder, key) in holders.iter().zip(&keys) {
            let own = rows.iter().filter(|row| row.holder == *key).cloned().collect();
            self.known.insert(holder.clone(), Arc::new(Known::of(own)));
        }
        Ok(rows)
    }

    /// What is remembered of each of them; none if something is not, or has ended since.
    fn remembered(&self, holders: &[Holder]) -> Option<Vec<Arc<Known>>> {
        let now = self.clock.now().as_micros();
        let all: Option<Vec<_>> = holders.iter().map(|holder| self.known.get(holder)).collect();
        all.filter(|all| all.iter().all(|known| known.stands_at(now)))
    }
}

impl Flow {
    /// The labels, for so long; `strictly` where some policy asks for them.
    pub fn new(labels: Arc<Labels>, window: Duration, strictly: bool) -> Self {
        Self { labels, window, strictly }
    }

    /// What whoever makes `request` has seen. `counts` says whether something depends on it: then it is read, and
    /// what any process released before this is in it.
    pub(crate) async fn seen_by(
        &self,
        request: &CallRequest,
        counts: bool,
    ) -> Result<Option<Arc<Seen>>, CallError> {
        if !counts && !self.labels.any.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let holders = Holder::all(request);
        if let Some(known) = self.labels.remembered(&holders).filter(|_| !counts) {
            return Ok(Known::together(&known));
        }
        let rows = Box::pin(self.labels.read(&holders)).await.map_err(unreadable)?;
        Ok(Seen::of(&rows).map(Arc::new))
    }

    /// Labels whoever makes `request`, for the window and `longer`; gives those labels that are new to them. They
    /// are on disk when this returns.
    pub(crate) async fn raise(
        &self,
        request: &CallRequest,
        labels: &[String],
        longer: Duration,
    ) -> Result<Vec<String>, StoreError> {
        if labels.is_empty() {
            return Ok(Vec::new());
        }
        let holders = Holder::all(request);
        if !self.strictly && longer.is_zero() && self.are_fresh(request, &holders, labels) {
            return Ok(Vec::new());
        }
        let standing = self.labels.read(&holders).await?;
        let lacking = self.lacking(request, (&holders, &standing), labels, longer);
        if !lacking.is_empty() {
            self.labels.any.store(true, Ordering::Relaxed);
            self.labels.store.labels_set(&lacking).await?;
            // Read again instead of added to: others may have set some meanwhile.
            self.labels.read(&holders).await?;
        }
        let had: BTreeSet<&str> = standing.iter().map(|row| row.label.as_str()).collect();
        Ok(labels.iter().filter(|label| !had.contains(label.as_str())).cloned().collect())
    }

    /// Whether all of them have these labels, as this process remembers it, for as long as they should.
    fn are_fresh(&self, request: &CallRequest, holders: &[Holder], labels: &[String]) -> bool {
        let Some(known) = self.labels.remembered(holders) else { return false };
        let now = self.labels.clock.now();
        holders.iter().zip(&known).all(|(holder, known)| {
            let enough = now.after(enough(holder.lasts(self.window))).as_micros();
            labels.iter().all(|label| known.has(label, request.actor.workspace.as_str(), enough))
        })
    }

    /// The rows that have to be written so that `labels` stand for as long as they should.
    fn lacking(
        &self,
        request: &CallRequest,
        (holders, standing): (&[Holder], &[LabelRow]),
        labels: &[String],
        longer: Duration,
    ) -> Vec<LabelRow> {
        let now = self.labels.clock.now();
        let (workspace, account) = (request.actor.workspace.as_str(), request.actor.id.folded());
        let mut lacking = Vec::new();
        for holder in holders {
            let (key, lasts) = (holder.key(), holder.lasts(self.window) + longer);
            let enough = now.after(enough(lasts)).as_micros();
            for label in labels {
                let stands = standing.iter().any(|row| {
                    row.holder == key
                        && row.label == *label
                        && row.workspace == workspace
                        && row.until_us >= enough
                });
                if !stands {
                    lacking.push(LabelRow {
                        holder: key.clone(),
                        label: label.clone(),
                        workspace: workspace.to_owned(),
                        account: account.to_string(),
                        call: request.id.to_string(),
                        since_us: now.as_micros(),
                        until_us: now.after(lasts).as_micros(),
                    });
                }
            }
        }
        lacking
    }
}

/// How long a label that should last for `lasts` has to stand at least, so that it need not be written again.
fn enough(lasts: Duration) -> Duration {
    lasts.saturating_sub(lasts / SLACK)
}

fn unreadable(error: StoreError) -> CallError {
    let message = "what you have seen cannot be read at the moment, so nothing is decided that depends on it";
    CallError::new(ErrorCode::AuditUnavailable, message).because(error)
}

/// What is told of an instant: to the minute, because nobody has to know more.
pub(crate) fn told(at: Timestamp) -> String {
    let text = at.to_string();
    text.get(..16).map_or(text.clone(), |minute| format!("{minute}Z"))
}
