//! `quaymaster stdio`: MCP over standard input and output, as the local user.

use std::sync::Arc;

use clap::Args;
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
}

impl Stdio {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let mut signals = Signals::new()?;
        let gateway = self.place.gateway().await?;
        let stop = CancellationToken::new();
        let serving = Arc::clone(&gateway).serve_stdio(tokio::io::stdin(), tokio::io::stdout(), stop.clone());
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
