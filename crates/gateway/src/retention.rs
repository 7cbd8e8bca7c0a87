//! Old audit records go after the time that the configuration says, if it says one.

use std::sync::Arc;
use std::time::Duration;

use quaymaster_control::audit::prune::prune;
use quaymaster_core::Timestamp;

use crate::gateway::Gateway;
use crate::sinks::wanted_from;

/// How often it is looked for records that are kept no longer.
const BETWEEN: Duration = Duration::from_hours(1);

/// Prunes the audit log at once and every hour until the gateway stops.
pub(crate) async fn keep(gateway: Arc<Gateway>) {
    let stopped = gateway.stopped.clone();
    while !stopped.is_cancelled() {
        // Read anew each time: the configuration may have changed.
        if let Some(retention) = gateway.settings().audit.retention {
            let now = gateway.state.clock.now();
            let kept = u64::try_from(retention.as_micros()).unwrap_or(u64::MAX);
            let before = Timestamp::from_micros(now.as_micros().saturating_sub(kept));
            let audit = Arc::clone(&gateway.plane().evidence.audit);
            let store = &gateway.state.store;
            let pruned = match wanted_from(store, &gateway.settings().audit.sinks).await {
                Ok(wanted) => prune(store, &audit, (before, now), wanted).await,
                Err(error) => Err(error),
            };
            match pruned {
                Ok(Some(minimum)) => {
                    tracing::info!(event = "audit.pruned", minimum, "old audit records are gone");
                }
                Ok(None) => {}
                Err(error) => {
                    tracing::error!(event = "audit.prune", %error, "old audit records could not be taken away");
                }
            }
        }
        tokio::select! {
            () = stopped.cancelled() => {}
            () = tokio::time::sleep(BETWEEN) => {}
        }
    }
}
