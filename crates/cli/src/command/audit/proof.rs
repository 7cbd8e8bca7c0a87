//! `quaymaster audit proof` and `verify-proof`: one record, for anybody.

use std::path::PathBuf;

use clap::Args;
use quaymaster_control::audit::proof::{self, check};
use quaymaster_gateway::Office;
use quaymaster_store::{AuditFilter, CheckpointRow, Store, StoredRecord};
use serde_json::{Value, json};

use super::super::place::Place;
use super::verify::read_key;
use crate::failure::Failure;
use crate::out;

/// Most records of one call that are proved.
const MOST: u32 = 100;

#[derive(Debug, Args)]
pub(super) struct Proof {
    #[command(flatten)]
    place: Place,
    /// A call, by its audit id, or one record, by its number.
    id: String,
    /// The folder that gets a file for each record.
    #[arg(long, value_name = "FOLDER", default_value = ".")]
    out: PathBuf,
    /// Print one JSON object a line: `{"seq", "event", "file"}`.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct VerifyProof {
    /// The proof.
    file: PathBuf,
    /// The public key of the log, from whoever runs it and not from whoever gave the proof: a file, or the
    /// key itself.
    #[arg(long, value_name = "FILE|KEY")]
    key: String,
    /// Print JSON: `{"seq", "size", "origin", "record"}`.
    #[arg(long)]
    json: bool,
}

impl Proof {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let office = Office::open(self.place.options()).await?;
        let done = self.prove(&office).await;
        office.close().await;
        done
    }

    async fn prove(&self, office: &Office) -> Result<(), Failure> {
        let store = office.store();
        let records = self.records(store).await?;
        let Some(last) = records.iter().map(|record| record.seq).max() else {
            return Err(Failure::Refused(format!("the log has no record of `{}`", self.id)));
        };
        let checkpoint = covering(office, last).await?;
        for record in records {
            let head = (checkpoint.tree.size, checkpoint.note.as_str());
            let text =
                proof::prove(store, (record.seq, &record.body), head).await.map_err(Failure::outside)?;
            // One that does not hold says more about the log than about the proof.
            if let Err(error) = check(&text, office.log_key()) {
                return Err(Failure::Refused(format!("record {} cannot be proved: {error}", record.seq)));
            }
            let file = self.out.join(format!("{}.tlog-proof", record.seq));
            let written = std::fs::create_dir_all(&self.out).and_then(|()| std::fs::write(&file, text));
            written.map_err(|error| Failure::outside(format!("{}: {error}", file.display())))?;
            self.tell(&record, &file.display().to_string())?;
        }
        Ok(())
    }

    async fn records(&self, store: &Store) -> Result<Vec<StoredRecord>, Failure> {
        let found = match self.id.parse() {
            Ok(seq) => {
                let page = store.audit_read(seq, 1).await.map_err(Failure::outside)?;
                page.into_iter().filter(|record| record.seq == seq).collect()
            }
            Err(_) => {
                let filter = AuditFilter { call_id: Some(self.id.clone()), ..AuditFilter::default() };
                let mut found = store.audit_find(&filter, MOST).await.map_err(Failure::outside)?;
                found.reverse();
                found
            }
        };
        Ok(found)
    }

    fn tell(&self, record: &StoredRecord, file: &str) -> Result<(), Failure> {
        let said: Value = serde_json::from_slice(&record.body).unwrap_or_default();
        let event = said.get("event").and_then(Value::as_str).unwrap_or_default();
        if self.json {
            return out::json(&json!({"seq": record.seq, "event": event, "file": file}));
        }
        out::line(format!("{:>6}  {event:<16} {file}", record.seq))
    }
}

/// The newest checkpoint, which has record `seq`; made now if it has not.
async fn covering(office: &Office, seq: u64) -> Result<CheckpointRow, Failure> {
    let newest = office.store().audit_checkpoint_newest().await.map_err(Failure::outside)?;
    if let Some(newest) = newest.filter(|newest| newest.tree.size > seq) {
        return Ok(newest);
    }
    let made = office.checkpoint().await?.filter(|made| made.tree.size > seq);
    made.ok_or_else(|| Failure::Refused(format!("no checkpoint has record {seq}")))
}

impl VerifyProof {
    pub(super) fn run(self) -> Result<(), Failure> {
        let key = read_key(&self.key)?;
        let file = self.file.display();
        let text = std::fs::read_to_string(&self.file);
        let text = text.map_err(|error| Failure::outside(format!("{file}: {error}")))?;
        let proved = check(&text, &key)
            .map_err(|error| Failure::Refused(format!("{file} proves nothing: {error}")))?;
        let record: Value = serde_json::from_slice(&proved.record).map_err(Failure::outside)?;
        let size = proved.checkpoint.size;
        if self.json {
            return out::json(
                &json!({"seq": proved.seq, "size": size, "origin": key.name(), "record": record}),
            );
        }
        out::line(format!("record {} is in the log {} of {size} records:", proved.seq, key.name()))?;
        out::line(String::from_utf8_lossy(&proved.record))
    }
}
