//! `quaymaster audit export`: the log for others.

use std::path::PathBuf;

use clap::Args;
use quaymaster_control::audit::export::export_tiles;
use quaymaster_gateway::Office;

use super::super::place::Place;
use crate::failure::Failure;
use crate::out;

#[derive(Debug, Args)]
pub(super) struct Export {
    #[command(flatten)]
    place: Place,
    /// The folder that gets the whole log as files (C2SP tlog-tiles): `checkpoint`, hashes and records. One
    /// that has an earlier state of the log is carried on.
    #[arg(long, value_name = "FOLDER")]
    tiles: PathBuf,
    /// Print JSON: `{"records", "minimum", "files"}`.
    #[arg(long)]
    json: bool,
}

impl Export {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let office = Office::open(self.place.options()).await?;
        let done = self.export(&office).await;
        office.close().await;
        done
    }

    async fn export(&self, office: &Office) -> Result<(), Failure> {
        let Some(checkpoint) = office.checkpoint().await? else {
            return Err(Failure::Refused("the log has no record yet".into()));
        };
        let head = (checkpoint.tree.size, checkpoint.note.as_str());
        let exported = export_tiles(office.store(), head, &self.tiles).await.map_err(Failure::outside)?;
        if self.json {
            return out::json(&exported);
        }
        let folder = self.tiles.display();
        out::line(format!("{} records in {folder}, {} new files", exported.records, exported.files))?;
        if exported.minimum > 0 {
            out::line(format!(
                "records before {} were pruned: their hashes are there alone",
                exported.minimum
            ))?;
        }
        Ok(())
    }
}
