//! The audit log: what happened, in an order that nobody can quietly change.
//!
//! [`record`] is the frozen form of a record, [`draft`] its text, [`merkle`] the RFC 6962 tree over
//! the records, [`writer`] the one way in, [`subject`] the keys that keep names
//! out of the records, and [`verify`] the check from the outside. All SQL is in
//! `quaymaster-store`.
//!
//! Invariants:
//! - A record is canonical JSON (RFC 8785); its leaf hash and the frontier of the
//!   tree are stored in the transaction that stores the record.
//! - Sequence numbers have no gap, whichever process writes.
//! - No name, argument or result is in a record: names are keyed commitments,
//!   arguments are digests.

pub mod draft;
mod error;
mod event;
mod flood;
pub mod merkle;
pub mod record;
mod sequencer;
pub mod subject;
pub(crate) mod trace;
pub mod verify;
pub mod writer;

pub use draft::Draft;
pub use error::AuditError;
pub use record::{ActorPart, Event, Record, ToolPart};
pub use subject::{Subject, Subjects};
pub use verify::{Verification, verify};
pub use writer::{Audit, AuditSettings, Durability};
