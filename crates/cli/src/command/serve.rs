//! `quaymaster serve`: MCP over HTTP until a signal ends it.

use clap::Args;
use quaymaster_gateway::Gateway;
use serde_json::json;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

use super::place::Place;
use super::signals::{Signals, Wish};
use crate::failure::Failure;
use crate::out;

/// Serves MCP over HTTP.
///
/// SIGHUP reads the configuration again at once (it is read again by itself
/// within two seconds of a change); SIGTERM and SIGINT end it in order.
#[derive(Debug, Args)]
pub(crate) struct Serve {
    #[command(flatten)]
    place: Place,
    /// Print one line of JSON when ready: `{"mcp_url", "metrics_url", "console_url", "config", "data"}`.
    #[arg(long)]
    json: bool,
}

impl Serve {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let signals = Signals::new()?;
        let gateway = self.place.gateway().await?;
        let listener = gateway.listen().await.map_err(Failure::outside)?;
        let url = format!("http://{}/mcp", listener.local_addr().map_err(Failure::outside)?);
        let metrics = gateway.listen_for_metrics().await.map_err(Failure::outside)?;
        let metrics_url = match &metrics {
            Some(listener) => {
                Some(format!("http://{}/metrics", listener.local_addr().map_err(Failure::outside)?))
            }
            None => None,
        };
        let console = gateway.listen_for_console().await.map_err(Failure::outside)?;
        let console_url = console.as_ref().and_then(|_| gateway.console_url());
        if self.json {
            let data = gateway.data_folder();
            let config = self.place.config;
            out::json(&json!({
                "mcp_url": url, "metrics_url": metrics_url, "console_url": console_url, "config": config,
                "data": data,
            }))?;
        } else {
            out::line(format!("serving MCP at {url}"))?;
            if let Some(url) = metrics_url {
                out::line(format!("metrics at {url}"))?;
            }
            if let Some(url) = console_url {
                out::line(format!("console at {url}"))?;
            }
        }
        if let Some(listener) = metrics {
            tokio::spawn(Arc::clone(&gateway).serve_metrics(listener));
        }
        if let Some(listener) = console {
            tokio::spawn(Arc::clone(&gateway).serve_console(listener));
        }
        serve_until_signal(&gateway, listener, signals).await
    }
}

/// Serves until SIGTERM or SIGINT, then drains, stops children and flushes the audit log.
///
/// `signals` is older than the line that says the gateway is ready, so whoever has
/// read that line may send one.
pub(crate) async fn serve_until_signal(
    gateway: &Arc<Gateway>,
    listener: tokio::net::TcpListener,
    mut signals: Signals,
) -> Result<(), Failure> {
    let stop = CancellationToken::new();
    let mut serving = tokio::spawn(Arc::clone(gateway).serve(listener, stop.clone()));
    loop {
        tokio::select! {
            wish = signals.next() => match wish {
                Wish::End => break,
                Wish::Reload => gateway.reload_now(),
            },
            _ = &mut serving => break,
        }
    }
    stop.cancel();
    if !serving.is_finished() {
        let _ = serving.await;
    }
    gateway.shutdown().await;
    Ok(())
}
