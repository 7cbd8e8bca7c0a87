//! Where the configuration is, and who the local user is.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use quaymaster_control::crypto::SystemRandomness;
use quaymaster_core::SystemClock;
use quaymaster_gateway::{Gateway, StartOptions};

use crate::failure::Failure;

/// The configuration that a command works with.
#[derive(Clone, Debug, Args)]
pub(crate) struct Place {
    /// The configuration folder: the one with `quaymaster.yaml`.
    #[arg(long, short, value_name = "FOLDER", default_value = ".")]
    pub(crate) config: PathBuf,
}

impl Place {
    /// How a gateway is started here.
    pub(crate) fn options(&self) -> StartOptions {
        StartOptions {
            folder: self.config.clone(),
            clock: Arc::new(SystemClock),
            randomness: Arc::new(SystemRandomness),
        }
    }

    /// Starts a gateway that listens to nobody.
    pub(crate) async fn gateway(&self) -> Result<Arc<Gateway>, Failure> {
        Ok(Gateway::start(self.options()).await?)
    }
}
