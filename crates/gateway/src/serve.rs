//! How a running gateway is reached: over HTTP, and over a pair of pipes.

use std::net::SocketAddr;
use std::sync::Arc;

use quaymaster_core::{CallError, Reach};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::gateway::Gateway;
use crate::{approvals, ingress, letters, reload, sinks};

impl Gateway {
    /// Opens the configured port.
    ///
    /// # Errors
    ///
    /// The operating system's, with the address.
    pub async fn listen(&self) -> std::io::Result<TcpListener> {
        bind(self.settings().listen.address).await
    }

    /// Serves MCP over HTTP until `stop`, and follows changes of the configuration meanwhile.
    pub async fn serve(self: Arc<Self>, listener: TcpListener, stop: CancellationToken) {
        reload::follow_configuration(&self);
        approvals::run_what_was_agreed_to(&self);
        letters::deliver(&self);
        sinks::feed(&self);
        let settings = self.http_settings();
        ingress::http::serve(listener, self, settings, stop).await;
    }

    pub(crate) fn http_settings(&self) -> ingress::http::HttpSettings {
        let listen = self.settings().listen;
        let defaults = ingress::http::HttpSettings::default();
        ingress::http::HttpSettings {
            allowed_hosts: [defaults.allowed_hosts.clone(), listen.allowed_hosts].concat(),
            allowed_origins: [defaults.allowed_origins.clone(), listen.allowed_origins].concat(),
            max_body_bytes: listen.max_body_bytes,
            max_connections: listen.max_connections,
            max_sessions: listen.max_sessions,
            max_sessions_per_actor: listen.max_sessions_per_actor,
            session_idle: listen.session_idle,
            counters: Arc::clone(&self.counters),
            occupancy: Arc::clone(&self.occupancy),
            ..defaults
        }
    }

    /// Serves MCP over a pair of pipes as the local user, as each request finds it configured:
    /// what `reach` leads to.
    ///
    /// # Errors
    ///
    /// `auth.missing` if the configuration has no local user at the start.
    pub async fn serve_stdio<R, W>(
        self: Arc<Self>,
        input: R,
        output: W,
        reach: Reach,
        stop: CancellationToken,
    ) -> Result<(), CallError>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin + Send + 'static,
    {
        self.local_user()?;
        reload::follow_configuration(&self);
        approvals::run_what_was_agreed_to(&self);
        letters::deliver(&self);
        sinks::feed(&self);
        let settings = ingress::stdio::StdioSettings {
            counters: Arc::clone(&self.counters),
            reach,
            ..ingress::stdio::StdioSettings::default()
        };
        ingress::stdio::serve(self, (input, output), settings, stop).await;
        Ok(())
    }
}

/// Opens the port at `address`; an error names it.
pub(crate) async fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    let named = |e: std::io::Error| std::io::Error::new(e.kind(), format!("cannot listen on {address}: {e}"));
    TcpListener::bind(address).await.map_err(named)
}
