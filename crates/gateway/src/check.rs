//! What can be said of a configuration before it is put to work.
//!
//! [`check`] starts nothing. [`check_connected`] starts the MCP servers as a gateway
//! would, looks at what they offer and stops them.
//!
//! Invariant: neither opens the store, and nothing is recorded or called.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use quaymaster_core::{Clock, SecretError, SecretRef, SecretSource, SystemClock};
use secrecy::SecretString;

use crate::assembly::{Drift, Fleet, rules};
use crate::config::{self, Diagnostics, Loaded, SecretCheck, literals};
use crate::integrity::{AtFirstSight, Offered, Seen};

/// How long a check waits for the first listing of a server: longer than a gateway,
/// which has others to serve.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Everything that can be said of the configuration in `folder` without starting anything.
pub fn check(folder: &Path, with_secrets: bool) -> Diagnostics {
    with_literals(folder, checked(folder, with_secrets))
}

/// What was found, and the secrets that stand in files of the folder.
fn with_literals(folder: &Path, found: Diagnostics) -> Diagnostics {
    let literals = literals::find(folder, &config::kept_apart(folder));
    let mut all = literals::cover(&literals, found);
    // Where a secret is expected, the file's reader has told it already.
    let told: Vec<_> = all.iter().map(|known| (known.code, known.file.clone(), known.line)).collect();
    all.add(
        literals.into_iter().filter(|found| !told.contains(&(found.code, found.file.clone(), found.line))),
    );
    all
}

fn checked(folder: &Path, with_secrets: bool) -> Diagnostics {
    let secrets = if with_secrets { SecretCheck::Resolve } else { SecretCheck::Skip };
    let loaded = match config::load(folder, secrets) {
        Ok(loaded) => loaded,
        Err(found) => return found,
    };
    let source: &dyn SecretSource = if with_secrets { &loaded.secrets() } else { &StandIn };
    match build(&loaded, source) {
        Ok(fleet) => judge(&loaded, &fleet),
        Err(found) => found,
    }
}

/// The same with the MCP servers at hand: policies are checked against the tools
/// that there are, and what is not as configured is told.
pub async fn check_connected(folder: &Path) -> Diagnostics {
    with_literals(folder, checked_connected(folder).await)
}

async fn checked_connected(folder: &Path) -> Diagnostics {
    let loaded = match config::load(folder, SecretCheck::Resolve) {
        Ok(loaded) => loaded,
        Err(found) => return found,
    };
    let fleet = match build(&loaded, &loaded.secrets()) {
        Ok(fleet) => fleet,
        Err(found) => return found,
    };
    fleet.start_within(PATIENCE).await;
    let mut found = judge(&loaded, &fleet);
    for upstream in fleet.upstreams() {
        found.add(loaded.upstream_diagnostics(upstream));
    }
    let declarations = fleet.declarations();
    let offered = Offered::judged(declarations, &loaded, &Seen::default(), AtFirstSight::AsConfigured);
    found.add(loaded.quarantine_warnings(&offered.standings));
    fleet.stop_except(&Fleet::default()).await;
    found
}

pub(crate) fn build(loaded: &Loaded, secrets: &dyn SecretSource) -> Result<Fleet, Diagnostics> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    Fleet::build(loaded, &Fleet::default(), secrets, &clock).map_err(|problems| {
        let mut found = loaded.warnings.clone();
        found.add(problems);
        found
    })
}

fn judge(loaded: &Loaded, fleet: &Fleet) -> Diagnostics {
    let mut found = loaded.warnings.clone();
    let (catalogue, _, problems) = rules(loaded, fleet, Drift::Refuse);
    found.add(problems);
    found.add(loaded.catalogue_warnings(&catalogue));
    found
}

/// A secret that looks like a connection string, where a configuration is checked
/// far from where its secrets are. Nothing is connected to.
pub(crate) struct StandIn;

impl SecretSource for StandIn {
    fn resolve(&self, _: &SecretRef) -> Result<SecretString, SecretError> {
        Ok(SecretString::from("postgres://nobody@127.0.0.1/nothing"))
    }
}
