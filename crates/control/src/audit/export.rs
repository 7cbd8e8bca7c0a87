//! The log as files that anybody can check without this program (C2SP tlog-tiles).
//!
//! A folder gets `checkpoint`, `tile/<level>/…` and `tile/entries/…`, as a web server would serve them. A
//! folder that has an earlier state of the log is carried on: full tiles never change.
//!
//! Invariant: a file that is there and says something else is not replaced; the export ends.

use std::io::{Error, ErrorKind};
use std::path::Path;

use quaymaster_store::Store;
use serde::Serialize;

use super::AuditError;
use super::tiles::{Tiles, WIDTH, bundle_path, levels, path, width};

/// What was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Exported {
    /// The records that the checkpoint covers.
    pub records: u64,
    /// The first of them that is kept.
    pub minimum: u64,
    /// Files that were not there before.
    pub files: u64,
}

/// Writes the log up to the tree of `size` records, whose checkpoint is `note`, into `folder`.
///
/// # Errors
///
/// [`AuditError::Export`] if a file cannot be written or is there with other content; [`AuditError`] if the
/// store fails or lacks something.
pub async fn export_tiles(
    store: &Store,
    (size, note): (u64, &str),
    folder: &Path,
) -> Result<Exported, AuditError> {
    let mut done = Exported { records: size, minimum: store.audit_minimum().await?, files: 0 };
    for level in 0..levels(size) {
        let mut place = 0;
        while width(size, level, place) > 0 {
            // One at a time, so that a large log takes no more room than a small one.
            let tile = Tiles::new(store, size).tile(level, place).await?;
            done.files += put(folder, &path(level, place, tile.len() as u64), tile.as_flattened())?;
            place += 1;
        }
    }
    let mut place = done.minimum / WIDTH;
    while width(size, 0, place) > 0 {
        let width = width(size, 0, place);
        let bundle = bundle(store, place * WIDTH, width).await?;
        done.files += put(folder, &bundle_path(place, width), &bundle)?;
        place += 1;
    }
    // Last, so that whoever reads a checkpoint finds what it speaks of.
    std::fs::write(folder.join("checkpoint"), note).map_err(|error| failed("checkpoint", error))?;
    Ok(done)
}

/// Records, each behind its length in 16 bits.
async fn bundle(store: &Store, from: u64, count: u64) -> Result<Vec<u8>, AuditError> {
    let records = store.audit_read(from, u32::try_from(count).unwrap_or(0)).await?;
    let mut bundle = Vec::new();
    for (record, seq) in records.iter().zip(from..) {
        let length = u16::try_from(record.body.len());
        if record.seq != seq {
            return Err(AuditError::Damaged(format!("record {seq} is missing")));
        }
        let length = length.map_err(|_| AuditError::Damaged(format!("record {seq} has more than 64 KiB")))?;
        bundle.extend_from_slice(&length.to_be_bytes());
        bundle.extend_from_slice(&record.body);
    }
    if records.len() as u64 == count {
        return Ok(bundle);
    }
    Err(AuditError::Damaged(format!("record {} is missing", from + records.len() as u64)))
}

/// Writes a file that is not there; 0 if it is.
fn put(folder: &Path, path: &str, content: &[u8]) -> Result<u64, AuditError> {
    let file = folder.join(path);
    match std::fs::read(&file) {
        Ok(found) if found == content => return Ok(0),
        Ok(_) => {
            let reason =
                "it is there with another content: the folder has another log, or this one was changed";
            return Err(failed(path, Error::new(ErrorKind::AlreadyExists, reason)));
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(failed(path, error)),
    }
    let write = || {
        if let Some(parent) = file.parent() {
            std::fs::create_dir_all(parent)?;
        }
        std::fs::write(&file, content)
    };
    write().map_err(|error| failed(path, error))?;
    Ok(1)
}

fn failed(path: &str, error: Error) -> AuditError {
    AuditError::Export(path.to_owned(), error)
}
