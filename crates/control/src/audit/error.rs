//! Why the audit log fails, and what a call hears of it.

use quaymaster_core::{CallError, ErrorCode};
use quaymaster_store::StoreError;

use crate::crypto::CryptoError;

/// Why the log did not take a record.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The store failed.
    #[error("the audit log cannot be written: {0}")]
    Store(#[from] StoreError),
    /// A key failed.
    #[error("the audit log cannot be sealed: {0}")]
    Crypto(#[from] CryptoError),
    /// The log is stopped, stuck or full.
    #[error("the audit log takes no records: {0}")]
    Unavailable(&'static str),
    /// The log is not what was signed: it went back in time, or was changed. Nothing is written to it.
    #[error(
        "the audit log contradicts its checkpoints: {0}; nothing is written to it. Restore the store; if this is a new \
         log on purpose, move the log's key and the file of its checkpoint away, and it gets a key of its own"
    )]
    Contradicted(String),
    /// The file that keeps the newest checkpoint outside the store fails.
    #[error("the checkpoint file {0} cannot be used: {1}")]
    Checkpoint(String, std::io::Error),
    /// A file that the log is handed out in cannot be written.
    #[error("`{0}` cannot be exported: {1}")]
    Export(String, std::io::Error),
    /// What the store holds is no tree.
    #[error("the audit log is damaged: {0}")]
    Damaged(String),
}

impl From<AuditError> for CallError {
    fn from(error: AuditError) -> Self {
        Self::new(ErrorCode::AuditUnavailable, "the audit log does not take records, so nothing runs")
            .because(error)
    }
}
