//! Who may do what, and the evidence of it.
//!
//! The control layer holds the stages of the path of a call that decide and
//! record: [`authorize`], [`approve`], [`record`], [`release`] and [`close`].
//! Each takes what the one before gave, by value; the types have private fields
//! and no other way to be made, so a stage cannot be skipped or taken twice.
//! Beside them: [`approval`], [`identity`], [`policy`], [`audit`], [`console`], [`secrets`], [`vault`], [`crypto`] and [`keyring`].
//! Nothing here runs a tool; `quaymaster-connectors` does.

pub mod address;
pub mod approval;
pub mod audit;
pub mod classification;
pub mod console;
pub mod crypto;
pub mod flow;
pub mod identity;
pub mod incident;
mod keyfile;
pub mod keyring;
pub mod ledger;
pub mod limits;
pub mod output;
pub mod policy;
mod reading;
pub mod redaction;
pub mod secrets;
mod stages;
pub mod vault;

pub use stages::{
    Approved, Authorized, DecisionInput, Ended, Evidence, Guards, Job, Listening, Permit, Ran, Receipt,
    Refused, RequestRefusal, Reserved, Rulebook, Voice, Waited, approve, approve_unasked, authentication,
    authorize, close, close_refused_watch, close_request, close_watch, hand_out, label, label_again,
    may_read, record, release, reserve, voice, watchable,
};
