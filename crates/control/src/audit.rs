//! The audit log: what happened, in an order that nobody can quietly change.
//!
//! [`record`] is the frozen form of a record, [`draft`] its text, [`merkle`] the RFC 6962 tree over
//! the records, [`writer`] the one way in, [`subject`] the keys that keep names
//! out of the records. The tree is a transparency log: [`tiles`] is its layout, [`notary`] signs
//! its head ([`checkpoint`], [`note`]), [`proof`] proves one record to anybody, [`verify`] checks all of
//! it from the outside, [`export`] hands it out; [`search`] finds records, [`prune`] and [`mod@erase`] take away
//! what must not be kept. All SQL is in `quaymaster-store`.
//!
//! Invariants:
//! - A record is canonical JSON (RFC 8785); its leaf hash and the frontier of the
//!   tree are stored in the transaction that stores the record.
//! - Sequence numbers have no gap, whichever process writes.
//! - What a checkpoint says is never contradicted: a log that is not what was signed is not written to.
//! - No name, argument or result is in a record: names are keyed commitments,
//!   arguments are digests.

pub mod checkpoint;
pub mod draft;
pub mod erase;
mod error;
mod event;
pub mod export;
mod flood;
pub mod merkle;
pub mod notary;
pub mod note;
pub mod proof;
pub mod prune;
pub mod record;
pub mod search;
mod sequencer;
pub mod subject;
pub mod tiles;
pub(crate) mod trace;
pub mod verify;
pub mod writer;

pub use checkpoint::Checkpoint;
pub use draft::Draft;
pub use error::AuditError;
pub use notary::Notary;
pub use note::{LogKey, VerifierKey};
pub use record::{ActorPart, Event, Record, ToolPart};
pub use subject::{Subject, Subjects};
pub use verify::{Verification, verify};
pub use writer::{Audit, AuditHealth, AuditSettings, Durability};
