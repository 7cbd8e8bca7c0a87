//! `quaymaster stdio`: MCP over standard input and output, as the local user.

use std::sync::Arc;

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::place::Place;
use crate::failure::Failure;

/// Serves MCP over standard input and output, as the local user.
///
/// The local user's roles and workspace are `localUser` in `quaymaster.yaml`.
/// Ends when standard input ends.
#[derive(Debug, Args)]
pub(crate) struct Stdio {
    #[command(flatten)]
    place: Place,
}

impl Stdio {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let gateway = self.place.gateway().await?;
        let stop = CancellationToken::new();
        let mut term = signal(SignalKind::terminate()).map_err(Failure::outside)?;
        let serving = Arc::clone(&gateway).serve_stdio(tokio::io::stdin(), tokio::io::stdout(), stop.clone());
        tokio::pin!(serving);
        let done = tokio::select! {
            done = &mut serving => done,
            _ = term.recv() => {
                stop.cancel();
                serving.await
            }
        };
        gateway.shutdown().await;
        done.map_err(Failure::outside)
    }
}
