//! How a running gateway is, for scrapers.
//!
//! Wiring alone: what is counted and how it is written is `quaymaster_operations::metrics`,
//! the listener is `ingress::http`.

use std::sync::Arc;

use quaymaster_connectors::mcp::Health;
use quaymaster_control::audit::AuditHealth;
use quaymaster_operations::metrics::{AuditMoment, Moment, UpstreamMoment, render};
use tokio::net::TcpListener;

use crate::gateway::Gateway;
use crate::ingress;
use crate::serve::bind;

impl Gateway {
    /// How it is now, as `OpenMetrics` text. Names the connectors and no principal. Must be asked in the
    /// runtime of the gateway.
    pub fn metrics(&self) -> String {
        let upstreams = self.upstreams().into_iter();
        let moment = Moment {
            states: Health::ALL.map(Health::as_str).to_vec(),
            upstreams: upstreams
                .map(|upstream| UpstreamMoment {
                    connector: upstream.name,
                    state: upstream.state.as_str(),
                    quarantined: upstream.quarantined.len(),
                })
                .collect(),
            calls_in_flight: self.admission.running(),
            sessions: self.occupancy.sessions(),
            incident_switches: self.state.incidents.count(),
            connections: self.occupancy.connections(),
            tasks: tokio::runtime::Handle::current().metrics().num_alive_tasks(),
            audit: audit(self.plane().evidence.audit.health()),
            sinks: self.sinks.behind(),
            refusals: self.refusals().counts().collect(),
        };
        render(&self.calls, moment).unwrap_or_default()
    }

    /// Opens the port for metrics, if one is configured.
    ///
    /// # Errors
    ///
    /// The operating system's, with the address.
    pub async fn listen_for_metrics(&self) -> std::io::Result<Option<TcpListener>> {
        match self.settings().listen.metrics {
            Some(address) => bind(address).await.map(Some),
            None => Ok(None),
        }
    }

    /// Answers scrapers on `listener` until the gateway has drained and shuts down.
    pub async fn serve_metrics(self: Arc<Self>, listener: TcpListener) {
        let (settings, stopped) = (self.http_settings(), self.stopped.clone());
        let gateway = Arc::downgrade(&self);
        drop(self);
        let text = move || gateway.upgrade().map(|gateway| gateway.metrics()).unwrap_or_default();
        ingress::http::serve_metrics(listener, &settings, text, stopped).await;
    }
}

fn audit(health: AuditHealth) -> AuditMoment {
    AuditMoment {
        stuck: health.stuck || health.contradicted,
        pending: health.pending,
        unsigned: health.unsigned,
        checkpoint_age: health.checkpoint_age,
        checkpoint_late: health.checkpoint_late,
    }
}
