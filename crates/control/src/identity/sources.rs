//! What issuers publish, kept while configurations come and go.
//!
//! A new configuration must neither forget the keys that were fetched nor forget
//! when an issuer was last asked.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use quaymaster_core::Clock;

use super::checked::{IdentitySettings, KeyPlace};
use super::source::Source;
use super::web::Web;

/// The issuers that were ever asked, as far as they are still configured.
#[derive(Debug)]
pub struct Sources {
    web: Arc<dyn Web>,
    clock: Arc<dyn Clock>,
    known: Mutex<BTreeMap<KeyPlace, Arc<Source>>>,
}

impl Sources {
    /// Issuers that are asked over `web`.
    pub fn new(web: Arc<dyn Web>, clock: Arc<dyn Clock>) -> Self {
        Self { web, clock, known: Mutex::default() }
    }

    pub(super) fn web(&self) -> &Arc<dyn Web> {
        &self.web
    }

    pub(super) fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// Forgets the issuers that `settings` do not have.
    pub(super) fn keep(&self, settings: &IdentitySettings) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|place, _| settings.issuers.iter().any(|issuer| issuer.place == *place));
    }

    /// What the issuer at `place` publishes.
    pub(super) fn of(&self, place: &KeyPlace) -> Arc<Source> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let make = || Source::new(place.clone(), Arc::clone(&self.web), Arc::clone(&self.clock));
        Arc::clone(known.entry(place.clone()).or_insert_with(make))
    }
}
