//! `quaymaster stdio`: MCP over standard input and output, as the local user.

use std::sync::Arc;

use clap::Args;
use quaymaster_core::Reach;
use quaymaster_core::setting::Slug;
use tokio_util::sync::CancellationToken;

use super::place::Place;
use super::signals::{Signals, Wish};
use crate::failure::Failure;

/// Serves MCP over standard input and output, as the local user.
///
/// The local user's roles and workspace are `localUser` in `quaymaster.yaml`.
/// Ends when standard input ends. SIGHUP reads the configuration again at once;
/// SIGTERM and SIGINT end it in order.
#[derive(Debug, Args)]
pub(crate) struct Stdio {
    #[command(flatten)]
    place: Place,
    /// Serve one connector alone, by names without its prefix, as `/s/<server>` does.
    #[arg(long, value_name = "CONNECTOR", value_parser = Slug::parse)]
    server: Option<Slug>,
}

impl Stdio {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let mut signals = Signals::new()?;
        let gateway = self.place.gateway().await?;
        if let Some(server) = self.server.as_ref().filter(|server| !gateway.plane().has_connector(server)) {
            gateway.shutdown().await;
            return Err(Failure::Usage(format!("the configuration has no connector `{server}`")));
        }
        let reach = self.server.map_or(Reach::All, Reach::One);
        let (stop, input, output) = (CancellationToken::new(), tokio::io::stdin(), tokio::io::stdout());
        let serving = Arc::clone(&gateway).serve_stdio(input, output, reach, stop.clone());
        tokio::pin!(serving);
        let done = loop {
            tokio::select! {
                done = &mut serving => break done,
                wish = signals.next() => match wish {
                    Wish::End => stop.cancel(),
                    Wish::Reload => gateway.reload_now(),
                },
            }
        };
        gateway.shutdown().await;
        done.map_err(Failure::outside)
    }
}
