//! What can go wrong with the store.
//!
//! A fault is classified here, where both drivers' errors are known, so that
//! callers ask [`StoreError::is_unavailable`] instead of reading codes. The
//! database's own message is kept; its details, which may quote a row, and the
//! connection string are not.

use std::error::Error as _;
use std::io;
use std::time::Duration;

use rusqlite::ErrorCode;
use thiserror::Error;
use tokio_postgres::error::SqlState;

/// Why the store did not do what it was asked to.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StoreError {
    /// There is no usable store at the place that was named.
    #[error("the store cannot be opened: {reason}")]
    Open {
        /// What is wrong with it.
        reason: String,
    },
    /// A newer version of Quaymaster has changed the tables.
    #[error(
        "the store has schema {found} and this version of Quaymaster knows {known} at most: \
         use the version that wrote it, or a newer one"
    )]
    NewerSchema {
        /// The version in the store.
        found: i64,
        /// The newest version that is known here.
        known: i64,
    },
    /// The database refused or failed.
    #[error("the store could not {operation}: {reason}")]
    Database {
        /// What was asked for, as in "could not …".
        operation: &'static str,
        /// The kind of fault.
        fault: StoreFault,
        /// The database's own message.
        reason: String,
    },
    /// The database did not answer in time. What was to be written may have been.
    #[error("the store could not {operation} within {} s", waited.as_secs())]
    Timeout {
        /// What was asked for.
        operation: &'static str,
        /// How long it was waited for.
        waited: Duration,
    },
    /// The store was closed, or its writer ended.
    #[error("the store could not {operation}: it is closed")]
    Closed {
        /// What was asked for.
        operation: &'static str,
    },
    /// The database holds something that Quaymaster did not write.
    #[error("the store could not {operation}: {what} is not in its form")]
    Malformed {
        /// What was asked for.
        operation: &'static str,
        /// The column or row.
        what: &'static str,
    },
    /// A batch that would break the audit's order. Nothing was written.
    #[error("the store cannot append to the audit: {reason}")]
    Batch {
        /// The rule that it breaks.
        reason: &'static str,
    },
}

/// What kind of fault a database reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreFault {
    /// It is locked, unreachable, restarting or out of resources. Later may be better.
    Unavailable,
    /// There is no room on the disk.
    Full,
    /// Anything else, such as a broken rule of a table or a damaged file.
    Other,
}

impl StoreError {
    /// Whether the same request may succeed later with nothing changed.
    pub fn is_unavailable(&self) -> bool {
        matches!(
            self,
            Self::Timeout { .. } | Self::Database { fault: StoreFault::Unavailable | StoreFault::Full, .. }
        )
    }

    /// Whether the disk is full.
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Database { fault: StoreFault::Full, .. })
    }

    pub(crate) fn open(reason: impl Into<String>) -> Self {
        Self::Open { reason: reason.into() }
    }

    pub(crate) fn sqlite(operation: &'static str, error: &rusqlite::Error) -> Self {
        let (fault, reason) = match error {
            rusqlite::Error::SqliteFailure(failure, message) => {
                (sqlite_fault(failure.code), message.clone().unwrap_or_else(|| failure.to_string()))
            }
            rusqlite::Error::SqlInputError { msg, .. } => (StoreFault::Other, msg.clone()),
            // The others are about values, which they may quote.
            _ => (StoreFault::Other, "a value is not of the expected type".into()),
        };
        Self::Database { operation, fault, reason }
    }

    pub(crate) fn postgres(operation: &'static str, error: &tokio_postgres::Error) -> Self {
        let (fault, reason) = match error.as_db_error() {
            Some(db) => {
                (postgres_fault(db.code()), format!("{} (SQLSTATE {})", db.message(), db.code().code()))
            }
            None => {
                let source = error.source();
                // A certificate that is not trusted is "invalid data", and stays so.
                let is_io = source
                    .and_then(|source| source.downcast_ref::<io::Error>())
                    .is_some_and(|source| source.kind() != io::ErrorKind::InvalidData);
                let fault =
                    if is_io || error.is_closed() { StoreFault::Unavailable } else { StoreFault::Other };
                (fault, source.map_or_else(|| error.to_string(), |source| format!("{error}: {source}")))
            }
        };
        Self::Database { operation, fault, reason }
    }
}

fn sqlite_fault(code: ErrorCode) -> StoreFault {
    match code {
        ErrorCode::DatabaseBusy
        | ErrorCode::DatabaseLocked
        | ErrorCode::FileLockingProtocolFailed
        | ErrorCode::OperationInterrupted
        | ErrorCode::OutOfMemory
        | ErrorCode::CannotOpen
        | ErrorCode::SystemIoFailure => StoreFault::Unavailable,
        ErrorCode::DiskFull => StoreFault::Full,
        _ => StoreFault::Other,
    }
}

/// Classes of SQLSTATE: PostgreSQL documentation, appendix A.
fn postgres_fault(state: &SqlState) -> StoreFault {
    if *state == SqlState::DISK_FULL {
        return StoreFault::Full;
    }
    let is_passing = *state == SqlState::LOCK_NOT_AVAILABLE
        || ["08", "40", "53", "57", "58"].iter().any(|class| state.code().starts_with(class));
    if is_passing { StoreFault::Unavailable } else { StoreFault::Other }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_and_a_lock_pass_and_a_broken_rule_does_not() {
        assert_eq!(postgres_fault(&SqlState::DISK_FULL), StoreFault::Full);
        assert_eq!(postgres_fault(&SqlState::LOCK_NOT_AVAILABLE), StoreFault::Unavailable);
        assert_eq!(postgres_fault(&SqlState::ADMIN_SHUTDOWN), StoreFault::Unavailable);
        assert_eq!(postgres_fault(&SqlState::UNIQUE_VIOLATION), StoreFault::Other);
        assert_eq!(sqlite_fault(ErrorCode::DiskFull), StoreFault::Full);
        assert_eq!(sqlite_fault(ErrorCode::DatabaseBusy), StoreFault::Unavailable);
        assert_eq!(sqlite_fault(ErrorCode::DatabaseCorrupt), StoreFault::Other);
    }

    #[test]
    fn a_value_of_the_wrong_type_is_not_quoted() {
        let error = StoreError::sqlite("list tokens", &rusqlite::Error::IntegralValueOutOfRange(3, 4711));
        assert_eq!(error.to_string(), "the store could not list tokens: a value is not of the expected type");
    }
}
