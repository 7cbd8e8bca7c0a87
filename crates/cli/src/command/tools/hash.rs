//! `quaymaster tools hash`: what `spec.server.pinned` of a connector has to say.

use std::path::PathBuf;

use clap::Args;
use quaymaster_connectors::mcp::pinned::hash;

use crate::failure::Failure;
use crate::out;

/// Prints the hash of a program or a package.
#[derive(Debug, Args)]
pub(crate) struct HashPath {
    /// A file, or the folder of an installed package.
    path: PathBuf,
}

impl HashPath {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let path = std::path::absolute(&self.path).map_err(Failure::outside)?;
        let sha256 = hash(&path)
            .map_err(|why| Failure::outside(format!("{} cannot be hashed: {why}", path.display())))?;
        out::line(format!("pinned: [{{ path: {}, sha256: {sha256} }}]", path.display()))
    }
}
