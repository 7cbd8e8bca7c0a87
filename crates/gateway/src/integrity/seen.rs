//! What was seen first of the tools of connectors that no file pins.
//!
//! It is kept in the store, so that a server cannot change a definition while the gateway is down,
//! and so that replicas agree on what was first.
//!
//! Invariant: what was noted first stays until a file takes its place.

use std::collections::BTreeMap;
use std::future::pending;
use std::panic::resume_unwind;
use std::sync::{Arc, Mutex, PoisonError};

use quaymaster_catalog::contract::{Accepted, Contract, Pin};
use quaymaster_core::{Effect, Timestamp, ToolDeclaration};
use quaymaster_store::{SeenContractRow, Store, StoreError};
use serde_json::{Map, Value};
use tokio::task::{JoinError, spawn_blocking};

use super::{AtFirstSight, Basis, Offered};
use crate::config::Loaded;
use crate::state::State;

/// Who accepted what nobody was asked about.
const FIRST_SIGHT: &str = "first sight";

/// The definition as JSON text, which takes less room than what is made of it.
type Definition = (Arc<str>, Timestamp);

/// What was seen first, by connector and tool.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen(Arc<BTreeMap<(String, String), Definition>>);

/// What was read last; it serves where the store does not answer.
#[derive(Clone, Debug, Default)]
pub(crate) struct LastSeen(Arc<Mutex<Seen>>);

impl Seen {
    /// What `store` holds of the connectors of `loaded` that no file pins.
    pub(crate) async fn read(store: &Store, loaded: &Loaded) -> Result<Self, StoreError> {
        let is_wanted = |name: &str| {
            let mut connectors = loaded.connectors.iter();
            !loaded.locks.contains_key(name)
                && connectors.any(|file| file.connector.metadata().name.as_str() == name)
        };
        let rows = store.seen_contracts().await?.into_iter().filter(|row| is_wanted(&row.connector));
        let seen = rows.map(|SeenContractRow { connector, tool, definition, seen_us }| {
            ((connector, tool), (definition.into(), Timestamp::from_micros(seen_us)))
        });
        Ok(Self(Arc::new(seen.collect())))
    }

    /// What was seen first of a tool. Its effect is what whoever runs the gateway says it is.
    pub(super) fn pin(&self, connector: &str, tool: &str, effect: Effect) -> Option<Pin> {
        let (definition, at) = self.0.get(&(connector.to_owned(), tool.to_owned()))?;
        // A row that cannot be read is as good as none: then the tool is not known, and cannot be noted.
        let definition: Map<String, Value> = serde_json::from_str(definition).ok()?;
        let contract = Contract::new(definition, effect);
        Some(Pin { contract, accepted: Accepted { by: FIRST_SIGHT.to_owned(), at: *at } })
    }
}

/// `declarations`, judged; what is seen for the first time and nothing speaks against is noted.
pub(crate) async fn noted(
    state: &State,
    loaded: &Arc<Loaded>,
    declarations: Vec<ToolDeclaration>,
) -> Offered {
    let needs_none = |tool: &ToolDeclaration| {
        tool.definition.is_none() || loaded.locks.contains_key(tool.connector.as_str())
    };
    if declarations.iter().all(needs_none) {
        return judged(declarations, loaded, Seen::default(), AtFirstSight::Unnoted).await;
    }
    let before = state.seen(loaded).await;
    let offered = judged(declarations.clone(), loaded, before, AtFirstSight::AsConfigured).await;
    let new = offered.standings.iter().filter(|tool| {
        tool.basis == Basis::Nothing
            && tool.quarantined.is_none()
            && !loaded.locks.contains_key(tool.connector.as_str())
    });
    let rows: Vec<SeenContractRow> = new
        .map(|tool| SeenContractRow {
            connector: tool.connector.to_string(),
            tool: tool.tool.clone(),
            definition: Value::Object(tool.offered.definition().clone()).to_string(),
            seen_us: state.clock.now().as_micros(),
        })
        .collect();
    if rows.is_empty() {
        return offered;
    }
    let noted = state.store.seen_contracts_insert(&rows).await;
    if !matches!(noted, Ok(true)) {
        let error = noted.err().map_or_else(|| "there are too many".into(), |error| error.to_string());
        tracing::error!(event = "tool.unnoted", error, "what new tools are could not be noted");
    }
    // Another process may have been first, and with something else.
    let after = state.seen(loaded).await;
    judged(declarations, loaded, after, AtFirstSight::Unnoted).await
}

/// [`Offered::judged`], beside the threads that serve: a server says how large a definition is.
async fn judged(
    declarations: Vec<ToolDeclaration>,
    loaded: &Arc<Loaded>,
    seen: Seen,
    at_first_sight: AtFirstSight,
) -> Offered {
    let loaded = Arc::clone(loaded);
    let work = spawn_blocking(move || Offered::judged(declarations, &loaded, &seen, at_first_sight));
    match work.await.map_err(JoinError::try_into_panic) {
        Ok(offered) => offered,
        Err(Ok(panic)) => resume_unwind(panic),
        // The runtime has ended, and with it whoever waits here.
        Err(Err(_)) => pending().await,
    }
}

impl State {
    /// What was seen first; what was read last, if the store does not answer.
    async fn seen(&self, loaded: &Loaded) -> Seen {
        let read = Seen::read(&self.store, loaded).await;
        let mut last = self.last_seen.0.lock().unwrap_or_else(PoisonError::into_inner);
        match read {
            Ok(seen) => *last = seen,
            Err(error) => {
                tracing::error!(event = "tool.seen", %error, "what was seen of tools cannot be read");
            }
        }
        last.clone()
    }
}
